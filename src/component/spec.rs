//! The shape of the user's YAML, every key of it, with its defaults: types that hold only values that are safe to write
//! into a config. All components' shapes stand in this one file, below the components, because the site that they read
//! holds all of them. How they are read from YAML lives in `topology/`.

use crate::base::name::{
    CommandLine, DatabaseName, DomainName, EnvName, HostName, HostPort, JumpHost, Line, MailAddress, MailLogin,
    PackageName, RelativePath, Span, Url, UrlPath, UserName,
};
use ipnet::IpNet;
use serde::Serialize;
use std::{collections::BTreeMap, net::IpAddr};

/// One topology file.
#[derive(Clone, Debug)]
pub struct Topology {
    /// The name that a user types.
    pub site: DomainName,
    /// Further names of the same site.
    pub aliases: Vec<DomainName>,
    /// The hosts, in the file's order; an inventory's word counts before the topology's.
    pub hosts: Vec<Host>,
    /// The load balancer.
    pub haproxy: Option<Haproxy>,
    /// The names of the site.
    pub dns: Option<Dns>,
    /// HTTPS at the balancer.
    pub tls: Tls,
    /// The web servers.
    pub nginx: Option<Nginx>,
    /// The application.
    pub app: Option<App>,
    /// The database.
    pub mysql: Option<Mysql>,
    /// Who watches all of it.
    pub monitoring: Option<Monitoring>,
    /// Who may reach what beyond what the stack itself needs.
    pub firewall: Firewall,
    /// How much of the past each host keeps.
    pub keep: Keep,
    /// How hosts that share the load are changed.
    pub rollout: Rollout,
}

/// A host and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name, also the SSH destination that the user's ssh_config may know.
    pub name: HostName,
    /// Its address within the stack.
    pub address: IpAddr,
    /// How SSH reaches it.
    pub ssh: Ssh,
}

/// How SSH reaches a host, beyond what the user's ssh_config says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ssh {
    /// The login; ssh_config's where absent.
    pub user: Option<UserName>,
    /// The port; ssh_config's where absent.
    pub port: Option<u16>,
    /// A jump host, as ssh_config or an address knows it.
    pub jump: Option<JumpHost>,
}

/// `keep:`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// What applies have left to go back to, the newest. Default: 10.
    pub generations: usize,
    /// Releases of the app, the one that runs among them. Default: 5.
    pub releases: usize,
}

impl Default for Keep {
    fn default() -> Self {
        Self { generations: 10, releases: 5 }
    }
}

/// `rollout:`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// Hosts that are out of service at a time. Default: 1.
    pub batch: Share,
    /// How long requests in flight are waited for before a host is taken out all the same. Default: 30s.
    pub drain: Span,
    /// How long one host is watched in service before the others are changed. Default: no host goes ahead.
    pub canary: Option<Span>,
    /// Backends that serve at any moment, at least, in percent of all, rounded up. Default: 50.
    pub keep_serving: u8,
}

impl Default for Rollout {
    fn default() -> Self {
        Self { batch: Share::Hosts(1), canary: None, drain: Span::seconds(30), keep_serving: 50 }
    }
}

/// Some of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// So many.
    Hosts(u32),
    /// So many of a hundred.
    Percent(u8),
}

impl Share {
    /// How many of `all` these are, rounded down, and one at least.
    pub fn of(self, all: usize) -> usize {
        let some = match self {
            Self::Hosts(n) => usize::try_from(n).unwrap_or(all),
            Self::Percent(n) => all * usize::from(n) / 100,
        };
        some.max(1)
    }
}

/// `haproxy:`
#[derive(Clone, Debug)]
pub struct Haproxy {
    /// The hosts it runs on.
    pub on: Vec<HostName>,
    /// How requests are spread. Default: round-robin.
    pub algorithm: Algorithm,
    /// Whether all backends serve, or the first alone. Default: active-active.
    pub backends: Backends,
    /// The health check of each backend.
    pub health: Health,
    /// Connections it takes at a time. Default: 4000.
    pub maxconn: u32,
    /// How several balancers stand in for each other. Default: they do not.
    pub redundancy: Option<Redundancy>,
}

/// `haproxy.redundancy:` addresses of the site that move between the balancers.
#[derive(Clone, Debug)]
pub struct Redundancy {
    /// Who holds which.
    pub mode: Mode,
    /// The addresses that visitors connect to.
    pub virtual_addresses: Vec<IpAddr>,
}

/// Which balancers serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One, at one address; the others stand by.
    ActivePassive,
    /// All, each at an address of its own, in the list's order; each stands by for the others.
    ActiveActive,
}

/// How the balancer spreads requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// One after the other.
    #[default]
    RoundRobin,
    /// To the one with the fewest connections.
    LeastConnections,
    /// By the client's address, always to the same one.
    IpHash,
}

/// Which backends serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backends {
    /// All of them.
    #[default]
    ActiveActive,
    /// The first serves, the rest stand by.
    ActivePassive,
}

/// `haproxy.health:`
#[derive(Clone, Debug)]
pub struct Health {
    /// What is asked for. Default: the application's health path.
    pub path: Option<UrlPath>,
    /// Default: 2s.
    pub interval: Span,
    /// Good answers until it serves. Default: 2.
    pub rise: u32,
    /// Bad ones until it does not. Default: 3.
    pub fall: u32,
}

impl Default for Health {
    fn default() -> Self {
        Self { path: None, interval: Span::seconds(2), rise: 2, fall: 3 }
    }
}

/// `dns:`
#[derive(Clone, Debug)]
pub struct Dns {
    /// Who answers for the site's names.
    pub served: Served,
    /// How long resolvers may keep an answer, whole seconds. Default: 60s from servers of the stack's own; what others
    /// answer may be kept for as long as they say.
    pub ttl: Option<Span>,
    /// Who may issue certificates for the site's names (RFC 8659); empty: the zone does not say.
    pub caa: Vec<DomainName>,
}

/// Who answers for the site's names.
#[derive(Clone, Debug)]
pub enum Served {
    /// Name servers of the stack's own.
    Own {
        /// The hosts that they run on; the first is the zone's primary by name.
        on: Vec<HostName>,
        /// The zone.
        zone: DomainName,
        /// Names of the site that other servers answer for.
        elsewhere: Vec<DomainName>,
    },
    /// Somebody else, whom the user tells.
    External,
}

impl Dns {
    /// The hosts that name servers run on.
    pub fn on(&self) -> &[HostName] {
        match &self.served {
            Served::Own { on, .. } => on,
            Served::External => &[],
        }
    }
}

/// `tls:`
#[derive(Clone, Debug)]
pub struct Tls {
    /// Default: self-signed.
    pub certificate: Certificate,
    /// Default: intermediate.
    pub profile: Profile,
    /// Whether :80 redirects to https. Default: true.
    pub redirect_http: bool,
    /// Strict-Transport-Security's age; none turns the header off. Default: 180d.
    pub hsts: Option<Span>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: Certificate::SelfSigned,
            profile: Profile::Intermediate,
            redirect_http: true,
            hsts: Some(Span::seconds(180 * 86_400)),
        }
    }
}

/// Where the site's certificate comes from.
#[derive(Clone, Debug)]
pub enum Certificate {
    /// From a private authority of the site's own.
    SelfSigned,
    /// From the user's own files, by their paths as written (relative to the topology file).
    Files {
        /// The certificate with its chain, PEM.
        cert: String,
        /// Its key, PEM.
        key: String,
    },
    /// From an ACME directory (RFC 8555), by a client on each balancer.
    Acme(Acme),
}

/// `tls.certificate.acme:`
#[derive(Clone, Debug)]
pub struct Acme {
    /// Whom the directory writes to where something is wrong.
    pub email: MailAddress,
    /// The directory. Default: Let's Encrypt's.
    pub directory: Url,
}

/// Mozilla's names for sets of protocols and ciphers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// TLS 1.3 alone.
    Modern,
    /// TLS 1.2 and 1.3.
    #[default]
    Intermediate,
}

/// `nginx:`
#[derive(Clone, Debug)]
pub struct Nginx {
    /// The hosts it runs on.
    pub on: Vec<HostName>,
    /// URL paths served from folders of the app's release, without the app.
    pub statics: Vec<(UrlPath, RelativePath)>,
    /// The largest request body, in mebibytes. Default: 16.
    pub max_body_mib: u32,
}

/// `app:`
#[derive(Clone, Debug)]
pub struct App {
    /// The hosts it runs on.
    pub on: Vec<HostName>,
    /// The folder that becomes the release, as written (relative to the topology file).
    pub source: String,
    /// Debian packages it needs.
    pub packages: Vec<PackageName>,
    /// What serves; `$LISTEN` is where.
    pub run: CommandLine,
    /// Run once per release against the primary, before any host switches.
    pub migrate: Option<CommandLine>,
    /// Answers 200 when the app can serve. Default: /healthz.
    pub health: UrlPath,
    /// The loopback port it listens on. Default: 8000.
    pub port: u16,
    /// Plain environment.
    pub env: BTreeMap<EnvName, Line>,
    /// Secret environment.
    pub secrets: BTreeMap<EnvName, SecretSource>,
    /// How `verify` writes a row through the site and reads it back; none where the app offers no such thing.
    pub canary: Option<Canary>,
}

/// `app.canary:` a form field posted to one path, looked for on another.
#[derive(Clone, Debug)]
pub struct Canary {
    /// Where the form is posted.
    pub write: UrlPath,
    /// The form's field that takes the token.
    pub field: EnvName,
    /// Where the token shows once it is stored.
    pub read: UrlPath,
}

/// Where a secret of the app's comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable of foobar's own.
    Env(String),
    /// A file, as written (relative to the topology file); one final line break is dropped.
    File(String),
    /// A command run through sh on the control machine; one final line break is dropped.
    Command(String),
    /// Made once, kept on the hosts.
    Generate,
}

/// `mysql:`
#[derive(Clone, Debug)]
pub struct Mysql {
    /// Which server. Default: mysql.
    pub engine: Engine,
    /// The host that is written to.
    pub primary: HostName,
    /// The hosts that are read from.
    pub replicas: Vec<HostName>,
    /// The application's database.
    pub database: DatabaseName,
    /// Whether a write waits for a replica. Default: true where there is one.
    pub semi_sync: bool,
    /// How far a replica may be behind. Default: 5s.
    pub max_lag: Span,
    /// Default: 151, the servers' own.
    pub max_connections: u32,
}

impl Mysql {
    /// The primary, then the replicas.
    pub fn hosts(&self) -> impl Iterator<Item = &HostName> {
        std::iter::once(&self.primary).chain(&self.replicas)
    }
}

/// `monitoring:`
#[derive(Clone, Debug)]
pub struct Monitoring {
    /// The host that watches; a list as everywhere, of one.
    pub on: Vec<HostName>,
    /// How often every part is looked at, whole seconds. Default: 15s.
    pub every: Span,
    /// How long a fault holds before somebody is told, whole seconds. Default: 1m.
    pub after: Span,
    /// How long what was measured is kept. Default: 15d.
    pub retention: Span,
    /// Who is told.
    pub alerts: Alerts,
}

impl Monitoring {
    /// The host that watches.
    pub fn host(&self) -> Option<&HostName> {
        self.on.first()
    }
}

/// `monitoring.alerts:` who is told of what is wrong; nobody by default.
#[derive(Clone, Debug, Default)]
pub struct Alerts {
    /// Where alerts are posted to.
    pub webhook: Option<Webhook>,
    /// Whom they are mailed to.
    pub email: Option<Email>,
}

/// `monitoring.alerts.webhook:`
#[derive(Clone, Debug)]
pub enum Webhook {
    /// One that is no secret, as written.
    Plain(Url),
    /// One that lets whoever knows it post.
    Secret(SecretSource),
}

/// `monitoring.alerts.email:`
#[derive(Clone, Debug)]
pub struct Email {
    /// Who gets it.
    pub to: Vec<MailAddress>,
    /// Who it comes from.
    pub from: MailAddress,
    /// The mail server that takes it, which must speak STARTTLS.
    pub smarthost: HostPort,
    /// Whose mail it is there; without one nobody logs in.
    pub login: Option<MailLogin>,
    /// The login's password.
    pub password: Option<SecretSource>,
}

/// The database server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// Oracle's, 8.0.26 and newer.
    #[default]
    Mysql,
    /// MariaDB, 10.11 and newer.
    Mariadb,
}

/// `firewall:`
#[derive(Clone, Debug)]
pub struct Firewall {
    /// Who may use SSH; empty: anyone. The address foobar itself connects from is always kept.
    pub admin_from: Vec<IpNet>,
    /// Extra rules.
    pub allow: Vec<Allow>,
    /// How long new rules wait for a login that confirms them before the host puts the former ones back; whole seconds.
    /// Default: 45s, for the login of a slow host takes a few.
    pub confirm_within: Span,
}

impl Default for Firewall {
    fn default() -> Self {
        Self { admin_from: Vec::new(), allow: Vec::new(), confirm_within: Span::seconds(45) }
    }
}

/// `firewall.allow[]:` one extra rule.
#[derive(Clone, Debug)]
pub struct Allow {
    /// On which hosts; empty: all.
    pub on: Vec<HostName>,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
    /// From where; empty: anywhere.
    pub from: Vec<IpNet>,
}

/// What the packet filter tells apart: a transport protocol with ports, or the one that balancers speak among themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// VRRP, IP protocol 112, which has no ports.
    Vrrp,
}

//! What is deployed, one component a file: the resources it asks of each host, who listens where for whom, and the
//! checks that prove it live. Pure: a component is a function of the site.

pub mod app;
pub mod dns;
pub mod drill;
pub mod firewall;
pub mod haproxy;
pub mod host;
pub mod http;
pub mod keepalived;
pub mod monitoring;
pub mod mysql;
pub mod names;
pub mod nginx;
pub mod origin;
pub mod paths;
pub mod site;
pub mod spec;
pub mod status;
pub mod tls;
pub mod traffic;

#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

use crate::{
    base::{
        name::{HostName, PackageName},
        reach::{Reached, Try},
        script::Script,
        secret::Secret,
        template::TemplateError,
    },
    resource::{Key, Resource, Wanted},
};
use ipnet::IpNet;
use origin::Origin;
use serde::Serialize;
use site::Site;
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// Who may connect to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peers {
    /// Anyone who reaches the host.
    Anyone,
    /// Only these hosts of the topology.
    Hosts(Vec<HostName>),
    /// Only these networks.
    Networks(Vec<IpNet>),
    /// Only the host itself, on its loopback.
    Loopback,
}

/// Somebody listens there, and these connect: firewall rules and `verify`'s matrix come from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// The component that listens.
    pub component: &'static str,
    /// The host that it listens on.
    pub host: HostName,
    /// What is spoken there.
    pub protocol: spec::Protocol,
    /// The port; 0 where the protocol has none.
    pub port: u16,
    /// Who connects.
    pub from: Peers,
}

/// Where a generated secret comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A value that the user gave (from the environment, a file or a command).
    Given(Secret),
    /// A value that the user gave once and cannot give now: the one that the hosts keep, and none where they keep none.
    Kept,
    /// 32 letters and digits, made once and kept on the hosts that need it.
    Password,
    /// The key of an account at a certificate authority, made once and kept: `NAME.key` is settled, PEM, and
    /// `NAME.thumbprint`, which follows from it, is no secret and is kept nowhere.
    Account,
    /// A certificate authority: `NAME.crt` and `NAME.key` are settled, PEM. `names` bound what it may sign (empty: anything).
    Authority {
        /// Its common name.
        common_name: String,
        /// DNS names it may sign for, by name constraint (RFC 5280 4.2.1.10).
        names: Vec<String>,
    },
    /// A certificate signed by authority `by`: `NAME.crt` and `NAME.key`, PEM. Made anew when the names change, 30 days
    /// before it expires, or when its authority is another one.
    Leaf {
        /// The authority's name.
        by: String,
        /// DNS names and IP addresses it is good for.
        names: Vec<String>,
        /// Days it is good for.
        days: u32,
    },
}

/// A secret that the site needs, and where it is kept.
#[derive(Clone, Debug)]
pub struct SecretSpec {
    /// Its name: letters, digits, - and . only. What templates and contents refer to.
    pub name: String,
    /// Where it comes from.
    pub source: Source,
    /// The hosts that keep it under `/var/lib/foobar/secrets`, the one whose word counts first.
    pub homes: Vec<HostName>,
}

/// Everything the hosts shall have.
#[derive(Debug, Default)]
pub struct Desired {
    /// The resources, in the order that the components asked for them.
    pub wanted: Vec<Wanted>,
    /// The secrets.
    pub secrets: Vec<SecretSpec>,
    /// Who sends requests to whom, and how a host is taken out of that.
    pub pools: Vec<Box<dyn traffic::Pool>>,
    /// How hosts that share the load are changed.
    pub rollout: spec::Rollout,
}

impl Desired {
    /// Asks for a resource, after others; the answer names it for what comes after it.
    pub fn want(
        &mut self,
        host: &HostName,
        resource: impl Resource + 'static,
        after: impl IntoIterator<Item = Key>,
    ) -> Key {
        let key = Key::new(host, resource.id());
        self.wanted.push(Wanted {
            host: host.clone(),
            resource: Box::new(resource),
            after: after.into_iter().collect(),
        });
        key
    }

    /// Asks for a secret to be kept on these hosts; asked for again, the homes are united.
    pub fn secret(&mut self, name: impl Into<String>, source: Source, homes: impl IntoIterator<Item = HostName>) {
        let name = name.into();
        let homes: Vec<HostName> = homes.into_iter().collect();
        match self.secrets.iter_mut().find(|s| s.name == name) {
            Some(known) => {
                for home in homes {
                    if !known.homes.contains(&home) {
                        known.homes.push(home);
                    }
                }
            }
            None => self.secrets.push(SecretSpec { name, source, homes }),
        }
    }
}

/// How a check ended. A check that could not be made is not one that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome", content = "text")]
pub enum Verdict {
    /// It holds; the text says what was seen.
    Pass(String),
    /// It does not hold; the text says what was seen instead.
    Fail(String),
    /// It could not be made; the text says why.
    Error(String),
}

/// What a check's script answered.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Its exit status.
    pub status: i32,
    /// What it printed.
    pub stdout: String,
    /// When it was asked and when its answer was there, in milliseconds since the epoch by the control machine's clock; of
    /// a check that is made by itself alone.
    pub between: Option<(i64, i64)>,
    /// What the connections met that were tried from the control machine beside it.
    pub reached: Reached,
}

type Alone = dyn Fn(&Answer) -> Verdict + Send + Sync;
type Together = dyn Fn(&HostName, &BTreeMap<HostName, Answer>) -> Verdict + Send + Sync;

/// Who decides what a check's answer means.
#[derive(Clone)]
pub enum Judge {
    /// It is told by the answer alone.
    Alone(Arc<Alone>),
    /// It is told for one host by the answers of all hosts to the check of that name; those that gave none are left out.
    Together(Arc<Together>),
}

/// Something that proves the topology live: a read-only script for one host, and what its answer means.
#[derive(Clone)]
pub struct Check {
    /// The component it is about.
    pub component: &'static str,
    /// What is claimed, a lower-case fragment: `port 80 redirects to https`.
    pub title: String,
    /// The host it is made from.
    pub host: HostName,
    /// POSIX sh, as root, stdin from /dev/null; all checks of a host run in one exec, side by side.
    pub script: Script,
    /// What the answer means.
    pub judge: Judge,
    /// Whether it is made by itself, behind the others, so that little time lies between question and answer.
    pub is_timed: bool,
    /// Connections that the control machine tries for it meanwhile.
    pub tries: Vec<Try>,
}

/// What a check is called where it is chosen or counted: `nginx/web-01-answers-healthz`. It is made of the words of what
/// the check claims, without digests, so that it stays while the claim does.
pub fn check_name(component: &str, title: &str) -> String {
    let is_digest = |w: &str| w.len() >= 12 && w.bytes().all(|b| b.is_ascii_hexdigit());
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty() && !is_digest(w));
    let words: Vec<String> = words.map(str::to_ascii_lowercase).collect();
    format!("{component}/{}", words.join("-"))
}

impl Check {
    /// What it is called.
    pub fn name(&self) -> String {
        check_name(self.component, &self.title)
    }

    /// A check of `component` made from `host`.
    pub fn new(
        component: &'static str,
        host: &HostName,
        title: impl Into<String>,
        script: Script,
        judge: impl Fn(&Answer) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        Self::judged(component, host, title, script, Judge::Alone(Arc::new(judge)))
    }

    /// The same, judged once all hosts have answered that it is made from.
    pub fn together(
        component: &'static str,
        host: &HostName,
        title: impl Into<String>,
        script: Script,
        judge: impl Fn(&HostName, &BTreeMap<HostName, Answer>) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        Self::judged(component, host, title, script, Judge::Together(Arc::new(judge)))
    }

    fn judged(
        component: &'static str,
        host: &HostName,
        title: impl Into<String>,
        script: Script,
        judge: Judge,
    ) -> Self {
        Self { component, title: title.into(), host: host.clone(), script, judge, is_timed: false, tries: Vec::new() }
    }

    /// What its answer means, where no other host gave one.
    pub fn verdict(&self, answer: &Answer) -> Verdict {
        match &self.judge {
            Judge::Alone(judge) => judge(answer),
            Judge::Together(judge) => judge(&self.host, &BTreeMap::from([(self.host.clone(), answer.clone())])),
        }
    }

    /// The same check, made by itself with the time taken.
    pub fn timed(mut self) -> Self {
        self.is_timed = true;
        self
    }

    /// The same check, for which the control machine tries these connections meanwhile.
    pub fn trying(mut self, tries: Vec<Try>) -> Self {
        self.tries = tries;
        self
    }

    /// A check that a unit is active and enabled.
    pub fn unit(component: &'static str, host: &HostName, unit: &'static str) -> Self {
        let script = Script::new().line(format!("systemctl show --value -p ActiveState -p UnitFileState {unit}"));
        Self::new(component, host, format!("{unit} is active and enabled"), script, |answer| {
            let states: Vec<&str> = answer.stdout.lines().filter(|l| !l.is_empty()).collect();
            if states == ["active", "enabled"] {
                Verdict::Pass("active, enabled".into())
            } else {
                Verdict::Fail(format!("it is {}", states.join(", ")))
            }
        })
    }
}

impl Verdict {
    /// Passes where `holds`; both texts say what was seen.
    pub fn when(holds: bool, text: impl Into<String>) -> Self {
        if holds { Self::Pass(text.into()) } else { Self::Fail(text.into()) }
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Check({} {} on {})", self.component, self.title, self.host)
    }
}

/// What is deployed.
pub trait Component: Send + Sync {
    /// The key of the topology file that asks for it: `haproxy`.
    fn name(&self) -> &'static str;

    /// Debian packages that it needs on a host; one resource installs all components' together.
    fn packages(&self, _site: &Site, _host: &HostName) -> Vec<PackageName> {
        Vec::new()
    }

    /// Directories there that one of them fills as it is configured.
    fn filled(&self, _site: &Site, _host: &HostName) -> Vec<&'static str> {
        Vec::new()
    }

    /// Who listens where, and who connects.
    fn endpoints(&self, site: &Site) -> Vec<Endpoint>;

    /// What each host shall have.
    fn resources(&self, site: &Site, desired: &mut Desired) -> Result<(), TemplateError>;

    /// What proves it live.
    fn checks(&self, site: &Site) -> Vec<Check>;

    /// How the files that it renders for a host are made.
    fn origins(&self, _site: &Site, _host: &HostName) -> Result<Vec<Origin>, TemplateError> {
        Ok(Vec::new())
    }

    /// Where a secret of its own comes from; nothing where it is not its own.
    fn secret_origin(&self, _site: &Site, _name: &str) -> Vec<origin::Source> {
        Vec::new()
    }
}

/// The components that a site asks for, in the order that their resources are wanted on a host. The firewall comes first:
/// what a later step connects to is then open, and nothing that is started is open too far for a moment.
pub fn all(site: &Site) -> Vec<Box<dyn Component>> {
    let topology = &site.topology;
    let mut all: Vec<Box<dyn Component>> = Vec::new();
    if topology.mysql.is_some() {
        all.push(Box::new(mysql::Mysql));
    }
    if topology.app.is_some() && topology.mysql.is_some() {
        all.push(Box::new(paths::Paths));
    }
    if topology.app.is_some() {
        all.push(Box::new(app::App));
    }
    if topology.nginx.is_some() {
        all.push(Box::new(nginx::Nginx));
    }
    if topology.haproxy.is_some() {
        all.push(Box::new(tls::Tls));
        all.push(Box::new(haproxy::Haproxy));
        if topology.haproxy.as_ref().is_some_and(|h| h.redundancy.is_some()) {
            all.push(Box::new(keepalived::Keepalived));
        }
    }
    if topology.dns.is_some() {
        all.push(Box::new(dns::Dns));
    }
    if topology.monitoring.is_some() {
        all.push(Box::new(monitoring::Monitoring));
    }
    let endpoints = all.iter().flat_map(|c| c.endpoints(site)).collect();
    all.insert(0, Box::new(firewall::Firewall::new(endpoints)));
    all.push(Box::new(host::Hosts));
    all
}

/// Names of packages, as the components write them.
pub fn packages<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<PackageName> {
    names.into_iter().filter_map(|name| name.parse().ok()).collect()
}

/// An address as it stands before a port: IPv6 in brackets.
pub fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// The host that checks what others see of `not_on`: the first that is none of them, else the first of them.
pub fn viewer<'a>(site: &'a Site, not_on: &'a [HostName]) -> Option<&'a HostName> {
    site.hosts().find(|h| !not_on.contains(h)).or_else(|| not_on.first())
}

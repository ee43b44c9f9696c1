//! The load balancer: TLS edge, redirect, health-checked backends, and a runtime API. What a reload must prove is said
//! here, because neither `haproxy -c` nor the reload's exit code says it.

mod checks;
pub mod master;
mod origin;
mod sources;
mod spread;
pub mod status;
pub mod traffic;

use super::{
    Check, Component, Desired, Endpoint, Peers, bracketed, http, keepalived,
    names::{
        ACME_ACCOUNT, APP_UNIT, BACKEND, GENERATION, HAPROXY_LOCAL, HAPROXY_METRICS, HAPROXY_QUESTIONS, HAPROXY_UNIT,
        NGINX_UNIT, SITE,
    },
    origin::{Origin, Source, key},
    packages,
    site::Site,
    spec::{self, Algorithm, Backends, Profile},
    traffic::Pool as _,
};
use crate::{
    base::{
        digest::sha256,
        name::{HostName, PackageName},
        script::Script,
        secret::{Content, Encoding, place},
        template::TemplateError,
    },
    resource::{
        Collector, Key, Probe, Resource,
        acme::Interim,
        files::{File, Files},
        service::{Input, Service, Shown},
    },
};
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const CONFIG: &str = "/etc/haproxy/haproxy.cfg";
/// Where its certificates are.
pub const CERTIFICATES: &str = "/etc/haproxy/certs";
/// The one that it shows, with its key.
pub const CERTIFICATE: &str = "/etc/haproxy/certs/site.pem";
/// What names the account that answers challenges.
const ACCOUNT: &str = "/etc/haproxy/acme-account.map";
const DROP_IN: &str = "/etc/systemd/system/haproxy.service.d/foobar.conf";

/// Descriptors beside those of connections: listeners, checks, the threads' own.
const DESCRIPTOR_MARGIN: u32 = 1000;

/// `haproxy:`
#[derive(Debug)]
pub struct Haproxy;

#[derive(Serialize)]
struct Bind {
    address: &'static str,
    options: &'static str,
}

#[derive(Serialize)]
struct Server {
    name: HostName,
    address: String,
    is_backup: bool,
}

#[derive(Serialize)]
struct Context {
    maxconn: u32,
    questions: Option<&'static str>,
    profile: Profile,
    names: Vec<String>,
    binds: Vec<Bind>,
    challenges: Option<&'static str>,
    redirect_http: bool,
    hsts: Option<u64>,
    backend: &'static str,
    balance: &'static str,
    health_path: String,
    inter_ms: u128,
    fastinter_ms: u128,
    rise: u32,
    fall: u32,
    servers: Vec<Server>,
    metrics: Option<String>,
    local_port: u16,
    generation_path: &'static str,
    generation: String,
}

/// What the balancers ask each backend for.
pub fn health_path(site: &Site) -> String {
    let own = site.topology.haproxy.as_ref().and_then(|h| h.health.path.as_ref());
    let app = site.topology.app.as_ref().map(|a| &a.health);
    own.or(app).map_or("/healthz".into(), |p| p.as_str().to_owned())
}

/// Where [`health_path`] comes from.
pub fn health_path_origin(site: &Site) -> Source {
    match (site.topology.haproxy.as_ref().is_some_and(|h| h.health.path.is_some()), &site.topology.app) {
        (false, Some(_)) => key(["app", "health"]),
        _ => key(["haproxy", "health", "path"]),
    }
}

fn context(site: &Site, haproxy: &spec::Haproxy, host: &HostName) -> Context {
    let topology = &site.topology;
    let v4 = Bind { address: "*", options: "" };
    let backends = topology.nginx.as_ref().map(|n| n.on.as_slice()).unwrap_or_default();
    let server = |(n, name): (usize, &HostName)| Server {
        name: name.clone(),
        address: bracketed(site.address(name)),
        is_backup: n > 0 && haproxy.backends == Backends::ActivePassive,
    };
    let inter_ms = haproxy.health.interval.duration().as_millis().max(1);
    Context {
        maxconn: haproxy.maxconn,
        questions: haproxy.redundancy.as_ref().map(|_| HAPROXY_QUESTIONS),
        profile: topology.tls.profile,
        names: site.names().iter().map(|n| n.as_str().to_owned()).collect(),
        // A host without IPv6 cannot bind it at all.
        binds: match site.address(host) {
            IpAddr::V4(_) => vec![v4],
            IpAddr::V6(_) => vec![v4, Bind { address: "[::]", options: " v6only" }],
        },
        challenges: site.acme().map(|_| ACCOUNT),
        redirect_http: topology.tls.redirect_http,
        hsts: topology.tls.hsts.map(|h| h.duration().as_secs()),
        backend: BACKEND,
        balance: match haproxy.algorithm {
            Algorithm::RoundRobin => "roundrobin",
            Algorithm::LeastConnections => "leastconn",
            Algorithm::IpHash => "source",
        },
        health_path: health_path(site),
        inter_ms,
        fastinter_ms: inter_ms.min(500),
        rise: haproxy.health.rise,
        fall: haproxy.health.fall,
        servers: backends.iter().enumerate().map(server).collect(),
        metrics: topology.monitoring.as_ref().map(|_| http::at(site.address(host), HAPROXY_METRICS)),
        local_port: HAPROXY_LOCAL,
        generation_path: GENERATION,
        generation: String::new(),
    }
}

fn unit_context(haproxy: &spec::Haproxy) -> Map {
    Map::from([("nofile", 2 * haproxy.maxconn + DESCRIPTOR_MARGIN)])
}

/// The configuration of a balancer, and the digest that it answers with on loopback once it runs.
fn rendered(site: &Site, haproxy: &spec::Haproxy, host: &HostName) -> Result<(String, String), TemplateError> {
    let mut context = context(site, haproxy, host);
    let generation = sha256(site.templates.render("haproxy/haproxy.cfg.tera", &context)?)[..32].to_owned();
    context.generation.clone_from(&generation);
    Ok((site.templates.render("haproxy/haproxy.cfg.tera", &context)?, generation))
}

/// The balancer's master process.
const MASTER: &str = "/run/haproxy-master.sock";

/// The serial number of the certificate that the worker holds under each path: its runtime socket takes others.
pub static SHOWN: Collector = Collector {
    name: "haproxy_shown",
    volatile: &[],
    body: r#"
[ -S /run/haproxy/admin.sock ] || return 0
for path; do
  serial=$(printf 'show ssl cert %s\n' "$path" | socat -t 2 - UNIX-CONNECT:/run/haproxy/admin.sock 2>/dev/null | sed -n 's/^Serial: //p')
  [ -z "$serial" ] || printf '%s\t%s\n' "$path" "$serial"
done
:"#,
};

/// Where the balancer tells its host what it runs.
fn local() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), HAPROXY_LOCAL)
}

/// Exits 0 once the balancer is on the configuration on disk, and on the certificate: a reload that failed for a new
/// certificate alone leaves the generation as it was.
fn proof(site: &Site, haproxy: &spec::Haproxy, host: &HostName, generation: &str) -> Script {
    // A backend that was away while this one was changed is up after `rise` good answers. It is waited for, so that what
    // comes next meets a whole site; one that stays away is `verify`'s to tell, and no fault of the balancer's.
    let rises = haproxy.health.interval.duration().as_millis() * u128::from(haproxy.health.rise) / 200 + 5;
    let complaint = "haproxy does not run the configuration on disk";
    http::wait_for(local(), GENERATION, "localhost", Some(generation), 80, complaint)
        .then(&certificates(site, host))
        .line("tries=0")
        .line("until disk=$(on_disk) && [ -n \"$disk\" ] && [ \"$(served)\" = \"$disk\" ]; do")
        .line("  tries=$((tries + 1)); [ \"$tries\" -lt 20 ] || { echo 'haproxy does not serve the certificate on disk' >&2; exit 1; }")
        .line("  sleep 0.2")
        .line("done")
        .then(&master::none_failed(MASTER))
        .line(STAT)
        .line(format!("await_up {}", rises.min(50)))
        .line(format!("one_answers {}", haproxy.health.interval.duration().as_secs() + 6))
        .then(&keepalived::stands_by(site))
}

/// Where the drop-in has each worker leave its servers' states for the next one.
const SERVER_STATE: &str = "/var/lib/haproxy/server-state";

/// Functions that print the fingerprint of the certificate `on_disk`, and of the one that is `served`.
fn certificates(site: &Site, host: &HostName) -> Script {
    let (at, name, patience) = (http::at(site.address(host), 443), &site.topology.site, http::PATIENCE);
    Script::new()
        .line(format!("on_disk() {{ openssl x509 -noout -fingerprint -sha256 -in {CERTIFICATE} 2>/dev/null; }}"))
        .line(format!(
            "served() {{ timeout {patience} openssl s_client -connect {at} -servername {name} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256 2>/dev/null; }}"
        ))
}

/// `stat` prints the counters of the backend's servers; `await_up FIFTHS` waits until all are up, so many fifths of a
/// second at most; `one_answers SECONDS` fails where none of them has passed a check of this worker by then, or as soon
/// as all have failed one: it takes all for healthy when it starts, and a check that none can pass would take the whole site
/// down a moment later.
const STAT: &str = r#"stat() { echo 'show stat web 4 -1' | socat -t 3 - UNIX-CONNECT:/run/haproxy/admin.sock; }
await_up() {
  left=$1
  while [ "$left" -gt 0 ] && stat | grep '^web,' | grep -qvE ',(UP|no check),'; do left=$((left - 1)); sleep 0.2; done
}
checks() {
  stat | awk -F , 'NR == 1 { for (n = 1; n <= NF; n++) at[$n] = n; next } $1 == "web" { print $2, $at["check_status"], $at["check_code"] }'
}
one_answers() {
  read -r now _ </proc/uptime; end=$((${now%.*} + $1)) bad=0
  until said=$(checks) && { [ -z "$said" ] || printf '%s\n' "$said" | grep -qE ' (\* )?L[467]OK( |$)'; }; do
    read -r now _ </proc/uptime
    # All have been asked, and none is content: before they count as down, so that nobody is turned away.
    if printf '%s\n' "$said" | grep -q ' INI'; then bad=0; else bad=$((bad + 1)); fi
    [ "${now%.*}" -lt "$end" ] && [ "$bad" -lt 3 ] || { echo "no backend passes the balancer's check as it is now:" >&2; printf '%s\n' "$said" >&2; exit 1; }
    sleep 0.2
  done
}"#;

impl Component for Haproxy {
    fn name(&self) -> &'static str {
        "haproxy"
    }

    fn packages(&self, site: &Site, host: &HostName) -> Vec<PackageName> {
        let is_here = site.topology.haproxy.as_ref().is_some_and(|h| h.on.contains(host));
        // socat is the one small program that a shell can speak to a Unix socket with.
        if is_here { packages(["haproxy", "socat"]) } else { Vec::new() }
    }

    fn endpoints(&self, site: &Site) -> Vec<Endpoint> {
        let Some(haproxy) = &site.topology.haproxy else { return Vec::new() };
        let on =
            |host: &HostName| {
                [(80, Peers::Anyone), (443, Peers::Anyone), (HAPROXY_LOCAL, Peers::Loopback)].map(|(port, from)| {
                    Endpoint { component: "haproxy", host: host.clone(), protocol: spec::Protocol::Tcp, port, from }
                })
            };
        haproxy.on.iter().flat_map(on).collect()
    }

    fn resources(&self, site: &Site, desired: &mut Desired) -> Result<(), TemplateError> {
        let Some(haproxy) = &site.topology.haproxy else { return Ok(()) };
        let mut before: Option<Key> = None;
        for host in &haproxy.on {
            let (config, generation) = rendered(site, haproxy, host)?;
            let unit = site.templates.render("haproxy/unit.conf.tera", &unit_context(haproxy))?;
            let pem = format!(
                "{}\n{}\n",
                place(&format!("{SITE}.crt"), Encoding::Plain),
                place(&format!("{SITE}.key"), Encoding::Plain)
            );
            let (config, unit, pem) = (Content::new(config), Content::new(unit), Content::new(pem));
            let mut files = Files::new(
                "haproxy configuration",
                vec![File::text(CONFIG, config.clone()), File::directory(CERTIFICATES).mode(0o700)],
            )
            .checked(["/etc/haproxy"], Script::new().line(format!("haproxy -c -q -f {CONFIG}")));
            // One from a directory is its client's file, and so is what to do when it changes. Who the account is follows
            // from its key, and is no secret: whoever asks for it is told.
            let of_directory = site.acme().is_some();
            let account = Content::new(format!(
                "thumbprint {}\n",
                place(&format!("{}.thumbprint", ACME_ACCOUNT), Encoding::Plain)
            ));
            files.files.push(if of_directory {
                File::text(ACCOUNT, account.clone()).mode(0o644)
            } else {
                File::text(CERTIFICATE, pem.clone())
            });
            // Apart from the configuration, so that a change of that alone is never taken for one of the unit.
            let drop_in = Files::new("haproxy unit", vec![File::text(DROP_IN, unit.clone())]);
            let input =
                |path: &str, content: Content, from: &Files| Input { path: path.into(), content, from: from.id() };
            let mut service = Service::new(HAPROXY_UNIT);
            service.shown = (!of_directory).then(|| Shown {
                probe: Probe::new(&SHOWN, [CERTIFICATE]),
                keys: &[CERTIFICATE],
                content: pem.clone(),
            });
            service.restart_on = vec![input(DROP_IN, unit, &drop_in)];
            let other = if of_directory { input(ACCOUNT, account, &files) } else { input(CERTIFICATE, pem, &files) };
            service.reload_on = vec![input(CONFIG, config, &files), other];
            service.reload = Some(master::reload(HAPROXY_UNIT, MASTER));
            service.proof = Some(proof(site, haproxy, host, &generation));
            service.restart_impact = crate::resource::Impact::ConnectionDrop;
            service.ports = vec![80, 443, HAPROXY_LOCAL];
            service.ports.extend(site.topology.monitoring.as_ref().map(|_| HAPROXY_METRICS));
            service.leaves = vec![SERVER_STATE.into()];
            // A balancer takes its backends for healthy when it starts, so they come first.
            let mut after =
                vec![desired.want(host, drop_in, []), desired.want(host, files, [Key::new(host, Interim::key())])];
            for (on, unit) in [
                (site.topology.nginx.as_ref().map(|n| &n.on), NGINX_UNIT),
                (site.topology.app.as_ref().map(|a| &a.on), APP_UNIT),
            ] {
                after.extend(on.into_iter().flatten().map(|h| Key::new(h, Service::key(unit))));
            }
            let web = traffic::Web::new(site, haproxy, host);
            for member in web.members() {
                after.push(desired.want(host, traffic::Traffic::new(&web, member), web.ground(member)));
            }
            desired.pools.push(Box::new(web));
            // One after the other: what one cannot take in, or is away for, the others go on without.
            after.extend(before.take());
            before = Some(desired.want(host, service, after));
        }
        Ok(())
    }

    fn checks(&self, site: &Site) -> Vec<Check> {
        checks::all(site)
    }

    fn origins(&self, site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
        origin::all(site, host)
    }
}

type Map = std::collections::BTreeMap<&'static str, u32>;

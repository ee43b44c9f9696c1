//! Who watches the stack: exporters of metrics on every host, and on one of them Prometheus, which measures and knows what
//! is wrong, and Alertmanager, which tells people. Nothing of it is in the way of a request.
//!
//! Exporters listen on their host's own address, and the packet filter lets the host that watches in and nobody else. What
//! runs on that one answers on loopback alone: whoever may log in there may look at it.

mod checks;
mod exporters;
mod measures;
mod origin;
mod server;

use super::{
    Check, Component, Desired, Endpoint, Peers, Source,
    names::{
        ALERTMANAGER, BLACKBOX_EXPORTER, HAPROXY_METRICS, MAIL_PASSWORD, MYSQLD_EXPORTER, NGINX_EXPORTER,
        NODE_EXPORTER, PROMETHEUS, WEBHOOK,
    },
    origin::{Origin, Source as From, key},
    packages,
    site::Site,
    spec::{self, Protocol},
};
use crate::{
    base::{
        name::{HostName, PackageName},
        script::{Script, quote},
        secret::Content,
        template::TemplateError,
    },
    resource::{
        Impact, Resource,
        files::{File, Files},
        service::{Input, Service},
    },
};
use std::net::SocketAddr;

/// `monitoring:`
#[derive(Debug)]
pub struct Monitoring;

/// The account that all of Debian's packages of it run as.
const USER: &str = "prometheus";

/// The hosts of web servers.
fn web(site: &Site) -> &[HostName] {
    site.topology.nginx.as_ref().map(|n| n.on.as_slice()).unwrap_or_default()
}

/// The balancers.
fn balancers(site: &Site) -> &[HostName] {
    site.topology.haproxy.as_ref().map(|h| h.on.as_slice()).unwrap_or_default()
}

/// The database servers, in the order of the hosts: no file here changes with a role.
fn databases(site: &Site) -> impl Iterator<Item = &HostName> {
    site.database_hosts().into_iter()
}

/// What is measured from elsewhere: what Prometheus calls it, the hosts that it is on, and its port there.
fn measured(site: &Site) -> Vec<(&'static str, Vec<&HostName>, u16)> {
    let all = [
        ("node", site.hosts().collect(), NODE_EXPORTER.1),
        ("haproxy", balancers(site).iter().collect(), HAPROXY_METRICS),
        ("nginx", web(site).iter().collect(), NGINX_EXPORTER.1),
        ("mysql", databases(site).collect::<Vec<_>>(), MYSQLD_EXPORTER.1),
    ];
    all.into_iter().filter(|(_, hosts, _)| !hosts.is_empty()).collect()
}

/// Defines `fetch ADDRESS PORT PATH`: the body that a daemon answers. In HTTP/1.0, whose bodies come in one piece: chunks
/// would break lines in two.
const FETCH: &str = r#"fetch() {
  timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1" || exit 7
    printf "GET %s HTTP/1.0\r\nHost: localhost\r\nUser-Agent: foobar\r\n\r\n" "$2" >&3; cat <&3' "$@" 2>/dev/null |
    tr -d '\r' | sed -n '1{/ 200 /!q7}; 1,/^$/!p'
}"#;

/// Waits until what a daemon answers has a part that `pattern` (grep -E) fits, for so many seconds; fails with `complaint`.
fn wait_for(at: SocketAddr, path: &str, pattern: &str, seconds: u32, complaint: &str) -> Script {
    Script::new()
        .line(FETCH)
        .line(format!("read -r now _ </proc/uptime; end=$((${{now%.*}} + {seconds}))"))
        .line(format!("until fetch {} {} {} | grep -qE -- {}; do", at.ip(), at.port(), quote(path), quote(pattern)))
        .line("  read -r now _ </proc/uptime")
        .line(format!("  [ \"${{now%.*}}\" -lt \"$end\" ] || {{ echo {} >&2; exit 1; }}", quote(complaint)))
        .line("  sleep 0.1")
        .line("done")
}

/// A daemon of a Debian package, which takes its words from a file below `/etc/default`.
struct Daemon {
    unit: &'static str,
    /// Where its words are.
    defaults: &'static str,
    words: Content,
    /// What it reads beside them when it starts.
    files: Vec<File>,
    /// Exits 0 where the files are right, as they will be below these directories.
    checker: Option<(&'static str, Script)>,
    port: u16,
    proof: Script,
}

impl Daemon {
    /// Its unit's name without its kind.
    fn short(&self) -> &'static str {
        self.unit.strip_suffix(".service").unwrap_or(self.unit)
    }

    /// The files that it has, and the service that takes them all in by a restart, of which nobody feels anything.
    fn resources(self) -> (Files, Service) {
        let name = format!("{} configuration", self.short());
        let all: Vec<File> =
            std::iter::once(File::text(self.defaults, self.words.clone())).chain(self.files.clone()).collect();
        let mut files = Files::new(name, all);
        if let Some((tree, checker)) = self.checker {
            files = files.checked([tree], checker);
        }
        let from = files.id();
        let input = |file: &File| match &file.body {
            crate::resource::files::Body::Text(content) => {
                Some(Input { path: file.path.clone(), content: content.clone(), from: from.clone() })
            }
            _ => None,
        };
        let mut service = Service::new(self.unit);
        service.restart_on = files.files.iter().filter_map(input).collect();
        (service.restart_impact, service.ports) = (Impact::None, vec![self.port]);
        service.proof = Some(self.proof);
        (files, service)
    }
}

impl Component for Monitoring {
    fn name(&self) -> &'static str {
        "monitoring"
    }

    fn packages(&self, site: &Site, host: &HostName) -> Vec<PackageName> {
        let Some(monitoring) = &site.topology.monitoring else { return Vec::new() };
        // Units are asked about over the system's bus.
        let mut names = vec!["dbus", "prometheus-node-exporter"];
        if web(site).contains(host) {
            names.push("prometheus-nginx-exporter");
        }
        if databases(site).any(|h| h == host) {
            names.push("prometheus-mysqld-exporter");
        }
        if monitoring.host() == Some(host) {
            names.extend(["prometheus", "prometheus-alertmanager", "prometheus-blackbox-exporter"]);
        }
        packages(names)
    }

    fn endpoints(&self, site: &Site) -> Vec<Endpoint> {
        let Some(watcher) = site.topology.monitoring.as_ref().and_then(|m| m.host()) else { return Vec::new() };
        let endpoint = |host: &HostName, port, from| Endpoint {
            component: "monitoring",
            host: host.clone(),
            protocol: Protocol::Tcp,
            port,
            from,
        };
        let mut all = Vec::new();
        for (_, hosts, port) in measured(site) {
            for host in hosts {
                let from = std::iter::once(watcher).filter(|h| *h != host).cloned().collect();
                all.push(endpoint(host, port, Peers::Hosts(from)));
            }
        }
        let local =
            [PROMETHEUS, ALERTMANAGER].into_iter().chain(server::probes(site).first().map(|_| BLACKBOX_EXPORTER));
        all.extend(local.map(|(_, port)| endpoint(watcher, port, Peers::Loopback)));
        all
    }

    fn resources(&self, site: &Site, desired: &mut Desired) -> Result<(), TemplateError> {
        let Some(monitoring) = &site.topology.monitoring else { return Ok(()) };
        let Some(host) = monitoring.host() else { return Ok(()) };
        let given = |name: &str| site.alerts.get(name).map_or(Source::Kept, |value| Source::Given(value.clone()));
        if matches!(monitoring.alerts.webhook, Some(spec::Webhook::Secret(_))) {
            desired.secret(WEBHOOK, given(WEBHOOK), [host.clone()]);
        }
        if monitoring.alerts.email.as_ref().is_some_and(|e| e.password.is_some()) {
            desired.secret(MAIL_PASSWORD, given(MAIL_PASSWORD), [host.clone()]);
        }
        let mut measured = exporters::resources(site, desired)?;
        for host in site.hosts() {
            measured.push(measures::resources(site, host, desired)?);
        }
        server::resources(site, monitoring, host, measured, desired)
    }

    fn checks(&self, site: &Site) -> Vec<Check> {
        checks::all(site)
    }

    fn origins(&self, site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
        origin::all(site, host)
    }

    fn secret_origin(&self, _site: &Site, name: &str) -> Vec<From> {
        match name {
            WEBHOOK => vec![key(["monitoring", "alerts", "webhook"])],
            MAIL_PASSWORD => vec![key(["monitoring", "alerts", "email", "password"])],
            _ => Vec::new(),
        }
    }
}

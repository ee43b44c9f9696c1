//! What is in the picture: nodes with their parts, lines between them. Where
//! things are drawn is not known here.

use super::rules::{self, Rule};
use crate::{
    base::name::HostName,
    component::{
        Endpoint, all,
        names::{READ_PORT, WRITE_PORT},
        site::Site,
        spec::{Algorithm, Backends, Engine, Mode, Mysql, Served},
    },
};
use std::collections::BTreeSet;

/// A row of the picture, from the visitors down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Visitors, and who answers for names.
    Outside,
    /// Addresses that move.
    Address,
    /// Load balancers.
    Balancer,
    /// Web servers and the application.
    Web,
    /// Database servers.
    Database,
    /// Everything else.
    Other,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// People, or servers of somebody else.
    Outside,
    /// An address.
    Address,
    /// A host.
    Host,
}

/// Something that has a place of its own.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is called in text formats: letters, digits and `_`.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What is said beside its name.
    pub note: String,
    /// What runs there.
    pub parts: Vec<Part>,
    /// The row that it begins in.
    pub first: Tier,
    /// The row that it ends in.
    pub last: Tier,
}

/// Something that runs on a host.
#[derive(Clone, Debug)]
pub struct Part {
    /// The component.
    pub component: &'static str,
    /// The row that it stands in.
    pub tier: Tier,
    /// What it is.
    pub title: String,
    /// Where it listens.
    pub note: String,
}

/// What a line means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// Requests of visitors.
    Requests,
    /// Where requests go when the usual place is gone.
    StandsBy,
    /// Questions for names.
    Asks,
    /// Writes to the database.
    Writes,
    /// Reads from it.
    Reads,
    /// Replication.
    Replicates,
    /// An address moves between these.
    Moves,
}

/// One end of a line: a node, and which of its parts.
pub type End = (usize, Option<usize>);

/// A line.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Where it begins.
    pub from: End,
    /// Where it ends.
    pub to: End,
    /// What it means.
    pub line: Line,
    /// What is said at it.
    pub label: String,
}

/// A topology, as what a picture shows of it.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// The site's name.
    pub site: String,
    /// Its further names.
    pub aliases: Vec<String>,
    /// What there is.
    pub nodes: Vec<Node>,
    /// Who speaks to whom.
    pub edges: Vec<Edge>,
    /// What the firewalls let in.
    pub rules: Vec<Rule>,
    /// What is said about a row, beside it.
    pub captions: Vec<(Tier, &'static str, String)>,
}

/// Components that the picture knows by name; any other is shown by its own.
const KNOWN: [&str; 7] = ["haproxy", "keepalived", "nginx", "app", "mysql", "paths", "monitoring"];

impl Picture {
    /// Of a site.
    pub fn of(site: &Site) -> Self {
        let endpoints: Vec<Endpoint> = all(site).iter().flat_map(|c| c.endpoints(site)).collect();
        Self::with(site, &endpoints)
    }

    /// Of a site whose components listen there.
    pub(super) fn with(site: &Site, endpoints: &[Endpoint]) -> Self {
        let t = &site.topology;
        let mut picture = Self {
            site: t.site.to_string(),
            aliases: t.aliases.iter().map(ToString::to_string).collect(),
            ..Self::default()
        };
        picture.nodes.push(plain("visitors", Kind::Outside, "visitors", t.site.as_str(), Tier::Outside));
        if t.dns.as_ref().is_some_and(|d| matches!(d.served, Served::External)) {
            picture.nodes.push(plain("dns", Kind::Outside, "name servers", "somebody else's", Tier::Outside));
        }
        for (n, address) in t.haproxy.iter().flat_map(|h| &h.redundancy).flat_map(|r| &r.virtual_addresses).enumerate()
        {
            picture.nodes.push(plain(&format!("address{n}"), Kind::Address, &address.to_string(), "", Tier::Address));
        }
        for (n, host) in site.hosts().enumerate() {
            picture.nodes.push(node(site, n, host, endpoints));
        }
        picture.connect(site);
        picture.rules = rules::table(site);
        picture.captions = captions(site);
        picture
    }

    /// In one sentence, for who cannot see it.
    pub fn described(&self) -> String {
        let hosts = self.nodes.iter().filter(|n| n.kind == Kind::Host);
        let each: Vec<String> = hosts
            .map(|n| {
                let parts: Vec<&str> = n.parts.iter().map(|p| p.title.as_str()).collect();
                format!(
                    "{} ({}) runs {}",
                    n.name,
                    n.note,
                    if parts.is_empty() { "nothing".into() } else { parts.join(", ") }
                )
            })
            .collect();
        format!("{}: {}.", self.site, each.join("; "))
    }

    fn find(&self, name: &HostName, component: Option<&str>) -> Option<End> {
        let at = self.nodes.iter().position(|n| n.kind == Kind::Host && n.name == name.as_str())?;
        Some((at, component.and_then(|c| self.nodes[at].parts.iter().position(|p| p.component == c))))
    }

    fn line(&mut self, from: Option<End>, to: Option<End>, line: Line, label: &str) {
        if let (Some(from), Some(to)) = (from, to) {
            self.edges.push(Edge { from, to, line, label: label.to_owned() });
        }
    }

    fn connect(&mut self, site: &Site) {
        let visitors = Some((0, None));
        self.connect_names(site, visitors);
        self.connect_balancers(site, visitors);
        self.connect_database(site);
    }

    fn connect_names(&mut self, site: &Site, visitors: Option<End>) {
        let Some(dns) = &site.topology.dns else { return };
        if let Some(at) = self.nodes.iter().position(|n| n.id == "dns") {
            self.line(visitors, Some((at, None)), Line::Asks, "names");
        }
        for host in dns.on() {
            let to = self.find(host, Some("dns"));
            self.line(visitors, to, Line::Asks, "names: 53");
        }
    }

    fn connect_balancers(&mut self, site: &Site, visitors: Option<End>) {
        let t = &site.topology;
        let web: &[HostName] = t.nginx.as_ref().map(|n| n.on.as_slice()).unwrap_or_default();
        let Some(haproxy) = &t.haproxy else {
            for host in web {
                let to = self.find(host, Some("nginx"));
                self.line(visitors, to, Line::Requests, "HTTP 80");
            }
            return;
        };
        let public = if t.tls.redirect_http { "HTTPS 443 (HTTP 80 redirects)" } else { "HTTPS 443, HTTP 80" };
        match &haproxy.redundancy {
            None => {
                for host in &haproxy.on {
                    let to = self.find(host, Some("haproxy"));
                    self.line(visitors, to, Line::Requests, public);
                }
            }
            Some(redundancy) => {
                for n in 0..redundancy.virtual_addresses.len() {
                    let address =
                        self.nodes.iter().position(|node| node.id == format!("address{n}")).map(|at| (at, None));
                    self.line(visitors, address, Line::Requests, public);
                    let holder = if redundancy.mode == Mode::ActiveActive { n % haproxy.on.len().max(1) } else { 0 };
                    for (at, host) in haproxy.on.iter().enumerate() {
                        let to = self.find(host, Some("haproxy"));
                        let (line, label) = match at == holder {
                            true => (Line::Requests, "here first"),
                            false => (Line::StandsBy, "stands by"),
                        };
                        self.line(address, to, line, label);
                    }
                }
                for pair in haproxy.on.windows(2) {
                    let (from, to) = (self.find(&pair[0], Some("keepalived")), self.find(&pair[1], Some("keepalived")));
                    self.line(from, to, Line::Moves, "VRRP");
                }
            }
        }
        for balancer in &haproxy.on {
            for (n, host) in web.iter().enumerate() {
                let (from, to) = (self.find(balancer, Some("haproxy")), self.find(host, Some("nginx")));
                let stands_by = haproxy.backends == Backends::ActivePassive && n > 0;
                let (line, label) = if stands_by { (Line::StandsBy, "stands by") } else { (Line::Requests, "HTTP 80") };
                self.line(from, to, line, label);
            }
        }
    }

    fn connect_database(&mut self, site: &Site) {
        let Some(mysql) = &site.topology.mysql else { return };
        for host in site.topology.app.iter().flat_map(|a| &a.on) {
            let from = self.find(host, Some("paths"));
            let to = self.find(&mysql.primary, Some("mysql"));
            if mysql.replicas.is_empty() {
                self.line(from, to, Line::Writes, "writes and reads: 3306, TLS");
                continue;
            }
            self.line(from, to, Line::Writes, "writes: 3306, TLS");
            for replica in &mysql.replicas {
                let to = self.find(replica, Some("mysql"));
                self.line(from, to, Line::Reads, "reads: 3306, TLS");
            }
        }
        for replica in &mysql.replicas {
            let (from, to) = (self.find(&mysql.primary, Some("mysql")), self.find(replica, Some("mysql")));
            let how = if mysql.semi_sync { "replicates, semi-synchronous, TLS" } else { "replicates, TLS" };
            self.line(from, to, Line::Replicates, how);
        }
    }
}

fn plain(id: &str, kind: Kind, name: &str, note: &str, tier: Tier) -> Node {
    let (id, name, note) = (id.to_owned(), name.to_owned(), note.to_owned());
    Node { id, kind, name, note, parts: Vec::new(), first: tier, last: tier }
}

fn engine(mysql: &Mysql) -> &'static str {
    match mysql.engine {
        Engine::Mysql => "MySQL",
        Engine::Mariadb => "MariaDB",
    }
}

/// A host with what runs there.
fn node(site: &Site, n: usize, host: &HostName, endpoints: &[Endpoint]) -> Node {
    let t = &site.topology;
    let mut parts = Vec::new();
    let mut part = |component, tier, title: String, note: String| {
        parts.push(Part { component, tier, title, note });
    };
    if let Some(haproxy) = t.haproxy.as_ref().filter(|h| h.on.contains(host)) {
        part("haproxy", Tier::Balancer, "HAProxy".into(), "ports 443 and 80, TLS ends here".into());
        if haproxy.redundancy.is_some() {
            part("keepalived", Tier::Balancer, "keepalived".into(), "moves addresses".into());
        }
    }
    if t.nginx.as_ref().is_some_and(|n| n.on.contains(host)) {
        part("nginx", Tier::Web, "Nginx".into(), "port 80".into());
    }
    if let Some(app) = t.app.as_ref().filter(|a| a.on.contains(host)) {
        part("app", Tier::Web, "application".into(), format!("port {} on loopback", app.port));
        if t.mysql.is_some() {
            let ports = format!("{WRITE_PORT} writes, {READ_PORT} reads");
            part("paths", Tier::Web, "ways to the database".into(), ports);
        }
    }
    if let Some(mysql) = t.mysql.as_ref().filter(|m| m.hosts().any(|h| h == host)) {
        let (role, does) =
            if *host == mysql.primary { ("primary", "takes writes") } else { ("replica", "is read from") };
        part("mysql", Tier::Database, format!("{} {role}", engine(mysql)), format!("port 3306, {does}"));
    }
    let tiers = || parts.iter().map(|p: &Part| p.tier);
    let is_server = t.dns.as_ref().is_some_and(|d| d.on().contains(host));
    let alone = if is_server { Tier::Outside } else { Tier::Other };
    let (first, last) = (tiers().min().unwrap_or(alone), tiers().max().unwrap_or(alone));
    if is_server {
        let title = "name server".to_owned();
        parts.insert(0, Part { component: "dns", tier: first, title, note: "NSD, port 53".into() });
    }
    let ports = |component: &str| {
        let here = endpoints.iter().filter(|e| e.host == *host && e.component == component);
        let ports: BTreeSet<u16> = here.map(|e| e.port).collect();
        format!("port{} {}", if ports.len() == 1 { "" } else { "s" }, joined(&ports))
    };
    if let Some(monitoring) = &t.monitoring {
        let watches = monitoring.host() == Some(host);
        let title = if watches { "Prometheus, Alertmanager" } else { "exporters" };
        parts.push(Part { component: "monitoring", tier: last, title: title.into(), note: ports("monitoring") });
    }
    let others: BTreeSet<&'static str> = endpoints
        .iter()
        .filter(|e| e.host == *host && e.component != "dns" && !KNOWN.contains(&e.component))
        .map(|e| e.component)
        .collect();
    for component in others {
        parts.push(Part { component, tier: last, title: component.into(), note: ports(component) });
    }
    Node {
        id: format!("host{n}"),
        kind: Kind::Host,
        name: host.to_string(),
        note: site.address(host).to_string(),
        parts,
        first,
        last,
    }
}

fn joined(ports: &BTreeSet<u16>) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn captions(site: &Site) -> Vec<(Tier, &'static str, String)> {
    let t = &site.topology;
    let mut all = Vec::new();
    if let Some(haproxy) = &t.haproxy {
        if let Some(redundancy) = &haproxy.redundancy {
            let how = if redundancy.mode == Mode::ActiveActive { "active-active" } else { "active-passive" };
            let what =
                if redundancy.virtual_addresses.len() == 1 { "address that moves" } else { "addresses that move" };
            all.push((Tier::Address, what, how.to_owned()));
        }
        let how = match haproxy.algorithm {
            Algorithm::RoundRobin => "one after the other",
            Algorithm::LeastConnections => "least connections",
            Algorithm::IpHash => "by visitor's address",
        };
        all.push((Tier::Balancer, if haproxy.on.len() == 1 { "load balancer" } else { "load balancers" }, how.into()));
    }
    if let Some(nginx) = &t.nginx {
        let how = if t.app.is_some() { "with the application" } else { "" };
        all.push((Tier::Web, if nginx.on.len() == 1 { "web server" } else { "web servers" }, how.into()));
    }
    if let Some(mysql) = &t.mysql {
        all.push((Tier::Database, "database", mysql.database.to_string()));
    }
    // One that has another part to play stands in that one's row.
    let elsewhere = |host: &HostName| {
        let rows = [t.haproxy.as_ref().map(|h| &h.on), t.nginx.as_ref().map(|n| &n.on), t.app.as_ref().map(|a| &a.on)];
        rows.into_iter().flatten().any(|on| on.contains(host))
            || t.mysql.as_ref().is_some_and(|m| m.hosts().any(|h| h == host))
            || t.dns.as_ref().is_some_and(|d| d.on().contains(host))
    };
    if t.monitoring.as_ref().and_then(|m| m.host()).is_some_and(|host| !elsewhere(host)) {
        all.push((Tier::Other, "monitoring", "measures every host".to_owned()));
    }
    all
}

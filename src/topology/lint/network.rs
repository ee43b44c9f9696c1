//! Lints about ports and addresses: two that want one port, and what is open to more than it should be.

use super::Facts;
use crate::{
    base::name::HostName,
    component::{
        names::{
            ALERTMANAGER, BLACKBOX_EXPORTER, HAPROXY_METRICS, HEALTH_PORT, MYSQLD_EXPORTER, NGINX_EXPORTER,
            NODE_EXPORTER, PATHS_LOCAL, PROMETHEUS, READ_PORT, WRITE_PORT,
        },
        spec::Protocol,
    },
    topology::{
        decode::NO_ADDRESS,
        problem::{Place, Problem},
    },
};
use ipnet::IpNet;
use std::net::IpAddr;

/// Where the database listens.
pub const DATABASE_PORT: u16 = 3306;

/// Who tells how the database stands.
const HEALTH: &str = "the database's health";

/// Somebody who listens on every address of a host.
struct Listener<'f> {
    who: &'static str,
    host: &'f HostName,
    port: u16,
    place: Place,
}

fn listeners<'f>(facts: &'f Facts<'f>) -> Vec<Listener<'f>> {
    let (t, d) = (facts.topology, facts.documents);
    let mut all = Vec::new();
    for h in &t.hosts {
        let port = h.ssh.port.unwrap_or(22);
        all.push(Listener { who: "sshd", host: &h.name, port, place: d.in_host(h.name.as_str(), &["ssh", "port"]) });
    }
    for host in t.haproxy.iter().flat_map(|h| &h.on) {
        let place = facts.in_list(&["haproxy", "on"], host);
        all.push(Listener { who: "haproxy", host, port: 80, place: place.clone() });
        all.push(Listener { who: "haproxy", host, port: 443, place });
    }
    for host in t.dns.iter().flat_map(|dns| dns.on()) {
        all.push(Listener { who: "the name server", host, port: 53, place: facts.in_list(&["dns", "on"], host) });
    }
    for host in t.nginx.iter().flat_map(|n| &n.on) {
        all.push(Listener { who: "nginx", host, port: 80, place: facts.in_list(&["nginx", "on"], host) });
    }
    if let Some(mysql) = &t.mysql {
        for host in mysql.hosts() {
            let place = if *host == mysql.primary {
                d.place(&["mysql", "primary"])
            } else {
                facts.in_list(&["mysql", "replicas"], host)
            };
            if t.app.is_some() && !all.iter().any(|l| l.who == HEALTH && l.host == host) {
                all.push(Listener { who: HEALTH, host, port: HEALTH_PORT, place: place.clone() });
            }
            if !all.iter().any(|l| l.who == "the database" && l.host == host) {
                all.push(Listener { who: "the database", host, port: DATABASE_PORT, place });
            }
        }
    }
    if let (Some(app), Some(_)) = (&t.app, &t.mysql) {
        // Where they stand is what the app's own port is measured against, so they come before it.
        for host in &app.on {
            for port in [WRITE_PORT, READ_PORT, PATHS_LOCAL] {
                all.push(Listener {
                    who: "the way to the database",
                    host,
                    port,
                    place: facts.in_list(&["app", "on"], host),
                });
            }
        }
    }
    all.extend(watched(facts));
    if let Some(app) = &t.app {
        for host in &app.on {
            let place = if d.find(&["app", "port"]).is_some() {
                d.place(&["app", "port"])
            } else {
                facts.in_list(&["app", "on"], host)
            };
            all.push(Listener { who: "the app", host, port: app.port, place });
        }
    }
    all
}

/// What listens because somebody watches.
fn watched<'f>(facts: &'f Facts<'f>) -> Vec<Listener<'f>> {
    let t = facts.topology;
    let Some(monitoring) = &t.monitoring else { return Vec::new() };
    let place = facts.documents.key(&["monitoring"]);
    let listener = |who, host, port| Listener { who, host, port, place: place.clone() };
    let mut all: Vec<Listener<'f>> = Vec::new();
    all.extend(t.hosts.iter().map(|h| listener("the exporter of metrics", &h.name, NODE_EXPORTER.1)));
    for host in t.nginx.iter().flat_map(|n| &n.on) {
        all.push(listener("the exporter of nginx's metrics", host, NGINX_EXPORTER.1));
    }
    for host in t.mysql.iter().flat_map(|m| m.hosts()) {
        // One that is named twice is told elsewhere.
        if !all.iter().any(|l| l.port == MYSQLD_EXPORTER.1 && l.host == host) {
            all.push(listener("the exporter of the database's metrics", host, MYSQLD_EXPORTER.1));
        }
    }
    for host in t.haproxy.iter().flat_map(|h| &h.on) {
        all.push(listener("the balancer's metrics", host, HAPROXY_METRICS));
    }
    for host in &monitoring.on {
        for (who, port) in
            [("prometheus", PROMETHEUS.1), ("alertmanager", ALERTMANAGER.1), ("the prober", BLACKBOX_EXPORTER.1)]
        {
            all.push(listener(who, host, port));
        }
    }
    all
}

/// Two listeners, one port, one host: the second does not start.
pub fn port_clash(facts: &Facts<'_>) -> Vec<Problem> {
    let all = listeners(facts);
    let mut problems: Vec<(&str, &str, u16, Problem)> = Vec::new();
    for (at, one) in all.iter().enumerate() {
        for other in all[..at].iter().filter(|o| o.host == one.host && o.port == one.port) {
            // The same clash on many hosts is one mistake: the others are named at their places.
            let known =
                problems.iter_mut().find(|(a, b, port, _)| *a == other.who && *b == one.who && *port == one.port);
            if let Some((_, _, _, problem)) = known {
                let more =
                    [(&one.place, format!("and on {}", one.host)), (&other.place, format!("and on {}", one.host))];
                problem.labels.extend(more.into_iter().map(|(place, text)| (place.clone(), text)));
                continue;
            }
            let problem =
                Problem::error(format!("{} and {} both want port {} on {}", other.who, one.who, one.port, one.host))
                    .at(one.place.clone(), format!("{} listens on {}", one.who, one.port))
                    .at(other.place.clone(), format!("{} listens on {}", other.who, other.port))
                    .help(match one.who {
                        "the app" => "give the app a port of its own on its host: `port: 8000` is the default",
                        _ => "put them on different hosts",
                    });
            problems.push((other.who, one.who, one.port, problem));
        }
    }
    problems.into_iter().map(|(_, _, _, problem)| problem).collect()
}

/// Whether everybody may have a way to an address.
fn is_public(address: IpAddr) -> bool {
    let inner: &[&str] = &[
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
        "::1/128",
    ];
    !inner.iter().filter_map(|n| n.parse::<IpNet>().ok()).any(|n| n.contains(&address))
}

/// A database on an address that the whole world can try.
pub fn public_database(facts: &Facts<'_>) -> Vec<Problem> {
    let Some(mysql) = &facts.topology.mysql else { return Vec::new() };
    let mut problems: Vec<Problem> = Vec::new();
    for name in mysql.hosts() {
        let Some(host) = facts.topology.hosts.iter().find(|h| h.name == *name) else { continue };
        if host.address == NO_ADDRESS || !is_public(host.address) {
            continue;
        }
        let place = facts.documents.in_host(name.as_str(), &["address"]);
        let label = format!("the database of {name} listens here");
        match problems.first_mut() {
            Some(problem) => problem.labels.push((place, label)),
            None => problems.push(
                Problem::warning("the database listens on a public address, only the firewall before it")
                    .at(place, label)
                    .help("use the hosts' private addresses (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7)"),
            ),
        }
    }
    problems
}

/// A rule of the user's own that opens the database to the world.
pub fn open_database(facts: &Facts<'_>) -> Vec<Problem> {
    let Some(mysql) = &facts.topology.mysql else { return Vec::new() };
    let mut problems = Vec::new();
    let rules = &facts.topology.firewall.allow;
    let written = facts.documents.find(&["firewall", "allow"]).map_or(0, |n| n.items().len());
    for (at, rule) in rules.iter().enumerate() {
        let world = rule.from.is_empty() || rule.from.iter().any(|n| n.prefix_len() == 0);
        let hits = rule.on.is_empty() || mysql.hosts().any(|h| rule.on.contains(h));
        if rule.protocol == Protocol::Tcp && rule.port == DATABASE_PORT && world && hits {
            // Where a rule was refused, the numbers of the others are not those of the text.
            let keys = at.to_string();
            let place = if rules.len() == written {
                facts.documents.place(&["firewall", "allow", &keys, "port"])
            } else {
                facts.documents.key(&["firewall", "allow"])
            };
            problems.push(
                Problem::error("this rule opens the database to anyone")
                    .at(place, "the database's port")
                    .help("name who may connect: `from: [203.0.113.7]`; the app's own hosts may without any rule"),
            );
        }
    }
    problems
}

/// SSH for everybody, in writing.
pub fn open_ssh(facts: &Facts<'_>) -> Vec<Problem> {
    let Some(list) = facts.documents.find(&["firewall", "admin_from"]) else { return Vec::new() };
    let open = list.items().iter().enumerate().filter(|(_, item)| {
        matches!(&item.kind, crate::topology::yaml::Kind::Text(t) if t.parse::<IpNet>().is_ok_and(|n| n.prefix_len() == 0))
    });
    open.map(|(at, _)| {
        Problem::warning("SSH is open to the whole internet")
            .at(facts.documents.place(&["firewall", "admin_from", &at.to_string()]), "every address there is")
            .help(
                "name the networks you work from: `admin_from: [203.0.113.0/24]`; the address foobar connects from is \
                   always kept",
            )
    })
    .collect()
}

//! What the firewalls let in, as the table below the picture: what is the same on several hosts is said once.

use crate::{
    base::name::HostName,
    component::{
        Endpoint, Peers,
        firewall::openings::{ALLOW, SSH, openings},
        site::Site,
        spec::Protocol,
    },
    report::style,
};
use std::collections::BTreeSet;

/// A row of the firewall's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Ports and protocol.
    pub what: String,
    /// What they are for.
    pub of: &'static str,
    /// On which hosts.
    pub on: String,
    /// From where.
    pub from: String,
}

/// Openings with one purpose, the same ports and the same peers.
struct Group {
    of: &'static str,
    ports: Vec<(u16, Protocol)>,
    on: Vec<HostName>,
    /// Everybody who is let in, the hosts of `on` among them where each lets in the others.
    from: From,
}

#[derive(PartialEq, Eq)]
enum From {
    Anyone,
    Hosts(BTreeSet<HostName>),
    Networks(Vec<String>),
}

/// The table of openings: what is the same on several hosts stands in one row.
pub fn table(site: &Site) -> Vec<Rule> {
    let mut single: Vec<Group> = Vec::new();
    for Endpoint { component: of, host, protocol, port, from } in openings(site) {
        let from = match from {
            Peers::Hosts(hosts) => From::Hosts(hosts.into_iter().collect()),
            Peers::Networks(nets) => From::Networks(nets.iter().map(ToString::to_string).collect()),
            Peers::Anyone | Peers::Loopback => From::Anyone,
        };
        match single.iter_mut().find(|g| g.of == of && g.on[0] == host && g.from == from) {
            Some(group) => group.ports.push((port, protocol)),
            None => single.push(Group { of, ports: vec![(port, protocol)], on: vec![host], from }),
        }
    }
    let mut groups: Vec<Group> = Vec::new();
    for group in single {
        match groups.iter_mut().find(|known| is_alike(known, &group)) {
            Some(known) => {
                if let (From::Hosts(all), From::Hosts(more)) = (&mut known.from, group.from) {
                    all.extend(more);
                }
                known.on.extend(group.on);
            }
            None => groups.push(group),
        }
    }
    // From the visitors inwards, as the picture has it.
    const ORDER: [&str; 6] = ["dns", "haproxy", "keepalived", "nginx", "mysql", "paths"];
    groups.sort_by_key(|group| match (ORDER.iter().position(|of| *of == group.of), group.of) {
        (Some(at), _) => at,
        (None, ALLOW) => ORDER.len() + 1,
        (None, SSH) => ORDER.len() + 2,
        (None, _) => ORDER.len(),
    });
    groups.iter().map(|group| rule(site, group)).collect()
}

/// Whether both say the same of their hosts. A host need not be let in by itself.
fn is_alike(one: &Group, other: &Group) -> bool {
    let from = match (&one.from, &other.from) {
        (From::Hosts(a), From::Hosts(b)) => {
            a.symmetric_difference(b).all(|h| one.on.contains(h) || other.on.contains(h))
        }
        (a, b) => a == b,
    };
    from && one.of == other.of && one.ports == other.ports
}

fn rule(site: &Site, group: &Group) -> Rule {
    let in_order =
        |hosts: &dyn Fn(&HostName) -> bool| -> Vec<HostName> { site.hosts().filter(|h| hosts(h)).cloned().collect() };
    let names = |hosts: &[HostName]| match hosts.len() == site.hosts().count() && hosts.len() > 1 {
        true => "every host".to_owned(),
        false => style::hosts(hosts).join(", "),
    };
    let from = match &group.from {
        From::Anyone => "anyone".to_owned(),
        From::Hosts(hosts) => names(&in_order(&|h| hosts.contains(h))),
        From::Networks(nets) => nets.join(", "),
    };
    Rule { what: ports(&group.ports), of: purpose(group.of), on: names(&in_order(&|h| group.on.contains(h))), from }
}

/// `53/udp, 53`: tcp goes without saying.
fn ports(all: &[(u16, Protocol)]) -> String {
    let word = |(port, protocol): &(u16, Protocol)| match protocol {
        Protocol::Tcp => format!("{port}"),
        Protocol::Udp => format!("{port}/udp"),
        Protocol::Vrrp => "VRRP".to_owned(),
    };
    all.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn purpose(component: &'static str) -> &'static str {
    match component {
        SSH => "SSH",
        ALLOW => "your own rule",
        "haproxy" => "visitors",
        "nginx" => "the balancer's requests",
        "mysql" => "the database",
        "paths" => "how a database stands",
        "keepalived" => "moving addresses",
        "dns" => "names",
        other => other,
    }
}

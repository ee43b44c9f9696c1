//! Single points of failure: what the loss of one host takes away, as far as the topology tells, and the lines that mend
//! it. Whether hosts share a machine, a room or a provider no topology knows, and nothing is said about it.

use crate::{
    base::name::HostName,
    component::spec::{Mysql, Topology},
};
use serde::Serialize;
use std::net::IpAddr;

/// Something that is there once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Single {
    /// What: `the balancer`.
    pub part: &'static str,
    /// The host that it is on.
    pub host: HostName,
    /// What breaks with it, a lower-case fragment.
    pub breaks: String,
    /// The lines to add to the topology, YAML: keys that it has already stand there with their new values.
    pub add: String,
}

/// Every single point of failure, the nearest to the visitor first.
pub fn all(t: &Topology) -> Vec<Single> {
    [name_server(t), balancer(t), web_server(t), database(t), replica(t)].into_iter().flatten().collect()
}

/// A host that the topology does not have yet, named and addressed after one that it has; its line.
fn another(t: &Topology, like: &HostName) -> (String, String) {
    let is_taken = |name: &str| t.hosts.iter().any(|h| h.name.as_str() == name);
    let stem = like.as_str().trim_end_matches(|c: char| c.is_ascii_digit());
    let stem = if stem.ends_with('-') { stem.to_owned() } else { format!("{like}-") };
    let name = (2..100).map(|n| format!("{stem}{n:02}")).find(|n| !is_taken(n)).unwrap_or_else(|| format!("{stem}new"));
    let near = t.hosts.iter().find(|h| h.name == *like).map(|h| h.address);
    let address = near.and_then(|near| free(t, near)).map_or("192.0.2.1".to_owned(), |a| a.to_string());
    let line = format!("hosts:\n  {name}: {{ address: {address} }}   # its own address\n");
    (name, line)
}

/// The next address that no host has.
fn free(t: &Topology, near: IpAddr) -> Option<IpAddr> {
    free_from(t, near, 1)
}

/// The same, so many further on at least where there are so many.
fn free_from(t: &Topology, near: IpAddr, least: u8) -> Option<IpAddr> {
    let is_taken = |a: &IpAddr| t.hosts.iter().any(|h| h.address == *a);
    let next = |n: u8| match near {
        IpAddr::V4(a) => {
            let [x, y, z, last] = a.octets();
            Some(IpAddr::from([x, y, z, last.checked_add(n).filter(|l| *l < 255)?]))
        }
        IpAddr::V6(a) => Some(IpAddr::from((u128::from(a).checked_add(u128::from(n))?).to_be_bytes())),
    };
    (least..=least.saturating_add(100)).chain(1..least).filter_map(next).find(|a| !is_taken(a))
}

fn list(hosts: &[HostName], more: &str) -> String {
    let names: Vec<&str> = hosts.iter().map(HostName::as_str).chain([more]).collect();
    format!("[{}]", names.join(", "))
}

fn name_server(t: &Topology) -> Option<Single> {
    let dns = t.dns.as_ref()?;
    let [host] = dns.on() else { return None };
    let (name, lines) = another(t, host);
    let kept = dns.ttl.map_or("60s".to_owned(), |ttl| ttl.to_string());
    Some(Single {
        part: "the name server",
        host: host.clone(),
        breaks: format!("nobody finds the site once resolvers have forgotten its addresses, after {kept}"),
        add: format!("{lines}dns:\n  on: {}\n", list(dns.on(), &name)),
    })
}

fn balancer(t: &Topology) -> Option<Single> {
    let haproxy = t.haproxy.as_ref()?;
    let first = haproxy.on.first()?;
    if haproxy.redundancy.is_some() && haproxy.on.len() > 1 {
        return None;
    }
    let (name, lines) = another(t, first);
    let (part, breaks, lines, on) = match haproxy.on.len() {
        1 => ("the balancer", "nobody reaches the site", lines, format!("  on: {}\n", list(&haproxy.on, &name))),
        _ => {
            let breaks = "visitors whose name leads there reach nothing: its address does not move to another one";
            ("the address of each balancer", breaks, String::new(), String::new())
        }
    };
    // What moves over IPv4 alone is not offered where there is IPv6.
    let near = t.hosts.iter().find(|h| h.name == *first).map(|h| h.address).filter(IpAddr::is_ipv4);
    let moving = near.and_then(|near| free_from(t, near, 89)).map(|address| {
        format!(
            "  redundancy:   # a free address of their network, to be told to DNS\n    mode: active-passive\n    virtual_addresses: [{address}]\n"
        )
    });
    Some(Single {
        part,
        host: first.clone(),
        breaks: breaks.into(),
        add: format!("{lines}haproxy:\n{on}{}", moving.unwrap_or_default()),
    })
}

fn web_server(t: &Topology) -> Option<Single> {
    let nginx = t.nginx.as_ref()?;
    let [host] = &nginx.on[..] else { return None };
    let (name, lines) = another(t, host);
    let on = list(&nginx.on, &name);
    let app = t.app.as_ref().map(|_| format!("app:\n  on: {on}\n")).unwrap_or_default();
    let answered = if t.haproxy.is_some() { ": the balancer answers 503" } else { "" };
    Some(Single {
        part: if t.app.is_some() { "the web server with the app" } else { "the web server" },
        host: host.clone(),
        breaks: format!("every page{answered}"),
        add: format!("{lines}nginx:\n  on: {on}\n{app}"),
    })
}

/// The lines of one replica more: on a host of the app that has no database yet, or on a new one.
fn one_replica_more(t: &Topology, mysql: &Mysql) -> String {
    let has_none = |host: &&HostName| !mysql.hosts().any(|h| h == *host);
    let known = t.app.iter().flat_map(|app| &app.on).find(has_none).map(ToString::to_string);
    let (name, lines) = known.map_or_else(|| another(t, &mysql.primary), |name| (name, String::new()));
    format!("{lines}mysql:\n  replicas: {}\n", list(&mysql.replicas, &name))
}

fn database(t: &Topology) -> Option<Single> {
    let mysql = t.mysql.as_ref().filter(|m| m.replicas.is_empty())?;
    Some(Single {
        part: "the database",
        host: mysql.primary.clone(),
        breaks: "whatever reads or writes data; with its disk, all that was ever written".into(),
        add: one_replica_more(t, mysql),
    })
}

fn replica(t: &Topology) -> Option<Single> {
    let mysql = t.mysql.as_ref().filter(|m| m.semi_sync)?;
    let [host] = &mysql.replicas[..] else { return None };
    Some(Single {
        part: "the replica that confirms writes",
        host: host.clone(),
        breaks: format!("writes go on and nobody confirms them: those are lost if {} is lost next", mysql.primary),
        add: one_replica_more(t, mysql),
    })
}

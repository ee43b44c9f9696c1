//! Single points of failure: what the loss of one host takes away, as far as the topology tells, and the lines that mend
//! it. Whether hosts share a machine, a room or a provider no topology knows, and nothing is said about it.

use crate::{
    base::name::HostName,
    component::spec::{Host, Mysql, Topology},
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
    let is_taken = |a: &IpAddr| t.hosts.iter().any(|h| h.address == *a);
    let next = |n: u8| match near {
        IpAddr::V4(a) => {
            let [x, y, z, last] = a.octets();
            Some(IpAddr::from([x, y, z, last.checked_add(n).filter(|l| *l < 255)?]))
        }
        IpAddr::V6(a) => Some(IpAddr::from((u128::from(a).checked_add(u128::from(n))?).to_be_bytes())),
    };
    (1..=100).filter_map(next).find(|a| !is_taken(a))
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
    let [host] = &haproxy.on[..] else { return None };
    let (name, lines) = another(t, host);
    // Neither the hosts' nor the new one's: it moves between the two.
    let near = t.hosts.iter().find(|h| h.name == *host).map(|h| h.address);
    let moves = near.and_then(|near| free(t, near)).and_then(|new| {
        let mut with = t.clone();
        with.hosts.push(Host { name: host.clone(), address: new, ssh: Default::default() });
        free(&with, new)
    });
    let moves = moves.map_or("192.0.2.2".to_owned(), |a| a.to_string());
    Some(Single {
        part: "the balancer",
        host: host.clone(),
        breaks: "nobody reaches the site".into(),
        add: format!(
            "{lines}haproxy:\n  on: {}\n  redundancy: {{ mode: active-passive, virtual_addresses: [{moves}] }}   # what the site's names lead to\n",
            list(&haproxy.on, &name)
        ),
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

//! Where the rules of a ruleset come from.

use super::{
    super::{
        Endpoint, Peers, all as components,
        names::HEALTH_PORT,
        origin::{At, Origin, Source, Variables, address, in_list, key},
        site::Site,
    },
    Context, Firewall, TEMPLATE,
};
use crate::{
    base::{name::HostName, template::TemplateError},
    resource::ruleset::Ruleset,
};

const VARIABLES: Variables = &[
    ("operator", |_| vec![Source::Own("the login that foobar comes by, where no other rule lets it in")]),
    ("sets", |at| again(at, |context, n| context.sets.get(n).map(|s| s.from.clone()))),
    ("rules", |at| again(at, |context, n| context.rules.get(n).map(|r| r.from.clone()))),
];

/// What the context of the same site knows of an item.
fn again(at: &At<'_>, find: fn(&Context, usize) -> Option<Vec<Source>>) -> Vec<Source> {
    let all = components(at.site);
    let endpoints = all.iter().flat_map(|c| c.endpoints(at.site)).collect();
    let context = Firewall::new(endpoints).context(at.site, at.host);
    at.item.and_then(|n| find(&context, n)).unwrap_or_else(|| vec![key(["firewall"])])
}

/// The port that sshd is reached on.
pub fn ssh(host: &HostName) -> Vec<Source> {
    vec![key(["hosts", host.as_str(), "ssh", "port"]), key(["firewall", "admin_from"])]
}

/// Who may use SSH.
pub fn admins(site: &Site) -> Vec<Source> {
    let jump = |h: &&super::super::spec::Host| h.ssh.jump.is_some();
    let jumps = site.topology.hosts.iter().filter(jump).map(|h| key(["hosts", h.name.as_str(), "ssh", "jump"]));
    std::iter::once(key(["firewall", "admin_from"])).chain(jumps).collect()
}

/// What listens.
pub fn endpoint(site: &Site, endpoint: &Endpoint) -> Vec<Source> {
    let t = &site.topology;
    let on = match endpoint.component {
        "haproxy" | "keepalived" => t.haproxy.as_ref().map(|h| &h.on[..]),
        "nginx" => t.nginx.as_ref().map(|n| &n.on[..]),
        "app" => t.app.as_ref().map(|a| &a.on[..]),
        "dns" => t.dns.as_ref().map(|d| d.on()),
        "monitoring" => t.monitoring.as_ref().map(|m| &m.on[..]),
        // What a database host tells belongs to its place among the servers.
        "paths" if endpoint.port != HEALTH_PORT => t.app.as_ref().map(|a| &a.on[..]),
        _ => None,
    };
    let section = if endpoint.component == "paths" { "app" } else { endpoint.component };
    let of_database = ["mysql", "paths"].contains(&endpoint.component);
    match (on, &t.mysql) {
        (Some(on), _) if endpoint.component == "keepalived" => {
            vec![key(["haproxy", "redundancy"]), in_list(["haproxy", "on"], on, &endpoint.host)]
        }
        (Some(on), _) => vec![in_list([section, "on"], on, &endpoint.host)],
        (None, Some(mysql)) if of_database && mysql.primary == endpoint.host => {
            vec![key(["mysql", "primary"])]
        }
        (None, Some(mysql)) if of_database => {
            vec![in_list(["mysql", "replicas"], &mysql.replicas, &endpoint.host)]
        }
        _ => vec![key([endpoint.component])],
    }
}

/// Who connects.
pub fn peers(endpoint: &Endpoint) -> Vec<Source> {
    match &endpoint.from {
        Peers::Hosts(hosts) => hosts.iter().map(address).collect(),
        _ => vec![key([endpoint.component])],
    }
}

/// The ruleset of a host.
pub fn all(firewall: &Firewall, site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
    Ok(vec![Origin::new(Ruleset::PATH, TEMPLATE, &firewall.context(site, host), VARIABLES)?])
}

//! Where the values in keepalived's files come from.

use super::{
    super::{
        origin::{At, Origin, Source, Variables, address, in_list, key},
        site::Site,
    },
    CHECK, CHECK_CONTEXT, CONFIG, DROP_IN, HAPROXY_DROP_IN, NoContext, OWN_INTERFACE, UNIT_CONTEXT, context,
    interface_context, redundancy,
};
use crate::base::{name::HostName, template::TemplateError};

const VARIABLES: Variables = &[
    ("host", |at| balancer(at, at.host)),
    ("own", |at| vec![address(at.host)]),
    ("peers", peers),
    ("script_user", |_| vec![Source::Own("the account that the check runs as")]),
    ("check", |_| vec![Source::Own("what asks the balancer on the host")]),
    ("interface_file", interface_file),
    ("instances", instances),
];

const CHECK_VARIABLES: Variables = &[
    ("frontend", |_| vec![Source::Own("the balancer's name for what visitors connect to")]),
    ("socket", |_| vec![Source::Own("the socket at which the balancer answers questions")]),
    ("patience", |_| vec![Source::Own("seconds that the balancer has to answer")]),
];

const INTERFACE: Variables = &[("own", |at| vec![address(at.host)]), ("interface_file", interface_file)];

const UNIT: Variables = &[("own_interface", |_| vec![Source::Own("what finds the interface of the host's address")])];

fn interface_file(_: &At<'_>) -> Vec<Source> {
    vec![Source::Own("where the host notes which interface has its address")]
}

fn balancer(at: &At<'_>, host: &HostName) -> Vec<Source> {
    at.site.topology.haproxy.iter().map(|h| in_list(["haproxy", "on"], &h.on, host)).collect()
}

fn peers(at: &At<'_>) -> Vec<Source> {
    let on = at.site.topology.haproxy.as_ref().map(|h| h.on.as_slice()).unwrap_or_default();
    match at.item.and_then(|n| on.iter().filter(|h| *h != at.host).nth(n)) {
        Some(peer) => [vec![address(peer)], balancer(at, peer)].concat(),
        None => vec![key(["haproxy", "on"])],
    }
}

fn instances(at: &At<'_>) -> Vec<Source> {
    let way = |field: &str| key(["haproxy", "redundancy", field]);
    let known = redundancy(at.site).map_or(0, |(_, r)| r.virtual_addresses.len());
    match (at.item.filter(|n| *n < known), at.field) {
        (Some(_), Some("preempts")) => vec![way("mode")],
        (Some(_), Some("priority")) => vec![way("mode"), key(["haproxy", "on"])],
        (Some(n), _) => vec![key(["haproxy", "redundancy", "virtual_addresses", &n.to_string()])],
        (None, _) => vec![way("virtual_addresses")],
    }
}

/// Every file of a balancer that is one of several.
pub fn all(site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
    let Some((on, redundancy)) = redundancy(site).filter(|(on, _)| on.contains(host)) else { return Ok(Vec::new()) };
    Ok(vec![
        Origin::new(CONFIG, "keepalived/keepalived.conf.tera", &context(site, on, redundancy, host), VARIABLES)?,
        Origin::new(CHECK, "keepalived/check-haproxy.tera", &CHECK_CONTEXT, CHECK_VARIABLES)?,
        Origin::new(OWN_INTERFACE, "keepalived/own-interface.tera", &interface_context(site, host), INTERFACE)?,
        Origin::new(DROP_IN, "keepalived/unit.conf.tera", &UNIT_CONTEXT, UNIT)?,
        Origin::new(HAPROXY_DROP_IN, "keepalived/haproxy.conf.tera", &NoContext {}, &[])?,
    ])
}

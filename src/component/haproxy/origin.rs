//! Where the values in the balancers' files come from.

use super::{
    super::{
        origin::{At, Origin, Source, Variables, address, in_list, key, names},
        site::Site,
    },
    CONFIG, DROP_IN, context, health_path_origin, rendered, unit_context,
};
use crate::base::{name::HostName, template::TemplateError};

const VARIABLES: Variables = &[
    ("maxconn", |_| vec![key(["haproxy", "maxconn"])]),
    ("questions", |_| vec![key(["haproxy", "redundancy"])]),
    ("profile", |_| vec![key(["tls", "profile"])]),
    ("names", |_| names()),
    ("binds", |at| vec![address(at.host)]),
    ("challenges", |_| vec![key(["tls", "certificate"])]),
    ("redirect_http", |_| vec![key(["tls", "redirect_http"])]),
    ("hsts", |_| vec![key(["tls", "hsts"])]),
    ("backend", |_| vec![Source::Own("the balancer's name for the web servers")]),
    ("balance", |_| vec![key(["haproxy", "algorithm"])]),
    ("health_path", |at| vec![health_path_origin(at.site)]),
    ("inter_ms", |_| vec![key(["haproxy", "health", "interval"])]),
    ("fastinter_ms", |_| vec![key(["haproxy", "health", "interval"])]),
    ("rise", |_| vec![key(["haproxy", "health", "rise"])]),
    ("fall", |_| vec![key(["haproxy", "health", "fall"])]),
    ("servers", servers),
    ("metrics", |at| vec![address(at.host), key(["monitoring"])]),
    ("local_port", |_| vec![Source::Own("the loopback port of its metrics")]),
    ("generation_path", |_| vec![Source::Own("the path at which a daemon tells what it runs")]),
    ("generation", |_| vec![Source::Own("the digest of the rest of this file")]),
];

const UNIT: Variables = &[("nofile", |_| vec![key(["haproxy", "maxconn"])])];

fn servers(at: &At<'_>) -> Vec<Source> {
    let on = at.site.topology.nginx.as_ref().map(|n| n.on.as_slice()).unwrap_or_default();
    let Some(host) = at.item.and_then(|n| on.get(n)) else { return vec![key(["nginx", "on"])] };
    match at.field {
        Some("address") => vec![address(host)],
        Some("is_backup") => vec![key(["haproxy", "backends"])],
        _ => vec![in_list(["nginx", "on"], on, host)],
    }
}

/// Every file of a balancer that is rendered.
pub fn all(site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
    let Some(haproxy) = site.topology.haproxy.as_ref().filter(|h| h.on.contains(host)) else { return Ok(Vec::new()) };
    let mut context = context(site, haproxy, host);
    context.generation = rendered(site, haproxy, host)?.1;
    Ok(vec![
        Origin::new(CONFIG, "haproxy/haproxy.cfg.tera", &context, VARIABLES)?,
        Origin::new(DROP_IN, "haproxy/unit.conf.tera", &unit_context(haproxy), UNIT)?,
    ])
}

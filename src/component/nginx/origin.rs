//! Where the values in the web servers' files come from.

use super::{
    super::{
        haproxy,
        origin::{At, Origin, Source, Variables, address, in_list, key, names},
        site::Site,
    },
    CONFIG, DROP_IN, context, rendered,
};
use crate::base::{name::HostName, template::TemplateError};
use std::collections::BTreeMap;

const VARIABLES: Variables = &[
    ("host", |at| at.site.topology.nginx.iter().map(|n| in_list(["nginx", "on"], &n.on, at.host)).collect()),
    ("listen", |at| vec![address(at.host)]),
    ("names", |_| names()),
    ("balancers", balancers),
    ("app_port", |at| vec![if at.decides { key(["app"]) } else { key(["app", "port"]) }]),
    ("health_path", |at| vec![haproxy::health_path_origin(at.site)]),
    ("max_body_mib", |_| vec![key(["nginx", "max_body_mib"])]),
    ("statics", |at| vec![at.item.and_then(|n| statics(at, n)).unwrap_or_else(|| key(["nginx", "static"]))]),
    ("root", |at| vec![folder(at, "").unwrap_or_else(|| key(["nginx", "static"]))]),
    ("generation_path", |_| vec![Source::Own("the path at which a daemon tells what it runs")]),
    ("generation", |_| vec![Source::Own("the digest of the rest of this file")]),
];

fn balancers(at: &At<'_>) -> Vec<Source> {
    let Some(haproxy) = &at.site.topology.haproxy else { return vec![key(["haproxy"])] };
    match at.item.and_then(|n| haproxy.on.get(n)) {
        Some(host) => vec![address(host), in_list(["haproxy", "on"], &haproxy.on, host)],
        None => vec![key(["haproxy", "on"])],
    }
}

/// The entry behind an item of the folders.
fn statics(at: &At<'_>, item: usize) -> Option<Source> {
    let context = context(at.site, at.site.topology.nginx.as_ref()?, at.host);
    folder(at, &context.statics.get(item)?.path)
}

/// The entry of a path, the last where two spellings mean one path.
fn folder(at: &At<'_>, path: &str) -> Option<Source> {
    let statics = &at.site.topology.nginx.as_ref()?.statics;
    let found = statics.iter().rev().find(|(p, _)| p.as_str().trim_end_matches('/') == path);
    found.map(|(path, _)| key(["nginx", "static", path.as_str()]))
}

/// Every file of a web server.
pub fn all(site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
    let Some(nginx) = site.topology.nginx.as_ref().filter(|n| n.on.contains(host)) else { return Ok(Vec::new()) };
    let mut context = context(site, nginx, host);
    context.generation = rendered(site, nginx, host)?.1;
    Ok(vec![
        Origin::new(CONFIG, "nginx/foobar.conf.tera", &context, VARIABLES)?,
        Origin::new(DROP_IN, "nginx/unit.conf.tera", &BTreeMap::<&str, &str>::new(), &[])?,
    ])
}

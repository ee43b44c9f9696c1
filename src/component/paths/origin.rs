//! Where the values in the files of the ways come from, on either end of them.

use super::{
    super::{
        origin::{At, Origin, Source, Variables, address, in_list, key},
        site::Site,
    },
    CONFIG, CONFIG_TEMPLATE, UNIT, UNIT_TEMPLATE, both, context, health, rendered, unit_context,
};
use crate::base::{name::HostName, template::TemplateError};

const VARIABLES: Variables = &[
    ("write_port", |_| vec![Source::Own("the loopback port that leads to the primary")]),
    ("read_port", |_| vec![Source::Own("the loopback port that leads to the replicas")]),
    ("health_port", |_| vec![Source::Own("the port on which database hosts tell how their server stands")]),
    ("maxconn", |_| vec![key(["mysql", "max_connections"]), key(["mysql", "replicas"])]),
    ("servers", servers),
    ("local_port", |_| vec![Source::Own("the loopback port of its metrics")]),
    ("generation_path", |_| vec![Source::Own("the path at which a daemon tells what it runs")]),
    ("generation", |_| vec![Source::Own("the digest of the rest of this file")]),
];

const UNIT_VARIABLES: Variables = &[
    ("site", |_| vec![key(["site"])]),
    ("nofile", |_| vec![key(["mysql", "max_connections"]), key(["mysql", "replicas"])]),
];

const WATCH: Variables = &[("client", |_| vec![key(["mysql", "engine"])])];
const ANSWER: Variables = &[("max_lag", |_| vec![key(["mysql", "max_lag"])])];
const WATCH_SERVICE: Variables = &[("unit", |_| vec![key(["mysql", "engine"])]), ("user", user)];
const HEALTH_SERVICE: Variables = &[
    ("user", user),
    ("listen", |at| vec![address(at.host)]),
    ("address", |at| vec![address(at.host)]),
    ("port", |_| vec![Source::Own("the port on which database hosts tell how their server stands")]),
];

fn user(_: &At<'_>) -> Vec<Source> {
    vec![Source::Own("the account that asks the server how it stands")]
}

fn servers(at: &At<'_>) -> Vec<Source> {
    let Some(mysql) = &at.site.topology.mysql else { return vec![key(["mysql"])] };
    let Some(host) = at.item.and_then(|n| at.site.database_hosts().get(n).copied()) else {
        return vec![key(["mysql", "primary"]), key(["mysql", "replicas"])];
    };
    match at.field {
        Some("address") => vec![address(host)],
        _ if *host == mysql.primary => vec![key(["mysql", "primary"])],
        _ => vec![in_list(["mysql", "replicas"], &mysql.replicas, host)],
    }
}

/// Every file of the ways that is rendered, on the application's hosts and on the database's.
pub fn all(site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
    let Some((app, mysql)) = both(site) else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    if app.on.contains(host) {
        let mut context = context(site, mysql);
        context.generation = rendered(site, mysql)?.1;
        all.push(Origin::new(CONFIG, CONFIG_TEMPLATE, &context, VARIABLES)?);
        all.push(Origin::new(UNIT, UNIT_TEMPLATE, &unit_context(site, mysql), UNIT_VARIABLES)?);
    }
    if mysql.hosts().any(|h| h == host) {
        let (watch, answer) = (health::WATCH, health::ANSWER);
        all.push(Origin::new(watch.0, watch.1, &health::watch(mysql), WATCH)?);
        all.push(Origin::new(answer.0, answer.1, &health::answer(mysql), ANSWER)?);
        let (service, tells) = (health::WATCH_SERVICE, health::HEALTH_SERVICE);
        all.push(Origin::new(service.0, service.1, &health::watch_service(mysql), WATCH_SERVICE)?);
        all.push(Origin::new(tells.0, tells.1, &health::health_service(site, host), HEALTH_SERVICE)?);
    }
    Ok(all)
}

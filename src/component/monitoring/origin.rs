//! Where the values in the files of who watches come from.

use super::{
    super::{
        names::{ALERTMANAGER, BLACKBOX_EXPORTER, MYSQLD_EXPORTER, NGINX_EXPORTER, NODE_EXPORTER},
        origin::{At, Find, Origin, Source, Variables, address, key},
        site::Site,
    },
    databases, exporters, measures, server, web,
};
use crate::base::{name::HostName, template::TemplateError};

fn monitoring(field: &str) -> Vec<Source> {
    vec![key(["monitoring", field])]
}

fn own(what: &'static str) -> Vec<Source> {
    vec![Source::Own(what)]
}

fn virtual_addresses() -> Source {
    key(["haproxy", "redundancy", "virtual_addresses"])
}

/// The addresses that visitors reach the site at.
fn site_addresses(at: &At<'_>) -> Vec<Source> {
    match at.site.topology.haproxy.as_ref() {
        Some(haproxy) if haproxy.redundancy.is_some() => vec![virtual_addresses()],
        Some(haproxy) => haproxy.on.iter().map(address).collect(),
        None => vec![key(["haproxy"])],
    }
}

const LISTEN: &[(&str, Find)] = &[("listen", |at| vec![address(at.host)])];
const NODE: Variables = &[LISTEN[0], ("tells_addresses", |_| vec![virtual_addresses()])];
const NGINX: Variables = &[LISTEN[0], ("status", |_| own("where nginx tells its counters, on loopback"))];
const MYSQLD: Variables = &[LISTEN[0], ("login", |_| own("what it logs in with"))];
const LOGIN: Variables = &[
    ("user", |_| own("an account without a right to any data")),
    ("password", |_| own("a password that is made once")),
    ("authority", |_| own("what the database's certificate is verified with")),
];
const WORDS: Variables =
    &[("port", |_| own("its usual port, on loopback")), ("config", |_| own("where its configuration is"))];
const SERVER_WORDS: Variables = &[
    WORDS[0],
    WORDS[1],
    ("retention", |_| monitoring("retention")),
    ("consoles", |_| own("where the page of the stack is")),
];
const CONFIG: Variables = &[
    ("every", |_| monitoring("every")),
    ("timeout", |_| monitoring("every")),
    ("site", |_| vec![key(["site"])]),
    ("rules", |_| own("where the rules are")),
    ("alertmanager_port", |_| own("alertmanager's usual port, on loopback")),
    ("blackbox_port", |_| own("the prober's usual port, on loopback")),
    ("jobs", |at| at.site.hosts().map(address).chain(monitoring("on")).collect()),
    ("probes", site_addresses),
];
const BACKEND: (&str, Find) = ("backend", |_| own("the balancer's name for the web servers"));
const FRONTEND: (&str, Find) = ("frontend", |_| own("the balancer's name for its visitors"));
const BALANCER: (&str, Find) = ("balancer", |_| vec![key(["haproxy", "on"])]);
const WEB: (&str, Find) = ("web", |_| vec![key(["nginx", "on"])]);
const DATABASE: (&str, Find) = ("database", |_| vec![key(["mysql"])]);
const WINDOW: (&str, Find) = ("window", |_| [monitoring("after"), monitoring("every")].concat());
const GENERATION: (&str, Find) = ("generation", |_| own("the digest of the rest of it, which tells what runs"));
const RULES: Variables = &[
    GENERATION,
    BACKEND,
    FRONTEND,
    BALANCER,
    WEB,
    DATABASE,
    WINDOW,
    ("virtual_addresses", |_| vec![virtual_addresses()]),
    ("acme", |_| vec![key(["tls", "certificate"])]),
    ("after", |_| monitoring("after")),
    ("long", |_| monitoring("after")),
    ("replicas", |_| vec![key(["mysql", "replicas"])]),
    ("semi_sync", |_| vec![key(["mysql", "semi_sync"])]),
    ("max_lag", |_| vec![key(["mysql", "max_lag"])]),
];
const PAGE: Variables = &[
    BACKEND,
    FRONTEND,
    BALANCER,
    WEB,
    DATABASE,
    WINDOW,
    ("site", |_| vec![key(["site"])]),
    ("probes", site_addresses),
];
const ALERTS: Variables = &[
    GENERATION,
    ("wait", |_| monitoring("after")),
    ("interval", |_| monitoring("after")),
    ("webhook", |_| vec![key(["monitoring", "alerts", "webhook"])]),
    ("email", |_| vec![key(["monitoring", "alerts", "email"])]),
];
const PROBING: Variables = &[
    ("family", site_addresses),
    ("name", |_| vec![key(["site"])]),
    ("authority", |_| own("what the site's certificate is verified with")),
];

/// Every file of a host.
pub fn all(site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
    let Some(of) = &site.topology.monitoring else { return Ok(Vec::new()) };
    let exporter = |(path, template): (&'static str, &'static str), port, variables| {
        Origin::new(path, template, &exporters::words(site, host, port), variables)
    };
    let mut all = vec![exporter(exporters::NODE, NODE_EXPORTER.1, NODE)?];
    all.extend(measures::origins(site, host)?);
    if web(site).contains(host) {
        all.push(exporter(exporters::NGINX, NGINX_EXPORTER.1, NGINX)?);
    }
    if databases(site).any(|h| h == host) {
        all.push(exporter(exporters::MYSQLD, MYSQLD_EXPORTER.1, MYSQLD)?);
        all.push(Origin::new(exporters::LOGIN.0, exporters::LOGIN.1, &exporters::login(), LOGIN)?);
    }
    if of.host() != Some(host) {
        return Ok(all);
    }
    let words = |(path, template): (&'static str, &'static str), daemon| {
        Origin::new(path, template, &server::words(daemon), WORDS)
    };
    if !server::probes(site).is_empty() {
        all.push(Origin::new(server::PROBE.0, server::PROBE.1, &server::probing(site), PROBING)?);
        all.push(words(server::PROBE_WORDS, BLACKBOX_EXPORTER)?);
    }
    all.push(words(server::ALERTS_WORDS, ALERTMANAGER)?);
    all.push(Origin::new(server::ALERTS.0, server::ALERTS.1, &server::alerts_context(site, of)?, ALERTS)?);
    all.push(Origin::new(server::WORDS.0, server::WORDS.1, &server::server_words(of), SERVER_WORDS)?);
    all.push(Origin::new(server::CONFIG.0, server::CONFIG.1, &server::config(site, of, host), CONFIG)?);
    all.push(Origin::new(server::RULES.0, server::RULES.1, &server::rules_context(site, of, host)?, RULES)?);
    all.push(Origin::new(server::PAGE.0, server::PAGE.1, &server::page(site, of), PAGE)?);
    Ok(all)
}

//! Where the values in the database servers' files come from.

use super::{
    super::{
        names::STACK_CA,
        origin::{Origin, Source, Variables, address, key},
        site::Site,
    },
    server::{Unit, config, context, drop_in, nofile, template},
};
use crate::base::{name::HostName, template::TemplateError};

const VARIABLES: Variables = &[
    ("server_id", |at| vec![address(at.host)]),
    ("address", |at| vec![address(at.host)]),
    ("bind", |at| vec![address(at.host)]),
    ("max_connections", |_| vec![key(["mysql", "max_connections"])]),
    ("semi_sync", |_| vec![key(["mysql", "semi_sync"]), key(["mysql", "replicas"])]),
    ("tls", |_| vec![Source::Own("where the server's certificate is")]),
];

const UNIT: Variables = &[("nofile", |_| vec![key(["mysql", "max_connections"]), key(["mysql", "engine"])])];

/// Every file of a database server that is rendered.
pub fn all(site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
    let mysql = site.topology.mysql.as_ref().filter(|m| m.hosts().any(|h| h == host));
    let Some(mysql) = mysql else { return Ok(Vec::new()) };
    Ok(vec![
        Origin::new(config(mysql), template(mysql), &context(site, mysql, host), VARIABLES)?,
        Origin::new(drop_in(mysql), "mysql/unit.conf.tera", &Unit { nofile: nofile(mysql) }, UNIT)?,
    ])
}

/// Where the stack's authority, the servers' certificates and the accounts' passwords come from.
pub fn secret(site: &Site, name: &str) -> Vec<Source> {
    let stem = name.trim_end_matches(".crt").trim_end_matches(".key");
    if stem == STACK_CA {
        return vec![Source::Own("made once, signs for the database servers alone")];
    }
    let server = stem.strip_prefix("db-").and_then(|host| site.hosts().find(|h| h.as_str() == host));
    match server {
        Some(host) => vec![
            Source::Own("made by foobar, for this name and address, and for the application's ways to it"),
            address(host),
        ],
        None if stem.starts_with("mysql-") => vec![Source::Own("a password that is made once")],
        None => Vec::new(),
    }
}

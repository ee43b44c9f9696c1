//! What tells the metrics of each host: of the host itself, of its web server, of its database server.

use super::{
    super::{
        Desired, http, keepalived, mysql as database,
        names::{
            DATABASE_TLS, EXPORTER, MYSQLD_EXPORTER, NGINX_EXPORTER, NGINX_UNIT, NODE_EXPORTER, database_objects,
            new_passwords, replication_source,
        },
        site::Site,
    },
    Daemon, USER, balancers, databases, wait_for, web,
};
use crate::{
    base::{
        name::HostName,
        secret::{Content, Encoding, place},
        template::TemplateError,
    },
    resource::{Key, files::File, service::Service},
};
use serde::Serialize;
use std::{collections::BTreeMap, net::SocketAddr};

/// Where each exporter's words are, with their template.
pub const NODE: (&str, &str) = ("/etc/default/prometheus-node-exporter", "monitoring/node-exporter.default.tera");
pub const NGINX: (&str, &str) = ("/etc/default/prometheus-nginx-exporter", "monitoring/nginx-exporter.default.tera");
pub const MYSQLD: (&str, &str) = ("/etc/default/prometheus-mysqld-exporter", "monitoring/mysqld-exporter.default.tera");
/// What the database's exporter logs in with.
pub const LOGIN: (&str, &str) = ("/etc/foobar/mysqld-exporter.cnf", "monitoring/mysqld-exporter.cnf.tera");

/// Where nginx tells its counters, on loopback.
const STATUS: &str = "/.foobar/status";

#[derive(Serialize)]
pub struct Login {
    user: &'static str,
    password: String,
    authority: String,
}

pub fn login() -> Login {
    Login {
        user: EXPORTER.0,
        password: place(EXPORTER.1, Encoding::Plain),
        authority: format!("{DATABASE_TLS}/ca.crt"),
    }
}

/// The words of an exporter of that port on a host, with what else its template needs.
pub fn words(site: &Site, host: &HostName, port: u16) -> BTreeMap<&'static str, String> {
    let mut all = BTreeMap::from([("listen", http::at(site.address(host), port))]);
    if port == NODE_EXPORTER.1 {
        // Which of a pair holds a virtual address; nobody asks others.
        let tells = !keepalived::addresses(site).is_empty() && balancers(site).contains(host);
        all.insert("tells_addresses", if tells { "yes" } else { "" }.to_owned());
    }
    if port == NGINX_EXPORTER.1 {
        all.insert("status", STATUS.to_owned());
    }
    if port == MYSQLD_EXPORTER.1 {
        all.insert("login", LOGIN.0.to_owned());
    }
    all
}

fn daemon(
    site: &Site,
    host: &HostName,
    (unit, port): (&'static str, u16),
    (defaults, template): (&'static str, &'static str),
    proved_by: &str,
) -> Result<Daemon, TemplateError> {
    let complaint = format!("{} tells nothing of what it measures", unit.trim_end_matches(".service"));
    Ok(Daemon {
        unit,
        defaults,
        words: Content::new(site.templates.render(template, &words(site, host, port))?),
        files: Vec::new(),
        checker: None,
        port,
        proof: wait_for(SocketAddr::new(site.address(host), port), "/metrics", proved_by, 30, &complaint),
    })
}

/// The exporters of every host; the answer names them.
pub fn resources(site: &Site, desired: &mut Desired) -> Result<Vec<Key>, TemplateError> {
    let mut all = Vec::new();
    let mut want = |desired: &mut Desired, host: &HostName, daemon: Daemon, mut after: Vec<Key>| {
        let (files, service) = daemon.resources();
        after.push(desired.want(host, files, []));
        all.push(desired.want(host, service, after));
    };
    for host in site.hosts() {
        let node = daemon(site, host, NODE_EXPORTER, NODE, "^node_boot_time_seconds ")?;
        want(desired, host, node, Vec::new());
        if web(site).contains(host) {
            let nginx = daemon(site, host, NGINX_EXPORTER, NGINX, "^nginx_up(\\{.*\\})? 1$")?;
            want(desired, host, nginx, vec![Key::new(host, Service::key(NGINX_UNIT))]);
        }
        let Some(mysql) = site.topology.mysql.as_ref().filter(|_| databases(site).any(|h| h == host)) else { continue };
        let mut server = daemon(site, host, MYSQLD_EXPORTER, MYSQLD, "^mysql_up 1$")?;
        let text = Content::new(site.templates.render(LOGIN.1, &login())?);
        server.files = vec![File::directory("/etc/foobar"), File::text(LOGIN.0, text).owner(USER, USER).mode(0o600)];
        // The account comes to a replica with its primary's data, and a new password as well.
        let mut after =
            vec![Key::new(host, Service::key(database::unit(mysql))), Key::new(&mysql.primary, database_objects())];
        if *host != mysql.primary {
            after.extend([Key::new(host, replication_source()), Key::new(host, new_passwords())]);
        }
        want(desired, host, server, after);
    }
    Ok(all)
}

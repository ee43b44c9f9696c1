//! How a database host tells others how its server stands: one process asks the server, over one connection that stays,
//! and another answers whoever asks from what that one left last. So a question costs the server nothing, however many ask,
//! and a server that hangs is known by its silence.

use super::super::{
    Desired, bracketed, http, mysql as database,
    names::{HEALTH_PORT, HEALTH_UNIT, WATCH_UNIT, WATCHER, database_objects, replication_source},
    site::Site,
    spec,
};
use crate::{
    base::{
        name::{HostName, UserName},
        script::Script,
        secret::Content,
        template::TemplateError,
    },
    resource::{
        Impact, Key, Resource,
        account::Account,
        db_copied::Copied,
        db_local::Watcher,
        files::{File, Files},
        service::{Input, Service},
    },
};
use serde::Serialize;
use std::{collections::BTreeMap, net::SocketAddr};

/// Each file with its template.
pub const WATCH: (&str, &str) = ("/etc/foobar/db-watch.sh", "paths/db-watch.sh.tera");
pub const ANSWER: (&str, &str) = ("/etc/foobar/db-answer.sh", "paths/db-answer.sh.tera");
pub const WATCH_SERVICE: (&str, &str) =
    ("/etc/systemd/system/foobar-db-watch.service", "paths/foobar-db-watch.service.tera");
pub const HEALTH_SERVICE: (&str, &str) =
    ("/etc/systemd/system/foobar-db-health.service", "paths/foobar-db-health.service.tera");

#[derive(Serialize)]
pub struct HealthContext {
    user: &'static str,
    listen: &'static str,
    address: String,
    port: u16,
}

/// One value under one name.
pub type One<T> = BTreeMap<&'static str, T>;

pub fn watch(mysql: &spec::Mysql) -> One<String> {
    let dialect = database::dialect(mysql);
    BTreeMap::from([(
        "client",
        format!("{} --unbuffered --skip-reconnect --connect-timeout=2", dialect.client_as(WATCHER)),
    )])
}

/// Whole seconds, as the servers themselves count.
pub fn answer(mysql: &spec::Mysql) -> One<u64> {
    BTreeMap::from([("max_lag", mysql.max_lag.duration().as_secs())])
}

pub fn watch_service(mysql: &spec::Mysql) -> One<&'static str> {
    BTreeMap::from([("unit", database::unit(mysql)), ("user", WATCHER)])
}

pub fn health_service(site: &Site, host: &HostName) -> HealthContext {
    let address = site.address(host);
    let listen = if address.is_ipv4() { "TCP4-LISTEN" } else { "TCP6-LISTEN" };
    HealthContext { user: WATCHER, listen, address: bracketed(address), port: HEALTH_PORT }
}

/// The server has answered within the last second.
fn watches() -> Script {
    Script::new()
        .line("fresh() { read -r at _ </run/foobar-db-health/state && read -r now _ </proc/uptime && [ $((${now%.*}${now#*.} - at)) -lt 100 ]; }")
        .line("tries=0")
        .line("until fresh 2>/dev/null; do")
        .line("  tries=$((tries + 1))")
        .line(format!(
            "  [ \"$tries\" -lt 100 ] || {{ echo 'the database server of this host does not tell {WATCHER} how it stands' >&2; exit 1; }}"
        ))
        .line("  sleep 0.2")
        .line("done")
}

/// What the database hosts have.
pub fn resources(site: &Site, mysql: &spec::Mysql, desired: &mut Desired) -> Result<(), TemplateError> {
    let Ok(user) = WATCHER.parse::<UserName>() else { return Ok(()) };
    let watcher = Watcher { dialect: database::dialect(mysql), name: WATCHER };
    for replica in &mysql.replicas {
        desired.want(replica, Copied::of(&watcher), []);
    }
    let made = desired.want(&mysql.primary, watcher, [Key::new(&mysql.primary, database_objects())]);
    for host in mysql.hosts() {
        let account = Account { name: user.clone(), home: "/nonexistent".into() };
        let account = desired.want(host, account, []);
        let texts = [
            (WATCH.0, text(site, WATCH.1, &watch(mysql))?),
            (ANSWER.0, text(site, ANSWER.1, &answer(mysql))?),
            (WATCH_SERVICE.0, text(site, WATCH_SERVICE.1, &watch_service(mysql))?),
            (HEALTH_SERVICE.0, text(site, HEALTH_SERVICE.1, &health_service(site, host))?),
        ];
        let verify = Script::new()
            .line(format!("sh -n {} && sh -n {}", WATCH.0, ANSWER.0))
            .line(format!("systemd-analyze verify {} {}", WATCH_SERVICE.0, HEALTH_SERVICE.0));
        let files = texts.iter().map(|(path, text)| File::text(*path, text.clone())).collect();
        let files = Files::new("database health", files).checked(["/etc/foobar", "/etc/systemd/system"], verify);
        let from = files.id();
        let inputs = |paths: &[&str]| -> Vec<Input> {
            let read = texts.iter().filter(|(path, _)| paths.contains(path));
            read.map(|(path, text)| Input { path: (*path).into(), content: text.clone(), from: from.clone() }).collect()
        };
        let mut service = Service::new(WATCH_UNIT);
        (service.layer, service.restart_impact) = (2, Impact::None);
        service.restart_on = inputs(&[WATCH.0, WATCH_SERVICE.0]);
        service.proof = Some(watches());
        let mut listener = Service::new(HEALTH_UNIT);
        (listener.layer, listener.ports, listener.restart_impact) = (2, vec![HEALTH_PORT], Impact::None);
        listener.restart_on = inputs(&[HEALTH_SERVICE.0]);
        let at = SocketAddr::new(site.address(host), HEALTH_PORT);
        let complaint = format!("nobody tells on {at} how the database stands");
        listener.proof = Some(http::wait_for(at, "/alive", "database", None, 100, &complaint));
        // The account comes to a replica with its primary's data.
        let there = if *host == mysql.primary { made.clone() } else { Key::new(host, replication_source()) };
        let after = vec![
            account,
            desired.want(host, files, []),
            Key::new(host, Service::key(database::unit(mysql))),
            made.clone(),
            there,
        ];
        let watched = desired.want(host, service, after);
        desired.want(host, listener, [watched]);
    }
    Ok(())
}

fn text(site: &Site, template: &str, context: &impl Serialize) -> Result<Content, TemplateError> {
    Ok(Content::new(site.templates.render(template, context)?))
}

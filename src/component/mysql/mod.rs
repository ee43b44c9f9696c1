//! The database: a primary that is written to and replicas that follow it, MariaDB or MySQL. Which server is primary, the
//! topology says; no file on any host does.

mod asking;
mod checks;
mod origin;
mod rights;
mod server;
pub mod status;

pub use checks::WRITABLE;

use super::{
    Check, Component, Desired, Endpoint, Peers, Source,
    names::{
        APP_MIGRATE, APP_RO, APP_RW, APP_UNIT, CHECKER, DATABASE_TLS, EXPORTER, MARIADB_UNIT, MYSQL_UNIT,
        MYSQLD_EXPORTER, REPLICATION, SEED, STACK_CA, STACK_CA_NAME, database_objects, replication_source,
    },
    origin::{Origin, Source as From},
    packages,
    site::Site,
    spec::{self, Engine},
};
use crate::{
    base::{
        name::{HostName, PackageName},
        template::TemplateError,
    },
    resource::{
        Key,
        database::{CANARY, Database, Login},
        db_copied::Copied,
        db_copier::Copier,
        db_directory,
        db_password::{Arrived, Retired},
        db_role::{Acknowledged, Writable},
        db_switch::Servers,
        dialect::Dialect,
        replication::Replication,
        service::Service,
    },
};

/// `mysql:`
#[derive(Debug)]
pub struct Mysql;

/// The engine's dialect.
pub(super) fn dialect(mysql: &spec::Mysql) -> Dialect {
    match mysql.engine {
        Engine::Mariadb => Dialect::Mariadb,
        Engine::Mysql => Dialect::Mysql,
    }
}

/// The unit of the engine.
pub(super) fn unit(mysql: &spec::Mysql) -> &'static str {
    match mysql.engine {
        Engine::Mariadb => MARIADB_UNIT,
        Engine::Mysql => MYSQL_UNIT,
    }
}

/// Whether writes wait for a replica: only where there is one.
fn semi_sync(mysql: &spec::Mysql) -> bool {
    mysql.semi_sync && !mysql.replicas.is_empty()
}

fn schemas(mysql: &spec::Mysql) -> Vec<String> {
    vec![mysql.database.as_str().to_owned(), CANARY.into()]
}

fn logins(site: &Site, mysql: &spec::Mysql) -> Vec<Login> {
    const DATA: [&str; 4] = ["DELETE", "INSERT", "SELECT", "UPDATE"];
    let login = |(name, secret): (&str, &str), on: Option<&str>, privileges: &[&'static str]| Login {
        name: name.into(),
        secret: secret.into(),
        on: on.map(str::to_owned),
        privileges: privileges.to_vec(),
        locked: name == SEED.0,
    };
    let schema = Some(mysql.database.as_str());
    let mut all = vec![login(APP_RW, schema, &DATA), login(APP_RO, schema, &["SELECT"])];
    if site.topology.app.as_ref().is_some_and(|a| a.migrate.is_some()) {
        let mut privileges = DATA.to_vec();
        privileges.extend(["CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "CREATE VIEW", "SHOW VIEW", "TRIGGER"]);
        privileges.extend([
            "CREATE ROUTINE",
            "ALTER ROUTINE",
            "EXECUTE",
            "EVENT",
            "CREATE TEMPORARY TABLES",
            "LOCK TABLES",
        ]);
        all.push(login(APP_MIGRATE, schema, &privileges));
    }
    all.push(login(CHECKER, Some(CANARY), &["DELETE", "INSERT", "SELECT"]));
    if site.topology.monitoring.is_some() {
        // No right to any data: how the server and its replication fare, and nothing else.
        let watch: &[&'static str] = match mysql.engine {
            Engine::Mariadb => &["PROCESS", "BINLOG MONITOR", "SLAVE MONITOR"],
            Engine::Mysql => &["PROCESS", "REPLICATION CLIENT"],
        };
        all.push(login(EXPORTER, None, watch));
    }
    if !mysql.replicas.is_empty() {
        all.push(login(REPLICATION, None, &["REPLICATION SLAVE"]));
        let copy: &[&'static str] = match mysql.engine {
            Engine::Mariadb => {
                &["SELECT", "RELOAD", "PROCESS", "LOCK TABLES", "SHOW VIEW", "EVENT", "TRIGGER", "BINLOG MONITOR"]
            }
            Engine::Mysql => &["BACKUP_ADMIN"],
        };
        all.push(login(SEED, None, copy));
    }
    all
}

/// Replication from one of the servers, as the others are told of it.
fn replication(site: &Site, mysql: &spec::Mysql, primary: &HostName) -> Replication {
    Replication {
        dialect: dialect(mysql),
        primary: primary.clone(),
        address: site.address(primary),
        login: REPLICATION,
        seed: SEED,
        authority: format!("{DATABASE_TLS}/ca.crt"),
        unit: unit(mysql).into(),
        acknowledges: semi_sync(mysql),
    }
}

/// The servers, for who moves the writes from one to another; none where the topology has no database.
pub fn servers(site: &Site) -> Option<Servers> {
    let mysql = site.topology.mysql.as_ref()?;
    Some(Servers {
        dialect: dialect(mysql),
        unit: unit(mysql).into(),
        hosts: mysql.hosts().map(|h| (h.clone(), site.address(h))).collect(),
        primary: mysql.primary.clone(),
        max_lag: mysql.max_lag.duration().as_secs(),
        acknowledges: semi_sync(mysql),
        checker: CHECKER,
        authority: format!("{DATABASE_TLS}/ca.crt"),
        replications: mysql.hosts().map(|h| replication(site, mysql, h)).collect(),
    })
}

impl Mysql {
    fn secrets(site: &Site, mysql: &spec::Mysql, desired: &mut Desired) {
        let homes = || mysql.hosts().cloned();
        let authority = Source::Authority { common_name: STACK_CA_NAME.into(), names: Vec::new() };
        desired.secret(STACK_CA, authority, homes());
        for login in logins(site, mysql) {
            desired.secret(login.secret, Source::Password, homes());
        }
    }
}

impl Component for Mysql {
    fn name(&self) -> &'static str {
        "mysql"
    }

    fn packages(&self, site: &Site, host: &HostName) -> Vec<PackageName> {
        let Some(mysql) = site.topology.mysql.as_ref().filter(|m| m.hosts().any(|h| h == host)) else {
            return Vec::new();
        };
        let server = match mysql.engine {
            Engine::Mariadb => "mariadb-server",
            Engine::Mysql => "mysql-server",
        };
        packages([server, "openssl"])
    }

    fn filled(&self, site: &Site, host: &HostName) -> Vec<&'static str> {
        let is_here = site.topology.mysql.as_ref().is_some_and(|m| m.hosts().any(|h| h == host));
        if is_here { vec![db_directory::DATA] } else { Vec::new() }
    }

    fn endpoints(&self, site: &Site) -> Vec<Endpoint> {
        let Some(mysql) = &site.topology.mysql else { return Vec::new() };
        let mut from: Vec<HostName> = Vec::new();
        for host in mysql.hosts().chain(site.topology.app.iter().flat_map(|a| &a.on)) {
            if !from.contains(host) {
                from.push(host.clone());
            }
        }
        let on = |host: &HostName| {
            let from = from.iter().filter(|h| *h != host).cloned().collect();
            Endpoint {
                component: "mysql",
                host: host.clone(),
                protocol: spec::Protocol::Tcp,
                port: 3306,
                from: Peers::Hosts(from),
            }
        };
        mysql.hosts().map(on).collect()
    }

    fn resources(&self, site: &Site, desired: &mut Desired) -> Result<(), TemplateError> {
        let Some(mysql) = &site.topology.mysql else { return Ok(()) };
        Self::secrets(site, mysql, desired);
        let (dialect, unit) = (dialect(mysql), unit(mysql));
        let role = |host: &HostName| Writable {
            dialect,
            unit: unit.into(),
            writable: *host == mysql.primary,
            others: mysql.hosts().filter(|h| *h != host).cloned().collect(),
        };
        // The replicas close before the primary opens: at no instant are there two that can be written to.
        // And no two servers are ever away at a time: they start one after the other, the primary last.
        let (mut closed, mut servers) = (Vec::new(), Vec::new());
        for replica in &mysql.replicas {
            servers.push(server::server(site, mysql, replica, &servers.clone(), desired)?);
            closed.push(desired.want(replica, role(replica), servers.last().cloned()));
        }
        let mut ready = closed.clone();
        ready.push(server::server(site, mysql, &mysql.primary, &servers, desired)?);
        let open = desired.want(&mysql.primary, role(&mysql.primary), ready);
        let servers = mysql.hosts().cloned().collect();
        let objects = Database { dialect, schemas: schemas(mysql), logins: logins(site, mysql), servers };
        let accounts = objects.clone();
        let objects = desired.want(&mysql.primary, objects, [open]);
        debug_assert_eq!(objects.id, database_objects());
        let replication = || replication(site, mysql, &mysql.primary);
        let copier = |open| Copier {
            dialect,
            account: SEED.0,
            replicas: mysql.replicas.iter().map(|r| (r.clone(), replication())).collect(),
            open,
        };
        let mut followed = vec![objects.clone()];
        let mut ready = objects;
        if !mysql.replicas.is_empty() {
            ready = desired.want(&mysql.primary, copier(true), [ready]);
        }
        for (replica, closed) in mysql.replicas.iter().zip(closed) {
            let mut after = vec![closed, ready.clone()];
            // MySQL's donor serves one copy at a time, and refuses a second.
            after.extend(followed.last().filter(|_| mysql.engine == Engine::Mysql).cloned());
            followed.push(desired.want(replica, replication(), after));
            debug_assert_eq!(followed.last().map(|k| &k.id), Some(&replication_source()));
        }
        let mut done: Vec<Key> = followed.iter().skip(1).cloned().collect();
        for (replica, source) in mysql.replicas.iter().zip(done.clone()) {
            let arrived = Arrived { primary: mysql.primary.clone(), objects: accounts.clone() };
            done.push(desired.want(replica, arrived, [source]));
            desired.want(replica, Copied::of(&accounts), []);
        }
        // Who still uses the former passwords: the replicas, the app on every host, and who watches the servers.
        done.extend(mysql.hosts().map(|h| Key::new(h, Service::key(MYSQLD_EXPORTER.0))));
        done.extend(site.topology.app.iter().flat_map(|a| &a.on).map(|h| Key::new(h, Service::key(APP_UNIT))));
        done.push(followed[0].clone());
        desired.want(&mysql.primary, Retired { objects: accounts }, done);
        if !mysql.replicas.is_empty() {
            let wait = Acknowledged { dialect, unit: unit.into(), on: semi_sync(mysql) };
            desired.want(&mysql.primary, wait, followed.clone());
            desired.want(&mysql.primary, copier(false), followed);
        }
        Ok(())
    }

    fn checks(&self, site: &Site) -> Vec<Check> {
        checks::all(site)
    }

    fn origins(&self, site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
        origin::all(site, host)
    }
    fn secret_origin(&self, site: &Site, name: &str) -> Vec<From> {
        origin::secret(site, name)
    }
}

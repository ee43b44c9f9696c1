//! Names that several components use: secrets, accounts, paths on the hosts. Nothing is decided here.

use crate::resource::{ResourceId, db_password};
use std::net::{IpAddr, Ipv4Addr};

/// The authority that signs for the stack's own servers (the database).
pub const STACK_CA: &str = "stack-ca";
/// The authority's common name.
pub const STACK_CA_NAME: &str = "foobar stack CA";
/// Where hosts find the certificate of [`STACK_CA`].
pub const STACK_CA_FILE: &str = "/etc/foobar/stack-ca.crt";
/// The authority that signs the site's certificate where the user brings none.
pub const SITE_CA: &str = "site-ca";
/// Where hosts find what the site's certificate is verified with.
pub const SITE_CA_FILE: &str = "/etc/foobar/site-ca.crt";
/// The site's certificate and key are kept as `site.crt` and `site.key`.
pub const SITE: &str = "site";
/// The key of the balancers' account at an ACME directory is kept as `acme-account.key`; `acme-account.thumbprint` follows from it.
pub const ACME_ACCOUNT: &str = "acme-account";

/// The database account that the application writes with, and its password's name.
pub const APP_RW: (&str, &str) = ("app_rw", "mysql-app-rw");
/// The one it reads with.
pub const APP_RO: (&str, &str) = ("app_ro", "mysql-app-ro");
/// The one its migration runs with.
pub const APP_MIGRATE: (&str, &str) = ("app_migrate", "mysql-app-migrate");
/// The one that replicas follow the primary with.
pub const REPLICATION: (&str, &str) = ("foobar_repl", "mysql-repl");
/// The one that a replica without data copies the primary's with.
pub const SEED: (&str, &str) = ("foobar_seed", "mysql-seed");
/// The one that `verify` leaves a row with for a moment.
pub const CHECKER: (&str, &str) = ("foobar_verify", "mysql-verify");
/// The one that asks a server through its own socket how it stands, as the system account of the same name.
pub const WATCHER: &str = "foobar_health";
/// The one that the exporter of a database server's metrics asks with.
pub const EXPORTER: (&str, &str) = ("foobar_exporter", "mysql-exporter");
/// Where a database server's certificate, its key and their authority are.
pub const DATABASE_TLS: &str = "/etc/mysql/foobar";
/// MariaDB's unit.
pub const MARIADB_UNIT: &str = "mariadb.service";
/// MySQL's unit.
pub const MYSQL_UNIT: &str = "mysql.service";

/// The application's account, which is its unit's name too.
pub const APP_USER: &str = "foobar-app";
/// The application's unit.
pub const APP_UNIT: &str = "foobar-app.service";
/// The application's ways to the database, on each of its hosts.
pub const PATHS_UNIT: &str = "foobar-db-paths.service";
/// Loopback port that leads to the database server that takes writes: the number that MySQL Router made usual.
pub const WRITE_PORT: u16 = 6446;
/// Loopback port that leads to those that may be read.
pub const READ_PORT: u16 = 6447;
/// What asks a database server how it stands, on its host.
pub const WATCH_UNIT: &str = "foobar-db-watch.service";
/// What tells others.
pub const HEALTH_UNIT: &str = "foobar-db-health.service";
/// Port on which a database host tells how its server stands.
pub const HEALTH_PORT: u16 = 6448;
/// Loopback port of the ways' metrics and generation.
pub const PATHS_LOCAL: u16 = 8405;
/// The address that the application finds the database under, whichever server it is.
pub const DATABASE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Where the application's releases are, and `current`.
pub const APP_ROOT: &str = "/srv/foobar";
/// The load balancer's unit.
pub const HAPROXY_UNIT: &str = "haproxy.service";
/// The name server's unit.
pub const NSD_UNIT: &str = "nsd.service";
/// The unit that moves addresses between balancers.
pub const KEEPALIVED_UNIT: &str = "keepalived.service";
/// The balancer's frontend for visitors over TLS.
pub const HAPROXY_FRONTEND: &str = "https";
/// Where the balancer answers questions of anyone on its host, and takes no orders.
pub const HAPROXY_QUESTIONS: &str = "/run/haproxy/questions.sock";
/// The web server's unit.
pub const NGINX_UNIT: &str = "nginx.service";
/// The balancer's backend; servers bear their hosts' names: `web/web-01`.
pub const BACKEND: &str = "web";
/// Loopback port of the balancer's metrics and generation.
pub const HAPROXY_LOCAL: u16 = 8404;
/// Port of the balancer's metrics, for the host that watches.
pub const HAPROXY_METRICS: u16 = 8406;
/// What tells a host's own metrics, and its port.
pub const NODE_EXPORTER: (&str, u16) = ("prometheus-node-exporter.service", 9100);
/// What tells a database server's.
pub const MYSQLD_EXPORTER: (&str, u16) = ("prometheus-mysqld-exporter.service", 9104);
/// What tells a web server's.
pub const NGINX_EXPORTER: (&str, u16) = ("prometheus-nginx-exporter.service", 9113);
/// What asks for the site as a visitor does, for Prometheus on the same host.
pub const BLACKBOX_EXPORTER: (&str, u16) = ("prometheus-blackbox-exporter.service", 9115);
/// What measures, and knows what is wrong.
pub const PROMETHEUS: (&str, u16) = ("prometheus.service", 9090);
/// What tells people.
pub const ALERTMANAGER: (&str, u16) = ("prometheus-alertmanager.service", 9093);
/// The address that alerts are posted to, where it is a secret.
pub const WEBHOOK: &str = "monitoring-webhook";
/// The password of the login at the mail server.
pub const MAIL_PASSWORD: &str = "monitoring-mail";
/// The path under which a daemon tells, on loopback alone, the digest of the configuration it runs.
pub const GENERATION: &str = "/.foobar/generation";

/// The accounts and databases on the primary.
pub fn database_objects() -> ResourceId {
    ResourceId::new("database", "objects")
}

/// What the application verifies the database with, on each of its hosts.
pub fn app_authority() -> ResourceId {
    ResourceId::new("files", APP_AUTHORITY)
}

/// The name of the files of [`app_authority`].
pub const APP_AUTHORITY: &str = "database authority of the app";

/// Passwords that have come to a replica.
pub fn new_passwords() -> ResourceId {
    db_password::Arrived::key()
}

/// Where a replica replicates from.
pub fn replication_source() -> ResourceId {
    ResourceId::new("replication", "source")
}

//! Names that several components use: secrets, accounts, paths on the hosts. Nothing is decided here.

use crate::resource::{ResourceId, db_password};

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
/// The path under which a daemon tells, on loopback alone, the digest of the configuration it runs.
pub const GENERATION: &str = "/.foobar/generation";

/// The accounts and databases on the primary.
pub fn database_objects() -> ResourceId {
    ResourceId::new("database", "objects")
}

/// Passwords that have come to a replica.
pub fn new_passwords() -> ResourceId {
    db_password::Arrived::key()
}

/// Where a replica replicates from.
pub fn replication_source() -> ResourceId {
    ResourceId::new("replication", "source")
}

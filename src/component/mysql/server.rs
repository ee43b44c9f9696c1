//! One server of the database on its host: its configuration, what checks it before it lands, and what proves that it runs
//! with it. Which role it has is none of this file's business.

use super::{
    super::{
        Desired, Source,
        names::{DATABASE_ADDRESS, DATABASE_TLS, STACK_CA},
        site::Site,
        spec::{self, Engine},
    },
    dialect, schemas, semi_sync, unit,
};
use crate::{
    base::{
        digest,
        name::HostName,
        script::{Script, quote},
        secret::Content,
        template::TemplateError,
    },
    resource::{
        Impact, Key, Resource,
        db_directory::DataDirectory,
        db_variables::Variables,
        files::{File, Files},
        service::{Input, Service, Shown},
        system::Offered,
    },
};
use serde::Serialize;
use std::net::IpAddr;

/// Days that a server's certificate is good for.
const DAYS: u32 = 825;

#[derive(Serialize)]
pub(super) struct Unit {
    pub(super) nofile: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct Context {
    server_id: u32,
    address: IpAddr,
    bind: String,
    max_connections: u32,
    semi_sync: &'static str,
    tls: &'static str,
}

/// What a server's certificate is good for: itself, and the address under which every application finds the database,
/// whichever server it is led to. MySQL's TLS begins within its own protocol, so that nothing between the two could end it
/// and verify for the client: it is the client that does, and what it compares is the address in its URL. The stack's
/// authority signs for database servers alone: nobody else on that port of loopback could show such a certificate.
fn certified(host: &HostName, address: IpAddr) -> Vec<String> {
    let mut names = vec![host.to_string(), address.to_string(), DATABASE_ADDRESS.to_string()];
    names.dedup();
    names
}

/// The file that has the last word: the packages' own come before it in the order that each server reads them.
pub(super) fn config(mysql: &spec::Mysql) -> &'static str {
    match mysql.engine {
        Engine::Mariadb => "/etc/mysql/mariadb.conf.d/90-foobar.cnf",
        Engine::Mysql => "/etc/mysql/mysql.conf.d/zz-foobar.cnf",
    }
}

/// A number that stays a server's as long as its address does, and no other server of the stack has: an IPv4 address is
/// one by itself; of an IPv6 address it is a digest, counted on from where an earlier server has the same.
fn server_id(site: &Site, host: &HostName) -> u32 {
    let mut taken = Vec::new();
    for other in site.database_hosts() {
        let mut id = match site.address(other) {
            IpAddr::V4(v4) => u32::from(v4).max(1),
            IpAddr::V6(v6) => u32::from_str_radix(&digest::sha256(v6.to_string())[..8], 16).unwrap_or(1).max(1),
        };
        while taken.contains(&id) {
            id = id.wrapping_add(1).max(1);
        }
        if other == host {
            return id;
        }
        taken.push(id);
    }
    1
}

/// The limit of descriptors, where the package's own would make the server cut its connections or its table cache down:
/// it wants five a connection, and two for each of its 4,000 tables.
pub(super) fn nofile(mysql: &spec::Mysql) -> Option<u32> {
    let package = match mysql.engine {
        Engine::Mariadb => 32_768,
        Engine::Mysql => 10_000,
    };
    Some(mysql.max_connections.saturating_mul(5).saturating_add(8_192)).filter(|n| *n > package)
}

/// The engine's template.
pub(super) fn template(mysql: &spec::Mysql) -> &'static str {
    match mysql.engine {
        Engine::Mariadb => "mysql/mariadb.cnf.tera",
        Engine::Mysql => "mysql/mysql.cnf.tera",
    }
}

/// Where the unit's own settings go.
pub(super) fn drop_in(mysql: &spec::Mysql) -> String {
    format!("/etc/systemd/system/{}.d/foobar.conf", unit(mysql))
}

pub(super) fn context(site: &Site, mysql: &spec::Mysql, host: &HostName) -> Context {
    let address = site.address(host);
    let loopback = if address.is_ipv4() { "127.0.0.1" } else { "127.0.0.1,::1" };
    Context {
        server_id: server_id(site, host),
        address,
        bind: if address.is_loopback() { address.to_string() } else { format!("{address},{loopback}") },
        max_connections: mysql.max_connections,
        semi_sync: if semi_sync(mysql) { "ON" } else { "OFF" },
        tls: DATABASE_TLS,
    }
}

fn render(site: &Site, mysql: &spec::Mysql, host: &HostName) -> Result<Content, TemplateError> {
    Ok(Content::new(site.templates.render(template(mysql), &context(site, mysql, host))?))
}

/// What the server itself says of its files, and what it does not look at until it starts: MySQL then goes on without TLS,
/// MariaDB not at all.
fn checker(mysql: &spec::Mysql) -> Script {
    let accept = match mysql.engine {
        Engine::Mariadb => "mariadbd --user=mysql --help --verbose >/dev/null",
        Engine::Mysql => "mysqld --validate-config --user=mysql",
    };
    let complain = |what: &str| format!("|| {{ echo {}; exit 1; }}", quote(what));
    Script::new()
        .line(accept)
        .line(format!("cd {DATABASE_TLS}"))
        .line(format!(
            "setpriv --reuid=mysql --regid=mysql --init-groups cat server.key >/dev/null {}",
            complain("the server's user cannot read its key")
        ))
        .line(format!(
            "[ \"$(openssl x509 -in server.crt -noout -pubkey)\" = \"$(openssl pkey -in server.key -pubout)\" ] {}",
            complain("the certificate is not the key's")
        ))
        .line(format!(
            "openssl verify -CAfile ca.crt server.crt >/dev/null {}",
            complain("the certificate is not the authority's")
        ))
}

/// Ends once the server answers and shows the certificate that is on disk.
fn proof(mysql: &spec::Mysql) -> Script {
    let client = dialect(mysql).client();
    Script::new()
        .line("try=0")
        .line(format!("until {client} -e 'SELECT 1' >/dev/null 2>&1; do"))
        .line("  try=$((try + 1)); sleep 0.2")
        .line("  [ \"$try\" -lt 150 ] || { echo 'the server does not answer within 30 s' >&2; exit 1; }")
        .line("done")
        // By its dates: a server without an account for this host answers no handshake that would show the certificate.
        .line(format!("shown=$({client} -e \"SHOW GLOBAL STATUS LIKE 'Ssl_server_not_%'\" | cut -f 2 | sort)"))
        .line(format!("kept=$(openssl x509 -in {DATABASE_TLS}/server.crt -noout -dates | cut -d = -f 2 | sort)"))
        .line("[ \"$shown\" = \"$kept\" ] || { echo 'the server does not show the certificate on disk' >&2; exit 1; }")
}

/// The configuration and the running server of one host, which comes after those others; the answer names it.
pub(super) fn server(
    site: &Site,
    mysql: &spec::Mysql,
    host: &HostName,
    others: &[Key],
    desired: &mut Desired,
) -> Result<Key, TemplateError> {
    if mysql.engine == Engine::Mysql {
        let help = "write `engine: mariadb`, or run the database on sid, the release that has MySQL itself";
        desired.want(host, Offered { package: "mysql-server", releases: &["forky", "sid"], help }, []);
    }
    let address = site.address(host);
    let leaf = format!("db-{host}");
    desired.secret(
        &leaf,
        Source::Leaf { by: STACK_CA.into(), names: certified(host, address), days: DAYS },
        [host.clone()],
    );
    let (path, text) = (config(mysql), render(site, mysql, host)?);
    let tls = |name: &str, secret: String| (format!("{DATABASE_TLS}/{name}"), Content::of(&secret));
    let (ca, ca_text) = tls("ca.crt", format!("{STACK_CA}.crt"));
    let (crt, crt_text) = tls("server.crt", format!("{leaf}.crt"));
    let (key, key_text) = tls("server.key", format!("{leaf}.key"));
    let files = vec![
        File::directory(DATABASE_TLS),
        File::text(&ca, ca_text.clone()).mode(0o644),
        File::text(&crt, crt_text.clone()).mode(0o644),
        File::text(&key, key_text.clone()).owner("root", "mysql").mode(0o640),
        File::text(path, text.clone()),
    ];
    let files = Files::new("database configuration", files).checked(["/etc/mysql"], checker(mysql));
    let from = files.id();
    let files = desired.want(host, files, []);
    let input = |path: &str, content: Content| Input { path: path.into(), content, from: from.clone() };
    let drop_in = drop_in(mysql);
    let drop_in_text = Content::new(site.templates.render("mysql/unit.conf.tera", &Unit { nofile: nofile(mysql) })?);
    let unit_files = Files::new("database unit", vec![File::text(&drop_in, drop_in_text.clone())]);
    let mut service = Service::new(unit(mysql));
    let own = Input { path: drop_in, content: drop_in_text, from: unit_files.id() };
    service.restart_on = vec![input(path, text.clone()), own];
    // MariaDB tells this to sessions over TLS alone, and can be pointed to no other file while it runs.
    service.shown = (mysql.engine == Engine::Mysql).then(|| Shown {
        probe: dialect(mysql).probe(),
        keys: &["Ssl_server_not_before", "Ssl_server_not_after"],
        content: crt_text.clone(),
    });
    service.reload_on = vec![input(&ca, ca_text), input(&crt, crt_text), input(&key, key_text)];
    // Neither statement is written to the binary log.
    let reload = match mysql.engine {
        Engine::Mariadb => "FLUSH LOCAL SSL".to_owned(),
        // Somebody may have pointed it elsewhere at run time.
        Engine::Mysql => {
            let set = |(name, path): (&str, &str)| format!("SET GLOBAL ssl_{name}=\"{path}\"; ");
            [("ca", ca.as_str()), ("cert", &crt), ("key", &key)].map(set).concat() + "ALTER INSTANCE RELOAD TLS"
        }
    };
    service.reload = Some(Script::new().line(format!("{} -e '{reload}'", dialect(mysql).client())));
    // A MySQL that stops while a replica listens waits for it some ten seconds longer; this ends with the process.
    service.before_restart = (mysql.engine == Engine::Mysql)
        .then(|| Script::new().line(format!("{} -e 'SET GLOBAL offline_mode=ON' || :", dialect(mysql).client())));
    service.proof = Some(proof(mysql));
    (service.layer, service.ports) = (3, vec![3306]);
    service.restart_impact = if *host == mysql.primary { Impact::WriteOutage } else { Impact::ConnectionDrop };
    let data = DataDirectory { dialect: dialect(mysql), schemas: schemas(mysql) };
    let directory = desired.want(host, data, [files.clone()]);
    let mut after = vec![files, directory, desired.want(host, unit_files, [])];
    after.extend_from_slice(others);
    let server = desired.want(host, service, after);
    let file = text.resolve(&Default::default()).map(|t| t.expose().to_owned()).unwrap_or_default();
    let variables = Variables { dialect: dialect(mysql), unit: unit(mysql).into(), file };
    desired.want(host, variables, [server.clone()]);
    Ok(server)
}

//! The application's ways to the database: on each of its hosts one loopback port that leads to the server that takes
//! writes, and one that leads to those that may be read. Which servers those are, they say themselves; where a role moves,
//! the ways follow within a second or two, and neither a URL nor a file changes.
//!
//! HAProxy leads them, in an instance of its own beside the balancer's, which may run on the same host: with its own unit,
//! configuration, account and sockets. Where no balancer runs, the package's unit is kept from starting.

mod checks;
mod health;
mod origin;

use super::{
    Check, Component, Desired, Endpoint, Peers, bracketed,
    haproxy::master,
    http, mysql,
    names::{
        APP_UNIT, DATABASE_ADDRESS, GENERATION, HAPROXY_UNIT, HEALTH_PORT, HEALTH_UNIT, PATHS_LOCAL, PATHS_UNIT,
        READ_PORT, STACK_CA_FILE, WRITE_PORT, app_authority, database_objects, replication_source,
    },
    origin::Origin,
    packages,
    site::Site,
    spec,
};
use crate::{
    base::{
        digest::sha256,
        name::{HostName, PackageName},
        script::Script,
        secret::Content,
        template::TemplateError,
    },
    resource::{
        Impact, Key, Resource,
        files::{File, Files},
        idle::Idle,
        ruleset::Ruleset,
        service::{Input, Service},
    },
};
use serde::Serialize;
use std::net::SocketAddr;

const CONFIG: &str = "/etc/foobar/db-paths.cfg";
const CONFIG_TEMPLATE: &str = "paths/db-paths.cfg.tera";
const UNIT: &str = "/etc/systemd/system/foobar-db-paths.service";
const UNIT_TEMPLATE: &str = "paths/foobar-db-paths.service.tera";
const MASTER: &str = "/run/foobar-db-paths/master.sock";

/// Descriptors beside those of connections: listeners, checks, the threads' own.
const DESCRIPTOR_MARGIN: u32 = 1000;

/// What an application with a database has, whatever is written under `app:` and `mysql:`.
#[derive(Debug)]
pub struct Paths;

#[derive(Serialize)]
struct Server {
    name: HostName,
    address: String,
}

#[derive(Serialize)]
struct Context {
    write_port: u16,
    read_port: u16,
    health_port: u16,
    maxconn: u32,
    servers: Vec<Server>,
    local_port: u16,
    generation_path: &'static str,
    generation: String,
}

#[derive(Serialize)]
struct UnitContext<'a> {
    site: &'a str,
    nofile: u32,
}

/// The application and the database, where there are both.
fn both(site: &Site) -> Option<(&spec::App, &spec::Mysql)> {
    site.topology.app.as_ref().zip(site.topology.mysql.as_ref())
}

/// As many as all servers together take.
fn maxconn(mysql: &spec::Mysql) -> u32 {
    let servers = u32::try_from(mysql.hosts().count()).unwrap_or(u32::MAX);
    mysql.max_connections.saturating_mul(servers)
}

/// Every server may come to have either role, so each stands in all parts of the file, in the order of the hosts.
fn context(site: &Site, mysql: &spec::Mysql) -> Context {
    let server = |host: &HostName| Server { name: host.clone(), address: bracketed(site.address(host)) };
    Context {
        write_port: WRITE_PORT,
        read_port: READ_PORT,
        health_port: HEALTH_PORT,
        maxconn: maxconn(mysql),
        servers: site.database_hosts().into_iter().map(server).collect(),
        local_port: PATHS_LOCAL,
        generation_path: GENERATION,
        generation: String::new(),
    }
}

fn unit_context<'a>(site: &'a Site, mysql: &spec::Mysql) -> UnitContext<'a> {
    let nofile = maxconn(mysql).saturating_mul(2).saturating_add(DESCRIPTOR_MARGIN);
    UnitContext { site: site.topology.site.as_str(), nofile }
}

/// The configuration, and the digest that it answers with on loopback once it runs.
fn rendered(site: &Site, mysql: &spec::Mysql) -> Result<(String, String), TemplateError> {
    let mut context = context(site, mysql);
    let generation = sha256(site.templates.render(CONFIG_TEMPLATE, &context)?)[..32].to_owned();
    context.generation.clone_from(&generation);
    Ok((site.templates.render(CONFIG_TEMPLATE, &context)?, generation))
}

/// `writers` prints the servers that the write port leads to.
const WRITERS: &str = r#"writers() {
  echo 'show stat' | socat -t 3 - UNIX-CONNECT:/run/foobar-db-paths/admin.sock 2>/dev/null | awk -F , '
    NR == 1 { for (n = 1; n <= NF; n++) at[$n] = n; next }
    $1 == "primary" && $2 != "BACKEND" && $at["status"] ~ /^UP/ && $at["check_status"] ~ /OK$/ { print $2 }'
}"#;

/// Defines `met PORT`: who answers behind a port of loopback, once its certificate has been verified for the address that
/// was asked, as the application's own client verifies it; and what openssl said of it. MySQL's greeting comes first, in
/// the clear, and no login is made.
fn meeting() -> Script {
    Script::new().line("met() {").line(format!(
        "  timeout 5 openssl s_client -starttls mysql -connect {DATABASE_ADDRESS}:\"$1\" -verify_ip {DATABASE_ADDRESS} -CAfile {STACK_CA_FILE} </dev/null 2>&1 | sed -n 's/^ *Verify return code: \\(.*\\)/verified \\1/p;s/^subject= *CN *= *\\(.*\\)/name \\1/p'"
    )).line("}")
}

/// Exits 0 once it runs the configuration on disk and knows who takes writes. Where nobody does, that is no fault of the
/// ways; only an application that is about to be led here for the first time is not led to nowhere.
fn proof(generation: &str) -> Script {
    let at = SocketAddr::new(DATABASE_ADDRESS, PATHS_LOCAL);
    let complaint = "the ways to the database do not run the configuration on disk";
    http::wait_for(at, GENERATION, "localhost", Some(generation), 80, complaint)
        .then(&master::none_failed(MASTER))
        .line(WRITERS)
        .then(&meeting())
        // By what it runs with: its file may have come, and it is not restarted yet.
        .line(format!(
            "used() {{ grep -qsaF '@{DATABASE_ADDRESS}:{WRITE_PORT}/' \"/proc/$(systemctl show --value -p MainPID {APP_UNIT})/environ\"; }}"
        ))
        .line(format!(
            "ready() {{ [ \"$(writers | wc -l)\" = 1 ] && {{ used || [ \"$(met {WRITE_PORT} | sort -u | grep -cE '^(verified 0|name) ')\" = 2 ]; }}; }}"
        ))
        .line("read -r now _ </proc/uptime; end=$((${now%.*} + 15))")
        .line("until ready; do")
        .line("  read -r now _ </proc/uptime")
        .line("  if [ \"${now%.*}\" -ge \"$end\" ]; then")
        .line("    ! used || exit 0")
        .line(format!(
            "    echo \"port {WRITE_PORT} leads to no database server whose certificate is good for it, and the application stays with the URLs that it has; run foobar apply without --limit, so that the database servers are ready for it:\" >&2"
        ))
        .line(format!("    {{ echo \"take writes: $(writers | tr '\\n' ' ')\"; met {WRITE_PORT}; }} >&2; exit 1"))
        .line("  fi")
        .line("  sleep 0.2")
        .line("done")
}

impl Component for Paths {
    fn name(&self) -> &'static str {
        "paths"
    }

    fn packages(&self, site: &Site, host: &HostName) -> Vec<PackageName> {
        let Some((app, mysql)) = both(site) else { return Vec::new() };
        // socat is the one small program that gives a shell a socket: to HAProxy's on one side, to listen on the other.
        match (app.on.contains(host), mysql.hosts().any(|h| h == host)) {
            (true, _) => packages(["haproxy", "openssl", "socat"]),
            (false, true) => packages(["socat"]),
            (false, false) => Vec::new(),
        }
    }

    fn endpoints(&self, site: &Site) -> Vec<Endpoint> {
        let Some((app, mysql)) = both(site) else { return Vec::new() };
        let endpoint = |host: &HostName, port, from| Endpoint {
            component: "paths",
            host: host.clone(),
            protocol: super::spec::Protocol::Tcp,
            port,
            from,
        };
        let mut all = Vec::new();
        for host in mysql.hosts() {
            let from = app.on.iter().filter(|h| *h != host).cloned().collect();
            all.push(endpoint(host, HEALTH_PORT, Peers::Hosts(from)));
        }
        for host in &app.on {
            all.extend([WRITE_PORT, READ_PORT, PATHS_LOCAL].map(|port| endpoint(host, port, Peers::Loopback)));
        }
        all
    }

    fn resources(&self, site: &Site, desired: &mut Desired) -> Result<(), TemplateError> {
        let Some((app, mysql)) = both(site) else { return Ok(()) };
        health::resources(site, mysql, desired)?;
        let mut ready = vec![Key::new(&mysql.primary, database_objects())];
        ready.extend(mysql.replicas.iter().map(|r| Key::new(r, replication_source())));
        for host in mysql.hosts() {
            // Its certificate must be good for loopback, and its rules let the checks in.
            let services = [mysql::unit(mysql), HEALTH_UNIT].map(Service::key);
            ready.extend(services.into_iter().chain([Ruleset::key()]).map(|id| Key::new(host, id)));
        }
        let (config, generation) = rendered(site, mysql)?;
        let unit = Content::new(site.templates.render(UNIT_TEMPLATE, &unit_context(site, mysql))?);
        let config = Content::new(config);
        let balancers = site.topology.haproxy.as_ref().map(|h| h.on.as_slice()).unwrap_or_default();
        for host in &app.on {
            if !balancers.contains(host) {
                desired.want(host, Idle { unit: HAPROXY_UNIT, package: "haproxy" }, []);
            }
            let check = Script::new().line(format!("haproxy -c -q -f {CONFIG}"));
            let files = Files::new("database paths configuration", vec![File::text(CONFIG, config.clone())])
                .checked(["/etc/foobar"], check);
            // Apart from the configuration, so that a change of that alone is never taken for one of the unit.
            let verify = Script::new().line(format!("systemd-analyze verify {UNIT}"));
            let units = Files::new("database paths unit", vec![File::text(UNIT, unit.clone())])
                .checked(["/etc/systemd/system"], verify);
            let input = |path: &str, content: &Content, from: &Files| Input {
                path: path.into(),
                content: content.clone(),
                from: from.id(),
            };
            let mut service = Service::new(PATHS_UNIT);
            service.restart_on = vec![input(UNIT, &unit, &units)];
            service.reload_on = vec![input(CONFIG, &config, &files)];
            service.reload = Some(master::reload(PATHS_UNIT, MASTER));
            service.proof = Some(proof(&generation));
            service.restart_impact = Impact::ConnectionDrop;
            (service.layer, service.ports) = (2, vec![WRITE_PORT, READ_PORT, PATHS_LOCAL]);
            let mut after = vec![desired.want(host, files, []), desired.want(host, units, [])];
            after.push(Key::new(host, app_authority()));
            after.extend(ready.iter().cloned());
            desired.want(host, service, after);
        }
        Ok(())
    }

    fn checks(&self, site: &Site) -> Vec<Check> {
        checks::all(site)
    }

    fn origins(&self, site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
        origin::all(site, host)
    }
}

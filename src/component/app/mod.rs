//! The application: its account, its releases, its environment and its unit. What it is told about the database follows
//! from the topology; what it does is its own business.

mod checks;
mod origin;

use super::{
    Check, Component, Desired, Endpoint, Peers, Source, bracketed, http,
    names::{
        APP_AUTHORITY, APP_MIGRATE, APP_RO, APP_ROOT, APP_RW, APP_UNIT, APP_USER, DATABASE_ADDRESS, PATHS_UNIT,
        READ_PORT, STACK_CA, STACK_CA_FILE, STACK_CA_NAME, WRITE_PORT, database_objects, new_passwords,
        replication_source,
    },
    origin::{Origin, Source as From},
    site::{Release, Site},
    spec,
};
use crate::{
    base::{
        name::{EnvName, HostName, PackageName, UserName},
        script::Script,
        secret::{Content, Encoding, env_value, place},
        template::TemplateError,
    },
    resource::{
        Key, Resource,
        account::Account,
        files::{File, Files},
        migration::Migration,
        release::{Current, Unpacked},
        service::{Input, Service},
    },
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

const ENVIRONMENT: &str = "/etc/foobar/app.env";
const UNIT: &str = "/etc/systemd/system/foobar-app.service";

/// `app:`
#[derive(Debug)]
pub struct App;

#[derive(Serialize)]
struct Variable {
    name: String,
    value: String,
}

#[derive(Serialize)]
struct UnitContext<'a> {
    site: &'a str,
    user: &'a str,
    root: &'a str,
    run: String,
}

/// The directory name of a release.
fn release_name(release: &Release) -> String {
    release.digest[..16].to_owned()
}

/// The name that an app's secret is kept under: `app-session-key`; where the variable has small letters itself, another
/// prefix keeps it apart from the one that has none.
fn secret_name(variable: &EnvName) -> String {
    let name = variable.as_str().replace('_', "-");
    if name.contains(|c: char| c.is_ascii_lowercase()) {
        format!("app.{name}")
    } else {
        format!("app-{}", name.to_ascii_lowercase())
    }
}

/// A database's URL, as a whole value of an EnvironmentFile.
fn url(mysql: &spec::Mysql, (address, port): (IpAddr, u16), (user, password): (&str, &str)) -> String {
    format!(
        "\"mysql://{user}:{}@{}:{port}/{}?ssl_ca={STACK_CA_FILE}\"",
        place(password, Encoding::Url),
        bracketed(address),
        mysql.database
    )
}

/// Whose environment it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    /// The application's, which goes the ways that lead to whoever has the role.
    Service,
    /// The migration's, which goes to the primary itself, also for what it reads: it runs before any host of the new release
    /// has its ways, it is no request that may be cut off when a role moves, and it reads what it has just written.
    Migration,
}

/// The environment of the app on a host.
fn environment(site: &Site, app: &spec::App, host: &HostName, whose: For) -> Result<Content, TemplateError> {
    let context = variables(site, app, host, whose);
    Ok(Content::new(site.templates.render("app/app.env.tera", &context)?))
}

fn variables(site: &Site, app: &spec::App, host: &HostName, whose: For) -> BTreeMap<&'static str, Vec<Variable>> {
    let mut variables = Vec::new();
    let mut add = |name: &str, value: String| variables.push(Variable { name: name.to_owned(), value });
    for (name, value) in &app.env {
        add(name.as_str(), env_value(value.as_str()));
    }
    for name in app.secrets.keys() {
        add(name.as_str(), place(&secret_name(name), Encoding::Env));
    }
    // Last, and the last word counts: what is promised here is kept, whatever the file above says.
    add("HOST", env_value(host.as_str()));
    add("LISTEN", env_value(&local(app).to_string()));
    if let Some(mysql) = &site.topology.mysql {
        add("DATABASE_CA", env_value(STACK_CA_FILE));
        let primary = (site.address(&mysql.primary), 3306);
        let (read, write, writer) = match whose {
            For::Service => ((DATABASE_ADDRESS, READ_PORT), (DATABASE_ADDRESS, WRITE_PORT), APP_RW),
            For::Migration => (primary, primary, APP_MIGRATE),
        };
        add("DATABASE_READ_URL", url(mysql, read, APP_RO));
        add("DATABASE_WRITE_URL", url(mysql, write, writer));
    }
    BTreeMap::from([("variables", variables)])
}

fn unit_context<'a>(site: &'a Site, app: &spec::App) -> UnitContext<'a> {
    UnitContext { site: site.topology.site.as_str(), user: APP_USER, root: APP_ROOT, run: exec_start(app) }
}

/// Where the app listens.
fn local(app: &spec::App) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), app.port)
}

/// A program named by a relative path is one of the release; systemd takes absolute paths and plain names alone.
fn in_release(program: &str) -> String {
    if program.contains('/') && !program.starts_with('/') {
        format!("{APP_ROOT}/current/{}", program.trim_start_matches("./"))
    } else {
        program.to_owned()
    }
}

fn exec_start(app: &spec::App) -> String {
    let (line, program) = (app.run.systemd(), &app.run.words()[0]);
    let rest = line.strip_prefix(&format!("\"{program}")).unwrap_or(&line);
    format!("\"{}{rest}", in_release(program))
}

impl App {
    fn secrets(site: &Site, app: &spec::App, desired: &mut Desired) {
        for (name, source) in &app.secrets {
            let source = match (source, site.given.get(name)) {
                (spec::SecretSource::Generate, _) => Source::Password,
                (_, Some(value)) => Source::Given(value.clone()),
                (_, None) => Source::Kept,
            };
            desired.secret(secret_name(name), source, app.on.clone());
        }
        if let Some(mysql) = &site.topology.mysql {
            // The database's own hosts come first: their word counts.
            let homes = || mysql.hosts().chain(&app.on).cloned();
            for (_, password) in [APP_RW, APP_RO] {
                desired.secret(password, Source::Password, homes());
            }
            if app.migrate.is_some() {
                desired.secret(APP_MIGRATE.1, Source::Password, mysql.hosts().chain(app.on.first()).cloned());
            }
            let authority = Source::Authority { common_name: STACK_CA_NAME.into(), names: Vec::new() };
            desired.secret(STACK_CA, authority, mysql.hosts().cloned());
        }
    }

    /// What an app host has before any host switches; the answer is what the migration waits for.
    fn prepare(
        site: &Site,
        user: &UserName,
        host: &HostName,
        unpacked: Option<Unpacked>,
        desired: &mut Desired,
    ) -> Vec<Key> {
        let home = format!("/var/lib/{APP_USER}");
        let mut keys = vec![desired.want(host, Account { name: user.clone(), home }, [])];
        if site.topology.mysql.is_some() {
            let authority = File::text(STACK_CA_FILE, Content::of(&format!("{STACK_CA}.crt"))).mode(0o644);
            keys.push(desired.want(host, Files::new(APP_AUTHORITY, vec![authority]), []));
        }
        keys.extend(unpacked.map(|unpacked| desired.want(host, unpacked, [])));
        keys
    }
}

impl Component for App {
    fn name(&self) -> &'static str {
        "app"
    }

    fn packages(&self, site: &Site, host: &HostName) -> Vec<PackageName> {
        let app = site.topology.app.iter().filter(|a| a.on.contains(host));
        app.flat_map(|a| a.packages.clone()).collect()
    }

    fn endpoints(&self, site: &Site) -> Vec<Endpoint> {
        let Some(app) = &site.topology.app else { return Vec::new() };
        let on = |host: &HostName| Endpoint {
            component: "app",
            host: host.clone(),
            protocol: spec::Protocol::Tcp,
            port: app.port,
            from: Peers::Loopback,
        };
        app.on.iter().map(on).collect()
    }

    fn resources(&self, site: &Site, desired: &mut Desired) -> Result<(), TemplateError> {
        let (Some(app), Ok(user)) = (&site.topology.app, APP_USER.parse::<UserName>()) else { return Ok(()) };
        Self::secrets(site, app, desired);
        let release = site.release.as_ref();
        let unpacked = release.map(|r| Unpacked {
            root: APP_ROOT.into(),
            name: release_name(r),
            digest: r.digest.clone(),
            archive: r.archive.clone(),
        });
        let mut prepared = Vec::new();
        for host in &app.on {
            prepared.extend(Self::prepare(site, &user, host, unpacked.clone(), desired));
        }
        let mysql = site.topology.mysql.as_ref();
        let mut ready: Vec<Key> = mysql.map(|m| Key::new(&m.primary, database_objects())).into_iter().collect();
        // It reads from replicas, with passwords that come there from the primary.
        ready.extend(mysql.into_iter().flat_map(|m| &m.replicas).map(|h| Key::new(h, new_passwords())));
        let migrates = app.migrate.as_ref().zip(app.on.first()).zip(release);
        if let Some(((command, first), release)) = migrates {
            let name = release_name(release);
            let directory = format!("{APP_ROOT}/releases/{name}");
            let mut words = command.words().to_vec();
            words[0] = in_release(&words[0]).replacen(&format!("{APP_ROOT}/current/"), &format!("{directory}/"), 1);
            let migration = Migration {
                release: name,
                command: words,
                directory,
                user: user.clone(),
                environment: environment(site, app, first, For::Migration)?,
                witnesses: app.on.clone(),
            };
            let after: Vec<Key> = prepared.iter().chain(&ready).cloned().collect();
            ready.push(desired.want(first, migration, after));
        }
        let mut previous: Option<Key> = None;
        for host in &app.on {
            let environment = environment(site, app, host, For::Service)?;
            let unit = Content::new(site.templates.render("app/foobar-app.service.tera", &unit_context(site, app))?);
            let files = vec![
                File::directory("/etc/foobar"),
                File::text(ENVIRONMENT, environment.clone()).mode(0o600),
                File::text(UNIT, unit.clone()),
            ];
            let verify = Script::new().line(format!("systemd-analyze verify {UNIT}"));
            let files = Files::new("app unit and environment", files).checked(["/etc/systemd/system"], verify);
            let from = files.id();
            let input = |path: &str, content: Content| Input { path: path.into(), content, from: from.clone() };
            let mut service = Service::new(APP_UNIT);
            (service.layer, service.ports) = (2, vec![app.port]);
            service.restart_on = vec![input(ENVIRONMENT, environment), input(UNIT, unit)];
            let mut after = vec![desired.want(host, files, [])];
            // Its URLs lead nowhere before its ways to the database are there.
            after.extend(mysql.map(|_| Key::new(host, Service::key(PATHS_UNIT))));
            if let Some(release) = release {
                let name = release_name(release);
                let migrated = app.migrate.is_some();
                let current =
                    Current { root: APP_ROOT.into(), name: name.clone(), keep: site.topology.keep.releases, migrated };
                service.restart_on.push(Input {
                    path: format!("{APP_ROOT}/current"),
                    content: Content::new(name),
                    from: current.id(),
                });
                after.push(desired.want(host, current, ready.iter().chain(&prepared).cloned()));
            }
            let complaint = format!("the app does not answer 200 on {} within 30 s", app.health);
            service.proof = Some(http::wait_for(
                local(app),
                app.health.as_str(),
                site.topology.site.as_str(),
                None,
                300,
                &complaint,
            ));
            after.extend(ready.iter().cloned());
            after.extend(mysql.into_iter().flat_map(|m| &m.replicas).map(|r| Key::new(r, replication_source())));
            // One after the other, each proved before the next: the others serve meanwhile, and a release that does not
            // start takes one host down, not all.
            after.extend(previous.take());
            previous = Some(desired.want(host, service, after));
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

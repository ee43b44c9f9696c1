//! What a site makes of its hosts: every file as a snapshot, values that could break out, and every file before the
//! daemon's own checker where that is installed (`FOOBAR_REQUIRE_CHECKERS=1`: it must be).

mod acme;
mod monitoring;

use super::{spec::*, testing, *};
use crate::{
    base::secret::{Secrets, place},
    resource::{Observation, Seen, ruleset::LOGIN, system::FACTS},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

/// Every file that a host shall have, as `diff` would show it for a bare host.
fn files(site: &Site, host: &str) -> BTreeMap<String, String> {
    let mut desired = Desired::default();
    for component in all(site) {
        component.resources(site, &mut desired).unwrap();
    }
    let mut secrets = Secrets::default();
    for spec in &desired.secrets {
        for suffix in ["", ".crt", ".key", ".thumbprint"] {
            secrets.insert(format!("{}{suffix}", spec.name), Secret::new("…"));
        }
    }
    // A release that has every package.
    let (mut here, all) = (Observation::default(), BTreeMap::new());
    here.add(FACTS.name, "system\tdebian\tsid\tDebian GNU/Linux sid");
    let port = site.topology.hosts[0].ssh.port.unwrap_or(22);
    here.add(LOGIN.name, &format!("login\t192.0.2.7\t{port}"));
    let mut files = BTreeMap::new();
    for wanted in desired.wanted.iter().filter(|w| w.host.as_str() == host) {
        let changing = BTreeMap::new();
        let seen = Seen {
            host: &wanted.host,
            here: &here,
            all: crate::resource::All::of(&all),
            secrets: &secrets,
            fingerprint_key: "key",
            changing: &changing,
            now: 0,
        };
        let change = wanted.resource.diff(&seen).unwrap();
        for diff in change.into_iter().flat_map(|c| c.diffs).filter(|d| d.after.is_some()) {
            assert!(files.insert(diff.path.clone(), diff.after.unwrap()).is_none(), "two files at {}", diff.path);
        }
    }
    files
}

fn file(site: &Site, host: &str, path: &str) -> String {
    files(site, host).remove(path).unwrap_or_else(|| panic!("no {path} on {host}"))
}

/// The other end of every choice, over IPv6 where that can be.
fn other() -> Topology {
    let mut t = testing::topology();
    for (n, host) in t.hosts.iter_mut().enumerate() {
        host.address = format!("fd00::{}", n + 1).parse().unwrap();
        host.ssh.port = Some(2222);
    }
    let haproxy = t.haproxy.as_mut().unwrap();
    (haproxy.algorithm, haproxy.backends) = (Algorithm::IpHash, Backends::ActivePassive);
    haproxy.health.path = Some("/readyz".parse().unwrap());
    t.tls = Tls { profile: Profile::Modern, redirect_http: false, hsts: None, ..Tls::default() };
    t.mysql.as_mut().unwrap().engine = Engine::Mysql;
    let nginx = t.nginx.as_mut().unwrap();
    nginx.statics.push(("/".parse().unwrap(), "site".parse().unwrap()));
    nginx.statics.push(("/assets/".parse().unwrap(), "public/new".parse().unwrap()));
    t.firewall = Firewall {
        admin_from: ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7/32", "2001:db8::/32"].map(|n| n.parse().unwrap()).to_vec(),
        allow: vec![
            Allow { on: vec![], protocol: Protocol::Udp, port: 161, from: vec!["192.0.2.0/24".parse().unwrap()] },
            Allow { on: vec!["web-01".parse().unwrap()], protocol: Protocol::Tcp, port: 9000, from: vec![] },
        ],
        ..Firewall::default()
    };
    t
}

/// Web servers without an application.
fn statics() -> Topology {
    let mut t = testing::topology();
    (t.app, t.mysql) = (None, None);
    t.nginx.as_mut().unwrap().statics = vec![];
    t.haproxy.as_mut().unwrap().algorithm = Algorithm::LeastConnections;
    t
}

/// Names that the stack's own servers answer for, and one that they do not; one server is reached over IPv6.
fn named() -> Topology {
    let mut t = testing::topology();
    t.hosts[2].address = "fd00::22".parse().unwrap();
    t.dns = Some(Dns {
        served: Served::Own {
            on: ["lb-01", "web-02"].map(|h| h.parse().unwrap()).to_vec(),
            zone: "foobar.com".parse().unwrap(),
            elsewhere: vec!["www.foobar.org".parse().unwrap()],
        },
        ttl: Some(crate::base::name::Span::seconds(300)),
        caa: vec!["letsencrypt.org".parse().unwrap()],
    });
    t.aliases.push("www.foobar.org".parse().unwrap());
    t
}

#[test]
fn every_file_of_a_typical_site() {
    let site = testing::site(testing::topology());
    for host in ["lb-01", "web-01"] {
        for (path, text) in files(&site, host) {
            let name = format!("{host}{}", path.replace('/', "-"));
            insta::assert_snapshot!(name, text);
        }
    }
}

#[test]
fn the_other_end_of_every_choice() {
    let site = testing::site(other());
    for (name, host, path) in [
        ("other-haproxy", "lb-01", "/etc/haproxy/haproxy.cfg"),
        ("other-nginx", "web-01", "/etc/nginx/conf.d/foobar.conf"),
        ("other-firewall", "web-01", "/etc/foobar/firewall.nft"),
        ("other-app", "web-02", "/etc/foobar/app.env"),
        ("other-mysql", "web-02", "/etc/mysql/mysql.conf.d/zz-foobar.cnf"),
        ("other-paths", "web-02", "/etc/foobar/db-paths.cfg"),
        ("other-watch", "web-02", "/etc/foobar/db-watch.sh"),
        ("other-health", "web-02", "/etc/systemd/system/foobar-db-health.service"),
    ] {
        insta::assert_snapshot!(name, file(&site, host, path));
    }
    let site = testing::site(named());
    insta::assert_snapshot!("named-nsd", file(&site, "web-02", "/etc/nsd/nsd.conf.d/foobar.conf"));
    insta::assert_snapshot!("named-zone", file(&site, "web-02", "/etc/nsd/foobar.zone"));
    insta::assert_snapshot!("named-firewall", file(&site, "lb-01", "/etc/foobar/firewall.nft"));
    let site = testing::site(statics());
    insta::assert_snapshot!("statics-nginx", file(&site, "web-01", "/etc/nginx/conf.d/foobar.conf"));
}

#[test]
fn balancers_that_stand_in_for_each_other() {
    let site = testing::site(testing::pair(Mode::ActivePassive));
    for (path, text) in files(&site, "lb-01") {
        if path.contains("keepalived") || path.ends_with(".nft") {
            insta::assert_snapshot!(format!("pair{}", path.replace('/', "-")), text);
        }
    }
    let both = testing::site(testing::pair(Mode::ActiveActive));
    insta::assert_snapshot!("pair-active-active", file(&both, "lb-02", "/etc/keepalived/keepalived.conf"));
    // A client's address leads both to the same backend, and neither knows which of them it is.
    let balancer = |host| file(&both, host, "/etc/haproxy/haproxy.cfg");
    assert_eq!(balancer("lb-01"), balancer("lb-02"));
    assert!(balancer("lb-01").contains("stats socket /run/haproxy/questions.sock mode 666 level user\n"));
    // Web servers hear of the balancers' own addresses alone: requests come from there, whatever address they came to.
    let web = file(&both, "web-01", "/etc/nginx/conf.d/foobar.conf");
    assert!(web.contains("10.77.0.12") && !web.contains("10.77.0.10"), "{web}");
}

#[test]
fn balancers_are_changed_one_after_the_other() {
    let site = testing::site(testing::pair(Mode::ActivePassive));
    let mut desired = Desired::default();
    for component in all(&site) {
        component.resources(&site, &mut desired).unwrap();
    }
    for unit in [names::HAPROXY_UNIT, names::KEEPALIVED_UNIT] {
        let id = crate::resource::service::Service::key(unit);
        let after = |host: &str| {
            desired.wanted.iter().find(|w| w.host.as_str() == host && w.resource.id() == id).unwrap().after.clone()
        };
        assert!(after("lb-02").contains(&Key::new(&"lb-01".parse().unwrap(), id.clone())), "{unit}");
        assert!(!after("lb-01").contains(&Key::new(&"lb-02".parse().unwrap(), id.clone())), "{unit}");
    }
}

#[test]
fn balancers_make_the_same_of_one_site_and_a_change_of_it_changes_the_generation() {
    let generation = |t: Topology| {
        let text = file(&testing::site(t), "lb-01", "/etc/haproxy/haproxy.cfg");
        text.lines().find(|l| l.contains("if { path /.foobar/generation }")).unwrap().to_owned()
    };
    assert_eq!(generation(testing::topology()), generation(testing::topology()));
    assert_ne!(generation(testing::topology()), generation(statics()));
}

#[test]
fn no_role_stands_in_what_the_application_has() {
    let of = |t: Topology, host: &str| {
        let site = testing::site(t);
        ["/etc/foobar/app.env", "/etc/foobar/db-paths.cfg"].map(|path| file(&site, host, path))
    };
    let env = of(testing::topology(), "web-01")[0].clone();
    for url in ["@127.0.0.1:6446/foobar?ssl_ca=/etc/foobar/stack-ca.crt", "@127.0.0.1:6447/foobar?ssl_ca="] {
        assert!(env.contains(url), "{env}");
    }
    // The same on every host, and with the roles changed it is the order of the servers alone that differs.
    let host = |env: &str| env.lines().filter(|l| !l.starts_with("HOST=")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(host(&env), host(&of(testing::topology(), "web-02")[0]));
    let mut t = testing::topology();
    let mysql = t.mysql.as_mut().unwrap();
    std::mem::swap(&mut mysql.primary, &mut mysql.replicas[0]);
    assert_eq!(env, of(t, "web-01")[0]);
}

#[test]
fn a_migration_goes_to_the_primary_itself() {
    let site = testing::site(testing::topology());
    let mut desired = Desired::default();
    for component in all(&site) {
        component.resources(&site, &mut desired).unwrap();
    }
    let migration = desired.wanted.iter().find(|w| w.resource.id() == crate::resource::migration::Migration::key());
    let said = format!("{:?}", migration.unwrap().resource);
    assert!(said.contains("@10.77.0.21:3306/") && !said.contains("6446") && !said.contains("10.77.0.22"), "{said}");
}

#[test]
fn hostile_values_stay_inside_their_line() {
    let mut t = testing::topology();
    let app = t.app.as_mut().unwrap();
    app.env.insert("EVIL".parse().unwrap(), "a\"b\\c$HOME`id` 'x' # %n".parse().unwrap());
    app.env.insert("LISTEN".parse().unwrap(), "0.0.0.0:1".parse().unwrap());
    app.run = "./bin/run '100%' 'a\"b' \"$LISTEN\" '; rm -rf /'".parse().unwrap();
    app.secrets.insert("session_key".parse().unwrap(), SecretSource::Generate);
    let site = testing::site(t);
    let env = file(&site, "web-01", "/etc/foobar/app.env");
    assert!(env.contains("\nEVIL=\"a\\\"b\\\\c\\$HOME\\`id\\` 'x' # %n\"\n"), "{env}");
    // What foobar promises is said last, and the last word counts.
    assert!(env.rfind("LISTEN=\"127.0.0.1:8000\"") > env.rfind("LISTEN=\"0.0.0.0:1\""), "{env}");
    // Two variables that differ by case alone are two secrets.
    assert!(env.contains("SESSION_KEY=(secret app-session-key") && env.contains("session_key=(secret app.session-key"));
    let unit = file(&site, "web-01", "/etc/systemd/system/foobar-app.service");
    let run = "ExecStart=\"/srv/foobar/current/bin/run\" \"100%%\" \"a\\\"b\" \"$LISTEN\" \"; rm -rf /\"\n";
    assert!(unit.contains(run), "{unit}");
}

#[test]
fn no_rendered_file_holds_a_secret_place_where_none_belongs() {
    let site = testing::site(testing::topology());
    let mark = place("x", crate::base::secret::Encoding::Plain);
    for host in ["lb-01", "web-01", "web-02"] {
        for (path, text) in files(&site, host) {
            assert!(!text.contains(mark.chars().next().unwrap()), "{path}");
        }
    }
}

#[test]
fn a_migration_comes_after_the_database_and_before_every_switch() {
    let site = testing::site(testing::topology());
    let mut desired = Desired::default();
    for component in all(&site) {
        component.resources(&site, &mut desired).unwrap();
    }
    let after = |host: &str, id: crate::resource::ResourceId| {
        desired.wanted.iter().find(|w| w.host.as_str() == host && w.resource.id() == id).unwrap().after.clone()
    };
    let key = |host: &str, id| Key::new(&host.parse().unwrap(), id);
    let migration = crate::resource::migration::Migration::key();
    assert!(after("web-01", migration.clone()).contains(&key("web-01", names::database_objects())));
    for host in ["web-01", "web-02"] {
        let current = crate::resource::release::Current::key(names::APP_ROOT);
        assert!(after(host, current.clone()).contains(&key("web-01", migration.clone())));
        let service = crate::resource::service::Service::key(names::APP_UNIT);
        assert!(after(host, service).contains(&key(host, current)));
    }
}

/// All that a web server's own changes come after is done before it is taken out: so none of that may wait for one of them.
#[test]
fn nothing_between_two_changes_of_a_host_waits_for_it_to_be_taken_out() {
    let site = testing::site(testing::topology());
    let mut desired = Desired::default();
    for component in all(&site) {
        component.resources(&site, &mut desired).unwrap();
    }
    let after: BTreeMap<Key, &Vec<Key>> =
        desired.wanted.iter().map(|w| (Key::new(&w.host, w.resource.id()), &w.after)).collect();
    let pool = &desired.pools[0];
    let is_covered = |key: &Key| pool.members().contains(&key.host) && pool.covers(&key.id);
    let mut covered = 0;
    for key in after.keys().filter(|k| is_covered(k)) {
        covered += 1;
        for outside in after[key].iter().filter(|k| !is_covered(k)) {
            let mut open = vec![outside];
            while let Some(next) = open.pop() {
                let same = is_covered(next) && next.host == key.host;
                assert!(!same, "{key} comes after {outside}, which comes after {next}");
                open.extend(after.get(next).into_iter().flat_map(|all| all.iter()));
            }
        }
    }
    assert_eq!(covered, 8, "nginx, the app, its release and its ways to the database, on two hosts");
}

#[test]
fn every_template_is_embedded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut on_disk = Vec::new();
    for room in std::fs::read_dir(&root).unwrap() {
        for entry in std::fs::read_dir(room.unwrap().path()).unwrap() {
            let path = entry.unwrap().path();
            on_disk.push(path.strip_prefix(&root).unwrap().display().to_string());
        }
    }
    on_disk.sort();
    let embedded: Vec<&str> = crate::base::template::EMBEDDED.iter().map(|(name, _)| *name).collect();
    assert_eq!(on_disk, embedded);
}

// The daemons' own checkers.

fn checker(program: &str) -> Option<PathBuf> {
    let path =
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().map(|d| Path::new(d).join(program)).find(|p| p.exists());
    assert!(path.is_some() || std::env::var_os("FOOBAR_REQUIRE_CHECKERS").is_none(), "{program} is not installed");
    path
}

/// A directory of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("foobar-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a checker; its words where it refuses.
fn run(program: &Path, args: &[&str]) -> String {
    let out = Command::new(program).args(args).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{} refused:\n{said}", program.display());
    said
}

fn every_topology() -> [Topology; 8] {
    let [passive, active] = [Mode::ActivePassive, Mode::ActiveActive].map(testing::pair);
    let watched = testing::watched();
    let watched_other = Topology { monitoring: watched.monitoring.clone(), ..other() };
    [testing::topology(), other(), statics(), passive, active, watched, watched_other, testing::certified()]
}

#[test]
fn haproxy_accepts_every_configuration() {
    let Some(haproxy) = checker("haproxy") else { return };
    let scratch = Scratch::new("haproxy");
    let leaf = rcgen::generate_simple_self_signed(["www.foobar.com".to_owned()]).unwrap();
    let pem = scratch.write("site.pem", &format!("{}\n{}\n", leaf.cert.pem(), leaf.signing_key.serialize_pem()));
    let account = scratch.write("account.map", "thumbprint x\n");
    for topology in every_topology() {
        let text = file(&testing::site(topology), "lb-01", "/etc/haproxy/haproxy.cfg");
        let text = text.replace("/etc/haproxy/certs/site.pem", &pem).replace("/etc/haproxy/acme-account.map", &account);
        let path = scratch.write("haproxy.cfg", &text);
        let said = run(&haproxy, &["-c", "-f", &path]);
        let warnings: Vec<&str> =
            said.lines().filter(|l| l.contains("WARNING") && !l.contains("server state file")).collect();
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}

#[test]
fn haproxy_accepts_every_way_to_the_database() {
    let Some(haproxy) = checker("haproxy") else { return };
    let scratch = Scratch::new("paths");
    for topology in [testing::topology(), other(), without_replicas()] {
        let text = file(&testing::site(topology), "web-01", "/etc/foobar/db-paths.cfg");
        let path = scratch.write("db-paths.cfg", &text);
        let said = run(&haproxy, &["-c", "-f", &path]);
        let warnings: Vec<&str> =
            said.lines().filter(|l| l.contains("WARNING") && !l.contains("server state file")).collect();
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}

#[test]
fn nginx_accepts_every_configuration() {
    let Some(nginx) = checker("nginx") else { return };
    let scratch = Scratch::new("nginx");
    for topology in every_topology() {
        // Its test binds the addresses, and this machine has loopback alone.
        let text = file(&testing::site(topology), "web-01", "/etc/nginx/conf.d/foobar.conf")
            .replace("listen 10.77.0.21:", "listen 127.0.0.2:")
            .replace("listen [fd00::2]:", "listen 127.0.0.2:")
            .replace(":80 ", ":18080 ")
            .replace(":80;", ":18080;")
            .replace("/var/log/nginx/", &format!("{}/", scratch.0.display()));
        let site = scratch.write("site.conf", &text);
        let main = format!(
            "pid {0}/pid; error_log {0}/error.log; events {{}} http {{ access_log off; include {site}; }}",
            scratch.0.display()
        );
        let main = scratch.write("nginx.conf", &main);
        let said = run(&nginx, &["-t", "-c", &main]);
        assert!(!said.contains("[warn]"), "{said}");
    }
}

#[test]
fn nft_accepts_every_ruleset() {
    let Some(nft) = checker("nft") else { return };
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout == b"0\n");
    if !is_root {
        assert!(std::env::var_os("FOOBAR_REQUIRE_CHECKERS").is_none(), "nft checks rules for root alone");
        return;
    }
    let scratch = Scratch::new("nft");
    for topology in every_topology() {
        let site = testing::site(topology);
        for host in ["lb-01", "web-01"] {
            let path = scratch.write("firewall.nft", &file(&site, host, "/etc/foobar/firewall.nft"));
            run(&nft, &["-c", "-f", &path]);
        }
    }
}

#[test]
fn nsd_accepts_every_zone() {
    let (Some(conf), Some(zone)) = (checker("nsd-checkconf"), checker("nsd-checkzone")) else { return };
    let scratch = Scratch::new("nsd");
    let site = testing::site(named());
    let path = scratch.write("foobar.zone", &file(&site, "lb-01", "/etc/nsd/foobar.zone"));
    run(&zone, &["foobar.com", &path]);
    let text = file(&site, "lb-01", "/etc/nsd/nsd.conf.d/foobar.conf").replace("/etc/nsd/foobar.zone", &path);
    run(&conf, &[&scratch.write("nsd.conf", &text)]);
}

#[test]
fn systemd_accepts_the_unit_of_the_app() {
    let Some(analyze) = checker("systemd-analyze") else { return };
    let scratch = Scratch::new("systemd");
    let mut topology = testing::topology();
    topology.app.as_mut().unwrap().run = "sleep $LISTEN '100%' 'a\"b'".parse().unwrap();
    let text = file(&testing::site(topology), "web-01", "/etc/systemd/system/foobar-app.service");
    let path = scratch.write("foobar-app.service", &text);
    let said = run(&analyze, &["verify", "--man=no", &path]);
    assert!(!said.contains("foobar-app.service:"), "{said}");
}

/// Every site that the tests know, and what was rendered for it.
fn every_origin() -> Vec<(Site, HostName, origin::Origin)> {
    let mut all_of_them = Vec::new();
    for topology in every_topology().into_iter().chain([without_replicas(), named()]) {
        let hosts: Vec<HostName> = topology.hosts.iter().map(|h| h.name.clone()).collect();
        for host in hosts {
            let site = testing::site(topology.clone());
            let origins = origin::all(&all(&site), &site, &host).unwrap();
            for origin in origins {
                all_of_them.push((testing::site(topology.clone()), host.clone(), origin));
            }
        }
    }
    all_of_them
}

/// A database alone, with secrets of every kind beside it.
fn without_replicas() -> Topology {
    let mut t = testing::topology();
    let mysql = t.mysql.as_mut().unwrap();
    (mysql.replicas, mysql.semi_sync, mysql.max_connections) = (vec![], false, 20_000);
    let app = t.app.as_mut().unwrap();
    app.secrets.insert("API_KEY".parse().unwrap(), SecretSource::Env("API".into()));
    t
}

#[test]
fn every_variable_of_every_template_has_an_origin_and_every_origin_a_variable() {
    let mut seen = BTreeMap::<&str, usize>::new();
    for (site, host, origin) in every_origin() {
        *seen.entry(origin.template).or_default() += 1;
        let in_context: Vec<&String> = origin.context.as_object().unwrap().keys().collect();
        let in_table: Vec<&str> = origin.variables.iter().map(|(name, _)| *name).collect();
        for variable in &in_context {
            assert!(in_table.contains(&variable.as_str()), "{}: {variable} has no origin", origin.template);
            for item in [None, Some(0), Some(1_000)] {
                let at = origin::At { site: &site, host: &host, item, field: None, decides: false };
                assert!(!origin.sources(variable, &at).is_empty(), "{}: {variable}", origin.template);
            }
        }
        for name in in_table {
            assert!(in_context.iter().any(|v| *v == name), "{}: {name} is no variable of its", origin.template);
        }
    }
    let embedded: Vec<&str> = crate::base::template::EMBEDDED.iter().map(|(name, _)| *name).collect();
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), embedded, "every template is some file's");
}

#[test]
fn every_template_can_be_traced_line_by_line() {
    for (site, host, origin) in every_origin() {
        let traced = crate::base::trace::trace(&site.templates, origin.template, &origin.context).unwrap();
        let lines = traced.lines.unwrap_or_else(|| panic!("{} for {host} cannot be traced", origin.template));
        assert_eq!(lines.len(), traced.text.lines().count());
        assert!(lines.iter().all(|l| !l.template.is_empty()), "{}", origin.template);
        let (source, _) = site.templates.source(origin.template).unwrap();
        let source: Vec<&str> = source.lines().collect();
        for (text, line) in traced.text.lines().zip(&lines) {
            // A line that is copied is the very line of the template.
            if line.printed.is_empty() && line.template.len() == 1 && !source[line.template[0] - 1].contains("{%") {
                assert_eq!(source[line.template[0] - 1], text, "{}", origin.template);
            }
            for used in line.printed.iter().chain(&line.within).flat_map(|p| &p.uses) {
                let is_known = origin.context.as_object().unwrap().contains_key(&used.variable);
                assert!(is_known, "{}: {} is no variable", origin.template, used.variable);
            }
        }
    }
}

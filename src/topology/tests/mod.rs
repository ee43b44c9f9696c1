//! The topology as its users meet it: what is taken, what is refused and how it is said, and that nothing hostile gets
//! through or makes it panic.

mod acme;
mod certificates;
mod dns;
mod hostile;
mod monitoring;
mod redundancy;
mod spof;

use super::{Draft, Report, Source, Sources, Valid, load};
use crate::{
    base::name::Span,
    component::spec::{Certificate, Engine, Rollout, SecretSource, Share, Topology},
};
use miette::{GraphicalReportHandler, GraphicalTheme};
use serde_yaml::Value;

/// Every key there is.
const FULL: &str = "\
site: www.foobar.com
aliases: [foobar.com]
hosts:
  lb-01:  { address: 10.77.0.11 }
  web-01: { address: 10.77.0.21, ssh: { user: admin, port: 2222, jump: bastion } }
  web-02: { address: 10.77.0.22 }
haproxy:
  on: [lb-01]
  algorithm: least-connections
  backends: active-passive
  health: { path: /healthz, interval: 2s, rise: 2, fall: 3 }
  maxconn: 3000
tls:
  certificate: { cert: site.crt, key: site.key }
  profile: modern
  redirect_http: false
  hsts: 30d
nginx:
  on: [web-01, web-02]
  static: { /assets: public }
  max_body_mib: 8
app:
  on: [web-01, web-02]
  source: ./guestbook
  packages: [gunicorn, python3-flask]
  run: gunicorn --bind $LISTEN wsgi:app
  migrate: python3 migrate.py
  health: /up
  port: 8001
  env: { GREETING: hello, WORKERS: 2, DEBUG: false }
  secrets: { SESSION_KEY: generate, MAIL_KEY: { env: MAIL }, TOKEN: { file: token }, OTHER: { command: pass other } }
  canary: { write: /sign, field: message, read: / }
mysql:
  engine: mariadb
  primary: web-01
  replicas: [web-02]
  database: foobar
  semi_sync: true
  max_lag: 3s
  max_connections: 200
monitoring:
  on: [lb-01]
  every: 30s
  after: 5m
  retention: 90d
  alerts:
    webhook: https://hooks.example.com/x
    email:
      to: [ops@example.com]
      from: foobar@example.com
      smarthost: mail.example.com:587
      login: foobar
      password: { env: MAIL_PASSWORD }
firewall:
  admin_from: [203.0.113.0/24]
  allow:
    - { on: [lb-01], protocol: udp, port: 9100, from: [10.77.0.0/24] }
  confirm_within: 90s
keep: { generations: 3, releases: 2 }
rollout: { batch: 25%, canary: 90s, drain: 1m, keep_serving: 75% }
";

fn sources(topology: &str, inventory: Option<&str>) -> Sources {
    let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
    Sources { topology: source("foobar.yaml", topology), inventory: inventory.map(|t| source("inventory.yaml", t)) }
}

fn read(topology: &str) -> Result<Valid, Report> {
    load(sources(topology, None), 0)
}

fn shown(report: &Report) -> String {
    let handler =
        GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100).with_links(false);
    report.render(&handler)
}

fn refused(topology: &str, inventory: Option<&str>) -> String {
    match load(sources(topology, inventory), 0) {
        Ok(valid) => panic!("it was taken:\n{:#?}", valid.topology),
        Err(report) => shown(&report),
    }
}

#[test]
fn every_key_is_read() {
    let t: Topology = read(FULL).unwrap_or_else(|report| panic!("{}", shown(&report))).topology;
    let host = &t.hosts[1];
    assert_eq!((host.name.as_str(), host.ssh.port, t.hosts.len()), ("web-01", Some(2222), 3));
    let haproxy = t.haproxy.unwrap();
    assert_eq!((haproxy.maxconn, haproxy.health.path.unwrap().as_str()), (3000, "/healthz"));
    assert!(matches!(t.tls.certificate, Certificate::Files { .. }) && !t.tls.redirect_http);
    assert_eq!(t.nginx.unwrap().max_body_mib, 8);
    let app = t.app.unwrap();
    assert_eq!(
        app.env.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(),
        ["DEBUG=false", "GREETING=hello", "WORKERS=2"]
    );
    assert_eq!(app.secrets.values().filter(|s| matches!(s, SecretSource::Generate)).count(), 1);
    assert_eq!(app.canary.unwrap().field.as_str(), "message");
    let mysql = t.mysql.unwrap();
    assert_eq!((mysql.engine, mysql.max_lag.to_string(), mysql.max_connections), (Engine::Mariadb, "3s".into(), 200));
    let monitoring = t.monitoring.unwrap();
    assert_eq!((monitoring.every, monitoring.after), (Span::seconds(30), Span::seconds(300)));
    assert_eq!((monitoring.retention.to_string().as_str(), monitoring.on.len()), ("90d", 1));
    let email = monitoring.alerts.email.unwrap();
    assert_eq!((email.smarthost.as_str(), email.to.len()), ("mail.example.com:587", 1));
    assert!(email.password.is_some() && monitoring.alerts.webhook.is_some());
    assert_eq!((t.firewall.allow[0].port, t.firewall.confirm_within), (9100, Span::seconds(90)));
    assert_eq!((t.keep.generations, t.keep.releases), (3, 2));
    let (batch, canary) = (Share::Percent(25), Some(Span::seconds(90)));
    let rollout = Rollout { batch, canary, drain: Span::seconds(60), keep_serving: 75 };
    assert_eq!(t.rollout, rollout);
}

#[test]
fn an_inventory_wins_and_both_files_are_judged_together() {
    let inventory =
        "hosts:\n  web-01: { address: 192.0.2.1 }\n  spare: { address: 192.0.2.9 }\nssh: { user: deploy, port: 22 }\n";
    let valid = load(sources(FULL, Some(inventory)), 0).unwrap();
    let of = |name: &str| valid.topology.hosts.iter().find(|h| h.name.as_str() == name).unwrap();
    assert_eq!(of("web-01").address.to_string(), "192.0.2.1");
    assert_eq!(of("lb-01").ssh.user.as_ref().unwrap().as_str(), "deploy");
    assert_eq!(valid.topology.hosts.len(), 4);

    let bad = "hosts:\n  web-01: { adress: 192.0.2.1 }\n";
    insta::assert_snapshot!("both-files", refused(&FULL.replace("algorithm:", "algoritm:"), Some(bad)));
}

#[test]
fn mistakes_are_said_all_at_once_each_at_its_line() {
    for (name, text) in [
        ("empty", String::new()),
        ("not-a-mapping", "- a\n- b\n".into()),
        ("empty-inventory", FULL.into()),
        (
            "misspelt",
            FULL.replace("site: www", "sitee: www")
                .replace("nginx:", "ngnix:")
                .replace("hosts:", "host:")
                .replace("primary:", "primry:")
                .replace("source:", "sourse:"),
        ),
        ("leading-dash", FULL.replace("/assets: public", "/assets: -rf")),
        ("syntax", "site: [www.foobar.com\nhosts: {}\n".into()),
        ("tabs", "site: www.foobar.com\nhosts:\n\tlb-01: {}\n".into()),
        ("twice", "site: www.foobar.com\nsite: www.example.com\n".into()),
        ("unknown-host", FULL.replace("replicas: [web-02]", "replicas: [web-03]")),
        ("primary-is-replica", FULL.replace("replicas: [web-02]", "replicas: [web-01]")),
        ("port-clash", FULL.replace("on: [lb-01]\n  algorithm", "on: [web-01]\n  algorithm")),
        ("same-address", FULL.replace("10.77.0.22", "10.77.0.21")),
        ("own-variable", FULL.replace("GREETING", "LISTEN")),
        (
            "numbers",
            FULL.replace("rise: 2", "rise: 0")
                .replace("port: 8001", "port: 70000")
                .replace("max_lag: 3s", "max_lag: 3")
                .replace("batch: 25%", "batch: 0%")
                .replace("keep_serving: 75%", "keep_serving: 75"),
        ),
        ("hostile", FULL.replace("database: foobar", "database: \"a;b\"").replace("/healthz", "\"/a{b\"")),
    ] {
        let inventory = (name == "empty-inventory").then_some("# nobody yet\n");
        insta::assert_snapshot!(name, refused(&text, inventory));
    }
}

const HOSTILE: &[&str] = &[
    "a\nb",
    "a\r\nb",
    "it's",
    "a\"b",
    "$(id)",
    "`id`",
    "a;b",
    "{",
    "}",
    "a|b",
    "a&b",
    "a>b",
    "\0",
    "a b",
    "a\\b",
    "#",
    "\u{e000}pw|Plain\u{e001}",
    "{{ 7 }}",
    "{% x %}",
    "\u{2028}",
    "../../etc/passwd",
    "",
    "-rf",
    "%n",
    "*",
    "~",
    "\u{1b}[2J",
    "é",
    "99999999999999999999",
    "-1",
    "null",
    "[",
    "? ",
];

/// Every scalar and every key of the tree in turn, replaced.
fn replaced(value: &Value, with: &str) -> Vec<(String, Value)> {
    let text = Value::String(with.to_owned());
    match value {
        Value::Mapping(map) => {
            let mut all = Vec::new();
            for (key, inner) in map {
                let name = key.as_str().unwrap_or("?").to_owned();
                for (path, changed) in replaced(inner, with) {
                    let mut copy = map.clone();
                    copy.insert(key.clone(), changed);
                    all.push((format!("{name}.{path}"), Value::Mapping(copy)));
                }
                let mut renamed = map.clone();
                let inner = renamed.remove(key).unwrap_or(Value::Null);
                renamed.insert(text.clone(), inner);
                all.push((format!("{name} (key)"), Value::Mapping(renamed)));
            }
            all
        }
        Value::Sequence(items) => {
            let mut all = Vec::new();
            for (n, inner) in items.iter().enumerate() {
                for (path, changed) in replaced(inner, with) {
                    let mut copy = items.clone();
                    copy[n] = changed;
                    all.push((format!("{n}.{path}"), Value::Sequence(copy)));
                }
            }
            all
        }
        _ => vec![(String::new(), text)],
    }
}

/// Fields that take free text: local paths and commands, and what is quoted where it is written.
const FREE: &[&str] = &[
    "tls.certificate.cert",
    "tls.certificate.key",
    "app.source",
    "app.run",
    "app.migrate",
    "app.env.",
    "app.secrets.",
    "hosts.web-01.ssh.jump",
    "monitoring.alerts.email.password.",
];

#[test]
fn no_field_takes_what_could_break_out_of_a_config_line_or_a_shell_word() {
    let full: Value = serde_yaml::from_str(FULL).unwrap();
    let mut taken = 0;
    for hostile in HOSTILE {
        for (path, value) in replaced(&full, hostile) {
            let text = serde_yaml::to_string(&value).unwrap();
            let Ok(valid) = read(&text) else { continue };
            taken += 1;
            let path = path.trim_end_matches('.');
            let harmless = hostile.chars().all(|c| c.is_ascii_alphanumeric() || "-._/~".contains(c));
            assert!(harmless || FREE.iter().any(|free| path.starts_with(free)), "{path} took {hostile:?}");
            let app = valid.topology.app.as_ref().unwrap();
            let free = app.run.words().iter().map(String::as_str).chain(app.env.values().map(|v| v.as_str()));
            for word in free {
                assert!(
                    !word.chars().any(|c| c.is_control() || "\u{2028}\u{e000}\u{e001}".contains(c)),
                    "{path}: {word:?}"
                );
            }
        }
    }
    assert!(taken > 0, "nothing was taken at all: the test tests nothing");
}

#[test]
fn no_bytes_make_it_panic() {
    // A small xorshift, so that every run tries the same.
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for cut in (0..FULL.len()).step_by(11) {
        let _ = Draft::read(sources(&FULL[..cut], Some(&FULL[cut..]))).finish(None, 0);
    }
    for _ in 0..400 {
        let mut bytes = FULL.as_bytes().to_vec();
        for _ in 0..1 + next() % 6 {
            let at = usize::try_from(next()).unwrap_or(0) % bytes.len();
            let extra = b"\t\n :{}[]&*!|>'\"%@`#-?,~\x00\xff0";
            bytes[at] = extra[usize::try_from(next()).unwrap_or(0) % extra.len()];
        }
        if let Err(report) = read(&String::from_utf8_lossy(&bytes)) {
            let _ = (shown(&report), report.findings());
        }
    }
    for text in [
        "[".repeat(2000),
        "a: ".repeat(500),
        "{a: ".repeat(2000),
        "&a [*a, *a]".into(),
        "<<: *x".into(),
        "\u{feff}site: x".into(),
    ] {
        let _ = read(&text).map_err(|report| shown(&report));
    }
}

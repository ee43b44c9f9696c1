//! Hosts in every state, at the width of a desk and of a narrow window, and as programs get them.

use super::*;
use crate::{
    component::{haproxy::status::Server, status::Unit},
    report::tests::host,
    transport::TransportErrorKind,
};

fn unit(name: &str, state: &str) -> Unit {
    Unit { unit: name.into(), state: state.into(), is_enabled: true }
}

fn rows() -> Vec<Row> {
    let server = |name: &str, status: &str| Server { name: name.into(), status: status.into() };
    let lb = Glance {
        balancer: Some(Balancer {
            sessions: 412,
            requests_per_second: 87,
            servers: vec![server("web-01", "UP"), server("web-02", "DOWN")],
        }),
        certificate_ends: Some(1_800_000_000),
        certificate_days: Some(12),
        addresses: Some(vec!["10.77.0.100".parse().unwrap()]),
        firewall: Some(Firewall::Loaded),
        units: vec![unit("haproxy.service", "active")],
        faults: vec!["it has web-02 as DOWN".into()],
        notes: vec!["its certificate ends in 12 days".into()],
        ..Glance::default()
    };
    let database = |role, source: Option<&str>, lag_seconds| Database {
        role,
        is_open: role == Role::Primary,
        source: source.map(str::to_owned),
        is_replicating: source.is_some(),
        lag_seconds,
        trouble: None,
        certificate_ends: None,
        certificate_days: None,
    };
    let web = |role, source, lag| Glance {
        release: Some("3fa2b1c0d4e5f607".into()),
        database: Some(database(role, source, lag)),
        firewall: Some(Firewall::Loaded),
        units: ["foobar-app.service", "mariadb.service", "nginx.service"].map(|n| unit(n, "active")).to_vec(),
        ..Glance::default()
    };
    let mut broken = web(Role::Replica, Some("web-01"), Some(31));
    broken.units[2].state = "failed".into();
    broken.faults = vec!["nginx.service is failed: journalctl -u nginx.service".into()];
    broken.notes = vec!["it is 31 s behind, and 5 s are allowed".into(), "evil \u{1b}[2J\nword".into()];
    let mut slow = web(Role::Replica, Some("web-01"), None);
    slow.notes = vec!["it does not know how far it is behind".into()];
    let gone = TransportError {
        host: host("web-04"),
        kind: TransportErrorKind::Unreachable,
        what: "no answer from 10.77.0.24 port 22 within 10 s".into(),
        help: "check that the host is up, and that a firewall on the way lets SSH through from here".into(),
    };
    let row = |name: &str, roles: &[&'static str], found| Row { host: host(name), roles: roles.to_vec(), found };
    let roles = ["nginx", "app", "mysql"];
    vec![
        row("lb-01", &["haproxy"], Ok(lb)),
        row("web-01", &roles, Ok(web(Role::Primary, None, None))),
        row("web-02", &roles, Ok(broken)),
        row("web-03", &roles, Ok(slow)),
        row("web-04", &roles, Err(gone)),
    ]
}

fn shown(width: usize, quiet: bool) -> String {
    let view = View { palette: Palette::new(false), width, quiet };
    text(&"www.foobar.com".parse().unwrap(), "14:03:11", &rows(), view)
}

#[test]
fn every_state_at_every_width() {
    insta::assert_snapshot!("status", shown(100, false));
    insta::assert_snapshot!("status-narrow", shown(60, false));
    insta::assert_snapshot!("status-quiet", shown(100, true));
    for width in 40..=100 {
        for line in shown(width, false).lines() {
            assert!(line.chars().count() <= width, "{line:?} is wider than {width}");
            assert_eq!(line.trim_end(), line);
        }
    }
}

#[test]
fn colour_changes_no_letter() {
    let view = View { palette: Palette::new(true), width: 100, quiet: false };
    let coloured = text(&"www.foobar.com".parse().unwrap(), "14:03:11", &rows(), view);
    let plain: String = coloured
        .split("\u{1b}[")
        .map(|part| {
            part.split_once('m')
                .filter(|_| part.starts_with(|c: char| c.is_ascii_digit()))
                .map_or(part, |(_, rest)| rest)
        })
        .collect();
    assert_ne!(coloured, plain);
    let lines = |text: &str| text.lines().map(|l| l.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(lines(&plain), lines(&shown(100, false)));
}

#[test]
fn what_is_drawn_stays_on_the_screen() {
    let text = shown(60, false);
    let whole = drawn(&text, 60);
    assert!(whole.starts_with("\u{1b}[H") && whole.ends_with("\u{1b}[J"));
    assert_eq!(whole.matches("\u{1b}[K\n").count(), text.lines().count());
    let cut = drawn(&text, 10);
    assert_eq!(cut.lines().count(), 10, "nine lines, and what clears the rest");
    assert!(cut.contains("more lines") && cut.contains("Status: 1 ok"), "{cut}");
}

#[test]
fn programs_get_the_same() {
    let site = "www.foobar.com".parse().unwrap();
    insta::assert_snapshot!("status-json", json(&site, 1_799_000_000, &rows()));
    let line = line(&site, 1_799_000_000, &rows());
    assert_eq!(line.lines().count(), 1);
    let [one, other]: [Value; 2] =
        [&line, &json(&site, 1_799_000_000, &rows())].map(|text| serde_json::from_str(text).unwrap());
    assert_eq!(one, other);
}

//! Snapshots of everything that people and programs see. No colour, so that they read as text; colour is looked at by
//! eye (`look.rs`) and by the tests of `style.rs`.

use super::{
    checks,
    diff::DiffStyle,
    json, lines,
    outcome::Outcome,
    plan::{self as show, View},
    problem,
    record::{Checked, Record},
    style::{Palette, is_harmful},
    *,
};
use crate::{
    base::{name::HostName, script::Script},
    component::{Check, Verdict},
    event::{Event, Reporter},
    plan::{Plan, Step},
    resource::{Action, Change, FileDiff, Impact, Refusal, ResourceId, drift::Drift},
    transport::{TransportError, TransportErrorKind},
};
use std::time::Duration;

pub(super) fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

fn file(path: &str, before: Option<&str>, after: Option<&str>, notes: &[&str]) -> FileDiff {
    FileDiff {
        path: path.into(),
        before: before.map(Into::into),
        after: after.map(Into::into),
        notes: notes.iter().map(|n| (*n).to_owned()).collect(),
    }
}

/// A plan under construction: each call adds the same step to several hosts.
pub(super) struct Draft(pub(super) Plan);

impl Draft {
    pub(super) fn new(hosts: &[&str]) -> Self {
        let hosts = hosts.iter().map(|h| host(h)).collect();
        let site = "www.foobar.com".parse().unwrap();
        Self(Plan { site, hosts, steps: Vec::new(), left_out: Vec::new(), groups: Vec::new() })
    }

    pub(super) fn step(mut self, hosts: &[&str], id: (&'static str, &str), change: Change) -> Self {
        for name in hosts {
            let place = self.0.steps.len();
            let after = self.0.steps.iter().rev().find(|s| s.host == host(name)).map(|s| s.id);
            self.0.steps.push(Step {
                id: place,
                host: host(name),
                resource: ResourceId::new(id.0, id.1),
                change: change.clone(),
                after: after.into_iter().collect(),
            });
        }
        self
    }
}

pub(super) fn change(action: Action, summary: &str) -> Change {
    Change::new(action, summary, Script::raw("echo hush-hush"))
}

fn with(mut change: Change, diffs: impl IntoIterator<Item = FileDiff>) -> Change {
    change.diffs.extend(diffs);
    change
}

const NGINX_OLD: &str = "user www-data;\nworker_processes auto;\npid /run/nginx.pid;\n\nevents {\n    worker_connections 512;\n}\n\nhttp {\n    include mime.types;\n    sendfile on;\n    keepalive_timeout 65;\n    server_tokens on;\n}\n";

/// One of everything.
pub(super) fn everything() -> Plan {
    let new = NGINX_OLD.replace("512", "1024").replace("tokens on", "tokens off");
    let site = "server {\n    listen 8080;\n    root /srv/foobar/public;\n\n    location / {\n        proxy_pass http://127.0.0.1:8000;\n    }\n}\n";
    let long: String = (1..=160).map(|i| format!("option-{i} = {}\n", i * 7)).collect();
    let mut draft = Draft::new(&["lb-01", "web-01", "web-02", "db-01"])
        .step(&["lb-01"], ("packages", "haproxy"), change(Action::Create, "install haproxy, openssl"))
        .step(&["web-01", "web-02"], ("packages", "nginx"), change(Action::Create, "install nginx"))
        .step(&["db-01"], ("packages", "mysql"), change(Action::Create, "install mariadb-server"))
        .step(
            &["web-01", "web-02"],
            ("files", "nginx"),
            with(
                change(Action::Update, "write 2 files of nginx"),
                [
                    file("/etc/nginx/nginx.conf", Some(NGINX_OLD), Some(&new), &["mode 0644 -> 0640"]),
                    file("/etc/nginx/sites-enabled/foobar", None, Some(site), &["mode 0644"]),
                ],
            ),
        )
        .step(
            &["web-01", "web-02"],
            ("service", "nginx"),
            change(Action::Update, "reload nginx")
                .detail("the running configuration is older than its file")
                .drift(Drift::Outdated)
                .impact(Impact::Reload),
        )
        .step(
            &["web-01"],
            ("files", "app"),
            with(
                change(Action::Update, "write the app's environment"),
                [file(
                    "/etc/foobar/app.env",
                    Some("PORT=8000\nSESSION_KEY=(secret 1f0c9a77b2d4)\n"),
                    Some("PORT=8000\nSESSION_KEY=(secret 93be01aa5c6e)"),
                    &[],
                )],
            ),
        )
        .step(
            &["web-02"],
            ("files", "app"),
            with(
                change(Action::Update, "write the app's environment"),
                [file("/etc/foobar/app.env", Some("A=1\n"), Some("A=1\nB=\u{1b}[31mred\u{1b}[0m\r\n"), &[])],
            ),
        )
        .step(
            &["db-01"],
            ("files", "mysql"),
            with(
                change(Action::Create, "write 2 files of mysql"),
                [
                    file("/etc/mysql/conf.d/foobar.cnf", None, Some(&long), &[]),
                    file("/usr/share/foobar/logo.png", None, None, &["not shown: 1.2 MB of binary data"]),
                ],
            ),
        )
        .step(
            &["db-01"],
            ("service", "mysql"),
            change(Action::Replace, "replace the server's data directory").impact(Impact::WriteOutage),
        )
        .step(
            &["lb-01"],
            ("files", "old"),
            with(
                change(Action::Delete, "remove /etc/haproxy/errors/old.http"),
                [file("/etc/haproxy/errors/old.http", Some("HTTP/1.0 503\n\nsorry\n"), None, &[])],
            ),
        );
    draft.0.left_out = vec!["db-02: install mariadb-server".into()];
    draft.0
}

fn view(diff: DiffStyle) -> View {
    View { palette: Palette::new(false), diff, width: 100 }
}

#[test]
fn a_plan_as_text() {
    insta::assert_snapshot!("plan-short", show::text(&everything(), &view(DiffStyle::Short)));
    insta::assert_snapshot!("plan-summary", show::text(&everything(), &view(DiffStyle::None)));
    let full = show::text(&everything(), &view(DiffStyle::Full));
    assert!(full.contains("+ option-160 = 1120") && !full.contains("more lines"));
}

#[test]
fn a_plan_for_many_hosts() {
    let names: Vec<String> = (1..=40).map(|i| format!("web-{i:02}")).collect();
    let odd: Vec<&str> = names.iter().map(String::as_str).step_by(2).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let draft = Draft::new(&all)
        .step(&all, ("packages", "nginx"), change(Action::Create, "install nginx"))
        .step(&odd, ("service", "nginx"), change(Action::Update, "restart nginx").impact(Impact::Restart))
        .step(&all[..1], ("account", "x"), change(Action::Create, &"a summary that is far too long ".repeat(4)));
    insta::assert_snapshot!("plan-many", show::text(&draft.0, &view(DiffStyle::Short)));
}

#[test]
fn an_empty_plan() {
    let closing = |hosts: &[&str], left_out: &[&str]| {
        let mut draft = Draft::new(hosts);
        draft.0.left_out = left_out.iter().map(|l| (*l).to_owned()).collect();
        show::text(&draft.0, &view(DiffStyle::Short))
    };
    assert_eq!(closing(&["a", "b", "c"], &[]), "No changes. 3 hosts match the topology.\n");
    assert_eq!(closing(&["a"], &[]), "No changes. 1 host matches the topology.\n");
    insta::assert_snapshot!("plan-left-out", closing(&["a", "b"], &["b: install nginx"]));
}

#[test]
fn the_last_line_is_the_tally() {
    let plan = Draft::new(&["web-01", "web-02"])
        .step(&["web-01", "web-02"], ("packages", "p"), change(Action::Create, "install nginx"))
        .step(&["web-01"], ("files", "f"), change(Action::Create, "write x"))
        .step(&["web-01"], ("service", "s"), change(Action::Update, "reload nginx").impact(Impact::Reload))
        .0;
    let text = show::text(&plan, &view(DiffStyle::Short));
    assert_eq!(text.lines().last(), Some("Plan: 3 to add, 1 to change, 0 to remove on 2 hosts; impact: reload"));
}

#[test]
fn a_plan_as_json_holds_no_script_and_nothing_that_steers() {
    let text = json::plan(&everything());
    assert!(!text.contains("hush"));
    assert!(!text.chars().any(|c| is_harmful(c) && c != '\n'));
    let back: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(back["steps"][9]["diffs"][0]["after"], "A=1\nB=\u{1b}[31mred\u{1b}[0m\r\n");
    let small = Draft::new(&["web-01"]).step(
        &["web-01"],
        ("files", "f"),
        with(
            change(Action::Create, "write x").detail("why \u{9b}31m \u{202e}").impact(Impact::ConnectionDrop),
            [file("/x", None, Some("x\n"), &["mode 0644"])],
        ),
    );
    insta::assert_snapshot!("plan-json", json::plan(&small.0));
}

/// A run in which web-01's reload fails.
pub(super) fn failed_run(to: &mut dyn Reporter) {
    let plan = everything();
    let step = |id: usize| (id, plan.steps[id].host.clone(), plan.steps[id].change.summary.clone());
    to.event(&Event::ObserveStarted { hosts: 4 });
    for host in &plan.hosts {
        to.event(&Event::Connecting { host: host.clone() });
        to.event(&Event::Observed { host: host.clone(), millis: 412 });
    }
    to.event(&Event::ApplyStarted { steps: plan.steps.len() });
    let started = |id| {
        let (step, host, summary) = step(id);
        Event::StepStarted { step, host, summary }
    };
    for id in 0..6 {
        to.event(&started(id));
        let (step, host, _) = step(id);
        to.event(&Event::StepOutput { step, host: host.clone(), line: "Unpacking \u{1b}[2Jnginx …".into() });
        to.event(&Event::StepDone { step, host, millis: 8_200 });
    }
    let (failing, at, _) = step(6);
    to.event(&started(6));
    for i in 1..=24 {
        let line = format!("nginx: line {i} of the output");
        to.event(&Event::StepOutput { step: failing, host: at.clone(), line });
    }
    let why = "exit status 1\nnginx: [emerg] unknown directive \"foo\" in /etc/nginx/nginx.conf:3".to_owned();
    to.event(&Event::StepFailed { step: failing, host: at, why });
    for id in [7, 8, 9] {
        to.event(&Event::StepSkipped { step: id, host: plan.steps[id].host.clone(), cause: failing });
    }
    to.event(&started(10));
    to.event(&Event::Note { host: Some(host("db-01")), text: "kept its data".into() });
}

#[test]
fn the_end_of_apply() {
    let plan = everything();
    let end = |record: &Record| Outcome::new(&plan, record, Duration::from_millis(21_400)).text(Palette::new(false));
    let mut good = Record::new();
    for step in &plan.steps {
        good.event(&Event::StepDone { step: step.id, host: step.host.clone(), millis: 5 });
    }
    assert_eq!(end(&good), "Applied: 13 steps on 4 hosts in 21.4 s.\n");
    let mut bad = Record::new();
    failed_run(&mut bad);
    insta::assert_snapshot!("apply-failed", end(&bad));
    insta::assert_snapshot!("apply-nothing-begun", end(&Record::new()));
}

#[test]
fn progress_line_by_line() {
    let run = |verbosity| {
        let mut out = Vec::new();
        failed_run(&mut lines::Lines::new(&mut out, Palette::new(false), verbosity));
        String::from_utf8(out).unwrap()
    };
    insta::assert_snapshot!("lines", run(Verbosity::Normal));
    insta::assert_snapshot!("lines-quiet", run(Verbosity::Quiet));
    insta::assert_snapshot!("lines-verbose", run(Verbosity::Verbose));
}

#[test]
fn a_run_as_json_lines() {
    let (plan, mut record, mut out) = (everything(), Record::new(), Vec::new());
    failed_run(&mut record);
    let mut to = json::Lines::new(&mut out, "apply");
    Face::expect(&mut to, &plan);
    failed_run(&mut to);
    to.end(&Outcome::new(&plan, &record, Duration::from_millis(21_400)));
    let text = String::from_utf8(out).unwrap();
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&value["schema"], value["event"].is_string()), (&1.into(), true), "{line}");
    }
    assert!(!text.contains("hush"));
    insta::assert_snapshot!("json-lines", text.lines().skip(1).collect::<Vec<_>>().join("\n"));
}

pub(super) fn some_checks() -> Vec<Checked> {
    let check =
        |component, title: &str, at: &str, verdict| Checked { component, title: title.into(), host: host(at), verdict };
    let pass = |text: &str| Verdict::Pass(text.into());
    vec![
        check("nginx", "answers on port 8080", "web-02", pass("200")),
        check("haproxy", "port 80 redirects to https", "lb-01", pass("301 → https://www.foobar.com/x")),
        check(
            "nginx",
            "answers on port 8080",
            "web-01",
            Verdict::Fail("connection refused\n\u{1b}[2Jcurl: (7)".into()),
        ),
        check("haproxy", "every backend is up", "lb-01", pass("2 of 2")),
        check("mysql", "the replica runs", "db-01", Verdict::Error("mariadb: command not found".into())),
        check("firewall", "port 3306 is closed", "web-01", Verdict::Fail("it answers".into())),
        check("mysql", "one writer", "db-01", pass("")),
    ]
}

#[test]
fn the_end_of_verify() {
    let view = |quiet| checks::View { quiet, ..checks::View::default() };
    let text = |checks: &[Checked], quiet| checks::text(checks, Duration::from_millis(1_900), view(quiet));
    insta::assert_snapshot!("verify", text(&some_checks(), false));
    insta::assert_snapshot!("verify-quiet", text(&some_checks(), true));
    assert_eq!(text(&[], false), "Verify: 0 passed, 0 failed, 0 errors in 1.9 s\n");
    let site = "www.foobar.com".parse().unwrap();
    insta::assert_snapshot!("verify-json", json::verify(&site, &some_checks()[2..4], 1_900));
    let (checks, tally) = (some_checks(), checks::VerifyTally { passed: 1, failed: 1, errors: 0 });
    insta::assert_snapshot!("verify-watch-json", json::watched(&[&checks[0], &checks[2]], tally, 1_900));
    let script = || Script::new().line("echo hush-hush");
    let check = |title: &str| Check::new("nginx", &host("lb-01"), title, script(), |_| Verdict::Pass(String::new()));
    let listed = json::checks(&site, &[check("web-01 answers /healthz"), check("web-01: no \u{1b}[2J")]);
    assert!(!listed.contains("hush"));
    insta::assert_snapshot!("list-checks-json", listed);
}

#[test]
fn what_keeps_a_command_from_going_on() {
    let transport = [
        TransportError {
            host: host("web-01"),
            kind: TransportErrorKind::Unreachable,
            what: "no answer from 10.77.0.21 port 22 within 10 s".into(),
            help: "is the host up, and is its address right? try: ssh web-01".into(),
        },
        TransportError {
            host: host("web-02"),
            kind: TransportErrorKind::HostKey,
            what: "its key is not the known one\u{1b}[2J".into(),
            help: "compare it, then: ssh-keygen -R web-02".into(),
        },
    ];
    let refusals = [Refusal {
        host: host("db-01"),
        what: "two servers accept writes: db-01 and db-02".into(),
        help: "decide which one is right and set read_only on the other one".into(),
    }];
    let palette = Palette::new(false);
    insta::assert_snapshot!("unreachable", problem::all(&transport, 100, palette));
    insta::assert_snapshot!("refused", problem::all(&refusals, 100, palette));
}

#[test]
fn what_was_changed_by_hand_on_one_host_is_not_folded_with_what_the_topology_says_to_another() {
    let step = || change(Action::Update, "change nginx configuration").impact(Impact::Reload);
    let plan = Draft::new(&["web-01", "web-02", "web-03"])
        .step(&["web-01", "web-03"], ("files", "nginx"), step())
        .step(&["web-02"], ("files", "nginx"), step().drift(Drift::Edited));
    let text = show::text(&plan.0, &view(DiffStyle::Short));
    let lines: Vec<&str> = text.lines().filter(|l| l.contains('~')).collect();
    assert_eq!(
        lines,
        [
            "  ~ change nginx configuration  web-01, web-03  (reload)",
            "  ~ change nginx configuration  web-02  (edited by hand; reload)"
        ]
    );
}

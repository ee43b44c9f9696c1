//! Tables over what hosts answer: which kind of drift each difference is, and that what only follows the topology is none.

use super::{
    db_variables::{DYNAMIC, Variables},
    dialect::{DATABASE, Dialect},
    drift::Drift,
    files::{FILES, File, Files},
    ruleset::{LOGIN, RULESET, Ruleset},
    service::{CHANGED, Input, Service, Shown, UNITS},
    *,
};
use crate::base::{certificate, digest::sha256, secret::Content};

fn diff(resource: &impl Resource, answers: &[(&Collector, &str)], changing: &[(ResourceId, Impact)]) -> Option<Change> {
    let host: HostName = "web-01".parse().unwrap();
    let mut here = Observation::default();
    for (collector, lines) in answers {
        here.add(collector.name, lines);
    }
    let changing = changing.iter().map(|(id, impact)| (Key::new(&host, id.clone()), *impact)).collect();
    let (all, secrets) = (BTreeMap::new(), Secrets::default());
    let seen = Seen {
        host: &host,
        here: &here,
        all: crate::resource::All::of(&all),
        secrets: &secrets,
        fingerprint_key: "key",
        changing: &changing,
        now: 0,
    };
    resource.diff(&seen).unwrap()
}

#[test]
fn a_file_is_compared_with_what_foobar_wrote_last() {
    let files = Files::new("motd", vec![File::text("/etc/motd", Content::new("new\n"))]);
    let [new, old, older, hand] = ["new\n", "old\n", "older\n", "hand\n"].map(sha256);
    let stat = |mode: &str, owner: &str| format!("/etc/motd\tstat\tregular file\t{mode}\t{owner}\troot\t4\n");
    let right = stat("644", "root");
    let sha = |sum: &str| format!("/etc/motd\tsha\t{sum}\n");
    let written = |now: &str, was: &str| format!("/etc/motd\twritten\t{now}\t644\troot:root\t{was}\n");
    for (what, answer, want) in [
        ("the topology changed", right.clone() + &sha(&old) + &written(&old, "-"), None),
        ("edited", right.clone() + &sha(&hand) + &written(&new, &old), Some(Drift::Edited)),
        ("both", right.clone() + &sha(&hand) + &written(&old, &older), Some(Drift::Edited)),
        ("cut off before the rename", right.clone() + &sha(&old) + &written(&new, &old), None),
        ("nobody's record", right.clone() + &sha(&hand), None),
        ("not there yet", String::new(), None),
        ("gone", written(&new, "-"), Some(Drift::Removed)),
        ("opened", stat("666", "root") + &sha(&new) + &written(&new, "-"), Some(Drift::Permissions)),
        ("given away", stat("644", "nobody") + &sha(&new) + &written(&new, "-"), Some(Drift::Permissions)),
        ("opened and edited", stat("666", "root") + &sha(&hand) + &written(&new, "-"), Some(Drift::Edited)),
        (
            "the topology asks for another mode",
            stat("600", "root") + &sha(&new) + &written(&new, "-").replace("644", "600"),
            None,
        ),
    ] {
        let change = diff(&files, &[(&FILES, &answer)], &[]).unwrap_or_else(|| panic!("{what}: nothing"));
        assert_eq!(change.drift, want, "{what}");
        assert_eq!(change.details.iter().any(|d| d.contains("has changed too")), what == "both", "{change:?}");
    }
    let script = diff(&files, &[], &[]).unwrap().script.text().to_owned();
    assert!(script.contains(&format!("note /etc/motd {new} 644 root:root")), "{script}");
}

/// A record is read as it is written, by the very scripts.
#[test]
fn a_record_comes_back_as_it_was_written() {
    let files = Files::new("motd", vec![File::text("/etc/motd", Content::new("new\n"))]);
    let script = diff(&files, &[], &[]).unwrap().script.text().to_owned();
    let note = &script[script.find("note() {").unwrap()..script.find("put() {").unwrap()];
    let dir = std::env::temp_dir().join(format!("foobar-note-{}", std::process::id()));
    let at = |text: &str| text.replace("/var/lib/foobar", dir.to_str().unwrap());
    let run = format!(
        "{}\nset -eu\nnote /etc/x one 644 root:root\nnote /etc/x two 600 root:adm\nset +e\nask() {{\n{}\n}}\nask /etc/x -",
        at(note),
        at(FILES.body)
    );
    let said = std::process::Command::new("sh").arg("-c").arg(run).output().unwrap();
    let _ = std::fs::remove_dir_all(&dir);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("/etc/x\twritten\ttwo\t600\troot:adm\tone\n"), "{said}");
}

#[test]
fn a_unit_drifts_only_once_foobar_has_started_it() {
    let input =
        |path: &str| Input { path: path.into(), content: Content::new("a"), from: ResourceId::new("files", path) };
    let mut unit = Service::new("haproxy.service");
    unit.reload_on = vec![input("/etc/conf")];
    unit.shown = Some(Shown { probe: Probe::new(&RULESET, ["x"]), keys: &["serial"], content: Content::new(PEM) });
    let (restart, reload) = (state_digest([]), state_digest(["/etc/conf", "a"]));
    let marks = certificate::marks(PEM);
    let ask = |unit_line: &str, record: &str, serial: &str, changing: &[(ResourceId, Impact)]| {
        let line = format!("haproxy.service\tloaded\t{unit_line}\tRUN\t1000\t{record}");
        let answers = [(&UNITS, line.as_str()), (&CHANGED, "/etc/conf\t900"), (&RULESET, serial)];
        diff(&unit, &answers, changing).and_then(|c| Some((c.summary, c.drift?)))
    };
    let right = format!("RUN\t{restart}\t{reload}");
    let stale = format!("RUN\t{restart}\tother");
    let some = |summary: &str, drift| Some((summary.to_owned(), drift));
    assert_eq!(ask("active\tenabled", &right, "", &[]), None);
    assert_eq!(ask("inactive\tenabled", "-\t-\t-", "", &[]), None, "never started by foobar");
    assert_eq!(ask("inactive\tenabled", &right, "", &[]), some("start haproxy", Drift::Stopped));
    assert_eq!(ask("active\tdisabled", &right, "", &[]), some("enable haproxy", Drift::Disabled));
    assert_eq!(ask("inactive\tdisabled", &right, "", &[]), some("enable and start haproxy", Drift::Stopped));
    assert_eq!(ask("active\tenabled", &stale, "", &[]), some("reload haproxy", Drift::Outdated));
    let follows = [(ResourceId::new("files", "/etc/conf"), Impact::None)];
    assert_eq!(ask("active\tenabled", &stale, "", &follows), None, "this plan changes its file");
    // What it was put back to nobody knows, but that it runs it.
    let unknown = "RUN\t-\t-";
    assert_eq!(ask("active\tenabled", unknown, "", &[]), None);
    assert_eq!(
        ask("active\tdisabled", unknown, "", &follows),
        Some(("enable and reload haproxy".into(), Drift::Disabled))
    );
    assert_eq!(ask("active\tenabled", &right, &format!("serial\t{}", marks[0]), &[]), None);
    assert_eq!(ask("active\tenabled", &right, "serial\t00FF", &[]), some("reload haproxy", Drift::Certificate));
}

#[test]
fn a_firewall_is_compared_with_what_was_loaded() {
    let rules = Ruleset { text: "new".into(), admin_from: vec![], template: "x.tera", confirm_within: 60 };
    let [new, old, hand] = ["new", "old", "hand"].map(sha256);
    for (file, live, loaded, enabled, want) in [
        (&new, "A", "A", "", Some(Drift::Disabled)),
        (&new, "B", "A", "enabled\tyes", Some(Drift::Firewall)),
        (&hand, "A", "A", "enabled\tyes", Some(Drift::Edited)),
    ] {
        let answer = format!("file\t{file}\nlive\t{live}\nloaded\t{loaded}\t{new}\n{enabled}");
        let change = diff(&rules, &[(&RULESET, &answer), (&LOGIN, "")], &[]).unwrap();
        assert_eq!(change.drift, want, "{answer}");
    }
    // What an earlier run loaded and nobody confirmed is no one's hand.
    let armed = format!("file\t{old}\nlive\tB\nloaded\tA\t{old}\nenabled\tyes\narmed\tyes");
    assert_eq!(diff(&rules, &[(&RULESET, &armed)], &[]).unwrap().drift, None);
    let topology = format!("file\t{old}\nlive\tA\nloaded\tA\t{old}\nenabled\tyes");
    assert_eq!(diff(&rules, &[(&RULESET, &topology)], &[]).unwrap().drift, None);
    assert_eq!(diff(&rules, &[], &[]).unwrap().drift, None);
    let gone = format!("live\tA\nloaded\tA\t{new}\nenabled\tyes");
    assert_eq!(diff(&rules, &[(&RULESET, &gone)], &[]).unwrap().drift, Some(Drift::Removed));
}

#[test]
fn a_servers_variables_are_compared_with_its_file() {
    for name in DYNAMIC {
        assert!(DATABASE.body.contains(&format!("'{name}'")), "nobody asks for {name}");
    }
    let file = "# max_connections = 1\n[mysqld]\nmax-connections = 151\nlocal_infile = OFF\nexpire_logs_days = 7\n\
                loose_rpl_semi_sync_source_wait_point = AFTER_SYNC\nport = 3306\n";
    let variables = |dialect| Variables { dialect, unit: "db.service".into(), file: file.to_owned() };
    let right = "state\trunning\nmax_connections\t151\nlocal_infile\tOFF\nexpire_logs_days\t7.000000\n\
                 rpl_semi_sync_source_wait_point\tAFTER_SYNC\nport\t3307\n";
    for dialect in [Dialect::Mariadb, Dialect::Mysql] {
        assert!(diff(&variables(dialect), &[(&DATABASE, right)], &[]).is_none());
        let set = right.replace("151", "77").replace("infile\tOFF", "infile\tON").replace("SYNC", "COMMIT");
        let change = diff(&variables(dialect), &[(&DATABASE, &set)], &[]).unwrap();
        assert_eq!(change.drift, Some(Drift::Variable));
        assert_eq!(
            change.details,
            [
                "max_connections: 77 -> 151",
                "local_infile: ON -> OFF",
                "rpl_semi_sync_source_wait_point: AFTER_COMMIT -> AFTER_SYNC"
            ]
        );
        // What this plan restarts, and what is down, reads its file.
        let restarts = [(Service::key("db.service"), Impact::Restart)];
        assert!(diff(&variables(dialect), &[(&DATABASE, &set)], &restarts).is_none());
        assert!(diff(&variables(dialect), &[(&DATABASE, &set.replace("running", "stopped"))], &[]).is_none());
    }
}

#[test]
fn kinds_are_kebab_case_for_programs_and_words_for_people() {
    let json = |drift: Drift| serde_json::to_string(&drift).unwrap();
    assert_eq!((json(Drift::Edited), Drift::Edited.to_string()), ("\"edited\"".into(), "edited by hand".into()));
}

/// `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -days 9000 -subj /CN=x`
const PEM: &str = "\
-----BEGIN CERTIFICATE-----
MIIBYDCCAQagAwIBAgIFAKsX8A0wCgYIKoZIzj0EAwIwDDEKMAgGA1UEAwwBeDAg
Fw0yNjExMjQyMDQ3MDdaGA8yMDUxMDcxNjIwNDcwN1owDDEKMAgGA1UEAwwBeDBZ
MBMGByqGSM49AgEGCCqGSM49AwEHA0IABKtRLue7Yi2voVn4frIYrOeE12h3WPiY
qvxHOYVcaLp7G8ahO4cUy21Ke9FG1/y9qyecCeaZA+kI2bwjwb0jrc2jUzBRMB0G
A1UdDgQWBBQ4tbjcgcxetem5Lr4H8dSQRG1kCjAfBgNVHSMEGDAWgBQ4tbjcgcxe
tem5Lr4H8dSQRG1kCjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUC
IHCzSvzoui3HpCRb6ltjTAVQ3RT9vN1OXVw+mB5HJyXpAiEA+HoiiEvZRCVjTlr0
eIcS2veYwOzZT58/HuxODMt1VCQ=
-----END CERTIFICATE-----
";

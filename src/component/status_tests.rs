//! What hosts answer and what it means, as tables; and that the questions are asked of whom they concern.

use super::*;
use crate::component::{all, testing};

const NOW: i64 = 1_800_000_000;
/// When a certificate began that is good for a year.
const BEGAN: i64 = NOW - 265 * DAY;

fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

fn site_and_desired() -> (Site, Desired) {
    let site = testing::site(testing::topology());
    let mut desired = Desired::default();
    for component in all(&site) {
        component.resources(&site, &mut desired).unwrap();
    }
    (site, desired)
}

/// The answer of a host on which all is well, with lines of it changed: `collector: from → to`.
fn answer(name: &str, changed: &[(&str, &str)]) -> Observation {
    let (site, desired) = site_and_desired();
    let mut seen = Observation::default();
    let digest = &site.release.as_ref().unwrap().digest[..16];
    let units: String = units(&desired, &host(name)).map(|u| format!("{u}\tloaded\tactive\tenabled\t-\n")).collect();
    let ends = NOW + 100 * 86_400;
    for (collector, text) in [
        ("units", units),
        ("glance_firewall", "table\tloaded\n".into()),
        ("glance_written", "\n".into()),
        ("glance_addresses", "asked\tyes\n".into()),
        ("glance_haproxy", format!("front\t4\t17\nserver\tweb-01\tUP\nserver\tweb-02\tUP\nends\t{ends}\t{BEGAN}\n")),
        ("releases", format!("/srv/foobar\tcurrent\t{digest}\n")),
        (
            "glance_database",
            match name {
                "web-01" => format!("read_only\t0\nends\t{ends}\n"),
                _ => "read_only\t1\nsource\t10.77.0.21\nio\tYes\nsql\tYes\nbehind\t0\n".into(),
            },
        ),
    ] {
        let mut text = text;
        for (from, to) in changed {
            text = text.replace(from, to);
        }
        seen.add(collector, &text);
    }
    seen
}

fn glance(name: &str, changed: &[(&str, &str)]) -> Glance {
    let (site, desired) = site_and_desired();
    read(&site, &desired, &host(name), &answer(name, changed), NOW)
}

#[test]
fn each_host_is_asked_what_concerns_it() {
    let (site, desired) = site_and_desired();
    let asked = |name: &str| probes(&site, &desired, &host(name)).iter().map(|p| p.collector.name).collect::<Vec<_>>();
    assert_eq!(asked("lb-01"), ["units", "glance_written", "glance_firewall", "glance_haproxy"]);
    assert_eq!(asked("web-02"), ["units", "glance_written", "glance_firewall", "releases", "glance_database"]);
    let mut named = probes(&site, &desired, &host("web-01"))[0].args.clone();
    named.sort_unstable();
    assert!(["foobar-app.service", "mariadb.service", "nginx.service"].iter().all(|u| named.contains(&(*u).into())));
    assert_eq!(roles(&site, &host("web-02")), ["nginx", "app", "mysql"]);
}

#[test]
fn where_all_is_well_nothing_is_told() {
    for name in ["lb-01", "web-01", "web-02"] {
        let glance = glance(name, &[]);
        assert_eq!((glance.faults.len(), glance.notes.len()), (0, 0), "{glance:?}");
        assert_eq!(glance.firewall, Some(Firewall::Loaded));
        assert!(!glance.units.is_empty());
    }
    let lb = glance("lb-01", &[]);
    let balancer = lb.balancer.unwrap();
    assert_eq!((balancer.sessions, balancer.requests_per_second, balancer.servers.len()), (4, 17, 2));
    assert_eq!(lb.certificate_days, Some(100));
    let replica = glance("web-02", &[]);
    let database = replica.database.unwrap();
    assert_eq!(
        (database.role, database.source.as_deref(), database.lag_seconds),
        (Role::Replica, Some("web-01"), Some(0))
    );
    assert_eq!(replica.release.map(|r| r.len()), Some(16));
}

#[test]
fn what_is_down_is_a_fault_and_what_is_odd_a_note() {
    let ends = (NOW + 100 * 86_400).to_string();
    let soon = (NOW + 5 * 86_400).to_string();
    let past = (NOW - 1).to_string();
    let dates = format!("{ends}\t{BEGAN}");
    let of_ten_days = |left: i64| format!("{}\t{}", NOW + left * DAY, NOW + (left - 10) * DAY);
    let nginx = "nginx.service\tloaded\tactive\tenabled";
    for (name, from, to, fault, note) in [
        ("web-01", nginx, "nginx.service\tloaded\tfailed\tenabled", "nginx.service is failed", ""),
        ("web-01", nginx, "nginx.service\tloaded\tactive\tdisabled", "", "does not start with its host"),
        ("web-01", nginx, "nginx.service\tnot-found\tinactive\t", "nginx.service is not there", ""),
        ("web-01", nginx, "x.service\tloaded\tactive\tenabled", "nginx.service is not there", ""),
        ("web-01", nginx, "late\tyes", "systemd gives no answer", ""),
        ("web-01", "table\tloaded", "table\tmissing", "the firewall is not loaded", ""),
        ("web-01", "table\tloaded", "table\tchanged", "", "table was changed"),
        ("web-01", "table\tloaded", "", "", "could not be read"),
        ("web-01", "table\tloaded", "armed\tyes\ntable\tloaded", "", "wait for their confirmation"),
        ("web-01", "current\t", "current\tx", "", "not the one in the app's folder"),
        ("web-01", "current\t", "release\t", "", "no release is current"),
        ("lb-01", "web-02\tUP", "web-02\tDOWN", "it has web-02 as DOWN", ""),
        ("lb-01", "web-02\tUP", "web-02\tMAINT", "", "it has web-02 as MAINT"),
        ("lb-01", "web-02\tUP", "web-02\tUP 1/2", "", ""),
        ("lb-01", "front\t4\t17", "", "runtime API does not answer", ""),
        ("lb-01", &ends, &soon, "", "ends in 5 days"),
        ("lb-01", &ends, &past, "has ended", ""),
        // One of ten days is early with three of them left, and late with one.
        ("lb-01", &dates, &of_ten_days(3), "", ""),
        ("lb-01", &dates, &of_ten_days(1), "", "ends in 1 day"),
        ("lb-01", &dates, &of_ten_days(0), "", "ends within a day"),
        ("web-01", &ends, &soon, "", "the certificate of its database ends in 5 days"),
        ("web-01", &ends, &past, "the certificate of its database has ended", ""),
        ("web-02", "sql\tYes", "sql\tNo\ntrouble\tError 1062", "replication stands: Error 1062", ""),
        ("web-02", "behind\t0", "behind\tNULL", "", "does not know how far"),
        ("web-02", "behind\t0", "behind\t60", "", "60 s behind, and 5 s are allowed"),
        ("web-02", "read_only\t1", "read_only\t0", "takes writes all the same", ""),
        ("web-01", "read_only\t0", "trouble\tERROR 2002", "the database does not answer: ERROR 2002", ""),
        ("web-01", "read_only\t0", "late\tyes", "does not answer in time", ""),
    ] {
        let glance = glance(name, &[(from, to)]);
        let (faults, notes) = (glance.faults.join("; "), glance.notes.join("; "));
        assert!(faults.contains(fault) && faults.is_empty() == fault.is_empty(), "{to:?}: {faults:?}");
        assert!(notes.contains(note) && notes.is_empty() == note.is_empty(), "{to:?}: {notes:?}");
    }
}

#[test]
fn files_that_somebody_changed_are_named_and_many_are_counted() {
    let (site, desired) = site_and_desired();
    let notes = |text: &str| {
        let mut seen = answer("web-01", &[]);
        seen.forget(&written::WRITTEN);
        seen.add(written::WRITTEN.name, text);
        let glance = read(&site, &desired, &host("web-01"), &seen, NOW);
        assert!(glance.faults.is_empty(), "{glance:?}");
        glance.notes.join("; ")
    };
    assert_eq!(notes("edited\t/etc/a\n"), "edited by hand: /etc/a");
    assert_eq!(
        notes("edited\t/1\nedited\t/2\nremoved\t/3\nedited\t/4\nedited\t/5\n"),
        "removed by hand: /3; edited by hand: /1, /2, /4 and 1 more"
    );
    assert_eq!(notes("late\tyes\n"), "whether its files were changed could not be told in time");
}

#[test]
fn who_holds_an_address_is_told_by_all_balancers_together() {
    use crate::component::spec::Mode;
    let site = testing::site(testing::pair(Mode::ActivePassive));
    let asked = |name: &str| probes(&site, &Desired::default(), &host(name)).len();
    assert_eq!(
        (asked("lb-02"), asked("web-01")),
        (3, 3),
        "files; the balancer and its addresses; the release and the database"
    );
    let (here, away) = (Some("holds\t10.77.0.100\nasked\tyes\n"), Some("asked\tyes\n"));
    let found = |one: Option<&str>, two: Option<&str>| {
        let mut all = BTreeMap::new();
        for (name, text) in [("lb-01", one), ("lb-02", two)] {
            let Some(text) = text else { continue };
            let mut seen = answer("lb-01", &[]);
            seen.forget(&redundancy::GLANCE);
            seen.add(redundancy::GLANCE.name, text);
            all.insert(host(name), read(&site, &Desired::default(), &host(name), &seen, NOW));
        }
        compare(&site, &mut all);
        all.iter().flat_map(|(h, g)| g.faults.iter().map(move |t| format!("{h}: {t}"))).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(found(here, away), "");
    assert_eq!(found(away, here), "");
    assert_eq!(found(away, away), "lb-01: no balancer holds 10.77.0.100");
    assert_eq!(found(away, None), "", "the one that is silent may hold it");
    let both = "lb-01 and lb-02 hold 10.77.0.100 at the same time";
    assert_eq!(found(here, here), format!("lb-01: {both}; lb-02: {both}"));
    assert_eq!(found(Some(""), away), "", "one that could not tell");
}

#[test]
fn who_takes_the_writes_is_told_by_all_servers_together() {
    let (site, _) = site_and_desired();
    let (open, closed) = ("read_only\t0\n", "read_only\t1\n");
    let follows = |n: u8| format!("read_only\t1\nsource\t10.77.0.2{n}\nio\tYes\nsql\tYes\nbehind\t0\n");
    let found = |one: Option<&str>, two: Option<&str>| {
        let (site, desired) = site_and_desired();
        let mut all = BTreeMap::new();
        for (name, text) in [("web-01", one), ("web-02", two)] {
            let Some(text) = text else { continue };
            let mut seen = answer(name, &[]);
            seen.forget(&database::GLANCE);
            seen.add(database::GLANCE.name, text);
            all.insert(host(name), read(&site, &desired, &host(name), &seen, NOW));
        }
        compare(&site, &mut all);
        let told = |g: &Glance| g.faults.iter().chain(&g.notes).cloned().collect::<Vec<_>>();
        all.iter()
            .flat_map(|(h, g)| told(g).into_iter().map(move |t| format!("{h}: {t}")))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(found(Some(open), Some(&follows(1))), "");
    assert_eq!(found(Some(closed), Some(&follows(1))), "web-01: no database server takes writes");
    assert_eq!(
        found(Some(&follows(2)), Some(open)),
        "web-02: it takes the writes, and the file names web-01 as the primary"
    );
    assert!(found(Some(open), Some(closed)).starts_with("web-02: it follows nobody"));
    assert_eq!(found(Some(open), Some(open)).matches("web-01 and web-02 take writes at the same time").count(), 2);
    // Of one that is silent nothing is known.
    assert_eq!(found(None, Some(&follows(1))), "");
    assert_eq!(found(Some(closed), None), "");
    assert_eq!(site.topology.mysql.unwrap().primary, host("web-01"));
}

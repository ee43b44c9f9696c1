//! From bare hosts to a served site, and that it stays so.

use super::{
    secrets,
    world::{HOSTS, World, start, until},
};
use std::{collections::BTreeSet, time::Duration};

/// A plan says what it would do, asks nothing, and leaves no trace.
pub fn a_plan_on_bare_hosts_changes_nothing(w: &mut World) {
    w.foobar(&["validate"]).ends(0);
    let steps = w.plan(&[]);
    let hosts: BTreeSet<&str> = steps.iter().map(|s| s.host.as_str()).collect();
    assert_eq!(hosts, HOSTS.into(), "every host has something to do");
    w.foobar(&["plan"]).ends(0).says(&["Plan:", "to add", "install"]);
    w.foobar(&["plan", "--detailed-exitcode", "--summary"]).ends(2);

    // Limited, it names what it leaves out, and renders for all hosts all the same.
    let run = w.foobar(&["plan", "--json", "--limit", "lb-01"]);
    let limited = super::world::steps(&run.ends(0).json());
    assert!(!limited.is_empty() && limited.iter().all(|s| s.host == "lb-01"), "{limited:#?}");
    assert!(
        run.json()["left_out"]
            .as_array()
            .is_some_and(|l| l.iter().any(|t| t.as_str().is_some_and(|t| t.contains("web-01"))))
    );
    let config = |all: &[super::world::Step]| {
        let all = all
            .iter()
            .filter(|s| s.host == "lb-01")
            .flat_map(|s| s.json["diffs"].as_array().cloned().unwrap_or_default());
        all.filter(|d| d["path"].as_str().is_some_and(|p| p.ends_with("haproxy.cfg")))
            .map(|d| d["after"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(config(&limited), config(&steps));
    assert_eq!(config(&steps).len(), 1);

    // Without a terminal it is not asked, and nothing is done without a word.
    w.foobar(&["apply"]).ends(64).says(&["--yes", "nothing was changed"]);
    for host in HOSTS {
        assert_eq!(
            w.on(host, "ls -A /var/lib/foobar /etc/foobar 2>/dev/null; command -v haproxy nginx || :"),
            "",
            "{host}"
        );
    }
}

/// The first apply, watched for secrets, while a second one is told that it is not its turn.
pub fn one_apply_brings_it_up_and_another_one_waits_outside(w: &mut World) {
    secrets::watch(w);
    let words = ["apply", "--yes", "-v"];
    let first = start(w.command(&words), &w.dir, "first");
    let held = || {
        w.lab.exec("web-01", "[ -e /var/lib/foobar/lease ] && ! flock -n /var/lib/foobar true").is_ok_and(|o| o.ok())
    };
    assert!(until(Duration::from_secs(60), held), "the first apply never held its lock");
    let second = w.foobar(&["apply", "--yes", "--limit", "web-01"]);
    let first = w.finish(&words, first);
    secrets::watched(w);
    first.ends(0);
    // Changes of a web server take it out at its balancer, which is held too, and asked first.
    second.ends(6).says(&["lb-01", "another run is at work there", "tester@", "wait until it has ended"]);
}

/// Right after: nothing to do, everything proved.
pub fn a_second_plan_is_empty_and_everything_is_proved(w: &mut World) {
    w.converge();
    w.foobar(&["plan"]).ends(0).says(&["No changes"]);
    w.foobar(&["plan", "--detailed-exitcode"]).ends(0);
    let again = w.foobar(&["apply", "--yes"]);
    again.ends(0).says(&["No changes"]);
    let run = w.foobar(&["verify", "--json"]);
    let verdict = run.ends(0).json();
    assert_eq!((&verdict["summary"]["failed"], &verdict["summary"]["errors"]), (&0.into(), &0.into()), "{run}");
    assert!(verdict["summary"]["passed"].as_u64().is_some_and(|n| n >= 20), "{run}");
    // A limit holds here too.
    let run = w.foobar(&["verify", "--json", "--limit", "@haproxy"]);
    let checks = run.ends(0).json()["checks"].as_array().cloned().unwrap_or_default();
    assert!(!checks.is_empty() && checks.iter().all(|c| c["host"] == "lb-01"), "{run}");
    // Cold, a plan is one connection and one exec a host; warm, no connection at all.
    w.cold();
    w.foobar(&["plan", "-v"]).ends(0).says(&["3 connections made, 3 execs"]);
    w.foobar(&["plan", "-v"]).ends(0).says(&["0 connections made, 3 execs"]);
}

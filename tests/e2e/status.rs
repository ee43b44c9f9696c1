//! A glance at every host: what runs is told, what is down too, and a host that is gone hides none of the others.

use super::{
    faults::state,
    world::{World, start, strict_schema, until},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{fs, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);

/// Roles are the servers' own, numbers are there, and nothing is written on the way.
pub fn how_every_host_fares_is_told_on_one_screen(w: &mut World) {
    w.converge();
    let before = state(w);
    // Servers that have just been changed are not all in their turns yet.
    assert!(until(MINUTE, || w.foobar(&["status"]).code == 0), "{}", w.said.last().unwrap());
    let run = w.said.last().unwrap().clone();
    run.says(&["haproxy", "session", "/s; 2 of 2 servers up", "certificate", "mysql primary", "mysql replica"]);
    run.says(&["release", "s behind web-01", "units run", "firewall on", "Status: 3 ok"]);
    assert!(run.stdout.lines().all(|l| l.chars().count() <= 100 && !l.contains('\u{1b}')), "{run}");
    let run = w.foobar(&["status", "--json"]);
    let document = run.ends(0).json();
    let faults: Vec<String> =
        strict_schema().iter_errors(&document).map(|e| format!("{e} at {}", e.instance_path())).collect();
    assert!(faults.is_empty(), "{faults:#?}\n{document:#}");
    let [lb, one, two] = &document["hosts"].as_array().unwrap()[..] else { panic!("{document:#}") };
    assert_eq!(lb["seen"]["balancer"]["servers"].as_array().map(Vec::len), Some(2), "{lb:#}");
    assert!(lb["seen"]["certificate_days"].as_i64().is_some_and(|days| days > 300), "{lb:#}");
    assert_eq!(one["seen"]["database"]["role"], "primary");
    assert_eq!(
        (&two["seen"]["database"]["role"], &two["seen"]["database"]["source"]),
        (&"replica".into(), &"web-01".into())
    );
    assert!(document["hosts"].as_array().unwrap().iter().all(|h| h["seen"]["firewall"] == "loaded"), "{document:#}");
    assert_eq!(state(w), before, "something was written");
    assert_eq!(
        w.on("web-01", "ls /run | grep -c '^foobar\\.[A-Za-z0-9]\\{6\\}$' || :").trim(),
        "0",
        "something was left"
    );
    let alone = w.foobar(&["status", "-l", "@replicas"]);
    alone.ends(0).says(&["web-02", "Status: 1 ok"]);
    assert!(!alone.stdout.contains("lb-01"), "{alone}");
}

/// In a pipe each round is told anew; the end is by a signal.
pub fn rounds_follow_each_other_until_they_are_ended(w: &mut World) {
    w.converge();
    let dir = w.dir.clone();
    let watching = start(w.command(&["status", "--watch", "1"]), &dir, "status");
    let told = || fs::read_to_string(dir.join("status.out")).unwrap_or_default();
    assert!(until(MINUTE, || told().matches("Status: ").count() >= 2), "{}", told());
    w.on("web-01", "systemctl stop nginx");
    assert!(until(MINUTE, || told().contains("✗ nginx.service is inactive")), "{}", told());
    w.on("web-01", "systemctl start nginx");
    let pid = Pid::from_raw(watching.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let run = watching.wait("status --watch 1");
    assert!([0, 3].contains(&run.code) && !run.stdout.contains('\u{1b}'), "{run}");
    assert!(until(MINUTE, || w.foobar(&["status"]).code == 0), "{}", w.said.last().unwrap());
}

/// A service that was stopped, a firewall that was taken off, and a host without power: each a row of its own.
pub fn what_is_down_or_gone_hides_nothing_else(w: &mut World) {
    w.converge();
    w.on(
        "web-02",
        "echo '# by hand' >>/etc/nginx/conf.d/foobar.conf; systemctl stop nginx; nft delete table inet foobar",
    );
    let told = [
        "web-02 DOWN",
        "! edited by hand: /etc/nginx/conf.d/foobar.conf",
        "nginx.service is inactive",
        "the firewall is not loaded",
        "it has web-02 as DOWN",
    ];
    let is_told = |w: &mut World| {
        let run = w.foobar(&["status"]);
        let words = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        run.code == 3 && told.iter().all(|text| words.contains(text))
    };
    assert!(until(MINUTE, || is_told(w)), "{}", w.said.last().unwrap());
    w.said.last().unwrap().says(&["lb-01 DOWN", "web-01 ok"]);
    w.apply(&[]);

    w.lab.kill_host("web-02").unwrap();
    w.cold();
    let run = w.foobar(&["status", "--connect-timeout", "3", "-l", "web-*"]);
    run.ends(7).says(&["web-01 ok", "mysql primary", "web-02 GONE", "no connection to", "Status: 1 ok", "1 gone"]);
    let run = w.foobar(&["status", "--connect-timeout", "3", "--json"]);
    let document = run.json();
    assert!(strict_schema().is_valid(&document), "{document:#}");
    let gone = &document["hosts"][2];
    assert!(gone["state"] == "gone" && gone["seen"].is_null() && gone["error"]["what"].is_string(), "{gone:#}");
    w.lab.start_host("web-02").unwrap();
    w.cold();
    w.converge();
    assert!(until(MINUTE, || w.foobar(&["status"]).code == 0), "{}", w.said.last().unwrap());
}

//! One run at a time on a host, from its first look to its end: many pairs of applies that begin at the same instant, runs
//! that are killed, interrupted or robbed of their hosts, and who is told what.

use super::world::{HOSTS, Run, World, start, until};
use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

/// How many pairs, or kills, of each kind: many where FOOBAR_E2E_LONG asks for it.
pub fn times(short: usize, long: usize) -> usize {
    if std::env::var("FOOBAR_E2E_LONG").as_deref() == Ok("1") { long } else { short }
}

/// Takes down, on every host and many times a second, whose lease it is.
const WATCH: &str = r#"systemctl stop e2e-lease 2>/dev/null; rm -f /run/e2e-lease; systemd-run -q --collect --unit=e2e-lease sh -c '
    last=; while :; do run=; read -r run </var/lib/foobar/lease; [ "$run" = "$last" ] || { echo "$run" >>/run/e2e-lease; last=$run; }
    sleep 0.02; done 2>/dev/null'"#;

/// Another state than the one that the hosts are in, cheap to go to.
fn other(w: &World, n: usize) -> String {
    let algorithm = ["ip-hash", "least-connections", "round-robin"][n % 3];
    w.original().replace("round-robin", algorithm).replace("Welcome", &format!("Welcome {n}"))
}

/// Two at once: one wins and the other is told so, or waits and finds nothing to do. Never does one begin where the other
/// has not ended.
pub fn two_applies_at_once_never_interleave(w: &mut World) {
    w.converge();
    w.topology = other(w, 1);
    w.apply(&[]);
    for host in HOSTS {
        w.on(host, WATCH);
    }
    for n in 0..times(5, 30) {
        w.topology = other(w, n);
        assert!(!w.plan(&[]).is_empty(), "pair {n} has nothing to do");
        let words: &[&str] = match n % 2 {
            0 => &["apply", "--yes"],
            _ => &["apply", "--yes", "--lock-timeout", "5m"],
        };
        let (one, two) = (w.command(words), w.command(words));
        let (one, two) = (start(one, &w.dir, "one"), start(two, &w.dir, "two"));
        let ended = [w.finish(words, one), w.finish(words, two)];
        let (first, second): (&Run, &Run) = if ended[0].stdout.contains("No changes") || ended[0].code == 6 {
            (&ended[1], &ended[0])
        } else {
            (&ended[0], &ended[1])
        };
        first.ends(0).says(&["Plan:"]);
        match n % 2 {
            0 => second.ends(6).says(&["lb-01: another run is at work there", "tester@", "--lock-timeout"]),
            _ => second.ends(0).says(&["waiting for another run: tester@", "No changes"]),
        };
        w.is_converged();
        do_not_overlap(w);
    }
    for host in HOSTS {
        let runs = w.on(host, "systemctl stop e2e-lease; cat /run/e2e-lease");
        let runs: Vec<&str> = runs.lines().filter(|l| !l.is_empty()).collect();
        let mut once = runs.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), runs.len(), "on {host} a run came back after another one: {runs:?}");
        assert!(runs.len() >= times(5, 30), "on {host} the watch saw too little: {runs:?}");
    }
    w.converge();
}

/// The two newest generations of all hosts, as their journals have them: every step of the older one ended, on every host,
/// before any step of the newer one began on any. The hosts share one clock, their uptime.
fn do_not_overlap(w: &World) {
    let script = "cd /var/lib/foobar/generations; for n in $(ls | sort -rn | head -n 2); do \
        echo \"$n $(sed -n 's/^run //p' $n/meta) $(cut -f 3 $n/changes | sort -n | head -n 1) $(cut -f 3 $n/changes | sort -n | tail -n 1)\"; done";
    let (mut older_ended, mut newer_began, mut runs) = (0f64, f64::MAX, Vec::new());
    for host in HOSTS {
        let told = w.on(host, script);
        let lines: Vec<Vec<&str>> = told.lines().map(|l| l.split(' ').collect()).collect();
        let [newer, older] = &lines[..] else { panic!("{host} has fewer than two generations: {told}") };
        newer_began = newer_began.min(newer[2].parse().unwrap());
        older_ended = older_ended.max(older[3].parse().unwrap());
        runs.push((newer[..2].join(" "), older[..2].join(" ")));
    }
    assert!(runs.iter().all(|r| *r == runs[0]), "hosts of one run have different generations: {runs:?}");
    assert!(older_ended < newer_began, "two runs overlap: {older_ended} >= {newer_began}");
}

/// A run that waits at its question, on a terminal.
fn at_prompt(w: &World) -> Child {
    let command = w.command(&["apply"]);
    let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_str().unwrap());
    let words: Vec<String> = std::iter::once(command.get_program()).chain(command.get_args()).map(quoted).collect();
    let mut script = Command::new("script");
    script.args(["-q", "-e", "-c", &format!("exec {}", words.join(" ")), "/dev/null"]).current_dir(&w.dir);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    let log = std::fs::File::create(w.dir.join("prompt.out")).unwrap();
    let child = script.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let asked = || std::fs::read_to_string(w.dir.join("prompt.out")).is_ok_and(|t| t.contains("Only `yes`"));
    assert!(
        until(Duration::from_secs(60), asked),
        "it never asked: {:?}",
        std::fs::read_to_string(w.dir.join("prompt.out"))
    );
    child
}

fn ended(child: &mut Child) -> Option<i32> {
    let mut status = None;
    until(Duration::from_secs(60), || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.and_then(|s| s.code())
}

/// Held from before the plan until the answer; shown, broken, and given back when it is interrupted or refused.
pub fn a_lease_is_held_at_the_question_and_can_be_seen_and_broken(w: &mut World) {
    w.converge();
    w.topology = w.original().replace("Welcome", "Good day");
    w.foobar(&["lock"]).ends(0).says(&["lb-01", "free"]);
    w.foobar(&["lock", "--break", "--yes"]).ends(0).says(&["No host is held"]);

    let mut asking = at_prompt(w);
    let shown = w.foobar(&["lock"]);
    shown.ends(0).says(&["held by tester@", "foobar apply, pid", "over in"]);
    let shown = w.foobar(&["lock", "--json"]);
    let document = shown.ends(0).json();
    assert!(
        document["hosts"].as_array().is_some_and(|all| all.len() == 3 && all.iter().all(|h| h["state"] == "held")),
        "{shown}"
    );
    w.foobar(&["apply", "--yes", "--limit", "web-02"]).ends(6).says(&["lb-01: another run is at work there"]);
    w.foobar(&["lock", "--break"]).ends(64).says(&["--yes", "nothing was changed"]);
    w.foobar(&["lock", "--break", "--yes"]).ends(0).says(&["lb-01: taken away", "web-02: taken away"]);
    let free = w.foobar(&["lock", "--json"]).ends(0).json();
    assert!(free["hosts"].as_array().unwrap().iter().all(|h| h["state"] == "free"), "{free}");
    assert_eq!(ended(&mut asking), Some(6), "who was robbed goes on asking");

    // Interrupted: given back at once, not after its time.
    let mut asking = at_prompt(w);
    let shown = w.foobar(&["lock", "--json"]).ends(0).json();
    let pid = shown["hosts"][0]["lease"]["pid"].as_u64().unwrap();
    assert!(Command::new("kill").args(["-INT", &pid.to_string()]).status().unwrap().success());
    assert_eq!(ended(&mut asking), Some(130));
    w.foobar(&["lock"]).ends(0);
    assert!(!w.said.last().unwrap().stdout.contains("held"), "{}", w.said.last().unwrap());

    // Refused consent, and no consent to be had: given back as well.
    w.foobar(&["apply"]).ends(64);
    w.apply(&[]);

    // A command at work: its lock is not broken.
    w.on("web-01", "systemd-run -q --collect --unit=e2e-busy flock /var/lib/foobar sleep 600");
    assert!(until(Duration::from_secs(10), || w
        .lab
        .exec("web-01", "! flock -n /var/lib/foobar true")
        .is_ok_and(|o| o.ok())));
    w.foobar(&["lock"]).ends(0).says(&["web-01", "busy with a command"]);
    w.foobar(&["lock", "--break", "--yes"]).ends(6).says(&["web-01", "is not to be broken"]);
    w.foobar(&["apply", "--yes"]).ends(6).says(&["web-01", "a command that it began still works there"]);
    w.on("web-01", "systemctl stop e2e-busy");
    w.foobar(&["apply", "--yes"]).ends(0).says(&["No changes"]);
    w.converge();
}

/// Killed on this machine, the next run here knows and goes on at once; killed elsewhere, its leases end by themselves.
pub fn a_killed_run_loses_its_hosts(w: &mut World) {
    w.converge();
    let held = |w: &World| w.lab.exec("web-02", "[ -s /var/lib/foobar/lease ]").is_ok_and(|o| o.ok());
    w.topology = w.original().replace("Welcome", "Good evening");
    let words = ["apply", "--yes"];
    for elsewhere in [false, true] {
        let command = w.command(&words);
        let mut doomed = match elsewhere {
            false => command,
            true => {
                // Its processes are numbered apart from those of this machine: nobody here can tell that it is gone.
                let mut apart = Command::new("unshare");
                apart.args(["--pid", "--fork", "--kill-child"]).arg(command.get_program()).args(command.get_args());
                apart.current_dir(&w.dir).stdin(Stdio::null());
                for (name, value) in command.get_envs() {
                    match value {
                        Some(value) => apart.env(name, value),
                        None => apart.env_remove(name),
                    };
                }
                apart
            }
        };
        let mut doomed = doomed.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        assert!(until(Duration::from_secs(60), || held(w)), "it never took web-02");
        doomed.kill().unwrap();
        doomed.wait().unwrap();
        if elsewhere {
            let shown = w.foobar(&["lock"]);
            shown.ends(0).says(&["held by tester@"]);
            w.foobar(&words).ends(6).says(&["another run is at work there", "its lease is over in"]);
        }
        // What the killed run had begun on a host is waited for in any case; only whether its lease is, is the question.
        let quiet = |host: &str| {
            let free = "[ ! -d /var/lib/foobar ] || flock -n /var/lib/foobar true";
            until(Duration::from_secs(60), || w.lab.exec(host, free).is_ok_and(|o| o.ok()))
        };
        assert!(super::world::HOSTS.iter().all(|host| quiet(host)), "its commands never ended");
        let next = w.foobar(&["apply", "--yes", "--lock-timeout", "3m"]);
        next.ends(0);
        assert_eq!(next.stderr.contains("waiting for another run"), elsewhere, "{next}");
        w.is_converged();
        w.topology = w.original();
    }
    w.converge();
}

//! Faults that come from outside, while the site is used or a run is under way: a backend killed or gone silent, a connection
//! cut, a replica cut off, a primary stopped, a clock that is wrong, a machine without room for another file. What must go
//! on goes on, `verify` names what does not, nothing waits without a bound, and a plain apply brings it all back.

use super::{
    damage::{arrives, sign, sql, unit},
    faults::{MEND, state},
    load::{Load, Told},
    rolling::server,
    world::{HOSTS, Run, Started, World, start, until},
};
use std::{fs, process::Command, time::Duration};

/// The balancer sends requests to a server again.
#[track_caller]
fn serves(w: &World, host: &str) {
    let is_up = || server(w, host).trim() == "2 0";
    assert!(until(Duration::from_secs(60), is_up), "{host}: {}", server(w, host));
}

/// The balancer has seen that a server is gone.
#[track_caller]
fn is_out(w: &World, host: &str) {
    assert!(until(Duration::from_secs(60), || server(w, host).starts_with("0 ")), "{host}: {}", server(w, host));
}

/// Everything is proved, at once or as soon as what was just healed has been noticed.
#[track_caller]
pub fn is_proved(w: &mut World) {
    assert!(until(Duration::from_secs(60), || w.foobar(&["verify"]).code == 0), "{}", w.said.last().unwrap());
}

/// Requests that may be made twice are answered, whatever happens to a backend; of the others it is told how many were lost.
#[track_caller]
fn no_read_is_lost(what: &str, told: &Told) {
    let lost = told.writes.refused + told.writes.broken;
    println!("    {what}: {} writes, {lost} lost, which no balancer may make twice", told.writes.made);
    assert!(told.reads.made >= 100, "{what}: only {} reads were made", told.reads.made);
    assert_eq!((told.reads.refused, told.reads.broken), (0, 0), "{what}: reads were lost: {told:#?}");
    let cut: Vec<&String> = told.cut.iter().filter(|line| line.contains("\"GET ")).collect();
    assert!(cut.is_empty(), "{what}: the balancer says that reads were cut off:\n{cut:#?}");
    assert!(lost * 5 < told.writes.made, "{what}: more is lost than what was on its way: {told:#?}");
}

/// All processes of a service at once, under load: it comes back by itself; where it stays away, `verify` names its host and
/// the next apply starts it.
pub fn a_backend_is_killed(w: &mut World) {
    w.converge();
    let load = Load::start(w);
    for unit in ["foobar-app", "nginx"] {
        let of = |w: &World| w.on("web-01", &format!("systemctl show --value -p MainPID -p ActiveState {unit}"));
        let before = of(w);
        w.on("web-01", &format!("systemctl kill -s KILL {unit}"));
        let is_back = || of(w) != before && of(w).lines().any(|line| line == "active");
        assert!(until(Duration::from_secs(30), is_back), "{unit} stays away: {}", of(w));
        serves(w, "web-01");
    }
    w.is_converged();
    for unit in ["foobar-app", "nginx"] {
        w.on("web-01", &format!("systemctl kill -s KILL {unit}; systemctl stop {unit}"));
        is_out(w, "web-01");
        w.foobar(&["verify"]).ends(3).says(&["web-01", unit]);
        w.apply(&[]).says(&[&format!("start {unit}"), "web-01"]);
        serves(w, "web-01");
    }
    let told = load.tell(w, "a backend that is killed");
    no_read_is_lost("a backend that is killed", &told);
    w.is_converged();
    is_proved(w);
}

/// Its network swallows what the balancer sends, on connections that stand and on new ones.
pub fn a_backend_falls_silent(w: &mut World) {
    w.converge();
    let balancer = w.lab.address("lb-01").unwrap();
    let load = Load::start(w);
    w.on("web-01", "nft add table inet e2e; nft 'add chain inet e2e in { type filter hook input priority -9; }'");
    w.on("web-01", &format!("nft add rule inet e2e in ip saddr {balancer} tcp dport 80 drop"));
    is_out(w, "web-01");
    w.foobar(&["verify"]).ends(3).says(&["web-01"]);
    let told = load.tell(w, "a backend that falls silent");
    w.on("web-01", "nft delete table inet e2e");
    no_read_is_lost("a backend that falls silent", &told);
    serves(w, "web-01");
    w.is_converged();
    is_proved(w);
}

/// Waits, in Python, until somebody lets it go on, and for two minutes at most.
const HOLD: &str =
    "import os, time\nfor _ in range(2400):\n    if os.path.exists(\"/run/e2e-go\"): break\n    time.sleep(0.05)\n";

/// A release of the application one of whose files waits where it is run, and that is like no other.
fn held_release(w: &World, file: &str) -> impl Fn() + use<> {
    let path = w.dir.join("guestbook").join(file);
    let good = fs::read_to_string(&path).unwrap();
    let edition = w.dir.join("guestbook/edition.txt");
    let stamp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    fs::write(&edition, format!("{stamp}\n")).unwrap();
    fs::write(&path, format!("{HOLD}{good}")).unwrap();
    for host in HOSTS {
        w.on(host, "rm -f /run/e2e-go");
    }
    move || fs::write(&path, &good).unwrap()
}

/// Lets what is held on a host go on, and waits until no command of a run is at work there.
fn let_go(w: &World, host: &str) {
    w.on(host, "touch /run/e2e-go");
    let free = || w.lab.exec(host, "flock -n /var/lib/foobar true").is_ok_and(|o| o.ok());
    assert!(until(Duration::from_secs(90), free), "what was begun on {host} does not end");
}

/// Starts an apply and waits until `reached` says yes.
fn apply_until(w: &mut World, what: &str, reached: impl Fn(&World) -> bool) -> Started {
    w.cold();
    let command = w.command(&["apply", "--yes"]);
    let started = start(command, &w.dir, "cut");
    if !until(Duration::from_secs(90), || reached(w)) {
        let run = started.wait("apply --yes");
        panic!("{what} was not reached: {run}");
    }
    started
}

fn runs(w: &World, host: &str, test: &str) -> bool {
    w.lab.exec(host, test).is_ok_and(|o| o.ok())
}

/// The process that holds the program's connection to a host: ssh's own, with the socket in this world's directory.
fn connection(w: &World, host: &str) -> Vec<u32> {
    let sockets = w.sockets();
    let sockets = sockets.to_str().unwrap();
    let all = fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok());
    all.filter(|pid| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<String> =
            words.split(|b| *b == 0).filter(|w| !w.is_empty()).map(|w| String::from_utf8_lossy(w).into()).collect();
        let is_ssh = words.first().is_some_and(|w| w == "ssh" || w.ends_with("/ssh"));
        is_ssh && words.iter().any(|w| w.starts_with(sockets)) && words.last().is_some_and(|w| w.contains(host))
    })
    .collect()
}

/// Cuts the connection to web-01 under a run, which must end at once and say so, while what it had begun there goes on.
fn cut(w: &mut World, started: Started) -> Run {
    let found = connection(w, "web-01");
    assert_eq!(found.len(), 1, "one connection to web-01: {found:?}");
    assert!(Command::new("kill").args(["-9", &found[0].to_string()]).status().unwrap().success());
    let run = w.finish(&["apply", "--yes"], started);
    run.ends(7).says(&["web-01", "the connection was lost while a script ran", "run foobar again"]);
    assert!(!runs(w, "web-01", "flock -n /var/lib/foobar true"), "what was begun on web-01 has not gone on: {run}");
    run
}

/// The connection dies while a migration runs, and again while the application is restarted: nobody notices, the step ends
/// on its host, and the next plan says what was cut off.
pub fn a_connection_is_cut_in_the_middle_of_a_step(w: &mut World) {
    w.converge();
    let load = Load::start(w);
    let restore = held_release(w, "migrate.py");
    let migrates = "[ \"$(systemctl show --value -p ActiveState foobar-migrate.service)\" = activating ]";
    let started = apply_until(w, "the migration", |w| runs(w, "web-01", migrates));
    cut(w, started).says(&["migrate the database"]);
    assert!(runs(w, "web-01", migrates), "the migration ended with its connection");
    // Who comes too early is told that the host is busy.
    w.foobar(&["apply", "--yes"]).ends(6).says(&["web-01", "still works there"]);
    let_go(w, "web-01");
    assert!(runs(w, "web-01", "[ -e /var/lib/foobar/migrated/$(ls -t /srv/foobar/releases | head -n 1) ]"));
    let plan = w.foobar(&["plan"]);
    plan.ends(0).says(&["web-01", "was cut off"]);
    assert!(!plan.stdout.contains("migrate the database"), "what was made is made again: {plan}");
    restore();

    let restore = held_release(w, "wsgi.py");
    let restarts = "[ \"$(readlink -f /proc/$(systemctl show --value -p MainPID foobar-app)/cwd)\" = \"$(readlink -f /srv/foobar/current)\" ] \
                    && [ \"$(ls -t /srv/foobar/releases | head -n 1)\" = \"$(basename \"$(readlink -f /srv/foobar/current)\")\" ] && grep -q e2e-go /srv/foobar/current/wsgi.py";
    let started = apply_until(w, "the restart", |w| runs(w, "web-01", restarts));
    cut(w, started).says(&["restart foobar-app"]);
    assert_eq!(server(w, "web-01").trim(), "0 1", "it is out while nobody knows how it is");
    let_go(w, "web-01");
    w.on("web-02", "touch /run/e2e-go");
    let plan = w.foobar(&["plan"]);
    plan.ends(0).says(&["web-01", "was cut off", "put web-01 back", "drain web-02"]);
    w.apply(&[]);
    w.is_converged();
    serves(w, "web-01");
    restore();
    let _ = fs::remove_file(w.dir.join("guestbook/edition.txt"));
    w.converge();
    let tally = load.stop(w, "connections that are cut");
    assert_eq!(super::rolling::lost("connections that are cut", &tally), None);
    is_proved(w);
}

/// On a database host: its server's own connections to another one are swallowed, in both directions, and nobody else's.
const CUT_OFF: &str = "nft add table inet e2e; nft 'add chain inet e2e out { type filter hook output priority -9; }'; \
    nft 'add chain inet e2e in { type filter hook input priority -9; }'; \
    nft add rule inet e2e out meta skuid mysql tcp dport 3306 ct mark set 7; nft add rule inet e2e out ct mark 7 drop; \
    nft add rule inet e2e in ct mark 7 drop";

/// Whether the primary's writes wait for a replica at the moment.
fn waits(w: &World) -> bool {
    let (client, name) = (unit(w), if w.engine() == "mysql" { "source" } else { "master" });
    let ask = format!("timeout -s KILL 5 {client} -N -e \"SHOW STATUS LIKE 'Rpl_semi_sync_{name}_status'\"");
    w.lab.exec("web-01", &ask).is_ok_and(|said| said.stdout.trim().ends_with("ON"))
}

/// A write waits for the replica as long as it may, then goes on, and the next does not wait at all; `verify` says that
/// replication does not run, nothing hangs on it, and all is well once it is heard of again.
pub fn a_replica_is_cut_off(w: &mut World) {
    w.converge();
    assert!(until(Duration::from_secs(30), || waits(w)), "writes do not wait for a replica");
    w.on("web-02", CUT_OFF);
    let client = unit(w);
    let write = |w: &World, within: u32, message: &str| {
        let statement =
            format!("INSERT INTO foobar.entries (name, message, web) VALUES ('Drill', '{message}', 'web-01')");
        w.on("web-01", &format!("timeout -s KILL {within} {client} -e \"{statement}\""));
    };
    // The server's own bound is 10 s; the rest is for a machine that is busy.
    write(w, 30, "while the replica is not heard of");
    assert!(!waits(w), "writes still wait for a replica that is not heard of");
    write(w, 9, "that nobody waits for");
    let is_seen = |w: &mut World| {
        let run = w.foobar(&["verify"]);
        assert!(run.took < Duration::from_secs(120), "{run}");
        run.code == 3 && run.stdout.contains("replication runs") && run.stdout.contains("IO ")
    };
    assert!(until(Duration::from_secs(60), || is_seen(w)), "{}", w.said.last().unwrap());
    w.said.last().unwrap().says(&["web-02", "a row written on web-01 is read here", "it did not come"]);

    // There is nothing to do about it, and what else there is to do is done.
    w.is_converged();
    w.topology = w.original().replace("round-robin", "ip-hash");
    w.apply(&[]);
    w.converge();
    w.authority();
    assert!(w.get("/").contains("Welcome"), "the site is read all the while");

    w.on("web-02", "nft delete table inet e2e");
    hangs(w);
    arrives(w, "web-02", "that nobody waits for");
    assert!(until(Duration::from_secs(60), || waits(w)), "writes do not wait for the replica that is back");
    sign(w, "web-01", "since the replica is back");
    arrives(w, "web-02", "since the replica is back");
    w.is_converged();
    is_proved(w);
}

/// MariaDB 11.8 can stop answering anyone when a replica comes back whose former connection was cut in silence: who ends
/// that connection's thread waits for the receiver of acknowledgements, and that one for the dead connection
/// (`kill_zombie_dump_threads`, `Ack_receiver::remove_slave`). It is said then of the server that does not answer, and
/// nothing is advised that would lose its data; the way that is named leads back.
fn hangs(w: &mut World) {
    let unit = unit(w);
    let answers = |w: &World| runs(w, "web-01", &format!("timeout -s KILL 5 {unit} -e 'SELECT 1'"));
    // The replica tries again every 5 s.
    if until(Duration::from_secs(30), || waits(w)) || answers(w) {
        return;
    }
    println!("    {}: the primary hangs since its replica is back", w.suite);
    assert_eq!(w.engine(), "mariadb");
    let run = w.foobar(&["plan"]);
    run.ends(1).says(&["web-01", "does not answer root through its socket", "systemctl kill -s KILL mariadb"]);
    assert!(!run.stderr.contains("RESET REPLICA"), "{run}");
    assert!(run.took < Duration::from_secs(60), "{run}");
    w.foobar(&["verify"]).ends(3).says(&["web-01"]);
    w.on("web-01", "systemctl kill -s KILL mariadb");
    assert!(until(Duration::from_secs(60), || answers(w)), "it does not start again");
    w.apply(&[]).says(&["make the primary writable"]);
}

/// The primary's service is stopped: what is read is read on, nothing is promoted by itself, and the next apply starts it
/// and opens it for writes.
pub fn the_primary_is_stopped(w: &mut World) {
    w.converge();
    w.authority();
    let unit = unit(w);
    let closed = |w: &World, host: &str| sql(w, host, "SELECT @@GLOBAL.read_only").trim().to_owned();
    w.on("web-01", &format!("systemctl stop {unit}"));
    for _ in 0..4 {
        assert!(w.get("/").contains("Welcome"), "what is on the replica is not read");
    }
    let run = w.foobar(&["verify"]);
    run.ends(3).says(&[
        "web-01",
        unit,
        "the site is healthy through the balancer",
        "`foobar failover` goes on without it",
    ]);
    assert_eq!(closed(w, "web-02"), "1", "the replica was opened by somebody");
    w.foobar(&["plan"]).ends(0).says(&[&format!("start {unit}"), "make the primary writable"]);
    assert_eq!(closed(w, "web-02"), "1");
    w.apply(&[]);
    assert_eq!((closed(w, "web-01"), closed(w, "web-02")), ("0".into(), "1".into()));
    sign(w, "web-01", "since the primary is back");
    arrives(w, "web-02", "since the primary is back");
    w.is_converged();
    is_proved(w);
}

/// A `date` ahead of the system's in the path of what foobar runs. It is not the clock, which is one for all hosts here: it
/// shows what foobar asks for the time of day, and says of it.
pub fn wrong_date(w: &World, host: &str, body: &str) {
    let script = format!("cat >/usr/local/bin/date <<'END'\n#!/bin/sh\n{body}\nEND\nchmod 755 /usr/local/bin/date");
    w.on(host, &script);
}

/// A host whose clock is days behind is named by every plan; one whose clock jumps by an hour at each look neither cuts a
/// drain short nor a check.
pub fn a_clock_is_far_off(w: &mut World) {
    w.converge();
    wrong_date(w, "web-02", "exec /usr/bin/date -d '-3 days -1 hour' \"$@\"");
    let run = w.foobar(&["plan"]);
    run.ends(0).says(&["web-02: its clock is 3 days behind this machine's", "timedatectl", "No changes"]);
    assert!(!run.stderr.contains("lb-01: its clock"), "{run}");
    w.on("web-02", "rm /usr/local/bin/date");
    wrong_date(
        w,
        "lb-01",
        "n=$(cat /run/e2e-date 2>/dev/null || echo 0); echo $((n + 1)) >/run/e2e-date; exec /usr/bin/date -d \"+$n hours\" \"$@\"",
    );
    let load = Load::start(w);
    w.topology = w.original().replace("Welcome", "Good time of day");
    w.apply(&[]).says(&["drain web-01", "put web-02 back"]);
    w.converge();
    let tally = load.stop(w, "a clock that jumps");
    w.on("lb-01", "rm -f /usr/local/bin/date /run/e2e-date");
    assert_eq!(super::rolling::lost("a clock that jumps", &tally), None);
    is_proved(w);
}

/// The program with so many files that it may have open.
fn with_files(w: &World, most: u32, words: &[&str]) -> Command {
    let command = w.command(words);
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {most}; exec \"$@\""), "sh"]);
    limited.arg(command.get_program()).args(command.get_args()).current_dir(&w.dir);
    limited.stdin(std::process::Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

/// With however few, it either works or says what it lacks, before anything is begun; where they run out in the middle, it
/// says so too, and the next run goes on.
pub fn this_machine_has_too_few_files_to_open(w: &mut World) {
    w.converge();
    let before = state(w);
    w.topology = w.original().replace("round-robin", "ip-hash");
    let words = ["apply", "--yes"];
    let (mut refused, mut done) = (0, 0);
    for most in [5, 8, 12, 16, 20, 24, 28, 32, 36, 48] {
        w.cold();
        let limited = with_files(w, most, &words);
        let run = start(limited, &w.dir, "few");
        let run = w.finish(&[&format!("(with {most} files) apply --yes")], run);
        if run.code == 0 {
            done += 1;
            continue;
        }
        refused += 1;
        run.ends(1).says(&["files and connections can be opened", &format!("limit of {most}"), "ulimit -n"]);
        assert!(done == 0, "{most} are too few, and fewer were not: {run}");
        assert_eq!(state(w), before, "something was written on the way: {run}");
    }
    assert!(refused >= 5 && done >= 1, "{refused} refused, {done} done");
    w.converge();

    let restore = held_release(w, "migrate.py");
    let migrates = "[ \"$(systemctl show --value -p ActiveState foobar-migrate.service)\" = activating ]";
    let started = apply_until(w, "the migration", |w| runs(w, "web-01", migrates));
    let pid = started.id().to_string();
    assert!(Command::new("prlimit").args(["--nofile=10:10", "--pid", &pid]).status().unwrap().success());
    let_go(w, "web-01");
    let run = w.finish(&words, started);
    run.ends(1).says(&["lets the program open no more files and connections", "ulimit -n"]);
    assert!(!run.stderr.contains("panicked"), "{run}");
    restore();
    w.foobar(&["apply", "--yes", "--lock-timeout", "3m"]).ends(0);
    w.is_converged();
    let _ = fs::remove_file(w.dir.join("guestbook/edition.txt"));
    w.converge();
    is_proved(w);
}

/// A package whose installation waits until it is let go, and dpkg under way with it.
const HALF: &str = r#"rm -rf /run/e2e-half /run/e2e-go /run/e2e-held; mkdir -p /run/e2e-half/DEBIAN; cd /run/e2e-half
printf 'Package: e2e-half\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: waits\n' >DEBIAN/control
printf '#!/bin/sh\n[ -e /run/e2e-go ] || { touch /run/e2e-held; sleep 600; }\n' >DEBIAN/postinst
chmod 755 DEBIAN/postinst; dpkg-deb -b . /run/e2e-half.deb >/dev/null
systemd-run -q --collect --unit=e2e-dpkg dpkg -i /run/e2e-half.deb
n=0; until [ -e /run/e2e-held ]; do n=$((n + 1)); [ $n -lt 600 ] || exit 1; sleep 0.05; done"#;

/// dpkg killed in the middle: while it is at work it is nobody's business; what it left is named, and finished by the next
/// apply.
pub fn dpkg_was_interrupted(w: &mut World) {
    w.converge();
    w.on("lb-01", HALF);
    w.is_converged();
    w.on("lb-01", "systemctl kill -s KILL e2e-dpkg; n=0; while pgrep -x dpkg >/dev/null; do n=$((n + 1)); [ $n -lt 600 ] || exit 1; sleep 0.05; done");
    assert_ne!(w.on("lb-01", "dpkg --audit"), "", "it was not interrupted");
    let haproxy = |w: &World| w.on("lb-01", "systemctl show --value -p InvocationID haproxy");
    let before = haproxy(w);
    w.foobar(&["plan"]).ends(0).says(&["finish what an interrupted dpkg left", "e2e-half", "lb-01"]);
    w.on("lb-01", "touch /run/e2e-go");
    w.apply(&[]);
    assert_eq!(w.on("lb-01", "dpkg --audit"), "");
    assert_eq!(haproxy(w), before, "what had nothing to do with it was restarted");
    w.is_converged();
    w.on("lb-01", MEND);
    w.on("lb-01", "rm -rf /run/e2e-half /run/e2e-half.deb");
    w.is_converged();
}

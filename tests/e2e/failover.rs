//! The primary is gone, under a bank that never closes: a replica goes on, what was acknowledged is there where replicas
//! acknowledge, and what is lost elsewhere is what was said, to the last transaction. Then the former primary comes back.

use super::{
    bank::{Bank, Books},
    damage::{arrives, sign, sound, sql, unit},
    locks::times,
    switchover::{SERVERS, WAY, is_open, one_writes, tell},
    world::{Run, World, start, until},
};
use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

/// Fails over; the file that the program left is the one that counts from now on.
fn fail_over(w: &mut World, more: &[&str]) -> Run {
    let words: Vec<&str> = ["failover"].iter().chain(more).copied().collect();
    let run = w.foobar(&words);
    w.topology = fs::read_to_string(w.dir.join("foobar.yaml")).unwrap();
    run
}

/// Its server dies and does not come back by itself.
fn kill(w: &World, host: &str) {
    let unit = unit(w);
    w.on(
        host,
        &format!("systemctl mask -q --runtime {unit}; systemctl kill -s KILL {unit}; n=0; while systemctl is-active -q {unit}; do n=$((n + 1)); [ $n -lt 200 ] || exit 1; sleep 0.05; done; systemctl stop {unit} 2>/dev/null; rm -f /run/systemd/system/{unit}.service; systemctl daemon-reload"),
    );
}

/// The former primary is brought back as the user would: by its log where that has nothing of its own, else filled anew.
/// Says whether it was the latter.
fn bring_back(w: &mut World, host: &str) -> bool {
    let mut run = w.foobar(&["apply", "--yes"]);
    let filled = run.code != 0;
    if filled {
        run.says(&["it has transactions that", "--reseed"]);
        run = w.foobar(&["apply", "--yes", "--reseed", host]);
        run.says(&["empty the data directory", "copy the data of"]);
    }
    run.ends(0);
    w.is_converged();
    filled
}

/// Each write waits for the replica: none that was acknowledged is lost, as often as the primary dies.
pub fn no_acknowledged_write_is_lost_where_replicas_acknowledge(w: &mut World) {
    sound(w);
    let rounds = times(2, 20);
    let mut figures = Books { acknowledged: 0, failed: 0, missing: Vec::new(), pause: 0.0 };
    let mut filled = 0;
    for n in 0..rounds {
        let (from, to) = if n % 2 == 0 { ("web-01", "web-02") } else { ("web-02", "web-01") };
        let bank = Bank::open(w, from, "web-01", WAY);
        kill(w, from);
        let run = fail_over(w, &["--yes", "--allow-loss"]);
        run.ends(0).says(&[
            &format!("let {to} take the writes"),
            "The file says so too",
            &format!("stop and mask {}", unit(w)),
        ]);
        bank.goes_on(w);
        assert!(is_open(w, to), "{to} does not take writes");
        filled += usize::from(bring_back(w, from));
        one_writes(w, to);
        bank.goes_on(w);
        let books = bank.close(w, &SERVERS);
        assert!(books.missing.is_empty(), "lost: {:?}", books.missing);
        figures.acknowledged += books.acknowledged;
        figures.failed += books.failed;
        figures.pause = figures.pause.max(books.pause);
        if n == 0 {
            assert!(w.topology.contains("primary: web-02") && w.topology.contains("replicas: [web-01]"));
            assert!(until(Duration::from_secs(30), || w.foobar(&["verify"]).code == 0), "{}", w.said.last().unwrap());
            fail_over(w, &["--yes"]).ends(1).says(&["web-02: it takes the writes", "foobar switchover"]);
        }
    }
    tell(w, &format!("{rounds} failovers, {filled} former primaries filled anew"), &figures);
    if rounds.is_multiple_of(2) {
        assert_eq!(w.topology, w.original(), "there and back, every byte of the file is what it was");
    }
    w.converge();
}

/// The transfers in a file of lost transactions, and how many transactions those are.
fn kept(w: &World, host: &str) -> BTreeSet<(usize, usize)> {
    let text = w.on(host, "cat \"$(ls -t /var/lib/foobar/lost/*.sql | head -n 1)\"");
    let mut found = BTreeSet::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if !line.starts_with("### INSERT INTO `foobar`.`bank_ledger`") {
            continue;
        }
        let mut value = |column: &str| {
            let line = lines.by_ref().find(|l| l.contains(&format!("@{column}="))).unwrap();
            line.split_once('=').unwrap().1.split(' ').next().unwrap().parse().unwrap()
        };
        found.insert((value("1"), value("2")));
    }
    found
}

/// Nobody waits for the replica, and it is behind: what is lost is what was said, and nothing else.
pub fn what_is_lost_is_what_was_said(w: &mut World) {
    sound(w);
    w.topology = w.original().replace("  database: foobar", "  database: foobar\n  semi_sync: false");
    w.apply(&[]);
    for n in 0..times(1, 4) {
        let (from, to) = if n % 2 == 0 { ("web-01", "web-02") } else { ("web-02", "web-01") };
        let bank = Bank::open(w, from, "web-01", WAY);
        // A replica whose primary was just restarted comes back to it some seconds later: it has the bank's opening now.
        let open = format!("the bank is open, {n}");
        sign(w, from, &open);
        arrives(w, to, &open);
        sql(w, to, "STOP REPLICA IO_THREAD");
        bank.goes_on(w);
        kill(w, from);
        let text = w.topology.clone();
        let run = fail_over(w, &["--yes"]);
        run.ends(1).says(&["transactions are lost, and no other", "--allow-loss", "nothing was changed"]);
        assert!(!is_open(w, to), "{to} was opened");
        assert_eq!(w.topology, text);
        let run = fail_over(w, &["--yes", "--allow-loss"]);
        run.ends(0);
        let said: usize = run
            .stderr
            .lines()
            .find_map(|l| l.split_once(" transactions are lost, and no other")?.0.trim().parse().ok())
            .unwrap_or_else(|| panic!("how many are lost is not said: {run}"));
        bank.goes_on(w);
        let books = bank.close(w, &[to]);
        let lost = kept(w, from);
        // One whose writing the crash cut off has a name and no rows.
        let cut_off = said.checked_sub(lost.len());
        assert!(cut_off.is_some_and(|n| n <= 1), "{said} were counted, and these are kept: {}", lost.len());
        let rows = sql(w, to, "SELECT teller, number FROM foobar.bank_ledger");
        let rows: BTreeSet<(usize, usize)> = rows
            .lines()
            .filter_map(|line| line.split_once('\t').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?))))
            .collect();
        assert!(lost.is_disjoint(&rows), "said to be lost, and there: {:?}", lost.intersection(&rows));
        let missing: BTreeSet<_> = books.missing.iter().flat_map(|(_, lost)| lost.iter().copied()).collect();
        assert!(missing.is_subset(&lost), "lost, and not said: {:?}", missing.difference(&lost));
        assert!(missing.len() > 20, "nothing was lost: this case proves nothing");
        println!(
            "    {}: {said} transactions said to be lost, {} of them acknowledged; all of them kept",
            w.suite,
            missing.len()
        );
        assert!(bring_back(w, from), "{from} has transactions of its own, and was not filled anew");
        let sum =
            "SELECT COUNT(*), BIT_XOR(CRC32(CONCAT_WS(':', teller, number, giver, taker))) FROM foobar.bank_ledger";
        assert!(until(Duration::from_secs(20), || sql(w, from, sum) == sql(w, to, sum)), "the servers differ");
    }
    sound(w);
}

/// The host is gone, and with it what it knew. One that only foobar cannot reach is not taken for gone.
pub fn a_host_that_cannot_be_reached_may_live(w: &mut World) {
    sound(w);
    w.foobar(&["failover", "--is-off", "web-02", "--yes"])
        .ends(1)
        .says(&["web-02: it is said to be off, and it answers"]);
    // foobar's own way leads nowhere, the replica's is not touched.
    let known = w.lab.dir().join("ssh_config");
    let barred = w.dir.join("barred");
    fs::write(&barred, format!("Host web-01\n  Port 9\nMatch all\nInclude {}\n", known.display())).unwrap();
    let barred = ["--ssh-config", barred.to_str().unwrap()];
    w.cold();
    fail_over(w, &[&["--yes"], &barred[..]].concat())
        .ends(1)
        .says(&["web-01: it cannot be reached", "--is-off web-01"]);
    let words = ["--yes", "--allow-loss", "--is-off", "web-01"];
    let run = fail_over(w, &[&words, &barred[..]].concat());
    assert_ne!(run.code, 0);
    run.says(&["it still hears from web-01"]);
    one_writes(w, "web-01");
    w.cold();
    w.is_converged();

    let bank = Bank::open(w, "web-01", "web-02", WAY);
    w.lab.kill_host("web-01").unwrap();
    w.cold();
    let short = ["--connect-timeout", "3s"];
    fail_over(w, &[&["--yes", "--is-off", "web-01"], &short[..]].concat())
        .ends(1)
        .says(&["what is lost is unknown", "--allow-loss"]);
    let run = fail_over(w, &[&words, &short[..]].concat());
    run.ends(0).says(&["let web-02 take the writes", "web-01: it cannot be reached, and is left out"]);
    bank.goes_on(w);
    w.lab.start_host("web-01").unwrap();
    w.cold();
    assert!(!is_open(w, "web-01"), "it came back open");
    bring_back(w, "web-01");
    one_writes(w, "web-02");
    bank.goes_on(w);
    let books = bank.close(w, &SERVERS);
    tell(w, "a primary whose host lost its power", &books);
    assert!(books.missing.is_empty(), "lost: {:?}", books.missing);
    w.foobar(&["switchover", "--to", "web-01", "--yes"]).ends(0);
    w.converge();
}

/// Killed at any step, there are never two writers, and the same words go on with it.
pub fn a_failover_that_is_killed_is_gone_on_with(w: &mut World) {
    sound(w);
    for n in 0..times(2, 12) {
        let (from, to) = if n % 2 == 0 { ("web-01", "web-02") } else { ("web-02", "web-01") };
        let bank = Bank::open(w, from, "web-01", WAY);
        kill(w, from);
        let command = w.command(&["failover", "--yes", "--allow-loss", "--json"]);
        let mut child = start(command, &w.dir, "doomed");
        let out = w.dir.join("doomed.out");
        let said = || fs::read_to_string(&out).unwrap_or_default();
        let wanted = (n + 1) % 4;
        let end = Instant::now() + Duration::from_secs(60);
        let is_there = |said: &str| said.matches("\"step-done\"").count() >= wanted && said.contains("step-started");
        while !is_there(&said()) && !said().contains("apply-finished") && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill();
        child.wait("failover");
        w.topology = fs::read_to_string(w.dir.join("foobar.yaml")).unwrap();
        let run = fail_over(w, &["--yes", "--allow-loss", "--lock-timeout", "60s"]);
        // It was killed at the very end, and had said so to the file.
        if !(run.code == 1 && run.stderr.contains("it takes the writes")) {
            run.ends(0);
        }
        assert!(is_open(w, to) && w.topology.contains(&format!("primary: {to}")), "{}", w.topology);
        bank.goes_on(w);
        bring_back(w, from);
        one_writes(w, to);
        let books = bank.close(w, &SERVERS);
        assert!(books.missing.is_empty(), "lost after kill {n}: {:?}", books.missing);
    }
    w.converge();
}

//! The writes move from one database server to another under a bank that never closes, there and back; what must not happen
//! is refused, and what is cut off or fails is taken back or gone on with.

use super::{
    bank::{Bank, Books},
    damage::{sound, sql, unit},
    locks::times,
    paths::{close, open},
    sealed::elsewhere,
    world::{Run, SESSION_KEY, World, start, until},
};
use std::{
    fs,
    time::{Duration, Instant},
};

/// The databases of the original topology.
pub const SERVERS: [&str; 2] = ["web-01", "web-02"];

/// Where the tellers take their transfers: the application's own way to whoever takes writes.
pub const WAY: &str = "127.0.0.1:6446";

pub fn is_open(w: &World, host: &str) -> bool {
    sql(w, host, "SELECT @@GLOBAL.read_only").trim() == "0"
}

/// Switches over; the file that the program left is the one that counts from now on.
fn switch(w: &mut World, to: &str) -> Run {
    let run = w.foobar(&["switchover", "--to", to, "--yes"]);
    w.topology = fs::read_to_string(w.dir.join("foobar.yaml")).unwrap();
    run
}

/// Exactly one of the two takes writes, and the other one follows it.
#[track_caller]
pub fn one_writes(w: &World, host: &str) {
    for server in SERVERS {
        assert_eq!(is_open(w, server), server == host, "whether {server} takes writes");
    }
}

pub fn tell(w: &World, what: &str, books: &Books) {
    println!(
        "    {}: {what}: {} transfers acknowledged, {} failed or unanswered, {} lost; longest pause {:.2} s",
        w.suite,
        books.acknowledged,
        books.failed,
        books.missing.iter().map(|(_, lost)| lost.len()).sum::<usize>(),
        books.pause
    );
}

/// There and back, as often as there is time: nothing that was acknowledged is lost, and the file is as the servers are.
pub fn no_write_is_lost_in_a_switchover(w: &mut World) {
    sound(w);
    let mut worst: f64 = 0.0;
    let mut figures = Books { acknowledged: 0, failed: 0, missing: Vec::new(), pause: 0.0 };
    let (rounds, mut busy) = (times(2, 50), 0);
    for n in 0..rounds {
        let (from, to) = if n % 2 == 0 { ("web-01", "web-02") } else { ("web-02", "web-01") };
        let bank = Bank::open(w, from, "web-01", WAY);
        let mut run = switch(w, to);
        // On a machine that is busy a write may take longer than the primary waits: it stays open then, by its word.
        while run.code == 4 && rounds > 2 && busy < rounds / 10 {
            run.says(&["it stays open, and nothing was moved"]);
            one_writes(w, from);
            busy += 1;
            run = switch(w, to);
        }
        run.ends(0);
        bank.goes_on(w);
        one_writes(w, to);
        let books = bank.close(w, &SERVERS);
        assert!(books.missing.is_empty(), "lost: {:?}", books.missing);
        // No record, no file and no note goes by a role.
        w.foobar(&["plan", "--detailed-exitcode"]).ends(0);
        w.is_converged();
        worst = worst.max(books.pause);
        figures.acknowledged += books.acknowledged;
        figures.failed += books.failed;
        if n == 0 {
            run.says(&["let web-02 take the writes", "impact: write outage", "The file says so too"]);
            assert!(
                w.topology.contains("primary: web-02") && w.topology.contains("replicas: [web-01]"),
                "{}",
                w.topology
            );
            assert!(until(Duration::from_secs(30), || w.foobar(&["verify"]).code == 0), "{}", w.said.last().unwrap());
            w.foobar(&["switchover", "--to", to, "--yes"]).ends(0).says(&["web-02 takes the writes already"]);
        }
    }
    figures.pause = worst;
    tell(w, &format!("{rounds} switchovers, {busy} of them at a second try"), &figures);
    if rounds.is_multiple_of(2) {
        assert_eq!(w.topology, w.original(), "there and back, every byte of the file is what it was");
    }
    w.converge();
}

/// A file that names another primary than the servers have: a plan goes by the servers and moves nothing, and says so.
pub fn a_plan_follows_the_roles_that_it_finds(w: &mut World) {
    sound(w);
    let switch = ["switchover", "--to", "web-02", "--yes", "--no-edit"];
    w.foobar(&switch).ends(0).says(&["was left as it is"]);
    assert_eq!(w.topology, w.original());
    let note = [
        "web-02 takes the writes, and",
        "names web-01: planned with web-02 as the primary",
        "`foobar switchover --to web-02` has the file say so; `--to web-01` moves the writes there",
    ];
    w.foobar(&["plan", "--detailed-exitcode"]).ends(0).says(&note);
    w.apply(&[]).says(&note);
    one_writes(w, "web-02");
    // The site is proved as it is, and nothing but the file is wrong.
    let is_named = |w: &mut World| {
        let run = w.foobar(&["verify", "--json"]);
        let wrong = run.json()["checks"].as_array().unwrap().iter().filter(|c| c["outcome"] != "pass").count();
        run.code == 3 && wrong == 1
    };
    assert!(until(Duration::from_secs(30), || is_named(w)), "{}", w.said.last().unwrap());
    w.foobar(&["verify"]).ends(3).says(&["names the primary", "it names web-01, and web-02 is it"]);

    // Who may be written to is told by the file's roles, which are not the servers'.
    w.foobar(&["plan", "--limit", "@replicas"]).ends(64).says(&["--limit goes by roles", "web-02 is it"]);
    w.foobar(&["plan", "--limit", "web-02"]).ends(0).says(&note[1..2]);
    w.foobar(&["drill", "mysql@web-02", "--yes"]).ends(64).says(&["web-02 has the primary"]);

    // A change of something else, kept and carried out: who takes the writes stays.
    w.topology = w.topology.replace("GREETING: Welcome", "GREETING: Hello");
    let kept = w.dir.join("roles.plan").display().to_string();
    w.foobar(&["plan", "-o", &kept]).ends(0).says(&note);
    elsewhere(w, &["apply", &kept], SESSION_KEY).ends(0).says(&note[1..2]);
    w.is_converged();
    one_writes(w, "web-02");

    // Restarted, it is closed: whom the other one follows is opened again, and not the one that the file names.
    let unit = unit(w);
    w.on("web-02", &format!("systemctl restart {unit}"));
    w.apply(&[]).says(&["web-02 is whom web-01 follows", "make the primary writable"]);
    one_writes(w, "web-02");
    w.is_converged();

    // Two writers: nothing is done until one of them is closed by hand.
    sql(w, "web-01", "STOP REPLICA; RESET REPLICA ALL");
    open(w, "web-01");
    for words in [&["plan"][..], &["apply", "--yes"], &["apply", "--yes", "--limit", "lb-01"]] {
        w.foobar(words).ends(1).says(&["web-01 and web-02 take writes at the same time", "=ON", "foobar plan"]);
    }
    close(w, "web-01");
    w.apply(&[]).says(&["replicate from web-02", "nothing that web-02 has not"]);
    w.is_converged();
    one_writes(w, "web-02");

    // Either way that the note names.
    w.foobar(&["switchover", "--to", "web-02", "--yes"]).ends(0).says(&["The file says so too", "+ primary: web-02"]);
    let edited = fs::read_to_string(w.dir.join("foobar.yaml")).unwrap();
    assert!(edited.contains("primary: web-02"), "{edited}");
    w.foobar(&["switchover", "--to", "web-01", "--yes"]).ends(0);
    one_writes(w, "web-01");
    w.converge();
}

/// What would lose a write, or pause for long, is refused before anything is closed, and all of it at once.
pub fn a_switchover_that_would_hurt_is_refused(w: &mut World) {
    sound(w);
    let text = w.topology.clone();
    let refused = |w: &mut World, code: i32, texts: &[&str]| {
        let run = w.foobar(&["switchover", "--to", "web-02", "--yes"]);
        run.ends(code).says(texts);
        one_writes(w, "web-01");
        assert_eq!(fs::read_to_string(w.dir.join("foobar.yaml")).unwrap(), text);
    };
    w.foobar(&["switchover", "--to", "lb-01", "--yes"]).ends(1).says(&["no database server of the topology"]);
    w.foobar(&["switchover", "--to", "web-02"]).ends(64).says(&["no terminal to ask on"]);
    w.foobar(&["switchover", "--to", "web-02", "--yes", "--max-impact", "restart"]).ends(1).says(&["write outage"]);

    sql(w, "web-02", "STOP REPLICA");
    refused(w, 1, &["its IO thread does not run", "its SQL thread does not run", "foobar apply"]);
    sql(w, "web-02", "START REPLICA");
    assert!(until(Duration::from_secs(20), || w.foobar(&["verify"]).code == 0), "{}", w.said.last().unwrap());

    // A transaction that has been open for long.
    let client = unit(w);
    let hold = |w: &World, sql: &str| {
        w.on(
            "web-01",
            &format!("rm -f /run/e2e-hold; mkfifo /run/e2e-hold; systemd-run -q --collect --unit=e2e-hold sh -c '{client} -N -B --unbuffered </run/e2e-hold >/run/e2e-held 2>&1'; {{ printf '%s;\\nSELECT 7;\\n' \"{sql}\"; sleep 600; }} >/run/e2e-hold 2>/dev/null </dev/null & n=0; until grep -q 7 /run/e2e-held 2>/dev/null; do n=$((n + 1)); [ $n -lt 200 ] || exit 1; sleep 0.05; done"),
        )
    };
    let free = |w: &World| {
        w.on("web-01", "systemctl stop e2e-hold; rm -f /run/e2e-hold /run/e2e-held; pkill -f '^sleep 600$' || :")
    };
    hold(w, "START TRANSACTION; INSERT INTO foobar.entries (name, message, web) VALUES (1, 1, 1)");
    let is_long = |w: &mut World| {
        w.foobar(&["switchover", "--to", "web-02", "--max-impact", "none"]).stderr.contains("has been open for")
    };
    assert!(until(Duration::from_secs(20), || is_long(w)), "{}", w.said.last().unwrap());
    refused(w, 1, &["a transaction of connection", "KILL"]);
    free(w);

    // Two transactions over the same rows: the statement of one waits for a row of the other's, the close for that statement,
    // and the other's next statement for the close. They are let go, and end.
    sql(
        w,
        "web-01",
        "CREATE TABLE IF NOT EXISTS foobar.rows (id INT PRIMARY KEY, n INT); REPLACE INTO foobar.rows VALUES (1, 0), (2, 0)",
    );
    let both = "START TRANSACTION; UPDATE foobar.rows SET n = 1 WHERE id = 1; SELECT 7; DO SLEEP(3); UPDATE foobar.rows SET n = 1 WHERE id = 2; COMMIT";
    let other = "UPDATE foobar.rows SET n = n + 1 WHERE id = 1";
    w.on(
        "web-01",
        &format!("rm -f /run/e2e-both; systemd-run -q --collect --unit=e2e-both sh -c '{client} --unbuffered -N -B -e \"{both}\" >/run/e2e-both'; n=0; until grep -q 7 /run/e2e-both 2>/dev/null; do n=$((n + 1)); [ $n -lt 400 ] || exit 1; sleep 0.02; done; systemd-run -q --collect --unit=e2e-other {client} -e '{other}'"),
    );
    w.foobar(&["switchover", "--to", "web-02", "--yes", "--no-edit"]).ends(0).says(&["let web-02 take the writes"]);
    let rows = |w: &World| sql(w, "web-02", "SELECT id, n FROM foobar.rows ORDER BY id");
    assert_eq!(rows(w), "1\t2\n2\t1\n", "what was in hand is there");
    w.foobar(&["switchover", "--to", "web-01", "--yes", "--no-edit"]).ends(0);
    sql(w, "web-01", "DROP TABLE foobar.rows");

    // A write in hand that does not end: the server gives up within seconds, and stays open.
    hold(w, "LOCK TABLES foobar.entries WRITE");
    refused(w, 4, &["close web-01 to writes", "it stays open, and nothing was moved"]);
    free(w);
    w.converge();
    w.is_converged();
}

/// The replica cannot take over once the primary is closed: the primary opens again, and the bank goes on.
pub fn the_primary_opens_again_where_nobody_takes_over(w: &mut World) {
    sound(w);
    let text = w.topology.clone();
    let bank = Bank::open(w, "web-01", "web-01", WAY);
    let replica = w.lab.address("web-02").unwrap();
    let client = unit(w);
    // As soon as it is closed, nobody comes through to it.
    w.on(
        "web-01",
        &format!("systemd-run -q --collect --unit=e2e-wall sh -c 'until [ \"$({client} -N -B -e \"SELECT @@GLOBAL.read_only\")\" = 1 ]; do :; done; nft add table inet e2e_wall; nft \"add chain inet e2e_wall in {{ type filter hook input priority -20; }}\"; nft add rule inet e2e_wall in ip saddr {replica} tcp dport 3306 drop; touch /run/e2e-walled; sleep 15; nft delete table inet e2e_wall'"),
    );
    let run = w.foobar(&["switchover", "--to", "web-02", "--yes"]);
    w.on("web-01", "[ -e /run/e2e-walled ]; rm -f /run/e2e-walled; nft delete table inet e2e_wall 2>/dev/null; systemctl stop e2e-wall; :");
    run.ends(4).says(&["let web-02 take the writes", "open web-01 to writes again"]);
    one_writes(w, "web-01");
    assert_eq!(fs::read_to_string(w.dir.join("foobar.yaml")).unwrap(), text);
    bank.goes_on(w);
    w.is_converged();
    let books = bank.close(w, &SERVERS);
    tell(w, "a switchover that was taken back", &books);
    assert!(books.missing.is_empty(), "lost: {:?}", books.missing);
}

/// Killed at any instant, there are never two writers, and the same words go on with it.
pub fn a_switchover_that_is_killed_is_gone_on_with(w: &mut World) {
    sound(w);
    let mut open = "web-01";
    let mut figures = Books { acknowledged: 0, failed: 0, missing: Vec::new(), pause: 0.0 };
    let kills = times(2, 24);
    for n in 0..kills {
        let to = if open == "web-01" { "web-02" } else { "web-01" };
        let bank = Bank::open(w, open, "web-01", WAY);
        let command = w.command(&["switchover", "--to", to, "--yes", "--json"]);
        let mut child = start(command, &w.dir, "doomed");
        let out = w.dir.join("doomed.out");
        let done = || fs::read_to_string(&out).unwrap_or_default();
        // At the end of each step in turn, and at once after the one that closes has begun.
        let wanted = (n + 1) % 6;
        let end = Instant::now() + Duration::from_secs(60);
        let is_there = |said: &str| said.matches("\"step-done\"").count() >= wanted && said.contains("step-started");
        while !is_there(&done()) && !done().contains("apply-finished") && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill();
        child.wait("switchover");
        assert!(SERVERS.iter().filter(|s| is_open(w, s)).count() < 2, "two servers take writes after kill {n}");
        w.topology = fs::read_to_string(w.dir.join("foobar.yaml")).unwrap();
        let run = w.foobar(&["switchover", "--to", to, "--yes", "--lock-timeout", "60s"]);
        run.ends(0);
        w.topology = fs::read_to_string(w.dir.join("foobar.yaml")).unwrap();
        one_writes(w, to);
        bank.goes_on(w);
        let books = bank.close(w, &SERVERS);
        assert!(books.missing.is_empty(), "lost after kill {n}: {:?}", books.missing);
        figures.acknowledged += books.acknowledged;
        figures.failed += books.failed;
        figures.pause = figures.pause.max(books.pause);
        open = to;
    }
    tell(w, &format!("{kills} switchovers that were killed"), &figures);
    if open == "web-02" {
        switch(w, "web-01").ends(0);
    }
    w.converge();
}

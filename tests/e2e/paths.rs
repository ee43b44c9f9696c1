//! The application's ways to the database: what is written lands on the server that takes writes, what is read comes from a
//! replica that keeps up, whatever becomes of either, and nothing of it stands in any file of the application's.

use super::{
    damage::{arrives, sql, unit},
    drills::is_proved,
    load::Load,
    rolling::{lost, under_load},
    world::{World, until},
};
use std::time::Duration;

/// The hosts of the application, which are the database's too: the primary, and a replica.
const BOTH: [&str; 2] = ["web-01", "web-02"];

/// Through the application's own eyes: its environment, its library, its account. `ask WAY SQL` prints what the server says
/// to which a way leads, or how it fails.
const ASK: &str = r#"ask() { python3 - "$@" <<'END'
import os, sys
for line in open("/etc/foobar/app.env"):
    name, _, value = line.strip().partition("=")
    os.environ[name] = value.strip('"')
sys.path.insert(0, "/srv/foobar/current")
sys.dont_write_bytecode = True
import database
if len(sys.argv) > 3:
    url = os.environ[sys.argv[1]]
    os.environ[sys.argv[1]] = url[: url.index("ssl_ca=")] + "ssl_ca=" + sys.argv[3]
try:
    with database.connect(sys.argv[1]) as db:
        print(*db.one(sys.argv[2]).values())
except database.Unavailable as error:
    print("unavailable:", error)
END
}"#;

const WRITE: &str = "DATABASE_WRITE_URL";
const READ: &str = "DATABASE_READ_URL";

/// What the application on a host gets to hear over one of its ways.
fn ask(w: &World, host: &str, way: &str, statement: &str) -> String {
    w.on(host, &format!("{ASK}\nask {way} \"{statement}\"")).trim().to_owned()
}

/// Where a way leads to, from a host.
fn at(w: &World, host: &str, way: &str) -> String {
    ask(w, host, way, "SELECT @@hostname AS name")
}

/// A way leads there from both hosts, now or as soon as what has just happened was seen.
#[track_caller]
fn leads(w: &World, way: &str, to: &str) {
    for host in BOTH {
        assert!(
            until(Duration::from_secs(20), || at(w, host, way) == to),
            "{host}: {way} leads to {}",
            at(w, host, way)
        );
    }
}

/// From neither host is there a way.
#[track_caller]
fn leads_nowhere(w: &World, way: &str) {
    for host in BOTH {
        let is_shut = || at(w, host, way).starts_with("unavailable");
        assert!(until(Duration::from_secs(20), is_shut), "{host}: {way} leads to {}", at(w, host, way));
    }
}

/// The variable that closes a server for everyone.
fn closed(w: &World) -> &'static str {
    if w.engine() == "mysql" { "super_read_only" } else { "read_only" }
}

pub fn open(w: &World, host: &str) {
    let statement = if w.engine() == "mysql" {
        "SET GLOBAL super_read_only=0; SET GLOBAL read_only=0"
    } else {
        "SET GLOBAL read_only=0"
    };
    sql(w, host, statement);
}

pub fn close(w: &World, host: &str) {
    sql(w, host, &format!("SET GLOBAL {}=1", closed(w)));
}

/// One server follows another again, which it was made to forget, from where it is.
fn follow(w: &World, host: &str, source: &str) {
    let address = w.lab.address(source).unwrap();
    let (change, word, position) = match w.engine() {
        "mysql" => ("REPLICATION SOURCE", "SOURCE", "AUTO_POSITION=1"),
        _ => ("MASTER", "MASTER", "USE_GTID=slave_pos"),
    };
    let client = unit(w);
    w.on(
        host,
        &format!(
            "secret=$(cat /var/lib/foobar/secrets/mysql-repl); {client} <<SQL\nCHANGE {change} TO {word}_HOST='{address}', \
             {word}_USER='foobar_repl', {word}_PASSWORD='$secret', {word}_SSL=1, {word}_SSL_CA='/etc/mysql/foobar/ca.crt', \
             {word}_SSL_VERIFY_SERVER_CERT=1, {word}_CONNECT_RETRY=5, {word}_HEARTBEAT_PERIOD=2, {word}_{position};\n\
             START REPLICA;\nSQL"
        ),
    );
}

/// What the application is told names no server, TLS is verified through it, and either way leads where it should.
pub fn writes_reach_the_primary_and_reads_a_replica(w: &mut World) {
    w.converge();
    for host in BOTH {
        let urls = w.on(host, "sed -n 's/^DATABASE_[RW].*@\\(.*\\)?.*/\\1/p' /etc/foobar/app.env");
        assert_eq!(urls, "127.0.0.1:6447/foobar\n127.0.0.1:6446/foobar\n", "{host}");
        assert_eq!((at(w, host, WRITE).as_str(), at(w, host, READ).as_str()), ("web-01", "web-02"), "{host}");
        for (way, user) in [(WRITE, "app_rw"), (READ, "app_ro")] {
            assert!(ask(w, host, way, "SELECT USER() AS user").starts_with(&format!("{user}@")), "{host}: {way}");
            let said = ask(w, host, way, "SHOW SESSION STATUS LIKE 'Ssl_cipher'");
            assert!(said.starts_with("Ssl_cipher TLS_"), "{host}: {said}");
            // Another authority's word counts for nothing.
            let said = w.on(host, &format!("{ASK}\nask {way} 'SELECT 1 AS one' /etc/foobar/site-ca.crt"));
            assert!(said.contains("certificate verify failed"), "{host}: {said}");
        }
        // The balancer's own unit serves nobody here.
        assert_eq!(
            w.on(host, "systemctl is-enabled haproxy || :; systemctl is-active haproxy || :"),
            "disabled\ninactive\n"
        );
    }
    assert!(ask(w, "web-02", READ, "SELECT @@global.read_only AS closed") == "1");
    w.foobar(&["verify"]).ends(0).says(&["port 6446 leads to the primary, over verified TLS", "it leads to web-01"]);
    // Nobody but the application's hosts asks the servers how they stand, and an account without a password is of no use
    // to anyone else on its host.
    let address = w.lab.address("web-01").unwrap();
    w.on("lb-01", &format!("! timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/6448' 2>/dev/null"));
    let client = unit(w);
    let other = format!(
        "! setpriv --reuid=foobar-app --regid=foobar-app --clear-groups {client} --no-defaults -u foobar_health -e 'SELECT 1' 2>&1"
    );
    w.on("web-01", &other);
}

/// Under load the replica stops, and lags, and comes back: reads go on from the primary, and return.
pub fn reads_go_on_from_the_primary_where_no_replica_is_fit(w: &mut World) {
    w.converge();
    let load = Load::start(w);
    let unit = unit(w);
    w.on("web-02", &format!("systemctl stop {unit}"));
    leads(w, READ, "web-01");
    leads(w, WRITE, "web-01");
    w.foobar(&["verify"]).ends(3).says(&["port 6447 leads to a replica", "no replica is fit to be read"]);
    w.on("web-02", &format!("systemctl start {unit}"));
    leads(w, READ, "web-02");

    // It no longer applies what it hears, and is too far behind once that has lasted as long as it may.
    sql(w, "web-02", "STOP REPLICA SQL_THREAD");
    leads(w, READ, "web-01");
    sql(w, "web-02", "START REPLICA SQL_THREAD");
    leads(w, READ, "web-02");
    let told = load.tell(w, "a replica that stops and lags");
    let (reads, writes) = (told.reads.refused + told.reads.broken, told.writes.refused + told.writes.broken);
    println!(
        "    a replica that stops and lags: {reads} of {} reads and {writes} of {} writes lost",
        told.reads.made, told.writes.made
    );
    // Those that were on their way to it, twice; and of each visitor the write that waited for its word: the server waits for
    // it as long as the guestbook waits for the server.
    assert!(reads <= 4 && writes <= 4, "{told:#?}");
    w.is_converged();
    is_proved(w);
}

/// A server that is closed is written to no more, at once also where a session was open; where two would be written to,
/// neither is; a role that moves is followed by the ways, and not by any file.
pub fn a_role_is_followed_and_two_writers_never_are(w: &mut World) {
    w.converge();
    let before = BOTH.map(|host| w.on(host, "sha256sum /etc/foobar/app.env /etc/foobar/db-paths.cfg"));
    // One who holds a session, as a pool of connections does.
    w.on("web-02", &format!("{ASK}\n(ask {WRITE} 'SELECT CONCAT(@@hostname, SLEEP(60)) AS held' >/run/e2e-held 2>&1; echo over >>/run/e2e-held) >/dev/null 2>&1 &"));
    let is_held = || {
        sql(
            w,
            "web-01",
            "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%SLEEP(60)%' AND user='app_rw'",
        )
        .trim()
            == "1"
    };
    assert!(until(Duration::from_secs(20), is_held), "no session is held");
    close(w, "web-01");
    leads_nowhere(w, WRITE);
    let is_over = || w.on("web-02", "cat /run/e2e-held").contains("over");
    assert!(until(Duration::from_secs(20), is_over), "a session is left with a server that takes no writes");
    leads(w, READ, "web-02");
    w.foobar(&["verify"]).ends(3).says(&["port 6446 leads to the primary", "it leads to no database server"]);
    w.apply(&[]).says(&["make the primary writable"]);
    leads(w, WRITE, "web-01");

    // One that follows is none that is written to, whatever its flag says; one that follows nobody makes two.
    open(w, "web-02");
    assert!(until(Duration::from_secs(20), || w.on("web-02", "cat /run/foobar-db-health/state").contains("other")));
    leads(w, READ, "web-01");
    leads(w, WRITE, "web-01");
    sql(w, "web-02", "STOP REPLICA; RESET REPLICA ALL");
    leads_nowhere(w, WRITE);

    // The first is closed: the role has moved.
    close(w, "web-01");
    leads(w, WRITE, "web-02");
    leads(w, READ, "web-02");
    assert_eq!(BOTH.map(|host| w.on(host, "sha256sum /etc/foobar/app.env /etc/foobar/db-paths.cfg")), before);

    // And back.
    close(w, "web-02");
    leads_nowhere(w, WRITE);
    open(w, "web-01");
    leads(w, WRITE, "web-01");
    follow(w, "web-02", "web-01");
    w.apply(&[]);
    w.is_converged();
    sql(
        w,
        "web-01",
        "INSERT INTO foobar.entries (name, message, web) VALUES ('Paths', 'since the role is back', 'web-01')",
    );
    arrives(w, "web-02", "since the role is back");
    leads(w, READ, "web-02");
    is_proved(w);
}

/// A server that hangs is known by its silence within seconds, and nothing piles up before it.
pub fn a_server_that_hangs_is_left(w: &mut World) {
    w.converge();
    let unit = unit(w);
    w.on("web-02", &format!("systemctl kill -s STOP {unit}"));
    let gone = || (0..5).map(|_| at(w, "web-01", READ)).all(|name| name == "web-01");
    let is_left = until(Duration::from_secs(20), gone);
    let processes = w.on("web-02", "ps -u foobar_health -o pid= | wc -l");
    w.on("web-02", &format!("systemctl kill -s CONT {unit}"));
    assert!(is_left, "it is still read from");
    assert!(processes.trim().parse::<u32>().is_ok_and(|n| (5..20).contains(&n)), "{processes}");
    leads(w, READ, "web-02");
    is_proved(w);
}

/// Hosts whose application still has URLs that name servers, as an older foobar gave them, get their ways and the
/// new URLs while they are out of service: no request is lost. So it is with a change of the ways.
pub fn ways_come_and_change_without_a_lost_request(w: &mut World) {
    w.converge();
    let address = w.lab.address("web-01").unwrap();
    for host in BOTH {
        w.on(
            host,
            &format!(
                "systemctl disable -q --now foobar-db-paths; rm /etc/foobar/db-paths.cfg /etc/systemd/system/foobar-db-paths.service; systemctl daemon-reload; \
                 sed -i 's/@127.0.0.1:644[67]/@{address}:3306/' /etc/foobar/app.env; systemctl restart foobar-app"
            ),
        );
    }
    assert_eq!(at(w, "web-02", READ), "web-01");
    let is_up = |w: &World| BOTH.iter().all(|host| super::rolling::server(w, host).trim() == "2 0");
    assert!(until(Duration::from_secs(60), || is_up(w)));
    let tally = under_load(w, "ways that come", |w| {
        let run = w.apply(&[]);
        run.says(&["drain web-01", "start foobar-db-paths", "restart foobar-app", "impact: none (at least 1 of 2"]);
        let at = |text: &str| run.stderr.find(text).unwrap_or_else(|| panic!("{text:?} is not said by {run}"));
        assert!(at("web-01: enable and start foobar-db-paths") < at("web-01: restart foobar-app"), "{run}");
    });
    assert_eq!(lost("ways that come", &tally), None);
    leads(w, READ, "web-02");
    for host in BOTH {
        w.on(host, "echo '# by hand' >>/etc/foobar/db-paths.cfg");
    }
    let tally = under_load(w, "ways that change", |w| {
        w.apply(&[]).says(&["drain web-01", "reload foobar-db-paths", "put web-02 back"]);
    });
    assert_eq!(lost("ways that change", &tally), None);
    w.converge();
    leads(w, WRITE, "web-01");
    is_proved(w);
}

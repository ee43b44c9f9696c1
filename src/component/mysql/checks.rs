//! What proves the database live: one server takes writes and the others refuse them, what is written on one is read on
//! the others in time, and nobody gets in without TLS. No check ever writes on a replica: not even one that should be
//! refused could, for it would write no row.

use super::{
    asking::{NAME, complaint, opened, through, verified},
    dialect, rights, semi_sync, unit,
};
use crate::{
    base::{
        name::HostName,
        script::{CLOCK, Script},
    },
    component::{
        Check, Verdict,
        site::Site,
        spec::{Engine, Mysql},
    },
    resource::{
        Observation,
        database::CANARY,
        dialect::{DATABASE, Dialect, Server},
    },
};

/// What is claimed of the primary above all.
pub const WRITABLE: &str = "the primary takes writes";

/// Every check of every server.
pub fn all(site: &Site) -> Vec<Check> {
    let Some(mysql) = &site.topology.mysql else { return Vec::new() };
    let mut checks = Vec::new();
    for host in mysql.hosts() {
        checks.push(Check::unit(NAME, host, unit(mysql)));
        checks.extend([closed_at_boot(mysql, host), plaintext(site, mysql, host)]);
        checks.extend((!mysql.replicas.is_empty()).then(|| rights::kept(mysql, host)));
        if *host == mysql.primary {
            checks.extend([writable(mysql, host), apart(site, mysql, host), rights::reader(site, mysql, host)]);
            if semi_sync(mysql) {
                checks.push(acknowledged(mysql, host));
            }
        } else {
            checks.extend([refuses(site, mysql, host), threads(mysql, host), errant(site, mysql, host)]);
            checks.push(canary(site, mysql, host));
        }
    }
    checks
}

fn writable(mysql: &Mysql, host: &HostName) -> Check {
    let script = opened(mysql).line("root 'SELECT @@GLOBAL.read_only'");
    Check::new(NAME, host, WRITABLE, script, |answer| {
        match answer.stdout.trim() {
        "0" => Verdict::Pass("read_only is off".into()),
        "1" => Verdict::Fail("it is read-only: run foobar apply".into()),
        said if said.contains("ERROR 2002") => Verdict::Fail(
            "its server does not run: `foobar apply` starts it; where that is no use, `foobar failover` goes on without it".into(),
        ),
        _ => Verdict::Error(complaint(answer)),
    }
    })
}

/// Two servers with one id cut each other's replication off, or skip each other's writes.
fn apart(site: &Site, mysql: &Mysql, host: &HostName) -> Check {
    let ask = "SELECT CONCAT('id ', @@GLOBAL.server_id)";
    let mut script = opened(mysql);
    for server in mysql.hosts() {
        script = script.line(through(site, mysql, "visit", server, &verified(mysql))).line(format!("visit \"{ask}\""));
    }
    let servers = mysql.hosts().count();
    Check::new(NAME, host, "every database server has an id of its own", script, move |answer| {
        let ids: Vec<&str> = answer.stdout.lines().filter_map(|l| l.strip_prefix("id ")).collect();
        let different: std::collections::BTreeSet<&&str> = ids.iter().collect();
        match ids.len() == servers {
            true => Verdict::when(different.len() == servers, ids.join(", ")),
            false => Verdict::Error(complaint(answer)),
        }
    })
}

fn refuses(site: &Site, mysql: &Mysql, host: &HostName) -> Check {
    let script = opened(mysql)
        .line(through(site, mysql, "visit", host, &verified(mysql)))
        .line("visit 'SELECT 1'")
        .line(format!("visit \"INSERT INTO {CANARY}.canary SELECT 'never' FROM DUAL WHERE @@GLOBAL.read_only=1\""));
    Check::new(NAME, host, "the replica refuses writes", script, |answer| {
        let mut lines = answer.stdout.lines().filter(|l| !l.is_empty());
        if lines.next() != Some("1") {
            return Verdict::Error(complaint(answer));
        }
        match lines.find(|l| l.starts_with("ERROR")) {
            Some(said) => Verdict::when(said.starts_with("ERROR 1290"), said),
            None => Verdict::Fail("it takes them".into()),
        }
    })
}

fn closed_at_boot(mysql: &Mysql, host: &HostName) -> Check {
    let script = Script::new()
        .line("my_print_defaults mysqld server mariadb mariadbd | tr _ - | grep -E '^--(super-)?read-only(=|$)' | tail -n 1")
        .line("grep -o 'read_only' /var/lib/mysql/mysqld-auto.cnf 2>/dev/null || :");
    let engine = mysql.engine;
    Check::new(NAME, host, "it boots read-only", script, move |answer| {
        let want = if engine == Engine::Mysql { "--super-read-only=ON" } else { "--read-only=ON" };
        let seen = answer.stdout.trim();
        Verdict::when(seen == want, if seen.is_empty() { "no file says so" } else { seen })
    })
}

fn plaintext(site: &Site, mysql: &Mysql, host: &HostName) -> Check {
    let script = opened(mysql)
        .line(through(site, mysql, "visit", host, &verified(mysql)))
        .line(through(site, mysql, "plain", host, dialect(mysql).plaintext()))
        .line("visit 'SELECT 1'; echo ==; plain 'SELECT 1'");
    Check::new(NAME, host, "a login without TLS is refused, one with it is not", script, |answer| {
        let (with, without) = answer.stdout.split_once("==").unwrap_or_default();
        if with.trim() != "1" {
            return Verdict::Fail(format!("with TLS: {}", with.trim()));
        }
        let refused = ["ERROR 3159", "ERROR 1045"].iter().any(|e| without.contains(e));
        Verdict::when(refused, if refused { without.trim() } else { "it lets a plaintext login in" })
    })
}

fn acknowledged(mysql: &Mysql, host: &HostName) -> Check {
    let engine = dialect(mysql);
    let script = opened(mysql).line(format!(
        "root \"SELECT @@GLOBAL.{}; SHOW GLOBAL STATUS LIKE '{}'\"",
        engine.semi_sync_source(),
        engine.semi_sync_clients()
    ));
    Check::new(NAME, host, "a write waits for a replica", script, |answer| {
        let mut lines = answer.stdout.lines();
        let on = lines.next().map(str::trim);
        let clients: Option<u32> = lines.next().and_then(|l| l.split('\t').nth(1)?.trim().parse().ok());
        match (on, clients) {
            (Some("1"), Some(n)) => Verdict::when(n >= 1, format!("{n} acknowledge")),
            (Some("0"), _) => Verdict::Fail("semi-synchronous replication is off".into()),
            _ => Verdict::Error(complaint(answer)),
        }
    })
}

/// A field of `SHOW REPLICA STATUS\G`, by MySQL's name or MariaDB's.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let old = name.replace("Source", "Master").replace("Replica", "Slave");
    let mut fields = text.lines().filter_map(|l| l.trim_start().split_once(": "));
    fields.find(|(k, _)| *k == name || *k == old).map(|(_, v)| v.trim())
}

fn threads(mysql: &Mysql, host: &HostName) -> Check {
    let show = dialect(mysql).client().replace(" -N", "");
    let script = Script::new().line(format!("{show} -e 'SHOW REPLICA STATUS\\G' 2>&1"));
    let max = mysql.max_lag.duration().as_secs();
    Check::new(NAME, host, "replication runs in time, over verified TLS", script, move |answer| {
        let is = |name: &str| field(&answer.stdout, name).unwrap_or_default();
        let (io, sql) = (is("Replica_IO_Running"), is("Replica_SQL_Running"));
        if io.is_empty() {
            return Verdict::Fail(format!("it follows nobody: {}", complaint(answer)));
        }
        if (io, sql) != ("Yes", "Yes") {
            return Verdict::Fail(format!("IO {io}, SQL {sql} {} {}", is("Last_IO_Error"), is("Last_SQL_Error")));
        }
        if (is("Source_SSL_Allowed"), is("Source_SSL_Verify_Server_Cert")) != ("Yes", "Yes") {
            return Verdict::Fail("the primary's certificate is not verified".into());
        }
        match is("Seconds_Behind_Source").parse::<u64>() {
            Ok(lag) => Verdict::when(lag <= max, format!("{lag} s behind")),
            Err(_) => Verdict::Fail("it does not know how far it is behind".into()),
        }
    })
}

/// Transactions that the replica has and its primary never had, told apart as a plan does.
fn errant(site: &Site, mysql: &Mysql, host: &HostName) -> Check {
    let engine = dialect(mysql);
    // The replica is asked first: what it has then, its primary has had before.
    let script = opened(mysql)
        .line(through(site, mysql, "primary", &mysql.primary, &verified(mysql)))
        .line(format!("ask=\"{}\"", Dialect::POSITIONS))
        .line("root \"$ask\"; echo ==; primary \"$ask\"");
    Check::new(NAME, host, "the replica has no transactions of its own", script, move |answer| {
        let (mine, theirs) = answer.stdout.split_once("==").unwrap_or_default();
        if !mine.contains("server_id\t") || !theirs.contains("server_id\t") {
            return Verdict::Error(complaint(answer));
        }
        let [mine, theirs] = [mine, theirs].map(|text| {
            let mut seen = Observation::default();
            seen.add(DATABASE.name, text);
            seen
        });
        let errant = Server::new(engine, &mine).errant(&Server::new(engine, &theirs));
        match errant.is_empty() {
            true => Verdict::Pass("none".into()),
            false => Verdict::Fail(format!("its primary never had {}", errant.join(", "))),
        }
    })
}

/// Writes a row on the primary, reads it on the replica, takes it away again, wherever the check ends.
fn canary(site: &Site, mysql: &Mysql, host: &HostName) -> Check {
    let max = mysql.max_lag.duration().as_secs();
    let script = opened(mysql)
        .line(through(site, mysql, "primary", &mysql.primary, &verified(mysql)))
        .line("token=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \\n')")
        .line(format!("away() {{ primary \"DELETE FROM {CANARY}.canary WHERE token='$token'\"; rm -rf \"$scratch\"; }}; trap away EXIT"))
        .line(CLOCK)
        .line("begun=$(clock)")
        .line(format!("primary \"INSERT INTO {CANARY}.canary VALUES ('$token')\" || {{ [ $? != 124 ] || echo 'the write does not end: is the disk of its log full?'; exit 1; }}"))
        .line(format!("until [ \"$(root \"SELECT COUNT(*) FROM {CANARY}.canary WHERE token='$token'\")\" = 1 ]; do"))
        .line(format!("  [ $(($(clock) - begun)) -lt {} ] || {{ echo late; exit 1; }}", max.max(1) * 1000))
        .line("  sleep 0.02")
        .line("done")
        .line("echo \"after $(($(clock) - begun)) ms\"");
    let title = format!("a row written on {} is read here within {}", mysql.primary, mysql.max_lag);
    Check::new(NAME, host, title, script, |answer| {
        let said = answer.stdout.trim();
        match said.strip_prefix("after ") {
            Some(after) => Verdict::Pass(after.to_owned()),
            None if said.starts_with("late") => Verdict::Fail("it did not come".into()),
            None => Verdict::Fail(complaint(answer)),
        }
    })
}

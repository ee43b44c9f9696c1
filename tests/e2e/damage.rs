//! Databases that came to harm: a disk lost, a copy of one, writes where none belong, rights that nobody gave. What would
//! lose data is refused, and what the refusal tells the user to do is done here as a user would, and works.

use super::world::{World, until};
use std::time::Duration;

/// Hosts whose databases follow one another; whatever an earlier case left, they are a sound pair now.
pub fn sound(w: &mut World) {
    w.topology = w.original();
    // What a server that does not run has of its own, only an apply finds out.
    if w.foobar(&["plan", "--json"]).code != 0 || w.foobar(&["apply", "--yes"]).code != 0 {
        for host in ["web-01", "web-02"] {
            w.lab.reset_host(host).unwrap();
        }
        w.cold();
    }
    w.converge();
}

pub fn unit(w: &World) -> &'static str {
    if w.engine() == "mysql" { "mysql" } else { "mariadb" }
}

/// What SQL says on a host.
pub fn sql(w: &World, host: &str, statements: &str) -> String {
    let client = unit(w);
    w.on(host, &format!("{client} -N -B <<'SQL'\n{statements}\nSQL"))
}

/// Signs the guestbook where the rows are written.
pub fn sign(w: &World, host: &str, message: &str) {
    sql(w, host, &format!("INSERT INTO foobar.entries (name, message, web) VALUES ('Damage', '{message}', '{host}')"));
}

pub fn signed(w: &World, host: &str, message: &str) -> bool {
    sql(w, host, &format!("SELECT COUNT(*) FROM foobar.entries WHERE message = '{message}'")).trim() == "1"
}

#[track_caller]
pub fn arrives(w: &World, host: &str, message: &str) {
    assert!(until(Duration::from_secs(20), || signed(w, host, message)), "{message:?} is not on {host}");
}

/// What it takes to lose a disk: the server stops, and nothing is left of its directory.
fn lose(w: &World, host: &str) {
    let unit = unit(w);
    w.on(host, &format!("systemctl stop {unit} && find /var/lib/mysql -mindepth 1 -delete"));
}

/// The primary's disk is gone and the replica holds the data: nothing opens an empty primary, and the way that is named
/// leads to a site that has lost nothing. Back again the same way.
pub fn a_lost_primary_is_not_replaced_by_an_empty_one(w: &mut World) {
    sound(w);
    let now = w.original();
    let other = now.replace("primary: web-01", "primary: web-02").replace("replicas: [web-02]", "replicas: [web-01]");
    assert_ne!(other, now);
    for (lost, kept, topology) in [("web-01", "web-02", other), ("web-02", "web-01", now)] {
        let message = format!("written on {lost} before its disk was lost");
        sign(w, lost, &message);
        arrives(w, kept, &message);
        lose(w, lost);
        let said = format!("{lost}, its declared primary, holds none");
        for words in [&["plan"][..], &["apply", "--yes"], &["apply", "--yes", "--limit", lost]] {
            w.foobar(words).ends(1).says(&[kept, "it holds data (foobar", &said, "RESET REPLICA ALL", "mysql.primary"]);
        }
        let unit = unit(w);
        let left = w.on(lost, &format!("find /var/lib/mysql -mindepth 1; systemctl is-active {unit} || :"));
        assert!(!left.contains("/var") && !left.starts_with("active"), "something was made on {lost}: {left}");

        sql(w, kept, "STOP REPLICA; RESET REPLICA ALL");
        w.topology = topology;
        w.foobar(&["plan"]).ends(0).says(&[
            "make an empty data directory",
            "copy the data of",
            "make the primary writable",
        ]);
        w.apply(&[]);
        w.is_converged();
        arrives(w, lost, &message);
        sign(w, kept, &format!("written on {kept} since"));
        arrives(w, lost, &format!("written on {kept} since"));
        assert!(until(Duration::from_secs(30), || w.foobar(&["verify"]).code == 0), "{}", w.said.last().unwrap());
    }
}

/// A transaction of the replica's own is seen however far the primary has gone on since, and nothing is done about it;
/// what the help names mends it: the replica's directory, emptied, is made and filled anew, accounts and all.
pub fn a_stray_write_on_a_replica_is_refused_until_it_is_filled_anew(w: &mut World) {
    sound(w);
    // Tables of another kind than InnoDB, an account and a routine of the user's own come along.
    sql(
        w,
        "web-01",
        "CREATE USER IF NOT EXISTS 'reports'@'localhost' IDENTIFIED BY 'of-the-user-7'; GRANT SELECT ON foobar.* TO 'reports'@'localhost'",
    );
    let accounts = "SELECT QUOTE(user), QUOTE(host), SHA2(authentication_string, 256) FROM mysql.user ORDER BY 1, 2";
    match w.engine() {
        "mysql" => sql(
            w,
            "web-02",
            "SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF; CREATE DATABASE stray; SET GLOBAL super_read_only = ON",
        ),
        _ => sql(w, "web-02", "CREATE DATABASE stray"),
    };
    for n in 0..3 {
        sign(w, "web-01", &format!("later than the stray, {n}"));
    }
    for words in [&["plan"][..], &["apply", "--yes"]] {
        let run = w.foobar(words);
        run.ends(1).says(&["web-02", "it has transactions that web-01 has not", "foobar apply --reseed web-02"]);
    }
    let run = w.foobar(&["plan", "--reseed", "web-02", "--limit", "web-02"]);
    run.ends(1).says(&["it is to be filled anew, and --limit leaves it or web-01 out"]);
    assert!(w.foobar(&["verify"]).ends(3).stdout.contains("its primary never had"), "{}", w.said.last().unwrap());

    lose(w, "web-02");
    // A table that is no InnoDB's: MariaDB's copy holds the writes up, MySQL's would leave its rows behind.
    sql(w, "web-01", "CREATE TABLE foobar.plain (n INT) ENGINE=MyISAM; INSERT INTO foobar.plain VALUES (7)");
    match w.engine() {
        "mysql" => {
            let run = w.foobar(&["apply", "--yes"]);
            run.ends(1).says(&["without their rows: foobar.plain (MyISAM)", "ENGINE=InnoDB"]);
            sql(w, "web-01", "ALTER TABLE foobar.plain ENGINE=InnoDB");
        }
        _ => drop(
            w.foobar(&["plan"])
                .ends(0)
                .says(&["writes wait while these tables are copied: foobar.plain (MyISAM)", "write outage"]),
        ),
    }
    w.foobar(&["plan"])
        .ends(0)
        .says(&["make an empty data directory", "copy the data of web-01 and replicate from it"]);
    // The account that reads everything is opened on the primary alone; a copy that was cut off is made anew.
    w.foobar(&["apply", "--yes", "--limit", "web-02"]).ends(1).says(&["locked", "where --limit leaves web-01 out"]);
    w.foobar(&["plan"]).ends(0).says(&["an earlier copy was cut off", "unlock the account for copies"]);
    w.apply(&[]);
    w.is_converged();
    arrives(w, "web-02", "later than the stray, 2");
    assert_eq!(sql(w, "web-02", "SHOW DATABASES LIKE 'stray'"), "", "the stray write is still there");
    assert_eq!(sql(w, "web-02", accounts), sql(w, "web-01", accounts), "accounts differ");
    assert_eq!(sql(w, "web-02", "SELECT n FROM foobar.plain"), "7\n");
    for host in ["web-01", "web-02"] {
        let copier = sql(w, host, "SHOW CREATE USER 'foobar_seed'@'%'");
        assert!(copier.contains("ACCOUNT LOCK"), "the account that reads everything is open on {host}: {copier}");
    }
    // Root still comes in by the socket, before and after a restart, and it follows again by itself.
    let unit = unit(w);
    w.on("web-02", &format!("systemctl restart {unit}"));
    sign(w, "web-01", "after a restart of the copy");
    arrives(w, "web-02", "after a restart of the copy");
    w.is_converged();
    sql(w, "web-01", "DROP USER 'reports'@'localhost'; DROP TABLE foobar.plain");
    w.foobar(&["verify"]).ends(0);
}

/// Privileges of every kind on the application's account are named and taken away.
pub fn rights_of_every_kind_are_seen_and_revoked(w: &mut World) {
    sound(w);
    let mysql = w.engine() == "mysql";
    let on_whom = if mysql { "'boss'@'%'" } else { "'boss'" };
    sql(
        w,
        "web-01",
        &format!(
            "CREATE ROLE IF NOT EXISTS {on_whom}; GRANT SELECT ON *.* TO {on_whom}; GRANT {on_whom} TO 'app_ro'@'%' WITH ADMIN OPTION;
             CREATE DATABASE IF NOT EXISTS `o``dd_x`; CREATE TABLE IF NOT EXISTS `o``dd_x`.`t``1` (`a``b` INT, c INT);
             GRANT SELECT (`a``b`), UPDATE (c) ON `o``dd_x`.`t``1` TO 'app_ro'@'%';
             GRANT DELETE ON `o``dd_x`.`t``1` TO 'app_ro'@'%' WITH GRANT OPTION;
             CREATE PROCEDURE IF NOT EXISTS `o``dd_x`.`p``1`() SELECT 1;
             CREATE FUNCTION IF NOT EXISTS `o``dd_x`.f() RETURNS INT DETERMINISTIC RETURN 1;
             GRANT EXECUTE, ALTER ROUTINE ON PROCEDURE `o``dd_x`.`p``1` TO 'app_ro'@'%' WITH GRANT OPTION;
             GRANT EXECUTE ON FUNCTION `o``dd_x`.f TO 'app_ro'@'%';
             GRANT PROXY ON 'root'@'localhost' TO 'app_ro'@'%' WITH GRANT OPTION;
             GRANT INSERT ON foobar.* TO 'app_ro'@'%' WITH GRANT OPTION; GRANT CREATE ON *.* TO 'app_ro'@'%';"
        ),
    );
    let steps = w.plan(&[]);
    assert!(steps.len() == 1 && steps[0].resource == "database objects", "{steps:#?}");
    let details = format!("{:?}", steps[0].json["details"]);
    for what in [
        "boss",
        "SELECT (`a``b`)",
        "UPDATE (`c`)",
        "DELETE on",
        "PROCEDURE",
        "ALTER ROUTINE",
        "FUNCTION",
        "PROXY",
        "INSERT on",
        "GRANT OPTION",
        "CREATE on *.*",
    ] {
        assert!(details.contains(what), "{what} is not named: {details}");
    }
    w.apply(&[]);
    w.is_converged();
    let shown = sql(w, "web-01", "SHOW GRANTS FOR 'app_ro'@'%'");
    let shown: Vec<&str> = shown.lines().collect();
    assert!(
        shown.len() == 2 && shown[0].contains("USAGE") && shown[1].contains("GRANT SELECT ON `foobar`.*"),
        "{shown:#?}"
    );
    sql(w, "web-01", &format!("DROP DATABASE `o``dd_x`; DROP ROLE {on_whom}"));
    w.is_converged();
    w.foobar(&["verify"]).ends(0);
}

/// What systemd must read anew, it reads: a directory of drop-ins that was not there before, too.
pub fn a_new_directory_of_drop_ins_is_read(w: &mut World) {
    sound(w);
    let unit = unit(w);
    w.on(
        "web-02",
        &format!("rm -r /etc/systemd/system/{unit}.service.d; systemctl daemon-reload; systemctl restart {unit}"),
    );
    let read = |w: &World| w.on("web-02", &format!("systemctl show -p DropInPaths -p RestartUSec {unit}"));
    assert!(!read(w).contains("foobar.conf"), "{}", read(w));
    w.apply(&[]);
    w.is_converged();
    let now = read(w);
    assert!(now.contains("foobar.conf") && now.contains("RestartUSec=5s"), "{now}");
}

/// Two servers with one identity: a disk was copied. (MariaDB has no such identity.)
pub fn a_copied_identity_is_refused(w: &mut World) {
    if w.engine() != "mysql" {
        return;
    }
    sound(w);
    let uuid = sql(w, "web-01", "SELECT @@server_uuid");
    w.on("web-02", &format!("systemctl stop mysql && printf '[auto]\\nserver-uuid={}\\n' >/var/lib/mysql/auto.cnf && systemctl start mysql", uuid.trim()));
    for words in [&["plan"][..], &["apply", "--yes"]] {
        w.foobar(words).ends(1).says(&["web-02", "its server_uuid is that of web-01", "auto.cnf"]);
    }
    w.on("web-02", "systemctl stop mysql && rm /var/lib/mysql/auto.cnf && systemctl start mysql");
    w.converge();
    sign(w, "web-01", "for one with an identity of its own");
    arrives(w, "web-02", "for one with an identity of its own");
    w.foobar(&["verify"]).ends(0);
}

/// A second replica joins a pair with data, and the three are one site.
pub fn a_second_replica_joins(w: &mut World) {
    sound(w);
    sign(w, "web-01", "before the second replica");
    w.topology = w.original().replace("replicas: [web-02]", "replicas: [web-02, lb-01]");
    assert_ne!(w.topology, w.original());
    w.apply(&[]);
    w.is_converged();
    sign(w, "web-01", "after the second replica");
    for host in ["web-02", "lb-01"] {
        arrives(w, host, "before the second replica");
        arrives(w, host, "after the second replica");
    }
    assert!(until(Duration::from_secs(30), || w.foobar(&["verify"]).code == 0), "{}", w.said.last().unwrap());
    // Both emptied at once are both filled again.
    lose(w, "web-02");
    lose(w, "lb-01");
    w.apply(&[]);
    w.is_converged();
    for host in ["web-02", "lb-01"] {
        arrives(w, host, "after the second replica");
    }
    w.lab.reset_host("lb-01").unwrap();
    w.cold();
    w.converge();
}

//! Tables over what real servers answered (MariaDB 10.11, MySQL 9.7, a pair of each): what each difference is.

use super::{
    database::{CANARY, Database, Login, recorded},
    db_copier::Copier,
    db_directory::DataDirectory,
    db_role::{Acknowledged, Writable},
    dialect::{DATABASE, Dialect, Server},
    replication::Replication,
    service::Service,
    *,
};
use crate::base::secret::Secret;

const RECORDED: [(Dialect, &str, &str); 2] = [
    (
        Dialect::Mariadb,
        include_str!("../../tests/fixtures/mysql/mariadb-primary.tsv"),
        include_str!("../../tests/fixtures/mysql/mariadb-replica.tsv"),
    ),
    (
        Dialect::Mysql,
        include_str!("../../tests/fixtures/mysql/mysql-primary.tsv"),
        include_str!("../../tests/fixtures/mysql/mysql-replica.tsv"),
    ),
];

const LOGINS: [(&str, Option<&str>, &[&str]); 3] = [
    ("app_rw", Some("foo_bar"), &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("app_ro", Some("foo_bar"), &["SELECT"]),
    ("foobar_repl", None, &["REPLICATION SLAVE"]),
];

/// A pair as it was recorded, each with its answers put through `edit`.
struct Pair {
    dialect: Dialect,
    all: BTreeMap<HostName, Observation>,
    secrets: Secrets,
    changing: BTreeMap<Key, Impact>,
}

fn name(n: usize) -> HostName {
    ["db-01", "db-02"][n].parse().unwrap()
}

impl Pair {
    fn new(at: usize, edit: impl Fn(usize, String) -> String) -> Self {
        let (dialect, primary, replica) = RECORDED[at];
        let mut secrets = Secrets::default();
        secrets.insert("pw", Secret::new("hunter2"));
        let mut pair = Self { dialect, all: BTreeMap::new(), secrets, changing: BTreeMap::new() };
        let address = pair.replication().address;
        let (login, source) = pair.on(0, |seen| {
            let pw = Secret::new("hunter2");
            (recorded(seen, &pw), recorded(seen, &Secret::new(format!("{address} hunter2"))))
        });
        for (n, text) in [primary, replica].into_iter().enumerate() {
            let mut text = text.to_owned();
            for line in text.clone().lines().filter(|l| l.starts_with("account\t")) {
                let f: Vec<&str> = line.split('\t').collect();
                text.push_str(&format!("record\t{}\t{login}\t{}\n", f[1], f[3]));
            }
            if n == 1 {
                text.push_str(&format!("record\tsource\t{source}\t\n"));
            }
            let mut seen = Observation::default();
            seen.add(DATABASE.name, &edit(n, text));
            pair.all.insert(name(n), seen);
        }
        pair
    }

    fn replication(&self) -> Replication {
        let replica = RECORDED.iter().find(|r| r.0 == self.dialect).unwrap().2;
        let host = replica
            .lines()
            .find_map(|l| l.strip_prefix("replica\tSource_Host\t").or(l.strip_prefix("replica\tMaster_Host\t")));
        Replication {
            dialect: self.dialect,
            primary: name(0),
            address: host.unwrap().parse().unwrap(),
            login: ("foobar_repl", "pw"),
            seed: ("foobar_seed", "pw"),
            authority: "/etc/mysql/foobar/ca.crt".into(),
            unit: "db.service".into(),
            acknowledges: true,
        }
    }

    fn on<T>(&self, n: usize, ask: impl FnOnce(&Seen<'_>) -> T) -> T {
        let (host, empty) = (name(n), Observation::default());
        ask(&Seen {
            host: &host,
            here: self.all.get(&host).unwrap_or(&empty),
            all: crate::resource::All::of(&self.all),
            secrets: &self.secrets,
            fingerprint_key: "key",
            changing: &self.changing,
            now: 0,
        })
    }

    /// What everything that a pair has comes to, a line each.
    fn plan(&self) -> Vec<String> {
        let unit = || "db.service".to_owned();
        let role =
            |n: usize| Writable { dialect: self.dialect, unit: unit(), writable: n == 0, others: vec![name(1 - n)] };
        let login = |(n, on, p): &(&str, Option<&str>, &[&'static str])| Login {
            name: (*n).into(),
            secret: "pw".into(),
            on: on.map(str::to_owned),
            privileges: p.to_vec(),
            locked: false,
        };
        let objects = Database {
            dialect: self.dialect,
            schemas: vec!["foo_bar".into(), CANARY.into()],
            logins: LOGINS.iter().map(login).collect(),
            servers: vec![name(0), name(1)],
        };
        let wait = Acknowledged { dialect: self.dialect, unit: unit(), on: true };
        let all: [(usize, Box<dyn Resource>); 6] = [
            (1, Box::new(DataDirectory { dialect: self.dialect, schemas: vec![] })),
            (1, Box::new(role(1))),
            (0, Box::new(role(0))),
            (0, Box::new(objects)),
            (1, Box::new(self.replication())),
            (0, Box::new(wait)),
        ];
        let mut plan = Vec::new();
        for (n, resource) in all {
            match self.on(n, |seen| resource.diff(seen)) {
                Ok(None) => {}
                Ok(Some(change)) => plan.push(format!("{}: {}", change.summary, change.details.join("; "))),
                Err(refusal) => plan.push(format!("refused: {}", refusal.what)),
            }
        }
        plan
    }
}

fn each(edit: impl Fn(usize, String) -> String, want: &[&str]) {
    for (at, (dialect, ..)) in RECORDED.iter().enumerate() {
        assert_eq!(Pair::new(at, &edit).plan(), want, "{dialect:?}");
    }
}

fn set(text: String, key: &str, value: &str) -> String {
    let line = |l: &str| match l.strip_prefix(key) {
        Some(rest) if rest.starts_with('\t') => format!("{key}\t{value}\n"),
        _ => format!("{l}\n"),
    };
    text.lines().map(line).collect()
}

fn without(text: String, start: &str) -> String {
    text.lines().filter(|l| !l.starts_with(start)).map(|l| format!("{l}\n")).collect()
}

#[test]
fn a_pair_that_is_as_it_shall_be_needs_nothing() {
    each(|_, t| t, &[]);
}

#[test]
fn a_primary_restarted_by_hand_is_opened_again() {
    let closed = |n: usize, t: String| {
        if n == 1 {
            return t;
        }
        let t = set(set(t, "read_only", "ON"), "super_read_only", "ON");
        set(set(t, "rpl_semi_sync_master_enabled", "OFF"), "rpl_semi_sync_source_enabled", "OFF")
    };
    each(
        closed,
        &[
            "make the primary writable: it is read-only, as it is after every start",
            "wait for a replica with each write: ",
        ],
    );
}

#[test]
fn a_closed_primary_was_restarted_or_told_so_or_is_a_new_one() {
    let role =
        |pair: &Pair| Writable { dialect: pair.dialect, unit: "db.service".into(), writable: true, others: vec![] };
    for (unit, record, want) in [
        ("RUN\t1000\tRUN", "", Some(Drift::Variable)),
        ("RUN\t1000\tBEFORE", "", Some(Drift::Restarted)),
        ("RUN\t1000\t-", "", None),
        ("RUN\t1000\tRUN", "record\tsource\tx\t\n", None),
    ] {
        let mut pair = Pair::new(0, |_, t| set(t, "read_only", "ON") + record);
        let line = format!("db.service\tloaded\tactive\tenabled\t{unit}\tx\ty");
        pair.all.get_mut(&name(0)).unwrap().add(service::UNITS.name, &line);
        assert_eq!(pair.on(0, |seen| role(&pair).diff(seen)).unwrap().unwrap().drift, want, "{unit} {record}");
    }
}

#[test]
fn what_a_restart_in_this_plan_loses_is_set_again_in_it() {
    for at in 0..2 {
        let mut pair = Pair::new(at, |_, t| t);
        pair.changing.insert(Key::new(&name(0), Service::key("db.service")), Impact::WriteOutage);
        assert_eq!(pair.plan(), ["make the primary writable: ", "wait for a replica with each write: "]);
        pair.changing.insert(Key::new(&name(0), Service::key("db.service")), Impact::Reload);
        assert!(pair.plan().is_empty());
    }
}

#[test]
fn drift_of_a_replica_is_mended() {
    let on = |n: usize, t: String, edit: &dyn Fn(String) -> String| if n == 1 { edit(t) } else { t };
    each(
        |n, t| on(n, t, &|t| set(set(t, "read_only", "OFF"), "super_read_only", "OFF")),
        &["make the replica read-only: it takes writes that its primary would never have"],
    );
    let stopped = |t: String| t.replace("_SQL_Running\tYes", "_SQL_Running\tNo");
    each(|n, t| on(n, t, &stopped), &["start replication: its SQL thread is stopped"]);
    let unverified = |t: String| t.replace("SSL_Verify_Server_Cert\tYes", "SSL_Verify_Server_Cert\tNo");
    each(|n, t| on(n, t, &unverified), &["replicate from db-01: verified: No -> Yes"]);
}

#[test]
fn what_was_said_to_a_server_at_run_time_is_taken_back() {
    // As both dialects name it: the one that the server does not know is not looked at.
    let say = |host, pairs: &[(&str, &str)]| {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        move |n: usize, t: String| match n == host {
            true => pairs.iter().fold(t, |t, (k, v)| without(t, &format!("{k}\t")) + &format!("{k}\t{v}\n")),
            false => t,
        }
    };
    let deaf = say(1, &[("rpl_semi_sync_slave_enabled", "OFF"), ("rpl_semi_sync_replica_enabled", "OFF")]);
    let waiting = say(1, &[("rpl_semi_sync_master_enabled", "ON"), ("rpl_semi_sync_source_enabled", "ON")]);
    for (at, variable) in ["rpl_semi_sync_slave_enabled", "rpl_semi_sync_replica_enabled"].iter().enumerate() {
        let want = format!("restart replication: it does not acknowledge writes: {variable} was changed at run time");
        assert_eq!(Pair::new(at, &deaf).plan(), [want]);
        // What this plan restarts reads it from its file.
        let mut pair = Pair::new(at, &deaf);
        pair.changing.insert(Key::new(&name(1), Service::key("db.service")), Impact::Restart);
        assert!(pair.plan().is_empty());
    }
    each(
        waiting,
        &["make the replica wait for nobody: it waits for replicas of its own with each write that it applies"],
    );
    let shut = "offline_mode is on: it lets nobody in but administrators";
    each(say(0, &[("offline_mode", "ON")]), &[&format!("let the primary's clients in: {shut}")]);
    each(say(1, &[("offline_mode", "ON")]), &[&format!("let the replica's clients in: {shut}")]);
}

#[test]
fn drift_of_accounts_is_mended() {
    let on = |n: usize, t: String, edit: &dyn Fn(String) -> String| if n == 0 { edit(t) } else { t };
    each(
        |n, t| on(n, t, &|t| t + "grant\t'app_ro'@'%'\t*.*\tSUPER\tNO\n"),
        &["change schemas and accounts: app_ro: revoke SUPER on *.*"],
    );
    each(
        |n, t| {
            on(n, t, &|t| {
                t + "grant\t'app_ro'@'%'\t\t`boss`\tNO\ngrant\t'app_ro'@'%'\t`o``t`.`t`\tSELECT (`a``b`)\tNO\n"
            })
        },
        &["change schemas and accounts: app_ro: revoke `boss`; app_ro: revoke SELECT (`a``b`) on `o``t`.`t`"],
    );
    each(
        |n, t| on(n, t, &|t| set(t, "account\tapp_ro", "ANY\tother")),
        &["change schemas and accounts: app_ro: set the password again (it is not the one foobar set)"],
    );
}

#[test]
fn a_replica_without_data_is_given_its_primarys() {
    let fresh = |n: usize, t: String| match n {
        1 => "state\trunning\nread_only\tON\nsuper_read_only\tON\ngtid_executed\t\ngtid_binlog_pos\t\n".into(),
        _ => t,
    };
    each(fresh, &["copy the data of db-01 and replicate from it: "]);
    let both = |n: usize, t: String| if n == 1 { fresh(1, t) } else { "state\tabsent\n".into() };
    assert!(Pair::new(0, both).plan().contains(&"replicate from db-01: ".to_owned()));
    let half =
        |n: usize, t: String| if n == 1 { fresh(1, t) + "schema\tfoo_bar\t1\nrecord\tseeding\tseeding\t\n" } else { t };
    each(half, &["copy the data of db-01 and replicate from it: an earlier copy was cut off"]);
}

#[test]
fn nobodys_data_is_taken_away() {
    let positions = ["gtid_executed", "gtid_binlog_pos", "gtid_binlog_state", "gtid_slave_pos"];
    let alone = |n: usize, t: String| {
        let t = if n == 1 { without(without(t, "replica\t"), "record\tsource") } else { t };
        if n == 1 { positions.iter().fold(t, |t, key| set(t, key, "")) } else { t }
    };
    each(
        alone,
        &["refused: it is declared a replica, holds data (foo_bar, foobar_verify) and does not replicate from db-01"],
    );
    let silent = |n: usize, t: String| if n == 1 { without(t, "state") + "error\tERROR 1045\n" } else { t };
    each(silent, &["refused: the database server does not answer root through its socket: ERROR 1045"]);
}

#[test]
fn a_former_primary_with_nothing_of_its_own_follows_the_new_one() {
    // All that it has, the other one has: it is not filled anew.
    let former = |n: usize, t: String| if n == 1 { without(without(t, "replica\t"), "record\tsource") } else { t };
    each(former, &["replicate from db-01: it has nothing that db-01 has not, and goes on from there"]);
    let pair = Pair::new(0, former);
    assert!(!pair.on(1, |seen| pair.replication().copies(seen)));
    let script = pair.on(1, |seen| pair.replication().diff(seen).unwrap().unwrap().script.text().to_owned());
    assert!(script.contains("rpl_semi_sync_master_enabled=OFF"), "{script}");
    // One write that only it has, and it is left alone.
    for (at, key, value, own) in [
        (0, "gtid_binlog_state", "0-172853023-78,0-9-79", "0-9-79"),
        (1, "gtid_executed", "ce14c31d-e7a3-11f1-833b-1a2860a6f713:1-68,aa-bb:1-2", "aa-bb:1-2"),
    ] {
        let pair = Pair::new(at, |n, t| if n == 1 { set(set(former(n, t), key, value), "server_id", "9") } else { t });
        let plan = pair.plan();
        assert!(
            plan[0].starts_with("refused: it has transactions that db-01 has not") && plan[0].ends_with(own),
            "{plan:?}"
        );
    }
}

#[test]
fn a_change_of_the_file_moves_no_primary_and_advises_nothing_about_its_data() {
    let swapped = |n: usize, t: String| if n == 0 { t + "replica\tSource_Host\t10.0.0.9\n" } else { t };
    each(
        swapped,
        &[
            "refused: it is declared the primary, and replicates from 10.0.0.9",
            "refused: it is declared a replica of db-01, which itself replicates from 10.0.0.9",
        ],
    );
}

#[test]
fn an_empty_primary_never_opens_over_a_replica_with_data() {
    for empty in ["state\tabsent\n", "state\tstopped\ndirectory\tempty\n"] {
        for (at, _) in RECORDED.iter().enumerate() {
            let plan = Pair::new(at, |n, t| if n == 0 { empty.into() } else { t }).plan();
            let want = "refused: it holds data (foo_bar, foobar_verify), and db-01, its declared primary, holds none";
            assert!(plan.contains(&want.to_owned()), "{plan:?}");
        }
    }
    // One that is stopped, and holds the same.
    let stopped = |n: usize, t: String| if n == 0 { "state\tstopped\nschema\tfoo_bar\t3\n".into() } else { t };
    let plan = Pair::new(0, stopped).plan();
    assert!(!plan.iter().any(|l| l.starts_with("refused")), "{plan:?}");
}

#[test]
fn a_primary_that_does_not_answer_is_not_taken_for_an_empty_one() {
    for (at, _) in RECORDED.iter().enumerate() {
        let plan = Pair::new(at, |n, t| if n == 0 { "error\tERROR 2013\n".into() } else { t }).plan();
        let refused: Vec<&String> = plan.iter().filter(|l| l.starts_with("refused")).collect();
        let want = "refused: the database server does not answer root through its socket: ERROR 2013";
        assert_eq!(refused, [want], "{plan:?}");
    }
}

#[test]
fn a_stopped_replica_that_comes_back_goes_on_from_where_it_was() {
    let held = "state\tstopped\nschema\tfoo_bar\t3\n";
    let resting = |n: usize, _: String| if n == 1 { format!("{held}following\tyes\n") } else { held.into() };
    for (at, _) in RECORDED.iter().enumerate() {
        // Its records and secrets went with it when it left.
        let plan = Pair::new(at, resting).plan();
        assert!(plan.contains(&"replicate from db-01: it goes on where it stopped".to_owned()), "{plan:?}");
        // Without a place in the primary's log its data is its own.
        let plan = Pair::new(at, |_, _| held.into()).plan();
        assert!(plan.iter().any(|l| l.starts_with("refused: it is declared a replica, holds data")), "{plan:?}");
        // And it does not become the primary by the way.
        let plan = Pair::new(at, |n, t| resting(1 - n, t)).plan();
        let want = "refused: it is declared the primary, is stopped, and follows another server as soon as it starts";
        assert!(plan.contains(&want.to_owned()), "{plan:?}");
        // Nothing of an empty primary opens over it.
        let plan = Pair::new(at, |n, t| if n == 0 { "state\tabsent\n".into() } else { resting(n, t) }).plan();
        assert!(plan.iter().any(|l| l.starts_with("refused: it holds data")), "{plan:?}");
    }
}

#[test]
fn an_empty_data_directory_is_made_anew_and_filled_again() {
    let empty = |n: usize, t: String| match n {
        1 => {
            without(t, "").lines().filter(|l| l.starts_with("record")).map(|l| format!("{l}\n")).collect::<String>()
                + "state\tstopped\ndirectory\tempty\n"
        }
        _ => t,
    };
    each(
        empty,
        &[
            "make an empty data directory: /var/lib/mysql holds nothing",
            "copy the data of db-01 and replicate from it: ",
        ],
    );
    // What is on record of a source goes with the data; what is on record of accounts is true of another server's as well.
    let pair = Pair::new(0, empty);
    let directory = DataDirectory { dialect: pair.dialect, schemas: vec![] };
    let script = pair.on(1, |seen| directory.diff(seen)).unwrap().unwrap().script.text().to_owned();
    let goes: Vec<&str> = script.lines().filter(|l| l.contains("rm ") && l.contains("$records")).collect();
    assert_eq!(
        goes,
        ["rm -f \"$records/source\" \"$records/source.new\" \"$records/seeding\"", "sync && rm -f \"$records/making\""]
    );
    assert!(!script.contains("-delete"), "{script}");
    let half = |n: usize, t: String| if n == 1 { "state\tstopped\nrecord\tmaking\tmaking\t\n".into() } else { t };
    each(
        half,
        &[
            "make an empty data directory: an earlier attempt was cut off",
            "copy the data of db-01 and replicate from it: ",
        ],
    );
    // One that cannot be judged, and one that holds something, are left alone.
    for kept in ["state\tabsent\n", "state\tstopped\nschema\tfoo_bar\t1\n", "state\trunning\ndirectory\tempty\n"] {
        let mut seen = Observation::default();
        seen.add(DATABASE.name, kept);
        assert!(!Server::new(Dialect::Mariadb, &seen).is_blank(), "{kept}");
    }
}

#[test]
fn the_account_for_copies_is_open_only_around_a_copy() {
    let seen = |n: usize, t: String, copy: bool, open: bool| match (n, copy) {
        (0, _) => t + "account\tfoobar_seed\tANY\tx\n" + if open { "" } else { "locked\tfoobar_seed\n" },
        (_, true) => "state\trunning\nread_only\tON\nsuper_read_only\tON\n".into(),
        _ => t,
    };
    for at in 0..2 {
        for (copy, open, want) in [
            (false, false, [false, false]),
            (true, false, [true, true]),
            // An earlier run was cut off.
            (false, true, [false, true]),
            (true, true, [false, true]),
        ] {
            let mut pair = Pair::new(at, |n, t| seen(n, t, copy, open));
            let mut plan = |open| {
                let replicas = vec![(name(1), pair.replication())];
                let copier = Copier { dialect: pair.dialect, account: "foobar_seed", replicas, open };
                let change = pair.on(0, |seen| copier.diff(seen)).unwrap();
                pair.changing.extend(change.as_ref().map(|c| (Key::new(&name(0), copier.id()), c.impact)));
                change.is_some()
            };
            assert_eq!([plan(true), plan(false)], want, "copy {copy}, open {open}");
        }
    }
}

#[test]
fn tables_that_no_snapshot_holds_are_seen_before_a_copy() {
    let fresh = |n: usize, t: String| match n {
        1 => "state\trunning\nread_only\tON\nsuper_read_only\tON\n".to_owned(),
        _ => t + "uncopied\tfoo_bar\told\tMyISAM\n",
    };
    let plan = |at: usize| Pair::new(at, fresh).plan();
    assert_eq!(
        plan(0),
        [
            "copy the data of db-01 and replicate from it: writes wait while these tables are copied: foo_bar.old (MyISAM)"
        ]
    );
    assert_eq!(plan(1), ["refused: MySQL would copy these tables of db-01 without their rows: foo_bar.old (MyISAM)"]);
}

#[test]
fn two_servers_with_one_identity_are_refused() {
    let uuid = |t: &str| t.lines().find_map(|l| l.strip_prefix("server_uuid\t").map(str::to_owned)).unwrap();
    let copied = uuid(RECORDED[1].1);
    let plan = Pair::new(1, |_, t| set(t, "server_uuid", &copied)).plan();
    assert_eq!(plan, ["refused: its server_uuid is that of db-01: one is a copy of the other's disk"]);
}

#[test]
fn errant_transactions_are_refused() {
    let x = "cccccccc-0000-0000-0000-000000000003";
    let refused = |at: usize, key: &str, value: &str, gtid: &str| {
        let plan = Pair::new(at, |n, t| if n == 1 { set(t, key, value) } else { t }).plan();
        assert_eq!(plan, [format!("refused: it has transactions that db-01 has not: {gtid}")]);
    };
    refused(0, "gtid_binlog_state", "0-172853024-999999", "0-172853024-999999");
    refused(1, "gtid_executed", &format!("{x}:1-3"), &format!("{x}:1-3"));
}

#[test]
fn a_password_that_changes_leaves_the_former_one_in_force_until_its_users_have_the_new_one() {
    use super::db_password::{Arrived, Retired};
    let login = |(n, on, p): &(&str, Option<&str>, &[&'static str])| Login {
        name: (*n).into(),
        secret: "pw".into(),
        on: on.map(str::to_owned),
        privileges: p.to_vec(),
        locked: false,
    };
    for (at, (dialect, ..)) in RECORDED.iter().enumerate() {
        let objects = Database {
            dialect: *dialect,
            schemas: vec!["foo_bar".into(), CANARY.into()],
            logins: LOGINS.iter().map(login).collect(),
            servers: vec![name(0), name(1)],
        };
        let steps = |pair: &Pair| {
            let all: [(usize, Box<dyn Resource>); 3] = [
                (0, Box::new(objects.clone())),
                (1, Box::new(Arrived { primary: name(0), objects: objects.clone() })),
                (0, Box::new(Retired { objects: objects.clone() })),
            ];
            let changes = all.iter().map(|(n, r)| pair.on(*n, |seen| r.diff(seen).unwrap()));
            changes.map(|c| c.map(|c| (c.summary, payload(&c.script)))).collect::<Vec<_>>()
        };
        assert!(steps(&Pair::new(at, |_, t| t)).iter().all(Option::is_none), "{dialect:?}: nothing changes");

        // Another password in this run.
        let mut pair = Pair::new(at, |_, t| t);
        pair.secrets.insert_made("pw", Secret::new("it's new"));
        let all = steps(&pair);
        let (sql, wait, discard) = (&all[0], &all[1], &all[2]);
        let kept = if at == 0 { "OR mysql_native_password USING" } else { "RETAIN CURRENT PASSWORD" };
        let sql = &sql.as_ref().unwrap().1;
        assert_eq!(sql.matches(kept).count(), 3, "{dialect:?}: {sql}");
        assert!(sql.contains("'it''s new'"), "{sql}");
        assert_eq!(wait.as_ref().unwrap().0, "wait for the new password of app_rw, app_ro, foobar_repl");
        assert_eq!(discard.as_ref().unwrap().0, "discard the former password of app_ro, app_rw, foobar_repl");

        // Cut off behind the change: the one that all clients still have is not pushed out by a second change.
        let cut = |n: usize, t: String| if n == 0 { t + "second\tapp_rw\n" } else { t };
        let mut pair = Pair::new(at, cut);
        pair.secrets.insert("pw", Secret::new("it's new"));
        let sql = steps(&pair)[0].as_ref().unwrap().1.clone();
        let of_account = |name: &str| sql.lines().filter(|l| l.contains(name)).collect::<String>();
        let (had, has_not) = (of_account("app_rw"), of_account("app_ro"));
        let fresh = if at == 0 { "JSON_VALUE(priv,'$.authentication_string')" } else { kept };
        assert!(!had.contains(fresh) && has_not.contains(fresh), "{dialect:?}: {sql}");
        // Cut off before the last step: that alone is left.
        let all = steps(&Pair::new(at, cut));
        assert!(all[0].is_none() && all[1].is_none());
        assert_eq!(all[2].as_ref().unwrap().0, "discard the former password of app_rw");

        // An account without a password has none to keep.
        let none = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let pair = Pair::new(at, |_, t| set(t, "account\tapp_ro", &format!("ANY\t{none}")) + "record\tapp_ro\tx\ty\n");
        let all = steps(&pair);
        assert!(!all[0].as_ref().is_some_and(|c| c.1.contains(kept)), "{dialect:?}: {all:?}");
    }
}

#[test]
fn what_any_server_has_on_record_of_an_account_counts_for_a_new_primary() {
    // Only the replica knows what the passwords were set from: it was the primary until a moment ago.
    let moved = |n: usize, t: String| if n == 0 { without(t, "record\tapp") } else { t };
    each(moved, &[]);
    // A record of another password says nothing of the one that the account has.
    let stale = |n: usize, t: String| match n {
        0 => without(t, "record\tapp_ro"),
        _ => without(t, "record\tapp_ro") + "record\tapp_ro\tx\ty\n",
    };
    each(stale, &["change schemas and accounts: app_ro: set the password again (it is not the one foobar set)"]);
}

/// What a script feeds to its client, decoded.
fn payload(script: &crate::base::script::Script) -> String {
    use base64::Engine as _;
    let encoded: String = script
        .text()
        .lines()
        .skip_while(|l| !l.starts_with("base64 -d"))
        .skip(1)
        .take_while(|l| *l != "END-OF-PAYLOAD")
        .collect();
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(encoded).unwrap()).unwrap()
}

//! Who may take the writes over from whom, and in what order: tables over what the servers would answer.

use super::*;
use crate::{
    base::secret::{Secret, Secrets},
    component::{mysql, testing},
    plan::{desired, remove::Removal},
    resource::{dialect::DATABASE, system::FACTS},
};

fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

/// The plan's steps, or what stands in its way, where the primary and the replica answer this beside what they are.
fn made(to: &str, web_01: &str, web_02: &str) -> Vec<String> {
    let site = testing::site(testing::topology());
    let desired = desired::compile(&site).unwrap();
    let servers = mysql::servers(&site).unwrap();
    let hosts: Vec<HostName> = site.hosts().cloned().collect();
    let answers = |host: &HostName| {
        let mut seen = Observation::default();
        seen.add(FACTS.name, "system\tdebian\ttrixie\tDebian 13\ninit\tsystemd");
        match host.as_str() {
            "web-01" => seen.add(DATABASE.name, web_01),
            "web-02" => seen.add(DATABASE.name, web_02),
            _ => {}
        }
        seen
    };
    let seen = hosts.iter().map(|h| (h.clone(), answers(h))).collect();
    let mut secrets = Secrets::default();
    secrets.insert("mysql-repl", Secret::new("hunter2"));
    let basis = Basis {
        site: &site.topology.site,
        hosts: &hosts,
        desired: &desired,
        seen: &seen,
        secrets: &secrets,
        now: 0,
        limit: &hosts.iter().cloned().collect(),
        removal: Removal::default(),
    };
    match plan(&basis, &servers, &host(to)) {
        Ok(moving) => {
            for step in &moving.plan.steps {
                assert_eq!(step.after, step.id.checked_sub(1).into_iter().collect::<Vec<_>>(), "one after the other");
            }
            let line = |s: &Step| format!("{}: {}", s.host, s.change.summary);
            moving.plan.steps.iter().map(line).chain(moving.notes).collect()
        }
        Err(refusals) => refusals.iter().map(|r| format!("refused: {r}")).collect(),
    }
}

const OPEN: &str = "state\trunning\nread_only\tOFF\nserver_id\t1\ngtid_binlog_state\t0-1-9\n";
const SHUT: &str = "state\trunning\nread_only\tON\nserver_id\t1\ngtid_binlog_state\t0-1-9\n";

fn follows(address: &str) -> String {
    format!(
        "state\trunning\nread_only\tON\nserver_id\t2\ngtid_slave_pos\t0-1-9\ngtid_binlog_state\t0-1-9\nreplica\tMaster_Host\t{address}\n\
         replica\tSlave_IO_Running\tYes\nreplica\tSlave_SQL_Running\tYes\nreplica\tSeconds_Behind_Master\t0\n"
    )
}

fn address(name: &str) -> String {
    testing::site(testing::topology()).address(&host(name)).to_string()
}

#[test]
fn the_writes_move_and_everybody_follows() {
    let all = [
        "web-02: see that web-02 keeps up with web-01",
        "web-01: close web-01 to writes",
        "web-02: let web-02 take the writes",
        "web-01: replicate from web-02",
        "web-02: see that a replica acknowledges each write",
    ];
    let replica = follows(&address("web-01"));
    assert_eq!(made("web-02", OPEN, &replica), all);
    // A run that was cut off after it had closed the primary: the same words do the same.
    assert_eq!(made("web-02", SHUT, &replica), all);
    // And one that was cut off once the other one was open.
    assert_eq!(made("web-02", SHUT, OPEN), all[3..]);
    assert_eq!(made("web-02", &follows(&address("web-02")), OPEN), [""; 0]);
    assert_eq!(made("web-01", OPEN, &replica), [""; 0], "it has them already");
    let down = made("web-02", "state\tstopped", OPEN);
    assert_eq!(down, ["web-01 does not run: `foobar apply` has it follow web-02 once it does"]);
}

#[test]
fn what_would_lose_a_write_or_make_two_writers_is_refused() {
    let replica = follows(&address("web-01"));
    let more = |line: &str| format!("{replica}{line}");
    for (to, web_01, web_02, want) in [
        ("lb-01", OPEN.to_owned(), replica.clone(), "refused: lb-01: it is no database server of the topology"),
        ("web-02", OPEN.into(), OPEN.into(), "refused: web-02: web-01 and web-02 take writes at the same time"),
        ("web-02", SHUT.into(), SHUT.into(), "refused: web-02: no server takes writes, and this one follows nobody"),
        ("web-02", OPEN.into(), SHUT.into(), "refused: web-02: it does not replicate from web-01"),
        ("web-02", OPEN.into(), follows("192.0.2.99"), "refused: web-02: it replicates from 192.0.2.99"),
        ("web-02", OPEN.into(), "state\tstopped".into(), "refused: web-02: its server does not run"),
        ("web-02", "state\tstopped".into(), replica.clone(), "refused: web-01: it took the writes, and its server"),
        (
            "web-02",
            OPEN.into(),
            replica.replace("IO_Running\tYes", "IO_Running\tNo\nreplica\tLast_IO_Error\tno way"),
            "refused: web-02: its IO thread does not run: no way",
        ),
        (
            "web-02",
            OPEN.into(),
            replica.replace("Behind_Master\t0", "Behind_Master\t900"),
            "refused: web-02: it is 900 s behind web-01",
        ),
        (
            "web-02",
            OPEN.into(),
            more("").replace("gtid_binlog_state\t0-1-9", "gtid_binlog_state\t0-1-9,0-2-10"),
            "refused: web-02: it has transactions that web-01 has not: 0-2-10",
        ),
        (
            "web-02",
            format!("{OPEN}long\t42\t31\n"),
            replica.clone(),
            "refused: web-01: a transaction of connection 42 has been open for 31 s",
        ),
    ] {
        let said = made(to, &web_01, &web_02);
        assert!(said[0].starts_with(want), "{want}: {said:?}");
    }
}

#[test]
fn nobody_opens_again_by_guess() {
    // What is closed goes back where the other one says that it has not taken over, and only then.
    let site = testing::site(testing::topology());
    let servers = mysql::servers(&site).unwrap();
    let (from, to) = (host("web-01"), host("web-02"));
    assert!(servers.close(&from).undo.is_some() && servers.take(&from, &to).undo.is_none());
    let script = servers.take(&from, &to).script.text().to_owned();
    let (asked, opens) = (script.find("still takes writes").unwrap(), script.find("read_only=OFF").unwrap());
    let arrived = script.find("does not have all").unwrap();
    assert!(asked < arrived && arrived < opens, "{script}");
}

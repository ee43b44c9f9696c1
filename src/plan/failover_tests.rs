//! Who goes on without whom, what is said of it, and what is refused: tables over what the servers would answer.

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

/// The stack with a second replica, and what its servers answer; one that answers nothing is away.
fn made(answers: [Option<&str>; 3], ask: impl Fn(&mut Ask)) -> Vec<String> {
    let mut topology = testing::topology();
    topology.hosts.push(testing::host("web-03", 23));
    topology.mysql.as_mut().unwrap().replicas.push(host("web-03"));
    let site = testing::site(topology);
    let desired = desired::compile(&site).unwrap();
    let servers = mysql::servers(&site).unwrap();
    let mut seen = BTreeMap::new();
    let mut asked = Ask::default();
    let all = [("lb-01", Some("")), ("web-01", answers[0]), ("web-02", answers[1]), ("web-03", answers[2])];
    for (name, answer) in all {
        let Some(answer) = answer else {
            asked.away.insert(host(name));
            continue;
        };
        let mut one = Observation::default();
        one.add(FACTS.name, "system\tdebian\ttrixie\tDebian 13\ninit\tsystemd");
        one.add(DATABASE.name, answer);
        seen.insert(host(name), one);
    }
    let hosts: Vec<HostName> = site.hosts().filter(|h| seen.contains_key(*h)).cloned().collect();
    let mut secrets = Secrets::default();
    secrets.insert("mysql-repl", Secret::new("hunter2"));
    let basis = Basis {
        site: &site.topology.site,
        hosts: &hosts,
        desired: &desired,
        seen: &seen,
        secrets: &secrets,
        now: 77,
        limit: &hosts.iter().cloned().collect(),
        removal: Removal::default(),
    };
    asked.found = Some(Found { has: "0-1-9".into(), loss: Loss::Exactly(gtid::Ranges::new()) });
    ask(&mut asked);
    match plan(&basis, &servers, &asked) {
        Ok(moving) => {
            let line =
                |s: &Step| [vec![format!("{}: {}", s.host, s.change.summary)], s.change.details.clone()].concat();
            moving.plan.steps.iter().flat_map(line).chain(moving.notes).collect()
        }
        Err(refusals) => refusals.iter().map(|r| format!("refused: {r}")).collect(),
    }
}

use crate::plan::Step;

const DOWN: &str = "state\tstopped\nschema\tfoobar\t3\n";

/// A replica of web-01 that this has reached.
fn has(position: &str) -> String {
    format!(
        "state\trunning\nread_only\tON\nserver_id\t2\ngtid_slave_pos\t0-1-5\nreplica\tMaster_Host\t10.77.0.21\n\
         replica\tSlave_IO_Running\tConnecting\nreplica\tSlave_SQL_Running\tYes\nreplica\tGtid_IO_Pos\t{position}\n"
    )
}

fn lost(first: u64, last: u64) -> Loss {
    Loss::Exactly(gtid::Ranges::from([("0-1".into(), vec![(first, last)])]))
}

#[test]
fn who_has_most_goes_on_and_the_rest_follows() {
    let (ahead, behind) = (has("0-1-9"), has("0-1-8"));
    insta::assert_snapshot!(made([Some(DOWN), Some(&behind), Some(&ahead)], |_| {}).join("\n"), @r"
    web-01: keep web-01 from taking writes: stop and mask mariadb.service
    until `foobar apply` brings it back as a replica
    web-03: see that it hears no more from web-01
    web-03: let web-03 take the writes
    once it has applied all of web-01's that has reached it
    web-02: replicate from web-03
    web-03: see that a replica acknowledges each write
    nothing is lost: web-03 has received all that is in the log of web-01
    ");
}

#[test]
fn what_is_lost_is_said_to_the_last_transaction() {
    let replica = has("0-1-9");
    let said = made([Some(DOWN), Some(&replica), Some(DOWN)], |ask| {
        ask.found = Some(Found { has: "0-1-9".into(), loss: lost(10, 12) });
    });
    insta::assert_snapshot!(said.join("\n"), @r"
    web-01: keep web-01 from taking writes: stop and mask mariadb.service
    until `foobar apply` brings it back as a replica
    3 transactions are lost to the site: 0-1-10 to 0-1-12
    they are kept there as statements and rows: /var/lib/foobar/lost/77.sql
    web-02: see that it hears no more from web-01
    web-02: let web-02 take the writes
    once it has applied all of web-01's that has reached it
    3 transactions are lost, and no other: 0-1-10 to 0-1-12; they are in the log of web-01 alone, and kept there under /var/lib/foobar/lost
    no client was told that they are written, unless web-01 had ceased to wait for its replicas before it was gone
    web-01 answers: where its server can be started again (`foobar apply`), nothing is lost, and no failover is needed
    web-03 does not run: `foobar apply` has it follow web-02 once it does
    no replica is left to acknowledge writes: each is on web-02 alone until `foobar apply` brings one back
    ");
}

#[test]
fn a_host_that_is_off_is_not_fenced_and_nobody_knows_what_it_had() {
    let replica = has("0-1-9");
    let said = made([None, Some(&replica), None], |ask| {
        ask.is_off.insert(host("web-01"));
        ask.found =
            Some(Found { has: "0-1-9".into(), loss: Loss::Unknown("web-01 cannot be asked what it had".into()) });
    });
    insta::assert_snapshot!(said.join("\n"), @r"
    web-02: see that it hears no more from web-01
    web-02: let web-02 take the writes
    once it has applied all of web-01's that has reached it
    what is lost is unknown: web-01 cannot be asked what it had
    each write that a client was told of has reached a replica, unless web-01 had ceased to wait for them
    web-03 cannot be asked, and may have what web-02 has not
    web-03 cannot be reached: once it is back, `foobar apply` has it follow web-02, or says what it has more
    no replica is left to acknowledge writes: each is on web-02 alone until `foobar apply` brings one back
    ");
}

#[test]
fn a_run_that_was_cut_off_is_gone_on_with() {
    let open = "state\trunning\nread_only\tOFF\nserver_id\t2\n";
    let said = made([Some(DOWN), Some(open), Some(&has("0-1-9"))], |_| {});
    assert_eq!(said, ["web-03: replicate from web-02", "web-02: see that a replica acknowledges each write"]);
    // It had forgotten its source, and was not open yet.
    let closed = "state\trunning\nread_only\tON\nserver_id\t2\ngtid_slave_pos\t0-1-9\nrecord\tsource\tabc\n";
    let said = made([Some(DOWN), Some(closed), Some(&has("0-1-9"))], |_| {});
    assert!(said.contains(&"web-02: let web-02 take the writes".to_owned()), "{said:?}");
}

#[test]
fn what_could_make_two_writers_or_lose_more_is_refused() {
    let (nine, eight) = (has("0-1-9"), has("0-1-8"));
    let open = "state\trunning\nread_only\tOFF\nserver_id\t1\n";
    let shut = "state\trunning\nread_only\tON\nserver_id\t1\n";
    let other = has("0-1-9").replace("10.77.0.21", "10.77.0.22");
    let apart = has("0-1-7,7-9-1");
    let broken = format!("{nine}replica\tLast_SQL_Error\tduplicate key\n");
    let to = |name: &'static str| move |ask: &mut Ask| ask.to = Some(host(name));
    type Change<'a> = Box<dyn Fn(&mut Ask) + 'a>;
    let cases: Vec<([Option<&str>; 3], Change<'_>, &str)> = vec![
        ([Some(open), Some(&nine), Some(&nine)], Box::new(|_| {}), "web-01: it takes the writes: no primary is gone"),
        ([Some(shut), Some(&nine), Some(&nine)], Box::new(|_| {}), "web-01: its server runs, and is closed"),
        (
            [Some("error\tERROR 1045\n"), Some(&nine), Some(&nine)],
            Box::new(|_| {}),
            "web-01: its server runs and does not answer as it should: ERROR 1045",
        ),
        ([Some(open), Some(open), Some(&nine)], Box::new(|_| {}), "web-02: web-01 and web-02 take writes"),
        ([None, Some(&nine), Some(&nine)], Box::new(|_| {}), "web-01: it cannot be reached: if it runs"),
        (
            [Some(DOWN), Some(&nine), Some(&nine)],
            Box::new(|ask| ask.is_off = [host("web-01")].into()),
            "web-01: it is said to be off, and it answers",
        ),
        ([Some(DOWN), Some(DOWN), Some(DOWN)], Box::new(|_| {}), "web-01: it is gone, and no replica of it runs"),
        ([Some(DOWN), Some(&other), Some(&nine)], Box::new(|_| {}), "web-02: the replicas follow different servers"),
        ([Some(DOWN), Some(&nine), Some(&apart)], Box::new(|_| {}), "web-03: of web-02 and web-03 each has"),
        ([Some(DOWN), Some(&nine), Some(&eight)], Box::new(to("lb-01")), "lb-01: it is no database server"),
        ([Some(DOWN), Some(&nine), Some(DOWN)], Box::new(to("web-03")), "web-03: it is no replica of web-01 that runs"),
        ([Some(DOWN), Some(&nine), Some(&eight)], Box::new(to("web-03")), "web-03: web-02 has transactions that"),
        ([Some(DOWN), Some(&broken), Some(&eight)], Box::new(|_| {}), "web-02: it cannot apply what has reached it"),
        (
            [Some(DOWN), Some(&nine), Some(&eight)],
            Box::new(|ask| ask.found = Some(Found { has: "0-1-8".into(), loss: lost(9, 9) })),
            "web-02: more has reached it since",
        ),
    ];
    for (answers, ask, want) in cases {
        let said = made(answers, ask);
        assert!(said[0].starts_with(&format!("refused: {want}")), "{want}: {said:?}");
    }
}

#[test]
fn nothing_opens_before_it_has_applied_all_and_hears_nobody() {
    let site = testing::site(testing::topology());
    let servers = mysql::servers(&site).unwrap();
    let (from, to) = (host("web-01"), host("web-02"));
    let script = servers.take_over(&from, &to, false).script.text().to_owned();
    let (stopped, applied) = (script.find("STOP REPLICA IO_THREAD").unwrap(), script.find("MASTER_GTID_WAIT").unwrap());
    let opens = script.find("read_only=OFF").unwrap();
    assert!(stopped < applied && applied < opens, "{script}");
    // Alone, it would wait for nobody's word for ten seconds a write.
    assert!(!script.contains("rpl_semi_sync_master_enabled=ON"), "{script}");
    assert!(servers.take_over(&from, &to, true).script.text().contains("rpl_semi_sync_master_enabled=ON"));
    let fence = servers.fence(&from, "0-1-9", &lost(10, 10), 1).script.text().to_owned();
    let (masked, asked) = (fence.find("systemctl -q mask").unwrap(), fence.find("said=$(unshared)").unwrap());
    assert!(masked < asked && fence.contains("written more since"), "{fence}");
}

#[test]
fn what_a_log_says_is_believed_only_to_its_end() {
    assert_eq!(Loss::read("lost\t0-1\t10\t12\nfiles\t./binlog.000001 \nwhole\n"), lost(10, 12));
    assert!(Loss::read("files\t./binlog.000001 \nwhole\n").is_none());
    for text in ["", "lost\t0-1\t10\t12\n", "unknown\tit has no binary log\n", "lost\t0-1\tten\t12\nwhole\n"] {
        assert!(matches!(Loss::read(text), Loss::Unknown(_)), "{text}");
    }
}

//! Who may be filled anew, and what a plan that does it looks like.

use super::*;
use crate::{
    component::{mysql, testing},
    plan::group::Group,
    resource::{Action, Change, dialect::DATABASE, service::UNITS},
};

fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

const OPEN: &str = "state\trunning\nread_only\tOFF\nschema\tfoobar\t3\ngtid_binlog_state\t0-1-9\ngtid_slave_pos\t\n";
const SHUT: &str = "state\trunning\nread_only\tON\nschema\tfoobar\t3\n";

fn seen(web_01: &str, web_02: &str) -> BTreeMap<HostName, Observation> {
    let of = |text: &str| {
        let mut seen = Observation::default();
        seen.add(DATABASE.name, text);
        seen.add(UNITS.name, "mariadb.service\tloaded\tactive\tenabled\tabc\t1\tabc\tx\ty\n");
        seen
    };
    BTreeMap::from([(host("web-01"), of(web_01)), (host("web-02"), of(web_02))])
}

#[test]
fn only_a_replica_of_a_primary_with_data_is_emptied() {
    let site = testing::site(testing::topology());
    let servers = mysql::servers(&site);
    let all: BTreeSet<HostName> = ["lb-01", "web-01", "web-02"].map(host).into();
    for (which, web_01, web_02, limit, want) in [
        ("web-02", OPEN, SHUT, all.clone(), None),
        ("web-02", OPEN, OPEN, all.clone(), None),
        ("web-02", SHUT, SHUT, all.clone(), None),
        ("web-01", OPEN, SHUT, all.clone(), Some("is the primary")),
        ("lb-01", OPEN, SHUT, all.clone(), Some("is no database server")),
        ("web-02", SHUT, OPEN, all.clone(), Some("it takes the writes, not web-01")),
        ("web-02", "state\tstopped\nschema\tfoobar\t3\n", SHUT, all.clone(), Some("has no data to give, does not run")),
        ("web-02", "state\trunning\nread_only\tOFF\n", SHUT, all.clone(), Some("has no data to give")),
        ("web-02", OPEN, SHUT, [host("web-02")].into(), Some("--limit leaves")),
    ] {
        let made = emptied(servers.as_ref(), &seen(web_01, web_02), &[host(which)].into(), &limit);
        match (made, want) {
            (Ok(made), None) => {
                let server = Server::new(servers.as_ref().unwrap().dialect, &made[&host(which)]);
                assert!(server.is_blank(), "{which}");
                assert_eq!(made[&host(which)].get(&UNITS, "mariadb.service").unwrap()[..2], ["loaded", "inactive"]);
            }
            (Err(refusals), Some(want)) => assert!(refusals[0].what.contains(want), "{want}: {refusals:?}"),
            (made, want) => panic!("{which} {want:?}: {made:?}"),
        }
    }
}

#[test]
fn it_comes_before_all_else_on_its_host() {
    let site = testing::site(testing::topology());
    let servers = mysql::servers(&site).unwrap();
    let step = |id, name: &str, after: Vec<StepId>| Step {
        id,
        host: host(name),
        resource: ResourceId::new("test", id.to_string()),
        change: Change::new(Action::Update, "x", crate::base::script::Script::new()),
        after,
    };
    let mut plan = Plan {
        site: site.topology.site.clone(),
        hosts: vec![],
        steps: vec![step(0, "web-01", vec![]), step(1, "web-02", vec![0])],
        left_out: vec![],
        groups: vec![Group { steps: vec![1], watches: vec![0], ..Group::default() }],
    };
    begin(&mut plan, &servers, &seen(OPEN, SHUT), &[host("web-02")].into(), 7);
    let steps: Vec<_> = plan.steps.iter().map(|s| (s.id, s.host.as_str(), s.after.clone())).collect();
    assert_eq!(steps, [(0, "web-02", vec![]), (1, "web-01", vec![]), (2, "web-02", vec![0, 1])]);
    assert_eq!((plan.groups[0].steps.clone(), plan.groups[0].watches.clone()), (vec![2], vec![1]));
    let script = plan.steps[0].change.script.text();
    let (kept, gone) = (script.find("/var/lib/foobar/lost/7.sql").unwrap(), script.find("-exec rm -rf").unwrap());
    let marked = script.find("echo making").unwrap();
    assert!(kept < marked && marked < gone, "{script}");
}

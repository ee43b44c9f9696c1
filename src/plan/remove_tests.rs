//! What is taken away and in which order: tables over what hosts note and what a topology wants.

use super::*;
use crate::{
    base::script::Script,
    component::{spec::Topology, testing},
    plan::desired,
    resource::Action,
};

fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

fn wants(topology: Topology) -> Desired {
    desired::compile(&testing::site(topology)).unwrap()
}

/// Hosts that note all that a topology asks of them, with more lines for some; the database of web-02 follows web-01's.
fn noted(topology: Topology, more: &[(&str, &str)]) -> BTreeMap<HostName, Observation> {
    let desired = wants(topology);
    let mut all = BTreeMap::new();
    for name in ["lb-01", "web-01", "web-02"] {
        let mut text = String::from("registry\tyes\nstate\tyes\n");
        text.push_str(if name == "web-02" { "follows\t/var/lib/mysql\n" } else { "" });
        let mut lines = BTreeSet::new();
        for wanted in desired.wanted.iter().filter(|w| w.host.as_str() == name) {
            lines.extend(wanted.resource.footprint().iter().map(Owned::line));
        }
        text.extend(lines.iter().map(|l| format!("{l}\n")));
        text.extend(more.iter().filter(|(host, _)| *host == name).map(|(_, l)| format!("{l}\n")));
        let mut seen = Observation::default();
        seen.add(OWNED.name, &text);
        all.insert(host(name), seen);
    }
    all
}

fn step(id: StepId, name: &str, resource: ResourceId, after: &[StepId]) -> Step {
    let change = Change::new(Action::Update, format!("change {resource}"), Script::new());
    Step { id, host: host(name), resource, change, after: after.to_vec() }
}

/// The steps as lines: place, host, summary, and what each comes after.
fn shown(steps: &[Step]) -> String {
    let line = |s: &Step| {
        let after: Vec<String> = s.after.iter().map(ToString::to_string).collect();
        format!("{} {}: {} [{}] <- {}\n", s.id, s.host, s.change.summary, s.change.impact, after.join(" "))
    };
    steps.iter().map(line).collect()
}

fn removed(
    seen: &BTreeMap<HostName, Observation>,
    desired: &Desired,
    removal: Removal,
    limit: &[&str],
    steps: Vec<Step>,
) -> Result<(Vec<Step>, Vec<String>), Vec<Refusal>> {
    let hosts: Vec<HostName> = ["lb-01", "web-01", "web-02"].map(host).to_vec();
    let limit =
        if limit.is_empty() { hosts.iter().cloned().collect() } else { limit.iter().map(|h| host(h)).collect() };
    let scope = Scope { site: "www.example.com", hosts: &hosts, desired, seen, limit: &limit, removal };
    let found = insert(&scope, steps)?;
    for step in &found.0 {
        assert!(step.after.iter().all(|before| *before < step.id), "{}", shown(&found.0));
        assert_eq!(found.0[step.id].id, step.id);
    }
    Ok(found)
}

fn plain(seen: &BTreeMap<HostName, Observation>, desired: &Desired, steps: Vec<Step>) -> String {
    shown(&removed(seen, desired, Removal::default(), &[], steps).unwrap().0)
}

const EVERYTHING: Removal = Removal { purge: false, databases: false, everything: true };

#[test]
fn what_is_wanted_stays_and_so_do_packages_and_data() {
    let seen =
        noted(testing::topology(), &[("web-01", "package\tmemcached\tmade"), ("web-01", "dependency\tlibevent\tmade")]);
    assert_eq!(plain(&seen, &wants(testing::topology()), vec![]), "");
    let purge = Removal { purge: true, ..Removal::default() };
    let steps = removed(&seen, &wants(testing::topology()), purge, &[], vec![]).unwrap().0;
    assert_eq!(shown(&steps), "0 web-01: purge memcached [none] <- \n");
    // The database leaves, its data does not.
    let mut without = testing::topology();
    without.mysql = None;
    let text = plain(&seen, &wants(without), vec![]);
    assert!(text.contains("stop and disable mariadb") && !text.contains("/var/lib/mysql"), "{text}");
}

#[test]
fn a_host_that_notes_nothing_loses_nothing() {
    let seen = ["lb-01", "web-01", "web-02"].map(|h| (host(h), Observation::default())).into();
    assert_eq!(plain(&seen, &Desired::default(), vec![]), "");
    let steps = removed(&seen, &Desired::default(), EVERYTHING, &[], vec![]).unwrap().0;
    assert_eq!(shown(&steps), "");
}

#[test]
fn everything_goes_from_the_visitor_inwards() {
    let seen = noted(testing::topology(), &[]);
    let steps = removed(&seen, &Desired::default(), EVERYTHING, &[], vec![]).unwrap().0;
    insta::assert_snapshot!("destroy", shown(&steps));
    let all = Removal { purge: true, databases: true, everything: true };
    let steps = removed(&seen, &Desired::default(), all, &["web-01"], vec![]).unwrap();
    insta::assert_snapshot!("destroy-one-host", format!("{}left out: {:#?}", shown(&steps.0), steps.1));
}

#[test]
fn what_leaves_goes_after_all_that_is_made_or_changed() {
    let mut moved = testing::topology();
    moved.nginx.as_mut().unwrap().on = vec![host("web-01")];
    moved.app.as_mut().unwrap().on = vec![host("web-01")];
    let steps = vec![
        step(0, "lb-01", ResourceId::new("files", "haproxy configuration"), &[]),
        step(1, "lb-01", Service::key("haproxy.service"), &[0]),
        step(2, "web-01", ResourceId::new("files", "site authority"), &[]),
    ];
    insta::assert_snapshot!("role-leaves", plain(&noted(testing::topology(), &[]), &wants(moved), steps));
}

#[test]
fn a_service_makes_room_for_one_on_the_same_port_right_before_it_starts() {
    let mut moved = testing::topology();
    moved.haproxy.as_mut().unwrap().on = vec![host("web-01")];
    moved.nginx.as_mut().unwrap().on = vec![host("web-02")];
    moved.app.as_mut().unwrap().on = vec![host("web-02")];
    let steps = vec![
        step(0, "web-01", ResourceId::new("packages", "installed"), &[]),
        step(1, "web-01", ResourceId::new("files", "haproxy configuration"), &[0]),
        step(2, "web-01", Service::key("haproxy.service"), &[1]),
        step(3, "web-02", Service::key("nginx.service"), &[2]),
    ];
    let text = plain(&noted(testing::topology(), &[]), &wants(moved), steps);
    let line =
        |what: &str| text.lines().find(|l| l.contains(what)).unwrap_or_else(|| panic!("{what}: {text}")).to_owned();
    assert_eq!(line("web-01: stop and disable nginx"), "2 web-01: stop and disable nginx [connection drop] <- 1");
    assert_eq!(line("web-01: change service haproxy"), "3 web-01: change service haproxy.service [none] <- 1 2");
    assert_eq!(line("web-02: change service nginx"), "4 web-02: change service nginx.service [none] <- 3");
    // The old balancer is late: it serves until the new one does.
    assert!(line("lb-01: stop and disable haproxy").ends_with("<- 4"), "{text}");
}

#[test]
fn what_was_there_before_is_handed_back() {
    let found = [
        ("lb-01", "service\tnginx.service\tfound\t1\tconnection drop\t80"),
        ("lb-01", "file\t/etc/nginx/conf.d/foobar.conf\tmade\tnginx configuration\tfile"),
        ("lb-01", "file\t/etc/nginx/sites-enabled/default\tmade\tnginx configuration\tabsent"),
        ("lb-01", "original\tetc/nginx/sites-enabled/default"),
        ("lb-01", "account\tdeploy\tfound\t/home/deploy"),
        ("lb-01", "a kind of later days\tx\tmade"),
    ];
    let seen = noted(testing::topology(), &found);
    let steps = removed(&seen, &wants(testing::topology()), Removal::default(), &[], vec![]).unwrap().0;
    assert_eq!(
        shown(&steps),
        "0 lb-01: remove nginx configuration [none] <- \n\
         1 lb-01: restart nginx as it was [restart] <- 0\n\
         2 lb-01: give up what was not foobar's [none] <- 1\n"
    );
    let notes: Vec<(&str, String)> =
        steps[0].change.diffs.iter().map(|d| (d.path.as_str(), d.notes.join(", "))).collect();
    assert_eq!(
        notes,
        [
            ("/etc/nginx/conf.d/foobar.conf", String::new()),
            ("/etc/nginx/sites-enabled/default", "put back as it was before foobar".into())
        ]
    );
}

#[test]
fn data_goes_only_when_asked_and_whole_only_where_nobody_else_has_any() {
    let databases = Removal { databases: true, ..EVERYTHING };
    let data = "data\t/var/lib/mysql\tmade\tmariadb\tfoobar,foobar_verify\nheld\t/var/lib/mysql\tfoobar\nheld\t/var/lib/mysql\tsys";
    for (more, want) in [
        ("", "delete the data in /var/lib/mysql"),
        ("\nheld\t/var/lib/mysql\tshop", "drop the databases foobar, foobar_verify; leave /var/lib/mysql to its owner"),
    ] {
        let seen =
            noted(Topology { mysql: None, app: None, ..testing::topology() }, &[("web-01", &format!("{data}{more}"))]);
        let of = |removal| {
            let steps = removed(&seen, &Desired::default(), removal, &["web-01"], vec![]).unwrap().0;
            let about = |s: &&Step| s.resource.kind == "database";
            steps.iter().filter(about).map(|s| s.change.summary.clone()).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(of(databases), want);
        assert_eq!(of(EVERYTHING), "");
    }
    let found = data.replace("made", "found");
    let seen = noted(Topology { mysql: None, app: None, ..testing::topology() }, &[("web-01", &found)]);
    let text = shown(&removed(&seen, &Desired::default(), databases, &["web-01"], vec![]).unwrap().0);
    assert!(text.contains("drop the databases") && !text.contains("delete the data"), "{text}");
}

#[test]
fn a_host_of_an_older_foobar_is_noted_before_it_is_destroyed() {
    let mut seen = noted(testing::topology(), &[]);
    let mut older = Observation::default();
    older.add(OWNED.name, "state\tyes\nolder\tyes");
    seen.insert(host("web-02"), older);
    let refusals = removed(&seen, &Desired::default(), EVERYTHING, &[], vec![]).unwrap_err();
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0].to_string(), "web-02: an older foobar was at work there, and did not note what it made");
    assert!(removed(&seen, &Desired::default(), EVERYTHING, &["web-01"], vec![]).is_ok());
}

#[test]
fn an_account_is_dropped_where_it_is_made_and_forgotten_where_it_is_copied() {
    let mut less = testing::topology();
    less.app.as_mut().unwrap().migrate = None;
    let text = plain(&noted(testing::topology(), &[]), &wants(less.clone()), vec![]);
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "0 web-01: drop database account app_migrate [none] <- ",
            "1 web-01: forget mysql-app-migrate [none] <- 0",
            "2 web-02: forget mysql-app-migrate [none] <- ",
        ]
    );
    let seen = noted(testing::topology(), &[]);
    let steps = removed(&seen, &wants(less), Removal::default(), &[], vec![]).unwrap().0;
    let forgets = |s: &Step| s.change.script.text().contains("login\tapp_migrate\t");
    assert_eq!(steps.iter().map(forgets).collect::<Vec<_>>(), [true, false, true]);
    // Where nothing else goes, it is a step of its own, behind the drop.
    let more = [("web-01", "login\tstray\tmade\tmariadb"), ("web-02", "login\tstray\tmade\tmariadb")];
    assert_eq!(
        plain(&noted(testing::topology(), &more), &wants(testing::topology()), vec![]),
        "0 web-01: drop database account stray [none] <- \n\
         1 web-02: note that the database account stray goes [none] <- 0\n"
    );
    // A replica that leaves keeps them, as a part of its data: they are forgotten with its server.
    let mut alone = testing::topology();
    alone.mysql.as_mut().unwrap().replicas.clear();
    let seen = noted(testing::topology(), &[]);
    let steps = removed(&seen, &wants(alone), Removal::default(), &[], vec![]).unwrap().0;
    let of_database = |s: &&Step| s.host == host("web-02") && s.change.summary.contains("database account");
    assert!(!steps.iter().any(|s| of_database(&s)), "{}", shown(&steps));
    let stop = steps.iter().find(|s| s.change.summary.contains("disable mariadb")).unwrap();
    assert!(stop.change.script.text().contains("login\tapp_rw\t"), "{:?}", stop.change.script);
}

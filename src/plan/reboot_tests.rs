//! Which hosts go down when: tables over sites as their components make them, and over what their hosts would answer.

use super::*;
use crate::{
    base::secret::Secrets,
    component::{spec::Topology, testing},
    plan::{desired, remove::Removal},
    resource::{dialect::DATABASE, reboot::REBOOT, service::UNITS, system::FACTS},
};

fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

/// A site whose hosts are all as they shall be, but for what is said here.
struct Case {
    topology: Topology,
    limit: Vec<&'static str>,
    /// Hosts that ask for a reboot.
    asking: Vec<&'static str>,
    /// Servers whose units do not run.
    down: Vec<&'static str>,
    /// Servers that somebody took out at every balancer.
    held: Vec<&'static str>,
    if_needed: bool,
    cut_off: Vec<CutOff>,
}

impl Case {
    /// A balancer, and two web servers that are primary and replica.
    fn new(limit: &[&'static str]) -> Self {
        Self {
            topology: testing::topology(),
            limit: limit.to_vec(),
            asking: vec![],
            down: vec![],
            held: vec![],
            if_needed: false,
            cut_off: vec![],
        }
    }

    /// Each of these roles on these hosts; a database is its primary and its replicas.
    fn roles(mut self, haproxy: &[&str], web: &[&str], mysql: &[&str]) -> Self {
        let all = |names: &[&str]| names.iter().map(|n| host(n)).collect::<Vec<_>>();
        let mut known: Vec<&str> = Vec::new();
        for name in haproxy.iter().chain(web).chain(mysql) {
            if !known.contains(name) {
                known.push(name);
            }
        }
        self.topology.hosts = known.iter().zip(11..).map(|(name, n)| testing::host(name, n)).collect();
        self.topology.haproxy.as_mut().unwrap().on = all(haproxy);
        self.topology.nginx.as_mut().unwrap().on = all(web);
        self.topology.app.as_mut().unwrap().on = all(web);
        let database = self.topology.mysql.as_mut().unwrap();
        (database.primary, database.replicas) = (host(mysql[0]), all(&mysql[1..]));
        self
    }

    fn answers(&self, name: &HostName) -> Observation {
        let t = &self.topology;
        let (haproxy, web) = (t.haproxy.as_ref().unwrap(), &t.nginx.as_ref().unwrap().on);
        let database = t.mysql.as_ref().unwrap();
        let mut seen = Observation::default();
        seen.add(FACTS.name, "system\tdebian\ttrixie\tDebian 13\ninit\tsystemd");
        let mut units = String::new();
        let is_down = self.down.contains(&name.as_str());
        for (unit, on) in [
            ("haproxy.service", haproxy.on.contains(name)),
            ("nginx.service", web.contains(name)),
            ("foobar-app.service", web.contains(name)),
            ("mariadb.service", database.hosts().any(|h| h == name)),
        ] {
            let state = if is_down && unit != "mariadb.service" { "failed" } else { "active" };
            if on {
                units += &format!("{unit}\tloaded\t{state}\tenabled\tr1\t7\tr1\tx\ty\n");
            }
        }
        seen.add(UNITS.name, &units);
        if haproxy.on.contains(name) {
            let line = |m: &HostName| {
                let (held, up) = match (self.held.contains(&m.as_str()), self.down.contains(&m.as_str())) {
                    (true, _) => ("maint", "0"),
                    (false, true) => ("-", "0"),
                    _ => ("-", "2"),
                };
                format!("server\t{m}\t{held}\nup\t{m}\t{up}\n")
            };
            seen.add("traffic", &web.iter().map(line).collect::<String>());
        }
        let running = "state\trunning\nread_only\t";
        if *name == database.primary {
            seen.add(DATABASE.name, &format!("{running}OFF\nrpl_semi_sync_master_enabled\tON"));
        } else if database.replicas.contains(name) {
            let follows = "replica\tSlave_IO_Running\tYes\nreplica\tSlave_SQL_Running\tYes";
            seen.add(DATABASE.name, &format!("{running}ON\nreplica\tMaster_Host\tx\n{follows}"));
        }
        if self.asking.contains(&name.as_str()) {
            seen.add(REBOOT.name, "asked\tdbus");
        }
        seen
    }

    fn made(&self) -> Result<Rebooting, Vec<Refusal>> {
        let site = testing::site(self.topology.clone());
        let desired = desired::compile(&site).unwrap();
        let hosts: Vec<HostName> = site.hosts().cloned().collect();
        let seen = hosts.iter().map(|h| (h.clone(), self.answers(h))).collect();
        let limit = match &self.limit[..] {
            [] => hosts.iter().cloned().collect(),
            names => names.iter().map(|n| host(n)).collect(),
        };
        let basis = Basis {
            site: &site.topology.site,
            hosts: &hosts,
            desired: &desired,
            seen: &seen,
            secrets: &Secrets::default(),
            now: 0,
            limit: &limit,
            removal: Removal::default(),
        };
        let ask = Ask { if_needed: self.if_needed, within: Duration::from_secs(600) };
        let made = plan(&basis, &ask, &self.cut_off)?;
        for (at, step) in made.plan.steps.iter().enumerate() {
            assert_eq!(step.id, at);
            assert!(step.after.iter().all(|before| *before < at), "{step:#?}");
            let is_reboot = step.change.summary.starts_with("reboot ");
            assert_eq!(step.change.reboot, is_reboot.then(|| Duration::from_secs(600)));
        }
        Ok(made)
    }

    /// `place host: summary (what is felt) < places it waits for`, a line each.
    fn order(&self) -> String {
        let plan = self.made().unwrap().plan;
        let line = |s: &Step| {
            let felt = if s.change.impact > Impact::None { format!(" ({})", s.change.felt()) } else { String::new() };
            let leaves = s.change.leaves.map_or(String::new(), |l| format!(" [{} of {}]", l.serving, l.of));
            format!("{:>2} {}: {}{felt}{leaves} < {:?}\n", s.id, s.host, s.change.summary, s.after)
        };
        plan.steps.iter().map(line).collect()
    }

    /// The hosts in the order that they go, together where none waits for another.
    fn goes(&self) -> String {
        let plan = self.made().unwrap().plan;
        let comes_after = |later: StepId, earlier: StepId| {
            let mut open = vec![later];
            while let Some(at) = open.pop() {
                if plan.steps[at].after.contains(&earlier) {
                    return true;
                }
                open.extend(&plan.steps[at].after);
            }
            false
        };
        let downs: Vec<&Step> = plan.steps.iter().filter(|s| s.change.reboot.is_some()).collect();
        let mut text = String::new();
        for (n, step) in downs.iter().enumerate() {
            let together = n > 0 && !comes_after(step.id, downs[n - 1].id);
            text += if n == 0 {
                ""
            } else if together {
                "+"
            } else {
                " "
            };
            text += step.host.as_str();
        }
        text
    }
}

#[test]
fn web_servers_alone_are_felt_by_nobody() {
    let case = Case::new(&["web-01", "web-02"]).roles(&["lb-01"], &["web-01", "web-02"], &["lb-01"]);
    insta::assert_snapshot!(case.order());
    let plan = case.made().unwrap().plan;
    assert_eq!((plan.impact(), plan.capacity().map(|c| c.serving)), (Impact::None, Some(1)));
}

#[test]
fn a_replica_goes_before_its_primary_which_is_opened_again() {
    let case = Case::new(&["web-01", "web-02"]);
    insta::assert_snapshot!(case.order());
    let details = |n: usize| case.made().unwrap().plan.steps[n].change.details.clone();
    assert_eq!(case.made().unwrap().plan.impact(), Impact::WriteOutage);
    assert_eq!(details(1), ["who is connected to it is cut off"]);
}

#[test]
fn the_whole_site_ends_with_its_balancer() {
    let case = Case::new(&[]).roles(&["lb-01"], &["web-01", "web-02"], &["db-01", "db-02"]);
    insta::assert_snapshot!(case.order());
    let plan = case.made().unwrap().plan;
    assert_eq!(plan.capacity().map(|c| c.serving), Some(0));
    let felt: Vec<&str> = plan
        .steps
        .iter()
        .filter(|s| s.change.reboot.is_some())
        .flat_map(|s| &s.change.details)
        .map(String::as_str)
        .collect();
    assert_eq!(
        felt,
        [
            "who is connected to it is cut off",
            "nothing can be written until it is back and open for writes again",
            "it is the only balancer: the site is away until it is back"
        ]
    );
}

#[test]
fn who_goes_with_whom() {
    let web = ["web-01", "web-02", "web-03", "web-04"];
    let said =
        |case: &Case| case.made().unwrap().plan.steps.iter().flat_map(|s| s.change.details.clone()).collect::<String>();
    let with = |haproxy: &[&str], web: &[&str], mysql: &[&str], batch| {
        let mut case = Case::new(&[]).roles(haproxy, web, mysql);
        case.topology.rollout.batch = Share::Hosts(batch);
        case
    };
    let apart = with(&["lb-01"], &web, &["db-01", "db-02"], 2);
    // Where a database is among them, nobody goes together with another one.
    assert_eq!(apart.goes(), "web-01 web-02 web-03 web-04 db-02 db-01 lb-01");
    let mut only = with(&["lb-01"], &web, &["db-01", "db-02"], 2);
    only.limit = web.to_vec();
    assert_eq!(only.goes(), "web-01+web-02 web-03+web-04");
    let two = with(&["lb-01", "lb-02"], &["web-01", "web-02"], &["web-02", "web-01", "db-03"], 1);
    assert_eq!(two.goes(), "web-01 db-03 web-02 lb-01 lb-02");
    // All roles on each of two hosts.
    let both = with(&["all-01", "all-02"], &["all-01", "all-02"], &["all-01", "all-02"], 1);
    assert_eq!(both.goes(), "all-02 all-01");
    assert!(said(&both).contains("connects to another balancer"));
    let one = with(&["all-01"], &["all-01"], &["all-01"], 1);
    assert_eq!(one.goes(), "all-01");
    assert!(said(&one).contains("it is the only balancer: the site is away"));
}

#[test]
fn one_goes_ahead_where_that_is_asked_for() {
    let mut case =
        Case::new(&["web-01", "web-02", "web-03"]).roles(&["lb-01"], &["web-01", "web-02", "web-03"], &["db-01"]);
    (case.topology.rollout.canary, case.topology.rollout.batch) = (Some("90s".parse().unwrap()), Share::Hosts(2));
    case.topology.rollout.keep_serving = 30;
    assert_eq!(case.goes(), "web-01 web-02+web-03");
    let steps = case.made().unwrap().plan.steps;
    let at = |text: &str| steps.iter().position(|s| s.change.summary.contains(text)).unwrap();
    let watch = at("watch web-01");
    assert!(at("put web-01 back") < watch && steps[at("drain web-02")].after.contains(&watch), "{}", case.order());
    assert!(steps[watch].change.script.text().contains("90"), "{}", steps[watch].change.script.text());
}

#[test]
fn who_serves_nobody_now_goes_first() {
    let mut case = Case::new(&[]).roles(&["lb-01"], &["web-01", "web-02"], &["db-01"]);
    case.down = vec!["web-02"];
    assert_eq!(case.goes(), "web-02 web-01 db-01 lb-01");
    let order = case.order();
    assert!(!order.contains("drain web-02") && order.contains("put web-02 back"), "{order}");
    // A primary too; and of two that are out, databases still go one after the other.
    let mut case = Case::new(&["web-01", "web-02"]);
    case.down = vec!["web-01"];
    assert_eq!(case.goes(), "web-01 web-02");
    case.down = vec!["web-01", "web-02"];
    assert_eq!(case.goes(), "web-02 web-01");
    // What somebody took out stays out.
    let mut case = Case::new(&["web-02"]).roles(&["lb-01"], &["web-01", "web-02"], &["db-01"]);
    case.held = vec!["web-02"];
    let order = case.order();
    assert!(order.contains("reboot web-02 (none)") && !order.contains("put web-02 back"), "{order}");
}

#[test]
fn too_few_that_serve_are_refused_and_a_host_alone_is_not_taken_out() {
    let mut case = Case::new(&["web-01"]).roles(&["lb-01"], &["web-01", "web-02"], &["db-01"]);
    case.down = vec!["web-02"];
    let refusals = case.made().unwrap_err();
    assert!(refusals[0].what.contains("0 of 2 backends would serve, since web-02 is out already"), "{refusals:?}");
    let order = Case::new(&["web-01"]).roles(&["lb-01"], &["web-01"], &["db-01"]).order();
    assert!(order.contains("reboot web-01 (write outage) [0 of 1]") && !order.contains("drain"), "{order}");
}

#[test]
fn only_who_asks_for_it_goes_if_that_is_wanted() {
    let mut case = Case::new(&[]);
    case.asking = vec!["web-02"];
    assert_eq!(case.goes(), "web-02 web-01 lb-01");
    case.if_needed = true;
    assert_eq!(case.goes(), "web-02");
    let made = case.made().unwrap();
    assert!(made.notes.contains(&"no reboot is needed on lb-01, web-01".to_owned()), "{:?}", made.notes);
    let reboot = made.plan.steps.iter().find(|s| s.change.reboot.is_some()).unwrap();
    assert_eq!(reboot.change.details[0], "the host asks for it (/run/reboot-required), for dbus");
    case.asking.clear();
    assert!(case.made().unwrap().plan.is_empty());
}

#[test]
fn what_else_is_to_do_is_said_and_left() {
    let mut case = Case::new(&["web-02"]);
    let cut_off = CutOff {
        host: host("web-01"),
        generation: 7,
        run: "x".into(),
        who: "ann@desk".into(),
        at: "now".into(),
        during: None,
        done: 1,
        steps: 2,
    };
    case.cut_off = vec![cut_off.clone(), CutOff { host: host("web-02"), ..cut_off }];
    let notes = case.made().unwrap().notes;
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].starts_with("run 7 was cut off, and is not gone on with"), "{notes:?}");
    // Nothing is settled here that a plan of changes would need.
    assert_eq!(notes[1], "what else differs cannot be planned now: `foobar plan` says why");
}

#[test]
fn a_host_that_nothing_may_be_done_to_is_not_rebooted() {
    let case = Case::new(&["web-01"]);
    let site = testing::site(case.topology.clone());
    let desired = desired::compile(&site).unwrap();
    let hosts: Vec<HostName> = site.hosts().cloned().collect();
    let mut seen: BTreeMap<HostName, Observation> = hosts.iter().map(|h| (h.clone(), case.answers(h))).collect();
    seen.get_mut(&hosts[1]).unwrap().add(FACTS.name, "free\t12\t/var/lib");
    let of = |limit: &[usize]| {
        let limit = limit.iter().map(|n| hosts[*n].clone()).collect();
        let basis = Basis {
            site: &site.topology.site,
            hosts: &hosts,
            desired: &desired,
            seen: &seen,
            secrets: &Secrets::default(),
            now: 0,
            limit: &limit,
            removal: Removal::default(),
        };
        plan(&basis, &Ask { if_needed: false, within: Duration::from_secs(1) }, &[])
    };
    assert!(of(&[1]).unwrap_err()[0].what.contains("only 12 KiB are free"));
    assert!(of(&[2]).is_ok());
}

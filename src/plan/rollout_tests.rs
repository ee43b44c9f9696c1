//! Which hosts are taken out when, and what stays up meanwhile. The balancers are made up: how each host stands there is
//! said by the test.

use super::*;
use crate::resource::undo::Turn;
use crate::{
    base::{name::DomainName, script::Script},
    component::{
        Desired,
        spec::{Rollout, Share},
    },
    report::{
        diff::DiffStyle,
        plan::{View, text},
        style::Palette,
    },
};
use Standing::{Down, Held, Serving, Unknown};

#[derive(Clone, Debug)]
struct Made {
    balancer: HostName,
    members: Vec<HostName>,
    standings: Vec<Standing>,
}

fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

impl Pool for Made {
    fn balancer(&self) -> &HostName {
        &self.balancer
    }
    fn service(&self) -> ResourceId {
        ResourceId::new("service", "balancer")
    }
    fn members(&self) -> &[HostName] {
        &self.members
    }
    fn covers(&self, resource: &ResourceId) -> bool {
        ["service web", "service app", "release current"].contains(&resource.to_string().as_str())
    }
    fn standing(&self, member: &HostName, _: &BTreeMap<HostName, Observation>) -> Standing {
        self.members.iter().position(|m| m == member).map_or(Unknown, |at| self.standings[at])
    }
    fn drain(&self, member: &HostName) -> (ResourceId, Change) {
        let change = Change::new(Action::Update, format!("drain {member}"), Script::raw("drain"));
        (ResourceId::new("drain", member.as_str()), change)
    }
    fn put_back(&self, member: &HostName) -> (ResourceId, Change) {
        let change = Change::new(Action::Update, format!("put {member} back"), Script::raw("ready"));
        (ResourceId::new("traffic", member.as_str()), change)
    }
    fn check(&self, member: &HostName) -> (ResourceId, Change) {
        let change = Change::new(Action::Check, format!("check {member}"), Script::raw("check"));
        (ResourceId::new("check", member.as_str()), change)
    }
    fn watch(&self, member: &HostName, seconds: u64) -> (ResourceId, Change) {
        let change = Change::new(Action::Check, format!("watch {member} for {seconds} s"), Script::raw("watch"));
        (ResourceId::new("watch", member.as_str()), change)
    }
}

/// A plan under construction, and what it is judged with.
struct Case {
    pools: Vec<Made>,
    steps: Vec<Step>,
    rollout: Rollout,
    limit: Option<Vec<&'static str>>,
}

impl Case {
    /// Hosts `web-01`, `web-02`, … that stand so at `lb-01`.
    fn new(standings: &[Standing]) -> Self {
        Self { pools: vec![], steps: vec![], rollout: Rollout::default(), limit: None }.balancer("lb-01", standings)
    }

    fn balancer(mut self, name: &str, standings: &[Standing]) -> Self {
        let members = (1..=standings.len()).map(|n| host(&format!("web-{n:02}"))).collect();
        self.pools.push(Made { balancer: host(name), members, standings: standings.to_vec() });
        self
    }

    fn step(mut self, on: &str, id: (&'static str, &str), summary: &str, impact: Impact, after: &[usize]) -> Self {
        self.steps.push(Step {
            id: self.steps.len(),
            host: host(on),
            resource: ResourceId::new(id.0, id.1),
            change: Change::new(Action::Update, summary, Script::raw("x")).impact(impact),
            after: after.to_vec(),
        });
        self
    }

    /// What a new environment does to a host: files, then the restart, each after the one of the host before.
    fn restart(self, on: &str) -> Self {
        let files = self.steps.len();
        let before = self.steps.iter().rev().find(|s| s.resource.name == "app").map(|s| s.id);
        let case = self.step(on, ("files", "environment"), "write environment", Impact::None, &[]);
        let after: Vec<usize> = before.into_iter().chain([files]).collect();
        case.step(on, ("service", "app"), "restart app", Impact::Restart, &after)
    }

    fn batch(mut self, batch: Share, keep_serving: u8) -> Self {
        (self.rollout.batch, self.rollout.keep_serving) = (batch, keep_serving);
        self
    }

    fn plan(self) -> Result<Plan, Vec<Refusal>> {
        let site: DomainName = "www.example.com".parse().unwrap();
        let mut hosts: Vec<HostName> = self.pools.iter().map(|p| p.balancer.clone()).collect();
        hosts.extend(self.pools[0].members.clone());
        let limit = match &self.limit {
            Some(names) => names.iter().map(|n| host(n)).collect(),
            None => hosts.iter().cloned().collect(),
        };
        let mut desired = Desired { rollout: self.rollout, ..Desired::default() };
        for pool in self.pools {
            desired.pools.push(Box::new(pool));
        }
        let ground = Ground { desired: &desired, seen: &BTreeMap::new(), limit: &limit };
        let plan = Plan { site, hosts, steps: self.steps, left_out: vec![], groups: vec![] };
        let plan = rolled(plan, &ground)?;
        for (at, step) in plan.steps.iter().enumerate() {
            assert_eq!(step.id, at);
            assert!(step.after.iter().all(|before| *before < at), "{step:#?}");
        }
        Ok(plan)
    }

    /// `place host: summary < places it waits for`, a line each.
    fn order(self) -> String {
        let plan = self.plan().unwrap();
        let line = |s: &Step| {
            let drained = if s.change.is_drained { " (out)" } else { "" };
            let leaves = s.change.leaves.map_or(String::new(), |l| format!(" [{} of {}]", l.serving, l.of));
            format!("{:>2} {}: {}{drained}{leaves} < {:?}\n", s.id, s.host, s.change.summary, s.after)
        };
        plan.steps.iter().map(line).collect()
    }

    fn refusal(self) -> String {
        let all = self.plan().unwrap_err();
        assert_eq!(all.len(), 1);
        format!("{}\nhelp: {}", all[0], all[0].help)
    }
}

fn two() -> Case {
    Case::new(&[Serving, Serving]).restart("web-01").restart("web-02")
}

#[test]
fn one_after_the_other_is_taken_out_changed_and_put_back() {
    insta::assert_snapshot!(two().order());
}

#[test]
fn what_the_plan_says_of_it() {
    let case = two().step("lb-01", ("service", "balancer"), "reload balancer", Impact::Reload, &[1, 3]);
    let plan = case.plan().unwrap();
    assert_eq!((plan.impact(), plan.capacity()), (Impact::Reload, Some(Capacity { serving: 1, of: 2 })));
    insta::assert_snapshot!(text(&plan, &View { palette: Palette::new(false), diff: DiffStyle::Short, width: 100 }));
    let alone = Case::new(&[Serving]).restart("web-01").plan().unwrap();
    insta::assert_snapshot!(text(&alone, &View { palette: Palette::new(false), diff: DiffStyle::Short, width: 100 }));
}

#[test]
fn a_balancer_is_reloaded_when_all_are_back() {
    let case = two().step("lb-01", ("service", "balancer"), "reload balancer", Impact::Reload, &[]);
    let plan = case.plan().unwrap();
    let reload = plan.steps.iter().find(|s| s.change.summary == "reload balancer").unwrap();
    let back = plan.steps.iter().filter(|s| s.resource.kind == "traffic").map(|s| s.id);
    assert_eq!(reload.after, back.collect::<Vec<_>>());
    // Where nobody is taken out, nothing is changed about it.
    let case = Case::new(&[Serving, Serving]);
    let plan = case.step("lb-01", ("service", "balancer"), "reload balancer", Impact::Reload, &[]).plan().unwrap();
    assert_eq!((plan.steps.len(), plan.capacity()), (1, None));
}

#[test]
fn all_that_can_be_done_before_is_done_before() {
    let case = Case::new(&[Serving, Serving])
        .step("web-01", ("release", "releases"), "unpack", Impact::None, &[])
        .step("web-01", ("migration", "x"), "migrate", Impact::None, &[0])
        .step("web-01", ("release", "current"), "switch", Impact::None, &[1])
        .step("web-01", ("service", "app"), "restart app", Impact::Restart, &[2])
        .step("web-01", ("files", "web"), "write web", Impact::None, &[])
        .step("web-01", ("service", "web"), "reload web", Impact::Reload, &[4]);
    insta::assert_snapshot!(case.order());
}

#[test]
fn batches_are_as_large_as_they_may_be() {
    let four = |batch, keep| {
        let case = (1..=4).fold(Case::new(&[Serving; 4]), |c, n| c.restart(&format!("web-{n:02}")));
        let plan = case.batch(batch, keep).plan().unwrap();
        // The first batch are those whose drain waits for nobody to be put back.
        let waits = |s: &&Step| s.after.iter().any(|b| plan.steps[*b].resource.kind == "traffic");
        let open = plan.steps.iter().filter(|s| s.resource.kind == "drain").filter(|s| !waits(s)).count();
        (open, plan.capacity().unwrap().serving)
    };
    assert_eq!(four(Share::Hosts(1), 50), (1, 3));
    assert_eq!(four(Share::Hosts(2), 50), (2, 2));
    assert_eq!(four(Share::Percent(50), 50), (2, 2));
    assert_eq!(four(Share::Percent(10), 50), (1, 3));
    // The floor counts before the batch, and somebody always serves.
    assert_eq!(four(Share::Hosts(3), 50), (2, 2));
    assert_eq!(four(Share::Hosts(3), 60), (1, 3));
    assert_eq!(four(Share::Hosts(9), 0), (3, 1));
}

#[test]
fn a_later_batch_waits_for_the_whole_one_before() {
    let case = (1..=3).fold(Case::new(&[Serving; 3]), |c, n| c.restart(&format!("web-{n:02}")));
    insta::assert_snapshot!(case.batch(Share::Hosts(2), 30).order());
}

#[test]
fn every_balancer_takes_it_out_and_back() {
    let case = Case::new(&[Serving, Serving]).balancer("lb-02", &[Serving, Serving]);
    insta::assert_snapshot!(case.restart("web-01").restart("web-02").order());
}

#[test]
fn who_is_down_is_mended_first_and_without_a_drain() {
    // Against the order in which the app is restarted otherwise, which would be a circle.
    let case = Case::new(&[Serving, Down]).restart("web-01").restart("web-02");
    insta::assert_snapshot!(case.order());
}

#[test]
fn who_was_left_out_is_changed_and_put_back_first() {
    let case = Case::new(&[Serving, Held]).restart("web-01").restart("web-02");
    let case = case.step("lb-01", ("traffic", "web-02"), "put web-02 back", Impact::None, &[3]);
    insta::assert_snapshot!(case.order());
}

#[test]
fn where_nobody_is_taken_out_who_serves_is_proved_where_it_is() {
    let order = |case: Case| case.order();
    let first = order(Case::new(&[Unknown, Unknown]).restart("web-01").restart("web-02"));
    assert!(!first.contains("drain") && !first.contains("(out)") && first.contains("3 web-02: restart app < [1, 2]"));
    // A reload is no reason to take out the only one that serves, nor to refuse the change.
    let reload = Case::new(&[Serving, Down]).step("web-01", ("service", "web"), "reload", Impact::Reload, &[]);
    assert_eq!(reload.order(), " 0 web-01: reload < []\n 1 lb-01: check web-01 < [0]\n");
    // Nobody is sent to one that is out: there is nothing to feel.
    let held = Case::new(&[Serving, Held]).restart("web-02");
    let held = held.step("lb-01", ("traffic", "web-02"), "put web-02 back", Impact::None, &[1]).plan().unwrap();
    assert_eq!((held.steps.len(), held.impact()), (3, Impact::None));
    // What a drain does not cover is felt as ever.
    let other = Case::new(&[Serving, Serving]).step("web-01", ("service", "db"), "restart", Impact::WriteOutage, &[]);
    assert_eq!(other.order(), " 0 web-01: restart < []\n");
}

#[test]
fn a_host_alone_is_not_taken_out_and_the_plan_says_so() {
    let alone = Case::new(&[Serving]).restart("web-01");
    assert_eq!(
        alone.order(),
        " 0 web-01: write environment < []\n 1 web-01: restart app [0 of 1] < [0]\n 2 lb-01: check web-01 < [1]\n"
    );
    // The only one that serves, where the user said that none has to.
    let last = Case::new(&[Serving, Down]).restart("web-01").batch(Share::Hosts(1), 0).plan().unwrap();
    assert_eq!((last.impact(), last.capacity()), (Impact::Restart, Some(Capacity { serving: 0, of: 2 })));
}

#[test]
fn too_few_that_serve_are_refused() {
    insta::assert_snapshot!(Case::new(&[Serving, Down]).restart("web-01").refusal());
    insta::assert_snapshot!(two().batch(Share::Hosts(1), 51).refusal());
}

#[test]
fn a_new_host_is_nobodys_loss() {
    let case = Case::new(&[Serving, Serving, Unknown]).restart("web-01").restart("web-02");
    let order = case.step("web-03", ("service", "app"), "start app", Impact::None, &[3]).order();
    assert!(order.contains("web-03: start app") && order.contains("drain web-01 [1 of 2]"), "{order}");
    assert!(!order.contains("drain web-03") && !order.contains("put web-03"), "{order}");
}

#[test]
fn one_that_serves_at_one_of_two_balancers_is_taken_out_there() {
    let case = Case::new(&[Down, Serving]).balancer("lb-02", &[Serving, Serving]).restart("web-01").restart("web-02");
    insta::assert_snapshot!(case.order());
}

#[test]
fn a_balancer_outside_the_limit_takes_out_what_it_puts_back_and_nothing_else() {
    let mut case = two();
    case.limit = Some(vec!["web-01", "web-02"]);
    let plan = case.plan().unwrap();
    let at_balancer: Vec<&Step> = plan.steps.iter().filter(|s| s.host.as_str() == "lb-01").collect();
    assert_eq!(at_balancer.len(), 4);
    assert!(at_balancer.iter().all(|s| s.change.details.concat().contains("outside of --limit")));
    // One that somebody took out there stays out.
    let mut case = Case::new(&[Held, Serving, Serving, Serving]).restart("web-01").restart("web-02");
    case.limit = Some(vec!["web-01", "web-02"]);
    let order = case.order();
    assert!(!order.contains("put web-01 back") && order.contains("put web-02 back"), "{order}");
}

#[test]
fn a_circle_is_no_plan() {
    let case = two();
    let node = |step: Step, after: &[usize]| Node { rank: (step.id, 1), step, after: after.iter().copied().collect() };
    let mut steps = case.steps.into_iter();
    let nodes = vec![node(steps.next().unwrap(), &[1]), node(steps.next().unwrap(), &[0])];
    assert!(Graph { nodes }.ordered().is_none());
}

#[test]
fn what_leaves_the_topology_goes_after_the_balancer_has_forgotten_it() {
    let mut case = two().step("lb-01", ("service", "balancer"), "reload balancer", Impact::Reload, &[1, 3]);
    case = case.step("web-01", ("service", "web"), "stop web", Impact::Restart, &[4]);
    case.steps[5].change.action = Action::Delete;
    let order = case.order();
    assert!(order.ends_with(" 9 web-01: stop web < [8]\n"), "{order}");
}

/// Files of each host and their reload, which nobody feels.
fn reloads(hosts: &[&str]) -> Case {
    hosts.iter().fold(Case::new(&[Serving, Serving, Serving]), |case, on| {
        let files = case.steps.len();
        let mut case = case.step(on, ("files", "web"), "write configuration", Impact::None, &[]);
        let undo = |turn| Some(crate::resource::undo::Undo::new(turn, "undo", Script::new()));
        case.steps[files].change.undo = undo(Turn::Replace);
        let mut case = case.step(on, ("service", "web"), "reload web", Impact::Reload, &[files]);
        case.steps[files + 1].change.undo = undo(Turn::Resume);
        case
    })
}

#[test]
fn what_nobody_would_feel_goes_in_batches_too_and_its_files_with_it() {
    insta::assert_snapshot!(reloads(&["web-01", "web-02", "web-03"]).order());
    insta::assert_snapshot!(reloads(&["web-01", "web-02", "web-03"]).batch(Share::Hosts(2), 0).order());
}

#[test]
fn what_goes_back_together_is_what_one_proof_is_about() {
    let mut case = Case::new(&[Serving, Serving]).restart("web-01").restart("web-02");
    let undo = |turn| Some(crate::resource::undo::Undo::new(turn, "undo", Script::new()));
    for (at, turn) in [Turn::Replace, Turn::Resume, Turn::Replace, Turn::Resume].into_iter().enumerate() {
        case.steps[at].change.undo = undo(turn);
    }
    // A database on the first of them.
    case = case.step("web-01", ("files", "db"), "write db.cnf", Impact::None, &[]);
    case = case.step("web-01", ("service", "db"), "restart db", Impact::WriteOutage, &[4]);
    case.steps[4].change.undo = undo(Turn::Replace);
    case.steps[5].change.undo = undo(Turn::Resume);
    case.steps[1].after.push(5);
    // What both read goes back with neither.
    case = case.step("web-01", ("files", "ca"), "write ca.crt", Impact::None, &[]);
    case.steps[6].change.undo = undo(Turn::Replace);
    [1, 5].into_iter().for_each(|service| case.steps[service].after.push(6));
    let pools: Vec<Box<dyn Pool>> = case.pools.iter().map(|p| Box::new(p.clone()) as Box<dyn Pool>).collect();
    let plan = case.plan().unwrap();
    let groups = group::groups(&plan.steps, &pools);
    let name = |id: &StepId| format!("{} {}", plan.steps[*id].host, plan.steps[*id].change.summary);
    let names = |ids: &[StepId]| ids.iter().map(name).collect::<Vec<_>>().join(", ");
    let all: String =
        groups.iter().map(|g| format!("{} | {} | {}\n", names(&g.drains), names(&g.steps), names(&g.gates))).collect();
    insta::assert_snapshot!(all);
    // What is behind the restart of the database is the database's.
    let back = groups[0].way_back(&plan, |_| true);
    assert_eq!(names(&back), "web-01 write environment, web-01 restart app");
    assert_eq!(groups[0].way_back(&plan, |id| plan.steps[id].resource.kind == "files").len(), 1);
}

#[test]
fn one_goes_ahead_and_is_watched_where_that_is_asked_for() {
    let canary = |case: Case| {
        let case = case.batch(Share::Hosts(2), 0);
        Case { rollout: Rollout { canary: Some(crate::base::name::Span::seconds(30)), ..case.rollout }, ..case }
    };
    let three = Case::new(&[Serving, Serving, Serving]).restart("web-01").restart("web-02").restart("web-03");
    insta::assert_snapshot!(canary(three).order());
    let one = Case::new(&[Serving, Serving]).restart("web-02");
    assert!(!canary(one).order().contains("watch"), "there is nobody to be spared");
}

#[test]
fn a_service_that_runs_gets_its_files_when_its_turn_has_come() {
    let undo = |turn| Some(crate::resource::undo::Undo::new(turn, "undo", Script::new()));
    let mut case = reloads(&["web-01"]);
    case = case.step("lb-01", ("files", "balancer"), "write balancer.cfg", Impact::None, &[]);
    case = case.step("lb-01", ("service", "balancer"), "reload balancer", Impact::Reload, &[1, 2]);
    case.steps[2].change.undo = undo(Turn::Replace);
    case.steps[3].change.undo = undo(Turn::Resume);
    insta::assert_snapshot!(case.order());
}

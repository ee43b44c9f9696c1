//! The order in which hosts that share a load are changed: each is taken out at every balancer, changed, proved and put
//! back, so many at a time that enough serve at any moment. It knows steps, hosts and impacts, and nothing of what runs
//! there; how a host is taken out, the component says (`component/traffic.rs`).
//!
//! Balancers that `--limit` leaves out take hosts out all the same: no file there is changed, what is set at run time is
//! set back by the same plan, and without it requests would be lost.

use super::{Plan, Step, StepId, group};
use crate::{
    base::name::HostName,
    component::{
        Desired,
        traffic::{Pool, Standing},
    },
    resource::{Action, Capacity, Change, Impact, Observation, Refusal, ResourceId, undo::Turn},
};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// What a rollout is made from.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// What shall be, the pools and how hosts in them are changed.
    pub desired: &'a Desired,
    /// What is, for every host.
    pub seen: &'a BTreeMap<HostName, Observation>,
    /// Hosts that may be written to.
    pub limit: &'a BTreeSet<HostName>,
}

/// A host that shares the load, and how it stands at each balancer that knows it.
struct Member<'a> {
    host: &'a HostName,
    at: Vec<(&'a dyn Pool, Standing)>,
    /// The steps by which this plan puts it back anyway, as somebody had taken it out.
    mended: Vec<StepId>,
    /// Its steps that are not felt while it is out.
    covered: Vec<StepId>,
    /// What is put in place for those alone: it waits for their turn, so that a fault in it meets one batch.
    own: Vec<StepId>,
    /// Whether one of them would be felt.
    is_felt: bool,
}

impl Member<'_> {
    fn is_changed(&self) -> bool {
        !self.covered.is_empty()
    }

    fn serves(&self) -> bool {
        self.at.iter().all(|(_, standing)| *standing == Standing::Serving)
    }

    /// Whether it serves everywhere once the plan is done with it: one that is held out where nothing may be written stays out.
    fn will_serve(&self) -> bool {
        let held = self.at.iter().filter(|(_, standing)| *standing == Standing::Held).count();
        !(self.covered.is_empty() && self.mended.is_empty()) && held == self.mended.len()
    }
}

/// The plan with hosts taken out and put back around what users would feel, where others serve meanwhile; refused where
/// too few would.
pub fn rolled(mut plan: Plan, ground: &Ground<'_>) -> Result<Plan, Vec<Refusal>> {
    let members = members(&plan, *ground);
    let of = members.len();
    // Those that do not serve come first: there is nothing to lose, and the others have somebody to serve for them then.
    let (serving, out): (Vec<&Member<'_>>, Vec<&Member<'_>>) = members.iter().partition(|m| m.serves());
    let rolling: Vec<&Member<'_>> = serving.iter().copied().filter(|m| m.is_changed()).collect();
    let felt: Vec<&Member<'_>> = rolling.iter().copied().filter(|m| m.is_felt).collect();
    let mending: Vec<&Member<'_>> =
        out.iter().copied().filter(|m| !(m.mended.is_empty() && m.covered.is_empty())).collect();
    let is_partly_out = |m: &&Member<'_>| m.is_felt && m.at.iter().any(|(_, s)| *s == Standing::Serving);
    if rolling.is_empty() && !mending.iter().any(is_partly_out) {
        // Nobody is sent to a host that is out already.
        for member in mending {
            member.covered.iter().for_each(|id| plan.steps[*id].change.is_drained = true);
        }
        let mut graph = Graph::new(plan.steps, &[]);
        graph.files_late(&BTreeSet::new());
        plan.steps = graph.ordered().ok_or_else(|| circle(ground))?;
        return Ok(plan);
    }
    let will_serve = serving.len() + mending.iter().filter(|m| m.will_serve()).count();
    let floor = (of * usize::from(ground.desired.rollout.keep_serving)).div_ceil(100);
    // What nobody would feel meets no user either where others serve meanwhile, as it may not prove itself. Where they do not,
    // it is no reason to refuse the change.
    let taken_out = if felt.is_empty() { &rolling } else { &felt };
    let (batch, drains) = match room(will_serve, floor, of, taken_out, &out) {
        Room::Refused(_) if felt.is_empty() => (1, false),
        Room::Refused(refusal) => return Err(vec![refusal]),
        Room::Nobody => {
            for member in &felt {
                for id in &member.covered {
                    let change = &mut plan.steps[*id].change;
                    if change.impact >= Impact::Restart {
                        change.leaves = Some(Capacity { serving: 0, of });
                    }
                }
            }
            (1, false)
        }
        Room::For(most) => (ground.desired.rollout.batch.of(of).min(most), true),
    };
    let mut graph = Graph::new(plan.steps, &members);
    let mut before = BTreeSet::new();
    let leaves = Capacity { serving: serving.len(), of };
    // Who still serves at one of several balancers is taken out there, one at a time.
    let (partly, wholly): (Vec<&Member<'_>>, Vec<&Member<'_>>) = mending.iter().copied().partition(is_partly_out);
    for some in std::iter::once(&wholly[..]).filter(|w| !w.is_empty()).chain(partly.chunks(1)) {
        before = graph.bracket(some, leaves, &before, ground, true);
    }
    // One goes ahead where there are others that may be spared its fate.
    let canary = ground.desired.rollout.canary.filter(|_| rolling.len() > 1);
    let (ahead, behind) = rolling.split_at(usize::from(canary.is_some()));
    for some in ahead.chunks(1).chain(behind.chunks(batch)) {
        let leaves = Capacity { serving: will_serve.saturating_sub(some.len()), of };
        before = graph.bracket(some, leaves, &before, ground, drains);
        if let (Some(span), true) = (canary, some[0].host == rolling[0].host) {
            before = graph.watched(some[0], span.duration().as_secs(), &before);
        }
    }
    graph.balancers_last(ground);
    // Those of a host that is taken out have their place already.
    graph.files_late(&members.iter().flat_map(|m| m.covered.iter().copied()).collect());
    plan.steps = graph.ordered().ok_or_else(|| circle(ground))?;
    Ok(plan)
}

fn circle(ground: &Ground<'_>) -> Vec<Refusal> {
    let what = "the steps of this plan wait for each other in a circle".to_owned();
    let refusal = |host: &HostName| Refusal {
        host: host.clone(),
        what: what.clone(),
        help: "this is a fault in foobar; please report it".into(),
    };
    ground.seen.keys().take(1).map(refusal).collect()
}

/// Every host that some balancer knows.
fn members<'a>(plan: &Plan, ground: Ground<'a>) -> Vec<Member<'a>> {
    let mut members: Vec<Member<'a>> = Vec::new();
    for pool in &ground.desired.pools {
        for host in pool.members() {
            let standing = pool.standing(host, ground.seen);
            if standing == Standing::Unknown {
                continue;
            }
            let at = (pool.as_ref(), standing);
            match members.iter_mut().find(|m| m.host == host) {
                Some(member) => member.at.push(at),
                None => members.push(Member {
                    host,
                    at: vec![at],
                    covered: vec![],
                    own: vec![],
                    mended: vec![],
                    is_felt: false,
                }),
            }
        }
    }
    for member in &mut members {
        // What leaves the topology goes when no balancer asks for it any more.
        let covers = |step: &&Step| {
            let is_covered = member.at.iter().any(|(p, _)| p.covers(&step.resource));
            step.host == *member.host && step.change.action != Action::Delete && is_covered
        };
        member.covered = plan.steps.iter().filter(covers).map(|s| s.id).collect();
        member.own = group::own(&plan.steps, &member.covered.iter().copied().collect());
        member.is_felt = member.covered.iter().any(|id| plan.steps[*id].change.impact >= Impact::Restart);
        let mends = |(pool, _): &(&dyn Pool, Standing)| {
            let id = pool.put_back(member.host).0;
            plan.steps.iter().find(|s| s.host == *pool.balancer() && s.resource == id).map(|s| s.id)
        };
        member.mended = member.at.iter().filter_map(mends).collect();
    }
    members
}

/// How many hosts may be out at a time.
enum Room {
    For(usize),
    /// The only one that serves is the one to change: taking it out would only make it longer.
    Nobody,
    Refused(Refusal),
}

fn room(will_serve: usize, floor: usize, of: usize, felt: &[&Member<'_>], out: &[&Member<'_>]) -> Room {
    let Some(first) = felt.first() else { return Room::For(usize::MAX) };
    if of == 1 || (will_serve == 1 && floor == 0) {
        return Room::Nobody;
    }
    // One stays, whatever was asked for.
    match will_serve.saturating_sub(floor).min(will_serve - 1) {
        0 => {
            let left = will_serve - 1;
            let away: Vec<&str> = out.iter().filter(|m| !m.will_serve()).map(|m| m.host.as_str()).collect();
            let (why, first_help) = match &away[..] {
                [] => (String::new(), String::new()),
                names => (
                    format!(", since {} {} out already", names.join(", "), if names.len() == 1 { "is" } else { "are" }),
                    format!("bring {} back first, or ", names.join(", ")),
                ),
            };
            Room::Refused(Refusal {
                host: first.host.clone(),
                what: format!(
                    "while it is changed, {left} of {of} backends would serve{why}; {floor} {} to",
                    if floor == 1 { "has" } else { "have" }
                ),
                help: format!("{first_help}lower `keep_serving` under `rollout` for this change"),
            })
        }
        most => Room::For(most),
    }
}

/// Steps with edges that are not settled yet. A step's place in the result follows from its edges, and where they leave a
/// choice from its rank.
struct Graph {
    nodes: Vec<Node>,
}

struct Node {
    step: Step,
    after: BTreeSet<usize>,
    rank: (usize, u8),
}

impl Graph {
    /// The steps as they are, but that none of those that a drain covers waits for one of another host: the batches say
    /// which comes first.
    fn new(steps: Vec<Step>, members: &[Member<'_>]) -> Self {
        let mut covered_on: BTreeMap<StepId, &HostName> = BTreeMap::new();
        for member in members {
            covered_on.extend(member.covered.iter().map(|id| (*id, member.host)));
        }
        let node = |step: Step| {
            let mine = covered_on.get(&step.id);
            let is_rolling = |before: &StepId| matches!((mine, covered_on.get(before)), (Some(a), Some(b)) if a != b);
            let after = step.after.iter().copied().filter(|b| !is_rolling(b)).collect();
            Node { rank: (step.id, 1), after, step }
        };
        Self { nodes: steps.into_iter().map(node).collect() }
    }

    fn push(&mut self, host: &HostName, resource: ResourceId, change: Change, rank: (usize, u8)) -> usize {
        let id = self.nodes.len();
        let step = Step { id, host: host.clone(), resource, change, after: Vec::new() };
        self.nodes.push(Node { step, after: BTreeSet::new(), rank });
        id
    }

    /// Takes these out together after `before`, and puts them back; answers what puts them back. One that is not taken out,
    /// as nobody else serves, is proved where it is.
    fn bracket(
        &mut self,
        members: &[&Member<'_>],
        leaves: Capacity,
        before: &BTreeSet<usize>,
        ground: &Ground<'_>,
        drains_them: bool,
    ) -> BTreeSet<usize> {
        let mut put_back = BTreeSet::new();
        let all: BTreeSet<StepId> = members.iter().flat_map(|m| m.covered.iter().copied()).collect();
        // Whoever is out waits for nothing: what its change comes after is done before it is taken out.
        let outside: BTreeSet<usize> = all.iter().flat_map(|id| self.nodes[*id].after.iter().copied()).collect();
        let outside: BTreeSet<usize> = outside.difference(&all).copied().chain(before.iter().copied()).collect();
        for member in members {
            let goes = drains_them && member.is_changed();
            let is_out = goes || member.at.iter().all(|(_, s)| *s != Standing::Serving);
            for id in &member.own {
                self.nodes[*id].after.extend(before);
            }
            let first = member.covered.first().copied();
            let last = member.covered.last().copied();
            let mut drains = BTreeSet::new();
            for (pool, standing) in &member.at {
                if *standing == Standing::Serving && goes {
                    let (id, change) = pool.drain(member.host);
                    let mut change = note(change, *pool, ground);
                    change.leaves = Some(leaves);
                    let drain = self.push(pool.balancer(), id, change, (first.unwrap_or(0), 0));
                    self.nodes[drain].after.clone_from(&outside);
                    drains.insert(drain);
                }
            }
            for id in &member.covered {
                self.nodes[*id].after.extend(&drains);
                self.nodes[*id].step.change.is_drained = is_out;
            }
            for (pool, standing) in &member.at {
                let stays = *standing == Standing::Serving && !goes;
                let (id, change) = if stays { pool.check(member.host) } else { pool.put_back(member.host) };
                let known = self.nodes.iter().position(|n| n.step.host == *pool.balancer() && n.step.resource == id);
                if known.is_none() && *standing == Standing::Held {
                    // Somebody took it out where this plan has no business.
                    continue;
                }
                let at = known.unwrap_or_else(|| {
                    let change = match standing {
                        Standing::Down => change.detail("it is down now; the next one waits until it serves"),
                        _ => change,
                    };
                    self.push(pool.balancer(), id, note(change, *pool, ground), (last.unwrap_or(0), 2))
                });
                self.nodes[at].after.extend(drains.iter().chain(&member.covered));
                self.nodes[at].step.change.is_closing = true;
                put_back.insert(at);
            }
        }
        put_back
    }

    /// Has a host that is back in service watched; answers what watches it.
    fn watched(&mut self, member: &Member<'_>, seconds: u64, before: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut watches = BTreeSet::new();
        for (pool, _) in &member.at {
            let (id, change) = pool.watch(member.host, seconds);
            let at = self.push(pool.balancer(), id, change, (member.covered.last().copied().unwrap_or(0), 3));
            self.nodes[at].after.clone_from(before);
            watches.insert(at);
        }
        watches
    }

    /// A balancer that is reloaded or restarted meets no host that is out.
    fn balancers_last(&mut self, ground: &Ground<'_>) {
        let pools = &ground.desired.pools;
        let is_of =
            |n: &Node, id: &ResourceId, pool: &dyn Pool| n.step.host == *pool.balancer() && n.step.resource == *id;
        let ids: Vec<(&dyn Pool, ResourceId)> = pools
            .iter()
            .flat_map(|p| p.members().iter().map(|m| (p.as_ref(), m)))
            .flat_map(|(p, m)| [p.put_back(m).0, p.check(m).0, p.watch(m, 0).0].map(|id| (p, id)))
            .collect();
        let back: BTreeSet<usize> = (0..self.nodes.len())
            .filter(|at| ids.iter().any(|(pool, id)| is_of(&self.nodes[*at], id, *pool)))
            .collect();
        for node in &mut self.nodes {
            if pools.iter().any(|p| is_of(node, &p.service(), p.as_ref())) {
                node.after.extend(&back);
            }
        }
    }

    /// What a service that runs is given waits for all that the service itself waits for: where something before it fails,
    /// its files are still those that it runs with.
    fn files_late(&mut self, settled: &BTreeSet<StepId>) {
        let steps: Vec<Step> =
            self.nodes.iter().map(|n| Step { after: n.after.iter().copied().collect(), ..n.step.clone() }).collect();
        let resumes = |s: &&Step| s.change.undo.as_ref().is_some_and(|u| u.turn == Turn::Resume);
        for step in steps.iter().filter(resumes).filter(|s| !settled.contains(&s.id)) {
            let own = group::own(&steps, &[step.id].into());
            let others: BTreeSet<usize> = step.after.iter().copied().filter(|b| !own.contains(b)).collect();
            for id in own {
                self.nodes[id].after.extend(&others);
            }
        }
    }

    /// The steps in an order that respects every edge, numbered anew; none where there is a circle.
    fn ordered(self) -> Option<Vec<Step>> {
        let mut waits: Vec<usize> = self.nodes.iter().map(|n| n.after.len()).collect();
        let mut then: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            node.after.iter().for_each(|before| then[*before].push(at));
        }
        use std::cmp::Reverse;
        let rank = |at: usize| Reverse((self.nodes[at].rank, at));
        let mut ready: BinaryHeap<_> = (0..waits.len()).filter(|at| waits[*at] == 0).map(rank).collect();
        let mut place: BTreeMap<usize, StepId> = BTreeMap::new();
        while let Some(Reverse((_, at))) = ready.pop() {
            place.insert(at, place.len());
            for next in &then[at] {
                waits[*next] -= 1;
                if waits[*next] == 0 {
                    ready.push(rank(*next));
                }
            }
        }
        if place.len() < self.nodes.len() {
            return None;
        }
        let mut steps: Vec<Step> = Vec::with_capacity(self.nodes.len());
        for (at, node) in self.nodes.into_iter().enumerate() {
            let mut after: Vec<StepId> = node.after.iter().filter_map(|b| place.get(b).copied()).collect();
            after.sort_unstable();
            steps.push(Step { id: place[&at], after, ..node.step });
        }
        steps.sort_by_key(|s| s.id);
        Some(steps)
    }
}

/// Says so where the balancer is one that this plan writes nothing to.
fn note(change: Change, pool: &dyn Pool, ground: &Ground<'_>) -> Change {
    debug_assert!(matches!(change.action, Action::Update | Action::Check), "a balancer is changed at run time alone");
    if ground.limit.contains(pool.balancer()) || change.action == Action::Check {
        return change;
    }
    change.detail("outside of --limit: set at run time alone, and set back by this plan")
}

#[cfg(test)]
#[path = "rollout_tests.rs"]
mod tests;

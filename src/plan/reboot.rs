//! The plan of a reboot: which hosts go down when, what users feel of it, and what must be done and seen on each before the
//! next one goes. What a server loses by it at run time is given back by the very change that an apply would make; what
//! else differs from the topology is left as it is.
//!
//! Hosts that share a load go out and come back as with any other change (`rollout.rs`). A host of which something is
//! missed all the same, a database or a balancer, goes alone: what is felt least comes first (replicas before their
//! primary), and balancers come last. Only who serves nobody now comes before all, as in every rollout.

use super::{
    Plan, Step, StepId,
    diff::{self, Basis},
    journal::CutOff,
    rollout::{self, Ground},
};
use crate::{
    base::name::HostName,
    component::{
        Desired,
        spec::Share,
        traffic::{Pool, Standing},
    },
    resource::{
        Action, Capacity, Change, Impact, Key, Observation, Refusal, ResourceId,
        reboot::{self, AtBoot, Proof},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Only hosts that want a reboot themselves.
    pub if_needed: bool,
    /// How long each has to come back.
    pub within: Duration,
}

/// A plan of reboots, and what is worth saying beside it.
#[derive(Debug)]
pub struct Rebooting {
    /// The plan.
    pub plan: Plan,
    /// A line each.
    pub notes: Vec<String>,
}

/// A host that is to be rebooted.
struct Goer<'a> {
    host: &'a HostName,
    /// What is missed of it, each with whether a balancer's drain covers it.
    missed: Vec<(ResourceId, AtBoot, bool)>,
    /// How it stands at the balancers that know it.
    standings: Vec<Standing>,
    /// How many balancers there are, where it is one.
    balancers: Option<usize>,
    /// How many serve behind it, where it is the only balancer.
    behind: Option<usize>,
}

/// Makes the plan, or says all that stands in its way.
pub fn plan(basis: &Basis<'_>, ask: &Ask, cut_off: &[CutOff]) -> Result<Rebooting, Vec<Refusal>> {
    let empty = Observation::default();
    let here = |host: &HostName| basis.seen.get(host).unwrap_or(&empty);
    let mut notes = pending(basis, cut_off);
    let limited = basis.hosts.iter().filter(|h| basis.limit.contains(*h));
    let (hosts, spared): (Vec<&HostName>, Vec<&HostName>) =
        limited.partition(|h| !ask.if_needed || !reboot::reasons(here(h)).is_empty());
    if !spared.is_empty() {
        let names: Vec<&str> = spared.iter().map(|h| h.as_str()).collect();
        notes.push(format!("no reboot is needed on {}", names.join(", ")));
    }
    let unfit: Vec<Refusal> = hosts.iter().filter_map(|h| diff::unfit(h, here(h))).collect();
    if !unfit.is_empty() {
        return Err(unfit);
    }
    let mut goers: Vec<Goer<'_>> = hosts.iter().map(|host| Goer::new(host, basis)).collect();
    goers.sort_by_key(|g| (g.out(), g.balancers.is_some(), g.alone()));

    let (mut steps, mut refusals, mut before) = (Vec::new(), Vec::new(), Vec::new());
    for goer in &goers {
        let from = steps.len();
        match goer.steps(basis, ask, from, before) {
            Ok(more) => steps.extend(more),
            Err(refusal) => refusals.push(refusal),
        }
        before = (from..steps.len()).collect();
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let mut around = Desired { rollout: basis.desired.rollout, ..Desired::default() };
    if goers.iter().any(|g| g.alone() > Impact::None) {
        around.rollout.batch = Share::Hosts(1);
    }
    for pool in &basis.desired.pools {
        around.pools.push(Box::new(Whole::of(pool.as_ref(), basis)));
    }
    let plan =
        Plan { site: basis.site.clone(), hosts: basis.hosts.to_vec(), steps, left_out: Vec::new(), groups: Vec::new() };
    let plan = rollout::rolled(plan, &Ground { desired: &around, seen: basis.seen, limit: basis.limit })?;
    Ok(Rebooting { plan: apart(plan, &goers), notes })
}

/// What a plan of changes would find, and this one leaves as it is.
fn pending(basis: &Basis<'_>, cut_off: &[CutOff]) -> Vec<String> {
    let runs: BTreeSet<u64> = cut_off.iter().map(|c| c.generation).collect();
    let cut =
        |n: u64| format!("run {n} was cut off, and is not gone on with: `foobar history {n}` says how far it came");
    let mut notes: Vec<String> = runs.into_iter().map(cut).collect();
    match diff::diff(basis).map(|plan| plan.steps.len()) {
        Ok(0) => {}
        Ok(1) => notes.push("1 change is pending and left as it is: `foobar plan` shows it".into()),
        Ok(n) => notes.push(format!("{n} changes are pending and left as they are: `foobar plan` shows them")),
        Err(_) => notes.push("what else differs cannot be planned now: `foobar plan` says why".into()),
    }
    notes
}

impl<'a> Goer<'a> {
    fn new(host: &'a HostName, basis: &Basis<'_>) -> Self {
        let (empty, none) = (Observation::default(), BTreeMap::new());
        let pools = &basis.desired.pools;
        let seen = basis.told(host, &empty, &none);
        let missed = basis.desired.wanted.iter().filter(|w| w.host == *host).filter_map(|w| {
            let id = w.resource.id();
            let is_covered = pools.iter().any(|p| p.members().contains(host) && p.covers(&id));
            Some((id, w.resource.at_boot(&seen)?, is_covered))
        });
        let mine = pools.iter().filter(|p| p.members().contains(host));
        Self {
            host,
            missed: missed.collect(),
            standings: mine.map(|p| p.standing(host, basis.seen)).filter(|s| *s != Standing::Unknown).collect(),
            balancers: pools.iter().any(|p| p.balancer() == host).then_some(pools.len()),
            behind: match &pools[..] {
                [only] if only.balancer() == host => Some(only.members().len()),
                _ => None,
            },
        }
    }

    /// Its place among those that a rollout takes before all others, since they are out already.
    fn out(&self) -> u8 {
        let serving = self.standings.iter().filter(|s| **s == Standing::Serving).count();
        match serving {
            n if n == self.standings.len() => 2,
            0 => 0,
            _ => 1,
        }
    }

    fn missed(&self, covered: bool) -> impl Iterator<Item = &AtBoot> {
        self.missed.iter().filter(move |(_, _, is_covered)| *is_covered == covered).map(|(_, at_boot, _)| at_boot)
    }

    /// What is felt of it although others serve in its place. Without its only balancer a site takes no write either.
    fn alone(&self) -> Impact {
        let missed = self.missed(false).map(|b| b.impact).max().unwrap_or_default();
        if self.behind.is_some() { Impact::WriteOutage } else { missed }
    }

    fn units(&self, covered: bool) -> Vec<String> {
        let unit = |b: &AtBoot| if let Some(Proof::Unit(unit)) = &b.proof { Some(unit.clone()) } else { None };
        self.missed(covered).filter_map(unit).collect()
    }

    /// What is felt, in words, where it is.
    fn words(&self) -> Option<&'static str> {
        match (self.alone(), self.balancers) {
            _ if self.behind.is_some() => Some("it is the only balancer: the site is away until it is back"),
            (Impact::WriteOutage, _) => Some("nothing can be written until it is back and open for writes again"),
            (_, Some(_)) => Some("who is connected through it is cut off, and connects to another balancer"),
            (Impact::ConnectionDrop, None) => Some("who is connected to it is cut off"),
            _ => None,
        }
    }

    /// All that is done for it, `from` this place on in the plan: the reboot, after `before`; that what nobody covers for runs
    /// again; what is given back; that the rest runs again.
    fn steps(&self, basis: &Basis<'_>, ask: &Ask, from: StepId, before: Vec<StepId>) -> Result<Vec<Step>, Refusal> {
        let empty = Observation::default();
        let shared = if self.standings.is_empty() { Impact::None } else { Impact::Restart };
        let felt = self.missed(true).map(|b| b.impact).max().unwrap_or_default().max(shared).max(self.alone());
        let mut change = Change::new(Action::Update, format!("reboot {}", self.host), reboot::begin()).impact(felt);
        change.details = reboot::reasons(basis.seen.get(self.host).unwrap_or(&empty));
        change.details.extend(self.words().map(str::to_owned));
        change.reboot = Some(ask.within);
        change.leaves = self.behind.map(|of| Capacity { serving: 0, of });
        let mut steps: Vec<Step> = Vec::new();
        let mut push = |id: ResourceId, change: Change, after: Vec<StepId>| {
            let at = from + steps.len();
            steps.push(Step { id: at, host: self.host.clone(), resource: id, change, after });
            at
        };
        let down = push(of(self.host, "host"), change, before);
        let mut last = down;
        let runs = |units: &[String]| {
            let short: Vec<&str> = units.iter().map(|u| u.strip_suffix(".service").unwrap_or(u)).collect();
            let verb = if short.len() == 1 { "runs" } else { "run" };
            let summary = format!("see that {} {verb} again", short.join(", "));
            Change::new(Action::Check, summary, reboot::active(units))
        };
        let units = self.units(false);
        if !units.is_empty() {
            last = push(of(self.host, "proof"), runs(&units), vec![last]);
        }
        for (id, at_boot, _) in &self.missed {
            if let Some(Proof::Step { summary, script }) = &at_boot.proof {
                last = push(id.clone(), Change::new(Action::Check, summary.clone(), script.clone()), vec![last]);
            }
        }
        for (id, change) in self.lost(basis)? {
            last = push(id, change, vec![last]);
        }
        let units = self.units(true);
        if !units.is_empty() {
            push(of(self.host, "shared"), runs(&units), vec![down]);
        }
        Ok(steps)
    }

    /// What is as it shall be, and will not be any more after a reboot, each with the change that mends it.
    fn lost(&self, basis: &Basis<'_>) -> Result<Vec<(ResourceId, Change)>, Refusal> {
        let (empty, none) = (Observation::default(), BTreeMap::new());
        let gone: BTreeMap<Key, Impact> =
            self.missed.iter().map(|(id, ..)| (Key::new(self.host, id.clone()), Impact::WriteOutage)).collect();
        let mut lost = Vec::new();
        for wanted in basis.desired.wanted.iter().filter(|w| w.host == *self.host) {
            // What differs already, or cannot be told, is another plan's business.
            if matches!(wanted.resource.diff(&basis.told(self.host, &empty, &none)), Ok(None))
                && let Some(change) = wanted.resource.diff(&basis.told(self.host, &empty, &gone))?
            {
                let change = Change { undo: None, ..change.detail("a reboot takes it back") };
                lost.push((wanted.resource.id(), change));
            }
        }
        Ok(lost)
    }
}

const KIND: &str = "reboot";

fn of(host: &HostName, what: &str) -> ResourceId {
    ResourceId::new(KIND, format!("{host}/{what}"))
}

/// What is missed of a host is felt, whoever serves in its place; it goes when everybody before it is back.
fn apart(mut plan: Plan, goers: &[Goer<'_>]) -> Plan {
    for goer in goers {
        let Some(at) = plan.steps.iter().position(|s| s.resource == of(goer.host, "host")) else { continue };
        let is_out = plan.steps[at].change.is_drained;
        if is_out && goer.alone() == Impact::None {
            continue;
        }
        let back: Vec<StepId> = plan.steps[..at].iter().filter(|s| s.change.is_closing).map(|s| s.id).collect();
        let step = &mut plan.steps[at];
        if !is_out && goer.behind.is_none() && step.change.leaves.is_some_and(|l| l.serving == 0) {
            step.change.impact = Impact::WriteOutage;
            step.change.details.push("nobody else serves: the site is away until it is back".into());
        }
        step.after.extend(back);
        step.after.sort_unstable();
        step.after.dedup();
        if goer.alone() > Impact::None {
            step.change.is_drained = false;
            if is_out {
                step.change.impact = goer.alone();
            }
        }
    }
    plan
}

/// A pool whose members are out for as long as their reboot takes.
#[derive(Debug)]
struct Whole {
    balancer: HostName,
    members: Vec<HostName>,
    each: BTreeMap<HostName, Member>,
}

#[derive(Clone, Debug)]
struct Member {
    standing: Standing,
    drain: (ResourceId, Change),
    put_back: (ResourceId, Change),
    check: (ResourceId, Change),
    watch: (ResourceId, Change),
}

impl Whole {
    fn of(pool: &dyn Pool, basis: &Basis<'_>) -> Self {
        let watched = basis.desired.rollout.canary.map_or(0, |span| span.duration().as_secs());
        let members = pool.members().to_vec();
        let each = members.iter().map(|m| {
            let standing = pool.standing(m, basis.seen);
            (
                m.clone(),
                Member {
                    standing,
                    drain: pool.drain(m),
                    put_back: pool.put_back(m),
                    check: pool.check(m),
                    watch: pool.watch(m, watched),
                },
            )
        });
        Self { balancer: pool.balancer().clone(), each: each.collect(), members }
    }
}

impl Pool for Whole {
    fn balancer(&self) -> &HostName {
        &self.balancer
    }

    /// None that a plan of reboots holds: balancers have their place in its order.
    fn service(&self) -> ResourceId {
        ResourceId::new(KIND, "balancer")
    }

    fn members(&self) -> &[HostName] {
        &self.members
    }

    fn covers(&self, resource: &ResourceId) -> bool {
        resource.kind == KIND && !resource.name.ends_with("/proof")
    }

    fn standing(&self, member: &HostName, _: &BTreeMap<HostName, Observation>) -> Standing {
        self.each.get(member).map_or(Standing::Unknown, |m| m.standing)
    }

    fn drain(&self, member: &HostName) -> (ResourceId, Change) {
        self.each[member].drain.clone()
    }

    fn put_back(&self, member: &HostName) -> (ResourceId, Change) {
        self.each[member].put_back.clone()
    }

    fn check(&self, member: &HostName) -> (ResourceId, Change) {
        self.each[member].check.clone()
    }

    /// For as long as the rollout says, whoever asks.
    fn watch(&self, member: &HostName, _: u64) -> (ResourceId, Change) {
        self.each[member].watch.clone()
    }
}

#[cfg(test)]
#[path = "reboot_tests.rs"]
mod tests;

//! What is changed together on a host and goes back together: the services that one proof is about, what was put in place
//! for them alone, and the steps that are the proof. When a group goes back, is the engine's business; how, each step says.

use super::{Plan, Step, StepId};
use crate::{
    base::name::HostName,
    component::traffic::Pool,
    resource::{Action, undo::Turn},
};
use std::collections::BTreeSet;

/// Steps of one host that stand or fall together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Steps on the host that have a way back, in the plan's order.
    pub steps: Vec<StepId>,
    /// Steps on balancers that take the host out of service before.
    pub drains: Vec<StepId>,
    /// Steps on balancers that prove it afterwards: where one fails, the group goes back. Without any, each service's own
    /// proof is the one that counts.
    pub gates: Vec<StepId>,
    /// Steps on balancers that watch it for a while in service: where one fails, the group goes back as well, and is not
    /// watched again.
    pub watches: Vec<StepId>,
}

impl Group {
    /// Whether its own steps, or those that prove it, have this one among them.
    pub fn holds(&self, step: StepId) -> bool {
        [&self.steps, &self.gates, &self.watches].into_iter().any(|all| all.contains(&step))
    }

    /// The host that it is on.
    pub fn host<'a>(&self, plan: &'a Plan) -> Option<&'a HostName> {
        self.steps.first().map(|id| &plan.steps[*id].host)
    }

    /// Those of its steps that `is_begun` says were begun, in the order in which they go back; none where nothing ran before
    /// that would be better off.
    pub fn way_back(&self, plan: &Plan, is_begun: impl Fn(StepId) -> bool) -> Vec<StepId> {
        let turn = |id: &StepId| plan.steps[*id].change.undo.as_ref().map(|u| u.turn);
        if !self.steps.iter().any(|id| turn(id) == Some(Turn::Resume)) {
            return Vec::new();
        }
        let of = |wanted: Turn| self.steps.iter().copied().filter(move |id| turn(id) == Some(wanted));
        let replaced: Vec<StepId> = of(Turn::Replace).collect();
        let all = of(Turn::Stop).chain(replaced.into_iter().rev()).chain(of(Turn::Resume));
        // What reads a file may have died of it before its own step came, so it goes on with what came back in any case.
        all.filter(|id| is_begun(*id)).collect()
    }
}

fn is_service(step: &Step) -> bool {
    step.change.undo.as_ref().is_some_and(|u| u.turn != Turn::Replace)
}

/// What was put in place for these services of a host: steps before them with a way back, up to what another service of
/// the host goes on with.
pub fn grounds(steps: &[Step], services: &BTreeSet<StepId>) -> BTreeSet<StepId> {
    let Some(host) = services.first().map(|id| &steps[*id].host) else { return BTreeSet::new() };
    let mut found = BTreeSet::new();
    let mut open: Vec<StepId> = services.iter().copied().collect();
    let mut seen: BTreeSet<StepId> = services.clone();
    while let Some(id) = open.pop() {
        for before in &steps[id].after {
            let step = &steps[*before];
            // Nothing that stands behind another service is looked for: it is of that one's group.
            if step.host != *host || is_service(step) || !seen.insert(*before) {
                continue;
            }
            if step.change.undo.is_some() && step.change.action != Action::Delete {
                found.insert(*before);
            }
            open.push(*before);
        }
    }
    let shared = |id: &StepId| steps.iter().any(|s| is_service(s) && s.after.contains(id) && !services.contains(&s.id));
    found.retain(|id| !shared(id));
    found
}

/// Those of the [`grounds`] that nothing else in the plan waits for, so that they may wait for their services' turn.
pub fn own(steps: &[Step], services: &BTreeSet<StepId>) -> Vec<StepId> {
    let mut own = grounds(steps, services);
    loop {
        let used = |id: &StepId| {
            steps.iter().any(|s| s.after.contains(id) && !services.contains(&s.id) && !own.contains(&s.id))
        };
        let Some(id) = own.iter().copied().find(used) else { return own.into_iter().collect() };
        own.remove(&id);
    }
}

/// The groups of a plan whose steps are in their last order.
pub fn groups(steps: &[Step], pools: &[Box<dyn Pool>]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut taken: BTreeSet<StepId> = BTreeSet::new();
    let at = |host: &HostName, resource| steps.iter().find(|s| s.host == *host && s.resource == resource).map(|s| s.id);
    let members: BTreeSet<&HostName> = pools.iter().flat_map(|p| p.members()).collect();
    for member in members {
        let pools: Vec<&dyn Pool> = pools.iter().map(|p| p.as_ref()).filter(|p| p.members().contains(member)).collect();
        let covered = |s: &&Step| s.host == *member && pools.iter().any(|p| p.covers(&s.resource));
        let services: BTreeSet<StepId> =
            steps.iter().filter(covered).filter(|s| s.change.undo.is_some()).map(|s| s.id).collect();
        let gates: Vec<StepId> = pools
            .iter()
            .flat_map(|p| [p.put_back(member).0, p.check(member).0].map(|id| at(p.balancer(), id)))
            .flatten()
            .collect();
        if services.is_empty() || gates.is_empty() {
            continue;
        }
        taken.extend(&services);
        groups.push(Group {
            steps: grounds(steps, &services).into_iter().chain(services).collect::<BTreeSet<_>>().into_iter().collect(),
            drains: pools.iter().filter_map(|p| at(p.balancer(), p.drain(member).0)).collect(),
            gates,
            watches: pools.iter().filter_map(|p| at(p.balancer(), p.watch(member, 0).0)).collect(),
        });
    }
    for step in steps.iter().filter(|s| is_service(s) && !taken.contains(&s.id)) {
        let mut all = grounds(steps, &[step.id].into());
        all.insert(step.id);
        groups.push(Group { steps: all.into_iter().collect(), ..Group::default() });
    }
    groups
}

//! From what shall be and what is to what is to do: the desired state, the probe and its reply, settled secrets, the
//! difference, what is taken away, what is rebooted, and the order of it, which takes hosts out of service and back. Pure;
//! no step is run here.

pub mod apart;
pub mod clock;
pub mod desired;
pub mod diff;
pub mod explain;
pub mod failover;
pub mod group;
pub mod history;
pub mod journal;
pub mod lease;
pub mod observe;
pub mod reboot;
pub mod remove;
pub mod rendered;
pub mod reseed;
pub mod roles;
pub mod rollout;
pub mod saved;
pub mod seal;
pub mod settle;
pub mod switchover;

use crate::{
    base::name::{DomainName, HostName},
    resource::{Capacity, Change, Impact, ResourceId},
};
use serde::{Deserialize, Serialize};

/// A step's place in its plan.
pub type StepId = usize;

/// One thing to do on one host: what is shown and what runs came out of one call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Its place in the plan.
    pub id: StepId,
    /// Where.
    pub host: HostName,
    /// Which resource it brings to its desired state.
    pub resource: ResourceId,
    /// What is done.
    pub change: Change,
    /// Steps that must have succeeded before; always of smaller place.
    pub after: Vec<StepId>,
}

/// Everything to do, in an order that respects every edge.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The site.
    pub site: DomainName,
    /// All hosts that were observed, in the file's order.
    pub hosts: Vec<HostName>,
    /// The steps.
    pub steps: Vec<Step>,
    /// Changes left out because `--limit` names other hosts, a line each.
    pub left_out: Vec<String>,
    /// What goes back together where its proof fails.
    #[serde(skip)]
    pub groups: Vec<group::Group>,
}

impl Plan {
    /// Whether nothing is to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The most that users may feel.
    pub fn impact(&self) -> Impact {
        self.steps.iter().map(|s| s.change.felt()).max().unwrap_or_default()
    }

    /// The least that serves at any moment, where something is taken out of service.
    pub fn capacity(&self) -> Option<Capacity> {
        self.steps.iter().filter_map(|s| s.change.leaves).min()
    }
}

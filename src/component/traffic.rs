//! Who sends requests to whom, as the plan has to know it to change hosts without anybody feeling it: how a host stands at
//! a balancer, and the changes that take it out and put it back. Which balancer that is, is the component's business; when
//! it is done, is decided in `plan/rollout.rs`.

use crate::{
    base::name::HostName,
    resource::{Change, Observation, ResourceId},
};
use std::{collections::BTreeMap, fmt};

/// How a host stands at a balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The balancer does not run, or does not know it: it is new, or the balancer is.
    Unknown,
    /// It gets requests.
    Serving,
    /// It would get requests, and is not fit for them.
    Down,
    /// It was taken out: by a run that was cut off, or by somebody's hand.
    Held,
}

/// A balancer and the hosts that it sends requests to.
pub trait Pool: fmt::Debug + Send + Sync {
    /// The host that the balancer is on.
    fn balancer(&self) -> &HostName;

    /// The balancer itself, whose reload or restart meets no host that is out.
    fn service(&self) -> ResourceId;

    /// The hosts that share the load, in the file's order.
    fn members(&self) -> &[HostName];

    /// Whether a change of this resource on a member is not felt while the member is out.
    fn covers(&self, resource: &ResourceId) -> bool;

    /// How a member stands, as all hosts were observed.
    fn standing(&self, member: &HostName, seen: &BTreeMap<HostName, Observation>) -> Standing;

    /// What runs on the balancer to take a member out, and what it is named by.
    fn drain(&self, member: &HostName) -> (ResourceId, Change);

    /// What runs there to put it back once it is fit for it: the same that mends a member that was left out.
    fn put_back(&self, member: &HostName) -> (ResourceId, Change);

    /// What runs there to prove a member that was changed without being taken out: it answers, and gets requests.
    fn check(&self, member: &HostName) -> (ResourceId, Change);

    /// What runs there to watch a member that goes ahead of the others, for so many seconds: it stays up, and its answers
    /// are no errors.
    fn watch(&self, member: &HostName, seconds: u64) -> (ResourceId, Change);
}

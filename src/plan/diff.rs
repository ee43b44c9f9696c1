//! The plan: what differs, in the order it is to be done. Every decision falls here; carrying a plan out leaves nothing to
//! choose.

use super::{
    Plan, Step, StepId,
    desired::FINGERPRINT_KEY,
    group,
    remove::{self, Removal, Scope},
    rollout::{self, Ground},
};
use crate::{
    base::{
        name::{DomainName, HostName},
        secret::Secrets,
    },
    component::Desired,
    resource::{All, Impact, Key, Observation, Refusal, Seen, system::FACTS},
};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

/// Free space under which nothing is begun, in KiB: staged copies, logs and a rename need a little room.
const ROOM: u64 = 64 * 1024;

/// What a plan is made from.
#[derive(Debug)]
pub struct Basis<'a> {
    /// The site's name.
    pub site: &'a DomainName,
    /// All hosts, in the file's order.
    pub hosts: &'a [HostName],
    /// What shall be.
    pub desired: &'a Desired,
    /// What is, for every host.
    pub seen: &'a BTreeMap<HostName, Observation>,
    /// The settled secrets.
    pub secrets: &'a Secrets,
    /// Seconds since the epoch.
    pub now: i64,
    /// Hosts that may be written to; the others are compared, and what would be done there is left out.
    pub limit: &'a BTreeSet<HostName>,
    /// What is taken away of what nobody wants any more.
    pub removal: Removal,
}

impl<'a> Basis<'a> {
    /// What a resource of a host is told, while these resources change; `empty` stands for a host that was not asked.
    pub(super) fn told(
        &'a self,
        host: &'a HostName,
        empty: &'a Observation,
        changing: &'a BTreeMap<Key, Impact>,
    ) -> Seen<'a> {
        Seen {
            host,
            here: self.seen.get(host).unwrap_or(empty),
            all: All::of(self.seen),
            secrets: self.secrets,
            fingerprint_key: self.secrets.get(FINGERPRINT_KEY).map(|s| s.expose()).unwrap_or_default(),
            changing,
            now: self.now,
        }
    }
}

/// Makes the plan, or says all that stands in its way.
pub fn diff(basis: &Basis<'_>) -> Result<Plan, Vec<Refusal>> {
    let mut refusals: Vec<Refusal> = basis.hosts.iter().filter_map(|h| unfit(h, basis.seen.get(h)?)).collect();
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let compared = compare(basis, None);
    let Compared { mut steps, step_of, mut left_out, .. } = compared;
    refusals.extend(compared.refusals);
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let after: BTreeMap<Key, &Vec<Key>> =
        basis.desired.wanted.iter().map(|w| (Key::new(&w.host, w.resource.id()), &w.after)).collect();
    for (key, &id) in &step_of {
        steps[id].after = before(key, &after, &step_of).into_iter().filter(|before| *before < id).collect();
    }
    let Basis { hosts, desired, seen, limit, removal, .. } = *basis;
    let (steps, more) =
        remove::insert(&Scope { site: basis.site.as_str(), hosts, desired, seen, limit, removal }, steps)?;
    left_out.extend(more);
    let plan = Plan { site: basis.site.clone(), hosts: hosts.to_vec(), steps, left_out, groups: Vec::new() };
    let mut plan = rollout::rolled(plan, &Ground { desired, seen, limit })?;
    plan.groups = group::groups(&plan.steps, &desired.pools);
    Ok(plan)
}

/// What became of comparing one resource after the other.
#[derive(Default)]
pub(super) struct Compared {
    pub(super) steps: Vec<Step>,
    pub(super) step_of: BTreeMap<Key, StepId>,
    pub(super) left_out: Vec<String>,
    pub(super) refusals: Vec<Refusal>,
    /// What is not known, as it goes by a host that gave no answer.
    pub(super) open: Vec<Key>,
}

/// Compares every resource, or those of `only` these hosts: then the others gave no answer, and what they keep is not known.
pub(super) fn compare(basis: &Basis<'_>, only: Option<&BTreeSet<HostName>>) -> Compared {
    let empty = Observation::default();
    let (mut found, mut changing, mut left) = (Compared::default(), BTreeMap::new(), BTreeSet::new());
    let is_asked = |host: &HostName| only.is_none_or(|only| only.contains(host));
    for wanted in basis.desired.wanted.iter().filter(|w| is_asked(&w.host)) {
        let key = Key::new(&wanted.host, wanted.resource.id());
        let missed = Cell::new(false);
        let mut seen = basis.told(&wanted.host, &empty, &changing);
        if only.is_some() {
            seen.all = All::of_some(basis.seen, &missed);
            basis.secrets.take_missed();
        }
        let change = wanted.resource.diff(&seen);
        if only.is_some() && (missed.get() || basis.secrets.take_missed()) {
            found.open.push(key);
            continue;
        }
        let change = match change {
            Ok(Some(change)) => change,
            Ok(None) => continue,
            Err(refusal) => {
                found.refusals.push(refusal);
                continue;
            }
        };
        let is_early = wanted.resource.is_last() && wanted.after.iter().any(|key| left.contains(key));
        if is_early || !basis.limit.contains(&wanted.host) {
            left.insert(key);
            found.left_out.push(format!("{}: {}", wanted.host, change.summary));
            continue;
        }
        changing.insert(key.clone(), change.impact);
        let (id, host) = (found.steps.len(), wanted.host.clone());
        found.step_of.insert(key.clone(), id);
        found.steps.push(Step { id, host, resource: key.id, change, after: Vec::new() });
    }
    found
}

/// The steps that stand before `key`, looked for through what has no step of its own: if A comes after B and B after C,
/// and B is in place already, A still comes after C.
fn before(key: &Key, after: &BTreeMap<Key, &Vec<Key>>, step_of: &BTreeMap<Key, StepId>) -> BTreeSet<StepId> {
    let mut found = BTreeSet::new();
    let mut visited = BTreeSet::new();
    let mut open: Vec<&Key> = after.get(key).into_iter().flat_map(|all| all.iter()).collect();
    while let Some(key) = open.pop() {
        if !visited.insert(key) {
            continue;
        }
        match step_of.get(key) {
            Some(&step) => {
                found.insert(step);
            }
            None => open.extend(after.get(key).into_iter().flat_map(|all| all.iter())),
        }
    }
    found
}

/// Why a host cannot be worked on at all.
pub(super) fn unfit(host: &HostName, seen: &Observation) -> Option<Refusal> {
    let refuse = |what: String, help: &str| Some(Refusal { host: host.clone(), what, help: help.into() });
    let system = seen.get(&FACTS, "system").unwrap_or_default();
    let field = |at: usize| system.get(at).map(String::as_str).unwrap_or("unknown");
    if field(0) != "debian" || !["bookworm", "trixie", "forky", "sid"].contains(&field(1)) {
        return refuse(
            format!("it runs {}, which foobar does not know how to provision", field(2)),
            "use Debian 12 (bookworm), Debian 13 (trixie) or sid",
        );
    }
    if seen.get(&FACTS, "init").is_none() {
        return refuse("systemd is not its init".into(), "boot the host with systemd (apt install systemd-sysv)");
    }
    let full = seen
        .all(&FACTS, "free")
        .iter()
        .find(|f| f.first().and_then(|k| k.parse::<u64>().ok()).is_some_and(|k| k < ROOM));
    if let Some(full) = full {
        let at = full.get(1).map(String::as_str).unwrap_or("/");
        return refuse(
            format!("only {} KiB are free on {at}", full.first().map(String::as_str).unwrap_or("0")),
            "free at least 64 MiB there (journalctl --vacuum-size=100M, apt-get clean), then run foobar again",
        );
    }
    None
}

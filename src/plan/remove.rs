//! What is taken away: what a host notes as foobar's own and nobody wants any more. It goes after everything that is made
//! or changed, on all hosts, so that a balancer has forgotten a web server before that one stops; what is nearer to the
//! visitor goes first; services go before their files, and those before the accounts they belong to. Only a service whose
//! port another one of its host is about to need goes right before that. Data is never taken away but when asked for.

use super::{Step, StepId};
use crate::{
    base::name::HostName,
    component::Desired,
    resource::{
        Change, Impact, Observation, Refusal, ResourceId,
        owned::{self, Kind, OWNED, Origin, Owned},
        removal,
        service::Service,
    },
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How much is taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// Also packages that foobar installed and nobody wants any more.
    pub purge: bool,
    /// Also the data of databases that nobody wants any more.
    pub databases: bool,
    /// And in the end what foobar knows about its hosts.
    pub everything: bool,
}

/// What there is to compare.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The site's name.
    pub site: &'a str,
    /// All hosts, in the file's order.
    pub hosts: &'a [HostName],
    /// What shall be.
    pub desired: &'a Desired,
    /// What is, for every host.
    pub seen: &'a BTreeMap<HostName, Observation>,
    /// Hosts that may be written to.
    pub limit: &'a BTreeSet<HostName>,
    /// How much is taken away.
    pub removal: Removal,
}

/// When a removal has its turn. Up to the last of the databases' phases all hosts go together; from the files on each host
/// goes on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// A service in front of the databases, by its layer.
    Front(u8),
    Logins,
    /// The notes of those on replicas, where nothing else goes there.
    Copies,
    Schemas,
    /// A database server, and whether it is one that follows nobody: replicas, then their primary, which would wait for who
    /// still listens to it.
    Behind(bool),
    Files,
    HandBack,
    Releases,
    Accounts,
    Secrets,
    Firewall,
    Data,
    Packages,
    Notes,
    State,
}

/// The first layer that keeps data.
const DATABASES: u8 = 3;

/// One thing to take away.
struct Item {
    host: HostName,
    phase: Phase,
    id: ResourceId,
    change: Change,
    /// The step of the service that needs its port.
    makes_room_for: Option<StepId>,
}

/// Puts the removals among the steps, and says which of them the limit leaves out.
pub fn insert(scope: &Scope<'_>, steps: Vec<Step>) -> Result<(Vec<Step>, Vec<String>), Vec<Refusal>> {
    let (mut items, mut left_out, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
    for host in scope.hosts {
        let Some(seen) = scope.seen.get(host) else { continue };
        let within = scope.limit.contains(host);
        if let Some(other) = owned::site(seen).filter(|s| scope.removal.everything && within && s != scope.site) {
            refusals.push(Refusal {
                host: host.clone(),
                what: format!("it serves {other}, and not {}", scope.site),
                help: "name the topology of the site that shall go with -f".into(),
            });
            continue;
        }
        if scope.removal.everything && within && owned::is_older(seen) {
            refusals.push(Refusal {
                host: host.clone(),
                what: "an older foobar was at work there, and did not note what it made".into(),
                help: "run `foobar apply` once: it notes what there is; then destroy it".into(),
            });
            continue;
        }
        let found = of_host(scope, host, seen, &steps);
        match within {
            true => items.extend(found),
            false => left_out.extend(found.into_iter().map(|i| format!("{host}: {}", i.change.summary))),
        }
    }
    if refusals.is_empty() { Ok((ordered(steps, items), left_out)) } else { Err(refusals) }
}

/// What nobody wants any more on a host, in the order of its phases.
fn of_host(scope: &Scope<'_>, host: &HostName, seen: &Observation, steps: &[Step]) -> Vec<Item> {
    let wanted: Vec<Owned> =
        scope.desired.wanted.iter().filter(|w| w.host == *host).flat_map(|w| w.resource.footprint()).collect();
    let keys: BTreeSet<(Kind, &str)> = wanted.iter().map(Owned::key).collect();
    let noted = owned::noted(seen);
    let gone: Vec<&Owned> = noted.iter().filter(|o| !keys.contains(&o.key())).collect();
    let of = |kind: Kind| gone.iter().copied().filter(move |o| o.kind == kind);
    let mut items: Vec<Item> = Vec::new();
    let mut add = |phase, (id, change): removal::Removal, makes_room_for| {
        items.push(Item { host: host.clone(), phase, id, change, makes_room_for });
    };

    let follows = owned::follows(seen);
    let mut logins: Vec<&Owned> = of(Kind::Login).collect();
    for service in of(Kind::Service) {
        let room = needs_room(service, &wanted, host, steps);
        let layer = service.field(0).parse().unwrap_or_default();
        match service.origin {
            Origin::Found if room.is_none() => add(Phase::HandBack, removal::hand_back(service), None),
            _ if layer < DATABASES => add(Phase::Front(layer), removal::stop(service, &[]), room),
            _ => {
                // A replica's accounts are a part of its data.
                let left = if follows { std::mem::take(&mut logins) } else { Vec::new() };
                let (id, change) = removal::stop(service, &left);
                let change = change.impact(if follows { Impact::ConnectionDrop } else { Impact::WriteOutage });
                let kept = noted.iter().find(|o| o.kind == Kind::Data).filter(|_| !scope.removal.databases);
                let change = match kept {
                    Some(data) => change.detail(format!("its data stays in {}", data.name)),
                    None => change,
                };
                add(Phase::Behind(!follows), (id, change), room);
            }
        }
    }
    let some = |kind| {
        let all: Vec<&Owned> = of(kind).collect();
        (!all.is_empty()).then_some(all)
    };
    if !logins.is_empty() && !follows {
        add(Phase::Logins, removal::logins(&logins), None);
    }
    let mut groups: BTreeMap<&str, Vec<&Owned>> = BTreeMap::new();
    of(Kind::File).for_each(|file| groups.entry(file.field(0)).or_default().push(file));
    for (group, all) in groups {
        add(Phase::Files, removal::files(group, &all, seen), None);
    }
    of(Kind::Release).for_each(|o| add(Phase::Releases, removal::release(o), None));
    for account in of(Kind::Account).filter(|o| o.origin == Origin::Made) {
        add(Phase::Accounts, removal::account(account), None);
    }
    if let Some(all) = some(Kind::Secret) {
        add(Phase::Secrets, removal::secrets(&all), None);
    }
    of(Kind::Firewall).for_each(|o| add(Phase::Firewall, removal::firewall(o), None));
    for data in of(Kind::Data).filter(|_| scope.removal.databases) {
        let whole = data.origin == Origin::Made && strangers(data, seen).is_empty();
        if !whole {
            add(Phase::Schemas, removal::schemas(data), None);
        }
        add(Phase::Data, removal::data(data, whole), None);
    }
    let along: Vec<&Owned> = of(Kind::Dependency).collect();
    if let Some(all) = some(Kind::Package).filter(|_| scope.removal.purge) {
        add(Phase::Packages, removal::purge(&all, &along), None);
    }
    let found: Vec<&Owned> = of(Kind::Account).filter(|o| o.origin == Origin::Found).collect();
    if scope.removal.everything && seen.get(&OWNED, "state").is_some() {
        let data: Vec<&Owned> = of(Kind::Data).filter(|_| !scope.removal.databases).collect();
        let packages: Vec<&Owned> = of(Kind::Package).filter(|_| !scope.removal.purge).collect();
        add(Phase::State, removal::state(&data, &packages), None);
    } else if !found.is_empty() {
        add(Phase::Notes, removal::note(&found), None);
    }
    items.sort_by_key(|item| item.phase);
    if follows && !logins.is_empty() {
        forget(host, &logins, &mut items);
    }
    items
}

/// Accounts that a replica loses by its primary's word: only their notes go, along with whatever goes from the host last.
fn forget(host: &HostName, logins: &[&Owned], items: &mut Vec<Item>) {
    let (id, change) = removal::copies(logins);
    match items.last_mut() {
        // Nothing that is noted is left behind it.
        Some(item) if item.phase == Phase::State => {}
        Some(item) if item.phase > Phase::Copies => {
            item.change.script = std::mem::take(&mut item.change.script).then(&change.script);
        }
        _ => {
            let phase = Phase::Copies;
            items.push(Item { host: host.clone(), phase, id, change, makes_room_for: None });
        }
    }
}

/// Schemas in a data directory that neither the server nor foobar made.
fn strangers<'a>(data: &Owned, seen: &'a Observation) -> Vec<&'a str> {
    let own = |name: &str| {
        name.starts_with('#')
            || ["mysql", "sys", "performance_schema", "lost+found"].contains(&name)
            || data.list(1).any(|schema| schema == name)
    };
    let held = seen.all(&OWNED, "held").iter().filter(|f| f.first() == Some(&data.name));
    held.filter_map(|f| f.get(1)).map(String::as_str).filter(|name| !own(name)).collect()
}

/// The step of a service of this host that needs a port of the one that leaves.
fn needs_room(service: &Owned, wanted: &[Owned], host: &HostName, steps: &[Step]) -> Option<StepId> {
    let ports: BTreeSet<&str> = service.list(2).collect();
    let clashes = |o: &&Owned| o.kind == Kind::Service && o.list(2).any(|port| ports.contains(port));
    let mut units = wanted.iter().filter(clashes).map(|o| Service::key(&o.name));
    units.find_map(|id| steps.iter().find(|s| s.host == *host && s.resource == id).map(|s| s.id))
}

/// Steps and removals in one order that respects every edge, with the edges that the removals bring.
fn ordered(steps: Vec<Step>, items: Vec<Item>) -> Vec<Step> {
    let (early, mut late): (Vec<Item>, Vec<Item>) = items.into_iter().partition(|i| i.makes_room_for.is_some());
    let mut early: BTreeMap<StepId, Vec<Item>> = early.into_iter().fold(BTreeMap::new(), |mut all, item| {
        all.entry(item.makes_room_for.unwrap_or_default()).or_default().push(item);
        all
    });
    let mut out: Vec<Step> = Vec::with_capacity(steps.len() + late.len());
    let mut place: Vec<StepId> = Vec::with_capacity(steps.len());
    for mut step in steps {
        step.after = step.after.iter().map(|before| place[*before]).collect();
        for item in early.remove(&step.id).unwrap_or_default() {
            // As late as can be: everything else that the new service waits for is in place.
            let id = out.len();
            out.push(Step { id, host: item.host, resource: item.id, change: item.change, after: step.after.clone() });
            step.after.push(id);
        }
        step.id = out.len();
        place.push(step.id);
        out.push(step);
    }

    // Who nobody waits for yet: to come after them is to come after all.
    let waited: BTreeSet<StepId> = out.iter().flat_map(|s| s.after.iter().copied()).collect();
    let ends: Vec<StepId> = (0..out.len()).filter(|id| !waited.contains(id)).collect();
    late.sort_by_key(|item| item.phase);
    let (mut before, mut now, mut phase) = (ends.clone(), Vec::new(), None);
    let mut last: BTreeMap<HostName, Vec<StepId>> = BTreeMap::new();
    for item in late {
        let id = out.len();
        let after = if item.phase < Phase::Files {
            if phase.is_some_and(|phase| phase != item.phase) {
                before = std::mem::take(&mut now);
            }
            phase = Some(item.phase);
            now.push(id);
            last.entry(item.host.clone()).or_default().push(id);
            before.clone()
        } else {
            last.insert(item.host.clone(), vec![id]).unwrap_or_else(|| ends.clone())
        };
        out.push(Step { id, host: item.host, resource: item.id, change: item.change, after });
    }
    out
}

#[cfg(test)]
#[path = "remove_tests.rs"]
mod tests;

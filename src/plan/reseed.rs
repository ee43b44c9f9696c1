//! A replica that is filled anew because somebody says so: whether that may be, and how it is planned. The rest of the plan
//! is made as if its data directory were empty already, which is what the first step on it brings about.

use super::{Plan, Step, StepId};
use crate::{
    base::name::HostName,
    resource::{Observation, Refusal, ResourceId, db_switch::Servers, dialect::Server},
};
use std::collections::{BTreeMap, BTreeSet};

/// What hosts would answer once these servers were emptied, or all that stands in the way of that.
pub fn emptied(
    servers: Option<&Servers>,
    seen: &BTreeMap<HostName, Observation>,
    which: &BTreeSet<HostName>,
    limit: &BTreeSet<HostName>,
) -> Result<BTreeMap<HostName, Observation>, Vec<Refusal>> {
    let mut all = seen.clone();
    let mut refusals = Vec::new();
    for host in which {
        match may(servers, seen, host, limit) {
            Ok((servers, here)) => drop(all.insert(host.clone(), servers.emptied(here))),
            Err((what, help)) => refusals.push(Refusal { host: host.clone(), what, help: help.to_owned() }),
        }
    }
    if refusals.is_empty() { Ok(all) } else { Err(refusals) }
}

fn may<'a>(
    servers: Option<&'a Servers>,
    seen: &'a BTreeMap<HostName, Observation>,
    host: &HostName,
    limit: &BTreeSet<HostName>,
) -> Result<(&'a Servers, &'a Observation), (String, &'static str)> {
    let (Some(servers), Some(here)) = (servers.filter(|s| s.address(host).is_some()), seen.get(host)) else {
        return Err((
            "it is to be filled anew, and is no database server of the topology".into(),
            "name one of `mysql.replicas`",
        ));
    };
    let primary = &servers.primary;
    if host == primary {
        return Err((
            "it is to be filled anew, and is the primary: there is nothing to fill it from".into(),
            "`foobar switchover --to HOST` makes it a replica first",
        ));
    }
    let empty = Observation::default();
    let of = |host: &HostName| Server::new(servers.dialect, seen.get(host).unwrap_or(&empty));
    let is_open = |server: &Server<'_>| server.is_running() && !server.is_on("read_only");
    let source = of(primary);
    if !source.is_running() || source.is_replica() || source.held().next().is_none() {
        return Err((
            format!("it is to be filled anew, and {primary} has no data to give, does not run or follows another one"),
            "`foobar plan` says what is with the primary: that comes first",
        ));
    }
    if is_open(&of(host)) && !is_open(&source) {
        return Err((
            format!("it is to be filled anew, and it takes the writes, not {primary}"),
            "its data is the site's: name it `mysql.primary`",
        ));
    }
    if !limit.contains(host) || !limit.contains(primary) {
        return Err((
            format!("it is to be filled anew, and --limit leaves it or {primary} out"),
            "both have their part in a copy: take them into the limit",
        ));
    }
    Ok((servers, here))
}

/// Puts the steps that empty these servers before all others of their hosts.
pub fn begin(
    plan: &mut Plan,
    servers: &Servers,
    seen: &BTreeMap<HostName, Observation>,
    which: &BTreeSet<HostName>,
    now: i64,
) {
    let empty = Observation::default();
    let primary = Server::new(servers.dialect, seen.get(&servers.primary).unwrap_or(&empty));
    let first: Vec<Step> = which
        .iter()
        .enumerate()
        .map(|(id, host)| Step {
            id,
            host: host.clone(),
            resource: ResourceId::new("database", "reseed"),
            change: servers.empty(&primary, now),
            after: Vec::new(),
        })
        .collect();
    let by = first.len();
    let shift = |ids: &mut Vec<StepId>| ids.iter_mut().for_each(|id| *id += by);
    for step in &mut plan.steps {
        step.id += by;
        shift(&mut step.after);
        step.after.extend(first.iter().filter(|f| f.host == step.host).map(|f| f.id));
        step.after.sort_unstable();
    }
    for group in &mut plan.groups {
        for ids in [&mut group.steps, &mut group.drains, &mut group.gates, &mut group.watches] {
            shift(ids);
        }
    }
    plan.steps.splice(0..0, first);
}

#[cfg(test)]
#[path = "reseed_tests.rs"]
mod tests;

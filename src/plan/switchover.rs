//! The plan of a switchover: which server takes the writes over from which, whether it may, and in what order the two and
//! all others change their roles. The roles are those that the servers have, not those of the file: a switchover that was
//! cut off is gone on with by the same words, or taken back by `foobar apply`. At no instant are two servers open.

use super::{
    Plan, Step, StepId,
    diff::{self, Basis},
    group::Group,
    roles,
};
use crate::{
    base::name::HostName,
    resource::{
        Change, Observation, Refusal, ResourceId,
        db_switch::{LONG, Servers},
        dialect::Server,
    },
};
use std::collections::BTreeMap;

/// A plan of a switchover, and what is worth saying beside it.
#[derive(Debug)]
pub struct Moving {
    /// The plan; empty where the server has the writes already and all others follow it.
    pub plan: Plan,
    /// A line each.
    pub notes: Vec<String>,
}

/// The name of the step after which the new primary is open.
pub fn taken() -> ResourceId {
    id("take")
}

fn id(what: &str) -> ResourceId {
    ResourceId::new("switchover", what)
}

/// The servers as they are.
pub(super) struct Live<'a> {
    servers: &'a Servers,
    pub(super) seen: BTreeMap<&'a HostName, Server<'a>>,
}

impl<'a> Live<'a> {
    pub(super) fn new(servers: &'a Servers, seen: &'a BTreeMap<HostName, Observation>) -> Self {
        let of = |host: &'a HostName| Some((host, Server::new(servers.dialect, seen.get(host)?)));
        Self { servers, seen: servers.hosts.iter().filter_map(|(host, _)| of(host)).collect() }
    }

    pub(super) fn runs(&self, host: &HostName) -> bool {
        self.seen.get(host).is_some_and(Server::is_running)
    }

    /// Whether it takes writes.
    fn is_open(&self, host: &HostName) -> bool {
        self.runs(host) && self.seen.get(host).is_some_and(|s| !s.is_on("read_only"))
    }

    /// The server that it replicates from.
    pub(super) fn source(&self, host: &HostName) -> Option<&'a HostName> {
        self.servers.at(self.seen.get(host)?.replica("Source_Host")?)
    }

    pub(super) fn open(&self) -> Vec<&'a HostName> {
        self.seen.keys().copied().filter(|host| self.is_open(host)).collect()
    }
}

/// Makes the plan, or says all that stands in its way.
pub fn plan(basis: &Basis<'_>, servers: &Servers, to: &HostName) -> Result<Moving, Vec<Refusal>> {
    let unfit: Vec<Refusal> = basis.hosts.iter().filter_map(|h| diff::unfit(h, basis.seen.get(h)?)).collect();
    if !unfit.is_empty() {
        return Err(unfit);
    }
    let live = Live::new(servers, basis.seen);
    let refuse = |host: &HostName, what: String, help: &str| {
        Err(vec![Refusal { host: host.clone(), what, help: help.to_owned() }])
    };
    if servers.address(to).is_none() {
        let names: Vec<&str> = servers.hosts.iter().map(|(h, _)| h.as_str()).collect();
        return refuse(
            to,
            format!("it is no database server of the topology; those are {}", names.join(", ")),
            "name one of them; a new one is a replica first: add it to `mysql.replicas` and run `foobar apply`",
        );
    }
    let open = live.open();
    if let Some(refusal) = roles::parted(servers.dialect, &open) {
        return Err(vec![refusal]);
    }
    // One that was cut off left nobody open: the server that gave the writes up is who the other one follows.
    let from = match open.first() {
        Some(open) => *open,
        None => match live.source(to) {
            Some(source) => source,
            None => {
                return refuse(
                    to,
                    "no server takes writes, and this one follows nobody".into(),
                    "`foobar apply` opens the primary that the topology names; then switch over",
                );
            }
        },
    };
    let mut order = Order::new(basis);
    let mut groups = Vec::new();
    if from != to {
        fit(&live, basis, from, to)?;
        order.push(to, "ready", servers.ready(from, to));
        let close = order.push(from, "close", servers.close(from));
        let take = order.push(to, "take", servers.take(from, to));
        // What is closed opens again where the other one says that it did not take over; where nobody knows, it stays closed.
        groups.push(Group { steps: vec![close], watches: vec![take], ..Group::default() });
    }
    let mut notes = Vec::new();
    // The former primary first: its word is what each write of the new one waits for.
    let mut others: Vec<&HostName> = servers.hosts.iter().map(|(h, _)| h).filter(|h| *h != to).collect();
    others.sort_by_key(|h| *h != from);
    let mut refusals = Vec::new();
    for host in others {
        if !live.runs(host) {
            notes.push(format!("{host} does not run: `foobar apply` has it follow {to} once it does"));
        } else if from != to || live.source(host) != Some(to) {
            match servers.follow(to, &basis.told(host, &Observation::default(), &BTreeMap::new())) {
                Ok(Some(change)) => {
                    order.push(host, "follow", change);
                }
                Ok(None) => {}
                Err(refusal) => refusals.push(refusal),
            }
        }
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    if let Some(change) = servers.confirmed().filter(|_| !order.steps.is_empty()) {
        order.push(to, "confirmed", change);
    }
    let steps = order.steps;
    let plan = Plan { site: basis.site.clone(), hosts: basis.hosts.to_vec(), steps, left_out: Vec::new(), groups };
    Ok(Moving { plan, notes })
}

/// Whether one server may take over from another: both as they were a moment ago.
fn fit(live: &Live<'_>, basis: &Basis<'_>, from: &HostName, to: &HostName) -> Result<(), Vec<Refusal>> {
    let mut all = Vec::new();
    let mut refuse = |host: &HostName, what: String, help: &str| {
        all.push(Refusal { host: host.clone(), what, help: help.to_owned() });
    };
    let empty = Observation::default();
    let of = |host: &HostName| Server::new(live.servers.dialect, basis.seen.get(host).unwrap_or(&empty));
    let (old, new) = (of(from), of(to));
    if !live.runs(from) {
        refuse(
            from,
            "it took the writes, and its server does not run".into(),
            "start it (`foobar apply`), then switch over",
        );
    }
    if !live.runs(to) {
        refuse(to, "its server does not run".into(), "`foobar apply` starts it; then switch over");
        return Err(all);
    }
    if live.source(to) != Some(from) {
        refuse(
            to,
            match new.replica("Source_Host") {
                Some(source) => format!("it replicates from {source}, and {from} takes the writes"),
                None => format!("it does not replicate from {from}, which takes the writes"),
            },
            "`foobar apply` has it replicate; then switch over",
        );
        return Err(all);
    }
    for thread in ["IO", "SQL"] {
        if new.replica(&format!("Replica_{thread}_Running")) != Some("Yes") {
            let why = new.replica(&format!("Last_{thread}_Error")).filter(|e| !e.is_empty());
            let why = why.map(|e| format!(": {e}")).unwrap_or_default();
            refuse(
                to,
                format!("its {thread} thread does not run{why}"),
                "mend that (`foobar apply` starts what was stopped), wait until it has caught up, then switch over",
            );
        }
    }
    let behind = new.replica("Seconds_Behind_Source").and_then(|s| s.parse::<u64>().ok());
    if behind.is_some_and(|s| s > live.servers.max_lag) {
        refuse(
            to,
            format!("it is {} s behind {from}", behind.unwrap_or_default()),
            "wait until it has caught up: writes would pause for as long",
        );
    }
    let errant = new.errant(&old);
    if !errant.is_empty() {
        refuse(
            to,
            format!("it has transactions that {from} has not: {}", errant.join(", ")),
            "they would become the site's own: bring to the primary what of them shall stay, then fill this server anew",
        );
    }
    for row in old.rows("long") {
        let (thread, age) = (row.first().map_or("?", String::as_str), row.get(1).map_or("?", String::as_str));
        refuse(
            from,
            format!("a transaction of connection {thread} has been open for {age} s"),
            &format!("wait until it ends, or end it with `KILL {thread}`: one of over {LONG} s would be broken off"),
        );
    }
    if all.is_empty() { Ok(()) } else { Err(all) }
}

/// Steps, each after the one before it.
pub(super) struct Order<'a, 'b> {
    basis: &'a Basis<'b>,
    pub(super) steps: Vec<Step>,
    last: Option<StepId>,
}

impl<'a, 'b> Order<'a, 'b> {
    pub(super) fn new(basis: &'a Basis<'b>) -> Self {
        Self { basis, steps: Vec::new(), last: None }
    }

    pub(super) fn push(&mut self, host: &HostName, what: &str, change: Change) -> StepId {
        debug_assert!(self.basis.hosts.contains(host));
        let at = self.steps.len();
        let after = self.last.into_iter().collect();
        self.steps.push(Step { id: at, host: host.clone(), resource: id(what), change, after });
        self.last = Some(at);
        at
    }
}

#[cfg(test)]
#[path = "switchover_tests.rs"]
mod tests;

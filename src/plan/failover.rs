//! The plan of a failover: the server that took the writes is gone, and the replica that has most of them goes on. Who that
//! is, what is lost with the one that is gone, and in what order the others change their roles. Where anything speaks for
//! that one being alive, there is no plan: two servers that take writes are worse than none. How each server changes is in
//! `resource/db_failover.rs`.

use super::{
    Plan,
    diff::{self, Basis},
    roles,
    switchover::{Live, Moving, Order},
};
use crate::{
    base::name::HostName,
    resource::{
        Observation, Refusal,
        db_failover::{LOST, Loss},
        db_switch::Servers,
        dialect::Server,
        gtid,
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Who shall take over; none: whoever has most.
    pub to: Option<HostName>,
    /// Hosts that cannot be reached, and that the user says are off.
    pub is_off: BTreeSet<HostName>,
    /// Hosts that cannot be reached.
    pub away: BTreeSet<HostName>,
    /// What was found to be lost, once it was asked.
    pub found: Option<Found>,
}

/// What is lost with a server, where another one goes on from a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The position.
    pub has: String,
    /// All that goes beyond.
    pub loss: Loss,
}

/// Who takes over from whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heir {
    /// The server that is gone.
    pub from: HostName,
    /// The one that goes on.
    pub to: HostName,
    /// All that has reached it.
    pub has: String,
    /// Whether it takes writes already: an earlier run came so far.
    pub is_open: bool,
}

/// Who takes over, or all that stands in the way.
pub fn heir(servers: &Servers, seen: &BTreeMap<HostName, Observation>, ask: &Ask) -> Result<Heir, Vec<Refusal>> {
    let live = Live::new(servers, seen);
    let refuse = |host: &HostName, what: String, help: &str| {
        Err(vec![Refusal { host: host.clone(), what, help: help.to_owned() }])
    };
    let names = |hosts: &[&HostName]| hosts.iter().map(|h| h.as_str()).collect::<Vec<_>>().join(" and ");
    if let Some(to) = ask.to.as_ref().filter(|to| servers.address(to).is_none()) {
        return refuse(
            to,
            "it is no database server of the topology".into(),
            "name one of `mysql.replicas`, or leave --to out: who has most takes over",
        );
    }
    if let Some(host) = ask.is_off.iter().find(|host| !ask.away.contains(*host)) {
        return refuse(
            host,
            "it is said to be off, and it answers, or is no host of the topology".into(),
            "leave --is-off out: foobar keeps a server from taking writes by itself where its host answers",
        );
    }
    let open = live.open();
    if let Some(refusal) = roles::parted(servers.dialect, &open) {
        return Err(vec![refusal]);
    }
    if let Some(open) = open.first() {
        if **open == servers.primary || ask.to.as_ref().is_some_and(|to| to != *open) {
            return refuse(
                open,
                "it takes the writes: no primary is gone".into(),
                "`foobar switchover --to HOST` moves them while it runs, and loses none",
            );
        }
        let (from, to) = (servers.primary.clone(), (*open).clone());
        return Ok(Heir { from, to, has: String::new(), is_open: true });
    }
    let sources: BTreeSet<&HostName> = servers.hosts.iter().filter_map(|(h, _)| live.source(h)).collect();
    let from = match sources.iter().collect::<Vec<_>>()[..] {
        [] => &servers.primary,
        [one] => *one,
        _ => {
            let all: Vec<&HostName> = sources.into_iter().collect();
            return refuse(
                all[1],
                format!("the replicas follow different servers: {}", names(&all)),
                "foobar cannot tell which of them took the writes: have all follow one (`foobar apply`), or name it by hand",
            );
        }
    };
    if live.runs(from) {
        return refuse(
            from,
            "its server runs, and is closed, as it is after every start".into(),
            "`foobar apply` opens it again and loses nothing; `foobar switchover --to HOST` moves the writes elsewhere",
        );
    }
    if let Some(why) = live.seen.get(from).and_then(Server::trouble) {
        return refuse(
            from,
            format!("its server runs and does not answer as it should: {why}"),
            &format!(
                "end it with `systemctl kill -s KILL {}`: it comes back closed, and `foobar apply` opens it; where it does not come back, run foobar failover again",
                servers.unit
            ),
        );
    }
    if ask.away.contains(from) && !ask.is_off.contains(from) {
        return refuse(
            from,
            "it cannot be reached: if it runs, it takes writes that nobody would ever have again".into(),
            &format!(
                "switch its host off (power, console, hypervisor), see that it is, then run foobar again with --is-off {from}"
            ),
        );
    }
    let fit = |host: &&HostName| {
        let was_cut_off = || live.seen.get(*host).is_some_and(|s| s.record("source").is_some());
        *host != from
            && live.runs(host)
            && (live.source(host) == Some(from) || live.source(host).is_none() && was_cut_off())
    };
    let heirs: Vec<&HostName> = servers.hosts.iter().map(|(h, _)| h).filter(fit).collect();
    let has = |host: &HostName| live.seen.get(host).map(Server::received).unwrap_or_default();
    let covers = |one: &HostName, other: &HostName| gtid::covers(servers.dialect.gtids(), &has(one), &has(other));
    let chosen = match &ask.to {
        Some(to) if !heirs.contains(&to) => {
            return refuse(
                to,
                format!("it is no replica of {from} that runs, and cannot take over"),
                "leave --to out: who has most takes over",
            );
        }
        Some(to) => Some(to),
        None => heirs.iter().copied().find(|one| heirs.iter().all(|other| covers(one, other))),
    };
    let Some(to) = chosen else {
        return match heirs[..] {
            [] => refuse(
                from,
                "it is gone, and no replica of it runs that could take over".into(),
                "bring one of the hosts back, then `foobar apply`",
            ),
            _ => refuse(
                heirs[1],
                format!("of {} each has transactions that another one has not", names(&heirs)),
                "look at what they have (SHOW REPLICA STATUS), make the ones that shall not go on forget their source, then run foobar again",
            ),
        };
    };
    if let Some(better) = heirs.iter().find(|other| !covers(to, other)) {
        return refuse(
            to,
            format!("{better} has transactions that it has not, and they would be lost"),
            &format!("leave --to out, or name {better}; afterwards `foobar switchover --to {to}` loses none"),
        );
    }
    let server = live.seen.get(to);
    if let Some(why) = server.and_then(|s| s.replica("Last_SQL_Error")).filter(|e| !e.is_empty()) {
        return refuse(
            to,
            format!("it cannot apply what has reached it: {why}"),
            "mend that first: what it has yet to apply would be lost",
        );
    }
    Ok(Heir { from: from.clone(), to: to.clone(), has: has(to), is_open: false })
}

/// Makes the plan, or says all that stands in its way.
pub fn plan(basis: &Basis<'_>, servers: &Servers, ask: &Ask) -> Result<Moving, Vec<Refusal>> {
    let unfit: Vec<Refusal> = basis.hosts.iter().filter_map(|h| diff::unfit(h, basis.seen.get(h)?)).collect();
    if !unfit.is_empty() {
        return Err(unfit);
    }
    let Heir { from, to, has, is_open } = heir(servers, basis.seen, ask)?;
    let live = Live::new(servers, basis.seen);
    let mut order = Order::new(basis);
    let mut notes = Vec::new();
    let others: Vec<&HostName> = servers.hosts.iter().map(|(h, _)| h).filter(|h| **h != to && **h != from).collect();
    let remain = others.iter().any(|host| live.runs(host));
    if !is_open {
        let loss = match &ask.found {
            Some(found) if found.has == has => found.loss.clone(),
            _ => {
                return Err(vec![Refusal {
                    host: to.clone(),
                    what: "more has reached it since it was asked what would be lost".into(),
                    help: format!("{from} may still live; see to it, then run foobar again"),
                }]);
            }
        };
        if !ask.away.contains(&from) {
            order.push(&from, "fence", servers.fence(&from, &has, &loss, basis.now));
        }
        order.push(&to, "silent", servers.silent(&from));
        order.push(&to, "take", servers.take_over(&from, &to, remain));
        notes.extend(told(servers, ask, &from, &to, &loss));
    }
    let mut refusals = Vec::new();
    for host in others {
        if ask.away.contains(host) {
            notes.push(format!(
                "{host} cannot be reached: once it is back, `foobar apply` has it follow {to}, or says what it has more"
            ));
        } else if !live.runs(host) {
            notes.push(format!("{host} does not run: `foobar apply` has it follow {to} once it does"));
        } else if live.source(host) != Some(&to) {
            match servers.follow(&to, &basis.told(host, &Observation::default(), &BTreeMap::new())) {
                Ok(Some(change)) => drop(order.push(host, "follow", change)),
                Ok(None) => {}
                Err(refusal) => refusals.push(refusal),
            }
        }
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    if servers.acknowledges && remain {
        if let Some(change) = servers.confirmed().filter(|_| !order.steps.is_empty()) {
            order.push(&to, "confirmed", change);
        }
    } else if servers.acknowledges {
        notes.push(format!(
            "no replica is left to acknowledge writes: each is on {to} alone until `foobar apply` brings one back"
        ));
    }
    let (site, hosts) = (basis.site.clone(), basis.hosts.to_vec());
    let plan = Plan { site, hosts, steps: order.steps, left_out: Vec::new(), groups: Vec::new() };
    Ok(Moving { plan, notes })
}

/// What is said of a loss.
fn told(servers: &Servers, ask: &Ask, from: &HostName, to: &HostName, loss: &Loss) -> Vec<String> {
    let mut notes = Vec::new();
    match loss {
        Loss::Exactly(ranges) if ranges.is_empty() => {
            notes.push(format!("nothing is lost: {to} has received all that is in the log of {from}"));
        }
        Loss::Exactly(ranges) => {
            let (which, count) = gtid::told(servers.dialect.gtids(), ranges);
            let (are, they) = if count == 1 { ("transaction is", "it is") } else { ("transactions are", "they are") };
            notes.push(format!(
                "{count} {are} lost, and no other: {which}; {they} in the log of {from} alone, and kept there under {LOST}"
            ));
            if servers.acknowledges {
                notes.push(format!(
                    "no client was told that {they} written, unless {from} had ceased to wait for its replicas before it was gone"
                ));
            }
            notes.push(format!(
                "{from} answers: where its server can be started again (`foobar apply`), nothing is lost, and no failover is needed"
            ));
        }
        Loss::Unknown(why) => {
            notes.push(format!("what is lost is unknown: {why}"));
            if servers.acknowledges {
                notes.push(format!(
                    "each write that a client was told of has reached a replica, unless {from} had ceased to wait for them"
                ));
            }
        }
    }
    let silent: Vec<&str> = servers
        .hosts
        .iter()
        .map(|(h, _)| h)
        .filter(|h| *h != from && ask.away.contains(*h))
        .map(HostName::as_str)
        .collect();
    if !silent.is_empty() && !loss.is_none() {
        notes.push(format!("{} cannot be asked, and may have what {to} has not", silent.join(" and ")));
    }
    notes
}

#[cfg(test)]
#[path = "failover_tests.rs"]
mod tests;

//! Lints about balancers that stand in for each other: how many of them, and which addresses they may share.

use super::Facts;
use crate::{
    component::spec::{Haproxy, Mode, Redundancy},
    topology::{decode::NO_ADDRESS, problem::Problem},
};
use std::net::IpAddr;

const ADDRESSES: &[&str] = &["haproxy", "redundancy", "virtual_addresses"];

/// The balancers with their redundancy, where both could be read whole.
fn of<'f>(facts: &'f Facts<'f>) -> Option<(&'f Haproxy, &'f Redundancy)> {
    let haproxy = facts.topology.haproxy.as_ref()?;
    let redundancy = haproxy.redundancy.as_ref()?;
    let is_whole =
        |keys: &[&str], read: usize| facts.documents.find(keys).is_some_and(|node| node.items().len() == read);
    let whole =
        is_whole(&["haproxy", "on"], haproxy.on.len()) && is_whole(ADDRESSES, redundancy.virtual_addresses.len());
    whole.then_some((haproxy, redundancy))
}

/// One balancer has nobody to stand in for it.
pub fn alone(facts: &Facts<'_>) -> Vec<Problem> {
    let Some((haproxy, _)) = of(facts) else { return Vec::new() };
    let [only] = &haproxy.on[..] else { return Vec::new() };
    let problem = Problem::error("`redundancy` with one balancer: nobody takes its address over")
        .at(facts.documents.key(&["haproxy", "redundancy"]), "between whom?")
        .at(facts.in_list(&["haproxy", "on"], only), "the only one");
    vec![problem.help("add a second balancer: `on: [lb-01, lb-02]`, or remove `redundancy`")]
}

/// As many addresses as the mode has holders for.
pub fn addresses(facts: &Facts<'_>) -> Vec<Problem> {
    let Some((haproxy, redundancy)) = of(facts) else { return Vec::new() };
    let (balancers, written) = (haproxy.on.len(), redundancy.virtual_addresses.len());
    if balancers < 2 {
        return Vec::new();
    }
    let (is_right, message, help) = match redundancy.mode {
        Mode::ActivePassive => (
            written == 1,
            format!("active-passive takes one virtual address, and here are {written}"),
            "name one address, which one balancer at a time has; `mode: active-active` takes one for each balancer"
                .into(),
        ),
        Mode::ActiveActive => (
            written == balancers,
            format!("active-active takes a virtual address for each balancer: {balancers}, and here are {written}"),
            format!(
                "name {balancers} addresses, in the order of `on`; their names resolve to all of them, so that every balancer serves"
            ),
        ),
    };
    let place = facts.documents.key(ADDRESSES);
    let problem = || Problem::error(message).at(place, format!("{written} of them")).help(help);
    if is_right { Vec::new() } else { vec![problem()] }
}

/// Each an address that only they have, and that others can connect to.
pub fn address(facts: &Facts<'_>) -> Vec<Problem> {
    let Some((_, redundancy)) = of(facts) else { return Vec::new() };
    let mut problems = Vec::new();
    for (at, address) in redundancy.virtual_addresses.iter().enumerate() {
        let place = facts.documents.place(&[ADDRESSES, &[at.to_string().as_str()]].concat());
        if let Some(host) = facts.topology.hosts.iter().find(|h| h.address == *address && h.address != NO_ADDRESS) {
            problems.push(
                Problem::error(format!("the virtual address {address} is {}'s own", host.name))
                    .at(place, "moves between the balancers")
                    .at(facts.documents.in_host(host.name.as_str(), &["address"]), "stays here")
                    .help("name a free address of the balancers' network, which no host has"),
            );
        } else if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
            problems.push(
                Problem::error(format!("nobody can connect to the virtual address {address}"))
                    .at(place, "no address of a host's")
                    .help("name a free address of the balancers' network, which no host has"),
            );
        }
    }
    problems
}

/// IPv6 is not moved yet, neither as what is shared nor as what the balancers reach each other by.
pub fn family(facts: &Facts<'_>) -> Vec<Problem> {
    let Some((haproxy, redundancy)) = of(facts) else { return Vec::new() };
    let mut problem: Option<Problem> = None;
    let mut add = |place, label: String| {
        let one = problem.take().unwrap_or_else(|| {
            let problem = Problem::error("virtual addresses move over IPv4 alone");
            problem.help("name IPv4 addresses, for the balancers too; remove `redundancy` where there are none")
        });
        problem = Some(one.at(place, label));
    };
    for (at, address) in redundancy.virtual_addresses.iter().enumerate().filter(|(_, a)| a.is_ipv6()) {
        add(facts.documents.place(&[ADDRESSES, &[at.to_string().as_str()]].concat()), format!("{address} is IPv6"));
    }
    for host in facts.topology.hosts.iter().filter(|h| haproxy.on.contains(&h.name)) {
        if let IpAddr::V6(address) = host.address {
            let place = facts.documents.in_host(host.name.as_str(), &["address"]);
            add(place, format!("{} is reached at {address}", host.name));
        }
    }
    problem.into_iter().collect()
}

//! Lints about hosts: names that nobody has, addresses that two have.

use super::Facts;
use crate::topology::{
    decode::NO_ADDRESS,
    problem::Problem,
    text::{likely, listed},
};

/// A topology needs somewhere to be.
pub fn no_hosts(facts: &Facts<'_>) -> Vec<Problem> {
    let unread = facts.documents.inventory.as_ref().is_some_and(|d| d.root.is_none());
    if !facts.topology.hosts.is_empty() || unread || facts.misspelt.contains(&"hosts") || facts.host_words().is_empty()
    {
        return Vec::new();
    }
    let place = facts.documents.key(&["hosts"]);
    vec![Problem::error("there are no hosts").at(place, "no host in it").help(
        "write them: `hosts: { web-01: { address: 10.0.0.21 } }`, or name an inventory: `-i inventories/production.yaml`",
    )]
}

/// Every host that something runs on must be known.
pub fn unknown_host(facts: &Facts<'_>) -> Vec<Problem> {
    let known: Vec<&str> = facts.topology.hosts.iter().map(|h| h.name.as_str()).collect();
    // An inventory that is no YAML would make every host unknown; a topology without any is told once.
    if known.is_empty() || facts.documents.inventory.as_ref().is_some_and(|d| d.root.is_none()) {
        return Vec::new();
    }
    let unknown = facts.host_words().into_iter().filter(|(_, name)| !known.contains(&name.as_str()));
    unknown
        .map(|(place, name)| {
            let label = match likely(name.as_str(), known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "no host has this name".to_owned(),
            };
            let few: Vec<&str> = known.iter().copied().take(12).collect();
            let more = if known.len() > few.len() { ", …" } else { "" };
            let help = match &facts.documents.inventory {
                Some(inventory) => {
                    format!("add it to `hosts` in {}, or name one of {}{more}", inventory.name, few.join(", "))
                }
                None => format!(
                    "add it to `hosts`, or name one of {}{more}; with an inventory (`-i FILE`), hosts may stand there",
                    few.join(", ")
                ),
            };
            Problem::error(format!("unknown host `{name}`")).at(place, label).help(help)
        })
        .collect()
}

/// Two hosts at one address would be one machine with two minds.
pub fn duplicate_address(facts: &Facts<'_>) -> Vec<Problem> {
    let hosts: Vec<_> = facts.topology.hosts.iter().filter(|h| h.address != NO_ADDRESS).collect();
    let place = |name: &str| facts.documents.in_host(name, &["address"]);
    let mut problems = Vec::new();
    for (at, host) in hosts.iter().enumerate() {
        if let Some(first) = hosts[..at].iter().find(|h| h.address == host.address) {
            problems.push(
                Problem::error(format!("{} and {} have one address, {}", first.name, host.name, host.address))
                    .at(place(host.name.as_str()), "again here")
                    .at(place(first.name.as_str()), "first here")
                    .help("give each host its own address, or keep one name: several parts may run on one host"),
            );
        }
    }
    problems
}

/// A loopback address leads every other host to itself.
pub fn loopback_address(facts: &Facts<'_>) -> Vec<Problem> {
    if facts.topology.hosts.len() < 2 {
        return Vec::new();
    }
    let looped = facts.topology.hosts.iter().filter(|h| h.address.is_loopback());
    looped
        .map(|h| {
            let others = listed(facts.topology.hosts.iter().map(|o| &o.name).filter(|o| **o != h.name).take(3));
            Problem::error(format!("{} has a loopback address", h.name))
                .at(facts.documents.in_host(h.name.as_str(), &["address"]), format!("{others} cannot reach it"))
                .help("write the address that the other hosts reach it by")
        })
        .collect()
}

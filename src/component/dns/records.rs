//! The records of a site: what its names lead to, who answers for its zone, and what the parent of the zone must know.

use super::SERVERS_TTL;
use crate::{
    base::name::DomainName,
    component::{
        site::Site,
        spec::{Dns, Served},
    },
};
use serde::Serialize;
use std::net::IpAddr;

/// A record, as a line of a zone file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Its name, without the final dot.
    pub name: String,
    /// Seconds that it may be kept.
    pub ttl: u32,
    /// `A`, `AAAA`, `NS`, `CAA`.
    pub kind: &'static str,
    /// Its value, as a zone file has it.
    pub value: String,
}

impl Record {
    /// `www.foobar.com. 60 IN A 192.0.2.11`
    pub fn line(&self) -> String {
        format!("{}. {} IN {} {}", self.name, self.ttl, self.kind, self.value)
    }
}

/// Where a record is to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Where {
    /// In the zone that the stack's own servers have: foobar does.
    Stack,
    /// In the zone above it, through the registrar: the user does.
    Parent,
    /// In a zone that somebody else has: the user does.
    Provider,
}

/// Seconds that an answer may be kept.
pub fn ttl(dns: &Dns) -> u32 {
    dns.ttl.map_or(60, |t| u32::try_from(t.duration().as_secs()).unwrap_or(u32::MAX))
}

fn address(name: impl Into<String>, ttl: u32, address: IpAddr) -> Record {
    let kind = if address.is_ipv4() { "A" } else { "AAAA" };
    Record { name: name.into(), ttl, kind, value: address.to_string() }
}

fn authority(name: &DomainName, ttl: u32, issuer: &DomainName) -> Record {
    Record { name: name.to_string(), ttl, kind: "CAA", value: format!("0 issue \"{issuer}\"") }
}

/// The zone of the stack's own servers.
pub fn zone_name(site: &Site) -> Option<&DomainName> {
    match &site.topology.dns.as_ref()?.served {
        Served::Own { zone, .. } => Some(zone),
        Served::External => None,
    }
}

/// Names of the site that the stack's own servers answer for.
pub fn served(site: &Site) -> Vec<&DomainName> {
    match site.topology.dns.as_ref().map(|d| &d.served) {
        Some(Served::Own { elsewhere, .. }) => site.names().into_iter().filter(|n| !elsewhere.contains(n)).collect(),
        _ => Vec::new(),
    }
}

/// Names of the site that somebody else answers for.
pub fn elsewhere(site: &Site) -> Vec<&DomainName> {
    let own = served(site);
    site.names().into_iter().filter(|n| !own.contains(n)).collect()
}

/// What names lead to: the site's public addresses.
fn leads(site: &Site, dns: &Dns, names: &[&DomainName]) -> Vec<Record> {
    let to = |name: &&DomainName| {
        let name = name.to_string();
        site.public_addresses().into_iter().map(move |a| address(name.clone(), ttl(dns), a))
    };
    names.iter().flat_map(to).collect()
}

/// The name servers of the zone, and their addresses: what the zone says of itself, and its parent repeats.
pub fn servers(site: &Site, dns: &Dns) -> Vec<Record> {
    let Served::Own { on, zone, .. } = &dns.served else { return Vec::new() };
    let name = |host| format!("{host}.{zone}");
    let server =
        |host| Record { name: zone.to_string(), ttl: SERVERS_TTL, kind: "NS", value: format!("{}.", name(host)) };
    let glue = |host| address(name(host), SERVERS_TTL, site.address(host));
    on.iter().map(server).chain(on.iter().map(glue)).collect()
}

/// All records of the zone that the stack's own servers have, beside its SOA.
pub fn zone(site: &Site, dns: &Dns) -> Vec<Record> {
    let Served::Own { zone, .. } = &dns.served else { return Vec::new() };
    let mut all = servers(site, dns);
    all.extend(leads(site, dns, &served(site)));
    // At the zone's top it holds for every name within.
    all.extend(dns.caa.iter().map(|issuer| authority(zone, ttl(dns), issuer)));
    all
}

/// Every record that the site wants, and where each is to be set.
pub fn wanted(site: &Site) -> Vec<(Where, Record)> {
    let Some(dns) = &site.topology.dns else { return Vec::new() };
    let others = elsewhere(site);
    let mut all: Vec<(Where, Record)> = zone(site, dns).into_iter().map(|r| (Where::Stack, r)).collect();
    all.extend(servers(site, dns).into_iter().map(|r| (Where::Parent, r)));
    all.extend(leads(site, dns, &others).into_iter().map(|r| (Where::Provider, r)));
    // It holds for all names below as well (RFC 8659 3).
    let is_below = |name: &DomainName, top: &DomainName| name.as_str().ends_with(&format!(".{top}"));
    let tops = others.iter().filter(|name| !others.iter().any(|top| is_below(name, top)));
    for name in tops {
        all.extend(dns.caa.iter().map(|issuer| (Where::Provider, authority(name, ttl(dns), issuer))));
    }
    all
}

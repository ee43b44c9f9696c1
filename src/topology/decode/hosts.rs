//! `hosts:` of a topology, and the inventory file: who is where, and how SSH reaches them.

use super::{harmless, read::Reader};
use crate::{
    base::name::{HostName, UserName},
    component::spec::{Host, Ssh},
    topology::{
        problem::Problem,
        yaml::{Kind, Node},
    },
};
use std::net::{IpAddr, Ipv4Addr};

/// The inventory's `ssh:`, for every host that says nothing of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshDefaults {
    /// An ssh_config file, as written (relative to the inventory).
    pub config: Option<String>,
    /// The login.
    pub user: Option<UserName>,
    /// The port.
    pub port: Option<u16>,
}

/// Stands for an address that was refused.
pub const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Reads an inventory.
pub fn inventory(read: &mut Reader<'_>, root: &Node) -> (Vec<Host>, SshDefaults) {
    let top = read.fields(root, "inventory");
    let hosts = match top.get("hosts") {
        Some(node) => hosts(read, node),
        None => {
            read.missing(root, "hosts", "write the hosts: `hosts: { web-01: { address: 10.0.0.21 } }`");
            Vec::new()
        }
    };
    let mut defaults = SshDefaults::default();
    if let Some(node) = top.get("ssh") {
        let ssh = read.fields(node, "ssh");
        defaults.config = ssh.get("config").and_then(|n| read.local(n, "the path of an ssh_config file"));
        defaults.user = ssh.get("user").and_then(|n| read.word(n, "a user name"));
        defaults.port = ssh.get("port").and_then(|n| read.port(n));
    }
    (hosts, defaults)
}

/// Reads `hosts:`.
pub fn hosts(read: &mut Reader<'_>, node: &Node) -> Vec<Host> {
    let mut hosts = Vec::new();
    for (key, value) in read.entries(node, "write each host with its address: `web-01: { address: 10.0.0.21 }`") {
        let name: Option<HostName> = read.key_word(key, value);
        if let Kind::Text(text) = &value.kind
            && let Ok(address) = text.parse::<IpAddr>()
        {
            read.wrong_kind(value, "a mapping", format!("write `{{ address: {address} }}`"));
            hosts.extend(name.map(|name| Host { name, address, ssh: Ssh::default() }));
            continue;
        }
        let fields = read.fields(value, "host");
        let address = match fields.get("address") {
            Some(node) => address(read, node),
            None => {
                read.missing(value, "address", "write `address: 10.0.0.21`, as the other hosts reach it");
                None
            }
        };
        let ssh = fields.get("ssh").map(|n| ssh(read, n)).unwrap_or_default();
        hosts.extend(name.map(|name| Host { name, address: address.unwrap_or(NO_ADDRESS), ssh }));
    }
    hosts
}

fn ssh(read: &mut Reader<'_>, node: &Node) -> Ssh {
    let fields = read.fields(node, "host.ssh");
    Ssh {
        user: fields.get("user").and_then(|n| read.word(n, "a user name")),
        port: fields.get("port").and_then(|n| read.port(n)),
        jump: fields.get("jump").and_then(|n| read.word(n, "a jump host")),
    }
}

/// An address that another host can connect to.
fn address(read: &mut Reader<'_>, node: &Node) -> Option<IpAddr> {
    let address = read.address(node)?;
    let fault = match address {
        a if a.is_unspecified() => "stands for every address",
        a if a.is_multicast() => "is a multicast address",
        IpAddr::V4(a) if a.is_broadcast() => "is the broadcast address",
        IpAddr::V6(a) if a.to_ipv4_mapped().is_some() => "is an IPv4 address in IPv6's clothes",
        IpAddr::V6(a) if a.is_unicast_link_local() => "is a link-local address, which means nothing without its link",
        _ => return Some(address),
    };
    let help = match address {
        IpAddr::V6(a) if a.to_ipv4_mapped().is_some() => {
            format!("write {}", a.to_ipv4_mapped().unwrap_or(Ipv4Addr::UNSPECIFIED))
        }
        _ => "write the address that the other hosts reach this one by".to_owned(),
    };
    let problem = Problem::error(format!("`{}` {fault}", read.name(node)));
    read.refuse(problem.at(read.value(node), "no host has this address").help(help));
    None
}

/// A list of hosts that something runs on.
pub fn on(read: &mut Reader<'_>, section: &Node, node: Option<&Node>) -> Vec<HostName> {
    match node {
        Some(node) => {
            let help = "name one host at least: `on: [web-01]`, or remove the section";
            read.some_words(node, "a host name", help)
        }
        None => {
            read.missing(section, "on", "write the hosts that it runs on: `on: [web-01, web-02]`");
            Vec::new()
        }
    }
}

/// One host that something needs.
pub fn one(read: &mut Reader<'_>, section: &Node, key: &str, node: Option<&Node>) -> Option<HostName> {
    match node {
        Some(node) => read.word(node, "a host name"),
        None => {
            read.missing(section, key, &format!("write the host: `{key}: {}`", harmless::<HostName>("web-01")));
            None
        }
    }
}

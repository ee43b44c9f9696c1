//! The packet filter: what it lets in follows from who listens where for whom, so that no rule is ever written twice.
//! How a ruleset gets onto a host without locking anyone out is the resource's business.

mod checks;
mod listening;
pub mod openings;
mod origin;
mod outside;

use super::{
    Check, Component, Desired, Endpoint, Peers,
    names::HAPROXY_LOCAL,
    origin::{self as why, Origin, Source},
    packages,
    site::Site,
    spec::{self, Protocol},
};
use crate::{
    base::{
        name::{HostName, JumpHost, PackageName},
        template::TemplateError,
    },
    resource::{Key, ruleset::Ruleset},
};
use ipnet::IpNet;
use serde::Serialize;
use std::{collections::BTreeSet, net::IpAddr};

const NAME: &str = "firewall";

/// The template of the ruleset.
const TEMPLATE: &str = "firewall/firewall.nft.tera";

/// `firewall:`
#[derive(Debug)]
pub struct Firewall {
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Serialize)]
struct Set {
    name: String,
    kind: &'static str,
    is_interval: bool,
    elements: Vec<String>,
    #[serde(skip)]
    from: Vec<Source>,
}

#[derive(Debug, Serialize)]
struct Rule {
    family: &'static str,
    set: Option<String>,
    protocol: Protocol,
    port: u16,
    comment: String,
    #[serde(skip)]
    from: Vec<Source>,
}

#[derive(Debug, Default, Serialize)]
struct Context {
    operator: &'static str,
    sets: Vec<Set>,
    rules: Vec<Rule>,
}

/// One thing that is let in.
struct Opening<'a> {
    /// What the sets are named by.
    set: &'a str,
    protocol: Protocol,
    port: u16,
    /// From these networks; from everywhere where there are none named.
    from: Option<Vec<IpNet>>,
    comment: &'a str,
    /// The keys that open the port.
    port_origin: Vec<Source>,
    /// The keys that say for whom.
    peers_origin: Vec<Source>,
}

impl Context {
    fn allow(&mut self, opening: Opening<'_>) {
        let Opening { set, protocol, port, from, comment, port_origin, peers_origin } = opening;
        let mut rule = |family, set: Option<String>| {
            let from = port_origin.clone();
            self.rules.push(Rule { family, set, protocol, port, comment: comment.to_owned(), from });
        };
        let Some(from) = from else { return rule("", None) };
        // Overlapping networks in one set are an error to nft 1.0: they are joined here.
        let from = IpNet::aggregate(&from);
        for (family, kind, is_v4) in [("ip", "ipv4_addr", true), ("ip6", "ipv6_addr", false)] {
            let mut nets: Vec<IpNet> = from.iter().filter(|n| n.addr().is_ipv4() == is_v4).copied().collect();
            if nets.is_empty() {
                continue;
            }
            nets.sort();
            let name = format!("{set}_{}", if is_v4 { "v4" } else { "v6" });
            rule(family, Some(name.clone()));
            let is_host = |n: &IpNet| n.prefix_len() == n.max_prefix_len();
            let word = |n: &IpNet| if is_host(n) { n.addr().to_string() } else { n.trunc().to_string() };
            self.sets.push(Set {
                name,
                kind,
                is_interval: !nets.iter().all(is_host),
                elements: nets.iter().map(word).collect(),
                from: peers_origin.clone(),
            });
        }
    }
}

/// The ports that sshd is reached on, as the topology has it.
fn ssh_port(site: &Site, host: &HostName) -> u16 {
    site.host(host).and_then(|h| h.ssh.port).unwrap_or(22)
}

/// Who may use SSH: the operator's networks, and the hosts that others are reached through; none where everyone may.
fn admins(site: &Site) -> Option<Vec<IpNet>> {
    let mut from = site.topology.firewall.admin_from.clone();
    if from.is_empty() {
        return None;
    }
    let hosts = &site.topology.hosts;
    let jumps = hosts.iter().filter_map(|h| h.ssh.jump.as_ref());
    from.extend(jumps.filter_map(|jump| hosts.iter().find(|h| is_jump(jump, h))).map(|h| IpNet::from(h.address)));
    Some(from)
}

/// Whether a jump host is that host of the site, by its name or its address.
fn is_jump(jump: &JumpHost, host: &spec::Host) -> bool {
    let place = jump.as_str().rsplit('@').next().unwrap_or_default();
    let bare = place.strip_prefix('[').and_then(|p| p.split_once(']')).map(|(address, _)| address);
    let bare = bare.or_else(|| place.split_once(':').filter(|(_, port)| !port.contains(':')).map(|(name, _)| name));
    let bare = bare.unwrap_or(place);
    bare == host.name.as_str() || bare.parse().is_ok_and(|address: IpAddr| address == host.address)
}

/// What the sets of an endpoint's peers are called.
fn set_name(endpoint: &Endpoint) -> String {
    let Endpoint { component, port, .. } = endpoint;
    match endpoint.protocol {
        Protocol::Tcp => format!("{component}_{port}"),
        Protocol::Udp => format!("{component}_udp_{port}"),
        Protocol::Vrrp => component.to_string(),
    }
}

/// The networks that an endpoint's peers are; `None` is everyone.
fn networks(site: &Site, peers: &Peers) -> Option<Vec<IpNet>> {
    match peers {
        Peers::Anyone => None,
        Peers::Hosts(hosts) => Some(hosts.iter().map(|h| IpNet::from(site.address(h))).collect()),
        Peers::Networks(nets) => Some(nets.clone()),
        Peers::Loopback => Some(Vec::new()),
    }
}

impl Firewall {
    /// For a site whose components listen there.
    pub fn new(endpoints: Vec<Endpoint>) -> Self {
        Self { endpoints }
    }

    fn context(&self, site: &Site, host: &HostName) -> Context {
        let mut context = Context { operator: Ruleset::OPERATOR, ..Context::default() };
        context.allow(Opening {
            set: "ssh",
            protocol: Protocol::Tcp,
            port: ssh_port(site, host),
            from: admins(site),
            comment: "ssh",
            port_origin: origin::ssh(host),
            peers_origin: origin::admins(site),
        });
        for endpoint in self.endpoints.iter().filter(|e| e.host == *host && e.from != Peers::Loopback) {
            context.allow(Opening {
                set: &set_name(endpoint),
                protocol: endpoint.protocol,
                port: endpoint.port,
                from: networks(site, &endpoint.from),
                comment: endpoint.component,
                port_origin: origin::endpoint(site, endpoint),
                peers_origin: origin::peers(endpoint),
            });
        }
        for (n, extra) in self.extra(site, host) {
            let way = |field: &str| vec![why::key(["firewall", "allow", &n.to_string(), field])];
            context.allow(Opening {
                set: &format!("allow_{n}"),
                protocol: extra.protocol,
                port: extra.port,
                from: (!extra.from.is_empty()).then(|| extra.from.clone()),
                comment: "firewall.allow",
                port_origin: way("port"),
                peers_origin: way("from"),
            });
        }
        context
    }

    fn rendered(&self, site: &Site, host: &HostName) -> Result<String, TemplateError> {
        site.templates.render(TEMPLATE, &self.context(site, host))
    }

    /// The extra rules of a host, by their place in the topology.
    fn extra<'a>(&self, site: &'a Site, host: &HostName) -> impl Iterator<Item = (usize, &'a super::spec::Allow)> {
        let is_here = move |a: &super::spec::Allow| a.on.is_empty() || a.on.contains(host);
        site.topology.firewall.allow.iter().enumerate().filter(move |(_, a)| is_here(a)).collect::<Vec<_>>().into_iter()
    }

    /// The TCP ports that are tried on a host: all that anything in the stack listens on anywhere, and its own for SSH.
    fn ports(&self, site: &Site, to: &HostName) -> BTreeSet<u16> {
        let of_stack = self.endpoints.iter().filter(|e| e.protocol == Protocol::Tcp).map(|e| e.port);
        of_stack.chain([80, 443, 3306, HAPROXY_LOCAL, ssh_port(site, to)]).collect()
    }

    /// The networks from which a TCP connection to a port of a host is let in; none where everyone is.
    fn admitted(&self, site: &Site, to: &HostName, port: u16) -> Option<Vec<IpNet>> {
        let endpoints =
            self.endpoints.iter().filter(|e| e.protocol == Protocol::Tcp && e.host == *to && e.port == port);
        let extra = self.extra(site, to).filter(|(_, a)| a.protocol == Protocol::Tcp && a.port == port);
        let ssh = (port == ssh_port(site, to)).then(|| admins(site));
        let each = endpoints.map(|e| networks(site, &e.from));
        let each = each.chain(extra.map(|(_, a)| (!a.from.is_empty()).then(|| a.from.clone()))).chain(ssh);
        each.collect::<Option<Vec<_>>>().map(|all| all.concat())
    }

    /// Whether a host may open a TCP connection to a port of another one.
    fn lets_in(&self, site: &Site, from: IpAddr, to: &HostName, port: u16) -> bool {
        self.admitted(site, to, port).is_none_or(|nets| nets.iter().any(|n| n.contains(&from)))
    }
}

impl Component for Firewall {
    fn name(&self) -> &'static str {
        NAME
    }

    fn packages(&self, _site: &Site, _host: &HostName) -> Vec<PackageName> {
        packages(["nftables"])
    }

    fn endpoints(&self, _site: &Site) -> Vec<Endpoint> {
        Vec::new()
    }

    fn resources(&self, site: &Site, desired: &mut Desired) -> Result<(), TemplateError> {
        let within = site.topology.firewall.confirm_within.duration().as_secs();
        let confirm_within = u32::try_from(within).unwrap_or(u32::MAX);
        // One host goes first: where nobody can log in any more, it is the only one that has to put its rules back.
        let first = site.hosts().next();
        for host in site.hosts() {
            let text = self.rendered(site, host)?;
            let admin_from = admins(site).unwrap_or_default();
            let after = first.filter(|first| *first != host).map(|first| Key::new(first, Ruleset::key()));
            desired.want(host, Ruleset { text, admin_from, template: TEMPLATE, confirm_within }, after);
        }
        Ok(())
    }

    fn checks(&self, site: &Site) -> Vec<Check> {
        checks::all(self, site)
    }

    fn origins(&self, site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
        origin::all(self, site, host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::{all, testing};

    #[test]
    fn a_jump_host_of_the_site_is_known_by_its_name_and_by_its_address() {
        let host = |address: &str| spec::Host {
            name: "lb-01".parse().unwrap(),
            address: address.parse().unwrap(),
            ssh: spec::Ssh::default(),
        };
        let is = |jump: &str, address: &str| is_jump(&jump.parse().unwrap(), &host(address));
        for jump in ["lb-01", "admin@lb-01", "admin@lb-01:2222", "lb-01:22", "10.77.0.11", "root@10.77.0.11:22"] {
            assert!(is(jump, "10.77.0.11"), "{jump}");
        }
        assert!(is("[fd00::1]:22", "fd00::1") && is("a@[fd00::1]", "fd00::1") && is("fd00::1", "fd00::1"));
        for jump in ["lb-011", "lb-01.example.com", "10.77.0.1", "lb-02:22"] {
            assert!(!is(jump, "10.77.0.11"), "{jump}");
        }
        let mut topology = testing::topology();
        topology.firewall.admin_from = vec!["203.0.113.0/24".parse().unwrap()];
        topology.hosts[1].ssh.jump = Some("admin@lb-01:22".parse().unwrap());
        let from = admins(&testing::site(topology)).unwrap();
        assert_eq!(from.iter().map(ToString::to_string).collect::<Vec<_>>(), ["203.0.113.0/24", "10.77.0.11/32"]);
    }

    #[test]
    fn one_host_gets_its_rules_before_all_others() {
        let site = testing::site(testing::topology());
        let mut desired = Desired::default();
        for component in all(&site).iter().filter(|c| c.name() == "firewall") {
            component.resources(&site, &mut desired).unwrap();
        }
        let first = Key::new(&"lb-01".parse().unwrap(), Ruleset::key());
        let after: Vec<_> = desired.wanted.iter().map(|w| (w.host.as_str(), w.after.clone())).collect();
        assert_eq!(after[0], ("lb-01", vec![]));
        assert!(after.len() > 2 && after[1..].iter().all(|(_, after)| *after == [first.clone()]), "{after:?}");
    }
}

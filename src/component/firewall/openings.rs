//! All that the packet filters of a site let in, as one list for whoever shows it. The rules themselves are made next door,
//! from the same endpoints.

use super::{admins, ssh_port};
use crate::{
    base::name::HostName,
    component::{
        Endpoint, Peers, all,
        site::Site,
        spec::{Allow, Protocol},
    },
};

/// What the rule for logins is called.
pub const SSH: &str = "ssh";
/// What the user's own rules are called: by their key.
pub const ALLOW: &str = "firewall.allow";

/// Every opening of every host: logins, what the components listen for, the user's own rules. Loopback is none.
pub fn openings(site: &Site) -> Vec<Endpoint> {
    let ssh = |host: &HostName| Endpoint {
        component: SSH,
        host: host.clone(),
        protocol: Protocol::Tcp,
        port: ssh_port(site, host),
        from: admins(site).map_or(Peers::Anyone, Peers::Networks),
    };
    let of_components = all(site).into_iter().flat_map(|c| c.endpoints(site)).filter(is_open);
    let extra = |allow: &Allow| -> Vec<Endpoint> {
        let is_here = |host: &&HostName| allow.on.is_empty() || allow.on.contains(host);
        let from = if allow.from.is_empty() { Peers::Anyone } else { Peers::Networks(allow.from.clone()) };
        let (protocol, port) = (allow.protocol, allow.port);
        let on =
            |host: &HostName| Endpoint { component: ALLOW, host: host.clone(), protocol, port, from: from.clone() };
        site.hosts().filter(is_here).map(on).collect()
    };
    site.hosts().map(ssh).chain(of_components).chain(site.topology.firewall.allow.iter().flat_map(extra)).collect()
}

/// Whether anybody else gets in at all.
fn is_open(endpoint: &Endpoint) -> bool {
    endpoint.from != Peers::Loopback && endpoint.from != Peers::Hosts(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::{Component as _, firewall::Firewall, testing};

    /// The list and the ruleset that is pushed come from one source: what one has, the other has.
    #[test]
    fn what_is_listed_is_what_the_rules_let_in() {
        let mut topology = testing::topology();
        topology.firewall.admin_from = vec!["10.77.0.0/24".parse().unwrap()];
        topology.firewall.allow =
            vec![Allow { on: vec!["lb-01".parse().unwrap()], protocol: Protocol::Udp, port: 8125, from: Vec::new() }];
        let site = testing::site(topology);
        let endpoints = all(&site).iter().flat_map(|c| c.endpoints(&site)).collect();
        let firewall = Firewall::new(endpoints);
        assert_eq!(firewall.name(), "firewall");
        for host in site.hosts() {
            let rules = firewall.rendered(&site, host).unwrap();
            let listed: Vec<Endpoint> = openings(&site).into_iter().filter(|e| e.host == *host).collect();
            for opening in &listed {
                assert!(rules.contains(&format!("dport {}", opening.port)), "{opening:?} is not in\n{rules}");
            }
            // One rule more is the host's own: answers of DHCP.
            let ports = rules.matches("dport ").count() - rules.matches("dport 546").count();
            assert_eq!(ports, listed.len(), "{host}: {listed:#?}\n{rules}");
        }
    }
}

//! What proves that nothing listens on a host beside what the topology has there: the packet filter keeps others from it,
//! and a filter is one mistake away from being open.

use super::{Firewall, NAME, ssh_port};
use crate::{
    base::{name::HostName, script::Script},
    component::{Answer, Check, Endpoint, Peers, Verdict, site::Site, spec::Protocol},
};
use std::collections::{BTreeMap, BTreeSet};

/// UDP ports of clients that are bound while they wait for their answers: DHCP (RFC 2131, RFC 8415) and NTP (RFC 5905).
const CLIENTS: [u16; 3] = [68, 546, 123];

/// The first port that a host gives to who asks for any, where it does not say (`ip_local_port_range`).
const EPHEMERAL: u16 = 32768;

/// What may listen for others, and what for the host itself alone.
#[derive(Clone, Debug, Default)]
struct Declared {
    open: BTreeSet<(Kind, u16)>,
    own: BTreeMap<(Kind, u16), &'static str>,
}

/// TCP or UDP, by `ss`'s word.
type Kind = &'static str;

fn word(protocol: Protocol) -> Option<Kind> {
    match protocol {
        Protocol::Tcp => Some("tcp"),
        Protocol::Udp => Some("udp"),
        Protocol::Vrrp => None,
    }
}

fn declared(firewall: &Firewall, site: &Site, host: &HostName) -> Declared {
    let mut declared = Declared::default();
    declared.open.insert(("tcp", ssh_port(site, host)));
    for Endpoint { component, protocol, port, from, .. } in firewall.endpoints.iter().filter(|e| e.host == *host) {
        let Some(protocol) = word(*protocol) else { continue };
        match from {
            Peers::Loopback => drop(declared.own.insert((protocol, *port), component)),
            _ => drop(declared.open.insert((protocol, *port))),
        }
    }
    declared.open.extend(firewall.extra(site, host).filter_map(|(_, a)| Some((word(a.protocol)?, a.port))));
    declared
}

/// Every socket of a host that others could reach.
pub(super) fn check(firewall: &Firewall, site: &Site, host: &HostName) -> Check {
    let declared = declared(firewall, site, host);
    let script = Script::new()
        .line("cat /proc/sys/net/ipv4/ip_local_port_range")
        .line("command -v ss >/dev/null || exit 1")
        .line("ss -Hltnup && echo end");
    Check::new(NAME, host, "nothing listens but what is declared", script, move |answer| judge(answer, &declared))
}

/// One line of `ss -Hltnup`: protocol, port and process of a socket that is not on loopback.
fn socket(line: &str) -> Option<(&str, u16, &str)> {
    let mut fields = line.split_whitespace();
    let (protocol, local) = (fields.next()?, fields.nth(3)?);
    let (address, port) = local.rsplit_once(':')?;
    let (address, interface) = address.split_once('%').unwrap_or((address, ""));
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let is_own = address.parse::<std::net::IpAddr>().is_ok_and(|a| a.to_canonical().is_loopback());
    if is_own || interface.trim_end_matches(']') == "lo" {
        return None;
    }
    let process = line.split_once("((\"").and_then(|(_, rest)| rest.split('"').next());
    Some((protocol, port.parse().ok()?, process.unwrap_or("the kernel")))
}

fn judge(answer: &Answer, declared: &Declared) -> Verdict {
    if !answer.stdout.lines().any(|l| l == "end") {
        return Verdict::Error("`ss` does not tell what listens: is iproute2 installed?".into());
    }
    let mut lines = answer.stdout.lines();
    let first = lines.next().and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(EPHEMERAL);
    let sockets: BTreeSet<(&str, u16, &str)> = lines.filter_map(socket).collect();
    // A socket of UDP that waits for an answer looks like one that waits for anybody.
    let is_client = |protocol: &str, port: u16| protocol == "udp" && (CLIENTS.contains(&port) || port >= first);
    let mut beside = Vec::new();
    let mut wide = Vec::new();
    for (protocol, port, process) in &sockets {
        let at = (*protocol, *port);
        if declared.open.iter().any(|open| *open == at) || is_client(protocol, *port) {
            continue;
        }
        match declared.own.iter().find(|(own, _)| **own == at) {
            Some((_, component)) => wide.push(format!(
                "{process} listens for others on {protocol} {port}, which {component} has for this host alone"
            )),
            None => beside.push(format!("{process} on {protocol} {port}")),
        }
    }
    if !beside.is_empty() {
        let them = if beside.len() == 1 { "it" } else { "them" };
        wide.push(format!(
            "{}: stop {them}, have {them} listen on loopback, or declare {them} in `firewall.allow` (`from: [127.0.0.1/32]` opens nothing)",
            beside.join(", ")
        ));
    }
    Verdict::when(
        wide.is_empty(),
        if wide.is_empty() { format!("{} sockets, each declared", sockets.len()) } else { wide.join("; ") },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::{all, testing};

    const LINES: &str = "\
32768\t60999
tcp LISTEN 0      128        0.0.0.0:22   0.0.0.0:* users:((\"sshd\",pid=68,fd=6))
tcp LISTEN 0      511    10.77.0.21:80   0.0.0.0:* users:((\"nginx\",pid=2348,fd=5),(\"nginx\",pid=2347,fd=5))
tcp LISTEN 0      2048     127.0.0.1:8000 0.0.0.0:* users:((\"gunicorn\",pid=3096,fd=5))
udp UNCONN 0      0      127.0.0.53%lo:53   0.0.0.0:* users:((\"systemd-resolve\",pid=1,fd=5))
udp UNCONN 0      0      10.77.0.21%eth0:68   0.0.0.0:* users:((\"systemd-network\",pid=1,fd=5))
udp UNCONN 0      0      0.0.0.0:45123   0.0.0.0:* users:((\"haproxy\",pid=1,fd=5))
tcp LISTEN 0      128           [::]:22      [::]:* users:((\"sshd\",pid=68,fd=7))
tcp LISTEN 0      128           [::1]:8125      [::]:* users:((\"agent\",pid=68,fd=7))
tcp LISTEN 0      128           [::ffff:127.0.0.1]:8126      *:* users:((\"agent\",pid=68,fd=7))
";

    fn judged(more: &str) -> Verdict {
        let site = testing::site(testing::topology());
        let firewall = Firewall::new(all(&site).iter().flat_map(|c| c.endpoints(&site)).collect());
        let declared = declared(&firewall, &site, &"web-01".parse().unwrap());
        judge(&Answer { status: 0, stdout: format!("{LINES}{more}end\n"), ..Answer::default() }, &declared)
    }

    #[test]
    fn what_nobody_declared_is_named_with_its_process() {
        assert_eq!(judged(""), Verdict::Pass("4 sockets, each declared".into()));
        let fails = |more: &str, text: &str| match judged(more) {
            Verdict::Fail(said) => assert!(said.contains(text), "{said}"),
            other => panic!("{other:?}"),
        };
        let line = |protocol: &str, at: &str, process: &str| {
            format!("{protocol} LISTEN 0 80 {at} *:* users:((\"{process}\",pid=1,fd=5))\n")
        };
        fails(&line("tcp", "0.0.0.0:4444", "nc"), "nc on tcp 4444: stop it");
        fails(&line("tcp", "*:4444", "nc"), "nc on tcp 4444");
        fails(&line("udp", "0.0.0.0:111", "rpcbind"), "rpcbind on udp 111");
        fails(&line("tcp", "[fe80::1]%eth0:111", "rpcbind"), "rpcbind on tcp 111");
        fails("tcp LISTEN 0 64 0.0.0.0:2049 0.0.0.0:*\n", "the kernel on tcp 2049");
        fails(&line("tcp", "0.0.0.0:8000", "gunicorn"), "gunicorn listens for others on tcp 8000, which app has");
        fails(&line("udp", "0.0.0.0:22", "nc"), "nc on udp 22");
        let both = line("tcp", "0.0.0.0:4444", "nc") + &line("tcp", "[::]:5355", "resolved");
        fails(&both, "nc on tcp 4444, resolved on tcp 5355: stop them");
    }

    #[test]
    fn half_an_answer_is_no_answer() {
        assert!(matches!(judge(&Answer::default(), &Declared::default()), Verdict::Error(_)));
        let cut = Answer { status: 1, stdout: LINES.into(), ..Answer::default() };
        assert!(matches!(judge(&cut, &Declared::default()), Verdict::Error(_)));
    }

    #[test]
    fn what_is_declared_without_being_opened_may_listen() {
        let mut topology = testing::topology();
        let allow = crate::component::spec::Allow {
            on: vec![],
            protocol: Protocol::Udp,
            port: 161,
            from: vec!["127.0.0.1/32".parse().unwrap()],
        };
        topology.firewall.allow.push(allow);
        let site = testing::site(topology);
        let firewall = Firewall::new(Vec::new());
        let host = "web-01".parse().unwrap();
        assert!(declared(&firewall, &site, &host).open.contains(&("udp", 161)));
        assert!(!firewall.lets_in(&site, site.address(&host), &host, 161));
    }
}

//! What proves the packet filter from outside: this machine, which no rule names but for SSH, tries every other port of every
//! host while the hosts try each other. Where it stands for them, they tell by the login that it came by.

use super::{Firewall, NAME, ssh_port};
use crate::{
    base::{
        name::HostName,
        reach::{Reach, Try},
        script::Script,
    },
    component::{Answer, Check, Peers, Verdict, site::Site, spec::Protocol},
};
use ipnet::IpNet;
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// How long a port that lets everyone in is waited for: long enough for a packet that is lost once.
const LET_IN: Duration = Duration::from_secs(3);
/// How long any other is, since most of them drop what comes: the first packet is repeated after a second.
const DROPPED: Duration = Duration::from_millis(1200);

/// A port of a host, as seen from this machine.
#[derive(Clone, Debug)]
struct Door {
    port: u16,
    /// Whether somebody is known to listen there.
    is_served: bool,
    /// Who is let in; none where everyone is.
    admitted: Option<Vec<IpNet>>,
}

impl Door {
    fn lets_in(&self, from: IpAddr) -> bool {
        self.admitted.as_ref().is_none_or(|nets| nets.iter().any(|n| n.contains(&from)))
    }
}

/// One check a host.
pub(super) fn check(firewall: &Firewall, site: &Site, host: &HostName) -> Check {
    let address = site.address(host);
    let served = |port: u16| {
        let listens = |e: &super::Endpoint| {
            e.protocol == Protocol::Tcp && e.host == *host && e.port == port && e.from != Peers::Loopback
        };
        firewall.endpoints.iter().any(listens)
    };
    let door = |port: u16| Door { port, is_served: served(port), admitted: firewall.admitted(site, host, port) };
    // This came by sshd's; who knocks there and goes away again may be barred for it.
    let ssh = ssh_port(site, host);
    let doors: Vec<Door> = firewall.ports(site, host).into_iter().filter(|port| *port != ssh).map(door).collect();
    let within = |door: &Door| if door.admitted.is_none() { LET_IN } else { DROPPED };
    let tries = doors.iter().map(|d| Try { to: SocketAddr::new(address, d.port), within: within(d) }).collect();
    let script = Script::new()
        .line("set -- ${SSH_CONNECTION:-none}; printf '%s %s\\n' \"$1\" \"${3:--}\"")
        .line("case \" $(hostname -I 2>/dev/null) \" in *\" $1 \"*) echo self ;; esac");
    let title = "from this machine only the declared ways are open";
    Check::new(NAME, host, title, script, move |answer| judge(answer, address, &doors)).trying(tries)
}

fn judge(answer: &Answer, address: IpAddr, doors: &[Door]) -> Verdict {
    let mut lines = answer.stdout.lines();
    let login = lines.next().unwrap_or_default().split_once(' ');
    let Some((Ok(from), Ok(at))) = login.map(|(from, at)| (from.parse::<IpAddr>(), at.parse::<IpAddr>())) else {
        return Verdict::Error("it does not tell which login this came by".into());
    };
    if lines.any(|line| line == "self") {
        return Verdict::Pass("this machine is that very host".into());
    }
    let met = |door: &Door| answer.reached.get(&SocketAddr::new(address, door.port)).copied();
    if at != address || answer.reached.is_empty() {
        // Over a jump host, or at another address: nothing was tried, or what answered here may be anybody.
        return Verdict::Pass(format!("{address} is not reached from here directly, so nothing is told of it"));
    }
    let wrong = doors.iter().filter_map(|door| {
        let Some(met) = met(door) else { return Some(format!("{} was not tried", door.port)) };
        let is_let_in = door.lets_in(from);
        let is_right = match met {
            Reach::Open => is_let_in,
            Reach::Refused => is_let_in && !door.is_served,
            // Somebody on the way may turn it back as well.
            Reach::Silent | Reach::Unreachable => !is_let_in,
        };
        let should = if is_let_in { "open" } else { "closed" };
        (!is_right).then(|| format!("{} should be {should} and is {}", door.port, met.word()))
    });
    let wrong: Vec<String> = wrong.collect();
    let open = doors.iter().filter(|d| d.lets_in(from)).count();
    let tried = format!("as {from}: {open} are open, {} are closed", doors.len() - open);
    if wrong.is_empty() { Verdict::Pass(tried) } else { Verdict::Fail(format!("as {from}: {}", wrong.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::{all, testing};

    const ADDRESS: &str = "10.77.0.11";

    fn verdict(login: &str, met: &[(u16, Reach)]) -> Verdict {
        let site = testing::site(testing::topology());
        let firewall = Firewall::new(all(&site).iter().flat_map(|c| c.endpoints(&site)).collect());
        let check = check(&firewall, &site, &"lb-01".parse().unwrap());
        let mut reached: crate::base::reach::Reached = check.tries.iter().map(|t| (t.to, Reach::Silent)).collect();
        for port in [80, 443] {
            reached.insert(SocketAddr::new(ADDRESS.parse().unwrap(), port), Reach::Open);
        }
        for (port, how) in met {
            let known = reached.insert(SocketAddr::new(ADDRESS.parse().unwrap(), *port), *how);
            assert!(known.is_some(), "{port} is not tried");
        }
        check.verdict(&Answer { stdout: login.into(), reached, ..Answer::default() })
    }

    #[test]
    fn what_a_stranger_gets_into_is_named() {
        let login = "203.0.113.9 10.77.0.11\n";
        assert!(matches!(verdict(login, &[]), Verdict::Pass(said) if said.starts_with("as 203.0.113.9: 2 are open, ")));
        let wrong =
            |met: &[(u16, Reach)]| if let Verdict::Fail(said) = verdict(login, met) { said } else { panic!("{met:?}") };
        assert_eq!(wrong(&[(3306, Reach::Open)]), "as 203.0.113.9: 3306 should be closed and is open");
        assert_eq!(wrong(&[(3306, Reach::Refused)]), "as 203.0.113.9: 3306 should be closed and is refused");
        assert_eq!(
            wrong(&[(443, Reach::Silent), (80, Reach::Refused)]),
            "as 203.0.113.9: 80 should be open and is refused; 443 should be open and is silent"
        );
    }

    #[test]
    fn a_host_of_the_stack_is_let_in_where_the_others_are() {
        // As web-01 reaches nothing more of a balancer than visitors do, and no port of its own loopback.
        assert!(matches!(verdict("10.77.0.21 10.77.0.11\n", &[]), Verdict::Pass(_)));
        assert_eq!(
            verdict("10.77.0.11 10.77.0.11\nself\n", &[]),
            Verdict::Pass("this machine is that very host".into())
        );
    }

    #[test]
    fn nothing_is_told_of_an_address_that_is_not_reached_from_here() {
        let said = |v: Verdict| if let Verdict::Pass(said) = v { said } else { panic!("{v:?}") };
        // Behind another address, and where nothing was tried.
        assert!(said(verdict("203.0.113.9 192.168.7.4\n", &[(3306, Reach::Open)])).contains("not reached from here"));
        let site = testing::site(testing::topology());
        let not_tried = check(&Firewall::new(Vec::new()), &site, &"lb-01".parse().unwrap());
        let answer = Answer { stdout: "203.0.113.9 10.77.0.11\n".into(), ..Answer::default() };
        assert!(said(not_tried.verdict(&answer)).contains("not reached from here"));
        assert!(matches!(verdict("none -\n", &[]), Verdict::Error(_)) && matches!(verdict("", &[]), Verdict::Error(_)));
    }
}

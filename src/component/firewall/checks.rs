//! What proves the packet filter live: the table that was loaded is the one that stands, and every pair of hosts connects
//! where it should and nowhere else, tried from the true source.

use super::{Firewall, NAME, listening, outside, ssh_port};
use crate::{
    base::{name::HostName, script::Script},
    component::{Answer, Check, Peers, Verdict, site::Site, spec::Protocol},
    resource::armed,
};
use std::{collections::BTreeMap, net::IpAddr};

/// One connection that is tried, and what it should meet.
#[derive(Clone, Debug)]
struct Edge {
    to: HostName,
    address: IpAddr,
    port: u16,
    is_allowed: bool,
    /// Whether sshd is behind it.
    is_ssh: bool,
    /// Whether somebody is known to listen there.
    is_served: bool,
}

/// Every check of every host.
pub fn all(firewall: &Firewall, site: &Site) -> Vec<Check> {
    let mut checks = Vec::new();
    for host in site.hosts() {
        checks.push(loaded(host));
        checks.push(confirmed(host));
        checks.push(listening::check(firewall, site, host));
        checks.push(outside::check(firewall, site, host));
        let edges = edges(firewall, site, host);
        if !edges.is_empty() {
            checks.push(connects(host, edges));
        }
    }
    checks
}

fn loaded(host: &HostName) -> Check {
    let script = Script::new()
        .line("nft -s list table inet foobar | sha256sum | cut -c 1-64")
        .line("cut -d ' ' -f 1 /var/lib/foobar/firewall.loaded")
        .line("systemctl is-enabled foobar-firewall.service");
    Check::new(NAME, host, "its rules are loaded, unchanged, and will be at boot", script, |answer| {
        match answer.stdout.lines().collect::<Vec<_>>()[..] {
            [live, loaded, "enabled"] if live == loaded => Verdict::Pass("as loaded by foobar".into()),
            [live, loaded, "enabled"] if live != loaded => Verdict::Fail("the table was changed at run time".into()),
            _ => Verdict::Fail("foobar's table is not loaded, or would not be at boot; `foobar apply` loads it".into()),
        }
    })
}

fn confirmed(host: &HostName) -> Check {
    let script = Script::new()
        .line(format!("for dir in {}/*/; do [ ! -d \"$dir\" ] || echo \"$dir\"; done", armed::DIR))
        .line("systemctl list-units --all --plain --no-legend 'foobar-*-revert.*' | cut -d ' ' -f 1")
        .line("echo end");
    Check::new(NAME, host, "nothing waits for a confirmation", script, |answer| {
        match answer.stdout.lines().collect::<Vec<_>>()[..] {
            ["end"] => Verdict::Pass("nothing is armed".into()),
            [ref left @ .., "end"] => Verdict::Fail(format!(
                "new rules wait for their confirmation, or for the time when the former ones come back: {}",
                left.join(", ")
            )),
            _ => Verdict::Error("it did not tell".into()),
        }
    })
}

/// Every TCP port that anything in the stack listens on, on every other host. Where sshd lets anybody in, nobody knocks and
/// goes away: it may take that for an attack (fail2ban's aggressive mode, OpenSSH's PerSourcePenalties) and bar the address,
/// which may be a jump host's. Whether a datagram arrives, only an answer
/// tells: the components that speak UDP ask for one themselves.
fn edges(firewall: &Firewall, site: &Site, from: &HostName) -> Vec<Edge> {
    let source = site.address(from);
    let mut edges = Vec::new();
    for to in site.hosts().filter(|h| *h != from) {
        for port in firewall.ports(site, to) {
            if port == ssh_port(site, to) && firewall.lets_in(site, source, to, port) {
                continue;
            }
            let listens = |e: &&super::Endpoint| {
                e.protocol == Protocol::Tcp && e.host == *to && e.port == port && e.from != Peers::Loopback
            };
            edges.push(Edge {
                to: to.clone(),
                address: site.address(to),
                port,
                is_allowed: firewall.lets_in(site, source, to, port),
                is_ssh: port == ssh_port(site, to),
                is_served: port == ssh_port(site, to) || firewall.endpoints.iter().any(|e| listens(&e)),
            });
        }
    }
    edges
}

/// Opens all connections at once from one process, since a host has many others: `try ADDRESS,PORT,SECONDS…` says of each `open`,
/// `refused` (the packet went through and nobody listens), `silent` (it was dropped) or `unreachable`. What should be closed
/// (it is given less than two seconds) is then tried over IPv6 too, where no topology says an address: at the one of the
/// link that follows from the hardware address behind the IPv4 address (RFC 4291, appendix A), which the kernel gives to each
/// interface. A host that goes by one of another kind there is not found so. perl is on every Debian.
const TRY: &str = r#"try() { perl -e '
  use strict; use Socket qw(:all);
  my (%open, %early);
  my $now = sub { open(my $f, "<", "/proc/uptime") or exit 1; (split " ", <$f>)[0] };
  my $say = sub { my ($label, $port, $how) = @_; syswrite(STDOUT, "$label $port $how\n") };
  my $how = sub { $_[0] == 111 ? "refused" : "unreachable" };
  my $try = sub {
    my ($label, $family, $to, $port, $end) = @_;
    socket(my $s, $family, SOCK_STREAM | SOCK_NONBLOCK, 0) or return $say->($label, $port, "unreachable");
    if (connect($s, $to)) { $say->($label, $port, "open") }
    elsif ($! == 115) { $open{fileno($s)} = [$s, $label, $port, $end] }
    else { $say->($label, $port, $how->($! + 0)) }
  };
  my $wait = sub {
    my ($until) = @_;
    while (%open) {
      my $left = $until - $now->();
      last if $left <= 0;
      my $bits = "";
      vec($bits, $_, 1) = 1 for keys %open;
      select(undef, my $ready = $bits, undef, $left < 0.05 ? $left : 0.05);
      for my $n (keys %open) {
        my ($s, $label, $port, $end) = @{$open{$n}};
        if (vec($ready, $n, 1)) {
          my $error = unpack("i", getsockopt($s, SOL_SOCKET, SO_ERROR));
          $say->($label, $port, $error ? $how->($error) : "open");
        } elsif ($now->() >= $end) { $say->($label, $port, "silent") }
        else { next }
        delete $open{$n};
      }
    }
  };
  my $begun = $now->();
  my @closed;
  for (@ARGV) {
    my ($address, $port, $seconds) = split /,/;
    my $six = inet_pton(AF_INET6, $address);
    my $to = $six ? pack_sockaddr_in6($port, $six) : pack_sockaddr_in($port, inet_pton(AF_INET, $address));
    $try->($address, $six ? AF_INET6 : AF_INET, $to, $port, $begun + $seconds);
    push @closed, [$address, $port] if $seconds < 2 && !$six;
  }
  $wait->($begun + 0.2);
  my %link;
  for (split /\n/, `ip -4 neigh 2>/dev/null`) {
    next unless /^(\S+) dev (\S+) lladdr ((?:[0-9a-f]{2}:){5}[0-9a-f]{2})/;
    my @m = map { hex } split /:/, $3;
    open(my $f, "<", "/sys/class/net/$2/ifindex") or next;
    $link{$1} = [pack("n4 C8", 0xfe80, 0, 0, 0, $m[0] ^ 2, @m[1, 2], 0xff, 0xfe, @m[3 .. 5]), int(<$f>)];
  }
  for (@closed) {
    my ($address, $port) = @$_;
    my $link = $link{$address} or next;
    $try->("six.$address", AF_INET6, pack_sockaddr_in6($port, @$link), $port, $now->() + 1.2);
  }
  $wait->($begun + 60);
' "$@"; }"#;

fn connects(host: &HostName, edges: Vec<Edge>) -> Check {
    let script = Script::new()
        .line(TRY)
        // The login that this comes by may be from this very host; then its way to SSH is open everywhere.
        .line("set -- ${SSH_CONNECTION:-none}; case \" $(hostname -I 2>/dev/null) \" in *\" $1 \"*) echo self ;; esac");
    let tries: Vec<String> =
        edges.iter().map(|e| format!("{},{},{}", e.address, e.port, if e.is_allowed { "3" } else { "1.2" })).collect();
    let script = script.line(format!("try {}", tries.join(" ")));
    let title = "only the declared ways to other hosts are open";
    Check::new(NAME, host, title, script, move |answer| judge(answer, &edges))
}

fn judge(answer: &Answer, edges: &[Edge]) -> Verdict {
    let mut seen: BTreeMap<(IpAddr, u16), &str> = BTreeMap::new();
    let mut six: BTreeMap<(IpAddr, u16), &str> = BTreeMap::new();
    for line in answer.stdout.lines() {
        if let [address, port, how] = line.split(' ').collect::<Vec<_>>()[..] {
            let (of, address) = match address.strip_prefix("six.") {
                Some(address) => (&mut six, address),
                None => (&mut seen, address),
            };
            if let (Ok(address), Ok(port)) = (address.parse(), port.parse()) {
                of.insert((address, port), how);
            }
        }
    }
    let is_control = answer.stdout.lines().any(|l| l == "self");
    let wrong: Vec<String> = edges
        .iter()
        .filter_map(|edge| {
            let how = seen.get(&(edge.address, edge.port)).copied().unwrap_or("not tried");
            let is_right = match (edge.is_allowed, how) {
                (true, "open") => true,
                (true, "refused") => !edge.is_served,
                (false, "silent") => true,
                // The control machine is one of the stack's own hosts: the operator's way in is always kept.
                (false, "open") => is_control && edge.is_ssh,
                _ => false,
            };
            let should = if edge.is_allowed { "should be open" } else { "should be closed" };
            if !is_right {
                return Some(format!("{}:{} {should} and is {how}", edge.to, edge.port));
            }
            // Refused means that the packet went through.
            let how = six.get(&(edge.address, edge.port)).copied().filter(|how| ["open", "refused"].contains(how))?;
            let is_wrong = !(edge.is_allowed || is_control && edge.is_ssh);
            is_wrong.then(|| format!("{}:{} should be closed and is {how} over IPv6", edge.to, edge.port))
        })
        .collect();
    let open = edges.iter().filter(|e| e.is_allowed).count();
    let also = if six.is_empty() { "" } else { ", over IPv6 too" };
    let tried = format!("{open} are open, {} are closed{also}", edges.len() - open);
    Verdict::when(wrong.is_empty(), if wrong.is_empty() { tried } else { wrong.join("; ") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::{all, testing};

    #[test]
    fn every_port_of_the_stack_is_tried_on_every_other_host() {
        let site = testing::site(testing::topology());
        let endpoints = all(&site).iter().flat_map(|c| c.endpoints(&site)).collect();
        let firewall = Firewall::new(endpoints);
        let seen = |from: &str| -> Vec<String> {
            let edges = edges(&firewall, &site, &from.parse().unwrap());
            edges.iter().map(|e| format!("{}:{}{}", e.to, e.port, if e.is_allowed { "" } else { "!" })).collect()
        };
        let from_balancer = seen("lb-01");
        for edge in ["web-01:80", "web-01:443!", "web-01:3306!", "web-01:8000!", "web-01:8404!"] {
            assert!(from_balancer.contains(&edge.to_owned()), "{edge} not in {from_balancer:?}");
        }
        assert!(!from_balancer.iter().any(|edge| edge.ends_with(":22")), "{from_balancer:?}");
        let from_web = seen("web-02");
        for edge in ["lb-01:443", "lb-01:80", "lb-01:8404!", "web-01:80!", "web-01:8000!"] {
            assert!(from_web.contains(&edge.to_owned()), "{edge} not in {from_web:?}");
        }
    }

    #[test]
    fn what_has_no_ports_is_none_of_the_connections() {
        let site = testing::site(testing::pair(crate::component::spec::Mode::ActivePassive));
        let endpoints = all(&site).iter().flat_map(|c| c.endpoints(&site)).collect();
        let firewall = Firewall::new(endpoints);
        let edges = edges(&firewall, &site, &"lb-01".parse().unwrap());
        assert!(edges.iter().all(|e| e.port != 0) && edges.iter().any(|e| e.to.as_str() == "lb-02" && e.port == 443));
    }

    #[test]
    fn what_is_armed_and_whose_timer_is_left_is_told() {
        let check = confirmed(&"web-01".parse().unwrap());
        let judged = |stdout: &str| check.verdict(&Answer { status: 0, stdout: stdout.into(), ..Answer::default() });
        assert_eq!(judged("end\n"), Verdict::Pass("nothing is armed".into()));
        for left in ["/run/foobar.armed/firewall/\nend\n", "foobar-firewall-revert.timer\nend\n"] {
            assert!(matches!(judged(left), Verdict::Fail(said) if said.contains("firewall")), "{left}");
        }
        assert!(matches!(judged(""), Verdict::Error(_)));
    }

    /// Port 1 (tcpmux) is nobody's today.
    #[test]
    fn connections_are_tried_by_the_perl_of_this_machine() {
        let script = Script::new().line(TRY).line("try 127.0.0.1,1,3 ::1,1,3");
        let out = std::process::Command::new("sh").arg("-c").arg(script.text()).output().unwrap();
        let said = String::from_utf8(out.stdout).unwrap();
        assert!(said.lines().any(|l| l == "127.0.0.1 1 refused"), "{said}");
        assert!(said.lines().any(|l| l.starts_with("::1 1 ")), "{said}");
    }

    #[test]
    fn a_way_is_right_only_when_it_meets_what_it_should() {
        let edge = |port, is_allowed, is_served| Edge {
            to: "web-01".parse().unwrap(),
            address: "10.77.0.21".parse().unwrap(),
            port,
            is_allowed,
            is_ssh: port == 22,
            is_served,
        };
        let good = |stdout: &str, edge: Edge| {
            matches!(
                judge(&Answer { status: 0, stdout: stdout.into(), ..Answer::default() }, &[edge]),
                Verdict::Pass(_)
            )
        };
        assert!(good("10.77.0.21 80 open\n", edge(80, true, true)));
        assert!(!good("10.77.0.21 80 silent\n", edge(80, true, true)));
        assert!(!good("10.77.0.21 80 refused\n", edge(80, true, true)));
        assert!(good("10.77.0.21 9000 refused\n", edge(9000, true, false)));
        assert!(good("10.77.0.21 3306 silent\n", edge(3306, false, false)));
        assert!(!good("10.77.0.21 3306 refused\n", edge(3306, false, false)));
        assert!(!good("10.77.0.21 22 open\n", edge(22, false, true)));
        assert!(good("self\n10.77.0.21 22 open\n", edge(22, false, true)));
        assert!(!good("", edge(80, true, true)) && !good("", edge(80, false, true)));
        let four = "10.77.0.21 3306 silent\n";
        for (six, is_right) in [("silent", true), ("unreachable", true), ("refused", false), ("open", false)] {
            let both = format!("{four}six.10.77.0.21 3306 {six}\n");
            assert_eq!(good(&both, edge(3306, false, true)), is_right, "{six}");
        }
        assert!(good("self\n10.77.0.21 22 open\nsix.10.77.0.21 22 open\n", edge(22, false, true)));
    }
}

//! What proves that the balancers stand in for each other: keepalived runs and finds the balancer fit, every virtual address
//! is held by one of them alone (asked on the wire, not of keepalived), and the site answers through each.

use super::{CHECK, INTERFACE_FILE, SCRIPT_USER, Virtual, redundancy, virtuals};
use crate::{
    base::{name::HostName, script::Script},
    component::{Answer, Check, Verdict, haproxy, http, names::KEEPALIVED_UNIT, site::Site, viewer},
};
use std::{collections::BTreeMap, net::IpAddr};

const NAME: &str = "keepalived";

/// Seconds that a balancer is given to take its own address back: the delay that its configuration has, and an election.
const OWN_AGAIN: u32 = 9;

/// Every check of every balancer and every virtual address.
pub fn all(site: &Site) -> Vec<Check> {
    let Some((on, redundancy)) = redundancy(site) else { return Vec::new() };
    let all = virtuals(on, redundancy);
    let mut checks = Vec::new();
    for host in on {
        checks.push(Check::unit(NAME, host, KEEPALIVED_UNIT));
        checks.push(fit(host));
        checks.extend(all.iter().map(|v| held_once(site, on, v, host)));
    }
    if let Some(from) = viewer(site, on) {
        checks.extend(all.iter().map(|v| answers(site, v.address, from)));
    }
    checks
}

/// What keepalived itself asks every second, as the account that it asks as.
fn fit(host: &HostName) -> Check {
    let script = Script::new().line(format!("runuser -u {SCRIPT_USER} -- {CHECK}"));
    Check::new(NAME, host, "its balancer is fit to hold an address", script, |answer| match answer.status {
        0 => Verdict::Pass("it takes visitors".into()),
        _ => Verdict::Fail("haproxy does not answer keepalived's check, so that this host holds no address".into()),
    })
}

/// Asks who has these addresses (RFC 826) and prints each answer as address and hardware address: `arp INTERFACE OWN
/// ADDRESS…`. perl is on every Debian, and opens packet sockets.
const ARP: &str = r#"arp() { perl -e '
  my ($if, $own, @ask) = @ARGV;
  my $of = sub { open(my $f, "<", "/sys/class/net/$if/$_[0]") or exit 1; my $t = <$f>; chomp $t; $t };
  my $mac = pack("H12", $of->("address") =~ s/://gr);
  my $ip = sub { pack("C4", split(/\./, $_[0])) };
  socket(my $s, 17, 3, unpack("S", pack("n", 0x0806))) or exit 1;
  bind($s, pack("SnlSCCa8", 17, 0x0806, $of->("ifindex"), 0, 0, 0, "")) or exit 1;
  my $ask = sub { send($s, "\xff" x 6 . $mac . pack("nnnCCn", 0x0806, 1, 0x0800, 6, 4, 1) . $mac . $ip->($own) . "\0" x 6 . $ip->($_[0]), 0) };
  for my $turn (1 .. 40) {
    if ($turn % 20 == 1) { $ask->($_) for @ask }
    my $bits = "";
    vec($bits, fileno($s), 1) = 1;
    while (select(my $ready = $bits, undef, undef, 0.02) > 0) {
      recv($s, my $p, 2048, 0);
      next if length($p) < 42 || unpack("n", substr($p, 20, 2)) != 2;
      print join(".", unpack("C4", substr($p, 28, 4))), " ", join(":", unpack("(H2)6", substr($p, 22, 6))), "\n";
    }
  }' "$@"; }"#;

/// How often one host holds an address is seen by all others on the wire, and by itself in its own list.
fn held_once(site: &Site, on: &[HostName], v: &Virtual, host: &HostName) -> Check {
    let (own, address) = (site.address(host), v.address);
    let others: Vec<(HostName, IpAddr)> =
        on.iter().filter(|h| *h != host).map(|h| (h.clone(), site.address(h))).collect();
    let asked: Vec<String> = others.iter().map(|(_, a)| a.to_string()).collect();
    let mut script = Script::new().line(ARP);
    let holds = format!("ip -o -4 addr show | grep -qF ' {address}/'");
    if v.owner.as_ref() == Some(host) {
        // One that has just come back waits before it takes its own again.
        script = script
            .line(format!("left={OWN_AGAIN}0; until {holds} || [ $left = 0 ]; do left=$((left - 1)); sleep 0.1; done"));
    }
    let script = script
        .line(format!("if {holds}; then echo here; fi"))
        .line(format!("name=$(sed -n 's/^.INTERFACE=//p' {INTERFACE_FILE}) && [ -n \"$name\" ] || exit 1"))
        .line(format!("arp \"$name\" {own} {address} {} | sort -u", asked.join(" ")))
        .line("echo asked");
    let title = match &v.owner {
        Some(owner) => format!("{address} is on {owner} alone"),
        None => format!("{address} is on one balancer alone"),
    };
    let (me, owner) = (host.clone(), v.owner.clone());
    Check::new(NAME, host, title, script, move |answer| judge(answer, address, &me, &others, owner.as_ref()))
}

fn judge(
    answer: &Answer,
    address: IpAddr,
    me: &HostName,
    others: &[(HostName, IpAddr)],
    owner: Option<&HostName>,
) -> Verdict {
    if !answer.stdout.lines().any(|l| l == "asked") {
        return Verdict::Error("it could not be asked on the wire who has it: systemctl status keepalived".into());
    }
    let mut answers: BTreeMap<IpAddr, Vec<&str>> = BTreeMap::new();
    for (who, at) in answer.stdout.lines().filter_map(|l| l.split_once(' ')) {
        if let Ok(who) = who.parse() {
            answers.entry(who).or_default().push(at);
        }
    }
    let name = |at: &str| {
        let of = |(_, own): &&(HostName, IpAddr)| answers.get(own).is_some_and(|all| all.contains(&at));
        others.iter().find(of).map_or_else(|| at.to_owned(), |(name, _)| name.to_string())
    };
    let mut holders: Vec<String> = answers.get(&address).into_iter().flatten().map(|at| name(at)).collect();
    if answer.stdout.lines().any(|l| l == "here") {
        holders.insert(0, me.to_string());
    }
    match (&holders[..], owner) {
        ([], _) => Verdict::Fail("no balancer has it: journalctl -u keepalived says why on each".into()),
        ([one], Some(owner)) if one != owner.as_str() => {
            Verdict::Fail(format!("{one} has it, in the place of {owner}"))
        }
        ([one], _) => Verdict::Pass(format!("{one} has it")),
        (several, _) => Verdict::Fail(format!(
            "{} have it at once: they do not hear each other (IP protocol 112 between them)",
            several.join(" and ")
        )),
    }
}

fn answers(site: &Site, address: IpAddr, from: &HostName) -> Check {
    let request = http::request(site, &haproxy::health_path(site), "", true);
    let script = http::asker(site, http::PATIENCE).line(format!("printf '{request}' | ask {}", http::at(address, 443)));
    Check::new(NAME, from, format!("the site answers at {address}"), script, |answer| match http::first(answer) {
        Some(response) => Verdict::when(response.status == 200, response.status.to_string()),
        None => Verdict::Fail("no answer over TLS".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_an_address_is_told_from_what_was_heard() {
        let address: IpAddr = "10.77.0.100".parse().unwrap();
        let (me, other): (HostName, HostName) = ("lb-01".parse().unwrap(), "lb-02".parse().unwrap());
        let others = [(other.clone(), "10.77.0.12".parse().unwrap())];
        let judged = |stdout: &str, owner| {
            judge(&Answer { status: 0, stdout: stdout.into(), ..Answer::default() }, address, &me, &others, owner)
        };
        let peer = "10.77.0.12 02:00:00:00:00:02\n";
        let there = "10.77.0.100 02:00:00:00:00:02\n";
        assert_eq!(judged(&format!("here\n{peer}asked\n"), None), Verdict::Pass("lb-01 has it".into()));
        assert_eq!(judged(&format!("{there}{peer}asked\n"), None), Verdict::Pass("lb-02 has it".into()));
        assert_eq!(judged(&format!("{there}{peer}asked\n"), Some(&other)), Verdict::Pass("lb-02 has it".into()));
        let wrong = Verdict::Fail("lb-02 has it, in the place of lb-01".into());
        assert_eq!(judged(&format!("{there}{peer}asked\n"), Some(&me)), wrong);
        let split = judged(&format!("here\n{there}{peer}asked\n"), None);
        assert!(matches!(split, Verdict::Fail(said) if said.starts_with("lb-01 and lb-02 have it at once")));
        let stranger = judged(&format!("here\n10.77.0.100 02:00:00:00:00:09\n{peer}asked\n"), None);
        assert!(matches!(stranger, Verdict::Fail(said) if said.starts_with("lb-01 and 02:00:00:00:00:09 have it")));
        assert!(
            matches!(judged(&format!("{peer}asked\n"), None), Verdict::Fail(said) if said.starts_with("no balancer"))
        );
        assert!(matches!(judged("here\n", None), Verdict::Error(_)));
    }
}

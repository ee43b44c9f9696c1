//! What proves the names live: each name server has the site's records and nothing for anybody else, all have one zone, and
//! the world's resolvers answer what was declared.

use super::{
    asker, own,
    records::{self, Record},
};
use crate::{
    base::{
        dns::{self, Data, Kind, Question, Reply},
        name::HostName,
        script::{Script, quote},
    },
    component::{Answer, Check, Verdict, names::NSD_UNIT, site::Site, spec::Served, viewer},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const NAME: &str = "dns";

/// Every check of `verify`.
pub fn all(site: &Site) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some((_, on, _)) = own(site) {
        for host in on {
            checks.push(Check::unit(NAME, host, NSD_UNIT));
            // From another host where there is one: what the host asks of itself passes no firewall.
            let from = site.hosts().find(|h| *h != host).unwrap_or(host);
            checks.extend([answers(site, host, from), strangers(site, host, from)]);
        }
        if let (true, Some(from)) = (on.len() > 1, viewer(site, on)) {
            checks.push(one_zone(site, from));
        }
    }
    let others: Vec<Record> = provider(site).collect();
    checks.extend(resolvers(site, others));
    checks
}

/// Whether the world sees it: what a resolver that knows nothing of the stack answers for all of the site's names, and
/// for who answers for its zone. It holds only once the zone above says so, which is not foobar's to set.
pub fn world(site: &Site) -> Vec<Check> {
    let wanted = records::wanted(site).into_iter().filter(|(place, _)| *place == records::Where::Stack);
    resolvers(site, wanted.map(|(_, record)| record).collect()).into_iter().collect()
}

fn provider(site: &Site) -> impl Iterator<Item = Record> {
    let wanted = records::wanted(site).into_iter();
    wanted.filter(|(place, _)| *place == records::Where::Provider).map(|(_, record)| record)
}

/// What one name shall have of one kind; empty where it shall have none.
#[derive(Clone, Debug)]
struct Expected {
    name: String,
    kind: Kind,
    data: BTreeSet<Data>,
    /// Seconds that it may be kept; none where anything is right.
    ttl: Option<u32>,
    /// Whether the very same seconds are answered: a resolver counts them down.
    is_exact: bool,
    /// The lines to set.
    lines: Vec<String>,
}

fn kind_of(word: &str) -> Kind {
    match word {
        "A" => Kind::A,
        "AAAA" => Kind::Aaaa,
        "NS" => Kind::Ns,
        _ => Kind::Caa,
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::A => "A",
        Kind::Aaaa => "AAAA",
        Kind::Ns => "NS",
        Kind::Caa => "CAA",
        Kind::Soa => "SOA",
        Kind::Txt => "TXT",
        Kind::Axfr => "AXFR",
    }
}

fn data_of(record: &Record) -> Data {
    match record.kind {
        "NS" => Data::Name(record.value.trim_end_matches('.').to_owned()),
        "CAA" => {
            let value = record.value.split('"').nth(1).unwrap_or_default();
            Data::Authority("issue".into(), value.to_owned())
        }
        _ => record.value.parse().map_or(Data::Other(0), Data::Address),
    }
}

fn shown(data: &Data) -> String {
    match data {
        Data::Address(address) => address.to_string(),
        Data::Name(name) => name.clone(),
        Data::Serial(serial) => serial.to_string(),
        Data::Authority(tag, value) => format!("{tag} {value}"),
        Data::Other(number) => format!("a record of type {number}"),
    }
}

/// What is expected of a set of records; a name with an address of one family shall have none of the other.
fn expected(site: &Site, records: &[Record], is_exact: bool) -> Vec<Expected> {
    let dns = site.topology.dns.as_ref();
    let is_bound = dns.is_some_and(|d| d.ttl.is_some() || matches!(d.served, Served::Own { .. }));
    let mut all: BTreeMap<(&str, Kind), Expected> = BTreeMap::new();
    for record in records {
        let families: &[Kind] = match kind_of(record.kind) {
            Kind::A | Kind::Aaaa => &[Kind::A, Kind::Aaaa],
            _ => &[],
        };
        for kind in families.iter().copied().chain([kind_of(record.kind)]) {
            let entry = all.entry((&record.name, kind)).or_insert_with(|| Expected {
                name: record.name.clone(),
                kind,
                data: BTreeSet::new(),
                ttl: is_bound.then_some(record.ttl),
                is_exact,
                lines: Vec::new(),
            });
            if kind == kind_of(record.kind) && entry.data.insert(data_of(record)) {
                entry.lines.push(record.line());
            }
        }
    }
    all.into_values().collect()
}

/// What is wrong with an answer.
fn faults(expected: &Expected, reply: &Reply) -> Vec<String> {
    let Expected { name, kind, .. } = expected;
    let what = format!("{name} {}", word(*kind));
    if !matches!(reply.code, 0 | 3) {
        return vec![format!("{what}: {}", reply.word())];
    }
    // What a name leads through on the way (CNAME) is nobody's business here.
    let is_asked = |data: &Data| match data {
        Data::Address(address) => *kind == if address.is_ipv4() { Kind::A } else { Kind::Aaaa },
        Data::Name(_) => *kind == Kind::Ns,
        Data::Authority(tag, _) => *kind == Kind::Caa && tag == "issue",
        _ => false,
    };
    let seen: Vec<_> = reply.answers.iter().filter(|a| is_asked(&a.data)).collect();
    let there: BTreeSet<Data> = seen.iter().map(|a| a.data.clone()).collect();
    let list = |all: Vec<String>| all.join(", ");
    let missing = list(expected.data.difference(&there).map(shown).collect());
    let foreign = list(there.difference(&expected.data).map(shown).collect());
    let mut wrong = Vec::new();
    if !foreign.is_empty() {
        wrong.push(format!("{foreign} is not the site's"));
    }
    if !missing.is_empty() {
        let what = if there.is_empty() { format!("{}, ", reply.word()) } else { String::new() };
        wrong.push(format!("{what}{missing} is missing"));
    }
    let longest = seen.iter().map(|a| a.ttl).max();
    if let (Some(ttl), Some(longest)) = (expected.ttl, longest)
        && (longest > ttl || expected.is_exact && longest != ttl)
    {
        wrong.push(format!("it may be kept for {longest} s, and {ttl} s are wanted"));
    }
    if wrong.is_empty() {
        return Vec::new();
    }
    vec![format!("{what}: {}", wrong.join("; "))]
}

/// Defines `say LABEL udp|tcp ADDRESS OCTAL`, which asks twice where nothing is heard, and prints label and answer.
fn sayer() -> Script {
    asker().line("say() { said=$(query \"$2\" \"$3\" \"$4\"); [ -n \"$said\" ] || said=$(query \"$2\" \"$3\" \"$4\"); printf '%s %s\\n' \"$1\" \"$said\"; }")
}

/// The answers by their labels; none where nothing was heard.
fn heard(answer: &Answer) -> BTreeMap<&str, Option<Reply>> {
    answer.stdout.lines().filter_map(|l| l.rsplit_once(' ')).map(|(label, hex)| (label, dns::reply(hex))).collect()
}

fn answers(site: &Site, host: &HostName, from: &HostName) -> Check {
    let dns = site.topology.dns.as_ref();
    let zone = dns.map(|d| records::zone(site, d)).unwrap_or_default();
    let wanted = expected(site, &zone, true);
    let mut script = sayer();
    for (n, expected) in wanted.iter().enumerate() {
        let question = Question::of(&expected.name, expected.kind);
        for (way, octal) in [("udp", question.udp()), ("tcp", question.tcp())] {
            script = script.line(format!("say {way}.{n} {way} {} {} &", site.address(host), quote(&octal)));
        }
    }
    let title = format!("{host} has the site's records, over UDP and TCP");
    Check::new(NAME, from, title, script.line("wait"), move |answer| {
        let heard = heard(answer);
        let mut wrong = Vec::new();
        for (n, expected) in wanted.iter().enumerate() {
            for way in ["udp", "tcp"] {
                match heard.get(format!("{way}.{n}").as_str()).and_then(Option::as_ref) {
                    None => wrong.push(format!("{} {}: no answer over {way}", expected.name, word(expected.kind))),
                    Some(reply) if !reply.is_authoritative && reply.code == 0 => {
                        wrong.push(format!("{}: it does not answer for it by itself", expected.name))
                    }
                    Some(reply) => wrong.extend(faults(expected, reply)),
                }
            }
        }
        wrong.dedup();
        Verdict::when(wrong.is_empty(), said(wrong, format!("{} answers, each as declared", 2 * wanted.len())))
    })
}

fn said(wrong: Vec<String>, right: String) -> String {
    if wrong.is_empty() { right } else { wrong.join("; ") }
}

/// Nobody's names, other people's names, the zone as a whole and the server's version: none of them is answered.
fn strangers(site: &Site, host: &HostName, from: &HostName) -> Check {
    let zone = own(site).map(|(_, _, zone)| zone.to_string()).unwrap_or_default();
    let nobody = format!("foobar-verify-nobody.{zone}");
    let address = site.address(host);
    let questions = [
        ("nobody", "udp", Question::of(&nobody, Kind::A).udp()),
        ("other", "udp", Question::of("stranger.invalid", Kind::A).recursive().udp()),
        ("whole", "tcp", Question::of(&zone, Kind::Axfr).tcp()),
        ("version", "udp", Question::of("version.bind", Kind::Txt).udp()),
    ];
    let mut script = sayer();
    for (label, way, octal) in &questions {
        script = script.line(format!("say {label} {way} {address} {} &", quote(octal)));
    }
    let title = format!("{host} answers for nothing else: no recursion, no transfer, no version");
    Check::new(NAME, from, title, script.line("wait"), |answer| {
        let heard = heard(answer);
        let reply = |label: &str| heard.get(label).and_then(Option::as_ref);
        // Without an answer to anything, silence says nothing.
        let (Some(nobody), Some(other)) = (reply("nobody"), reply("other")) else {
            return Verdict::Error("no answer".into());
        };
        let mut wrong = Vec::new();
        if nobody.code != 3 {
            wrong.push(format!("a name that nobody has: {}, and NXDOMAIN is right", nobody.word()));
        }
        if other.code != 5 || other.offers_recursion {
            wrong.push(format!("somebody else's name: {}, and REFUSED is right", other.word()));
        }
        if reply("whole").is_some_and(|r| r.code == 0) {
            wrong.push("the zone as a whole is given away".into());
        }
        if reply("version").is_some_and(|r| r.code == 0 && !r.answers.is_empty()) {
            wrong.push("it tells its version".into());
        }
        Verdict::when(wrong.is_empty(), said(wrong, "NXDOMAIN, REFUSED".into()))
    })
}

/// All name servers have one serial: none was left behind.
fn one_zone(site: &Site, from: &HostName) -> Check {
    let (on, zone) = own(site).map(|(_, on, zone)| (on.to_vec(), zone.to_string())).unwrap_or_default();
    let question = Question::of(&zone, Kind::Soa).udp();
    let mut script = sayer();
    for host in &on {
        script = script.line(format!("say {host} udp {} {} &", site.address(host), quote(&question)));
    }
    Check::new(NAME, from, "all name servers have the same zone", script.line("wait"), move |answer| {
        let heard = heard(answer);
        let serial = |host: &HostName| {
            let answers = &heard.get(host.as_str())?.as_ref()?.answers;
            answers.iter().find_map(|a| if let Data::Serial(serial) = a.data { Some(serial) } else { None })
        };
        let all: Vec<(&HostName, Option<u32>)> = on.iter().map(|host| (host, serial(host))).collect();
        let told = |(host, serial): &(&HostName, Option<u32>)| {
            format!("{host} has {}", serial.map_or("none".into(), |s| s.to_string()))
        };
        let first = all.first().and_then(|(_, serial)| *serial);
        let is_one = first.is_some() && all.iter().all(|(_, serial)| *serial == first);
        let right = format!("serial {}", first.unwrap_or_default());
        Verdict::when(is_one, if is_one { right } else { all.iter().map(told).collect::<Vec<_>>().join(", ") })
    })
}

/// What the resolvers of a host answer; from one that does not balance, whose resolvers are nearer to a visitor's.
fn resolvers(site: &Site, records: Vec<Record>) -> Option<Check> {
    let names: BTreeSet<&str> = records.iter().map(|r| r.name.as_str()).collect();
    if names.is_empty() {
        return None;
    }
    let balancers = site.topology.haproxy.as_ref().map(|h| h.on.as_slice()).unwrap_or_default();
    let from = viewer(site, balancers)?;
    let wanted = Arc::new(expected(site, &records, false));
    let mut script = sayer()
        .line("for at in $(awk '$1 == \"nameserver\" { print $2 }' /etc/resolv.conf 2>/dev/null | head -n 3); do");
    for (n, expected) in wanted.iter().enumerate() {
        let question = Question::of(&expected.name, expected.kind).recursive().udp();
        script = script.line(format!("  say \"$at {n}\" udp \"$at\" {} &", quote(&question)));
    }
    let script = script.line("done").line("wait");
    let title = format!("resolvers answer for {}", names.into_iter().collect::<Vec<_>>().join(", "));
    Some(Check::new(NAME, from, title, script, move |answer| judge(&wanted, answer)))
}

fn judge(wanted: &[Expected], answer: &Answer) -> Verdict {
    let heard = heard(answer);
    let servers: BTreeSet<&str> = heard.keys().filter_map(|label| label.split(' ').next()).collect();
    if servers.is_empty() {
        return Verdict::Error("the host knows no resolver: /etc/resolv.conf names none".into());
    }
    let (mut wrong, mut set, mut silent) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for server in &servers {
        // Who does not find the name servers finds nothing behind them: that is what is to be mended.
        let reply = |n: usize| heard.get(format!("{server} {n}").as_str()).and_then(Option::as_ref);
        let lost = wanted.iter().enumerate().find(|(n, expected)| {
            expected.kind == Kind::Ns && reply(*n).is_some_and(|reply| !faults(expected, reply).is_empty())
        });
        if let Some((n, expected)) = lost {
            let faults = reply(n).map(|reply| faults(expected, reply)).unwrap_or_default();
            let glue = wanted.iter().filter(|e| expected.data.contains(&Data::Name(e.name.clone())));
            set.extend(glue.chain([expected]).flat_map(|e| e.lines.iter().cloned()));
            wrong.extend(
                faults.into_iter().map(|fault| format!("the zone above does not lead here: {fault} (says {server})")),
            );
            continue;
        }
        for (n, expected) in wanted.iter().enumerate() {
            let Some(reply) = reply(n) else {
                silent.insert(*server);
                continue;
            };
            let faults = faults(expected, reply);
            if !faults.is_empty() {
                set.extend(expected.lines.iter().cloned());
            }
            wrong.extend(faults.into_iter().map(|fault| format!("{fault} (says {server})")));
        }
    }
    if wrong.is_empty() && silent.len() == servers.len() {
        return Verdict::Error(format!("no answer from {}", servers.into_iter().collect::<Vec<_>>().join(", ")));
    }
    if wrong.is_empty() {
        return Verdict::Pass(format!("as declared, says {}", servers.into_iter().collect::<Vec<_>>().join(", ")));
    }
    let set = set.into_iter().collect::<Vec<_>>().join("` and `");
    let help =
        if set.is_empty() { String::new() } else { format!("; set `{set}`, and nothing else of that kind there") };
    Verdict::Fail(wrong.join("; ") + &help)
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;

//! What name servers and resolvers say, held against what was declared.

use super::*;
use crate::component::{spec::Dns, testing};

/// What `www.foobar.com A` is answered with: these addresses, kept for so many seconds.
fn hex(addresses: &[&str], ttl: u32, code: u8) -> String {
    let question = "0377777706666f6f62617203636f6d0000010001";
    let records = addresses.iter().map(|a| {
        let octets: std::net::Ipv4Addr = a.parse().unwrap();
        format!("c00c00010001{ttl:08x}0004{:08x}", u32::from(octets))
    });
    format!("000184{code:02x}0001{:04x}00000000{question}{}", addresses.len(), records.collect::<String>())
}

fn judged(said: &[(&str, String)]) -> Verdict {
    let mut topology = testing::topology();
    topology.aliases.clear();
    let ttl = Some(crate::base::name::Span::seconds(60));
    topology.dns = Some(Dns { served: Served::External, ttl, caa: vec![] });
    let site = testing::site(topology);
    let wanted = expected(&site, &provider(&site).collect::<Vec<_>>(), false);
    let of = |kind| wanted.iter().position(|e| e.kind == kind).unwrap();
    let lines = said.iter().flat_map(|(server, a)| {
        [format!("{server} {} {a}\n", of(Kind::A)), format!("{server} {} {}\n", of(Kind::Aaaa), hex(&[], 0, 0))]
    });
    judge(&wanted, &Answer { status: 0, stdout: lines.collect(), ..Answer::default() })
}

#[test]
fn what_resolvers_say_is_held_against_what_was_declared() {
    let right = || hex(&["10.77.0.11"], 17, 0);
    assert_eq!(judged(&[("10.0.0.2", right())]), Verdict::Pass("as declared, says 10.0.0.2".into()));
    for (answer, why) in [
        (hex(&["10.77.0.9"], 17, 0), "www.foobar.com A: 10.77.0.9 is not the site's; 10.77.0.11 is missing"),
        (hex(&["10.77.0.11", "10.77.0.9"], 17, 0), "www.foobar.com A: 10.77.0.9 is not the site's (says"),
        (hex(&[], 0, 3), "www.foobar.com A: NXDOMAIN, 10.77.0.11 is missing"),
        (hex(&[], 0, 2), "www.foobar.com A: SERVFAIL"),
        (hex(&["10.77.0.11"], 3600, 0), "it may be kept for 3600 s, and 60 s are wanted"),
    ] {
        let Verdict::Fail(said) = judged(&[("10.0.0.2", answer)]) else { panic!("{why}") };
        assert!(said.contains(why) && said.contains("set `www.foobar.com. 60 IN A 10.77.0.11`"), "{said}");
    }
    // One that is silent is nobody's fault where another one answers; where none does, nothing is known.
    assert!(matches!(judged(&[("10.0.0.2", right()), ("10.0.0.3", String::new())]), Verdict::Pass(_)));
    let silent = judge(&[], &Answer::default());
    assert!(matches!(silent, Verdict::Error(said) if said.contains("resolv.conf")));
}

#[test]
fn an_authoritative_answer_is_the_very_same() {
    let expected = Expected {
        name: "www.foobar.com".into(),
        kind: Kind::A,
        data: [Data::Address("10.77.0.11".parse().unwrap())].into(),
        ttl: Some(60),
        is_exact: true,
        lines: vec![],
    };
    let of = |hex: String| faults(&expected, &dns::reply(&hex).unwrap());
    assert!(of(hex(&["10.77.0.11"], 60, 0)).is_empty());
    assert_eq!(of(hex(&["10.77.0.11"], 59, 0)).len(), 1);
    assert_eq!(of(hex(&[], 60, 0)), ["www.foobar.com A: no such record, 10.77.0.11 is missing"]);
}

/// A site with two name servers of its own.
fn served() -> Site {
    let mut topology = testing::topology();
    topology.dns = Some(Dns {
        served: Served::Own {
            on: ["lb-01", "web-01"].map(|h| h.parse().unwrap()).to_vec(),
            zone: "foobar.com".parse().unwrap(),
            elsewhere: vec![],
        },
        ttl: None,
        caa: vec![],
    });
    testing::site(topology)
}

/// A reply with these two bytes of flags and these records, after the name, as hex.
fn reply(flags: &str, records: &[String]) -> String {
    let records: String = records.iter().map(|r| format!("c00c{r}")).collect();
    format!(
        "0001{flags}0001{:04x}00000000{}{records}",
        records.matches("c00c").count(),
        "0377777706666f6f62617203636f6d0000010001"
    )
}

fn said_to(check: &Check, lines: &[(&str, String)]) -> Verdict {
    let stdout = lines.iter().map(|(label, hex)| format!("{label} {hex}\n")).collect();
    check.verdict(&Answer { status: 0, stdout, ..Answer::default() })
}

#[test]
fn a_name_server_answers_for_its_zone_and_for_nothing_else() {
    let site = served();
    let check = strangers(&site, &"lb-01".parse().unwrap(), &"web-01".parse().unwrap());
    let (nobody, refused) = (reply("8403", &[]), reply("8005", &[]));
    let with = |label: &'static str, hex: String| {
        let mut lines = vec![("nobody", nobody.clone()), ("other", refused.clone()), ("whole", refused.clone())];
        lines.retain(|(l, _)| *l != label);
        lines.push((label, hex));
        said_to(&check, &lines)
    };
    assert_eq!(with("version", refused.clone()), Verdict::Pass("NXDOMAIN, REFUSED".into()));
    let text = reply("8400", &["001000010000000000020161".into()]);
    for (label, hex, why) in [
        ("nobody", reply("8400", &[]), "a name that nobody has: no such record"),
        ("other", reply("8000", &[]), "somebody else's name: no such record"),
        ("other", reply("8085", &[]), "somebody else's name: REFUSED"),
        ("whole", reply("8400", &[]), "the zone as a whole is given away"),
        ("version", text, "it tells its version"),
    ] {
        assert!(matches!(with(label, hex), Verdict::Fail(said) if said.starts_with(why)), "{why}");
    }
    assert_eq!(said_to(&check, &[("nobody", nobody)]), Verdict::Error("no answer".into()));
}

#[test]
fn a_name_server_that_was_left_behind_is_named() {
    let check = one_zone(&served(), &"web-02".parse().unwrap());
    let soa = |serial: u32| reply("8400", &[format!("00060001000000000016{}{serial:08x}{}", "0000", "0".repeat(32))]);
    assert_eq!(said_to(&check, &[("lb-01", soa(7)), ("web-01", soa(7))]), Verdict::Pass("serial 7".into()));
    let behind = said_to(&check, &[("lb-01", soa(7)), ("web-01", soa(6))]);
    assert_eq!(behind, Verdict::Fail("lb-01 has 7, web-01 has 6".into()));
    let silent = said_to(&check, &[("lb-01", soa(7)), ("web-01", String::new())]);
    assert_eq!(silent, Verdict::Fail("lb-01 has 7, web-01 has none".into()));
}

#[test]
fn a_name_server_that_asks_others_for_its_own_zone_or_is_silent_over_one_way_is_named() {
    let site = served();
    let check = answers(&site, &"lb-01".parse().unwrap(), &"web-01".parse().unwrap());
    let zone = records::zone(&site, site.topology.dns.as_ref().unwrap());
    let wanted = expected(&site, &zone, true);
    let record = |expected: &Expected, data: &Data| {
        let (kind, data) = match data {
            Data::Address(std::net::IpAddr::V4(address)) => (1, format!("{:08x}", u32::from(*address))),
            Data::Name(name) => {
                let labels = name.split('.').map(|l| {
                    let bytes: String = l.bytes().map(|b| format!("{b:02x}")).collect();
                    format!("{:02x}{bytes}", l.len())
                });
                (2, labels.collect::<String>() + "00")
            }
            other => panic!("{other:?}"),
        };
        format!("{kind:04x}0001{:08x}{:04x}{data}", expected.ttl.unwrap_or_default(), data.len() / 2)
    };
    let judged = |authority: &str, ways: &[&'static str]| {
        let lines: Vec<(String, String)> = wanted
            .iter()
            .enumerate()
            .flat_map(|(n, e)| {
                let all: Vec<String> = e.data.iter().map(|data| record(e, data)).collect();
                ways.iter().map(move |way| (format!("{way}.{n}"), reply(authority, &all))).collect::<Vec<_>>()
            })
            .collect();
        said_to(&check, &lines.iter().map(|(label, hex)| (label.as_str(), hex.clone())).collect::<Vec<_>>())
    };
    assert!(matches!(judged("8400", &["udp", "tcp"]), Verdict::Pass(said) if said.ends_with("each as declared")));
    assert!(
        matches!(judged("8000", &["udp", "tcp"]), Verdict::Fail(said) if said.contains("not answer for it by itself"))
    );
    assert!(matches!(judged("8400", &["udp"]), Verdict::Fail(said) if said.contains("no answer over tcp")));
}

#[test]
fn who_checks_what_from_where() {
    let site = served();
    let made: Vec<String> = all(&site).iter().map(|c| format!("{}: {}", c.host, c.title)).collect();
    assert_eq!(
        made,
        [
            "lb-01: nsd.service is active and enabled",
            "web-01: lb-01 has the site's records, over UDP and TCP",
            "web-01: lb-01 answers for nothing else: no recursion, no transfer, no version",
            "web-01: nsd.service is active and enabled",
            "lb-01: web-01 has the site's records, over UDP and TCP",
            "lb-01: web-01 answers for nothing else: no recursion, no transfer, no version",
            "web-02: all name servers have the same zone",
        ]
    );
    assert_eq!(world(&site).len(), 1);
}

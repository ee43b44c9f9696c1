//! Balancers that stand in for each other: what is read, and what is said of numbers and addresses that do not fit.

use super::{read, refused, shown};
use crate::{component::spec::Mode, topology::spof};

const PAIR: &str = "\
site: www.foobar.com
hosts:
  lb-01:  { address: 10.77.0.11 }
  lb-02:  { address: 10.77.0.12 }
  web-01: { address: 10.77.0.21 }
  web-02: { address: 10.77.0.22 }
haproxy:
  on: [lb-01, lb-02]
  redundancy:
    mode: active-passive
    virtual_addresses: [10.77.0.100]
nginx: { on: [web-01, web-02] }
app: { on: [web-01, web-02], source: ./guestbook, run: gunicorn wsgi:app }
";

#[test]
fn a_pair_is_read_and_draws_no_word() {
    let read = |text: &str| {
        let valid = read(text).unwrap_or_else(|report| panic!("{}", shown(&report)));
        assert!(valid.warnings.findings().is_empty(), "{}", shown(&valid.warnings));
        let redundancy = valid.topology.haproxy.unwrap().redundancy.unwrap();
        (redundancy.mode, redundancy.virtual_addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(read(PAIR), (Mode::ActivePassive, "10.77.0.100".into()));
    let active = PAIR.replace("passive", "active").replace("[10.77.0.100]", "[10.77.0.100, 10.77.0.101]");
    assert_eq!(read(&active), (Mode::ActiveActive, "10.77.0.100 10.77.0.101".into()));
}

#[test]
fn what_does_not_fit_is_said_at_its_line() {
    let two = "[10.77.0.100, 10.77.0.101]";
    for (name, text) in [
        ("redundancy-alone", PAIR.replace("on: [lb-01, lb-02]", "on: [lb-01]")),
        ("redundancy-passive-two", PAIR.replace("[10.77.0.100]", two)),
        ("redundancy-active-one", PAIR.replace("passive", "active")),
        ("redundancy-host", PAIR.replace("10.77.0.100", "10.77.0.21")),
        ("redundancy-nobody", PAIR.replace("10.77.0.100", "127.0.0.1")),
        ("redundancy-twice", PAIR.replace("passive", "active").replace("[10.77.0.100]", "[10.77.0.100, 10.77.0.100]")),
        ("redundancy-family", PAIR.replace("10.77.0.100", "fd00::100").replace("10.77.0.12", "fd00::12")),
        ("redundancy-words", PAIR.replace("active-passive", "active_pasive").replace("virtual_addresses", "addresses")),
    ] {
        insta::assert_snapshot!(name, refused(&text, None));
    }
}

#[test]
fn two_balancers_without_it_are_told_what_is_missing() {
    let without = PAIR.split("  redundancy:").next().unwrap().to_owned() + PAIR.split_once("100]\n").unwrap().1;
    let single = |text: &str| {
        let valid = read(text).unwrap_or_else(|report| panic!("{}", shown(&report)));
        spof::all(&valid.topology).into_iter().next()
    };
    assert_eq!(single(PAIR), None);
    let said = single(&without).unwrap();
    assert_eq!((said.part, said.host.as_str()), ("the address of each balancer", "lb-01"));
    // The lines are those of the pair.
    let lines = "haproxy:\n  redundancy:   # a free address of their network, to be told to DNS\n    mode: active-passive\n    \
                 virtual_addresses: [10.77.0.100]\n";
    assert_eq!(said.add, lines);
}

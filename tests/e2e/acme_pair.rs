//! Two balancers and one ACME directory: one account between them, a certificate each. Either answers what the other is asked
//! for, both are renewed at once, and the address moves in the middle of it, while a visitor never stops asking.

use super::{
    acme::nothing_was_said,
    directory::{Directory, trust},
    pair::{BALANCERS, LOSSES, MOST, Visitor, holders, is_well, lose, with},
    world::{World, until},
};
use std::{fs, time::Duration};

const HOSTS: [&str; 4] = ["lb-01", "lb-02", "web-01", "web-02"];
const PEM: &str = "/etc/haproxy/certs/site.pem";

/// The fingerprint and the issuer of what each balancer shows.
fn shown(p: &World) -> [String; 2] {
    BALANCERS.map(|host| {
        let at = p.lab.address(host).unwrap();
        let script = format!(
            "openssl s_client -connect {at}:443 -servername www.foobar.com </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -issuer"
        );
        p.client(&["sh", "-c", &script]).stdout
    })
}

fn are_of_the_directory(certificates: &[String; 2]) {
    assert!(certificates.iter().all(|c| c.contains("Pebble Intermediate CA")), "{certificates:#?}");
    assert_ne!(certificates[0], certificates[1], "it is one certificate for both");
}

/// What each balancer answers to a challenge that only the other can know of.
fn answers(p: &World) -> [String; 2] {
    BALANCERS.map(|host| {
        let url = format!("http://{}/.well-known/acme-challenge/asked-of-another", p.lab.address(host).unwrap());
        p.client(&["curl", "-sS", "--max-time", "5", "-H", "Host: foobar.com", &url]).stdout
    })
}

/// Starts on both balancers what their timers start, with a certificate that is due.
fn renew_both(p: &World) {
    for host in BALANCERS {
        p.on(host, &format!("sed -i '1s/.*/# from elsewhere/' {PEM}; systemctl start --no-block foobar-acme.service"));
    }
}

/// Waits for the end of that, which must be a good one.
fn both_are_renewed(p: &World) {
    for host in BALANCERS {
        let is_over = || p.on(host, "systemctl is-active foobar-acme.service || :").trim() != "activating";
        assert!(until(Duration::from_secs(120), is_over), "{host}: the renewal has no end");
        let ask =
            "systemctl show -p ActiveState -p Result foobar-acme.service; journalctl -q -o cat -n 5 -t foobar-acme";
        let state = p.on(host, ask);
        assert!(state.contains("ActiveState=inactive") && state.contains("Result=success"), "{host}: {state}");
    }
    are_of_the_directory(&shown(p));
}

/// Again and again: a directory that has forgotten everything is asked for the account by both at the same moment.
fn the_account_is_made_by_both_at_once(p: &World, directory: &Directory) {
    let mut root = String::new();
    for _ in 0..8 {
        root = directory.start(p);
        renew_both(p);
        both_are_renewed(p);
        assert_eq!(directory.accounts(p), "1");
    }
    HOSTS.iter().for_each(|host| trust(p, host, "e2e-root", &root));
    fs::write(p.dir.join("ca.crt"), &root).unwrap();
}

/// A directory that hands the order of one out to the other: whoever is second gets one of its own next.
fn one_order_is_handed_to_both(p: &mut World, directory: &Directory) {
    directory.hands_orders_out_twice(p);
    let port = |port: u16| format!("{{ on: [lb-01], port: {port}, from: [{}/32] }}", p.lab.address("lb-02").unwrap());
    let both = format!("{}, {}", port(14000), port(14001));
    p.topology = p.topology.replace(":14000/", ":14001/").replace(&port(14000), &both);
    assert!(p.topology.contains(&both), "{}", p.topology);
    p.apply(&[]).says(&["the one that is there is from https://", "get the certificate from"]);
    p.is_converged();
    are_of_the_directory(&shown(p));
    let told = directory.twice(p);
    assert!(told.contains("handed out twice") && told.contains("refused: "), "{told}");
    assert_eq!(directory.accounts(p), "1");
}

pub fn each_has_its_own_certificate_and_answers_for_the_other(w: &mut World) {
    with(w, each_for_itself);
}

fn each_for_itself(p: &mut World) {
    let address = p.topology.split_once("virtual_addresses: [").unwrap().1.split(']').next().unwrap().to_owned();
    let all = [address.clone()];
    let own = BALANCERS.map(|host| p.lab.address(host).unwrap());
    let directory = Directory::installed(p, BALANCERS[0], own[0]);
    let root = directory.start(p);
    BALANCERS.iter().for_each(|host| trust(p, host, "e2e-directory", &directory.own(p)));
    HOSTS.iter().for_each(|host| trust(p, host, "e2e-root", &root));
    // A visitor trusts the directory and nobody else, so one who is served an interim certificate has no answer.
    fs::write(p.dir.join("ca.crt"), &root).unwrap();

    // Each name leads to another balancer, so that none gets a certificate but by the other's answers as well.
    directory.lead(p, own[0]);
    directory.lead_one(p, "foobar.com", own[1]);
    p.topology = p.original()
        + &format!(
            "\ntls: {{ certificate: {{ acme: {{ email: ops@foobar.com, directory: '{}' }} }} }}\n\
             firewall: {{ allow: [{{ on: [lb-01], port: 14000, from: [{}/32] }}] }}\n",
            directory.url(),
            own[1]
        );
    p.apply(&[]).says(&["lb-01", "lb-02", "get the certificate from"]);
    p.is_converged();
    let first = shown(p);
    are_of_the_directory(&first);
    let [one, other] = answers(p);
    assert_eq!(one, other, "they name other accounts");
    assert!(one.starts_with("asked-of-another.") && one.len() == "asked-of-another.".len() + 43, "{one}");
    assert_eq!(directory.accounts(p), "1");

    // Both are to be renewed, and the directory falls silent in the middle: then the address moves.
    directory.lead(p, address.parse().unwrap());
    assert!(until(Duration::from_secs(20), || is_well(p, &all)));
    let [holder] = holders(p, &address, &[])[..] else { panic!("{address} is not on one balancer") };
    let visitor = Visitor::start(p, &address);
    directory.falls_silent(p);
    renew_both(p);
    let asks =
        |host: &str| p.lab.exec(host, "ss -Htn state established dport = :14000 | grep -q .").is_ok_and(|o| o.ok());
    assert!(until(Duration::from_secs(20), || BALANCERS.iter().all(|b| asks(b))), "nobody asks the directory");
    p.on(holder, "systemctl stop haproxy");
    assert!(until(Duration::from_secs(15), || holders(p, &address, &[holder]).len() == 1), "{address} does not move");
    assert!(visitor.goes_on(), "no answer from the other balancer");
    p.on(holder, "systemctl start haproxy");
    assert!(until(Duration::from_secs(40), || is_well(p, &all)));
    for host in BALANCERS {
        assert_eq!(p.on(host, "systemctl is-active foobar-acme.service || :").trim(), "activating", "{host}");
    }
    directory.speaks_again(p);
    both_are_renewed(p);
    let (gap, made, answered) = visitor.stop();
    println!(
        "    {}: {address} moves while both are renewed: longest without an answer {gap:.2} s; {answered} of {made} requests answered",
        p.suite
    );
    assert!(gap < MOST, "no answer for {gap:.2} s");
    let second = shown(p);
    assert!((0..2).all(|n| second[n] != first[n]), "{first:#?} {second:#?}");
    assert_eq!((directory.accounts(p).as_str(), answers(p)), ("1", [one.clone(), one]));

    if std::env::var("FOOBAR_E2E_LONG").as_deref() == Ok("1") {
        the_account_is_made_by_both_at_once(p, &directory);
        one_order_is_handed_to_both(p, &directory);
    }

    // The address moves once more, to the other's new one.
    let gap = lose(p, &LOSSES[0], &address, &all);
    assert!(gap < MOST, "no answer for {gap:.2} s");
    p.foobar(&["verify"]).ends(0).says(&["every balancer answers the directory's challenges alike"]);
    p.is_converged();
    BALANCERS.iter().for_each(|host| nothing_was_said(p, host));
    directory.end(p, &HOSTS);
}

//! What proves that a balancer goes by its visitors' addresses: the same address always comes to the same backend, through
//! every balancer, and all backends have addresses of their own. A host has many addresses to ask itself from: all of
//! 127.0.0.0/8.

use super::{
    STAT, health_path,
    spread::{NAME, stat, up},
};
use crate::{
    base::{name::HostName, script::Script},
    component::{Answer, Check, Verdict, http, site::Site, spec::Haproxy},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// Addresses that ask three times each.
const STEADY: usize = 16;

/// Times that further ones ask once each, while a backend is without one: less than a hundred requests in all.
const BATCHES: usize = 6;

/// How many ask at a time.
const BATCH: usize = 8;

/// Backends up to which so many addresses must reach all of them: one that has half of its share is then missed once in
/// a thousand times.
const ALL_USED: usize = 5;

/// The `n`th address, far from its neighbours.
fn source(n: usize) -> Ipv4Addr {
    let octet = |step: usize| u8::try_from((n * step + 17) % 251 + 2).unwrap_or(2);
    Ipv4Addr::new(127, octet(37), octet(101), octet(59))
}

fn words(of: impl Iterator<Item = usize>) -> String {
    of.map(|n| source(n).to_string()).collect::<Vec<_>>().join(" ")
}

/// Asks as many addresses from the balancer itself, and prints who answered each.
pub(super) fn check(site: &Site, haproxy: &Haproxy, host: &HostName) -> Check {
    let path = health_path(site);
    let (next, last) = (http::request(site, &path, "", false), http::request(site, &path, "", true));
    let at = http::at(site.address(host), 443);
    let mut script = Script::new()
        .then(&http::asker(site, http::IMPATIENCE))
        .line(STAT)
        .line("scratch=$(mktemp -d) || exit 74; trap 'rm -rf \"$scratch\"' EXIT; : >\"$scratch/seen\"")
        .line(format!(
            "from() {{ said=$(ask {at} -bind \"$1:0\" | tr -d '\\r' | awk 'tolower($1) == \"x-served-by:\" {{ printf \" %s\", $2 }}'); echo \"$1$said\" >>\"$scratch/seen\"; }}"
        ))
        .line(format!("for a in {}; do printf '{next}{next}{last}' | from \"$a\" & done; wait", words(0..STEADY)))
        .line("all=$(stat | grep '^web,' | grep -cE ',UP,')")
        .line("used() { awk '{ for (n = 2; n <= NF; n++) print $n }' \"$scratch/seen\" | sort -u | wc -l; }");
    for batch in 0..BATCHES {
        let begin = STEADY + batch * BATCH;
        script = script.line(format!(
            "[ \"$(used)\" -ge \"$all\" ] || {{ for a in {}; do printf '{last}' | from \"$a\" & done; wait; }}",
            words(begin..begin + BATCH)
        ));
    }
    let script = script.line("cat \"$scratch/seen\"; echo ==; stat");
    let title = match haproxy.on.len() {
        1 => "each visitor's address stays on one backend",
        _ => "each visitor's address stays on one backend, through every balancer",
    };
    Check::together(NAME, host, title, script, judge)
}

/// Who answered each address.
fn seen(answer: &Answer) -> BTreeMap<&str, Vec<&str>> {
    let lines = answer.stdout.lines().take_while(|l| *l != "==");
    lines.filter_map(|l| l.split_once(' ')).map(|(source, by)| (source, by.split(' ').collect())).collect()
}

fn judge(host: &HostName, all: &BTreeMap<HostName, Answer>) -> Verdict {
    let Some(answer) = all.get(host) else { return Verdict::Error("there is no answer".into()) };
    let here = seen(answer);
    if here.len() < STEADY {
        return Verdict::Error(format!("{} of {STEADY} addresses got an answer over TLS", here.len()));
    }
    if let Some((source, by)) = here.iter().find(|(_, by)| by.iter().any(|name| name != &by[0])) {
        return Verdict::Fail(format!("{source} came to {}", by.join(", ")));
    }
    for (other, theirs) in all.iter().filter(|(other, _)| *other != host) {
        let theirs = seen(theirs);
        let elsewhere = here.iter().find_map(|(source, by)| {
            let there = theirs.get(source)?;
            (there[0] != by[0])
                .then(|| format!("{source} comes to {} here, and to {} through {other}", by[0], there[0]))
        });
        if let Some(elsewhere) = elsewhere {
            return Verdict::Fail(elsewhere);
        }
    }
    let used: BTreeSet<&str> = here.values().flatten().copied().collect();
    let rows = stat(answer.stdout.split_once("==\n").unwrap_or_default().1);
    let up: Vec<&String> = up(&rows).collect();
    let idle: Vec<&str> = up.iter().map(|name| name.as_str()).filter(|name| !used.contains(name)).collect();
    let told = format!("{} addresses on {} of {} backends", here.len(), used.len(), up.len());
    match (idle.is_empty(), up.len()) {
        (_, 0) => Verdict::Error("the balancer's counters could not be read".into()),
        (false, 1..=ALL_USED) => Verdict::Fail(format!("none of {} addresses came to {}", here.len(), idle.join(", "))),
        _ => Verdict::Pass(told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(of: &dyn Fn(usize) -> String, backends: usize) -> Answer {
        let seen: String = (0..STEADY).map(|n| format!("{} {}\n", source(n), of(n))).collect();
        let rows: String = (1..=backends).map(|n| format!("web,web-0{n},UP,\n")).collect();
        Answer { status: 0, stdout: format!("{seen}==\n# pxname,svname,status,\n{rows}\n"), ..Answer::default() }
    }

    /// Every third address to the second backend.
    fn hashed(n: usize) -> String {
        if n.is_multiple_of(3) { "web-02 web-02 web-02".into() } else { "web-01 web-01 web-01".into() }
    }

    fn judged(here: Answer, there: Answer) -> Verdict {
        let [one, two] = ["lb-01", "lb-02"].map(|name| name.parse::<HostName>().unwrap());
        judge(&one, &[(one.clone(), here), (two, there)].into())
    }

    #[test]
    fn an_address_must_stay_and_be_on_the_same_backend_everywhere() {
        let right = answer(&hashed, 2);
        assert_eq!(judged(right.clone(), right.clone()), Verdict::Pass("16 addresses on 2 of 2 backends".into()));
        let fails = |here: &Answer, there: &Answer, text: &str| match judged(here.clone(), there.clone()) {
            Verdict::Fail(said) => assert!(said.contains(text), "{said}"),
            other => panic!("{other:?}"),
        };
        let turns = answer(&|_| "web-01 web-02 web-01".into(), 2);
        fails(&turns, &right, "came to web-01, web-02, web-01");
        let other = answer(&|n| hashed(n + 1), 2);
        fails(&right, &other, "comes to web-02 here, and to web-01 through lb-02");
        let alone = answer(&|_| "web-01 web-01 web-01".into(), 2);
        fails(&alone, &alone, "none of 16 addresses came to web-02");
        // What the other one makes of its own answers is told there.
        assert!(matches!(judged(right.clone(), Answer::default()), Verdict::Pass(_)));
        assert!(matches!(judged(Answer::default(), right), Verdict::Error(_)));
    }

    #[test]
    fn of_many_backends_some_may_be_without_an_address() {
        let some = answer(&hashed, 9);
        assert_eq!(judged(some.clone(), some), Verdict::Pass("16 addresses on 2 of 9 backends".into()));
    }

    #[test]
    fn no_address_asks_twice_as_another_one_and_requests_are_few() {
        let all: BTreeSet<Ipv4Addr> = (0..STEADY + BATCHES * BATCH).map(source).collect();
        assert_eq!(all.len(), STEADY + BATCHES * BATCH);
        assert!(all.iter().all(|a| a.is_loopback()) && STEADY * 3 + BATCHES * BATCH < 100);
    }
}

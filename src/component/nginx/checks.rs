//! What proves a web server live: its own generation, health at its own address, visitors' true addresses in its log,
//! strangers unanswered.

use super::{local, rendered};
use crate::{
    base::{name::HostName, script::Script},
    component::{Check, Verdict, haproxy, http, names::NGINX_UNIT, site::Site},
};
use std::net::IpAddr;

const NAME: &str = "nginx";

/// An address that nobody has (RFC 5737), for a visitor who claims to be someone else.
const SPOOFED: &str = "203.0.113.66";

/// Every check of every web server.
pub fn all(site: &Site) -> Vec<Check> {
    let Some(nginx) = &site.topology.nginx else { return Vec::new() };
    let balancers: Vec<&HostName> = site.topology.haproxy.iter().flat_map(|h| &h.on).collect();
    let mut checks = Vec::new();
    for host in &nginx.on {
        checks.push(Check::unit(NAME, host, NGINX_UNIT));
        if let Ok((_, generation)) = rendered(site, nginx, host) {
            checks.push(http::runs(NAME, host, local().port(), generation));
        }
        // The balancers alone can reach it.
        let from = balancers.first().copied().unwrap_or(host);
        checks.extend([healthy(site, host, from), stranger(site, host, from)]);
        if let Some(balancer) = balancers.first() {
            checks.push(visitors(site, host, balancer, &balancers));
        }
    }
    checks
}

fn healthy(site: &Site, host: &HostName, from: &HostName) -> Check {
    let (address, path, name) = (site.address(host), haproxy::health_path(site), &site.topology.site);
    let script = http::getter().line(format!("get {address} 80 {path} {name}"));
    Check::new(NAME, from, format!("{host} answers {path}"), script, move |answer| match http::first(answer) {
        Some(response) => Verdict::when(response.status == 200, response.status.to_string()),
        None => Verdict::Fail("no answer on port 80".into()),
    })
}

fn stranger(site: &Site, host: &HostName, from: &HostName) -> Check {
    let address = site.address(host);
    // A name of the site answers, so that silence to a stranger means something.
    let script = http::getter().line(format!(
        "get {address} 80 / stranger.invalid; echo ==; get {address} 80 {} {}",
        haproxy::health_path(site),
        site.topology.site
    ));
    Check::new(NAME, from, format!("{host} does not answer strangers' names"), script, |answer| {
        let (stranger, known) = answer.stdout.split_once("==").unwrap_or_default();
        match (http::responses(stranger).first(), http::responses(known).first()) {
            (None, Some(_)) => Verdict::Pass("the connection is closed without a word".into()),
            (Some(response), _) => Verdict::Fail(format!("it answers {}", response.status)),
            (None, None) => Verdict::Error("it answers nobody".into()),
        }
    })
}

/// Visits the site from the web server itself, with a lie about the address, until it was the one to serve; its log must
/// then have the true one. Other web servers' visits of the same kind stand in the log too, and must be true as well.
fn visitors(site: &Site, host: &HostName, balancer: &HostName, balancers: &[&HostName]) -> Check {
    let own = site.address(host);
    let tries = site.topology.nginx.as_ref().map_or(1, |n| n.on.len()) * 2;
    let lie = format!("X-Forwarded-For: {SPOOFED}\\r\\nX-Real-IP: {SPOOFED}\\r\\n");
    let visit = |is_last| http::request(site, "/foobar-verify-%s", &lie, is_last);
    let script = Script::new()
        .then(&http::asker(site, http::PATIENCE))
        // The other web servers' visits of this very run; one a while ago may have come from a host that balances since.
        .line("since=$(date -d '-3 seconds' +%Y-%m-%dT%H:%M:%S)")
        .line("token=$(od -An -N6 -tx1 /dev/urandom | tr -d ' \\n')")
        .line(format!(
            "{{ n=1; while [ $n -lt {tries} ]; do printf '{}' \"$token\"; n=$((n + 1)); done; printf '{}' \"$token\"; }} | ask {} | grep -a '^HTTP/1' | head -n 1",
            visit(false),
            visit(true),
            http::at(site.address(balancer), 443)
        ))
        .line("sleep 0.1")
        .line("tail -n 5000 /var/log/nginx/access.log | grep -aF 'GET /foobar-verify-' | awk -v since=\"$since\" 'substr($3, 2, 19) >= since { print $1 }' | sort | uniq -c");
    let liars: Vec<IpAddr> = balancers.iter().map(|b| site.address(b)).collect();
    Check::new(NAME, host, "visitors' own addresses are logged, whatever they claim", script, move |answer| {
        let counted: Vec<(&str, &str)> = answer
            .stdout
            .lines()
            .filter_map(|l| l.trim().split_once(' '))
            .filter(|(n, _)| n.parse::<u32>().is_ok())
            .collect();
        let is_wrong =
            |address: &str| address == SPOOFED || address.parse::<IpAddr>().is_ok_and(|a| liars.contains(&a));
        match counted.iter().find(|(_, address)| is_wrong(address)) {
            Some((n, address)) if *address == SPOOFED => {
                Verdict::Fail(format!("{n} visits bear the address they claimed"))
            }
            Some((n, address)) => Verdict::Fail(format!("{n} visits bear the balancer's address, {address}")),
            None if !answer.stdout.contains("HTTP/1") => {
                Verdict::Error("the site does not answer through the balancer".into())
            }
            None if counted.is_empty() => Verdict::Pass("no visit came here; others serve this host".into()),
            None => Verdict::Pass(match counted.iter().any(|(_, a)| a.parse() == Ok(own)) {
                true => format!("logged as {own}"),
                false => format!("logged as {}", counted[0].1),
            }),
        }
    })
}

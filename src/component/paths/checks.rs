//! What proves the ways live: what runs is what was rendered, the write port leads to the primary and the read port to a
//! replica, each by the certificate that its server shows, and every database host says of its server what it is.

use super::{both, meeting, rendered};
use crate::{
    base::{
        name::HostName,
        script::{CLOCK, Script, quote},
    },
    component::{
        Answer, Check, Verdict, http,
        names::{HEALTH_PORT, HEALTH_UNIT, PATHS_LOCAL, PATHS_UNIT, READ_PORT, WATCH_UNIT, WRITE_PORT},
        site::Site,
        spec::Mysql,
    },
};

const NAME: &str = "paths";

/// Every check of every host at either end.
pub fn all(site: &Site) -> Vec<Check> {
    let Some((app, mysql)) = both(site) else { return Vec::new() };
    // Without its templates nothing would have been planned either.
    let generation = rendered(site, mysql).map(|(_, generation)| generation).unwrap_or_default();
    let mut checks = Vec::new();
    for host in &app.on {
        checks.push(Check::unit(NAME, host, PATHS_UNIT));
        checks.push(http::runs(NAME, host, PATHS_LOCAL, generation.clone()));
        checks.extend([writes(mysql, host), reads(mysql, host)]);
    }
    for host in mysql.hosts() {
        checks.extend([WATCH_UNIT, HEALTH_UNIT].map(|unit| Check::unit(NAME, host, unit)));
        checks.push(told(site, mysql, host));
    }
    checks
}

/// Who was met behind a port, or what went wrong.
fn met(answer: &Answer) -> Result<&str, String> {
    let line = |start: &str| answer.stdout.lines().find_map(|l| l.strip_prefix(start)).map(str::trim);
    match (line("verified "), line("name ")) {
        (Some(verified), Some(name)) if verified.starts_with("0 ") => Ok(name),
        (Some(verified), Some(name)) => Err(format!("{name} shows a certificate that does not hold: {verified}")),
        _ => Err("it leads to no database server".into()),
    }
}

/// Asks who is behind a port until it is one of these, and a little longer than the ways take to notice a server that has
/// come back (three questions in two seconds): what is said then is what counts.
fn until(port: u16, wanted: &[&HostName]) -> Script {
    let names: Vec<String> = wanted.iter().map(|host| format!("-e {}", quote(&format!("name {host}")))).collect();
    meeting()
        .line(CLOCK)
        .line("begun=$(clock)")
        .line(format!(
            "until said=$(met {port}); printf '%s\\n' \"$said\" | grep -qxF {} || [ $(($(clock) - begun)) -ge 4000 ]; do",
            names.join(" ")
        ))
        .line("  sleep 0.4")
        .line("done")
        .line("printf '%s\\n' \"$said\"")
}

fn writes(mysql: &Mysql, host: &HostName) -> Check {
    let script = until(WRITE_PORT, &[&mysql.primary]);
    let primary = mysql.primary.clone();
    let title = format!("port {WRITE_PORT} leads to the primary, over verified TLS");
    Check::new(NAME, host, title, script, move |answer| match met(answer) {
        Ok(name) if name == primary.as_str() => Verdict::Pass(format!("it leads to {name}")),
        Ok(name) => Verdict::Fail(format!("it leads to {name}, and {primary} is declared the primary")),
        Err(why) => Verdict::Fail(why),
    })
}

fn reads(mysql: &Mysql, host: &HostName) -> Check {
    let (primary, replicas) = (mysql.primary.clone(), mysql.replicas.clone());
    let wanted: Vec<&HostName> = if replicas.is_empty() { vec![&primary] } else { replicas.iter().collect() };
    let script = until(READ_PORT, &wanted);
    let whom = if replicas.is_empty() { "the primary" } else { "a replica" };
    let title = format!("port {READ_PORT} leads to {whom}, over verified TLS");
    Check::new(NAME, host, title, script, move |answer| {
        let name = match met(answer) {
            Ok(name) => name,
            Err(why) => return Verdict::Fail(why),
        };
        let is_replica = replicas.iter().any(|r| r.as_str() == name);
        if is_replica || replicas.is_empty() && name == primary.as_str() {
            Verdict::Pass(format!("it leads to {name}"))
        } else if name == primary.as_str() {
            Verdict::Fail(format!("no replica is fit to be read: it leads to {name}, the primary"))
        } else {
            Verdict::Fail(format!("it leads to {name}, which is none of the replicas"))
        }
    })
}

/// Asked where the applications ask.
fn told(site: &Site, mysql: &Mysql, host: &HostName) -> Check {
    let address = site.address(host);
    let mut script = http::getter();
    for path in ["/primary", "/replica"] {
        script = script.line(format!("get {address} {HEALTH_PORT} {path} database"));
    }
    let is_primary = *host == mysql.primary;
    let role = if is_primary { "the primary" } else { "a replica that keeps up" };
    Check::new(NAME, host, format!("it tells that its server is {role}"), script, move |answer| {
        let all = http::responses(&answer.stdout);
        let [primary, replica] = &all[..] else {
            return Verdict::Fail(format!("nobody answers on port {HEALTH_PORT}"));
        };
        let said = match primary.body.split_whitespace().collect::<Vec<_>>()[..] {
            ["primary", ..] => "it takes writes".to_owned(),
            ["replica", "-"] => "it follows, and does not know how far it is behind".to_owned(),
            ["replica", lag] => format!("it follows, {lag} s behind"),
            ["silent", ..] => "the server does not answer".to_owned(),
            _ => "it neither takes writes nor follows".to_owned(),
        };
        Verdict::when((primary.status, replica.status) == if is_primary { (200, 503) } else { (503, 200) }, said)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::testing;

    fn said(stdout: &str) -> Answer {
        Answer { status: 0, stdout: stdout.into(), ..Answer::default() }
    }

    #[test]
    fn a_way_is_known_by_who_is_met_at_its_end() {
        let site = testing::site(testing::topology());
        let mysql = site.topology.mysql.as_ref().unwrap();
        let host = "web-01".parse().unwrap();
        let (write, read) = (writes(mysql, &host), reads(mysql, &host));
        let (primary, replica) = ("name web-01\nverified 0 (ok)\n", "name web-02\nverified 0 (ok)\n");
        assert_eq!(write.verdict(&said(primary)), Verdict::Pass("it leads to web-01".into()));
        assert_eq!(read.verdict(&said(replica)), Verdict::Pass("it leads to web-02".into()));
        for (check, words) in [
            (&write, replica),
            (&read, primary),
            (&read, "name lb-01\nverified 0 (ok)\n"),
            (&write, "name web-01\nverified 64 (IP address mismatch)\n"),
            (&write, "verified 0 (ok)\n"),
            (&read, ""),
        ] {
            assert!(matches!(check.verdict(&said(words)), Verdict::Fail(_)), "{words}");
        }
        let mut alone = testing::topology();
        alone.mysql.as_mut().unwrap().replicas.clear();
        let site = testing::site(alone);
        let read = reads(site.topology.mysql.as_ref().unwrap(), &host);
        assert_eq!(read.verdict(&said(primary)), Verdict::Pass("it leads to web-01".into()));
    }

    #[test]
    fn what_a_database_host_tells_is_its_role_by_the_topology() {
        let site = testing::site(testing::topology());
        let mysql = site.topology.mysql.as_ref().unwrap();
        let answers = |primary: &str, replica: &str, body: &str| {
            said(&[primary, replica].map(|s| format!("HTTP/1.1 {s}\r\nContent-Length: 9\r\n\r\n{body}\n")).concat())
        };
        let (yes, no) = ("200 OK", "503 Service Unavailable");
        let of = |host: &str| told(&site, mysql, &host.parse().unwrap());
        let judged = |host: &str, a: &str, b: &str, body: &str| of(host).verdict(&answers(a, b, body));
        assert_eq!(judged("web-01", yes, no, "primary 0"), Verdict::Pass("it takes writes".into()));
        assert_eq!(judged("web-02", no, yes, "replica 2"), Verdict::Pass("it follows, 2 s behind".into()));
        assert!(matches!(judged("web-02", yes, no, "primary 0"), Verdict::Fail(_)));
        assert!(matches!(judged("web-01", no, no, "other -"), Verdict::Fail(_)));
        assert!(matches!(of("web-01").verdict(&said("")), Verdict::Fail(_)));
    }
}

//! What proves a balancer live: its own generation, no failed reload, every server up, strangers refused. How it spreads
//! requests is in `spread.rs`.

use super::{
    MASTER, STAT, certificates, health_path, local, master, rendered, sources,
    spread::{self, NAME, stat},
    traffic::TRAFFIC,
};
use crate::{
    base::{name::HostName, script::Script},
    component::{
        Check, Verdict, http,
        names::{GENERATION, HAPROXY_UNIT},
        site::Site,
        spec::{Algorithm, Backends, Haproxy},
        viewer,
    },
};

/// Every check of every balancer.
pub fn all(site: &Site) -> Vec<Check> {
    let Some(haproxy) = &site.topology.haproxy else { return Vec::new() };
    let mut checks = Vec::new();
    for host in &haproxy.on {
        checks.push(Check::unit(NAME, host, HAPROXY_UNIT));
        if let Ok((_, generation)) = rendered(site, haproxy, host) {
            checks.push(http::runs(NAME, host, local().port(), generation.clone()));
            checks.push(no_failed_reload(host, generation));
        }
        checks.push(serves_certificate(site, host));
        checks.push(servers_up(site, haproxy, host));
        checks.push(none_held(host));
        checks.push(spread_of(site, haproxy, host));
        if let Some(from) = viewer(site, &haproxy.on) {
            checks.push(stranger(site, host, from));
            checks.push(anonymous(site, host, from));
        }
    }
    checks
}

/// How a balancer's requests are spread, in the way that its algorithm can be told by.
fn spread_of(site: &Site, haproxy: &Haproxy, host: &HostName) -> Check {
    match (haproxy.backends, haproxy.algorithm) {
        (Backends::ActiveActive, Algorithm::IpHash) => sources::check(site, haproxy, host),
        _ => spread::turns(site, haproxy, host),
    }
}

/// A failed reload leaves its mark on the master until the next good one, also where the file was put back since: what
/// runs is then what was rendered, and nothing is wrong.
fn no_failed_reload(host: &HostName, generation: String) -> Check {
    let script = http::getter()
        .then(&master::functions(MASTER))
        .line("master 'show proc'; echo ==")
        .line(format!("get 127.0.0.1 {} {GENERATION} localhost", local().port()));
    Check::new(NAME, host, "its last reload was taken up", script, move |answer| {
        let (proc, running) = answer.stdout.split_once("==\n").unwrap_or_default();
        let workers: Vec<&str> = proc.lines().filter(|l| l.split_whitespace().nth(1) == Some("worker")).collect();
        let is_new = |line: &&str| line.split_whitespace().nth(2) == Some("0");
        let is_rendered = http::responses(running).first().is_some_and(|r| r.body.trim() == generation);
        if workers.is_empty() {
            Verdict::Error("the master socket does not answer: systemctl status haproxy".into())
        } else if proc.contains("failed: 0]") && workers.iter().any(is_new) {
            Verdict::Pass(format!("no failed reload; {} older workers finish", workers.len() - 1))
        } else if is_rendered {
            Verdict::Pass("a reload failed once; what runs is what was rendered".into())
        } else {
            Verdict::Fail("the last reload failed, and an old worker goes on: journalctl -u haproxy".into())
        }
    })
}

/// A reload that fails to take a new certificate in is not seen in the configuration.
fn serves_certificate(site: &Site, host: &HostName) -> Check {
    let script = certificates(site, host).line("on_disk; served");
    Check::new(NAME, host, "it serves the certificate on disk", script, |answer| {
        match answer.stdout.lines().collect::<Vec<_>>()[..] {
            [disk, served] if disk == served => Verdict::Pass("one and the same".into()),
            [_, _] => Verdict::Fail("it serves an older one; `systemctl reload haproxy` takes the new one in".into()),
            _ => Verdict::Error("one of the two could not be read".into()),
        }
    })
}

fn servers_up(site: &Site, haproxy: &Haproxy, host: &HostName) -> Check {
    // A backend that has just come back is up after `rise` good answers: that long is waited, within reason.
    let patience = haproxy.health.interval.duration().as_millis() * u128::from(haproxy.health.rise) / 200 + 3;
    let script = Script::new().line(STAT).line(format!("await_up {}; stat", patience.min(20)));
    let servers: Vec<HostName> = site.topology.nginx.iter().flat_map(|n| n.on.clone()).collect();
    Check::new(NAME, host, "every backend is up", script, move |answer| {
        let rows = stat(&answer.stdout);
        if rows.is_empty() {
            return Verdict::Error("the runtime API does not answer: systemctl status haproxy".into());
        }
        let state = |name: &HostName| {
            let row = rows.get(name.as_str())?;
            Some((
                row.get("status")?.as_str(),
                row.get("check_desc").or(row.get("check_status")).map_or("", String::as_str),
            ))
        };
        let down: Vec<String> = servers
            .iter()
            .filter_map(|name| match state(name) {
                Some(("UP", _)) => None,
                Some((status, why)) => Some(format!("{name} is {status} ({why})")),
                None => Some(format!("{name} is unknown to it")),
            })
            .collect();
        Verdict::when(down.is_empty(), if down.is_empty() { format!("{} up", servers.len()) } else { down.join("; ") })
    })
}

/// A backend that somebody took out looks like any that is down; what to do about it is another thing.
fn none_held(host: &HostName) -> Check {
    let script = Script::new().line("traffic() {").line(TRAFFIC.body.trim()).line("}").line("traffic");
    Check::new(NAME, host, "no drain was left behind", script, |answer| {
        let rows: Vec<Vec<&str>> = answer.stdout.lines().map(|l| l.split('\t').collect()).collect();
        let servers = rows.iter().filter_map(|r| match r[..] {
            ["server", name, held] => Some((name, held)),
            _ => None,
        });
        let out: Vec<String> = servers
            .clone()
            .filter(|(_, held)| *held != "-")
            .map(|(name, held)| format!("{name} is held out ({held}); `foobar apply` puts it back"))
            .collect();
        match servers.count() {
            0 => Verdict::Error("the runtime API does not answer: systemctl status haproxy".into()),
            n => Verdict::when(out.is_empty(), if out.is_empty() { format!("none of {n}") } else { out.join("; ") }),
        }
    })
}

fn stranger(site: &Site, host: &HostName, from: &HostName) -> Check {
    let script = http::getter().line(format!("get {} 80 / stranger.invalid", site.address(host)));
    let title = format!("{host} refuses names that are not this site's");
    Check::new(NAME, from, title, script, |answer| match http::first(answer) {
        Some(response) => Verdict::when(response.status == 421, format!("it answers {}", response.status)),
        None => Verdict::Error("no answer on port 80".into()),
    })
}

fn anonymous(site: &Site, host: &HostName, from: &HostName) -> Check {
    let request = http::request(site, &health_path(site), "", true);
    let at = http::at(site.address(host), 443);
    let script = http::asker(site, http::PATIENCE).line(format!("printf '{request}' | ask {at}"));
    let title = format!("answers through {host} do not say what serves them");
    Check::new(NAME, from, title, script, |answer| match http::first(answer) {
        Some(response) => match response.header("server").or(response.header("x-powered-by")) {
            Some(server) if server.contains(|c: char| c.is_ascii_digit()) => Verdict::Fail(format!("Server: {server}")),
            _ => Verdict::Pass("no version in any header".into()),
        },
        None => Verdict::Error("no answer over TLS".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Answer;

    /// The counters of two servers as the runtime API prints them, cut to the columns that are looked at.
    fn counters(one: (&str, u32), two: (&str, u32)) -> String {
        format!(
            "# pxname,svname,status,lbtot,check_status,check_desc,\nweb,web-01,{},{},L7OK,Layer7 check passed,\nweb,web-02,{},{},L4CON,Layer4 connection problem,\n\n",
            one.0, one.1, two.0, two.1
        )
    }

    #[test]
    fn a_backend_that_was_left_out_is_named() {
        let check = none_held(&"lb-01".parse().unwrap());
        let judge = |text: &str| check.verdict(&Answer { status: 0, stdout: text.into(), ..Answer::default() });
        assert_eq!(judge("server\tweb-01\t-\nup\tweb-01\t2\n"), Verdict::Pass("none of 1".into()));
        let held = judge("server\tweb-01\tmaint\nup\tweb-01\t0\nserver\tweb-02\t-\nup\tweb-02\t2\n");
        assert_eq!(held, Verdict::Fail("web-01 is held out (maint); `foobar apply` puts it back".into()));
        assert!(matches!(judge(""), Verdict::Error(_)));
    }

    #[test]
    fn a_backend_that_is_down_or_unknown_is_named() {
        let site = crate::component::testing::site(crate::component::testing::topology());
        let haproxy = site.topology.haproxy.as_ref().unwrap();
        let check = servers_up(&site, haproxy, &haproxy.on[0]);
        let judge = |stdout: String| check.verdict(&Answer { status: 0, stdout, ..Answer::default() });
        assert_eq!(judge(counters(("UP", 1), ("UP", 1))), Verdict::Pass("2 up".into()));
        let down = "web-02 is DOWN (Layer4 connection problem)";
        assert_eq!(judge(counters(("UP", 1), ("DOWN", 1))), Verdict::Fail(down.into()));
        assert!(matches!(judge(String::new()), Verdict::Error(_)));
    }
}

//! What proves a balancer live: its own generation, no failed reload, every server up, requests spread as configured,
//! strangers refused.

use super::{MASTER, STAT, certificates, health_path, local, master, rendered, traffic::TRAFFIC};
use crate::{
    base::{name::HostName, script::Script},
    component::{
        Answer, Check, Verdict, http,
        names::{BACKEND, GENERATION, HAPROXY_UNIT},
        site::Site,
        spec::{Algorithm, Backends, Haproxy},
        viewer,
    },
};
use std::collections::BTreeMap;

const NAME: &str = "haproxy";

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
        checks.push(spread(site, haproxy, host));
        if let Some(from) = viewer(site, &haproxy.on) {
            checks.push(stranger(site, host, from));
            checks.push(anonymous(site, host, from));
        }
    }
    checks
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

/// `show stat` of the backend's servers: its columns are found by their names.
fn stat(csv: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut lines = csv.lines().skip_while(|l| !l.starts_with("# pxname"));
    let names: Vec<&str> = lines.next().unwrap_or_default().trim_start_matches("# ").split(',').collect();
    let row = |line: &str| -> BTreeMap<String, String> {
        names.iter().zip(line.split(',')).map(|(n, v)| ((*n).to_owned(), v.to_owned())).collect()
    };
    let servers = lines.take_while(|l| l.contains(',')).map(row);
    servers
        .filter(|r| r.get("pxname").is_some_and(|p| p == BACKEND))
        .filter_map(|r| Some((r.get("svname")?.clone(), r)))
        .collect()
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

/// Requests that are made to see how they are spread: twelve a server.
fn count(site: &Site) -> usize {
    site.topology.nginx.as_ref().map_or(0, |n| n.on.len() * 12).clamp(12, 60)
}

/// Requests come one after another over one connection from the balancer itself, between two looks at its counters. The
/// counters see everybody's requests, so that other visitors' traffic does not blur the turns.
fn spread(site: &Site, haproxy: &Haproxy, host: &HostName) -> Check {
    let (path, n) = (health_path(site), count(site));
    let one = http::request(site, &path, "", false);
    let script = Script::new()
        .then(&http::asker(site))
        .line(STAT)
        .line("stat; echo ==")
        .line(format!(
            "{{ n=1; while [ $n -lt {n} ]; do printf '{one}'; n=$((n + 1)); done; printf '{}'; }} | ask {}",
            http::request(site, &path, "", true),
            http::at(site.address(host), 443)
        ))
        .line("echo; echo ==; stat");
    let (algorithm, backends) = (haproxy.algorithm, haproxy.backends);
    let first = site.topology.nginx.as_ref().and_then(|n| n.on.first()).map(ToString::to_string).unwrap_or_default();
    let how = match (backends, algorithm) {
        (Backends::ActivePassive, _) => "the first backend alone serves".to_owned(),
        (_, Algorithm::RoundRobin) => "backends serve by turns".to_owned(),
        (_, Algorithm::LeastConnections) => "all backends serve, by fewest connections".to_owned(),
        (_, Algorithm::IpHash) => "one client stays on one backend".to_owned(),
    };
    Check::new(NAME, host, how, script, move |answer| judge_spread(answer, n, algorithm, backends, &first))
}

fn judge_spread(answer: &Answer, n: usize, algorithm: Algorithm, backends: Backends, first: &str) -> Verdict {
    let parts: Vec<&str> = answer.stdout.split("==\n").collect();
    let [before, answers, after] = parts[..] else {
        return Verdict::Error("the balancer's counters could not be read".into());
    };
    let (before, after) = (stat(before), stat(after));
    let mut served: BTreeMap<String, usize> = BTreeMap::new();
    for response in http::responses(answers).iter().filter(|r| r.status == 200) {
        *served.entry(response.header("x-served-by").unwrap_or("nobody").to_owned()).or_default() += 1;
    }
    let shares = served.iter().map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>().join(", ");
    let total: usize = served.values().sum();
    if total < n {
        return Verdict::Fail(format!("{total} of {n} requests were served ({shares})"));
    }
    let up: Vec<&String> =
        after.iter().filter(|(_, row)| row.get("status").is_some_and(|s| s == "UP")).map(|(name, _)| name).collect();
    let all_serve = up.iter().all(|name| served.contains_key(*name));
    let holds = match (backends, algorithm) {
        (Backends::ActivePassive, _) => served.len() == 1 && served.contains_key(first),
        (_, Algorithm::IpHash) => served.len() == 1,
        (_, Algorithm::LeastConnections) => all_serve,
        (_, Algorithm::RoundRobin) => {
            let total = |rows: &BTreeMap<String, BTreeMap<String, String>>, name: &str| {
                rows.get(name)?.get("lbtot")?.parse::<i64>().ok()
            };
            let turns: Vec<i64> =
                up.iter().filter_map(|name| Some(total(&after, name)? - total(&before, name).unwrap_or(0))).collect();
            let (most, least) = (turns.iter().max().unwrap_or(&0), turns.iter().min().unwrap_or(&0));
            // One turn apart by nature, and one more because the counters are not read all in one instant.
            all_serve && most - least <= 2
        }
    };
    Verdict::when(holds, format!("{n} requests: {shares}"))
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
    let script = http::asker(site).line(format!("printf '{request}' | ask {at}"));
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

    /// The counters of two servers as the runtime API prints them, cut to the columns that are looked at.
    fn counters(one: (&str, u32), two: (&str, u32)) -> String {
        format!(
            "# pxname,svname,status,lbtot,check_status,check_desc,\nweb,web-01,{},{},L7OK,Layer7 check passed,\nweb,web-02,{},{},L4CON,Layer4 connection problem,\n\n",
            one.0, one.1, two.0, two.1
        )
    }

    fn served(by: &[&str]) -> String {
        by.iter().map(|name| format!("HTTP/1.1 200 OK\r\nx-served-by: {name}\r\ncontent-length: 0\r\n\r\n")).collect()
    }

    fn judged(algorithm: Algorithm, backends: Backends, by: &[&str], turns: (u32, u32), second: &str) -> Verdict {
        let stdout = format!(
            "{}==\n{}\n==\n{}",
            counters(("UP", 10), (second, 10)),
            served(by),
            counters(("UP", 10 + turns.0), (second, 10 + turns.1))
        );
        judge_spread(&Answer { status: 0, stdout }, by.len(), algorithm, backends, "web-01")
    }

    #[test]
    fn how_requests_are_spread_is_told_from_what_answered_and_from_the_counters() {
        use Algorithm::*;
        use Backends::*;
        let (a, b) = ("web-01", "web-02");
        let good = |v: Verdict| matches!(v, Verdict::Pass(_));
        assert!(good(judged(RoundRobin, ActiveActive, &[a, b, a, b], (2, 2), "UP")));
        // Others' requests came between: the turns still hold.
        assert!(good(judged(RoundRobin, ActiveActive, &[a, a, a, b], (8, 7), "UP")));
        assert!(!good(judged(RoundRobin, ActiveActive, &[a, a, a, b], (8, 3), "UP")));
        assert!(!good(judged(RoundRobin, ActiveActive, &[a, a, a, a], (4, 0), "UP")));
        // One that is down takes no turns; that it is down, another check says.
        assert!(good(judged(RoundRobin, ActiveActive, &[a, a, a, a], (4, 0), "DOWN")));
        assert!(good(judged(LeastConnections, ActiveActive, &[a, a, a, b], (3, 1), "UP")));
        assert!(!good(judged(LeastConnections, ActiveActive, &[a, a, a, a], (4, 0), "UP")));
        assert!(good(judged(IpHash, ActiveActive, &[b, b], (0, 2), "UP")));
        assert!(!good(judged(IpHash, ActiveActive, &[a, b], (1, 1), "UP")));
        assert!(good(judged(RoundRobin, ActivePassive, &[a, a], (2, 0), "UP")));
        assert!(!good(judged(RoundRobin, ActivePassive, &[b, b], (0, 2), "UP")));
        let silent = Answer { status: 1, stdout: "==\n\n==\n".into() };
        assert!(!good(judge_spread(&silent, 4, RoundRobin, ActiveActive, a)));
    }

    #[test]
    fn a_backend_that_was_left_out_is_named() {
        let check = none_held(&"lb-01".parse().unwrap());
        let judge = |text: &str| (check.judge)(&Answer { status: 0, stdout: text.into() });
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
        let judge = |stdout: String| (check.judge)(&Answer { status: 0, stdout });
        assert_eq!(judge(counters(("UP", 1), ("UP", 1))), Verdict::Pass("2 up".into()));
        let down = "web-02 is DOWN (Layer4 connection problem)";
        assert_eq!(judge(counters(("UP", 1), ("DOWN", 1))), Verdict::Fail(down.into()));
        assert!(matches!(judge(String::new()), Verdict::Error(_)));
    }
}

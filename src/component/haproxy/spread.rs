//! What proves that a balancer spreads requests as its algorithm says: a few dozen of its own, between two looks at its
//! counters. What it does with requests from many addresses is in `sources.rs`.

use super::{STAT, health_path};
use crate::{
    base::{name::HostName, script::Script},
    component::{
        Answer, Check, Verdict, http, keepalived,
        names::BACKEND,
        site::Site,
        spec::{Algorithm, Backends, Haproxy},
    },
};
use std::collections::BTreeMap;

pub(super) const NAME: &str = "haproxy";

/// The counters of servers, by their names and the columns'.
pub(super) type Rows = BTreeMap<String, BTreeMap<String, String>>;

/// `show stat` of the backend's servers: its columns are found by their names.
pub(super) fn stat(csv: &str) -> Rows {
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

/// The servers that a balancer may send requests to.
pub(super) fn up(rows: &Rows) -> impl Iterator<Item = &String> {
    rows.iter().filter(|(_, row)| row.get("status").is_some_and(|s| s == "UP")).map(|(name, _)| name)
}

fn number(rows: &Rows, name: &str, column: &str) -> Option<i64> {
    rows.get(name)?.get(column)?.parse().ok()
}

/// Requests that are made to see how they are spread: twelve a server.
fn count(site: &Site) -> usize {
    site.topology.nginx.as_ref().map_or(0, |n| n.on.len() * 12).clamp(12, 60)
}

/// Requests come one after another over one connection from the balancer itself, between two looks at its counters. The
/// counters see everybody's requests, so that other visitors' traffic does not blur the turns. Where each balancer has an
/// address of its own, that is asked: that it carries what comes there is seen by the same counters.
pub(super) fn turns(site: &Site, haproxy: &Haproxy, host: &HostName) -> Check {
    let (path, n) = (health_path(site), count(site));
    let one = http::request(site, &path, "", false);
    let address = keepalived::own_address(site, host);
    let script = Script::new()
        .then(&http::asker(site, http::PATIENCE))
        .line(STAT)
        .line("stat; echo ==")
        .line(format!(
            "{{ n=1; while [ $n -lt {n} ]; do printf '{one}'; n=$((n + 1)); done; printf '{}'; }} | ask {}",
            http::request(site, &path, "", true),
            http::at(address.unwrap_or(site.address(host)), 443)
        ))
        .line("echo; echo ==; stat");
    let (algorithm, backends) = (haproxy.algorithm, haproxy.backends);
    let first = site.topology.nginx.as_ref().and_then(|n| n.on.first()).map(ToString::to_string).unwrap_or_default();
    let mut how = match (backends, algorithm) {
        (Backends::ActivePassive, _) => "the first backend alone serves".to_owned(),
        (_, Algorithm::LeastConnections) => "all backends serve, by fewest connections".to_owned(),
        _ => "backends serve by turns".to_owned(),
    };
    if let Some(address) = address {
        how += &format!(" at {address}");
    }
    Check::new(NAME, host, how, script, move |answer| judge(answer, n, algorithm, backends, &first))
}

fn judge(answer: &Answer, n: usize, algorithm: Algorithm, backends: Backends, first: &str) -> Verdict {
    let parts: Vec<&str> = answer.stdout.split("==\n").collect();
    let [before, answers, after] = parts[..] else {
        return Verdict::Error("the balancer's counters could not be read".into());
    };
    let (before, after) = (stat(before), stat(after));
    if before.is_empty() || after.is_empty() {
        return Verdict::Error("the balancer's counters could not be read".into());
    }
    let mut served: BTreeMap<String, usize> = BTreeMap::new();
    for response in http::responses(answers).iter().filter(|r| r.status == 200) {
        *served.entry(response.header("x-served-by").unwrap_or("nobody").to_owned()).or_default() += 1;
    }
    let shares = served.iter().map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>().join(", ");
    let total: usize = served.values().sum();
    if total < n {
        return Verdict::Fail(format!("{total} of {n} requests were served ({shares})"));
    }
    // A server that came up or went away just now had fewer turns to take.
    let is_settled = |name: &&String| number(&after, name, "lastchg").is_none_or(|seconds| seconds > 2);
    let up: Vec<&String> = up(&after).filter(is_settled).collect();
    let took = |name: &str| number(&after, name, "lbtot").unwrap_or(0) - number(&before, name, "lbtot").unwrap_or(0);
    let turns: Vec<i64> = up.iter().map(|name| took(name)).collect();
    let all: i64 = after.keys().map(|name| took(name)).sum();
    if all < i64::try_from(n).unwrap_or(0) {
        return Verdict::Fail(format!("{all} of {n} requests came to this balancer, and another one served the rest"));
    }
    let busy = |name: &str| {
        let now = |rows| number(rows, name, "scur").unwrap_or(0);
        now(&before).min(now(&after))
    };
    // Where answers do not say who gave them (a template of the user's own), the counters do.
    let is_told = !served.contains_key("nobody");
    let serves = |name: &str| if is_told { served.contains_key(name) } else { took(name) > 0 };
    let all_serve = up.iter().all(|name| serves(name));
    let holds = match (backends, algorithm) {
        (Backends::ActivePassive, _) => after.keys().all(|name| serves(name) == (name == first)),
        (_, Algorithm::LeastConnections) => {
            // Who has more to do than another one rightly gets nothing.
            let least = up.iter().map(|name| busy(name)).min().unwrap_or(0);
            up.iter().all(|name| serves(name) || busy(name) > least)
        }
        _ => all_serve && are_even(&turns),
    };
    Verdict::when(holds, format!("{n} requests: {shares}"))
}

/// Whether all servers took as many turns. Round-robin leaves nothing to chance: they are one apart by nature, and one more
/// because counters are not read all in one instant. Where thousands are taken meanwhile, that instant is worth many of
/// them, and what chance alone would leave apart is allowed.
fn are_even(turns: &[i64]) -> bool {
    let (most, least) = (turns.iter().max().unwrap_or(&0), turns.iter().min().unwrap_or(&0));
    let total: i64 = turns.iter().sum();
    most - least <= 2 || total >= BUSY && chi_square(turns) <= critical(turns.len().saturating_sub(1))
}

/// Turns from which on they are taken too fast to be counted in one instant.
const BUSY: i64 = 1000;

/// Pearson's statistic of counts that should be equal.
#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
fn chi_square(counts: &[i64]) -> f64 {
    let share = counts.iter().sum::<i64>() as f64 / counts.len().max(1) as f64;
    counts.iter().map(|n| (*n as f64 - share).powi(2) / share).sum()
}

/// What chi-square exceeds by chance once in a thousand times, by degrees of freedom (NIST/SEMATECH e-Handbook of
/// Statistical Methods, 1.3.6.7.4, upper tail, 0.001); beyond the table by Wilson and Hilferty's approximation.
fn critical(freedom: usize) -> f64 {
    const TABLE: [f64; 10] = [10.828, 13.816, 16.266, 18.467, 20.515, 22.458, 24.322, 26.125, 27.877, 29.588];
    if let Some(value) = freedom.checked_sub(1).and_then(|at| TABLE.get(at)) {
        return *value;
    }
    let k = f64::from(u32::try_from(freedom).unwrap_or(u32::MAX));
    let part = 2.0 / (9.0 * k);
    k * (1.0 - part + 3.090_232 * part.sqrt()).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counters of two servers as the runtime API prints them, cut to the columns that are looked at: status, turns,
    /// open sessions, seconds since the last change.
    fn counters(rows: [(&str, u32, u32, u32); 2]) -> String {
        let row = |(at, (status, lbtot, scur, since)): (usize, (&str, u32, u32, u32))| {
            format!("web,web-0{},{scur},{status},{lbtot},{since},\n", at + 1)
        };
        let rows: String = rows.into_iter().enumerate().map(row).collect();
        format!("# pxname,svname,scur,status,lbtot,lastchg,\n{rows}\n")
    }

    fn judged_with(
        how: (Algorithm, Backends),
        by: &[&str],
        turns: (u32, u32),
        second: (&str, u32),
        busy: u32,
    ) -> Verdict {
        let (status, since) = second;
        let rows = |one, two| counters([("UP", one, 0, 900), (status, two, busy, since)]);
        let stdout = format!("{}==\n{}\n==\n{}", rows(10, 10), served(by), rows(10 + turns.0, 10 + turns.1));
        judge(&Answer { status: 0, stdout, ..Answer::default() }, by.len(), how.0, how.1, "web-01")
    }

    fn judged(algorithm: Algorithm, backends: Backends, by: &[&str], turns: (u32, u32), second: &str) -> Verdict {
        judged_with((algorithm, backends), by, turns, (second, 900), 0)
    }

    fn served(by: &[&str]) -> String {
        by.iter().map(|name| format!("HTTP/1.1 200 OK\r\nx-served-by: {name}\r\ncontent-length: 0\r\n\r\n")).collect()
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
        assert!(good(judged(RoundRobin, ActivePassive, &[a, a], (2, 0), "UP")));
        assert!(!good(judged(RoundRobin, ActivePassive, &[b, b], (0, 2), "UP")));
        let silent = Answer { status: 1, stdout: "==\n\n==\n".into(), ..Answer::default() };
        assert!(!good(judge(&silent, 4, RoundRobin, ActiveActive, a)));
    }

    #[test]
    fn who_has_more_to_do_gets_fewer_and_who_has_just_come_is_waited_for() {
        use Algorithm::*;
        let (a, b) = ("web-01", "web-02");
        let good = |v: Verdict| matches!(v, Verdict::Pass(_));
        let how = |algorithm| (algorithm, Backends::ActiveActive);
        // The second one holds a long connection, or none.
        assert!(good(judged_with(how(LeastConnections), &[a, a, a, a], (4, 0), ("UP", 900), 1)));
        assert!(!good(judged_with(how(LeastConnections), &[a, a, a, a], (4, 0), ("UP", 900), 0)));
        assert!(good(judged_with(how(RoundRobin), &[a, a, a, b], (3, 1), ("UP", 1), 0)));
        assert!(!good(judged_with(how(RoundRobin), &[a, a, a, a, a, b], (5, 1), ("UP", 3), 0)));
    }

    #[test]
    fn requests_that_another_balancer_serves_are_not_this_ones() {
        let elsewhere = judged(Algorithm::RoundRobin, Backends::ActiveActive, &["web-01", "web-02"], (0, 0), "UP");
        assert!(matches!(elsewhere, Verdict::Fail(said) if said.starts_with("0 of 2 requests came to this balancer")));
    }

    #[test]
    fn turns_are_even_to_the_last_one_unless_thousands_are_taken() {
        assert!(are_even(&[410, 409]) && are_even(&[5, 7]) && !are_even(&[5, 8]) && !are_even(&[400, 420]));
        assert!(are_even(&[50_000, 50_040, 49_970]) && !are_even(&[50_000, 51_000, 49_000]));
        // A weight of nine tenths among thousands.
        assert!(!are_even(&[5000, 4500]));
        assert!(are_even(&[]) && are_even(&[12]));
    }

    #[test]
    fn critical_values_go_on_where_the_table_ends() {
        // The handbook's own values; the approximation is half a per cent off at its worst.
        for (freedom, value) in [(1, 10.828), (11, 31.264), (50, 86.661), (100, 149.449)] {
            assert!((critical(freedom) / value - 1.0).abs() < 0.006, "{freedom}: {}", critical(freedom));
        }
    }
}

//! What a drill takes away on a host, and how visitors fare meanwhile: a probe that asks for the site all the time from
//! another host, and the reading of what it was answered. Taking away and putting back is the command's business.

use super::{
    Desired, all, dns, haproxy, http,
    site::Site,
    spec::{Dns, Served},
};
use crate::{
    base::{
        dns::{Kind, Question},
        name::HostName,
        script::{Script, quote},
        template::TemplateError,
    },
    resource::owned::Kind as Owned,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Seconds between two requests of one kind.
pub const EVERY: &str = "0.2";

/// The services of a host, by the component that asks for them, the nearest to the visitor first. The packet filter is
/// none of them, and sshd is nobody's.
pub fn services(site: &Site, host: &HostName) -> Result<Vec<(&'static str, Vec<String>)>, TemplateError> {
    let mut found = Vec::new();
    for component in all(site) {
        let mut desired = Desired::default();
        component.resources(site, &mut desired)?;
        let here = desired.wanted.iter().filter(|w| w.host == *host);
        let footprints = here.flat_map(|w| w.resource.footprint());
        let units: Vec<String> = footprints.filter(|o| o.kind == Owned::Service).map(|o| o.name).collect();
        if !units.is_empty() {
            found.push((component.name(), units));
        }
    }
    found.reverse();
    Ok(found)
}

/// Asks for the site at each of its addresses, and for its name at its own name servers, until the file `stop` is there or
/// `seconds` are over: a line an answer, `@probe LABEL UPTIME ok|STATUS|-`. Each request is a visitor of its own, who
/// knocks anew; nobody waits for one who is not answered. Nothing is left behind.
pub fn probe(site: &Site, seconds: u64, stop: &str) -> Script {
    let mut script = Script::new()
        .then(&http::asker(site, http::IMPATIENCE))
        .then(&dns::asker())
        .line("visit() { read -r at _ </proc/uptime")
        .line(format!(
            "  said=$(printf '{}' | ask \"$2\" | sed -n '1s/^HTTP[^ ]* \\([0-9]*\\).*/\\1/p')",
            http::request(site, &haproxy::health_path(site), "", true)
        ))
        .line("  case $said in [23]??) said=ok ;; esac; printf '@probe %s %s %s\\n' \"$1\" \"$at\" \"${said:--}\"; }");
    let mut each = String::new();
    for address in site.public_addresses() {
        each.push_str(&format!("visit {address} {} & ", http::at(address, 443)));
    }
    if let Some(Dns { served: Served::Own { on, .. }, .. }) = &site.topology.dns {
        let question = quote(&Question::of(site.topology.site.as_str(), Kind::A).udp());
        // As a resolver does: who does not answer is passed over.
        let servers: Vec<String> = on.iter().map(|host| site.address(host).to_string()).collect();
        script = script
            .line("name() { read -r at _ </proc/uptime; said=-")
            .line(format!(
                "  for server in {}; do case $(query udp \"$server\" {question}) in ????8??0????0000*) ;; ????8??0*) said=ok; break ;; esac; done",
                servers.join(" ")
            ))
            .line("  printf '@probe names %s %s\\n' \"$at\" \"$said\"; }");
        each.push_str("name & ");
    }
    script
        .line(format!("read -r now _ </proc/uptime; end=$((${{now%.*}} + {seconds}))"))
        .line(format!("while [ ! -e {stop} ] && read -r now _ </proc/uptime && [ \"${{now%.*}}\" -lt \"$end\" ]; do"))
        // Whoever does not listen any more ends it.
        .line(format!("  echo asking; {each}sleep {EVERY}"))
        .line(format!("done; wait; rm -f {stop}"))
}

/// Whether a line of the probe's tells of an answer that was good; none where it is no such line.
pub fn is_good(line: &str) -> Option<bool> {
    line.strip_prefix("@probe ").map(|rest| rest.ends_with(" ok"))
}

/// How visitors fared at one address, or resolvers that asked for the name (`names`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fared {
    /// The address, or `names`.
    pub at: String,
    /// Requests that were made.
    pub made: usize,
    /// Those without a good answer.
    pub failed: usize,
    /// Milliseconds for which none was answered well, altogether.
    pub impact_millis: u64,
    /// The longest of these times.
    pub longest_millis: u64,
    /// Whether the last one was answered well.
    pub is_back: bool,
}

/// Reads all that a probe said.
pub fn tally(stdout: &str) -> Vec<Fared> {
    let mut all: BTreeMap<&str, Vec<(u64, bool)>> = BTreeMap::new();
    for line in stdout.lines().filter_map(|l| l.strip_prefix("@probe ")) {
        if let [at, uptime, said] = line.split(' ').collect::<Vec<_>>()[..]
            && let Some(millis) = millis(uptime)
        {
            all.entry(at).or_default().push((millis, said == "ok"));
        }
    }
    let fared = |(at, mut seen): (&str, Vec<(u64, bool)>)| {
        // In the order that they were made: answers come as they like.
        seen.sort();
        let (mut impact, mut longest, mut since) = (0, 0, None);
        for (at, is_good) in &seen {
            match (since, is_good) {
                (None, false) => since = Some(*at),
                (Some(began), true) => {
                    (impact, longest) = (impact + at - began, longest.max(at - began));
                    since = None;
                }
                _ => {}
            }
        }
        if let (Some(began), Some((last, _))) = (since, seen.last()) {
            (impact, longest) = (impact + last - began, longest.max(last - began));
        }
        Fared {
            at: at.to_owned(),
            made: seen.len(),
            failed: seen.iter().filter(|(_, is_good)| !is_good).count(),
            impact_millis: impact,
            longest_millis: longest,
            is_back: since.is_none(),
        }
    };
    all.into_iter().map(fared).collect()
}

/// `12345.67` seconds as milliseconds.
fn millis(uptime: &str) -> Option<u64> {
    let (whole, part) = uptime.split_once('.').unwrap_or((uptime, "0"));
    let part: u64 = format!("{part:0<3}").get(..3)?.parse().ok()?;
    Some(whole.parse::<u64>().ok()?.checked_mul(1000)? + part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::testing;

    #[test]
    fn what_was_asked_while_nobody_answered_is_the_impact() {
        let said = "@probe 10.0.0.1 100.00 ok\nnoise\n@probe 10.0.0.1 100.40 -\n@probe 10.0.0.1 100.20 503\n\
                    @probe 10.0.0.1 100.60 ok\n@probe 10.0.0.1 100.80 -\n@probe 10.0.0.1 101.00 ok\n@probe names 100.05 ok\n";
        let all = tally(said);
        let of = |at: &str| all.iter().find(|f| f.at == at).unwrap().clone();
        let web = of("10.0.0.1");
        assert_eq!((web.made, web.failed, web.impact_millis, web.longest_millis), (6, 3, 600, 400));
        assert!(web.is_back);
        assert_eq!((of("names").made, of("names").failed, of("names").is_back), (1, 0, true));
        let gone = tally("@probe a 1.5 ok\n@probe a 2.0 -\n@probe a 2.5 -\n");
        assert_eq!((gone[0].impact_millis, gone[0].is_back), (500, false));
        assert!(tally("@probe a x ok\n@probe\n").is_empty());
    }

    #[test]
    fn a_host_has_the_services_of_its_components_and_no_firewall() {
        let site = testing::site(testing::topology());
        let of = |host: &str| services(&site, &host.parse().unwrap()).unwrap();
        assert_eq!(of("lb-01"), [("haproxy", vec!["haproxy.service".to_owned()])]);
        let web: Vec<&str> = of("web-02").iter().map(|(name, _)| *name).collect();
        assert_eq!(web, ["nginx", "app", "paths", "mysql"]);
    }
}

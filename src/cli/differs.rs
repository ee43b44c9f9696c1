//! Whether the hosts differ from the topology, as a check of `verify`: what a plan asks of a host is asked beside its other
//! checks, in the same exec, and all answers are compared as a plan compares them. Nothing is planned further.

use crate::{
    base::name::{DomainName, HostName},
    component::{Answer, Check, Desired, Verdict, site::Site},
    engine::mint::SystemMint,
    plan::{
        desired,
        diff::{self, Basis},
        observe,
        remove::Removal,
        settle::{self, Mint as _},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

/// What is claimed.
const TITLE: &str = "nothing differs from the topology";

/// Differences that are told of each host; the others are counted.
const TOLD: usize = 3;

/// What shall be, and what was found to differ once all hosts have answered.
struct Comparison {
    site: DomainName,
    hosts: Vec<HostName>,
    desired: Desired,
    found: OnceLock<Result<BTreeMap<HostName, Vec<String>>, String>>,
}

/// One check a host.
pub fn checks(site: &Site) -> Vec<Check> {
    // Without its templates nothing would have been planned either.
    let Ok(desired) = desired::compile(site) else { return Vec::new() };
    let hosts: Vec<HostName> = site.hosts().cloned().collect();
    let comparison = Comparison { site: site.topology.site.clone(), hosts, desired, found: OnceLock::new() };
    let comparison = Arc::new(comparison);
    let check = |host: &HostName| {
        let of_all = comparison.clone();
        let script = observe::script(comparison.desired.wanted.iter().filter(|w| w.host == *host));
        Check::together("plan", host, TITLE, script, move |host, all| of_all.verdict(host, all))
    };
    site.hosts().map(check).collect()
}

impl Comparison {
    fn verdict(&self, host: &HostName, all: &BTreeMap<HostName, Answer>) -> Verdict {
        match self.found.get_or_init(|| self.compare(all)) {
            Ok(found) => told(found.get(host).map(Vec::as_slice).unwrap_or_default()),
            Err(why) => Verdict::Error(why.clone()),
        }
    }

    fn compare(&self, all: &BTreeMap<HostName, Answer>) -> Result<BTreeMap<HostName, Vec<String>>, String> {
        let mut seen = BTreeMap::new();
        for host in &self.hosts {
            let answer =
                all.get(host).ok_or_else(|| format!("{host} gave no answer, and what differs is told from all"))?;
            let observation = observe::parse(answer.stdout.as_bytes()).map_err(|why| format!("{host}: {why}"))?;
            seen.insert(host.clone(), observation);
        }
        let mut mint = SystemMint;
        let limit: BTreeSet<HostName> = self.hosts.iter().cloned().collect();
        let basis = Basis {
            site: &self.site,
            hosts: &self.hosts,
            desired: &self.desired,
            seen: &seen,
            secrets: &settle::settle(&self.desired.secrets, &seen, &BTreeSet::new(), &mut mint)?,
            now: mint.now(),
            limit: &limit,
            removal: Removal::default(),
        };
        let plan = diff::diff(&basis).map_err(|refusals| {
            let first = refusals.first().map(|r| format!(": {}: {}", r.host, r.what)).unwrap_or_default();
            format!("`foobar plan` makes none{first}")
        })?;
        let mut found: BTreeMap<HostName, Vec<String>> = BTreeMap::new();
        for step in plan.steps {
            found.entry(step.host).or_default().push(step.change.summary);
        }
        Ok(found)
    }
}

fn told(found: &[String]) -> Verdict {
    let more = found.len().saturating_sub(TOLD);
    let first = found[..found.len() - more].join("; ");
    match (found.len(), more) {
        (0, _) => Verdict::Pass("a plan is empty".into()),
        (_, 0) => Verdict::Fail(format!("a plan would {first}: `foobar plan` shows it, `foobar apply` does it")),
        _ => Verdict::Fail(format!(
            "a plan would {first}; and {more} more: `foobar plan` shows it, `foobar apply` does it"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(hosts: &[&str]) -> Comparison {
        Comparison {
            site: "www.foobar.com".parse().unwrap(),
            hosts: hosts.iter().map(|h| h.parse().unwrap()).collect(),
            desired: Desired::default(),
            found: OnceLock::new(),
        }
    }

    #[test]
    fn a_host_that_is_silent_leaves_the_question_open() {
        let [a, b]: [HostName; 2] = ["a", "b"].map(|h| h.parse().unwrap());
        let heard = |stdout: &str| Answer { status: 0, stdout: stdout.into(), ..Answer::default() };
        let silent = comparison(&["a", "b"]).verdict(&a, &[(a.clone(), heard("end 0\n"))].into());
        assert!(matches!(silent, Verdict::Error(said) if said.starts_with("b gave no answer")));
        let half =
            comparison(&["a", "b"]).verdict(&a, &[(a.clone(), heard("end 0\n")), (b, heard("x 10\nhal"))].into());
        assert!(matches!(half, Verdict::Error(said) if said.starts_with("b: the reply ends")));
        // What it is says that it is nothing foobar knows: a plan refuses, and so does this.
        let unfit = comparison(&["a"]).verdict(&a, &[(a.clone(), heard("end 0\n"))].into());
        assert!(
            matches!(unfit, Verdict::Error(said) if said.starts_with("`foobar plan` makes none: a: it runs unknown"))
        );
    }

    #[test]
    fn the_first_differences_are_told_and_the_others_counted() {
        let steps = |n: usize| (1..=n).map(|n| format!("change {n}")).collect::<Vec<_>>();
        assert_eq!(told(&[]), Verdict::Pass("a plan is empty".into()));
        let way = "`foobar plan` shows it, `foobar apply` does it";
        assert_eq!(told(&steps(2)), Verdict::Fail(format!("a plan would change 1; change 2: {way}")));
        let five = format!("a plan would change 1; change 2; change 3; and 2 more: {way}");
        assert_eq!(told(&steps(5)), Verdict::Fail(five));
    }
}

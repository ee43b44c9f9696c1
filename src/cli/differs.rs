//! Whether the hosts differ from the topology, as a check of `verify`: what a plan asks of a host is asked beside its other
//! checks, in the same exec, and all answers are compared as a plan compares them. Nothing is planned further.

use crate::{
    base::name::{DomainName, HostName},
    component::{Answer, Check, Desired, Verdict, site::Site},
    engine::mint::SystemMint,
    plan::{
        apart::{Found, apart},
        desired::{self, FINGERPRINT_KEY},
        diff::{self, Basis},
        observe,
        remove::Removal,
        settle::{self, Mint as _},
    },
    report::style,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

/// What is claimed.
const TITLE: &str = "nothing differs from the topology";

/// Differences that are told of each host; the others are counted.
const TOLD: usize = 3;

/// What shall be, and what was found once all hosts have answered that do.
struct Comparison {
    site: DomainName,
    hosts: Vec<HostName>,
    desired: Desired,
    found: OnceLock<Told>,
}

/// What is known of each host, and who gave no answer that can be read.
#[derive(Default)]
struct Told {
    found: BTreeMap<HostName, Found>,
    silent: Vec<HostName>,
    /// Why the one's answer cannot be read, or nothing is known of anybody.
    errors: BTreeMap<HostName, String>,
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
        let Told { found, silent, errors } = self.found.get_or_init(|| self.compare(all));
        match (errors.get(host), found.get(host)) {
            (Some(why), _) => Verdict::Error(why.clone()),
            (None, Some(found)) => told(found, silent),
            (None, None) => Verdict::Error("the host gave no answer to it".into()),
        }
    }

    fn compare(&self, all: &BTreeMap<HostName, Answer>) -> Told {
        let (mut seen, mut out) = (BTreeMap::new(), Told::default());
        for host in &self.hosts {
            match all.get(host).map(|answer| observe::parse(answer.stdout.as_bytes())) {
                Some(Ok(observation)) => drop(seen.insert(host.clone(), observation)),
                Some(Err(why)) => drop(out.errors.insert(host.clone(), why)),
                None => {}
            }
        }
        out.silent = self.hosts.iter().filter(|host| !seen.contains_key(host)).cloned().collect();
        let (mut mint, is_whole) = (SystemMint, out.silent.is_empty());
        let secrets = match is_whole {
            true => settle::settle(&self.desired.secrets, &seen, &BTreeSet::new(), &mut mint),
            false => Ok(settle::kept(&self.desired.secrets, &seen, &mut mint)),
        };
        let secrets = match secrets {
            Ok(secrets) if is_whole || secrets.get(FINGERPRINT_KEY).is_some() => secrets,
            // Without the key nothing on record can be compared.
            Ok(_) => {
                let why = format!("the key to what is on record is kept by none but {}", names(&out.silent));
                return out.with(seen.keys(), &why);
            }
            Err(why) => return out.with(seen.keys(), &why),
        };
        let limit: BTreeSet<HostName> = self.hosts.iter().cloned().collect();
        let basis = Basis {
            site: &self.site,
            hosts: &self.hosts,
            desired: &self.desired,
            seen: &seen,
            secrets: &secrets,
            now: mint.now(),
            limit: &limit,
            removal: Removal::default(),
        };
        let plan = if is_whole { diff::diff(&basis) } else { Err(Vec::new()) };
        match plan {
            Ok(plan) => {
                out.found = seen.keys().map(|host| (host.clone(), Found::default())).collect();
                for step in plan.steps {
                    out.found.entry(step.host).or_default().differs.push(step.change.summary);
                }
            }
            Err(refusals) => {
                out.found = apart(&basis);
                for refusal in refusals {
                    out.found.entry(refusal.host).or_default().refused.get_or_insert(refusal.what);
                }
            }
        }
        out
    }
}

impl Told {
    /// Nothing is known of these.
    fn with<'a>(mut self, hosts: impl Iterator<Item = &'a HostName>, why: &str) -> Self {
        self.errors.extend(hosts.map(|host| (host.clone(), why.to_owned())));
        self
    }
}

fn names(hosts: &[HostName]) -> String {
    style::hosts(hosts).join(", ")
}

fn told(Found { differs, open, refused }: &Found, silent: &[HostName]) -> Verdict {
    let more = differs.len().saturating_sub(TOLD);
    let first = differs[..differs.len() - more].join("; ");
    match (refused, differs.len(), more) {
        (Some(why), ..) => Verdict::Error(format!("`foobar plan` makes none: {why}")),
        (None, 0, _) if silent.is_empty() => Verdict::Pass("a plan is empty".into()),
        (None, 0, _) if open.is_empty() => {
            Verdict::Pass(format!("a plan would do nothing here; {} gave no answer", names(silent)))
        }
        (None, 0, _) => Verdict::Pass(format!(
            "a plan would do nothing here that is known without {}; what goes by it: {}",
            names(silent),
            open.join(", ")
        )),
        (None, _, 0) => Verdict::Fail(format!("a plan would {first}: `foobar plan` shows it, `foobar apply` does it")),
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
    fn who_gives_no_answer_that_can_be_read_keeps_nobody_else_from_being_judged() {
        let [a, b]: [HostName; 2] = ["a", "b"].map(|h| h.parse().unwrap());
        let heard = |stdout: &str| Answer { status: 0, stdout: stdout.into(), ..Answer::default() };
        let pair = || comparison(&["a", "b"]);
        // What it is says that it is nothing foobar knows: a plan refuses, and so does this, of that host alone.
        let whole = [(a.clone(), heard("end 0\n")), (b.clone(), heard("end 0\n"))].into();
        let unfit = pair().verdict(&a, &whole);
        assert!(matches!(unfit, Verdict::Error(said) if said.starts_with("`foobar plan` makes none: it runs unknown")));
        // Nobody but the silent one may have the key that all is compared with.
        let silent = pair().verdict(&a, &[(a.clone(), heard("end 0\n"))].into());
        assert!(matches!(silent, Verdict::Error(said) if said.ends_with("is kept by none but b")));
        let half = pair().verdict(&b, &[(a, heard("end 0\n")), (b.clone(), heard("x 10\nhal"))].into());
        assert!(matches!(half, Verdict::Error(said) if said.starts_with("the reply ends")));
    }

    #[test]
    fn the_first_differences_are_told_and_the_others_counted() {
        let steps = |n: usize| (1..=n).map(|n| format!("change {n}")).collect::<Vec<_>>();
        let told = |differs: &[String]| super::told(&Found { differs: differs.to_vec(), ..Found::default() }, &[]);
        assert_eq!(told(&[]), Verdict::Pass("a plan is empty".into()));
        let way = "`foobar plan` shows it, `foobar apply` does it";
        assert_eq!(told(&steps(2)), Verdict::Fail(format!("a plan would change 1; change 2: {way}")));
        let five = format!("a plan would change 1; change 2; change 3; and 2 more: {way}");
        assert_eq!(told(&steps(5)), Verdict::Fail(five));
    }
}

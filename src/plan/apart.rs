//! What differs on each host by itself, for when no plan can be made: some host gave no answer, or stands in a plan's way.
//! What goes by a host that gave none is not known, and is told apart. Nothing is ordered here.

use super::{
    diff::{self, Basis, Compared},
    remove::{self, Scope},
};
use crate::base::name::HostName;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of one host.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What a plan would do there.
    pub differs: Vec<String>,
    /// What is not known, as it goes by a host that gave no answer.
    pub open: Vec<String>,
    /// Why no plan is made for it.
    pub refused: Option<String>,
}

/// Every host that answered, by itself.
pub fn apart(basis: &Basis<'_>) -> BTreeMap<HostName, Found> {
    let mut found: BTreeMap<HostName, Found> = BTreeMap::new();
    for (host, seen) in basis.seen.iter().filter(|(host, _)| basis.hosts.contains(host)) {
        let refused = diff::unfit(host, seen).map(|refusal| refusal.what);
        found.insert(host.clone(), Found { refused, ..Found::default() });
    }
    let fit: BTreeSet<HostName> = found.iter().filter(|(_, f)| f.refused.is_none()).map(|(h, _)| h.clone()).collect();
    let Compared { mut steps, refusals, open, .. } = diff::compare(basis, Some(&fit));
    for key in open {
        found.entry(key.host.clone()).or_default().open.push(key.id.to_string());
    }
    for refusal in refusals {
        found.entry(refusal.host).or_default().refused.get_or_insert(refusal.what);
    }
    let Basis { hosts, desired, seen, removal, .. } = *basis;
    let scope = Scope { site: basis.site.as_str(), hosts, desired, seen, limit: &fit, removal };
    // It refuses what takes a whole site away, and nothing else.
    if let Ok((all, _)) = remove::insert(&scope, steps.clone()) {
        steps = all;
    }
    for step in steps {
        found.entry(step.host).or_default().differs.push(step.change.summary);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{
            script::Script,
            secret::{Secret, Secrets},
        },
        component::{Desired, Source},
        plan::{
            desired::FINGERPRINT_KEY,
            remove::Removal,
            settle::{self, Mint, Pair},
        },
        resource::{
            Action, Change, Observation, Probe, Refusal, Resource, ResourceId, Seen, stored::STORED, system::FACTS,
        },
    };

    /// Differs by what a secret is, by what another host says, or in any case.
    #[derive(Debug)]
    enum By {
        Nothing,
        Secret(&'static str),
        Host(&'static str),
        Refusal,
    }

    impl Resource for By {
        fn id(&self) -> ResourceId {
            ResourceId::new("by", format!("{self:?}").to_lowercase().replace(['"', '(', ')'], " ").trim().to_owned())
        }

        fn probes(&self) -> Vec<Probe> {
            Vec::new()
        }

        fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
            let change = || Ok(Some(Change::new(Action::Update, self.id().to_string(), Script::new())));
            match self {
                Self::Nothing => change(),
                Self::Secret(name) if seen.secrets.get(name).is_some_and(|s| s.expose() == "kept") => Ok(None),
                Self::Host(name) if seen.all.get(&host(name)).is_some() => Ok(None),
                Self::Secret(_) | Self::Host(_) => change(),
                Self::Refusal => Err(Refusal { host: seen.host.clone(), what: "no".into(), help: "no".into() }),
            }
        }
    }

    fn host(name: &str) -> HostName {
        name.parse().unwrap()
    }

    struct Always;

    impl Mint for Always {
        fn now(&self) -> i64 {
            0
        }
        fn password(&mut self) -> Secret {
            Secret::new("made")
        }
        fn authority(&mut self, _: &str, _: &[String]) -> Result<Pair, String> {
            Err("none".into())
        }
        fn account(&mut self) -> Result<Secret, String> {
            Err("none".into())
        }
        fn leaf(&mut self, _: &Pair, _: &[String], _: u32) -> Result<Pair, String> {
            Err("none".into())
        }
    }

    /// What is found on three hosts of which these answer: `a` and `b` share a secret, `c` has one of its own.
    fn found(answering: &[&str], wanted: impl IntoIterator<Item = (&'static str, By)>) -> BTreeMap<HostName, Found> {
        let mut desired = Desired::default();
        let hosts: Vec<HostName> = ["a", "b", "c"].map(host).into();
        desired.secret(FINGERPRINT_KEY, Source::Password, hosts.clone());
        desired.secret("shared", Source::Password, hosts[..2].iter().cloned());
        desired.secret("own", Source::Password, [host("c")]);
        wanted.into_iter().for_each(|(at, by)| drop(desired.want(&host(at), by, [])));
        let observed = |name: &str| {
            let mut seen = Observation::default();
            let release = if name == "b" && answering.contains(&"unfit") { "buzz" } else { "trixie" };
            seen.add(FACTS.name, &format!("system\tdebian\t{release}\tDebian\ninit\tsystemd\n"));
            let own = if name == "c" { "own" } else { "shared" };
            for (name, value) in [(own, "a2VwdA=="), (FINGERPRINT_KEY, "a2V5")] {
                seen.add(STORED.name, &format!("{name}\t{value}\n"));
            }
            (host(name), seen)
        };
        let seen: BTreeMap<HostName, Observation> =
            answering.iter().filter(|name| **name != "unfit").map(|name| observed(name)).collect();
        let secrets: Secrets = settle::kept(&desired.secrets, &seen, &mut Always);
        let site = "www.foobar.com".parse().unwrap();
        let limit = hosts.iter().cloned().collect();
        apart(&Basis {
            site: &site,
            hosts: &hosts,
            desired: &desired,
            seen: &seen,
            secrets: &secrets,
            now: 0,
            limit: &limit,
            removal: Removal::default(),
        })
    }

    fn differs(what: &str) -> Found {
        Found { differs: vec![what.into()], ..Found::default() }
    }

    fn open(what: &str) -> Found {
        Found { open: vec![what.into()], ..Found::default() }
    }

    #[test]
    fn what_goes_by_a_host_without_an_answer_is_not_known_and_all_else_is() {
        let wanted = || [("a", By::Nothing), ("b", By::Secret("shared"))];
        let both = found(&["a", "b"], wanted());
        assert_eq!(both, [(host("a"), differs("by nothing")), (host("b"), Found::default())].into());
        // A secret that another one keeps as well is known; one that none but the silent one keeps is not.
        assert_eq!(found(&["b"], wanted()), [(host("b"), Found::default())].into());
        assert_eq!(found(&["b"], [("b", By::Secret("own"))])[&host("b")], open("by secret  own"));
        // What looks at the silent one, whatever came of that; and what looks at one that answered.
        assert_eq!(found(&["b"], [("b", By::Host("c"))])[&host("b")], open("by host  c"));
        assert_eq!(found(&["b", "c"], [("b", By::Host("c"))])[&host("b")], Found::default());
        // Nothing is said of who did not answer.
        assert_eq!(found(&["b"], [("c", By::Nothing)]).len(), 1);
    }

    #[test]
    fn what_stands_in_the_way_on_one_host_is_told_of_that_one_alone() {
        let refused = found(&["a", "b", "c"], [("a", By::Refusal), ("b", By::Nothing)]);
        assert_eq!(refused[&host("a")].refused.as_deref(), Some("no"));
        assert_eq!((&refused[&host("b")], &refused[&host("c")]), (&differs("by nothing"), &Found::default()));
        let unfit = found(&["a", "b", "c", "unfit"], [("a", By::Nothing), ("b", By::Nothing)]);
        assert!(unfit[&host("b")].refused.as_ref().is_some_and(|why| why.contains("does not know")));
        assert_eq!(unfit[&host("a")], differs("by nothing"));
    }
}

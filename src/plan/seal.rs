//! A plan that is kept to be carried out later: what it is bound to, how it is told from another one, and what has moved
//! since. It holds no secret and no script: whoever carries it out compiles the same site again, and compares. Reading and
//! writing the file, and what time it is, is the command line's business.

use super::{Plan, Step, desired::FINGERPRINT_KEY, remove::Removal, saved::SavedSite};
use crate::{
    base::{
        digest,
        name::{HostName, Span},
        secret::Secrets,
    },
    resource::{Collector, Observation},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The version of the file. It is raised whenever a field comes, goes or changes its meaning: a plan is not kept for long.
pub const SCHEMA: u32 = 2;

/// How long a plan is good for where nothing else is said: a day, the time between a review and its Friday afternoon.
pub const VALID_FOR: Span = Span::seconds(86_400);

/// What a host was when the plan was made: for each thing that was looked at, 16 hexadecimal digits that change when it does.
pub type Traits = BTreeMap<String, String>;

/// A plan that is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// [`SCHEMA`], under the name that tells this file from any other.
    pub foobar_plan: u32,
    /// The version of the program that made it: another one might do something else for the same words.
    pub foobar: String,
    /// When it was made, in seconds since the epoch.
    pub made: i64,
    /// Until when it may be carried out, in seconds since the epoch.
    pub until: i64,
    /// Who made it: `ann@laptop`.
    pub by: String,
    /// The hosts that may be written to.
    pub limit: BTreeSet<HostName>,
    /// What it takes away of what nobody wants any more.
    pub removal: Removal,
    /// The plan, without its scripts.
    pub plan: Plan,
    /// What the hosts were.
    pub observed: BTreeMap<HostName, Traits>,
    /// What the site was read from.
    pub site: SavedSite,
    /// Digest of all above.
    pub seal: String,
}

/// Why a text is no plan to carry out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It is something else.
    #[error("it is no plan of foobar's: {0}")]
    NotAPlan(String),
    /// Another version made it.
    #[error("foobar {0} made it, and this is foobar {version}", version = env!("CARGO_PKG_VERSION"))]
    OtherVersion(String),
    /// Its seal does not fit: it was cut off, or edited.
    #[error("it is not what foobar wrote: it was cut off or edited")]
    Broken,
}

/// What has moved on one host since a plan was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The host.
    pub host: HostName,
    /// What differs, a fragment each: `/etc/nginx/nginx.conf`, `the unit nginx.service`.
    pub what: Vec<String>,
}

/// The traits of a host, but for what is `unbound` ([`crate::resource::Resource::unbound`]). They are keyed, so that nobody
/// can try candidates for a secret that a host keeps; `key` is what the hosts keep for that, or nothing where they keep
/// nothing at all.
pub fn traits<'a>(
    seen: &Observation,
    asked: impl IntoIterator<Item = &'a Collector>,
    unbound: impl IntoIterator<Item = (&'a Collector, String)>,
    key: &str,
) -> Traits {
    let unbound: BTreeSet<(&str, String)> = unbound.into_iter().map(|(c, name)| (c.name, name)).collect();
    let is_bound = |collector: &Collector, name: &str| !unbound.contains(&(collector.name, name.to_owned()));
    let mut traits = Traits::new();
    for collector in asked {
        for (name, lines) in seen.lasting(collector).filter(|(name, _)| is_bound(collector, name)) {
            let mut parts = vec!["trait", key, collector.name, name];
            for line in lines {
                parts.push("\n");
                parts.extend(line.iter().map(String::as_str));
            }
            traits.insert(format!("{} {name}", collector.name), digest::of_parts(parts)[..16].to_owned());
        }
    }
    traits
}

/// What a trait is in the user's words.
fn in_words(name: &str) -> String {
    let (collector, key) = name.split_once(' ').unwrap_or((name, ""));
    match (collector, key) {
        ("facts", "hostkey") => "its SSH host key: another machine answers there, or it was made anew".into(),
        ("facts", "boot") => "it was rebooted".into(),
        ("facts", _) => format!("its {key}"),
        ("files" | "changed", path) => path.to_owned(),
        ("units", unit) => format!("the unit {unit}"),
        ("packages", package) => format!("the package {package}"),
        ("account", name) => format!("the account {name}"),
        ("releases", root) => format!("the releases under {root}"),
        ("stored", name) => format!("the secret {name} that it keeps"),
        ("haproxy_shown", _) => "the certificate that its balancer shows".into(),
        ("traffic", _) => "who gets requests from its balancer".into(),
        ("owned", _) => "what it notes as foobar's own".into(),
        ("ruleset", _) => "its firewall".into(),
        ("database", what) => format!("its database: {what}"),
        (collector, "") => collector.to_owned(),
        (collector, key) => format!("{collector} {key}"),
    }
}

impl Sealed {
    /// Binds a plan. The seal is taken over everything else.
    pub fn new(unsealed: Self) -> Self {
        let seal = unsealed.fitting_seal();
        Self { seal, ..unsealed }
    }

    fn fitting_seal(&self) -> String {
        let bare = Self { seal: String::new(), ..self.clone() };
        // Strings, numbers and maps with texts for keys: there is nothing in it that JSON could refuse.
        digest::sha256(serde_json::to_string(&bare).unwrap_or_default())
    }

    /// As JSON for a file.
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Reads what [`Sealed::to_text`] wrote.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let not = |why: String| SealError::NotAPlan(why);
        let value: serde_json::Value = serde_json::from_str(text).map_err(|e| not(e.to_string()))?;
        let field = |name: &str| value.get(name);
        let schema = field("foobar_plan").and_then(serde_json::Value::as_u64);
        let schema = schema.ok_or_else(|| not("it has no `foobar_plan`".into()))?;
        let made_by = field("foobar").and_then(serde_json::Value::as_str).unwrap_or("of an unknown version");
        if schema != u64::from(SCHEMA) || made_by != env!("CARGO_PKG_VERSION") {
            return Err(SealError::OtherVersion(made_by.to_owned()));
        }
        let sealed: Self = serde_json::from_value(value).map_err(|_| SealError::Broken)?;
        if sealed.seal != sealed.fitting_seal() { Err(SealError::Broken) } else { Ok(sealed) }
    }

    /// What has moved on the hosts since; empty where they are what they were. `traits` are those of now.
    pub fn moved(&self, traits: &BTreeMap<HostName, Traits>) -> Vec<Moved> {
        let none = Traits::new();
        let hosts: BTreeSet<&HostName> = self.observed.keys().chain(traits.keys()).collect();
        let mut all = Vec::new();
        for host in hosts {
            let (then, now) = (self.observed.get(host).unwrap_or(&none), traits.get(host).unwrap_or(&none));
            let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
            let mut what: Vec<String> = Vec::new();
            for name in names.into_iter().filter(|n| then.get(*n) != now.get(*n)) {
                let words = in_words(name);
                if !what.contains(&words) {
                    what.push(words);
                }
            }
            if !what.is_empty() {
                all.push(Moved { host: host.clone(), what });
            }
        }
        all
    }

    /// How a plan for the same site made now differs from this one; empty where it is the same.
    pub fn parted(&self, now: &Plan) -> Vec<Moved> {
        let mut what: BTreeMap<&HostName, Vec<String>> = BTreeMap::new();
        let shown = |step: &Step| serde_json::to_value(step).unwrap_or_default();
        let same = |a: &Step, b: &Step| (&a.host, &a.resource) == (&b.host, &b.resource);
        for step in &self.plan.steps {
            let line = match now.steps.iter().find(|s| same(s, step)) {
                None => format!("no longer to do: {}", step.change.summary),
                Some(other) if shown(other) == shown(step) => continue,
                Some(other) if other.change.summary == step.change.summary => {
                    format!("to be done otherwise: {}", step.change.summary)
                }
                Some(other) => format!("{}, and no longer: {}", other.change.summary, step.change.summary),
            };
            what.entry(&step.host).or_default().push(line);
        }
        for step in now.steps.iter().filter(|s| !self.plan.steps.iter().any(|known| same(known, s))) {
            what.entry(&step.host).or_default().push(format!("now also to do: {}", step.change.summary));
        }
        what.into_iter().map(|(host, what)| Moved { host: host.clone(), what }).collect()
    }
}

/// The key of the traits: what the hosts keep for fingerprints, or nothing where none keeps one yet.
pub fn trait_key(secrets: &Secrets) -> &str {
    match secrets.get(FINGERPRINT_KEY) {
        Some(key) if !secrets.is_made(FINGERPRINT_KEY) => key.expose(),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{script::Script, secret::Secret},
        resource::{Action, Change, Impact, ResourceId, system::FACTS},
    };

    fn host(name: &str) -> HostName {
        name.parse().unwrap()
    }

    fn step(id: usize, host_name: &str, resource: &'static str, summary: &str) -> Step {
        Step {
            id,
            host: host(host_name),
            resource: ResourceId::new(resource, "x"),
            change: Change::new(Action::Update, summary, Script::raw("echo hush-in-script"))
                .impact(Impact::Reload)
                .detail("why"),
            after: (0..id).collect(),
        }
    }

    fn plan(steps: Vec<Step>) -> Plan {
        Plan {
            site: "www.example.com".parse().unwrap(),
            hosts: vec![host("lb-01"), host("web-01")],
            steps,
            left_out: vec![],
            groups: vec![],
        }
    }

    fn observation(lines: &str) -> Observation {
        let mut seen = Observation::default();
        seen.add(FACTS.name, lines);
        seen
    }

    fn sealed(steps: Vec<Step>) -> Sealed {
        let traits_of = |lines| traits(&observation(lines), [&FACTS], [], "key");
        Sealed::new(Sealed {
            foobar_plan: SCHEMA,
            foobar: env!("CARGO_PKG_VERSION").into(),
            made: 1_795_552_800,
            until: 1_795_639_200,
            by: "ann@laptop".into(),
            limit: [host("web-01")].into(),
            removal: Removal::default(),
            plan: plan(steps),
            observed: [(host("web-01"), traits_of("system\tdebian\tbookworm\nfree\t1\t/"))].into(),
            site: SavedSite::default(),
            seal: String::new(),
        })
    }

    #[test]
    fn it_comes_back_as_it_went_without_its_scripts() {
        let text = sealed(vec![step(0, "web-01", "files", "change nginx configuration")]).to_text();
        assert!(!text.contains("hush"), "{text}");
        let back = Sealed::parse(&text).unwrap();
        assert_eq!(back.to_text(), text);
        let step = &back.plan.steps[0];
        assert_eq!((step.resource.to_string(), step.change.impact), ("files x".to_owned(), Impact::Reload));
        assert!(step.change.script.is_empty());
    }

    #[test]
    fn what_was_cut_off_edited_or_made_by_another_version_is_refused() {
        let text = sealed(vec![step(0, "web-01", "files", "change it")]).to_text();
        for cut in (0..text.len() - 1).step_by(7) {
            assert!(matches!(Sealed::parse(&text[..cut]), Err(SealError::NotAPlan(_))), "cut at {cut}");
        }
        assert_eq!(Sealed::parse(&text.replace("1795639200", "1795639201")).unwrap_err(), SealError::Broken);
        assert_eq!(Sealed::parse(&text.replace("change it", "change this")).unwrap_err(), SealError::Broken);
        assert_eq!(Sealed::parse(&text.replace("\"limit\"", "\"bounds\"")).unwrap_err(), SealError::Broken);
        let other = text.replace(&format!("\"foobar\": \"{}\"", env!("CARGO_PKG_VERSION")), "\"foobar\": \"9.9.9\"");
        assert_eq!(Sealed::parse(&other).unwrap_err(), SealError::OtherVersion("9.9.9".into()));
        assert!(matches!(Sealed::parse("{\"schema\": 1}"), Err(SealError::NotAPlan(_))));
    }

    #[test]
    fn what_moved_is_named_and_what_moves_by_itself_is_not() {
        let kept = sealed(vec![]);
        let now = |lines: &str| BTreeMap::from([(host("web-01"), traits(&observation(lines), [&FACTS], [], "key"))]);
        assert_eq!(kept.moved(&now("system\tdebian\tbookworm\nfree\t9\t/")), []);
        let moved = kept.moved(&now("system\tdebian\ttrixie\nhostkey\ted25519\tAAAA"));
        assert_eq!(moved.len(), 1);
        assert_eq!(moved[0].what[1], "its system");
        assert!(moved[0].what[0].starts_with("its SSH host key"), "{moved:?}");
        let gone = kept.moved(&BTreeMap::new());
        assert_eq!(gone[0].what, ["its system"]);
    }

    #[test]
    fn a_host_that_keeps_another_secret_has_moved_and_its_trait_is_keyed() {
        let mut seen = Observation::default();
        seen.add("stored", "pw\tc2VjcmV0");
        let stored = &crate::resource::stored::STORED;
        let one = traits(&seen, [stored], [], "key");
        assert_ne!(one, traits(&seen, [stored], [], "other key"));
        let mut other = Observation::default();
        other.add("stored", "pw\tb3RoZXI=");
        assert_ne!(one, traits(&other, [stored], [], "key"));
    }

    #[test]
    fn what_a_resource_is_not_bound_to_moves_nothing() {
        let seen = |serial: &str| {
            let mut seen = observation("system\tdebian\tbookworm");
            seen.add("stored", &format!("one\t{serial}\ntwo\t1"));
            seen
        };
        let stored = &crate::resource::stored::STORED;
        let of = |serial, unbound: &[&str]| {
            traits(&seen(serial), [&FACTS, stored], unbound.iter().map(|name| (stored, (*name).to_owned())), "key")
        };
        assert_ne!(of("1", &[]), of("2", &[]));
        assert_eq!(of("1", &["one"]), of("2", &["one"]));
        assert_ne!(of("1", &["two"]), of("2", &["two"]), "the other one still counts");
        assert_eq!(of("1", &["one"]).len(), 2);
    }

    #[test]
    fn the_key_of_traits_is_what_hosts_keep() {
        let mut secrets = Secrets::default();
        assert_eq!(trait_key(&secrets), "");
        secrets.insert(FINGERPRINT_KEY, Secret::new("kept"));
        assert_eq!(trait_key(&secrets), "kept");
        secrets.insert_made(FINGERPRINT_KEY, Secret::new("new"));
        assert_eq!(trait_key(&secrets), "");
    }

    #[test]
    fn another_plan_for_the_same_hosts_is_told_apart_step_by_step() {
        let kept = sealed(vec![step(0, "lb-01", "files", "change a"), step(1, "web-01", "service", "reload nginx")]);
        assert_eq!(kept.parted(&kept.plan), []);
        let mut otherwise = kept.plan.clone();
        otherwise.steps[0].change.details.push("and more".into());
        otherwise.steps[1].change.summary = "restart nginx".into();
        otherwise.steps.push(step(2, "web-01", "files", "write b"));
        let words: Vec<String> = kept.parted(&otherwise).into_iter().flat_map(|m| m.what).collect();
        assert_eq!(
            words,
            ["to be done otherwise: change a", "restart nginx, and no longer: reload nginx", "now also to do: write b"]
        );
        let less = plan(vec![step(0, "lb-01", "files", "change a")]);
        assert_eq!(kept.parted(&less)[0].what, ["no longer to do: reload nginx"]);
    }
}

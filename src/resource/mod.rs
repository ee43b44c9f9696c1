//! What a host can have, one kind a file: how each is probed, how it differs, and the script that mends it. Nothing here
//! knows the stack, and nothing here runs anything.

pub mod account;
pub mod acme;
pub mod all;
pub mod armed;
pub mod database;
#[cfg(test)]
mod database_tests;
pub mod db_copied;
pub mod db_copier;
pub mod db_directory;
pub mod db_failover;
pub mod db_local;
pub mod db_password;
pub mod db_reseed;
mod db_return;
pub mod db_role;
mod db_second;
pub mod db_switch;
pub mod db_variables;
pub mod dialect;
#[cfg(test)]
mod dialect_tests;
pub mod drift;
#[cfg(test)]
mod drift_tests;
pub mod files;
pub mod gtid;
pub mod idle;
pub mod kept;
pub mod migration;
pub mod nft;
pub mod owned;
#[cfg(test)]
mod owned_tests;
pub mod packages;
pub mod reboot;
pub mod registry;
pub mod release;
pub mod removal;
pub mod replication;
pub mod ruleset;
pub mod service;
pub mod stored;
pub mod system;
#[cfg(test)]
mod tests;
pub mod undo;
pub mod written;
pub mod zone;

use crate::base::{digest, name::HostName, script::Script, secret::Secrets};
pub use all::All;
use drift::Drift;
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

/// Where foobar keeps what it must know on each host, root-only.
pub const STATE_DIR: &str = "/var/lib/foobar";

/// A resource's name on its host: a kind and a name, such as `service nginx`. Unique per host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub struct ResourceId {
    /// The kind: `packages`, `files`, `service`, …
    pub kind: Cow<'static, str>,
    /// Which one of its kind.
    pub name: String,
}

impl ResourceId {
    /// Names one.
    pub fn new(kind: &'static str, name: impl Into<String>) -> Self {
        Self { kind: Cow::Borrowed(kind), name: name.into() }
    }
}

impl From<String> for ResourceId {
    fn from(text: String) -> Self {
        let (kind, name) = text.split_once(' ').unwrap_or((&text, ""));
        Self { kind: Cow::Owned(kind.to_owned()), name: name.to_owned() }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

impl From<ResourceId> for String {
    fn from(id: ResourceId) -> Self {
        id.to_string()
    }
}

/// A resource on a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Key {
    /// The host.
    pub host: HostName,
    /// The resource there.
    pub id: ResourceId,
}

impl Key {
    /// Names one.
    pub fn new(host: &HostName, id: ResourceId) -> Self {
        Self { host: host.clone(), id }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.host, self.id)
    }
}

/// One kind of question to a host: the body of a POSIX sh function that is called once per plan with the arguments of
/// all probes of its kind, in order. Read-only; it tolerates that nothing it asks about exists. It prints lines of
/// tab-separated fields, the first being the key that [`Observation::get`] finds the line by; texts that may hold tabs
/// or line breaks go in base64. Its standard input is /dev/null; `LC_ALL=C`; it runs as root.
#[derive(Debug)]
pub struct Collector {
    /// A shell identifier, unique.
    pub name: &'static str,
    /// The function's body. Keep forks few: one `stat` for all files, one `systemctl show` for all units.
    pub body: &'static str,
    /// Keys whose lines change while nobody changes the host (free room, a replica's position): what a saved plan is
    /// not bound to.
    pub volatile: &'static [&'static str],
}

/// One resource's arguments to a collector. Equal probes are asked once.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Which question.
    pub collector: &'static Collector,
    /// Its words; they are quoted when the script is built.
    pub args: Vec<String>,
}

impl Probe {
    /// A question with its arguments.
    pub fn new<A: Into<String>>(collector: &'static Collector, args: impl IntoIterator<Item = A>) -> Self {
        Self { collector, args: args.into_iter().map(Into::into).collect() }
    }
}

/// What one host answered: lines by collector and key.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    answers: BTreeMap<String, BTreeMap<String, Vec<Vec<String>>>>,
}

impl Observation {
    /// What a collector answered that stays as it is until somebody changes it: key and lines.
    pub fn lasting<'a>(&'a self, collector: &'a Collector) -> impl Iterator<Item = (&'a str, &'a [Vec<String>])> {
        let lines = self.answers.get(collector.name).into_iter().flatten();
        let lasting = lines.filter(|(key, _)| !collector.volatile.contains(&key.as_str()));
        lasting.map(|(key, all)| (key.as_str(), all.as_slice()))
    }

    /// Takes one collector's output in.
    pub fn add(&mut self, collector: &str, output: &str) {
        let lines = self.answers.entry(collector.to_owned()).or_default();
        for line in output.lines().filter(|l| !l.is_empty()) {
            let mut fields = line.split('\t').map(str::to_owned);
            let key = fields.next().unwrap_or_default();
            lines.entry(key).or_default().push(fields.collect());
        }
    }

    /// As if a collector had not been asked.
    pub fn forget(&mut self, collector: &Collector) {
        self.answers.remove(collector.name);
    }

    /// As if it had said nothing of `key`.
    pub fn forget_key(&mut self, collector: &Collector, key: &str) {
        self.answers.get_mut(collector.name).map(|lines| lines.remove(key));
    }

    /// The fields behind `key` (its first line's), without the key.
    pub fn get(&self, collector: &Collector, key: &str) -> Option<&[String]> {
        self.all(collector, key).first().map(Vec::as_slice)
    }

    /// The fields of every line with `key`.
    pub fn all(&self, collector: &Collector, key: &str) -> &[Vec<String>] {
        self.answers.get(collector.name).and_then(|a| a.get(key)).map_or(&[], Vec::as_slice)
    }

    /// Every key that a collector answered, with the fields of its first line.
    pub fn keys(&self, collector: &Collector) -> impl Iterator<Item = (&str, &[String])> {
        let lines = self.answers.get(collector.name).into_iter().flatten();
        lines.filter_map(|(key, all)| Some((key.as_str(), all.first()?.as_slice())))
    }
}

/// What a resource is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The host it is on.
    pub host: &'a HostName,
    /// What that host answered.
    pub here: &'a Observation,
    /// What every host answered, for what depends on another one (a replica on its primary).
    pub all: All<'a>,
    /// The settled secrets.
    pub secrets: &'a Secrets,
    /// The key for fingerprints of secrets.
    pub fingerprint_key: &'a str,
    /// Resources whose step in this plan stands already (they come before this one).
    pub changing: &'a BTreeMap<Key, Impact>,
    /// Seconds since the epoch, for certificates.
    pub now: i64,
}

impl Seen<'_> {
    /// Whether this plan changes resource `id` on this host.
    pub fn is_changing(&self, id: &ResourceId) -> bool {
        self.changing.contains_key(&Key::new(self.host, id.clone()))
    }

    /// Whether this plan stops and starts what `id` runs on this host, so that what it held at run time is gone.
    pub fn is_restarting(&self, id: &ResourceId) -> bool {
        self.changing.get(&Key::new(self.host, id.clone())).is_some_and(|impact| *impact >= Impact::Restart)
    }
}

/// What users of the site may feel while a step runs, the least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Impact {
    /// Nothing.
    #[default]
    None,
    /// A service takes a new configuration in without closing connections.
    Reload,
    /// A service is away for a moment on one host.
    Restart,
    /// Connections in flight are cut.
    ConnectionDrop,
    /// Nothing can be written for a while.
    WriteOutage,
}

impl Impact {
    /// Its name in words: `connection drop`.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Reload => "reload",
            Self::Restart => "restart",
            Self::ConnectionDrop => "connection drop",
            Self::WriteOutage => "write outage",
        }
    }
}

impl fmt::Display for Impact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How many of those that share the load serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Capacity {
    /// So many serve.
    pub serving: usize,
    /// Of so many.
    pub of: usize,
}

/// What a change does to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// `+`: it is not there yet.
    Create,
    /// `~`: it differs.
    Update,
    /// `-`: it goes.
    Delete,
    /// `-/+`: it goes and comes anew.
    Replace,
    /// `?`: it is only asked, since something else has changed.
    Check,
}

/// How one file differs, as texts that may be shown (secrets stand as fingerprints).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDiff {
    /// Its path on the host.
    pub path: String,
    /// Its text now; none where there is no such file, or where it cannot be shown.
    pub before: Option<String>,
    /// Its text after; none where it goes.
    pub after: Option<String>,
    /// What differs beside the text: `mode 0644 -> 0600`, `not shown: 1.2 MB of binary data`.
    pub notes: Vec<String>,
}

/// What differs, and the script that mends it. Kept or shown, it is without its scripts: they may hold secrets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Change {
    /// What it does to the resource.
    pub action: Action,
    /// One line in the imperative: `install haproxy, openssl`, `reload nginx`.
    pub summary: String,
    /// Why, or what exactly, a line each: `the running configuration is older than its file`.
    pub details: Vec<String>,
    /// Files it writes or removes.
    pub diffs: Vec<FileDiff>,
    /// What users may feel.
    pub impact: Impact,
    /// Whether its host is out of service meanwhile, so that users feel none of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_drained: bool,
    /// Whether it is done also after a failure elsewhere, once all that it comes after is done: it ends what an earlier step
    /// began, and nothing is better for waiting.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_closing: bool,
    /// What still serves while it holds, where it takes something out of service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves: Option<Capacity>,
    /// How the host came to differ, where not by the topology.
    pub drift: Option<Drift>,
    /// What runs on the host, as root: POSIX sh, stdin from /dev/null, exit 0 for success. What it prints on stderr is
    /// shown when it fails. Safe to run again after it was cut off at any instant.
    #[serde(skip)]
    pub script: Script,
    /// Where set, the change undoes itself on the host unless this script is run over a fresh connection in time.
    #[serde(skip)]
    pub confirm: Option<Script>,
    /// Where set, the script takes its own host down, and the change is done once that is up in another boot, within this
    /// time. What ran before is not proved by it.
    #[serde(skip)]
    pub reboot: Option<Duration>,
    /// Undoes it at once where nothing confirmed it: says on standard output what is back, or fails where it was confirmed
    /// all the same.
    #[serde(skip)]
    pub recall: Option<Script>,
    /// The way back, where there is one.
    #[serde(skip)]
    pub undo: Option<undo::Undo>,
}

impl Change {
    /// A change with nothing but its one line and its script.
    pub fn new(action: Action, summary: impl Into<String>, script: Script) -> Self {
        Self {
            action,
            summary: summary.into(),
            details: Vec::new(),
            diffs: Vec::new(),
            impact: Impact::None,
            is_drained: false,
            is_closing: false,
            leaves: None,
            drift: None,
            script,
            confirm: None,
            reboot: None,
            recall: None,
            undo: None,
        }
    }

    /// With a line that says why or what.
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// What users do feel: nothing of a host that is out of service.
    pub fn felt(&self) -> Impact {
        if self.is_drained { Impact::None } else { self.impact }
    }

    /// With how the host came to differ.
    pub fn drift(mut self, drift: impl Into<Option<Drift>>) -> Self {
        self.drift = drift.into();
        self
    }

    /// With what users may feel.
    pub fn impact(mut self, impact: Impact) -> Self {
        self.impact = impact;
        self
    }
}

/// A state that foobar will not change by itself: what was found, and what the user can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{host}: {what}")]
pub struct Refusal {
    /// Where.
    pub host: HostName,
    /// What was found, a lower-case fragment.
    pub what: String,
    /// What to do next.
    pub help: String,
}

/// What a host can have.
pub trait Resource: fmt::Debug + Send + Sync {
    /// Its name on its host.
    fn id(&self) -> ResourceId;

    /// The questions whose answers [`Resource::diff`] needs.
    fn probes(&self) -> Vec<Probe>;

    /// Whether its step waits for every change that it comes after, so that it is left out where `--limit` leaves one of
    /// those out: what takes away what others still use.
    fn is_last(&self) -> bool {
        false
    }

    /// The paths that it writes and removes, each with what it shall be there, for who only shows them.
    fn written(&self) -> Vec<files::File> {
        Vec::new()
    }

    /// What of its answers, by collector and key, changes while nobody changes the host, and means nothing beyond what
    /// [`Resource::diff`] makes of it: a kept plan is not bound to it, only to what a plan made anew would do about it.
    fn unbound(&self) -> Vec<(&'static Collector, String)> {
        Vec::new()
    }

    /// What differs, and the script that mends it; none where nothing does. Pure.
    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal>;

    /// What a reboot of its host means for it; none where it means nothing, or where it is not there to be missed.
    fn at_boot(&self, _seen: &Seen<'_>) -> Option<reboot::AtBoot> {
        None
    }

    /// What foobar owns on the host because of it: what is taken away once no topology asks for it any more.
    fn footprint(&self) -> Vec<owned::Owned> {
        Vec::new()
    }
}

/// A resource that a host shall have, and what must stand before it.
#[derive(Debug)]
pub struct Wanted {
    /// Where.
    pub host: HostName,
    /// What.
    pub resource: Box<dyn Resource>,
    /// What must be in place before, here or on other hosts. Keys that nobody wants are ignored.
    pub after: Vec<Key>,
}

/// Names of the hosts that a set of keys lives on.
pub fn hosts_of<'a>(keys: impl IntoIterator<Item = &'a Key>) -> BTreeSet<&'a HostName> {
    keys.into_iter().map(|key| &key.host).collect()
}

/// A digest that stands for a state a service was started or reloaded with: the same parts give the same one.
pub fn state_digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    digest::of_parts(parts)[..32].to_owned()
}

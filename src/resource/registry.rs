//! The registry of what foobar owns on a host. It is written ahead: a run that is killed before it made anything has
//! already noted what it was about to make. What a thing was before foobar came is settled there and then, once.

use super::{
    Action, Change, Observation, Probe, Refusal, Resource, ResourceId, STATE_DIR, Seen,
    account::ACCOUNT,
    dialect::DATABASE,
    owned::{self, Kind, OWNED, Origin, Owned},
    packages::PACKAGES,
    service::UNITS,
};
use crate::base::script::Script;
use std::collections::{BTreeMap, BTreeSet};

/// What foobar owns on a host, which shall be noted there.
#[derive(Debug)]
pub struct Registry {
    /// The footprints of all that the host shall have.
    pub all: Vec<Owned>,
}

impl Registry {
    /// The resource's name: a host has one registry.
    pub fn key() -> ResourceId {
        ResourceId::new("owned", "registry")
    }

    /// Of these footprints, each named once.
    pub fn of(footprints: impl IntoIterator<Item = Owned>) -> Self {
        let mut known = BTreeSet::new();
        let mut all: Vec<Owned> = footprints.into_iter().collect();
        all.retain(|o| known.insert((o.kind, o.name.clone())));
        Self { all }
    }
}

/// Whose a thing is that no registry knows yet.
fn origin(owned: &Owned, seen: &Observation) -> Origin {
    let older = owned::is_older(seen);
    let found = match owned.kind {
        // A service that runs already, and an account that is there, are somebody's, unless an older foobar made them.
        Kind::Service => {
            let state = seen.get(&UNITS, &owned.name).and_then(|f| f.get(1)).map(String::as_str);
            !older && matches!(state, Some("active" | "reloading"))
        }
        Kind::Account => !older && seen.get(&ACCOUNT, &owned.name).is_some(),
        // Data is somebody's wherever that cannot be ruled out.
        Kind::Data => {
            let value = |key: &str| seen.get(&DATABASE, key).and_then(|f| f.first()).map(String::as_str);
            let none = value("state") == Some("absent") && seen.get(&DATABASE, "schema").is_none();
            !none && value("directory") != Some("empty")
        }
        _ => false,
    };
    if found { Origin::Found } else { Origin::Made }
}

impl Resource for Registry {
    fn id(&self) -> ResourceId {
        Self::key()
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::new(&OWNED, Vec::<String>::new())]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let noted = owned::noted(seen.here);
        let known: BTreeMap<(Kind, &str), &Owned> = noted.iter().map(|o| (o.key(), o)).collect();
        let installed =
            |name: &str| seen.here.get(&PACKAGES, name).is_some_and(|f| f.first().is_some_and(|s| s == "installed"));
        let mut lines: Vec<Owned> = Vec::new();
        for wanted in &self.all {
            match known.get(&wanted.key()) {
                Some(known) if known.fields == wanted.fields => {}
                Some(known) => lines.push(Owned { origin: known.origin, ..wanted.clone() }),
                // A package that is there already is not foobar's.
                None if wanted.kind == Kind::Package && installed(&wanted.name) => {}
                None => lines.push(Owned { origin: origin(wanted, seen.here), ..wanted.clone() }),
            }
        }
        let is_new = seen.here.get(&OWNED, "registry").is_none();
        if lines.is_empty() && !is_new {
            return Ok(None);
        }
        let mut script = Script::new().line(format!("mkdir -p -m 700 {STATE_DIR}"));
        if owned::is_older(seen.here) {
            let texts = lines.iter().filter(|o| o.kind == Kind::File && o.field(1) == "file");
            script = script.then(&owned::adopt(texts.map(|o| o.name.as_str())));
        }
        let heads = lines.iter().map(|o| format!("{}\t{}\t", o.kind, o.name));
        script = script.then(&owned::rewrite(heads.collect::<Vec<_>>(), lines.iter().map(Owned::line)));
        let action = if is_new { Action::Create } else { Action::Update };
        let mut change = Change::new(action, "note what foobar owns", script);
        if owned::is_older(seen.here) {
            change = change.detail("an older foobar made it, and noted nothing");
        }
        Ok(Some(change.detail(counted(&lines))))
    }
}

/// `4 files, 2 services`: what is noted anew, by kind.
fn counted(lines: &[Owned]) -> String {
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    for line in lines {
        *counts.entry(line.kind).or_default() += 1;
    }
    let word = |(kind, n): (&Kind, &usize)| match (kind, n) {
        (Kind::Data, _) => "the database's data".to_owned(),
        (Kind::Firewall, _) => "the firewall's table".to_owned(),
        (Kind::Login, 1) => "1 database account".to_owned(),
        (Kind::Login, n) => format!("{n} database accounts"),
        (kind, 1) => format!("1 {kind}"),
        (kind, n) => format!("{n} {kind}s"),
    };
    counts.iter().map(word).collect::<Vec<_>>().join(", ")
}

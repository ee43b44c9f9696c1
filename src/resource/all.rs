//! What all hosts answered, as one resource is told it. Where some are silent, it is noted who goes by one of those.

use super::Observation;
use crate::base::name::HostName;
use std::{cell::Cell, collections::BTreeMap};

/// What every host answered. Where some gave no answer, it notes that one was asked for: what is said then is not known.
#[derive(Clone, Copy, Debug)]
pub struct All<'a> {
    seen: &'a BTreeMap<HostName, Observation>,
    missed: Option<&'a Cell<bool>>,
}

impl<'a> All<'a> {
    /// Whoever is not among them has nothing.
    pub fn of(seen: &'a BTreeMap<HostName, Observation>) -> Self {
        Self { seen, missed: None }
    }

    /// Others gave no answer; `missed` is set where theirs is asked for.
    pub fn of_some(seen: &'a BTreeMap<HostName, Observation>, missed: &'a Cell<bool>) -> Self {
        Self { seen, missed: Some(missed) }
    }

    /// What a host answered.
    pub fn get(&self, host: &HostName) -> Option<&'a Observation> {
        let found = self.seen.get(host);
        if let (None, Some(missed)) = (found, self.missed) {
            missed.set(true);
        }
        found
    }

    /// Each host with what it answered.
    pub fn iter(&self) -> impl Iterator<Item = (&'a HostName, &'a Observation)> + use<'a> {
        if let Some(missed) = self.missed {
            missed.set(true);
        }
        self.seen.iter()
    }
}

//! A run under way, as its parts share it: what is to be done, how far each step is, and how it all ended. What moves it on
//! is `apply.rs`; what it still does after a failure, `back.rs`.

use super::lease::Leases;
use crate::{
    base::{name::HostName, secret::Secrets},
    event::{Event, Events},
    plan::{Plan, Step, StepId, journal::Header, lease::Lease},
    transport::TransportError,
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::sync::watch;

/// A run, as the hosts keep it.
#[derive(Debug)]
pub struct Run<'a> {
    /// Its name, its holder and its hosts, of which it holds every one.
    pub leases: &'a Leases,
    /// The number that its generation gets on every one of them ([`journal::next`]).
    pub generation: u64,
    /// A digest of the topology.
    pub digest: String,
    /// What it was made from, in a form that is no business of this file; kept with the generation, for root alone.
    pub sources: Vec<u8>,
    /// Generations that are kept on a host, the newest.
    pub keep: usize,
    /// Whether what fails its proof goes back to what it was.
    pub undoes: bool,
}

/// How a run ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Steps that succeeded.
    pub done: Vec<StepId>,
    /// Steps that failed, each with why: what it printed last, without secrets.
    pub failed: Vec<(StepId, String)>,
    /// Those of them of which nobody knows how far they came, as their host fell silent.
    pub unheard: Vec<StepId>,
    /// Steps that were not begun, each with the failed step that was the cause.
    pub skipped: Vec<(StepId, Option<StepId>)>,
    /// Hosts that could not be spoken to.
    pub errors: Vec<TransportError>,
    /// Hosts whose lease was the run's no more, each with whose it is.
    pub locked: Vec<(HostName, Lease)>,
    /// Failed steps whose change undoes itself on the host.
    pub reverting: Vec<StepId>,
    /// What went back to what it was before this run, as its proof had failed.
    pub undone: Vec<Undone>,
    /// Whether whatever failed is what it was before, or becomes so by itself.
    pub is_rolled_back: bool,
    /// Failed steps that succeeded when they were made again on what had gone back.
    pub recovered: Vec<StepId>,
}

impl Outcome {
    /// Whether everything was done.
    pub fn is_success(&self) -> bool {
        self.failed.is_empty() && self.skipped.is_empty() && self.errors.is_empty() && self.locked.is_empty()
    }

    /// Whether a step is known to have failed.
    pub fn has_failed(&self) -> bool {
        self.failed.iter().any(|(step, _)| !self.unheard.contains(step))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Sent,
    Running(Instant),
    Done,
    Failed,
    Undone,
}

pub(super) struct Course<'a> {
    pub(super) plan: &'a Plan,
    pub(super) secrets: &'a Secrets,
    pub(super) leases: &'a Leases,
    pub(super) header: Header,
    pub(super) undoes: bool,
    pub(super) events: &'a Events,
    pub(super) book: Mutex<Book>,
    pub(super) moved: watch::Sender<u64>,
}

pub(super) struct Book {
    pub(super) states: Vec<State>,
    pub(super) output: BTreeMap<StepId, Vec<String>>,
    /// The boots that steps are about to end.
    pub(super) boots: BTreeMap<StepId, String>,
    pub(super) outcome: Outcome,
    pub(super) halted: bool,
    /// How often in a row each host could not be spoken to.
    pub(super) silence: BTreeMap<HostName, u8>,
    /// Groups that have to go back, by their place in the plan.
    pub(super) ways: BTreeMap<usize, Way>,
}

pub(super) enum Next {
    Over,
    Wait,
    Batch(Vec<StepId>),
    /// This group, with those of its steps that were begun, in the order in which they go back.
    Back(usize, Vec<StepId>),
}

/// How far a group's way back is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It serves already, and is taken out of service for it first.
    Leaving,
    /// Its host does it next.
    Due,
    /// It is on its way.
    Running,
    /// The host is what it was, and is to prove it.
    Back,
    /// The host is what it was, and nobody has noticed.
    Quiet,
    /// It broke off.
    Broken,
}

/// How often a host is spoken to that was lost: a connection may break where its host is well, and what was begun there is
/// worth a second one.
const TRIES: u8 = 2;

impl Book {
    /// Whether a host is given up.
    pub(super) fn is_silent(&self, host: &HostName) -> bool {
        self.silence.get(host).is_some_and(|times| *times >= TRIES)
    }
}

/// A group that went back, or was to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// Its host.
    pub host: HostName,
    /// Steps that were undone.
    pub steps: Vec<StepId>,
    /// Why it broke off; none where it did not.
    pub broken: Option<String>,
}

impl Course<'_> {
    pub(super) fn tell(&self, event: Event) {
        self.events.tell(event);
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn step(&self, id: StepId) -> &Step {
        &self.plan.steps[id]
    }

    /// A text without any secret of this run: daemons like to quote what they could not digest.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for (name, value) in self.secrets.iter() {
            for part in value.expose().lines().filter(|l| l.len() >= 6) {
                if out.contains(part) {
                    out = out.replace(part, &format!("(secret {name})"));
                }
            }
        }
        out
    }
}

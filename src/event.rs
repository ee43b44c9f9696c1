//! The border between doing and showing: what happens during a run, as data. Who shows it, and how, is `report/`.

use crate::{base::name::HostName, component::Verdict, plan::StepId};
use std::sync::{Mutex, PoisonError};

/// Something that happened during a run.
#[derive(Clone, Debug)]
pub enum Event {
    /// So many hosts are about to be read.
    ObserveStarted { hosts: usize },
    /// A connection to this host is being made, or reused.
    Connecting { host: HostName },
    /// The host has answered its probe.
    Observed { host: HostName, millis: u64 },
    /// A plan is about to be carried out.
    ApplyStarted { steps: usize },
    /// A step runs.
    StepStarted { step: StepId, host: HostName, summary: String },
    /// A line that a running step printed.
    StepOutput { step: StepId, host: HostName, line: String },
    /// A step has succeeded.
    StepDone { step: StepId, host: HostName, millis: u64 },
    /// A step has failed.
    StepFailed { step: StepId, host: HostName, why: String },
    /// A step was not begun, because another one failed.
    StepSkipped { step: StepId, host: HostName, cause: StepId },
    /// A step was taken back, since what it belongs to did not prove itself.
    StepUndone { step: StepId, host: HostName, summary: String },
    /// A host could not be brought back to what it was.
    UndoFailed { host: HostName, why: String },
    /// Checks are about to be made.
    VerifyStarted { checks: usize },
    /// A check has ended.
    Checked { component: &'static str, title: String, host: HostName, verdict: Verdict },
    /// Something worth a line that is none of the above.
    Note { host: Option<HostName>, text: String },
}

/// Takes events in and shows them.
pub trait Reporter: Send {
    /// Takes one in. It never fails: what cannot be shown is dropped.
    fn event(&mut self, event: &Event);
}

/// Where the tasks of a run tell what happens; one reporter hears them one at a time.
pub struct Events(Mutex<Box<dyn Reporter>>);

impl Events {
    /// Events go to this reporter.
    pub fn new(reporter: impl Reporter + 'static) -> Self {
        Self(Mutex::new(Box::new(reporter)))
    }

    /// Tells one.
    pub fn tell(&self, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).event(&event);
    }
}

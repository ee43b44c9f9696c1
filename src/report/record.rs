//! What happened during a run, kept: how each step and each check ended, and the last lines that each step printed.
//! The end of a command is told from here. Nothing is shown here.

use crate::{
    base::name::HostName,
    component::{Verdict, check_name},
    event::{Event, Reporter},
    plan::StepId,
};
use std::collections::{BTreeMap, VecDeque};

/// How a step ended, or that it has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It began, and nothing was heard of its end.
    Begun,
    /// It succeeded.
    Done,
    /// It failed, for this reason.
    Failed(String),
    /// It was not begun, because of this step.
    Skipped(StepId),
    /// It succeeded, and was taken back after a failure.
    Undone,
}

/// A check that was made, or tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The component it is about.
    pub component: &'static str,
    /// What is claimed.
    pub title: String,
    /// The host it was made from.
    pub host: HostName,
    /// How it ended.
    pub verdict: Verdict,
}

impl Checked {
    /// What the check is called.
    pub fn name(&self) -> String {
        check_name(self.component, &self.title)
    }

    /// What was seen, whatever came of it.
    pub fn seen(&self) -> &str {
        match &self.verdict {
            Verdict::Pass(text) | Verdict::Fail(text) | Verdict::Error(text) => text,
        }
    }
}

/// Lines of a step's output that are kept.
const KEPT: usize = 200;

/// Everything that was heard.
#[derive(Clone, Debug, Default)]
pub struct Record {
    fates: BTreeMap<StepId, Fate>,
    output: BTreeMap<StepId, VecDeque<String>>,
    checks: Vec<Checked>,
    undone: Vec<(HostName, StepId, String)>,
    recovered: Vec<StepId>,
    stuck: Vec<(HostName, String)>,
}

impl Record {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// How a step ended; none where nothing was heard of it.
    pub fn fate(&self, step: StepId) -> Option<&Fate> {
        self.fates.get(&step)
    }

    /// The last lines that a step printed, as they came.
    pub fn output(&self, step: StepId) -> impl DoubleEndedIterator<Item = &str> {
        self.output.get(&step).into_iter().flatten().map(String::as_str)
    }

    /// What was taken back after a failure, in its order: where, which step, and how.
    pub fn undone(&self) -> &[(HostName, StepId, String)] {
        &self.undone
    }

    /// Failed steps that succeeded on what had been taken back.
    pub fn recovered(&self) -> &[StepId] {
        &self.recovered
    }

    /// Hosts that could not be brought back to what they were, each with why.
    pub fn stuck(&self) -> &[(HostName, String)] {
        &self.stuck
    }

    /// The checks, in the order they ended.
    pub fn checks(&self) -> &[Checked] {
        &self.checks
    }
}

impl Reporter for Record {
    fn event(&mut self, event: &Event) {
        match event {
            // One that is made again after its failure has failed all the same.
            Event::StepStarted { step, .. } => {
                if !matches!(self.fates.get(step), Some(Fate::Failed(_))) {
                    self.fates.insert(*step, Fate::Begun);
                }
            }
            Event::StepOutput { step, line, .. } => {
                let lines = self.output.entry(*step).or_default();
                if lines.len() == KEPT {
                    lines.pop_front();
                }
                lines.push_back(line.clone());
            }
            Event::StepDone { step, .. } if matches!(self.fates.get(step), Some(Fate::Failed(_))) => {
                self.recovered.push(*step);
            }
            Event::StepDone { step, .. } => {
                self.fates.insert(*step, Fate::Done);
                // A step that went well has nothing to explain.
                self.output.remove(step);
            }
            Event::StepFailed { step, why, .. } => {
                self.fates.insert(*step, Fate::Failed(why.clone()));
            }
            Event::StepSkipped { step, cause, .. } => {
                self.fates.insert(*step, Fate::Skipped(*cause));
            }
            Event::StepUndone { step, host, summary } => {
                if self.fates.get(step) == Some(&Fate::Done) {
                    self.fates.insert(*step, Fate::Undone);
                }
                self.undone.push((host.clone(), *step, summary.clone()));
            }
            Event::UndoFailed { host, why } => self.stuck.push((host.clone(), why.clone())),
            Event::Checked { component, title, host, verdict } => self.checks.push(Checked {
                component,
                title: title.clone(),
                host: host.clone(),
                verdict: verdict.clone(),
            }),
            Event::ObserveStarted { .. }
            | Event::Connecting { .. }
            | Event::Observed { .. }
            | Event::ApplyStarted { .. }
            | Event::VerifyStarted { .. }
            | Event::Note { .. } => {}
        }
    }
}

//! Progress where nothing can be drawn over: pipes, logs, CI. One line for each thing that ended, written once.

use super::{
    Face, Verbosity,
    style::{Palette, Tone, count, harmless, harmless_lines, span},
};
use crate::{
    base::name::HostName,
    component::Verdict,
    event::{Event, Reporter},
    plan::StepId,
};
use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

/// Writes a line for each thing that ended.
pub struct Lines<W = io::Stderr> {
    to: W,
    palette: Palette,
    verbosity: Verbosity,
    running: BTreeMap<StepId, Running>,
}

/// A step that has begun: its output waits for its end, so that hosts do not talk across each other.
#[derive(Default)]
struct Running {
    summary: String,
    output: Vec<String>,
}

impl<W: Write + Send> Lines<W> {
    /// Writes to `to`.
    pub fn new(to: W, palette: Palette, verbosity: Verbosity) -> Self {
        Self { to, palette, verbosity, running: BTreeMap::new() }
    }

    fn say(&mut self, line: &str) {
        // Progress that nobody can read is no reason to stop.
        let _ = writeln!(self.to, "{line}");
    }

    fn ended(&mut self, step: StepId, host: &HostName, end: &str, shown: bool) {
        let Running { summary, output } = self.running.remove(&step).unwrap_or_default();
        if shown {
            let host = self.palette.paint(Tone::Place, host.as_str());
            self.say(&format!("{host}: {} … {end}", harmless(&summary)));
            if self.verbosity == Verbosity::Verbose {
                for line in output {
                    self.say(&format!("  {host} {} {}", self.palette.paint(Tone::Dim, "│"), harmless(&line)));
                }
            }
        }
    }
}

impl<W: Write + Send> Face for Lines<W> {}

impl<W: Write + Send> Reporter for Lines<W> {
    fn event(&mut self, event: &Event) {
        let (loud, verbose) = (self.verbosity >= Verbosity::Normal, self.verbosity == Verbosity::Verbose);
        let took = |millis: &u64| span(Duration::from_millis(*millis));
        match event {
            Event::ObserveStarted { hosts } if loud => self.say(&format!("reading {}", count(*hosts, "host"))),
            Event::Observed { host, millis } if verbose => self.say(&format!("{host}: read ({})", took(millis))),
            Event::ApplyStarted { steps } if loud => self.say(&format!("applying {}", count(*steps, "step"))),
            Event::StepStarted { step, host, summary } => {
                self.running.insert(*step, Running { summary: summary.clone(), output: Vec::new() });
                if verbose {
                    self.say(&format!("{host}: {} …", harmless(summary)));
                }
            }
            Event::StepOutput { step, line, .. } if verbose => {
                self.running.entry(*step).or_default().output.push(line.clone());
            }
            Event::StepDone { step, host, millis } => {
                let end = format!("{} ({})", self.palette.paint(Tone::Pass, "ok"), took(millis));
                self.ended(*step, host, &end, loud);
            }
            Event::StepFailed { step, host, why } => {
                let why = harmless_lines(why).next().unwrap_or_default().into_owned();
                let end = format!("{}: {why}", self.palette.paint(Tone::Fail, "FAILED"));
                self.ended(*step, host, &end, true);
            }
            Event::StepUndone { host, summary, .. } => {
                let host = self.palette.paint(Tone::Place, host.as_str());
                let word = self.palette.paint(Tone::Change, "after the failure");
                self.say(&format!("{host}: {word}: {} … ok", harmless(summary)));
            }
            Event::UndoFailed { host, why } => {
                let why = harmless_lines(why).next().unwrap_or_default().into_owned();
                let host = self.palette.paint(Tone::Place, host.as_str());
                self.say(&format!("{host}: {}: {why}", self.palette.paint(Tone::Fail, "could not be taken back")));
            }
            Event::VerifyStarted { checks } if loud => self.say(&format!("making {}", count(*checks, "check"))),
            Event::Checked { component, title, host, verdict } if verbose => {
                let word = match verdict {
                    Verdict::Pass(_) => self.palette.paint(Tone::Pass, "ok"),
                    Verdict::Fail(_) => self.palette.paint(Tone::Fail, "FAILED"),
                    Verdict::Error(_) => self.palette.paint(Tone::Error, "ERROR"),
                };
                self.say(&format!("{host}: {component} {} … {word}", harmless(title)));
            }
            Event::Note { host, text } if loud => {
                let at = host.as_ref().map(|h| format!("{}: ", self.palette.paint(Tone::Place, h.as_str())));
                for line in harmless_lines(text) {
                    self.say(&format!("{}{line}", at.as_deref().unwrap_or_default()));
                }
            }
            // Why a step was skipped stands in the outcome, once, under its cause.
            _ => {}
        }
    }
}

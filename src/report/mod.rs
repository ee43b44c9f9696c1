//! What people and programs see: plans, progress, outcomes and verifications, as text and as JSON. It shows what it is
//! given and decides nothing about hosts. Data is returned as strings, for the caller to put on stdout; progress goes
//! to stderr by itself.

pub mod board;
pub mod checks;
pub mod ci;
pub mod diff;
pub mod dns;
pub mod drill;
pub mod explain;
pub mod graph;
pub mod history;
pub mod json;
pub mod leases;
pub mod lines;
pub mod live;
#[cfg(test)]
mod look;
pub mod outcome;
pub mod page;
pub mod plan;
pub mod problem;
pub mod record;
pub mod render;
mod show;
pub mod spof;
pub mod status;
pub mod style;
#[cfg(test)]
mod tests;
pub mod watch;
#[cfg(test)]
mod why_tests;

use crate::{
    event::{Event, Reporter},
    plan::Plan,
};
pub use show::Show;

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Only what went wrong.
    Quiet,
    /// Each step as it ends.
    #[default]
    Normal,
    /// Also what steps print.
    Verbose,
}

/// Columns and lines of the terminal that a stream is; 100 by 30 where it is none.
pub fn terminal_size(stream: &impl std::os::fd::AsFd) -> (usize, usize) {
    terminal_size::terminal_size_of(stream).map_or((100, 30), |(w, h)| (w.0.into(), h.0.into()))
}

/// A way to show progress.
pub trait Face: Reporter {
    /// Says what the events to come are about, so that progress has an end to count towards.
    fn expect(&mut self, _plan: &Plan) {}

    /// Takes what was drawn off the screen, so that others may write; the next event draws it again.
    fn clear(&mut self) {}
}

impl<W: std::io::Write + Send> Face for json::Lines<W> {
    fn expect(&mut self, plan: &Plan) {
        self.plan(plan);
    }
}

impl Reporter for Box<dyn Face> {
    fn event(&mut self, event: &Event) {
        self.as_mut().event(event);
    }
}

impl Face for Box<dyn Face> {
    fn expect(&mut self, plan: &Plan) {
        self.as_mut().expect(plan);
    }

    fn clear(&mut self) {
        self.as_mut().clear();
    }
}

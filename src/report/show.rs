//! A run shown while it goes, in one or more ways at once, with its record kept for the end. How each way looks is its own
//! file's business.

use super::{Face, Verbosity, lines, live, record::Record, style::Palette};
use crate::{
    event::{Event, Reporter},
    plan::Plan,
};

/// Shows a run while it goes, in one or more ways, and keeps its record for the end.
#[derive(Default)]
pub struct Show {
    faces: Vec<Box<dyn Face>>,
    record: Record,
}

impl Show {
    /// Progress on stderr: drawn where `terminal`, else line by line.
    pub fn progress(terminal: bool, palette: Palette, verbosity: Verbosity) -> Self {
        let face: Box<dyn Face> = if terminal && verbosity != Verbosity::Quiet {
            Box::new(live::Live::new(palette, verbosity))
        } else {
            Box::new(lines::Lines::new(std::io::stderr(), palette, verbosity))
        };
        Self::default().and(face)
    }

    /// With a further way to show it, such as JSON lines on stdout.
    pub fn and(mut self, face: impl Face + 'static) -> Self {
        self.faces.push(Box::new(face));
        self
    }

    /// What happened so far.
    pub fn record(&self) -> &Record {
        &self.record
    }
}

impl Reporter for Show {
    fn event(&mut self, event: &Event) {
        self.record.event(event);
        self.faces.iter_mut().for_each(|face| face.event(event));
    }
}

impl Face for Show {
    fn expect(&mut self, plan: &Plan) {
        self.faces.iter_mut().for_each(|face| face.expect(plan));
    }

    fn clear(&mut self) {
        self.faces.iter_mut().for_each(|face| face.clear());
    }
}

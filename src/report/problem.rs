//! What keeps a command from going on, as diagnostics: one for each host, with its cause, what to do next and a code.
//! Which exit status a code means is decided in `cli/exit.rs`.

use super::style::{Palette, harmless};
use crate::{
    resource::Refusal,
    transport::{TransportError, TransportErrorKind},
};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use std::fmt;

/// A diagnostic without a place in a file. Its texts are harmless to a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    code: &'static str,
    message: String,
    help: String,
}

impl Problem {
    /// From its code, what happened (a lower-case fragment) and what to do next.
    pub fn new(code: &'static str, message: &str, help: &str) -> Self {
        let clean = |text: &str| text.lines().map(|l| harmless(l).replace('\t', " ")).collect::<Vec<_>>().join("\n");
        Self { code, message: clean(message), help: clean(help) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.help.is_empty()).then(|| Box::new(&self.help) as Box<dyn fmt::Display>)
    }
}

impl From<&TransportError> for Problem {
    fn from(error: &TransportError) -> Self {
        Self::new(transport_code(error.kind), &error.to_string(), &error.help)
    }
}

impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        Self::new("foobar::refused", &refusal.to_string(), &refusal.help)
    }
}

/// The code of each way a host could not be asked.
pub fn transport_code(kind: TransportErrorKind) -> &'static str {
    match kind {
        TransportErrorKind::Unreachable => "foobar::host::unreachable",
        TransportErrorKind::Refused => "foobar::host::refused",
        TransportErrorKind::HostKey => "foobar::host::key",
        TransportErrorKind::Sudo => "foobar::host::sudo",
        TransportErrorKind::Lost => "foobar::host::lost",
        TransportErrorKind::Local => "foobar::local",
    }
}

/// How diagnostics are drawn, every room's alike.
pub fn handler(width: usize, palette: Palette) -> GraphicalReportHandler {
    let theme = if palette.is_on() { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    // Links would put escape sequences in.
    GraphicalReportHandler::new_themed(theme).with_width(width).with_links(false)
}

/// Any diagnostic as text.
pub fn text(diagnostic: &dyn Diagnostic, width: usize, palette: Palette) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = handler(width, palette).render_report(&mut out, diagnostic);
    out
}

/// All of them, one after the other, and how many there are.
pub fn all<P: Into<Problem>>(problems: impl IntoIterator<Item = P>, width: usize, palette: Palette) -> String {
    let shown: Vec<String> = problems.into_iter().map(|p| text(&p.into(), width, palette)).collect();
    shown.join("\n")
}

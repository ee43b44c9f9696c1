//! The two streams: data to stdout, prose and progress to stderr; colour, width, and the question before an apply. What
//! the texts say is not decided here.

use super::{args::Talk, exit::Exit, gather::Failure};
use crate::{
    event::{Event, Events, Reporter},
    plan::Plan,
    report::{Face, Show, Verbosity, json, problem, style::Palette, terminal_size},
    resource::Refusal,
    topology::Report,
    transport::TransportError,
};
use miette::Diagnostic;
use std::{
    io::{IsTerminal as _, Write as _, stderr, stdin, stdout},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Where everything is said.
pub struct Screen {
    drawn: bool,
    /// Colour on stdout.
    pub out: Palette,
    /// Colour on stderr.
    pub err: Palette,
    /// Colour in a file that is named.
    pub file: Palette,
    /// How much is said.
    pub verbosity: Verbosity,
    show: Arc<Mutex<Show>>,
}

/// The shown progress, as the reporter of a run.
struct Shared(Arc<Mutex<Show>>);

impl Reporter for Shared {
    fn event(&mut self, event: &Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).event(event);
    }
}

impl Screen {
    /// From the user's words and what the streams are.
    pub fn new(talk: &Talk) -> Self {
        let (out, err) = (talk.color.palette(&stdout()), talk.color.palette(&stderr()));
        let drawn = stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb");
        let show = Show::progress(drawn, err, talk.verbosity());
        let file = Palette::new(talk.color.decide(false, |name| std::env::var(name).ok()));
        Self { drawn, out, err, file, verbosity: talk.verbosity(), show: Arc::new(Mutex::new(show)) }
    }

    /// Progress in JSON lines on stdout as well.
    pub fn also_json(&self, command: &str) {
        let mut show = self.show();
        *show = std::mem::take(&mut *show).and(json::Lines::new(stdout(), command));
    }

    /// Forgets what was shown so far: another command begins.
    pub fn begin_anew(&self) {
        *self.show() = Show::progress(self.drawn, self.err, self.verbosity);
    }

    /// Forgets what was shown so far for a round of many: where nothing is drawn over, its progress is not told.
    pub fn begin_round(&self) {
        match self.drawn {
            true => self.begin_anew(),
            false => *self.show() = Show::default(),
        }
    }

    /// Forgets what was shown so far, and shows nothing more of what happens.
    pub fn hush(&self) {
        *self.show() = Show::default();
    }

    /// Where a run tells what happens.
    pub fn events(&self) -> Events {
        Events::new(Shared(self.show.clone()))
    }

    /// What was shown so far, and its record.
    pub fn show(&self) -> MutexGuard<'_, Show> {
        self.show.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes drawn progress off the terminal.
    pub fn clear(&self) {
        self.show().clear();
    }

    /// Says what the steps to come are.
    pub fn expect(&self, plan: &Plan) {
        self.show().expect(plan);
    }

    /// Data, on stdout. A reader that went away is no error of ours.
    pub fn data(&self, text: &str) {
        self.clear();
        let mut out = stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Prose, on stderr; nothing where quiet.
    pub fn say(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            self.clear();
            let _ = writeln!(stderr(), "{text}");
        }
    }

    /// A diagnostic, on stderr.
    pub fn diagnostic(&self, diagnostic: &dyn Diagnostic) {
        self.raw(&problem::text(diagnostic, self.width(), self.err));
    }

    /// What is wrong with a topology, or worth knowing about it.
    pub fn report(&self, report: &Report) {
        if !report.is_empty() {
            self.raw(&report.render(&problem::handler(self.width(), self.err)));
        }
    }

    /// Why a site could not be gathered.
    pub fn failure(&self, failure: &Failure) -> Exit {
        match failure {
            Failure::Unreadable(what, help) => self.problem("foobar::file", what, help),
            Failure::Invalid(report) => self.report(report),
            Failure::Template(error) => {
                self.problem(
                    "foobar::template",
                    &error.to_string(),
                    "mend the template; foobar's own stand in its source under templates/",
                );
            }
        }
        Exit::Usage
    }

    /// A diagnostic without a place: code, what happened, what to do next.
    pub fn problem(&self, code: &'static str, what: &str, help: &str) {
        self.diagnostic(&problem::Problem::new(code, what, help));
    }

    /// All hosts that could not be asked.
    pub fn silent(&self, errors: &[TransportError]) {
        self.raw(&problem::all(errors, self.width(), self.err));
    }

    /// All states that foobar will not change by itself.
    pub fn refusals(&self, refusals: &[Refusal]) {
        self.raw(&problem::all(refusals, self.width(), self.err));
    }

    /// Asks, and waits for the answer; only the whole word yes is one. `None` where there is nobody to ask.
    pub async fn consent(&self, question: &str) -> Option<bool> {
        self.ask(question).await.map(|answer| answer == "yes")
    }

    /// Asks, and waits for the answer: a line, without the space around it. `None` where there is nobody to ask.
    pub async fn ask(&self, question: &str) -> Option<String> {
        if !stdin().is_terminal() || !stderr().is_terminal() {
            return None;
        }
        self.clear();
        let _ = write!(stderr(), "{question} ").and_then(|()| stderr().flush());
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            stdin().read_line(&mut line).map(|_| line)
        });
        let line = read.await.ok()?.ok()?;
        Some(line.trim().to_owned())
    }

    /// Columns of stderr, 100 at most: longer lines are hard to read.
    pub fn width(&self) -> usize {
        terminal_size(&stderr()).0.clamp(40, 100)
    }

    /// Columns of stdout where it is a terminal, 40 at least.
    pub fn out_width(&self) -> Option<usize> {
        stdout().is_terminal().then(|| terminal_size(&stdout()).0.max(40))
    }

    fn raw(&self, text: &str) {
        self.clear();
        let _ = stderr().write_all(text.as_bytes());
    }
}

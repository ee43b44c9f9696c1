//! Progress on a terminal: what ended scrolls up, what goes on is drawn below it and over itself. What is drawn is
//! decided in `board.rs`; here it meets the screen, through stderr.

use super::{
    Face, Verbosity,
    board::Board,
    style::{Palette, Tone, cut, harmless, harmless_lines, span},
    terminal_size,
};
use crate::{
    base::name::HostName,
    event::{Event, Reporter},
    plan::{Plan, StepId},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often the spinner moves.
const TICK: Duration = Duration::from_millis(100);

/// Draws progress on the terminal that stderr is.
pub struct Live {
    palette: Palette,
    verbosity: Verbosity,
    start: Instant,
    /// Of the longest host name, for a straight column.
    width: usize,
    board: Arc<Mutex<Board>>,
    bar: Option<ProgressBar>,
    running: BTreeMap<StepId, (String, Vec<String>)>,
}

impl Live {
    /// With nothing drawn yet.
    pub fn new(palette: Palette, verbosity: Verbosity) -> Self {
        let (_, height) = terminal_size(&std::io::stderr());
        let board = Board::new(palette, (height / 2).clamp(3, 12));
        Self {
            palette,
            verbosity,
            start: Instant::now(),
            width: 0,
            board: Arc::new(Mutex::new(board)),
            bar: None,
            running: BTreeMap::new(),
        }
    }

    /// A line above what is drawn.
    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    /// Draws where there is something to draw, and takes it off where there is nothing.
    fn draw(&mut self) {
        let empty = lock(&self.board).lines(80, self.start.elapsed()).is_empty();
        if empty {
            if let Some(bar) = self.bar.take() {
                bar.finish_and_clear();
            }
        } else if self.bar.is_none() {
            let (board, start) = (Arc::clone(&self.board), self.start);
            let lines = move |_: &ProgressState, to: &mut dyn fmt::Write| {
                let (width, _) = terminal_size(&std::io::stderr());
                // One column stays free: some terminals wrap when the last one is written.
                let text = lock(&board).lines(width.saturating_sub(1), start.elapsed()).join("\n");
                // A tick may find the board empty just before it is taken off; indicatif loses the line above then.
                let _ = to.write_str(if text.is_empty() { " " } else { &text });
            };
            let style = ProgressStyle::with_template("{board}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(style.with_key("board", lines));
            bar.enable_steady_tick(TICK);
            self.bar = Some(bar);
        }
    }

    fn ended(&mut self, step: StepId, host: &HostName, mark: (Tone, &str), end: &str) {
        let (summary, output) = self.running.remove(&step).unwrap_or_default();
        let width = self.width;
        let host = self.palette.paint(Tone::Place, &format!("{host:<width$}"));
        let mark = self.palette.paint(mark.0, mark.1);
        self.say(&format!("  {mark} {host}  {}  {end}", harmless(&summary)));
        for line in output {
            self.say(&format!("    {} {}", self.palette.paint(Tone::Dim, "│"), harmless(&line)));
        }
    }
}

impl Reporter for Live {
    fn event(&mut self, event: &Event) {
        match event {
            Event::StepStarted { step, summary, .. } => {
                self.running.insert(*step, (summary.clone(), Vec::new()));
            }
            Event::StepOutput { step, line, .. } if self.verbosity == Verbosity::Verbose => {
                self.running.entry(*step).or_default().1.push(line.clone());
            }
            Event::StepDone { step, host, millis } => {
                let took = format!("({})", span(Duration::from_millis(*millis)));
                let took = self.palette.paint(Tone::Dim, &took);
                self.ended(*step, host, (Tone::Pass, "✓"), &took);
            }
            Event::StepFailed { step, host, why } => {
                let why = cut(&harmless_lines(why).next().unwrap_or_default(), 200);
                let why = self.palette.paint(Tone::Fail, &why);
                self.ended(*step, host, (Tone::Fail, "✗"), &why);
            }
            Event::StepUndone { host, summary, .. } => {
                let mark = self.palette.paint(Tone::Change, "↩");
                let host = self.palette.paint(Tone::Place, host.as_str());
                self.say(&format!("  {mark} {host}  {}", harmless(summary)));
            }
            Event::UndoFailed { host, why } => {
                let why = cut(&harmless_lines(why).next().unwrap_or_default(), 200);
                let (mark, host) =
                    (self.palette.paint(Tone::Fail, "✗"), self.palette.paint(Tone::Place, host.as_str()));
                self.say(&format!("  {mark} {host}  could not be taken back: {why}"));
            }
            Event::Note { host, text } => {
                let at = host.as_ref().map(|h| format!("{}  ", self.palette.paint(Tone::Place, h.as_str())));
                for line in harmless_lines(text) {
                    self.say(&format!("  {}{line}", at.as_deref().unwrap_or_default()));
                }
            }
            _ => {}
        }
        lock(&self.board).event(event, self.start.elapsed());
        self.draw();
    }
}

impl Face for Live {
    fn expect(&mut self, plan: &Plan) {
        self.width = plan.steps.iter().map(|s| s.host.as_str().len()).max().unwrap_or(0);
        lock(&self.board).expect(plan);
    }

    fn clear(&mut self) {
        lock(&self.board).idle();
        self.draw();
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A panic elsewhere while the board was held does not stop the display.
fn lock(board: &Mutex<Board>) -> std::sync::MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

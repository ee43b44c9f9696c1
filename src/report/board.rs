//! What the live display shows at an instant, as lines: a function of the events so far and the clock it is given.
//! Nothing is drawn here. The height never changes within a phase, so that the screen stays calm.

use super::style::{Palette, Tone, count, cut, harmless, span};
use crate::{
    base::name::HostName,
    component::Verdict,
    event::Event,
    plan::{Plan, StepId},
};
use std::{collections::BTreeMap, time::Duration};

/// The spinner's pictures, one a tenth of a second.
const SPIN: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// The state of the display.
#[derive(Debug)]
pub struct Board {
    palette: Palette,
    rows: usize,
    phase: Phase,
    since: Duration,
    /// Steps each host has, in the plan's order of hosts; empty where nobody said.
    expected: Vec<(HostName, usize)>,
}

#[derive(Debug)]
enum Phase {
    Idle,
    Reading { hosts: usize, waiting: Vec<HostName>, done: usize },
    Applying(Applying),
    Checking { checks: usize, done: usize, bad: usize },
}

#[derive(Debug, Default)]
struct Applying {
    steps: usize,
    ended: usize,
    failed: usize,
    hosts: BTreeMap<HostName, Lane>,
    /// Which host stands in which row: a host keeps its row while it is busy.
    slots: Vec<Option<HostName>>,
}

/// One host during apply.
#[derive(Debug, Default)]
struct Lane {
    done: usize,
    failed: bool,
    skipped: usize,
    running: Vec<(StepId, String, Duration)>,
}

impl Board {
    /// An empty board that takes `rows` hosts at most.
    pub fn new(palette: Palette, rows: usize) -> Self {
        Self { palette, rows: rows.max(1), phase: Phase::Idle, since: Duration::ZERO, expected: Vec::new() }
    }

    /// Notes what each host will have to do.
    pub fn expect(&mut self, plan: &Plan) {
        let steps = |host: &HostName| plan.steps.iter().filter(|s| s.host == *host).count();
        self.expected = plan.hosts.iter().map(|h| (h.clone(), steps(h))).filter(|(_, n)| *n > 0).collect();
    }

    /// Ends the phase: nothing is shown.
    pub fn idle(&mut self) {
        self.phase = Phase::Idle;
    }

    /// Takes an event in, at an instant counted from the start of the program.
    pub fn event(&mut self, event: &Event, now: Duration) {
        // Whether every host has a row of its own for good.
        let calm = self.expected.len() <= self.rows && !self.expected.is_empty();
        match event {
            Event::ObserveStarted { hosts } => {
                self.begin(Phase::Reading { hosts: *hosts, waiting: Vec::new(), done: 0 }, now);
            }
            Event::ApplyStarted { steps } => {
                let mut state = Applying { steps: *steps, ..Applying::default() };
                if calm {
                    state.slots = self.expected.iter().map(|(h, _)| Some(h.clone())).collect();
                } else {
                    state.slots = vec![None; self.rows.min(*steps)];
                }
                self.begin(Phase::Applying(state), now);
            }
            Event::VerifyStarted { checks } => {
                self.begin(Phase::Checking { checks: *checks, done: 0, bad: 0 }, now);
            }
            Event::Connecting { host } => self.waits(host, now),
            _ => {}
        }
        match (&mut self.phase, event) {
            (Phase::Reading { hosts, waiting, done }, Event::Observed { host, .. }) => {
                waiting.retain(|h| h != host);
                *done += 1;
                if *done >= *hosts {
                    self.phase = Phase::Idle;
                }
            }
            (Phase::Checking { checks, done, bad }, Event::Checked { verdict, .. }) => {
                *done += 1;
                *bad += usize::from(!matches!(verdict, Verdict::Pass(_)));
                if *done >= *checks {
                    self.phase = Phase::Idle;
                }
            }
            (Phase::Applying(state), event) => {
                state.event(event, calm, now);
                if state.ended >= state.steps {
                    self.phase = Phase::Idle;
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, phase: Phase, now: Duration) {
        self.phase = phase;
        self.since = now;
    }

    fn waits(&mut self, host: &HostName, now: Duration) {
        if matches!(self.phase, Phase::Idle) {
            self.begin(Phase::Reading { hosts: 0, waiting: Vec::new(), done: 0 }, now);
        }
        if let Phase::Reading { hosts, waiting, done } = &mut self.phase {
            waiting.push(host.clone());
            // Where nobody said how many there are, those that were heard of are.
            *hosts = (*hosts).max(waiting.len() + *done);
        }
    }

    /// The lines to show, none wider than `width`; none at all where nothing is going on.
    pub fn lines(&self, width: usize, now: Duration) -> Vec<String> {
        let elapsed = now.saturating_sub(self.since);
        let spin = SPIN[(now.as_millis() / 100) as usize % SPIN.len()];
        let title = |text: String, more: String| {
            let (text, rest) = (cut(&text, width.saturating_sub(2)), width.saturating_sub(4 + text.chars().count()));
            let more = self.palette.paint(Tone::Dim, &cut(&more, rest));
            format!("{} {text}  {more}", self.palette.paint(Tone::Place, spin)).trim_end().to_owned()
        };
        match &self.phase {
            Phase::Idle => Vec::new(),
            Phase::Reading { hosts, waiting, done } => {
                let names: Vec<&str> = waiting.iter().map(HostName::as_str).collect();
                let text = format!("reading {}  {done}/{hosts}  {}", count(*hosts, "host"), span(elapsed));
                vec![title(text, names.join(", "))]
            }
            Phase::Checking { checks, done, bad } => {
                let bad = if *bad > 0 { format!("{bad} not passed") } else { String::new() };
                vec![title(format!("checking  {done}/{checks}  {}", span(elapsed)), bad)]
            }
            Phase::Applying(state) => {
                let busy = state.hosts.values().filter(|lane| !lane.running.is_empty()).count();
                let shown = state.slots.iter().flatten().filter(|h| state.is_busy(h)).count();
                let hidden = if busy > shown { format!(", {} more at work", busy - shown) } else { String::new() };
                let failed = if state.failed > 0 { format!(", {} failed", state.failed) } else { String::new() };
                let text = format!("applying  {}/{} steps  {}", state.ended, state.steps, span(elapsed));
                let mut out = vec![title(text, format!("{failed}{hidden}").trim_start_matches(", ").to_owned())];
                let name = state.slots.iter().flatten().map(|h| h.as_str().len()).max().unwrap_or(0);
                out.extend(state.slots.iter().map(|slot| match slot {
                    Some(host) => self.lane(state, host, name, width, spin, now),
                    None => String::new(),
                }));
                out
            }
        }
    }

    fn lane(&self, state: &Applying, host: &HostName, name: usize, width: usize, spin: &str, now: Duration) -> String {
        let none = Lane::default();
        let lane = state.hosts.get(host).unwrap_or(&none);
        let of = self.expected.iter().find(|(h, _)| h == host).map(|(_, n)| *n);
        let progress = of.map_or(format!("{}", lane.done), |of| format!("{}/{of}", lane.done));
        let ended = of.is_some_and(|of| lane.done + lane.skipped + usize::from(lane.failed) >= of);
        let (mark, text, time) = match lane.running.last() {
            Some((_, summary, since)) => {
                let time = span(now.saturating_sub(*since));
                (self.palette.paint(Tone::Place, spin), harmless(summary).replace('\t', " "), time)
            }
            None if lane.failed => (self.palette.paint(Tone::Fail, "✗"), "failed".to_owned(), String::new()),
            None if ended && lane.skipped > 0 => ("-".to_owned(), "skipped".to_owned(), String::new()),
            None if ended => (self.palette.paint(Tone::Pass, "✓"), "done".to_owned(), String::new()),
            None => (self.palette.paint(Tone::Dim, "·"), "waiting".to_owned(), String::new()),
        };
        // Two spaces, mark, space, name, two spaces, progress in five, two spaces, text, two spaces, time.
        let rest = width.saturating_sub(2 + 2 + name + 2 + 5 + 2 + 2 + time.chars().count());
        let text = cut(&text, rest);
        let text = if lane.running.is_empty() { self.palette.paint(Tone::Dim, &text) } else { text };
        let time = self.palette.paint(Tone::Dim, &time);
        format!("  {mark} {host:<name$}  {progress:>5}  {text}  {time}").trim_end().to_owned()
    }
}

impl Applying {
    fn is_busy(&self, host: &HostName) -> bool {
        self.hosts.get(host).is_some_and(|lane| !lane.running.is_empty())
    }

    fn event(&mut self, event: &Event, calm: bool, now: Duration) {
        match event {
            Event::StepStarted { step, host, summary } => {
                let lane = self.hosts.entry(host.clone()).or_default();
                lane.running.push((*step, summary.clone(), now));
                let shown = self.slots.iter().flatten().any(|h| h == host);
                let free = self.slots.iter_mut().find(|slot| slot.is_none());
                if let (false, Some(slot)) = (shown, free) {
                    *slot = Some(host.clone());
                }
            }
            Event::StepDone { step, host, .. } => self.ended(*step, host, calm, |lane| lane.done += 1),
            Event::StepFailed { step, host, .. } => {
                self.failed += 1;
                self.ended(*step, host, calm, |lane| lane.failed = true);
            }
            Event::StepSkipped { step, host, .. } => self.ended(*step, host, calm, |lane| lane.skipped += 1),
            _ => {}
        }
    }

    fn ended(&mut self, step: StepId, host: &HostName, calm: bool, note: impl FnOnce(&mut Lane)) {
        let lane = self.hosts.entry(host.clone()).or_default();
        note(lane);
        lane.running.retain(|(id, ..)| *id != step);
        self.ended += 1;
        if calm || !lane.running.is_empty() {
            return;
        }
        // The row goes to a host that is at work and has none.
        let next = self
            .hosts
            .iter()
            .find(|(h, lane)| !lane.running.is_empty() && !self.slots.iter().flatten().any(|shown| shown == *h));
        let next = next.map(|(h, _)| h.clone());
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.as_ref() == Some(host)) {
            *slot = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Draft, change, everything, failed_run};
    use super::*;
    use crate::{event::Reporter, resource::Action};

    #[test]
    fn the_board_keeps_its_height() {
        let plan = everything();
        let mut board = Board::new(Palette::new(false), 8);
        board.expect(&plan);
        let mut out = String::new();
        let mut heights = std::collections::BTreeSet::new();
        let mut tick = 0;
        struct Each<F>(F);
        impl<F: FnMut(&Event) + Send> Reporter for Each<F> {
            fn event(&mut self, event: &Event) {
                (self.0)(event);
            }
        }
        failed_run(&mut Each(|event: &Event| {
            tick += 1;
            board.event(event, Duration::from_millis(tick * 700));
            let lines = board.lines(72, Duration::from_millis(tick * 700 + 300));
            assert!(lines.iter().all(|line| line.chars().count() <= 72), "{lines:#?}");
            if let Event::ApplyStarted { .. } | Event::StepStarted { .. } | Event::StepSkipped { .. } = event {
                heights.insert(lines.len());
            }
            if matches!(event, Event::Connecting { .. } | Event::StepStarted { .. } | Event::Note { .. }) {
                out += &(lines.join("\n") + "\n\n");
            }
        }));
        assert_eq!(heights.len(), 1, "{heights:?}");
        insta::assert_snapshot!("board", out);
    }

    #[test]
    fn the_board_of_forty_hosts_shows_those_at_work() {
        let names: Vec<String> = (1..=40).map(|i| format!("web-{i:02}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let plan = Draft::new(&all).step(&all, ("packages", "n"), change(Action::Create, "install nginx")).0;
        let mut board = Board::new(Palette::new(false), 4);
        board.expect(&plan);
        let at = Duration::from_millis;
        board.event(&Event::ApplyStarted { steps: 40 }, at(0));
        let quiet = board.lines(80, at(100));
        for id in 0..10 {
            let summary = "install nginx".to_owned();
            board.event(&Event::StepStarted { step: id, host: plan.steps[id].host.clone(), summary }, at(1_000));
        }
        for id in [1, 2] {
            board.event(&Event::StepDone { step: id, host: plan.steps[id].host.clone(), millis: 900 }, at(2_000));
        }
        let busy = board.lines(80, at(2_100));
        assert_eq!(quiet.len(), busy.len());
        insta::assert_snapshot!("board-many", busy.join("\n"));
    }
}

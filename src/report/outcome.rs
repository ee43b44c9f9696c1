//! The end of apply: what was done, what was not and because of what, and what to do next. Told from the plan and the
//! record of the run; nothing is decided here.

use super::{
    plan::fold,
    record::{Fate, Record},
    style::{Palette, Tone, count, cut, harmless, harmless_lines, hosts, span},
};
use crate::{
    base::name::HostName,
    plan::{Plan, Step, StepId},
};
use serde::Serialize;
use std::{borrow::Cow, collections::BTreeMap, time::Duration};

/// Lines of a failed step's output that are shown.
const TAIL: usize = 20;

/// A run in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ApplyTally {
    /// Steps that succeeded.
    pub done: usize,
    /// Steps that failed.
    pub failed: usize,
    /// Steps that were not begun because another one failed.
    pub skipped: usize,
    /// Steps that were begun and cut off: nobody knows how far they came.
    pub cut_off: usize,
    /// Steps that were not begun because the run ended before.
    pub not_begun: usize,
    /// Steps that succeeded and were taken back after a failure.
    pub undone: usize,
}

impl ApplyTally {
    fn count(&mut self, fate: Option<&Fate>) {
        match fate {
            Some(Fate::Done) => self.done += 1,
            Some(Fate::Failed(_)) => self.failed += 1,
            Some(Fate::Skipped(_)) => self.skipped += 1,
            Some(Fate::Begun) => self.cut_off += 1,
            Some(Fate::Undone) => self.undone += 1,
            None => self.not_begun += 1,
        }
    }

    /// Whether every step was done.
    pub fn is_done(&self) -> bool {
        self.failed + self.skipped + self.cut_off + self.not_begun + self.undone == 0
    }

    /// `3 done, 1 failed, 2 skipped`, without what is none.
    fn words(&self, palette: Palette) -> String {
        let parts = [
            (self.done, "done", Tone::Pass),
            (self.failed, "failed", Tone::Fail),
            (self.undone, "taken back", Tone::Change),
            (self.cut_off, "cut off", Tone::Error),
            (self.skipped, "skipped", Tone::Change),
            (self.not_begun, "not begun", Tone::Dim),
        ];
        let parts = parts.into_iter().filter(|(n, ..)| *n > 0);
        parts.map(|(n, word, tone)| palette.paint(tone, &format!("{n} {word}"))).collect::<Vec<_>>().join(", ")
    }
}

/// How a plan was carried out.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    plan: &'a Plan,
    record: &'a Record,
    elapsed: Duration,
    again: &'a str,
}

impl<'a> Outcome<'a> {
    /// From what was planned and what was heard.
    pub fn new(plan: &'a Plan, record: &'a Record, elapsed: Duration) -> Self {
        Self { plan, record, elapsed, again: "apply" }
    }

    /// The command that goes on with it, where that is another one than `apply`.
    pub fn again(self, again: &'a str) -> Self {
        Self { again, ..self }
    }

    /// In numbers.
    pub fn tally(&self) -> ApplyTally {
        let mut tally = ApplyTally::default();
        self.plan.steps.iter().for_each(|step| tally.count(self.record.fate(step.id)));
        tally
    }

    /// How long it took, in milliseconds.
    pub fn millis(&self) -> u64 {
        u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    /// For people: one line where all went well, else everything they need to go on. Ends in a line break.
    pub fn text(&self, palette: Palette) -> String {
        let tally = self.tally();
        let took = span(self.elapsed);
        let all = count(self.plan.steps.len(), "step");
        if tally.is_done() {
            let on = count(self.by_host().len(), "host");
            return format!("{} {all} on {on} in {took}.\n", palette.paint(Tone::Pass, "Applied:"));
        }
        let mut out = String::new();
        for step in self.with(|fate| matches!(fate, Some(Fate::Failed(_)))) {
            out += &self.failure(step, palette);
        }
        for step in self.with(|fate| matches!(fate, Some(Fate::Begun))) {
            out += &format!("{} {}\n", palette.paint(Tone::Error, "!"), self.named(step.id, palette));
            out += "    cut off while it ran; how far it came is seen when it is planned again\n\n";
        }
        out += &self.undone(palette);
        out += &self.skipped(palette);
        out += &self.hosts(palette);
        let word = if tally.failed > 0 { "Failed:" } else { "Interrupted:" };
        let word = palette.paint(if tally.failed > 0 { Tone::Fail } else { Tone::Error }, word);
        out += &format!("{word} {} of {all} in {took}.\n", tally.words(palette));
        out + &self.next(&tally)
    }

    /// Which hosts went back to what they were, and how; and which could not.
    fn undone(&self, palette: Palette) -> String {
        let mut out = String::new();
        let stuck = |host: &HostName| self.record.stuck().iter().any(|(h, _)| h == host);
        let mut hosts: Vec<&HostName> = Vec::new();
        for (host, ..) in self.record.undone() {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        for host in &hosts {
            let name = palette.paint(Tone::Place, host.as_str());
            let word = match (stuck(host), self.serves_again(host)) {
                (true, _) => "was taken back in part",
                (false, true) => "is what it was before, and serves again",
                (false, false) => "is what it was before",
            };
            out += &format!("{} {name} {word}:\n", palette.paint(Tone::Change, "↩"));
            for (_, _, how) in self.record.undone().iter().filter(|(h, ..)| h == *host) {
                out += &format!("    {}\n", harmless(how));
            }
            out.push('\n');
        }
        for (host, why) in self.record.stuck() {
            let mark = palette.paint(Tone::Fail, "✗");
            out += &format!("{mark} {} could not be taken back\n", palette.paint(Tone::Place, host.as_str()));
            harmless_lines(why).for_each(|line| out += &format!("    {line}\n"));
            out.push('\n');
        }
        out
    }

    /// Whether every balancer has proved a host after it was taken back.
    fn serves_again(&self, host: &HostName) -> bool {
        let gates = self.plan.groups.iter().filter(|g| g.host(self.plan) == Some(host)).flat_map(|g| &g.gates);
        let mut gates = gates.peekable();
        let is_good = |id: &StepId| self.record.fate(*id) == Some(&Fate::Done) || self.record.recovered().contains(id);
        gates.peek().is_some() && gates.all(is_good)
    }

    /// What is left as it is, and what to do.
    fn next(&self, tally: &ApplyTally) -> String {
        let again = self.again;
        let went_back = !self.record.undone().is_empty() && self.record.stuck().is_empty();
        match (tally.done, tally.failed) {
            (0, 1..) if went_back => format!(
                "Nothing is changed: what failed was taken back. Mend what the failure says and run {again} again.\n"
            ),
            (_, 1..) if went_back => format!(
                "What failed was taken back, and what is done elsewhere stays done. Mend what the failure says and run {again} \
                 again: it plans what is left.\n"
            ),
            (0, 0) => format!("Nothing was changed. Run {again} again when you are ready.\n"),
            (_, 0) => format!("What is done stays done. Run {again} again: it plans what is left.\n"),
            (0, _) => format!(
                "No step was finished; the failed one may have done a part. Mend what it says and run {again} again: it \
                 plans what is left.\n"
            ),
            _ => format!(
                "What is done stays done. Mend what the failure says and run {again} again: it plans what is left.\n"
            ),
        }
    }

    fn with(&self, fits: impl Fn(Option<&Fate>) -> bool) -> impl Iterator<Item = &'a Step> {
        let record = self.record;
        self.plan.steps.iter().filter(move |step| fits(record.fate(step.id)))
    }

    /// `web-01  reload nginx`.
    fn named(&self, step: StepId, palette: Palette) -> String {
        match self.plan.steps.iter().find(|s| s.id == step) {
            Some(s) => {
                let summary = palette.paint(Tone::Bold, &harmless(&s.change.summary));
                format!("{}  {summary}", palette.paint(Tone::Place, s.host.as_str()))
            }
            None => format!("step {step}"),
        }
    }

    fn failure(&self, step: &Step, palette: Palette) -> String {
        let mut out = format!("{} {}\n", palette.paint(Tone::Fail, "✗"), self.named(step.id, palette));
        let bar = palette.paint(Tone::Dim, "│");
        let mut room = TAIL;
        let mut said: Vec<_> = self.record.output(step.id).map(harmless).collect();
        if let Some(Fate::Failed(why)) = self.record.fate(step.id) {
            // What it said about the failure may be what it printed.
            let whys: Vec<_> = harmless_lines(why).collect();
            if said.ends_with(&whys) {
                said.truncate(said.len() - whys.len());
            }
            let lines: Vec<_> = harmless_lines(why).collect();
            let (first, rest) = lines.split_at(lines.len().min(1));
            first.iter().for_each(|line| out += &format!("    {line}\n"));
            room -= last(rest, TAIL, &bar, palette, &mut out);
        }
        // What it said about the failure comes first; what it printed before fills the rest, and is never left out whole.
        last(&said, room.max(5), &bar, palette, &mut out);
        out + "\n"
    }

    /// Skipped steps, under the one that was the cause.
    fn skipped(&self, palette: Palette) -> String {
        let mut causes: BTreeMap<StepId, Vec<&Step>> = BTreeMap::new();
        for step in &self.plan.steps {
            if let Some(Fate::Skipped(cause)) = self.record.fate(step.id) {
                causes.entry(*cause).or_default().push(step);
            }
        }
        let mut out = String::new();
        for (cause, steps) in causes {
            out += &format!("Skipped, because this failed: {}\n", self.named(cause, palette));
            let folds = fold(steps);
            let width = folds.iter().map(|f| harmless(&f.step.change.summary).chars().count()).max().unwrap_or(0);
            for fold in folds {
                let width = width.min(48);
                let summary = cut(&harmless(&fold.step.change.summary), 48);
                let places = hosts(fold.hosts).join(", ");
                out += &format!("    {summary:<width$}  {}\n", palette.paint(Tone::Place, &places));
            }
            out.push('\n');
        }
        out
    }

    fn by_host(&self) -> BTreeMap<&'a HostName, ApplyTally> {
        let mut hosts: BTreeMap<&HostName, ApplyTally> = BTreeMap::new();
        for step in &self.plan.steps {
            hosts.entry(&step.host).or_default().count(self.record.fate(step.id));
        }
        hosts
    }

    /// What was changed and what was not, host by host in the file's order.
    fn hosts(&self, palette: Palette) -> String {
        let tallies = self.by_host();
        let width = tallies.keys().map(|h| h.as_str().len()).max().unwrap_or(0);
        let known = self.plan.hosts.iter().filter_map(|h| tallies.get_key_value(h));
        let mut out: String = known
            .map(|(host, tally)| {
                let name = palette.paint(Tone::Place, &format!("{host:<width$}"));
                format!("  {name}  {}\n", tally.words(palette))
            })
            .collect();
        if !out.is_empty() {
            out.push('\n');
        }
        out
    }
}

/// Writes the last lines of several, at most `most`; answers how many.
fn last(lines: &[Cow<'_, str>], most: usize, bar: &str, palette: Palette, out: &mut String) -> usize {
    let from = lines.len().saturating_sub(most);
    if from > 0 {
        let more = palette.paint(Tone::Dim, &format!("… {} before", count(from, "line")));
        *out += &format!("    {more}\n");
    }
    lines[from..].iter().for_each(|line| *out += &format!("    {bar} {line}\n"));
    lines.len() - from
}

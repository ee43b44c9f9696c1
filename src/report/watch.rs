//! A verification that is repeated: what changed from one round to the next, a line a change.

use super::{
    checks::{VerifyTally, in_order},
    record::Checked,
    style::{Palette, Tone, count, harmless, harmless_lines, wrap},
};
use crate::{base::name::HostName, component::Verdict};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem::{Discriminant, discriminant},
};

/// What a check is told by: its name and where it is made from.
type Key = (String, HostName);

/// How each check ended in the round before.
#[derive(Debug, Default)]
pub struct Memory {
    ended: Option<BTreeMap<Key, Discriminant<Verdict>>>,
    /// Hosts that could not be spoken to.
    away: BTreeSet<HostName>,
}

/// What a round brought.
#[derive(Debug)]
pub struct Round<'a> {
    /// Whether there was none before.
    pub is_first: bool,
    /// Checks that ended in another way than before, all of them in the first round, in the table's order.
    pub changed: Vec<&'a Checked>,
    /// Hosts that can no longer be spoken to.
    pub lost: Vec<HostName>,
    /// Hosts that can be again.
    pub back: Vec<HostName>,
    /// How all of them stand.
    pub tally: VerifyTally,
}

impl Memory {
    /// Takes a round in: how its checks ended, and the hosts that could not be spoken to.
    pub fn round<'a>(&mut self, checks: &'a [Checked], away: &BTreeSet<HostName>) -> Round<'a> {
        let before = self.ended.take();
        let key = |c: &Checked| (c.name(), c.host.clone());
        let is_new = |c: &&Checked| {
            let known = before.as_ref().and_then(|b| b.get(&key(c)));
            known != Some(&discriminant(&c.verdict))
        };
        let round = Round {
            is_first: before.is_none(),
            changed: in_order(checks).into_iter().filter(is_new).collect(),
            lost: away.difference(&self.away).cloned().collect(),
            back: self.away.difference(away).cloned().collect(),
            tally: VerifyTally::of(checks),
        };
        self.ended = Some(checks.iter().map(|c| (key(c), discriminant(&c.verdict))).collect());
        self.away.clone_from(away);
        round
    }
}

impl Round<'_> {
    /// Whether there is something to tell.
    pub fn is_quiet(&self) -> bool {
        !self.is_first && self.changed.is_empty() && self.lost.is_empty() && self.back.is_empty()
    }

    /// A line for each change, and how all of it stands now. `at` is the time of day. What could not be checked because its
    /// host is gone is one line, not one for each check. `width` is the terminal's, where it is one.
    pub fn text(&self, at: &str, palette: Palette, width: Option<usize>) -> String {
        let mut out = String::new();
        let mut say = |tone, word: &str, host: &HostName, text: &str| {
            // What goes on stands under the host, a little further in.
            let column = at.chars().count() + 2 + 6 + 2;
            let room = |used: usize| width.map_or(usize::MAX, |width| width.saturating_sub(used));
            let text = wrap(text, room(column + host.as_str().len() + 2), room(column + 2));
            let text = text.join(&format!("\n{:1$}", "", column + 2));
            let (word, host) = (palette.paint(tone, &format!("{word:6}")), palette.paint(Tone::Place, host.as_str()));
            out += &format!("{at}  {word}  {host}: {text}\n");
        };
        let checks_of = |host: &HostName| self.changed.iter().filter(|c| c.host == *host).count();
        for host in &self.lost {
            let why = self.changed.iter().find(|c| c.host == *host).map(|c| c.seen()).unwrap_or_default();
            let why = harmless_lines(why).next().unwrap_or_default().into_owned();
            say(Tone::Error, "GONE", host, &format!("{why} ({} not made)", count(checks_of(host), "check")));
        }
        for host in &self.back {
            let of = self.changed.iter().filter(|c| c.host == *host);
            let good = of.filter(|c| matches!(c.verdict, Verdict::Pass(_))).count();
            say(
                Tone::Pass,
                "back",
                host,
                &format!("it answers again ({} of {} hold)", good, count(checks_of(host), "check")),
            );
        }
        for check in &self.changed {
            let (tone, word) = match &check.verdict {
                // What held from the start is not news, nor is what holds again with its whole host.
                Verdict::Pass(_) if self.is_first || self.back.contains(&check.host) => continue,
                Verdict::Error(_) if self.lost.contains(&check.host) => continue,
                Verdict::Pass(_) => (Tone::Pass, "ok"),
                Verdict::Fail(_) => (Tone::Fail, "FAILED"),
                Verdict::Error(_) => (Tone::Error, "ERROR"),
            };
            let seen = harmless_lines(check.seen()).next().unwrap_or_default().into_owned();
            let text = format!("{} {}: {seen}", check.component, harmless(&check.title));
            say(tone, word, &check.host, text.trim_end_matches(": "));
        }
        let VerifyTally { passed, failed, errors } = self.tally;
        let word = if errors == 1 { "error" } else { "errors" };
        out + &format!("{at}  {passed} passed, {failed} failed, {errors} {word}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{host, some_checks};

    fn set(checks: &mut [Checked], n: usize, verdict: Verdict) {
        checks[n].verdict = verdict;
    }

    #[test]
    fn a_line_a_change_and_none_where_nothing_changes() {
        let (mut memory, mut checks, none) = (Memory::default(), some_checks(), BTreeSet::new());
        let mut out = String::new();
        let mut round = |checks: &[Checked], away: &BTreeSet<HostName>, at| {
            let round = memory.round(checks, away);
            match round.is_quiet() {
                true => out += "(nothing)\n",
                false => out += &round.text(at, Palette::new(false), None),
            }
        };
        round(&checks, &none, "17:00:00");
        round(&checks, &none, "17:00:30");
        // Another text of the same outcome is no change.
        set(&mut checks, 2, Verdict::Fail("503".into()));
        round(&checks, &none, "17:01:00");
        set(&mut checks, 2, Verdict::Pass("200".into()));
        set(&mut checks, 1, Verdict::Fail("302\u{1b}[2J\nmore".into()));
        round(&checks, &none, "17:01:30");
        // A host goes with all its checks, and comes back with one that fails.
        let good = checks.clone();
        let gone = BTreeSet::from([host("lb-01")]);
        for check in checks.iter_mut().filter(|c| c.host == host("lb-01")) {
            check.verdict = Verdict::Error("no answer from 10.77.0.11 port 22 within 10 s".into());
        }
        round(&checks, &gone, "17:02:00");
        round(&checks, &gone, "17:02:30");
        round(&good, &none, "17:03:00");
        insta::assert_snapshot!("verify-watch", out);
        // On a narrow terminal what goes on is further in.
        let round = memory.round(&checks, &gone);
        let narrow = round.text("17:03:30", Palette::new(false), Some(50));
        assert!(
            narrow.starts_with("17:03:30  GONE    lb-01: no answer from 10.77.0.11\n                    port 22"),
            "{narrow}"
        );
    }
}

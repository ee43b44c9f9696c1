//! The end of verify: every check in one table, those that failed and those that could not be made at its end, told
//! apart, and the tally as its last line.

use super::{
    record::Checked,
    style::{Palette, Tone, harmless, harmless_lines, span},
};
use crate::component::Verdict;
use serde::Serialize;
use std::time::Duration;

/// A verification in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerifyTally {
    /// Checks that hold.
    pub passed: usize,
    /// Checks that do not hold.
    pub failed: usize,
    /// Checks that could not be made.
    pub errors: usize,
}

impl VerifyTally {
    /// Counts.
    pub fn of(checks: &[Checked]) -> Self {
        let count = |fits: fn(&Verdict) -> bool| checks.iter().filter(|c| fits(&c.verdict)).count();
        Self {
            passed: count(|v| matches!(v, Verdict::Pass(_))),
            failed: count(|v| matches!(v, Verdict::Fail(_))),
            errors: count(|v| matches!(v, Verdict::Error(_))),
        }
    }

    /// Whether every check was made and holds.
    pub fn is_good(&self) -> bool {
        self.failed + self.errors == 0
    }
}

/// The table and its last line, with a line break. Where `quiet`, checks that hold are left out.
pub fn text(checks: &[Checked], elapsed: Duration, quiet: bool, palette: Palette) -> String {
    let column = |length: fn(&Checked) -> usize, most: usize| {
        checks.iter().map(length).filter(|n| *n <= most).max().unwrap_or(0)
    };
    let widths = [
        column(|c| c.component.len(), 16),
        column(|c| c.host.as_str().len(), 24),
        column(|c| harmless(&c.title).chars().count(), 44),
    ];
    let mut out = String::new();
    let fits: [fn(&Verdict) -> bool; 3] =
        [|v| matches!(v, Verdict::Pass(_)), |v| matches!(v, Verdict::Fail(_)), |v| matches!(v, Verdict::Error(_))];
    for (i, fits) in fits.into_iter().enumerate() {
        if quiet && i == 0 {
            continue;
        }
        let mut last = None;
        for check in in_order(checks).into_iter().filter(|c| fits(&c.verdict)) {
            if last.is_none() && !out.is_empty() {
                out.push('\n');
            }
            out += &row(check, last == Some(check.component), widths, palette);
            last = Some(check.component);
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out + &closing(checks, elapsed, palette) + "\n"
}

/// By component, then title, then host: checks end in any order, and the table is the same each time.
pub fn in_order(checks: &[Checked]) -> Vec<&Checked> {
    let mut all: Vec<&Checked> = checks.iter().collect();
    all.sort_by_key(|c| (c.component, &c.title, &c.host));
    all
}

fn row(check: &Checked, again: bool, [component, host, title]: [usize; 3], palette: Palette) -> String {
    let (mark, tone, text) = match &check.verdict {
        Verdict::Pass(text) => ("✓", Tone::Pass, text),
        Verdict::Fail(text) => ("✗", Tone::Fail, text),
        Verdict::Error(text) => ("!", Tone::Error, text),
    };
    let passed = matches!(check.verdict, Verdict::Pass(_));
    let name = palette.paint(if again { Tone::Dim } else { Tone::Bold }, &format!("{:<component$}", check.component));
    let at = palette.paint(Tone::Place, &format!("{:<host$}", check.host));
    let head = format!("{} {name}  {at}  {:<title$}", palette.paint(tone, mark), harmless(&check.title));
    let mut lines = harmless_lines(text);
    let first = lines.next().unwrap_or_default();
    let first = match &check.verdict {
        Verdict::Error(_) => format!("could not be checked: {first}"),
        _ => first.into_owned(),
    };
    let first = palette.paint(if passed { Tone::Dim } else { tone }, &first);
    let mut out = format!("{head}  {first}").trim_end().to_owned() + "\n";
    for line in lines {
        out += &format!("    {} {line}\n", palette.paint(Tone::Dim, "│"));
    }
    out
}

/// `Verify: 31 passed, 1 failed, 0 errors in 1.9 s`.
pub fn closing(checks: &[Checked], elapsed: Duration, palette: Palette) -> String {
    let VerifyTally { passed, failed, errors } = VerifyTally::of(checks);
    let number = |n: usize, tone, what| {
        let text = format!("{n} {what}");
        if n == 0 { text } else { palette.paint(tone, &text) }
    };
    format!(
        "{} {}, {}, {} in {}",
        palette.paint(Tone::Bold, "Verify:"),
        number(passed, Tone::Pass, "passed"),
        number(failed, Tone::Fail, "failed"),
        number(errors, Tone::Error, if errors == 1 { "error" } else { "errors" }),
        span(elapsed)
    )
}

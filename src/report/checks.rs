//! The end of verify: every check in one table, those that failed and those that could not be made at its end, told
//! apart, and the tally as its last line.

use super::{
    record::Checked,
    style::{Palette, Tone, count, harmless, harmless_lines, span, wrap},
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

/// Checks of one host that are told one by one though one and the same reason keeps all of them from being made.
const FEW: usize = 3;

/// How it is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct View {
    /// Colour.
    pub palette: Palette,
    /// Columns of the terminal; none where it is no terminal, and a check is one line for whoever searches it.
    pub width: Option<usize>,
    /// Whether checks that hold are left out.
    pub quiet: bool,
}

/// The table and its last line, with a line break.
pub fn text(checks: &[Checked], elapsed: Duration, view: View) -> String {
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
        if view.quiet && i == 0 {
            continue;
        }
        let mut last = None;
        let fitting: Vec<Checked> = in_order(checks).into_iter().filter(|c| fits(&c.verdict)).cloned().collect();
        for check in &folded(fitting) {
            if last.is_none() && !out.is_empty() {
                out.push('\n');
            }
            out += &row(check, last == Some(check.component), widths, view);
            last = Some(check.component);
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out + &closing(checks, elapsed, view.palette) + "\n"
}

/// What could not be made on one host for one and the same reason, such as a host that does not answer, is one row where it
/// is more than a few.
fn folded(checks: Vec<Checked>) -> Vec<Checked> {
    let is_alike = |one: &Checked, other: &Checked| one.host == other.host && one.verdict == other.verdict;
    let is_many = |check: &Checked| {
        matches!(check.verdict, Verdict::Error(_)) && checks.iter().filter(|c| is_alike(c, check)).count() > FEW
    };
    let (many, mut rest): (Vec<Checked>, Vec<Checked>) = checks.iter().cloned().partition(is_many);
    let mut all: Vec<Checked> = Vec::new();
    for check in &many {
        if !all.iter().any(|known| is_alike(known, check)) {
            let title = count(many.iter().filter(|c| is_alike(c, check)).count(), "check");
            all.push(Checked { component: "", title, ..check.clone() });
        }
    }
    all.append(&mut rest);
    all
}

/// By component, then title, then host: checks end in any order, and the table is the same each time.
pub fn in_order(checks: &[Checked]) -> Vec<&Checked> {
    let mut all: Vec<&Checked> = checks.iter().collect();
    all.sort_by_key(|c| (c.component, &c.title, &c.host));
    all
}

fn row(check: &Checked, again: bool, [component, host, title]: [usize; 3], view: View) -> String {
    let View { palette, width, .. } = view;
    let (mark, tone, text) = match &check.verdict {
        Verdict::Pass(text) => ("✓", Tone::Pass, text),
        Verdict::Fail(text) => ("✗", Tone::Fail, text),
        Verdict::Error(text) => ("!", Tone::Error, text),
    };
    let shade = if matches!(check.verdict, Verdict::Pass(_)) { Tone::Dim } else { tone };
    let name = format!("{:<component$}", check.component);
    let at = format!("{:<host$}", check.host);
    let column = 2 + name.chars().count() + 2 + at.chars().count() + 2;
    let name = palette.paint(if again { Tone::Dim } else { Tone::Bold }, &name);
    let begin = format!("{} {name}  {}  ", palette.paint(tone, mark), palette.paint(Tone::Place, &at));

    let mut lines = harmless_lines(text);
    let first = lines.next().unwrap_or_default();
    let first = match &check.verdict {
        Verdict::Error(_) => format!("could not be checked: {first}"),
        _ => first.into_owned(),
    };
    // What goes on stands under the title, a little further in.
    let room = |used: usize| width.map_or(usize::MAX, |width| width.saturating_sub(used));
    let mut titles = wrap(&harmless(&check.title), room(column), room(column + 2));
    if let [only] = &mut titles[..] {
        *only = format!("{only:<title$}");
    }
    let indent = if titles.len() == 1 { 0 } else { 2 };
    let used = column + indent + titles.last().map_or(0, |line| line.chars().count()) + 2;
    let mut texts = wrap(&first, room(used), room(column + 2)).into_iter();
    let further = format!("\n{:1$}", "", column + 2);
    let seen = palette.paint(shade, &texts.next().unwrap_or_default());
    let mut out = format!("{begin}{}  {seen}", titles.join(&further)).trim_end().to_owned();
    for line in texts {
        out += &format!("{further}{}", palette.paint(shade, &line));
    }
    out.push('\n');
    for line in lines.flat_map(|line| wrap(&line, room(6), room(6))) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{host, some_checks};

    #[test]
    fn a_host_that_does_not_answer_is_one_row() {
        let gone = |n: usize| {
            let mut checks = some_checks();
            let silent = |n| Checked {
                component: "nginx",
                title: format!("claim {n}"),
                host: host("web-09"),
                verdict: Verdict::Error("no answer".into()),
            };
            checks.extend((0..n).map(silent));
            super::text(&checks, Duration::from_millis(1_900), View::default())
        };
        let many = gone(5);
        assert!(
            many.contains("!           web-09  5 checks                    could not be checked: no answer\n"),
            "{many}"
        );
        assert_eq!((many.matches("web-09").count(), many.contains("2 failed, 6 errors")), (1, true), "{many}");
        assert_eq!(gone(3).matches("web-09").count(), 3);
    }

    #[test]
    fn what_a_check_says_is_wrapped_on_a_terminal_and_is_one_line_elsewhere() {
        let differs = "a plan would change nginx configuration; reload nginx; write the application's environment; and 2 more: \
                       `foobar plan` shows it, `foobar apply` does it";
        let long = "one line\nERROR 1045 (28000) at line 1: Access denied for user 'app_ro'@'web-01' (using password: YES), and \
                    https://www.foobar.com/a/very/long/address/that/is/not/broken/since/somebody/may/want/to/copy/it/from/here goes on";
        let mut checks = some_checks();
        checks[0].verdict = Verdict::Fail(differs.into());
        checks[2].verdict = Verdict::Fail(long.into());
        checks[4].verdict =
            Verdict::Error("no answer from 10.77.0.31 port 22 within 10 s; it was asked twice for it".into());
        checks[5].title =
            "prometheus runs the rules that were rendered for it, and none of them fails when it is asked for".into();
        let text = |width, color| {
            let view = View { palette: Palette::new(color), width, quiet: false };
            super::text(&checks, Duration::from_millis(1_900), view)
        };
        insta::assert_snapshot!("verify-100", text(Some(100), false));
        insta::assert_snapshot!("verify-60", text(Some(60), false));
        let piped = text(None, false);
        assert!(piped.contains(differs) && piped.contains(&checks[5].title), "{piped}");
        // Colour takes no room.
        let bare =
            text(Some(100), true).split('\x1b').map(|s| s.split_once('m').map_or(s, |(_, s)| s)).collect::<String>();
        let lines = |text: &str| text.lines().map(|l| l.trim_end().to_owned()).collect::<Vec<_>>();
        assert_eq!(lines(&bare), lines(&text(Some(100), false)));
    }
}

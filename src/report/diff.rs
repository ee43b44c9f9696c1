//! How one file differs, as lines to show: a unified diff with three lines of context, a new or removed file as a
//! whole, long ones cut. It shows the texts it is given; what may be shown was decided when they were made.

use super::style::{Palette, Tone, count, harmless};
use crate::resource::{Action, FileDiff};
use similar::{ChangeTag, TextDiff};
use std::time::Duration;

/// How much of a file's difference is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum DiffStyle {
    /// one line a step, no files
    None,
    /// every file, long ones cut
    #[default]
    Short,
    /// every line of every file
    Full,
}

/// Lines of one file that `short` shows.
const SHORT: usize = 40;
/// Cutting has to save more than it costs.
const SLACK: usize = 8;

/// The sign of an action and the tone that goes with it.
pub fn sign(action: Action) -> (Tone, &'static str) {
    match action {
        Action::Create => (Tone::Add, "+"),
        Action::Update => (Tone::Change, "~"),
        Action::Delete => (Tone::Remove, "-"),
        Action::Replace => (Tone::Replace, "-/+"),
        Action::Check => (Tone::Dim, "?"),
    }
}

/// The lines of a file's difference: its path, then what differs. `step` is what the step does that it belongs to.
pub fn lines(file: &FileDiff, step: Action, style: DiffStyle, palette: Palette) -> Vec<String> {
    let unseen = file.notes.iter().any(|note| note.starts_with("not shown"));
    let action = match (&file.before, &file.after) {
        (Some(_), Some(_)) => Action::Update,
        (None, Some(_)) if !unseen => Action::Create,
        (Some(_), None) if !unseen => Action::Delete,
        _ => step,
    };
    let (body, facts) = match (&file.before, &file.after) {
        (Some(before), Some(after)) if before != after => changed(before, after, palette),
        (None, Some(text)) if !unseen => whole(text, '+', Tone::Add, palette),
        (Some(text), None) if !unseen => whole(text, '-', Tone::Remove, palette),
        _ => (Vec::new(), None),
    };
    let notes: Vec<String> = facts.into_iter().chain(file.notes.iter().map(|n| harmless(n).into_owned())).collect();
    let (tone, sign) = sign(action);
    let mut head = format!("{} {}", palette.paint(tone, sign), harmless(&file.path));
    if !notes.is_empty() {
        head = format!("{head}  {}", palette.paint(Tone::Dim, &notes.join(", ")));
    }
    let mut out = vec![head];
    let total = body.len();
    let shown = if style == DiffStyle::Full || total <= SHORT + SLACK { total } else { SHORT };
    out.extend(body.into_iter().take(shown).map(|line| format!("  {line}").trim_end().to_owned()));
    if shown < total {
        let more = format!("… {} more lines (--diff full)", total - shown);
        out.push(format!("  {}", palette.paint(Tone::Dim, &more)));
    }
    out
}

/// A file that comes or goes, line by line.
fn whole(text: &str, sign: char, tone: Tone, palette: Palette) -> (Vec<String>, Option<String>) {
    let lines: Vec<String> = split(text).map(|l| painted(sign, tone, l, palette)).collect();
    let facts = if text.is_empty() { "empty".to_owned() } else { count(lines.len(), "line") };
    (lines, Some(facts))
}

/// A file that changes: unified hunks.
fn changed(before: &str, after: &str, palette: Palette) -> (Vec<String>, Option<String>) {
    // Past that, similar settles for a longer diff instead of the shortest one.
    let diff = TextDiff::configure().timeout(Duration::from_secs(1)).diff_lines(before, after);
    let (mut out, mut added, mut removed) = (Vec::new(), 0, 0);
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        out.push(palette.paint(Tone::Place, &hunk.header().to_string()));
        for change in hunk.iter_changes() {
            let value = change.value();
            let line = value.strip_suffix('\n').unwrap_or(value);
            out.push(match change.tag() {
                ChangeTag::Equal => format!("  {}", harmless(line)),
                ChangeTag::Delete => {
                    removed += 1;
                    painted('-', Tone::Remove, line, palette)
                }
                ChangeTag::Insert => {
                    added += 1;
                    painted('+', Tone::Add, line, palette)
                }
            });
            if change.missing_newline() {
                out.push(palette.paint(Tone::Dim, "\\ no newline at the end of the file"));
            }
        }
    }
    (out, Some(format!("+{added} -{removed}")))
}

/// Lines by their line feed alone, so that a carriage return before it is seen.
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n').map(|line| line.strip_suffix('\n').unwrap_or(line))
}

fn painted(sign: char, tone: Tone, line: &str, palette: Palette) -> String {
    palette.paint(tone, format!("{sign} {}", harmless(line)).trim_end_matches(' '))
}

//! Everything that is wrong, with lines, columns and snippets, for people and for machines. Nothing is judged here.

use super::{
    problem::{Documents, File, Place, Problem, Severity, Spot},
    text,
};
use miette::{Diagnostic, GraphicalReportHandler, LabeledSpan, NamedSource, SourceCode};
use serde::Serialize;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// More problems than this are counted and not shown.
const MOST_SHOWN: usize = 60;
/// So many of a file that is far longer than any topology, in bytes: each place that is looked for means reading all of it.
const FEW_SHOWN: usize = 5;
const LONG_FILE: usize = 32 << 10;
/// A longer line, in bytes, is named and not shown: nobody reads it, and drawing ends at column 65,535.
const LONGEST_LINE: usize = 10_000;

/// All that is wrong with what was read; a miette diagnostic with one related diagnostic a problem.
#[derive(Clone, Debug)]
pub struct Report {
    items: Vec<Item>,
    errors: usize,
    warnings: usize,
}

/// One problem at its place.
#[derive(Clone, Debug)]
struct Item {
    severity: Severity,
    message: String,
    help: String,
    file: String,
    source: Option<Arc<NamedSource<String>>>,
    labels: Vec<Label>,
    /// Labels in other files than the first one's.
    elsewhere: Vec<Item>,
}

#[derive(Clone, Debug)]
struct Label {
    offset: usize,
    length: usize,
    line: usize,
    column: usize,
    text: String,
}

/// A problem as `--json` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do next.
    pub help: String,
    /// The file.
    pub file: String,
    /// The line, from 1; none where the file as a whole is meant.
    pub line: Option<usize>,
    /// The column, from 1, in characters.
    pub column: Option<usize>,
    /// Every place that belongs to it, the first one too.
    pub labels: Vec<FindingLabel>,
}

/// A place that belongs to a problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FindingLabel {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is to be seen there.
    pub text: String,
}

impl Report {
    /// Finds the places of `problems`, in the files' order. What stands at the `masked` places is never shown.
    pub(super) fn new(documents: &Documents, problems: Vec<Problem>, masked: &[Place]) -> Self {
        let errors = problems.iter().filter(|p| p.severity == Severity::Error).count();
        let warnings = problems.len() - errors;
        let mut sources: BTreeMap<File, Arc<NamedSource<String>>> = BTreeMap::new();
        for file in [File::Topology, File::Inventory] {
            let Some(document) = documents.get(file) else { continue };
            let mut shown = text::harmless(&document.text);
            for place in masked.iter().filter(|p| p.file == file) {
                if let Some((offset, _)) = document.span(&place.spot) {
                    text::mask(&mut shown, offset);
                }
            }
            sources.insert(file, Arc::new(NamedSource::new(&document.name, shown)));
        }
        // Finding a place means reading the file again: what is not shown is not looked for. Errors go first then.
        let mut problems = problems;
        let files = [File::Topology, File::Inventory].into_iter().filter_map(|f| documents.get(f));
        let is_long = files.map(|d| d.text.len()).sum::<usize>() > LONG_FILE;
        let most = if is_long { FEW_SHOWN } else { MOST_SHOWN };
        if problems.len() > most {
            problems.sort_by_key(|p| std::cmp::Reverse(p.severity));
            problems.truncate(most);
        }
        let mut items: Vec<(File, Item)> = problems.into_iter().map(|p| item(documents, &sources, p)).collect();
        items.sort_by_key(|(file, item)| (*file, item.labels.first().map(|l| l.offset)));
        Self { items: items.into_iter().map(|(_, item)| item).collect(), errors, warnings }
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.errors + self.warnings == 0
    }

    /// All of it as text, each problem with its snippet, the count as the last line. `handler` brings theme and width.
    pub fn render(&self, handler: &GraphicalReportHandler) -> String {
        let mut out = String::new();
        for item in &self.items {
            // Writing to a String does not fail.
            let _ = handler.render_report(&mut out, item);
            out.push('\n');
        }
        if !self.is_empty() {
            out.push_str(&format!("{self}\n"));
        }
        out
    }

    /// All of it for machines.
    pub fn findings(&self) -> Vec<Finding> {
        self.items.iter().map(Item::finding).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        let said = match (self.errors, self.warnings) {
            (0, 0) => "no problems".to_owned(),
            (0, w) => count(w, "warning"),
            (e, 0) => count(e, "error"),
            (e, w) => format!("{}, {}", count(e, "error"), count(w, "warning")),
        };
        f.write_str(&said)?;
        match self.errors + self.warnings - self.items.len() {
            0 => Ok(()),
            more => write!(f, "; {more} of them not shown"),
        }
    }
}

impl std::error::Error for Report {}

impl Diagnostic for Report {
    fn severity(&self) -> Option<miette::Severity> {
        Some(if self.errors > 0 { miette::Severity::Error } else { miette::Severity::Warning })
    }
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.items.iter().map(|i| i as &dyn Diagnostic)))
    }
}

fn item(documents: &Documents, sources: &BTreeMap<File, Arc<NamedSource<String>>>, problem: Problem) -> (File, Item) {
    let first = problem.labels.first().map_or(File::Topology, |(place, _)| place.file);
    let name = |file| documents.get(file).map_or_else(String::new, |d| d.name.clone());
    let empty = |file, message: String| Item {
        severity: problem.severity,
        message,
        help: String::new(),
        file: name(file),
        source: None,
        labels: Vec::new(),
        elsewhere: Vec::new(),
    };
    let mut own = Item { help: problem.help.clone(), ..empty(first, problem.message.clone()) };
    for (place, text) in problem.labels {
        let document = documents.get(place.file);
        let Some((document, (offset, length))) = document.and_then(|d| Some((d, d.span(&place.spot)?))) else {
            if place.spot == Spot::Whole {
                own.message = format!("{}: {}", name(place.file), own.message);
            }
            continue;
        };
        let (line, column) = text::line_and_column(&document.text, offset);
        let label = Label { offset, length, line, column, text };
        let target = if place.file == first {
            &mut own
        } else {
            if own.elsewhere.is_empty() {
                own.elsewhere.push(empty(place.file, format!("the other place is in {}", name(place.file))));
            }
            &mut own.elsewhere[0]
        };
        if text::longest_line_around(&document.text, offset) > LONGEST_LINE {
            if target.labels.is_empty() {
                target.message = format!("{}:{line}:{column}: {}", name(place.file), target.message);
            }
        } else {
            target.source = sources.get(&place.file).cloned();
        }
        // Two labels on one word would hide each other.
        if !target.labels.iter().any(|l| l.offset == offset) {
            target.labels.push(label);
        }
    }
    (first, own)
}

impl Item {
    fn finding(&self) -> Finding {
        let place = |item: &Item| {
            let file = item.file.clone();
            let to = move |l: &Label| FindingLabel {
                file: file.clone(),
                line: l.line,
                column: l.column,
                text: l.text.clone(),
            };
            item.labels.iter().map(to).collect::<Vec<_>>()
        };
        let first = self.labels.first();
        Finding {
            severity: self.severity,
            message: self.message.clone(),
            help: self.help.clone(),
            file: self.file.clone(),
            line: first.map(|l| l.line),
            column: first.map(|l| l.column),
            labels: std::iter::once(self).chain(&self.elsewhere).flat_map(place).collect(),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Item {}

impl Diagnostic for Item {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.help.is_empty()).then(|| Box::new(&self.help) as Box<dyn fmt::Display>)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_deref().map(|s| s as &dyn SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labels = self.labels.iter().enumerate().map(|(n, l)| {
            let text = (!l.text.is_empty()).then(|| l.text.clone());
            if n == 0 {
                LabeledSpan::new_primary_with_span(text, (l.offset, l.length))
            } else {
                LabeledSpan::new_with_span(text, (l.offset, l.length))
            }
        });
        Some(Box::new(labels))
    }
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        (!self.elsewhere.is_empty())
            .then(|| Box::new(self.elsewhere.iter().map(|i| i as &dyn Diagnostic)) as Box<dyn Iterator<Item = _>>)
    }
}

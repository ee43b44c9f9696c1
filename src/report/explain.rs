//! Why a file is as it is, as text and as JSON: one line in full, or a whole file with its origins in a gutter.

use super::{
    json::{SCHEMA, pretty},
    style::{Palette, Tone, cut, harmless},
};
use crate::plan::explain::{Explained, Line, Origin, Reason};
use serde_json::json;

/// Columns of a label, with what parts it from what it labels.
const LABEL: usize = 12;
/// Columns of a gutter's origin.
const ORIGIN: usize = 28;

/// How it is shown.
#[derive(Clone, Debug)]
pub struct View {
    /// Colour.
    pub palette: Palette,
    /// Columns that a file's lines are cut to; none where nobody minds long ones.
    pub width: Option<usize>,
    /// The folder that the user's own templates are in.
    pub templates: Option<String>,
}

impl View {
    /// A template's path as the user knows it.
    fn template(&self, explained: &Explained) -> Option<String> {
        let template = explained.template.as_ref()?;
        let folder = self.templates.as_deref().filter(|_| template.own).unwrap_or("templates");
        Some(format!("{}/{}", harmless(folder.trim_end_matches('/')), template.name))
    }
}

/// A line, in full.
pub fn line(explained: &Explained, line: &Line, view: &View) -> String {
    let paint = |tone, text: &str| view.palette.paint(tone, text);
    let mut out = paint(Tone::Place, &format!("{}:{}:{}", explained.host, explained.path, line.line));
    out.push_str(&format!(
        "\n\n  {}\n\n",
        match line.text.trim() {
            "" => paint(Tone::Dim, "(an empty line)"),
            text => paint(Tone::Bold, &harmless(text)),
        }
    ));
    let mut row = |label: &str, text: &str| {
        let label = paint(Tone::Dim, &format!("{label:LABEL$}"));
        out.push_str(&format!("  {label}{text}\n"));
    };
    if let Some(template) = view.template(explained) {
        if line.template.is_empty() {
            row("template", &paint(Tone::Place, &template));
        }
        for (n, at) in line.template.iter().enumerate() {
            row(if n == 0 { "template" } else { "" }, &paint(Tone::Place, &format!("{template}:{}", at.line)));
            if !at.text.trim().is_empty() {
                row("", &harmless(at.text.trim()));
            }
        }
    }
    // A block that is there for the same reason as what is printed in it says nothing more.
    let is_new = |block: &&Reason| block.from.iter().any(|o| !line.values.iter().any(|v| v.from.contains(o)));
    let blocks: Vec<Reason> = line.blocks.iter().filter(is_new).cloned().collect();
    for (label, reasons) in [("value", grouped(&line.values)), ("block", grouped(&blocks))] {
        for (what, from) in &reasons {
            let derived = if from.len() > 1 { paint(Tone::Dim, ", derived from") } else { String::new() };
            row(label, &format!("{}{derived}", harmless(what)));
            for origin in *from {
                row("", &shown(origin, view.palette));
            }
        }
    }
    if line.values.is_empty() && line.blocks.is_empty() && !line.template.is_empty() {
        row("topology", "nothing of it: the template's own words, the same for every site");
    }
    if let Some(note) = &explained.note {
        row("note", note);
    }
    out
}

/// Reasons with the same origins, told together.
fn grouped(reasons: &[Reason]) -> Vec<(String, &[Origin])> {
    let mut all: Vec<(String, &[Origin])> = Vec::new();
    for reason in reasons.iter().filter(|r| !r.from.is_empty()) {
        match all.iter_mut().find(|(_, from)| *from == reason.from.as_slice()) {
            Some((what, _)) => what.push_str(&format!(" and {}", reason.what)),
            None => all.push((reason.what.clone(), &reason.from)),
        }
    }
    all
}

fn shown(origin: &Origin, palette: Palette) -> String {
    match origin {
        Origin::Written { key, file, line, .. } => {
            format!("{}  {}", palette.paint(Tone::Place, &format!("{}:{line}", harmless(file))), harmless(key))
        }
        Origin::Default { key, value } => format!("default: {}  {}", harmless(value), harmless(key)),
        Origin::Absent { key } => format!("not written  {}", harmless(key)),
        Origin::Own { what } => format!("foobar's own: {what}"),
    }
}

/// A whole file, each line with the template's line and where its values come from.
pub fn file(explained: &Explained, view: &View) -> String {
    let paint = |tone, text: &str| view.palette.paint(tone, text);
    let head = paint(Tone::Place, &format!("{}:{}", explained.host, explained.path));
    let mut out = format!("{head}  {} {}\n", explained.mode, explained.owner);
    if let Some(template) = view.template(explained) {
        out.push_str(&format!("template: {}\n", paint(Tone::Place, &template)));
    }
    let files = files(explained);
    for (n, file) in files.iter().enumerate() {
        let what = if n == 0 { "topology:" } else { "inventory, as KEY:LINE*:" };
        out.push_str(&format!("{what} {}\n", paint(Tone::Place, &harmless(file))));
    }
    if let Some(note) = &explained.note {
        out.push_str(&format!("note: {note}\n"));
    }
    let title = format!("{:>4} {:>4}  {:ORIGIN$} │", "line", "tera", "key:line, (block), = default");
    out.push_str(&format!("\n{}\n", paint(Tone::Dim, &title)));
    for line in &explained.lines {
        let template = line.template.first().map(|t| t.line.to_string()).unwrap_or_default();
        let values: Vec<&Origin> = line.values.iter().flat_map(|v| &v.from).collect();
        let block: Vec<&Origin> = line.blocks.last().map(|b| &b.from).into_iter().flatten().collect();
        let (tone, origin) = match (values.is_empty(), block.is_empty()) {
            (false, _) => (Tone::Place, short(&values, &files)),
            (true, false) => (Tone::Dim, format!("({})", short(&block, &files))),
            (true, true) => (Tone::Dim, String::new()),
        };
        let origin = cut(&origin, ORIGIN);
        let origin = format!("{}{}", paint(tone, &origin), " ".repeat(ORIGIN - origin.chars().count()));
        let numbers = paint(Tone::Dim, &format!("{:>4} {template:>4}", line.line));
        // A tab is as wide as wherever it stands makes it.
        let text = harmless(&line.text).replace('\t', "    ");
        let text = match view.width {
            Some(width) => cut(&text, width.saturating_sub(14 + ORIGIN)),
            None => text,
        };
        let bar = paint(Tone::Dim, "│");
        out.push_str(format!("{numbers}  {origin} {bar} {text}").trim_end());
        out.push('\n');
    }
    out
}

/// The files that keys are written in, the topology first.
fn files(explained: &Explained) -> Vec<&str> {
    let reasons = explained.lines.iter().flat_map(|l| l.values.iter().chain(&l.blocks)).flat_map(|r| &r.from);
    let mut found: Vec<(bool, &str)> = Vec::new();
    for origin in reasons {
        if let Origin::Written { key, file, .. } = origin {
            // Only hosts stand in another file.
            let entry = (key.starts_with("hosts."), file.as_str());
            if !found.iter().any(|(_, f)| *f == entry.1) {
                found.push(entry);
            }
        }
    }
    found.sort_by_key(|(is_host, _)| *is_host);
    found.into_iter().map(|(_, file)| file).collect()
}

/// Origins as a gutter has room for them: the first, and how many more there are.
fn short(origins: &[&Origin], files: &[&str]) -> String {
    let one = |origin: &Origin| match origin {
        Origin::Written { key, file, line, .. } => {
            let mark = if files.first().is_some_and(|f| f == file) { "" } else { "*" };
            format!("{}:{line}{mark}", harmless(key))
        }
        Origin::Default { key, value } => format!("{} = {}", harmless(key), harmless(value)),
        Origin::Absent { key } => format!("no {}", harmless(key)),
        Origin::Own { .. } => "foobar's own".to_owned(),
    };
    let mut all: Vec<String> = Vec::new();
    for origin in origins {
        let word = one(origin);
        if !all.contains(&word) {
            all.push(word);
        }
    }
    match all.split_first() {
        Some((first, [])) => first.clone(),
        Some((first, more)) => {
            let more = format!(" +{}", more.len());
            format!("{}{more}", cut(first, ORIGIN - 2 - more.len()))
        }
        None => String::new(),
    }
}

/// All of it as one document, for `explain --json`; `only` is the line that was asked for.
pub fn json(explained: &Explained, only: Option<&Line>, view: &View) -> String {
    let own = explained.template.as_ref().map(|t| t.own);
    let lines: Vec<&Line> = match only {
        Some(line) => vec![line],
        None => explained.lines.iter().collect(),
    };
    pretty(&json!({
        "schema": SCHEMA,
        "command": "explain",
        "host": explained.host,
        "path": explained.path,
        "mode": explained.mode,
        "owner": explained.owner,
        "template": view.template(explained).map(|file| json!({ "file": file, "own": own })),
        "note": explained.note,
        "lines": lines,
    }))
}

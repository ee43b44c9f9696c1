//! A plan as text for people: what is done, where, and what users may feel; like steps of like hosts folded into one.
//! The tally that ends it is the same struct that the JSON carries.

use super::{
    diff::{self, DiffStyle, sign},
    style::{Palette, Tone, count, harmless, hosts},
};
use crate::{
    base::name::HostName,
    plan::{Plan, Step},
    resource::{Action, Capacity, Change, Impact, ResourceId},
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How a plan is shown.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Colour or none.
    pub palette: Palette,
    /// How much of each file.
    pub diff: DiffStyle,
    /// Columns to aim at; long host lists are wrapped there. Lines of files are never cut.
    pub width: usize,
}

/// A plan in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Steps that make something new.
    pub add: usize,
    /// Steps that change something.
    pub change: usize,
    /// Steps that remove something.
    pub remove: usize,
    /// Steps that remove something and make it anew.
    pub replace: usize,
    /// Hosts that are changed.
    pub hosts: usize,
    /// The most that users may feel.
    pub impact: Impact,
    /// The least that serves at any moment, where something is taken out of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
}

impl Tally {
    /// Counts.
    pub fn of(plan: &Plan) -> Self {
        let changes = plan.steps.iter().filter(|s| s.change.action != Action::Check);
        let of = |action| plan.steps.iter().filter(|s| s.change.action == action).count();
        Self {
            add: of(Action::Create),
            change: of(Action::Update),
            remove: of(Action::Delete),
            replace: of(Action::Replace),
            hosts: changes.map(|s| &s.host).collect::<BTreeSet<_>>().len(),
            impact: plan.impact(),
            capacity: plan.capacity(),
        }
    }
}

/// Steps that are the same but for their host.
#[derive(Debug)]
pub struct Fold<'a> {
    /// The first of them, which stands for all.
    pub step: &'a Step,
    /// Their hosts, in the plan's order.
    pub hosts: Vec<&'a HostName>,
}

/// Folds steps that show the same into one; what concerns one resource stands together, at the place of its first step,
/// but what is taken away of it on one host stands apart from what is done to it on another.
pub fn fold<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Vec<Fold<'a>> {
    let mut at: BTreeMap<(&ResourceId, bool), usize> = BTreeMap::new();
    let mut groups: Vec<Vec<Fold<'a>>> = Vec::new();
    for step in steps {
        let place = (&step.resource, step.change.action == Action::Delete);
        let group = *at.entry(place).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Vec::new());
        }
        match groups[group].iter_mut().find(|f| same(f.step, step)) {
            Some(fold) => fold.hosts.push(&step.host),
            None => groups[group].push(Fold { step, hosts: vec![&step.host] }),
        }
    }
    groups.into_iter().flatten().collect()
}

fn same(one: &Step, other: &Step) -> bool {
    let (a, b) = (&one.change, &other.change);
    let key = |c: &Change| (c.action, c.impact, c.drift, c.is_drained, c.leaves);
    key(a) == key(b) && (&a.summary, &a.details, &a.diffs) == (&b.summary, &b.details, &b.diffs)
}

/// The plan as text, ending in its tally and a line break.
pub fn text(plan: &Plan, view: &View) -> String {
    let folds = fold(&plan.steps);
    let mut blocks: Vec<Vec<String>> = folds.iter().map(|f| heading(f, &folds, view)).collect();
    if view.diff != DiffStyle::None {
        for (block, fold) in blocks.iter_mut().zip(&folds) {
            block.extend(body(fold.step, view));
        }
    }
    let mut out = String::new();
    let mut last_was_long = false;
    for block in &blocks {
        // One-liners stand together as a list; what has a body has air around it.
        if !out.is_empty() && (last_was_long || block.len() > 1) {
            out.push('\n');
        }
        last_was_long = block.len() > 1;
        for line in block {
            out.push_str(line);
            out.push('\n');
        }
    }
    if !plan.left_out.is_empty() {
        let title = format!("Left out by --limit ({}):", plan.left_out.len());
        out += &format!("{}{}\n", if out.is_empty() { "" } else { "\n" }, view.palette.paint(Tone::Bold, &title));
        for line in &plan.left_out {
            out += &format!("    {}\n", view.palette.paint(Tone::Dim, &harmless(line)));
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out + &closing(plan, view.palette) + "\n"
}

/// The last line of a plan: its tally, or that nothing is to do.
pub fn closing(plan: &Plan, palette: Palette) -> String {
    let tally = Tally::of(plan);
    if plan.is_empty() {
        let said = if plan.left_out.is_empty() {
            let (n, verb) = (plan.hosts.len(), if plan.hosts.len() == 1 { "es" } else { "" });
            format!("{} match{verb} the topology.", count(n, "host"))
        } else {
            format!("The hosts of --limit match the topology; {} left out.", count(plan.left_out.len(), "change"))
        };
        return format!("{} {said}", palette.paint(Tone::Pass, "No changes."));
    }
    let number = |n: usize, tone: Tone, what: &str| {
        let text = format!("{n} {what}");
        if n == 0 { text } else { palette.paint(tone, &text) }
    };
    let mut parts = vec![number(tally.add, Tone::Add, "to add"), number(tally.change, Tone::Change, "to change")];
    if tally.replace > 0 {
        parts.push(number(tally.replace, Tone::Replace, "to replace"));
    }
    parts.push(number(tally.remove, Tone::Remove, "to remove"));
    let title = palette.paint(Tone::Bold, "Plan:");
    let mut felt = impact(tally.impact, palette);
    if let Some(Capacity { serving, of }) = tally.capacity {
        felt += &match serving {
            0 => palette.paint(Tone::Fail, &format!(" (0 of {of} backends serve for a moment)")),
            _ => format!(" (at least {serving} of {of} backends serve)"),
        };
    }
    format!("{title} {} on {}; impact: {felt}", parts.join(", "), count(tally.hosts, "host"))
}

/// What is felt of a change, as it stands behind it; nothing where it has no impact.
fn said(change: &Change) -> Option<String> {
    match (change.impact, change.is_drained) {
        (Impact::None, _) => None,
        (felt, false) => Some(felt.to_string()),
        (felt, true) => Some(format!("{felt} while out of service")),
    }
}

/// An impact's word, the stronger the more is felt.
pub fn impact(impact: Impact, palette: Palette) -> String {
    painted(impact, &impact.to_string(), palette)
}

fn painted(impact: Impact, word: &str, palette: Palette) -> String {
    match impact {
        Impact::None => word.to_owned(),
        Impact::Reload => palette.paint(Tone::Place, word),
        Impact::Restart => palette.paint(Tone::Change, word),
        Impact::ConnectionDrop | Impact::WriteOutage => palette.paint(Tone::Fail, word),
    }
}

/// `  ~ configure nginx       web-01, web-02  (edited by hand; reload)`, with the hosts in one column down the page.
fn heading(fold: &Fold<'_>, all: &[Fold<'_>], view: &View) -> Vec<String> {
    const INDENT: usize = 4;
    let length = |f: &Fold<'_>| harmless(&f.step.change.summary).chars().count();
    let column = all.iter().map(length).filter(|n| *n <= 48).max().unwrap_or(0);
    let change = &fold.step.change;
    let summary = harmless(&change.summary);
    let pad = " ".repeat(column.saturating_sub(length(fold)));
    let names = hosts(fold.hosts.iter().copied());
    let many = if names.len() < fold.hosts.len() { format!(" ({} hosts)", fold.hosts.len()) } else { String::new() };
    let place = names.join(", ") + &many;
    let felt = said(change);
    let plain: Vec<String> = change.drift.map(|d| d.to_string()).into_iter().chain(felt.clone()).collect();
    let drift = change.drift.map(|d| view.palette.paint(Tone::Change, &d.to_string()));
    let felt = felt.map(|word| painted(change.felt(), &word, view.palette));
    let shown: Vec<String> = drift.into_iter().chain(felt).collect();
    let felt = if shown.is_empty() { String::new() } else { format!("  ({})", shown.join("; ")) };
    let (tone, sign) = sign(change.action);
    let sign = view.palette.paint(tone, &format!("{sign:>3}"));
    let head = format!("{sign} {}", view.palette.paint(Tone::Bold, &summary));
    let felt_width = if plain.is_empty() { 0 } else { plain.join("; ").len() + 4 };
    let width = INDENT + length(fold).max(column) + 2 + place.chars().count() + felt_width;
    if width <= view.width {
        return vec![format!("{head}{pad}  {}{felt}", view.palette.paint(Tone::Place, &place))];
    }
    let mut out = vec![format!("{head}{felt}")];
    let mut line = String::from("on ");
    let last = names.len() - 1;
    for (i, name) in names.iter().enumerate() {
        let word = if i == last { format!("{name}{many}") } else { format!("{name}, ") };
        if INDENT + 2 + line.chars().count() + word.trim_end().chars().count() > view.width {
            out.push(format!("      {}", view.palette.paint(Tone::Place, line.trim_end())));
            line = String::from("   ");
        }
        line += &word;
    }
    out.push(format!("      {}", view.palette.paint(Tone::Place, line.trim_end())));
    out
}

/// Why, and the files.
fn body(step: &Step, view: &View) -> Vec<String> {
    let mut out = Vec::new();
    for detail in &step.change.details {
        for line in super::style::harmless_lines(detail) {
            out.push(format!("      {}", view.palette.paint(Tone::Dim, &line)));
        }
    }
    for file in &step.change.diffs {
        for line in diff::lines(file, step.change.action, view.diff, view.palette) {
            out.push(format!("      {line}").trim_end().to_owned());
        }
    }
    out
}

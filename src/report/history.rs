//! What was done to hosts and when, for `foobar history`: generations, as text and for programs.

use super::{
    json::{SCHEMA, pretty},
    style::{Palette, Tone, harmless},
};
use crate::{
    base::name::{DomainName, HostName},
    plan::history::{End, Generation, StepEnd},
};
use serde_json::{Value, json};
use std::{cmp::Reverse, collections::BTreeMap};

/// One run: what it left on each of its hosts, the newest run first.
type Run<'a> = Vec<&'a (HostName, Generation)>;

/// Generations of one number and one run belong together; numbers may meet where runs had different hosts.
fn runs(all: &[(HostName, Generation)]) -> Vec<Run<'_>> {
    let mut runs: BTreeMap<(Reverse<u64>, &str, &str), Run<'_>> = BTreeMap::new();
    for one in all {
        runs.entry((Reverse(one.1.number), &one.1.at, &one.1.run)).or_default().push(one);
    }
    // Clocks of hosts differ by a second or so: the run's name says what belongs together.
    let mut joined: Vec<Run<'_>> = Vec::new();
    for run in runs.into_values() {
        let same = |other: &&mut Run<'_>| other[0].1.run == run[0].1.run && other[0].1.number == run[0].1.number;
        match joined.iter_mut().find(same) {
            Some(known) => known.extend(run),
            None => joined.push(run),
        }
    }
    joined
}

/// How a run ended, from what its hosts say: the worst of it.
fn outcome(run: &Run<'_>) -> End {
    run.iter().map(|(_, g)| g.outcome).max().unwrap_or(End::CutOff)
}

fn word(end: End) -> (&'static str, Tone) {
    match end {
        End::Done => ("done", Tone::Pass),
        End::Failed => ("failed", Tone::Fail),
        End::CutOff => ("cut off", Tone::Error),
        End::Running => ("running", Tone::Change),
    }
}

/// How often each sign was done: `+3 ~1`.
fn tally(run: &Run<'_>) -> String {
    let changes = || run.iter().flat_map(|(_, g)| &g.changes).filter(|c| c.outcome == StepEnd::Done);
    let count = |sign: &&str| changes().filter(|c| c.sign == **sign).count();
    let signs = ["+", "~", "-", "-/+"].iter().map(|sign| (sign, count(sign))).filter(|(_, n)| *n > 0);
    let words: Vec<String> = signs.map(|(sign, n)| format!("{sign}{n}")).collect();
    if words.is_empty() { "nothing".into() } else { words.join(" ") }
}

/// A line a run, the newest first; with `whole`, what it did on each host below it.
pub fn text(all: &[(HostName, Generation)], whole: bool, palette: Palette) -> String {
    let mut out = String::new();
    for run in runs(all) {
        let first = &run[0].1;
        let (end, tone) = word(outcome(&run));
        let hosts: Vec<&str> = run.iter().map(|(host, _)| host.as_str()).collect();
        let from = if first.from.is_empty() { String::new() } else { format!(" from {}", first.from) };
        let topology = first.topology.get(..8).unwrap_or(&first.topology);
        let done: usize = run.iter().flat_map(|(_, g)| &g.changes).filter(|c| c.outcome == StepEnd::Done).count();
        let steps: usize = run.iter().map(|(_, g)| g.steps).sum();
        let short = if done < steps { format!(" ({done} of {steps} steps)") } else { String::new() };
        out += &format!(
            "{:>4}  {}  {}  {}  {}{short}  {}\n",
            first.number,
            harmless(&first.at),
            palette.paint(tone, &format!("{end:<7}")),
            harmless(&format!("{}{from}, {}, topology {topology}", first.who, first.command)),
            tally(&run),
            palette.paint(Tone::Place, &hosts.join(", ")),
        );
        if whole {
            for (host, generation) in run {
                out += &changes(host, generation, palette);
            }
        }
    }
    out
}

fn changes(host: &HostName, generation: &Generation, palette: Palette) -> String {
    let mut out = format!("      {}\n", palette.paint(Tone::Place, host.as_str()));
    for past in &generation.changes {
        let tone = match past.sign.as_str() {
            "+" => Tone::Add,
            "~" => Tone::Change,
            "-" => Tone::Remove,
            _ => Tone::Replace,
        };
        let end = match past.outcome {
            StepEnd::Done => String::new(),
            StepEnd::Undone => format!("  {}", palette.paint(Tone::Change, "taken back")),
            StepEnd::Failed => format!("  {}", palette.paint(Tone::Fail, "failed")),
            StepEnd::Begun => format!("  {}", palette.paint(Tone::Error, "not known to have ended")),
        };
        out += &format!("        {} {}{end}\n", palette.paint(tone, &harmless(&past.sign)), harmless(&past.summary));
    }
    let begun = generation.changes.len();
    if begun < generation.steps {
        let left = format!("{} of its {} steps were not begun", generation.steps - begun, generation.steps);
        out += &format!("        {}\n", palette.paint(Tone::Dim, &left));
    }
    if generation.steps == 0 {
        out += &format!("        {}\n", palette.paint(Tone::Dim, "nothing was to be done here"));
    }
    out
}

/// The same as one document, for `history --json`.
pub fn json(site: &DomainName, all: &[(HostName, Generation)]) -> String {
    let runs: Vec<Value> = runs(all)
        .iter()
        .map(|run| {
            let first = &run[0].1;
            let hosts: Vec<Value> = run
                .iter()
                .map(|(host, g)| json!({ "host": host, "at": g.at, "outcome": g.outcome, "steps": g.steps, "changes": g.changes }))
                .collect();
            json!({
                "generation": first.number, "run": first.run, "at": first.at, "who": first.who, "from": first.from,
                "command": first.command, "topology": first.topology, "version": first.version,
                "outcome": outcome(run), "hosts": hosts,
            })
        })
        .collect();
    pretty(&json!({ "schema": SCHEMA, "command": "history", "site": site, "generations": runs }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Vec<(HostName, Generation)> {
        let meta = "meta\tat 2026-03-01T10:00:00Z\nmeta\tfrom 192.0.2.9\nmeta\twho ann@laptop\nmeta\tcommand foobar apply\n\
                    meta\ttopology 3fa2b1c0d4\nmeta\tversion 0.1.0\n";
        let lease = "@lease\t0\t41\trun3\t2026-03-01T12:00:00Z\tann@laptop\tfoobar apply\t812\ts\tstep 2 of 2: x\n";
        let one = format!(
            "{lease}generation\t3\n{meta}meta\trun run3\nmeta\tsteps 2\nchange\tbegun\t0\t10.25\t+\tinstall nginx\n\
             generation\t2\n{meta}meta\trun run2\nmeta\tsteps 3\nchange\tbegun\t0\t10.25\t+\tinstall nginx\nchange\tdone\t0\t11.50\n\
             change\tbegun\t1\t11.50\t~\tchange nginx\nchange\tfailed\t1\t12.00\nchange\tend\tfailed\t12.10\n"
        );
        let other = format!(
            "generation\t2\n{meta}meta\trun run2\nmeta\tsteps 0\nchange\tend\tfailed\t13.00\n\
             generation\t1\n{meta}meta\trun run1\nmeta\tsteps 1\nchange\tbegun\t4\t1.00\t-\tremove \u{1b}[31mx\nchange\tdo"
        );
        let of = |host: &str, text: &str| {
            crate::plan::history::read(text.as_bytes())
                .into_iter()
                .map(|g| (host.parse().unwrap(), g))
                .collect::<Vec<_>>()
        };
        [of("lb-01", &one), of("web-01", &other)].concat()
    }

    #[test]
    fn runs_are_told_the_newest_first() {
        insta::assert_snapshot!("history", text(&told(), false, Palette::default()));
        insta::assert_snapshot!("history_whole", text(&told(), true, Palette::default()));
    }

    #[test]
    fn programs_get_the_same() {
        let told: Vec<_> = told().into_iter().filter(|(_, g)| g.number == 2).collect();
        insta::assert_snapshot!("history_json", json(&"www.example.com".parse().unwrap(), &told));
    }
}

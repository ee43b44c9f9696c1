//! The generations of a host: one for each apply that changed something on a site, with the same number on every host of
//! the run. Each is a directory on the host: `meta` (who, when, from where, and the digest of `sources`), `changes` (the journal: a line as each step
//! begins and as it ends), `before/` (what each step replaced) and `sources` (what the run was made from, opaque here).
//! The scripts that write and read them, and the reading of what they say; sending them is the engine's business.
//!
//! A journal that does not say how its run ended, and whose run holds the host no more, is one of a run that was cut off.

use super::{Plan, Step, StepId, lease::Lease};
use crate::{
    base::{
        digest::sha256,
        name::HostName,
        script::{Script, quote},
    },
    resource::{
        Action, Collector, Observation,
        kept::{DIGEST, GENERATIONS as KEPT},
    },
};
use serde::Serialize;
use std::collections::BTreeMap;

/// The newest generation, how far its journal goes, and whose lease is live. No process is started.
pub static GENERATIONS: Collector = Collector {
    name: "generations",
    volatile: &["last"],
    body: r#"
cd /var/lib/foobar/generations 2>/dev/null || return 0
last=0
for dir in *; do case $dir in '' | *[!0-9]*) ;; *) [ "$dir" -le "$last" ] || last=$dir ;; esac; done
[ "$last" -gt 0 ] || return 0
run= at= who= steps=0 end= done=0 now=
[ ! -r "$last/meta" ] || while read -r key value; do
  case $key in run) run=$value ;; at) at=$value ;; who) who=$value ;; steps) steps=$value ;; esac
done <"$last/meta"
tab='	'
[ ! -r "$last/changes" ] || while IFS=$tab read -r word id up sign summary; do
  case $word in begun) now=$summary ;; done) done=$((done + 1)) now= ;; end) end=$id ;; esac
done <"$last/changes"
l_run= boot= in= until=0 here= pid= seat=
[ ! -r ../lease ] || { read -r l_run; read -r in; read -r until; read -r here; read -r here; read -r here; read -r pid; read -r seat; } <../lease
read -r up here </proc/uptime; read -r boot </proc/sys/kernel/random/boot_id
case $until in '' | *[!0-9]*) until=0 ;; esac
[ "$in" = "$boot" ] && [ "$until" -gt "${up%.*}" ] || l_run=
printf 'last\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$last" "$run" "$at" "$who" "$steps" "$done" "${end:--}" "${l_run:--}" "${pid:-0}" "$seat" "$now"
:"#,
};

/// What a generation holds beside its changes.
#[derive(Clone, Debug)]
pub struct Header {
    /// Its number, the same on every host of the run.
    pub number: u64,
    /// The run's name.
    pub run: String,
    /// `user@machine`.
    pub who: String,
    /// `foobar apply`.
    pub command: String,
    /// A digest of the topology it was made from.
    pub digest: String,
    /// foobar's version.
    pub version: String,
    /// What the run was made from.
    pub sources: Vec<u8>,
    /// Generations that are kept, this one among them.
    pub keep: usize,
}

pub(super) fn path(number: u64) -> String {
    format!("{KEPT}/{number}")
}

fn line(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    quote(&text)
}

/// Makes the generation, of which `steps` are for this host, and takes the oldest away. Whole or not at all.
pub fn open(header: &Header, steps: usize) -> Script {
    let (dir, all) = (path(header.number), KEPT);
    let sources = sha256(&header.sources);
    let meta = [
        ("run", &header.run),
        ("who", &header.who),
        ("command", &header.command),
        ("topology", &header.digest),
        ("version", &header.version),
        (DIGEST, &sources),
    ];
    let mut script = Script::new()
        .line(format!("mkdir -p -m 700 {all} && rm -rf {all}/*.new && mkdir -m 700 {dir}.new {dir}.new/before || exit 74"))
        .line(format!("{{ printf 'at %s\\nfrom %s\\nsteps {steps}\\n' \"$(date -u +%Y-%m-%dT%H:%M:%SZ)\" \"${{SSH_CONNECTION%% *}}\""));
    for (key, value) in meta {
        script = script.line(format!("printf '%s %s\\n' {key} {}", line(value)));
    }
    script
        .line(format!("}} >{dir}.new/meta && : >{dir}.new/changes || exit 74"))
        .feed(&header.sources, &format!("{{ umask 077; cat >{dir}.new/sources; }} || exit 74"))
        .line(format!(
            "sync -- {dir}.new/meta {dir}.new/sources {dir}.new/changes && mv -T -- {dir}.new {dir} && sync -- {all} || exit 74"
        ))
        .line(format!(
            "ls {all} | grep -x '[0-9][0-9]*' | sort -n | head -n -{} | while read -r old; do rm -rf {all}/\"$old\"; done",
            header.keep.max(1)
        ))
}

/// For use behind [`open`], in each batch: where steps leave what they replace, and `l_mark` for the lines of the journal.
pub fn words(number: u64) -> Script {
    let dir = path(number);
    Script::new().line(format!("export FOOBAR_BEFORE={dir}/before")).line(format!(
        "l_mark() {{ read -r l_up l_at </proc/uptime; printf '%s\\t%s\\t%s%s\\n' \"$1\" \"$2\" \"$l_up\" \"$3\" >>{dir}/changes; }}"
    ))
}

/// The line of a step's beginning; it is on the disk before the step is begun.
pub fn begun(number: u64, step: &Step) -> String {
    let more =
        format!("\t{}\t{}", sign(step.change.action), step.change.summary.replace(|c: char| c.is_control(), " "));
    format!("l_mark begun {} {} && {}", step.id, quote(&more), sync(number))
}

/// The line of a step's end; the next line, or [`sync`], brings it to the disk.
pub fn ended(step: &Step, word: &str) -> String {
    format!("l_mark {word} {} ''", step.id)
}

/// Says that a step is done that was confirmed over another connection, beside the batch; never fails.
pub fn confirmed(number: u64, step: &Step) -> Script {
    Script::new()
        .line(format!("if [ -d {} ]; then", path(number)))
        .then(&words(number))
        .line(format!("{{ {} && {}; }} || :", ended(step, "done"), sync(number)))
        .line("fi")
}

/// Brings the journal to the disk.
pub fn sync(number: u64) -> String {
    format!("sync -d -- {}/changes", path(number))
}

/// Says how the run ended, `done` or `failed`, and which steps that were done have undone themselves since.
pub fn close(number: u64, word: &str, undone: &[StepId]) -> Script {
    let dir = path(number);
    let mut script = Script::new().line(format!("if [ -d {dir} ]; then")).then(&words(number));
    for id in undone {
        script = script.line(format!("grep -qs '^begun\t{id}\t' {dir}/changes && l_mark failed {id} ''"));
    }
    script.line(format!("l_mark end {} ''; {}", quote(word), sync(number))).line("fi")
}

/// Where a run that was cut off left nothing to do, its journal is closed.
pub fn settle(number: u64, run: &str) -> Script {
    let meta = format!("{}/meta", path(number));
    Script::new()
        .line(format!("if grep -qsx {} {meta}; then", quote(&format!("run {run}"))))
        .then(&close(number, "cut off", &[]))
        .line("fi")
}

fn sign(action: Action) -> &'static str {
    match action {
        Action::Create => "+",
        Action::Update => "~",
        Action::Delete => "-",
        Action::Replace => "-/+",
        Action::Check => "?",
    }
}

/// The number of the next generation: one more than the largest that any host has.
pub fn next(seen: &BTreeMap<HostName, Observation>) -> u64 {
    seen.values().filter_map(|seen| last(seen)?.first()?.parse::<u64>().ok()).max().unwrap_or(0) + 1
}

fn last(seen: &Observation) -> Option<&[String]> {
    seen.get(&GENERATIONS, "last")
}

/// A run that was cut off on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CutOff {
    /// Where.
    pub host: HostName,
    /// Its generation.
    pub generation: u64,
    /// The run.
    #[serde(skip)]
    pub run: String,
    /// `user@machine`.
    pub who: String,
    /// When it began, by the host's clock.
    pub at: String,
    /// The step that had begun there and was not heard to end.
    pub during: Option<String>,
    /// Steps that were done there.
    pub done: usize,
    /// Steps that it had there.
    pub steps: usize,
}

/// Hosts whose last run neither ended nor still holds them; `is_dead` says of a live lease whether its holder is known to be
/// gone all the same.
pub fn cut_off(seen: &BTreeMap<HostName, Observation>, is_dead: impl Fn(&Lease) -> bool) -> Vec<CutOff> {
    let of = |(host, seen): (&HostName, &Observation)| {
        let [number, run, at, who, steps, done, end, lease, pid, seat, during] = last(seen)? else { return None };
        let holder =
            Lease { run: lease.clone(), pid: pid.parse().unwrap_or_default(), seat: seat.clone(), ..Lease::default() };
        let is_open = end == "-" && (lease != run || is_dead(&holder));
        is_open.then(|| CutOff {
            host: host.clone(),
            generation: number.parse().unwrap_or_default(),
            run: run.clone(),
            who: who.clone(),
            at: at.clone(),
            during: (!during.is_empty()).then(|| during.clone()),
            done: done.parse().unwrap_or_default(),
            steps: steps.parse().unwrap_or_default(),
        })
    };
    seen.iter().filter_map(of).collect()
}

/// One note for each run that was cut off, whatever the number of its hosts; `goes_on` where something is left to do.
pub fn notes(all: &[CutOff], goes_on: bool) -> Vec<String> {
    let mut runs: BTreeMap<(u64, &str), Vec<&CutOff>> = BTreeMap::new();
    for one in all {
        runs.entry((one.generation, &one.run)).or_default().push(one);
    }
    let place = |c: &CutOff| match &c.during {
        Some(step) => format!("during \"{step}\" ({} of {} done)", c.done, c.steps),
        None => format!("with {} of {} steps done", c.done, c.steps),
    };
    let note = |hosts: Vec<&CutOff>| {
        let (who, at) = hosts.first().map(|c| (c.who.as_str(), c.at.as_str())).unwrap_or_default();
        let then = if goes_on { "this plan goes on from there" } else { "nothing is left to do" };
        match hosts[..] {
            [one] => format!("{}: an apply by {who} on {at} was cut off {}; {then}", one.host, place(one)),
            _ => {
                let each: Vec<String> = hosts.iter().map(|c| format!("{} {}", c.host, place(c))).collect();
                format!("an apply by {who} on {at} was cut off: {}; {then}", each.join(", "))
            }
        }
    };
    runs.into_values().map(note).collect()
}

/// How many steps a plan has for a host.
pub fn steps_of(plan: &Plan, host: &HostName) -> usize {
    plan.steps.iter().filter(|s| s.host == *host).count()
}

//! The generations of a host: one for each apply that changed something on a site, with the same number on every host of
//! the run. Each is a directory on the host: `meta` (who, when, from where), `changes` (the journal: a line as each step
//! begins and as it ends), `before/` (what each step replaced) and `sources` (what the run was made from, opaque here).
//! The scripts that write and read them, and the reading of what they say; sending them is the engine's business.
//!
//! A journal that does not say how its run ended, and whose run holds the host no more, is one of a run that was cut off.

use super::{Plan, Step, StepId, lease::Lease};
use crate::{
    base::{
        name::HostName,
        script::{Script, quote},
    },
    resource::{Action, Collector, Observation, STATE_DIR},
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

fn path(number: u64) -> String {
    format!("{STATE_DIR}/generations/{number}")
}

fn line(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    quote(&text)
}

/// Makes the generation, of which `steps` are for this host, and takes the oldest away. Whole or not at all.
pub fn open(header: &Header, steps: usize) -> Script {
    let (dir, all) = (path(header.number), format!("{STATE_DIR}/generations"));
    let meta = [
        ("run", &header.run),
        ("who", &header.who),
        ("command", &header.command),
        ("topology", &header.digest),
        ("version", &header.version),
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

/// How a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// All steps were done.
    Done,
    /// A step failed, somewhere.
    Failed,
    /// Nobody said how, and nobody will.
    CutOff,
    /// It is under way.
    Running,
}

/// How a step of a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepEnd {
    /// It began, and nothing is known of its end.
    Begun,
    /// It succeeded.
    Done,
    /// It failed.
    Failed,
}

/// A step as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Past {
    /// Its place in the plan of its run.
    pub id: usize,
    /// `+`, `~`, `-` or `-/+`.
    pub sign: String,
    /// What it did.
    pub summary: String,
    /// How it ended.
    pub outcome: StepEnd,
    /// When it began and ended, in hundredths of a second of the host's uptime, for who puts steps of several runs in
    /// order.
    #[serde(skip)]
    pub between: (u64, Option<u64>),
}

/// One generation of one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Generation {
    /// Its number.
    pub number: u64,
    /// The run's name.
    pub run: String,
    /// When it began, by the host's clock: RFC 3339, UTC.
    pub at: String,
    /// `user@machine`.
    pub who: String,
    /// The address that its connection came from.
    pub from: String,
    /// `foobar apply`.
    pub command: String,
    /// A digest of the topology.
    pub topology: String,
    /// foobar's version.
    pub version: String,
    /// Steps that the run had for this host.
    pub steps: usize,
    /// How it ended.
    pub outcome: End,
    /// The steps that were begun, in their order.
    pub changes: Vec<Past>,
}

/// Asks for the newest `most` generations, or for `only` one.
pub fn history(most: usize, only: Option<u64>) -> Script {
    let list = match only {
        Some(number) => format!("echo {number}"),
        None => format!("ls | grep -x '[0-9][0-9]*' | sort -rn | head -n {most}"),
    };
    super::lease::show().line(format!(
        r#"cd {STATE_DIR}/generations 2>/dev/null || exit 0
for l_dir in $({list}); do
  [ -r "$l_dir/meta" ] || continue
  printf 'generation\t%s\n' "$l_dir"
  while IFS= read -r l_line; do printf 'meta\t%s\n' "$l_line"; done <"$l_dir/meta"
  while IFS= read -r l_line; do printf 'change\t%s\n' "$l_line"; done <"$l_dir/changes"
done"#
    ))
}

/// Prints what a generation was made from; ends with 1 where the host does not keep it.
pub fn sources(number: u64) -> Script {
    Script::new().line(format!("[ -r {0}/sources ] || exit 1; cat {0}/sources", path(number)))
}

/// The generation to go back to where none is named: the newest that was carried out to its end everywhere and was made from
/// something else than the newest one of all.
pub fn before(all: &[(HostName, Generation)]) -> Option<u64> {
    let newest = all.iter().max_by_key(|(_, g)| g.number)?;
    let whole = |number: u64| all.iter().filter(|(_, g)| g.number == number).all(|(_, g)| g.outcome == End::Done);
    let older = all.iter().filter(|(_, g)| g.number < newest.1.number && g.topology != newest.1.topology);
    older.map(|(_, g)| g.number).filter(|number| whole(*number)).max()
}

/// Reads the answer, the newest first. Lines that are not whole are left out: the last one of a journal may be torn.
pub fn read(stdout: &[u8]) -> Vec<Generation> {
    let text = String::from_utf8_lossy(stdout);
    let lease = Lease::read(stdout).unwrap_or_default();
    let mut all: Vec<Generation> = Vec::new();
    for line in text.lines() {
        let Some((word, rest)) = line.split_once('\t') else { continue };
        if let ("generation", Ok(number)) = (word, rest.parse()) {
            all.push(Generation {
                number,
                run: String::new(),
                at: String::new(),
                who: String::new(),
                from: String::new(),
                command: String::new(),
                topology: String::new(),
                version: String::new(),
                steps: 0,
                outcome: End::CutOff,
                changes: Vec::new(),
            });
        }
        let Some(last) = all.last_mut() else { continue };
        match word {
            "meta" => {
                let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
                let value = value.to_owned();
                match key {
                    "run" => last.run = value,
                    "at" => last.at = value,
                    "who" => last.who = value,
                    "from" => last.from = value,
                    "command" => last.command = value,
                    "topology" => last.topology = value,
                    "version" => last.version = value,
                    "steps" => last.steps = value.parse().unwrap_or_default(),
                    _ => {}
                }
            }
            "change" => change(last, rest),
            _ => {}
        }
    }
    for one in all.iter_mut().filter(|one| one.outcome == End::CutOff && lease.is_live() && lease.run == one.run) {
        one.outcome = End::Running;
    }
    all
}

fn change(to: &mut Generation, line: &str) {
    let fields: Vec<&str> = line.splitn(5, '\t').collect();
    let time = |text: &str| text.replace('.', "").parse().unwrap_or_default();
    match fields[..] {
        ["begun", id, up, sign, summary] => {
            let Ok(id) = id.parse() else { return };
            to.changes.push(Past {
                id,
                sign: sign.to_owned(),
                summary: summary.to_owned(),
                outcome: StepEnd::Begun,
                between: (time(up), None),
            });
        }
        ["done" | "failed", id, up] => {
            let known = to.changes.iter_mut().rev().find(|c| c.id.to_string() == id);
            if let Some(known) = known {
                known.outcome = if fields[0] == "done" { StepEnd::Done } else { StepEnd::Failed };
                known.between.1 = Some(time(up));
            }
        }
        ["end", word, _] => {
            to.outcome = match word {
                "done" => End::Done,
                "failed" => End::Failed,
                _ => End::CutOff,
            }
        }
        _ => {}
    }
}

/// How many steps a plan has for a host.
pub fn steps_of(plan: &Plan, host: &HostName) -> usize {
    plan.steps.iter().filter(|s| s.host == *host).count()
}

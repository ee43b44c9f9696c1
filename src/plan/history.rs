//! The generations that hosts keep, read back: what each run did, how it ended, and which one to go back to. How they are
//! written is `journal.rs`.

use super::{
    journal::path,
    lease::{self, Lease},
};
use crate::{
    base::{name::HostName, script::Script},
    resource::kept::{GENERATIONS, KEPT},
};
use serde::Serialize;

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
    /// It was taken back after a failure.
    Undone,
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
    lease::show().line(format!(
        r#"cd {GENERATIONS} 2>/dev/null || exit 0
for l_dir in $({list}); do
  [ -r "$l_dir/meta" ] || continue
  printf 'generation\t%s\n' "$l_dir"
  while IFS= read -r l_line; do printf 'meta\t%s\n' "$l_line"; done <"$l_dir/meta"
  while IFS= read -r l_line; do printf 'change\t%s\n' "$l_line"; done <"$l_dir/changes"
done"#
    ))
}

/// What [`sources`] ends with where the host keeps something else than its run wrote.
pub const BROKEN: i32 = 3;

/// Prints what a generation was made from; ends with 1 where the host does not keep it, with [`BROKEN`] where it is not whole.
pub fn sources(number: u64) -> Script {
    let dir = path(number);
    Script::new()
        .line(KEPT)
        .line(format!("[ -d {dir} ] || exit 1; kept | grep -qx 'whole {number}' || exit {BROKEN}; cat {dir}/sources"))
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
        ["done" | "failed" | "undone", id, up] => {
            let known = to.changes.iter_mut().rev().find(|c| c.id.to_string() == id);
            if let Some(known) = known {
                known.outcome = match fields[0] {
                    "done" => StepEnd::Done,
                    "failed" => StepEnd::Failed,
                    _ => StepEnd::Undone,
                };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_is_the_newest_whole_run_that_was_made_from_something_else() {
        let one = |host: &str, number: u64, topology: &str, outcome| {
            let answer = format!("generation\t{number}\nmeta\ttopology {topology}\n");
            let mut generation = read(answer.as_bytes()).remove(0);
            generation.outcome = outcome;
            (host.parse::<HostName>().unwrap(), generation)
        };
        use End::{CutOff, Done, Failed};
        let both = |number, topology: &str, ends: [End; 2]| {
            [one("a", number, topology, ends[0]), one("b", number, topology, ends[1])].to_vec()
        };
        assert_eq!(before(&[]), None);
        let first = both(1, "x", [Done, Done]);
        assert_eq!(before(&first), None, "there is nothing before the first");
        // Rotations and applies of the same texts are no change of mind.
        let same = [first.clone(), both(2, "x", [Done, Done])].concat();
        assert_eq!(before(&same), None);
        let other = [same.clone(), both(3, "y", [Done, Failed])].concat();
        assert_eq!(before(&other), Some(2), "the newest of them, and the failed one is what is left behind");
        let again = [other.clone(), both(4, "z", [CutOff, Done]), both(5, "w", [Done, Done])].concat();
        assert_eq!(before(&again), Some(2), "a run that did not come to its end anywhere is no place to go to");
        let back = [again, both(6, "x", [Done, Done])].concat();
        assert_eq!(before(&back), Some(5), "back from a way back is forward again");
    }
}

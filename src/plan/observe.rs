//! The one probe script of a host, and the parsing of its reply; and the one of a glance, whose few questions are asked side
//! by side. Sending them is the engine's business.

use super::journal::GENERATIONS;
use crate::{
    base::script::{Script, quote},
    component::status::LATE,
    resource::{Collector, Observation, Probe, Wanted, owned::OWNED, ruleset::LOGIN, system::FACTS},
};
use std::collections::{BTreeMap, BTreeSet};

/// The script that asks one host everything the plan wants to know: every collector once, with all its probes' words.
/// Its reply is framed by length, so that nothing a host holds can be taken for a frame, and ends in a line of its own,
/// so that half a reply is never taken for a whole one.
pub fn script<'a>(wanted: impl IntoIterator<Item = &'a Wanted>) -> Script {
    let asked = probes(wanted);
    let mut words: BTreeMap<&str, (&Collector, Vec<&str>)> = BTreeMap::new();
    let mut known: BTreeSet<(&str, &[String])> = BTreeSet::new();
    for probe in &asked {
        let entry = words.entry(probe.collector.name).or_insert((probe.collector, Vec::new()));
        if known.insert((probe.collector.name, &probe.args)) {
            entry.1.extend(probe.args.iter().map(String::as_str));
        }
    }
    let mut script = Script::new()
        .line("export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; umask 077; cd /")
        .line("frame() { printf '%s %s\\n%s\\n' \"$1\" \"${#2}\" \"$2\"; }");
    for (name, (collector, args)) in &words {
        let args: Vec<String> = args.iter().map(|w| quote(w)).collect();
        script = script
            .line(format!("ask_{name}() {{"))
            .line(collector.body.trim())
            .line("}")
            .line(format!("frame {name} \"$(ask_{name} {} </dev/null)\"", args.join(" ")));
    }
    script.line("echo end 0")
}

/// Seconds that one question of a glance may take.
const LONGEST: u32 = 8;

/// The script that asks a host a few things at once, each in a shell of its own that is ended when it takes too long and
/// then says `late`. The reply is framed as the other one's.
pub fn side_by_side(probes: &[Probe]) -> Script {
    let mut script = Script::new()
        .line("export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; umask 077; cd /")
        .line("tmp=$(mktemp -d /run/foobar.XXXXXX) || exit 74; trap 'rm -rf \"$tmp\"' EXIT");
    for Probe { collector, args } in probes {
        let (name, ask) = (collector.name, format!("ask() {{\n{}\n}}\nask \"$@\"", collector.body.trim()));
        let args: Vec<String> = args.iter().map(|w| quote(w)).collect();
        script = script.line(format!(
            "{{ timeout -s KILL {LONGEST} sh -c {} sh {} </dev/null >\"$tmp/{name}\" 2>/dev/null; [ $? != 137 ] || printf '\\n{LATE}\\tyes\\n' >>\"$tmp/{name}\"; }} &",
            quote(&ask),
            args.join(" ")
        ));
    }
    script = script.line("wait");
    for Probe { collector: Collector { name, .. }, .. } in probes {
        script = script.line(format!("printf '{name} %s\\n' \"$(wc -c <\"$tmp/{name}\")\"; cat \"$tmp/{name}\"; echo"));
    }
    script.line("echo end 0")
}

/// Every question: those to each host, and those of the resources.
fn probes<'a>(wanted: impl IntoIterator<Item = &'a Wanted>) -> Vec<Probe> {
    let mut asked: Vec<Probe> =
        [&FACTS, &LOGIN, &OWNED, &GENERATIONS].map(|collector| Probe::new(collector, Vec::<String>::new())).to_vec();
    asked.extend(wanted.into_iter().flat_map(|w| w.resource.probes()));
    asked
}

/// The collectors behind those questions, each once.
pub fn collectors<'a>(wanted: impl IntoIterator<Item = &'a Wanted>) -> BTreeMap<&'static str, &'static Collector> {
    probes(wanted).into_iter().map(|probe| (probe.collector.name, probe.collector)).collect()
}

/// Reads a reply; `Err` says what is wrong with it.
pub fn parse(stdout: &[u8]) -> Result<Observation, String> {
    let mut observation = Observation::default();
    let mut rest = stdout;
    loop {
        let at = rest.iter().position(|b| *b == b'\n').ok_or("the reply ends before its last frame")?;
        let head = std::str::from_utf8(&rest[..at]).map_err(|_| "the reply holds a frame without a name")?;
        rest = &rest[at + 1..];
        let (name, length) =
            head.split_once(' ').ok_or_else(|| format!("the reply holds no frame where one should be: {head:.60}"))?;
        let length: usize =
            length.parse().map_err(|_| format!("the reply holds no frame where one should be: {head:.60}"))?;
        if name == "end" {
            return Ok(observation);
        }
        if rest.len() <= length {
            return Err("the reply ends within a frame".into());
        }
        observation.add(name, &String::from_utf8_lossy(&rest[..length]));
        rest = &rest[length + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::name::HostName, resource::account::Account};
    use std::process::Command;

    fn ask(wanted: &[Wanted]) -> Vec<u8> {
        Command::new("sh").arg("-c").arg(script(wanted).text()).output().unwrap().stdout
    }

    #[test]
    fn the_probe_of_this_very_machine_is_understood() {
        let host: HostName = "here".parse().unwrap();
        let account = Account { name: "root".parse().unwrap(), home: "/root".into() };
        let wanted = [Wanted { host, resource: Box::new(account), after: vec![] }];
        let observation = parse(&ask(&wanted)).unwrap();
        assert!(observation.get(&FACTS, "system").is_some());
        assert_eq!(observation.get(&crate::resource::account::ACCOUNT, "root").unwrap()[1], "/root");
    }

    /// One says nothing for longer than it may, another one far more than a pipe holds; the words of a third are quoted.
    #[test]
    fn a_glance_waits_for_nobody_too_long() {
        static SLOW: Collector = Collector { name: "slow", volatile: &[], body: "printf 'half'; exec sleep 60" };
        static LONG: Collector = Collector {
            name: "long",
            volatile: &[],
            body: "n=0; while [ $n -lt 9999 ]; do n=$((n + 1)); echo \"n $n\"; done",
        };
        static WORDS: Collector =
            Collector { name: "words", volatile: &[], body: "[ $# = 2 ] || return 0\nprintf '%s\\t%s\\n' \"$@\"" };
        let probes = [
            Probe::new(&SLOW, Vec::<String>::new()),
            Probe::new(&LONG, Vec::<String>::new()),
            Probe::new(&WORDS, ["it's", "$(id); x"]),
        ];
        let script = side_by_side(&probes).text().replace(&format!("KILL {LONGEST}"), "KILL 1");
        let out = Command::new("sh").arg("-c").arg(script.replace("/run/", "/tmp/")).output().unwrap();
        let seen = parse(&out.stdout).unwrap();
        assert!(seen.get(&SLOW, LATE).is_some() && seen.get(&SLOW, "half").is_some());
        assert!(seen.get(&LONG, LATE).is_none() && seen.get(&LONG, "n 9999").is_some());
        assert_eq!(seen.get(&WORDS, "it's").unwrap()[0], "$(id); x");
    }

    #[test]
    fn half_a_reply_is_no_reply() {
        let whole = ask(&[]);
        assert!(parse(&whole).is_ok());
        for cut in 0..whole.len() - 1 {
            assert!(parse(&whole[..cut]).is_err(), "cut at {cut}");
        }
        assert!(parse(b"bash: warning\n").is_err());
    }
}

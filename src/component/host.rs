//! What proves of every host, whatever runs on it, that it can be relied on: its clock, and what it keeps of former runs. It
//! asks for nothing there.

use super::{Answer, Check, Component, Desired, Endpoint, Verdict, site::Site};
use crate::{
    base::{name::HostName, script::Script, template::TemplateError},
    resource::kept,
};

const NAME: &str = "host";

/// Milliseconds that a clock may be off: certificates, logs and the order of what happened go by it.
const OFF: i64 = 100;

/// Every host of a site.
#[derive(Debug)]
pub struct Hosts;

impl Component for Hosts {
    fn name(&self) -> &'static str {
        NAME
    }

    fn endpoints(&self, _site: &Site) -> Vec<Endpoint> {
        Vec::new()
    }

    fn resources(&self, _site: &Site, _desired: &mut Desired) -> Result<(), TemplateError> {
        Ok(())
    }

    fn checks(&self, site: &Site) -> Vec<Check> {
        site.hosts().flat_map(|host| [clock(host), backups(host)]).collect()
    }
}

/// Held against this machine's clock, within what lay between question and answer: whatever that leaves open is no fault.
/// Who keeps it right is told beside it, since one that nobody keeps right is off some day.
fn clock(host: &HostName) -> Check {
    let script = Script::new()
        .line("export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .line("date +%s%3N")
        .line("timedatectl show -p NTPSynchronized 2>/dev/null");
    Check::new(NAME, host, "its clock is right", script, judge).timed()
}

fn judge(answer: &Answer) -> Verdict {
    let here = answer.stdout.lines().next().and_then(|l| l.trim().parse::<i64>().ok());
    let (Some(here), Some((asked, heard))) = (here, answer.between) else {
        return Verdict::Error("it does not tell the time".into());
    };
    let kept = match answer.stdout.contains("NTPSynchronized=yes") {
        true => "kept right by time servers",
        false => "no time server keeps it right",
    };
    let (ahead, behind) = (here - heard, asked - here);
    if ahead > OFF {
        Verdict::Fail(format!("it is {} ahead of this machine's; {kept}", span(ahead)))
    } else if behind > OFF {
        Verdict::Fail(format!("it is {} behind this machine's; {kept}", span(behind)))
    } else {
        Verdict::Pass(format!("as this machine's, to {} ms; {kept}", (heard - here).max(here - asked).max(1)))
    }
}

/// A host that lost what its configuration was made from has no way back of its own, which is found out when it is needed.
fn backups(host: &HostName) -> Check {
    Check::new(NAME, host, "what former runs were made from is kept whole", kept::look(), |answer| {
        judge_backups(&answer.stdout)
    })
}

fn judge_backups(text: &str) -> Verdict {
    let (whole, broken) = kept::read(text);
    let list = |all: &[u64]| all.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    match (whole.as_slice(), broken.as_slice()) {
        ([], []) => Verdict::Fail(
            "nothing is kept: `foobar rollback` finds no way back here until an apply changes something".into(),
        ),
        (_, [_, ..]) => Verdict::Fail(format!(
            "not whole: {} in {}{}; other hosts of the run keep the same, and what is not whole may be removed",
            list(&broken),
            kept::GENERATIONS,
            if whole.is_empty() { ", and nothing else is kept" } else { "" },
        )),
        ([.., newest], []) => Verdict::Pass(match whole.len() {
            1 => format!("generation {newest}"),
            n => format!("{n} generations, the newest {newest}"),
        }),
    }
}

fn span(millis: i64) -> String {
    if millis < 10_000 { format!("{millis} ms") } else { format!("{} s", (millis + 500) / 1000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_wrong_only_where_no_delay_explains_it() {
        let at = |here: i64, between| {
            let stdout = format!("{here}\nNTPSynchronized=yes\n");
            judge(&Answer { status: 0, stdout, between: Some(between), ..Answer::default() })
        };
        let right = |ms| Verdict::Pass(format!("as this machine's, to {ms} ms; kept right by time servers"));
        assert_eq!(at(1_000_010, (1_000_000, 1_000_030)), right(20));
        // It took its time to answer: within that, nothing is known.
        assert_eq!(at(1_000_000, (1_000_000, 1_002_000)), right(2000));
        assert_eq!(at(1_000_100, (1_000_000, 1_000_000)), right(100));
        let wrong = |how: &str| Verdict::Fail(format!("it is {how} this machine's; kept right by time servers"));
        assert_eq!(at(1_000_131, (1_000_000, 1_000_030)), wrong("101 ms ahead of"));
        assert_eq!(at(999_899, (1_000_000, 1_000_030)), wrong("101 ms behind"));
        assert_eq!(at(1_000_030 + 3_600_000, (1_000_000, 1_000_030)), wrong("3600 s ahead of"));
        let unkept = Answer { status: 0, stdout: "1000\n".into(), between: Some((1000, 1001)), ..Answer::default() };
        assert!(matches!(judge(&unkept), Verdict::Pass(said) if said.ends_with("no time server keeps it right")));
        for silent in ["", "late\n"] {
            let answer = Answer { status: 0, stdout: silent.into(), between: Some((0, 1)), ..Answer::default() };
            assert!(matches!(judge(&answer), Verdict::Error(_)), "{silent}");
        }
        assert!(matches!(
            judge(&Answer { status: 0, stdout: "1000\n".into(), ..Answer::default() }),
            Verdict::Error(_)
        ));
    }

    #[test]
    fn what_is_kept_must_be_whole() {
        assert_eq!(judge_backups("whole 9\nwhole 10\n"), Verdict::Pass("2 generations, the newest 10".into()));
        assert_eq!(judge_backups("whole 1\n"), Verdict::Pass("generation 1".into()));
        let said = |text: &str| if let Verdict::Fail(said) = judge_backups(text) { said } else { panic!("{text}") };
        assert!(said("").starts_with("nothing is kept"));
        assert!(said("broken 3\n").contains("not whole: 3 in /var/lib/foobar/generations, and nothing else is kept"));
        assert!(said("whole 12\nbroken 10\nbroken 9\n").starts_with("not whole: 9, 10 in"));
    }
}

//! Makes checks: all of a host's in one exec, side by side. What they are about, and what their answers mean, they say
//! themselves.

use crate::{
    base::{name::HostName, script::Script},
    component::{Answer, Check, Verdict},
    event::{Event, Events},
    transport::{Transport, TransportError},
};
use futures_util::future::join_all;
use std::collections::BTreeMap;

/// How the checks of one run ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Each check's verdict, in the order that the checks came in.
    pub verdicts: Vec<Verdict>,
    /// Hosts that could not be spoken to; their checks are errors.
    pub errors: Vec<TransportError>,
}

/// Makes every check.
pub async fn verify(transport: &impl Transport, checks: &[Check], events: &Events) -> Outcome {
    let tell = |event| events.tell(event);
    tell(Event::VerifyStarted { checks: checks.len() });
    let mut of_host: BTreeMap<&HostName, Vec<usize>> = BTreeMap::new();
    for (n, check) in checks.iter().enumerate() {
        of_host.entry(&check.host).or_default().push(n);
    }
    let tell = &tell;
    let answers = join_all(of_host.into_iter().map(|(host, all)| async move {
        let script = script(&all.iter().map(|n| (*n, &checks[*n])).collect::<Vec<_>>());
        let reply = transport.run(host, &script, &|_| {}).await;
        let (answers, error) = match reply {
            Ok(reply) => (parse(&reply.stdout), None),
            Err(error) => (BTreeMap::new(), Some(error)),
        };
        let mut verdicts = Vec::new();
        for n in all {
            let check = &checks[n];
            let verdict = match (answers.get(&n), &error) {
                (Some(answer), _) if answer.status == TOOK_TOO_LONG => {
                    Verdict::Error(format!("it was ended after {LONGEST} s without an answer"))
                }
                (Some(answer), _) => (check.judge)(answer),
                (None, Some(error)) => Verdict::Error(error.what.clone()),
                (None, None) => Verdict::Error("the host gave no answer to it".into()),
            };
            tell(Event::Checked {
                component: check.component,
                title: check.title.clone(),
                host: host.clone(),
                verdict: verdict.clone(),
            });
            verdicts.push((n, verdict));
        }
        (verdicts, error)
    }))
    .await;
    let mut outcome = Outcome::default();
    let mut verdicts: BTreeMap<usize, Verdict> = BTreeMap::new();
    for (of_host, error) in answers {
        verdicts.extend(of_host);
        outcome.errors.extend(error);
    }
    outcome.verdicts = verdicts.into_values().collect();
    outcome
}

/// Seconds that one check may take: longer than any timeout within one, so that a host that is gone holds nobody up.
const LONGEST: u32 = 20;

/// Exit status of a check that was ended for that: killed, since 124 may be the word of a `timeout` within it.
const TOOK_TOO_LONG: i32 = 137;

/// All checks of a host, each in a shell of its own in the background; the answers are framed by length once all have ended.
fn script(checks: &[(usize, &Check)]) -> Script {
    let mut script = Script::new()
        .line("export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; umask 077; cd /")
        .line("tmp=$(mktemp -d /run/foobar.XXXXXX) || exit 74; trap 'rm -rf \"$tmp\"' EXIT")
        // What a check that is killed leaves goes with the rest: it may be a login.
        .line("export TMPDIR=\"$tmp\"");
    for (n, check) in checks {
        script = script
            .feed(check.script.text(), &format!("cat >\"$tmp/{n}.sh\""))
            .line(format!("{{ timeout -s KILL {LONGEST} sh \"$tmp/{n}.sh\" </dev/null >\"$tmp/{n}\" 2>/dev/null; echo $? >\"$tmp/{n}.rc\"; }} &"));
    }
    script = script.line("wait");
    for (n, _) in checks {
        script = script.line(format!(
            "printf '%s %s %s\\n' {n} \"$(cat \"$tmp/{n}.rc\")\" \"$(wc -c <\"$tmp/{n}\")\"; cat \"$tmp/{n}\"; echo"
        ));
    }
    script
}

fn parse(stdout: &[u8]) -> BTreeMap<usize, Answer> {
    let mut answers = BTreeMap::new();
    let mut rest = stdout;
    while let Some(at) = rest.iter().position(|b| *b == b'\n') {
        let head = String::from_utf8_lossy(&rest[..at]).into_owned();
        rest = &rest[at + 1..];
        let fields: Vec<&str> = head.split_whitespace().collect();
        let [n, status, length] = fields[..] else { break };
        let (Ok(n), Ok(status), Ok(length)) = (n.parse(), status.parse(), length.parse::<usize>()) else { break };
        if rest.len() <= length {
            break;
        }
        answers.insert(n, Answer { status, stdout: String::from_utf8_lossy(&rest[..length]).into_owned() });
        rest = &rest[length + 1..];
    }
    answers
}

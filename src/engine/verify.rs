//! Makes checks: all of a host's in one exec, side by side, and those that go by the clock in one each behind it. What they
//! are about, and what their answers mean, they say themselves.

use crate::{
    base::{name::HostName, reach::Try, script::Script},
    component::{Answer, Check, Judge, Verdict},
    event::{Event, Events},
    transport::{Transport, TransportError},
};
use futures_util::future::join_all;
use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

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
    let told = |n: usize, verdict: Verdict| {
        let Check { component, title, host, .. } = &checks[n];
        tell(Event::Checked { component, title: title.clone(), host: host.clone(), verdict: verdict.clone() });
        (n, verdict)
    };
    let told = &told;
    let hosts = join_all(of_host.into_iter().map(|(host, all)| async move {
        let heard = ask(transport, host, &all, checks).await;
        let alone = all.iter().filter_map(|n| match &checks[*n].judge {
            Judge::Alone(judge) => Some(told(*n, heard.verdict(*n, |answer| judge(answer)))),
            Judge::Together(_) => None,
        });
        let verdicts: Vec<(usize, Verdict)> = alone.collect();
        (heard, verdicts)
    }))
    .await;
    let mut outcome = Outcome::default();
    let mut verdicts: BTreeMap<usize, Verdict> = BTreeMap::new();
    let mut heard = BTreeMap::new();
    for (of_host, alone) in hosts {
        verdicts.extend(alone);
        outcome.errors.extend(of_host.error.clone());
        heard.insert(of_host.host.clone(), of_host);
    }
    for (n, check) in checks.iter().enumerate() {
        let (Judge::Together(judge), Some(of_host)) = (&check.judge, heard.get(&check.host)) else { continue };
        let same =
            checks.iter().enumerate().filter(|(_, c)| (c.component, &c.title) == (check.component, &check.title));
        let answers = same.filter_map(|(n, c)| Some((c.host.clone(), heard.get(&c.host)?.whole(n)?.clone())));
        let answers: BTreeMap<HostName, Answer> = answers.collect();
        verdicts.extend([told(n, of_host.verdict(n, |_| judge(&check.host, &answers)))]);
    }
    outcome.verdicts = verdicts.into_values().collect();
    outcome
}

/// What a host answered.
struct Heard {
    host: HostName,
    answers: BTreeMap<usize, Answer>,
    error: Option<TransportError>,
}

impl Heard {
    /// The answer to a check that was not ended before it gave one.
    fn whole(&self, n: usize) -> Option<&Answer> {
        self.answers.get(&n).filter(|answer| answer.status != TOOK_TOO_LONG)
    }

    fn verdict(&self, n: usize, judge: impl Fn(&Answer) -> Verdict) -> Verdict {
        match (self.answers.get(&n), &self.error) {
            (Some(answer), _) if answer.status == TOOK_TOO_LONG => {
                Verdict::Error(format!("it was ended after {LONGEST} s without an answer"))
            }
            (Some(answer), _) => judge(answer),
            (None, Some(error)) => Verdict::Error(error.what.clone()),
            (None, None) => Verdict::Error("the host gave no answer to it".into()),
        }
    }
}

/// Asks a host all at once, and then, over the connection that stands, what depends on the time that an answer takes.
async fn ask(transport: &impl Transport, host: &HostName, all: &[usize], checks: &[Check]) -> Heard {
    let (timed, plain): (Vec<usize>, Vec<usize>) = all.iter().partition(|n| checks[**n].is_timed);
    let mut heard = Heard { host: host.clone(), answers: BTreeMap::new(), error: None };
    let first = script(&plain.iter().map(|n| (*n, &checks[*n])).collect::<Vec<_>>());
    let tries: Vec<Try> = plain.iter().flat_map(|n| checks[*n].tries.iter().copied()).collect();
    let (reply, reached) = tokio::join!(transport.run(host, &first, &|_| {}), transport.reach(host, &tries));
    match reply {
        Ok(reply) => heard.answers = parse(&reply.stdout),
        Err(error) => heard.error = Some(error),
    }
    for (n, answer) in &mut heard.answers {
        let tried = checks.get(*n).into_iter().flat_map(|check| &check.tries);
        answer.reached = tried.filter_map(|t| Some((t.to, *reached.get(&t.to)?))).collect();
    }
    for n in timed {
        if heard.error.is_some() {
            break;
        }
        let asked = now();
        match transport.run(host, &checks[n].script, &|_| {}).await {
            Ok(reply) => {
                let stdout = String::from_utf8_lossy(&reply.stdout).into_owned();
                let answer =
                    Answer { status: reply.status, stdout, between: Some((asked, now())), ..Answer::default() };
                heard.answers.insert(n, answer);
            }
            Err(error) => heard.error = Some(error),
        }
    }
    heard
}

/// Milliseconds since the epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
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
        answers.insert(
            n,
            Answer { status, stdout: String::from_utf8_lossy(&rest[..length]).into_owned(), ..Answer::default() },
        );
        rest = &rest[length + 1..];
    }
    answers
}

//! A host that a step takes down: it is asked over fresh connections until it is up in another boot, and taken again at once,
//! since a lease ends with its boot. What runs on the host is none of this file's business.

use super::{
    course::{Course, State},
    lease::Leases,
};
use crate::{
    base::{name::HostName, script::Script},
    event::Event,
    plan::{
        StepId, journal,
        lease::{self, Claim, HELD, Lease},
    },
    transport::{Reply, Transport},
};
use std::time::{Duration, Instant};

/// Between two questions: a host that is down costs each a moment, and one that is up is not to be asked for nothing.
const PAUSE: Duration = Duration::from_secs(1);
/// How much longer than the host itself waits, an answer is waited for.
const GRACE: Duration = Duration::from_secs(20);

impl Course<'_> {
    /// Where a step has taken the host down, whether its script could say so or not: waits for it. Answers whether that was so.
    pub(super) async fn reboot(&self, transport: &impl Transport, host: &HostName, batch: &[StepId]) -> bool {
        let [id] = *batch else { return false };
        let step = self.step(id);
        let was = {
            let book = self.book();
            book.boots.get(&id).filter(|_| matches!(book.states[id], State::Running(_))).cloned()
        };
        let (Some(within), Some(was)) = (step.change.reboot, was) else { return false };
        let number = self.header.number;
        let done = format!("{}; {}", journal::ended(step, "done"), journal::sync(number));
        match back(transport, self.leases, host, &was, within, &journal::words(number).line(done)).await {
            Back::Up(failed) => {
                if !failed.is_empty() {
                    let text = format!("it is up again, and these units failed: {}", failed.join(", "));
                    self.tell(Event::Note { host: Some(host.clone()), text });
                }
                self.done(id);
            }
            Back::Locked(lease) => {
                let mut book = self.book();
                book.outcome.locked.push((host.clone(), lease));
                book.halted = true;
                drop(book);
                self.moved.send_modify(|n| *n += 1);
            }
            Back::Never(seen) => self.fail(
                id,
                format!(
                    "it did not come back within {} s: {seen}\nlook at its console; what was taken out for it stays out \
                     until `foobar apply` puts it back",
                    within.as_secs()
                ),
            ),
        }
        true
    }
}

/// What became of a host that was taken down.
#[derive(Debug)]
enum Back {
    /// It is up in another boot and the run's own; with the units that failed there, whatever they are.
    Up(Vec<String>),
    /// It is up, and another run's.
    Locked(Lease),
    /// It is not, for all that is known; with what was seen last.
    Never(String),
}

/// Waits `within` for `host`, whose boot was `was`, to be up in another one, and takes it; there `then` is run under the
/// lock.
async fn back(
    transport: &impl Transport,
    leases: &Leases,
    host: &HostName,
    was: &str,
    within: Duration,
    then: &Script,
) -> Back {
    leases.leave(host);
    transport.forget(host).await;
    let end = Instant::now() + within;
    let mut last = "it was not heard of again".to_owned();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Back::Never(last);
        }
        let script = script(leases.claim(), was, left, then);
        match tokio::time::timeout(left + GRACE, transport.run_fresh(host, &script)).await {
            Ok(Ok(reply)) if reply.status == HELD => {
                leases.lose(host);
                return Back::Locked(Lease::read(&reply.stdout).unwrap_or_default());
            }
            Ok(Ok(reply)) => match read(&reply) {
                Ok(failed) => {
                    leases.regain(host);
                    return Back::Up(failed);
                }
                Err(seen) => last = seen,
            },
            // Whatever it is: what answers early in a boot may be another system, with another key.
            Ok(Err(error)) => last = error.what,
            Err(_) => last = "a command there did not end".into(),
        }
        tokio::time::sleep(PAUSE.min(left)).await;
    }
}

/// In the boot that was, it says so. In another one, it takes the lease, waits until everything is started, and runs `then`.
fn script(claim: &Claim, was: &str, left: Duration, then: &Script) -> Script {
    Script::new()
        .line("{")
        .line("export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; umask 022; cd /")
        .line("read -r boot </proc/sys/kernel/random/boot_id")
        .line(format!("[ \"$boot\" != {} ] || {{ echo '@boot same'; exit 0; }}", crate::base::script::quote(was)))
        .then(&lease::take(claim, None))
        .line(format!("state=$(timeout {} systemctl is-system-running --wait 2>/dev/null)", left.as_secs().max(1)))
        .line("case $state in running | degraded) ;; *) echo \"@boot $state\"; exit 0 ;; esac")
        .then(&lease::hold(claim))
        .then(then)
        .line("[ \"$state\" = running ] || systemctl list-units --failed --plain --no-legend | while read -r unit more; do echo \"@failed $unit\"; done")
        .line("echo \"@boot $state\"; exit 0")
        .line("}")
}

fn read(reply: &Reply) -> Result<Vec<String>, String> {
    let text = String::from_utf8_lossy(&reply.stdout);
    let said = text.lines().find_map(|l| l.strip_prefix("@boot ")).map(str::trim);
    match said {
        Some("running" | "degraded") => {
            Ok(text.lines().filter_map(|l| l.strip_prefix("@failed ")).map(str::to_owned).collect())
        }
        Some("same") => Err("it is still in the boot that was to end".into()),
        Some("") => Err("it answers, and its boot is not finished".into()),
        Some(state) => Err(format!("it answers, and systemd says that it is {state}")),
        None => Err(format!("it answers, and could not be taken (status {}) {}", reply.status, reply.stderr.trim())),
    }
}

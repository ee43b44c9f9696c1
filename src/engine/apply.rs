//! Carries a plan out: a ready-queue over its graph. Each host runs one batch of steps at a time, all that its own order
//! and the other hosts allow, in one exec whose progress streams back. After a failure nothing new is begun anywhere but what
//! ends something that was begun, and nothing at all on a host whose lease is the run's no more. What a step does is none of
//! this file's business.

use super::{lease::Leases, observe::unfit};
use crate::{
    base::{name::HostName, script::Script, secret::Secrets},
    event::{Event, Events},
    plan::{
        Plan, Step, StepId,
        journal::{self, Header},
        lease::{self, Claim, HELD, Lease},
    },
    resource::STATE_DIR,
    transport::{Transport, TransportError},
};
use futures_util::future::{join, join_all};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, watch};

/// How long undoing what was not confirmed may take; then it is left to the host.
const RECALL: Duration = Duration::from_secs(15);

/// A run, as the hosts keep it.
#[derive(Debug)]
pub struct Run<'a> {
    /// Its name, its holder and its hosts, of which it holds every one.
    pub leases: &'a Leases,
    /// The number that its generation gets on every one of them ([`journal::next`]).
    pub generation: u64,
    /// A digest of the topology.
    pub digest: String,
    /// What it was made from, in a form that is no business of this file; kept with the generation, for root alone.
    pub sources: Vec<u8>,
    /// Generations that are kept on a host, the newest.
    pub keep: usize,
}

/// How a run ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Steps that succeeded.
    pub done: Vec<StepId>,
    /// Steps that failed, each with why: what it printed last, without secrets.
    pub failed: Vec<(StepId, String)>,
    /// Steps that were not begun, each with the failed step that was the cause.
    pub skipped: Vec<(StepId, Option<StepId>)>,
    /// Hosts that could not be spoken to.
    pub errors: Vec<TransportError>,
    /// Hosts whose lease was the run's no more, each with whose it is.
    pub locked: Vec<(HostName, Lease)>,
    /// Failed steps whose change undoes itself on the host.
    pub reverting: Vec<StepId>,
}

impl Outcome {
    /// Whether everything was done.
    pub fn is_success(&self) -> bool {
        self.failed.is_empty() && self.skipped.is_empty() && self.errors.is_empty() && self.locked.is_empty()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Sent,
    Running(Instant),
    Done,
    Failed,
}

struct Course<'a> {
    plan: &'a Plan,
    secrets: &'a Secrets,
    leases: &'a Leases,
    header: Header,
    events: &'a Events,
    book: Mutex<Book>,
    moved: watch::Sender<u64>,
}

struct Book {
    states: Vec<State>,
    output: BTreeMap<StepId, Vec<String>>,
    outcome: Outcome,
    halted: bool,
}

/// Carries `plan` out on the hosts that `run` holds, and leaves a generation on every one of them. Secrets are needed to
/// keep them out of what is shown.
pub async fn apply(
    transport: &impl Transport,
    plan: &Plan,
    secrets: &Secrets,
    run: Run<'_>,
    events: &Events,
) -> Outcome {
    let leases = run.leases;
    leases.is_at_work();
    let claim = leases.claim();
    let header = Header {
        number: run.generation,
        run: claim.run.clone(),
        who: claim.holder.clone(),
        command: claim.command.clone(),
        digest: run.digest,
        version: env!("CARGO_PKG_VERSION").into(),
        sources: run.sources,
        keep: run.keep,
    };
    let book = Book {
        states: vec![State::Waiting; plan.steps.len()],
        output: BTreeMap::new(),
        outcome: Outcome::default(),
        halted: false,
    };
    let run = Course { plan, secrets, leases, header, events, book: Mutex::new(book), moved: watch::channel(0).0 };
    run.tell(Event::ApplyStarted { steps: plan.steps.len() });
    join_all(plan.hosts.iter().map(|host| run.host(transport, host))).await;

    let mut book = run.book();
    let cause = book.outcome.failed.first().map(|(step, _)| *step);
    for step in &plan.steps {
        if matches!(book.states[step.id], State::Waiting | State::Sent) {
            book.outcome.skipped.push((step.id, cause));
            if let Some(cause) = cause {
                events.tell(Event::StepSkipped { step: step.id, host: step.host.clone(), cause });
            }
        }
    }
    let word = if book.outcome.is_success() { "done" } else { "failed" };
    leases.at_the_end(journal::close(run.header.number, word, &book.outcome.reverting));
    std::mem::take(&mut book.outcome)
}

impl Course<'_> {
    fn tell(&self, event: Event) {
        self.events.tell(event);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, id: StepId) -> &Step {
        &self.plan.steps[id]
    }

    /// One host's whole run.
    async fn host(&self, transport: &impl Transport, host: &HostName) {
        let mut moves = self.moved.subscribe();
        // A host that has nothing to do yet, or at all, gets its generation all the same.
        let mut opens = self.leases.hosts().contains(host);
        loop {
            moves.mark_unchanged();
            let batch = match self.next(host) {
                Next::Over | Next::Wait if opens && !self.book().halted => Vec::new(),
                Next::Over => return,
                Next::Wait => {
                    if moves.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
                Next::Batch(batch) => batch,
            };
            let (to_confirm, confirmations) = mpsc::unbounded_channel();
            let sent = async {
                let script = self.script(host, &batch, opens);
                let reply = transport.run(host, &script, &|line| self.hear(line, &to_confirm)).await;
                drop(to_confirm);
                reply
            };
            let (reply, ()) = join(sent, self.confirm(transport, host, confirmations)).await;
            opens = false;
            self.close(host, &batch, reply);
        }
    }

    /// After a failure: what ends something that was begun, where all that it comes after came to its good end.
    fn closing(&self, book: &mut Book, host: &HostName) -> Next {
        let (mut batch, mut waiting) = (Vec::new(), false);
        for step in self.plan.steps.iter().filter(|s| s.host == *host && s.change.is_closing && !s.after.is_empty()) {
            if book.states[step.id] != State::Waiting {
                continue;
            }
            if step.after.iter().all(|before| book.states[*before] == State::Done) {
                batch.push(step.id);
            } else if !step.after.iter().any(|b| matches!(book.states[*b], State::Waiting | State::Failed)) {
                waiting = true;
            }
        }
        if batch.is_empty() {
            return if waiting { Next::Wait } else { Next::Over };
        }
        for id in &batch {
            book.states[*id] = State::Sent;
        }
        Next::Batch(batch)
    }

    /// What this host does next: every step whose predecessors are done, or come before it in the same batch.
    fn next(&self, host: &HostName) -> Next {
        let mut book = self.book();
        if book.halted {
            return self.closing(&mut book, host);
        }
        let mut batch: Vec<StepId> = Vec::new();
        let mut waiting = false;
        for step in self.plan.steps.iter().filter(|s| s.host == *host) {
            match book.states[step.id] {
                State::Waiting => {}
                _ => continue,
            }
            if step.after.iter().all(|before| book.states[*before] == State::Done || batch.contains(before)) {
                batch.push(step.id);
            } else {
                waiting = true;
            }
        }
        if batch.is_empty() && !waiting {
            return Next::Over;
        }
        if batch.is_empty() {
            return Next::Wait;
        }
        for id in &batch {
            book.states[*id] = State::Sent;
        }
        Next::Batch(batch)
    }

    /// Takes one line of a running batch in.
    fn hear(&self, line: &str, to_confirm: &mpsc::UnboundedSender<StepId>) {
        let Some(rest) = line.strip_prefix('@') else { return };
        let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let (id, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let Some(step) = id.parse::<StepId>().ok().and_then(|id| self.plan.steps.get(id)) else { return };
        match word {
            "start" => {
                self.book().states[step.id] = State::Running(Instant::now());
                self.tell(Event::StepStarted {
                    step: step.id,
                    host: step.host.clone(),
                    summary: step.change.summary.clone(),
                });
            }
            "out" => {
                let line = self.redact(text);
                self.book().output.entry(step.id).or_default().push(line.clone());
                self.tell(Event::StepOutput { step: step.id, host: step.host.clone(), line });
            }
            "done" if step.change.confirm.is_some() => {
                // The receiver lives as long as the batch.
                let _ = to_confirm.send(step.id);
            }
            "done" => self.done(step.id),
            "fail" => {
                let why = match self.book().output.get(&step.id) {
                    Some(lines) if !lines.is_empty() => lines.join("\n"),
                    _ => format!("its script ended with status {text} and said nothing"),
                };
                self.fail(step.id, why);
            }
            _ => {}
        }
    }

    /// Confirms what undoes itself otherwise, over a connection of its own.
    async fn confirm(&self, transport: &impl Transport, host: &HostName, mut steps: mpsc::UnboundedReceiver<StepId>) {
        while let Some(id) = steps.recv().await {
            let Some(confirm) = &self.step(id).change.confirm else { continue };
            let guarded = Script::new().line("set -eu").then(confirm);
            let why = match transport.run_fresh(host, &guarded).await {
                Ok(reply) if reply.status == 0 => {
                    self.done(id);
                    continue;
                }
                Ok(reply) => self.redact(reply.stderr.trim()),
                Err(error) => format!("a new login did not come through: {}", error.what),
            };
            self.revert(transport, host, id, why).await;
        }
    }

    /// What nothing confirmed is undone at once where the connection that is there still holds, and by the host itself else.
    async fn revert(&self, transport: &impl Transport, host: &HostName, id: StepId, why: String) {
        let recall = self.step(id).change.recall.as_ref().map(|r| Script::new().line("set -eu").then(r));
        let told = match &recall {
            Some(recall) => tokio::time::timeout(RECALL, transport.run(host, recall, &|_| {})).await.ok(),
            None => None,
        };
        let (is_undone, what) = match told {
            Some(Ok(reply)) if reply.status == 0 => (true, self.redact(String::from_utf8_lossy(&reply.stdout).trim())),
            Some(Ok(reply)) => (false, self.redact(reply.stderr.trim())),
            _ => (true, "the host puts back what was there before by itself".into()),
        };
        if is_undone {
            self.book().outcome.reverting.push(id);
        }
        self.fail(id, format!("{why}\n{what}"));
    }

    fn done(&self, id: StepId) {
        let millis = {
            let mut book = self.book();
            let millis = match book.states[id] {
                State::Running(since) => u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
                _ => 0,
            };
            book.states[id] = State::Done;
            book.outcome.done.push(id);
            millis
        };
        self.tell(Event::StepDone { step: id, host: self.step(id).host.clone(), millis });
        self.moved.send_modify(|n| *n += 1);
    }

    fn fail(&self, id: StepId, why: String) {
        {
            let mut book = self.book();
            book.states[id] = State::Failed;
            book.halted = true;
            book.outcome.failed.push((id, why.clone()));
        }
        self.tell(Event::StepFailed { step: id, host: self.step(id).host.clone(), why });
        self.moved.send_modify(|n| *n += 1);
    }

    /// Books what a batch left open when its exec ended.
    fn close(&self, host: &HostName, batch: &[StepId], reply: Result<crate::transport::Reply, TransportError>) {
        let running = {
            let book = self.book();
            batch.iter().copied().find(|id| matches!(book.states[*id], State::Running(_)))
        };
        let is_open = { self.book().states.iter().enumerate().any(|(id, s)| batch.contains(&id) && *s == State::Sent) };
        match reply {
            Ok(reply) if reply.status == HELD && running.is_none() => {
                let lease = Lease::read(&reply.stdout).unwrap_or_default();
                let mut book = self.book();
                book.outcome.locked.push((host.clone(), lease));
                book.halted = true;
            }
            Ok(reply) => {
                let said = self.redact(reply.stderr.trim());
                if let Some(id) = running {
                    self.fail(id, format!("its script was ended from outside (status {}) {said}", reply.status));
                } else if (is_open && !self.book().halted) || (batch.is_empty() && reply.status != 0) {
                    let error = unfit(host, "its steps could not be begun", reply.status, &said);
                    let mut book = self.book();
                    book.outcome.errors.push(error);
                    book.halted = true;
                }
            }
            Err(error) => {
                if let Some(id) = running {
                    self.fail(id, error.to_string());
                }
                let mut book = self.book();
                book.outcome.errors.push(error);
                book.halted = true;
            }
        }
        if is_open {
            let mut book = self.book();
            book.halted = true;
            // What was sent and not begun never is.
            for id in batch {
                if book.states[*id] == State::Sent {
                    book.states[*id] = State::Waiting;
                }
            }
        }
        self.moved.send_modify(|n| *n += 1);
    }

    /// One exec: the lock, then each step in a subshell of its own. All of it is one group, which sh reads to its end before
    /// it begins, so a script that is cut off on its way does nothing at all. A step's output goes to memory, never to the
    /// pipe, so that a step that runs when the connection dies ends in peace (domain notes, "SSH dies mid-apply"); nothing is
    /// begun after it. Each step's lock is held by a shell of its own, which whatever the step starts does not inherit: where
    /// the shell of the batch is killed, the lock stays until the step has ended. The journal has a step's beginning on the
    /// disk before it is begun; `opens` makes the generation first.
    fn script(&self, host: &HostName, batch: &[StepId], opens: bool) -> Script {
        let (claim, number): (&Claim, u64) = (self.leases.claim(), self.header.number);
        let mut script = Script::new()
            .line("{")
            .line("export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; umask 022; cd /")
            .then(&lease::hold(claim))
            .line("tmp=/run/foobar.apply; rm -rf \"$tmp\"; mkdir -m 700 \"$tmp\" || exit 74")
            .line(format!("trap 'rm -rf \"$tmp\" {STATE_DIR}/stage.*' EXIT; trap 'exit 141' PIPE"));
        if opens {
            script = script.then(&journal::open(&self.header, journal::steps_of(self.plan, host)));
        }
        script = script.then(&journal::words(number));
        let sync = journal::sync(number);
        for step in batch.iter().map(|id| self.step(*id)) {
            let id = step.id;
            let progress = format!("step {} of {}: {}", id + 1, self.plan.steps.len(), step.change.summary);
            let (failed, done) = (journal::ended(step, "failed"), journal::ended(step, "done"));
            script = script
                .line(format!("{} && {} || exit 74", lease::note(claim, &progress), journal::begun(number, step)))
                .line(format!("echo '@start {id}'"))
                .line("( ( set -eu")
                .then(&step.change.script)
                .line(") </dev/null >\"$tmp/out\" 2>&1 9<&-; exit $? )")
                .line(format!("rc=$?; [ $rc = 0 ] || {{ {failed}; {sync}; tail -n 30 \"$tmp/out\" | sed 's/^/@out {id} /'; echo; echo \"@fail {id} $rc\"; exit 1; }}"))
                .line(format!("{done}; echo '@done {id}'"));
        }
        if !batch.is_empty() {
            script = script.line(sync);
        }
        script.line("exit 0").line("}")
    }

    /// A text without any secret of this run: daemons like to quote what they could not digest.
    fn redact(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for (name, value) in self.secrets.iter() {
            for part in value.expose().lines().filter(|l| l.len() >= 6) {
                if out.contains(part) {
                    out = out.replace(part, &format!("(secret {name})"));
                }
            }
        }
        out
    }
}

enum Next {
    Over,
    Wait,
    Batch(Vec<StepId>),
}

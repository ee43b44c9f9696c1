//! Carries a plan out: a ready-queue over its graph. Each host runs one batch of steps at a time, all that its own order
//! and the other hosts allow, in one exec whose progress streams back. After a failure nothing new is begun anywhere but what
//! ends something that was begun, or takes back what did not prove itself (`back.rs`), and nothing at all on a host whose
//! lease is the run's no more. What a step does is none of this file's business.

use super::{
    course::{Book, Course, Next, Outcome, Run, State},
    observe::unfit,
};
use crate::{
    base::{name::HostName, secret::Secrets},
    event::{Event, Events},
    plan::{
        Plan, StepId,
        journal::{self, Header},
        lease::{HELD, Lease},
    },
    transport::{Transport, TransportError},
};
use futures_util::future::{join, join_all};
use std::{collections::BTreeMap, sync::Mutex, time::Instant};
use tokio::sync::{mpsc, watch};

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
        boots: BTreeMap::new(),
        outcome: Outcome::default(),
        halted: false,
        silence: BTreeMap::new(),
        ways: BTreeMap::new(),
    };
    let (book, moved, undoes) = (Mutex::new(book), watch::channel(0).0, run.undoes);
    let run = Course { plan, secrets, leases, header, undoes, events, book, moved };
    run.tell(Event::ApplyStarted { steps: plan.steps.len() });
    join_all(plan.hosts.iter().map(|host| run.host(transport, host))).await;

    let mut book = run.book();
    let cause = book.outcome.failed.first().map(|(step, _)| *step);
    for step in &plan.steps {
        let has_failed = book.outcome.failed.iter().any(|(failed, _)| *failed == step.id);
        if matches!(book.states[step.id], State::Waiting | State::Sent) && !has_failed {
            book.outcome.skipped.push((step.id, cause));
            if let Some(cause) = cause {
                events.tell(Event::StepSkipped { step: step.id, host: step.host.clone(), cause });
            }
        }
    }
    book.outcome.is_rolled_back = run.is_rolled_back(&book);
    let word = if book.outcome.is_success() { "done" } else { "failed" };
    leases.at_the_end(journal::close(run.header.number, word, &book.outcome.reverting));
    std::mem::take(&mut book.outcome)
}

impl Course<'_> {
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
                Next::Back(group, steps) => {
                    let reply = transport.run(host, &self.back_script(&steps), &|_| {}).await;
                    self.went_back(host, group, &steps, reply);
                    continue;
                }
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
            if !self.reboot(transport, host, &batch).await {
                self.close(host, &batch, reply);
            }
        }
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
            // A host that goes down takes whatever is sent with it along.
            let is_alone = step.change.reboot.is_none() || batch.is_empty();
            if is_alone && step.after.iter().all(|before| book.states[*before] == State::Done || batch.contains(before))
            {
                batch.push(step.id);
                if step.change.reboot.is_some() {
                    break;
                }
            } else {
                waiting = true;
            }
        }
        if batch.is_empty() && !waiting && !self.is_on_trial(&book, host) {
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
            "boot" => drop(self.book().boots.insert(step.id, text.to_owned())),
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

    pub(super) fn done(&self, id: StepId) {
        let millis = {
            let mut book = self.book();
            let millis = match book.states[id] {
                State::Running(since) => u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
                _ => 0,
            };
            book.states[id] = State::Done;
            let has_failed = book.outcome.failed.iter().any(|(failed, _)| *failed == id);
            if has_failed {
                book.outcome.recovered.push(id);
            } else if !book.outcome.done.contains(&id) {
                book.outcome.done.push(id);
            }
            self.left(&mut book);
            millis
        };
        self.tell(Event::StepDone { step: id, host: self.step(id).host.clone(), millis });
        self.moved.send_modify(|n| *n += 1);
    }

    pub(super) fn fail(&self, id: StepId, why: String) {
        self.fail_as(id, why, true);
    }

    /// `heard` is false where nobody knows how far it came, as its host is silent.
    fn fail_as(&self, id: StepId, why: String, heard: bool) {
        {
            let mut book = self.book();
            book.states[id] = State::Failed;
            book.halted = true;
            book.outcome.failed.push((id, why.clone()));
            if !heard {
                book.outcome.unheard.push(id);
            }
            self.turn_back(&mut book, id, heard);
            self.left(&mut book);
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
        if reply.is_ok() {
            self.book().silence.remove(host);
        }
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
                    self.fail_as(id, error.to_string(), false);
                }
                let mut book = self.book();
                *book.silence.entry(host.clone()).or_default() += 1;
                if !book.outcome.errors.iter().any(|known| known.host == error.host) {
                    book.outcome.errors.push(error);
                }
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
}

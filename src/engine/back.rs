//! What a run still does after a failure: a host that was taken out of service goes on to its end and is put back, and a
//! group whose proof failed goes back to what it was, its own host alone. Nothing else is begun. What a way back consists
//! of, the steps say.

use super::course::{Book, Course, Next, State, Undone, Way};
use crate::{
    base::{name::HostName, script::Script},
    event::Event,
    plan::{Step, StepId, journal, lease},
    resource::{STATE_DIR, undo::Turn},
    transport::{Reply, TransportError},
};

impl Course<'_> {
    /// Notes that a step has ended: a host that is taken out for its way back may be out now. One that cannot be taken out is
    /// no better off as it is.
    pub(super) fn left(&self, book: &mut Book) {
        for (at, way) in &mut book.ways {
            let drains = &self.plan.groups[*at].drains;
            let is_out = |drain: &StepId| matches!(book.states[*drain], State::Done | State::Failed);
            if *way == Way::Leaving && drains.iter().all(is_out) {
                *way = Way::Due;
            }
        }
    }

    /// Notes that a failed step's group has to go back, if it can. `heard` is false where the host itself is silent.
    pub(super) fn turn_back(&self, book: &mut Book, failed: StepId, heard: bool) {
        if !heard || !self.undoes {
            return;
        }
        for (at, group) in self.plan.groups.iter().enumerate() {
            let is_known = book.ways.contains_key(&at);
            if group.holds(failed) && !is_known && !self.way_back(book, at).is_empty() {
                // Whoever was put back and fails while it is watched is not restarted under its visitors.
                let serves = group.gates.iter().any(|gate| book.states[*gate] == State::Done);
                let way = if serves && !group.drains.is_empty() { Way::Leaving } else { Way::Due };
                if way == Way::Leaving {
                    group.drains.iter().for_each(|drain| book.states[*drain] = State::Waiting);
                }
                book.ways.insert(at, way);
            }
        }
    }

    /// Whether every failed step is undone, or on its way by itself, and whoever served before is known to serve again.
    pub(super) fn is_rolled_back(&self, book: &Book) -> bool {
        let is_back = |failed: StepId| {
            let mut groups = self.plan.groups.iter().enumerate().filter(|(_, g)| g.holds(failed));
            groups.any(|(at, group)| match book.ways.get(&at) {
                Some(Way::Quiet) => true,
                Some(Way::Back) => group.gates.iter().all(|gate| book.states[*gate] == State::Done),
                _ => false,
            })
        };
        let all = &book.outcome.failed;
        !all.is_empty() && all.iter().all(|(id, _)| book.outcome.reverting.contains(id) || is_back(*id))
    }

    fn way_back(&self, book: &Book, group: usize) -> Vec<StepId> {
        let is_begun = |id: StepId| !matches!(book.states[id], State::Waiting | State::Sent);
        self.plan.groups[group].way_back(self.plan, is_begun)
    }

    /// Whether something of this host may still have to go back: its proof is made elsewhere and has not ended.
    pub(super) fn is_on_trial(&self, book: &Book, host: &HostName) -> bool {
        self.plan.groups.iter().enumerate().any(|(at, group)| {
            if group.host(self.plan) != Some(host) {
                return false;
            }
            let can_end = |gate: &StepId| match book.states[*gate] {
                State::Running(_) | State::Sent => true,
                State::Waiting => !book.halted || self.is_next(book, *gate),
                _ => false,
            };
            let is_begun = group.steps.iter().any(|id| book.states[*id] != State::Waiting);
            matches!(book.ways.get(&at), Some(Way::Leaving | Way::Due | Way::Running))
                || (is_begun && group.gates.iter().chain(&group.watches).any(can_end))
        })
    }

    /// After a failure, whether a step that was not begun is to be: it ends something that was begun, or its host is out of
    /// service for it, and all that it comes after has come to its end or may still do so.
    fn is_next(&self, book: &Book, id: StepId) -> bool {
        let step = self.step(id);
        let group = self.plan.groups.iter().position(|g| g.holds(id));
        let way = group.and_then(|at| book.ways.get(&at));
        let belongs = group.map(|at| &self.plan.groups[at]);
        let is_gate = belongs.is_some_and(|g| g.gates.contains(&id));
        let is_out = |g: &&crate::plan::group::Group| {
            g.drains.iter().any(|d| matches!(book.states[*d], State::Running(_) | State::Done))
        };
        let is_wanted = if is_gate {
            // The proof of what went back is that it serves again.
            !matches!(way, Some(Way::Broken | Way::Quiet))
        } else {
            way.is_none() && (step.change.is_closing && !step.after.is_empty() || belongs.filter(is_out).is_some())
        };
        is_wanted
            && !book.is_silent(&step.host)
            && step.after.iter().all(|before| match book.states[*before] {
                State::Done | State::Running(_) | State::Sent => true,
                State::Waiting if is_gate && way.is_some() => true,
                State::Waiting => self.is_next(book, *before),
                State::Undone => is_gate,
                State::Failed => is_gate && way.is_some(),
            })
    }

    /// After a failure: what this host still has to do.
    pub(super) fn closing(&self, book: &mut Book, host: &HostName) -> Next {
        if book.is_silent(host) {
            return Next::Over;
        }
        let groups = || self.plan.groups.iter().enumerate();
        let due = groups().find(|(at, g)| g.host(self.plan) == Some(host) && book.ways.get(at) == Some(&Way::Due));
        if let Some((at, _)) = due {
            book.ways.insert(at, Way::Running);
            return Next::Back(at, self.way_back(book, at));
        }
        // A gate that failed, or that waits for what goes back, is asked again afterwards.
        let is_open = |way: Option<&Way>| matches!(way, Some(Way::Leaving | Way::Due | Way::Running));
        let mut waiting = self.is_on_trial(book, host)
            || groups().any(|(at, g)| {
                is_open(book.ways.get(&at)) && g.gates.iter().any(|gate| self.step(*gate).host == *host)
            });
        let leaves =
            |id: &StepId| groups().any(|(at, g)| book.ways.get(&at) == Some(&Way::Leaving) && g.drains.contains(id));
        let of_host = |s: &&Step| s.host == *host && book.states[s.id] == State::Waiting;
        let mut batch: Vec<StepId> =
            self.plan.steps.iter().filter(of_host).map(|s| s.id).filter(|id| leaves(id)).collect();
        for step in self.plan.steps.iter().filter(|s| s.host == *host) {
            if book.states[step.id] != State::Waiting || batch.contains(&step.id) || !self.is_next(book, step.id) {
                continue;
            }
            let at = self.plan.groups.iter().position(|g| g.gates.contains(&step.id));
            let way = at.and_then(|at| book.ways.get(&at));
            if is_open(way) {
                continue;
            }
            let is_back = |before: &StepId| {
                way == Some(&Way::Back)
                    && matches!(book.states[*before], State::Waiting | State::Failed | State::Undone)
            };
            let is_ready = step
                .after
                .iter()
                .all(|before| book.states[*before] == State::Done || batch.contains(before) || is_back(before));
            if is_ready {
                batch.push(step.id);
            } else {
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

    /// One exec under the run's lock: each part in a shell of its own, as steps are; the first that fails is the last.
    pub(super) fn back_script(&self, steps: &[StepId]) -> Script {
        let number = self.header.number;
        let mut script = Script::new()
            .line("{")
            .line("export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; umask 022; cd /")
            .then(&lease::hold(self.leases.claim()))
            .line("tmp=/run/foobar.apply; rm -rf \"$tmp\"; mkdir -m 700 \"$tmp\" || exit 74")
            .line(format!("trap 'rm -rf \"$tmp\" {STATE_DIR}/stage.*' EXIT; trap 'exit 141' PIPE"))
            .then(&journal::words(number));
        let sync = journal::sync(number);
        for id in steps {
            let step = self.step(*id);
            let Some(undo) = &step.change.undo else { continue };
            let progress = format!("after a failure: {}", undo.summary);
            let (failed, undone) = (journal::ended(step, "failed"), journal::ended(step, "undone"));
            script = script
                .line(format!("{} || exit 74", lease::note(self.leases.claim(), &progress)))
                .line("( ( set -eu")
                .then(&undo.script)
                .line(") </dev/null >\"$tmp/out\" 2>&1 9<&-; exit $? )")
                .line(format!("rc=$?; [ $rc = 0 ] || {{ {failed}; {sync}; echo '@stuck {id}'; tail -n 30 \"$tmp/out\" | sed 's/^/@why /'; exit 1; }}"))
                .line(format!("{undone}; echo '@undone {id}'"));
        }
        script.line(sync).line("exit 0").line("}")
    }

    /// Books how a way back ended.
    pub(super) fn went_back(
        &self,
        host: &HostName,
        group: usize,
        steps: &[StepId],
        reply: Result<Reply, TransportError>,
    ) {
        let (said, problem) = match reply {
            Ok(reply) => {
                let stuck = (reply.status != 0).then(|| format!("it ended with status {}", reply.status));
                (String::from_utf8_lossy(&reply.stdout).into_owned(), stuck)
            }
            Err(error) => (String::new(), Some(error.to_string())),
        };
        let mut all = Vec::new();
        let mut why: Vec<String> = Vec::new();
        let mut stuck = None;
        for line in said.lines() {
            if let Some(id) = line.strip_prefix("@undone ").and_then(|id| id.parse().ok()) {
                all.push(id);
            } else if let Some(id) = line.strip_prefix("@stuck ").and_then(|id| id.parse::<StepId>().ok()) {
                stuck = Some(id);
            } else if let Some(line) = line.strip_prefix("@why ") {
                why.push(self.redact(line));
            }
        }
        let missing = steps.iter().find(|id| !all.contains(*id));
        let broken = (problem.is_some() || missing.is_some()).then(|| {
            let what = stuck.or(missing.copied()).and_then(|id| self.step(id).change.undo.as_ref());
            let what = what.map(|u| u.summary.clone()).unwrap_or_default();
            if why.is_empty() {
                why.extend(problem);
            }
            format!("{what}: {}", why.join("\n"))
        });
        {
            let mut book = self.book();
            for id in &all {
                book.states[*id] = State::Undone;
                book.outcome.done.retain(|done| done != id);
            }
            let group_of = &self.plan.groups[group];
            let is_begun = |id: &StepId| !matches!(book.states[*id], State::Waiting | State::Sent);
            let resumes = |id: &StepId| self.step(*id).change.undo.as_ref().is_some_and(|u| u.turn == Turn::Resume);
            let is_felt = all.iter().any(resumes) || group_of.drains.iter().chain(&group_of.gates).any(is_begun);
            let way = match (&broken, is_felt) {
                (Some(_), _) => Way::Broken,
                (None, true) => Way::Back,
                (None, false) => Way::Quiet,
            };
            if way == Way::Back {
                for gate in &group_of.gates {
                    if matches!(book.states[*gate], State::Failed | State::Done) {
                        book.states[*gate] = State::Waiting;
                    }
                }
            }
            book.ways.insert(group, way);
            book.outcome.undone.push(Undone { host: host.clone(), steps: all.clone(), broken: broken.clone() });
        }
        for step in all {
            let summary = self.step(step).change.undo.as_ref().map(|u| u.summary.clone()).unwrap_or_default();
            self.tell(Event::StepUndone { step, host: host.clone(), summary });
        }
        if let Some(why) = broken {
            self.tell(Event::UndoFailed { host: host.clone(), why });
        }
        self.moved.send_modify(|n| *n += 1);
    }
}

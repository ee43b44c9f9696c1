//! The script of one batch: what a host runs of its steps in one exec.

use super::course::Course;
use crate::{
    base::{name::HostName, script::Script},
    plan::{
        StepId, journal,
        lease::{self, Claim},
    },
    resource::STATE_DIR,
};

impl Course<'_> {
    /// One exec: the lock, then each step in a subshell of its own. All of it is one group, which sh reads to its end before
    /// it begins, so a script that is cut off on its way does nothing at all. A step's output goes to memory, never to the
    /// pipe, so that a step that runs when the connection dies ends in peace (domain notes, "SSH dies mid-apply"); nothing is
    /// begun after it. Each step's lock is held by a shell of its own, which whatever the step starts does not inherit: where
    /// the shell of the batch is killed, the lock stays until the step has ended. The journal has a step's beginning on the
    /// disk before it is begun; `opens` makes the generation first.
    pub(super) fn script(&self, host: &HostName, batch: &[StepId], opens: bool) -> Script {
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
            let failed = journal::ended(step, "failed");
            // What waits for its confirmation has not ended yet.
            let done = step.change.confirm.as_ref().map_or_else(|| journal::ended(step, "done"), |_| ":".into());
            // A host that goes down ends what runs there, the step's own shell too. It is done when the host is back.
            let (boot, ended, done) = match step.change.reboot {
                Some(_) => (format!("echo \"@boot {id} $l_boot\""), "[ $rc -gt 128 ] || ", "exit 0".to_owned()),
                None => (String::new(), "", format!("{done}; echo '@done {id}'")),
            };
            script = script
                .line(format!("{} && {} || exit 74", lease::note(claim, &progress), journal::begun(number, step)))
                .line(boot)
                .line(format!("echo '@start {id}'"))
                .line("( ( set -eu")
                .then(&step.change.script)
                .line(") </dev/null >\"$tmp/out\" 2>&1 9<&-; exit $? )")
                .line(format!("rc=$?; [ $rc = 0 ] || {ended}{{ {failed}; {sync}; tail -n 30 \"$tmp/out\" | sed 's/^/@out {id} /'; echo; echo \"@fail {id} $rc\"; exit 1; }}"))
                .line(done);
        }
        if !batch.is_empty() {
            script = script.line(sync);
        }
        script.line("exit 0").line("}")
    }
}

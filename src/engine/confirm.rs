//! Changes that undo themselves on their host unless a new login confirms them: the connection that brought them would hide
//! that nobody can log in any more. What is confirmed is none of this file's business.

use super::course::Course;
use crate::{
    base::{name::HostName, script::Script},
    event::Event,
    plan::{StepId, journal},
    transport::Transport,
};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long undoing at once may take; then it is left to the host.
const RECALL: Duration = Duration::from_secs(15);

impl Course<'_> {
    /// Confirms the steps of a batch as they end, each over a connection of its own.
    pub(super) async fn confirm(
        &self,
        transport: &impl Transport,
        host: &HostName,
        mut steps: mpsc::UnboundedReceiver<StepId>,
    ) {
        while let Some(id) = steps.recv().await {
            let Some(confirm) = &self.step(id).change.confirm else { continue };
            // The journal has the step's end only now: until then it is one that was begun.
            let noted = journal::confirmed(self.header.number, self.step(id));
            let script = Script::new().line("{ set -eu").then(confirm).then(&noted).line("exit 0; }");
            let why = match transport.run_fresh(host, &script).await {
                Ok(reply) if reply.status == 0 => {
                    self.done(id);
                    continue;
                }
                Ok(reply) if reply.stderr.trim().is_empty() => {
                    format!("its confirmation ended with status {} and said nothing", reply.status)
                }
                Ok(reply) => self.redact(reply.stderr.trim()),
                Err(error) => format!("a new login did not come through: {}", error.what),
            };
            self.recall(transport, host, id, why).await;
        }
    }

    /// What nothing confirmed is undone at once where the connection that is there still holds, and by the host itself else.
    async fn recall(&self, transport: &impl Transport, host: &HostName, id: StepId, why: String) {
        let script =
            self.step(id).change.recall.as_ref().map(|r| Script::new().line("{ set -eu").then(r).line("exit 0; }"));
        let told = match &script {
            Some(script) => tokio::time::timeout(RECALL, transport.run(host, script, &|_| {})).await.ok(),
            None => None,
        };
        let (back, what) = match told {
            Some(Ok(reply)) if reply.status == 0 => {
                (Some(self.redact(String::from_utf8_lossy(&reply.stdout).trim())), String::new())
            }
            Some(Ok(reply)) => (None, format!("\n{}", self.redact(reply.stderr.trim()))),
            _ => {
                self.book().outcome.reverting.push(id);
                (None, "\nthe host puts back what was there before by itself".into())
            }
        };
        if back.is_some() {
            self.book().outcome.reverting.push(id);
        }
        self.fail(id, format!("{why}{what}"));
        if let Some(summary) = back {
            self.tell(Event::StepUndone { step: id, host: host.clone(), summary });
        }
    }
}

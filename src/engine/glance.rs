//! Asks every host a little at once, and waits for none of them too long: whoever is silent is told beside those that answer.
//! What is asked is not known here.

use super::observe::understood;
use crate::{
    base::{name::HostName, script::Script},
    event::{Event, Events},
    resource::Observation,
    transport::{Transport, TransportError, TransportErrorKind},
};
use futures_util::future::join_all;
use std::time::{Duration, Instant};

/// Every host's answer, or why it gave none, in the order of the questions; one exec each.
pub async fn glance(
    transport: &impl Transport,
    asked: &[(HostName, Script)],
    longest: Duration,
    events: &Events,
) -> Vec<Result<Observation, TransportError>> {
    events.tell(Event::ObserveStarted { hosts: asked.len() });
    join_all(asked.iter().map(|(host, script)| async move {
        let started = Instant::now();
        events.tell(Event::Connecting { host: host.clone() });
        let reply = tokio::time::timeout(longest, transport.run(host, script, &|_| {})).await;
        let reply = reply.unwrap_or_else(|_| {
            Err(TransportError {
                host: host.clone(),
                kind: TransportErrorKind::Lost,
                what: format!("its connection stands, and it gave no answer within {} s", longest.as_secs()),
                help: "the way to it may be cut, or its disk or memory exhausted: look at its console".into(),
            })
        })?;
        let seen = understood(host, &reply)?;
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        events.tell(Event::Observed { host: host.clone(), millis });
        Ok(seen)
    }))
    .await
}

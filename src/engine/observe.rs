//! Asks every host at once what it is: one exec each. What is asked comes from `plan/observe.rs`.

use crate::{
    base::name::HostName,
    component::Desired,
    event::{Event, Events},
    plan,
    resource::Observation,
    transport::{Transport, TransportError, TransportErrorKind},
};
use futures_util::future::join_all;
use std::{collections::BTreeMap, time::Instant};

/// Every host's answer, or why each of the silent ones is silent: all hosts are asked, also when one fails.
pub async fn observe(
    transport: &impl Transport,
    hosts: &[HostName],
    desired: &Desired,
    events: &Events,
) -> Result<BTreeMap<HostName, Observation>, Vec<TransportError>> {
    let tell = |event| events.tell(event);
    tell(Event::ObserveStarted { hosts: hosts.len() });
    let ask = |host: &HostName| {
        let host = host.clone();
        async move {
            let started = Instant::now();
            tell(Event::Connecting { host: host.clone() });
            let script = plan::observe::script(desired.wanted.iter().filter(|w| w.host == host));
            let reply = transport.run(&host, &script, &|_| {}).await?;
            let observation = plan::observe::parse(&reply.stdout).map_err(|what| {
                let said = reply.stderr.lines().last().unwrap_or_default();
                let sep = if said.is_empty() { "" } else { ": " };
                TransportError {
                    host: host.clone(),
                    kind: TransportErrorKind::Lost,
                    what: format!("{what} (after {} bytes, status {}){sep}{said}", reply.stdout.len(), reply.status),
                    help: "log in by hand and see that `sh -c 'echo hello'` prints hello and nothing else".into(),
                }
            })?;
            let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            tell(Event::Observed { host: host.clone(), millis });
            Ok((host, observation))
        }
    };
    let answers = join_all(hosts.iter().map(ask)).await;
    let mut seen = BTreeMap::new();
    let mut silent = Vec::new();
    for answer in answers {
        match answer {
            Ok((host, observation)) => {
                seen.insert(host, observation);
            }
            Err(error) => silent.push(error),
        }
    }
    if silent.is_empty() { Ok(seen) } else { Err(silent) }
}

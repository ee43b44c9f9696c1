//! Asks every host at once what it is: one exec each. What is asked comes from `plan/observe.rs`.

use crate::{
    base::{name::HostName, script::Script},
    component::Desired,
    event::{Event, Events},
    plan::{
        self,
        lease::{HELD, Lease},
    },
    resource::{Observation, STATE_DIR},
    transport::{Reply, Transport, TransportError, TransportErrorKind},
};
use futures_util::future::join_all;
use std::{collections::BTreeMap, time::Instant};

/// Why a run did not get its hosts.
#[derive(Debug, Default)]
pub struct Blocked {
    /// Hosts that could not be asked.
    pub errors: Vec<TransportError>,
    /// Hosts that are another run's.
    pub held: Vec<(HostName, Lease)>,
}

/// What comes before the questions, for each host, in the same exec: what takes a lease there.
#[derive(Clone, Copy)]
pub struct Under<'a>(pub &'a dyn Fn(&HostName) -> Option<Script>);

/// Every host's answer, or why each of the silent ones is silent: all hosts are asked, also when one fails.
pub async fn observe(
    transport: &impl Transport,
    hosts: &[HostName],
    desired: &Desired,
    events: &Events,
) -> Result<BTreeMap<HostName, Observation>, Vec<TransportError>> {
    observe_under(transport, hosts, desired, Under(&|_| None), events).await.map_err(|blocked| blocked.errors)
}

/// The same, with something before the questions that may find a host to be another run's.
pub async fn observe_under(
    transport: &impl Transport,
    hosts: &[HostName],
    desired: &Desired,
    under: Under<'_>,
    events: &Events,
) -> Result<BTreeMap<HostName, Observation>, Blocked> {
    let (seen, silent) = ask(transport, hosts, desired, under, events).await;
    if silent.errors.is_empty() && silent.held.is_empty() { Ok(seen) } else { Err(silent) }
}

/// The answers of the hosts that gave one, and why the others gave none.
pub async fn whoever_answers(
    transport: &impl Transport,
    hosts: &[HostName],
    desired: &Desired,
    events: &Events,
) -> (BTreeMap<HostName, Observation>, Vec<TransportError>) {
    let (seen, silent) = ask(transport, hosts, desired, Under(&|_| None), events).await;
    (seen, silent.errors)
}

async fn ask(
    transport: &impl Transport,
    hosts: &[HostName],
    desired: &Desired,
    under: Under<'_>,
    events: &Events,
) -> (BTreeMap<HostName, Observation>, Blocked) {
    let tell = |event| events.tell(event);
    tell(Event::ObserveStarted { hosts: hosts.len() });
    let ask = |host: &HostName| {
        let host = host.clone();
        async move {
            let started = Instant::now();
            tell(Event::Connecting { host: host.clone() });
            let before = under.0(&host);
            let is_leased = before.is_some();
            let script = plan::observe::script(desired.wanted.iter().filter(|w| w.host == host));
            let script = before.unwrap_or_default().then(&script);
            let reply = transport.run(&host, &script, &|_| {}).await.map_err(Silence::Error)?;
            if is_leased && reply.status != 0 {
                return Err(match Lease::read(&reply.stdout).filter(|_| reply.status == HELD) {
                    Some(lease) => Silence::Held(host, lease),
                    None => Silence::Error(unfit(&host, "its lease could not be taken", reply.status, &reply.stderr)),
                });
            }
            let observation = understood(&host, &reply).map_err(Silence::Error)?;
            let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            tell(Event::Observed { host: host.clone(), millis });
            Ok((host, observation))
        }
    };
    let answers = join_all(hosts.iter().map(ask)).await;
    let mut seen = BTreeMap::new();
    let mut silent = Blocked::default();
    for answer in answers {
        match answer {
            Ok((host, observation)) => {
                seen.insert(host, observation);
            }
            Err(Silence::Error(error)) => silent.errors.push(error),
            Err(Silence::Held(host, lease)) => silent.held.push((host, lease)),
        }
    }
    (seen, silent)
}

/// What a host's reply says.
pub(super) fn understood(host: &HostName, reply: &Reply) -> Result<Observation, TransportError> {
    plan::observe::parse(&reply.stdout).map_err(|what| {
        let said = reply.stderr.lines().last().unwrap_or_default();
        let sep = if said.is_empty() { "" } else { ": " };
        TransportError {
            host: host.clone(),
            kind: TransportErrorKind::Lost,
            what: format!("{what} (after {} bytes, status {}){sep}{said}", reply.stdout.len(), reply.status),
            help: "log in by hand and see that `sh -c 'echo hello'` prints hello and nothing else".into(),
        }
    })
}

/// Why one host gave no answer.
enum Silence {
    Error(TransportError),
    Held(HostName, Lease),
}

/// The error of a host whose state directory cannot be used.
pub(super) fn unfit(host: &HostName, what: &str, status: i32, stderr: &str) -> TransportError {
    TransportError {
        host: host.clone(),
        kind: TransportErrorKind::Lost,
        what: format!("{what} (status {status}): {}", stderr.trim()),
        help: format!("see that {} can be written by root and that the disk is not full", STATE_DIR),
    }
}

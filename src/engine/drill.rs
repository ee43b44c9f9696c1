//! A drill: something is taken away on one host while another one asks for the site all the time, and is put back. The
//! scripts say what and how; the host puts it back by itself where nobody is left to do it.

use super::lease::Leases;
use crate::{
    base::{name::HostName, script::Script},
    plan::lease,
    transport::{Transport, TransportError},
};
use std::time::Duration;
use tokio::{sync::watch, time::timeout};

/// Good answers in a row after which the site counts as answering.
const ENOUGH: usize = 10;
/// How long these may take: before anything is taken away, and after it was put back.
const BEFORE: Duration = Duration::from_secs(15);
/// The same behind it: a service that starts, and a balancer that notices.
pub const AFTER: Duration = Duration::from_secs(45);

/// What is done, and where.
#[derive(Clone, Debug)]
pub struct Drill<'a> {
    /// Where something is taken away.
    pub host: &'a HostName,
    /// Takes it away, having armed what puts it back.
    pub take: Script,
    /// Puts it back; done twice, it does nothing.
    pub back: Script,
    /// How long it is away.
    pub away: Duration,
    /// Who asks meanwhile.
    pub from: &'a HostName,
    /// How.
    pub probe: Script,
    /// Ends the probe.
    pub stop: Script,
    /// Whether a line of the probe's tells of a good answer; none where it tells of none.
    pub is_good: fn(&str) -> Option<bool>,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was away and was put back; whether the site answers since.
    Back(bool),
    /// The site did not answer before, and nothing was done.
    Unwell,
    /// It could not be taken away, or not be put back: what the host said.
    Failed(String),
}

/// What a drill showed.
#[derive(Debug)]
pub struct Seen {
    /// How it ended.
    pub ended: Ended,
    /// All that the probe said.
    pub probe: String,
    /// Hosts that could not be spoken to.
    pub errors: Vec<TransportError>,
}

/// Carries a drill out under leases that are held; `say` hears how far it is.
pub async fn drill(
    transport: &impl Transport,
    drill: &Drill<'_>,
    leases: &Leases,
    say: &(dyn Fn(&str) + Sync),
) -> Seen {
    let (told, mut heard) = watch::channel(0_usize);
    let on_line = |line: &str| {
        if let Some(is_good) = (drill.is_good)(line) {
            told.send_modify(|n| *n = if is_good { *n + 1 } else { 0 });
        }
    };
    let under =
        |script: &Script| Script::new().then(&lease::hold(leases.claim())).line("set -eu").then(script).line("exit 0");
    let on_host = async |script: &Script| match transport.run(drill.host, &under(script), &|_| {}).await {
        Ok(reply) if reply.status == 0 => Ok(()),
        Ok(reply) => Err((reply.stderr.trim().to_owned(), None)),
        Err(error) => Err((error.what.clone(), Some(error))),
    };
    let course = async {
        let mut errors = Vec::new();
        let ended = async {
            if !matches!(timeout(BEFORE, heard.wait_for(|n| *n >= ENOUGH)).await, Ok(Ok(_))) {
                return Ended::Unwell;
            }
            // Whatever becomes of this run, it is put back when its hosts are given back.
            leases.at_the_end(Script::new().line("(").then(&drill.back).line(") >&2 || :"));
            let taken = on_host(&drill.take).await;
            if taken.is_ok() {
                say("taken away");
                tokio::time::sleep(drill.away).await;
            }
            let back = on_host(&drill.back).await;
            if let Some((why, error)) = [taken, back].into_iter().find_map(Result::err) {
                errors.extend(error);
                return Ended::Failed(why);
            }
            say("put back");
            told.send_modify(|n| *n = 0);
            Ended::Back(matches!(timeout(AFTER, heard.wait_for(|n| *n >= ENOUGH)).await, Ok(Ok(_))))
        }
        .await;
        errors.extend(transport.run(drill.from, &drill.stop, &|_| {}).await.err());
        (ended, errors)
    };
    let (probed, (ended, mut errors)) = tokio::join!(transport.run(drill.from, &drill.probe, &on_line), course);
    let probe = match probed {
        Ok(reply) => String::from_utf8_lossy(&reply.stdout).into_owned(),
        Err(error) => {
            errors.push(error);
            String::new()
        }
    };
    Seen { ended, probe, errors }
}

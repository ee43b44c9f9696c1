//! Who of the database's servers has the writes: read off the servers, whatever the file says. A plan of changes follows
//! what they are, since moving a role is a switchover's business alone. Where that is not plain beyond doubt, the file's word
//! stands, and the servers' own resources say what is in the way.

use crate::{
    base::name::HostName,
    resource::{
        Observation, Refusal,
        database::CANARY,
        db_switch::Servers,
        dialect::{Dialect, Server},
    },
};
use std::collections::BTreeMap;

/// A server that has the writes, and that the file does not name as the primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// The server.
    pub host: HostName,
    /// Whom the file names.
    pub declared: HostName,
    /// Whether it takes writes now; else it is closed, as after every start, and the declared one follows it.
    pub is_open: bool,
}

/// Whether a server of the topology's has what foobar makes on a primary. One that its package has just started does not,
/// and takes writes all the same.
fn is_ours(server: &Server<'_>) -> bool {
    server.schemas().any(|schema| schema == CANARY)
}

/// Whether it takes writes and follows nobody.
fn writes(server: &Server<'_>) -> bool {
    server.is_running() && !server.is_on("read_only") && !server.is_replica() && is_ours(server)
}

/// Whether a declared primary is one no more: it does not run, is closed, or follows somebody, or has nothing. One that does
/// not run comes back closed: `foobar failover` goes on without such a one.
fn yields(server: &Server<'_>) -> bool {
    let is_closed = server.is_running() && server.is_on("read_only");
    let is_down = server.value("state") == Some("stopped");
    is_closed || is_down || server.is_replica() || server.is_resting_replica() || server.held().next().is_none()
}

/// The server that has the writes, where the file names another one and all of them agree. Two that take writes are refused.
pub fn other(servers: &Servers, seen: &BTreeMap<HostName, Observation>) -> Result<Option<Other>, Refusal> {
    let all: BTreeMap<&HostName, Server<'_>> = servers
        .hosts
        .iter()
        .filter_map(|(host, _)| Some((host, Server::new(servers.dialect, seen.get(host)?))))
        .collect();
    // One that answers nothing may be anything.
    let Some(declared) = all.get(&servers.primary).filter(|_| all.values().all(|s| s.trouble().is_none())) else {
        return Ok(None);
    };
    let named = servers.hosts.iter().map(|(host, _)| host);
    let open: Vec<&HostName> = named.filter(|host| all.get(host).is_some_and(writes)).collect();
    if let Some(refusal) = parted(servers.dialect, &open) {
        return Err(refusal);
    }
    let found =
        |host: &HostName, is_open| Some(Other { host: host.clone(), declared: servers.primary.clone(), is_open });
    Ok(match open.first() {
        None => followed(servers, &all).and_then(|host| found(host, false)),
        Some(host) if **host == servers.primary || !yields(declared) => None,
        Some(host) => found(host, true),
    })
}

/// The server that the declared primary follows, and every other one that follows any; itself it follows nobody.
fn followed<'a>(servers: &'a Servers, all: &BTreeMap<&'a HostName, Server<'_>>) -> Option<&'a HostName> {
    let sources = |host: &HostName| all.get(host)?.replica("Source_Host");
    let host = servers.at(sources(&servers.primary)?)?;
    let server = all.get(host)?;
    let is_followed = all.keys().all(|h| sources(h).is_none_or(|source| servers.at(source) == Some(host)));
    let is_head = !server.is_replica() && !server.is_resting_replica() && is_ours(server);
    (is_followed && is_head).then_some(host)
}

/// Why nothing is done where several take writes.
pub fn parted(dialect: Dialect, open: &[&HostName]) -> Option<Refusal> {
    let [_, .., last] = open else { return None };
    let names: Vec<&str> = open.iter().map(|h| h.as_str()).collect();
    Some(Refusal {
        host: (*last).clone(),
        what: format!("{} take writes at the same time, and their data part", names.join(" and ")),
        help: format!(
            "say `SET GLOBAL {}=ON` on the one that the site does not write to; `foobar plan` then says what only that one has",
            dialect.read_only()
        ),
    })
}

impl Other {
    /// What is said of it, a line each; `done` is what is done with it as the primary.
    pub fn notes(&self, file: &str, done: &str) -> [String; 2] {
        let Self { host, declared, .. } = self;
        let what = if self.is_open { "takes the writes".to_owned() } else { format!("is whom {declared} follows") };
        [format!("{host} {what}, and {file} names {declared}: {done} with {host} as the primary"), self.ways()]
    }

    /// How the two come to say the same again.
    pub fn ways(&self) -> String {
        let Self { host, declared, .. } = self;
        let once = if self.is_open { "" } else { "once it is open, " };
        format!("{once}`foobar switchover --to {host}` has the file say so; `--to {declared}` moves the writes there")
    }
}

#[cfg(test)]
#[path = "roles_tests.rs"]
mod tests;

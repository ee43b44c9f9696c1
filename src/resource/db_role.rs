//! What a database server is at run time and forgets when it stops: whether it takes writes, and whether each write waits
//! for a replica. Its files never say so, so that no restart ever makes a second writer.

use super::{
    Action, Change, Drift, Key, Probe, Refusal, Resource, ResourceId, Seen,
    dialect::{Dialect, RECORDS, Server},
    service::{Service, UNITS},
};
use crate::base::name::HostName;

/// Whether this plan leaves nothing of what the server holds at run time.
fn is_lost(server: &Server<'_>, unit: &str, seen: &Seen<'_>) -> bool {
    !server.is_running() || seen.is_restarting(&Service::key(unit))
}

/// Why a primary is not what it was told at run time: it was told otherwise, or somebody else has started it since. None
/// where foobar has not started it yet, or told it last to follow another one.
fn drift(server: &Server<'_>, unit: &str, seen: &Seen<'_>) -> Option<Drift> {
    if server.record("source").is_some() {
        return None;
    }
    let fields = seen.here.get(&UNITS, unit)?;
    let (runs, recorded) = (fields.get(3)?, fields.get(5)?);
    match recorded.as_str() {
        "-" => None,
        recorded if recorded == runs => Some(Drift::Variable),
        _ => Some(Drift::Restarted),
    }
}

const LET_IN: &str = "SET GLOBAL offline_mode=OFF;\n";
const SHUT: &str = "offline_mode is on: it lets nobody in but administrators";

/// Whether a server takes writes.
#[derive(Debug)]
pub struct Writable {
    /// Which server.
    pub dialect: Dialect,
    /// Its unit.
    pub unit: String,
    /// Whether it shall take them.
    pub writable: bool,
    /// The other servers of the same data.
    pub others: Vec<HostName>,
}

impl Writable {
    /// The resource's name.
    pub fn key() -> ResourceId {
        ResourceId::new("database", "role")
    }
}

impl Resource for Writable {
    fn id(&self) -> ResourceId {
        Self::key()
    }

    fn probes(&self) -> Vec<Probe> {
        vec![self.dialect.probe(), Probe::new(&UNITS, [self.unit.clone()])]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let server = Server::new(self.dialect, seen.here);
        if let Some(why) = server.trouble() {
            return Err(Refusal {
                host: seen.host.clone(),
                what: format!("the database server does not answer root through its socket: {why}"),
                help: format!(
                    "make `{} -u root` work on the host, as its package sets it up; a server that hangs is ended with \
                     `systemctl kill -s KILL {}`, and the next apply opens it again",
                    self.dialect.program(),
                    self.unit
                ),
            });
        }
        let refuse = |what: String, help: &str| Err(Refusal { host: seen.host.clone(), what, help: help.into() });
        let lost = is_lost(&server, &self.unit, seen);
        // Root writes through MariaDB's read_only; MySQL's keeps out everyone but root.
        let closed = server.is_on("read_only") || server.is_on(self.dialect.read_only());
        let shut = !lost && server.is_on("offline_mode");
        if !self.writable {
            // It boots closed, and waiting for nobody, by its files.
            let open = !server.is_on("read_only") || !server.is_on(self.dialect.read_only());
            let waits = server.is_on(self.dialect.semi_sync_source());
            if lost || (!open && !waits && !shut) {
                return Ok(None);
            }
            let mut sql = format!(
                "SET GLOBAL {}=ON;\nSET GLOBAL {}=OFF;\n",
                self.dialect.read_only(),
                self.dialect.semi_sync_source()
            );
            let summary = match (open, waits) {
                (true, _) => "make the replica read-only",
                (false, true) => "make the replica wait for nobody",
                (false, false) => "let the replica's clients in",
            };
            if shut {
                sql.push_str(LET_IN);
            }
            let mut change = Change::new(Action::Update, summary, self.dialect.run(&sql)).drift(Drift::Variable);
            if open {
                change = change.detail("it takes writes that its primary would never have");
            }
            if shut {
                change = change.detail(SHUT);
            }
            if waits {
                change = change.detail("it waits for replicas of its own with each write that it applies");
            }
            return Ok(Some(change));
        }
        if let Some(source) = server.replica("Source_Host") {
            return refuse(
                format!("it is declared the primary, and replicates from {source}"),
                &format!(
                    "a change of the file moves no primary: name the server that takes the writes, and `foobar switchover --to {}` if it shall move; where that one is lost for good, say `STOP REPLICA; RESET REPLICA ALL` here first",
                    seen.host
                ),
            );
        }
        if server.is_resting_replica() {
            return refuse(
                "it is declared the primary, is stopped, and follows another server as soon as it starts".into(),
                "name the server that took the writes last; where that one is lost for good, start this one by hand and say `STOP REPLICA; RESET REPLICA ALL`",
            );
        }
        if !lost && !closed {
            let open = || {
                Change::new(Action::Update, "let the primary's clients in", self.dialect.run(LET_IN))
                    .detail(SHUT)
                    .drift(Drift::Variable)
            };
            return Ok(shut.then(open));
        }
        for other in &self.others {
            let Some(there) = seen.all.get(other).map(|o| Server::new(self.dialect, o)) else { continue };
            let writes = there.is_running() && !there.is_on("read_only") && !there.is_replica();
            if writes && there.held().next().is_some() && !seen.changing.contains_key(&Key::new(other, Self::key())) {
                return refuse(
                    format!("{other} takes writes already, and two writers would part their data"),
                    "name the one that has the newest data as `mysql.primary`, and make the other read-only by hand",
                );
            }
        }
        let set = match self.dialect {
            Dialect::Mariadb => "SET GLOBAL read_only=OFF;\n",
            Dialect::Mysql => {
                "SET GLOBAL super_read_only=OFF;\nSET GLOBAL read_only=OFF;\nSET GLOBAL offline_mode=OFF;\n"
            }
        };
        let action = if server.is_running() { Action::Update } else { Action::Create };
        // What is on record of its time as a replica counts no more.
        let script = self.dialect.run(set).line(format!("rm -f {RECORDS}/source"));
        let change = Change::new(action, "make the primary writable", script);
        if lost {
            return Ok(Some(change));
        }
        Ok(Some(change.detail("it is read-only, as it is after every start").drift(drift(&server, &self.unit, seen))))
    }
}

/// Whether a server waits for a replica with each write.
#[derive(Debug)]
pub struct Acknowledged {
    /// Which server.
    pub dialect: Dialect,
    /// Its unit.
    pub unit: String,
    /// Whether it shall wait.
    pub on: bool,
}

impl Resource for Acknowledged {
    fn id(&self) -> ResourceId {
        ResourceId::new("replication", "acknowledgement")
    }

    fn probes(&self) -> Vec<Probe> {
        vec![self.dialect.probe(), Probe::new(&UNITS, [self.unit.clone()])]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let server = Server::new(self.dialect, seen.here);
        if server.trouble().is_some() {
            return Ok(None);
        }
        let lost = is_lost(&server, &self.unit, seen);
        let variable = self.dialect.semi_sync_source();
        // It boots without.
        if server.is_on(variable) == self.on && !lost || lost && !self.on {
            return Ok(None);
        }
        let (word, value) = if self.on { ("wait", "ON") } else { ("do not wait", "OFF") };
        let mut script = self.dialect.run(&format!("SET GLOBAL {variable}={value};\n"));
        if self.on {
            let client = self.dialect.client();
            let clients = self.dialect.semi_sync_clients();
            // A wait that no replica ends would hold each write up for ten seconds: then rather none, and say so.
            script = script
                .line("try=0")
                .line(format!("until [ \"$({client} -e \"SHOW GLOBAL STATUS LIKE '{clients}'\" | cut -f 2)\" -ge 1 ]; do"))
                .line("  try=$((try + 1)); sleep 0.2")
                .line(format!("  [ \"$try\" -lt 100 ] || {{ {client} -e 'SET GLOBAL {variable}=OFF'; echo 'no replica offers to acknowledge writes within 20 s' >&2; exit 1; }}"))
                .line("done");
        }
        let action = if server.is_running() { Action::Update } else { Action::Create };
        let drift = drift(&server, &self.unit, seen).filter(|_| !lost && self.on);
        Ok(Some(Change::new(action, format!("{word} for a replica with each write"), script).drift(drift)))
    }
}

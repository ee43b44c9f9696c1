//! How the writes of a stack move from one database server to another while both run: what must hold before, how the one
//! is closed, how the other takes over, and how who was left behind follows. Who moves where is decided in
//! `plan/switchover.rs`. The procedure and its order are those of MySQL's and MariaDB's own manuals for a planned change of
//! roles: no server is opened before the other one is closed and all it has is there.

use super::{
    Action, Change, Impact, Refusal, Seen,
    dialect::{Dialect, RECORDS},
    replication::{Credentials, Replication},
    undo::{Turn, Undo},
};
use crate::base::{
    name::HostName,
    script::{Script, quote},
};
use std::net::IpAddr;

/// Seconds that a transaction may have been open before a change of roles is refused: as long as the change waits for
/// those that still write ([`CLOSING`]).
pub const LONG: u64 = 5;
/// Seconds that a server waits for writes in hand before it gives up and stays open.
const CLOSING: u64 = 5;
/// Seconds in which the other server must have caught up while nothing is closed yet: what is missing then would be
/// missing from the pause as well, twice over.
const READY: u64 = 3;
/// Seconds in which it must have the rest, with the writes stopped; then the former one opens again.
const CATCHING_UP: u64 = 10;

/// The database servers of a stack, as a change of their roles needs them.
#[derive(Clone, Debug)]
pub struct Servers {
    /// Which server.
    pub dialect: Dialect,
    /// Their unit.
    pub unit: String,
    /// All of them with their addresses, in the file's order.
    pub hosts: Vec<(HostName, IpAddr)>,
    /// The one that the topology names.
    pub primary: HostName,
    /// Seconds that a replica may be behind and still counts as a good one.
    pub max_lag: u64,
    /// Whether the one that takes the writes waits for a replica with each of them.
    pub acknowledges: bool,
    /// Who may ask any of them through the network, without a right to the user's data.
    pub checker: Credentials,
    /// The authority that their certificates are verified with.
    pub authority: String,
    /// Replication from each of them, as the others are told of it.
    pub replications: Vec<Replication>,
}

impl Servers {
    /// A server's address.
    pub fn address(&self, host: &HostName) -> Option<IpAddr> {
        self.hosts.iter().find(|(h, _)| h == host).map(|(_, a)| *a)
    }

    /// The server at an address.
    pub fn at(&self, address: &str) -> Option<&HostName> {
        let address: IpAddr = address.parse().ok()?;
        self.hosts.iter().find(|(_, a)| *a == address).map(|(h, _)| h)
    }

    /// `root` asks the server here, `there` another one, whose words about itself anyone who may log in is told.
    fn asks(&self, there: &HostName) -> Script {
        let (user, secret) = self.checker;
        let address = self.address(there).map(|a| a.to_string()).unwrap_or_default();
        let (program, client) = (self.dialect.program(), self.dialect.client());
        Script::new()
            .line("scratch=$(mktemp -d); trap 'rm -rf \"$scratch\"' EXIT")
            .line(format!(
                "{{ printf '[client]\\nuser={user}\\npassword='; cat /var/lib/foobar/secrets/{secret}; echo; }} >\"$scratch/login\""
            ))
            .line(format!("root() {{ {client} -e \"$1\"; }}"))
            .line(format!(
                "there() {{ timeout 8 {program} --defaults-file=\"$scratch/login\" --host={address} --connect-timeout=5 {} -N -B -e \"$1\"; }}",
                self.dialect.verified(&self.authority)
            ))
            .line(format!("fail() {{ echo {}\"$1\" >&2; exit 1; }}", quote(&format!("{there} "))))
    }

    /// Asks a server for every transaction that it has.
    fn position(&self) -> &'static str {
        match self.dialect {
            Dialect::Mariadb => "SELECT @@GLOBAL.gtid_binlog_pos",
            Dialect::Mysql => "SELECT REPLACE(@@GLOBAL.gtid_executed, CHAR(10), '')",
        }
    }

    /// Says 0 once the server here has applied `$p`, or something else after so many seconds.
    pub(super) fn arrived(&self, seconds: u64) -> String {
        let function = match self.dialect {
            Dialect::Mariadb => "MASTER_GTID_WAIT",
            Dialect::Mysql => "WAIT_FOR_EXECUTED_GTID_SET",
        };
        format!("[ \"$(root \"SELECT {function}('$p', {seconds})\")\" = 0 ]")
    }

    fn open(&self) -> &'static str {
        match self.dialect {
            Dialect::Mariadb => "SET GLOBAL read_only=OFF",
            Dialect::Mysql => "SET GLOBAL super_read_only=OFF; SET GLOBAL read_only=OFF; SET GLOBAL offline_mode=OFF",
        }
    }

    /// On the server that shall take over, before anything is closed: all that the other one has is there in time.
    pub fn ready(&self, from: &HostName, to: &HostName) -> Change {
        let script = self
            .asks(from)
            .line(format!("p=$(there {}) || fail 'does not say what it has'", quote(self.position())))
            .line(format!(
                "{} || {{ echo 'it has not caught up with {from} within {READY} s: wait until it has, then try again' >&2; exit 1; }}",
                self.arrived(READY)
            ));
        Change::new(Action::Check, format!("see that {to} keeps up with {from}"), script)
    }

    /// On the server that gives the writes up: it ends what is in hand and takes no more, or stays open.
    pub fn close(&self, from: &HostName) -> Change {
        // MariaDB's first statement lets who is in the middle of a commit finish it; the other waits for what holds tables. A
        // session of its own, so that nothing stays locked however it ends.
        let (close, settle) = match self.dialect {
            Dialect::Mariadb => (
                "SET STATEMENT lock_wait_timeout=1 FOR SET GLOBAL read_only=ON",
                format!("SET STATEMENT lock_wait_timeout={CLOSING} FOR FLUSH TABLES WITH READ LOCK; UNLOCK TABLES"),
            ),
            Dialect::Mysql => ("SET SESSION lock_wait_timeout=1; SET GLOBAL super_read_only=ON", "SELECT 1".to_owned()),
        };
        let client = self.dialect.client();
        let open = format!("{client} -e {}", quote(self.open()));
        let script = Script::new()
            .line("said=$(mktemp); trap 'rm -f \"$said\"' EXIT")
            .line("refuse() {")
            .line(format!("  {open}; grep '^ERROR' \"$said\" >&2 || cat \"$said\" >&2"))
            .line(format!(
                "  echo 'somebody still writes after {CLOSING} s: it stays open, and nothing was moved' >&2; exit 1"
            ))
            .line("}")
            // A transaction whose next statement waits for the close while it holds the row that another's statement waits for,
            // which the close waits for: no server sees that these three wait for each other. Let go for a moment, they end.
            .line("n=1")
            .line(format!("until {client} -e {} >/dev/null 2>\"$said\"; do", quote(close)))
            .line(format!("  {{ grep -q 'ERROR 1205' \"$said\" && [ \"$n\" -lt {CLOSING} ]; }} || refuse"))
            .line(format!("  {open}; n=$((n + 1)); sleep 0.2"))
            .line("done")
            .line(format!("{client} -e {} >/dev/null 2>\"$said\" || refuse", quote(&settle)));
        let mut change = Change::new(Action::Update, format!("close {from} to writes"), script)
            .impact(Impact::WriteOutage)
            .detail("writes wait, or fail, until the other one takes them: a second or two");
        let back = Script::new().line(open);
        change.undo = Some(Undo::new(Turn::Resume, format!("open {from} to writes again"), back));
        change
    }

    /// On the server that takes over: only where the other one is closed and all it has is there. Where it fails, it is
    /// closed, so that the other one may open again.
    pub fn take(&self, from: &HostName, to: &HostName) -> Change {
        let script = self
            .asks(from)
            .line("[ \"$(there 'SELECT @@GLOBAL.read_only')\" = 1 ] || fail 'still takes writes, or does not answer'")
            .line(format!("p=$(there {}) || fail 'does not say what it has'", quote(self.position())))
            .line(format!(
                "{} || {{ echo 'it does not have all that {from} has after {CATCHING_UP} s' >&2; exit 1; }}",
                self.arrived(CATCHING_UP)
            ))
            .then(&self.opened(self.acknowledges));
        let mut change = Change::new(Action::Update, format!("let {to} take the writes"), script)
            .detail(format!("once it has all that {from} has; else {from} opens again"));
        change.is_closing = true;
        change
    }

    /// Opens the server here, which follows nobody from then on and waits for its replicas where it shall; or leaves it
    /// closed. It needs `root`.
    pub(super) fn opened(&self, waits: bool) -> Script {
        let wait = if waits { format!("SET GLOBAL {}=ON; ", self.dialect.semi_sync_source()) } else { String::new() };
        // A server that neither answers nor ends could still open: killed, it comes back closed, as it always does.
        let shut = format!(
            "n=0; until root 'SET GLOBAL {}=ON' || ! systemctl is-active -q {unit}; do n=$((n + 1)); \
             [ \"$n\" -lt 20 ] || systemctl kill -s KILL {unit}; sleep 0.2; done",
            self.dialect.read_only(),
            unit = quote(&self.unit),
        );
        Script::new()
            .line(format!("root 'STOP REPLICA; RESET REPLICA ALL; {wait}{}' || {{ {shut}; exit 1; }}", self.open()))
            .line(format!("rm -f {RECORDS}/source"))
    }

    /// On a server that follows the new primary: the former one, or another replica. It ends once it has what the new one
    /// had when it was asked.
    pub fn follow(&self, to: &HostName, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let Some(replication) = self.replications.iter().find(|r| r.primary == *to) else { return Ok(None) };
        let script = Script::new()
            .line(format!(
                "{} -e 'SET GLOBAL {}=OFF'",
                self.dialect.client(),
                self.dialect.semi_sync_source()
            ))
            .then(&replication.follow(seen)?)
            .then(&self.asks(to))
            .line(format!("p=$(there {}) || fail 'does not say what it has'", quote(self.position())))
            .line(format!(
                "{} || {{ echo 'replication runs, and what {to} writes does not arrive within {CATCHING_UP} s' >&2; exit 1; }}",
                self.arrived(CATCHING_UP)
            ));
        let mut change = Change::new(Action::Update, format!("replicate from {to}"), script);
        change.is_closing = true;
        Ok(Some(change))
    }

    /// On the new primary: replicas confirm its writes.
    pub fn confirmed(&self) -> Option<Change> {
        if !self.acknowledges {
            return None;
        }
        let (client, clients) = (self.dialect.client(), self.dialect.semi_sync_clients());
        let script = Script::new()
            .line("try=0")
            .line(format!("until [ \"$({client} -e \"SHOW GLOBAL STATUS LIKE '{clients}'\" | cut -f 2)\" -ge 1 ]; do"))
            .line("  try=$((try + 1)); sleep 0.1")
            .line(
                "  [ \"$try\" -lt 200 ] || { echo 'no replica offers to acknowledge writes within 20 s' >&2; exit 1; }",
            )
            .line("done");
        let mut change = Change::new(Action::Check, "see that a replica acknowledges each write", script);
        change.is_closing = true;
        Some(change)
    }
}

//! The account that a replica copies its primary's data with: it may read everything, so it is locked, and open only from
//! just before a copy until just after. Whether a copy is due, the replicas' own resources decide.

use super::{
    Action, Change, Probe, Refusal, Resource, ResourceId, Seen,
    dialect::{Dialect, Server, account},
    replication::Replication,
};
use crate::base::name::HostName;

/// The account on the primary, before the copies (`open`) or after them.
#[derive(Debug)]
pub struct Copier {
    /// Which server.
    pub dialect: Dialect,
    /// The account's name.
    pub account: &'static str,
    /// The replicas that may need a copy.
    pub replicas: Vec<(HostName, Replication)>,
    /// Whether this is the step that opens it, or the one that locks it again.
    pub open: bool,
}

impl Copier {
    fn key(open: bool) -> ResourceId {
        ResourceId::new("database", if open { "copies open" } else { "copies locked" })
    }

    /// Whether a replica will come for a copy in this plan.
    fn is_due(&self, seen: &Seen<'_>) -> bool {
        self.replicas.iter().any(|(host, replication)| {
            let Some(here) = seen.all.get(host) else { return false };
            replication.copies(&Seen { host, here, ..*seen })
        })
    }
}

impl Resource for Copier {
    fn id(&self) -> ResourceId {
        Self::key(self.open)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![self.dialect.probe()]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let server = Server::new(self.dialect, seen.here);
        if server.trouble().is_some() {
            return Ok(None);
        }
        // One that is not there yet is made locked.
        let is_open = server.rows("account").iter().any(|r| r.first().is_some_and(|a| a == self.account))
            && !server.is_locked(self.account);
        let account = account(self.account);
        if self.open {
            // A replica that is yet to copy needs no word of this, and the primary would wait for its receipt.
            let sql = format!("SET SESSION sql_log_bin=0;\nALTER USER {account} ACCOUNT UNLOCK;\n");
            let change = Change::new(Action::Update, "unlock the account for copies", self.dialect.run(&sql));
            return Ok((!is_open && self.is_due(seen)).then_some(change));
        }
        // What was copied meanwhile says that it is open; the replicas are told like everybody.
        let sql = format!("ALTER USER {account} ACCOUNT LOCK;\n");
        let change = Change::new(Action::Update, "lock the account for copies", self.dialect.run(&sql));
        Ok((is_open || seen.is_changing(&Self::key(true))).then_some(change))
    }
}

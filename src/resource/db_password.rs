//! Passwords that change while clients hold the former one: both open the account until all clients have the new one, and
//! then the former one goes. Who the clients are, and what the passwords are for, is not known here.

use super::{
    Action, Change, Probe, Refusal, Resource, ResourceId, Seen,
    database::Database,
    db_second::{discard, has_second},
    dialect::{Server, literal},
};
use crate::base::{
    name::HostName,
    script::{Script, quote},
};

/// A replica that has got the new passwords: whoever logs in there from now on may use them.
#[derive(Debug)]
pub struct Arrived {
    /// Where they are changed.
    pub primary: HostName,
    /// What is changed there.
    pub objects: Database,
}

impl Arrived {
    /// The resource's name.
    pub fn key() -> ResourceId {
        ResourceId::new("database", "new passwords")
    }
}

impl Resource for Arrived {
    fn id(&self) -> ResourceId {
        Self::key()
    }

    fn probes(&self) -> Vec<Probe> {
        Vec::new()
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let Some(here) = seen.all.get(&self.primary) else { return Ok(None) };
        let names = self.objects.replaced(&Seen { host: &self.primary, here, ..*seen });
        if names.is_empty() {
            return Ok(None);
        }
        let dialect = self.objects.dialect;
        let list: Vec<String> = names.iter().map(|n| literal(n)).collect();
        let ask = format!("SELECT COUNT(*) {} AND host='%' AND user IN ({})", has_second(dialect), list.join(","));
        let script = Script::new()
            .line("try=0")
            .line(format!("until [ \"$({} -e {})\" = {} ]; do", dialect.client(), quote(&ask), names.len()))
            .line("  try=$((try + 1)); sleep 0.1")
            .line("  [ \"$try\" -lt 300 ] || { echo 'the new passwords have not come from the primary within 30 s' >&2; exit 1; }")
            .line("done");
        Ok(Some(Change::new(Action::Update, format!("wait for the new password of {}", names.join(", ")), script)))
    }
}

/// A server where each account has one password again.
#[derive(Debug)]
pub struct Retired {
    /// What is changed there.
    pub objects: Database,
}

impl Resource for Retired {
    fn id(&self) -> ResourceId {
        ResourceId::new("database", "former passwords")
    }

    fn probes(&self) -> Vec<Probe> {
        vec![self.objects.dialect.probe()]
    }

    fn is_last(&self) -> bool {
        true
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let dialect = self.objects.dialect;
        let server = Server::new(dialect, seen.here);
        if server.trouble().is_some() {
            return Ok(None);
        }
        let mut names = self.objects.replaced(seen);
        names.extend(self.objects.logins.iter().filter(|l| server.has_second(&l.name)).map(|l| l.name.clone()));
        names.sort();
        names.dedup();
        if names.is_empty() {
            return Ok(None);
        }
        let sql: String = names.iter().map(|n| discard(dialect, n)).collect();
        let summary = format!("discard the former password of {}", names.join(", "));
        Ok(Some(Change::new(Action::Update, summary, dialect.run(&sql))))
    }
}

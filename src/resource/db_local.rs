//! An account in a database server that one system account of the same name opens, through the server's own socket and
//! without a password: it is no secret, and of no use from anywhere else.

use super::{
    Action, Change, Drift, Probe, Refusal, Resource, ResourceId, Seen,
    dialect::{Dialect, Server, literal},
    owned::{Kind, Owned},
};

/// The account that watches how a server stands, on a server that is written to; it comes to the others by replication.
#[derive(Clone, Debug)]
pub struct Watcher {
    /// Which server.
    pub dialect: Dialect,
    /// Its name, and that of the system account.
    pub name: &'static str,
}

impl Watcher {
    /// The resource's name.
    pub fn key() -> ResourceId {
        ResourceId::new("database", "watcher")
    }

    /// What makes the server ask the kernel who is at the other end of its socket.
    fn plugin(&self) -> &'static str {
        match self.dialect {
            Dialect::Mariadb => "unix_socket",
            Dialect::Mysql => "auth_socket",
        }
    }

    /// The least that lets it see a replica's status.
    fn privilege(&self) -> &'static str {
        match self.dialect {
            Dialect::Mariadb => "SLAVE MONITOR",
            Dialect::Mysql => "REPLICATION CLIENT",
        }
    }
}

impl Resource for Watcher {
    fn id(&self) -> ResourceId {
        Self::key()
    }

    fn probes(&self) -> Vec<Probe> {
        vec![self.dialect.probe()]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let server = Server::new(self.dialect, seen.here);
        if server.trouble().is_some() {
            return Ok(None);
        }
        let row = server.rows("local").iter().find(|r| r.first().is_some_and(|n| n == self.name));
        let has = row.map(|r| [1, 2].map(|at| r.get(at).map(String::as_str).unwrap_or_default()));
        if has == Some([self.plugin(), self.privilege()]) {
            return Ok(None);
        }
        let (account, plugin, privilege) =
            (format!("{}@'localhost'", literal(self.name)), self.plugin(), self.privilege());
        let by = match self.dialect {
            Dialect::Mariadb => format!("IDENTIFIED VIA {plugin}"),
            Dialect::Mysql => format!("IDENTIFIED WITH {plugin}"),
        };
        let sql = format!(
            "CREATE USER IF NOT EXISTS {account} {by};\nALTER USER {account} {by};\nREVOKE ALL PRIVILEGES, GRANT OPTION FROM {account};\nGRANT {privilege} ON *.* TO {account};\n"
        );
        let (action, summary) = match has {
            Some(_) => (Action::Update, "set the account right that watches how the database stands"),
            None => (Action::Create, "create the account that watches how the database stands"),
        };
        let change = Change::new(action, summary, self.dialect.run(&sql)).detail(format!(
            "{}: {}, from the system account of that name alone",
            self.name,
            privilege.to_lowercase()
        ));
        Ok(Some(change.drift(has.is_some().then_some(Drift::Account))))
    }

    fn footprint(&self) -> Vec<Owned> {
        vec![Owned::new(Kind::Login, self.name).with([self.dialect.program(), "localhost"])]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::secret::Secrets,
        resource::{Observation, dialect::DATABASE},
    };
    use std::collections::BTreeMap;

    fn change(dialect: Dialect, said: &str) -> Option<Change> {
        let mut here = Observation::default();
        here.add(DATABASE.name, said);
        let (host, all, changing, secrets) =
            ("db-01".parse().unwrap(), BTreeMap::new(), BTreeMap::new(), Secrets::default());
        let seen = Seen {
            host: &host,
            here: &here,
            all: crate::resource::All::of(&all),
            secrets: &secrets,
            fingerprint_key: "key",
            changing: &changing,
            now: 0,
        };
        Watcher { dialect, name: "foobar_health" }.diff(&seen).unwrap()
    }

    #[test]
    fn it_is_made_once_and_set_right_where_somebody_changed_it() {
        let running = "state\trunning\n";
        for (dialect, row) in [
            (Dialect::Mariadb, "local\tfoobar_health\tunix_socket\tSLAVE MONITOR\n"),
            (Dialect::Mysql, "local\tfoobar_health\tauth_socket\tREPLICATION CLIENT\n"),
        ] {
            assert!(change(dialect, &format!("{row}{running}")).is_none());
            let made = change(dialect, running).unwrap();
            assert_eq!((made.action, made.drift), (Action::Create, None));
            let more = row.replace("\n", ",SUPER\n");
            let mended = change(dialect, &format!("{more}{running}")).unwrap();
            assert_eq!((mended.action, mended.drift), (Action::Update, Some(Drift::Account)));
        }
        assert!(change(Dialect::Mysql, "error\tERROR 1045\n").is_none(), "the server's role says so for all");
    }
}

//! Schemas and accounts on a server that is written to: what is missing is made, privileges are what they shall be and no
//! more, and a password that was changed on either side is set again. Never used on a replica: there even a statement
//! that changes nothing would leave a transaction of its own.

use super::{
    Action, Change, Probe, Refusal, Resource, ResourceId, Seen,
    dialect::{Dialect, RECORDS, Server, identifier, literal},
    owned::{Kind, Owned},
};
use crate::base::{digest, script::Script, secret::Secret};
use std::collections::BTreeSet;

/// The schema in which checks leave a row for a moment.
pub const CANARY: &str = "foobar_verify";

/// An account that may connect from anywhere, by TLS alone: who reaches the port at all is the firewall's business, and
/// an address in two places would be wrong in one of them after the next move.
#[derive(Clone, Debug)]
pub struct Login {
    /// Its name.
    pub name: String,
    /// Its password's name among the secrets.
    pub secret: String,
    /// What it may do on a schema; none: on all of them.
    pub on: Option<String>,
    /// What it may do, as `information_schema` spells it.
    pub privileges: Vec<&'static str>,
}

impl Login {
    fn account(&self) -> String {
        format!("{}@'%'", literal(&self.name))
    }

    /// Where its privileges lie. In a grant, `_` is a wildcard.
    fn level(&self) -> String {
        self.on.as_ref().map_or("*.*".into(), |s| format!("{}.*", identifier(&s.replace('_', "\\_"))))
    }
}

/// What a server that is written to shall hold.
#[derive(Debug)]
pub struct Database {
    /// Which server.
    pub dialect: Dialect,
    /// Schemas that shall be there.
    pub schemas: Vec<String>,
    /// Accounts that shall be there.
    pub logins: Vec<Login>,
}

/// What a password is recorded as: a keyed digest, so that the record tells nobody anything.
pub(super) fn recorded(seen: &Seen<'_>, secret: &Secret) -> String {
    digest::of_parts(["database", seen.fingerprint_key, secret.expose()])[..32].to_owned()
}

/// The settled secret of that name.
pub(super) fn settled<'a>(seen: &Seen<'a>, name: &str) -> Result<&'a Secret, Refusal> {
    seen.secrets.get(name).ok_or_else(|| Refusal {
        host: seen.host.clone(),
        what: format!("the database needs the secret {name}, which is not settled"),
        help: "this is a fault in foobar; please report it".into(),
    })
}

impl Database {
    fn password(&self, login: &Login, secret: &Secret) -> String {
        let (account, value) = (login.account(), literal(secret.expose()));
        match self.dialect {
            // MariaDB would write the password itself into its binary log; of this, it writes the hash.
            Dialect::Mariadb => ["CREATE USER IF NOT EXISTS", "ALTER USER"]
                .map(|verb| {
                    let head = literal(&format!("{verb} {account} IDENTIFIED BY PASSWORD "));
                    format!(
                        "EXECUTE IMMEDIATE CONCAT({head}, QUOTE(PASSWORD({value})), ' REQUIRE SSL ACCOUNT UNLOCK');\n"
                    )
                })
                .concat(),
            Dialect::Mysql => format!(
                "CREATE USER IF NOT EXISTS {account} IDENTIFIED BY {value} REQUIRE SSL;\nALTER USER {account} IDENTIFIED BY {value} REQUIRE SSL ACCOUNT UNLOCK;\n"
            ),
        }
    }

    /// The statements that bring a login's privileges in line, and what they change.
    fn privileges(&self, login: &Login, server: &Server<'_>) -> (String, Vec<String>) {
        let (account, level) = (login.account(), login.level());
        let mut has: BTreeSet<(String, String)> = BTreeSet::new();
        for row in server.rows("grant") {
            let [grantee, on, privilege, grantable] = &row[..] else { continue };
            if *grantee == account {
                // The client writes a backslash as two.
                let on = on.replace("\\\\", "\\");
                if grantable == "YES" {
                    has.insert((on.clone(), "GRANT OPTION".into()));
                }
                has.insert((on, privilege.clone()));
            }
        }
        let wants: BTreeSet<(String, String)> =
            login.privileges.iter().map(|p| (level.clone(), (*p).to_owned())).collect();
        let (mut sql, mut details) = (String::new(), Vec::new());
        for (on, privilege) in has.difference(&wants) {
            // A role lies on nothing.
            let what = if on.is_empty() { privilege.clone() } else { format!("{privilege} ON {on}") };
            sql.push_str(&format!("REVOKE {what} FROM {account};\n"));
            details.push(format!("{}: revoke {}", login.name, what.replacen(" ON ", " on ", 1)));
        }
        let missing: Vec<&str> = wants.difference(&has).map(|(_, p)| p.as_str()).collect();
        if !missing.is_empty() {
            sql.push_str(&format!("GRANT {} ON {level} TO {account};\n", missing.join(", ")));
            details.push(format!("{}: grant {} on {level}", login.name, missing.join(", ").to_lowercase()));
        }
        (sql, details)
    }
}

impl Resource for Database {
    fn id(&self) -> ResourceId {
        ResourceId::new("database", "objects")
    }

    fn probes(&self) -> Vec<Probe> {
        vec![self.dialect.probe()]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let server = Server::new(self.dialect, seen.here);
        if server.trouble().is_some() {
            // The server's role says so for all.
            return Ok(None);
        }
        let (mut sql, mut details, mut record) = (String::new(), Vec::new(), Script::new());
        let has: BTreeSet<&str> = server.schemas().collect();
        for schema in self.schemas.iter().filter(|s| !has.contains(s.as_str())) {
            sql.push_str(&format!("CREATE DATABASE IF NOT EXISTS {} CHARACTER SET utf8mb4;\n", identifier(schema)));
            details.push(format!("schema {schema}"));
        }
        let canary = identifier(CANARY);
        if self.schemas.iter().any(|s| s == CANARY) && server.rows("table").is_empty() {
            sql.push_str(&format!(
                "CREATE TABLE IF NOT EXISTS {canary}.canary (token VARCHAR(64) PRIMARY KEY) ENGINE=InnoDB;\n"
            ));
        }
        for login in &self.logins {
            let secret = settled(seen, &login.secret)?;
            let digest = recorded(seen, secret);
            let row = server.rows("account").iter().find(|r| r.first() == Some(&login.name));
            let ssl = row.and_then(|r| r.get(1)).is_some_and(|s| s == "ANY");
            let stored = row.and_then(|r| r.get(2)).map(String::as_str).unwrap_or_default();
            let known = server
                .record(&login.name)
                .is_some_and(|r| r.first() == Some(&digest) && r.get(1).is_some_and(|s| s == stored));
            if row.is_none() || !ssl || !known {
                let name = &login.name;
                details.push(match row {
                    None => format!("account {name}"),
                    Some(_) if !ssl => format!("{name}: require TLS"),
                    Some(_) => format!("{name}: set the password again (it is not the one foobar set)"),
                });
                sql.push_str(&self.password(login, secret));
                let ask = format!(
                    "SELECT SHA2(authentication_string,256) FROM mysql.user WHERE user={} AND host='%'",
                    literal(name)
                );
                record = record
                    .line(format!("stored=$({} -e {})", self.dialect.client(), crate::base::script::quote(&ask)))
                    .line(format!("printf '{digest} %s\\n' \"$stored\" >{RECORDS}/{name}.new && mv -f {RECORDS}/{name}.new {RECORDS}/{name}"));
            }
            let (statements, lines) = self.privileges(login, &server);
            sql.push_str(&statements);
            details.extend(lines);
        }
        if sql.is_empty() {
            return Ok(None);
        }
        let action = if has.is_empty() { Action::Create } else { Action::Update };
        let summary =
            if action == Action::Create { "create schemas and accounts" } else { "change schemas and accounts" };
        let script =
            Script::new().line(format!("mkdir -p -m 700 {RECORDS}")).then(&self.dialect.run(&sql)).then(&record);
        let mut change = Change::new(action, summary, script);
        change.details = details;
        Ok(Some(change))
    }

    fn footprint(&self) -> Vec<Owned> {
        let own = |l: &Login| Owned::new(Kind::Login, &l.name).with([self.dialect.program()]);
        self.logins.iter().map(own).collect()
    }
}

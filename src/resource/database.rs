//! Schemas and accounts on a server that is written to: what is missing is made, privileges are what they shall be and no
//! more, and a password that was changed on either side is set again. Never used on a replica: there even a statement
//! that changes nothing would leave a transaction of its own.

use super::{
    Action, Change, Drift, Probe, Refusal, Resource, ResourceId, Seen, db_second,
    dialect::{Dialect, RECORDS, Server, account, identifier, literal},
    owned::{Kind, Owned},
};
use crate::base::{digest, name::HostName, script::Script, secret::Secret};
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
    /// Whether it is made locked, and opened only while it is of use ([`super::db_copier::Copier`]).
    pub locked: bool,
}

impl Login {
    fn account(&self) -> String {
        account(&self.name)
    }

    /// Where its privileges lie. In a grant, `_` is a wildcard.
    fn level(&self) -> String {
        self.on.as_ref().map_or("*.*".into(), |s| format!("{}.*", identifier(&s.replace('_', "\\_"))))
    }
}

/// What a server that is written to shall hold.
#[derive(Clone, Debug)]
pub struct Database {
    /// Which server.
    pub dialect: Dialect,
    /// Schemas that shall be there.
    pub schemas: Vec<String>,
    /// Accounts that shall be there.
    pub logins: Vec<Login>,
    /// All servers of the same data. Each keeps on record what it was told itself, and the accounts, with what was made of
    /// their passwords, come to all of them: what any of them has on record of an account counts for the one that is asked.
    pub servers: Vec<HostName>,
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

/// SHA-256 of nothing: what the probe says of an account without a password.
const NO_PASSWORD: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// How an account stands against what it shall be.
struct Standing<'a> {
    /// Its row: name, TLS, digest of what the server keeps of its password.
    row: Option<&'a [String]>,
    /// The digest that its password would be recorded with.
    digest: String,
    /// Whether its password is the one that foobar set.
    is_known: bool,
    /// Whether clients may have been given the password that it has: not one that somebody set by hand.
    is_in_use: bool,
}

impl Standing<'_> {
    fn field(&self, at: usize) -> &str {
        self.row.and_then(|r| r.get(at)).map(String::as_str).unwrap_or_default()
    }

    /// Whether it has a password that its clients may go on with while they get the new one.
    fn is_replaced(&self) -> bool {
        !self.is_known && self.is_in_use && !["", NO_PASSWORD].contains(&self.field(2))
    }
}

impl Database {
    /// What the servers have on record of an account: the digest that its password was set from, and what came of it.
    fn records<'a>(&self, name: &str, seen: &Seen<'a>) -> Vec<&'a [String]> {
        let others = self.servers.iter().filter(|host| *host != seen.host).filter_map(|host| seen.all.get(host));
        let all = std::iter::once(seen.here).chain(others);
        all.filter_map(|there| Server::new(self.dialect, there).record(name)).collect()
    }

    fn standing<'a>(&self, login: &Login, server: &Server<'a>, seen: &Seen<'_>) -> Result<Standing<'a>, Refusal> {
        let digest = recorded(seen, settled(seen, &login.secret)?);
        let row = server.rows("account").iter().find(|r| r.first() == Some(&login.name)).map(Vec::as_slice);
        let mut standing = Standing { row, digest, is_known: false, is_in_use: false };
        let records = self.records(&login.name, seen);
        let is_of = |record: &&[String]| record.get(1).is_none_or(|s| s == standing.field(2));
        // A run that was cut off has left the former one beside it, and the record of that.
        let is_in_use = records.is_empty() || records.iter().any(is_of) || server.has_second(&login.name);
        let knows = |r: &&[String]| r.first() == Some(&standing.digest) && r.len() > 1 && is_of(r);
        let is_known = row.is_some() && records.iter().any(knows);
        (standing.is_in_use, standing.is_known) = (is_in_use, is_known);
        Ok(standing)
    }

    /// Accounts whose password this plan replaces while the former one still opens them.
    pub fn replaced(&self, seen: &Seen<'_>) -> Vec<String> {
        let server = Server::new(self.dialect, seen.here);
        let replaced = |login: &&Login| self.standing(login, &server, seen).is_ok_and(|s| s.is_replaced());
        self.logins.iter().filter(replaced).map(|l| l.name.clone()).collect()
    }

    fn password(&self, login: &Login, secret: &Secret, standing: &Standing<'_>, server: &Server<'_>) -> String {
        if standing.is_replaced() {
            let keep = !server.has_second(&login.name);
            return db_second::change(self.dialect, &login.name, &literal(secret.expose()), keep);
        }
        let (account, value) = (login.account(), literal(secret.expose()));
        match self.dialect {
            // MariaDB would write the password itself into its binary log; of this, it writes the hash.
            Dialect::Mariadb => ["CREATE USER IF NOT EXISTS", "ALTER USER"]
                .map(|verb| {
                    let head = literal(&format!("{verb} {account} IDENTIFIED BY PASSWORD "));
                    format!("EXECUTE IMMEDIATE CONCAT({head}, QUOTE(PASSWORD({value})), ' REQUIRE SSL');\n")
                })
                .concat(),
            Dialect::Mysql => format!(
                "CREATE USER IF NOT EXISTS {account} IDENTIFIED BY {value} REQUIRE SSL;\nALTER USER {account} IDENTIFIED BY {value} REQUIRE SSL;\n"
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
        // Of a change that makes something, or sets another password, the topology is the cause.
        let mut by_hand = self.schemas.iter().all(|s| has.contains(s.as_str()));
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
            let standing = self.standing(login, &server, seen)?;
            let (row, digest, ssl) = (standing.row, &standing.digest, standing.field(1) == "ANY");
            if row.is_none() || !ssl || !standing.is_known {
                let name = &login.name;
                by_hand &= row.is_some() && self.records(name, seen).iter().any(|r| r.first() == Some(digest));
                details.push(match row {
                    None => format!("account {name}"),
                    Some(_) if !ssl => format!("{name}: require TLS"),
                    Some(_) if seen.secrets.is_made(&login.secret) => format!("{name}: another password"),
                    Some(_) => format!("{name}: set the password again (it is not the one foobar set)"),
                });
                sql.push_str(&self.password(login, secret, &standing, &server));
                let ask = format!(
                    "SELECT SHA2(authentication_string,256) FROM mysql.user WHERE user={} AND host='%'",
                    literal(name)
                );
                record = record
                    .line(format!("stored=$({} -e {})", self.dialect.client(), crate::base::script::quote(&ask)))
                    .line(format!("printf '{digest} %s\\n' \"$stored\" >{RECORDS}/{name}.new && mv -f {RECORDS}/{name}.new {RECORDS}/{name}"));
            }
            if login.locked && row.is_none() {
                sql.push_str(&format!("ALTER USER {} ACCOUNT LOCK;\n", login.account()));
            } else if !login.locked && server.is_locked(&login.name) {
                sql.push_str(&format!("ALTER USER {} ACCOUNT UNLOCK;\n", login.account()));
                details.push(format!("{}: unlock", login.name));
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
        Ok(Some(change.drift(by_hand.then_some(Drift::Account))))
    }

    fn footprint(&self) -> Vec<Owned> {
        let own = |l: &Login| Owned::new(Kind::Login, &l.name).with([self.dialect.program()]);
        self.logins.iter().map(own).collect()
    }
}

//! Passwords that change while clients hold the former one: both open the account until all clients have the new one, and
//! then the former one goes. Who the clients are, and what the passwords are for, is not known here.

use super::{
    Action, Change, Probe, Refusal, Resource, ResourceId, Seen,
    database::{Database, account},
    dialect::{Dialect, Server, literal},
};
use crate::base::{
    name::HostName,
    script::{Script, quote},
};

/// Where each server keeps an account's second password, as a condition over its row and a table to look in.
fn has_second(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Mariadb => "FROM mysql.global_priv WHERE JSON_LENGTH(JSON_QUERY(priv,'$.auth_or'))>1",
        Dialect::Mysql => "FROM mysql.user WHERE JSON_EXTRACT(user_attributes,'$.additional_password') IS NOT NULL",
    }
}

/// SQL that gives an account another password. With `keep`, the one it had opens it as well; one that it has besides
/// already stays in either case. `new` is an SQL literal.
pub(super) fn change(dialect: Dialect, name: &str, new: &str, keep: bool) -> String {
    let (account, user) = (account(name), literal(name));
    match dialect {
        // MariaDB has no second password, and several ways to be identified instead, the first of them tried first. It would
        // write the password itself into its binary log; of this, it writes the hash. What is no password is not kept.
        Dialect::Mariadb => {
            let head = literal(&format!("ALTER USER {account} IDENTIFIED VIA mysql_native_password USING "));
            let old = if keep {
                "IF(JSON_VALUE(priv,'$.plugin')='mysql_native_password',JSON_VALUE(priv,'$.authentication_string'),'')"
            } else {
                "IF(JSON_VALUE(priv,'$.auth_or[1].plugin')='mysql_native_password',JSON_VALUE(priv,'$.auth_or[1].authentication_string'),'')"
            };
            format!(
                "SET @old=(SELECT {old} FROM mysql.global_priv WHERE user={user} AND host='%');\n\
                 EXECUTE IMMEDIATE CONCAT({head}, QUOTE(PASSWORD({new})), IF(COALESCE(@old,'')='','',CONCAT(' OR mysql_native_password USING ',QUOTE(@old))), ' REQUIRE SSL');\n"
            )
        }
        Dialect::Mysql => {
            let retain = if keep { " RETAIN CURRENT PASSWORD" } else { "" };
            format!("ALTER USER {account} IDENTIFIED BY {new}{retain} REQUIRE SSL;\n")
        }
    }
}

/// SQL that leaves an account its newest password alone. Said again, it changes nothing.
fn discard(dialect: Dialect, name: &str) -> String {
    let (account, user) = (account(name), literal(name));
    match dialect {
        Dialect::Mariadb => {
            let head = literal(&format!("ALTER USER {account} IDENTIFIED VIA mysql_native_password USING "));
            format!(
                "SET @now=(SELECT JSON_VALUE(priv,'$.authentication_string') FROM mysql.global_priv WHERE user={user} AND host='%');\n\
                 EXECUTE IMMEDIATE CONCAT({head}, QUOTE(@now), ' REQUIRE SSL');\n"
            )
        }
        Dialect::Mysql => format!("ALTER USER {account} DISCARD OLD PASSWORD;\n"),
    }
}

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

//! A former primary that comes back: whether it can follow the new one as it is, because it has nothing that that one has not.
//! How a server that cannot is filled, and what is never done to its data, is in `replication.rs`.

use super::{
    dialect::{Dialect, Server},
    replication::Replication,
};
use crate::base::{
    name::HostName,
    script::{Script, quote},
};

// The last transaction of each domain, of whoever wrote it, is known to the primary or it is not.
const LACKS: &str = r#"
lacks=$(printf '%s\n' "$theirs" | tr ',' '\n' | awk -F - -v mine="$mine" '
  $3 + 0 > last[$1 "-" $2] + 0 { last[$1 "-" $2] = $3 }
  END { n = split(mine, all, ","); for (i = 1; i <= n; i++) { split(all[i], p, "-"); if (last[p[1] "-" p[2]] + 0 < p[3] + 0) printf "%s%s", k++ ? ", " : "", all[i] } }')"#;

impl Replication {
    /// Whether a server with data that follows nobody can follow this one as it is: it has nothing that this one has not.
    /// A former primary is one, after its role was taken over.
    pub(super) fn rejoins(server: &Server<'_>, primary: &Server<'_>) -> bool {
        let known = server.is_running() && primary.is_running() && !server.executed().is_empty();
        known && server.held().next().is_some() && server.errant(primary).is_empty()
    }

    /// Whether it could be a former primary that is stopped: what it has is known once it runs.
    pub(super) fn may_return(server: &Server<'_>, primary: &Server<'_>) -> bool {
        let is_stopped = server.value("state") == Some("stopped") && !server.is_blank();
        is_stopped && server.held().next().is_some() && primary.is_running() && primary.held().next().is_some()
    }

    /// Goes on where it has nothing that the primary has not, and fails where it has: for a server that did not run when the
    /// plan was made.
    pub(super) fn going_on(&self, host: &HostName) -> Script {
        let client = self.dialect.client();
        let (mine, theirs) = match self.dialect {
            Dialect::Mariadb => (
                "SELECT @@GLOBAL.gtid_binlog_pos",
                "SELECT CONCAT_WS(',', @@GLOBAL.gtid_binlog_state, @@GLOBAL.gtid_slave_pos)",
            ),
            Dialect::Mysql => {
                let executed = "SELECT REPLACE(@@GLOBAL.gtid_executed, CHAR(10), '')";
                (executed, executed)
            }
        };
        let lacks = match self.dialect {
            Dialect::Mariadb => LACKS.trim().to_owned(),
            Dialect::Mysql => format!("lacks=$({client} -e \"SELECT GTID_SUBTRACT('$mine', '$theirs')\")"),
        };
        let remedy = format!(
            "bring to {} what of them shall stay; then `foobar apply --reseed {host}` keeps them beside and fills this server anew",
            self.primary
        );
        Script::new()
            .line(format!("mine=$({client} -e {})", quote(mine)))
            .line("[ -n \"$mine\" ] || { echo 'it holds data, and no transaction says where that came from: name it `mysql.primary`, or drop its schemas by hand' >&2; exit 1; }")
            .line(format!(
                "theirs=$({} --defaults-file=\"$scratch/login\" --host={} --connect-timeout=5 {} -N -B -e {})",
                self.dialect.program(),
                self.address,
                self.dialect.verified(&self.authority),
                quote(theirs)
            ))
            .line(lacks)
            .line(format!(
                "[ -z \"$lacks\" ] || {{ echo \"it has transactions that {} has not: $lacks\" >&2; echo {} >&2; exit 1; }}",
                self.primary,
                quote(&remedy)
            ))
    }
}

//! A database server at a glance: whether it takes writes, whom it follows, how far it is behind, and until when its
//! certificate holds. Read off the server, whatever the file says.

use super::{dialect, spec};
use crate::{
    component::names::DATABASE_TLS,
    resource::{Collector, Observation, Probe},
};
use serde::Serialize;

/// Of a server's many answers the few that change by themselves, in one run of its client.
pub static GLANCE: Collector = Collector {
    name: "glance_database",
    volatile: &["read_only", "source", "io", "sql", "behind", "trouble"],
    body: r#"
client=$1 more=--loose-commands
[ "$client" != mariadb ] || more=--skip-ssl
command -v "$client" >/dev/null || return 0
"$client" --no-defaults -u root --socket=/run/mysqld/mysqld.sock --connect-timeout=5 $more -B 2>&1 <<SQL |
SELECT 'read_only' AS k, @@GLOBAL.read_only AS v;
SHOW REPLICA STATUS\\G
SQL
while IFS=' ' read -r line; do
  value=${line#*: }
  case $line in
  'read_only	'*) printf '%s\n' "$line" ;;
  ERROR*) printf 'trouble\t%s\n' "$line" ;;
  'Source_Host: '* | 'Master_Host: '*) printf 'source\t%s\n' "$value" ;;
  'Replica_IO_Running: '* | 'Slave_IO_Running: '*) printf 'io\t%s\n' "$value" ;;
  'Replica_SQL_Running: '* | 'Slave_SQL_Running: '*) printf 'sql\t%s\n' "$value" ;;
  'Seconds_Behind_Source: '* | 'Seconds_Behind_Master: '*) printf 'behind\t%s\n' "$value" ;;
  'Last_IO_Error: '* | 'Last_SQL_Error: '*) printf 'trouble\t%s\n' "$value" ;;
  esac
done
ends=$(openssl x509 -noout -enddate -in "$2" 2>/dev/null | sed -n 's/^notAfter=//p')
[ -z "$ends" ] || ends=$(date -u -d "$ends" +%s 2>/dev/null) && [ -n "$ends" ] && printf 'ends\t%s\n' "$ends"
:"#,
};

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It takes writes and follows nobody.
    Primary,
    /// It follows another one.
    Replica,
    /// It takes no writes and follows nobody.
    Closed,
    /// It does not answer.
    Silent,
}

/// A database server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Database {
    /// What it is.
    pub role: Role,
    /// Whether it takes writes.
    pub is_open: bool,
    /// The address of the server that it follows.
    pub source: Option<String>,
    /// Whether both threads of its replication run.
    pub is_replicating: bool,
    /// Seconds that it is behind, where it knows.
    pub lag_seconds: Option<u64>,
    /// What it complains of.
    pub trouble: Option<String>,
    /// When its certificate on disk ends, which MariaDB tells nobody who comes without TLS; in seconds since the epoch.
    pub certificate_ends: Option<i64>,
    /// Days until then.
    pub certificate_days: Option<i64>,
}

/// The question.
pub fn probe(mysql: &spec::Mysql) -> Probe {
    Probe::new(&GLANCE, [dialect(mysql).program(), &format!("{DATABASE_TLS}/server.crt")])
}

/// What a host's server said.
pub fn database(seen: &Observation) -> Database {
    let value = |key: &str| seen.get(&GLANCE, key).and_then(|f| f.first()).map(String::as_str);
    let source = value("source").map(str::to_owned);
    let is_open = value("read_only") == Some("0");
    let role = match (value("read_only"), &source) {
        (None, _) => Role::Silent,
        (_, Some(_)) => Role::Replica,
        (Some("0"), None) => Role::Primary,
        (_, None) => Role::Closed,
    };
    Database {
        role,
        is_open,
        is_replicating: source.is_some() && value("io") == Some("Yes") && value("sql") == Some("Yes"),
        source,
        lag_seconds: value("behind").and_then(|s| s.parse().ok()),
        trouble: value("trouble").map(str::to_owned),
        certificate_ends: value("ends").and_then(|s| s.parse().ok()),
        certificate_days: None,
    }
}

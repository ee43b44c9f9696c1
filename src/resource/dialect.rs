//! What MariaDB and MySQL are asked, and how each wants to be spoken to: the one probe of a server, its answer, and the
//! words that differ. What a server shall be is decided by the resources; which stack it serves is not known here.

use super::{
    Collector, Observation, Probe,
    gtid::{self, Gtids, Position, positions, sets},
};
use crate::base::script::{Script, quote};
use std::collections::BTreeSet;

/// Where foobar records, per account, what a password was set from.
pub const RECORDS: &str = "/var/lib/foobar/database";

/// Which server. Neither is ever sent a statement that one of its versions (MariaDB 10.11 on, MySQL 8.0.26 on) refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// MariaDB.
    Mariadb,
    /// Oracle's MySQL.
    Mysql,
}

/// Everything there is to know of a server, in one run of its client; header lines have the key `k`, which nobody reads.
/// A server that is down is asked through its data directory whether it holds anything. MariaDB's client would encrypt
/// its way through the socket too; without, it takes half the time. (What proves a certificate needs a session with TLS.)
pub static DATABASE: Collector = Collector {
    name: "database",
    volatile: &[
        "long",
        "replica",
        "gtid_executed",
        "gtid_binlog_pos",
        "gtid_binlog_state",
        "gtid_slave_pos",
        "retrieved",
        "heartbeat",
    ],
    body: r#"
client=$1 extra= more=--skip-ssl
if [ "$client" = mariadb ]; then
  extra="SELECT 'grant' AS k, CONCAT(QUOTE(user),'@',QUOTE(host)) AS g, '' AS l, CONCAT(@q,REPLACE(role,@q,CONCAT(@q,@q)),@q), 'NO' FROM mysql.roles_mapping WHERE host='%';
SELECT 'locked' AS k, user FROM mysql.global_priv WHERE host='%' AND JSON_VALUE(priv,'\$.account_locked');
SELECT 'second' AS k, user FROM mysql.global_priv WHERE host='%' AND JSON_LENGTH(JSON_QUERY(priv,'\$.auth_or'))>1;"
else
  more=--loose-commands extra="SELECT 'grant' AS k, CONCAT(QUOTE(to_user),'@',QUOTE(to_host)) AS g, '' AS l, CONCAT(QUOTE(from_user),'@',QUOTE(from_host)), 'NO' FROM mysql.role_edges WHERE to_host='%';
SELECT 'locked' AS k, user FROM mysql.user WHERE host='%' AND account_locked='Y';
SELECT 'second' AS k, user FROM mysql.user WHERE host='%' AND JSON_EXTRACT(user_attributes,'\$.additional_password') IS NOT NULL;
SELECT 'heartbeat' AS k, heartbeat_interval FROM performance_schema.replication_connection_configuration;
SELECT 'retrieved' AS k, REPLACE(received_transaction_set,CHAR(10),'') FROM performance_schema.replication_connection_status;
SELECT 'clone' AS k, state FROM performance_schema.clone_status;"
fi
(cd /var/lib/foobar/database 2>/dev/null && for f in *; do
  case $f in '*' | *.new) continue ;; esac
  a= b=; read -r a b <"$f"; printf 'record\t%s\t%s\t%s\n' "$f" "$a" "$b"
done)
held() {
  for d in /var/lib/mysql/*/; do
    d=${d%/} n=0
    for f in "$d"/*; do case $f in */'*' | */db.opt) ;; *) n=$((n + 1)) ;; esac; done
    d=${d##*/}
    case $d in '*' | '#'* | mysql | sys | performance_schema | lost+found) ;; *) printf 'schema\t%s\t%s\n' "$d" "$n" ;; esac
  done
}
command -v "$client" >/dev/null || { printf 'state\tabsent\n'; held; return 0; }
said=$("$client" --no-defaults -u root --socket=/run/mysqld/mysqld.sock --connect-timeout=5 $more -B 2>&1 <<SQL
SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version','server_id','server_uuid','read_only','super_read_only','offline_mode','gtid_executed','gtid_binlog_pos','gtid_binlog_state','gtid_slave_pos','rpl_semi_sync_master_enabled','rpl_semi_sync_source_enabled','rpl_semi_sync_slave_enabled','rpl_semi_sync_replica_enabled','binlog_expire_logs_seconds','binlog_format','character_set_server','expire_logs_days','gtid_strict_mode','innodb_flush_log_at_trx_commit','local_infile','max_connections','replica_net_timeout','require_secure_transport','rpl_semi_sync_master_wait_point','rpl_semi_sync_source_wait_point','slave_net_timeout','sync_binlog');
SHOW GLOBAL STATUS WHERE Variable_name IN ('Rpl_semi_sync_master_clients','Rpl_semi_sync_source_clients','Slave_heartbeat_period','Ssl_server_not_before','Ssl_server_not_after');
SELECT 'schema' AS k, schema_name, (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema=schema_name) AS n FROM information_schema.schemata WHERE schema_name NOT IN ('mysql','information_schema','performance_schema','sys');
SELECT 'uncopied' AS k, table_schema, table_name, engine FROM information_schema.tables WHERE table_type='BASE TABLE' AND engine<>'InnoDB' AND table_schema NOT IN ('mysql','information_schema','performance_schema','sys');
SELECT 'account' AS k, user, ssl_type, SHA2(authentication_string,256) FROM mysql.user WHERE host='%';
SELECT 'grant' AS k, grantee, '*.*' AS l, privilege_type, is_grantable FROM information_schema.user_privileges WHERE grantee LIKE '%@\'\%\'' AND privilege_type<>'USAGE';
SET @q=CHAR(96 USING utf8mb4);
SELECT 'grant' AS k, grantee, CONCAT(@q,REPLACE(table_schema,@q,CONCAT(@q,@q)),@q,'.*') AS l, privilege_type, is_grantable FROM information_schema.schema_privileges WHERE grantee LIKE '%@\'\%\'';
SELECT 'grant' AS k, grantee, CONCAT(@q,REPLACE(table_schema,@q,CONCAT(@q,@q)),@q,'.',@q,REPLACE(table_name,@q,CONCAT(@q,@q)),@q) AS l, privilege_type, is_grantable FROM information_schema.table_privileges WHERE grantee LIKE '%@\'\%\'';
SELECT 'grant' AS k, grantee, CONCAT(@q,REPLACE(table_schema,@q,CONCAT(@q,@q)),@q,'.',@q,REPLACE(table_name,@q,CONCAT(@q,@q)),@q) AS l, CONCAT(privilege_type,' (',@q,REPLACE(column_name,@q,CONCAT(@q,@q)),@q,')'), is_grantable FROM information_schema.column_privileges WHERE grantee LIKE '%@\'\%\'';
SELECT 'grant' AS k, CONCAT(QUOTE(user),'@',QUOTE(host)) AS g, CONCAT(routine_type,' ',@q,REPLACE(db,@q,CONCAT(@q,@q)),@q,'.',@q,REPLACE(routine_name,@q,CONCAT(@q,@q)),@q) AS l, UPPER(REPLACE(proc_priv,'Grant','Grant Option')), 'NO' FROM mysql.procs_priv WHERE host='%';
SELECT 'grant' AS k, CONCAT(QUOTE(user),'@',QUOTE(host)) AS g, CONCAT(QUOTE(proxied_user),'@',QUOTE(proxied_host)) AS l, 'PROXY', 'NO' FROM mysql.proxies_priv WHERE host='%';
SELECT 'long' AS k, trx_mysql_thread_id, TIMESTAMPDIFF(SECOND,trx_started,NOW()) AS s FROM information_schema.innodb_trx WHERE trx_started<NOW()-INTERVAL 5 SECOND AND trx_mysql_thread_id<>0;
SELECT 'local' AS k, user, plugin, (SELECT GROUP_CONCAT(privilege_type) FROM information_schema.user_privileges WHERE grantee='\'foobar_health\'@\'localhost\'') AS p FROM mysql.user WHERE user='foobar_health' AND host='localhost';
SELECT 'table' AS k, table_schema, table_name FROM information_schema.tables WHERE table_schema='foobar_verify';
$extra
SHOW REPLICA STATUS\\G
SELECT 'state' AS k, 'running' AS s;
SQL
)
case $said in
*'ERROR 2002'*) printf 'state\tstopped\n'; held
  found=$(find /var/lib/mysql -mindepth 1 -maxdepth 1 ! -name lost+found -print -quit 2>/dev/null)
  [ -n "$found" ] || printf 'directory\tempty\n'
  logs=0; [ ! -r /var/lib/mysql/relay.index ] || while read -r log; do logs=$((logs + 1)); done </var/lib/mysql/relay.index
  [ "$logs" = 0 ] || { [ "$logs" = 1 ] && ! grep -aq 'binlog\.[0-9]' /var/lib/mysql/relay.0* 2>/dev/null; } || printf 'following\tyes\n' ;;
*) printf '%s\n' "$said" | while IFS=' ' read -r line; do
    case $line in
    *'	'*) printf '%s\n' "$line" ;;
    ERROR*) printf 'error\t%s\n' "$line" ;;
    *': '*) printf 'replica\t%s\t%s\n' "${line%%: *}" "${line#*: }" ;;
    esac
  done ;;
esac
:"#,
};

impl Dialect {
    /// The client's program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Mariadb => "mariadb",
            Self::Mysql => "mysql",
        }
    }

    /// How it counts its transactions.
    pub fn gtids(self) -> Gtids {
        match self {
            Self::Mariadb => Gtids::Positions,
            Self::Mysql => Gtids::Sets,
        }
    }

    /// The client as root through the server's socket, whatever option files say; a word list for sh. It reads SQL.
    pub fn client(self) -> String {
        format!("{} -N -B", self.through_socket("root"))
    }

    /// The client of an account that the server's socket lets in, with the columns' names. MariaDB's would encrypt its way
    /// through the socket, and verify a certificate that is for no socket.
    pub fn client_as(self, account: &str) -> String {
        let more = if self == Self::Mariadb { " --skip-ssl" } else { "" };
        format!("{}{more} -B", self.through_socket(account))
    }

    fn through_socket(self, account: &str) -> String {
        // MySQL 9 takes no `\\G` unless told so; older ones do not know the word.
        let more = if self == Self::Mysql { " --loose-commands" } else { "" };
        format!("{} --no-defaults -u {account} --socket=/run/mysqld/mysqld.sock{more}", self.program())
    }

    /// The options that make a client connect by verified TLS alone.
    pub fn verified(self, authority: &str) -> String {
        let authority = quote(authority);
        match self {
            Self::Mariadb => format!("--ssl --ssl-ca={authority} --ssl-verify-server-cert"),
            Self::Mysql => format!("--ssl-mode=VERIFY_IDENTITY --ssl-ca={authority}"),
        }
    }

    /// The options that make a client connect without TLS.
    pub fn plaintext(self) -> &'static str {
        match self {
            Self::Mariadb => "--skip-ssl",
            Self::Mysql => "--ssl-mode=DISABLED --get-server-public-key",
        }
    }

    /// The variable that makes a server wait for its replicas' word.
    pub fn semi_sync_source(self) -> &'static str {
        match self {
            Self::Mariadb => "rpl_semi_sync_master_enabled",
            Self::Mysql => "rpl_semi_sync_source_enabled",
        }
    }

    /// The variable that makes a replica give its word.
    pub fn semi_sync_replica(self) -> &'static str {
        match self {
            Self::Mariadb => "rpl_semi_sync_slave_enabled",
            Self::Mysql => "rpl_semi_sync_replica_enabled",
        }
    }

    /// The status that counts the replicas that give it.
    pub fn semi_sync_clients(self) -> &'static str {
        match self {
            Self::Mariadb => "Rpl_semi_sync_master_clients",
            Self::Mysql => "Rpl_semi_sync_source_clients",
        }
    }

    /// The variable that keeps everyone from writing (MariaDB's root excepted).
    pub fn read_only(self) -> &'static str {
        match self {
            Self::Mariadb => "read_only",
            Self::Mysql => "super_read_only",
        }
    }

    /// Asks for what [`Server::errant`] compares; free of quotes that a shell's double ones would mind.
    pub const POSITIONS: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN \
        ('server_id','server_uuid','gtid_executed','gtid_binlog_pos','gtid_binlog_state','gtid_slave_pos')";

    /// The question whose answer is [`DATABASE`]'s.
    pub fn probe(self) -> Probe {
        Probe::new(&DATABASE, [self.program()])
    }

    /// A script that runs `sql` as root; it travels on standard input, where no other user sees it.
    pub fn run(self, sql: &str) -> Script {
        Script::new().feed(sql, &self.client())
    }
}

/// An account as SQL names it.
pub(super) fn account(name: &str) -> String {
    format!("{}@'%'", literal(name))
}

/// A value as an SQL string literal.
pub fn literal(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// A name as an SQL identifier.
pub fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// What a server answered.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    dialect: Dialect,
    seen: &'a Observation,
}

impl<'a> Server<'a> {
    /// Reads an observation.
    pub fn new(dialect: Dialect, seen: &'a Observation) -> Self {
        Self { dialect, seen }
    }

    fn state(&self) -> Option<&'a str> {
        self.value("state")
    }

    /// Whether it answered every question.
    pub fn is_running(&self) -> bool {
        self.state() == Some("running")
    }

    /// What it complained of, where it runs but answered only some.
    pub fn trouble(&self) -> Option<&'a str> {
        let asked = self.seen.keys(&DATABASE).next().is_some();
        (asked && self.state().is_none()).then(|| self.value("error").unwrap_or("it gave no answer"))
    }

    /// A variable's or status's value.
    pub fn value(&self, name: &str) -> Option<&'a str> {
        Some(self.seen.get(&DATABASE, name)?.first()?.as_str())
    }

    /// Whether a variable is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.value(name).is_some_and(|v| !matches!(v, "OFF" | "0"))
    }

    /// Rows of one kind, without it.
    pub fn rows(&self, kind: &str) -> &'a [Vec<String>] {
        self.seen.all(&DATABASE, kind)
    }

    /// Schemas that hold something. MariaDB's installer leaves an empty one, `test`.
    pub fn held(&self) -> impl Iterator<Item = &'a str> {
        let full = |r: &&Vec<String>| r.get(1).is_some_and(|n| n != "0");
        self.rows("schema").iter().filter(full).filter_map(|r| r.first()).map(String::as_str)
    }

    /// Tables that no snapshot of InnoDB holds, by name and engine.
    pub fn apart(&self) -> Vec<String> {
        let one = |r: &Vec<String>| Some(format!("{}.{} ({})", r.first()?, r.get(1)?, r.get(2)?));
        self.rows("uncopied").iter().filter_map(one).collect()
    }

    /// Whether an account is locked.
    pub fn is_locked(&self, account: &str) -> bool {
        self.rows("locked").iter().any(|r| r.first().is_some_and(|a| a == account))
    }

    /// [`Server::held`] by name.
    pub fn held_list(&self) -> Vec<&'a str> {
        let mut all: Vec<&str> = self.held().collect();
        all.sort_unstable();
        all
    }

    /// Schemas that are not the server's own.
    pub fn schemas(&self) -> impl Iterator<Item = &'a str> {
        self.rows("schema").iter().filter_map(|r| r.first()).map(String::as_str)
    }

    /// What was recorded on the host under a name.
    pub fn record(&self, name: &str) -> Option<&'a [String]> {
        self.rows("record").iter().find(|r| r.first().is_some_and(|n| n == name)).map(|r| &r[1..])
    }

    /// Whether an account has a second password, the one that it had before.
    pub fn has_second(&self, name: &str) -> bool {
        self.rows("second").iter().any(|r| r.first().is_some_and(|n| n == name))
    }

    /// A field of the replica's status, by MySQL's newer name; MariaDB's own is `Master` for `Source`, `Slave` for `Replica`.
    pub fn replica(&self, field: &str) -> Option<&'a str> {
        let old = field.replace("Source", "Master").replace("Replica", "Slave");
        let row = self.rows("replica").iter().find(|r| r.first().is_some_and(|f| *f == field || *f == old))?;
        row.get(1).map(String::as_str)
    }

    /// Whether it has ever been told of a source.
    pub fn is_replica(&self) -> bool {
        self.replica("Source_Host").is_some()
    }

    /// Whether it is stopped, and will follow a source again when it starts: it has relay logs, which go when it is told
    /// to forget its source. (MySQL 9.7 begins another one then, in which no log of a source is named.)
    pub fn is_resting_replica(&self) -> bool {
        self.state() == Some("stopped") && self.value("following").is_some()
    }

    /// Every transaction it has, as the server writes it.
    pub fn executed(&self) -> String {
        let name = if self.dialect == Dialect::Mysql { "gtid_executed" } else { "gtid_binlog_pos" };
        self.value(name).unwrap_or_default().replace("\\n", "")
    }

    /// Every transaction that it has or has yet to apply: what reached it before its source was gone, as the server writes it.
    pub fn received(&self) -> String {
        let (applied, arrived) = match self.dialect {
            Dialect::Mysql => ("gtid_executed", self.value("retrieved")),
            Dialect::Mariadb => ("gtid_slave_pos", self.replica("Gtid_IO_Pos")),
        };
        let applied = self.value(applied).unwrap_or_default().replace("\\n", "");
        gtid::joined(self.dialect.gtids(), &applied, arrived.unwrap_or_default())
    }

    /// Whether it is installed, and has not even tables of its own to start with: an empty data directory, or half of a new one.
    pub fn is_blank(&self) -> bool {
        self.value("state") == Some("stopped")
            && (self.value("directory") == Some("empty") || self.record("making").is_some())
    }

    /// Whether it has never been written to.
    pub fn is_fresh(&self) -> bool {
        self.schemas().next().is_none() && self.executed().is_empty() && !self.is_replica()
    }

    /// Transactions that this server has and its primary has not. Those of the primary's own making are none of them:
    /// the two were asked at different instants.
    pub fn errant(&self, primary: &Server<'_>) -> Vec<String> {
        let (mine, theirs) = (self.executed(), primary.executed());
        match self.dialect {
            Dialect::Mysql => {
                let theirs = sets(&theirs);
                let own = primary.value("server_uuid").unwrap_or_default();
                let known = |id: &str, first: u64, last: u64| {
                    theirs.get(id).is_some_and(|all| all.iter().any(|(a, b)| *a <= first && last <= *b))
                };
                let mut errant = Vec::new();
                for (id, ranges) in sets(&mine) {
                    if id.starts_with(own) && !own.is_empty() {
                        continue;
                    }
                    errant.extend(
                        ranges.iter().filter(|(a, b)| !known(&id, *a, *b)).map(|(a, b)| format!("{id}:{a}-{b}")),
                    );
                }
                errant
            }
            Dialect::Mariadb => {
                let primarys = primary.value("server_id").unwrap_or_default();
                let applied = positions(self.value("gtid_slave_pos").unwrap_or_default());
                let mut theirs = positions(primary.value("gtid_binlog_state").unwrap_or_default());
                theirs.extend(positions(primary.value("gtid_slave_pos").unwrap_or_default()));
                // What it wrote itself, unless it has applied later ones of the same domain since: strict mode lets nothing
                // be applied that a write of its own stands in the way of.
                let own = self.value("server_id").unwrap_or_default();
                let passed = |p: &Position| applied.iter().any(|a| a.domain == p.domain && a.number > p.number);
                let mut suspects = positions(self.value("gtid_binlog_state").unwrap_or_default());
                suspects.retain(|p| p.server == own && !passed(p));
                suspects.extend(applied.iter().filter(|p| p.server != primarys).cloned());
                let known = |p: &Position| {
                    theirs.iter().any(|t| t.domain == p.domain && t.server == p.server && t.number >= p.number)
                };
                let errant: BTreeSet<String> = suspects
                    .iter()
                    .filter(|p| !known(p))
                    .map(|p| format!("{}-{}-{}", p.domain, p.server, p.number))
                    .collect();
                errant.into_iter().collect()
            }
        }
    }
}

//! Variables of a running database server against its file: what was said at run time is taken back. Those that other
//! resources settle (who takes writes, who waits for whom), and those that are read at a start alone, are left out.

use super::{
    Action, Change, Drift, Probe, Refusal, Resource, ResourceId, Seen,
    dialect::{Dialect, Server},
    service::Service,
};

/// What both servers let be changed at run time, of what foobar's files say; [`super::dialect::DATABASE`] asks for each.
pub const DYNAMIC: &[&str] = &[
    "binlog_expire_logs_seconds",
    "binlog_format",
    "character_set_server",
    "expire_logs_days",
    "gtid_strict_mode",
    "innodb_flush_log_at_trx_commit",
    "local_infile",
    "max_connections",
    "replica_net_timeout",
    "require_secure_transport",
    "rpl_semi_sync_master_wait_point",
    "rpl_semi_sync_source_wait_point",
    "server_id",
    "slave_net_timeout",
    "sync_binlog",
];

/// What a server's file says, and what it runs with.
#[derive(Debug)]
pub struct Variables {
    /// Which server.
    pub dialect: Dialect,
    /// Its unit.
    pub unit: String,
    /// The file's text.
    pub file: String,
}

/// The variables that a file sets, by the names that the server knows them by; the last word counts.
fn settings(file: &str) -> Vec<(String, &str)> {
    let mut all: Vec<(String, &str)> = Vec::new();
    for line in file.lines() {
        let Some((name, value)) = line.split_once('=') else { continue };
        let name = name.trim().replace('-', "_").to_lowercase();
        let name = name.strip_prefix("loose_").unwrap_or(&name).to_owned();
        all.retain(|(known, _)| *known != name);
        all.push((name, value.trim().trim_matches(['"', '\''])));
    }
    all
}

/// Whether a server means the same by both.
fn same(wanted: &str, is: &str) -> bool {
    let plain = |v: &str| match v.to_uppercase().as_str() {
        "ON" | "TRUE" | "YES" => "1".to_owned(),
        "OFF" | "FALSE" | "NO" => "0".to_owned(),
        other => other.parse::<f64>().map_or(other.to_owned(), |n| n.to_string()),
    };
    plain(wanted) == plain(is)
}

impl Resource for Variables {
    fn id(&self) -> ResourceId {
        ResourceId::new("database", "variables")
    }

    fn probes(&self) -> Vec<Probe> {
        vec![self.dialect.probe()]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let server = Server::new(self.dialect, seen.here);
        if !server.is_running() || seen.is_restarting(&Service::key(&self.unit)) {
            // It starts with what its file says.
            return Ok(None);
        }
        let (mut sql, mut details) = (String::new(), Vec::new());
        for (name, wanted) in settings(&self.file) {
            let Some(is) = server.value(&name).filter(|_| DYNAMIC.contains(&name.as_str())) else { continue };
            if same(wanted, is) {
                continue;
            }
            // Number and word alike as a word of its own: quotes would be wrong of a number.
            let is_word = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
            if !wanted.chars().all(is_word) {
                continue;
            }
            if self.dialect == Dialect::Mysql {
                // What was said with SET PERSIST would come back with the next start.
                sql.push_str(&format!("RESET PERSIST IF EXISTS {name};\n"));
            }
            sql.push_str(&format!("SET GLOBAL {name}={wanted};\n"));
            details.push(format!("{name}: {is} -> {wanted}"));
        }
        if sql.is_empty() {
            return Ok(None);
        }
        let summary = "set the server's variables as its file says";
        let mut change = Change::new(Action::Update, summary, self.dialect.run(&sql)).drift(Drift::Variable);
        change.details = details;
        Ok(Some(change))
    }
}

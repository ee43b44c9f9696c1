//! How a database server is emptied, so that it is filled anew from its primary: only where somebody says so, and never
//! without keeping what it alone has. Whether it may be is decided in `plan/reseed.rs`.

use super::{
    Action, Change, Impact, Observation,
    db_failover::LOST,
    db_switch::Servers,
    dialect::{DATABASE, Dialect, RECORDS, Server},
    service::UNITS,
};
use crate::base::script::{Script, quote};

impl Servers {
    /// Stops the server here and empties its data directory; what it has and `primary` has not is kept, in a file named after
    /// `mark`. Cut off, it is gone on with by the step that makes a new directory.
    pub fn empty(&self, primary: &Server<'_>, mark: i64) -> Change {
        let has = match self.dialect {
            Dialect::Mysql => primary.executed(),
            // Whoever wrote it: the number alone says nothing of a write that the primary never saw.
            Dialect::Mariadb => {
                ["gtid_binlog_state", "gtid_slave_pos"].map(|n| primary.value(n).unwrap_or_default()).join(",")
            }
        };
        let unit = quote(&self.unit);
        let script = Script::new()
            .then(&self.unshared_by(&has, true))
            .line(format!("systemctl is-active -q {unit} && {} -e 'STOP REPLICA' 2>/dev/null || :", self.dialect.client()))
            .line("said=$(unshared)")
            .line("case $said in *unknown*) printf '%s\\n' \"$said\" | sed -n 's/^unknown\\t/what it alone has is not kept: /p' ;; esac")
            .line("if printf '%s\\n' \"$said\" | grep -q '^lost'; then")
            .then(&self.keep(mark))
            .line("fi")
            .line(format!("timeout 60 systemctl stop {unit} || systemctl kill -s KILL {unit} || :"))
            .line(format!("systemctl stop {unit} 2>/dev/null || :; systemctl reset-failed {unit} 2>/dev/null || :"))
            .line(format!("! systemctl is-active -q {unit} || {{ echo '{} still runs' >&2; exit 1; }}", self.unit))
            .line(format!("mkdir -p -m 700 {RECORDS}; echo making >{RECORDS}/making; sync {RECORDS}/making {RECORDS}"))
            .line("find /var/lib/mysql -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf {} +");
        Change::new(Action::Delete, "empty the data directory, to fill it anew", script)
            .impact(Impact::ConnectionDrop)
            .detail(format!("what it has and the primary has not is kept there: {LOST}/{mark}.sql"))
    }

    /// What a host would answer after that.
    pub fn emptied(&self, seen: &Observation) -> Observation {
        let mut seen = seen.clone();
        seen.forget(&DATABASE);
        seen.add(DATABASE.name, "state\tstopped\ndirectory\tempty\n");
        let mut fields: Vec<String> = seen.get(&UNITS, &self.unit).unwrap_or_default().to_vec();
        if let Some(active) = fields.get_mut(1) {
            *active = "inactive".into();
        }
        let line = fields.iter().fold(self.unit.clone(), |line, field| format!("{line}\t{field}"));
        seen.forget_key(&UNITS, &self.unit);
        seen.add(UNITS.name, &line);
        seen
    }
}

//! The data directory of a database server, made anew where it is empty: by a package that found files there, or because
//! somebody emptied it to have it filled from the primary. One that holds anything is never touched.

use super::{
    Action, Change, Probe, Refusal, Resource, ResourceId, Seen,
    dialect::{Dialect, RECORDS, Server},
    owned::{Kind, Owned, joined},
};
use crate::base::script::Script;

/// A data directory with the server's own tables in it.
#[derive(Debug)]
pub struct DataDirectory {
    /// Which server.
    pub dialect: Dialect,
    /// The schemas that foobar makes in it.
    pub schemas: Vec<String>,
}

/// Where both servers keep their data.
pub const DATA: &str = "/var/lib/mysql";

/// The mark says that what lies here is half of what this step makes: without it nothing is deleted.
const BEGIN: &str = r#"
dir=/var/lib/mysql
[ -d "$dir" ] || install -d -o mysql -g mysql -m 755 "$dir"
inside() { find "$dir" -mindepth 1 -maxdepth 1 ! -name lost+found "$@"; }
if [ ! -e "$records/making" ]; then
  # The package, installed in the same run, has made one meanwhile.
  [ ! -d "$dir/mysql" ] || exit 0
  [ -z "$(inside -print -quit)" ] || { echo "$dir is no longer empty, and is left as it is" >&2; exit 1; }
  mkdir -p -m 700 "$records"
  echo making >"$records/making"
  sync "$records/making" "$records"
fi
inside -exec rm -rf {} +
said=$(mktemp)
chown mysql "$said"
trap 'rm -f "$said" "${first:-}"' EXIT"#;

// As the packages do it: root comes in by its socket, and nothing is written to a binary log.
const MARIADB: &str = "mariadb-install-db --user=mysql --auth-root-authentication-method=socket --skip-test-db \
                       --disable-log-bin >\"$said\" 2>&1 || { tail -n 20 \"$said\" >&2; exit 1; }";

// `--initialize` ends by itself. The package's own file ends in SHUTDOWN, which races with the last of the work and now and
// then (1 of 88 on a loaded machine) leaves "System views initialization failed" and half a directory.
const MYSQL: &str = r#"
first=$(mktemp --tmpdir=/var/lib/mysql-files)
chown mysql:mysql "$first"
cat >"$first" <<'SQL'
SET SESSION sql_log_bin=0;
USE mysql;
INSTALL PLUGIN auth_socket SONAME 'auth_socket.so';
ALTER USER 'root'@'localhost' IDENTIFIED WITH 'auth_socket';
CREATE USER 'debian-sys-maint'@'localhost' IDENTIFIED WITH 'auth_socket' AS 'root';
GRANT ALL ON *.* TO 'debian-sys-maint'@'localhost' WITH GRANT OPTION;
SQL
mysqld --initialize-insecure --user=mysql --init-file="$first" --log-error="$said" || { tail -n 20 "$said" >&2; exit 1; }"#;

impl Resource for DataDirectory {
    fn id(&self) -> ResourceId {
        ResourceId::new("database", "directory")
    }

    fn probes(&self) -> Vec<Probe> {
        vec![self.dialect.probe()]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let server = Server::new(self.dialect, seen.here);
        // Without the package there is no directory to judge; the package makes one.
        if !server.is_blank() {
            return Ok(None);
        }
        let make = match self.dialect {
            Dialect::Mariadb => MARIADB,
            Dialect::Mysql => MYSQL,
        };
        let script = Script::new()
            .line(format!("records={RECORDS}"))
            .line(BEGIN.trim())
            .line(make.trim())
            // What is on record of a source is about data that is gone. What the accounts' passwords were set from stays true
            // of the accounts that another server has.
            .line("rm -f \"$records/source\" \"$records/source.new\" \"$records/seeding\"")
            .line("sync && rm -f \"$records/making\"");
        let change = Change::new(Action::Create, "make an empty data directory", script);
        Ok(Some(match server.record("making") {
            Some(_) => change.detail("an earlier attempt was cut off"),
            None => change.detail("/var/lib/mysql holds nothing"),
        }))
    }

    fn footprint(&self) -> Vec<Owned> {
        vec![Owned::new(Kind::Data, DATA).with([self.dialect.program().to_owned(), joined(&self.schemas)])]
    }
}

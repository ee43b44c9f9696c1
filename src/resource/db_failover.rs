//! How a database server takes the writes over from one that is gone: how that one is kept from coming back by itself, which
//! of its transactions nobody else has, and how what has arrived elsewhere is applied before anything is opened. Who takes
//! over is decided in `plan/failover.rs`.

use super::{
    Action, Change,
    db_switch::Servers,
    dialect::Dialect,
    gtid::{self, Ranges},
};
use crate::base::{
    name::HostName,
    script::{Script, quote},
};

/// Seconds in which a replica notices that its source is silent: `replica_net_timeout` is 10 s in foobar's configuration,
/// and a heartbeat comes every 2 s.
const SILENT: u64 = 20;
/// Seconds that a replica may need to apply what has reached it. Nobody can write meanwhile; what is given up would be lost.
const DRAIN: u64 = 600;
/// Where transactions are kept that one server alone has, as its own tool prints them; for root alone.
pub const LOST: &str = "/var/lib/foobar/lost";

/// What is lost of a server's transactions where another one goes on without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// These and no others: none where there are none.
    Exactly(Ranges),
    /// Nobody can say, for this reason.
    Unknown(String),
}

impl Loss {
    /// Whether it is known that nothing is lost.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::Exactly(ranges) if ranges.is_empty())
    }

    /// Reads what [`unshared`] printed.
    pub fn read(text: &str) -> Self {
        let mut ranges = Ranges::new();
        let mut is_whole = false;
        for line in text.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            match fields[..] {
                ["lost", id, first, last] => match (first.parse(), last.parse()) {
                    (Ok(first), Ok(last)) => ranges.entry(id.to_owned()).or_default().push((first, last)),
                    _ => return Self::Unknown(format!("its log says {line:?}, which is no transaction")),
                },
                ["unknown", why] => return Self::Unknown(why.to_owned()),
                ["whole"] => is_whole = true,
                _ => {}
            }
        }
        if is_whole {
            Self::Exactly(ranges)
        } else {
            Self::Unknown("its binary log could not be read to its end".into())
        }
    }
}

// Backwards from the newest file: a replica gets them in this order, so that the first file with something that it has is
// the last that need be read. A file that a crash has cut short is read up to there.
const UNSHARED: &str = r#"
unshared() { (
cd /var/lib/mysql 2>/dev/null && [ -s binlog.index ] || { printf 'unknown\tit has no binary log\n'; exit 0; }
command -v "$reader" >/dev/null || { printf 'unknown\t%s is not installed there\n' "$reader"; exit 0; }
files= known=
for file in $(tac binlog.index); do
  [ -r "$file" ] || { printf 'unknown\tits binary log lacks %s\n' "$file"; exit 0; }
  files="$file $files"
  said=$("$reader" --no-defaults --base64-output=DECODE-ROWS "$file" 2>/dev/null | awk -v reader="$reader" -v has="$has" -v by="$by" '
    BEGIN {
      n = split(has, sets, ",")
      for (i = 1; i <= n; i++) {
        if (reader == "mariadb-binlog") {
          split(sets[i], p, "-"); key = by == "server" ? p[1] "-" p[2] : p[1]
          if (p[3] + 0 > upto[key] + 0) upto[key] = p[3] + 0
          continue
        }
        m = split(sets[i], parts, ":"); id = parts[1]
        for (j = 2; j <= m; j++) {
          if (parts[j] !~ /^[0-9]/) { id = parts[1] ":" parts[j]; continue }
          k = ++count[id]; split(parts[j], r, "-")
          low[id, k] = r[1] + 0; high[id, k] = (r[2] == "" ? r[1] : r[2]) + 0
        }
      }
    }
    function gtid(id, number, domain,   i) {
      if (reader == "mariadb-binlog") { if (number <= upto[domain]) { known = 1; return } }
      else for (i = 1; i <= count[id]; i++) if (low[id, i] <= number && number <= high[id, i]) { known = 1; return }
      if (id == at && number == last + 1) { last = number; return }
      flush(); at = id; first = last = number
    }
    function flush() { if (at != "") printf "lost\t%s\t%.0f\t%.0f\n", at, first, last; at = "" }
    reader == "mariadb-binlog" && /^#.*\tGTID [0-9]+-[0-9]+-[0-9]+/ {
      split(substr($0, index($0, "\tGTID ") + 6), w, " "); split(w[1], p, "-"); gtid(p[1] "-" p[2], p[3] + 0, by == "server" ? p[1] "-" p[2] : p[1])
    }
    reader != "mariadb-binlog" && /^SET @@SESSION.GTID_NEXT= .[0-9a-f-]+:/ {
      split($0, w, "\047"); n = split(w[2], p, ":"); gtid(substr(w[2], 1, length(w[2]) - length(p[n]) - 1), p[n] + 0, "")
    }
    END { flush(); if (known) print "known" }')
  printf '%s\n' "$said" | grep '^lost' || :
  case $said in *known) known=yes; break ;; esac
done
case $files in *binlog.000001\ *) known=yes ;; esac
[ -n "$known" ] || [ -z "$has" ] || { printf 'unknown\tits binary log does not reach back to what the others have\n'; exit 0; }
printf 'files\t%s\nwhole\n' "$files"
); }"#;

const KEEP_HEAD: &str = r#"( umask 077; mkdir -p "${kept%/*}"; cd /var/lib/mysql
files=$(printf '%s\n' "$said" | sed -n 's/^files\t//p')
lost=$(printf '%s\n' "$said" | grep '^lost')
"#;

// Its own tool takes positions alone: of each group of events, the line with its name tells whether it is one of them.
const KEEP_MARIADB: &str = r#"mariadb-binlog --no-defaults -vv $files 2>"$kept.said" | awk -v lost="$lost" '
  BEGIN { n = split(lost, lines, "\n"); for (i = 1; i <= n; i++) { split(lines[i], f, "\t"); id[i] = f[2]; low[i] = f[3] + 0; high[i] = f[4] + 0 } wanted = 1 }
  /^# at [0-9]+$/ { at = $0; next }
  /^#.*\tGTID [0-9]+-[0-9]+-[0-9]+/ {
    split(substr($0, index($0, "\tGTID ") + 6), w, " "); split(w[1], p, "-"); wanted = 0
    for (i = 1; i <= n; i++) if (id[i] == p[1] "-" p[2] && low[i] <= p[3] + 0 && p[3] + 0 <= high[i]) wanted = 1
  }
  wanted { if (at != "") print at; print }
  { at = "" }' >"$kept.new"
"#;

const KEEP_MYSQL: &str = r#"sets=$(printf '%s\n' "$lost" | awk -F '\t' '{ printf "%s%s:%s-%s", sep, $2, $3, $4; sep = "," }')
mysqlbinlog --no-defaults -vv --include-gtids="$sets" $files >"$kept.new" 2>"$kept.said" || [ -s "$kept.new" ] || { cat "$kept.said" >&2; exit 1; }
"#;

const KEEP_TAIL: &str = r#"rm -f "$kept.said"; sync "$kept.new"; mv -f "$kept.new" "$kept" )"#;

impl Servers {
    fn reader(&self) -> &'static str {
        match self.dialect {
            Dialect::Mariadb => "mariadb-binlog",
            Dialect::Mysql => "mysqlbinlog",
        }
    }

    /// Defines `unshared`, which prints what this server has in its binary log, and one that has `has` does not. The server
    /// need not run. `by_server`: of MariaDB's, `has` is a state, the last transaction of each server, not a position.
    pub(super) fn unshared_by(&self, has: &str, by_server: bool) -> Script {
        let by = if by_server { "server" } else { "domain" };
        Script::new().line(format!("reader={} by={by} has={}", self.reader(), quote(has))).line(UNSHARED.trim())
    }

    /// Asks a server that is gone what it alone has: for [`Loss::read`].
    pub fn unshared(&self, has: &str) -> Script {
        self.unshared_by(has, false).line("unshared")
    }

    /// Keeps the transactions that `unshared` has `said`, and no others, in a file that is named after `mark`: statements that
    /// could be read in again, and each row in words.
    pub(super) fn keep(&self, mark: i64) -> Script {
        Script::new().line(format!("kept={LOST}/{mark}.sql")).line(match self.dialect {
            Dialect::Mariadb => format!("{KEEP_HEAD}{KEEP_MARIADB}{KEEP_TAIL}"),
            Dialect::Mysql => format!("{KEEP_HEAD}{KEEP_MYSQL}{KEEP_TAIL}"),
        })
    }

    /// On the host of a primary that is gone: it does not start by itself any more, and what it alone has is kept. Nothing
    /// goes on where that is more than was said.
    pub fn fence(&self, host: &HostName, has: &str, loss: &Loss, mark: i64) -> Change {
        let unit = quote(&self.unit);
        let mut script = Script::new()
            .line(format!("systemctl -q mask {unit} 2>/dev/null || systemctl mask {unit}"))
            // It may have been started again since it was asked.
            .line(format!("systemctl kill -s KILL {unit} 2>/dev/null || :"))
            .line(format!("systemctl stop {unit} 2>/dev/null || :; systemctl reset-failed {unit} 2>/dev/null || :"))
            .line(format!("! systemctl is-active -q {unit} || {{ echo '{} still runs' >&2; exit 1; }}", self.unit));
        let mut details = vec!["until `foobar apply` brings it back as a replica".to_owned()];
        if let Loss::Exactly(ranges) = loss {
            let mut told: Vec<String> = Vec::new();
            for (id, of) in ranges {
                told.extend(of.iter().map(|(first, last)| format!("lost\t{id}\t{first}\t{last}")));
            }
            told.sort_unstable();
            script = script
                .then(&self.unshared_by(has, false))
                .line("said=$(unshared)")
                .line(format!(
                    "[ \"$(printf '%s\\n' \"$said\" | grep '^lost' | LC_ALL=C sort)\" = {} ] || {{ echo 'it has written more since it was asked what is lost: run foobar failover again' >&2; exit 1; }}",
                    quote(&told.join("\n"))
                ));
            if !ranges.is_empty() {
                script = script.then(&self.keep(mark));
                let (which, count) = gtid::told(self.dialect.gtids(), ranges);
                let are = if count == 1 { "transaction is" } else { "transactions are" };
                details.push(format!("{count} {are} lost to the site: {which}"));
                details.push(format!("they are kept there as statements and rows: {LOST}/{mark}.sql"));
            }
        }
        let mut change =
            Change::new(Action::Update, format!("keep {host} from taking writes: stop and mask {}", self.unit), script);
        change.details = details;
        change
    }

    /// On the server that shall take over: its source is silent, whatever foobar sees of it.
    pub fn silent(&self, from: &HostName) -> Change {
        let show = self.dialect.client().replace(" -N", "");
        let script = Script::new()
            .line("n=0")
            .line(format!("while {show} -e 'SHOW REPLICA STATUS\\G' | grep -qE '_IO_Running: Yes'; do"))
            .line("  n=$((n + 1)); sleep 0.5")
            .line(format!(
                "  [ \"$n\" -lt {} ] || {{ echo {} >&2; exit 1; }}",
                SILENT * 2,
                quote(&format!(
                    "after {SILENT} s it still hears from {from}, which lives and may take writes: nothing was moved"
                ))
            ))
            .line("done");
        Change::new(Action::Check, format!("see that it hears no more from {from}"), script)
    }

    /// On the server that takes over: it applies all that has reached it, and opens.
    pub fn take_over(&self, from: &HostName, to: &HostName, has_others: bool) -> Change {
        let client = self.dialect.client();
        let received = match self.dialect {
            Dialect::Mariadb => {
                "p=$($show -e 'SHOW REPLICA STATUS\\G' | sed -n 's/^ *Gtid_IO_Pos: *//p')".to_owned()
            }
            Dialect::Mysql => {
                "p=$(root \"SELECT REPLACE(received_transaction_set, CHAR(10), '') FROM performance_schema.replication_connection_status\")".to_owned()
            }
        };
        let script = Script::new()
            .line(format!("root() {{ {client} -e \"$1\"; }}; show={}", quote(&client.replace(" -N", ""))))
            // One that was cut off in the middle of this follows nobody any more, and has applied all.
            .line("if $show -e 'SHOW REPLICA STATUS\\G' | grep -q _Running:; then")
            .line("root 'STOP REPLICA IO_THREAD; START REPLICA SQL_THREAD'")
            .line(received)
            .line(format!(
                "[ -z \"$p\" ] || {} || {{ $show -e 'SHOW REPLICA STATUS\\G' | grep -E 'Last_SQL_Error: .' >&2; echo 'it has not applied all that reached it after {DRAIN} s: run foobar failover again, it goes on' >&2; exit 1; }}",
                self.arrived(DRAIN)
            ))
            .line("fi")
            .then(&self.opened(self.acknowledges && has_others));
        let mut change = Change::new(Action::Update, format!("let {to} take the writes"), script)
            .detail(format!("once it has applied all of {from}'s that has reached it"));
        change.is_closing = true;
        change
    }
}

//! Where a replica replicates from, by GTID and verified TLS; how a replica without data gets its primary's; and what is
//! never done for the user: taking a server's own data away. Which hosts these are is not known here.

use super::{
    Action, Change, Drift, Impact, Observation, Probe, Refusal, Resource, ResourceId, Seen,
    database::{recorded, settled},
    dialect::{Dialect, RECORDS, Server, literal},
    reboot::{AtBoot, Proof},
    service::Service,
};
use crate::base::{
    name::HostName,
    script::{Script, quote},
    secret::Secret,
};
use std::net::IpAddr;

/// An account on the primary: name, and its password's name among the secrets.
pub type Credentials = (&'static str, &'static str);

/// Replication from one primary.
#[derive(Clone, Debug)]
pub struct Replication {
    /// Which server.
    pub dialect: Dialect,
    /// The primary.
    pub primary: HostName,
    /// Its address.
    pub address: IpAddr,
    /// Who replicates.
    pub login: Credentials,
    /// Who copies the primary's data to a replica that has none.
    pub seed: Credentials,
    /// The authority that the primary's certificate is verified with.
    pub authority: String,
    /// Its unit.
    pub unit: String,
    /// Whether it tells its primary that it has received each write.
    pub acknowledges: bool,
}

// Both threads, or the server's own words about why not.
const RUNNING: &str = r#"
try=0
while :; do
  said=$($show -e 'SHOW REPLICA STATUS\G')
  case $said in *_IO_Running:\ Yes*_SQL_Running:\ Yes*) break ;; esac
  try=$((try + 1))
  [ "$try" -lt 150 ] || { printf '%s\n' "$said" | grep -E '_(IO|SQL)_Running:|Last_(IO|SQL)_Error: .' >&2; echo 'replication does not run within 30 s' >&2; exit 1; }
  sleep 0.2
done"#;

impl Replication {
    /// What the replica is told, and what it says it was told: `(what, wanted, seen)`.
    fn settings(&self, server: &Server<'_>) -> Vec<(&'static str, String, String)> {
        let field = |name: &str| server.replica(name).unwrap_or_default().to_owned();
        let by_gtid = match self.dialect {
            Dialect::Mariadb => ("Using_Gtid", "Slave_Pos"),
            Dialect::Mysql => ("Auto_Position", "1"),
        };
        let heartbeat = server.value("Slave_heartbeat_period").or(server.value("heartbeat")).unwrap_or_default();
        let heartbeat = heartbeat.parse::<f64>().map(|h| h.to_string()).unwrap_or_default();
        vec![
            ("host", self.address.to_string(), field("Source_Host")),
            ("port", "3306".into(), field("Source_Port")),
            ("user", self.login.0.into(), field("Source_User")),
            ("GTID position", by_gtid.1.into(), field(by_gtid.0)),
            ("TLS", "Yes".into(), field("Source_SSL_Allowed")),
            ("authority", self.authority.clone(), field("Source_SSL_CA_File")),
            ("verified", "Yes".into(), field("Source_SSL_Verify_Server_Cert")),
            ("retry", "5".into(), field("Connect_Retry")),
            ("heartbeat", "2".into(), heartbeat),
        ]
    }

    /// Follows the primary from now on: for a server that has nothing but what that one has.
    pub fn follow(&self, seen: &Seen<'_>) -> Result<Script, Refusal> {
        let password = settled(seen, self.login.1)?;
        Ok(self.change(password, &self.digest(seen)?, true))
    }

    /// `was_primary` where its place in the log is what it wrote itself, or what it applied, whichever is later: MariaDB
    /// counts the two apart, and would ask for its own writes again.
    fn change(&self, password: &Secret, digest: &str, was_primary: bool) -> Script {
        let (host, user) = (literal(&self.address.to_string()), literal(self.login.0));
        let (password, authority) = (literal(password.expose()), literal(&self.authority));
        let sql = match self.dialect {
            Dialect::Mariadb => format!(
                "STOP REPLICA;\nCHANGE MASTER TO MASTER_HOST={host}, MASTER_PORT=3306, MASTER_USER={user}, MASTER_PASSWORD={password}, \
                 MASTER_USE_GTID=slave_pos, MASTER_SSL=1, MASTER_SSL_CA={authority}, MASTER_SSL_VERIFY_SERVER_CERT=1, \
                 MASTER_CONNECT_RETRY=5, MASTER_HEARTBEAT_PERIOD=2{};\nSTART REPLICA;\n",
                if was_primary { ", MASTER_DEMOTE_TO_SLAVE=1" } else { "" }
            ),
            Dialect::Mysql => format!(
                "STOP REPLICA;\nCHANGE REPLICATION SOURCE TO SOURCE_HOST={host}, SOURCE_PORT=3306, SOURCE_USER={user}, SOURCE_PASSWORD={password}, \
                 SOURCE_AUTO_POSITION=1, SOURCE_SSL=1, SOURCE_SSL_CA={authority}, SOURCE_SSL_VERIFY_SERVER_CERT=1, \
                 SOURCE_CONNECT_RETRY=5, SOURCE_RETRY_COUNT=86400, SOURCE_HEARTBEAT_PERIOD=2;\nSTART REPLICA;\n"
            ),
        };
        self.dialect
            .run(&sql)
            .then(&self.running())
            .line(format!("mkdir -p -m 700 {RECORDS}"))
            .line(format!("echo {digest} >{RECORDS}/source.new && mv -f {RECORDS}/source.new {RECORDS}/source"))
            .line(format!("rm -f {RECORDS}/seeding"))
    }

    /// Another server with this one's identity. Replication between the two stops with an error of its own.
    fn twin<'a>(&self, server: &Server<'_>, seen: &Seen<'a>) -> Option<&'a HostName> {
        let uuid = server.value("server_uuid").filter(|_| server.is_running())?;
        let same = |(host, there): &(&HostName, &Observation)| {
            *host != seen.host && Server::new(self.dialect, there).value("server_uuid") == Some(uuid)
        };
        seen.all.iter().find(same).map(|(host, _)| host)
    }

    /// What is recorded of the source that it was told of, as it would be now.
    fn digest(&self, seen: &Seen<'_>) -> Result<String, Refusal> {
        let password = settled(seen, self.login.1)?;
        Ok(recorded(seen, &Secret::new(format!("{} {}", self.address, password.expose()))))
    }

    /// Whether it was told of this very source, and has not lost that with all the rest.
    fn is_told(server: &Server<'_>, digest: &str) -> bool {
        server.record("source").and_then(|r| r.first()).is_some_and(|d| d == digest) && !server.is_blank()
    }

    /// Whether this plan fills it with a copy of its primary's data, if nothing stands in the way.
    pub fn copies(&self, seen: &Seen<'_>) -> bool {
        let server = Server::new(self.dialect, seen.here);
        let empty = Observation::default();
        let primary = Server::new(self.dialect, seen.all.get(&self.primary).unwrap_or(&empty));
        let waits = || !server.is_running() && self.digest(seen).is_ok_and(|d| Self::is_told(&server, &d));
        let rejoins = || Self::rejoins(&server, &primary);
        let returns = || Self::may_return(&server, &primary);
        server.record("seeding").is_some()
            || !server.is_replica() && !waits() && !primary.is_fresh() && !rejoins() && !returns()
    }

    fn running(&self) -> Script {
        let show = self.dialect.client().replace(" -N", "");
        Script::new().line(format!("show={}", quote(&show))).line(RUNNING.trim())
    }

    /// Copies the primary's data. The mark on disk says that what lies here is half a copy, until replication runs: a run
    /// that is cut off is followed by one that copies anew.
    fn copy(&self, password: &Secret, apart: bool) -> Script {
        let client = self.dialect.client();
        let host = self.address.to_string();
        // What is no InnoDB's is the same throughout only while nobody writes.
        let shut = quote(&format!("(where --limit leaves {} out, its account for copies stays locked)", self.primary));
        let still = if apart { "--lock-all-tables" } else { "--single-transaction" };
        let script = Script::new()
            .line(format!("mkdir -p -m 700 {RECORDS} && echo seeding >{RECORDS}/seeding && sync {RECORDS}"));
        match self.dialect {
            Dialect::Mariadb => script
                .line("scratch=$(mktemp -d); trap 'rm -rf \"$scratch\"' EXIT; mkfifo \"$scratch/dump\"")
                .line(format!("{client} -e 'STOP REPLICA; RESET REPLICA ALL; SET GLOBAL read_only=ON'"))
                .feed(
                    format!("[client]\nuser={}\npassword={}\n", self.seed.0, password.expose()),
                    "cat >\"$scratch/login\"",
                )
                // What is read in is not written to the binary log here: it is the primary's, not this server's own.
                .line(format!(
                    "{client} --init-command='SET SESSION sql_log_bin=0' <\"$scratch/dump\" & reader=$!"
                ))
                .line(format!(
                    "{{ mariadb-dump --defaults-file=\"$scratch/login\" --host={host} {} --all-databases {still} --master-data=2 --gtid --hex-blob --events --routines --ignore-table=mysql.gtid_slave_pos && echo 'FLUSH PRIVILEGES;' && touch \"$scratch/whole\"; }} | sed -e \"/^-- SET GLOBAL gtid_slave_pos=/w $scratch/position\" -e \"/^-- Server version/w $scratch/version\" >\"$scratch/dump\"",
                    self.dialect.verified(&self.authority)
                ))
                .line("wait \"$reader\"")
                .line(format!("[ -e \"$scratch/whole\" ] || {{ echo \"the copy of the primary's data broke off\" {shut} >&2; exit 1; }}"))
                // The tables of the system are the primary's now, perhaps an older server's.
                .line(format!("case $(cut -f 2 \"$scratch/version\") in \"$({client} -e 'SELECT VERSION()')\") ;; *) mariadb-upgrade --no-defaults -u root --socket=/run/mysqld/mysqld.sock --force --upgrade-system-tables --silent ;; esac"))
                .line("position=$(sed -n \"s/^-- SET GLOBAL gtid_slave_pos='\\([0-9,-]*\\)';*$/\\1/p\" \"$scratch/position\" | tail -n 1)")
                .line("[ -n \"$position\" ] || { echo \"the primary's copy does not say where it was taken\" >&2; exit 1; }")
                .line(format!(
                    "{client} -e \"RESET MASTER; SET GLOBAL gtid_slave_pos='$position'\""
                )),
            Dialect::Mysql => script
                .line(format!("{client} -e 'STOP REPLICA' 2>/dev/null || :"))
                .line("cloned=$(mktemp); trap 'rm -f \"$cloned\"' EXIT")
                // The server ends the connection when it restarts with the copy; its own record says whether it has one.
                .feed(
                    format!(
                        "SET GLOBAL super_read_only=OFF;\nSET GLOBAL clone_valid_donor_list={};\nCLONE INSTANCE FROM {}@{}:3306 IDENTIFIED BY {} REQUIRE SSL;\n",
                        literal(&format!("{host}:3306")),
                        literal(self.seed.0),
                        literal(&host),
                        literal(password.expose())
                    ),
                    &format!("{client} 2>\"$cloned\" || :"),
                )
                // Before its record is looked at: that may be of an earlier copy.
                .line(format!("if grep -qvE '^ERROR (2013|2006|3707)|^$|Warning' \"$cloned\"; then cat \"$cloned\" >&2; ! grep -q locked \"$cloned\" || echo {shut} >&2; exit 1; fi"))
                .line("try=0")
                .line(format!(
                    "until [ \"$({client} -e 'SELECT state FROM performance_schema.clone_status WHERE binlog_file<>\"\"' 2>/dev/null)\" = Completed ]; do"
                ))
                .line("  try=$((try + 1))")
                .line("  if [ \"$try\" -ge 300 ]; then cat \"$cloned\" >&2; echo \"the copy of the primary's data did not end well\" >&2; exit 1; fi")
                .line("  systemctl is-active -q mysql.service || systemctl start mysql.service || :")
                .line("  sleep 0.2")
                .line("done"),
        }
    }
}

impl Resource for Replication {
    fn id(&self) -> ResourceId {
        ResourceId::new("replication", "source")
    }

    fn probes(&self) -> Vec<Probe> {
        vec![self.dialect.probe()]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let server = Server::new(self.dialect, seen.here);
        if server.trouble().is_some() {
            return Ok(None);
        }
        let empty = Observation::default();
        let primary = Server::new(self.dialect, seen.all.get(&self.primary).unwrap_or(&empty));
        let refuse = |what: String, help: &str| Err(Refusal { host: seen.host.clone(), what, help: help.into() });
        let password = settled(seen, self.login.1)?;
        let digest = self.digest(seen)?;
        let half = server.record("seeding").is_some();

        // First, since what is said below about this server's data would be wrong of the one that counts.
        if let Some(source) = primary.replica("Source_Host") {
            return refuse(
                format!("it is declared a replica of {}, which itself replicates from {source}", self.primary),
                "a change of the file moves no primary: name the server that takes the writes as `mysql.primary`; `foobar switchover` moves it, and edits the file",
            );
        }
        if let Some(twin) = self.twin(&server, seen) {
            return refuse(
                format!("its server_uuid is that of {twin}: one is a copy of the other's disk"),
                "stop the server here, remove /var/lib/mysql/auto.cnf and start it: it makes itself a new one",
            );
        }
        if server.is_running() && primary.is_running() && !half {
            let errant = server.errant(&primary);
            if !errant.is_empty() {
                return refuse(
                    format!("it has transactions that {} has not: {}", self.primary, errant.join(", ")),
                    &format!(
                        "bring to the primary what of them shall stay; then `foobar apply --reseed {}` keeps them beside and fills this server anew",
                        seen.host
                    ),
                );
            }
        }
        let told = Self::is_told(&server, &digest);
        // What is on the replica alone would be lost for the site the moment an empty primary opens. Of one that does not
        // answer nobody knows what it holds; it is said of it that it does not.
        let held = server.held_list();
        if !half
            && primary.trouble().is_none()
            && !held.is_empty()
            && primary.held().next().is_none()
            && (told || server.is_replica() || server.is_resting_replica())
        {
            return refuse(
                format!("it holds data ({}), and {}, its declared primary, holds none", held.join(", "), self.primary),
                "where the other one's data is lost for good, say `STOP REPLICA; RESET REPLICA ALL` here (of several replicas, on the one with the newest data) and name this server as `mysql.primary`",
            );
        }
        // A stopped server tells nothing; one that was told before follows again as soon as it starts.
        if !server.is_running() && told && !half {
            return Ok(None);
        }
        // One that was taken out of the topology and comes back has its place in the primary's log: it is told the new
        // password, and goes on from there.
        let rests = server.is_resting_replica() && !held.is_empty() && !half;
        if (!server.is_replica() && !rests) || half {
            if !half && Self::rejoins(&server, &primary) {
                let script = Script::new()
                    .line(format!("{} -e 'SET GLOBAL {}=OFF'", self.dialect.client(), self.dialect.semi_sync_source()))
                    .then(&self.change(password, &digest, true));
                let change = Change::new(Action::Update, format!("replicate from {}", self.primary), script);
                let why = format!("it has nothing that {} has not, and goes on from there", self.primary);
                return Ok(Some(change.detail(why)));
            }
            if !half && Self::may_return(&server, &primary) {
                let script = Script::new()
                    .line("scratch=$(mktemp -d); trap 'rm -rf \"$scratch\"' EXIT")
                    .feed(
                        format!("[client]\nuser={}\npassword={}\n", self.login.0, password.expose()),
                        "cat >\"$scratch/login\"",
                    )
                    .then(&self.going_on(seen.host))
                    .line(format!("{} -e 'SET GLOBAL {}=OFF'", self.dialect.client(), self.dialect.semi_sync_source()))
                    .then(&self.change(password, &digest, true));
                let change = Change::new(Action::Update, format!("replicate from {}", self.primary), script);
                return Ok(Some(change.detail(format!("if it has nothing that {} has not", self.primary))));
            }
            if !half && !held.is_empty() {
                return refuse(
                    format!(
                        "it is declared a replica, holds data ({}) and does not replicate from {}",
                        held.join(", "),
                        self.primary
                    ),
                    &format!(
                        "name it `mysql.primary` if its data shall stay; `foobar apply --reseed {}` fills it with a copy of the primary's",
                        seen.host
                    ),
                );
            }
            let change = self.change(password, &digest, false);
            if !half && primary.is_fresh() {
                let summary = format!("replicate from {}", self.primary);
                return Ok(Some(Change::new(Action::Create, summary, change)));
            }
            let seed = settled(seen, self.seed.1)?;
            let apart = primary.apart();
            if self.dialect == Dialect::Mysql && !apart.is_empty() {
                return refuse(
                    format!(
                        "MySQL would copy these tables of {} without their rows: {}",
                        self.primary,
                        apart.join(", ")
                    ),
                    "say `ALTER TABLE … ENGINE=InnoDB` on the primary for each of them, then run foobar again",
                );
            }
            let summary = format!("copy the data of {} and replicate from it", self.primary);
            let mut new = Change::new(Action::Create, summary, self.copy(seed, !apart.is_empty()).then(&change));
            if !apart.is_empty() {
                new = new.impact(Impact::WriteOutage);
                new.details.push(format!("writes wait while these tables are copied: {}", apart.join(", ")));
            }
            return Ok(Some(if half { new.detail("an earlier copy was cut off") } else { new }));
        }
        let mut details: Vec<String> = self
            .settings(&server)
            .into_iter()
            .filter(|(_, wanted, is)| wanted != is && !rests)
            .map(|(what, wanted, is)| format!("{what}: {is} -> {wanted}"))
            .collect();
        if rests {
            details.push("it goes on where it stopped".into());
        } else if !told {
            details.push("the password is not the one foobar set".into());
        }
        if !details.is_empty() {
            let mut change = Change::new(
                Action::Update,
                format!("replicate from {}", self.primary),
                self.change(password, &digest, false),
            );
            change.details = details;
            // Told by foobar, and by nobody since, it would say the same.
            return Ok(Some(change.drift(told.then_some(Drift::Replication))));
        }
        let stopped: Vec<String> = ["IO", "SQL"]
            .iter()
            .filter(|t| server.replica(&format!("Replica_{t}_Running")).is_none_or(|s| s == "No"))
            .map(|t| {
                let why = server.replica(&format!("Last_{t}_Error")).map(|e| format!(": {e}")).unwrap_or_default();
                format!("its {t} thread is stopped{why}")
            })
            .collect();
        // Its file says so, and what was said at run time since; a restart forgets the latter.
        let variable = self.dialect.semi_sync_replica();
        let lost = seen.is_restarting(&Service::key(&self.unit));
        let deaf = !lost && server.value(variable).is_some() && server.is_on(variable) != self.acknowledges;
        if stopped.is_empty() && !deaf {
            return Ok(None);
        }
        // The variable counts from the next connection on.
        let set = match (deaf, self.acknowledges) {
            (false, _) => String::new(),
            (_, true) => format!("SET GLOBAL {variable}=ON;\n"),
            (_, false) => format!("SET GLOBAL {variable}=OFF;\n"),
        };
        let script = self.dialect.run(&format!("{set}STOP REPLICA;\nSTART REPLICA;\n")).then(&self.running());
        let summary = if stopped.is_empty() { "restart replication" } else { "start replication" };
        let mut change = Change::new(Action::Update, summary, script);
        change.drift = Some(if stopped.is_empty() { Drift::Variable } else { Drift::Stopped });
        change.details = stopped;
        if deaf {
            let what = if self.acknowledges { "does not acknowledge writes" } else { "acknowledges writes" };
            change.details.push(format!("it {what}: {variable} was changed at run time"));
        }
        Ok(Some(change))
    }

    fn at_boot(&self, seen: &Seen<'_>) -> Option<AtBoot> {
        let server = Server::new(self.dialect, seen.here);
        let runs = |thread: &str| server.replica(&format!("Replica_{thread}_Running")) == Some("Yes");
        // The server's own unit says what is felt.
        (runs("IO") && runs("SQL")).then(|| AtBoot {
            impact: Impact::None,
            proof: Some(Proof::Step {
                summary: format!("see that it replicates from {} again", self.primary),
                script: self.running(),
            }),
        })
    }
}

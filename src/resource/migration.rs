//! A command that is run once per release, on one host, before anything switches to that release. It runs as a unit of
//! the host's own, so that a broken connection does not break it off, and the unit itself notes that it was made. What
//! the command does is not known here.

use super::{Action, Change, Collector, Probe, Refusal, Resource, ResourceId, STATE_DIR, Seen};
use crate::base::{
    name::{HostName, UserName},
    script::{Script, quote},
    secret::Content,
};

/// Which of these releases' migrations the host knows to have been made.
pub static MIGRATED: Collector = Collector {
    name: "migrated",
    volatile: &[],
    body: r#"
for name; do [ -e "/var/lib/foobar/migrated/$name" ] && printf '%s\tmade\n' "$name"; done
:"#,
};

/// Notes on a host that a release's migration was made.
pub fn mark(release: &str) -> Script {
    Script::new().command(mark_words(release).iter().map(String::as_str))
}

fn mark_words(release: &str) -> [String; 6] {
    ["install", "-D", "-m", "600", "/dev/null", &format!("{STATE_DIR}/migrated/{release}")].map(str::to_owned)
}

/// A release's migration, which shall have been made.
#[derive(Clone, Debug)]
pub struct Migration {
    /// The release.
    pub release: String,
    /// The command's words; `$NAME` is expanded from the environment by systemd, as in a unit.
    pub command: Vec<String>,
    /// Where it runs.
    pub directory: String,
    /// Who runs it.
    pub user: UserName,
    /// Its environment, as a systemd EnvironmentFile.
    pub environment: Content,
    /// Hosts whose word that it was made counts, beside this one's.
    pub witnesses: Vec<HostName>,
}

impl Migration {
    /// The resource's name.
    pub fn key() -> ResourceId {
        ResourceId::new("migration", "database")
    }
}

impl Resource for Migration {
    fn id(&self) -> ResourceId {
        Self::key()
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::new(&MIGRATED, [self.release.clone()])]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let witnessed = |host: &HostName| seen.all.get(host).is_some_and(|o| o.get(&MIGRATED, &self.release).is_some());
        if seen.here.get(&MIGRATED, &self.release).is_some() || self.witnesses.iter().any(witnessed) {
            return Ok(None);
        }
        let environment = self.environment.resolve(seen.secrets).map_err(|name| Refusal {
            host: seen.host.clone(),
            what: format!("the migration needs the secret {name}, which is not settled"),
            help: "this is a fault in foobar; please report it".into(),
        })?;
        let words: Vec<String> = self.command.iter().map(|w| quote(w)).collect();
        let (user, directory) = (quote(self.user.as_str()), quote(&self.directory));
        let done = quote(&format!("{STATE_DIR}/migrated/{}", self.release));
        let mark = format!("ExecStartPost=+/usr/bin/{}", mark_words(&self.release).join(" "));
        let script = Script::new()
            // One that a broken connection left behind is waited for, not run beside.
            .line("waited=0")
            .line("while [ \"$(systemctl show --value -p ActiveState foobar-migrate.service)\" = activating ]; do")
            .line("  waited=$((waited + 1)); [ \"$waited\" -lt 600 ] || { echo 'an earlier migration still runs: systemctl status foobar-migrate' >&2; exit 1; }")
            .line("  sleep 1")
            .line("done")
            .line(format!("[ ! -e {done} ] || exit 0"))
            .line("env=/run/foobar-migrate.env; umask 077; rm -f \"$env\"; trap 'rm -f \"$env\"' EXIT")
            .feed(environment.expose(), "cat >\"$env\"")
            .line("since=$(date +%s)")
            .line(format!(
                "if ! systemd-run -q --wait --collect --unit=foobar-migrate --service-type=oneshot --description='Migration of a release' \\\n  \
                 -p User={user} -p WorkingDirectory={directory} -p EnvironmentFile=\"$env\" -p NoNewPrivileges=yes -p PrivateTmp=yes \\\n  \
                 -p ProtectSystem=strict -p ProtectHome=yes -p CapabilityBoundingSet= -p {} \\\n  -- {} || [ ! -e {done} ]; then",
                quote(&mark),
                words.join(" ")
            ))
            .line("  journalctl -q -o cat --no-pager -u foobar-migrate.service --since \"@$since\" | tail -n 30 >&2; exit 1")
            .line("fi");
        Ok(Some(
            Change::new(Action::Update, format!("migrate the database for release {}", self.release), script)
                .detail(format!("runs once, here: {}", self.command.join(" "))),
        ))
    }
}

//! The site's certificate where a client on the host gets it from an ACME directory: the file is the client's, and nothing
//! declares what is in it. An interim certificate stands in until there is one; what is there is held against what was asked
//! for; and a unit of the host's own gets another one where it does not fit. How that unit does it is not known here.

use super::{
    Action, Change, Collector, Drift, Impact, Probe, Refusal, Resource, ResourceId, Seen,
    files::{FILES, File, Files},
    owned::Owned,
};
use crate::base::{
    certificate::{self, Told},
    script::{Script, quote},
};

/// Of each file: its mode and owner, the directory that its first line names, and its first certificate, base64. Keys stay
/// where they are.
pub static ISSUED: Collector = Collector {
    name: "issued",
    volatile: &[],
    body: r#"
for path; do
  [ -f "$path" ] || continue
  printf '%s\tfile\t%s\n' "$path" "$(stat -c '%a %U:%G' -- "$path")"
  printf '%s\tfrom\t%s\n' "$path" "$(sed -n '1s/^# from //p' -- "$path")"
  printf '%s\tcertificate\t%s\n' "$path" "$(sed -n '/^-----BEGIN CERT/,/^-----END CERT/p; /^-----END CERT/q' -- "$path" | base64 -w 0)"
done
:"#,
};

fn field<'a>(seen: &'a Seen<'_>, path: &str, kind: &str) -> Option<&'a str> {
    let lines = seen.here.all(&ISSUED, path).iter();
    lines.filter(|l| l.first().is_some_and(|k| k == kind)).find_map(|l| l.get(1)).map(String::as_str)
}

/// Something to serve with until the first certificate comes: written where nothing is, and never over what is there.
#[derive(Debug)]
pub struct Interim {
    /// The one file, as it is written then.
    pub file: File,
    /// Whose file it is, for the plan and the registry.
    pub name: String,
}

impl Interim {
    /// The resource's name.
    pub fn key() -> ResourceId {
        ResourceId::new("certificate", "interim")
    }

    fn files(&self) -> Files {
        Files::new(self.name.clone(), vec![self.file.clone()])
    }
}

impl Resource for Interim {
    fn id(&self) -> ResourceId {
        Self::key()
    }

    fn probes(&self) -> Vec<Probe> {
        let mut probes = self.files().probes();
        probes.push(Probe::new(&ISSUED, [self.file.path.clone()]));
        probes
    }

    fn written(&self) -> Vec<File> {
        vec![self.file.clone()]
    }

    // The client renews what is there, by a timer of its own: which one it is binds no plan.
    fn unbound(&self) -> Vec<(&'static Collector, String)> {
        vec![(&FILES, self.file.path.clone()), (&ISSUED, self.file.path.clone())]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let path = &self.file.path;
        let Some(stat) = field(seen, path, "file") else {
            // It has no way back: what is there by then may be another one, and this one is in nobody's way.
            return Ok(self.files().diff(seen)?.map(|change| Change { undo: None, ..change }));
        };
        let want = format!("{:o} {}:{}", self.file.mode, self.file.owner, self.file.group);
        if stat == want {
            return Ok(None);
        }
        let at = quote(path);
        let owner = quote(&format!("{}:{}", self.file.owner, self.file.group));
        let script = Script::new().line(format!("chown {owner} {at}")).line(format!("chmod {:o} {at}", self.file.mode));
        let change = Change::new(Action::Update, format!("set mode and owner of {path}"), script);
        Ok(Some(change.detail(format!("{stat} -> {want}")).drift(Drift::Permissions)))
    }

    fn footprint(&self) -> Vec<Owned> {
        self.files().footprint()
    }
}

/// A certificate from a directory, which shall be on disk and shown.
#[derive(Debug)]
pub struct Issued {
    /// Where it is, with its key.
    pub path: String,
    /// The directory's URL.
    pub directory: String,
    /// The DNS names that it is for.
    pub names: Vec<String>,
    /// The unit that gets it where it does not fit, and has it shown; it ends when that is done.
    pub unit: String,
    /// Under which name that unit logs.
    pub log: String,
    /// What tells the serial number of the one that is shown, by its path.
    pub shown: Probe,
    /// What shows it.
    pub service: ResourceId,
}

/// Seconds before its end at which one is renewed at the earliest, by the unit's own timer.
const RENEW_BEFORE: i64 = 30 * 86_400;

impl Issued {
    /// The resource's name: a host has one.
    pub fn key() -> ResourceId {
        ResourceId::new("certificate", "issued")
    }

    /// Why the one that is there does not fit; the one itself where it does.
    fn judge(&self, seen: &Seen<'_>) -> Result<Told, String> {
        let Some(there) = field(seen, &self.path, "certificate") else { return Err("there is none yet".into()) };
        let Some(told) = super::files::decode(there).and_then(|pem| certificate::told(&pem)) else {
            return Err(format!("{} holds none", self.path));
        };
        match field(seen, &self.path, "from").unwrap_or_default() {
            "" => {
                return Err("the one that is there is from no directory: foobar's own, or brought by hand".into());
            }
            from if from != self.directory => return Err(format!("the one that is there is from {from}")),
            _ => {}
        }
        let mut names = self.names.clone();
        names.sort();
        if told.names != names {
            return Err(format!("the one that is there is for {}", told.names.join(", ")));
        }
        if told.ends <= seen.now {
            return Err(format!("it expired {}", told.until));
        }
        // The timer renews it before: what it has missed by a tenth of that time, it will not make up for.
        let last = ((told.ends - told.begins) / 3).min(RENEW_BEFORE) / 10 * 9;
        if told.ends - last < seen.now {
            return Err(format!("it ends {}, and has not been renewed in time", told.until));
        }
        Ok(told)
    }

    fn script(&self) -> Script {
        let (unit, log) = (quote(&self.unit), quote(&self.log));
        Script::new()
            .line(format!("[ \"$(systemctl show --value -p NeedDaemonReload {unit})\" = no ] || systemctl daemon-reload"))
            .line("since=$(date +%s)")
            .line(format!("if ! systemctl start {unit} 2>/dev/null; then"))
            .line(format!("  journalctl --sync 2>/dev/null; journalctl -q -o cat --no-pager -t {log} --since \"@$since\" | tail -n 20 >&2"))
            .line(format!("  echo 'what was shown so far goes on being shown; all of it: journalctl -u '{unit} >&2; exit 1"))
            .line("fi")
    }
}

impl Resource for Issued {
    fn id(&self) -> ResourceId {
        Self::key()
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::new(&ISSUED, [self.path.clone()]), self.shown.clone()]
    }

    fn unbound(&self) -> Vec<(&'static Collector, String)> {
        vec![(&ISSUED, self.path.clone()), (self.shown.collector, self.path.clone())]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let change = match self.judge(seen) {
            Err(why) => {
                let is_there = field(seen, &self.path, "certificate").is_some();
                let action = if is_there { Action::Update } else { Action::Create };
                let summary = format!("get the certificate from {}", self.directory);
                Change::new(action, summary, self.script())
                    .detail(why)
                    .detail(format!("for {}; what is there serves until then", self.names.join(", ")))
            }
            Ok(told) => {
                let shown = seen.here.get(self.shown.collector, &self.path).and_then(|f| f.first());
                // One that is about to be reloaded takes it in by that.
                if shown.is_none_or(|serial| *serial == told.serial) || seen.is_changing(&self.service) {
                    return Ok(None);
                }
                Change::new(Action::Update, "show the certificate on disk", self.script())
                    .detail("another one than that is shown")
                    .drift(Drift::Certificate)
            }
        };
        Ok(Some(change.impact(Impact::Reload)))
    }
}

#[cfg(test)]
#[path = "acme_tests.rs"]
mod tests;

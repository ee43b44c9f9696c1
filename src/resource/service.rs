//! A systemd unit that shall be enabled and running, with the configuration that stands on disk now: the unit whose
//! running configuration is older than its files is restarted or reloaded, whoever changed them and however the last run
//! ended. Which files those are, how a reload is made and proved, the component says.

use super::{
    Action, Change, Collector, Drift, Impact, Probe, Refusal, Resource, ResourceId, STATE_DIR, Seen,
    owned::{Kind, Owned, joined},
    reboot::{AtBoot, Proof},
    state_digest, undo,
};
use crate::base::{
    certificate,
    script::{Script, quote},
    secret::Content,
};

/// State of each unit in one `systemctl show`, and what foobar last proved it to run: the record says which invocation
/// of the unit it is about, so that it counts only as long as that process lives.
pub static UNITS: Collector = Collector {
    name: "units",
    volatile: &[],
    body: r#"
systemctl show --timestamp=unix -p Id,LoadState,ActiveState,UnitFileState,InvocationID,ActiveEnterTimestamp -- "$@" 2>/dev/null |
{ flush() {
    [ -n "$id" ] || return 0
    set -- - - -
    [ -r "/var/lib/foobar/running/$id" ] && { read -r a b c <"/var/lib/foobar/running/$id"; set -- "${a:--}" "${b:--}" "${c:--}"; }
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$id" "${load:--}" "${active:--}" "${file:--}" "${run:--}" "${since:--}" "$@"
    id= load= active= file= run= since=
  }
  id= load= active= file= run= since=
  while IFS='=' read -r k v; do
    case $k in
    Id) id=$v ;; LoadState) load=$v ;; ActiveState) active=$v ;; UnitFileState) file=$v ;; InvocationID) run=$v ;;
    ActiveEnterTimestamp) since=${v#@} ;; '') flush ;;
    esac
  done
  flush
}
:"#,
};

/// When each path was last changed: seconds since the epoch, to the nanosecond, since much happens within one second.
pub static CHANGED: Collector =
    Collector { name: "changed", volatile: &[], body: "stat -c '%n	%.9Z' -- \"$@\" 2>/dev/null\n:" };

const SECOND: i64 = 1_000_000_000;

/// Nanoseconds since the epoch, from seconds with or without a fraction.
fn nanoseconds(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let part: i64 = format!("{part:0<9}").get(..9)?.parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(SECOND)?.checked_add(part)
}

/// Something a unit read when it was started or reloaded.
#[derive(Clone, Debug)]
pub struct Input {
    /// Where it stands on disk.
    pub path: String,
    /// What it holds; for what is no text (a release), a text that changes with it, such as a digest.
    pub content: Content,
    /// The resource that puts it there.
    pub from: ResourceId,
}

/// The certificate that a daemon shows at run time.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The question.
    pub probe: Probe,
    /// Lines of its answer that together are one of [`certificate::marks`]; where one is missing, nothing is known.
    pub keys: &'static [&'static str],
    /// The one on disk, PEM.
    pub content: Content,
}

/// A unit that shall be enabled and running.
#[derive(Clone, Debug)]
pub struct Service {
    /// The unit's full canonical name: `nginx.service`.
    pub unit: String,
    /// What it takes in only when it starts.
    pub restart_on: Vec<Input>,
    /// What it takes in when it is reloaded as well.
    pub reload_on: Vec<Input>,
    /// Resources of which it takes in every change by a reload, also where an input's words stay the same: a zone's serial.
    pub follows: Vec<ResourceId>,
    /// How it is reloaded. `None`: `systemctl reload`.
    pub reload: Option<Script>,
    /// Exits 0 once the unit runs what is on disk; made after each start, restart and reload, since none of their exit
    /// codes proves it (domain notes, "the rule that matters most"). It may wait for a bounded time; what it prints on
    /// stderr is shown.
    pub proof: Option<Script>,
    /// What a restart means for users.
    pub restart_impact: Impact,
    /// What proves that it is back after its host was rebooted. `None`: it is active.
    pub back: Option<Proof>,
    /// Run right before a restart or stop; its failure stops the change.
    pub before_restart: Option<Script>,
    /// How many layers of the stack lie between it and the visitor: what is nearer is taken away first.
    pub layer: u8,
    /// Files that it writes while it runs, because foobar's configuration tells it to: they go with it.
    pub leaves: Vec<String>,
    /// TCP ports that it listens on: one that leaves makes room for another on the same ports before that starts.
    pub ports: Vec<u16>,
    /// What tells whether the certificate that it shows is the one on disk, where another can be put in its place at run
    /// time; a reload mends it.
    pub shown: Option<Shown>,
}

impl Service {
    /// A unit without inputs.
    pub fn new(unit: impl Into<String>) -> Self {
        Self {
            unit: unit.into(),
            restart_on: Vec::new(),
            reload_on: Vec::new(),
            follows: Vec::new(),
            reload: None,
            proof: None,
            restart_impact: Impact::Restart,
            back: None,
            before_restart: None,
            layer: 0,
            leaves: Vec::new(),
            ports: Vec::new(),
            shown: None,
        }
    }

    /// The resource that stands for this unit.
    pub fn key(unit: &str) -> ResourceId {
        ResourceId::new("service", unit)
    }

    fn digest(inputs: &[Input], seen: &Seen<'_>) -> Result<String, Refusal> {
        let mut parts = Vec::new();
        for input in inputs {
            let text = input.content.resolve(seen.secrets).map_err(|name| Refusal {
                host: seen.host.clone(),
                what: format!("{} needs the secret {name}, which is not settled", input.path),
                help: "this is a fault in foobar; please report it".into(),
            })?;
            parts.push(input.path.clone());
            parts.push(text.expose().to_owned());
        }
        Ok(state_digest(parts.iter().map(String::as_str)))
    }

    /// Whether it shows a certificate that is known to be another than the one on disk.
    fn shows_another(&self, seen: &Seen<'_>) -> bool {
        let Some(shown) = &self.shown else { return false };
        let value = |key: &&str| seen.here.get(shown.probe.collector, key).and_then(|f| f.first()).cloned();
        let Some(said) = shown.keys.iter().map(value).collect::<Option<Vec<_>>>() else { return false };
        let Ok(content) = shown.content.resolve(seen.secrets) else { return false };
        let marks = certificate::marks(content.expose());
        !marks.is_empty() && !marks.contains(&said.join("/"))
    }

    /// The file on the host that says what this unit was last proved to run.
    fn record(&self) -> String {
        format!("{STATE_DIR}/running/{}", self.unit)
    }

    /// Whether what runs is older than what is or will be on disk. `recorded` is the digest proved for this very process,
    /// if there is one, and holds for files that were not touched since: who edits one by hand may have reloaded as well.
    /// Without it (a reboot, a restart by hand) the files' times against the unit's start tell.
    fn is_stale(
        &self,
        inputs: &[Input],
        recorded: Option<&str>,
        digest: &str,
        since: Option<i64>,
        seen: &Seen<'_>,
    ) -> bool {
        let changed = |path: &str| seen.here.get(&CHANGED, path).and_then(|f| nanoseconds(f.first()?));
        if let Some(recorded) = recorded {
            let proved = changed(&self.record());
            let touched = |input: &Input| match changed(&input.path) {
                Some(changed) => proved.is_some_and(|proved| changed > proved),
                // One that is gone now and put back by this plan will be newer, and nobody knows what was read meanwhile.
                None => seen.is_changing(&input.from),
            };
            let is_other = match recorded {
                // It took in what was there when that was written down; what this plan puts there will be newer.
                undo::UNKNOWN => inputs.iter().any(|input| seen.is_changing(&input.from)),
                _ => recorded != digest,
            };
            return is_other || inputs.iter().any(touched);
        }
        inputs.iter().any(|input| {
            // A file changed in the second of the start may be on either side of it: taken as newer.
            let newer =
                changed(&input.path).zip(since).is_none_or(|(changed, since)| changed >= since.saturating_mul(SECOND));
            newer || seen.is_changing(&input.from)
        })
    }
}

/// `enable and start`; `unmask, enable and start`.
fn listed(verbs: &[&str]) -> String {
    match verbs {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        _ => verbs.concat(),
    }
}

impl Resource for Service {
    fn id(&self) -> ResourceId {
        Self::key(&self.unit)
    }

    fn probes(&self) -> Vec<Probe> {
        let paths = self.restart_on.iter().chain(&self.reload_on).map(|i| i.path.clone());
        let mut probes = vec![Probe::new(&UNITS, [self.unit.clone()])];
        probes.extend(self.shown.as_ref().map(|s| s.probe.clone()));
        probes.extend(paths.chain([self.record()]).map(|p| Probe::new(&CHANGED, [p])));
        probes
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let fields = seen.here.get(&UNITS, &self.unit).unwrap_or_default();
        let field = |at: usize| fields.get(at).map(String::as_str).unwrap_or("-");
        let (loaded, active, enabled) = (field(0) == "loaded", field(1), field(2) == "enabled");
        let since = field(4).parse().ok();
        let (restart, reload) = (Self::digest(&self.restart_on, seen)?, Self::digest(&self.reload_on, seen)?);
        let is_recorded = field(3) != "-" && field(3) == field(5);
        let recorded = |at: usize| is_recorded.then(|| field(at));
        let running = active == "active" || active == "reloading";

        let mut details = Vec::new();
        let mut verbs = Vec::new();
        // One that foobar never started is not there yet, and has not drifted.
        let was_started = field(5) != "-";
        let mut drift = None;
        let masked = field(0) == "masked";
        if masked {
            verbs.push("unmask");
        }
        if !enabled {
            verbs.push("enable");
            drift = Some(Drift::Disabled);
        }
        let mut act = "";
        if !running {
            act = "start";
            drift = Some(Drift::Stopped);
            if loaded && active != "inactive" {
                details.push(format!("it is {active}"));
            }
        } else if self.is_stale(&self.restart_on, recorded(6), &restart, since, seen) {
            act = "restart";
        } else if self.is_stale(&self.reload_on, recorded(7), &reload, since, seen)
            || self.follows.iter().any(|id| seen.is_changing(id))
        {
            act = "reload";
        }
        if matches!(act, "restart" | "reload") {
            details.push("what runs is older than its configuration".into());
            // What this plan writes is newer than what runs by the topology's word, or the file's own drift says whose it is.
            let inputs = self.restart_on.iter().chain(&self.reload_on);
            let from = inputs.map(|input| &input.from).chain(&self.follows);
            let follows = from.into_iter().any(|id| seen.is_changing(id));
            drift = drift.or((!follows).then_some(Drift::Outdated));
        } else if running && self.shows_another(seen) {
            act = "reload";
            details.push("it shows another certificate than the one on disk".into());
            drift = Some(Drift::Certificate);
        }
        verbs.extend((!act.is_empty()).then_some(act));
        if verbs.is_empty() {
            return Ok(None);
        }

        let unit = quote(&self.unit);
        // Of a directory of drop-ins that is new, systemd 252 (Debian 12) says that nothing is to be read again.
        let mut script = Script::new()
            .line(format!(
                "known=\" $(systemctl show --value -p NeedDaemonReload -p DropInPaths {unit} | tr '\\n' ' ') \""
            ))
            .line(format!("for f in no /etc/systemd/system/{unit}.d/*.conf; do"))
            .line("  case $f in *'*.conf') continue ;; esac")
            .line("  case $known in *\" $f \"*) ;; *) systemctl daemon-reload; break ;; esac")
            .line("done");
        if masked {
            script = script.line(format!("systemctl -q unmask {unit}; systemctl -q unmask --runtime {unit}"));
        }
        if !enabled {
            // Its package may have done it by now; doing it again takes sixty times as long as asking, where there is an init script.
            script = script.line(format!(
                "[ \"$(systemctl is-enabled {unit} 2>/dev/null)\" = enabled ] || systemctl -q enable {unit}"
            ));
        }
        let blame = format!("{{ journalctl -q -n 15 -o cat --no-pager -u {unit} >&2; exit 1; }}");
        script = match act {
            "reload" => match &self.reload {
                Some(reload) => script.then(reload),
                None => script.line(format!("systemctl reload {unit} || {blame}")),
            },
            "" => script,
            _ => {
                if let Some(before) = self.before_restart.as_ref().filter(|_| act == "restart") {
                    script = script.then(before);
                }
                script
                    .line(format!("systemctl reset-failed {unit} 2>/dev/null || :"))
                    .line(format!("systemctl {act} {unit} || {blame}"))
            }
        };
        if !act.is_empty() {
            if let Some(proof) = &self.proof {
                script = script.line("(").then(proof).line(format!(") || {blame}"));
            }
            script = script
                .line(format!("mkdir -p {STATE_DIR}/running"))
                .line(format!(
                    "printf '%s {restart} {reload}\\n' \"$(systemctl show --value -p InvocationID {unit})\" >{STATE_DIR}/running/{unit}.new"
                ))
                .line(format!("mv -f {STATE_DIR}/running/{unit}.new {STATE_DIR}/running/{unit}"));
        }
        let action = if loaded && (running || enabled) { Action::Update } else { Action::Create };
        let impact = match act {
            "restart" => self.restart_impact,
            "reload" => Impact::Reload,
            _ => Impact::None,
        };
        let short = self.unit.strip_suffix(".service").unwrap_or(&self.unit);
        let mut change = Change::new(action, format!("{} {short}", listed(&verbs)), script).impact(impact);
        change.undo = (!act.is_empty()).then(|| {
            let how = if act == "reload" { undo::Resume::Reload(self.reload.as_ref()) } else { undo::Resume::Restart };
            let record = is_recorded.then(|| [field(6), field(7)]);
            let unit = &self.unit;
            undo::service(&undo::Unit { unit, was_running: running, was_enabled: enabled, record, how })
        });
        change.details = details;
        change.drift = drift.filter(|_| loaded && was_started);
        Ok(Some(change))
    }

    fn at_boot(&self, seen: &Seen<'_>) -> Option<AtBoot> {
        let fields = seen.here.get(&UNITS, &self.unit).unwrap_or_default();
        let field = |at: usize| fields.get(at).map(String::as_str).unwrap_or("-");
        // One that does not run is not missed, and one that is not enabled does not come back: another plan's business.
        (field(1) == "active").then(|| AtBoot {
            impact: self.restart_impact,
            proof: (field(2) == "enabled").then(|| self.back.clone().unwrap_or_else(|| Proof::Unit(self.unit.clone()))),
        })
    }

    fn footprint(&self) -> Vec<Owned> {
        // Who is connected when it ends for good is cut off, whatever a restart would have meant. What follows from the role
        // that it has then is no part of a note.
        let impact = Impact::ConnectionDrop.word();
        let fields = [self.layer.to_string(), impact.to_owned(), joined(&self.ports)];
        let short = self.unit.strip_suffix(".service").unwrap_or(&self.unit);
        let left =
            |path: &String| Owned::new(Kind::File, path).with([format!("what {short} left behind"), "left".to_owned()]);
        let mut all = vec![Owned::new(Kind::Service, &self.unit).with(fields)];
        all.extend(self.leaves.iter().map(left));
        all
    }
}

//! The way back of a change: what puts a host to where it was before a step of this run, from what the plan saw there and
//! from what the run kept of what it replaced. When a way back is taken, is not decided here.

use super::STATE_DIR;
use crate::base::script::{Script, quote};

/// Where in a way back a part has its place: what was started stops, then what was replaced comes back, the last first,
/// then what reads it goes on with it, the first first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// Something that did not run before stops.
    Stop,
    /// Something that was replaced comes back.
    Replace,
    /// Something that ran before takes in what came back. Only where there is such a thing is there a state to go back to.
    Resume,
}

/// The way back of one change.
#[derive(Clone, Debug)]
pub struct Undo {
    /// One line in the imperative: `put back nginx configuration`.
    pub summary: String,
    /// When it is done, among the others of its host.
    pub turn: Turn,
    /// What runs on the host, as root, under the run's lock, where `FOOBAR_BEFORE` names what the run kept. It holds
    /// no secret, and is right whether the change was finished, cut off or never begun.
    pub script: Script,
}

impl Undo {
    /// A part of a way back.
    pub fn new(turn: Turn, summary: impl Into<String>, script: Script) -> Self {
        Self { summary: summary.into(), turn, script }
    }
}

/// Puts a file back from what was kept of it. What was never replaced has nothing kept, and stays.
const BACK: &str = r#"back() { # back PATH [new]
  kept=$FOOBAR_BEFORE$1
  if [ -f "$kept" ] || [ -L "$kept" ]; then
    cp -a -- "$kept" "$1.foobar-new" && { [ -L "$1.foobar-new" ] || sync -- "$1.foobar-new"; } && mv -fT -- "$1.foobar-new" "$1"
  elif [ "${2-}" = new ]; then
    rm -f -- "$1"
  fi
}
note() { # note PATH [DIGEST MODE OWNER FORMER]
  now="/var/lib/foobar/written$1.now"; shift
  if [ $# = 4 ]; then printf '%s %s %s %s\n' "$@" >"$now.new" && mv -f -- "$now.new" "$now"; else rm -f -- "$now"; fi
}"#;

/// A path before it is written or removed.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    /// Absolute.
    pub path: &'a str,
    /// Whether it is to be a directory.
    pub is_directory: bool,
    /// Its mode, its owner and its group; none where it was not there.
    pub stat: Option<[&'a str; 3]>,
    /// What foobar had on record about it: digest, mode, owner, former digest.
    pub written: Option<[&'a str; 4]>,
}

/// The way back of files that are written together: `name` says which. What foobar had on record for each comes back as
/// well, so that the next plan tells drift from its own.
pub fn files<'a>(name: &str, paths: impl IntoIterator<Item = Path<'a>>) -> Undo {
    let mut script = Script::new().line(BACK);
    let mut units = false;
    for Path { path, is_directory, stat, written } in paths {
        let at = quote(path);
        script = script.line(match (is_directory, stat) {
            (true, Some(stat)) => {
                let (mode, owner) = (quote(stat[0]), quote(&format!("{}:{}", stat[1], stat[2])));
                format!("[ ! -d {at} ] || {{ chown {owner} {at} && chmod {mode} {at}; }}")
            }
            (true, None) => format!("[ ! -d {at} ] || rmdir -- {at} 2>/dev/null || :"),
            (false, Some(_)) => format!("back {at}"),
            (false, None) => format!("back {at} new"),
        });
        let written = written.map(|w| w.map(quote).join(" "));
        script = script.line(format!("note {at} {}", written.unwrap_or_default()).trim_end());
        units |= path.starts_with("/etc/systemd/system/");
    }
    if units {
        script = script.line("systemctl daemon-reload");
    }
    Undo::new(Turn::Replace, format!("put back {name}"), script)
}

/// The way back of a release's switch.
pub fn release(root: &str, before: Option<&str>) -> Undo {
    let root = quote(root);
    let Some(before) = before else {
        let script = Script::new().line(format!("rm -f -- {root}/current {root}/current.new"));
        return Undo::new(Turn::Replace, "switch to no release", script);
    };
    let name = quote(before);
    let script = Script::new()
        .line(format!(
            "[ -d {root}/releases/{name} ] || {{ echo 'the former release is not there any more' >&2; exit 1; }}"
        ))
        .line(format!("touch -- {root}/releases/{name}"))
        .line(format!("ln -sfn -- releases/{name} {root}/current.new"))
        .line(format!("mv -fT -- {root}/current.new {root}/current"));
    Undo::new(Turn::Replace, format!("switch back to release {before}"), script)
}

/// A unit before its change.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    /// Its full name.
    pub unit: &'a str,
    /// Whether it ran.
    pub was_running: bool,
    /// Whether it was enabled.
    pub was_enabled: bool,
    /// What it was proved to run, as the record has it behind the invocation: two digests.
    pub record: Option<[&'a str; 2]>,
    /// How it takes its former configuration in.
    pub how: Resume<'a>,
}

/// Stands in a unit's record for the digest of what it runs, where it took in what was on disk and nobody knows what that was.
pub const UNKNOWN: &str = "-";

/// How a unit takes in what came back.
#[derive(Clone, Copy, Debug)]
pub enum Resume<'a> {
    /// It starts anew.
    Restart,
    /// It reads its configuration again, this way (none: `systemctl reload`).
    Reload(Option<&'a Script>),
}

/// The way back of a unit's start, restart or reload.
pub fn service(unit: &Unit<'_>) -> Undo {
    let (name, short) = (quote(unit.unit), unit.unit.strip_suffix(".service").unwrap_or(unit.unit));
    let record = format!("{STATE_DIR}/running/{}", unit.unit);
    let blame = format!("{{ journalctl -q -n 15 -o cat --no-pager -u {name} >&2; exit 1; }}");
    if !unit.was_running {
        let disable = match unit.was_enabled {
            true => String::new(),
            false => format!("systemctl -q disable {name} 2>/dev/null || :"),
        };
        let script = Script::new()
            .line(format!("systemctl stop {name} 2>/dev/null || :"))
            .line(format!("systemctl reset-failed {name} 2>/dev/null || :"))
            .line(disable)
            .line(format!("rm -f {record}"));
        return Undo::new(Turn::Stop, format!("stop {short}"), script);
    }
    let mut script = Script::new();
    let verb = match unit.how {
        Resume::Restart => {
            script = script
                .line(format!("systemctl reset-failed {name} 2>/dev/null || :"))
                .line(format!("systemctl restart {name} || {blame}"));
            "restart"
        }
        Resume::Reload(how) => {
            script = match how {
                Some(how) => script.line("(").then(how).line(format!(") || {blame}")),
                None => script.line(format!("systemctl reload {name} || {blame}")),
            };
            "reload"
        }
    };
    script = script.line(format!("systemctl -q is-active {name} || {blame}"));
    // Where nobody knows what it ran (a reboot, a restart by hand), it runs what is on disk by now, whatever that is: what
    // came back is newer than its start.
    let [restart, reload] = unit.record.unwrap_or([UNKNOWN, UNKNOWN]);
    script = script
        .line(format!(
            "printf '%s {restart} {reload}\\n' \"$(systemctl show --value -p InvocationID {name})\" >{record}.new"
        ))
        .line(format!("mv -f {record}.new {record}"));
    Undo::new(Turn::Resume, format!("{verb} {short} as it was"), script)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a way back in a directory that stands for the host's root.
    fn sh(root: &std::path::Path, script: &Script) -> String {
        let text = script.text().replace("/var/lib/foobar", &format!("{}/state", root.display()));
        let text = text.replace("/etc/", &format!("{}/etc/", root.display()));
        let out = std::process::Command::new("sh")
            .args(["-c", &format!("set -eu; exec 2>&1; systemctl() {{ echo systemctl \"$@\"; }}; {text}")])
            .env("FOOBAR_BEFORE", root.join("before"))
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
        String::from_utf8(out.stdout).unwrap()
    }

    fn path<'a>(path: &'a str, stat: Option<[&'a str; 3]>, written: Option<[&'a str; 4]>) -> Path<'a> {
        Path { path, is_directory: path == "/etc/dir", stat, written }
    }

    #[test]
    fn files_come_back_from_what_was_kept_and_new_ones_go() {
        let root = std::env::temp_dir().join(format!("foobar-undo-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        let put = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let at = root.display();
        put("etc/a.conf", "new a");
        put(&format!("before{at}/etc/a.conf"), "old a");
        put("etc/b.conf", "new b");
        put("etc/c.conf", "untouched c");
        put("etc/dir/.keep", "");
        std::fs::remove_file(root.join("etc/dir/.keep")).unwrap();
        put(&format!("state/written{at}/etc/a.conf.now"), "new 644 root:root old\n");
        put(&format!("state/written{at}/etc/b.conf.now"), "new 644 root:root -\n");
        let stat = Some(["640", "root", "root"]);
        let paths = [
            path("/etc/a.conf", stat, Some(["old", "640", "root:root", "older"])),
            path("/etc/b.conf", None, None),
            path("/etc/c.conf", stat, None),
            path("/etc/dir", None, None),
        ];
        let undo = files("nginx configuration", paths);
        assert_eq!((undo.turn, undo.summary.as_str()), (Turn::Replace, "put back nginx configuration"));
        sh(&root, &undo.script);
        let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        assert_eq!(read("etc/a.conf").as_deref(), Some("old a"));
        assert_eq!(read("etc/b.conf"), None, "it was not there before");
        assert_eq!(read("etc/c.conf").as_deref(), Some("untouched c"), "a step that was cut off had not come to it");
        assert!(!root.join("etc/dir").exists());
        assert_eq!(read(&format!("state/written{at}/etc/a.conf.now")).as_deref(), Some("old 640 root:root older\n"));
        assert_eq!(read(&format!("state/written{at}/etc/b.conf.now")), None);
        // Once more changes nothing.
        sh(&root, &undo.script);
        assert_eq!(read("etc/a.conf").as_deref(), Some("old a"));
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn what_ran_goes_on_and_what_did_not_stops() {
        let unit = |was_running, how| Unit {
            unit: "app.service",
            was_running,
            was_enabled: was_running,
            record: Some(["aa", "bb"]),
            how,
        };
        let words = |unit: &Unit<'_>| {
            let undo = service(unit);
            (undo.turn, undo.summary, undo.script.text().to_owned())
        };
        let (turn, summary, script) = words(&unit(true, Resume::Restart));
        assert_eq!((turn, summary.as_str()), (Turn::Resume, "restart app as it was"));
        assert!(script.contains("systemctl restart app.service") && script.contains("aa bb"), "{script}");
        let (turn, summary, script) = words(&unit(true, Resume::Reload(None)));
        assert_eq!((turn, summary.as_str()), (Turn::Resume, "reload app as it was"));
        assert!(script.contains("systemctl reload app.service") && !script.contains("restart app"), "{script}");
        let (_, _, script) = words(&Unit { record: None, ..unit(true, Resume::Reload(None)) });
        assert!(script.contains("printf '%s - -\\n'") && !script.contains("rm -f"), "{script}");
        let (turn, _, script) = words(&unit(false, Resume::Restart));
        assert_eq!(turn, Turn::Stop);
        assert!(script.contains("systemctl stop app.service") && script.contains("disable app.service"), "{script}");
    }
}

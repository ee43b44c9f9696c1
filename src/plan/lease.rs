//! The lease of a host: who is at work there, since when, how far, and until when that holds. A file on the host, written
//! whole while the host's lock is held. The scripts that take, renew, show and end one, and the reading of what they say;
//! sending them is the engine's business.
//!
//! Two things keep others out: the lease, from before a run reads the host until its end, and the lock (flock(2) on the
//! state directory, so that it leaves no file behind), while a command of a run is at work. A lease that is not renewed
//! ends by itself; the lock ends when the command does, whatever became of the run that sent it. Time is the host's
//! uptime: a clock that is set neither ends a lease nor prolongs it, and a lease of an earlier boot is over.

use crate::{
    base::script::{Script, quote},
    resource::STATE_DIR,
};
use serde::Serialize;

/// Exit status of a script that found the host to be another run's: EX_TEMPFAIL of sysexits.h.
pub const HELD: i32 = 75;

/// Seconds that a lease holds without being renewed.
pub const TTL: u32 = 60;

/// Who takes leases: what others are told about a run.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The run's name, by chance; hexadecimal.
    pub run: String,
    /// `user@machine`.
    pub holder: String,
    /// What runs: `foobar apply`.
    pub command: String,
    /// Its process.
    pub pid: u32,
    /// The machine, and the process space on it, that `pid` belongs to, and when that process began: who sees the same can
    /// tell whether the run is alive.
    pub seat: String,
    /// Seconds that its leases hold without being renewed.
    pub ttl: u32,
}

/// A lease as a host tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lease {
    /// The run; empty where there is no lease.
    pub run: String,
    /// `user@machine`.
    pub holder: String,
    /// What runs: `foobar apply`.
    pub command: String,
    /// Its process there; 0 where unknown.
    pub pid: u32,
    /// See [`Claim::seat`].
    #[serde(skip)]
    pub seat: String,
    /// When it was taken, by the host's clock: RFC 3339, UTC.
    pub since: String,
    /// How far the run is: `step 7 of 42: install haproxy`.
    pub progress: String,
    /// Seconds for which it still holds; 0 where it is over.
    pub seconds: u32,
    /// Whether a command of a run is at work this very moment.
    pub is_busy: bool,
}

impl Lease {
    /// Whether it keeps others out by itself.
    pub fn is_live(&self) -> bool {
        !self.run.is_empty() && self.seconds > 0
    }

    /// Whether anything keeps others out.
    pub fn is_held(&self) -> bool {
        self.is_live() || self.is_busy
    }

    /// Who it is, for a message: `ann@laptop, foobar apply, pid 812, since 2026-03-01T10:00:00Z, at step 2 of 9: …`.
    pub fn who(&self) -> String {
        if self.run.is_empty() {
            return "a command of a run that left no name".into();
        }
        let Self { holder, command, pid, since, progress, .. } = self;
        format!("{holder}, {command}, pid {pid}, since {since}, {progress}")
    }

    /// Reads the line that the scripts here print; none where there is no such line.
    pub fn read(stdout: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(stdout);
        let fields: Vec<&str> = text.lines().find_map(|l| l.strip_prefix("@lease\t"))?.split('\t').collect();
        let [busy, seconds, run, since, holder, command, pid, seat, progress] = fields[..] else { return None };
        Some(Self {
            run: run.to_owned(),
            holder: holder.to_owned(),
            command: command.to_owned(),
            pid: pid.parse().unwrap_or_default(),
            seat: seat.to_owned(),
            since: since.to_owned(),
            progress: progress.to_owned(),
            seconds: seconds.parse().unwrap_or_default(),
            is_busy: busy == "1",
        })
    }
}

/// One line of text that a lease can hold: fields are lines of its file, and end at tabs where they are told.
fn field(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let clean = clean.trim();
    if clean.is_empty() { "-".into() } else { clean.to_owned() }
}

/// The words of the shell that all scripts here are made of. No process is started but for the rename.
fn words() -> Script {
    Script::new().line(format!("l_file={STATE_DIR}/lease")).line(
        r#"l_now() { l_up=0 l_boot=; read -r l_up l_at </proc/uptime; l_up=${l_up%.*}; read -r l_boot </proc/sys/kernel/random/boot_id; }
l_read() {
  l_now; l_run= l_in= l_until=0 l_since= l_who= l_what= l_pid= l_seat= l_at=
  [ ! -e "$l_file" ] || { read -r l_run; read -r l_in; read -r l_until; read -r l_since; read -r l_who; read -r l_what; read -r l_pid
    read -r l_seat; read -r l_at; } 2>/dev/null <"$l_file"
  case $l_until in '' | *[!0-9]*) l_until=0 ;; esac
  l_left=0; [ -z "$l_run" ] || [ "$l_in" != "$l_boot" ] || [ "$l_until" -le "$l_up" ] || l_left=$((l_until - l_up))
}
l_say() { printf '@lease\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$l_left" "$l_run" "$l_since" "$l_who" "$l_what" "$l_pid" "$l_seat" "$l_at"; }"#,
    ).line(format!(
        // Who gives a host back leaves no empty directory there, so that the one that was opened may not be the one that is.
        r#"l_is() {{ [ /proc/self/fd/9 -ef {STATE_DIR} ]; }}
l_open() {{ mkdir -p -m 700 {STATE_DIR} && command exec 9<{STATE_DIR}; }}
l_lock() {{ until flock "$@" 9 && l_is; do ! l_is || return 1; l_open || exit 74; done; }}"#
    ))
}

/// The words with those of a run's own: `l_write PROGRESS SECONDS` writes its lease.
fn own_words(claim: &Claim) -> Script {
    let own = [&claim.holder, &claim.command].map(|text| quote(&field(text)));
    words().line(format!("l_own={}", quote(&claim.run))).line(format!(
        "l_write() {{ l_now; printf '%s\\n' \"$l_own\" \"$l_boot\" $((l_up + $2)) \"${{l_since:--}}\" {} {} {} {} \"$1\" >\"$l_file.new\" && mv -f \"$l_file.new\" \"$l_file\"; }}",
        own[0], own[1], claim.pid, quote(&field(&claim.seat)),
    ))
}

/// Takes the lease, or renews one of the same run; ends with [`HELD`] and says whose it is where it is another's. What
/// follows it in the same script is done under the lease. The lease of run `over` counts as ended: somebody has seen that
/// it is dead.
pub fn take(claim: &Claim, over: Option<&str>) -> Script {
    let ttl = claim.ttl;
    own_words(claim).line(format!("l_dead={}", quote(over.unwrap_or("-")))).line(format!(
        r#"l_free() {{ l_read; [ "$l_left" = 0 ] || [ "$l_run" = "$l_own" ] || [ "$l_run" = "$l_dead" ]; }}
l_open || exit 74
# The lock is held for a moment by everyone who looks; longer, by commands alone.
if ! l_lock -n; then
  l_free || {{ l_say 1; exit {HELD}; }}
  l_lock -w 2 || {{ l_read; l_say 1; exit {HELD}; }}
fi
l_free || {{ l_say 0; exit {HELD}; }}
[ "$l_run" = "$l_own" ] || {{ l_since=$(date -u +%Y-%m-%dT%H:%M:%SZ); l_at='reading the hosts'; }}
l_write "$l_at" {ttl} || exit 74
exec 9<&-"#
    ))
}

/// Holds the lock for as long as the script runs, having seen that the lease is still the run's own; else it ends with
/// [`HELD`] and says whose it is. `l_write PROGRESS SECONDS` may be used behind it.
pub fn hold(claim: &Claim) -> Script {
    own_words(claim).line(format!(
        r#"l_open && l_lock -w 10 || {{ l_read; l_say 1; exit {HELD}; }}
l_read
[ "$l_run" = "$l_own" ] || {{ l_say 0; exit {HELD}; }}"#
    ))
}

/// The line, for use behind [`hold`], that says how far the run is and renews its lease.
pub fn note(claim: &Claim, progress: &str) -> String {
    format!("l_write {} {}", quote(&field(progress)), claim.ttl)
}

/// Renews the lease; ends with [`HELD`] and says whose it is where it is the run's no more. While a command of the run is
/// at work there is nothing to renew: nobody else can take it.
pub fn renew(claim: &Claim) -> Script {
    own_words(claim).line(format!(
        r#"exec 9<{STATE_DIR} || exit 74
l_busy=0; flock -n 9 || l_busy=1
l_read
[ "$l_run" = "$l_own" ] || {{ l_say "$l_busy"; exit {HELD}; }}
[ "$l_busy" = 1 ] || l_write "$l_at" {}"#,
        claim.ttl
    ))
}

/// Gives the lease back, having run `last` under it. Where a command that the run began is still at work, the lease ends
/// and the lock stays: it goes with the command.
pub fn release(claim: &Claim, last: &Script) -> Script {
    own_words(claim)
        .line(format!("[ -d {STATE_DIR} ] || exit 0; exec 9<{STATE_DIR}"))
        .line("l_busy=0; flock -w 1 9 || l_busy=1; l_read")
        .line("[ \"$l_run\" = \"$l_own\" ] || exit 0")
        .line("[ \"$l_busy\" = 0 ] || { l_write \"$l_at\" 0; exit 0; }")
        .then(last)
        .line(format!("rm -f \"$l_file\"; rmdir {STATE_DIR} 2>/dev/null; exit 0"))
}

/// Says what the lease is.
pub fn show() -> Script {
    words()
        .line(format!(
            "l_busy=0; if [ -d {STATE_DIR} ]; then exec 9<{STATE_DIR}; flock -n 9 || flock -w 1 9 || l_busy=1; fi"
        ))
        .line("l_read; l_say \"$l_busy\"")
}

/// Takes the lease of `run` away from it. Ends with [`HELD`] and says whose it is where a command is at work or the lease is
/// another run's by now.
pub fn take_away(run: &str) -> Script {
    words().line(format!(
        r#"exec 9<{STATE_DIR} || exit 74
flock -w 1 9 || {{ l_read; l_say 1; exit {HELD}; }}
l_read
[ "$l_run" = {} ] || {{ l_say 0; exit {HELD}; }}
rm -f "$l_file""#,
        quote(run)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_told_whole_or_not_at_all() {
        let line =
            b"noise\n@lease\t0\t41\t0a1b\t2026-03-01T10:00:00Z\tann@laptop\tfoobar apply\t812\ts:1\tstep 2 of 9: x\n";
        let lease = Lease::read(line).unwrap();
        assert!(lease.is_live() && lease.is_held() && !lease.is_busy);
        assert_eq!(lease.who(), "ann@laptop, foobar apply, pid 812, since 2026-03-01T10:00:00Z, step 2 of 9: x");
        let free = Lease::read(b"@lease\t0\t0\t\t\t\t\t\t\t\n").unwrap();
        assert!(!free.is_held());
        for bad in [&b""[..], b"@lease\t0\t41\n", b"lease\t0\t0\t\t\t\t\t\t\t\n"] {
            assert_eq!(Lease::read(bad), None);
        }
    }

    #[test]
    fn a_field_is_one_line_without_tabs() {
        assert_eq!(field(" a\tb\nc "), "a b c");
        assert_eq!(field("\n"), "-");
    }
}

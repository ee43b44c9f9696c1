//! A change that undoes itself on its host unless a fresh login confirms it in time: the scripts that arm, confirm and
//! recall it. What is changed, and how it is put back, its resource says.
//!
//! For changes that could bar the way by which they are made. What is armed lies in `/run`, its timer is a transient unit of
//! the host's own systemd, and the change itself holds at run time only: the session may end and foobar may be killed, and
//! the timer puts it back; the host may be rebooted, and comes up as it was, since nothing is written to a disk before
//! [`Armed::confirm`]. A change that must be written to a disk first is none for this place.
//!
//! The firewall is the one that needs it; a drill, which stops services for a while, is armed with their start and never
//! confirmed. foobar manages no file below /etc/ssh: sshd's configuration, its keys and who may
//! log in are the operator's.
//!
//! Putting back, confirming and arming exclude each other by a lock, and a directory stands for what is armed: who finds it
//! under the lock decides, and takes it away. So a confirmation that comes when the time is over finds nothing to confirm.

use crate::base::script::{Script, quote};

/// Where everything that is armed lies, each in a directory of its own; a reboot empties it, as it ends the timers.
pub const DIR: &str = "/run/foobar.armed";

/// What a fresh login has: the words of root's own shell, wherever it comes from.
const PATH: &str = "export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// One thing that can be armed on a host.
#[derive(Clone, Copy, Debug)]
pub struct Armed<'a> {
    /// Its name: lower-case letters.
    pub name: &'static str,
    /// What it is called where somebody reads that it was put back: `the former firewall rules`.
    pub former: &'static str,
    /// What exactly is armed, such as a digest of it: one that was not the last is not confirmed.
    pub token: &'a str,
    /// Seconds until it is put back.
    pub within: u32,
}

impl Armed<'_> {
    /// Its directory while it is armed; [`Armed::arm`]'s scripts run within.
    pub fn dir(name: &str) -> String {
        format!("{DIR}/{name}")
    }

    /// The unit whose timer puts it back.
    pub fn unit(name: &str) -> String {
        format!("foobar-{name}-revert")
    }

    fn lock(&self) -> String {
        let lock = format!("{}.lock", Self::dir(self.name));
        format!("mkdir -p -m 700 {DIR}; exec 8>{lock}; flock -w 60 8 || {{ echo {lock} is held >&2; exit 1; }}")
    }

    /// The line that notes what became of what was armed last.
    fn note(&self, word: &str) -> String {
        let dir = Self::dir(self.name);
        format!("printf '%s\\n' {} >{dir}.last.new; mv -f {dir}.last.new {dir}.last", quote(&self.noted(word)))
    }

    fn noted(&self, word: &str) -> String {
        format!("{word} {}", self.token)
    }

    /// The line that takes the directory away, at once.
    fn over(&self) -> String {
        let dir = Self::dir(self.name);
        format!("rm -rf {dir}.over; mv -T {dir} {dir}.over; rm -rf {dir}.over")
    }

    /// Arms `back`, then makes the change. `keep` comes before: it leaves what the others need in the directory that all
    /// three run in, and fails where the change would. What an earlier run armed and nobody confirmed is put back first, so
    /// that it is never taken for what was there before. For a step: `set -eu`.
    pub fn arm(&self, keep: &Script, change: &Script, back: &Script) -> Script {
        let (dir, unit, within) = (Self::dir(self.name), Self::unit(self.name), self.within);
        let back = Script::new()
            .line(PATH)
            .line("set -u")
            .line(format!("cd {dir} || exit 1"))
            .line("(")
            .then(back)
            .line(") || exit 1")
            .line(format!("cd /; {}", self.note("back")))
            .line(self.over());
        Script::new()
            .line("umask 077")
            .line(self.lock())
            .line(format!("[ ! -d {dir} ] || sh {dir}/back >&2"))
            .line(format!("systemctl stop {unit}.timer {unit}.service 2>/dev/null || :"))
            .line(format!("systemctl reset-failed {unit}.service 2>/dev/null || :"))
            .line(format!("rm -rf {dir}.new; mkdir {dir}.new"))
            .line(format!("( cd {dir}.new"))
            .then(keep)
            .line(")")
            .feed(back.text(), &format!("cat >{dir}.new/back"))
            .line(format!("printf '%s\\n' {} >{dir}.new/token", quote(self.token)))
            // Where putting back fails it is tried again for as long as it takes: nobody may be able to log in and help.
            .line(format!(
                "systemd-run -q --collect --on-active={within} --timer-property=AccuracySec=100ms --unit={unit} \
                 --description={} -p Restart=on-failure -p RestartSec=5 flock {dir}.lock sh -c {}",
                quote(&format!("Put {} back unless the new ones are confirmed", self.former)),
                quote(&format!("[ ! -d {dir} ] || exec sh {dir}/back"))
            ))
            .line(format!("mv -T {dir}.new {dir}"))
            .line(format!("( cd {dir}"))
            .then(change)
            .line(")")
            .line("exec 8>&-")
    }

    /// Confirms: `keep` makes the change last, in the directory that [`Armed::arm`]'s scripts ran in, and fails where it does
    /// not stand any more; then nothing is armed. Fails, having done nothing, where it was put back before. For a fresh
    /// login, `set -eu`; half of it does nothing.
    pub fn confirm(&self, keep: &Script) -> Script {
        let (dir, unit) = (Self::dir(self.name), Self::unit(self.name));
        let late = format!("the confirmation came too late: {} were back after {} s already", self.former, self.within);
        Script::new()
            .line("{")
            .line(PATH)
            .line(self.lock())
            .line(format!("armed=; [ ! -r {dir}/token ] || read -r armed <{dir}/token"))
            .line(format!("[ \"$armed\" = {} ] || {{ echo {} >&2; exit 1; }}", quote(self.token), quote(&late)))
            .line(format!("( cd {dir}"))
            .then(keep)
            .line(")")
            .line(self.note("kept"))
            .line(self.over())
            .line(format!("systemctl stop {unit}.timer 2>/dev/null || :"))
            .line("exec 8>&-")
            .line("}")
    }

    /// Puts it back without waiting for its time, over a connection that still holds. Says on standard output that it is
    /// back; fails, and says why on standard error, where it was confirmed after all.
    pub fn recall(&self) -> Script {
        let (dir, unit) = (Self::dir(self.name), Self::unit(self.name));
        let kept = "the host took the confirmation all the same, and nothing was put back: plan again";
        Script::new()
            .line("{")
            .line(PATH)
            .line(self.lock())
            .line(format!("armed=; [ ! -r {dir}/token ] || read -r armed <{dir}/token"))
            .line(format!("last=; [ ! -r {dir}.last ] || read -r last <{dir}.last"))
            .line(format!("if [ \"$armed\" = {} ]; then sh {dir}/back >&2", quote(self.token)))
            .line(format!(
                "elif [ \"$last\" = {} ]; then echo {} >&2; exit 1; fi",
                quote(&self.noted("kept")),
                quote(kept)
            ))
            .line(format!("systemctl stop {unit}.timer 2>/dev/null || :"))
            .line(format!("echo {}", quote(&format!("{} were put back", self.former))))
            .line("}")
    }

    /// The line that takes back every arming of this name, whatever its token, for who takes the whole thing away.
    pub fn forget(name: &str) -> Script {
        let (dir, unit) = (Self::dir(name), Self::unit(name));
        Script::new()
            .line(format!("systemctl stop {unit}.timer {unit}.service 2>/dev/null || :"))
            .line(format!("rm -rf {dir} {dir}.*; [ ! -d {DIR} ] || rmdir {DIR} 2>/dev/null || :"))
    }
}

#[cfg(test)]
#[path = "armed_tests.rs"]
mod tests;

//! One host: its files, its boot, its end. Knows its own lab's network only by name.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::Signal;
use serde::Serialize;

use super::{
    base, cgroup,
    error::{LabError, Result},
    net, paths,
    process::{Output, Process, capture, command, run, tail, until},
    spec, text,
};

const BOOT: &str = include_str!("boot-host.sh");
const BOOT_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// Where a host is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HostState {
    /// Not running.
    Stopped,
    /// Running, not answering SSH.
    Booting,
    /// Running, and its SSH answers.
    Running,
}

impl HostState {
    fn of(alive: bool, answers: impl FnOnce() -> bool) -> Self {
        match alive {
            false => Self::Stopped,
            true if answers() => Self::Running,
            true => Self::Booting,
        }
    }
}

/// One host of a lab, with what it needs to boot.
#[derive(Debug, Clone)]
pub struct Host {
    pub(super) lab: String,
    pub(super) octet: u8,
    pub(super) name: String,
    pub(super) address: Ipv4Addr,
    /// The lab's directory.
    pub(super) home: PathBuf,
    /// The root below its overlay.
    pub(super) root: PathBuf,
}

impl Host {
    fn dir(&self) -> PathBuf {
        self.home.join("hosts").join(&self.name)
    }

    fn identity(&self, file: &str) -> PathBuf {
        self.home.join("identity").join(&self.name).join(file)
    }

    fn console(&self) -> PathBuf {
        self.dir().join("console.log")
    }

    /// The process that is this host, while it runs.
    pub fn process(&self) -> Option<Process> {
        let text = fs::read_to_string(self.dir().join("pid")).ok()?;
        Process::recorded(&text).filter(Process::alive)
    }

    fn answers(&self, limit: Duration) -> bool {
        TcpStream::connect_timeout(&SocketAddr::from((self.address, 22)), limit).is_ok()
    }

    /// Where it is in its life.
    pub fn state(&self) -> HostState {
        HostState::of(self.process().is_some(), || self.answers(Duration::from_millis(300)))
    }

    /// The text of its public host key.
    pub fn public_key(&self) -> Result<String> {
        let path = self.identity("ssh_host_ed25519_key.pub");
        fs::read_to_string(&path).map_err(LabError::file("read", &path))
    }

    /// Makes its identity and its files, unless they are there; what a killed run left half-made is made anew.
    pub fn prepare(&self, others: &[text::Named<'_>]) -> Result<()> {
        if self.dir().join("prepared").exists() {
            return Ok(());
        }
        paths::remove_tree(&self.dir())?;
        self.identify()?;
        for part in ["work", "root", "mysql", "upper"] {
            paths::make_dir(&self.dir().join(part), 0o755)?;
        }
        self.fill(others)?;
        paths::write(&self.dir().join("prepared"), "", 0o644)
    }

    /// Its machine id and host key live apart from its disk, so that a host that is reset is known as the same one.
    fn identify(&self) -> Result<()> {
        let (id, key) = (self.identity("machine-id"), self.identity("ssh_host_ed25519_key"));
        if let Some(dir) = id.parent() {
            paths::make_dir(dir, 0o700)?;
        }
        if !self.identity("ssh_host_ed25519_key.pub").exists() {
            let _ = fs::remove_file(&key);
            let keygen = ["-q", "-t", "ed25519", "-N", "", "-C"];
            run(command("ssh-keygen").args(keygen).arg(format!("root@{}", self.name)).arg("-f").arg(&key))?;
        }
        if !id.exists() {
            // A kernel's random UUID without its hyphens is what `systemd-machine-id-setup` would make.
            let source = "/proc/sys/kernel/random/uuid";
            let uuid = fs::read_to_string(source).map_err(LabError::file("read", source))?;
            paths::write(&id, format!("{}\n", uuid.trim().replace('-', "")), 0o444)?;
        }
        Ok(())
    }

    /// Puts its own files into the upper layer, before anything is mounted.
    fn fill(&self, others: &[text::Named<'_>]) -> Result<()> {
        let upper = self.dir().join("upper");
        let read = |path: PathBuf| fs::read(&path).map_err(LabError::file("read", path));
        // Directories made here stand in for those of the base, so their modes must be the same.
        let put = |path: &str, text: &[u8], dir_mode: u32, mode: u32| {
            let path = upper.join(path);
            let made = path.parent().map_or(Ok(()), |d| paths::make_dir(d, dir_mode));
            made.and_then(|()| paths::write(&path, text, mode))
        };
        let text = |path: &str, text: String| put(path, text.as_bytes(), 0o755, 0o644);
        let outer = ["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"];
        let outer = outer.iter().find_map(|p| fs::read_to_string(p).ok()).unwrap_or_default();
        text("etc/hostname", format!("{}\n", self.name))?;
        text("etc/hosts", text::hosts_file(others.iter().copied()))?;
        text("etc/resolv.conf", text::resolv_conf(&outer))?;
        text("etc/systemd/network/10-host0.network", text::network(self.octet, self.address))?;
        // A known id, not an empty one: systemd takes an empty one for a first boot and presets every unit, which enables
        // what the packages' own scripts did not.
        put("etc/machine-id", &read(self.identity("machine-id"))?, 0o755, 0o444)?;
        let key = "ssh_host_ed25519_key";
        put("etc/ssh/ssh_host_ed25519_key", &read(self.identity(key))?, 0o755, 0o600)?;
        put("etc/ssh/ssh_host_ed25519_key.pub", &read(self.identity("ssh_host_ed25519_key.pub"))?, 0o755, 0o644)?;
        let login = read(self.home.join("key.pub"))?;
        for (home, (user, group)) in [("root", (0, 0)), ("home/admin", base::admin_ids(&self.root)?)] {
            paths::make_dir(&upper.join(home), 0o700)?;
            put(&format!("{home}/.ssh/authorized_keys"), &login, 0o700, 0o600)?;
            for path in [home.to_owned(), format!("{home}/.ssh"), format!("{home}/.ssh/authorized_keys")] {
                let path = upper.join(path);
                chown(&path, Some(user), Some(group)).map_err(LabError::file("hand over", &path))?;
            }
        }
        Ok(())
    }

    /// Starts it, in a session of its own that outlives this process, and boots it again after each reboot. It is not up yet
    /// when this returns.
    pub fn boot(&self) -> Result<()> {
        if self.process().is_some() {
            net::attach_host_link(&self.lab, &self.name);
            return Ok(());
        }
        self.clear()?;
        let dir = self.dir();
        let console = fs::File::create(self.console()).map_err(LabError::file("write", self.console()))?;
        let errors = console.try_clone().map_err(LabError::file("write", self.console()))?;
        let groups: Vec<_> = cgroup::of_host(&self.lab, &self.name).iter().map(|g| g.display().to_string()).collect();
        let mut host = command("setsid");
        // Its overlay is mounted in a mount namespace of its own, so the mount ends when the host does, however that is.
        host.args(["--fork", "unshare", "--mount", "--propagation", "slave", "sh", "-c", BOOT, "boot-host"]);
        host.arg(&dir).arg(&self.root).arg(dir.join("pid")).arg(groups.join(" "));
        host.args(["systemd-nspawn", "--quiet", "--keep-unit", "--register=no", "--settings=no", "--boot"]);
        host.args(["--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=read-only"]);
        host.args(["--capability=CAP_NET_ADMIN", "--kill-signal=SIGRTMIN+3"]);
        host.arg(format!("--machine={}", spec::machine(&self.lab, &self.name)));
        host.arg(format!("--hostname={}", self.name)).arg(format!("--network-bridge={}", spec::bridge(&self.lab)));
        // Not on the overlay: CLONE restarts the server by renaming, which overlayfs refuses.
        host.arg(format!("--bind={}:/var/lib/mysql", dir.join("mysql").display()));
        host.arg("--directory").arg(dir.join("root"));
        host.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1").stdout(console).stderr(errors);
        let status = host.status().map_err(|source| LabError::Start { command: "setsid".into(), source })?;
        host.stdout(Stdio::null()).stderr(Stdio::null());
        let begun = status.success() && until(Duration::from_secs(5), || dir.join("pid").exists());
        if begun { Ok(()) } else { Err(self.failed("its process did not start")) }
    }

    /// Waits until its boot is finished and nothing in it has failed.
    pub fn wait(&self) -> Result<()> {
        let mut gone = false;
        let answers = until(BOOT_LIMIT, || {
            gone = self.process().is_none();
            gone || self.answers(Duration::from_millis(250))
        });
        if gone || !answers {
            return Err(self.failed(if gone { "its process ended" } else { "its SSH does not answer" }));
        }
        let mut state = String::new();
        // SSH answers before the boot is finished, and before the bus is there to ask.
        until(BOOT_LIMIT, || {
            let asked = self.ssh("root", "systemctl is-system-running --wait");
            state = asked.map(|o| boot_state(&o)).unwrap_or_default();
            !state.is_empty() || self.process().is_none()
        });
        match state.as_str() {
            "running" => Ok(()),
            "" => Err(self.failed("its boot does not end")),
            other => {
                let failed = self.ssh("root", "systemctl --failed --plain --no-legend").map(|o| o.stdout);
                let units = failed.unwrap_or_default();
                let names: Vec<_> = units.lines().filter_map(|l| l.split_ascii_whitespace().next()).collect();
                Err(self.failed(&format!("systemd says {other}; failed units: {}", names.join(", "))))
            }
        }
    }

    fn failed(&self, why: &str) -> LabError {
        let console = self.console();
        let text = String::from_utf8_lossy(&fs::read(&console).unwrap_or_default()).into_owned();
        LabError::Boot { host: self.name.clone(), why: why.into(), console, tail: tail(&text, 8) }
    }

    /// Runs a shell script on it, over SSH.
    pub fn ssh(&self, user: &str, script: &str) -> Result<Output> {
        let mut ssh = command("ssh");
        ssh.arg("-F").arg(self.home.join("ssh_config"));
        ssh.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-l", user, "--", &self.name]);
        capture(ssh.arg(format!("sh -c {}", quote(script))), "")
    }

    /// Shuts it down as its own `poweroff` would; kills it if that takes too long.
    pub fn stop(&self) -> Result<()> {
        if let Some(process) = self.process() {
            process.signal(Signal::TERM);
            until(STOP_LIMIT, || !process.alive());
        }
        self.clear()
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&self) -> Result<()> {
        if let Some(process) = self.process() {
            process.signal(Signal::KILL);
        }
        self.clear()
    }

    /// Sees to it that nothing of it runs any more.
    fn clear(&self) -> Result<()> {
        cgroup::clear(&self.lab, &self.name)?;
        forget(&self.lab, &self.name);
        let _ = fs::remove_file(self.dir().join("pid"));
        Ok(())
    }

    /// Removes its disk and its data; its identity stays. It must not run.
    pub fn wipe(&self) -> Result<()> {
        paths::remove_tree(&self.dir())
    }
}

/// What systemd said of the boot; empty while it can't be asked.
fn boot_state(asked: &Output) -> String {
    let known = ["running", "degraded", "maintenance", "stopping"];
    let state = asked.stdout.trim();
    if known.contains(&state) { state.into() } else { String::new() }
}

/// One word for a POSIX shell.
fn quote(script: &str) -> String {
    format!("'{}'", script.replace('\'', r"'\''"))
}

/// Removes what a host that was killed leaves on the machine.
fn forget(lab: &str, host: &str) {
    net::remove_host_link(lab, host);
    // systemd-nspawn tidies up here only when it ends by itself.
    for place in ["propagate", "unix-export"] {
        let _ = fs::remove_dir(Path::new("/run/systemd/nspawn").join(place).join(spec::machine(lab, host)));
    }
}

/// Ends a host that only its control groups or its directory still speak of.
pub fn end_unknown(lab: &str, home: &Path, host: &str) -> Result<()> {
    let dir = home.join("hosts").join(host);
    let recorded = fs::read_to_string(dir.join("pid")).ok().and_then(|t| Process::recorded(&t));
    if let Some(process) = recorded {
        process.signal(Signal::KILL);
    }
    cgroup::clear(lab, host)?;
    forget(lab, host);
    let gone = recorded.is_none_or(|p| until(Duration::from_secs(5), || !p.alive()));
    if gone {
        Ok(())
    } else {
        Err(LabError::Stuck { what: format!("host {host}"), why: "its process doesn't end".into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(stdout: &str) -> Output {
        Output { code: 1, stdout: stdout.into(), stderr: String::new() }
    }

    #[test]
    fn the_boot_is_over_when_systemd_says_so() {
        assert_eq!(boot_state(&said("running\n")), "running");
        assert_eq!(boot_state(&said("degraded\n")), "degraded");
        for unfinished in ["", "starting\n", "offline\n", "Failed to connect to bus\n"] {
            assert_eq!(boot_state(&said(unfinished)), "", "{unfinished:?}");
        }
    }

    #[test]
    fn a_host_is_running_only_when_it_answers() {
        assert_eq!(HostState::of(false, || true), HostState::Stopped);
        assert_eq!(HostState::of(true, || false), HostState::Booting);
        assert_eq!(HostState::of(true, || true), HostState::Running);
    }

    #[test]
    fn a_script_stays_one_word() {
        assert_eq!(quote("echo 'a b'"), r"'echo '\''a b'\'''");
    }
}

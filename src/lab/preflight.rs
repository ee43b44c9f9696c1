//! Whether this machine can run a lab, what it lacks, and installing that. Looks only; `install_prerequisites` is the one
//! function that changes the machine.

use std::{fs, path::Path};

use rustix::{
    fs::{FsWord, statfs, statvfs},
    process::geteuid,
};

use super::{
    Progress,
    error::{LabError, Missing, Result},
    process::{command, run, search_path, stream},
};

/// Bytes that a base, its packages and a few hosts want.
const DISK: u64 = 4 << 30;
/// What `statfs` calls overlayfs, which can't carry another overlay's upper layer.
const OVERLAYFS: FsWord = 0x794c_7630;

/// A program that the lab runs, and the Debian package that has it.
const PROGRAMS: [(&str, &str); 10] = [
    ("mmdebstrap", "mmdebstrap"),
    ("systemd-nspawn", "systemd-container"),
    ("nft", "nftables"),
    ("ip", "iproute2"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("setsid", "util-linux"),
    ("unshare", "util-linux"),
    ("mount", "mount"),
    ("chroot", "coreutils"),
];

/// Everything that this machine lacks for a lab kept in that directory, all at once; empty when it is ready.
pub fn preflight(state_dir: &Path) -> Vec<Missing> {
    if !cfg!(target_os = "linux") {
        return vec![Missing::new(
            "Linux",
            "run the lab on Debian 12 or 13; foobar itself also runs here, against real hosts",
        )];
    }
    let mut missing = Vec::new();
    if !geteuid().is_root() {
        missing
            .push(Missing::new("root", "run it with sudo, on a machine of your own: the lab makes bridges and mounts"));
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if let Some(other) = other_system(&release) {
        missing
            .push(Missing::new(format!("Debian 12 or 13 (this is {other})"), "use such a machine, or a virtual one"));
    }
    missing.extend(programs());
    missing.extend(kernel());
    missing.extend(storage(state_dir));
    missing
}

/// The name of the running system, unless it is one that the lab is known to work on.
fn other_system(os_release: &str) -> Option<String> {
    let field = |key: &str| {
        let line = os_release.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    let known = field("ID") == "debian" && matches!(field("VERSION_ID").as_str(), "12" | "13");
    if known {
        return None;
    }
    Some(field("PRETTY_NAME")).filter(|n| !n.is_empty()).or(Some("an unknown system".into()))
}

fn programs() -> Vec<Missing> {
    let path = search_path();
    let found = |program: &str| path.split(':').any(|dir| Path::new(dir).join(program).is_file());
    let absent = PROGRAMS.iter().filter(|(program, _)| !found(program));
    let mut missing: Vec<_> = absent.map(|&(program, package)| lacking(program, package)).collect();
    if !Path::new("/usr/share/keyrings/debian-archive-keyring.gpg").exists() {
        missing.push(lacking("Debian's archive keys", "debian-archive-keyring"));
    }
    missing
}

fn lacking(what: &str, package: &'static str) -> Missing {
    Missing { what: what.into(), fix: format!("apt-get install {package}"), package: Some(package) }
}

fn kernel() -> Vec<Missing> {
    let mut missing = Vec::new();
    let systems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let known = systems.lines().any(|l| l.ends_with("\toverlay"));
    // A module that isn't loaded yet isn't listed; loading it is what the first mount would do.
    if !known && run(command("modprobe").args(["-q", "overlay"])).is_err() {
        missing.push(Missing::new("overlayfs in the kernel", "use a kernel that has it; Debian's own does"));
    }
    if super::cgroup::hierarchies().is_empty() {
        missing.push(Missing::new("control groups", "mount cgroup2 on /sys/fs/cgroup"));
    }
    missing
}

fn storage(state_dir: &Path) -> Vec<Missing> {
    let mut missing = Vec::new();
    let Some(existing) = state_dir.ancestors().find(|p| p.exists()) else { return missing };
    let place = existing.display();
    if let Ok(space) = statvfs(existing) {
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        if free < DISK {
            let what = format!("disk space: {} MB free under {place}", free >> 20);
            missing.push(Missing::new(what, "free 4 GB there, or set FOOBAR_LAB_DIR to a larger disk"));
        }
    }
    if statfs(existing).is_ok_and(|s| s.f_type == OVERLAYFS) {
        let what = format!("a plain file system: {place} is an overlay itself");
        missing.push(Missing::new(what, "set FOOBAR_LAB_DIR to a directory on a real disk or a tmpfs"));
    }
    missing
}

/// Refuses to go on where something is missing.
pub fn require(state_dir: &Path) -> Result<()> {
    let missing = preflight(state_dir);
    if missing.is_empty() { Ok(()) } else { Err(LabError::Unfit(missing)) }
}

/// Installs, with apt, the packages that the lab lacks and nothing else; says which before it does.
pub fn install_prerequisites(state_dir: &Path, progress: &mut dyn FnMut(Progress)) -> Result<()> {
    let missing = preflight(state_dir);
    let (installable, other): (Vec<_>, Vec<_>) = missing.into_iter().partition(|m| m.package.is_some());
    if !other.is_empty() {
        return Err(LabError::Unfit(other));
    }
    let mut packages: Vec<_> = installable.iter().filter_map(|m| m.package).collect();
    packages.sort_unstable();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    progress(Progress::Doing(format!("installing {} with apt", packages.join(", "))));
    let log = std::env::temp_dir().join(format!("foobar-lab-apt-{}.log", std::process::id()));
    let mut apt = |words: &[&str]| {
        let mut command = command("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "DPkg::Lock::Timeout=300", "--yes"]).args(words);
        stream(&mut command, &log, progress)
    };
    // Recommended packages would change more of the user's machine than a lab needs.
    let install: Vec<_> = ["install", "--no-install-recommends"].into_iter().chain(packages.iter().copied()).collect();
    // The lists may be absent or older than the mirror: then once more with new ones.
    if apt(&install).is_err() {
        apt(&["update"])?;
        apt(&install)?;
    }
    let _ = fs::remove_file(&log);
    progress(Progress::Done(format!("installed {}", packages.join(", "))));
    require(state_dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_systems_it_was_tried_on_pass() {
        let debian = |v: &str| format!("PRETTY_NAME=\"Debian GNU/Linux {v}\"\nID=debian\nVERSION_ID=\"{v}\"\n");
        assert_eq!(other_system(&debian("12")), None);
        assert_eq!(other_system(&debian("13")), None);
        assert_eq!(other_system(&debian("11")).as_deref(), Some("Debian GNU/Linux 11"));
        assert_eq!(other_system("PRETTY_NAME=Fedora\nID=fedora\nVERSION_ID=12\n").as_deref(), Some("Fedora"));
        assert_eq!(other_system("").as_deref(), Some("an unknown system"));
    }

    #[test]
    fn what_is_missing_says_how_to_mend_it() {
        let missing = lacking("nft", "nftables");
        assert_eq!(missing.fix, "apt-get install nftables");
        let error = LabError::Unfit(vec![missing]);
        assert_eq!(error.to_string(), "this machine cannot run the lab: nft");
    }
}

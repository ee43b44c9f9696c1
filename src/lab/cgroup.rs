//! The control groups that hosts live in, which are also the proof that a process is the lab's own. Nothing else.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;

use super::{
    error::{LabError, Result},
    process::{signal_pid, until},
};

const MOUNT: &str = "/sys/fs/cgroup";

/// The hierarchies that hosts need groups in: the one of cgroup v2, or `systemd` and `unified` beside the v1 controllers.
pub fn hierarchies() -> Vec<PathBuf> {
    let mount = Path::new(MOUNT);
    if mount.join("cgroup.controllers").exists() {
        return vec![mount.into()];
    }
    let both = ["systemd", "unified"].map(|name| mount.join(name));
    both.into_iter().filter(|p| p.join("cgroup.procs").exists()).collect()
}

/// The groups of one host, made or not.
pub fn of_host(lab: &str, host: &str) -> Vec<PathBuf> {
    hierarchies().into_iter().map(|h| h.join("foobar-lab").join(lab).join(host)).collect()
}

/// The hosts of a lab that have groups, whether or not its record knows them.
pub fn hosts_of(lab: &str) -> Vec<String> {
    let labs = hierarchies().into_iter().map(|h| h.join("foobar-lab").join(lab));
    let mut names: Vec<_> = labs.flat_map(|dir| super::paths::names_in(&dir)).collect();
    names.sort();
    names.dedup();
    names
}

/// Ends every process in a host's groups and removes the groups.
pub fn clear(lab: &str, host: &str) -> Result<()> {
    let groups = of_host(lab, host);
    let empty = until(Duration::from_secs(15), || {
        let pids: Vec<i32> = groups.iter().flat_map(|g| processes(g)).collect();
        pids.iter().for_each(|pid| signal_pid(*pid, Signal::KILL));
        pids.is_empty() && groups.iter().all(|g| remove(g))
    });
    if empty { Ok(()) } else { Err(stuck(&groups)) }
}

fn stuck(groups: &[PathBuf]) -> LabError {
    let left = groups.iter().find(|g| g.exists());
    let what = format!("the control group {}", left.map(|g| g.display().to_string()).unwrap_or_default());
    let pids: Vec<_> = groups.iter().flat_map(|g| processes(g)).map(|p| p.to_string()).collect();
    LabError::Stuck { what, why: format!("processes [{}] don't end", pids.join(", ")) }
}

/// Removes the lab's own group, and the one that all labs share when it was the last.
pub fn clear_lab(lab: &str) {
    for hierarchy in hierarchies() {
        let shared = hierarchy.join("foobar-lab");
        // Only empty groups can be removed, so what is in use stays.
        let _ = fs::remove_dir(shared.join(lab)).and_then(|()| fs::remove_dir(&shared));
    }
}

fn processes(group: &Path) -> Vec<i32> {
    let own = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let mut pids: Vec<i32> = own.lines().filter_map(|l| l.parse().ok()).collect();
    pids.extend(super::paths::names_in(group).iter().flat_map(|name| processes(&group.join(name))));
    pids
}

/// Removes a group from its leaves up; true when it is gone. A zombie holds its group until it is waited for.
fn remove(group: &Path) -> bool {
    for name in super::paths::names_in(group) {
        remove(&group.join(name));
    }
    fs::remove_dir(group).is_ok() || !group.exists()
}

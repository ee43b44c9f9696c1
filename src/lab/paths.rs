//! Where the lab keeps what on this machine, and the locks that keep two runs apart. Nothing here boots anything.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};

use super::{
    Progress,
    error::{LabError, Result},
    process::{command, run, until},
    suite::Suite,
};

/// Counted up when hosts need something of the base root that older ones lack: those are then built anew.
const BASE_FORMAT: u32 = 2;

/// The state directory: `FOOBAR_LAB_DIR`, or `/var/lib/foobar-lab`.
pub fn state_dir() -> PathBuf {
    match std::env::var_os("FOOBAR_LAB_DIR").filter(|v| !v.is_empty()) {
        Some(dir) => dir.into(),
        None => "/var/lib/foobar-lab".into(),
    }
}

/// The directory of one suite's base: `root` below it is what hosts are laid over.
pub fn base(state: &Path, suite: Suite) -> PathBuf {
    state.join("base").join(format!("{suite}-v{BASE_FORMAT}"))
}

/// The directory of one lab.
pub fn lab(state: &Path, name: &str) -> PathBuf {
    state.join("labs").join(name)
}

/// The lock of one lab. Kept when the lab goes: a lock that is removed no longer keeps anybody apart.
pub fn lab_lock(state: &Path, name: &str) -> PathBuf {
    state.join("locks").join(name)
}

/// The names of the directories below one, none where it doesn't exist.
pub fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let dirs = entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
    let mut names: Vec<_> = dirs.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// A lock held until it is dropped, or the process ends in any way.
#[derive(Debug)]
pub struct Lock {
    file: fs::File,
}

impl Lock {
    /// Lets the commands started from now on hold the lock too, so that it outlives this process while they run.
    pub fn share(&self) -> Result<()> {
        let done = rustix::io::fcntl_setfd(&self.file, rustix::io::FdFlags::empty());
        done.map_err(|e| LabError::file("share", "the lock")(e.into()))
    }
}

/// Takes a lock, waiting for another run where there is one.
pub fn lock(path: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Lock> {
    if let Some(dir) = path.parent() {
        make_dir(dir, 0o755)?;
    }
    let file = fs::File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(LabError::file("open the lock", path))?;
    let free = || flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
    // Most are held for a moment only, which is not worth a word.
    if !until(Duration::from_millis(300), free) {
        progress(Progress::Doing(format!("waiting for another run that holds {}", path.display())));
        let taken = flock(&file, FlockOperation::LockExclusive);
        taken.map_err(|e| LabError::file("take the lock", path)(e.into()))?;
    }
    Ok(Lock { file })
}

/// Makes a directory with all above it; one that exists keeps its mode.
pub fn make_dir(path: &Path, mode: u32) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(LabError::file("make", parent))?;
    }
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(LabError::file("make", path)(e)),
        _ => Ok(()),
    }
}

/// Writes a file with exactly this mode, whole or not at all.
pub fn write(path: &Path, text: impl AsRef<[u8]>, mode: u32) -> Result<()> {
    let temporary = PathBuf::from(format!("{}.new", path.display()));
    let failed = |e| LabError::file("write", path)(e);
    fs::write(&temporary, "").map_err(failed)?;
    fs::set_permissions(&temporary, fs::Permissions::from_mode(mode)).map_err(failed)?;
    fs::write(&temporary, text).map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)
}

/// Removes a directory with all below it, after unmounting what may still be mounted there: nothing is ever deleted
/// through a mount.
pub fn remove_tree(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    for point in mounts_below(path).iter().rev() {
        run(command("umount").arg("--").arg(point))?;
    }
    if let Some(point) = mounts_below(path).first() {
        let what = format!("the mount {}", point.display());
        return Err(LabError::Stuck { what, why: format!("{} is not removed through it", path.display()) });
    }
    fs::remove_dir_all(path).map_err(LabError::file("remove", path))
}

fn mounts_below(path: &Path) -> Vec<PathBuf> {
    mount_points(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(), path)
}

/// The mount points below a directory, from the text of mountinfo, in the order of mounting.
fn mount_points(mountinfo: &str, below: &Path) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    points.map(|p| PathBuf::from(p.replace("\\040", " "))).filter(|p| p.starts_with(below)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_below_a_directory_and_not_beside_it() {
        let text = "36 35 98:0 / / rw - ext4 /dev/x rw\n37 36 0:3 / /x/demo/root rw - overlay overlay rw\n\
                    38 36 0:4 / /x/demo-2/root rw - overlay overlay rw\n39 37 0:5 / /x/demo/root/a\\040b rw - tmpfs t rw\n";
        let found = mount_points(text, Path::new("/x/demo"));
        assert_eq!(found, [PathBuf::from("/x/demo/root"), PathBuf::from("/x/demo/root/a b")]);
    }

    #[test]
    fn bases_of_suites_are_apart() {
        let state = Path::new("/s");
        assert_ne!(base(state, Suite::Bookworm), base(state, Suite::Trixie));
        assert_eq!(lab(state, "demo"), Path::new("/s/labs/demo"));
    }
}

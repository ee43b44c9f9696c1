//! The app's folder as one archive that is the same wherever and whenever the same files are packed. What is wrong with the
//! folder is said in words; at which line of the topology that is, `gather.rs` knows.

use super::local::plain;
use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// The most that a release may hold, in bytes: it goes to each app host in one script.
const RELEASE_MOST: usize = 256 << 20;
/// Names that are never part of a release: what version control, Python and editors leave behind.
const SKIPPED: &[&str] = &[".git", ".hg", ".svn", "__pycache__", ".venv", ".pytest_cache", ".mypy_cache", ".DS_Store"];

/// The folder as a tar that depends on nothing but names, contents and executable bits.
pub fn pack(root: &Path) -> Result<Vec<u8>, String> {
    let fail = |path: &Path, e: &io::Error| format!("{}: {}", path.display(), plain(e));
    if !fs::metadata(root).map_err(|e| fail(root, &e))?.is_dir() {
        return Err(format!("{} is no folder", root.display()));
    }
    let mut builder = tar::Builder::new(Vec::new());
    let mut open = vec![PathBuf::new()];
    let mut paths = Vec::new();
    while let Some(dir) = open.pop() {
        let at = root.join(&dir);
        for entry in fs::read_dir(&at).map_err(|e| fail(&at, &e))? {
            let entry = entry.map_err(|e| fail(&at, &e))?;
            let name: OsString = entry.file_name();
            let skipped = name.to_str().is_none_or(is_skipped);
            if skipped {
                continue;
            }
            let path = dir.join(&name);
            if entry.file_type().map_err(|e| fail(&path, &e))?.is_dir() {
                open.push(path.clone());
            }
            paths.push(path);
        }
    }
    paths.sort();
    let mut total = 0;
    for path in paths {
        let full = root.join(&path);
        let meta = fs::symlink_metadata(&full).map_err(|e| fail(&full, &e))?;
        let mut header = tar::Header::new_gnu();
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        if meta.is_dir() {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o755);
            header.set_size(0);
            builder.append_data(&mut header, &path, io::empty()).map_err(|e| fail(&full, &e))?;
        } else if meta.is_symlink() {
            let target = fs::read_link(&full).map_err(|e| fail(&full, &e))?;
            let outside = target.is_absolute()
                || !fs::canonicalize(&full)
                    .and_then(|real| Ok(real.starts_with(fs::canonicalize(root)?)))
                    .unwrap_or(false);
            if outside {
                return Err(format!("{} is a link that leads out of the folder", full.display()));
            }
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_mode(0o777);
            header.set_size(0);
            builder.append_link(&mut header, &path, &target).map_err(|e| fail(&full, &e))?;
        } else if meta.is_file() {
            let bytes = fs::read(&full).map_err(|e| fail(&full, &e))?;
            total += bytes.len();
            if total > RELEASE_MOST {
                return Err(format!("{} holds more than {} MiB", root.display(), RELEASE_MOST >> 20));
            }
            header.set_entry_type(tar::EntryType::Regular);
            header.set_mode(if meta.permissions().mode() & 0o100 != 0 { 0o755 } else { 0o644 });
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, &path, &bytes[..]).map_err(|e| fail(&full, &e))?;
        }
    }
    builder.into_inner().map_err(|e| fail(root, &e))
}

/// Whether a name is never part of a release.
pub fn is_skipped(name: &str) -> bool {
    SKIPPED.contains(&name) || name.ends_with(".pyc") || name.ends_with('~')
}

//! What the command line asks of the machine it runs on: the time, who runs it, a file of the user's own. What is written
//! there is not decided here.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};
use time::{OffsetDateTime, macros::format_description};

/// Seconds since the epoch.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// A moment as people read it, in UTC: `2026-11-24 20:40 UTC`.
pub fn moment(seconds: i64) -> String {
    let shape = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|t| t.format(&shape).ok())
        .unwrap_or_else(|| "an unknown time".into())
}

/// The time of day, in UTC: `20:40:07`.
pub fn clock() -> String {
    let shape = format_description!("[hour]:[minute]:[second]");
    OffsetDateTime::from_unix_timestamp(now()).ok().and_then(|t| t.format(&shape).ok()).unwrap_or_default()
}

/// Who runs the program, and where: `ann@laptop`.
pub fn somebody() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| account());
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{user}@{}", host.trim()).chars().filter(|c| !c.is_control()).collect()
}

/// The account's name, where the environment does not say it: as /etc/passwd has it.
fn account() -> String {
    let id = rustix::process::getuid().as_raw().to_string();
    let known = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = known.lines().find(|l| l.split(':').nth(2) == Some(&id)).and_then(|l| l.split(':').next());
    name.map_or_else(|| format!("uid {id}"), str::to_owned)
}

/// An error without its number.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// Writes a file that its owner alone may read: whole, or not at all. `Err` says why not.
pub fn write_private(path: &Path, text: &str) -> Result<(), String> {
    write_whole(path, text, 0o600)
}

/// Writes a file that others may read as the user's umask has it: whole, or not at all. `Err` says why not.
pub fn write_shared(path: &Path, text: &str) -> Result<(), String> {
    write_whole(path, text, 0o666)
}

/// Whether a file can be written there, before anybody takes the time to make what goes into it; it is not touched. `Err`
/// says why not.
pub fn can_write(path: &Path) -> Result<(), String> {
    let at = Place::of(path);
    let made = match at.is_stream {
        true => Ok(()),
        false if at.file.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        false => fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&at.new).map(drop),
    };
    if made.is_ok() && !at.is_stream {
        let _ = fs::remove_file(&at.new);
    }
    made.map_err(|e| format!("{}: {}", path.display(), plain(&e)))
}

/// Where a text goes.
struct Place {
    /// The file itself, where a link leads to it.
    file: PathBuf,
    /// Where it is written before it takes its place.
    new: PathBuf,
    /// A terminal, a pipe or another device: nothing takes its place.
    is_stream: bool,
}

impl Place {
    fn of(path: &Path) -> Self {
        let file = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut new = file.clone().into_os_string();
        new.push(format!(".{}.new", std::process::id()));
        let is_stream = fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir());
        Self { file, new: new.into(), is_stream }
    }
}

fn write_whole(path: &Path, text: &str, mode: u32) -> Result<(), String> {
    let at = Place::of(path);
    let write = || {
        if at.is_stream {
            return fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes());
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&at.new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&at.new, &at.file)
    };
    write().map_err(|e| {
        if !at.is_stream {
            // What could not be finished is of no use to anyone.
            let _ = fs::remove_file(&at.new);
        }
        format!("{}: {}", path.display(), plain(&e))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::Read as _,
        os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
    };

    #[test]
    fn a_private_file_is_private_whole_or_absent() {
        let dir = std::env::temp_dir().join(format!("foobar-local-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let file = dir.join("a.plan");
        write_private(&file, "one").unwrap();
        write_private(&file, "two").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let why = write_private(&dir.join("no/such/a.plan"), "x").unwrap_err();
        assert!(why.contains("no/such/a.plan: no such file"), "{why}");
        assert_eq!(can_write(&dir.join("no/such/a.plan")).unwrap_err(), why);
        assert!(can_write(&dir).unwrap_err().contains("is a directory"), "{:?}", can_write(&dir));
        assert_eq!((can_write(&dir.join("b.plan")), can_write(&file)), (Ok(()), Ok(())));
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "nothing is left beside it");
        // A link goes on leading there, and a device stays one.
        let link = dir.join("link.plan");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_private(&link, "three").unwrap();
        assert!(link.is_symlink() && fs::read_to_string(&file).unwrap() == "three");
        let (mut heard, pipe) = io::pipe().unwrap();
        let at = format!("/proc/self/fd/{}", pipe.as_raw_fd());
        assert_eq!(can_write(Path::new(&at)), Ok(()));
        write_shared(Path::new(&at), "through").unwrap();
        drop(pipe);
        let mut said = String::new();
        heard.read_to_string(&mut said).unwrap();
        assert_eq!(said, "through");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_moment_reads_as_one() {
        assert_eq!(moment(1_795_552_800), "2026-11-24 20:40 UTC");
        assert_eq!(moment(i64::MAX), "an unknown time");
    }
}

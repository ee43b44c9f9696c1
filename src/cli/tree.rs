//! A directory of rendered files, `DIR/HOST/path/to/file`, that is brought up to date each time: files that are rendered
//! no more go, and nothing goes or is written over that was not made here. A file of its own remembers what was.

use crate::{base::name::HostName, plan::rendered::Rendered, report::render::access};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write as _},
    path::{Component, Path, PathBuf},
};

/// The file that says that a directory is one of render's, and lists what is in it: mode, owner, and the path.
const LIST: &str = ".foobar-render";
const HEAD: &str =
    "# Written by `foobar render`, which keeps this directory up to date: mode and owner on the host, file here\n";

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Files that are new or another.
    pub written: usize,
    /// Files that were there as they are.
    pub same: usize,
    /// Files that are no longer rendered.
    pub removed: usize,
}

/// Why it could not be done, and what to do next.
#[derive(Debug)]
pub struct Fault {
    /// What happened.
    pub what: String,
    /// What to do next.
    pub help: &'static str,
}

impl Fault {
    fn new(path: &Path, error: &io::Error) -> Self {
        let what = format!("{}: {}", path.display(), super::local::plain(error));
        Self { what, help: "name a directory that you may write to with -o" }
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> Fault {
    move |error| Fault::new(path, &error)
}

/// Writes the files among these. `only` names the hosts that are rendered, where it is not all of them: what is there
/// of others is left as it is.
pub fn write(dir: &Path, all: &[Rendered], only: Option<&[&HostName]>) -> Result<Done, Fault> {
    let mut files: BTreeMap<PathBuf, (String, String)> = BTreeMap::new();
    for rendered in all {
        if let Some(text) = rendered.text() {
            let path = Path::new(rendered.host.as_str()).join(rendered.file.path.trim_start_matches('/'));
            files.insert(path, (access(&rendered.file), text));
        }
    }
    fs::create_dir_all(dir).map_err(at(dir))?;
    let before = listed(dir)?;
    let is_kept = |path: &Path| only.is_some_and(|hosts| !hosts.iter().any(|h| path.starts_with(h.as_str())));
    let mut after: BTreeMap<PathBuf, String> =
        before.iter().filter(|(p, _)| is_kept(p)).map(|(p, a)| (p.clone(), a.clone())).collect();
    after.extend(files.iter().map(|(path, (access, _))| (path.clone(), access.clone())));
    for path in before.keys().chain(after.keys()) {
        no_links(dir, path)?;
    }
    // Whatever it is cut off at, the list names all that was made here.
    let mut both = before.clone();
    both.extend(after.clone());
    put(&dir.join(LIST), &list(&both)).map_err(at(dir))?;
    let mut done = Done::default();
    for (path, (_, text)) in &files {
        let full = dir.join(path);
        if fs::read(&full).is_ok_and(|there| there == text.as_bytes()) {
            done.same += 1;
            continue;
        }
        if let Some(parent) = full.parent() {
            fs::create_dir_all(parent).map_err(at(parent))?;
        }
        put(&full, text).map_err(at(&full))?;
        done.written += 1;
    }
    for path in before.keys().filter(|p| !after.contains_key(*p)) {
        let full = dir.join(path);
        match fs::remove_file(&full) {
            Ok(()) => done.removed += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Fault::new(&full, &error)),
        }
        // Directories that nothing is in any more; one that something else is in stays.
        let mut above = path.parent();
        while let Some(parent) = above.filter(|p| !p.as_os_str().is_empty() && fs::remove_dir(dir.join(p)).is_ok()) {
            above = parent.parent();
        }
    }
    put(&dir.join(LIST), &list(&after)).map_err(at(dir))?;
    Ok(done)
}

fn list(files: &BTreeMap<PathBuf, String>) -> String {
    let lines = files.iter().map(|(path, access)| format!("{access} {}\n", path.display()));
    std::iter::once(HEAD.to_owned()).chain(lines).collect()
}

/// What an earlier run made in a directory; refused where it is not empty and no such run made it.
fn listed(dir: &Path) -> Result<BTreeMap<PathBuf, String>, Fault> {
    let fault = |error: io::Error| Fault::new(dir, &error);
    let text = match fs::read_to_string(dir.join(LIST)) {
        Ok(text) if text.starts_with(HEAD) => text,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
        Err(_) if fs::read_dir(dir).map_err(fault)?.next().is_none() => return Ok(BTreeMap::new()),
        _ => {
            return Err(Fault {
                what: format!("{} is not empty, and not a directory that render made", dir.display()),
                help: "name a new or an empty directory with -o; nothing was written",
            });
        }
    };
    let entry = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let (mode, owner, path) = (words.next()?, words.next()?, PathBuf::from(words.next()?));
        // Somebody may have edited it: nothing outside of the directory is ever touched.
        path.components().all(|c| matches!(c, Component::Normal(_))).then(|| (path, format!("{mode} {owner}")))
    };
    Ok(text.lines().skip(1).filter_map(entry).collect())
}

/// Refuses a link on the way to a file: behind it may be anything.
fn no_links(dir: &Path, path: &Path) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    let mut full = dir.to_owned();
    for part in path.components() {
        full.push(part);
        if seen.insert(full.clone()) && fs::symlink_metadata(&full).is_ok_and(|m| m.is_symlink()) {
            let what = format!("{} is a link, and render makes none", full.display());
            return Err(Fault { what, help: "remove it, or name another directory with -o; nothing was written" });
        }
    }
    Ok(())
}

/// Writes a file whole or not at all.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let written = (|| {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    })();
    if written.is_err() {
        // It may never have been made.
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::secret::Content, resource::files::File};

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("foobar-tree-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }

        fn files(&self) -> Vec<String> {
            let (mut open, mut found) = (vec![self.0.clone()], Vec::new());
            while let Some(dir) = open.pop() {
                for entry in fs::read_dir(dir).unwrap().flatten() {
                    match entry.path().is_dir() {
                        true => open.push(entry.path()),
                        false => found.push(entry.path().strip_prefix(&self.0).unwrap().display().to_string()),
                    }
                }
            }
            found.sort();
            found
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn file(host: &str, path: &str, text: &str) -> Rendered {
        Rendered { host: host.parse().unwrap(), file: File::text(path, Content::new(text)) }
    }

    #[test]
    fn a_directory_of_its_own_is_brought_up_to_date() {
        let scratch = Scratch::new("own");
        let both = [file("a", "/etc/x/one", "1\n"), file("b", "/etc/two", "2\n")];
        assert_eq!(write(&scratch.0, &both, None).unwrap(), Done { written: 2, same: 0, removed: 0 });
        assert_eq!(scratch.files(), [LIST, "a/etc/x/one", "b/etc/two"]);
        let said = fs::read_to_string(scratch.0.join(LIST)).unwrap();
        assert_eq!(said, format!("{HEAD}0644 root:root a/etc/x/one\n0644 root:root b/etc/two\n"));
        // One host alone leaves the others as they are; a stranger's file stays, and so does its directory.
        fs::write(scratch.0.join("a/etc/x/mine"), "mine").unwrap();
        let one = [file("a", "/etc/three", "3\n")];
        let only = "a".parse().unwrap();
        assert_eq!(write(&scratch.0, &one, Some(&[&only])).unwrap(), Done { written: 1, same: 0, removed: 1 });
        assert_eq!(scratch.files(), [LIST, "a/etc/three", "a/etc/x/mine", "b/etc/two"]);
        assert_eq!(write(&scratch.0, &one, None).unwrap(), Done { written: 0, same: 1, removed: 1 });
        assert!(!scratch.0.join("b").exists(), "a directory that nothing is in");
    }

    #[test]
    fn what_is_not_its_own_is_left_alone() {
        let scratch = Scratch::new("strange");
        fs::create_dir_all(&scratch.0).unwrap();
        fs::write(scratch.0.join("mine"), "mine").unwrap();
        let one = [file("a", "/etc/one", "1\n")];
        let what = write(&scratch.0, &one, None).unwrap_err().what;
        assert!(what.ends_with("is not empty, and not a directory that render made"), "{what}");
        assert_eq!(scratch.files(), ["mine"]);
        fs::remove_file(scratch.0.join("mine")).unwrap();
        // Neither a list that somebody edited nor a link leads out of it.
        let outside = Scratch::new("outside");
        fs::create_dir_all(&outside.0).unwrap();
        fs::write(outside.0.join("kept"), "kept").unwrap();
        let up = format!("../{}/kept", outside.0.file_name().unwrap().to_str().unwrap());
        let evil = format!("{HEAD}0644 root:root {up}\n0644 root:root {}/kept\n", outside.0.display());
        fs::write(scratch.0.join(LIST), evil).unwrap();
        write(&scratch.0, &one, None).unwrap();
        assert_eq!(outside.files(), ["kept"]);
        fs::remove_dir_all(scratch.0.join("a")).unwrap();
        std::os::unix::fs::symlink(&outside.0, scratch.0.join("a")).unwrap();
        assert!(write(&scratch.0, &one, None).unwrap_err().what.ends_with("is a link, and render makes none"));
        assert_eq!(outside.files(), ["kept"]);
    }
}

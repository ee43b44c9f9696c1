//! How many files and connections this program may have open at a time: as many as the system lets it, and whether they
//! are enough for its hosts. A run that has too few is not begun: it would fail in the middle, in words of others.

use super::{exit::Exit, screen::Screen};
use rustix::{
    io::fcntl_dupfd_cloexec,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use std::{io::stderr, os::fd::OwnedFd};

/// What the program has open for itself, besides its streams: its runtime's, a file that it reads or writes.
const OWN: usize = 13;

/// What a host takes: its connection, and three streams for each of the two commands that may run there at a time.
const PER_HOST: usize = 8;

/// More than any site needs; programs that are started inherit it, and some close all that there could be one by one.
const PLENTY: u64 = 1 << 16;

/// Raises the limit as far as the system allows and makes sense, and refuses to go on where the program itself has not
/// enough; it has been said then what to do.
pub fn prepare(screen: &Screen) -> Result<(), Exit> {
    let now = getrlimit(Resource::Nofile);
    let most = now.maximum.unwrap_or(PLENTY).min(PLENTY);
    if now.current.is_some_and(|current| current < most) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: now.maximum });
    }
    enough(screen, OWN, "this program")
}

/// Refuses to go on where they are too few for so many hosts; it has been said then what to do.
pub fn for_hosts(screen: &Screen, hosts: usize) -> Result<(), Exit> {
    enough(screen, PER_HOST * hosts, &format!("{hosts} hosts"))
}

/// Tries it, since a limit does not tell what is taken of it already, by whoever started the program or by other programs.
fn enough(screen: &Screen, needed: usize, whom: &str) -> Result<(), Exit> {
    let had = free(needed);
    if had == needed {
        return Ok(());
    }
    let most = getrlimit(Resource::Nofile).current.map_or("no limit".into(), |n| format!("a limit of {n}"));
    screen.problem(
        "foobar::local",
        &format!("{had} more files and connections can be opened here ({most}), and {whom} may take {needed}"),
        "raise the limit where foobar is started (`ulimit -n 1024`; LimitNOFILE= in a unit), then run it again",
    );
    Err(Exit::Failed)
}

/// How many of so many can be open at once.
fn free(wanted: usize) -> usize {
    let opened: Vec<OwnedFd> = (0..wanted).map_while(|_| fcntl_dupfd_cloexec(stderr(), 0).ok()).collect();
    opened.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_is_closed_again() {
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let before = open();
        assert_eq!(free(100), 100);
        // Other tests open and close their own meanwhile.
        assert!(open() < before + 80, "{} were {before}", open());
    }
}

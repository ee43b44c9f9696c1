//! The user's own commands that print a secret: run on this machine, for a bounded time, with a bounded answer. Which
//! ones there are, the topology says.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

/// How long a command may take: long enough for a password manager that asks a server, short enough to notice that one
/// waits for somebody to type.
pub const WITHIN: Duration = Duration::from_secs(30);
/// The most that a secret may hold, in bytes.
pub const MOST: u64 = 64 << 10;

/// A command's output. What it says on stderr goes to the user's own; its output is never shown. It stays in the
/// terminal's foreground, so that a password manager can ask there; what is still running in the end is killed.
pub fn output(command: &str, here: &Path, within: Duration) -> Result<String, String> {
    let child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .current_dir(here)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn();
    let mut child = child.map_err(|e| format!("its command could not be started: {e}"))?;
    let (done, ended) = mpsc::channel();
    let (pipe, pid) = (child.stdout.take(), i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw));
    // Reading and waiting happen elsewhere, so that neither can hold this up. The child is not reaped there: its number
    // stays its own for as long as it may be killed here.
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let read = pipe.map_or(Ok(0), |pipe| pipe.take(MOST + 1).read_to_end(&mut text));
        if let (Some(pid), true) = (pid, text.len() as u64 <= MOST) {
            let how = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
            let _ = rustix::process::waitid(rustix::process::WaitId::Pid(pid), how);
        }
        // Nobody listens once the time is over.
        let _ = done.send(read.map(|_| text));
    });
    let answer = ended.recv_timeout(within);
    let over = match &answer {
        Err(_) => Some(format!("its command did not end within {} s, and was killed", within.as_secs())),
        Ok(Ok(text)) if text.len() as u64 > MOST => {
            Some(format!("its command printed more than {} KiB, and was killed", MOST >> 10))
        }
        _ => None,
    };
    if let Some(over) = over {
        kill(&mut child);
        return Err(over);
    }
    let status = child.wait().map_err(|e| format!("its command was lost: {e}"))?;
    if !status.success() {
        return Err(format!("its command ended with {status}"));
    }
    let text = answer.ok().and_then(Result::ok).ok_or("what its command printed could not be read")?;
    String::from_utf8(text).map_err(|_| "its command printed what is not UTF-8 text".to_owned())
}

/// Ends a process and all that it started. A group of its own would be simpler, and could not ask on the terminal.
fn kill(child: &mut Child) {
    let number = |pid: u32| i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // It starts nothing more while it is looked at.
    if let Some(root) = number(child.id()) {
        let _ = rustix::process::kill_process(root, rustix::process::Signal::STOP);
    }
    for pid in descendants(child.id()).into_iter().filter_map(number) {
        // One that has ended by itself is what was wanted.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// The processes below one, the nearest first, as far as the system tells.
fn descendants(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name stands in parentheses and may hold anything; the parent is the second field behind it.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(next) = open.pop() {
        let below = children.remove(&next).unwrap_or_default();
        open.extend(&below);
        found.extend(below);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_ends_in_time_is_heard() {
        let run = |command: &str| output(command, Path::new("."), WITHIN);
        assert_eq!(run("printf 'a b'"), Ok("a b".into()));
        assert_eq!(run("exit 3"), Err("its command ended with exit status: 3".into()));
        assert_eq!(run("printf '\\377'"), Err("its command printed what is not UTF-8 text".into()));
    }

    #[test]
    fn one_without_end_is_killed_with_all_it_started() {
        let mark = format!("86399.{}", std::process::id());
        let command = format!("sleep {mark} & sleep {mark}; echo done");
        let said = output(&command, Path::new("."), Duration::from_millis(300));
        assert_eq!(said, Err("its command did not end within 0 s, and was killed".into()));
        let alive = |entry: &fs::DirEntry| {
            let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            words.starts_with(b"sleep\0") && String::from_utf8_lossy(&words).contains(&mark)
        };
        // A killed process takes a moment to be gone.
        let is_gone = || !fs::read_dir("/proc").unwrap().flatten().any(|entry| alive(&entry));
        assert!((0..1000).any(|_| is_gone() || {
            std::thread::sleep(Duration::from_millis(10));
            false
        }));
        let said = output("exec yes", Path::new("."), WITHIN);
        assert_eq!(said, Err("its command printed more than 64 KiB, and was killed".into()));
    }
}

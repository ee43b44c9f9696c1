//! Running commands, and knowing processes by more than their number. What is run, and why, is said by the others.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    Progress,
    error::{LabError, Result},
};

/// What a command said, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; 128 and more when a signal ended it.
    pub code: i32,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Output {
    /// Whether it ended with 0.
    pub fn ok(&self) -> bool {
        self.code == 0
    }
}

/// A command in the C locale, with the system directories in its PATH: a root shell from plain `su` has none of them.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", search_path()).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    command
}

/// Where programs are looked for.
pub fn search_path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    format!("{own}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
}

fn words(command: &Command) -> String {
    let all = std::iter::once(command.get_program()).chain(command.get_args());
    all.map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// The last lines of a text, for an error message.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<_> = text.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Runs a command to its end; anything but success is an error with the end of what it said.
pub fn run(command: &mut Command) -> Result<String> {
    run_with(command, "")
}

/// The same, with a text on its stdin.
pub fn run_with(command: &mut Command, input: &str) -> Result<String> {
    let (output, status) = raw(command, input)?;
    if output.ok() {
        return Ok(output.stdout);
    }
    let said = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
    Err(LabError::Command {
        command: words(command),
        status,
        output: tail(said, 6),
        help: "see what it says above; a lab left half-made is cleaned by `down`".into(),
    })
}

/// Runs a command to its end, whatever that is.
pub fn capture(command: &mut Command, input: &str) -> Result<Output> {
    raw(command, input).map(|(output, _)| output)
}

fn raw(command: &mut Command, input: &str) -> Result<(Output, std::process::ExitStatus)> {
    use std::os::unix::process::ExitStatusExt;
    let failed = |c: &Command| {
        let command = words(c);
        move |source| LabError::Start { command, source }
    };
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed(command))?;
    // In a thread of its own: a long script and a long answer would otherwise wait for each other.
    let stdin = child.stdin.take();
    let done = std::thread::scope(|scope| {
        if let Some(mut stdin) = stdin {
            // A command that ends without reading all of its input is judged by its exit code.
            scope.spawn(move || stdin.write_all(input.as_bytes()).ok());
        }
        child.wait_with_output()
    })
    .map_err(failed(command))?;
    let output = Output {
        code: done.status.code().unwrap_or(128 + done.status.signal().unwrap_or(0)),
        stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
    };
    Ok((output, done.status))
}

/// Runs a long command, handing on each line as it comes and keeping all of them in a log.
pub fn stream(command: &mut Command, log: &Path, progress: &mut dyn FnMut(Progress)) -> Result<()> {
    let name = words(command);
    let failed = |source| LabError::Start { command: name.clone(), source };
    let mut file = fs::File::create(log).map_err(LabError::file("write", log))?;
    let (reader, writer) = std::io::pipe().map_err(failed)?;
    let both = writer.try_clone().map_err(failed)?;
    let mut child = command.stdout(writer).stderr(both).spawn().map_err(failed)?;
    // The command still holds our ends of the pipe; without this the reading below never ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut said = String::new();
    for line in BufReader::new(reader).split(b'\n').map_while(|l| l.ok()) {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        // A log that can't be written must not stop the work.
        let _ = writeln!(file, "{line}");
        said.push_str(&line);
        said.push('\n');
        progress(Progress::Line(line));
    }
    let status = child.wait().map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    let help = format!("the whole output is in {}", log.display());
    Err(LabError::Command { command: program(&name), status, output: tail(&said, 8), help })
}

fn program(words: &str) -> String {
    words.split(' ').next().unwrap_or_default().to_owned()
}

/// A process known by its number and the moment it began, so that a number used again is not taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its start, in clock ticks since the machine's boot.
    pub start: u64,
}

impl Process {
    /// Reads what `boot-host.sh` recorded.
    pub fn recorded(text: &str) -> Option<Self> {
        let (pid, start) = text.trim().split_once(' ')?;
        let pid = pid.parse().ok().filter(|p| *p > 1)?;
        Some(Self { pid, start: start.parse().ok()? })
    }

    /// Whether it still runs; one that ended but wasn't waited for doesn't.
    pub fn alive(&self) -> bool {
        let mut text = String::new();
        let read = fs::File::open(format!("/proc/{}/stat", self.pid)).and_then(|mut f| f.read_to_string(&mut text));
        read.is_ok()
            && parse_stat(&text).is_some_and(|(state, start)| start == self.start && !matches!(state, 'Z' | 'X'))
    }

    /// Sends it a signal, if it is still the same process.
    pub fn signal(&self, signal: Signal) {
        if self.alive() {
            signal_pid(self.pid, signal);
        }
    }
}

/// Signals a process that is known to be ours by other means; one that just ended is fine.
pub fn signal_pid(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 1) {
        let _ = kill_process(pid, signal);
    }
}

/// State and start time from the text of `/proc/PID/stat`, whose second field may hold spaces and parentheses.
fn parse_stat(text: &str) -> Option<(char, u64)> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// Asks until the answer is yes or the time is over; says which.
pub fn until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(15));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stat_of_a_process_with_an_odd_name_is_read() {
        let text = "42 (a ) b) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 38944 10440 0\n";
        assert_eq!(parse_stat(text), Some(('S', 98765)));
        assert_eq!(parse_stat("42 (cut off"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn a_record_names_a_process_or_nothing() {
        assert_eq!(Process::recorded("42 98765\n"), Some(Process { pid: 42, start: 98765 }));
        for bad in ["", "42", "0 1", "1 1", "-3 5", "x y"] {
            assert_eq!(Process::recorded(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_reused_number_is_not_taken_for_the_process() {
        let pid = std::process::id() as i32;
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let (_, start) = parse_stat(&stat).unwrap();
        assert!(Process { pid, start }.alive());
        assert!(!Process { pid, start: start + 1 }.alive());
    }

    #[test]
    fn the_tail_keeps_the_last_lines() {
        assert_eq!(tail("a\n\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 5), "a");
    }
}

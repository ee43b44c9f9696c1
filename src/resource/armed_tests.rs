//! The scripts of what is armed, run by this machine's own shell in a directory of its own; systemd is played by two
//! small scripts that note what they are asked.

use super::*;
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

struct Host {
    root: PathBuf,
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

impl Host {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("foobar-armed-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(root.join("bin")).unwrap();
        let host = Self { root };
        for program in ["systemctl", "systemd-run"] {
            let path = host.root.join("bin").join(program);
            let log = host.root.join("asked").display().to_string();
            std::fs::write(&path, format!("#!/bin/sh\necho {program} \"$@\" >>{log}\n")).unwrap();
            let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
            std::fs::set_permissions(&path, mode).unwrap();
        }
        host
    }

    fn command(&self, script: &Script) -> Command {
        let text = script.text().replace(DIR, &self.at("run").display().to_string());
        // What goes to the host as a payload names the place as well.
        let text = match text.split_once("base64 -d <<'END-OF-PAYLOAD'") {
            Some(_) => self.moved(&text),
            None => text,
        };
        let bin = self.at("bin").display().to_string();
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("set -eu\n{}", text.replace("PATH=/usr/local/sbin", &format!("PATH={bin}:/usr/local/sbin"))));
        command.env("PATH", format!("{bin}:{}", std::env::var("PATH").unwrap_or_default()));
        command
    }

    /// The script with the payloads that it feeds to the host naming this root too.
    fn moved(&self, text: &str) -> String {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let (mut out, mut payload) = (String::new(), None::<String>);
        for line in text.lines() {
            match (&mut payload, line) {
                (Some(all), "END-OF-PAYLOAD") => {
                    let inner = String::from_utf8(STANDARD.decode(all.as_bytes()).unwrap()).unwrap();
                    let inner = inner.replace(DIR, &self.at("run").display().to_string());
                    out.push_str(&format!("{}\n{line}\n", STANDARD.encode(inner)));
                    payload = None;
                }
                (Some(all), line) => all.push_str(line),
                (None, line) => {
                    out.push_str(&format!("{line}\n"));
                    payload = line.contains("<<'END-OF-PAYLOAD'").then(String::new);
                }
            }
        }
        out
    }

    fn run(&self, script: &Script) -> Output {
        self.command(script).output().unwrap()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).unwrap_or_default()
    }

    /// What is in force, and what is kept for the next boot.
    fn state(&self) -> (String, String) {
        (self.read("live").trim().to_owned(), self.read("kept").trim().to_owned())
    }

    fn is_armed(&self) -> bool {
        self.at("run/door").exists()
    }

    /// What its timer does when the time is over.
    fn time_is_over(&self) -> Script {
        Script::new().line(
            format!("mkdir -p {DIR}; flock {DIR}/door.lock sh -c '[ ! -d {DIR}/door ] || exec sh {DIR}/back'")
                .replace("/back'", "/door/back'"),
        )
    }

    fn arm(&self, armed: &Armed<'_>) -> Script {
        let live = quote(&self.at("live").display().to_string());
        let keep = Script::new().line(format!("[ ! -e {live} ] || cp {live} former"));
        let change = Script::new().line(format!("echo {} >{live}", armed.token));
        let back = Script::new().line(format!("if [ -e former ]; then cp former {live}; else rm -f {live}; fi"));
        armed.arm(&keep, &change, &back)
    }

    fn confirm(&self, armed: &Armed<'_>) -> Script {
        let [live, kept] = ["live", "kept"].map(|n| quote(&self.at(n).display().to_string()));
        armed.confirm(&Script::new().line(format!("grep -qx {} {live}; cp {live} {kept}", armed.token)))
    }
}

fn armed(token: &str) -> Armed<'_> {
    Armed { name: "door", former: "the former doors", token, within: 9 }
}

fn good(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn bad(output: Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

fn pair(live: &str, kept: &str) -> (String, String) {
    (live.to_owned(), kept.to_owned())
}

#[test]
fn what_is_confirmed_stays_and_what_is_not_goes_back() {
    let host = Host::new("both");
    good(host.run(&host.arm(&armed("one"))));
    assert!(host.is_armed());
    let asked = host.read("asked");
    assert!(asked.contains("systemd-run -q --collect --on-active=9 ") && asked.contains("--unit=foobar-door-revert"));
    good(host.run(&host.confirm(&armed("one"))));
    assert_eq!(host.state(), pair("one", "one"));
    assert!(!host.is_armed() && host.read("asked").ends_with("systemctl stop foobar-door-revert.timer\n"));
    good(host.run(&host.time_is_over()));
    assert_eq!(host.state(), pair("one", "one"));

    good(host.run(&host.arm(&armed("two"))));
    assert_eq!(host.state(), pair("two", "one"));
    good(host.run(&host.time_is_over()));
    assert_eq!(host.state(), pair("one", "one"));
    assert!(!host.is_armed());
    let said = bad(host.run(&host.confirm(&armed("two"))));
    assert_eq!(said, "the confirmation came too late: the former doors were back after 9 s already\n");
    assert_eq!(host.state(), pair("one", "one"));
    assert_eq!(good(host.run(&armed("two").recall())), "the former doors were put back\n");
    assert_eq!(host.state(), pair("one", "one"));
}

#[test]
fn where_nothing_was_before_nothing_is_after() {
    let host = Host::new("first");
    good(host.run(&host.arm(&armed("one"))));
    assert_eq!(good(host.run(&armed("one").recall())), "the former doors were put back\n");
    assert_eq!(host.state(), pair("", ""));
    assert!(!host.at("live").exists() && !host.is_armed());
}

#[test]
fn what_nobody_confirmed_is_never_taken_for_what_was_before() {
    let host = Host::new("again");
    std::fs::write(host.at("live"), "zero\n").unwrap();
    good(host.run(&host.arm(&armed("one"))));
    good(host.run(&host.arm(&armed("two"))));
    // The first run has been forgotten: its confirmation and its recall touch nothing of the second's.
    assert!(bad(host.run(&host.confirm(&armed("one")))).contains("too late"));
    good(host.run(&armed("one").recall()));
    assert_eq!(host.state(), pair("two", ""));
    good(host.run(&host.time_is_over()));
    assert_eq!(host.state(), pair("zero", ""));
}

#[test]
fn what_was_confirmed_without_anybody_hearing_of_it_is_not_put_back() {
    let host = Host::new("heard");
    good(host.run(&host.arm(&armed("one"))));
    good(host.run(&host.confirm(&armed("one"))));
    assert!(bad(host.run(&armed("one").recall())).contains("the host took the confirmation all the same"));
    assert_eq!(host.state(), pair("one", "one"));
}

#[test]
fn what_fails_before_it_is_armed_or_while_it_is_confirmed_leaves_what_was_there() {
    let host = Host::new("fails");
    std::fs::write(host.at("live"), "zero\n").unwrap();
    let nothing = Script::new();
    let refused = armed("one").arm(&Script::new().line("echo no such door >&2; exit 1"), &nothing, &nothing);
    assert_eq!(bad(host.run(&refused)), "no such door\n");
    assert!(!host.is_armed() && !host.read("asked").contains("systemd-run"));

    good(host.run(&host.arm(&armed("one"))));
    bad(host.run(&armed("one").confirm(&Script::new().line("echo it does not stand >&2; exit 1"))));
    assert!(host.is_armed());
    good(host.run(&host.time_is_over()));
    assert_eq!(host.state(), pair("zero", ""));

    // Half of a confirmation does nothing at all.
    good(host.run(&host.arm(&armed("one"))));
    let whole = host.confirm(&armed("one"));
    for cut in (0..whole.text().len() - 2).step_by(13) {
        host.run(&Script::raw(&whole.text()[..cut]));
        assert!(host.is_armed() && host.read("kept").is_empty(), "cut at {cut}");
    }
}

#[test]
fn a_confirmation_at_the_very_end_of_the_time_is_taken_or_refused_and_nothing_between() {
    let host = Host::new("race");
    std::fs::write(host.at("live"), "zero\n").unwrap();
    let (mut taken, mut late) = (0, 0);
    for n in 0..24 {
        let token = format!("t{n}");
        let armed = armed(&token);
        let before = host.state();
        good(host.run(&host.arm(&armed)));
        let (confirm, over) = (host.confirm(&armed), host.time_is_over());
        let mut both = [host.command(&confirm), host.command(&over)];
        if n % 2 == 1 {
            both.reverse();
        }
        let children = both.each_mut().map(|c| c.stderr(std::process::Stdio::null()).spawn().unwrap());
        let ended = children.map(|mut c| c.wait().unwrap().success());
        let is_confirmed = ended[n % 2];
        assert!(ended[1 - n % 2], "the way back failed");
        assert!(!host.is_armed());
        let want = if is_confirmed { pair(&token, &token) } else { before };
        assert_eq!(host.state(), want, "round {n}, confirmed: {is_confirmed}");
        if is_confirmed { taken += 1 } else { late += 1 }
    }
    println!("{taken} were taken, {late} came too late");
}

#[test]
fn forgetting_leaves_nothing() {
    let host = Host::new("forget");
    good(host.run(&host.arm(&armed("one"))));
    good(host.run(&Armed::forget("door")));
    assert!(!Path::new(&host.at("run")).exists());
}

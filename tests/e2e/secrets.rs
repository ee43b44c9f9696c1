//! Secrets are looked for everywhere they must not be: in all that the program said, in the processes of the hosts while
//! it worked, in files that others may read, in logs. That the search would find one is tried as well.

use super::world::{HOSTS, SESSION_KEY, World};
use std::fmt::Write as _;

/// Words of processes are taken down on every host, many times a second, from here on.
pub fn watch(w: &World) {
    let script = "cd /proc; while :; do cat [0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' >>/run/e2e-watch; echo >>/run/e2e-watch; sleep 0.04; done";
    for host in HOSTS {
        w.on(host, &format!("systemd-run -q --unit=e2e-watch sh -c '{}'", script.replace('\'', "'\\''")));
        // What the watch can see, it sees: a process that carries a secret among its words.
        w.on(host, "sh -c 'sleep 0.4; : canary-of-the-watch'");
    }
}

/// Ends it.
pub fn watched(w: &World) {
    for host in HOSTS {
        w.on(host, "systemctl stop e2e-watch");
    }
}

/// All secrets that there are: the one that was given, and those that foobar made and keeps on the hosts.
fn known(w: &World) -> Vec<String> {
    let mut all = vec![SESSION_KEY.to_owned()];
    for host in HOSTS {
        // A key's first line of digits tells it well enough; certificates are no secret.
        let script = "cd /var/lib/foobar/secrets && for f in *; do case $f in *.crt) ;; *.key) sed -n 2p \"$f\" ;; *) head -n 1 \"$f\" ;; esac; echo; done";
        all.extend(w.on(host, script).lines().map(str::to_owned));
    }
    all.retain(|s| s.len() >= 12);
    all.sort();
    all.dedup();
    all
}

/// None of them is anywhere.
pub fn none_was_seen_anywhere(w: &mut World) {
    w.converge();
    let secrets = known(w);
    assert!(secrets.len() >= 6, "too few to be all of them: {}", secrets.len());
    let mut found = String::new();

    // All that was said to people and programs, in every case so far, and once more with everything that can be shown.
    w.topology = w.original().replace("GREETING: Welcome", "GREETING: Hello");
    w.foobar(&["plan", "--diff", "full", "-v"]).ends(0);
    w.foobar(&["apply", "--yes", "--json", "-v"]).ends(0);
    w.topology = w.original();
    w.foobar(&["apply", "--yes", "--diff", "full", "-v"]).ends(0);
    w.foobar(&["verify", "-v"]).ends(0);
    for run in &w.said {
        for secret in secrets.iter().filter(|s| run.stdout.contains(*s) || run.stderr.contains(*s)) {
            let _ = writeln!(found, "{}… was said by `foobar {}`", &secret[..4], run.words);
        }
    }
    // The same search over words that were said.
    assert!(w.said.iter().any(|r| r.stdout.contains("Welcome")), "the search finds nothing at all");

    for host in HOSTS {
        let patterns: String = secrets.iter().map(|s| format!("{s}\n")).collect();
        let search = |script: &str| {
            let script = format!(
                "cat >/run/e2e-secrets <<'END'\n{patterns}END\nchmod 600 /run/e2e-secrets; {script}; rm -f /run/e2e-secrets"
            );
            w.on(host, &script)
        };
        // On the words of processes while the first apply was at work.
        let seen = search("[ ! -e /run/e2e-watch ] || grep -ohF -f /run/e2e-secrets /run/e2e-watch | sort | uniq -c");
        if !seen.trim().is_empty() {
            let _ = writeln!(
                found,
                "{host}: in the words of a process: {} times",
                seen.split_whitespace().next().unwrap_or("?")
            );
        }
        assert!(
            w.on(host, "[ ! -e /run/e2e-watch ] || grep -c canary-of-the-watch /run/e2e-watch").trim() != "0",
            "the watch on {host} saw nothing at all"
        );
        // In files that others may read, in what was left in temporary places, and in the journal.
        let files = search(
            "find /etc /srv /var/lib/foobar /var/log /tmp /var/tmp /run /root /home -xdev -type f -perm -o+r \
             ! -name e2e-secrets -size -2048k -exec grep -lF -f /run/e2e-secrets {} + 2>/dev/null; \
             find /tmp /var/tmp /run -xdev -type f ! -name e2e-secrets -size -2048k -exec grep -lF -f /run/e2e-secrets {} + 2>/dev/null; \
             journalctl -q -o cat --no-pager | grep -cF -f /run/e2e-secrets | sed 's/^0$//; s/^[1-9].*/the journal/'",
        );
        for file in files.lines().filter(|l| !l.trim().is_empty()) {
            // A file below a directory that others may not enter is not open to them.
            if file.starts_with('/') {
                let open = w.lab.exec_as("admin", host, &format!("[ -r '{file}' ]")).is_ok_and(|o| o.ok());
                let temporary = ["/tmp", "/var/tmp", "/run"].iter().any(|d| file.starts_with(d));
                if !open && !temporary {
                    continue;
                }
            }
            let _ = writeln!(found, "{host}: in {file}");
        }
        // In what foobar itself keeps about its runs, though only root reads it; the images of files are what those files were.
        let records = search(
            "cd /var/lib/foobar && find . -path './generations/*/before' -prune -o -path ./secrets -prune -o -path ./originals -prune -o -path ./database -prune \
             -o -type f -exec grep -lF -f /run/e2e-secrets {} +",
        );
        for file in records.lines().filter(|l| !l.trim().is_empty()) {
            let _ = writeln!(found, "{host}: in /var/lib/foobar/{file}");
        }
        assert!(
            w.on(host, "cat /var/lib/foobar/generations/*/sources | grep -c E2E_SESSION_KEY").trim() != "0",
            "no generation says what it was made from: the search finds nothing at all"
        );
        let planted = search(
            "install -m 644 /run/e2e-secrets /tmp/e2e-planted; find /tmp -type f -perm -o+r -exec grep -lF -f /run/e2e-secrets {} +; rm /tmp/e2e-planted",
        );
        assert_eq!(planted, "/tmp/e2e-planted\n", "the search on {host} finds nothing at all");
    }

    // On this machine: what the program keeps and leaves.
    for dir in [&w.dir, &std::env::temp_dir()] {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten().filter(|e| e.path().is_file()) {
            let text =
                std::fs::read(entry.path()).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
            if let Some(secret) = secrets.iter().find(|s| text.contains(*s)) {
                let _ = writeln!(found, "{}… in {}", &secret[..4], entry.path().display());
            }
        }
    }
    assert!(found.is_empty(), "secrets were seen:\n{found}");
}

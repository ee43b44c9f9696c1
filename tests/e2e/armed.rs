//! New firewall rules that nobody can confirm, and those that would lock their owner out: a rule added by hand in the way,
//! foobar killed and a host rebooted before the confirmation, a confirmation that comes too late. Each time the former
//! rules are back by themselves, also where there were none.

use super::world::{HOSTS, Started, World, start, until};
use std::{fs, path::PathBuf, time::Duration};

/// The host that goes first, and is the only one that is touched where its rules cannot be confirmed.
const FIRST: &str = "lb-01";
/// Longer than the hosts here wait for a confirmation, by what a busy machine takes.
const DEADLINE: Duration = Duration::from_secs(40);

/// Other rules on every host, which wait so long for their confirmation.
fn other(w: &World, within: &str) -> String {
    w.original()
        + &format!("firewall:\n  confirm_within: {within}\n  allow:\n    - {{ port: 9100, from: [192.0.2.0/24] }}\n")
}

/// What is in force, what is kept for the next boot, and what is on record of both.
fn rules(w: &World, host: &str) -> String {
    let read = "nft -s list table inet foobar 2>&1; sha256sum /etc/foobar/firewall.nft /var/lib/foobar/firewall.loaded 2>&1; \
                systemctl is-enabled foobar-firewall.service 2>&1 || :";
    w.on(host, read)
}

fn is_new(w: &World, host: &str) -> bool {
    w.on(host, "nft -s list table inet foobar 2>/dev/null || :").contains("9100")
}

/// No timer that could put anything back is left, and nothing that it could put back.
fn nothing_is_armed(w: &World, host: &str) {
    let left = || {
        w.on(host, "systemctl list-units --all --plain --no-legend 'foobar-*-revert.*'; ls -d /run/foobar.armed/*/ 2>/dev/null || :")
    };
    assert!(until(Duration::from_secs(10), || left().is_empty()), "{host}: {}", left());
}

/// As if foobar had never loaded any rules.
fn without_rules(w: &World, host: &str) {
    w.on(host, "systemctl -q disable --now foobar-firewall.service; nft delete table inet foobar; \
                rm -f /etc/systemd/system/foobar-firewall.service /etc/foobar/firewall.nft /var/lib/foobar/firewall.loaded");
}

/// Holds up every new login of foobar's to a host, on this machine.
struct Door {
    dir: PathBuf,
    config: String,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.turn_away();
    }
}

impl Door {
    /// An open one, with a connection to every host made through it.
    fn new(w: &mut World, host: &str) -> Self {
        let dir = w.dir.join("door");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let at = dir.display();
        let guard = format!(
            "#!/bin/sh\n[ -e {at}/hold ] || exit 1\n: >{at}/asked\nwhile [ -e {at}/hold ]; do sleep 0.05; done\n[ -e {at}/away ]\n"
        );
        fs::write(dir.join("guard"), guard).unwrap();
        let own = fs::read_to_string(w.lab.ssh_config()).unwrap();
        let turned = format!(
            "Match originalhost {host} exec \"sh {at}/guard\"\n  HostName 127.0.0.1\n  Port 1\nMatch all\n{own}"
        );
        fs::write(dir.join("config"), turned).unwrap();
        let config = dir.join("config").display().to_string();
        let door = Self { dir, config };
        w.cold();
        w.plan(&door.words());
        door
    }

    fn words(&self) -> [&str; 2] {
        ["--ssh-config", &self.config]
    }

    /// Begins an apply and answers once the new rules of `host` are loaded and wait for their confirmation.
    fn apply(&self, w: &World, host: &str) -> Started {
        let _ = fs::remove_file(self.dir.join("asked"));
        fs::write(self.dir.join("hold"), "").unwrap();
        let words: Vec<&str> = ["apply", "--yes"].into_iter().chain(self.words()).collect();
        let command = w.command(&words);
        let started = start(command, &w.dir, "held");
        assert!(until(Duration::from_secs(60), || self.dir.join("asked").exists()), "no login asks to confirm");
        assert!(is_new(w, host), "the new rules are not loaded");
        w.on(host, "systemctl is-active -q foobar-firewall-revert.timer; test -d /run/foobar.armed/firewall");
        started
    }

    /// Lets the login that waits through.
    fn open(&self) {
        let _ = fs::remove_file(self.dir.join("hold"));
    }

    /// Ends the login that waits.
    fn turn_away(&self) {
        let _ = fs::write(self.dir.join("away"), "");
        self.open();
    }
}

/// A rule that somebody added keeps new logins out, and the connection that is there hides it: what was loaded goes back,
/// the others are left alone, and once the rule has gone the same plan is carried out.
pub fn a_rule_by_hand_is_in_the_way(w: &mut World) {
    w.converge();
    let before = HOSTS.map(|host| rules(w, host));
    w.topology = other(w, "20s");
    assert_eq!(w.plan(&[]).len(), 3);
    // It takes itself away once the former rules are back: nobody can log in to do so.
    w.on(
        FIRST,
        "rm -f /run/e2e-wall; systemd-run -q --collect --unit=e2e-wall sh -c '
            nft add table inet by_hand; nft \"add chain inet by_hand in { type filter hook input priority -10; }\"
            nft add rule inet by_hand in tcp dport 22 ct state new drop; : >/run/e2e-walled
            new() { n=$((n + 1)); nft list table inet foobar | grep -q 9100; }; n=0
            until new || [ $n -gt 1000 ]; do sleep 0.02; done
            read -r from rest </proc/uptime; while new && [ $n -lt 2000 ]; do sleep 0.02; done; read -r to rest </proc/uptime
            nft delete table inet by_hand; echo \"$from $to\" >/run/e2e-wall'; \
         until [ -e /run/e2e-walled ]; do sleep 0.05; done",
    );
    let run = w.foobar(&["apply", "--yes", "--connect-timeout", "2"]);
    run.ends(4).says(&[
        "✗ lb-01 load firewall rules",
        "a new login did not come through: no connection to",
        "lb-01 is what it was before",
        "the former firewall rules were put back",
        "Nothing is changed: what failed was taken back",
        "Skipped, because this failed: lb-01 load firewall rules",
    ]);
    let answers = || w.lab.exec(FIRST, "test -e /run/e2e-wall").is_ok_and(|o| o.ok());
    assert!(until(DEADLINE, answers), "nobody can log in any more");
    println!("    the new rules stood from and to {} s of the host's time", w.on(FIRST, "cat /run/e2e-wall").trim());
    for (host, before) in HOSTS.iter().zip(&before) {
        assert_eq!(&rules(w, host), before, "{host}");
        nothing_is_armed(w, host);
    }
    let left = w.plan(&[]);
    assert_eq!(left.iter().map(|s| s.summary.as_str()).collect::<Vec<_>>(), ["load firewall rules"; 3]);
    assert!(left.iter().all(|s| s.json["drift"].is_null()), "nobody changed them by hand: {left:#?}");
    w.apply(&[]);
    w.is_converged();
    for host in HOSTS {
        assert!(is_new(w, host));
        nothing_is_armed(w, host);
    }
    w.converge();
}

/// Nobody is there to confirm, and the file of the former rules is damaged meanwhile: they are back all the same.
pub fn foobar_is_killed_before_the_confirmation(w: &mut World) {
    for had_rules in [true, false] {
        w.converge();
        if !had_rules {
            without_rules(w, FIRST);
        }
        let before = rules(w, FIRST);
        w.topology = other(w, "10s");
        let door = Door::new(w, FIRST);
        let mut run = door.apply(w, FIRST);
        run.kill();
        w.finish(&["apply"], run).ends(137);
        if had_rules {
            w.on(FIRST, "cp -p /etc/foobar/firewall.nft /run/e2e-kept; echo damaged >/etc/foobar/firewall.nft");
        }
        assert!(until(DEADLINE, || !is_new(w, FIRST)), "the new rules stand still");
        nothing_is_armed(w, FIRST);
        if had_rules {
            w.on(FIRST, "mv /run/e2e-kept /etc/foobar/firewall.nft");
        }
        assert_eq!(rules(w, FIRST), before);
        door.turn_away();
        let run = w.foobar(&["plan"]);
        run.ends(0).says(&["was cut off", "lb-01 during \"load firewall rules\" (0 of", "~ load firewall rules"]);
        w.apply(&[]);
        w.is_converged();
    }
    w.converge();
}

/// The login that confirms comes through when the former rules are back already: it changes nothing.
pub fn a_confirmation_comes_too_late(w: &mut World) {
    w.converge();
    let before = HOSTS.map(|host| rules(w, host));
    w.topology = other(w, "10s");
    let door = Door::new(w, FIRST);
    let run = door.apply(w, FIRST);
    assert!(until(DEADLINE, || !is_new(w, FIRST)), "the new rules stand still");
    door.open();
    let run = w.finish(&["apply"], run);
    run.ends(4)
        .says(&["lb-01", "the confirmation came too late: the former firewall rules were back after 10 s already"]);
    for (host, before) in HOSTS.iter().zip(&before) {
        assert_eq!(&rules(w, host), before, "{host}");
        nothing_is_armed(w, host);
    }
    w.converge();
    assert_eq!(w.said.last().unwrap().words, "plan --json", "there was something to mend");
}

/// The power of a host is cut between the rules and their confirmation: it comes up as it was.
pub fn a_host_is_rebooted_before_the_confirmation(w: &mut World) {
    for had_rules in [true, false] {
        w.converge();
        if !had_rules {
            without_rules(w, FIRST);
        }
        let before = rules(w, FIRST);
        w.topology = other(w, "10m");
        let door = Door::new(w, FIRST);
        let mut run = door.apply(w, FIRST);
        run.kill();
        w.finish(&["apply"], run).ends(137);
        if had_rules {
            let run = w.foobar(&["verify", "-l", FIRST]);
            run.ends(3).says(&["nothing waits for a confirmation", "new rules wait for their confirmation"]);
        }
        w.lab.kill_host(FIRST).unwrap();
        w.lab.start_host(FIRST).unwrap();
        w.cold();
        assert_eq!(rules(w, FIRST), before);
        nothing_is_armed(w, FIRST);
        door.turn_away();
        w.foobar(&["plan"]).ends(0).says(&["was cut off", "load firewall rules"]);
        w.apply(&[]);
        w.is_converged();
    }
    w.converge();
}

/// Rules of a run that was killed wait still: the next run puts back what was before them, and never takes them for that.
pub fn the_next_run_finds_rules_that_wait(w: &mut World) {
    w.converge();
    let before = rules(w, FIRST);
    w.topology = other(w, "10m");
    let door = Door::new(w, FIRST);
    let mut run = door.apply(w, FIRST);
    run.kill();
    w.finish(&["apply"], run).ends(137);
    door.turn_away();
    w.topology = other(w, "10s").replace("9100", "9101");
    w.foobar(&["plan"]).ends(0).says(&["rules of another run wait for their confirmation"]);
    let door = Door::new(w, FIRST);
    fs::write(door.dir.join("hold"), "").unwrap();
    let words: Vec<&str> = ["apply", "--yes"].into_iter().chain(door.words()).collect();
    let command = w.command(&words);
    let mut run = start(command, &w.dir, "held");
    assert!(until(Duration::from_secs(60), || door.dir.join("asked").exists()));
    assert!(!is_new(w, FIRST), "the rules of the run that was killed");
    run.kill();
    w.finish(&["apply"], run).ends(137);
    assert!(until(DEADLINE, || rules(w, FIRST) == before), "{}", rules(w, FIRST));
    nothing_is_armed(w, FIRST);
    door.turn_away();
    w.topology = other(w, "10m");
    w.apply(&[]);
    assert!(is_new(w, FIRST));
    w.converge();
}

/// The user's own template has lost the rule for their login, or drops it before; and one of which that cannot be told.
pub fn a_template_locks_its_owner_out(w: &mut World) {
    w.converge();
    let before = HOSTS.map(|host| rules(w, host));
    let own = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/firewall/firewall.nft.tera")).unwrap();
    let dir = w.dir.join("laid-over");
    fs::create_dir_all(dir.join("firewall")).unwrap();
    let lay = |from: &str, to: &str| {
        assert!(own.contains(from));
        fs::write(dir.join("firewall/firewall.nft.tera"), own.replacen(from, to, 1)).unwrap();
    };
    let templates = dir.display().to_string();
    w.topology = w.original() + "firewall: { confirm_within: 20s, admin_from: [198.51.100.0/24] }\n";
    lay("{{ operator }}\n", "");
    let run = w.foobar(&["plan", "--templates", &templates]);
    run.ends(1).says(&[
        "lb-01",
        "web-02",
        "would lock you out: none lets a new login from",
        "put `{{ operator }}` back",
    ]);
    w.foobar(&["apply", "--yes", "--templates", &templates]).ends(1).says(&["would lock you out"]);
    lay("{{ operator }}\n", "\t\ttcp dport 22 drop comment \"by mistake\"\n{{ operator }}\n");
    let run = w.foobar(&["plan", "--templates", &templates]);
    run.ends(1).says(&[
        "lb-01",
        "`tcp dport 22 drop comment \"by mistake\"`, drops a new login from",
        "foobar explain lb-01:/etc/",
    ]);
    for (host, before) in HOSTS.iter().zip(&before) {
        assert_eq!(&rules(w, host), before, "{host}");
    }
    // Whether a packet bears a mark is not told by the rules: it is tried, on one host, and goes back.
    lay("{{ operator }}\n", "\t\tmeta mark 0 tcp dport 22 ct state new drop\n{{ operator }}\n");
    let run = w.foobar(&["apply", "--yes", "--templates", &templates, "--connect-timeout", "2"]);
    run.ends(4).says(&["lb-01", "a new login did not come through", "the former firewall rules were put back"]);
    for (host, before) in HOSTS.iter().zip(&before) {
        assert_eq!(&rules(w, host), before, "{host}");
        nothing_is_armed(w, host);
    }
    w.topology = w.original();
    w.is_converged();
}

/// A login that becomes root by sudo is kept as well, and its owner is told that nothing else lets them in.
pub fn a_login_by_sudo_is_kept(w: &mut World) {
    w.converge();
    let admin = w.dir.join("sudo.conf");
    fs::write(&admin, fs::read_to_string(w.lab.ssh_config()).unwrap().replace("User root", "User admin")).unwrap();
    let way = ["--ssh-config", admin.to_str().unwrap()];
    w.topology = w.original() + "firewall: { admin_from: [198.51.100.0/24] }\n";
    let words: Vec<&str> = ["plan"].into_iter().chain(way).collect();
    w.foobar(&words)
        .ends(0)
        .says(&["only a rule for your own login lets you in", "is in no network of firewall.admin_from"]);
    w.apply(&way);
    let loaded =
        w.on(FIRST, "set -- $SSH_CONNECTION; nft list table inet foobar | grep \"ip saddr $1 tcp dport 22 accept\"");
    assert!(loaded.contains("the login that foobar came by"), "{loaded}");
    assert!(w.plan(&way).is_empty());
    for host in HOSTS {
        nothing_is_armed(w, host);
    }
    w.converge();
}

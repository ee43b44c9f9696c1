//! What can be in the way: each ends in one clear error that names the host and what to do, with nothing half-written.

use super::world::{HOSTS, World, until};
use std::{fs, time::Duration};

/// Takes out of the way what these cases put there, on any host, whether it is there or not.
pub const MEND: &str = "systemctl stop e2e-lock e2e-wall 2>/dev/null; rm -f /usr/local/bin/date; touch /run/e2e-go; \
    nft delete table inet e2e 2>/dev/null; nft delete table inet by_hand 2>/dev/null; systemctl stop e2e-dpkg 2>/dev/null; \
    case $(dpkg-query -W -f '${db:Status-Status}' e2e-half 2>/dev/null) in ''|not-installed) ;; *) dpkg -P --force-all e2e-half ;; esac; \
    [ -L /etc/os-release ] || { rm -f /etc/os-release; ln -s ../usr/lib/os-release /etc/os-release; }; \
    rm -rf /etc/systemd/system/systemd-reboot.service.d; \
    while mountpoint -q /etc/haproxy; do umount /etc/haproxy; done; \
    while mountpoint -q /var/lib/foobar; do umount /var/lib/foobar; done; \
    printf 'admin ALL=(ALL:ALL) NOPASSWD:ALL\\n' >/etc/sudoers.d/admin; chmod 440 /etc/sudoers.d/admin";

/// dpkg's lock is a record lock, so a process has to hold one: Perl is on every Debian.
const HOLD_APT: &str = r#"systemd-run -q --unit=e2e-lock perl -e '
    use Fcntl; open(my $f, "+>>", "/var/lib/dpkg/lock-frontend") or die; my $l = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0);
    fcntl($f, F_SETLK, $l) or die; open(my $s, ">", "/run/e2e-locked"); close $s; sleep 600'"#;

/// Somebody else installs: it is waited for, for a bounded time, and then said.
pub fn apt_is_locked(w: &mut World) {
    w.topology = w.original();
    // The case wants a host that has something to install: the balancer is as good as any, and quick to put back.
    if w.lab.exec("lb-01", "command -v haproxy").is_ok_and(|o| o.ok()) {
        w.lab.reset_host("lb-01").unwrap();
        w.cold();
    }
    w.on("lb-01", HOLD_APT);
    assert!(until(Duration::from_secs(10), || w.lab.exec("lb-01", "[ -e /run/e2e-locked ]").is_ok_and(|o| o.ok())));
    let run = w.foobar(&["apply", "--yes", "--limit", "lb-01"]);
    w.on("lb-01", "systemctl stop e2e-lock");
    run.ends(1).says(&["lb-01", "lock"]);
    assert!(run.took < Duration::from_secs(150), "{run}");
    assert_eq!(
        w.on("lb-01", "dpkg --audit; ls -d /etc/haproxy /usr/sbin/policy-rc.d 2>/dev/null || :"),
        "",
        "half-written"
    );
}

/// A refused key, a changed host key, an unknown one, and a login that may not become root.
pub fn the_way_to_a_host_is_barred(w: &mut World) {
    w.converge();
    let before = state(w);
    let config = fs::read_to_string(w.lab.ssh_config()).unwrap();
    let known = w.lab.dir().join("known_hosts");
    let key = w.dir.join("another-key");
    if !key.exists() {
        let made =
            std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.is_ok_and(|s| s.success()));
    }
    let own = w.lab.dir().join("key");
    let write = |name: &str, text: String| {
        let path = w.dir.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let refused = write("refused.conf", config.replace(own.to_str().unwrap(), key.to_str().unwrap()));
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    let other: Vec<&str> = public.split_whitespace().take(2).collect();
    let lines = fs::read_to_string(&known).unwrap();
    let changed = lines.lines().map(|l| match l.split_once(' ') {
        Some((names, _)) if names.starts_with("lb-01,") => format!("{names} {}\n", other.join(" ")),
        _ => format!("{l}\n"),
    });
    let changed = write("changed_hosts", changed.collect());
    let changed = write("changed.conf", config.replace(known.to_str().unwrap(), &changed));
    let unknown =
        write("unknown_hosts", lines.lines().filter(|l| !l.starts_with("lb-01,")).map(|l| format!("{l}\n")).collect());
    let unknown = write("unknown.conf", config.replace(known.to_str().unwrap(), &unknown));
    let admin = write("admin.conf", config.replace("User root", "User admin"));

    w.foobar(&["plan", "--ssh-config", &refused]).ends(7).says(&["lb-01", "refused every key", "ssh-add -l"]);
    let run = w.foobar(&["apply", "--yes", "--ssh-config", &changed]);
    run.ends(7).says(&["lb-01", "host key has changed", "SHA256:", "ssh-keygen -R"]);
    assert!(
        !format!("{}{}", run.stdout, run.stderr).contains("web-01: its host key"),
        "only one host's key has changed: {run}"
    );
    w.foobar(&["plan", "--ssh-config", &unknown]).ends(7).says(&["lb-01", "not known", "fingerprint"]);

    // A login that isn't root is as good, as long as sudo asks for nothing.
    w.foobar(&["plan", "--ssh-config", &admin, "--detailed-exitcode"]).ends(0);
    w.on("lb-01", "rm /etc/sudoers.d/admin");
    w.foobar(&["apply", "--yes", "--ssh-config", &admin]).ends(7).says(&["lb-01", "may not become root", "NOPASSWD"]);
    w.on("lb-01", MEND);
    assert_eq!(state(w), before, "something was written on the way");
}

/// A host that runs something else is left alone, and so are all others.
pub fn a_system_that_is_not_known(w: &mut World) {
    w.converge();
    let before = state(w);
    w.on("web-01", "rm /etc/os-release; printf 'ID=plan9\\nPRETTY_NAME=\"Plan 9\"\\n' >/etc/os-release");
    w.topology = w.original().replace("round-robin", "ip-hash");
    w.foobar(&["apply", "--yes"]).ends(1).says(&["web-01", "Plan 9", "Debian 12"]);
    w.on("web-01", MEND);
    assert_eq!(state(w), before, "something was written on the way");
    w.converge();
}

/// No room: seen before anything is begun where it can be, and else the old file stays whole and in use.
pub fn the_disk_is_full(w: &mut World) {
    w.converge();
    let before = state(w);
    w.topology = w.original().replace("round-robin", "ip-hash");
    // The disk that foobar keeps its own things on is small: nothing is begun.
    w.on(
        "lb-01",
        "cp -a /var/lib/foobar /run/kept && mount -t tmpfs -o size=1m tmpfs /var/lib/foobar && cp -a /run/kept/. /var/lib/foobar/",
    );
    let small = w.foobar(&["apply", "--yes"]);
    w.on("lb-01", "umount /var/lib/foobar; rm -rf /run/kept");
    small.ends(1).says(&["lb-01", "KiB are free on /var/lib/foobar", "free at least"]);
    assert_eq!(state(w), before, "something was written on the way");

    // The directory of the configuration is full: its check sees the whole file, its place never half of it.
    w.on("lb-01", "cp -a /etc/haproxy /run/kept && mount -t tmpfs -o size=64k tmpfs /etc/haproxy && cp -a /run/kept/. /etc/haproxy/; \
                   dd if=/dev/zero of=/etc/haproxy/fill bs=1k 2>/dev/null || :");
    let there = w.foobar(&["apply", "--yes"]);
    let kept = w.on(
        "lb-01",
        "cmp /run/kept/haproxy.cfg /etc/haproxy/haproxy.cfg && echo whole; ls /etc/haproxy | grep -c new || :",
    );
    w.on("lb-01", "umount /etc/haproxy; rm -rf /run/kept");
    there.ends(4).says(&["lb-01", "No space left on device", "lb-01 is what it was before"]);
    assert_eq!(kept, "whole\n0\n", "the old file is not whole any more: {there}");
    w.authority();
    assert!(w.get("/healthz").contains("web-0"), "the site is served all the while");
    w.converge();
}

/// A host that is off: the others are not begun either, and all is well once it is back.
pub fn a_host_is_down(w: &mut World) {
    w.converge();
    let before = state(w);
    w.topology = w.original().replace("round-robin", "ip-hash");
    w.lab.kill_host("web-02").unwrap();
    w.cold();
    let run = w.foobar(&["apply", "--yes", "--connect-timeout", "3"]);
    run.ends(7).says(&["web-02", "no connection to", "check that the host is up"]);
    w.foobar(&["verify", "--connect-timeout", "3"]);
    w.lab.start_host("web-02").unwrap();
    w.cold();
    assert_eq!(state(w)[..2], before[..2], "something was written on the way");
    w.converge();
    // A server that has just come back is not in its turn yet.
    assert!(until(Duration::from_secs(30), || w.foobar(&["verify"]).code == 0), "{}", w.said.last().unwrap());
}

/// A digest of what foobar writes on each host, and of what it keeps there.
pub fn state(w: &World) -> Vec<String> {
    let script = "find /etc/foobar /etc/haproxy /etc/nginx /etc/mysql /etc/systemd/system /srv/foobar /var/lib/foobar \
                  -type f ! -name lease 2>/dev/null -exec sha256sum {} + | sort -k2 | sha256sum";
    HOSTS.iter().map(|host| w.on(host, script)).collect()
}

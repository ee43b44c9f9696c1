//! The base roots, one a suite: built once, kept, and laid under every host. Knows nothing of hosts or networks.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    Progress,
    error::{LabError, Result},
    paths,
    process::{command, stream},
    suite::Suite,
};

/// What a host has from the start: less than most servers, so that nothing works by luck.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,openssh-server,iproute2,ca-certificates,sudo,nftables,procps";
/// What the stack installs later, found in the archives of every host, and an ACME directory to try it against. (A final `-` leaves a package out: what an exporter
/// recommends asks disks and mainboards, and foobar installs nothing that is only recommended.)
const STACK: &str = "haproxy nginx nftables nsd openssl uacme python3-flask gunicorn python3-pymysql keepalived \
                     prometheus prometheus-alertmanager prometheus-blackbox-exporter prometheus-mysqld-exporter \
                     prometheus-nginx-exporter prometheus-node-exporter prometheus-node-exporter-collectors- pebble";
const HOOK: &str = include_str!("base-hook.sh");

/// The base root of a suite, built if there is none yet. Two runs at once build it once.
pub fn ensure(state: &Path, suite: Suite, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf> {
    let made = paths::base(state, suite);
    let root = made.join("root");
    if root.exists() {
        return Ok(root);
    }
    let lock = paths::lock(&made.with_extension("lock"), progress)?;
    // If this process is killed, the next one waits until the build that it left behind has ended.
    lock.share()?;
    if !root.exists() {
        build(&made, suite, progress)?;
    }
    Ok(root)
}

fn build(made: &Path, suite: Suite, progress: &mut dyn FnMut(Progress)) -> Result<()> {
    let begun = Instant::now();
    progress(Progress::Doing(format!("building the {suite} root and fetching the stack's packages, once")));
    // A build that was interrupted leaves this; the lock says that nobody is at it.
    let new = made.with_extension("new");
    paths::remove_tree(&new)?;
    // Open while it is built: apt fetches as a user of its own.
    paths::make_dir(&new, 0o755)?;
    let hook = new.join("hook.sh");
    paths::write(&hook, HOOK, 0o644)?;
    let mut mmdebstrap = command("mmdebstrap");
    mmdebstrap.env("FOOBAR_LAB_STACK", format!("{STACK} {}", suite.database()));
    // Lists and archives stay: hosts install from them without a network.
    mmdebstrap.args(["--variant=minbase", "--skip=cleanup/apt"]).arg(format!("--include={PACKAGES}"));
    if suite == Suite::Sid {
        // Sid's release file may be past its date; this holds in that image's sources and nowhere else.
        let sed = r#"sed -i 's/^deb \([^[]\)/deb [check-valid-until=no] \1/; s/^deb \[\([^c]\)/deb [check-valid-until=no \1/'"#;
        mmdebstrap.arg(format!(r#"--setup-hook={sed} "$1/etc/apt/sources.list""#));
    }
    mmdebstrap.arg(format!(r#"--customize-hook=sh {} "$1""#, hook.display()));
    mmdebstrap.arg(suite.name()).arg(new.join("root"));
    stream(&mut mmdebstrap, &made.with_extension("log"), progress)?;
    // Closed from here on: it holds setuid programs, which age.
    fs::set_permissions(&new, fs::Permissions::from_mode(0o700)).map_err(LabError::file("close", &new))?;
    fs::rename(&new, made).map_err(LabError::file("move into place", made))?;
    progress(Progress::Done(format!("built the {suite} root in {} s", begun.elapsed().as_secs())));
    Ok(())
}

/// The user and group of `admin` in a root, from its passwd file.
pub fn admin_ids(root: &Path) -> Result<(u32, u32)> {
    let path = root.join("etc/passwd");
    let text = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
    parse_admin(&text).ok_or_else(|| LabError::Stuck {
        what: format!("a base root without the login `admin`, {}", root.display()),
        why: "it was built by something else; purge the bases".into(),
    })
}

fn parse_admin(passwd: &str) -> Option<(u32, u32)> {
    let mut fields = passwd.lines().find(|l| l.starts_with("admin:"))?.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Removes every base root. The caller has made sure that no lab stands on them.
pub fn purge(state: &Path, progress: &mut dyn FnMut(Progress)) -> Result<()> {
    let dir = state.join("base");
    for name in paths::names_in(&dir) {
        progress(Progress::Doing(format!("removing the base {name}")));
        let path = dir.join(&name);
        let _lock = paths::lock(&path.with_extension("lock"), progress)?;
        paths::remove_tree(&path)?;
    }
    paths::remove_tree(&dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_admin_are_read() {
        let text = "root:x:0:0:root:/root:/bin/bash\nadmin:x:1000:1001::/home/admin:/bin/bash\n";
        assert_eq!(parse_admin(text), Some((1000, 1001)));
        assert_eq!(parse_admin("administrator:x:5:5::/:/bin/sh\n"), None);
    }
}

//! The network of a lab on this machine: its bridge, its way out, and the namespace that plays the user. Hosts join it by
//! themselves; what they are is not known here.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;

use super::{
    error::{LabError, Result},
    paths,
    process::{Output, capture, command, run, run_with, signal_pid, until},
    spec, text,
};

/// Hosts each want a few of these, and the usual limit of 128 is for all of them together.
const INOTIFY_INSTANCES: u32 = 4096;

/// The network of one lab.
#[derive(Debug, Clone)]
pub struct Net {
    /// The lab.
    pub lab: String,
    /// Its directory, which marks the bridge as its own.
    pub dir: PathBuf,
}

impl Net {
    /// Whether all of it stands.
    pub fn is_up(&self) -> bool {
        let table = || run(command("nft").args(["list", "table", "ip"]).arg(spec::table(&self.lab)));
        exists(&spec::bridge(&self.lab))
            && exists(&spec::client_link(&self.lab))
            && namespace_file(&self.lab).exists()
            && table().is_ok()
    }

    /// Refuses to touch a bridge of the same name that belongs to a lab kept elsewhere.
    pub fn check_owner(&self) -> Result<()> {
        let bridge = spec::bridge(&self.lab);
        if !exists(&bridge) {
            return Ok(());
        }
        let alias = fs::read_to_string(format!("/sys/class/net/{bridge}/ifalias")).unwrap_or_default();
        // One without a mark is what a run leaves that was killed while it made it.
        if alias.trim() == self.dir.to_string_lossy() || (alias.trim().is_empty() && self.dir.exists()) {
            return Ok(());
        }
        let owner = if alias.trim().is_empty() { "somebody else" } else { alias.trim() };
        let help = "give this lab another name, or take the other one down with its own FOOBAR_LAB_DIR".into();
        Err(LabError::Clash { what: format!("the bridge {bridge}"), owner: owner.into(), help })
    }

    /// Makes what isn't there yet.
    pub fn up(&self, octet: u8) -> Result<()> {
        self.check_owner()?;
        let bridge = spec::bridge(&self.lab);
        if !exists(&bridge) {
            self.make_bridge(&bridge, octet)?;
        }
        let table = text::masquerade(&spec::table(&self.lab), &spec::subnet(octet));
        run_with(command("nft").args(["-f", "-"]), &table)?;
        raise("/proc/sys/net/ipv4/ip_forward", 1)?;
        raise("/proc/sys/fs/inotify/max_user_instances", INOTIFY_INSTANCES)?;
        self.make_client(&bridge, octet)
    }

    fn make_bridge(&self, bridge: &str, octet: u8) -> Result<()> {
        if octets_in_use()?.contains(&octet) {
            let what = format!("the subnet {}", spec::subnet(octet));
            let help = "choose another third octet for this lab".into();
            return Err(LabError::Clash { what, owner: "another interface of this machine".into(), help });
        }
        let gateway = spec::address(octet, spec::GATEWAY);
        // Snooping would lose VRRP's multicast.
        let batch = format!(
            "link add {bridge} type bridge forward_delay 0 mcast_snooping 0\nlink set {bridge} alias {}\n\
             addr add {gateway}/24 dev {bridge}\nlink set {bridge} up\n",
            self.dir.display()
        );
        run_with(command("ip").args(["-batch", "-"]), &batch).map(drop)
    }

    fn make_client(&self, bridge: &str, octet: u8) -> Result<()> {
        let (link, namespace) = (spec::client_link(&self.lab), spec::namespace(&self.lab));
        if exists(&link) && namespace_file(&self.lab).exists() {
            return Ok(());
        }
        self.remove_client();
        run(command("ip").args(["netns", "add", &namespace]))?;
        let (own, gateway) = (spec::address(octet, spec::CLIENT), spec::address(octet, spec::GATEWAY));
        let outside = format!(
            "link add {link} type veth peer name eth0 netns {namespace}\nlink set {link} master {bridge}\nlink set {link} up\n"
        );
        run_with(command("ip").args(["-batch", "-"]), &outside)?;
        let inside =
            format!("link set lo up\naddr add {own}/24 dev eth0\nlink set eth0 up\nroute add default via {gateway}\n");
        run_with(command("ip").args(["-n", &namespace, "-batch", "-"]), &inside).map(drop)
    }

    /// Writes the hosts file that commands of the client see.
    pub fn write_client_hosts<'a>(&self, entries: impl IntoIterator<Item = (&'a str, Ipv4Addr)>) -> Result<()> {
        let dir = client_etc(&self.lab);
        paths::make_dir(&dir, 0o755)?;
        let path = dir.join("hosts");
        // In place: `ip netns exec` binds this very file, and a renamed one would leave running commands with the old.
        fs::write(&path, text::hosts_file(entries)).map_err(LabError::file("write", &path))
    }

    /// Runs a command as the client.
    pub fn client_exec(&self, words: &[&str]) -> Result<Output> {
        capture(command("ip").args(["netns", "exec", &spec::namespace(&self.lab)]).args(words), "")
    }

    /// Removes all of it, whatever of it stands.
    pub fn down(&self) -> Result<()> {
        self.check_owner()?;
        self.remove_client();
        // The answer of `ip` and `nft` to what isn't there is an error too, so what counts is that it is gone.
        let (bridge, table) = (spec::bridge(&self.lab), spec::table(&self.lab));
        let _ = run(command("ip").args(["link", "del", &bridge]));
        let _ = run(command("nft").args(["delete", "table", "ip", &table]));
        if exists(&bridge) {
            return Err(LabError::Stuck { what: format!("the bridge {bridge}"), why: "it can't be deleted".into() });
        }
        Ok(())
    }

    fn remove_client(&self) {
        let (namespace, file) = (spec::namespace(&self.lab), namespace_file(&self.lab));
        if file.exists() {
            // Only what was started through this lab can be inside.
            let inside = || run(command("ip").args(["netns", "pids", &namespace])).unwrap_or_default();
            until(Duration::from_secs(3), || {
                let pids = inside();
                pids.lines().filter_map(|l| l.trim().parse().ok()).for_each(|pid| signal_pid(pid, Signal::KILL));
                pids.trim().is_empty()
            });
            let _ = run(command("ip").args(["netns", "del", &namespace]));
            let _ = fs::remove_file(&file);
        }
        let link = spec::client_link(&self.lab);
        if exists(&link) {
            let _ = run(command("ip").args(["link", "del", &link]));
        }
        let etc = client_etc(&self.lab);
        let _ = fs::remove_dir_all(&etc);
        // Only when they are empty, so those of others stay. The mount is `ip netns`'s own, on top of the directory, and
        // can't be undone while it carries any namespace.
        let _ = etc.parent().map(fs::remove_dir);
        let all = Path::new("/run/netns");
        if fs::read_dir(all).is_ok_and(|mut d| d.next().is_none()) {
            let _ = run(command("umount").arg(all));
        }
    }
}

/// Puts a running host's end on the bridge again, for a bridge that was made anew under it.
pub fn attach_host_link(lab: &str, host: &str) {
    let link = spec::host_link(lab, host);
    if exists(&link) && !Path::new("/sys/class/net").join(&link).join("master").exists() {
        let _ = run(command("ip").args(["link", "set", &link, "up", "master", &spec::bridge(lab)]));
    }
}

/// Removes a host's end on the bridge, which outlives a killed host for a moment and would be in the way of its next boot.
pub fn remove_host_link(lab: &str, host: &str) {
    let link = spec::host_link(lab, host);
    if exists(&link) {
        let _ = run(command("ip").args(["link", "del", &link]));
    }
}

/// The third octets of 10.77.x.0/24 that interfaces of this machine have.
pub fn octets_in_use() -> Result<Vec<u8>> {
    Ok(parse_octets(&run(command("ip").args(["-o", "-4", "addr", "show"]))?))
}

fn parse_octets(ip_addr: &str) -> Vec<u8> {
    let addresses = ip_addr.split_ascii_whitespace().filter_map(|w| w.split_once('/')?.0.parse::<Ipv4Addr>().ok());
    addresses.map(|a| a.octets()).filter(|o| o[..2] == [10, 77]).map(|o| o[2]).collect()
}

fn exists(link: &str) -> bool {
    Path::new("/sys/class/net").join(link).exists()
}

fn namespace_file(lab: &str) -> PathBuf {
    Path::new("/run/netns").join(spec::namespace(lab))
}

fn client_etc(lab: &str) -> PathBuf {
    Path::new("/etc/netns").join(spec::namespace(lab))
}

/// Raises a kernel setting that is lower. It stays raised: others may have come to need it meanwhile.
fn raise(path: &str, least: u32) -> Result<()> {
    let now: u32 = fs::read_to_string(path).ok().and_then(|t| t.trim().parse().ok()).unwrap_or(0);
    if now >= least { Ok(()) } else { fs::write(path, least.to_string()).map_err(LabError::file("raise", path)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_octets_of_other_bridges_are_seen() {
        let text = "1: lo    inet 127.0.0.1/8 scope host lo\n7: fl-demo    inet 10.77.0.1/24 scope global fl-demo\n\
                    9: fl-x    inet 10.77.31.1/24 scope global fl-x\n3: e    inet 10.78.5.1/24 brd 10.78.5.255 scope global e\n";
        assert_eq!(parse_octets(text), [0, 31]);
    }
}

//! A lab as a whole: up, down, and what can be done with one that stands. How each part is made lives beside this.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::mpsc,
    time::Instant,
};

use serde::Serialize;

use super::{
    Progress, base, cgroup,
    error::{LabError, Result},
    host::{Host, HostState, end_unknown},
    net::Net,
    paths, preflight,
    process::{Output, command, run},
    record::Record,
    spec::{self, HostSpec, Spec},
    suite::Suite,
    text,
};

/// One lab.
#[derive(Debug, Clone)]
pub struct Lab {
    record: Record,
    state_dir: PathBuf,
}

/// One host of a lab, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// The release that it runs.
    pub suite: Suite,
    /// Where it is in its life.
    pub state: HostState,
}

/// A lab, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Its subnet.
    pub subnet: String,
    /// Its directory.
    pub dir: PathBuf,
    /// Whether bridge, way out and client stand.
    pub network: bool,
    /// Its hosts.
    pub hosts: Vec<HostStatus>,
}

impl Status {
    /// Whether everything stands and every host answers.
    pub fn is_up(&self) -> bool {
        self.network && self.hosts.iter().all(|h| h.state == HostState::Running)
    }
}

impl Lab {
    /// Makes what the spec asks for and isn't there yet, and waits until it runs. On a lab that is up it does nothing; a
    /// lab that is up keeps hosts that the spec doesn't name. Hosts that ran before know new ones by address only.
    pub fn up(spec: &Spec, progress: &mut dyn FnMut(Progress)) -> Result<Self> {
        spec.check()?;
        preflight::require(&spec.state_dir)?;
        let _lock = paths::lock(&paths::lab_lock(&spec.state_dir, &spec.name), progress)?;
        let begun = Instant::now();
        let lab = Self::settle(spec, progress)?;
        lab.net().check_owner()?;
        if lab.status().is_up() {
            progress(Progress::Done(format!("lab {} is up already", spec.name)));
            return Ok(lab);
        }
        let mut suites: Vec<_> = lab.record.hosts.iter().map(|h| lab.suite_of(h)).collect();
        suites.sort_unstable();
        suites.dedup();
        for suite in suites {
            base::ensure(&lab.state_dir, suite, progress)?;
        }
        let booting = Instant::now();
        lab.net().up(lab.record.octet)?;
        lab.write_client_hosts()?;
        let hosts = lab.hosts();
        progress(Progress::Doing(format!("booting {} hosts on {}", hosts.len(), spec::subnet(lab.record.octet))));
        lab.make_key()?;
        let named = lab.named();
        each(&hosts, progress, |host, _| host.prepare(&named).and_then(|()| host.boot()))?;
        lab.write_files(&hosts)?;
        each(&hosts, progress, |host, say| {
            host.wait()?;
            let seconds = booting.elapsed().as_secs_f32();
            say(Progress::Done(format!("{} is up at {} after {seconds:.1} s", host.name, host.address)));
            Ok(())
        })?;
        progress(Progress::Done(format!("lab {} is up after {:.1} s", spec.name, begun.elapsed().as_secs_f32())));
        Ok(lab)
    }

    /// The lab that a spec leads to: the one on record with the new hosts added, or a new one, put on record.
    fn settle(spec: &Spec, progress: &mut dyn FnMut(Progress)) -> Result<Self> {
        // Two labs that choose a subnet at once would choose the same.
        let _lock = paths::lock(&paths::lab_lock(&spec.state_dir, ".all"), progress)?;
        let record = match Record::load(&spec.state_dir, &spec.name) {
            Ok(record) if !record.is_stale() => record.joined(spec)?,
            Err(damaged @ LabError::Record { .. }) => return Err(damaged),
            // Left by an earlier boot of this machine, or half-made.
            Ok(_) | Err(_) => {
                end(&spec.state_dir, &spec.name)?;
                Record::new(spec)?
            }
        };
        record.save(&spec.state_dir)?;
        Ok(Self { record, state_dir: spec.state_dir.clone() })
    }

    /// A lab that was brought up earlier, running or not.
    pub fn open(state_dir: &Path, name: &str) -> Result<Self> {
        Ok(Self { record: Record::load(state_dir, name)?, state_dir: state_dir.into() })
    }

    /// The labs on record.
    pub fn list(state_dir: &Path) -> Vec<String> {
        paths::names_in(&state_dir.join("labs"))
    }

    /// Ends a lab and removes all that it made, whatever state it is in; one that doesn't exist is down already.
    pub fn down(state_dir: &Path, name: &str, progress: &mut dyn FnMut(Progress)) -> Result<()> {
        spec::check_lab_name(name)?;
        let _lock = paths::lock(&paths::lab_lock(state_dir, name), progress)?;
        let existed = paths::lab(state_dir, name).exists();
        end(state_dir, name)?;
        let said = if existed { "is down, and nothing of it is left" } else { "is down already" };
        progress(Progress::Done(format!("lab {name} {said}")));
        Ok(())
    }

    /// Removes the cached base roots too; refused while any lab stands on them.
    pub fn purge(state_dir: &Path, progress: &mut dyn FnMut(Progress)) -> Result<()> {
        let labs = Self::list(state_dir);
        if labs.is_empty() {
            return base::purge(state_dir, progress);
        }
        let help = "take them down first".into();
        Err(LabError::Clash { what: "the base roots".into(), owner: format!("the labs {}", labs.join(", ")), help })
    }

    /// The directory with the lab's key, ssh_config, known_hosts and inventory.
    pub fn dir(&self) -> PathBuf {
        paths::lab(&self.state_dir, &self.record.name)
    }

    /// The ssh_config that reaches every host by name.
    pub fn ssh_config(&self) -> PathBuf {
        self.dir().join("ssh_config")
    }

    /// The inventory that names every host to foobar.
    pub fn inventory(&self) -> PathBuf {
        self.dir().join("inventory.yaml")
    }

    /// A host's address.
    pub fn address(&self, host: &str) -> Result<Ipv4Addr> {
        self.host(host).map(|h| h.address)
    }

    /// How it is now.
    pub fn status(&self) -> Status {
        let hosts = self.record.hosts.iter().map(|host| {
            let (suite, found) = (self.suite_of(host), self.host_of(host));
            HostStatus { name: host.name.clone(), address: found.address, suite, state: found.state() }
        });
        Status {
            name: self.record.name.clone(),
            subnet: spec::subnet(self.record.octet),
            dir: self.dir(),
            network: self.net().is_up(),
            hosts: hosts.collect(),
        }
    }

    /// Runs a shell script on a host as root.
    pub fn exec(&self, host: &str, script: &str) -> Result<Output> {
        self.exec_as("root", host, script)
    }

    /// Runs a shell script on a host as `root` or as `admin`, who has sudo without a password.
    pub fn exec_as(&self, user: &str, host: &str, script: &str) -> Result<Output> {
        self.host(host)?.ssh(user, script)
    }

    /// Runs a command as the client: from an address of its own, with the site's names known.
    pub fn client_exec(&self, words: &[&str]) -> Result<Output> {
        self.net().client_exec(words)
    }

    /// Tells the client where the site's names lead.
    pub fn client_names(&mut self, names: &[(&str, Ipv4Addr)]) -> Result<()> {
        names.iter().try_for_each(|(name, _)| spec::check_site_name(name))?;
        self.record.site = names.iter().map(|(name, address)| ((*name).to_owned(), *address)).collect();
        self.record.save(&self.state_dir)?;
        self.write_client_hosts()
    }

    /// Shuts a host down as its own `poweroff` would.
    pub fn stop_host(&self, host: &str) -> Result<()> {
        self.host(host)?.stop()
    }

    /// Ends a host at once, as a power cut would.
    pub fn kill_host(&self, host: &str) -> Result<()> {
        self.host(host)?.kill()
    }

    /// Boots a host that is stopped and waits until it runs.
    pub fn start_host(&self, host: &str) -> Result<()> {
        let host = self.host(host)?;
        host.prepare(&self.named())?;
        host.boot()?;
        host.wait()
    }

    /// Gives a host a fresh disk and boots it; its address, host key and machine id stay the same.
    pub fn reset_host(&self, host: &str) -> Result<()> {
        let found = self.host(host)?;
        found.kill()?;
        found.wipe()?;
        self.start_host(host)
    }

    fn net(&self) -> Net {
        Net { lab: self.record.name.clone(), dir: self.dir() }
    }

    fn suite_of(&self, host: &HostSpec) -> Suite {
        host.suite.unwrap_or(self.record.suite)
    }

    fn hosts(&self) -> Vec<Host> {
        self.record.hosts.iter().map(|h| self.host_of(h)).collect()
    }

    fn host_of(&self, host: &HostSpec) -> Host {
        Host {
            lab: self.record.name.clone(),
            octet: self.record.octet,
            name: host.name.clone(),
            address: spec::address(self.record.octet, host.number),
            home: self.dir(),
            root: paths::base(&self.state_dir, self.suite_of(host)).join("root"),
        }
    }

    fn host(&self, name: &str) -> Result<Host> {
        let found = self.record.hosts.iter().find(|h| h.name == name);
        found.map(|h| self.host_of(h)).ok_or_else(|| {
            let known: Vec<_> = self.record.hosts.iter().map(|h| h.name.as_str()).collect();
            LabError::NoHost { lab: self.record.name.clone(), host: name.into(), known: known.join(", ") }
        })
    }

    fn named(&self) -> Vec<text::Named<'_>> {
        let octet = self.record.octet;
        self.record.hosts.iter().map(|h| (h.name.as_str(), spec::address(octet, h.number))).collect()
    }

    fn make_key(&self) -> Result<()> {
        let key = self.dir().join("key");
        if self.dir().join("key.pub").exists() {
            return Ok(());
        }
        let _ = fs::remove_file(&key);
        let keygen = ["-q", "-t", "ed25519", "-N", "", "-C", "foobar lab", "-f"];
        run(command("ssh-keygen").args(keygen).arg(&key)).map(drop)
    }

    /// Host keys are read from the hosts' own files: nothing is trusted because the network said so.
    fn write_files(&self, hosts: &[Host]) -> Result<()> {
        let dir = self.dir();
        let keys: Result<Vec<_>> =
            hosts.iter().map(|h| Ok(text::known_host((&h.name, h.address), &h.public_key()?))).collect();
        paths::write(&dir.join("known_hosts"), keys?.concat(), 0o600)?;
        paths::write(&self.ssh_config(), text::ssh_config(&self.named(), &dir), 0o600)?;
        paths::write(&self.inventory(), text::inventory(&self.named(), &self.ssh_config()), 0o644)
    }

    fn write_client_hosts(&self) -> Result<()> {
        let site = self.record.site.iter().map(|(name, address)| (name.as_str(), *address));
        self.net().write_client_hosts(self.named().into_iter().chain(site))
    }
}

/// Ends all of a lab that there is. Nothing is removed before the bridge is known as ours.
fn end(state_dir: &Path, name: &str) -> Result<()> {
    let net = Net { lab: name.into(), dir: paths::lab(state_dir, name) };
    net.check_owner()?;
    let mut hosts = paths::names_in(&net.dir.join("hosts"));
    hosts.extend(cgroup::hosts_of(name));
    hosts.sort();
    hosts.dedup();
    hosts.iter().try_for_each(|host| end_unknown(name, &net.dir, host))?;
    cgroup::clear_lab(name);
    net.down()?;
    paths::remove_tree(&net.dir)
}

/// Does the same for every host at once, handing on what each says; the first failure in the order of hosts is returned.
fn each(
    hosts: &[Host],
    progress: &mut dyn FnMut(Progress),
    act: impl Fn(&Host, &dyn Fn(Progress)) -> Result<()> + Sync,
) -> Result<()> {
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        let act = &act;
        let start = |host| {
            let sender = sender.clone();
            // The receiver is there until every sender is gone.
            scope.spawn(move || act(host, &|said| drop(sender.send(said))))
        };
        let threads: Vec<_> = hosts.iter().map(start).collect();
        drop(sender);
        receiver.into_iter().for_each(progress);
        let ended = threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.collect::<Vec<_>>().into_iter().collect()
    })
}

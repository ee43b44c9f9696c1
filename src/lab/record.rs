//! What a lab knows of itself from one run to the next, and how that follows from a spec. Starts and stops nothing.

use std::{fs, net::Ipv4Addr, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    error::{LabError, Result},
    net::octets_in_use,
    paths,
    spec::{self, HostSpec, Spec},
    suite::Suite,
};

const FILE: &str = "lab.json";

/// What a lab knows of itself from one run to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The lab's name.
    pub name: String,
    /// The release of hosts that don't say another.
    pub suite: Suite,
    /// The third part of its subnet.
    pub octet: u8,
    /// Its hosts.
    pub hosts: Vec<HostSpec>,
    /// The names that the client knows, and where they lead.
    pub site: Vec<(String, Ipv4Addr)>,
    /// Which boot of this machine it belongs to: disks written without fsync are not trusted after another.
    pub boot: String,
}

impl Record {
    /// The record of a lab that is new, with a subnet that is free.
    pub fn new(spec: &Spec) -> Result<Self> {
        let octet = choose_octet(spec)?;
        let entry = spec.hosts.first().map(|host| spec::address(octet, host.number));
        let site = spec.site_names.iter().filter_map(|name| Some((name.clone(), entry?))).collect();
        let (name, hosts) = (spec.name.clone(), spec.hosts.clone());
        Ok(Self { name, suite: spec.suite, octet, hosts, site, boot: boot_id() })
    }

    /// Reads a lab's record.
    pub fn load(state_dir: &Path, name: &str) -> Result<Self> {
        spec::check_lab_name(name)?;
        let path = paths::lab(state_dir, name).join(FILE);
        let Ok(text) = fs::read_to_string(&path) else {
            let known = paths::names_in(&state_dir.join("labs"));
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            return Err(LabError::NoLab { name: name.into(), known });
        };
        serde_json::from_str(&text).map_err(|source| LabError::Record { path, source })
    }

    /// Writes it, into a directory that is made for it.
    pub fn save(&self, state_dir: &Path) -> Result<()> {
        let dir = paths::lab(state_dir, &self.name);
        let path = dir.join(FILE);
        paths::make_dir(&dir, 0o700)?;
        let text = serde_json::to_string_pretty(self);
        let text = text.map_err(|source| LabError::Record { path: path.clone(), source })?;
        paths::write(&path, text + "\n", 0o600)
    }

    /// Whether this machine was booted again since.
    pub fn is_stale(&self) -> bool {
        self.boot != boot_id()
    }

    /// The record with the hosts that are new in a spec.
    pub fn joined(mut self, spec: &Spec) -> Result<Self> {
        let help = || format!("take the lab {} down first, or give this one another name", self.name);
        let clash = |what: String| LabError::Clash { what, owner: format!("the lab {}", self.name), help: help() };
        if spec.octet.is_some_and(|octet| octet != self.octet) {
            return Err(clash(format!("another subnet, {},", spec::subnet(self.octet))));
        }
        let mut new = Vec::new();
        for host in &spec.hosts {
            let suite = host.suite.unwrap_or(spec.suite);
            let same = |h: &&HostSpec| h.name == host.name || h.number == host.number;
            match self.hosts.iter().find(same) {
                None => new.push(HostSpec { suite: Some(suite), ..host.clone() }),
                Some(h) if h.name == host.name && h.number == host.number && h.suite.unwrap_or(self.suite) == suite => {
                }
                Some(h) => return Err(clash(format!("the name or address of {} with another setting", h.name))),
            }
        }
        self.hosts.extend(new);
        Ok(self)
    }
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// The subnet asked for, or the one that the name leads to, or the next that nobody has.
fn choose_octet(spec: &Spec) -> Result<u8> {
    let mut used: Vec<_> = octets_in_use()?;
    let others = paths::names_in(&spec.state_dir.join("labs")).into_iter().filter(|n| *n != spec.name);
    used.extend(others.filter_map(|n| Record::load(&spec.state_dir, &n).ok()).map(|record| record.octet));
    let clash = |octet: u8| LabError::Clash {
        what: format!("the subnet {}", spec::subnet(octet)),
        owner: "another lab or interface of this machine".into(),
        help: "choose another third octet, or none to have a free one chosen".into(),
    };
    if let Some(octet) = spec.octet {
        return if used.contains(&octet) { Err(clash(octet)) } else { Ok(octet) };
    }
    let first = spec::derived_octet(&spec.name);
    free_octet(first, &used).ok_or_else(|| clash(first))
}

/// The first free octet from one on, round to it again.
fn free_octet(first: u8, used: &[u8]) -> Option<u8> {
    (0..=255u8).map(|step| first.wrapping_add(step)).find(|o| !used.contains(o))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let Spec { name, suite, hosts, .. } = Spec::demo();
        Record { name, suite, octet: 0, hosts, site: Vec::new(), boot: String::new() }
    }

    #[test]
    fn a_lab_grows_by_new_hosts_and_keeps_the_others() {
        assert_eq!(record().joined(&Spec::demo()).unwrap(), record());
        let grown = record().joined(&Spec::new("demo", Suite::Bookworm).host("db-01", 31)).unwrap();
        assert_eq!(grown.hosts.len(), 4);
    }

    #[test]
    fn a_lab_that_is_up_is_not_changed_behind_its_back() {
        for other in [
            Spec { suite: Suite::Sid, ..Spec::demo() },
            Spec { octet: Some(9), ..Spec::demo() },
            Spec::new("demo", Suite::Bookworm).host("lb-01", 12),
            Spec::new("demo", Suite::Bookworm).host("lb-02", 11),
        ] {
            assert!(record().joined(&other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_free_subnet_is_found_past_the_end() {
        assert_eq!(free_octet(7, &[]), Some(7));
        assert_eq!(free_octet(7, &[7, 8]), Some(9));
        assert_eq!(free_octet(255, &[255]), Some(0));
        assert_eq!(free_octet(0, &(0..=255).collect::<Vec<_>>()), None);
    }

    #[test]
    fn a_record_survives_being_written() {
        let text = serde_json::to_string(&record()).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record());
    }
}

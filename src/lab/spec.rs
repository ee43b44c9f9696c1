//! What a lab shall be, and every name and number that follows from it. Pure: nothing here looks at the machine.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    error::{LabError, Result},
    suite::Suite,
};

/// The last part of the bridge's own address, the hosts' gateway.
pub const GATEWAY: u8 = 1;
/// The last part of the client's address.
pub const CLIENT: u8 = 200;

/// One host to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSpec {
    /// Its name, also its host name.
    pub name: String,
    /// The last part of its address; the rest is the lab's subnet.
    pub number: u8,
    /// Its release, where it isn't the lab's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<Suite>,
}

/// What a lab shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The lab's name; everything that it makes on this machine is named after it.
    pub name: String,
    /// The release that its hosts run.
    pub suite: Suite,
    /// Its hosts.
    pub hosts: Vec<HostSpec>,
    /// The third part of its subnet 10.77.x.0/24; derived from the name when absent.
    pub octet: Option<u8>,
    /// The names of the site, as the client knows them; they lead to the first host until `client_names` says otherwise.
    pub site_names: Vec<String>,
    /// Where labs and their base roots are kept.
    pub state_dir: PathBuf,
}

impl Spec {
    /// A lab without hosts yet, in the usual place.
    pub fn new(name: &str, suite: Suite) -> Self {
        Self {
            name: name.into(),
            suite,
            hosts: Vec::new(),
            octet: None,
            site_names: Vec::new(),
            state_dir: super::state_dir(),
        }
    }

    /// One balancer and two web servers: what `foobar lab demo` shows.
    pub fn demo() -> Self {
        let spec = Self::new("demo", Suite::Bookworm).host("lb-01", 11).host("web-01", 21).host("web-02", 22);
        Self { site_names: vec!["shop.test".into(), "www.shop.test".into()], ..spec }
    }

    /// The same with one host more.
    pub fn host(mut self, name: &str, number: u8) -> Self {
        self.hosts.push(HostSpec { name: name.into(), number, suite: None });
        self
    }

    /// Refuses what could not be a name, an address or a path further on.
    pub fn check(&self) -> Result<()> {
        check_lab_name(&self.name)?;
        check_path(&self.state_dir)?;
        if self.hosts.is_empty() {
            return Err(wrong("lab", &self.name, "it has no hosts"));
        }
        for (i, host) in self.hosts.iter().enumerate() {
            check_name("host name", &host.name, 48)?;
            let number = host.number.to_string();
            if matches!(host.number, 0 | GATEWAY | CLIENT | 255) {
                return Err(wrong("host number", &number, "0, 1, 200 and 255 belong to the network itself"));
            }
            if self.hosts[..i].iter().any(|h| h.name == host.name) {
                return Err(wrong("host name", &host.name, "another host has it"));
            }
            if self.hosts[..i].iter().any(|h| h.number == host.number) {
                return Err(wrong("host number", &number, "another host has it"));
            }
        }
        self.site_names.iter().try_for_each(|n| check_site_name(n))
    }
}

fn wrong(what: &'static str, value: &str, why: &str) -> LabError {
    LabError::Spec { what, value: value.into(), why: why.into() }
}

/// Names go into paths, shell words, nft tables and host names: letters, digits and inner hyphens are good in all of them.
pub fn check_name(what: &'static str, name: &str, longest: usize) -> Result<()> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > longest {
        return Err(wrong(what, name, &format!("it must have 1 to {longest} characters")));
    }
    if !name.chars().all(good) || name.starts_with('-') || name.ends_with('-') {
        return Err(wrong(what, name, "only a-z, 0-9 and inner hyphens are allowed"));
    }
    Ok(())
}

/// The name of a lab, long enough for what a test is about.
pub fn check_lab_name(name: &str) -> Result<()> {
    check_name("lab name", name, 40)
}

/// Names of sites go into a hosts file.
pub fn check_site_name(name: &str) -> Result<()> {
    if name.len() > 253 {
        return Err(wrong("site name", name, "it is too long"));
    }
    name.split('.').try_for_each(|label| check_name("site name", label, 63)).map_err(|e| match e {
        LabError::Spec { what, why, .. } => wrong(what, name, &why),
        other => other,
    })
}

/// The state directory goes into mount options and ssh_config, where these characters mean something.
fn check_path(path: &Path) -> Result<()> {
    let text = path.to_string_lossy();
    if !path.is_absolute() {
        return Err(wrong("state directory", &text, "it must be an absolute path"));
    }
    let good = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
    if !text.chars().all(good) || path.components().any(|c| c.as_os_str() == "..") {
        return Err(wrong("state directory", &text, "only letters, digits and / . _ - + @ are allowed"));
    }
    Ok(())
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

/// The third part of the subnet that a lab's name leads to: 0 for `demo`, the same number each time for any other.
pub fn derived_octet(name: &str) -> u8 {
    if name == "demo" {
        return 0;
    }
    let hash = Sha256::digest(name.as_bytes());
    let number = u16::from_be_bytes([hash[0], hash[1]]) % 254;
    u8::try_from(number + 1).unwrap_or(1)
}

/// An address of a lab.
pub fn address(octet: u8, number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, octet, number)
}

/// A lab's subnet.
pub fn subnet(octet: u8) -> String {
    format!("{}/24", address(octet, 0))
}

/// The bridge of a lab: network interfaces have at most 15 characters, so a longer name is told by its digest.
pub fn bridge(lab: &str) -> String {
    if lab.len() <= 12 { format!("fl-{lab}") } else { format!("flx{}", &digest(lab)[..12]) }
}

/// The client's end on the bridge.
pub fn client_link(lab: &str) -> String {
    format!("flc{}", &digest(lab)[..12])
}

/// The client's network namespace.
pub fn namespace(lab: &str) -> String {
    format!("foobar-lab-{lab}")
}

/// The lab's nft table; hyphens are no part of nft's names, and lab names hold no underscores.
pub fn table(lab: &str) -> String {
    format!("foobar_lab_{}", lab.replace('-', "_"))
}

/// A host's name to systemd-nspawn, which names the host's end on the bridge after it: `vb-` and this, 15 characters at
/// most. The dot keeps lab `a`, host `b-c` apart from lab `a-b`, host `c`, and plain names apart from digests.
pub fn machine(lab: &str, host: &str) -> String {
    let plain = format!("{lab}.{host}");
    if plain.len() <= 12 { plain } else { digest(&plain)[..12].to_owned() }
}

/// A host's end on the bridge.
pub fn host_link(lab: &str, host: &str) -> String {
    format!("vb-{}", machine(lab, host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_has_the_first_subnet_and_others_keep_theirs() {
        assert_eq!(derived_octet("demo"), 0);
        for name in ["e2e", "drill", "a", "e2e-trixie"] {
            assert_ne!(derived_octet(name), 0, "{name}");
            assert_eq!(derived_octet(name), derived_octet(name));
        }
        assert_eq!(subnet(7), "10.77.7.0/24");
        assert_eq!(address(0, 11).to_string(), "10.77.0.11");
    }

    #[test]
    fn interface_names_fit_and_differ() {
        for name in ["demo", "a-name-of-twelv", "e2e-failover-on-trixie-1"] {
            assert!(bridge(name).len() <= 15 && client_link(name).len() <= 15, "{name}");
        }
        assert_eq!(bridge("demo"), "fl-demo");
        assert_ne!(bridge("e2e-failover-trixie-1"), bridge("e2e-failover-trixie-2"));
        assert_ne!(table("a-b"), table("ab"));
        assert_eq!(machine("demo", "web-01"), "demo.web-01");
        assert_ne!(machine("a", "b-c"), machine("a-b", "c"));
        assert!(host_link("e2e-failover", "balancer-01").len() <= 15);
    }

    #[test]
    fn the_demo_is_a_good_spec() {
        Spec::demo().check().unwrap();
    }

    #[test]
    fn what_could_break_out_is_refused() {
        for name in ["", "-a", "a-", "A", "a b", "a/b", "a.b", "../x", "a;b", "x".repeat(41).as_str()] {
            assert!(Spec { name: name.into(), ..Spec::demo() }.check().is_err(), "{name:?}");
        }
        for dir in ["relative", "/a b", "/a,b", "/a:b", "/a/../b", "/a\nb"] {
            assert!(Spec { state_dir: dir.into(), ..Spec::demo() }.check().is_err(), "{dir:?}");
        }
        for site in ["", "a..b", "a b", "x\n1.2.3.4 y"] {
            assert!(Spec { site_names: vec![site.into()], ..Spec::demo() }.check().is_err(), "{site:?}");
        }
    }

    #[test]
    fn two_hosts_cannot_share_a_name_or_an_address() {
        assert!(Spec::demo().host("lb-01", 30).check().is_err());
        assert!(Spec::demo().host("lb-02", 11).check().is_err());
        assert!(Spec::demo().host("lb-02", CLIENT).check().is_err());
        assert!(Spec::demo().host("lb-02", 12).check().is_ok());
    }
}

//! What a host is before anything is done to it: its system, its init, its room. Which systems are fit is for the plan to say.

use super::{Change, Collector, Probe, Refusal, Resource, ResourceId, Seen, packages::PACKAGES};

/// What every host is asked whatever it shall have: which system it is, what time it thinks it is, and whether
/// there is room to write.
pub static FACTS: Collector = Collector {
    name: "facts",
    volatile: &["free", "clock"],
    body: r#"
[ -r /etc/os-release ] && . /etc/os-release
printf 'system\t%s\t%s\t%s\n' "${ID:-unknown}" "${VERSION_CODENAME:-}" "${PRETTY_NAME:-an unknown system}"
for key in /etc/ssh/ssh_host_*_key.pub; do [ -r "$key" ] && read -r a b _ <"$key" && printf 'hostkey\t%s\t%s\n' "$a" "$b"; done
printf 'clock\t%s\n' "$(date +%s)"
[ -d /run/systemd/system ] && printf 'init\tsystemd\n'
while read -r a b _; do case $a in btime) printf 'boot\t%s\n' "$b" ;; esac; done </proc/stat
df -Pk /var/lib /var/lib/foobar /etc 2>/dev/null | while read -r _ _ _ free _ at; do case $free in *[!0-9]*) ;; *) printf 'free\t%s\t%s\n' "$free" "$at" ;; esac; done
:"#,
};

/// A package that only some releases of Debian have: a host that neither has it installed nor can get it is refused while
/// nothing has been touched, instead of failing in the middle of an apply.
#[derive(Debug)]
pub struct Offered {
    /// The package.
    pub package: &'static str,
    /// The code names of the releases that have it.
    pub releases: &'static [&'static str],
    /// What to do where it is not to be had.
    pub help: &'static str,
}

impl Resource for Offered {
    fn id(&self) -> ResourceId {
        ResourceId::new("offer", self.package)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::new(&PACKAGES, [self.package])]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let is_installed =
            seen.here.get(&PACKAGES, self.package).is_some_and(|f| f.first().is_some_and(|s| s == "installed"));
        let system = seen.here.get(&FACTS, "system").unwrap_or_default();
        let release = system.get(1).map(String::as_str).unwrap_or_default();
        if is_installed || self.releases.contains(&release) {
            return Ok(None);
        }
        let name = system.get(2).map(String::as_str).unwrap_or("its system");
        Err(Refusal {
            host: seen.host.clone(),
            what: format!("{name} has no package {}", self.package),
            help: self.help.into(),
        })
    }
}

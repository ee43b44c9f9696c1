//! What a reboot of its host means for a resource, how a host says that it wants one, and how it is begun. Which hosts are
//! rebooted when, is decided in `plan/reboot.rs`; how one is waited for, in the engine.

use super::{Change, Collector, Impact, Observation, Probe, Refusal, Resource, ResourceId, Seen};
use crate::base::script::Script;

/// Whether the host asks for a reboot, and which of its kernels is newer than the one that runs.
pub static REBOOT: Collector = Collector {
    name: "reboot",
    volatile: &[],
    body: r#"
[ ! -e /run/reboot-required ] || { printf 'asked'
  [ ! -r /run/reboot-required.pkgs ] || while read -r a; do printf '\t%s' "$a"; done </run/reboot-required.pkgs
  echo; }
set -- /boot/vmlinuz-*; [ -e "$1" ] || return 0
runs=$(uname -r); newest=$({ echo "$runs"; for a; do echo "${a##*/vmlinuz-}"; done; } | sort -V | tail -n 1)
[ "$newest" = "$runs" ] || printf 'kernel\t%s\t%s\n' "$newest" "$runs"
:"#,
};

/// What a reboot of its host means for a resource.
#[derive(Clone, Debug)]
pub struct AtBoot {
    /// What users feel while it is away.
    pub impact: Impact,
    /// What proves that it is back; none where it would not come back by itself.
    pub proof: Option<Proof>,
}

/// What proves that a resource is back after its host was rebooted.
#[derive(Clone, Debug)]
pub enum Proof {
    /// This unit is active again.
    Unit(String),
    /// This ends well.
    Step {
        /// What is seen, as a plan says it: `see that it replicates from db-01 again`.
        summary: String,
        /// It changes nothing.
        script: Script,
    },
}

/// Asks a host whether it wants a reboot. It never differs: whoever reboots hosts reads the answer with [`reasons`].
#[derive(Debug)]
pub struct Asked;

impl Resource for Asked {
    fn id(&self) -> ResourceId {
        ResourceId::new("reboot", "asked")
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::new(&REBOOT, Vec::<String>::new())]
    }

    fn diff(&self, _: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        Ok(None)
    }
}

/// Why a host wants a reboot, a line each; none where it does not.
pub fn reasons(seen: &Observation) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(packages) = seen.get(&REBOOT, "asked") {
        let mut packages: Vec<&str> = packages.iter().map(String::as_str).filter(|p| !p.is_empty()).collect();
        packages.sort_unstable();
        packages.dedup();
        let by = if packages.is_empty() { String::new() } else { format!(", for {}", packages.join(", ")) };
        all.push(format!("the host asks for it (/run/reboot-required){by}"));
    }
    if let Some([newest, runs]) = seen.get(&REBOOT, "kernel") {
        all.push(format!("kernel {newest} is installed, and {runs} runs"));
    }
    all
}

/// Begins the reboot and returns; what the host was about to write is on the disk by then.
pub fn begin() -> Script {
    Script::new().line("sync").line("systemctl reboot")
}

/// Exits 0 once every one of these units is active: one that failed at boot may be started again by systemd.
pub fn active(units: &[String]) -> Script {
    let units: Vec<String> = units.iter().map(|u| crate::base::script::quote(u)).collect();
    Script::new()
        .line(format!("for unit in {}; do", units.join(" ")))
        .line("  try=0")
        .line("  until systemctl -q is-active \"$unit\"; do")
        .line("    try=$((try + 1))")
        .line("    [ \"$try\" -lt 150 ] || { echo \"$unit is $(systemctl is-active \"$unit\") after the reboot\" >&2; journalctl -q -b -n 15 -o cat --no-pager -u \"$unit\" >&2; exit 1; }")
        .line("    sleep 0.2")
        .line("  done")
        .line("done")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(answer: &str) -> Vec<String> {
        let mut seen = Observation::default();
        seen.add(REBOOT.name, answer);
        reasons(&seen)
    }

    #[test]
    fn a_host_says_why_it_wants_a_reboot() {
        assert_eq!(said(""), Vec::<String>::new());
        assert_eq!(said("asked"), ["the host asks for it (/run/reboot-required)"]);
        let both = said("asked\tlinux-image-amd64\tdbus\tdbus\nkernel\t6.12.9-amd64\t6.12.6-amd64");
        assert_eq!(
            both,
            [
                "the host asks for it (/run/reboot-required), for dbus, linux-image-amd64",
                "kernel 6.12.9-amd64 is installed, and 6.12.6-amd64 runs"
            ]
        );
    }

    /// The collector on made-up files, in a shell as a host has it.
    #[test]
    fn the_newest_kernel_counts_and_a_host_without_one_has_none() {
        let dir = std::env::temp_dir().join(format!("foobar-reboot-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(dir.join("boot")).unwrap();
        let ask = || {
            let body = REBOOT.body.replace("/run/", &format!("{}/", dir.display()));
            let body = body.replace("/boot/", &format!("{}/boot/", dir.display()));
            let body = body.replace("$(uname -r)", "6.9.10-amd64");
            let script = format!("ask() {{\n{}\n}}\nask", body.trim());
            String::from_utf8(std::process::Command::new("sh").arg("-c").arg(script).output().unwrap().stdout).unwrap()
        };
        assert_eq!(ask(), "");
        let put = |path: &str, text: &str| std::fs::write(dir.join(path), text).unwrap();
        put("boot/vmlinuz-6.9.9-amd64", "");
        assert_eq!(ask(), "", "an older one is no reason");
        put("boot/vmlinuz-6.10.1-amd64", "");
        put("boot/vmlinuz-6.9.11-amd64", "");
        assert_eq!(ask(), "kernel\t6.10.1-amd64\t6.9.10-amd64\n");
        put("reboot-required", "");
        put("reboot-required.pkgs", "dbus\nlinux-image-amd64\n");
        assert_eq!(ask(), "asked\tdbus\tlinux-image-amd64\nkernel\t6.10.1-amd64\t6.9.10-amd64\n");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

//! A unit that came with a package of which only the program is used: it is not started at boot. Its package starts it
//! nowhere else, since packages are installed with their services held back (`packages.rs`). A unit of a package that was
//! there before is somebody's, and left alone, as is one that runs.

use super::{
    Action, Change, Probe, Refusal, Resource, ResourceId, Seen,
    owned::{self, Kind, OWNED},
    packages::PACKAGES,
    service::UNITS,
};
use crate::base::script::{Script, quote};

/// A unit that nobody needs.
#[derive(Clone, Debug)]
pub struct Idle {
    /// The unit's full name: `haproxy.service`.
    pub unit: &'static str,
    /// The package that brings it.
    pub package: &'static str,
}

impl Resource for Idle {
    fn id(&self) -> ResourceId {
        ResourceId::new("idle", self.unit)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![
            Probe::new(&UNITS, [self.unit]),
            Probe::new(&PACKAGES, [self.package]),
            Probe::new(&OWNED, Vec::<String>::new()),
        ]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let state =
            |at: usize| seen.here.get(&UNITS, self.unit).and_then(|f| f.get(at)).map(String::as_str).unwrap_or("-");
        let is_installed =
            seen.here.get(&PACKAGES, self.package).is_some_and(|f| f.first().is_some_and(|s| s == "installed"));
        let is_own = owned::noted(seen.here).iter().any(|o| o.kind == Kind::Package && o.name == self.package);
        let is_right = state(2) != "enabled" || matches!(state(1), "active" | "reloading");
        if is_installed && (!is_own || is_right) {
            return Ok(None);
        }
        let unit = quote(self.unit);
        let script = Script::new().line(format!("systemctl -q is-active {unit} || systemctl -q disable {unit}"));
        let short = self.unit.strip_suffix(".service").unwrap_or(self.unit);
        let change = Change::new(Action::Update, format!("keep {short} from starting at boot"), script);
        Ok(Some(change.detail(format!("its program alone is used here; {short} itself serves nobody"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::secret::Secrets, resource::Observation};
    use std::collections::BTreeMap;

    fn differs(package: &str, unit: &str, owned: &str) -> bool {
        let mut here = Observation::default();
        here.add(PACKAGES.name, package);
        here.add(UNITS.name, unit);
        here.add(OWNED.name, owned);
        let (host, all, changing, secrets) =
            ("web-01".parse().unwrap(), BTreeMap::new(), BTreeMap::new(), Secrets::default());
        let seen = Seen {
            host: &host,
            here: &here,
            all: crate::resource::All::of(&all),
            secrets: &secrets,
            fingerprint_key: "key",
            changing: &changing,
            now: 0,
        };
        Idle { unit: "haproxy.service", package: "haproxy" }.diff(&seen).unwrap().is_some()
    }

    #[test]
    fn only_what_foobar_installed_and_nobody_runs_is_kept_from_starting() {
        let (installed, mine) = ("haproxy\tinstalled\t3.0\n", "package\thaproxy\tmade\n");
        let unit = |active: &str, file: &str| format!("haproxy.service\tloaded\t{active}\t{file}\n");
        assert!(differs("", "", ""), "it will come with its package");
        assert!(differs(installed, &unit("inactive", "enabled"), mine));
        assert!(!differs(installed, &unit("inactive", "disabled"), mine));
        assert!(!differs(installed, &unit("active", "enabled"), mine), "somebody runs it");
        assert!(!differs(installed, &unit("inactive", "enabled"), ""), "it was there before");
    }
}

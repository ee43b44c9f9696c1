//! Debian packages that shall be installed, all of a host's in one apt transaction. Which ones a component needs is its
//! own business; packages are never removed here.

use super::{
    Action, Change, Collector, Probe, Refusal, Resource, ResourceId, Seen,
    owned::{Kind, Owned},
};
use crate::base::{
    name::PackageName,
    script::{Script, quote},
};

/// One `dpkg-query` for all names, whether a killed run left its policy file behind, and packages that an interrupted dpkg
/// left between two states (`dpkg --audit` would name them, and takes longer). Where apt or dpkg is at work this very moment,
/// they are on their way: its lock is somebody's, as the kernel lists it.
pub static PACKAGES: Collector = Collector {
    name: "packages",
    volatile: &[],
    body: r#"
dpkg-query -W -f '${Package}\t${db:Status-Status}\t${Version}\n' -- "$@" 2>/dev/null
grep -qs '^# foobar:' /usr/sbin/policy-rc.d && printf 'policy-rc.d\tleft\n'
cd /var/lib/dpkg 2>/dev/null || return 0
set -- updates/[0-9]*
[ -e "$1" ] || grep -qsE '^Status: .* (half-installed|half-configured|unpacked|triggers-awaited|triggers-pending)$' status || return 0
! stat -c ':%i ' lock lock-frontend 2>/dev/null | grep -qFf - /proc/locks || return 0
printf 'dpkg\tinterrupted\t%s\n' "$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | grep -vE '^(installed|config-files|not-installed) ' | sed 's/.* //' | paste -sd ' ')"
:"#,
};

/// Packages that shall be installed, in whatever version the host's own sources offer.
#[derive(Debug)]
pub struct Packages {
    /// Their names.
    pub names: Vec<PackageName>,
    /// Directories that a package fills as it is configured. Where one was empty before and the configuration failed, it is
    /// emptied again and the configuration made once more: on what a first attempt left it fails forever, or worse.
    pub filled: Vec<&'static str>,
}

impl Packages {
    /// The resource's name: a host has one set of packages.
    pub fn key() -> ResourceId {
        ResourceId::new("packages", "installed")
    }
}

// Daemons are not started by their packages: foobar starts each once its configuration stands and was accepted by the
// daemon's own checker (policy-rc.d, /usr/share/doc/init-system-helpers). The lock timeout covers dpkg's locks alone;
// `update` ignores it (domain notes, "apt lock held"), so that is retried.
const INSTALL: &str = r#"
export DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none NEEDRESTART_MODE=l
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ] || grep -qs '^# foobar:' "$policy"; then
  printf '#!/bin/sh\n# foobar: services start once they are configured\nexit 101\n' >"$policy.foobar"
  chmod 755 "$policy.foobar"; mv -f "$policy.foobar" "$policy"
  trap 'rm -f "$policy"' EXIT
fi
update() {
  try=0
  until apt-get -q -o Acquire::Retries=2 update >"$scratch/update" 2>&1; do
    try=$((try + 1))
    if [ "$try" -ge 60 ] || ! grep -q 'Could not get lock' "$scratch/update"; then tail -n 12 "$scratch/update" >&2; return 1; fi
    sleep 1
  done
}
get() {
  apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout="${FOOBAR_DPKG_LOCK_TIMEOUT:-60}" \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install "$@" >"$scratch/apt" 2>&1
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"; if grep -qs "^# foobar:" "$policy"; then rm -f "$policy"; fi' EXIT
# A list may carry the time its archive gives it, long before it was fetched; the directories carry the update's own.
lists=/var/lib/apt/lists
[ -n "$(find "$lists" -maxdepth 1 -name '*Packages*' 2>/dev/null | head -n 1)" ] &&
  [ -n "$(find "$lists" "$lists/partial" -maxdepth 0 -mmin -1440 2>/dev/null)" ] || update
empty=
for dir in $filled; do [ -n "$(find "$dir" -mindepth 1 ! -name lost+found -print -quit 2>/dev/null)" ] || empty="$empty $dir"; done
get "$@" && exit 0
if [ -n "$empty" ] && grep -q '^Status: .* half-configured$' /var/lib/dpkg/status; then
  for dir in $empty; do [ ! -d "$dir" ] || find "$dir" -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf {} +; done
  dpkg --force-confold --configure -a >&2 && get "$@" && exit 0
fi
if grep -q 'dpkg was interrupted' "$scratch/apt"; then dpkg --force-confold --configure -a >&2 && get "$@" && exit 0; fi
if grep -qE 'Unable to (locate|fetch)|no installation candidate|404 +Not Found' "$scratch/apt"; then update && get "$@" && exit 0; fi
tail -n 20 "$scratch/apt" >&2
exit 1
"#;

// What was there before: kept until what came along is noted, so that a run that is cut off in between loses nothing.
const BEFORE: &str = r#"
installed() { dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u; }
before=/var/lib/foobar/packages.before
if [ ! -f "$before" ]; then mkdir -p -m 700 /var/lib/foobar; installed >"$before.new"; mv -f "$before.new" "$before"; fi"#;

// Packages that came as dependencies are noted as such: they may go with those that wanted them.
const AFTER: &str = r#"
(
umask 077
owned=/var/lib/foobar/owned named=" $* "
[ ! -f "$owned" ] || cat "$owned" >"$owned.new"
installed | comm -13 "$before" - | while read -r name; do
  case $named in *" $name "*) ;; *) printf 'dependency\t%s\tmade\n' "$name" ;; esac
done >>"$owned.new"
sync -- "$owned.new" && mv -f -- "$owned.new" "$owned"
)
rm -f "$before""#;

impl Resource for Packages {
    fn id(&self) -> ResourceId {
        Self::key()
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::new(&PACKAGES, self.names.iter().map(PackageName::as_str))]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let installed = |name: &PackageName| {
            seen.here.get(&PACKAGES, name.as_str()).is_some_and(|f| f.first().is_some_and(|s| s == "installed"))
        };
        let interrupted = seen.here.get(&PACKAGES, "dpkg");
        let missing: Vec<&str> = self.names.iter().filter(|n| !installed(n)).map(PackageName::as_str).collect();
        if let Some(interrupted) = interrupted.filter(|_| missing.is_empty()) {
            let script = Script::new().line("set --").line("filled=").line("( set -eu").line(INSTALL.trim()).line(")");
            let names = interrupted.get(1).filter(|names| !names.is_empty());
            let names = names.map_or(String::new(), |names| format!(": {names}"));
            return Ok(Some(
                Change::new(Action::Update, "finish what an interrupted dpkg left", script)
                    .detail(format!("installed by half{names}")),
            ));
        }
        if missing.is_empty() {
            let left = seen.here.get(&PACKAGES, "policy-rc.d").is_some();
            return Ok(left.then(|| {
                Change::new(
                    Action::Delete,
                    "remove the policy file of an interrupted installation",
                    Script::new().line("rm -f /usr/sbin/policy-rc.d"),
                )
                .detail("/usr/sbin/policy-rc.d keeps packages from starting their services")
            }));
        }
        let words: Vec<String> = missing.iter().map(|n| quote(n)).collect();
        let script = Script::new()
            .line(format!("set -- {}", words.join(" ")))
            .line(BEFORE.trim())
            .line(format!("filled='{}'", self.filled.join(" ")))
            .line("( set -eu")
            .line(INSTALL.trim())
            .line(")")
            .line(AFTER.trim());
        Ok(Some(Change::new(Action::Create, format!("install {}", missing.join(", ")), script)))
    }

    fn footprint(&self) -> Vec<Owned> {
        self.names.iter().map(|name| Owned::new(Kind::Package, name.as_str())).collect()
    }
}

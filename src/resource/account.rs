//! A system account that a service runs as. People's accounts are not foobar's business.

use super::{
    Action, Change, Collector, Probe, Refusal, Resource, ResourceId, Seen,
    owned::{Kind, Owned},
};
use crate::base::{name::UserName, script::Script};

/// `/etc/passwd` as it stands, for the names asked for.
pub static ACCOUNT: Collector = Collector {
    name: "account",
    volatile: &[],
    body: r#"
while IFS=: read -r name _ uid gid _ home shell; do
  for want; do [ "$name" = "$want" ] && printf '%s\t%s\t%s\t%s\n' "$name" "$uid" "$home" "$shell"; done
done </etc/passwd
:"#,
};

/// A system account with a group of its own name, without a login.
#[derive(Debug)]
pub struct Account {
    /// Its name.
    pub name: UserName,
    /// Its home; not created.
    pub home: String,
}

impl Resource for Account {
    fn id(&self) -> ResourceId {
        ResourceId::new("account", self.name.as_str())
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::new(&ACCOUNT, [self.name.as_str()])]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        if seen.here.get(&ACCOUNT, self.name.as_str()).is_some() {
            return Ok(None);
        }
        let script = Script::new().command([
            "useradd",
            "--system",
            "--user-group",
            "--no-create-home",
            "--home-dir",
            &self.home,
            "--shell",
            "/usr/sbin/nologin",
            self.name.as_str(),
        ]);
        Ok(Some(Change::new(Action::Create, format!("create system account {}", self.name), script)))
    }

    fn footprint(&self) -> Vec<Owned> {
        vec![Owned::new(Kind::Account, self.name.as_str()).with([self.home.as_str()])]
    }
}

//! Where the database's servers have other roles than the file says, a command goes by the servers: the site as they have it,
//! and what is said of that. Which server it is, and when nothing can be said, is decided in `plan/roles.rs`.

use super::{exit::Exit, screen::Screen};
use crate::{
    base::{name::HostName, script::Script},
    component::{Check, Desired, Verdict, mysql, site::Site},
    engine,
    event::Event,
    plan::roles::{self, Other},
    resource::{Observation, Refusal, db_role::Writable},
    transport::ssh::Ssh,
};
use std::collections::BTreeMap;

/// A site as its servers have it.
pub struct Live {
    /// With the roles that they have.
    pub site: Site,
    other: Other,
    file: String,
}

impl Live {
    /// Where the servers' roles are not those of the file; two that take writes are refused.
    pub fn of(site: &Site, file: &str, seen: &BTreeMap<HostName, Observation>) -> Result<Option<Self>, Refusal> {
        let Some(servers) = mysql::servers(site) else { return Ok(None) };
        let other = roles::other(&servers, seen)?;
        Ok(other.map(|other| Self { site: site.with_primary(&other.host), other, file: file.into() }))
    }

    /// Asks the servers alone. Where one of them is silent, or two take writes, the file's word stands.
    pub async fn asked(screen: &Screen, site: &Site, file: &str, ssh: &Ssh) -> Option<Self> {
        let servers = mysql::servers(site).filter(|s| s.hosts.len() > 1)?;
        let mut desired = Desired::default();
        let hosts: Vec<HostName> = servers.hosts.iter().map(|(host, _)| host.clone()).collect();
        for host in &hosts {
            let (dialect, unit) = (servers.dialect, servers.unit.clone());
            desired.want(host, Writable { dialect, unit, writable: false, others: Vec::new() }, []);
        }
        let seen = engine::observe::observe(ssh, &hosts, &desired, &screen.events()).await.ok()?;
        Self::of(site, file, &seen).ok()?
    }

    /// What is said of it, a line each; `done` is what is done with the server as the primary.
    pub fn notes(&self, done: &str) -> [String; 2] {
        self.other.notes(&self.file, done)
    }

    /// Says it.
    pub fn tell(&self, screen: &Screen, done: &str) {
        for text in self.notes(done) {
            screen.events().tell(Event::Note { host: None, text });
        }
    }

    /// Refuses a limit that means other hosts by these roles than by the file's, by which it was told.
    pub fn limited(&self, screen: &Screen, is_same: bool) -> Result<(), Exit> {
        if is_same {
            return Ok(());
        }
        let Other { host, declared, .. } = &self.other;
        screen.problem(
            "foobar::limit",
            &format!("--limit goes by roles, and {} names {declared} as the primary while {host} is it", self.file),
            &format!("name the hosts themselves, or have the file say so: foobar switchover --to {host}"),
        );
        Err(Exit::Usage)
    }

    /// The one check that fails where all else is as it shall be.
    pub fn check(&self) -> Check {
        let Other { host, declared, .. } = &self.other;
        let fault = format!("it names {declared}, and {host} is it: {}", self.other.ways());
        let title = format!("{} names the primary", self.file);
        Check::new("mysql", declared, title, Script::new(), move |_| Verdict::Fail(fault.clone()))
    }
}

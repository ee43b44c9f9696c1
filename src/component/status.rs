//! A host at a glance: the few questions that tell how it fares, and what their answers mean. They are cheap, change
//! nothing, and prove less than a check does. What is down is a fault; what is up and not as it should be is a note.

use super::{
    Desired,
    haproxy::status::{self as balancer, Balancer},
    keepalived::{self, status as redundancy},
    mysql::status::{self as database, Database, Role},
    names::{APP_ROOT, APP_UNIT},
    site::Site,
};
use crate::{
    base::name::HostName,
    resource::{
        Collector, Observation, Probe,
        release::RELEASES,
        ruleset::Ruleset,
        service::{Service, UNITS},
        written::{self, Changed},
    },
};
use serde::Serialize;
use std::{collections::BTreeMap, net::IpAddr};

/// Whether foobar's table is there as it was loaded, and whether new rules wait for their confirmation.
pub static FIREWALL: Collector = Collector {
    name: "glance_firewall",
    volatile: &[],
    body: r#"
[ ! -d /run/foobar.armed/firewall ] || printf 'armed\tyes\n'
live=$(nft -s list table inet foobar 2>/dev/null) || { printf 'table\tmissing\n'; return 0; }
sum=$(printf '%s\n' "$live" | sha256sum) was=
[ ! -r /var/lib/foobar/firewall.loaded ] || read -r was _ </var/lib/foobar/firewall.loaded
[ "${sum%% *}" = "$was" ] && printf 'table\tloaded\n' || printf 'table\tchanged\n'
:"#,
};

/// Days that a certificate should have left: three weeks are enough to be told twice. One that is good for less than 15
/// weeks is renewed when less is left, and late when a fifth of its time is.
const DAYS_LEFT: i64 = 21;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Files that are named in a line.
const NAMED: usize = 3;

/// The key under which a question says that it was ended without an answer.
pub const LATE: &str = "late";

/// How the firewall of a host stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firewall {
    /// As foobar loaded it.
    Loaded,
    /// Changed since.
    Changed,
    /// Not there.
    Missing,
}

/// A unit that shall run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unit {
    /// Its name.
    pub unit: String,
    /// In systemd's words: `active`, `failed`, `inactive`; `absent` where there is none.
    pub state: String,
    /// Whether it starts with its host.
    pub is_enabled: bool,
}

/// A host at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Glance {
    /// The name of the application's release that it runs.
    pub release: Option<String>,
    /// The balancer, where one answers.
    pub balancer: Option<Balancer>,
    /// When the certificate that it serves ends, in seconds since the epoch.
    pub certificate_ends: Option<i64>,
    /// Days until then.
    pub certificate_days: Option<i64>,
    /// The virtual addresses that it holds, where it is one of several balancers.
    pub addresses: Option<Vec<IpAddr>>,
    /// The database server.
    pub database: Option<Database>,
    /// The firewall.
    pub firewall: Option<Firewall>,
    /// The units that shall run there.
    pub units: Vec<Unit>,
    /// The files that are not as foobar wrote them last.
    pub changed: Vec<Changed>,
    /// What is down.
    pub faults: Vec<String>,
    /// What is up and not as it should be.
    pub notes: Vec<String>,
}

/// What a host is there for, as the topology has it: keys of the file, in the order of the layers.
pub fn roles(site: &Site, host: &HostName) -> Vec<&'static str> {
    let t = &site.topology;
    let is_on = |on: Option<&[HostName]>| on.is_some_and(|on| on.contains(host));
    let all = [
        ("haproxy", is_on(t.haproxy.as_ref().map(|c| &c.on[..]))),
        ("nginx", is_on(t.nginx.as_ref().map(|c| &c.on[..]))),
        ("app", is_on(t.app.as_ref().map(|c| &c.on[..]))),
        ("mysql", t.mysql.as_ref().is_some_and(|m| m.hosts().any(|h| h == host))),
        ("dns", is_on(t.dns.as_ref().map(|c| c.on()))),
        ("monitoring", is_on(t.monitoring.as_ref().map(|c| &c.on[..]))),
    ];
    all.into_iter().filter(|(_, is)| *is).map(|(role, _)| role).collect()
}

/// The units that shall run on a host.
fn units<'a>(desired: &'a Desired, host: &'a HostName) -> impl Iterator<Item = String> + 'a {
    let ids = desired.wanted.iter().filter(move |w| w.host == *host).map(|w| w.resource.id());
    ids.filter(|id| *id == Service::key(&id.name)).map(|id| id.name)
}

fn has_firewall(desired: &Desired, host: &HostName) -> bool {
    desired.wanted.iter().any(|w| w.host == *host && w.resource.id() == Ruleset::key())
}

/// What a host is asked.
pub fn probes(site: &Site, desired: &Desired, host: &HostName) -> Vec<Probe> {
    let (roles, is) = (roles(site, host), |role: &str, roles: &[&str]| roles.contains(&role));
    let mut probes = vec![Probe::new(&UNITS, units(desired, host))];
    probes.retain(|probe| !probe.args.is_empty());
    probes.push(written::probe());
    if has_firewall(desired, host) {
        probes.push(Probe::new(&FIREWALL, Vec::<String>::new()));
    }
    if is("haproxy", &roles) {
        probes.push(balancer::probe());
        let addresses = keepalived::addresses(site);
        probes.extend((!addresses.is_empty()).then(|| redundancy::probe(&addresses)));
    }
    if is("app", &roles) {
        probes.push(Probe::new(&RELEASES, [APP_ROOT]));
    }
    probes.extend(site.topology.mysql.as_ref().filter(|_| is("mysql", &roles)).map(database::probe));
    probes
}

/// Reads what a host answered; `now` in seconds since the epoch.
pub fn read(site: &Site, desired: &Desired, host: &HostName, seen: &Observation, now: i64) -> Glance {
    let roles = roles(site, host);
    let mut glance = Glance::default();
    glance.units(&units(desired, host).collect::<Vec<_>>(), seen);
    glance.files(seen);
    if has_firewall(desired, host) {
        glance.firewall(seen);
    }
    if roles.contains(&"haproxy") {
        glance.balancer(seen, now);
        glance.addresses = redundancy::held(seen);
    }
    if roles.contains(&"app") {
        glance.release(site, seen);
    }
    if let Some(mysql) = site.topology.mysql.as_ref().filter(|_| roles.contains(&"mysql")) {
        glance.database(site, mysql.max_lag.duration().as_secs(), seen, now);
    }
    glance
}

impl Glance {
    fn is_active(&self, unit: &str) -> bool {
        self.units.iter().any(|u| u.unit == unit && u.state == "active")
    }

    fn units(&mut self, wanted: &[String], seen: &Observation) {
        if is_late(seen, &UNITS) {
            self.faults.push("systemd gives no answer".into());
            return;
        }
        for name in wanted {
            let (state, is_enabled) = match seen.get(&UNITS, name) {
                Some([load, active, file, ..]) if load != "not-found" => (active.as_str(), file == "enabled"),
                _ => ("absent", false),
            };
            match (state, is_enabled) {
                // One that reloads serves.
                ("active" | "reloading", true) => {}
                ("active" | "reloading", false) => self.notes.push(format!("{name} does not start with its host")),
                ("absent", _) => self.faults.push(format!("{name} is not there: `foobar plan`")),
                _ => self.faults.push(format!("{name} is {state}: journalctl -u {name}")),
            }
            self.units.push(Unit { unit: name.clone(), state: state.to_owned(), is_enabled });
        }
    }

    fn files(&mut self, seen: &Observation) {
        self.changed = written::changed(seen);
        if is_late(seen, &written::WRITTEN) {
            self.notes.push("whether its files were changed could not be told in time".into());
        }
        for same in self.changed.chunk_by(|a, b| a.drift == b.drift) {
            let paths: Vec<&str> = same.iter().map(|c| c.path.as_str()).take(NAMED).collect();
            let more = match same.len() - paths.len() {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            self.notes.push(format!("{}: {}{more}", same[0].drift, paths.join(", ")));
        }
    }

    fn firewall(&mut self, seen: &Observation) {
        let table = seen.get(&FIREWALL, "table").and_then(|f| f.first()).map(String::as_str);
        self.firewall = match table {
            Some("loaded") => Some(Firewall::Loaded),
            Some("changed") => Some(Firewall::Changed),
            Some("missing") => Some(Firewall::Missing),
            _ => None,
        };
        match self.firewall {
            Some(Firewall::Loaded) => {}
            Some(Firewall::Changed) => self.notes.push("the firewall's table was changed since it was loaded".into()),
            Some(Firewall::Missing) => self.faults.push("the firewall is not loaded: `foobar apply` loads it".into()),
            None => self.notes.push("the firewall could not be read".into()),
        }
        if seen.get(&FIREWALL, "armed").is_some() {
            self.notes.push("new firewall rules wait for their confirmation".into());
        }
    }

    fn balancer(&mut self, seen: &Observation, now: i64) {
        self.balancer = balancer::balancer(seen);
        let dates = balancer::certificate_dates(seen);
        self.certificate_ends = dates.map(|(ends, _)| ends);
        self.certificate_days = self.certificate_ends.map(|ends| days(ends, now));
        match &self.balancer {
            Some(balancer) => {
                for server in balancer.servers.iter().filter(|s| !s.is_up()) {
                    let text = format!("it has {} as {}", server.name, server.status);
                    if server.is_held() { self.notes.push(text) } else { self.faults.push(text) }
                }
            }
            // Where it does not run, its unit says so.
            None if self.is_active(super::names::HAPROXY_UNIT) => {
                self.faults.push("the balancer's runtime API does not answer".into());
            }
            None => {}
        }
        if let Some((ends, begins)) = dates {
            self.ends(ends - now, ((ends - begins) / 5).min(DAYS_LEFT * DAY), "its certificate");
        }
    }

    /// Says that a certificate has so many seconds left, where that is less than it should have.
    fn ends(&mut self, left: i64, least: i64, what: &str) {
        if left < 0 {
            self.faults.push(format!("{what} has ended"));
        } else if left < least {
            self.notes.push(match left / DAY {
                0 => format!("{what} ends within a day"),
                1 => format!("{what} ends in 1 day"),
                days => format!("{what} ends in {days} days"),
            });
        }
    }

    fn release(&mut self, site: &Site, seen: &Observation) {
        let rows = seen.all(&RELEASES, APP_ROOT).iter();
        let current = rows.filter(|r| r.first().is_some_and(|k| k == "current")).find_map(|r| r.get(1));
        self.release = current.cloned();
        let digest = site.release.as_ref().map(|r| &r.digest);
        let is_other = current.zip(digest).is_some_and(|(name, digest)| !digest.starts_with(name.as_str()));
        if is_other {
            self.notes.push("its release is not the one in the app's folder: `foobar plan`".into());
        } else if current.is_none() && self.is_active(APP_UNIT) {
            self.notes.push("no release is current".into());
        }
    }

    fn database(&mut self, site: &Site, max_lag: u64, seen: &Observation, now: i64) {
        let mut server = database::database(seen);
        server.certificate_days = server.certificate_ends.map(|ends| days(ends, now));
        // Whoever is followed is better known by name.
        if let Some(source) = &mut server.source {
            let known = site.topology.hosts.iter().find(|h| h.address.to_string() == *source);
            *source = known.map_or(source.clone(), |h| h.name.to_string());
        }
        let trouble = server.trouble.as_deref().map(|t| format!(": {t}")).unwrap_or_default();
        match (server.role, server.lag_seconds) {
            (Role::Silent, _) if is_late(seen, &database::GLANCE) => {
                self.faults.push("the database does not answer in time: is the disk of its log full?".into());
            }
            (Role::Silent, _) => self.faults.push(format!("the database does not answer{trouble}")),
            (Role::Replica, _) if !server.is_replicating => self.faults.push(format!("replication stands{trouble}")),
            (Role::Replica, None) => self.notes.push("it does not know how far it is behind".into()),
            (Role::Replica, Some(lag)) if lag > max_lag => {
                self.notes.push(format!("it is {lag} s behind, and {max_lag} s are allowed"));
            }
            _ => {}
        }
        if server.role == Role::Replica && server.is_open {
            self.faults.push("it follows another server and takes writes all the same".into());
        }
        if let Some(ends) = server.certificate_ends {
            self.ends(ends - now, DAYS_LEFT * DAY, "the certificate of its database");
        }
        self.database = Some(server);
    }
}

/// Whole days from one second since the epoch until another.
fn days(ends: i64, now: i64) -> i64 {
    (ends - now).div_euclid(DAY)
}

fn is_late(seen: &Observation, collector: &Collector) -> bool {
    seen.get(collector, LATE).is_some()
}

/// What only several hosts together tell: who holds the virtual addresses, and who takes the writes.
pub fn compare(site: &Site, glances: &mut BTreeMap<HostName, Glance>) {
    compare_balancers(site, glances);
    compare_databases(site, glances);
}

/// Whether one balancer alone holds each virtual address. That none does is not said where one of them was not heard.
fn compare_balancers(site: &Site, glances: &mut BTreeMap<HostName, Glance>) {
    let Some(haproxy) = &site.topology.haproxy else { return };
    for address in keepalived::addresses(site) {
        let held = |host: &&HostName| glances.get(*host)?.addresses.as_ref().map(|all| all.contains(&address));
        let told: Vec<(&HostName, Option<bool>)> = haproxy.on.iter().map(|h| (h, held(&h))).collect();
        let holders: Vec<&HostName> = told.iter().filter(|(_, is)| *is == Some(true)).map(|(h, _)| *h).collect();
        let (blamed, text) = match &holders[..] {
            [] if told.iter().all(|(_, is)| is.is_some()) => (&haproxy.on[..1], format!("no balancer holds {address}")),
            [] | [_] => continue,
            _ => {
                let names = holders.iter().map(|h| h.as_str()).collect::<Vec<_>>().join(" and ");
                (&haproxy.on[..], format!("{names} hold {address} at the same time"))
            }
        };
        for host in blamed.iter().filter(|h| holders.is_empty() || holders.contains(h)) {
            if let Some(glance) = glances.get_mut(host) {
                glance.faults.push(text.clone());
            }
        }
    }
}

/// Whether one database server takes the writes, and whether the file names it. Nothing is said where one of them was not
/// heard.
fn compare_databases(site: &Site, glances: &mut BTreeMap<HostName, Glance>) {
    let Some(mysql) = &site.topology.mysql else { return };
    let role = |host: &HostName| glances.get(host).and_then(|g| g.database.as_ref()).map(|d| d.role);
    let roles: Vec<(&HostName, Option<Role>)> = mysql.hosts().map(|h| (h, role(h))).collect();
    let open: Vec<&HostName> = roles.iter().filter(|(_, r)| *r == Some(Role::Primary)).map(|(h, _)| *h).collect();
    let is_whole = roles.iter().all(|(_, r)| r.is_some());
    let mut fault = |host: &HostName, text: String| {
        if let Some(glance) = glances.get_mut(host) {
            glance.faults.push(text);
        }
    };
    match open[..] {
        [] if is_whole => fault(&mysql.primary, "no database server takes writes".into()),
        [] => {}
        [one] => {
            for (host, _) in roles.iter().filter(|(_, r)| *r == Some(Role::Closed)) {
                fault(host, format!("it follows nobody, and {one} takes the writes"));
            }
            if *one != mysql.primary {
                let note = format!("it takes the writes, and the file names {} as the primary", mysql.primary);
                glances.entry(one.clone()).or_default().notes.push(note);
            }
        }
        _ => {
            let names = open.iter().map(|h| h.as_str()).collect::<Vec<_>>().join(" and ");
            open.iter().for_each(|host| fault(host, format!("{names} take writes at the same time")));
        }
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;

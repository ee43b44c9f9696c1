//! What most commands begin with: a site read from its files, ways to its hosts, and what the hosts are.

use super::{
    args::{LimitArgs, ReachArgs, SiteArgs},
    exit::Exit,
    gather, held, limit,
    screen::Screen,
};
use crate::{
    base::{name::HostName, secret::Secrets},
    component::{self, Desired, site::Site},
    engine::{self, lease::Leases, mint::SystemMint},
    plan::{
        Plan, desired,
        diff::{self, Basis},
        journal::{self, CutOff},
        settle::{self, Mint as _},
    },
    resource::Observation,
    topology::Report,
    transport::ssh::{Destination, Options, Ssh},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

/// A site and the ways to its hosts.
pub struct Work {
    /// The site.
    pub site: Site,
    /// All hosts, in the file's order.
    pub hosts: Vec<HostName>,
    /// Those that `--limit` leaves.
    pub limit: BTreeSet<HostName>,
    /// The connections.
    pub ssh: Ssh,
}

/// What the hosts are, and what is to do.
pub struct Look {
    /// The settled secrets.
    pub secrets: Secrets,
    /// The plan.
    pub plan: Plan,
    /// The number of the generation that carrying it out would make.
    pub generation: u64,
    /// Runs that were cut off before.
    pub cut_off: Vec<CutOff>,
}

/// Reads the site and what it names; everything wrong with it has been said when it fails.
pub fn read(screen: &Screen, args: &SiteArgs) -> Result<(Site, Option<PathBuf>, Report), Exit> {
    match gather::gather(&args.file, args.inventory.as_deref(), args.templates.as_deref()) {
        Ok(gathered) => Ok((gathered.site, gathered.ssh_config, gathered.warnings)),
        Err(failure) => Err(screen.failure(&failure)),
    }
}

/// Compiles a site.
pub fn compile(screen: &Screen, site: &Site) -> Result<Desired, Exit> {
    desired::compile(site).map_err(|error| screen.failure(&gather::Failure::Template(error)))
}

impl Work {
    /// Reads the site and prepares the ways to its hosts.
    pub fn new(screen: &Screen, site: &SiteArgs, reach: &ReachArgs, limited: Option<&LimitArgs>) -> Result<Self, Exit> {
        let (site, config, warnings) = read(screen, site)?;
        if !warnings.is_empty() {
            screen.say(&format!("{warnings} about the topology: `foobar validate` shows more\n"));
        }
        let hosts: Vec<HostName> = site.hosts().cloned().collect();
        let limit = match limited {
            None => hosts.iter().cloned().collect(),
            Some(args) => limit::select(&args.limit, &hosts, &roles(&site))
                .map_err(|error| {
                    screen.problem("foobar::limit", &error.to_string(), "`--list-hosts` shows what a limit leaves");
                    Exit::Usage
                })?
                .into_iter()
                .collect(),
        };
        let options = Options {
            config: reach.ssh_config.clone().or(config),
            connect_timeout: reach.connect_timeout,
            starts: reach.parallel,
        };
        let destinations = site.topology.hosts.iter().map(|h| {
            let destination = Destination {
                address: h.address.to_string(),
                user: h.ssh.user.as_ref().map(ToString::to_string),
                port: h.ssh.port,
                jump: h.ssh.jump.as_ref().map(ToString::to_string),
            };
            (h.name.clone(), destination)
        });
        let ssh = Ssh::new(destinations.collect(), options).map_err(|why| {
            screen.problem("foobar::local", &why, "set XDG_RUNTIME_DIR to a directory of your own");
            Exit::Failed
        })?;
        Ok(Self { site, hosts, limit, ssh })
    }

    /// Asks every host what it is, one exec each, and makes the plan.
    pub async fn look(&self, screen: &Screen) -> Result<Look, Exit> {
        let desired = compile(screen, &self.site)?;
        let seen = engine::observe::observe(&self.ssh, &self.hosts, &desired, &screen.events()).await;
        let seen = seen.map_err(|errors| {
            screen.silent(&errors);
            errors.first().map_or(Exit::Failed, |e| e.kind.into())
        })?;
        self.judge(screen, &desired, seen)
    }

    /// The same under leases, which are taken in the same exec: what is planned is what will be found.
    pub async fn look_under(&self, screen: &Screen, leases: &Leases, patience: Duration) -> Result<Look, Exit> {
        let desired = compile(screen, &self.site)?;
        let seen = leases.observe(&self.ssh, &self.hosts, &desired, patience, &screen.events()).await;
        self.judge(screen, &desired, seen.map_err(|blocked| held::blocked(screen, &blocked))?)
    }

    fn judge(&self, screen: &Screen, desired: &Desired, seen: BTreeMap<HostName, Observation>) -> Result<Look, Exit> {
        let mut mint = SystemMint;
        let secrets = settle::settle(&desired.secrets, &seen, &mut mint).map_err(|why| {
            screen.problem("foobar::secret", &why, "this is a fault in foobar; please report it");
            Exit::Failed
        })?;
        let basis = Basis {
            site: &self.site.topology.site,
            hosts: &self.hosts,
            desired,
            seen: &seen,
            secrets: &secrets,
            now: mint.now(),
            limit: &self.limit,
        };
        let plan = diff::diff(&basis).map_err(|refusals| {
            screen.refusals(&refusals);
            Exit::Failed
        })?;
        Ok(Look { secrets, plan, generation: journal::next(&seen), cut_off: journal::cut_off(&seen, held::is_dead) })
    }
}

/// Hosts by role, for `--limit @nginx`: a role is a key of the topology, and `primary` and `replicas` are its own.
fn roles(site: &Site) -> BTreeMap<String, Vec<HostName>> {
    let t = &site.topology;
    let mut roles = BTreeMap::new();
    let mut add = |role: &str, hosts: Option<Vec<HostName>>| {
        if let Some(hosts) = hosts.filter(|h| !h.is_empty()) {
            roles.insert(role.to_owned(), hosts);
        }
    };
    add("haproxy", t.haproxy.as_ref().map(|c| c.on.clone()));
    add("nginx", t.nginx.as_ref().map(|c| c.on.clone()));
    add("web", t.nginx.as_ref().map(|c| c.on.clone()));
    add("app", t.app.as_ref().map(|c| c.on.clone()));
    add("mysql", t.mysql.as_ref().map(|c| c.hosts().cloned().collect()));
    add("primary", t.mysql.as_ref().map(|c| vec![c.primary.clone()]));
    add("replicas", t.mysql.as_ref().map(|c| c.replicas.clone()));
    roles
}

/// Every check of every component, for the hosts that the limit leaves.
pub fn checks(work: &Work) -> Vec<component::Check> {
    let all = component::all(&work.site).into_iter().flat_map(|c| c.checks(&work.site));
    all.filter(|check| work.limit.contains(&check.host)).collect()
}

//! What most commands begin with: a site read from its files, ways to its hosts, and what the hosts are.

use super::{
    args::{JsonArgs, LimitArgs, ReachArgs, SiteArgs},
    descriptors, differs,
    exit::Exit,
    gather::{self, Gathered},
    held,
    limit::{self, Pattern},
    live::Live,
    screen::Screen,
};
use crate::{
    base::{name::HostName, secret::Secrets},
    component::{self, Desired, Source, mysql, site::Site},
    engine::{self, lease::Leases, mint::SystemMint},
    plan::{
        Plan, clock, desired,
        diff::{self, Basis},
        failover,
        journal::{self, CutOff},
        observe, reboot,
        remove::Removal,
        reseed,
        saved::SavedSite,
        seal::{self, Traits},
        settle::{self, Mint as _},
        switchover,
    },
    report::json,
    resource::{Observation, Refusal, db_switch::Servers, reboot::Asked},
    transport::{
        TransportError, TransportErrorKind,
        ssh::{Destination, Options, Ssh},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
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
    /// What `--limit` said, where it stands for roles as well.
    pub patterns: Vec<Pattern>,
    /// The connections.
    pub ssh: Ssh,
    /// Replicas whose data goes, to be filled anew.
    pub reseed: BTreeSet<HostName>,
    /// Secrets that are made anew, whatever the hosts keep.
    pub renew: BTreeSet<String>,
    /// What is planned.
    pub task: Task,
    /// What the site was read from, without the app's release.
    pub saved: SavedSite,
}

/// What is planned.
#[derive(Debug)]
pub enum Task {
    /// What brings the hosts to what the topology says.
    Changes,
    /// Hosts are rebooted, and nothing is changed on them.
    Reboot(reboot::Ask),
    /// Of these database servers, this one takes the writes.
    Switchover(Servers, HostName),
    /// Of these database servers, another one goes on without the one that is gone.
    Failover(Servers, failover::Ask),
}

/// What the hosts are, and what is to do.
pub struct Look {
    /// The settled secrets.
    pub secrets: Secrets,
    /// The plan.
    pub plan: Plan,
    /// What a saved plan is bound to.
    pub traits: BTreeMap<HostName, Traits>,
    /// The number of the generation that carrying it out would make.
    pub generation: u64,
    /// Runs that were cut off before, and that this one goes on with.
    pub cut_off: Vec<CutOff>,
    /// What is worth saying beside the plan, a line each.
    pub notes: Vec<String>,
    /// Hosts whose clock is far off, and by how many seconds they are ahead.
    pub clocks: Vec<(HostName, i64)>,
}

/// What is done with the roles that the database's servers have, in a word for people.
const PLANNED: &str = "planned";

/// Reads the site and what it names; everything wrong with it has been said when it fails.
pub fn read(screen: &Screen, args: &SiteArgs) -> Result<Gathered, Exit> {
    gather::gather(&args.file, args.inventory.as_deref(), args.templates.as_deref())
        .map_err(|failure| screen.failure(&failure))
}

/// Compiles a site.
pub fn compile(screen: &Screen, site: &Site) -> Result<Desired, Exit> {
    desired::compile(site).map_err(|error| screen.failure(&gather::Failure::Template(error)))
}

impl Work {
    /// Reads the site and prepares the ways to its hosts.
    pub fn new(screen: &Screen, site: &SiteArgs, reach: &ReachArgs, limited: Option<&LimitArgs>) -> Result<Self, Exit> {
        Self::limited(screen, read(screen, site)?, reach, limited.map(|args| &args.limit[..]))
    }

    /// The same for who writes nothing, and shall not need to have the site's secrets.
    pub fn without_secrets(
        screen: &Screen,
        site: &SiteArgs,
        reach: &ReachArgs,
        patterns: &[Pattern],
    ) -> Result<Self, Exit> {
        let gathered = gather::without_secrets(&site.file, site.inventory.as_deref(), site.templates.as_deref());
        Self::limited(screen, gathered.map_err(|failure| screen.failure(&failure))?, reach, Some(patterns))
    }

    fn limited(
        screen: &Screen,
        gathered: Gathered,
        reach: &ReachArgs,
        patterns: Option<&[Pattern]>,
    ) -> Result<Self, Exit> {
        if !gathered.warnings.is_empty() {
            screen.say(&format!("{} about the topology: `foobar validate` shows more\n", gathered.warnings));
        }
        let limit = match patterns {
            None => None,
            Some(patterns) => {
                let hosts: Vec<HostName> = gathered.site.hosts().cloned().collect();
                let left = limit::select(patterns, &hosts, &roles(&gathered.site)).map_err(|error| {
                    screen.problem(
                        "foobar::limit",
                        &error.to_string(),
                        "`foobar plan --list-hosts` shows what a limit leaves",
                    );
                    Exit::Usage
                })?;
                Some(left.into_iter().collect())
            }
        };
        Ok(Self { patterns: patterns.unwrap_or_default().to_vec(), ..Self::of(screen, gathered, reach, limit)? })
    }

    /// Prepares the ways to the hosts of a site that was read; without a limit, all of them may be written to.
    pub fn of(
        screen: &Screen,
        gathered: Gathered,
        reach: &ReachArgs,
        limit: Option<BTreeSet<HostName>>,
    ) -> Result<Self, Exit> {
        let Gathered { site, ssh_config: config, saved, .. } = gathered;
        let hosts: Vec<HostName> = site.hosts().cloned().collect();
        descriptors::for_hosts(screen, hosts.len())?;
        let limit = limit.unwrap_or_else(|| hosts.iter().cloned().collect());
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
        Ok(Self {
            site,
            hosts,
            limit,
            patterns: Vec::new(),
            ssh,
            saved,
            renew: BTreeSet::new(),
            reseed: BTreeSet::new(),
            task: Task::Changes,
        })
    }

    /// Prints the hosts that the limit leaves.
    pub fn list(&self, screen: &Screen, json: &JsonArgs) -> Exit {
        let names: Vec<_> = self.hosts.iter().filter(|h| self.limit.contains(*h)).collect();
        let lines = || names.iter().map(|h| format!("{h}\n")).collect::<String>();
        screen.data(&if json.json { json::hosts(&self.site.topology.site, &names) } else { lines() });
        Exit::Done
    }

    /// Asks every host what it is, one exec each, and makes the plan: to what the topology wants, or to nothing at all.
    pub async fn look(&self, screen: &Screen, removal: Removal) -> Result<Look, Exit> {
        let desired = self.desired(screen, &self.site, removal)?;
        let seen = engine::observe::observe(&self.ssh, &self.hosts, &desired, &screen.events()).await;
        let seen = seen.map_err(|errors| {
            screen.silent(&errors);
            errors.first().map_or(Exit::Failed, |e| e.kind.into())
        })?;
        self.judge(screen, &desired, seen, removal)
    }

    fn desired(&self, screen: &Screen, site: &Site, removal: Removal) -> Result<Desired, Exit> {
        if removal.everything {
            return Ok(Desired::default());
        }
        let mut desired = compile(screen, site)?;
        for host in self.hosts.iter().filter(|_| matches!(self.task, Task::Reboot(_))) {
            desired.want(host, Asked, []);
        }
        if let Task::Failover(..) = self.task {
            // Nothing is written but passwords that are known; what a host that is gone keeps alone is not made anew.
            desired.secrets.retain(|secret| matches!(secret.source, Source::Password));
        }
        Ok(desired)
    }

    /// Asks every host what it is, and goes on without those that cannot be reached: they are the run's no more.
    pub async fn whoever_answers(&mut self, screen: &Screen) -> Result<BTreeMap<HostName, Observation>, Exit> {
        let desired = self.desired(screen, &self.site, Removal::default())?;
        let (seen, errors) = engine::observe::whoever_answers(&self.ssh, &self.hosts, &desired, &screen.events()).await;
        let is_gone =
            |e: &&TransportError| matches!(e.kind, TransportErrorKind::Unreachable | TransportErrorKind::Lost);
        let (gone, other): (Vec<_>, Vec<_>) = errors.iter().partition(is_gone);
        if let Some(first) = other.first() {
            let kind = first.kind;
            screen.silent(&errors);
            return Err(kind.into());
        }
        for error in gone {
            self.hosts.retain(|host| *host != error.host);
            self.limit.remove(&error.host);
        }
        Ok(seen)
    }

    /// The same under leases, which are taken in the same exec: what is planned is what will be found.
    pub async fn look_under(
        &self,
        screen: &Screen,
        removal: Removal,
        leases: &Leases,
        patience: Duration,
    ) -> Result<Look, Exit> {
        let desired = self.desired(screen, &self.site, removal)?;
        let seen = leases.observe(&self.ssh, &self.hosts, &desired, patience, &screen.events()).await;
        self.judge(screen, &desired, seen.map_err(|blocked| held::blocked(screen, &blocked))?, removal)
    }

    fn judge(
        &self,
        screen: &Screen,
        desired: &Desired,
        seen: BTreeMap<HostName, Observation>,
        removal: Removal,
    ) -> Result<Look, Exit> {
        let live = match &self.task {
            Task::Switchover(..) | Task::Failover(..) => None,
            _ if removal.everything => None,
            _ => Live::of(&self.site, &self.saved.topology.name, &seen).map_err(|refusal| {
                screen.refusals(&[refusal]);
                Exit::Failed
            })?,
        };
        // The roles that were found, in place of the file's: what was asked of each server is the same.
        let as_found = match &live {
            Some(live) => {
                let by = limit::select(&self.patterns, &self.hosts, &roles(&live.site));
                let is_same = by.is_ok_and(|hosts| hosts.into_iter().collect::<BTreeSet<_>>() == self.limit);
                live.limited(screen, is_same || self.patterns.is_empty())?;
                Some(self.desired(screen, &live.site, removal)?)
            }
            None => None,
        };
        let desired = as_found.as_ref().unwrap_or(desired);
        let mut mint = SystemMint;
        let secrets = settle::settle(&desired.secrets, &seen, &self.renew, &mut mint).map_err(|why| {
            screen.problem("foobar::secret", &why, "give it where the topology says, then run foobar again");
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
            removal,
        };
        let mut cut_off = journal::cut_off(&seen, held::is_dead);
        let made = match &self.task {
            // It goes on with none of them.
            Task::Reboot(ask) => reboot::plan(&basis, ask, &std::mem::take(&mut cut_off)).map(|r| (r.plan, r.notes)),
            Task::Switchover(servers, to) => switchover::plan(&basis, servers, to).map(|m| (m.plan, m.notes)),
            Task::Failover(servers, ask) => failover::plan(&basis, servers, ask).map(|m| (m.plan, m.notes)),
            Task::Changes if self.reseed.is_empty() => diff::diff(&basis).map(|plan| (plan, Vec::new())),
            Task::Changes => self
                .reseeded(live.as_ref().map_or(&self.site, |live| &live.site), &basis)
                .map(|plan| (plan, Vec::new())),
        };
        let (plan, mut notes) = made.map_err(|refusals| {
            if let Some(live) = &live {
                live.tell(screen, PLANNED);
            }
            screen.refusals(&refusals);
            Exit::Failed
        })?;
        notes.splice(0..0, live.iter().flat_map(|live| live.notes(PLANNED)));
        let key = seal::trait_key(&secrets);
        let traits = seen.iter().map(|(host, observation)| {
            let wanted = || desired.wanted.iter().filter(|w| w.host == *host);
            let unbound = wanted().flat_map(|w| w.resource.unbound());
            (host.clone(), seal::traits(observation, observe::collectors(wanted()).into_values(), unbound, key))
        });
        let clocks = clock::off(&seen, mint.now());
        let generation = journal::next(&seen);
        Ok(Look { traits: traits.collect(), secrets, plan, generation, cut_off, notes, clocks })
    }
}

impl Work {
    fn reseeded(&self, site: &Site, basis: &Basis<'_>) -> Result<Plan, Vec<Refusal>> {
        let servers = mysql::servers(site);
        let seen = reseed::emptied(servers.as_ref(), basis.seen, &self.reseed, basis.limit)?;
        let mut plan = diff::diff(&Basis { seen: &seen, ..*basis })?;
        if let Some(servers) = &servers {
            reseed::begin(&mut plan, servers, basis.seen, &self.reseed, basis.now);
        }
        Ok(plan)
    }

    /// The hosts that a run has for itself: those that may be written to, and the balancers that take one of them out of
    /// service while it is changed.
    pub fn taken(&self) -> BTreeSet<HostName> {
        let topology = &self.site.topology;
        let mut taken = self.limit.clone();
        if topology.nginx.iter().flat_map(|n| &n.on).any(|host| self.limit.contains(host)) {
            taken.extend(topology.haproxy.iter().flat_map(|h| h.on.clone()).filter(|h| self.hosts.contains(h)));
        }
        taken
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
    add("dns", t.dns.as_ref().map(|c| c.on().to_vec()));
    add("nginx", t.nginx.as_ref().map(|c| c.on.clone()));
    add("web", t.nginx.as_ref().map(|c| c.on.clone()));
    add("app", t.app.as_ref().map(|c| c.on.clone()));
    add("mysql", t.mysql.as_ref().map(|c| c.hosts().cloned().collect()));
    add("primary", t.mysql.as_ref().map(|c| vec![c.primary.clone()]));
    add("replicas", t.mysql.as_ref().map(|c| c.replicas.clone()));
    add("monitoring", t.monitoring.as_ref().map(|c| c.on.clone()));
    roles
}

/// Every check of every component, and whether anything differs at all: which is told from all hosts, and left out where a
/// limit leaves some of them.
pub fn every_check(work: &Work) -> Vec<component::Check> {
    let of_components = component::all(&work.site).into_iter().flat_map(|c| c.checks(&work.site));
    let is_whole = work.hosts.iter().all(|host| work.limit.contains(host));
    of_components.chain(is_whole.then(|| differs::checks(&work.site)).into_iter().flatten()).collect()
}

//! The leases of a run: taken on all its hosts before they are read, kept while it lasts, given back at its end. The first
//! host by name is taken before the others, so that of two runs that want the same hosts one gets them all; whoever
//! finds one taken gives back what it has, and fails or waits. What is done under a lease is none of this file's business.

use super::observe::{self, Blocked, Under, unfit};
use crate::{
    base::{name::HostName, script::Script},
    component::Desired,
    event::{Event, Events},
    plan::lease::{self, Claim, HELD, Lease},
    resource::Observation,
    transport::{Reply, Transport, TransportError, TransportErrorKind},
};
use futures_util::future::join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How long giving back may take, for each host; then the lease ends by itself.
const FAREWELL: Duration = Duration::from_secs(8);

/// Hosts that the run asked for and has not given back, each with a number of its own for that asking, and whether it is
/// known to have got it.
#[derive(Debug, Default)]
struct Taken {
    hosts: BTreeMap<HostName, (u64, bool)>,
    asked: u64,
    /// Those of them that are on their way through a reboot.
    away: BTreeSet<HostName>,
}

impl Taken {
    fn ask(&mut self, host: &HostName) {
        self.asked += 1;
        self.hosts.entry(host.clone()).or_insert((self.asked, false));
    }

    fn confirm(&mut self, host: &HostName) {
        if let Some((_, is_known)) = self.hosts.get_mut(host) {
            *is_known = true;
        }
    }
}

/// The leases of one run.
#[derive(Debug)]
pub struct Leases {
    claim: Claim,
    /// By name.
    hosts: Vec<HostName>,
    taken: Mutex<Taken>,
    last: Mutex<Script>,
    is_dead: fn(&Lease) -> bool,
    at_work: AtomicBool,
}

impl Leases {
    /// Leases that `claim` wants on `hosts`; none is taken yet. `is_dead` says of another's lease whether its holder is
    /// known to be gone.
    pub fn new(claim: Claim, hosts: impl IntoIterator<Item = HostName>, is_dead: fn(&Lease) -> bool) -> Self {
        let hosts = hosts.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        Self { claim, hosts, taken: Mutex::default(), last: Mutex::default(), is_dead, at_work: AtomicBool::new(false) }
    }

    /// Who the run is.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// The hosts, by name.
    pub fn hosts(&self) -> &[HostName] {
        &self.hosts
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on commands see for themselves, under the lock, that the lease is still the run's own: [`Self::keep`] only
    /// renews.
    pub fn is_at_work(&self) {
        self.at_work.store(true, Ordering::Relaxed);
    }

    /// This host is going down by the run's own doing: there is nothing to renew until it is back.
    pub fn leave(&self, host: &HostName) {
        self.taken().away.insert(host.clone());
    }

    /// It is back, and the run's.
    pub fn regain(&self, host: &HostName) {
        self.taken().away.remove(host);
    }

    /// It is back, and another run's: nothing there is to be given back.
    pub fn lose(&self, host: &HostName) {
        let mut taken = self.taken();
        taken.away.remove(host);
        taken.hosts.remove(host);
    }

    /// What is to be done on each host under its lease just before that is given back.
    pub fn at_the_end(&self, last: Script) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    /// Takes every lease and reads `hosts`, in one exec each (the first host by name has one more); hosts that are not the
    /// run's are read alone. Where another run holds one, it is waited for as long as `patience`.
    pub async fn observe(
        &self,
        transport: &impl Transport,
        hosts: &[HostName],
        desired: &Desired,
        patience: Duration,
        events: &Events,
    ) -> Result<BTreeMap<HostName, Observation>, Blocked> {
        let attempt = async |over: Option<&str>| {
            if self.hosts.len() > 1 {
                self.gate(transport, over).await?;
            }
            let of = |host: &HostName| {
                self.hosts.contains(host).then(|| {
                    self.taken().ask(host);
                    lease::take(&self.claim, over)
                })
            };
            let seen = observe::observe_under(transport, hosts, desired, Under(&of), events).await?;
            self.hosts.iter().for_each(|host| self.taken().confirm(host));
            Ok(seen)
        };
        self.patiently(transport, patience, events, attempt).await
    }

    /// Takes every lease, without reading anything.
    pub async fn take(&self, transport: &impl Transport, patience: Duration, events: &Events) -> Result<(), Blocked> {
        let attempt = async |over: Option<&str>| {
            self.gate(transport, over).await?;
            let rest = self.hosts.iter().skip(1).map(|host| self.take_one(transport, host, over));
            let mut blocked = Blocked::default();
            for one in join_all(rest).await.into_iter().filter_map(Result::err) {
                blocked.errors.extend(one.errors);
                blocked.held.extend(one.held);
            }
            if blocked.errors.is_empty() && blocked.held.is_empty() { Ok(()) } else { Err(blocked) }
        };
        self.patiently(transport, patience, events, attempt).await
    }

    async fn gate(&self, transport: &impl Transport, over: Option<&str>) -> Result<(), Blocked> {
        match self.hosts.first() {
            Some(first) => self.take_one(transport, first, over).await,
            None => Ok(()),
        }
    }

    async fn take_one(&self, transport: &impl Transport, host: &HostName, over: Option<&str>) -> Result<(), Blocked> {
        self.taken().ask(host);
        let reply = transport.run(host, &lease::take(&self.claim, over), &|_| {}).await;
        match reply.and_then(|reply| not_held(host, &reply)) {
            Ok(None) => {
                self.taken().confirm(host);
                Ok(())
            }
            Ok(Some(held)) => Err(Blocked { errors: vec![], held: vec![(host.clone(), held)] }),
            Err(error) => Err(Blocked { errors: vec![error], held: vec![] }),
        }
    }

    /// Tries again until all hosts are the run's, one cannot be asked, or the time is over.
    async fn patiently<T>(
        &self,
        transport: &impl Transport,
        patience: Duration,
        events: &Events,
        attempt: impl AsyncFn(Option<&str>) -> Result<T, Blocked>,
    ) -> Result<T, Blocked> {
        let began = Instant::now();
        let mut over: Option<String> = None;
        let mut said = BTreeMap::new();
        loop {
            let blocked = match attempt(over.as_deref()).await {
                Ok(all) => return Ok(all),
                Err(blocked) => blocked,
            };
            self.forget(&blocked);
            if !blocked.errors.is_empty() {
                self.release(transport).await;
                return Err(blocked);
            }
            let dead = blocked.held.iter().find(|(_, l)| !l.is_busy && (self.is_dead)(l)).map(|(_, l)| l.run.clone());
            if dead.is_some() && dead != over {
                over = dead;
                continue;
            }
            self.release(transport).await;
            let left = patience.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(blocked);
            }
            for (host, held) in &blocked.held {
                let text = format!("waiting for another run: {}", held.who());
                if said.insert(host.clone(), held.run.clone()).as_ref() != Some(&held.run) {
                    events.tell(Event::Note { host: Some(host.clone()), text });
                }
            }
            // Runs that wait for each other must not knock at the same time for ever.
            let mut chance = [0];
            let _ = getrandom::fill(&mut chance);
            tokio::time::sleep(left.min(Duration::from_millis(500 + 4 * u64::from(chance[0])))).await;
        }
    }

    /// What was not taken need not be given back; what may have been, although nothing was heard of it, must.
    fn forget(&self, blocked: &Blocked) {
        let mut taken = self.taken();
        for host in blocked.held.iter().map(|(host, _)| host) {
            taken.hosts.remove(host);
        }
        for error in blocked.errors.iter().filter(|e| e.kind != TransportErrorKind::Lost) {
            taken.hosts.remove(&error.host);
        }
    }

    /// Renews the leases for as long as it is waited for. It ends only where one is the run's no more, with whose it is.
    pub async fn keep(&self, transport: &impl Transport) -> (HostName, Lease) {
        let pause = Duration::from_secs(u64::from(self.claim.ttl)) / 3;
        loop {
            tokio::time::sleep(pause).await;
            let hosts: Vec<(HostName, (u64, bool))> = {
                let taken = self.taken();
                let here = taken.hosts.iter().filter(|(host, _)| !taken.away.contains(*host));
                here.map(|(host, known)| (host.clone(), *known)).collect()
            };
            let renew = lease::renew(&self.claim);
            let renewed = hosts.iter().map(|(host, _)| async {
                // A host that cannot be asked now is asked again next time; what was lost then, its next command sees. One
                // that went silent must not cost the others their leases.
                let reply = tokio::time::timeout(pause, transport.run(host, &renew, &|_| {})).await;
                reply.ok()?.ok().filter(|r| r.status == HELD).and_then(|r| Lease::read(&r.stdout))
            });
            for ((host, known), lost) in hosts.iter().zip(join_all(renewed).await) {
                // What was only asked for then, or has been given back since, is not lost.
                let Some(lost) = lost.filter(|_| known.1 && self.taken().hosts.get(host) == Some(known)) else {
                    continue;
                };
                if !self.at_work.load(Ordering::Relaxed) {
                    return (host.clone(), lost);
                }
                self.taken().hosts.remove(host);
            }
        }
    }

    /// Gives back every lease that was taken, having done what is to be done at the end. Where a host does not answer in
    /// time, its lease ends by itself.
    pub async fn release(&self, transport: &impl Transport) {
        let hosts = std::mem::take(&mut self.taken().hosts);
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let script = lease::release(&self.claim, &last);
        let each = hosts.keys().map(|host| tokio::time::timeout(FAREWELL, transport.run(host, &script, &|_| {})));
        join_all(each).await;
    }
}

/// Whether a host said that it is another run's; anything but success that is not that is an error.
fn not_held(host: &HostName, reply: &Reply) -> Result<Option<Lease>, TransportError> {
    match (reply.status, Lease::read(&reply.stdout)) {
        (0, _) => Ok(None),
        (HELD, Some(lease)) => Ok(Some(lease)),
        (status, _) => Err(unfit(host, "its lease could not be taken", status, &reply.stderr)),
    }
}

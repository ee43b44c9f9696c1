//! `foobar history`, what a plan says about a run that was cut off, and what an apply leaves of itself on its hosts.

use super::{
    args::{LimitArgs, SiteArgs, history::HistoryArgs},
    exit::Exit,
    screen::Screen,
    work::{Look, Work},
};
use crate::{
    base::digest,
    engine::{apply::Run, lease::Leases},
    event::Event,
    plan::journal,
    report::{Verbosity, history},
    transport::Transport as _,
};
use futures_util::future::join_all;

/// Generations that are kept on a host.
const KEPT: usize = 10;

/// How an apply is kept on its hosts.
pub fn run<'a>(work: &Work, site: &SiteArgs, look: &Look, leases: &'a Leases) -> Run<'a> {
    Run { leases, generation: look.generation, digest: topology(work, site), sources: Vec::new(), keep: KEPT }
}

/// A digest of all that a site is made from, as it is on the disk now: the topology, the inventory and the release.
fn topology(work: &Work, site: &SiteArgs) -> String {
    let read = |path| std::fs::read(path).map(digest::sha256).unwrap_or_default();
    let inventory = site.inventory.as_deref().map(read).unwrap_or_default();
    let release = work.site.release.as_ref().map(|r| r.digest.clone()).unwrap_or_default();
    digest::of_parts([read(site.file.as_path()).as_str(), &inventory, &release])
}

/// Says on stderr, and among the events, which runs were cut off.
pub fn note(screen: &Screen, look: &Look) {
    for text in journal::notes(&look.cut_off, !look.plan.is_empty()) {
        screen.events().tell(Event::Note { host: None, text });
    }
}

/// Where nothing is left of runs that were cut off, their journals are closed when the leases are given back.
pub fn settle(look: &Look, leases: &Leases) {
    if look.plan.is_empty() && look.plan.left_out.is_empty() {
        let ends = look.cut_off.iter().filter(|c| leases.hosts().contains(&c.host)).map(|c| (c.generation, &c.run));
        let ends = ends.collect::<std::collections::BTreeSet<_>>();
        let script = ends.into_iter().fold(Default::default(), |all: crate::base::script::Script, (number, run)| {
            all.then(&journal::settle(number, run))
        });
        leases.at_the_end(script);
    }
}

/// `foobar history`
pub async fn show(screen: &Screen, args: &HistoryArgs) -> Result<Exit, Exit> {
    let limit = args.hosts().map_err(|why| {
        screen.problem(
            "foobar::limit",
            &why,
            "name hosts, globs (web-*), roles (@nginx), or the number of a generation",
        );
        Exit::Usage
    })?;
    let work = Work::new(screen, &args.site, &args.reach, Some(&LimitArgs { limit, list_hosts: false }))?;
    let only = args.generation();
    let script = journal::history(args.number.into(), only);
    let hosts: Vec<_> = work.hosts.iter().filter(|h| work.limit.contains(*h)).collect();
    let replies = join_all(hosts.iter().map(|host| work.ssh.run(host, &script, &|_| {}))).await;
    let (mut found, mut silent) = (Vec::new(), Vec::new());
    for (host, reply) in hosts.into_iter().zip(replies) {
        match reply {
            Ok(reply) => found.extend(journal::read(&reply.stdout).into_iter().map(|g| (host.clone(), g))),
            Err(error) => silent.push(error),
        }
    }
    let whole = only.is_some() || screen.verbosity >= Verbosity::Verbose;
    screen.data(&match args.json.json {
        true => history::json(&work.site.topology.site, &found),
        false => history::text(&found, whole, screen.out),
    });
    screen.silent(&silent);
    if let Some(error) = silent.first() {
        return Err(error.kind.into());
    }
    match (found.is_empty(), only) {
        (true, Some(number)) => {
            let what = format!("no host keeps generation {number}");
            screen.problem("foobar::history", &what, "`foobar history` lists those that are kept");
            Err(Exit::Failed)
        }
        (true, None) => {
            screen.say("No apply has changed anything here yet.");
            Ok(Exit::Done)
        }
        _ => Ok(Exit::Done),
    }
}

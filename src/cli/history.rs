//! `foobar history`, what a plan says about a run that was cut off, and what an apply leaves of itself on its hosts.

use super::{
    args::{LimitArgs, history::HistoryArgs},
    exit::Exit,
    screen::Screen,
    work::{Look, Work},
};
use crate::{
    base::name::HostName,
    engine::{course::Run, lease::Leases},
    event::Event,
    plan::{
        clock,
        history::{self as past, Generation},
        journal,
        saved::SavedSite,
    },
    report::{Verbosity, history},
    transport::{Transport as _, TransportError},
};
use futures_util::future::join_all;

/// How an apply is kept on its hosts.
pub fn run<'a>(work: &Work, look: &Look, leases: &'a Leases, undoes: bool) -> Run<'a> {
    Run {
        leases,
        generation: look.generation,
        digest: work.saved.digest(),
        // Without the release's archive: its hosts have it unpacked.
        sources: work.saved.to_text().into_bytes(),
        keep: work.site.topology.keep.generations,
        undoes,
    }
}

/// Says on stderr, and among the events, which runs were cut off, whose clock is far off, and what else there is to say.
pub fn note(screen: &Screen, look: &Look) {
    for (host, ahead) in &look.clocks {
        screen.events().tell(Event::Note { host: Some(host.clone()), text: clock::note(*ahead) });
    }
    for text in journal::notes(&look.cut_off, !look.plan.is_empty()).into_iter().chain(look.notes.clone()) {
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

/// The newest generations of each host that the limit leaves, or only one, and the hosts that could not be asked.
pub async fn generations(
    work: &Work,
    most: usize,
    only: Option<u64>,
) -> (Vec<(HostName, Generation)>, Vec<TransportError>) {
    let script = past::history(most, only);
    let hosts: Vec<_> = work.hosts.iter().filter(|h| work.limit.contains(*h)).collect();
    let replies = join_all(hosts.iter().map(|host| work.ssh.run(host, &script, &|_| {}))).await;
    let (mut found, mut silent) = (Vec::new(), Vec::new());
    for (host, reply) in hosts.into_iter().zip(replies) {
        match reply {
            Ok(reply) => found.extend(past::read(&reply.stdout).into_iter().map(|g| (host.clone(), g))),
            Err(error) => silent.push(error),
        }
    }
    (found, silent)
}

/// What a generation was made from, as the first host says that keeps it.
pub async fn sources(screen: &Screen, work: &Work, number: u64) -> Result<SavedSite, Exit> {
    let script = past::sources(number);
    let mut why = format!("no host keeps generation {number}");
    for host in &work.hosts {
        let reply = work.ssh.run(host, &script, &|_| {}).await.map_err(|error| {
            screen.silent(std::slice::from_ref(&error));
            Exit::from(error.kind)
        })?;
        if reply.status == past::BROKEN {
            why = format!("{host}: what generation {number} was made from is not what its run wrote there");
        }
        if reply.status != 0 {
            continue;
        }
        match SavedSite::parse(&String::from_utf8_lossy(&reply.stdout)) {
            Ok(saved) => return Ok(saved),
            Err(fault) => why = format!("{host}: what generation {number} was made from cannot be read: {fault}"),
        }
    }
    screen.problem("foobar::history", &why, "`foobar history` lists those that are kept");
    Err(Exit::Failed)
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
    if args.topology {
        let Some(number) = only else {
            screen.problem(
                "foobar::history",
                "--topology prints that of one generation, and none is named",
                "name it: foobar history 12 --topology",
            );
            return Err(Exit::Usage);
        };
        let saved = sources(screen, &work, number).await?;
        screen.data(&saved.topology.text);
        return Ok(Exit::Done);
    }
    let (found, silent) = generations(&work, args.number.into(), only).await;
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

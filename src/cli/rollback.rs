//! `foobar rollback`: what an earlier generation was made from, compiled again and applied like any other topology. What
//! generations are, and which one comes before, is `plan/history.rs`.

use super::{
    args::history::RollbackArgs,
    carry::{self, Order},
    exit::Exit,
    gather, history,
    screen::Screen,
    work::Work,
};
use crate::plan::{history as past, remove::Removal};

/// More generations than this are never kept.
const ALL: usize = 1000;

/// `foobar rollback`
pub async fn rollback(screen: &Screen, args: &RollbackArgs) -> Result<Exit, Exit> {
    let now = Work::new(screen, &args.site, &args.reach, Some(&args.limit))?;
    if args.limit.list_hosts {
        return Ok(now.list(screen, &args.json));
    }
    let number = match args.generation {
        Some(number) => number,
        None => before(screen, &now).await?,
    };
    let saved = history::sources(screen, &now, number).await?;
    let gathered = gather::back(&saved).map_err(|failure| screen.failure(&failure))?;
    // The hosts of then, as far as the limit of now leaves them; one that the topology has lost since is not left out.
    let limit = gathered.site.hosts().filter(|h| now.limit.contains(*h) || !now.hosts.contains(*h)).cloned().collect();
    let work = Work::of(screen, gathered, &args.reach, Some(limit))?;
    let command = format!("rollback to {number}");
    let order = Order {
        command: &command,
        removal: Removal::default(),
        wait: args.wait.lock_timeout,
        json: args.json.json,
        diff: args.diff.style(),
        undoes: !args.undo.no_rollback,
    };
    let ended = carry::run(screen, &work, &order, async |look| {
        carry::show(screen, &order, &look.plan);
        carry::agree(screen, &look.plan, args.yes, &format!("Go back to generation {number}?")).await
    })
    .await?;
    if ended == Exit::Done && saved.topology.text != now.saved.topology.text {
        screen.say(&format!(
            "\nThe hosts are what generation {number} says; {} still says something else, and the next apply would go \
             there. `foobar history {number} --topology` prints what the hosts are.",
            args.site.file.display()
        ));
    }
    Ok(ended)
}

/// The generation that comes before the last change of mind.
async fn before(screen: &Screen, now: &Work) -> Result<u64, Exit> {
    let (found, silent) = history::generations(now, ALL, None).await;
    if let Some(error) = silent.first() {
        screen.silent(&silent);
        return Err(error.kind.into());
    }
    past::before(&found).ok_or_else(|| {
        screen.problem(
            "foobar::rollback",
            "no earlier generation was made from anything else",
            "`foobar history` lists what there is; name one to go back to it",
        );
        Exit::Failed
    })
}

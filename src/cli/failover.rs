//! `foobar failover`: the server that took the writes is gone, and a replica goes on. What it costs is asked before anything
//! is planned; who takes over, and whether anybody may, is decided in `plan/failover.rs`.

use super::{
    args::failover::FailoverArgs,
    carry::{self, Order},
    exit::Exit,
    screen::Screen,
    switchover::follow,
    work::{Task, Work},
};
use crate::{
    component::mysql,
    event::Event,
    plan::{
        failover::{self, Ask, Found},
        remove::Removal,
        switchover,
    },
    report::record::Fate,
    resource::{db_failover::Loss, db_switch::Servers},
    topology::edit,
    transport::Transport as _,
};

/// `foobar failover`
pub async fn run(screen: &Screen, args: &FailoverArgs) -> Result<Exit, Exit> {
    let mut work = Work::new(screen, &args.site, &args.reach, None)?;
    let Some(servers) = mysql::servers(&work.site) else {
        screen.problem(
            "foobar::failover",
            "the topology has no database",
            "a failover has a replica of `mysql:` go on where its primary is gone",
        );
        return Err(Exit::Usage);
    };
    let all = work.hosts.clone();
    // What is asked is what any failover asks.
    let mut ask = Ask { to: args.to.clone(), is_off: args.is_off.iter().cloned().collect(), ..Ask::default() };
    work.task = Task::Failover(servers.clone(), ask.clone());
    let seen = work.whoever_answers(screen).await?;
    ask.away = all.iter().filter(|host| !work.hosts.contains(host)).cloned().collect();
    for host in &ask.away {
        let text = "it cannot be reached, and is left out".to_owned();
        screen.events().tell(Event::Note { host: Some(host.clone()), text });
    }
    let heir = failover::heir(&servers, &seen, &ask).map_err(|refusals| {
        screen.clear();
        screen.refusals(&refusals);
        Exit::Failed
    })?;
    let loss = match heir.is_open {
        true => Loss::Exactly(Default::default()),
        false => lost(&work, &servers, &heir, &ask).await,
    };
    let before = work.saved.topology.text.clone();
    let after = edit::promoted(&before, heir.to.as_str());
    // What is kept of this run is what the servers are after it.
    if let Some(after) = &after {
        work.saved.topology.text.clone_from(after);
    }
    let is_harmless = loss.is_none();
    // What was begun for one is not gone on with for another.
    ask.to = Some(heir.to.clone());
    ask.found = Some(Found { has: heir.has.clone(), loss });
    work.task = Task::Failover(servers, ask);
    let order = Order {
        command: "failover",
        removal: Removal::default(),
        wait: args.wait.lock_timeout,
        json: args.json.json,
        diff: args.diff.style(),
        undoes: true,
    };
    let mut is_there = false;
    let mut taken = None;
    let ended = carry::run(screen, &work, &order, async |look| {
        taken = look.plan.steps.iter().find(|s| s.resource == switchover::taken()).map(|s| s.id);
        // It may have opened since the first look: a run that was cut off had its last step under way.
        is_there = taken.is_none();
        if look.plan.is_empty() && !order.json {
            screen.data(&format!("{} takes the writes already, and all that run follow it.\n", heir.to));
            return Err(Exit::Done);
        }
        carry::show(screen, &order, &look.plan);
        if !is_harmless && args.yes && !args.allow_loss {
            screen.problem(
                "foobar::failover",
                &format!("what only {} has would be lost, and nothing was changed", heir.from),
                "see above what that is; `--allow-loss` goes on without it, and so does a `yes` at the terminal",
            );
            return Err(Exit::Failed);
        }
        let question = match is_harmless {
            true => format!("Let {} go on without {}?", heir.to, heir.from),
            false => format!("Let {} go on without {}, and without what is lost?", heir.to, heir.from),
        };
        carry::agree(screen, &look.plan, args.yes, &question).await
    })
    .await;
    if let Some(step) = taken {
        is_there = screen.show().record().fate(step) == Some(&Fate::Done);
    }
    if is_there && after.as_ref() != Some(&before) {
        follow(
            screen,
            "foobar::failover",
            (args.site.file.as_path(), args.no_edit, &heir.to),
            &before,
            after.as_deref(),
        );
    }
    ended
}

/// Asks the server that is gone what goes beyond the position of the one that shall go on, if its host answers.
async fn lost(work: &Work, servers: &Servers, heir: &failover::Heir, ask: &Ask) -> Loss {
    if ask.away.contains(&heir.from) {
        return Loss::Unknown(format!("{} cannot be asked what it had", heir.from));
    }
    match work.ssh.run(&heir.from, &servers.unshared(&heir.has), &|_| {}).await {
        Ok(reply) => Loss::read(&String::from_utf8_lossy(&reply.stdout)),
        Err(error) => Loss::Unknown(format!("{}: {}", heir.from, error.what)),
    }
}

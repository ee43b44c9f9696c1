//! `foobar destroy`: the plan of a topology that wants nothing, shown, agreed to by name, and carried out like any other.

use super::{
    args::removal::DestroyArgs,
    carry::{self, Order},
    exit::Exit,
    screen::Screen,
    work::Work,
};
use crate::{base::name::DomainName, plan::Plan};

/// Takes everything that foobar made off the hosts.
pub async fn run(screen: &Screen, args: &DestroyArgs) -> Result<Exit, Exit> {
    let work = Work::new(screen, &args.site, &args.reach, Some(&args.limit))?;
    if args.limit.list_hosts {
        return Ok(work.list(screen, &args.json));
    }
    let site = &work.site.topology.site;
    if let Some(named) = args.yes_destroy.as_ref().filter(|named| *named != site) {
        screen.problem(
            "foobar::consent",
            &format!("--yes-destroy names {named}, and this is {site}; nothing was changed"),
            "name the topology with -f, or the site that shall go",
        );
        return Err(Exit::Usage);
    }
    let order = Order {
        command: "destroy",
        removal: args.removal(),
        wait: args.wait.lock_timeout,
        json: args.json.json,
        diff: args.diff.style(),
        undoes: false,
    };
    carry::run(screen, &work, &order, async |look| {
        if look.plan.is_empty() && !order.json {
            screen.data("Nothing of foobar's is on these hosts.\n");
            return Err(Exit::Done);
        }
        carry::show(screen, &order, &look.plan);
        agree(screen, &look.plan, site, args.yes_destroy.is_some()).await
    })
    .await
}

/// Asks for the site's name.
async fn agree(screen: &Screen, plan: &Plan, site: &DomainName, is_named: bool) -> Result<(), Exit> {
    if plan.is_empty() || is_named {
        return Ok(());
    }
    let question = format!("\nThis cannot be undone. Type the site's name, {site}, to destroy it:");
    match screen.ask(&question).await {
        Some(answer) if answer == site.as_str() => Ok(()),
        Some(_) => {
            screen.say("Nothing was changed.");
            Err(Exit::Failed)
        }
        None => {
            screen.problem(
                "foobar::consent",
                "there is no terminal to ask on, and nothing was changed",
                &format!("look at the plan, then run it with --yes-destroy {site}"),
            );
            Err(Exit::Usage)
        }
    }
}

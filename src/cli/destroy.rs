//! `foobar destroy`: the plan of a topology that wants nothing, shown, agreed to by name, and carried out like any other.

use super::{
    args::removal::DestroyArgs,
    carry::{carry_out, view},
    exit::Exit,
    recipes::list,
    screen::Screen,
    work::Work,
};
use crate::report::plan;

/// Takes everything that foobar made off the hosts.
pub async fn run(screen: &Screen, args: &DestroyArgs) -> Result<Exit, Exit> {
    let work = Work::new(screen, &args.site, &args.reach, Some(&args.limit))?;
    if args.limit.list_hosts {
        return Ok(list(screen, &work));
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
    let look = work.look(screen, args.removal()).await?;
    let is_json = args.json.json;
    if is_json {
        screen.also_json();
    } else if look.plan.is_empty() {
        screen.data("Nothing of foobar's is on these hosts.\n");
        return Ok(Exit::Done);
    } else {
        screen.data(&plan::text(&look.plan, &view(screen, args.diff.style())));
    }
    if !look.plan.is_empty() && args.yes_destroy.is_none() {
        let question = format!("\nThis cannot be undone. Type the site's name, {site}, to destroy it:");
        match screen.ask(&question).await {
            Some(answer) if answer == site.as_str() => {}
            Some(_) => {
                screen.say("Nothing was changed.");
                return Err(Exit::Failed);
            }
            None => {
                screen.problem(
                    "foobar::consent",
                    "there is no terminal to ask on, and nothing was changed",
                    &format!("look at the plan, then run it with --yes-destroy {site}"),
                );
                return Err(Exit::Usage);
            }
        }
    }
    carry_out(screen, &work, &look, is_json, "destroy").await
}

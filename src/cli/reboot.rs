//! `foobar reboot`: a plan of reboots, carried out like any other. Which host goes when is decided in `plan/reboot.rs`; how one is
//! waited for, in the engine.

use super::{
    args::reboot::RebootArgs,
    carry::{self, Order},
    exit::Exit,
    screen::Screen,
    work::{Task, Work},
};
use crate::plan::remove::Removal;

/// `foobar reboot`
pub async fn run(screen: &Screen, args: &RebootArgs) -> Result<Exit, Exit> {
    let mut work = Work::new(screen, &args.site, &args.reach, Some(&args.limit))?;
    if args.limit.list_hosts {
        return Ok(work.list(screen, &args.json));
    }
    work.task = Task::Reboot(args.ask());
    let order = Order {
        command: "reboot",
        removal: Removal::default(),
        wait: args.wait.lock_timeout,
        json: args.json.json,
        diff: args.diff.style(),
        // A reboot has no way back.
        undoes: false,
    };
    carry::run(screen, &work, &order, async |look| {
        if look.plan.is_empty() && !order.json {
            screen.data("No host is to be rebooted.\n");
            return Err(Exit::Done);
        }
        carry::show(screen, &order, &look.plan);
        carry::bounded(screen, &args.bound, &look.plan)?;
        carry::agree(screen, &look.plan, args.yes, "Reboot these hosts?").await
    })
    .await
}

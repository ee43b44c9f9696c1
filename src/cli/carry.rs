//! From a plan that stands to what became of it: how it is shown, carried out, and how that ended. Which plan, and whether
//! somebody agreed to it, is decided by the commands.

use super::{
    bound::BoundArgs,
    exit::Exit,
    local,
    screen::Screen,
    work::{Look, Work},
};
use crate::{
    engine,
    plan::Plan,
    report::{Verbosity, diff::DiffStyle, json, outcome::Outcome, plan::View},
};
use std::{io::stdout, time::Instant};

/// How plans are shown on standard output.
pub fn view(screen: &Screen, diff: DiffStyle) -> View {
    let width = crate::report::terminal_size(&stdout()).0.clamp(40, 120);
    View { palette: screen.out, diff, width }
}

/// Refuses a plan of which users would feel more than they may; it has been said then which steps they are.
pub fn bounded(screen: &Screen, args: &BoundArgs, plan: &Plan) -> Result<(), Exit> {
    let Some((what, help)) = args.broken(plan) else { return Ok(()) };
    screen.problem("foobar::impact", &what, help);
    Err(Exit::Failed)
}

/// With -v: how often the network was used, which is a promise (one connection and one exec a host for a plan).
pub fn trips(screen: &Screen, work: &Work) {
    if screen.verbosity >= Verbosity::Verbose {
        screen.say(&format!("round trips: {} connections made, {} execs", work.ssh.connections(), work.ssh.execs()));
    }
}

/// Asks whether a plan that was shown shall be carried out, unless there is nothing in it or `yes` was said before.
pub async fn agree(screen: &Screen, plan: &Plan, yes: bool, question: &str) -> Result<(), Exit> {
    if plan.is_empty() || yes {
        return Ok(());
    }
    match screen.consent(&format!("\n{question} Only `yes` is taken as one:")).await {
        Some(true) => Ok(()),
        Some(false) => {
            screen.say("Nothing was changed.");
            Err(Exit::Failed)
        }
        None => {
            screen.problem(
                "foobar::consent",
                "there is no terminal to ask on, and nothing was changed",
                "look at the plan, then run it with --yes",
            );
            Err(Exit::Usage)
        }
    }
}

/// Carries a plan out that was shown and agreed to, and says how it ended. `command` is what others are told that runs.
pub async fn carry_out(screen: &Screen, work: &Work, look: &Look, json: bool, command: &str) -> Result<Exit, Exit> {
    let plan = &look.plan;
    let started = Instant::now();
    screen.expect(plan);
    let ended = match plan.is_empty() {
        true => engine::apply::Outcome::default(),
        false => engine::apply::apply(&work.ssh, plan, &look.secrets, &holder(command), &screen.events()).await,
    };
    screen.clear();
    {
        let show = screen.show();
        let outcome = Outcome::new(plan, show.record(), started.elapsed());
        if json {
            json::Lines::new(stdout()).end(&outcome);
        } else if !plan.is_empty() {
            let text = format!("\n{}", outcome.text(screen.out));
            drop(show);
            screen.data(&text);
        }
    }
    trips(screen, work);
    for (host, who) in &ended.locked {
        screen.problem(
            "foobar::locked",
            &format!("{host}: another run is at work there: {who}"),
            "wait until it has ended, then run this again; nothing was changed on that host",
        );
    }
    screen.silent(&ended.errors);
    Ok(if ended.is_success() {
        Exit::Done
    } else if !ended.locked.is_empty() && ended.failed.is_empty() {
        Exit::Locked
    } else if !ended.failed.is_empty() && ended.failed.iter().all(|(step, _)| ended.reverting.contains(step)) {
        Exit::RolledBack
    } else if ended.failed.is_empty() {
        ended.errors.first().map_or(Exit::Failed, |e| e.kind.into())
    } else {
        Exit::Failed
    })
}

/// What another run is told about this one.
fn holder(command: &str) -> String {
    let since =
        time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
    format!("{}, foobar {command}, pid {}, since {since}", local::somebody(), std::process::id())
}

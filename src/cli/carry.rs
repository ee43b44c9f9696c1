//! From a plan that stands to what became of it: how it is shown, carried out, and how that ended. Which plan, and whether
//! somebody agreed to it, is decided by the commands.

use super::{
    bound::BoundArgs,
    exit::Exit,
    held, history, lock,
    screen::Screen,
    work::{Look, Work},
};
use crate::{
    base::name::HostName,
    engine::{self, lease::Leases},
    plan::{Plan, StepId, group::Group, remove::Removal},
    report::{
        Verbosity,
        diff::DiffStyle,
        json,
        outcome::Outcome,
        plan::{self, View},
    },
};
use std::{
    collections::BTreeSet,
    io::stdout,
    time::{Duration, Instant},
};

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

/// What a command that writes is asked to do.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Its name, which others are told and the generation is kept under.
    pub command: &'a str,
    /// How much is taken away.
    pub removal: Removal,
    /// How long other runs are waited for.
    pub wait: Duration,
    /// Whether it tells programs.
    pub json: bool,
    /// How much of each file is shown.
    pub diff: DiffStyle,
    /// Whether what fails its proof goes back to what it was.
    pub undoes: bool,
}

/// Shows the plan of an order, unless it is told as an event.
pub fn show(screen: &Screen, order: &Order<'_>, plan: &Plan) {
    if !order.json {
        screen.data(&plan::text(plan, &view(screen, order.diff)));
    }
}

/// Takes the hosts, reads them, lets `decide` look at the plan and say whether it is to be carried out, carries it out, and
/// says how it ended. The hosts are held from before they are read until after the last step.
pub async fn run(
    screen: &Screen,
    work: &Work,
    order: &Order<'_>,
    decide: impl AsyncFnOnce(&Look) -> Result<(), Exit>,
) -> Result<Exit, Exit> {
    let leases = lock::leases(screen, work, order.command)?;
    let body = async {
        let look = work.look_under(screen, order.removal, &leases, order.wait).await?;
        if order.json {
            screen.also_json(order.command);
        }
        history::note(screen, &look);
        history::settle(&look, &leases);
        decide(&look).await?;
        carry_out(screen, work, &look, &leases, order).await
    };
    lock::under(screen, work, &leases, body).await
}

async fn carry_out(
    screen: &Screen,
    work: &Work,
    look: &Look,
    leases: &Leases,
    order: &Order<'_>,
) -> Result<Exit, Exit> {
    let plan = &look.plan;
    let started = Instant::now();
    screen.expect(plan);
    let ended = match plan.is_empty() {
        true => engine::course::Outcome::default(),
        false => {
            let run = history::run(work, look, leases, order.undoes);
            engine::apply::apply(&work.ssh, plan, &look.secrets, run, &screen.events()).await
        }
    };
    screen.clear();
    {
        let show = screen.show();
        // A plan of changes is gone on with by an apply, whoever made it.
        let again = if matches!(order.command, "reboot" | "switchover" | "failover") { order.command } else { "apply" };
        let outcome = Outcome::new(plan, show.record(), started.elapsed()).again(again);
        if order.json {
            json::Lines::new(stdout(), "").end(&outcome);
        } else if !plan.is_empty() {
            let text = format!("\n{}", outcome.text(screen.out));
            drop(show);
            screen.data(&text);
        }
    }
    if !order.undoes && !ended.failed.is_empty() {
        for host in left_out(plan, &ended) {
            screen
                .say(&format!("{host} stays out of service as --no-rollback asks; `foobar apply` goes on from there."));
        }
    }
    trips(screen, work);
    for (host, lease) in &ended.locked {
        held::lost(screen, host, lease);
    }
    screen.silent(&ended.errors);
    Ok(status(&ended))
}

/// How a run ended. A step that was cut off with its connection is a host that was lost, and not a step that failed.
fn status(ended: &engine::course::Outcome) -> Exit {
    if ended.is_success() {
        Exit::Done
    } else if !ended.locked.is_empty() && ended.failed.is_empty() {
        Exit::Locked
    } else if ended.is_rolled_back {
        Exit::RolledBack
    } else if ended.has_failed() {
        Exit::Failed
    } else {
        ended.errors.first().map_or(Exit::Failed, |e| e.kind.into())
    }
}

/// Hosts that a run took out of service and did not put back.
fn left_out<'a>(plan: &'a Plan, ended: &engine::course::Outcome) -> BTreeSet<&'a HostName> {
    let is_done = |id: &StepId| ended.done.contains(id);
    let is_out = |g: &&Group| g.drains.iter().any(is_done) && !g.gates.iter().all(is_done);
    plan.groups.iter().filter(is_out).filter_map(|group| group.host(plan)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::course::Outcome,
        transport::{TransportError, TransportErrorKind},
    };

    #[test]
    fn a_connection_that_is_cut_within_a_step_is_a_host_that_was_lost() {
        let error = TransportError {
            host: "web-01".parse().unwrap(),
            kind: TransportErrorKind::Lost,
            what: "the connection was lost".into(),
            help: String::new(),
        };
        let cut = || Outcome {
            failed: vec![(3, "cut off".into())],
            unheard: vec![3],
            errors: vec![error.clone()],
            ..Outcome::default()
        };
        assert_eq!(status(&Outcome::default()), Exit::Done);
        assert_eq!(status(&cut()), Exit::Unreachable);
        // Another step that is known to have failed is more than that.
        let also = Outcome { failed: vec![(3, "cut off".into()), (4, "false".into())], ..cut() };
        assert_eq!(status(&also), Exit::Failed);
        assert_eq!(status(&Outcome { unheard: Vec::new(), ..cut() }), Exit::Failed);
        assert_eq!(status(&Outcome { is_rolled_back: true, ..cut() }), Exit::RolledBack);
    }
}

//! One short recipe a command.

use super::{
    args::{ApplyArgs, CaArgs, PlanArgs, ValidateArgs, VerifyArgs},
    exit::Exit,
    gather, held, history, lock,
    screen::Screen,
    work::{self, Work},
};
use crate::{
    base::script::Script,
    component::names::SITE_CA,
    engine::{self, lease::Leases},
    report::{
        Verbosity, checks, json,
        outcome::Outcome,
        plan::{self, View},
    },
    transport::Transport as _,
};
use std::{io::stdout, time::Instant};

/// `foobar validate`
pub fn validate(screen: &Screen, args: &ValidateArgs) -> Result<Exit, Exit> {
    if args.json.json {
        let (findings, exit) =
            match gather::gather(&args.site.file, args.site.inventory.as_deref(), args.site.templates.as_deref()) {
                Ok(gathered) => (gathered.warnings.findings(), Exit::Done),
                Err(gather::Failure::Invalid(report)) => (report.findings(), Exit::Usage),
                Err(failure) => return Err(screen.failure(&failure)),
            };
        screen.data(&json::findings(&findings));
        return Ok(exit);
    }
    let (site, _, warnings) = work::read(screen, &args.site)?;
    screen.report(&warnings);
    // Rendering finds what reading can't: a template of the user's own with a mistake in it.
    work::compile(screen, &site)?;
    screen.data(&format!(
        "{} is valid: {} on {} hosts.\n",
        args.site.file.display(),
        site.topology.site,
        site.hosts().count()
    ));
    Ok(Exit::Done)
}

fn view(screen: &Screen, diff: crate::report::diff::DiffStyle) -> View {
    let width = crate::report::terminal_size(&stdout()).0.clamp(40, 120);
    View { palette: screen.out, diff, width }
}

fn list(screen: &Screen, work: &Work) -> Exit {
    let names = work.hosts.iter().filter(|h| work.limit.contains(*h));
    screen.data(&names.map(|h| format!("{h}\n")).collect::<String>());
    Exit::Done
}

/// `foobar plan`
pub async fn plan(screen: &Screen, args: &PlanArgs) -> Result<Exit, Exit> {
    let work = Work::new(screen, &args.site, &args.reach, Some(&args.limit))?;
    if args.limit.list_hosts {
        return Ok(list(screen, &work));
    }
    let look = work.look(screen).await?;
    history::note(screen, &look);
    match args.json.json {
        true => screen.data(&json::plan_after(&look.plan, &look.cut_off)),
        false => screen.data(&plan::text(&look.plan, &view(screen, args.diff.style()))),
    }
    trips(screen, &work);
    Ok(if args.detailed_exitcode && !look.plan.is_empty() { Exit::Pending } else { Exit::Done })
}

/// With -v: how often the network was used, which is a promise (one connection and one exec a host for a plan).
fn trips(screen: &Screen, work: &Work) {
    if screen.verbosity >= Verbosity::Verbose {
        screen.say(&format!("round trips: {} connections made, {} execs", work.ssh.connections(), work.ssh.execs()));
    }
}

/// `foobar apply`
pub async fn apply(screen: &Screen, args: &ApplyArgs) -> Result<Exit, Exit> {
    let work = Work::new(screen, &args.site, &args.reach, Some(&args.limit))?;
    if args.limit.list_hosts {
        return Ok(list(screen, &work));
    }
    let leases = lock::leases(screen, &work, "apply")?;
    lock::under(screen, &work, &leases, carry_out(screen, args, &work, &leases)).await
}

/// The plan of an apply, its consent and its steps, under leases that it takes.
async fn carry_out(screen: &Screen, args: &ApplyArgs, work: &Work, leases: &Leases) -> Result<Exit, Exit> {
    let look = work.look_under(screen, leases, args.wait.lock_timeout).await?;
    let plan = &look.plan;
    if args.json.json {
        screen.also_json();
    }
    history::note(screen, &look);
    history::settle(&look, leases);
    if !args.json.json {
        screen.data(&plan::text(plan, &view(screen, args.diff.style())));
    }
    if !plan.is_empty() && !args.yes {
        match screen.consent("\nApply these changes? Only `yes` is taken as one:").await {
            Some(true) => {}
            Some(false) => {
                screen.say("Nothing was changed.");
                return Err(Exit::Failed);
            }
            None => {
                screen.problem(
                    "foobar::consent",
                    "there is no terminal to ask on, and nothing was changed",
                    "look at the plan, then run it with --yes",
                );
                return Err(Exit::Usage);
            }
        }
    }
    let started = Instant::now();
    screen.expect(plan);
    let ended = match plan.is_empty() {
        true => engine::apply::Outcome::default(),
        false => {
            let run = history::run(work, &args.site, &look, leases);
            engine::apply::apply(&work.ssh, plan, &look.secrets, run, &screen.events()).await
        }
    };
    screen.clear();
    {
        let show = screen.show();
        let outcome = Outcome::new(plan, show.record(), started.elapsed());
        if args.json.json {
            json::Lines::new(stdout()).end(&outcome);
        } else if !plan.is_empty() {
            let text = format!("\n{}", outcome.text(screen.out));
            drop(show);
            screen.data(&text);
        }
    }
    trips(screen, work);
    for (host, lease) in &ended.locked {
        held::lost(screen, host, lease);
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

/// `foobar verify`
pub async fn verify(screen: &Screen, args: &VerifyArgs) -> Result<Exit, Exit> {
    let work = Work::new(screen, &args.site, &args.reach, Some(&args.limit))?;
    if args.limit.list_hosts {
        return Ok(list(screen, &work));
    }
    let checks_to_make = work::checks(&work);
    let started = Instant::now();
    let outcome = engine::verify::verify(&work.ssh, &checks_to_make, &screen.events()).await;
    screen.clear();
    let text = {
        let show = screen.show();
        let checked = show.record().checks();
        match args.json.json {
            true => {
                let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                json::verify(&work.site.topology.site, checked, millis)
            }
            false => checks::text(checked, started.elapsed(), screen.verbosity == Verbosity::Quiet, screen.out),
        }
    };
    screen.data(&text);
    trips(screen, &work);
    screen.silent(&outcome.errors);
    use crate::component::Verdict;
    Ok(if outcome.verdicts.iter().any(|v| matches!(v, Verdict::Fail(_))) {
        Exit::CheckFailed
    } else if let Some(error) = outcome.errors.first() {
        error.kind.into()
    } else if outcome.verdicts.iter().any(|v| matches!(v, Verdict::Error(_))) {
        Exit::Failed
    } else {
        Exit::Done
    })
}

/// `foobar ca`
pub async fn ca(screen: &Screen, args: &CaArgs) -> Result<Exit, Exit> {
    let work = Work::new(screen, &args.site, &args.reach, None)?;
    let desired = work::compile(screen, &work.site)?;
    let Some(authority) = desired.secrets.iter().find(|s| s.name == SITE_CA) else {
        screen.problem(
            "foobar::ca",
            "the site has no authority of its own: its certificate comes from files of yours",
            "browsers trust it if they trust whoever signed those",
        );
        return Err(Exit::Failed);
    };
    let script = Script::new().line(format!("cat {}/secrets/{}.crt", crate::resource::STATE_DIR, authority.name));
    let mut why = String::from("no host keeps it yet");
    for host in &authority.homes {
        let reply = work.ssh.run(host, &script, &|_| {}).await.map_err(|error| {
            screen.silent(std::slice::from_ref(&error));
            Exit::from(error.kind)
        })?;
        let text = String::from_utf8_lossy(&reply.stdout).into_owned();
        if reply.status == 0 && text.contains("BEGIN CERTIFICATE") {
            match &args.output {
                None => screen.data(&text),
                Some(path) => std::fs::write(path, &text).map_err(|e| {
                    screen.problem(
                        "foobar::local",
                        &format!("{}: {e}", path.display()),
                        "name a file that you may write",
                    );
                    Exit::Failed
                })?,
            }
            return Ok(Exit::Done);
        }
        why = format!("{host} keeps none yet");
    }
    screen.problem("foobar::ca", &why, "run foobar apply first");
    Err(Exit::Failed)
}

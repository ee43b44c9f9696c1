//! `plan -o FILE`, `show FILE`, `apply FILE`: a plan that is kept, and carried out later or not at all. What it is bound to is
//! decided in `plan/seal.rs`.

use super::{
    args::change::{ApplyArgs, PlanArgs, ShowArgs},
    carry::{self, Order},
    exit::Exit,
    gather,
    local::{self, moment},
    screen::Screen,
    work::{Look, Work},
};
use crate::{
    plan::seal::{Moved, SCHEMA, Sealed},
    report::{json, plan},
};
use std::path::Path;

/// How many things that have moved are named for one host: past that it is plain that the plan is another one's.
const NAMED: usize = 8;

/// Keeps a plan that was just made.
pub fn keep(screen: &Screen, args: &PlanArgs, work: &Work, look: &Look, file: &Path) -> Result<(), Exit> {
    let made = local::now();
    let valid_for = i64::try_from(args.valid_for.duration().as_secs()).unwrap_or(i64::MAX);
    let sealed = Sealed::new(Sealed {
        foobar_plan: SCHEMA,
        foobar: env!("CARGO_PKG_VERSION").into(),
        made,
        until: made.saturating_add(valid_for),
        by: local::somebody(),
        limit: work.limit.clone(),
        removal: args.removal.removal(),
        plan: look.plan.clone(),
        observed: look.traits.clone(),
        site: gather::with_release(&work.saved, &work.site),
        seal: String::new(),
    });
    local::write_private(file, &sealed.to_text()).map_err(|why| {
        screen.problem("foobar::local", &why, "name a file that you may write");
        Exit::Failed
    })?;
    let name = file.display();
    screen.say(&format!(
        "\nKept in {name} until {}. `foobar apply {name}` carries out exactly this plan, or refuses where a host has moved.",
        moment(sealed.until)
    ));
    Ok(())
}

fn read(screen: &Screen, file: &Path) -> Result<Sealed, Exit> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|e| {
        screen.problem(
            "foobar::file",
            &format!("{name}: {}", local::plain(&e)),
            "make a plan first: foobar plan -o FILE",
        );
        Exit::Usage
    })?;
    Sealed::parse(&text).map_err(|error| {
        screen.problem("foobar::plan", &format!("{name}: {error}"), "make it anew: foobar plan -o FILE");
        Exit::Usage
    })
}

/// `foobar show`
pub fn show(screen: &Screen, args: &ShowArgs) -> Result<Exit, Exit> {
    let sealed = read(screen, &args.saved)?;
    if args.json.json {
        screen.data(&json::saved(&sealed, local::now()));
        return Ok(Exit::Done);
    }
    let (made, until) = (moment(sealed.made), moment(sealed.until));
    let ends = if sealed.until <= local::now() { "out of date since" } else { "good until" };
    let mut head = format!("A plan for {}, made {made} by {}, {ends} {until}.\n", sealed.plan.site, sealed.by);
    if sealed.limit.len() < sealed.plan.hosts.len() {
        let hosts: Vec<&str> = sealed.limit.iter().map(|h| h.as_str()).collect();
        head += &format!("It writes to {} alone.\n", hosts.join(", "));
    }
    screen.data(&format!("{head}\n{}", plan::text(&sealed.plan, &carry::view(screen, args.diff.style()))));
    Ok(Exit::Done)
}

/// `foobar apply FILE`: naming the plan is the consent.
pub async fn apply(screen: &Screen, args: &ApplyArgs, file: &Path) -> Result<Exit, Exit> {
    let sealed = read(screen, file)?;
    let name = file.display();
    if sealed.until <= local::now() {
        let what = format!("{name} was good until {}", moment(sealed.until));
        screen.problem("foobar::stale", &what, &again(&name));
        return Err(Exit::StalePlan);
    }
    let gathered = gather::again(&sealed.site).map_err(|failure| screen.failure(&failure))?;
    let work = Work::of(screen, gathered, &args.reach, Some(sealed.limit.clone()))?;
    let order = Order {
        command: "apply",
        removal: sealed.removal,
        wait: args.wait.lock_timeout,
        json: args.json.json,
        diff: args.diff.style(),
        undoes: !args.undo.no_rollback,
    };
    carry::run(screen, &work, &order, async |look| {
        let mut moved = sealed.moved(&look.traits);
        if moved.is_empty() {
            // The hosts are what they were; what else goes into a plan (a secret, a certificate, the way in) may not be.
            moved = sealed.parted(&look.plan);
        }
        if moved.is_empty() {
            carry::show(screen, &order, &look.plan);
            return carry::bounded(screen, &args.bound, &look.plan);
        }
        screen.clear();
        if order.json {
            screen.data(&json::stale(&moved));
        }
        for host in &moved {
            screen.problem("foobar::stale", &said(host), &again(&name));
        }
        screen.say("Nothing was changed.");
        Err(Exit::StalePlan)
    })
    .await
}

fn said(moved: &Moved) -> String {
    let mut named: Vec<String> = moved.what.iter().take(NAMED).cloned().collect();
    if moved.what.len() > NAMED {
        named.push(format!("and {} more", moved.what.len() - NAMED));
    }
    format!("{}: not what it was when the plan was made:\n{}", moved.host, named.join("\n"))
}

fn again(file: &impl std::fmt::Display) -> String {
    format!("see what changed with `foobar plan`, then make the plan anew: foobar plan -o {file}")
}

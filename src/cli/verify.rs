//! `foobar verify`: makes checks once or again and again, and tells how they ended in the form that is asked for.

use super::{
    args::verify::{VerifyArgs, VerifyFormat},
    carry, choice,
    exit::Exit,
    live::Live,
    local, lock,
    screen::Screen,
    work::{self, Work},
};
use crate::{
    component::{Check, Verdict, mysql::WRITABLE},
    engine,
    report::{
        Verbosity, checks,
        ci::{self, Verified},
        json, page,
        record::Checked,
        watch::Memory,
    },
    transport::TransportError,
};
use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

/// Checks that were made.
struct Made {
    checks: Vec<Checked>,
    errors: Vec<TransportError>,
    took: Duration,
    /// When they ended, in seconds since the epoch.
    at: i64,
}

impl Made {
    fn verified<'a>(&'a self, work: &'a Work) -> Verified<'a> {
        Verified { site: &work.site.topology.site, checks: &self.checks, took: self.took, at: self.at }
    }
}

/// `foobar verify`
pub async fn run(screen: &Screen, args: &VerifyArgs) -> Result<Exit, Exit> {
    let format = args.format();
    let is_for_one = matches!(format, VerifyFormat::Junit | VerifyFormat::Tap | VerifyFormat::Prometheus);
    if args.choice.watch.is_some() && is_for_one && args.out.is_none() {
        screen.problem(
            "foobar::usage",
            "--watch repeats, and that format is one document",
            "name a file that is replaced each time: --out FILE",
        );
        return Err(Exit::Usage);
    }
    let mut work = Work::new(screen, &args.site, &args.reach, Some(&args.limit))?;
    if args.limit.list_hosts {
        return Ok(work.list(screen, &args.json));
    }
    let chosen = choice::select(work::every_check(&work), &args.choice.only, &args.choice.skip);
    let mut chosen = chosen.map_err(|unknown| {
        for choice::Unknown { what, help } in unknown {
            screen.problem("foobar::checks", &what, &help);
        }
        Exit::Usage
    })?;
    if !chosen.iter().any(|check| work.limit.contains(&check.host)) {
        screen.problem(
            "foobar::checks",
            "--limit leaves no check: what is left of them is made from other hosts",
            "widen --limit, or --only and --skip; `foobar verify --list-checks` prints every name with its hosts",
        );
        return Err(Exit::Usage);
    }
    if args.choice.list_checks {
        chosen.retain(|check| work.limit.contains(&check.host));
        screen.data(&listed(&work, chosen, format));
        return Ok(Exit::Done);
    }
    for file in [&args.out, &args.report].into_iter().flatten() {
        local::can_write(file).map_err(|why| cannot_write(screen, &why))?;
    }
    if let Some(every) = args.choice.watch {
        return watch(screen, args, work, every).await;
    }
    let made = make_as_served(screen, &mut work, args).await;
    if args.out.is_none() {
        screen.data(&told(on_stdout(screen), &work, &made, format));
    }
    files(screen, args, &work, &made)?;
    Ok(ended(screen, &work, &made))
}

/// Makes checks and tells how they ended.
pub async fn prove(screen: &Screen, work: &Work, checks: &[Check], is_json: bool) -> Exit {
    let made = make(screen, work, checks).await;
    let format = if is_json { VerifyFormat::Json } else { VerifyFormat::Human };
    screen.data(&told(on_stdout(screen), work, &made, format));
    ended(screen, work, &made)
}

/// Makes the checks that were chosen. What is claimed of roles that the database's servers do not have says nothing of the
/// site: where they have others, it is made anew by those.
async fn make_as_served(screen: &Screen, work: &mut Work, args: &VerifyArgs) -> Made {
    let is_round = args.choice.watch.is_some();
    let chosen = |work: &Work| {
        let mut left = choice::left(work::every_check(work), &args.choice.only, &args.choice.skip);
        left.retain(|check| work.limit.contains(&check.host));
        left
    };
    let started = Instant::now();
    let mut made = make(screen, work, &chosen(work)).await;
    let is_closed = |c: &Checked| c.title == WRITABLE && matches!(c.verdict, Verdict::Fail(_));
    if made.checks.iter().any(is_closed)
        && let Some(live) = Live::asked(screen, &work.site, &work.saved.topology.name, &work.ssh).await
    {
        screen.clear();
        if is_round {
            screen.begin_round();
        } else {
            screen.begin_anew();
            live.tell(screen, "proved");
        }
        work.site = live.site.clone();
        let mut checks = chosen(work);
        checks.push(live.check());
        made = make(screen, work, &checks).await;
        made.took = started.elapsed();
    }
    made
}

async fn make(screen: &Screen, work: &Work, checks: &[Check]) -> Made {
    let started = Instant::now();
    let outcome = engine::verify::verify(&work.ssh, checks, &screen.events()).await;
    screen.clear();
    let checks = screen.show().record().checks().to_vec();
    Made { checks, errors: outcome.errors, took: started.elapsed(), at: local::now() }
}

/// As it stands on stdout.
fn on_stdout(screen: &Screen) -> checks::View {
    checks::View { palette: screen.out, width: screen.out_width(), quiet: screen.verbosity == Verbosity::Quiet }
}

fn told(view: checks::View, work: &Work, made: &Made, format: VerifyFormat) -> String {
    let (site, verified) = (&work.site.topology.site, made.verified(work));
    match format {
        VerifyFormat::Human => checks::text(&made.checks, made.took, view),
        VerifyFormat::Json => json::verify(site, &made.checks, millis(made.took)),
        VerifyFormat::Junit => ci::junit(&verified),
        VerifyFormat::Tap => ci::tap(&verified),
        VerifyFormat::Prometheus => ci::prometheus(&verified),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The files that are asked for.
fn files(screen: &Screen, args: &VerifyArgs, work: &Work, made: &Made) -> Result<(), Exit> {
    if let Some(file) = &args.out {
        let view = checks::View { palette: screen.file, width: None, ..on_stdout(screen) };
        write(screen, file, &told(view, work, made, args.format()))?;
    }
    if let Some(file) = &args.report {
        let verified = made.verified(work);
        let when = local::moment(verified.at);
        let view = page::View { verified, site: &work.site, away: &made.errors, when: &when };
        write(screen, file, &page::html(&view))?;
    }
    Ok(())
}

fn write(screen: &Screen, file: &Path, text: &str) -> Result<(), Exit> {
    local::write_shared(file, text).map_err(|why| cannot_write(screen, &why))
}

fn cannot_write(screen: &Screen, why: &str) -> Exit {
    screen.problem("foobar::local", why, "name a file that you may write");
    Exit::Failed
}

/// What else is to be said, and the exit status.
fn ended(screen: &Screen, work: &Work, made: &Made) -> Exit {
    carry::trips(screen, work);
    screen.silent(&made.errors);
    status(made)
}

fn status(made: &Made) -> Exit {
    if made.checks.iter().any(|c| matches!(c.verdict, Verdict::Fail(_))) {
        Exit::CheckFailed
    } else if let Some(error) = made.errors.first() {
        error.kind.into()
    } else if made.checks.iter().any(|c| matches!(c.verdict, Verdict::Error(_))) {
        Exit::Failed
    } else {
        Exit::Done
    }
}

/// The names of checks, each once with the hosts that it is made from.
fn listed(work: &Work, mut checks: Vec<Check>, format: VerifyFormat) -> String {
    checks.sort_by_key(|c| (c.name(), c.host.clone()));
    if format == VerifyFormat::Json {
        return json::checks(&work.site.topology.site, &checks);
    }
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for check in &checks {
        match lines.last_mut().filter(|(name, _)| *name == check.name()) {
            Some((_, hosts)) => hosts.push(check.host.to_string()),
            None => lines.push((check.name(), vec![check.host.to_string()])),
        }
    }
    lines.iter().map(|(name, hosts)| format!("{name}  {}\n", hosts.join(", "))).collect()
}

/// Round after round until somebody ends it. The status is the last whole round's.
async fn watch(screen: &Screen, args: &VerifyArgs, mut work: Work, every: Duration) -> Result<Exit, Exit> {
    let (mut memory, mut last) = (Memory::default(), Exit::Interrupted);
    let (format, declared) = (args.format(), work.site.clone());
    let rounds = async {
        loop {
            screen.begin_round();
            let started = Instant::now();
            work.site = declared.clone();
            let made = make_as_served(screen, &mut work, args).await;
            let away: BTreeSet<_> = made.errors.iter().map(|e| e.host.clone()).collect();
            let round = memory.round(&made.checks, &away);
            files(screen, args, &work, &made)?;
            if !round.is_quiet() {
                screen.data(&match format == VerifyFormat::Json && args.out.is_none() {
                    true => json::watched(&round.changed, round.tally, millis(made.took)),
                    false => round.text(&local::clock(), screen.out, screen.out_width()),
                });
            }
            last = status(&made);
            tokio::time::sleep(every.saturating_sub(started.elapsed())).await;
        }
    };
    let ended: Result<(), Exit> = tokio::select! {
        ended = rounds => ended,
        () = lock::interrupted() => Ok(()),
    };
    screen.clear();
    ended.map(|()| last)
}

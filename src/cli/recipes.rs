//! One short recipe a command.

use super::{
    args::{
        CaArgs, ValidateArgs,
        change::{ApplyArgs, PlanArgs},
    },
    carry,
    exit::Exit,
    gather, history,
    screen::Screen,
    sealed,
    work::{self, Work},
};
use crate::{
    base::script::Script,
    component::{names::SITE_CA, spec::Certificate},
    report::{self, Verbosity, json, plan},
    topology::spof,
    transport::Transport as _,
};

/// `foobar validate`
pub fn validate(screen: &Screen, args: &ValidateArgs) -> Result<Exit, Exit> {
    if args.json.json {
        let (findings, singles, exit) =
            match gather::gather(&args.site.file, args.site.inventory.as_deref(), args.site.templates.as_deref()) {
                Ok(gathered) => (gathered.warnings.findings(), spof::all(&gathered.site.topology), Exit::Done),
                Err(gather::Failure::Invalid(report)) => (report.findings(), Vec::new(), Exit::Usage),
                Err(failure) => return Err(screen.failure(&failure)),
            };
        screen.data(&json::findings(&findings, &singles));
        return Ok(exit);
    }
    let gather::Gathered { site, warnings, .. } = work::read(screen, &args.site)?;
    screen.report(&warnings);
    // Rendering finds what reading can't: a template of the user's own with a mistake in it.
    work::compile(screen, &site)?;
    screen.data(&format!(
        "{} is valid: {} on {} hosts.\n",
        args.site.file.display(),
        site.topology.site,
        site.hosts().count()
    ));
    if screen.verbosity > Verbosity::Quiet {
        screen.data(&format!("\n{}", report::spof::text(&spof::all(&site.topology), screen.out)));
    }
    Ok(Exit::Done)
}

/// `foobar plan`
pub async fn plan(screen: &Screen, args: &PlanArgs) -> Result<Exit, Exit> {
    let mut work = Work::new(screen, &args.site, &args.reach, Some(&args.limit))?;
    work.reseed = args.reseed.hosts();
    if args.limit.list_hosts {
        return Ok(work.list(screen, &args.json));
    }
    let look = work.look(screen, args.removal.removal()).await?;
    history::note(screen, &look);
    let singles = spof::all(&work.site.topology);
    if let Some(line) = report::spof::line(&singles) {
        screen.say(&line);
    }
    match args.json.json {
        true => screen.data(&json::plan_after(&look.plan, &look.cut_off, &look.notes, &singles)),
        false => screen.data(&plan::text(&look.plan, &carry::view(screen, args.diff.style()))),
    }
    carry::bounded(screen, &args.bound, &look.plan)?;
    if let Some(file) = &args.out {
        sealed::keep(screen, args, &work, &look, file)?;
    }
    carry::trips(screen, &work);
    Ok(if args.detailed_exitcode && !look.plan.is_empty() { Exit::Pending } else { Exit::Done })
}

/// `foobar apply`
pub async fn apply(screen: &Screen, args: &ApplyArgs) -> Result<Exit, Exit> {
    if let Some(file) = &args.saved {
        return sealed::apply(screen, args, file).await;
    }
    let mut work = Work::new(screen, &args.site, &args.reach, Some(&args.limit))?;
    work.reseed = args.reseed.hosts();
    if args.limit.list_hosts {
        return Ok(work.list(screen, &args.json));
    }
    let order = carry::Order {
        command: "apply",
        removal: args.removal.removal(),
        wait: args.wait.lock_timeout,
        json: args.json.json,
        diff: args.diff.style(),
        undoes: !args.undo.no_rollback,
    };
    carry::run(screen, &work, &order, async |look| {
        carry::show(screen, &order, &look.plan);
        carry::bounded(screen, &args.bound, &look.plan)?;
        carry::agree(screen, &look.plan, args.yes, "Apply these changes?").await
    })
    .await
}

/// `foobar ca`
pub async fn ca(screen: &Screen, args: &CaArgs) -> Result<Exit, Exit> {
    let work = Work::new(screen, &args.site, &args.reach, None)?;
    let desired = work::compile(screen, &work.site)?;
    let authority = desired.secrets.iter().find(|s| s.name == SITE_CA);
    let from = match &work.site.topology.tls.certificate {
        Certificate::Acme(_) => "an ACME directory",
        _ => "files of yours",
    };
    // The authority of an interim certificate is nobody's to trust.
    let Some(authority) = authority.filter(|_| from != "an ACME directory") else {
        screen.problem(
            "foobar::ca",
            &format!("the site has no authority of its own: its certificate comes from {from}"),
            "browsers trust it if they trust whoever signed it",
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
        let pem = String::from_utf8_lossy(&reply.stdout).into_owned();
        if reply.status == 0 && pem.contains("BEGIN CERTIFICATE") {
            let text = if args.json.json { json::authority(&work.site.topology.site, &pem) } else { pem };
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

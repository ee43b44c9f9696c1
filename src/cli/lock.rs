//! `foobar lock`, and how a command that writes comes by its hosts, keeps them and gives them back, also when it is
//! interrupted.

use super::{
    args::lock::LockArgs,
    exit::Exit,
    held::{is_dead, lost, seat},
    local,
    screen::Screen,
    work::Work,
};
use crate::{
    base::{digest::hex, name::HostName},
    engine::lease::Leases,
    plan::lease::{self, Claim, HELD, Lease, TTL},
    report::leases,
    transport::{Reply, Transport as _, TransportError},
};
use futures_util::future::join_all;
use tokio::signal::unix::{SignalKind, signal};

/// The leases that a command wants on its hosts; none is taken yet.
pub fn leases(screen: &Screen, work: &Work, command: &str) -> Result<Leases, Exit> {
    let mut run = [0; 8];
    getrandom::fill(&mut run).map_err(|error| {
        let what = format!("the system gave no random bytes: {error}");
        screen.problem("foobar::local", &what, "this run needs a name of its own; see the system's log");
        Exit::Failed
    })?;
    let claim = Claim {
        run: hex(&run),
        holder: local::somebody(),
        command: format!("foobar {command}"),
        pid: std::process::id(),
        seat: seat(std::process::id()).unwrap_or_default(),
        ttl: TTL,
    };
    Ok(Leases::new(claim, work.taken(), is_dead))
}

/// Runs `body` under leases that it takes by itself: they are renewed while it runs and given back when it has ended,
/// whatever its end. Where one is taken away while nothing has been begun, it is dropped.
pub async fn under(
    screen: &Screen,
    work: &Work,
    leases: &Leases,
    body: impl Future<Output = Result<Exit, Exit>>,
) -> Result<Exit, Exit> {
    let ended = tokio::select! {
        ended = body => ended,
        (host, lease) = leases.keep(&work.ssh) => {
            screen.clear();
            lost(screen, &host, &lease);
            Err(Exit::Locked)
        }
        () = interrupted() => {
            say_interrupted(screen);
            Err(Exit::Interrupted)
        }
    };
    tokio::select! {
        () = leases.release(&work.ssh) => {}
        () = interrupted() => {}
    }
    ended
}

/// Waits until the user or the system wants this process to end.
pub async fn interrupted() {
    match signal(SignalKind::terminate()) {
        Ok(mut term) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = term.recv() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

/// Says that it was.
pub fn say_interrupted(screen: &Screen) {
    screen.clear();
    screen.problem(
        "foobar::interrupted",
        "interrupted; steps that had begun on a host end there by themselves",
        "`foobar plan` shows what is left",
    );
}

/// `foobar lock`
pub async fn run(screen: &Screen, args: &LockArgs) -> Result<Exit, Exit> {
    let work = Work::new(screen, &args.site, &args.reach, Some(&args.limit))?;
    let hosts: Vec<&HostName> = work.hosts.iter().filter(|h| work.limit.contains(*h)).collect();
    if args.limit.list_hosts {
        return Ok(work.list(screen, &args.json));
    }
    let show = lease::show();
    let replies = join_all(hosts.iter().map(|host| work.ssh.run(host, &show, &|_| {}))).await;
    let (mut found, mut silent) = (Vec::new(), Vec::new());
    for (host, reply) in hosts.into_iter().zip(replies) {
        match reply.and_then(|reply| read(host, &reply)) {
            Ok(lease) => found.push((host.clone(), lease)),
            Err(error) => silent.push(error),
        }
    }
    screen.data(&match args.json.json {
        true => leases::json(&work.site.topology.site, &found),
        false => leases::text(&found, screen.out),
    });
    screen.silent(&silent);
    if args.take_away {
        take_away(screen, &work, args, &found).await?;
    }
    Ok(silent.first().map_or(Exit::Done, |error| error.kind.into()))
}

fn read(host: &HostName, reply: &Reply) -> Result<Lease, TransportError> {
    Lease::read(&reply.stdout).ok_or_else(|| TransportError {
        host: host.clone(),
        kind: crate::transport::TransportErrorKind::Lost,
        what: format!("its lease could not be read (status {}): {}", reply.status, reply.stderr.trim()),
        help: "log in by hand and see that /proc and flock(1) are there".into(),
    })
}

/// Takes away what was shown, and nothing that came since.
async fn take_away(screen: &Screen, work: &Work, args: &LockArgs, found: &[(HostName, Lease)]) -> Result<(), Exit> {
    let wanted: Vec<&(HostName, Lease)> = found.iter().filter(|(_, l)| l.is_held()).collect();
    if wanted.is_empty() {
        screen.say("No host is held: there is nothing to break.");
        return Ok(());
    }
    let mut busy = false;
    for (host, lease) in wanted.iter().filter(|(_, l)| l.is_busy) {
        still_at_work(screen, host, lease);
        busy = true;
    }
    if busy {
        return Err(Exit::Locked);
    }
    if !args.yes {
        let question =
            "\nTake these leases away? A run that still lives stops at its next command. Only `yes` is taken as one:";
        match screen.consent(question).await {
            Some(true) => {}
            Some(false) => {
                screen.say("Nothing was changed.");
                return Err(Exit::Failed);
            }
            None => {
                let help = "look at them, then run it with --yes";
                screen.problem("foobar::consent", "there is no terminal to ask on, and nothing was changed", help);
                return Err(Exit::Usage);
            }
        }
    }
    let each = wanted.iter().map(|(host, lease)| async move {
        let script = lease::take_away(&lease.run);
        (host, work.ssh.run(host, &script, &|_| {}).await)
    });
    let mut worst = None;
    for (host, reply) in join_all(each).await {
        match reply {
            Ok(reply) if reply.status == 0 => screen.say(&format!("{host}: taken away")),
            Ok(reply) => match Lease::read(&reply.stdout).filter(|_| reply.status == HELD) {
                Some(lease) if lease.is_busy => {
                    still_at_work(screen, host, &lease);
                    worst = Some(Exit::Locked);
                }
                Some(_) => screen.say(&format!("{host}: it was given back meanwhile, or is another run's now")),
                None => {
                    let what = format!("{host}: the lease could not be taken away: {}", reply.stderr.trim());
                    screen.problem("foobar::locked", &what, "see that root can write below /var/lib");
                    worst = worst.or(Some(Exit::Failed));
                }
            },
            Err(error) => {
                screen.silent(std::slice::from_ref(&error));
                worst = worst.or(Some(error.kind.into()));
            }
        }
    }
    worst.map_or(Ok(()), Err)
}

fn still_at_work(screen: &Screen, host: &HostName, lease: &Lease) {
    screen.problem(
        "foobar::locked",
        &format!("{host}: a command is at work there this moment, and its lock is not to be broken: {}", lease.who()),
        "two runs at once leave a host that neither meant: wait until it has ended, or end it on that host",
    );
}

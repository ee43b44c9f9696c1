//! Whether another run that holds a host is known to be gone, and what is said where a host is another run's. Taking hosts,
//! and taking them away, is not decided here.

use super::{exit::Exit, screen::Screen};
use crate::{base::name::HostName, engine::observe::Blocked, plan::lease::Lease};
use std::fs;

/// This boot of this machine, this space of process numbers, and when process `pid` began.
pub fn seat(pid: u32) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = fs::read_link("/proc/self/ns/pid").ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything; the 20th field behind it is the time it began (proc_pid_stat(5)).
    let began = stat.rsplit_once(") ")?.1.split(' ').nth(19)?.to_owned();
    Some(format!("{} {} {began}", boot.trim(), space.display()))
}

/// Whether a lease's holder ran here and runs no more: then nobody has to wait for the lease's end.
pub fn is_dead(lease: &Lease) -> bool {
    let place = |seat: &str| seat.rsplit_once(' ').map(|(place, _)| place.to_owned());
    let Some(own) = seat(std::process::id()) else { return false };
    place(&own) == place(&lease.seat) && lease.pid != 0 && seat(lease.pid).as_ref() != Some(&lease.seat)
}

/// Says why a run did not get its hosts.
pub fn blocked(screen: &Screen, blocked: &Blocked) -> Exit {
    if !blocked.errors.is_empty() {
        screen.silent(&blocked.errors);
        return blocked.errors.first().map_or(Exit::Failed, |e| e.kind.into());
    }
    for (host, lease) in &blocked.held {
        let help = match lease.is_live() {
            true => format!(
                "wait until it has ended (--lock-timeout 10m does), or see how far it is with `foobar lock`; if that run is \
                 dead, its lease is over in {} s by itself",
                lease.seconds
            ),
            false => "that run is gone, and a command that it began still works there: wait until it has ended \
                      (--lock-timeout 10m does)"
                .into(),
        };
        screen.problem("foobar::locked", &format!("{host}: another run is at work there: {}", lease.who()), &help);
    }
    Exit::Locked
}

/// Says that a lease is this run's no more.
pub fn lost(screen: &Screen, host: &HostName, lease: &Lease) {
    let now = match lease.is_held() {
        true => format!("it is another run's now: {}", lease.who()),
        false => "nobody holds it now".into(),
    };
    screen.problem(
        "foobar::locked",
        &format!("{host}: the lease of this run was taken away, and nothing more was begun there; {now}"),
        "somebody used `foobar lock --break`, or this run was held up for longer than its lease; `foobar plan` shows what is left",
    );
}

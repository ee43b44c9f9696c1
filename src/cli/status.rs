//! `foobar status`: asks every host a little at once, and shows what they say on one screen; again and again where that is
//! asked for.

use super::{
    args::status::StatusArgs,
    exit::Exit,
    local, lock,
    screen::Screen,
    work::{self, Work},
};
use crate::{
    base::{name::HostName, script::Script},
    component::{
        Desired,
        status::{self as glances, Glance},
    },
    engine,
    plan::observe,
    report::{
        Verbosity,
        status::{self, Row, View},
        terminal_size,
    },
    transport::TransportError,
};
use std::{
    collections::BTreeMap,
    io::{IsTerminal as _, stdout},
    time::{Duration, Instant},
};

/// Seconds that a host may take to answer once it can be spoken to.
const PATIENCE: Duration = Duration::from_secs(20);

/// A site whose hosts are looked at.
struct Looker<'a> {
    screen: &'a Screen,
    work: &'a Work,
    desired: Desired,
    asked: Vec<(HostName, Script)>,
    longest: Duration,
}

/// `foobar status`
pub async fn run(screen: &Screen, args: &StatusArgs) -> Result<Exit, Exit> {
    let work = Work::without_secrets(screen, &args.site, &args.reach, &args.limit)?;
    let desired = work::compile(screen, &work.site)?;
    let script = |host: &HostName| observe::side_by_side(&glances::probes(&work.site, &desired, host));
    let hosts = work.hosts.iter().filter(|host| work.limit.contains(*host));
    let asked: Vec<(HostName, Script)> = hosts.map(|host| (host.clone(), script(host))).collect();
    // So many connections are begun at once; the last host waits for all turns before its own.
    let turns = u32::try_from(asked.len().div_ceil(args.reach.parallel.max(1))).unwrap_or(u32::MAX);
    let longest = args.reach.connect_timeout.saturating_mul(turns).saturating_add(PATIENCE);
    let looker = Looker { screen, work: &work, desired, asked, longest };
    match args.watch {
        Some(every) => Ok(watch(&looker, args.json.json, every).await),
        None => {
            let rows = looker.look().await;
            screen.data(&match args.json.json {
                true => status::json(&work.site.topology.site, local::now(), &rows),
                false => looker.text(&rows),
            });
            Ok(ended(&rows))
        }
    }
}

impl Looker<'_> {
    async fn look(&self) -> Vec<Row> {
        let answers = engine::glance::glance(&self.work.ssh, &self.asked, self.longest, &self.screen.events()).await;
        self.screen.clear();
        let (site, now) = (&self.work.site, local::now());
        let mut seen: BTreeMap<HostName, Glance> = BTreeMap::new();
        let mut silent: BTreeMap<HostName, TransportError> = BTreeMap::new();
        for ((host, _), answer) in self.asked.iter().zip(answers) {
            match answer {
                Ok(answer) => drop(seen.insert(host.clone(), glances::read(site, &self.desired, host, &answer, now))),
                Err(error) => drop(silent.insert(host.clone(), error)),
            }
        }
        glances::compare(site, &mut seen);
        let row = |(host, _): &(HostName, Script)| {
            let found = match silent.remove(host) {
                Some(error) => Err(error),
                None => Ok(seen.remove(host).unwrap_or_default()),
            };
            Row { host: host.clone(), roles: glances::roles(site, host), found }
        };
        self.asked.iter().map(row).collect()
    }

    fn text(&self, rows: &[Row]) -> String {
        let (palette, width) = (self.screen.out, terminal_size(&stdout()).0.clamp(40, 100));
        let quiet = self.screen.verbosity == Verbosity::Quiet;
        status::text(&self.work.site.topology.site, &local::clock(), rows, View { palette, width, quiet })
    }
}

fn ended(rows: &[Row]) -> Exit {
    let is_down = rows.iter().any(|row| row.found.as_ref().is_ok_and(|glance| !glance.faults.is_empty()));
    match rows.iter().find_map(|row| row.found.as_ref().err()) {
        _ if is_down => Exit::CheckFailed,
        Some(error) => error.kind.into(),
        None => Exit::Done,
    }
}

/// Round after round until somebody ends it. The status is the last whole round's.
async fn watch(looker: &Looker<'_>, is_json: bool, every: Duration) -> Exit {
    let screen = looker.screen;
    let is_drawn = stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb") && !is_json;
    let mut last = Exit::Interrupted;
    let rounds = async {
        loop {
            let started = Instant::now();
            let rows = looker.look().await;
            // The first round shows its progress; later ones would blur what stands there.
            screen.hush();
            let text = || looker.text(&rows);
            screen.data(&match (is_json, is_drawn) {
                (true, _) => status::line(&looker.work.site.topology.site, local::now(), &rows),
                (false, true) => status::drawn(&text(), terminal_size(&stdout()).1),
                (false, false) if last == Exit::Interrupted => text(),
                (false, false) => format!("\n{}", text()),
            });
            last = ended(&rows);
            tokio::time::sleep(every.saturating_sub(started.elapsed())).await;
        }
    };
    tokio::select! {
        () = rounds => {}
        () = lock::interrupted() => {}
    }
    last
}

//! `foobar drill`: what is taken away and from where it is watched, the question before it, and what is said after it.

use super::{args::drill::DrillArgs, exit::Exit, gather, held, live::Live, lock, screen::Screen, work::Work};
use crate::{
    base::{
        digest::sha256,
        name::HostName,
        script::{Script, quote},
    },
    component::{drill as parts, site::Site},
    engine::drill::{self, AFTER, Drill, Ended},
    report,
    resource::armed::Armed,
};
use std::{collections::BTreeSet, time::Duration};

/// What is taken away.
struct Target {
    host: HostName,
    /// Its units, as they are stopped; started the other way round.
    units: Vec<String>,
}

/// Finds what the user means, and says whether it may be taken away.
fn target(site: &Site, what: &str) -> Result<Target, (String, String)> {
    checked(site, found(site, what)?)
}

/// Finds what the user means; the error says what there is.
fn found(site: &Site, what: &str) -> Result<Target, (String, String)> {
    let (part, at) = what.split_once('@').map_or((what, None), |(part, host)| (part, Some(host)));
    let services = |host: &HostName| parts::services(site, host).unwrap_or_default();
    if let (None, Some(host)) = (at, site.hosts().find(|h| h.as_str() == part)) {
        let units = services(host).into_iter().flat_map(|(_, units)| units).collect();
        return Ok(Target { host: host.clone(), units });
    }
    let known: BTreeSet<&str> =
        site.hosts().flat_map(|host| services(host).into_iter().map(|(part, _)| part)).collect();
    let found = site.hosts().filter(|host| at.is_none_or(|at| host.as_str() == at)).find_map(|host| {
        let (_, units) = services(host).into_iter().find(|(name, _)| *name == part)?;
        Some(Target { host: host.clone(), units })
    });
    let Some(found) = found else {
        let hosts: Vec<&str> = site.hosts().map(HostName::as_str).collect();
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        let help = format!("name a host ({}), a component ({known}), or COMPONENT@HOST", hosts.join(", "));
        return Err((format!("nothing in the topology is called {what}"), help));
    };
    // The first replica is meant, not the primary: that one may not be taken away.
    let is_primary = |t: &Target| part == "mysql" && site.topology.mysql.as_ref().is_some_and(|m| m.primary == t.host);
    let replica = site.topology.mysql.as_ref().and_then(|m| m.replicas.first());
    match replica.filter(|_| at.is_none() && is_primary(&found)) {
        Some(host) => Ok(Target { host: host.clone(), ..found }),
        None => Ok(found),
    }
}

fn checked(site: &Site, target: Target) -> Result<Target, (String, String)> {
    let host = &target.host;
    if target.units.is_empty() {
        return Err((format!("foobar runs nothing on {host}"), "name a host that something runs on".into()));
    }
    let database = parts::services(site, host).unwrap_or_default().into_iter().find(|(part, _)| *part == "mysql");
    let holds = database.is_some_and(|(_, units)| units.iter().any(|unit| target.units.contains(unit)));
    if holds && site.topology.mysql.as_ref().is_some_and(|m| m.primary == *host) {
        let what = format!("{host} has the primary, which comes back read-only: writes would wait for an apply");
        return Err((what, format!("take away a component beside it: foobar drill nginx@{host}")));
    }
    Ok(target)
}

/// The host that asks: one that nothing is taken away from, rather not a balancer.
fn viewer<'a>(site: &'a Site, target: &HostName) -> Option<&'a HostName> {
    let balancers: Vec<&HostName> = site.topology.haproxy.iter().flat_map(|h| &h.on).collect();
    let others = || site.hosts().filter(|h| *h != target);
    others().find(|h| !balancers.contains(h)).or_else(|| others().next())
}

/// `foobar drill`
pub async fn run(screen: &Screen, args: &DrillArgs) -> Result<Exit, Exit> {
    let files = &args.site;
    let gathered = gather::without_secrets(&files.file, files.inventory.as_deref(), files.templates.as_deref());
    let gathered = gathered.map_err(|failure| screen.failure(&failure))?;
    let refuse = |what: &str, help: &str| {
        screen.problem("foobar::drill", what, help);
        Exit::Usage
    };
    found(&gathered.site, &args.what).map_err(|(what, help)| refuse(&what, &help))?;
    if gathered.site.topology.haproxy.is_none() {
        return Err(refuse("without a balancer there is nothing to ask", "add `haproxy: { on: [lb-01] }`"));
    }
    let mut work = Work::of(screen, gathered, &args.reach, None)?;
    // Which server may not be taken away, the servers say.
    if let Some(live) = Live::asked(screen, &work.site, &work.saved.topology.name, &work.ssh).await {
        live.tell(screen, "drilled");
        work.site = live.site;
    }
    let target = target(&work.site, &args.what).map_err(|(what, help)| refuse(&what, &help))?;
    let host = target.host.clone();
    let Some(from) = viewer(&work.site, &host).cloned() else {
        return Err(refuse("there is no other host to ask from", "a drill needs a second host"));
    };
    work.limit = [host.clone()].into();
    let seconds = args.away.as_secs();
    let short: Vec<&str> = target.units.iter().map(|u| u.trim_end_matches(".service")).collect();
    let short = short.join(", ");
    screen.say(&format!(
        "{short} on {host} will be stopped for {seconds} s and started again, while {from} asks for the site. If foobar or its \
         connection dies, {host} starts it by itself."
    ));
    if !args.yes {
        match screen.consent("\nTake it away? Visitors may feel it. Only `yes` is taken as one:").await {
            Some(true) => {}
            Some(false) => {
                screen.say("Nothing was done.");
                return Err(Exit::Failed);
            }
            None => {
                let help = "run it with --yes where it may be felt";
                screen.problem("foobar::consent", "there is no terminal to ask on, and nothing was done", help);
                return Err(Exit::Usage);
            }
        }
    }
    let leases = lock::leases(screen, &work, "drill")?;
    let body = async {
        leases
            .take(&work.ssh, Duration::ZERO, &screen.events())
            .await
            .map_err(|blocked| held::blocked(screen, &blocked))?;
        let token = sha256(&leases.claim().run);
        let within = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_add(30);
        let armed = Armed { name: "drill", former: "the services of a drill", token: &token, within };
        let stop = format!("/run/foobar.drill-{}", &token[..16]);
        let quoted = |units: &[String]| units.iter().map(|u| quote(u)).collect::<Vec<_>>().join(" ");
        let mut started = target.units.clone();
        started.reverse();
        let (stopped, started) = (quoted(&target.units), quoted(&started));
        let drilled = Drill {
            host: &host,
            take: armed.arm(
                &Script::new().line(format!(
                    "for unit in {stopped}; do systemctl is-active -q \"$unit\" || {{ echo \"$unit does not run, and nothing was done\" >&2; exit 1; }}; done"
                )),
                &Script::new().line(format!("systemctl stop {stopped}")),
                &Script::new().line(format!("systemctl reset-failed {started} 2>/dev/null; systemctl start {started}")),
            ),
            back: armed.recall(),
            away: args.away,
            from: &from,
            probe: parts::probe(&work.site, seconds + AFTER.as_secs() + 120, &stop),
            stop: Script::new().line(format!(": >{stop}")),
            is_good: parts::is_good,
        };
        let say = |word: &str| screen.say(&format!("{host}: {short} {word}"));
        let seen = drill::drill(&work.ssh, &drilled, &leases, &say).await;
        screen.silent(&seen.errors);
        let fared = parts::tally(&seen.probe);
        let is_back = seen.ended == Ended::Back(true) && fared.iter().all(|f| f.is_back);
        match seen.ended {
            Ended::Unwell => {
                let help = "`foobar verify` says what is wrong; nothing was taken away";
                screen.problem("foobar::drill", "the site does not answer as it is", help);
            }
            Ended::Failed(why) => {
                let help = format!("see on {host} what runs; what was stopped is started by itself after {within} s");
                screen.problem("foobar::drill", &format!("{host}: {why}"), &help);
            }
            Ended::Back(_) => {
                let told = report::drill::Told { host: &host, units: &target.units, from: &from, seconds, is_back };
                screen.data(&match args.json.json {
                    true => report::drill::json(&work.site.topology.site, &told, &fared),
                    false => report::drill::text(&told, &fared, screen.out),
                });
            }
        }
        Ok(if is_back { Exit::Done } else { Exit::Failed })
    };
    lock::under(screen, &work, &leases, body).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::testing;

    #[test]
    fn a_target_is_a_host_or_a_component_and_never_the_primary() {
        let site = testing::site(testing::topology());
        let of = |what: &str| target(&site, what).map(|t| format!("{}: {}", t.host, t.units.join(" ")));
        assert_eq!(of("lb-01").unwrap(), "lb-01: haproxy.service");
        assert_eq!(
            of("web-02").unwrap(),
            "web-02: nginx.service foobar-app.service foobar-db-watch.service foobar-db-health.service \
             foobar-db-paths.service mariadb.service"
        );
        assert_eq!(of("nginx").unwrap(), "web-01: nginx.service");
        assert_eq!(of("app@web-02").unwrap(), "web-02: foobar-app.service");
        assert_eq!(of("mysql").unwrap(), "web-02: mariadb.service");
        for what in ["web-01", "mysql@web-01"] {
            assert!(of(what).unwrap_err().0.contains("the primary"), "{what}");
        }
        let (what, help) = of("ngnix").unwrap_err();
        assert!(what.contains("ngnix") && help.contains("haproxy") && help.contains("web-02"), "{help}");
        assert!(of("haproxy@web-01").is_err() && of("firewall").is_err());
        assert_eq!(viewer(&site, &"web-01".parse().unwrap()).unwrap().as_str(), "web-02");
    }
}

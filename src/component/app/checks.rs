//! What proves the application live: its unit, the release that truly runs, an answer through the whole stack, and a row
//! that is written through the site and read back from a replica.

use super::{local, release_name};
use crate::{
    base::{name::HostName, script::CLOCK},
    component::{
        Check, Verdict, http,
        names::{APP_ROOT, APP_UNIT},
        site::Site,
        spec::{App, Canary},
        viewer,
    },
};

const NAME: &str = "app";

/// Every check of the application.
pub fn all(site: &Site) -> Vec<Check> {
    let Some(app) = &site.topology.app else { return Vec::new() };
    let mut checks = Vec::new();
    for host in &app.on {
        checks.push(Check::unit(NAME, host, APP_UNIT));
        checks.push(healthy(site, app, host));
        checks.extend(site.release.as_ref().map(|release| runs(release_name(release), host)));
    }
    let balancers = site.topology.haproxy.as_ref().map(|h| h.on.as_slice()).unwrap_or_default();
    if let (Some(balancer), Some(from)) = (balancers.first(), viewer(site, balancers)) {
        checks.push(through(site, app, balancer, from));
        checks.extend(app.canary.as_ref().map(|canary| row(site, canary, balancer, from)));
    }
    checks
}

fn healthy(site: &Site, app: &App, host: &HostName) -> Check {
    let (at, path) = (local(app), &app.health);
    let script = http::getter().line(format!("get {} {} {path} {}", at.ip(), at.port(), site.topology.site));
    Check::new(NAME, host, format!("it answers {path}"), script, move |answer| match http::first(answer) {
        Some(response) => Verdict::when(response.status == 200, response.status.to_string()),
        None => Verdict::Fail(format!("nothing answers on {at}")),
    })
}

/// The process's working directory was resolved when it started: it tells which release is in memory.
fn runs(name: String, host: &HostName) -> Check {
    let script = crate::base::script::Script::new()
        .line(format!("readlink {APP_ROOT}/current"))
        .line(format!("readlink \"/proc/$(systemctl show --value -p MainPID {APP_UNIT})/cwd\""));
    Check::new(NAME, host, format!("it runs release {name}"), script, move |answer| {
        let lines: Vec<&str> = answer.stdout.lines().map(|l| l.rsplit('/').next().unwrap_or(l)).collect();
        match lines[..] {
            [current, running] if current == name && running == name => Verdict::Pass("on disk and in memory".into()),
            [current, running] if current == name => Verdict::Fail(format!("it runs {running}; a restart is due")),
            [current, _] => Verdict::Fail(format!("it is on {current}; `foobar plan` shows the way")),
            _ => Verdict::Fail("it does not run".into()),
        }
    })
}

fn through(site: &Site, app: &App, balancer: &HostName, from: &HostName) -> Check {
    let request = http::request(site, app.health.as_str(), "", true);
    let script = http::asker(site, http::PATIENCE)
        .line(format!("printf '{request}' | ask {}", http::at(site.address(balancer), 443)));
    Check::new(NAME, from, "the site is healthy through the balancer", script, |answer| match http::first(answer) {
        Some(response) => Verdict::when(
            response.status == 200,
            format!("{} from {}", response.status, response.header("x-served-by").unwrap_or("nobody in particular")),
        ),
        None => Verdict::Fail("no answer over verified TLS".into()),
    })
}

/// Writes a token through the site, then asks the site for it until it shows, for as long as a replica may be behind.
fn row(site: &Site, canary: &Canary, balancer: &HostName, from: &HostName) -> Check {
    let name = &site.topology.site;
    let lag = site.topology.mysql.as_ref().map_or(0, |m| m.max_lag.duration().as_millis());
    // At least a second beyond the lag, for the requests themselves; never so long that nobody waits for it. By the clock,
    // not by tries: where a replica is gone, each try takes its whole timeout.
    let within = (lag + 1000).clamp(1000, 10_000);
    let at = http::at(site.address(balancer), 443);
    let field = &canary.field;
    let script = http::asker(site, http::IMPATIENCE)
        .line("token=foobar-verify-$(od -An -N8 -tx1 /dev/urandom | tr -d ' \\n')")
        .line(format!("body={field}=$token"))
        .line(format!(
            "printf 'POST {} HTTP/1.1\\r\\nHost: {name}\\r\\nUser-Agent: foobar\\r\\nContent-Type: application/x-www-form-urlencoded\\r\\nContent-Length: %s\\r\\nConnection: close\\r\\n\\r\\n%s' \"${{#body}}\" \"$body\" | ask {at} | head -n 1 | tr -d '\\r'",
            canary.write
        ))
        .line(CLOCK)
        .line("began=$(clock)")
        .line(format!(
            "until printf '{}' | ask {at} | grep -aqF \"$token\"; do [ $(($(clock) - began)) -lt {within} ] || exit 1; sleep 0.1; done",
            http::request(site, canary.read.as_str(), "", true)
        ))
        .line("echo \"read back after $(($(clock) - began)) ms\"");
    let title = match site.topology.mysql.as_ref().is_some_and(|m| !m.replicas.is_empty()) {
        true => "a row written through the site is read from a replica",
        false => "a row written through the site is read back",
    };
    Check::new(NAME, from, title, script, |answer| {
        let status = answer.stdout.lines().next().and_then(|l| l.split(' ').nth(1)?.parse::<u16>().ok());
        let told = answer.stdout.lines().find(|l| l.starts_with("read back"));
        match (status, told) {
            (Some(status), _) if status >= 400 => Verdict::Fail(format!("the write was answered {status}")),
            (Some(_), Some(told)) => Verdict::Pass(told.to_owned()),
            (Some(_), None) => Verdict::Fail("the row was written, and did not show in time".into()),
            (None, _) => Verdict::Error("the site does not answer over verified TLS".into()),
        }
    })
}

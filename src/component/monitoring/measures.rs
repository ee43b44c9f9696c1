//! What root alone may look at on a host, measured by a timer and passed on by the exporter of that host: whether what
//! former runs were made from is kept whole, and on balancers how long the certificate is good for altogether. Alerts about
//! it are with all others in the rules.

use super::{
    super::{
        Desired,
        haproxy::CERTIFICATE,
        names::NODE_EXPORTER,
        origin::{Origin, Source as From, Variables, key},
        site::Site,
    },
    balancers,
};
use crate::{
    base::{name::HostName, script::Script, secret::Content, template::TemplateError},
    resource::{
        Impact, Key, Resource,
        files::{File, Files},
        kept,
        service::{Input, Service},
    },
};
use serde::Serialize;

/// What the exporter passes on; Debian's own looks there.
const DIRECTORY: &str = "/var/lib/prometheus/node-exporter";
const OUT: &str = "/var/lib/prometheus/node-exporter/foobar.prom";
const SCRIPT: (&str, &str) = ("/etc/foobar/measures.sh", "monitoring/measures.sh.tera");
/// What measures once.
const UNIT: &str = "foobar-measures.service";
/// What has it measured again and again.
pub const TIMER: &str = "foobar-measures.timer";
const UNIT_FILE: (&str, &str) =
    ("/etc/systemd/system/foobar-measures.service", "monitoring/foobar-measures.service.tera");
const TIMER_FILE: (&str, &str) = ("/etc/systemd/system/foobar-measures.timer", "monitoring/foobar-measures.timer.tera");

#[derive(Serialize)]
struct ScriptContext {
    out: &'static str,
    kept: &'static str,
    generations: &'static str,
    certificate: Option<&'static str>,
}

#[derive(Serialize)]
struct UnitContext<'a> {
    site: &'a str,
    script: &'static str,
    directory: &'static str,
}

#[derive(Serialize)]
struct TimerContext<'a> {
    site: &'a str,
}

fn script_context(site: &Site, host: &HostName) -> ScriptContext {
    let certificate = balancers(site).contains(host).then_some(CERTIFICATE);
    ScriptContext { out: OUT, kept: kept::KEPT, generations: kept::GENERATIONS, certificate }
}

fn unit_context(site: &Site) -> UnitContext<'_> {
    UnitContext { site: site.topology.site.as_str(), script: SCRIPT.0, directory: DIRECTORY }
}

fn timer_context(site: &Site) -> TimerContext<'_> {
    TimerContext { site: site.topology.site.as_str() }
}

/// What a host has for it; what it tells goes by way of the exporter, which is there first.
pub fn resources(site: &Site, host: &HostName, desired: &mut Desired) -> Result<Key, TemplateError> {
    let script = site.templates.render(SCRIPT.1, &script_context(site, host))?;
    let unit = site.templates.render(UNIT_FILE.1, &unit_context(site))?;
    let timer = site.templates.render(TIMER_FILE.1, &timer_context(site))?;
    let [script, unit, timer] = [(SCRIPT, script), (UNIT_FILE, unit), (TIMER_FILE, timer)]
        .map(|((path, _), text)| (path.to_owned(), Content::new(text)));
    let file = |(path, content): &(String, Content)| File::text(path.clone(), content.clone());
    let measures = Files::new("measures", vec![File::directory("/etc/foobar"), file(&script).mode(0o700)]);
    let units = Files::new("measures units", [&unit, &timer].map(file).to_vec());
    let input = |(path, content): (String, Content), from: &Files| Input { path, content, from: from.id() };
    let mut service = Service::new(TIMER);
    service.restart_on = vec![input(script, &measures), input(unit, &units), input(timer, &units)];
    service.before_restart = Some(Script::new().line("systemctl daemon-reload"));
    service.restart_impact = Impact::None;
    service.leaves = vec![OUT.into()];
    service.proof = Some(
        Script::new()
            .line(format!("systemctl start {UNIT} || {{ journalctl -q -u {UNIT} -n 5 -o cat >&2; exit 1; }}"))
            .line(format!("[ -s {OUT} ]")),
    );
    let mut after = vec![desired.want(host, measures, []), desired.want(host, units, [])];
    after.push(Key::new(host, Service::key(NODE_EXPORTER.0)));
    Ok(desired.want(host, service, after))
}

const SCRIPT_VARIABLES: Variables = &[
    ("out", |_| vec![From::Own("what the exporter of the host passes on")]),
    ("kept", |_| vec![From::Own("how foobar tells whether what it kept of a run is whole")]),
    ("generations", |_| vec![From::Own("where foobar keeps what its runs were made from")]),
    ("certificate", |_| vec![key(["haproxy", "on"])]),
];
const UNIT_VARIABLES: Variables = &[
    ("site", |_| vec![key(["site"])]),
    ("script", |_| vec![From::Own("what measures")]),
    ("directory", |_| vec![From::Own("where the exporter of the host looks for more")]),
];
const TIMER_VARIABLES: Variables = &[("site", |_| vec![key(["site"])])];

/// Every file of a host for it.
pub fn origins(site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
    Ok(vec![
        Origin::new(SCRIPT.0, SCRIPT.1, &script_context(site, host), SCRIPT_VARIABLES)?,
        Origin::new(UNIT_FILE.0, UNIT_FILE.1, &unit_context(site), UNIT_VARIABLES)?,
        Origin::new(TIMER_FILE.0, TIMER_FILE.1, &timer_context(site), TIMER_VARIABLES)?,
    ])
}

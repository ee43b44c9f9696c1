//! The certificate from an ACME directory: each balancer has a client and gets one of its own for all names, and all share
//! one account, so that any of them answers whatever is asked of any other. No balancer leads, and no key leaves its host.
//! How challenges are answered is HAProxy's part.

use super::super::{
    Desired, Source,
    haproxy::{CERTIFICATE, CERTIFICATES, SHOWN},
    http,
    names::{ACME_ACCOUNT, HAPROXY_UNIT, KEEPALIVED_UNIT, NSD_UNIT, SITE_CA},
    origin::{At, Origin, Source as From, Variables, address, key, names},
    site::Site,
    spec::Acme,
};
use crate::{
    base::{
        name::HostName,
        script::{Script, quote},
        secret::{Content, Encoding, place},
        template::TemplateError,
    },
    resource::{
        Impact, Key, Probe, Resource,
        acme::{Interim, Issued},
        files::{File, Files},
        ruleset::Ruleset,
        service::{Input, Service},
    },
};
use serde::Serialize;

/// The name that the interim certificate is kept under.
pub const INTERIM: &str = "interim";
/// What runs when a certificate is to be had.
pub const UNIT: &str = "foobar-acme.service";
/// What runs it twice a day.
pub const TIMER: &str = "foobar-acme.timer";

/// Days that an interim certificate is good for.
const DAYS: u32 = 365;
const HOME: &str = "/etc/foobar/acme";
const SCRIPT: (&str, &str) = ("/etc/foobar/acme/certificate.sh", "tls/acme.sh.tera");
const UNIT_FILE: (&str, &str) = ("/etc/systemd/system/foobar-acme.service", "tls/foobar-acme.service.tera");
const TIMER_FILE: (&str, &str) = ("/etc/systemd/system/foobar-acme.timer", "tls/foobar-acme.timer.tera");

#[derive(Serialize)]
struct ScriptContext {
    directory: String,
    email: String,
    names: Vec<String>,
    certificate: &'static str,
    home: &'static str,
    hook: &'static str,
    address: String,
}

#[derive(Serialize)]
struct UnitContext<'a> {
    site: &'a str,
    script: &'static str,
    certificates: &'static str,
}

#[derive(Serialize)]
struct TimerContext<'a> {
    site: &'a str,
}

fn script_context(site: &Site, acme: &Acme, host: &HostName) -> ScriptContext {
    ScriptContext {
        directory: quote(acme.directory.as_str()),
        email: quote(acme.email.as_str()),
        names: site.names().iter().map(|n| n.as_str().to_owned()).collect(),
        certificate: CERTIFICATE,
        home: HOME,
        hook: SCRIPT.0,
        address: super::super::bracketed(site.address(host)),
    }
}

fn unit_context(site: &Site) -> UnitContext<'_> {
    UnitContext { site: site.topology.site.as_str(), script: SCRIPT.0, certificates: CERTIFICATES }
}

fn timer_context(site: &Site) -> TimerContext<'_> {
    TimerContext { site: site.topology.site.as_str() }
}

/// What the balancers have for it.
pub fn resources(site: &Site, acme: &Acme, desired: &mut Desired) -> Result<(), TemplateError> {
    let homes: Vec<HostName> = site.topology.haproxy.iter().flat_map(|h| h.on.clone()).collect();
    let names: Vec<String> = site.names().iter().map(|n| n.as_str().to_owned()).collect();
    desired.secret(ACME_ACCOUNT, Source::Account, homes.clone());
    let common_name = format!("foobar CA of {}", site.topology.site);
    desired.secret(SITE_CA, Source::Authority { common_name, names: names.clone() }, homes.clone());
    desired.secret(INTERIM, Source::Leaf { by: SITE_CA.into(), names: names.clone(), days: DAYS }, homes.clone());
    for host in &homes {
        let part = |kind: &str| place(&format!("{INTERIM}.{kind}"), Encoding::Plain);
        let pem = Content::new(format!("{}\n{}\n", part("crt"), part("key")));
        desired.want(host, Interim { file: File::text(CERTIFICATE, pem), name: "interim certificate".into() }, []);

        let text = |(path, template): (&str, &str), context: &dyn Fn(&str) -> Result<String, TemplateError>| {
            Ok::<_, TemplateError>((path.to_owned(), Content::new(context(template)?)))
        };
        let script = text(SCRIPT, &|t| site.templates.render(t, &script_context(site, acme, host)))?;
        let unit = text(UNIT_FILE, &|t| site.templates.render(t, &unit_context(site)))?;
        let timer = text(TIMER_FILE, &|t| site.templates.render(t, &timer_context(site)))?;
        let client = Files::new(
            "acme client",
            vec![
                File::directory(HOME).mode(0o700),
                File::directory(format!("{HOME}/private")).mode(0o700),
                File::text(format!("{HOME}/private/key.pem"), Content::of(&format!("{ACME_ACCOUNT}.key"))),
                File::text(script.0, script.1).mode(0o700),
            ],
        );
        let files = [&unit, &timer].map(|(path, content)| File::text(path.clone(), content.clone()));
        let units = Files::new("acme units", files.to_vec());
        let input = |(path, content): (String, Content)| Input { path, content, from: units.id() };
        let mut service = Service::new(TIMER);
        service.restart_on = vec![input(unit), input(timer)];
        service.before_restart = Some(Script::new().line("systemctl daemon-reload"));
        service.restart_impact = Impact::None;
        service.leaves = vec![format!("/var/lib/systemd/timers/stamp-{TIMER}")];
        let mut after = vec![desired.want(host, client, []), desired.want(host, units, [])];
        desired.want(host, service, after.clone());

        // Whoever is asked must answer by then: all balancers, by the names that lead to them.
        for balancer in &homes {
            after.extend([HAPROXY_UNIT, KEEPALIVED_UNIT].map(|unit| Key::new(balancer, Service::key(unit))));
        }
        for host in site.hosts() {
            after.extend([Key::new(host, Ruleset::key()), Key::new(host, Service::key(NSD_UNIT))]);
        }
        let issued = Issued {
            path: CERTIFICATE.into(),
            directory: acme.directory.to_string(),
            names: names.clone(),
            unit: UNIT.into(),
            log: "foobar-acme".into(),
            shown: Probe::new(&SHOWN, [CERTIFICATE]),
            service: Service::key(HAPROXY_UNIT),
        };
        desired.want(host, issued, after);
    }
    Ok(())
}

const SCRIPT_VARIABLES: Variables = &[
    ("directory", |_| vec![key(["tls", "certificate", "acme", "directory"])]),
    ("email", |_| vec![key(["tls", "certificate", "acme", "email"])]),
    ("names", |_| names()),
    ("certificate", |_| vec![From::Own("what HAProxy shows")]),
    ("home", |_| vec![From::Own("where the client finds its account's key")]),
    ("hook", |_| vec![From::Own("this very file")]),
    ("address", |at: &At<'_>| vec![address(at.host)]),
];
const UNIT_VARIABLES: Variables = &[
    ("site", |_| vec![key(["site"])]),
    ("script", |_| vec![From::Own("what gets the certificate")]),
    ("certificates", |_| vec![From::Own("where HAProxy has its certificates")]),
];
const TIMER_VARIABLES: Variables = &[("site", |_| vec![key(["site"])])];

/// Every file of a balancer that is rendered for it.
pub fn origins(site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
    let here = site.topology.haproxy.as_ref().is_some_and(|h| h.on.contains(host));
    let Some(acme) = site.acme().filter(|_| here) else { return Ok(Vec::new()) };
    Ok(vec![
        Origin::new(SCRIPT.0, SCRIPT.1, &script_context(site, acme, host), SCRIPT_VARIABLES)?,
        Origin::new(UNIT_FILE.0, UNIT_FILE.1, &unit_context(site), UNIT_VARIABLES)?,
        Origin::new(TIMER_FILE.0, TIMER_FILE.1, &timer_context(site), TIMER_VARIABLES)?,
    ])
}

/// Where the address of a balancer answers challenges.
pub fn challenge(site: &Site, host: &HostName) -> String {
    format!("get {} 80 {}/foobar {}", site.address(host), http::CHALLENGES, site.topology.site)
}

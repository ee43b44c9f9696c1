//! What runs on the host that watches: Prometheus with its rules and its page of the stack, Alertmanager, and what asks
//! for the site as a visitor does.

use super::{
    super::{
        Desired, bracketed, haproxy, keepalived,
        names::{
            ALERTMANAGER, BACKEND, BLACKBOX_EXPORTER, HAPROXY_FRONTEND, HAPROXY_UNIT, MAIL_PASSWORD, PROMETHEUS,
            SITE_CA_FILE, WEBHOOK,
        },
        site::Site,
        spec::{Monitoring, Webhook},
    },
    Daemon, USER, balancers, measured, wait_for, web,
};
use crate::{
    base::{
        digest::sha256,
        name::{HostName, Span},
        script::Script,
        secret::{Content, Encoding, place},
        template::TemplateError,
    },
    resource::{
        Impact, Key, Resource,
        files::{File, Files},
        ruleset::Ruleset,
        service::{Input, Service},
    },
};
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Each file with its template.
pub const CONFIG: (&str, &str) = ("/etc/prometheus/prometheus.yml", "monitoring/prometheus.yml.tera");
pub const RULES: (&str, &str) = ("/etc/prometheus/foobar.rules.yml", "monitoring/rules.yml.tera");
pub const PAGE: (&str, &str) = ("/etc/prometheus/consoles/stack.html", "monitoring/stack.html.tera");
pub const WORDS: (&str, &str) = ("/etc/default/prometheus", "monitoring/prometheus.default.tera");
pub const ALERTS: (&str, &str) = ("/etc/prometheus/alertmanager.yml", "monitoring/alertmanager.yml.tera");
pub const ALERTS_WORDS: (&str, &str) = ("/etc/default/prometheus-alertmanager", "monitoring/alertmanager.default.tera");
pub const PROBE: (&str, &str) = ("/etc/prometheus/blackbox.yml", "monitoring/blackbox.yml.tera");
pub const PROBE_WORDS: (&str, &str) =
    ("/etc/default/prometheus-blackbox-exporter", "monitoring/blackbox-exporter.default.tera");
/// What the login at the mail server is made with.
const MAIL_PASSWORD_FILE: &str = "/etc/prometheus/foobar-mail-password";
const CONSOLES: &str = "/etc/prometheus/consoles";
const TREE: &str = "/etc/prometheus";

/// Where the page of the stack is.
pub const PAGE_PATH: &str = "/consoles/stack.html";

/// Seconds for which Prometheus may know of no target after it took a configuration in: it puts its discovery off by five.
pub const DISCOVERY: u64 = 7;

/// Where Prometheus and its like answer.
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

#[derive(Serialize)]
struct Target {
    address: String,
    host: HostName,
}

#[derive(Serialize)]
struct Job {
    name: &'static str,
    targets: Vec<Target>,
}

#[derive(Serialize)]
pub struct Config {
    every: Span,
    timeout: Span,
    site: String,
    rules: &'static str,
    alertmanager_port: u16,
    blackbox_port: u16,
    jobs: Vec<Job>,
    probes: Vec<String>,
}

#[derive(Serialize)]
pub struct Rules {
    pub generation: String,
    after: Span,
    long: Span,
    window: Span,
    balancer: bool,
    virtual_addresses: Vec<IpAddr>,
    acme: bool,
    backend: &'static str,
    frontend: &'static str,
    web: bool,
    database: bool,
    replicas: usize,
    semi_sync: bool,
    max_lag: u64,
}

#[derive(Serialize)]
struct EmailContext {
    to: Vec<String>,
    from: String,
    smarthost: String,
    login: Option<String>,
    password_file: &'static str,
}

#[derive(Serialize)]
pub struct AlertsContext {
    pub generation: String,
    wait: Span,
    interval: Span,
    webhook: Option<String>,
    email: Option<EmailContext>,
}

#[derive(Serialize)]
pub struct Page {
    site: String,
    window: Span,
    probes: bool,
    balancer: bool,
    backend: &'static str,
    frontend: &'static str,
    web: bool,
    database: bool,
}

#[derive(Serialize)]
pub struct Probing {
    family: &'static str,
    name: String,
    authority: Option<&'static str>,
}

#[derive(Serialize)]
pub struct Words {
    port: u16,
    config: &'static str,
}

#[derive(Serialize)]
pub struct ServerWords {
    port: u16,
    config: &'static str,
    retention: Span,
    consoles: &'static str,
}

/// Where visitors find the site: what is asked for at each of its addresses. Without a balancer nobody speaks TLS.
pub fn probes(site: &Site) -> Vec<String> {
    if balancers(site).is_empty() {
        return Vec::new();
    }
    let path = haproxy::health_path(site);
    site.public_addresses().into_iter().map(|a| format!("https://{}{path}", bracketed(a))).collect()
}

fn times(span: Span, n: u64) -> Span {
    Span::seconds(span.duration().as_secs() * n)
}

/// What a rate is taken over: long enough for four measurements, and for a fault to show.
fn window(monitoring: &Monitoring) -> Span {
    times(monitoring.after, 5).max(times(monitoring.every, 4))
}

pub fn config(site: &Site, monitoring: &Monitoring, host: &HostName) -> Config {
    let job = |(name, hosts, port): (&'static str, Vec<&HostName>, u16)| {
        let target = |h: &HostName| Target { address: super::super::http::at(site.address(h), port), host: h.clone() };
        Job { name, targets: hosts.into_iter().map(target).collect() }
    };
    let own = [("prometheus", PROMETHEUS.1), ("alertmanager", ALERTMANAGER.1)];
    let probes = probes(site);
    let blackbox = (!probes.is_empty()).then_some(("blackbox", BLACKBOX_EXPORTER.1));
    let own = own.into_iter().chain(blackbox).map(|(name, port)| Job {
        name,
        targets: vec![Target { address: local(port).to_string(), host: host.clone() }],
    });
    Config {
        every: monitoring.every,
        timeout: monitoring.every.min(Span::seconds(10)),
        site: site.topology.site.to_string(),
        rules: RULES.0,
        alertmanager_port: ALERTMANAGER.1,
        blackbox_port: BLACKBOX_EXPORTER.1,
        jobs: measured(site).into_iter().map(job).chain(own).collect(),
        probes,
    }
}

fn rules(site: &Site, monitoring: &Monitoring) -> Rules {
    let mysql = site.topology.mysql.as_ref();
    let replicas = mysql.map_or(0, |m| m.replicas.len());
    Rules {
        generation: String::new(),
        after: monitoring.after,
        long: times(monitoring.after, 10),
        window: window(monitoring),
        balancer: !balancers(site).is_empty(),
        virtual_addresses: keepalived::addresses(site),
        acme: site.acme().is_some(),
        backend: BACKEND,
        frontend: HAPROXY_FRONTEND,
        web: !web(site).is_empty(),
        database: mysql.is_some(),
        replicas,
        semi_sync: replicas > 0 && mysql.is_some_and(|m| m.semi_sync),
        max_lag: mysql.map_or(0, |m| m.max_lag.duration().as_secs()),
    }
}

/// The rules, told apart from all others by the digest of them and of the configuration that they come with.
pub fn rules_context(site: &Site, monitoring: &Monitoring, host: &HostName) -> Result<Rules, TemplateError> {
    let mut context = rules(site, monitoring);
    let config = site.templates.render(CONFIG.1, &config(site, monitoring, host))?;
    let rules = site.templates.render(RULES.1, &context)?;
    context.generation = sha256(format!("{config}\n{rules}"))[..32].to_owned();
    Ok(context)
}

fn alerts(monitoring: &Monitoring) -> AlertsContext {
    let webhook = monitoring.alerts.webhook.as_ref().map(|webhook| match webhook {
        Webhook::Plain(url) => url.to_string(),
        Webhook::Secret(_) => place(WEBHOOK, Encoding::Plain),
    });
    let email = monitoring.alerts.email.as_ref().map(|email| EmailContext {
        to: email.to.iter().map(ToString::to_string).collect(),
        from: email.from.to_string(),
        smarthost: email.smarthost.to_string(),
        login: email.login.as_ref().map(ToString::to_string),
        password_file: MAIL_PASSWORD_FILE,
    });
    AlertsContext {
        generation: String::new(),
        // What breaks together is told together.
        wait: Span::seconds(monitoring.after.duration().as_secs().div_ceil(2)),
        interval: times(monitoring.after, 5),
        webhook,
        email,
    }
}

/// What Alertmanager is told, with the digest that it can be asked for.
pub fn alerts_context(site: &Site, monitoring: &Monitoring) -> Result<AlertsContext, TemplateError> {
    let mut context = alerts(monitoring);
    context.generation = sha256(site.templates.render(ALERTS.1, &context)?)[..32].to_owned();
    Ok(context)
}

pub fn page(site: &Site, monitoring: &Monitoring) -> Page {
    let Rules { window, balancer, backend, frontend, web, database, .. } = rules(site, monitoring);
    let probes = !probes(site).is_empty();
    Page { site: site.topology.site.to_string(), window, probes, balancer, backend, frontend, web, database }
}

pub fn probing(site: &Site) -> Probing {
    let is_v4 = site.public_addresses().first().is_none_or(IpAddr::is_ipv4);
    // Whom everybody knows is in the host's own store.
    let authority = site.acme().is_none().then_some(SITE_CA_FILE);
    Probing { family: if is_v4 { "ip4" } else { "ip6" }, name: site.topology.site.to_string(), authority }
}

pub fn words(of: (&str, u16)) -> Words {
    let config = if of == ALERTMANAGER { ALERTS.0 } else { PROBE.0 };
    Words { port: of.1, config }
}

pub fn server_words(monitoring: &Monitoring) -> ServerWords {
    ServerWords { port: PROMETHEUS.1, config: CONFIG.0, retention: monitoring.retention, consoles: CONSOLES }
}

fn text(site: &Site, template: &str, context: &impl Serialize) -> Result<Content, TemplateError> {
    Ok(Content::new(site.templates.render(template, context)?))
}

/// What asks for the site as a visitor does; nothing where there is no balancer.
fn prober(site: &Site, host: &HostName, desired: &mut Desired) -> Result<Option<Key>, TemplateError> {
    if probes(site).is_empty() {
        return Ok(None);
    }
    let check =
        Script::new().line(format!("prometheus-blackbox-exporter --config.check --config.file={} 2>&1", PROBE.0));
    let daemon = Daemon {
        unit: BLACKBOX_EXPORTER.0,
        defaults: PROBE_WORDS.0,
        words: text(site, PROBE_WORDS.1, &words(BLACKBOX_EXPORTER))?,
        files: vec![File::text(PROBE.0, text(site, PROBE.1, &probing(site))?)],
        checker: Some((TREE, check)),
        port: BLACKBOX_EXPORTER.1,
        proof: wait_for(
            local(BLACKBOX_EXPORTER.1),
            "/metrics",
            "^blackbox_exporter_config_last_reload_successful 1$",
            30,
            "prometheus-blackbox-exporter does not answer",
        ),
    };
    let (files, service) = daemon.resources();
    let files = desired.want(host, files, []);
    Ok(Some(desired.want(host, service, [files])))
}

fn alertmanager(
    site: &Site,
    monitoring: &Monitoring,
    host: &HostName,
    desired: &mut Desired,
) -> Result<Key, TemplateError> {
    let context = alerts_context(site, monitoring)?;
    let config = text(site, ALERTS.1, &context)?;
    let words = text(site, ALERTS_WORDS.1, &words(ALERTMANAGER))?;
    let own = |path: &str, content: Content| File::text(path, content).owner(USER, USER).mode(0o600);
    let mut all = vec![own(ALERTS.0, config.clone())];
    if monitoring.alerts.email.as_ref().is_some_and(|e| e.password.is_some()) {
        all.push(own(MAIL_PASSWORD_FILE, Content::of(MAIL_PASSWORD)));
    }
    let check = Script::new().line(format!("amtool check-config {} 2>&1", ALERTS.0));
    let files = Files::new("alertmanager configuration", all).checked([TREE], check);
    let defaults = Files::new("alertmanager words", vec![File::text(ALERTS_WORDS.0, words.clone())]);
    let mut service = Service::new(ALERTMANAGER.0);
    service.restart_on = vec![Input { path: ALERTS_WORDS.0.into(), content: words, from: defaults.id() }];
    service.reload_on = vec![Input { path: ALERTS.0.into(), content: config, from: files.id() }];
    (service.restart_impact, service.ports) = (Impact::None, vec![ALERTMANAGER.1]);
    service.proof = Some(wait_for(
        local(ALERTMANAGER.1),
        "/api/v2/receivers",
        &format!("generation-{}", context.generation),
        30,
        "alertmanager does not run the configuration on disk",
    ));
    let after = [desired.want(host, defaults, []), desired.want(host, files, [])];
    Ok(desired.want(host, service, after))
}

/// Waits until every target was looked at once, so that whoever asks next is told of all; one that is down is told then.
fn first_look(monitoring: &Monitoring) -> Script {
    let seconds = monitoring.every.duration().as_secs() + 10;
    Script::new()
        .line(format!("read -r now _ </proc/uptime; end=$((${{now%.*}} + {seconds}))"))
        .line(format!(
            "while said=$(fetch 127.0.0.1 {} '/api/v1/targets?state=active'); case $said in *'\"health\":\"unknown\"'* | *'\"activeTargets\":[]'* | '') true ;; *) false ;; esac; do",
            PROMETHEUS.1
        ))
        .line("  read -r now _ </proc/uptime; [ \"${now%.*}\" -lt \"$end\" ] || break; sleep 0.3")
        .line("done")
}

/// What the host that watches has, after what is measured is there to be.
pub fn resources(
    site: &Site,
    monitoring: &Monitoring,
    host: &HostName,
    measured: Vec<Key>,
    desired: &mut Desired,
) -> Result<(), TemplateError> {
    let mut after = measured;
    after.extend(balancers(site).iter().map(|h| Key::new(h, Service::key(HAPROXY_UNIT))));
    after.extend(site.hosts().map(|h| Key::new(h, Ruleset::key())));
    after.extend(prober(site, host, desired)?);
    after.push(alertmanager(site, monitoring, host, desired)?);
    let context = rules_context(site, monitoring, host)?;
    let config = text(site, CONFIG.1, &config(site, monitoring, host))?;
    let rules = text(site, RULES.1, &context)?;
    let words = text(site, WORDS.1, &server_words(monitoring))?;
    // Rules are read by way of the configuration, and refused with it.
    let check = Script::new().line(format!("promtool check config {} 2>&1", CONFIG.0));
    let files = vec![File::text(CONFIG.0, config.clone()), File::text(RULES.0, rules.clone())];
    let files = Files::new("prometheus configuration", files).checked([TREE], check);
    let page = File::text(PAGE.0, text(site, PAGE.1, &page(site, monitoring))?);
    let page = Files::new("page of the stack", vec![File::directory(CONSOLES), page]);
    let defaults = Files::new("prometheus words", vec![File::text(WORDS.0, words.clone())]);
    let input = |path: &str, content: Content, from: &Files| Input { path: path.into(), content, from: from.id() };
    let mut service = Service::new(PROMETHEUS.0);
    service.restart_on = vec![input(WORDS.0, words, &defaults)];
    service.reload_on = vec![input(CONFIG.0, config, &files), input(RULES.0, rules, &files)];
    (service.restart_impact, service.ports) = (Impact::None, vec![PROMETHEUS.1]);
    service.proof = Some(
        wait_for(
            local(PROMETHEUS.1),
            "/api/v1/rules?type=record",
            &context.generation,
            60,
            "prometheus does not run the rules on disk",
        )
        .then(&wait_for(
            local(PROMETHEUS.1),
            "/metrics",
            "^prometheus_config_last_reload_successful 1$",
            10,
            "prometheus did not take its configuration in",
        ))
        .then(&first_look(monitoring)),
    );
    after.extend([desired.want(host, defaults, []), desired.want(host, page, []), desired.want(host, files, [])]);
    desired.want(host, service, after);
    Ok(())
}

/// How many targets Prometheus shall have.
pub fn targets(site: &Site) -> usize {
    let measured: usize = measured(site).iter().map(|(_, hosts, _)| hosts.len()).sum();
    let probes = probes(site).len();
    measured + 2 + probes + usize::from(probes > 0)
}

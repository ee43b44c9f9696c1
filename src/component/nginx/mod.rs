//! The web servers: static files, the application behind them, the client's address from the balancers' word alone.

mod checks;
mod origin;

use super::{
    Check, Component, Desired, Endpoint, Peers, bracketed, haproxy, http,
    names::{APP_ROOT, GENERATION, NGINX_UNIT},
    origin::Origin,
    packages,
    site::Site,
    spec,
};
use crate::{
    base::{
        digest::sha256,
        name::{HostName, PackageName},
        script::Script,
        secret::Content,
        template::TemplateError,
    },
    resource::{
        Resource,
        files::{File, Files},
        service::{Input, Service},
    },
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

const CONFIG: &str = "/etc/nginx/conf.d/foobar.conf";
const DROP_IN: &str = "/etc/systemd/system/nginx.service.d/foobar.conf";

/// `nginx:`
#[derive(Debug)]
pub struct Nginx;

#[derive(Serialize)]
struct Static {
    path: String,
    folder: String,
}

#[derive(Serialize)]
struct Context {
    host: HostName,
    listen: String,
    names: Vec<String>,
    balancers: Vec<IpAddr>,
    app_port: Option<u16>,
    health_path: String,
    max_body_mib: u32,
    statics: Vec<Static>,
    root: Option<String>,
    generation_path: &'static str,
    generation: String,
}

fn context(site: &Site, nginx: &spec::Nginx, host: &HostName) -> Context {
    let topology = &site.topology;
    // By path without a final slash: two spellings of one path would be two locations of one name, which nginx refuses.
    let mut statics: BTreeMap<&str, String> = BTreeMap::new();
    for (path, folder) in &nginx.statics {
        statics.insert(path.as_str().trim_end_matches('/'), format!("{APP_ROOT}/current/{folder}"));
    }
    let root = statics.remove("");
    Context {
        host: host.clone(),
        listen: bracketed(site.address(host)),
        names: site.names().iter().map(|n| n.as_str().to_owned()).collect(),
        balancers: topology.haproxy.iter().flat_map(|h| &h.on).map(|h| site.address(h)).collect(),
        app_port: topology.app.as_ref().map(|a| a.port),
        health_path: haproxy::health_path(site),
        max_body_mib: nginx.max_body_mib,
        statics: statics.into_iter().map(|(path, folder)| Static { path: path.to_owned(), folder }).collect(),
        root,
        generation_path: GENERATION,
        generation: String::new(),
    }
}

/// The configuration of a web server, and the digest that it answers with on loopback once it runs.
fn rendered(site: &Site, nginx: &spec::Nginx, host: &HostName) -> Result<(String, String), TemplateError> {
    let mut context = context(site, nginx, host);
    let generation = sha256(site.templates.render("nginx/foobar.conf.tera", &context)?)[..32].to_owned();
    context.generation.clone_from(&generation);
    Ok((site.templates.render("nginx/foobar.conf.tera", &context)?, generation))
}

/// Where a web server tells its host what it runs.
fn local() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 80)
}

/// A reload that fails (a port is taken, a file cannot be opened) is told in the error log alone.
fn proof(generation: &str) -> Script {
    let wait = http::wait_for(
        local(),
        GENERATION,
        "localhost",
        Some(generation),
        80,
        "nginx accepted the configuration and does not run it",
    );
    Script::new().line("if ! (").then(&wait).line(
        "); then tail -n 50 /var/log/nginx/error.log | sed -n 's/^.*\\[emerg\\] [^:]*: //p' | sort -u >&2; exit 1; fi",
    )
}

impl Component for Nginx {
    fn name(&self) -> &'static str {
        "nginx"
    }

    fn packages(&self, site: &Site, host: &HostName) -> Vec<PackageName> {
        let is_here = site.topology.nginx.as_ref().is_some_and(|n| n.on.contains(host));
        if is_here { packages(["nginx"]) } else { Vec::new() }
    }

    fn endpoints(&self, site: &Site) -> Vec<Endpoint> {
        let Some(nginx) = &site.topology.nginx else { return Vec::new() };
        let from = match &site.topology.haproxy {
            Some(haproxy) => Peers::Hosts(haproxy.on.clone()),
            None => Peers::Anyone,
        };
        let on = |host: &HostName| Endpoint {
            component: "nginx",
            host: host.clone(),
            protocol: spec::Protocol::Tcp,
            port: 80,
            from: from.clone(),
        };
        nginx.on.iter().map(on).collect()
    }

    fn resources(&self, site: &Site, desired: &mut Desired) -> Result<(), TemplateError> {
        let Some(nginx) = &site.topology.nginx else { return Ok(()) };
        for host in &nginx.on {
            let (config, generation) = rendered(site, nginx, host)?;
            let unit = Content::new(site.templates.render("nginx/unit.conf.tera", &BTreeMap::<&str, &str>::new())?);
            let config = Content::new(config);
            let files = Files::new(
                "nginx configuration",
                vec![
                    File::text(CONFIG, config.clone()),
                    // The package's own site claims the same default: nginx refuses two of them.
                    File::absent("/etc/nginx/sites-enabled/default"),
                ],
            )
            .checked(["/etc/nginx"], Script::new().line("nginx -t -q"));
            // Apart from the configuration, so that a change of that alone is never taken for one of the unit.
            let drop_in = Files::new("nginx unit", vec![File::text(DROP_IN, unit.clone())]);
            let input =
                |path: &str, content: Content, from: &Files| Input { path: path.into(), content, from: from.id() };
            let mut service = Service::new(NGINX_UNIT);
            service.restart_on = vec![input(DROP_IN, unit, &drop_in)];
            service.reload_on = vec![input(CONFIG, config, &files)];
            service.proof = Some(proof(&generation));
            (service.layer, service.ports) = (1, vec![80]);
            let after = [desired.want(host, drop_in, []), desired.want(host, files, [])];
            desired.want(host, service, after);
        }
        Ok(())
    }

    fn checks(&self, site: &Site) -> Vec<Check> {
        checks::all(site)
    }

    fn origins(&self, site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
        origin::all(site, host)
    }
}

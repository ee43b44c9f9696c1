//! Sites to test the components with.

use super::{
    site::{Release, Site},
    spec::*,
};
use crate::base::{digest::sha256, secret::Secret, template::Templates};
use std::collections::BTreeMap;

/// A host at 10.77.0.`n`.
pub fn host(name: &str, n: u8) -> Host {
    Host { name: name.parse().unwrap(), address: format!("10.77.0.{n}").parse().unwrap(), ssh: Ssh::default() }
}

/// Three servers: a balancer, and two web servers that are the database's primary and replica as well.
pub fn topology() -> Topology {
    let web: Vec<_> = ["web-01", "web-02"].iter().map(|n| n.parse().unwrap()).collect();
    Topology {
        site: "www.foobar.com".parse().unwrap(),
        aliases: vec!["foobar.com".parse().unwrap()],
        hosts: vec![host("lb-01", 11), host("web-01", 21), host("web-02", 22)],
        haproxy: Some(Haproxy {
            on: vec!["lb-01".parse().unwrap()],
            algorithm: Algorithm::RoundRobin,
            backends: Backends::ActiveActive,
            health: Health::default(),
            maxconn: 4000,
            redundancy: None,
        }),
        dns: None,
        tls: Tls::default(),
        nginx: Some(Nginx {
            on: web.clone(),
            statics: vec![("/assets".parse().unwrap(), "public".parse().unwrap())],
            max_body_mib: 16,
        }),
        app: Some(App {
            on: web.clone(),
            source: "./guestbook".into(),
            packages: vec!["gunicorn".parse().unwrap()],
            run: "gunicorn --bind $LISTEN wsgi:app".parse().unwrap(),
            migrate: Some("python3 migrate.py".parse().unwrap()),
            health: "/healthz".parse().unwrap(),
            port: 8000,
            env: BTreeMap::from([("GREETING".parse().unwrap(), "hello".parse().unwrap())]),
            secrets: BTreeMap::from([("SESSION_KEY".parse().unwrap(), SecretSource::Generate)]),
            canary: Some(Canary {
                write: "/sign".parse().unwrap(),
                field: "message".parse().unwrap(),
                read: "/".parse().unwrap(),
            }),
        }),
        mysql: Some(Mysql {
            engine: Engine::Mariadb,
            primary: web[0].clone(),
            replicas: vec![web[1].clone()],
            database: "foobar".parse().unwrap(),
            semi_sync: true,
            max_lag: crate::base::name::Span::seconds(5),
            max_connections: 151,
        }),
        monitoring: None,
        firewall: Firewall::default(),
        keep: Keep::default(),
        rollout: Rollout::default(),
    }
}

/// A second balancer beside the first, and addresses that move between them: one, or one each.
pub fn pair(mode: Mode) -> Topology {
    let mut t = topology();
    t.hosts.insert(1, host("lb-02", 12));
    let addresses = ["10.77.0.100", "10.77.0.101"].map(|a| a.parse().unwrap());
    let virtual_addresses = if mode == Mode::ActivePassive { addresses[..1].to_vec() } else { addresses.to_vec() };
    let haproxy = t.haproxy.as_mut().unwrap();
    haproxy.on.push("lb-02".parse().unwrap());
    haproxy.redundancy = Some(Redundancy { mode, virtual_addresses });
    t
}

/// The three servers, watched from the balancer's host; alerts go to a secret address and by mail.
pub fn watched() -> Topology {
    let mut t = topology();
    t.monitoring = Some(Monitoring {
        on: vec!["lb-01".parse().unwrap()],
        every: crate::base::name::Span::seconds(15),
        after: crate::base::name::Span::seconds(60),
        retention: crate::base::name::Span::seconds(15 * 86_400),
        alerts: Alerts {
            webhook: Some(Webhook::Secret(SecretSource::Env("HOOK".into()))),
            email: Some(Email {
                to: ["ops@foobar.com", "night@foobar.com"].map(|a| a.parse().unwrap()).to_vec(),
                from: "foobar@foobar.com".parse().unwrap(),
                smarthost: "mail.foobar.com:587".parse().unwrap(),
                login: Some("foobar".parse().unwrap()),
                password: Some(SecretSource::File("mail".into())),
            }),
        },
    });
    t
}

/// Two balancers at one address, each with a certificate of its own from an ACME directory.
pub fn certified() -> Topology {
    let mut t = pair(Mode::ActivePassive);
    t.tls.certificate = Certificate::Acme(Acme {
        email: "ops@foobar.com".parse().unwrap(),
        directory: "https://acme.foobar.com:14000/dir?x=$y".parse().unwrap(),
    });
    t
}

/// The site of a topology.
pub fn site(topology: Topology) -> Site {
    let archive = b"not a tar, and nobody looks".to_vec();
    let release = topology.app.as_ref().map(|_| Release { digest: sha256(&archive), archive: Some(archive.into()) });
    let given = BTreeMap::from([("API_KEY".parse().unwrap(), Secret::new("given"))]);
    let alerts = BTreeMap::new();
    Site { topology, templates: Templates::new(&BTreeMap::new()).unwrap(), release, certificate: None, given, alerts }
}

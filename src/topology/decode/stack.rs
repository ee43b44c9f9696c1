//! `haproxy:`, `tls:`, `nginx:`, `mysql:` and `firewall:`, key by key with their defaults.

use super::{
    harmless,
    hosts::{on, one},
    read::Reader,
};
use crate::{
    base::name::{DatabaseName, Span, Url},
    component::spec::{
        Acme, Algorithm, Allow, Backends, Certificate, Engine, Firewall, Haproxy, Health, Keep, Mode, Mysql, Nginx,
        Profile, Protocol, Redundancy, Tls,
    },
    topology::{
        problem::Problem,
        yaml::{Kind, Node},
    },
};

/// The directory of Let's Encrypt.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Reads `keep:`.
pub fn keep(read: &mut Reader<'_>, node: &Node) -> Keep {
    let fields = read.fields(node, "keep");
    let default = Keep::default();
    // One release is the one that runs: without another there is nothing to go back to, which is a choice.
    let mut number = |key: &str, or: usize| {
        fields.get(key).and_then(|n| read.number(n, 1, 1000)).map_or(or, |n| usize::try_from(n).unwrap_or(or))
    };
    Keep { generations: number("generations", default.generations), releases: number("releases", default.releases) }
}

/// Reads `haproxy:`.
pub fn haproxy(read: &mut Reader<'_>, node: &Node) -> Haproxy {
    let fields = read.fields(node, "haproxy");
    let algorithms = [
        ("round-robin", Algorithm::RoundRobin),
        ("least-connections", Algorithm::LeastConnections),
        ("ip-hash", Algorithm::IpHash),
    ];
    let backends = [("active-active", Backends::ActiveActive), ("active-passive", Backends::ActivePassive)];
    Haproxy {
        on: on(read, node, fields.get("on")),
        algorithm: fields.get("algorithm").and_then(|n| read.choice(n, &algorithms)).unwrap_or_default(),
        backends: fields.get("backends").and_then(|n| read.choice(n, &backends)).unwrap_or_default(),
        health: fields.get("health").map(|n| health(read, n)).unwrap_or_default(),
        // 1,000,000 is already twice as many descriptors as most kernels give one process.
        maxconn: fields.get("maxconn").and_then(|n| read.number(n, 1, 1_000_000)).unwrap_or(4000),
        redundancy: fields.get("redundancy").and_then(|n| redundancy(read, n)),
    }
}

/// Reads `haproxy.redundancy:`; none where it does not say who holds which address.
fn redundancy(read: &mut Reader<'_>, node: &Node) -> Option<Redundancy> {
    let fields = read.fields(node, "haproxy.redundancy");
    let modes = [("active-passive", Mode::ActivePassive), ("active-active", Mode::ActiveActive)];
    let mode = match fields.get("mode") {
        Some(node) => read.choice(node, &modes),
        None => {
            let help = "write `mode: active-passive` (one address, one balancer serves) or `mode: active-active` (an address each)";
            read.missing(node, "mode", help);
            None
        }
    };
    let virtual_addresses = match fields.get("virtual_addresses") {
        Some(node) => read.addresses(node),
        None => {
            let help =
                "write the addresses that visitors connect to, which no host has: `virtual_addresses: [10.0.0.100]`";
            read.missing(node, "virtual_addresses", help);
            return None;
        }
    };
    Some(Redundancy { mode: mode?, virtual_addresses })
}

fn health(read: &mut Reader<'_>, node: &Node) -> Health {
    let fields = read.fields(node, "haproxy.health");
    let default = Health::default();
    Health {
        path: fields.get("path").and_then(|n| read.word(n, "a URL path")),
        interval: fields.get("interval").and_then(|n| read.span(n, "100ms", "10m")).unwrap_or(default.interval),
        rise: fields.get("rise").and_then(|n| read.number(n, 1, 100)).unwrap_or(default.rise),
        fall: fields.get("fall").and_then(|n| read.number(n, 1, 100)).unwrap_or(default.fall),
    }
}

/// Reads `tls:`.
pub fn tls(read: &mut Reader<'_>, node: &Node) -> Tls {
    let fields = read.fields(node, "tls");
    let profiles = [("modern", Profile::Modern), ("intermediate", Profile::Intermediate)];
    let default = Tls::default();
    Tls {
        certificate: fields.get("certificate").and_then(|n| certificate(read, n)).unwrap_or(default.certificate),
        profile: fields.get("profile").and_then(|n| read.choice(n, &profiles)).unwrap_or_default(),
        redirect_http: fields.get("redirect_http").and_then(|n| read.flag(n)).unwrap_or(default.redirect_http),
        hsts: match fields.get("hsts") {
            Some(Node { kind: Kind::Bool(false), .. }) => None,
            Some(Node { kind: Kind::Text(text), .. }) if text == "off" => None,
            Some(Node { kind: Kind::Bool(true), .. }) | None => default.hsts,
            Some(node) => read.span(node, "1s", "3650d"),
        },
    }
}

fn certificate(read: &mut Reader<'_>, node: &Node) -> Option<Certificate> {
    match &node.kind {
        Kind::Text(text) if text == "self-signed" => Some(Certificate::SelfSigned),
        Kind::Map(_) => {
            let fields = read.fields(node, "tls.certificate");
            if let Some(directory) = fields.get("acme") {
                if let Some(file) = ["cert", "key"].iter().find_map(|key| fields.get(key)) {
                    let problem = Problem::error("the certificate comes from a directory and from files")
                        .at(read.key(file), "from a file")
                        .at(read.key(directory), "from a directory");
                    read.refuse(problem.help("keep one of them: `acme`, or `cert` with `key`"));
                }
                return acme(read, directory).map(Certificate::Acme);
            }
            let mut path = |key: &str, what: &str| match fields.get(key) {
                Some(node) => read.local(node, what),
                None => {
                    read.missing(node, key, "name both files: `certificate: { cert: site.crt, key: site.key }`");
                    None
                }
            };
            let (cert, key) = (path("cert", "the path of a PEM file"), path("key", "the path of a PEM file"));
            Some(Certificate::Files { cert: cert?, key: key? })
        }
        _ => {
            let help =
                "write `self-signed`, `{ cert: site.crt, key: site.key }` or `{ acme: { email: ops@example.com } }`";
            read.wrong_kind(node, "`self-signed`, two files or `acme`", help);
            None
        }
    }
}

/// Reads `tls.certificate.acme:`; none where it does not say whom the directory writes to.
fn acme(read: &mut Reader<'_>, node: &Node) -> Option<Acme> {
    let fields = read.fields(node, "tls.certificate.acme");
    let email = match fields.get("email") {
        Some(node) => read.word(node, "a mail address"),
        None => {
            let help =
                "write whom the directory shall write to where something is wrong: `acme: { email: ops@example.com }`";
            read.missing(node, "email", help);
            None
        }
    };
    let directory: Option<Url> = match fields.get("directory") {
        Some(node) => read.word(node, "a URL"),
        None => Some(harmless(LETS_ENCRYPT)),
    };
    if let (Some(url), Some(node)) = (&directory, fields.get("directory"))
        && !url.as_str().starts_with("https://")
    {
        let problem = Problem::error(format!("`{}` is asked in the clear", read.name(node)));
        let help = "write its https:// address: who could answer in its place would get certificates for the site";
        read.refuse(problem.at(read.value(node), "not https").help(help));
        return None;
    }
    Some(Acme { email: email?, directory: directory? })
}

/// Reads `nginx:`.
pub fn nginx(read: &mut Reader<'_>, node: &Node) -> Nginx {
    let fields = read.fields(node, "nginx");
    let mut statics = Vec::new();
    if let Some(node) = fields.get("static") {
        for (key, value) in read.entries(node, "write URL paths with their folders: `{ /assets: public }`") {
            let (url, folder) = (read.key_word(key, value), read.word(value, "a relative path"));
            statics.extend(url.zip(folder));
        }
    }
    Nginx {
        on: on(read, node, fields.get("on")),
        statics,
        max_body_mib: fields.get("max_body_mib").and_then(|n| read.number(n, 1, 10_240)).unwrap_or(16),
    }
}

/// Reads `mysql:`; none where it has no primary to speak of.
pub fn mysql(read: &mut Reader<'_>, node: &Node) -> Option<Mysql> {
    let fields = read.fields(node, "mysql");
    let engines = [("mysql", Engine::Mysql), ("mariadb", Engine::Mariadb)];
    let engine = fields.get("engine").and_then(|n| read.choice(n, &engines)).unwrap_or_default();
    let primary = one(read, node, "primary", fields.get("primary"));
    let replicas = fields.get("replicas").map(|n| read.words(n, "a host name")).unwrap_or_default();
    let database: Option<DatabaseName> = match fields.get("database") {
        Some(node) => read.word(node, "a database name"),
        None => {
            read.missing(node, "database", "write the application's database: `database: shop`");
            None
        }
    };
    let semi_sync = fields.get("semi_sync").and_then(|n| read.flag(n)).unwrap_or(!replicas.is_empty());
    let max_lag = fields.get("max_lag").and_then(|n| read.span(n, "1s", "1d")).unwrap_or(Span::seconds(5));
    let max_connections = fields.get("max_connections").and_then(|n| read.number(n, 10, 100_000)).unwrap_or(151);
    Some(Mysql {
        engine,
        primary: primary?,
        replicas,
        database: database.unwrap_or_else(|| harmless("app")),
        semi_sync,
        max_lag,
        max_connections,
    })
}

/// Reads `firewall:`.
pub fn firewall(read: &mut Reader<'_>, node: &Node) -> Firewall {
    let fields = read.fields(node, "firewall");
    let admin_from = fields.get("admin_from").map(|n| read.networks(n)).unwrap_or_default();
    let rules = fields.get("allow").map(|n| read.list(n)).unwrap_or_default();
    let confirm_within = fields.get("confirm_within").and_then(|n| read.span(n, "5s", "10m"));
    let confirm_within = confirm_within.unwrap_or(Firewall::default().confirm_within);
    Firewall { admin_from, allow: rules.iter().filter_map(|n| allow(read, n)).collect(), confirm_within }
}

fn allow(read: &mut Reader<'_>, node: &Node) -> Option<Allow> {
    let fields = read.fields(node, "firewall.allow");
    let protocols = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)];
    let help = "name one host at least, or remove `on`: the rule is for every host then";
    let on = fields.get("on").map(|n| read.some_words(n, "a host name", help)).unwrap_or_default();
    let protocol = fields.get("protocol").and_then(|n| read.choice(n, &protocols)).unwrap_or_default();
    let from = fields.get("from").map(|n| {
        if matches!(&n.kind, Kind::List(items) if items.is_empty()) {
            let problem = Problem::error(format!("`{}` is empty", read.name(n))).at(read.key(n), "nothing in it");
            read.refuse(problem.help("name one network at least, or remove `from`: the port is open to anyone then"));
        }
        read.networks(n)
    });
    let Some(port) = fields.get("port") else {
        read.missing(node, "port", "write the port: `port: 9100`");
        return None;
    };
    Some(Allow { on, protocol, port: read.port(port)?, from: from.unwrap_or_default() })
}

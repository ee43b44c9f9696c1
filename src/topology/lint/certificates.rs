//! Lints of the site's certificate: what `certificate.rs` finds in the user's own, at the lines that name its files; and what
//! a public directory would not give.

use super::Facts;
use crate::{
    component::spec::{Acme, Certificate},
    topology::{
        certificate::{Blame, examine},
        problem::{Problem, Severity},
    },
};

/// Certificates for the same names that Let's Encrypt gives within a week, less one to come back from a mishap with.
const MOST_BALANCERS: usize = 4;

/// Ends of names that no public directory vouches for (RFC 2606, RFC 6762, RFC 8375, and what is in use for it).
const PRIVATE: [&str; 11] =
    ["local", "internal", "test", "lan", "home", "corp", "localhost", "example", "invalid", "home.arpa", "localdomain"];

/// A certificate that cannot serve the site, or not for long.
pub fn certificate(facts: &Facts<'_>) -> Vec<Problem> {
    let Some(text) = facts.certificate else { return Vec::new() };
    let t = facts.topology;
    let names: Vec<&str> = std::iter::once(&t.site).chain(&t.aliases).map(|n| n.as_str()).collect();
    examine(text, &names, facts.now)
        .into_iter()
        .map(|flaw| {
            let key = if flaw.blame == Blame::Cert { "cert" } else { "key" };
            let severity = if flaw.fatal { Severity::Error } else { Severity::Warning };
            let problem = Problem { severity, ..Problem::error(flaw.message) };
            problem.at(facts.documents.place(&["tls", "certificate", key]), flaw.label).help(flaw.help)
        })
        .collect()
}

fn acme<'f>(facts: &Facts<'f>) -> Option<&'f Acme> {
    match &facts.topology.tls.certificate {
        Certificate::Acme(acme) => Some(acme),
        _ => None,
    }
}

/// Whether a name is one of the world's.
fn is_public(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let ends = |end: &str| name == end || name.ends_with(&format!(".{end}"));
    name.contains('.') && !PRIVATE.iter().any(|end| ends(end)) && name.parse::<std::net::IpAddr>().is_err()
}

/// The host that a URL leads to.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if host.starts_with('[') { "" } else { host.split(':').next().unwrap_or_default() }
}

/// A public directory asks the world's resolvers for the names.
pub fn acme_names(facts: &Facts<'_>) -> Vec<Problem> {
    let Some(acme) = acme(facts).filter(|a| is_public(host(a.directory.as_str()))) else { return Vec::new() };
    let t = facts.topology;
    let places = std::iter::once(facts.documents.place(&["site"]))
        .chain((0..t.aliases.len()).map(|at| facts.documents.place(&["aliases", &at.to_string()])));
    let named = std::iter::once(&t.site).chain(&t.aliases).zip(places);
    let problem = |(name, place)| {
        Problem::warning(format!("{} gives no certificate for {name}", host(acme.directory.as_str())))
            .at(place, "not a name of the public DNS")
            .help("name the directory of an authority of your own as `directory`, or write `certificate: self-signed`")
    };
    named.filter(|(name, _)| !is_public(name.as_str())).map(problem).collect()
}

/// Each balancer gets a certificate of its own, and public directories count those for the same names.
pub fn acme_crowd(facts: &Facts<'_>) -> Vec<Problem> {
    let on = facts.topology.haproxy.as_ref().map_or(0, |h| h.on.len());
    if on <= MOST_BALANCERS || acme(facts).is_none_or(|a| !is_public(host(a.directory.as_str()))) {
        return Vec::new();
    }
    let problem = Problem::warning(format!("{on} balancers ask for certificates for the same names"))
        .at(facts.documents.key(&["haproxy", "on"]), "one certificate each")
        .at(facts.documents.key(&["tls", "certificate", "acme"]), "and Let's Encrypt gives five in a week");
    vec![problem.help("bring one for all of them as files (`certificate: { cert: …, key: … }`), or run four balancers")]
}

/// Names of the stack's own zone that the zone itself forbids to have signed there.
pub fn acme_forbidden(facts: &Facts<'_>) -> Vec<Problem> {
    let Some(acme) = acme(facts) else { return Vec::new() };
    let caa = facts.topology.dns.as_ref().map_or(&[][..], |d| &d.caa);
    let is_theirs = host(acme.directory.as_str()).ends_with(".letsencrypt.org");
    if !is_theirs || caa.is_empty() || caa.iter().any(|name| name.as_str() == "letsencrypt.org") {
        return Vec::new();
    }
    let problem = Problem::error("`dns.caa` lets nobody of Let's Encrypt's sign for the site")
        .at(facts.documents.key(&["dns", "caa"]), "letsencrypt.org is not among them")
        .at(facts.documents.key(&["tls", "certificate", "acme"]), "the certificate would come from there");
    vec![problem.help("add letsencrypt.org to `caa`, or name another directory")]
}

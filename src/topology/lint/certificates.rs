//! The lint of the user's own certificate: what `certificate.rs` finds, at the lines that name its files.

use super::Facts;
use crate::topology::{
    certificate::{Blame, examine},
    problem::{Problem, Severity},
};

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

//! Lints about who watches the stack and who is told.

use super::Facts;
use crate::topology::problem::Problem;

/// Two that watch would tell everything twice.
pub fn twice(facts: &Facts<'_>) -> Vec<Problem> {
    let Some(monitoring) = facts.topology.monitoring.as_ref().filter(|m| m.on.len() > 1) else { return Vec::new() };
    let mut problem = Problem::error("`monitoring` is on more than one host: every alert would be told twice");
    for host in &monitoring.on {
        problem = problem.at(facts.in_list(&["monitoring", "on"], host), format!("{host} would watch all of it"));
    }
    vec![problem.help(format!("name one: `on: [{}]`", monitoring.on[0]))]
}

/// What nobody hears of helps nobody.
pub fn nobody_is_told(facts: &Facts<'_>) -> Vec<Problem> {
    let Some(monitoring) = &facts.topology.monitoring else { return Vec::new() };
    // What was refused has been told.
    if facts.documents.find(&["monitoring", "alerts"]).is_some_and(|n| !n.entries().is_empty()) {
        return Vec::new();
    }
    let nobody = monitoring.alerts.webhook.is_none() && monitoring.alerts.email.is_none();
    let problem = Problem::warning("alerts reach nobody").at(facts.documents.key(&["monitoring"]), "who is told?");
    let help = "add where they go: `alerts: { webhook: https://hooks.example.com/x }`, or `email`";
    nobody.then(|| problem.help(help)).into_iter().collect()
}

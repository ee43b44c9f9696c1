//! Lints about the site's names and who answers for them.

use super::Facts;
use crate::{
    base::name::DomainName,
    component::spec::Served,
    topology::problem::{Place, Problem},
};

/// Whether a name lies in a zone, or is it.
fn is_within(name: &DomainName, zone: &DomainName) -> bool {
    name == zone || name.as_str().strip_suffix(zone.as_str()).is_some_and(|rest| rest.ends_with('.'))
}

/// The names of the site, each with its place.
fn names<'f>(facts: &Facts<'f>) -> Vec<(&'f DomainName, Place)> {
    let (t, d) = (facts.topology, facts.documents);
    let alias = |(at, name): (usize, &'f DomainName)| (name, d.place(&["aliases", &at.to_string()]));
    std::iter::once((&t.site, d.place(&["site"]))).chain(t.aliases.iter().enumerate().map(alias)).collect()
}

/// Every name of the site is in the zone, or somebody else answers for it: never both, never neither.
pub fn names_and_zone(facts: &Facts<'_>) -> Vec<Problem> {
    let (Some(Served::Own { on, zone, elsewhere }), d) =
        (facts.topology.dns.as_ref().map(|dns| &dns.served), facts.documents)
    else {
        return Vec::new();
    };
    // What stands for a zone that was refused holds nothing.
    if d.find(&["dns", "zone"]).is_none() || !facts.has("site") || zone.as_str() == "zone.invalid" {
        return Vec::new();
    }
    let at_zone = || (d.place(&["dns", "zone"]), format!("the name servers answer for {zone} alone"));
    let mut problems = Vec::new();
    for (name, place) in names(facts) {
        let is_elsewhere = elsewhere.contains(name);
        match (is_within(name, zone), is_elsewhere) {
            (false, false) => {
                let (zone_place, label) = at_zone();
                let problem = Problem::error(format!("`{name}` is outside the zone, and nobody answers for it"));
                problems.push(
                    problem.at(place.clone(), format!("not in {zone}")).at(zone_place, label).help(format!(
                        "name it as answered elsewhere: `elsewhere: [{name}]` below `dns`, or remove it"
                    )),
                );
            }
            (true, true) => {
                let problem = Problem::error(format!("`{name}` is in the zone, so nobody else is asked for it"));
                problems.push(
                    problem
                        .at(d.key(&["dns", "elsewhere"]), format!("{name} is named here"))
                        .at(place.clone(), format!("it lies in {zone}"))
                        .help("remove it from `elsewhere`"),
                );
            }
            _ => {}
        }
        let server = on.iter().find(|host| format!("{host}.{zone}") == name.as_str());
        if let Some(host) = server {
            let problem = Problem::error(format!("`{name}` is the name of a name server"));
            problems.push(
                problem
                    .at(place, "a name of the site here")
                    .at(facts.in_list(&["dns", "on"], host), "its address is this host's")
                    .help("remove it: it cannot lead to the site as well"),
            );
        }
    }
    for (at, name) in elsewhere.iter().enumerate() {
        if !names(facts).iter().any(|(known, _)| *known == name) {
            let problem = Problem::error(format!("`{name}` is no name of the site"));
            problems.push(
                problem
                    .at(d.place(&["dns", "elsewhere", &at.to_string()]), "neither `site` nor one of `aliases`")
                    .help("add it to `aliases`, or remove it here"),
            );
        }
    }
    problems
}

/// Names lead to balancers.
pub fn names_without_site(facts: &Facts<'_>) -> Vec<Problem> {
    if facts.topology.dns.is_none() || facts.has("haproxy") || facts.has("nginx") {
        return Vec::new();
    }
    let problem = Problem::error("`dns` without anything that serves the site");
    vec![
        problem
            .at(facts.documents.key(&["dns"]), "the names lead where?")
            .help("add the balancer: `haproxy: { on: [lb-01] }`, or remove `dns`"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_lies_in_its_zone_by_whole_labels() {
        let is = |name: &str, zone: &str| is_within(&name.parse().unwrap(), &zone.parse().unwrap());
        assert!(is("foobar.com", "foobar.com") && is("a.b.foobar.com", "foobar.com"));
        assert!(!is("notfoobar.com", "foobar.com") && !is("foobar.com", "www.foobar.com"));
    }
}

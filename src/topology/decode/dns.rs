//! `dns:`, key by key with its defaults: name servers of the stack's own, or somebody else's.

use super::{
    harmless,
    hosts::on,
    read::{Fields, Reader},
};
use crate::{
    base::name::{DomainName, Span},
    component::spec::{Dns, Served},
    topology::{problem::Problem, yaml::Node},
};

/// Reads `dns:`; none where it says neither who answers nor that others do.
pub fn dns(read: &mut Reader<'_>, node: &Node) -> Option<Dns> {
    let fields = read.fields(node, "dns");
    let is_external = fields.get("external").and_then(|n| read.flag(n));
    // A resolver keeps nothing for less than a second, and nobody waits for a change for more than a day.
    let ttl = fields.get("ttl").and_then(|n| read.span(n, "1s", "1d")).map(whole);
    let caa = fields.get("caa").map(|n| read.words(n, "a domain name")).unwrap_or_default();
    let served = if is_external == Some(true) {
        for key in ["on", "zone", "elsewhere"] {
            refuse_beside(read, &fields, key);
        }
        Served::External
    } else {
        if fields.get("on").is_none() && fields.get("zone").is_none() {
            let help = "write the name servers' hosts and their zone: `dns: { on: [ns-01], zone: example.com }`, or \
                        `dns: { external: true }` where somebody else answers for the site's names";
            read.missing(node, "on", help);
            return None;
        }
        let zone = match fields.get("zone") {
            Some(node) => read.word(node, "a domain name"),
            None => {
                read.missing(node, "zone", "write the zone that is served: `zone: example.com`");
                None
            }
        };
        Served::Own {
            on: on(read, node, fields.get("on")),
            zone: zone.unwrap_or_else(|| harmless::<DomainName>("zone.invalid")),
            elsewhere: fields.get("elsewhere").map(|n| read.words(n, "a domain name")).unwrap_or_default(),
        }
    };
    Some(Dns { served, ttl, caa })
}

fn whole(span: Span) -> Span {
    Span::seconds(span.duration().as_secs())
}

fn refuse_beside(read: &mut Reader<'_>, fields: &Fields<'_>, key: &str) {
    let (Some(external), Some(other)) = (fields.get("external"), fields.get(key)) else { return };
    let problem = Problem::error(format!("`dns` has `{key}` and `external` too"))
        .at(read.key(other), "servers of the stack's own")
        .at(read.key(external), "somebody else's");
    read.refuse(problem.help(format!("remove `{key}`, or `external`")));
}

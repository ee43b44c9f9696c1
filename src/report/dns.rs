//! The records that a site wants, as lines of a zone file and as JSON.

use super::json::{SCHEMA, pretty};
use crate::{
    base::name::DomainName,
    component::dns::records::{Record, Where},
};
use serde_json::{Value, json};

/// Lines of a zone file, under a comment for each place that they are to be set at.
pub fn text(zone: Option<&DomainName>, wanted: &[(Where, Record)]) -> String {
    let zone = zone.map(DomainName::as_str).unwrap_or_default();
    let heads = [
        (Where::Stack, format!("; served for {zone} by the stack's own name servers: `foobar apply` sets them")),
        (Where::Parent, format!("; to be set in the zone above {zone}, through its registrar")),
        (Where::Provider, "; to be set where these names are answered for".to_owned()),
    ];
    let mut out = String::new();
    for (place, head) in heads {
        let lines: Vec<String> = wanted.iter().filter(|(at, _)| *at == place).map(|(_, r)| r.line()).collect();
        if !lines.is_empty() {
            out.push_str(if out.is_empty() { "" } else { "\n" });
            out.push_str(&format!("{head}\n{}\n", lines.join("\n")));
        }
    }
    out
}

/// All of it as one document, for `dns --json`.
pub fn json(site: &DomainName, zone: Option<&DomainName>, wanted: &[(Where, Record)]) -> String {
    let one = |(place, record): &(Where, Record)| -> Value {
        let Record { name, ttl, kind, value } = record;
        json!({ "name": name, "ttl": ttl, "kind": kind, "value": value, "set_at": place })
    };
    let records: Vec<Value> = wanted.iter().map(one).collect();
    pretty(&json!({ "schema": SCHEMA, "command": "dns", "site": site, "zone": zone, "records": records }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::{dns::records, spec::*, testing};

    #[test]
    fn records_of_servers_of_its_own_and_of_others() {
        let mut topology = testing::topology();
        topology.aliases.push("www.foobar.org".parse().unwrap());
        topology.dns = Some(Dns {
            served: Served::Own {
                on: ["lb-01", "web-01"].map(|h| h.parse().unwrap()).to_vec(),
                zone: "foobar.com".parse().unwrap(),
                elsewhere: vec!["www.foobar.org".parse().unwrap()],
            },
            ttl: None,
            caa: vec!["letsencrypt.org".parse().unwrap()],
        });
        let site = testing::site(topology.clone());
        let wanted = records::wanted(&site);
        insta::assert_snapshot!("dns-own", text(records::zone_name(&site), &wanted));
        let document: Value =
            serde_json::from_str(&json(&site.topology.site, records::zone_name(&site), &wanted)).unwrap();
        assert_eq!(document["records"][0]["value"], "lb-01.foobar.com.");
        assert_eq!(document["records"][0]["set_at"], "stack");
        topology.dns = Some(Dns { served: Served::External, ttl: None, caa: vec![] });
        let site = testing::site(topology);
        insta::assert_snapshot!("dns-external", text(records::zone_name(&site), &records::wanted(&site)));
    }
}

//! Where the values in a name server's files come from.

use super::{
    super::{
        origin::{At, Origin, Source, Variables, address, in_list, key, names},
        site::Site,
    },
    CONFIG, ZONE, context, own, server,
};
use crate::base::{name::HostName, template::TemplateError};

const SERVER: Variables = &[
    ("address", |at| vec![address(at.host)]),
    ("zone", |_| vec![key(["dns", "zone"])]),
    ("path", |_| vec![Source::Own("where the zone is")]),
];

const RECORDS: Variables = &[
    ("zone", |_| vec![key(["dns", "zone"])]),
    ("primary", |_| vec![key(["dns", "on"]), key(["dns", "zone"])]),
    ("serial", |_| vec![Source::Own("one more than what the name servers have, whenever the zone changes")]),
    ("ttl", |_| vec![key(["dns", "ttl"])]),
    ("servers_ttl", |_| vec![Source::Own("an hour: who the name servers are hardly ever changes")]),
    ("records", |at| record(at).unwrap_or_else(|| vec![key(["dns"])])),
];

/// Where one record comes from, by its kind.
fn record(at: &At<'_>) -> Option<Vec<Source>> {
    let (dns, on, zone) = own(at.site)?;
    let all = context(at.site, dns, on, zone).records;
    let record = all.get(at.item?)?;
    if at.field == Some("ttl") && record.ttl == super::records::ttl(dns) {
        return Some(vec![key(["dns", "ttl"])]);
    }
    let server = on.iter().find(|h| record.value == format!("{h}.{zone}.") || record.name == format!("{h}.{zone}"));
    Some(match (record.kind, server) {
        ("CAA", _) => vec![key(["dns", "caa"])],
        (_, Some(host)) => vec![in_list(["dns", "on"], on, host), address(host)],
        _ => {
            let balancers = at.site.topology.haproxy.iter().flat_map(|h| &h.on);
            let led = balancers.filter(|h| at.site.address(h).to_string() == record.value).map(address);
            names().into_iter().chain(led).collect()
        }
    })
}

/// Every file of a name server.
pub fn all(site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
    let Some((dns, on, zone)) = own(site).filter(|(_, on, _)| on.contains(host)) else { return Ok(Vec::new()) };
    Ok(vec![
        Origin::new(CONFIG, "dns/nsd.conf.tera", &server(site, zone, host), SERVER)?,
        Origin::new(ZONE, "dns/zone.tera", &context(site, dns, on, zone), RECORDS)?,
    ])
}

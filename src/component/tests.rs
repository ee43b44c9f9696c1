//! What a site makes of its hosts: every file as a snapshot, every value that could break out, and every file before the
//! daemon's own checker where that is installed.

use super::{testing, *};
use crate::{
    base::secret::Secrets,
    resource::{Observation, Seen},
};
use std::collections::BTreeMap;

/// Every file that a host shall have, its secrets in their places, as `diff` would write it onto a bare host.
fn files(site: &Site, host: &str) -> BTreeMap<String, String> {
    let mut desired = Desired::default();
    for component in all(site) {
        component.resources(site, &mut desired).unwrap();
    }
    let mut secrets = Secrets::default();
    for name in
        ["site.crt", "site.key", "site-ca.crt", "stack-ca.crt", "mysql-app-rw", "mysql-app-ro", "mysql-app-migrate"]
    {
        secrets.insert(name, Secret::new(format!("<{name}>")));
    }
    secrets.insert("app-session-key", Secret::new("<key>"));
    secrets.insert("app-api-key", Secret::new("<key>"));
    let (here, all) = (Observation::default(), BTreeMap::new());
    let mut files = BTreeMap::new();
    for wanted in desired.wanted.iter().filter(|w| w.host.as_str() == host) {
        let changing = BTreeMap::new();
        let seen = Seen {
            host: &wanted.host,
            here: &here,
            all: &all,
            secrets: &secrets,
            fingerprint_key: "key",
            changing: &changing,
            now: 0,
        };
        let change = wanted.resource.diff(&seen).unwrap();
        for diff in change.into_iter().flat_map(|c| c.diffs) {
            files.insert(diff.path, diff.after.unwrap_or_default());
        }
    }
    files
}

fn show(site: &Site, host: &str, path: &str) -> String {
    files(site, host).remove(path).unwrap_or_else(|| panic!("no {path} on {host}"))
}

#[test]
fn print() {
    let site = testing::site(testing::topology());
    for host in ["lb-01", "web-01"] {
        for (path, text) in files(&site, host) {
            println!("=== {host} {path}\n{text}");
        }
    }
}

//! What each value alone cannot tell: whether the parts of a topology fit together, and what is known to hurt later. One
//! small function a lint, all of them in one list; what a single value may be is judged in `decode/`.

mod certificates;
mod dns;
mod hosts;
mod monitoring;
mod network;
mod parts;
mod redundancy;

use super::{
    certificate::CertificateText,
    problem::{Documents, File, Place, Problem, Spot},
    text::Part,
    yaml::{Kind, Node},
};
use crate::{base::name::HostName, component::spec::Topology};

/// What a lint may look at.
pub struct Facts<'f> {
    /// The topology, as far as it could be read.
    pub topology: &'f Topology,
    /// Where everything was written.
    pub documents: &'f Documents,
    /// Sections that were written almost right: told already, and not to be missed as well.
    pub misspelt: &'f [&'static str],
    /// The user's certificate, where its files could be read.
    pub certificate: Option<&'f CertificateText<'f>>,
    /// Seconds since the epoch.
    pub now: i64,
}

/// Looks for one kind of problem.
pub type Lint = fn(&Facts<'_>) -> Vec<Problem>;

/// Every lint, by its name.
pub const LINTS: &[(&str, Lint)] = &[
    ("empty-file", parts::empty_file),
    ("no-hosts", hosts::no_hosts),
    ("unknown-host", hosts::unknown_host),
    ("duplicate-address", hosts::duplicate_address),
    ("loopback-address", hosts::loopback_address),
    ("duplicate-name", parts::duplicate_name),
    ("nothing-to-do", parts::nothing_to_do),
    ("balancer-without-backends", parts::balancer_without_backends),
    ("web-without-app", parts::web_without_app),
    ("web-and-app-apart", parts::web_and_app_apart),
    ("no-balancer", parts::no_balancer),
    ("standby-alone", parts::standby_alone),
    ("redundancy-alone", redundancy::alone),
    ("redundancy-addresses", redundancy::addresses),
    ("redundancy-address", redundancy::address),
    ("redundancy-family", redundancy::family),
    ("primary-also-replica", parts::primary_also_replica),
    ("semi-sync-alone", parts::semi_sync_alone),
    ("names-and-zone", dns::names_and_zone),
    ("names-without-site", dns::names_without_site),
    ("monitoring-twice", monitoring::twice),
    ("monitoring-nobody", monitoring::nobody_is_told),
    ("own-variable", parts::own_variable),
    ("variable-twice", parts::variable_twice),
    ("plain-secret", parts::plain_secret),
    ("port-clash", network::port_clash),
    ("public-database", network::public_database),
    ("open-database", network::open_database),
    ("open-ssh", network::open_ssh),
    ("certificate", certificates::certificate),
    ("acme-names", certificates::acme_names),
    ("acme-crowd", certificates::acme_crowd),
    ("acme-forbidden", certificates::acme_forbidden),
];

impl Facts<'_> {
    /// Every place where a host is named, with the name. Refused words have been reported.
    pub fn host_words(&self) -> Vec<(Place, HostName)> {
        let mut lists: Vec<&Node> = Vec::new();
        for keys in [
            ["dns", "on"],
            ["haproxy", "on"],
            ["nginx", "on"],
            ["app", "on"],
            ["mysql", "replicas"],
            ["monitoring", "on"],
        ] {
            lists.extend(self.documents.find(&keys));
        }
        let rules = self.documents.find(&["firewall", "allow"]).map(Node::items).unwrap_or_default();
        lists.extend(rules.iter().filter_map(|rule| rule.get("on")));
        let items = lists.into_iter().flat_map(Node::items);
        let words = self.documents.find(&["mysql", "primary"]).into_iter().chain(items);
        words
            .filter_map(|node| match &node.kind {
                Kind::Text(text) => Some((place(node, Part::Value), text.parse().ok()?)),
                _ => None,
            })
            .collect()
    }

    /// The place of a host's name in the list at these keys.
    pub fn in_list(&self, keys: &[&str], name: &HostName) -> Place {
        let items = self.documents.find(keys).map(Node::items).unwrap_or_default();
        let item = items.iter().find(|i| matches!(&i.kind, Kind::Text(text) if text == name.as_str()));
        item.map_or_else(|| self.documents.key(keys), |i| place(i, Part::Value))
    }

    /// Whether a section is written, readable or not, misspelt or not.
    pub fn has(&self, section: &str) -> bool {
        self.documents.find(&[section]).is_some() || self.misspelt.contains(&section)
    }
}

fn place(node: &Node, part: Part) -> Place {
    Place { file: File::Topology, spot: Spot::Node(node.at.clone(), part) }
}

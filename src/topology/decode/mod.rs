//! From the tree to the typed topology, key by key: what each section's keys mean and default to. What cannot be read is a
//! problem, and something harmless stands in its place, so that everything else is judged all the same; a topology with
//! an error in it never leaves this room. Judging what fits together lives in `lint/`.

mod app;
mod dns;
mod hosts;
mod monitoring;
mod read;
mod rollout;
mod stack;
mod value;

pub use app::looks_secret;
pub use hosts::{NO_ADDRESS, SshDefaults, inventory};
pub use read::Reader;

use super::yaml::Node;
use crate::{
    base::name::{DomainName, NameError},
    component::spec::{Firewall, Keep, Rollout, Tls, Topology},
};
use std::str::FromStr;

/// Reads the topology file.
pub fn topology(read: &mut Reader<'_>, root: &Node) -> Topology {
    let top = read.fields(root, "");
    let site = match top.get("site") {
        Some(node) => read.word(node, "a domain name"),
        None => {
            read.missing(root, "site", "write the name that users type: `site: www.example.com`");
            None
        }
    };
    Topology {
        site: site.unwrap_or_else(|| harmless::<DomainName>("site.invalid")),
        aliases: top.get("aliases").map(|n| read.words(n, "a domain name")).unwrap_or_default(),
        hosts: top.get("hosts").map(|n| hosts::hosts(read, n)).unwrap_or_default(),
        haproxy: top.get("haproxy").map(|n| stack::haproxy(read, n)),
        dns: top.get("dns").and_then(|n| dns::dns(read, n)),
        tls: top.get("tls").map_or_else(Tls::default, |n| stack::tls(read, n)),
        nginx: top.get("nginx").map(|n| stack::nginx(read, n)),
        app: top.get("app").and_then(|n| app::app(read, n)),
        mysql: top.get("mysql").and_then(|n| stack::mysql(read, n)),
        monitoring: top.get("monitoring").map(|n| monitoring::monitoring(read, n)),
        firewall: top.get("firewall").map_or_else(Firewall::default, |n| stack::firewall(read, n)),
        keep: top.get("keep").map_or_else(Keep::default, |n| stack::keep(read, n)),
        rollout: top.get("rollout").map_or_else(Rollout::default, |n| rollout::rollout(read, n)),
    }
}

/// A word of this file's own, which is known to be good.
fn harmless<T: FromStr<Err = NameError>>(word: &str) -> T {
    match word.parse() {
        Ok(word) => word,
        Err(error) => unreachable!("a word of our own is refused: {error}"),
    }
}

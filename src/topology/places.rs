//! Where a key of the topology is written, for who asks why a file is as it is; and what it is where nobody wrote it.

use super::{
    decode::SshDefaults,
    problem::{Documents, File, Spot},
    text::{Part, line_and_column},
    yaml::{Kind, Node},
};
use crate::component::spec::{Certificate, Topology};

/// The files that a topology was read from.
#[derive(Clone, Debug)]
pub struct Places {
    documents: Documents,
    ssh: SshDefaults,
}

/// Where a key is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The file, as the user named it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

impl Places {
    pub(super) fn new(documents: Documents, ssh: SshDefaults) -> Self {
        Self { documents, ssh }
    }

    /// Where a key, or an item of a list by its number, is written. A host's keys are the inventory's where it has that
    /// host, and so are SSH settings that a host does not have of its own.
    pub fn find(&self, way: &[String]) -> Option<Written> {
        let keys: Vec<&str> = way.iter().map(String::as_str).collect();
        let (file, node) = match keys[..] {
            ["hosts", host, ref rest @ ..] => {
                let (file, node) = self.documents.host(host)?;
                match (within(node, rest), rest) {
                    (Some(node), _) => (file, node),
                    (None, ["ssh", _]) => (File::Inventory, self.inventory(rest)?),
                    (None, _) => return None,
                }
            }
            _ => (File::Topology, self.documents.find(&keys)?),
        };
        let document = self.documents.get(file)?;
        let (offset, _) = document.span(&Spot::Node(node.at.clone(), Part::Key))?;
        let (line, column) = line_and_column(&document.text, offset);
        Some(Written { file: document.name.clone(), line, column })
    }

    fn inventory(&self, keys: &[&str]) -> Option<&Node> {
        within(self.documents.inventory.as_ref()?.root.as_ref()?, keys)
    }

    /// What a key that is not written stands for; none where it stands for nothing.
    pub fn default(&self, topology: &Topology, way: &[String]) -> Option<String> {
        let keys: Vec<&str> = way.iter().map(String::as_str).collect();
        if let ["hosts", _, "ssh", "port"] = keys[..] {
            return Some(self.ssh.port.unwrap_or(22).to_string());
        }
        default(topology, &keys)
    }
}

fn within<'n>(node: &'n Node, keys: &[&str]) -> Option<&'n Node> {
    keys.iter().try_fold(node, |node, key| match &node.kind {
        Kind::List(items) => items.get(key.parse::<usize>().ok()?),
        _ => node.get(key),
    })
}

/// A way in words: `nginx.on[1]`, `hosts.web-01.address`.
pub fn name(way: &[String]) -> String {
    let mut name = String::new();
    for (at, part) in way.iter().enumerate() {
        let is_list = at > 0
            && ["on", "replicas", "allow", "aliases", "admin_from", "elsewhere", "caa", "virtual_addresses"]
                .contains(&way[at - 1].as_str());
        if is_list && part.bytes().all(|b| b.is_ascii_digit()) {
            name.push_str(&format!("[{part}]"));
        } else {
            name.push_str(if at > 0 { "." } else { "" });
            name.push_str(part);
        }
    }
    name
}

/// The value that reading gave to a key: where it is not written, the default. Never asked for what may be secret.
fn default(t: &Topology, keys: &[&str]) -> Option<String> {
    let (haproxy, nginx, app, mysql) = (t.haproxy.as_ref(), t.nginx.as_ref(), t.app.as_ref(), t.mysql.as_ref());
    let empty = |is_empty: bool, what: &str| is_empty.then(|| what.to_owned());
    match keys {
        ["aliases"] => empty(t.aliases.is_empty(), "none"),
        ["dns", "ttl"] => t.dns.as_ref()?.ttl.is_none().then(|| "60s".to_owned()),
        ["dns", "elsewhere" | "caa"] => Some("none".to_owned()),
        ["haproxy", "algorithm"] => word(haproxy?.algorithm),
        ["haproxy", "backends"] => word(haproxy?.backends),
        ["haproxy", "maxconn"] => word(haproxy?.maxconn),
        ["haproxy", "redundancy"] => empty(haproxy?.redundancy.is_none(), "none"),
        ["haproxy", "health", "path"] => Some("/healthz".to_owned()),
        ["haproxy", "health", "interval"] => word(haproxy?.health.interval),
        ["haproxy", "health", "rise"] => word(haproxy?.health.rise),
        ["haproxy", "health", "fall"] => word(haproxy?.health.fall),
        ["tls", "certificate"] => empty(matches!(t.tls.certificate, Certificate::SelfSigned), "self-signed"),
        ["tls", "certificate", "acme", "directory"] => match &t.tls.certificate {
            Certificate::Acme(acme) => word(&acme.directory),
            _ => None,
        },
        ["tls", "profile"] => word(t.tls.profile),
        ["tls", "redirect_http"] => word(t.tls.redirect_http),
        ["tls", "hsts"] => t.tls.hsts.map(|h| h.to_string()),
        ["nginx", "static"] => empty(nginx?.statics.is_empty(), "none"),
        ["nginx", "max_body_mib"] => word(nginx?.max_body_mib),
        ["app", "health"] => word(&app?.health),
        ["app", "port"] => word(app?.port),
        ["mysql", "engine"] => word(mysql?.engine),
        ["mysql", "replicas"] => empty(mysql?.replicas.is_empty(), "none"),
        ["mysql", "semi_sync"] => word(mysql?.semi_sync),
        ["mysql", "max_lag"] => word(mysql?.max_lag),
        ["mysql", "max_connections"] => word(mysql?.max_connections),
        ["monitoring", "every"] => word(t.monitoring.as_ref()?.every),
        ["monitoring", "after"] => word(t.monitoring.as_ref()?.after),
        ["monitoring", "retention"] => word(t.monitoring.as_ref()?.retention),
        ["monitoring", "alerts"] => empty(t.monitoring.is_some(), "nobody is told"),
        ["monitoring"] => empty(t.monitoring.is_none(), "nobody watches"),
        ["firewall", "admin_from"] => empty(t.firewall.admin_from.is_empty(), "anyone"),
        ["firewall", "confirm_within"] => word(t.firewall.confirm_within),
        ["firewall", "allow", n, "from"] => {
            empty(t.firewall.allow.get(n.parse::<usize>().ok()?)?.from.is_empty(), "anyone")
        }
        _ => None,
    }
}

/// A value as the user would write it.
fn word(value: impl serde::Serialize) -> Option<String> {
    Some(match serde_json::to_value(value).ok()? {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    })
}

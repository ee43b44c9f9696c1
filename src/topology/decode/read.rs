//! How any mapping is read: its keys, known, near or unknown, each once. What cannot be read becomes a problem at its
//! place, and reading goes on. Single values are read in `value.rs`; what the keys mean lives in the files beside.

use crate::topology::{
    problem::{Document, File, Place, Problem, Spot},
    text::{Part, likely, quoted},
    yaml::{Kind, Node},
};

use std::collections::BTreeMap;

/// Reads one file's tree, and keeps what was wrong with it.
pub struct Reader<'d> {
    /// The file.
    pub file: File,
    /// Its text and tree.
    pub document: &'d Document,
    /// What was wrong.
    pub problems: Vec<Problem>,
    /// Values that no snippet may show.
    pub masked: Vec<Place>,
    /// Keys that were written almost right, by the way to the mapping that they stand in.
    pub misspelt: Vec<(Vec<usize>, &'static str)>,
}

/// Every key there is, by the mapping it stands in: what is known, what is near, and where a misplaced key belongs.
pub const KEYS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "site",
            "aliases",
            "hosts",
            "dns",
            "haproxy",
            "tls",
            "nginx",
            "app",
            "mysql",
            "monitoring",
            "firewall",
            "keep",
            "rollout",
        ],
    ),
    ("inventory", &["hosts", "ssh"]),
    ("host", &["address", "ssh"]),
    ("host.ssh", &["user", "port", "jump"]),
    ("ssh", &["config", "user", "port"]),
    ("dns", &["on", "zone", "ttl", "caa", "elsewhere", "external"]),
    ("haproxy", &["on", "algorithm", "backends", "health", "maxconn", "redundancy"]),
    ("haproxy.redundancy", &["mode", "virtual_addresses"]),
    ("haproxy.health", &["path", "interval", "rise", "fall"]),
    ("tls", &["certificate", "profile", "redirect_http", "hsts"]),
    ("tls.certificate", &["cert", "key", "acme"]),
    ("tls.certificate.acme", &["email", "directory"]),
    ("nginx", &["on", "static", "max_body_mib"]),
    ("app", &["on", "source", "packages", "run", "migrate", "health", "port", "env", "secrets", "canary"]),
    ("app.secret", &["env", "file", "command", "generate"]),
    ("app.canary", &["write", "field", "read"]),
    ("mysql", &["engine", "primary", "replicas", "database", "semi_sync", "max_lag", "max_connections"]),
    ("monitoring", &["on", "every", "after", "retention", "alerts"]),
    ("monitoring.alerts", &["webhook", "email"]),
    ("monitoring.alerts.email", &["to", "from", "smarthost", "login", "password"]),
    ("firewall", &["admin_from", "allow", "confirm_within"]),
    ("keep", &["generations", "releases"]),
    ("rollout", &["batch", "canary", "drain", "keep_serving"]),
    ("firewall.allow", &["on", "protocol", "port", "from"]),
];

impl<'d> Reader<'d> {
    /// A reader at the start of a file.
    pub fn new(file: File, document: &'d Document) -> Self {
        Self { file, document, problems: Vec::new(), masked: Vec::new(), misspelt: Vec::new() }
    }

    /// A node's key.
    pub fn key(&self, node: &Node) -> Place {
        Place { file: self.file, spot: Spot::Node(node.at.clone(), Part::Key) }
    }

    /// A node's value.
    pub fn value(&self, node: &Node) -> Place {
        Place { file: self.file, spot: Spot::Node(node.at.clone(), Part::Value) }
    }

    /// Keeps a problem.
    pub fn refuse(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Lets no snippet show the scalars in a node.
    pub fn mask(&mut self, node: &Node) {
        match &node.kind {
            Kind::Map(entries) => entries.iter().for_each(|e| self.mask(&e.value)),
            Kind::List(items) => items.iter().for_each(|i| self.mask(i)),
            _ => self.masked.push(self.value(node)),
        }
    }

    /// Where a node stands in words: `app.packages[1]`.
    pub fn name(&self, node: &Node) -> String {
        let mut name = String::new();
        let Some(mut here) = self.document.root.as_ref() else { return name };
        while here.at != node.at {
            let Some((at, next)) = here.towards(&node.at) else { break };
            match &here.kind {
                Kind::Map(entries) => {
                    let key = quoted(entries[at].key.as_deref().unwrap_or("?"));
                    name.push_str(&if name.is_empty() { key } else { format!(".{key}") });
                }
                _ => name.push_str(&format!("[{at}]")),
            }
            here = next;
        }
        name
    }

    /// Says that a node is something else than it should be.
    pub fn wrong_kind(&mut self, node: &Node, wanted: &str, help: impl Into<String>) {
        let (name, found) = (self.name(node), node.kind_name());
        let problem = Problem::error(format!("`{name}` must be {wanted}, and is {found}"));
        self.refuse(problem.at(self.value(node), format!("{found} here")).help(help));
    }

    /// A mapping's entries with their keys, each once.
    pub fn entries<'n>(&mut self, node: &'n Node, help: &str) -> Vec<(&'n str, &'n Node)> {
        let entries = match &node.kind {
            Kind::Map(entries) => entries,
            // `tls:` with nothing behind it: all its defaults.
            Kind::Null => return Vec::new(),
            _ => {
                self.wrong_kind(node, "a mapping", help);
                return Vec::new();
            }
        };
        let mut seen: Vec<(&str, &Node)> = Vec::new();
        let mut first: BTreeMap<&str, &Node> = BTreeMap::new();
        for entry in entries {
            let Some(key) = entry.key.as_deref() else {
                let problem = Problem::error("a key must be plain text").at(self.key(&entry.value), "this key is not");
                self.refuse(problem.help("put quotes around a text that starts with { or ["));
                continue;
            };
            match first.get(key).copied() {
                Some(first) => {
                    let problem = Problem::error(format!("`{}` stands here twice", quoted(key)))
                        .at(self.key(&entry.value), "again here")
                        .at(self.key(first), "first here");
                    self.refuse(problem.help("keep one of them"));
                }
                None => {
                    first.insert(key, &entry.value);
                    seen.push((key, &entry.value));
                }
            }
        }
        seen
    }

    /// A mapping that has these keys only: `keys` names its line in [`KEYS`].
    pub fn fields<'n>(&mut self, node: &'n Node, keys: &str) -> Fields<'n> {
        let known = KEYS.iter().find(|(name, _)| *name == keys).map_or(&[][..], |(_, known)| known);
        let all = self.entries(node, &format!("write its keys below it: {}", known.join(", ")));
        let mut fields = Vec::new();
        for (key, value) in all {
            if known.contains(&key) {
                fields.push((key, value));
                continue;
            }
            let parent = self.document.node(&node.at).map(|n| self.name(n)).unwrap_or_default();
            let whose = match (parent.as_str(), self.file) {
                ("", File::Topology) => "the topology".to_owned(),
                ("", File::Inventory) => "the inventory".to_owned(),
                (name, _) => format!("`{name}`"),
            };
            let problem = Problem::error(format!("unknown key `{}` in {whose}", quoted(key)));
            let near = likely(key, known.iter().copied());
            self.misspelt.extend(near.map(|near| (node.at.clone(), near)));
            let elsewhere = KEYS.iter().find(|(name, known)| !name.is_empty() && *name != keys && known.contains(&key));
            let (label, help) = match (near, elsewhere) {
                (Some(near), _) => (format!("did you mean `{near}`?"), format!("write `{near}`, or remove it")),
                (None, Some((section, _)))
                    if keys.is_empty() && !section.contains("host") && *section != "inventory" =>
                {
                    let section = section.replace("app.secret", "app.secrets");
                    ("not a key of this level".to_owned(), format!("`{key}` belongs below `{section}`"))
                }
                _ => ("not a key of foobar's".to_owned(), format!("remove it; the keys here are {}", known.join(", "))),
            };
            self.refuse(problem.at(self.key(value), label).help(help));
        }
        Fields { fields }
    }

    /// Says that a key is missing.
    pub fn missing(&mut self, node: &Node, key: &str, help: &str) {
        // What is no mapping at all has been refused for that, a key that was written almost right for its spelling, and
        // a file that is empty is told so once.
        let is_misspelt = self.misspelt.iter().any(|(at, near)| *at == node.at && *near == key);
        let is_empty_file = node.at.is_empty() && matches!(node.kind, Kind::Null);
        if !matches!(node.kind, Kind::Map(_) | Kind::Null) || is_misspelt || is_empty_file {
            return;
        }
        let (name, place) = (self.name(node), self.key(node));
        let problem = match (name.is_empty(), self.file) {
            (true, _) => {
                Problem::error(format!("`{key}` is missing")).at(Place { file: self.file, spot: Spot::Whole }, "")
            }
            (false, _) => Problem::error(format!("`{name}` has no `{key}`")).at(place, format!("`{key}` is missing")),
        };
        self.refuse(problem.help(help));
    }
}

/// The known keys that a mapping has.
pub struct Fields<'n> {
    fields: Vec<(&'n str, &'n Node)>,
}

impl<'n> Fields<'n> {
    /// The value of a key, where it is written; `key:` with nothing behind it counts.
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.fields.iter().find(|(k, _)| *k == key).map(|(_, node)| *node)
    }
}

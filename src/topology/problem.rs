//! What is wrong with a topology, and where: a problem names nodes of the tree, and becomes lines and columns only when
//! it is reported (`report.rs`).

use super::{
    text::{self, Part},
    yaml::{self, Kind, Node},
};
use serde::Serialize;
use std::fmt;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It works, and there is something to know about it.
    Warning,
    /// Nothing is done before it is mended.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Error { "error" } else { "warning" })
    }
}

/// Which of the files that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    /// The topology.
    Topology,
    /// The inventory.
    Inventory,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: File,
    /// Where in it.
    pub spot: Spot,
}

/// Where in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    /// A node, by its way from the root.
    Node(Vec<usize>, Part),
    /// A byte.
    Offset(usize),
    /// The file as a whole.
    Whole,
}

/// Something wrong.
#[derive(Clone, Debug)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, a lower-case fragment.
    pub message: String,
    /// Where, and what is to be seen there; the first is the one that the problem is listed by.
    pub labels: Vec<(Place, String)>,
    /// What to do next.
    pub help: String,
}

impl Problem {
    /// An error.
    pub fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), labels: Vec::new(), help: String::new() }
    }

    /// A warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// With a place and what is to be seen there.
    pub fn at(mut self, place: Place, label: impl Into<String>) -> Self {
        self.labels.push((place, label.into()));
        self
    }

    /// With what to do next.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

/// A file that was read: its name as the user gave it, its text, and its tree where it is YAML.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its path as the user wrote it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Its tree.
    pub root: Option<Node>,
}

impl Document {
    /// The node at the end of a way.
    pub fn node(&self, way: &[usize]) -> Option<&Node> {
        let mut node = self.root.as_ref()?;
        while node.at != way {
            node = node.towards(way)?.1;
        }
        Some(node)
    }

    /// The bytes that a spot stands for: start and length.
    pub fn span(&self, spot: &Spot) -> Option<(usize, usize)> {
        let offset = match spot {
            Spot::Whole => return None,
            Spot::Offset(offset) => (*offset).min(self.text.len()),
            Spot::Node(way, part) => {
                // A list or a mapping begins on a line of its own, or nowhere: its key says better what is meant.
                let scalar =
                    self.node(way).is_some_and(|n| matches!(n.kind, Kind::Bool(_) | Kind::Number(_) | Kind::Text(_)));
                let part = if scalar { *part } else { Part::Key };
                yaml::locate(&self.text, way, part)?
            }
        };
        Some((offset, text::extent(&self.text, offset)))
    }
}

/// The files that were read.
#[derive(Clone, Debug)]
pub struct Documents {
    /// The topology.
    pub topology: Document,
    /// The inventory, where there is one.
    pub inventory: Option<Document>,
}

impl Documents {
    /// One of them.
    pub fn get(&self, file: File) -> Option<&Document> {
        match file {
            File::Topology => Some(&self.topology),
            File::Inventory => self.inventory.as_ref(),
        }
    }

    /// The topology's node at these keys (list items by their number).
    pub fn find(&self, keys: &[&str]) -> Option<&Node> {
        find(self.topology.root.as_ref()?, keys)
    }

    /// The place of the topology's value at these keys, or of the nearest thing above it that was written.
    pub fn place(&self, keys: &[&str]) -> Place {
        self.spot(keys, Part::Value)
    }

    /// The place of the topology's key at the end of these keys, or of the nearest thing above it that was written.
    pub fn key(&self, keys: &[&str]) -> Place {
        self.spot(keys, Part::Key)
    }

    fn spot(&self, keys: &[&str], part: Part) -> Place {
        let nearest = (1..=keys.len()).rev().find_map(|n| Some((n, self.find(&keys[..n])?)));
        let spot = nearest.map_or(Spot::Whole, |(n, node)| {
            Spot::Node(node.at.clone(), if n == keys.len() { part } else { Part::Key })
        });
        Place { file: File::Topology, spot }
    }

    /// The entry of a host: the inventory's word counts before the topology's.
    pub fn host(&self, name: &str) -> Option<(File, &Node)> {
        let own = |file| Some((file, find(self.get(file)?.root.as_ref()?, &["hosts", name])?));
        own(File::Inventory).or_else(|| own(File::Topology))
    }

    /// The place of something within a host's entry, or of the host's name.
    pub fn in_host(&self, name: &str, keys: &[&str]) -> Place {
        let Some((file, node)) = self.host(name) else { return self.key(&["hosts"]) };
        match find(node, keys) {
            Some(inner) if !keys.is_empty() => Place { file, spot: Spot::Node(inner.at.clone(), Part::Value) },
            _ => Place { file, spot: Spot::Node(node.at.clone(), Part::Key) },
        }
    }
}

fn find<'n>(root: &'n Node, keys: &[&str]) -> Option<&'n Node> {
    keys.iter().try_fold(root, |node, key| match &node.kind {
        Kind::List(items) => items.get(key.parse::<usize>().ok()?),
        _ => node.get(key),
    })
}

//! The user's YAML: parsed, located, validated, all its problems at once, each at its line. Pure: texts come in, and with
//! them the time; reading files is the command line's business (`cli/gather.rs`). What a key means to a host is not known here.
//!
//! ```text
//! text → yaml (tree with places) → decode (typed, problems) → lint (what fits together) → report (lines and snippets)
//! ```

pub mod certificate;
mod decode;
pub mod edit;
mod lint;
pub mod places;
pub mod problem;
pub mod report;
pub mod spof;
mod text;
mod yaml;

#[cfg(test)]
mod tests;

pub use decode::SshDefaults;
pub use problem::{Place, Problem, Severity};
pub use report::{Finding, Report};

use crate::component::spec::{Host, Topology};
use certificate::CertificateText;
use places::Places;
use problem::{Document, Documents, File, Spot};

/// The longest text that is looked into, in bytes: finding the place of a problem means reading the text again.
const MOST_TEXT: usize = 256 << 10;
/// The most brackets that may be open at a time: reading them takes the square of it. No text of a topology's comes near.
const MOST_OPEN: usize = 1_000;

/// A text and where it is from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file's path, as the user gave it.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// What a topology is made from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The topology file.
    pub topology: Source,
    /// The inventory (`-i`), whose hosts win.
    pub inventory: Option<Source>,
}

/// A topology without errors.
#[derive(Clone, Debug)]
pub struct Valid {
    /// The topology, its hosts united with the inventory's, the inventory's `ssh:` filled in.
    pub topology: Topology,
    /// The inventory's `ssh:`.
    pub ssh: SshDefaults,
    /// What there is to know all the same.
    pub warnings: Report,
    /// Where its keys are written.
    pub places: Places,
}

/// A topology that was read and not judged yet: whoever reads the local files that it names looks into it, adds what is
/// wrong with them, and has all of it judged together.
#[derive(Clone, Debug)]
pub struct Draft {
    documents: Documents,
    topology: Option<Topology>,
    ssh: SshDefaults,
    problems: Vec<Problem>,
    masked: Vec<Place>,
    /// Sections that were written almost right.
    misspelt: Vec<&'static str>,
}

/// Reads and judges a topology that needs no local files, or whose local files are not looked at.
pub fn load(sources: Sources, now: i64) -> Result<Valid, Report> {
    Draft::read(sources).finish(None, now)
}

impl Draft {
    /// Reads the texts.
    pub fn read(sources: Sources) -> Self {
        let mut problems = Vec::new();
        let mut open = |source: Source, file| {
            let text = source.text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(source.text);
            if text.len() > MOST_TEXT {
                let message = format!("the file has more than {} KiB", MOST_TEXT >> 10);
                let place = Place { file, spot: Spot::Whole };
                problems.push(
                    Problem::error(message).at(place, "").help("name a topology or an inventory; both are short texts"),
                );
                return Document { name: source.name, text: String::new(), root: None };
            }
            if let Some(offset) = too_deep(&text) {
                let place = Place { file, spot: Spot::Offset(offset) };
                let problem = Problem::error("brackets within brackets without end").at(place, "here");
                problems.push(problem.help("write it flatter: no key of foobar's lies deeper than six levels"));
                return Document { name: source.name, text, root: None };
            }
            let root = match yaml::parse(&text) {
                Ok(root) => Some(root),
                Err(fault) => {
                    let place = Place { file, spot: Spot::Offset(fault.offset) };
                    problems.push(Problem::error(fault.message).at(place, "here").help(fault.help));
                    None
                }
            };
            Document { name: source.name, text, root }
        };
        let topology = open(sources.topology, File::Topology);
        let inventory = sources.inventory.map(|i| open(i, File::Inventory));
        let mut draft = Self {
            documents: Documents { topology, inventory },
            topology: None,
            ssh: SshDefaults::default(),
            problems,
            masked: Vec::new(),
            misspelt: Vec::new(),
        };
        draft.decode();
        draft
    }

    fn decode(&mut self) {
        let mut hosts = Vec::new();
        if let Some(document) = &self.documents.inventory
            && let Some(root) = &document.root
        {
            let mut read = decode::Reader::new(File::Inventory, document);
            (hosts, self.ssh) = decode::inventory(&mut read, root);
            self.problems.extend(read.problems);
        }
        if let Some(root) = &self.documents.topology.root {
            let mut read = decode::Reader::new(File::Topology, &self.documents.topology);
            let mut topology = decode::topology(&mut read, root);
            self.problems.extend(read.problems);
            self.masked.extend(read.masked);
            self.misspelt = read.misspelt.into_iter().filter(|(at, _)| at.is_empty()).map(|(_, key)| key).collect();
            topology.hosts = unite(std::mem::take(&mut topology.hosts), hosts);
            for host in &mut topology.hosts {
                host.ssh.user = host.ssh.user.take().or_else(|| self.ssh.user.clone());
                host.ssh.port = host.ssh.port.or(self.ssh.port);
            }
            self.topology = Some(topology);
        }
    }

    /// The topology as far as it could be read, harmless words standing for what could not; none where the file is no YAML.
    pub fn topology(&self) -> Option<&Topology> {
        self.topology.as_ref()
    }

    /// The inventory's `ssh:`.
    pub fn ssh(&self) -> &SshDefaults {
        &self.ssh
    }

    /// Whether an error was found so far.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|p| p.severity == Severity::Error)
    }

    /// The place of the topology's value at these keys, for a problem that was found elsewhere: list items by their number.
    pub fn place(&self, keys: &[&str]) -> Place {
        self.documents.place(keys)
    }

    /// The place of the inventory's value at these keys.
    pub fn inventory_place(&self, keys: &[&str]) -> Place {
        let root = self.documents.inventory.as_ref().and_then(|d| d.root.as_ref());
        let node = keys.iter().try_fold(root, |node, key| Some(node?.get(key))).flatten();
        let spot = node.map_or(Spot::Whole, |n| Spot::Node(n.at.clone(), text::Part::Value));
        Place { file: File::Inventory, spot }
    }

    /// Adds a problem.
    pub fn add(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Judges what was read, with the user's certificate where its files could be read. `now` is in seconds since the epoch.
    pub fn finish(mut self, certificate: Option<&CertificateText<'_>>, now: i64) -> Result<Valid, Report> {
        if let Some(topology) = &self.topology {
            let facts =
                lint::Facts { topology, documents: &self.documents, misspelt: &self.misspelt, certificate, now };
            for (_, lint) in lint::LINTS {
                self.problems.extend(lint(&facts));
            }
        }
        let failed = self.has_errors();
        let report = Report::new(&self.documents, std::mem::take(&mut self.problems), &self.masked);
        match self.topology {
            Some(topology) if !failed => Ok(Valid {
                topology,
                ssh: self.ssh.clone(),
                warnings: report,
                places: Places::new(self.documents, self.ssh),
            }),
            _ => Err(report),
        }
    }
}

/// Where too many brackets are open, in bytes; those within quotes count, which are never so many.
fn too_deep(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut found = text.bytes().enumerate().filter(|(_, b)| b"[{]}".contains(b));
    let deep = found.find(|(_, b)| {
        open = if b"[{".contains(b) { open + 1 } else { open.saturating_sub(1) };
        open > MOST_OPEN
    });
    deep.map(|(at, _)| at)
}

/// The topology's hosts in their order, each replaced by the inventory's of that name; then the inventory's further ones.
fn unite(own: Vec<Host>, inventory: Vec<Host>) -> Vec<Host> {
    let mut hosts: Vec<Host> = own;
    for host in inventory {
        match hosts.iter_mut().find(|h| h.name == host.name) {
            Some(known) => *known = host,
            None => hosts.push(host),
        }
    }
    hosts
}

//! The paths that foobar writes on each host, as they would be pushed, without any host having been asked. A secret is
//! the place that it would stand at: its value is not known here.

use crate::{
    base::{name::HostName, secret::Secrets},
    component::Desired,
    resource::files::{Body, File},
};

/// A path on a host.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The host.
    pub host: HostName,
    /// The path, and what it shall be.
    pub file: File,
}

/// Every path of these hosts, host by host, by path.
pub fn all<'a>(desired: &Desired, hosts: impl IntoIterator<Item = &'a HostName>) -> Vec<Rendered> {
    let mut all: Vec<Rendered> = Vec::new();
    for host in hosts {
        let written = desired.wanted.iter().filter(|w| w.host == *host).flat_map(|w| w.resource.written());
        let mut files: Vec<File> = written.collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
        all.extend(files.into_iter().map(|file| Rendered { host: host.clone(), file }));
    }
    all
}

impl Rendered {
    /// Its text, each secret as `(secret NAME)`; none where it is no file.
    pub fn text(&self) -> Option<String> {
        match &self.file.body {
            Body::Text(content) => Some(content.shown(&Secrets::default(), "")),
            Body::Directory | Body::Absent => None,
        }
    }

    /// Names of the secrets in it.
    pub fn secrets(&self) -> Vec<&str> {
        match &self.file.body {
            Body::Text(content) => content.needs(),
            Body::Directory | Body::Absent => Vec::new(),
        }
    }
}

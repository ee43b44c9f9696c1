//! Why a file is as it is: which template it is rendered from, with which values, and which keys of the topology those
//! values come from. Each component says so beside its own template values; where the keys are written is the
//! topology's business.

use super::{Component, site::Site};
use crate::base::{name::HostName, template::TemplateError};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A key of the topology, as the way to it: list items by their number.
    Key(Vec<String>),
    /// foobar itself: what it is.
    Own(&'static str),
}

/// A key of the topology.
pub fn key<S: Into<String>>(way: impl IntoIterator<Item = S>) -> Source {
    Source::Key(way.into_iter().map(Into::into).collect())
}

/// `hosts.NAME.address`
pub fn address(host: &HostName) -> Source {
    key(["hosts", host.as_str(), "address"])
}

/// The place of a host in a list of them, or the whole list where it is not in it.
pub fn in_list(way: [&str; 2], hosts: &[HostName], host: &HostName) -> Source {
    match hosts.iter().position(|h| h == host) {
        Some(at) => key([way[0].to_owned(), way[1].to_owned(), at.to_string()]),
        None => key(way),
    }
}

/// `site` and `aliases`: what the site is called.
pub fn names() -> Vec<Source> {
    vec![key(["site"]), key(["aliases"])]
}

/// What is asked about: a variable of a template's context.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// The site.
    pub site: &'a Site,
    /// The host that the file is for.
    pub host: &'a HostName,
    /// Which of the variable's items, where it is a list that is gone through.
    pub item: Option<usize>,
    /// Which field of it.
    pub field: Option<&'a str>,
    /// Whether it only decides what is written, and is not written itself.
    pub decides: bool,
}

/// Finds where a variable's value comes from.
pub type Find = fn(&At<'_>) -> Vec<Source>;

/// The variables of a context, by name. A test holds each table against the context that it is for.
pub type Variables = &'static [(&'static str, Find)];

/// How a file is made.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Its path on the host.
    pub path: String,
    /// The template.
    pub template: &'static str,
    /// The values.
    pub context: serde_json::Value,
    /// Where each of them comes from.
    pub variables: Variables,
}

impl Origin {
    /// A file rendered from a template with these values.
    pub fn new(
        path: impl Into<String>,
        template: &'static str,
        context: &impl serde::Serialize,
        variables: Variables,
    ) -> Result<Self, TemplateError> {
        let context = serde_json::to_value(context)
            .map_err(|e| TemplateError { name: template.to_owned(), why: e.to_string() })?;
        Ok(Self { path: path.into(), template, context, variables })
    }

    /// Where a variable's value comes from; nothing where it is none of the table's.
    pub fn sources(&self, variable: &str, at: &At<'_>) -> Vec<Source> {
        self.variables.iter().find(|(name, _)| *name == variable).map(|(_, find)| find(at)).unwrap_or_default()
    }
}

/// How the files of a host are made, those that come from a template.
pub fn all(components: &[Box<dyn Component>], site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
    let mut all = Vec::new();
    for component in components {
        all.extend(component.origins(site, host)?);
    }
    Ok(all)
}

/// Where a secret comes from.
pub fn secret(components: &[Box<dyn Component>], site: &Site, name: &str) -> Vec<Source> {
    components.iter().map(|c| c.secret_origin(site, name)).find(|s| !s.is_empty()).unwrap_or_default()
}

//! Why a file is as it is: for each of its lines the template's line, and the topology's lines or the defaults behind
//! what is printed there. No host is asked.

use super::{
    desired::FINGERPRINT_KEY,
    rendered::{self, Rendered},
};
use crate::{
    base::{
        name::HostName,
        secret::{Content, Secrets},
        template::TemplateError,
        trace::{self, Part, Traced, Use},
    },
    component::{
        self, Component, Desired,
        origin::{self, At, Source},
        site::Site,
    },
    resource::{
        files::{Body, File},
        ruleset::Ruleset,
    },
    topology::places::{Places, name},
};
use serde::Serialize;
use std::{cmp::Reverse, fmt};

/// A file and the reasons for it.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// The host.
    pub host: HostName,
    /// The path.
    pub path: String,
    /// Its mode, octal.
    pub mode: String,
    /// Its owner and group.
    pub owner: String,
    /// The template; none where there is none.
    pub template: Option<Template>,
    /// What there is to know about the file as a whole.
    pub note: Option<String>,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// A template.
#[derive(Clone, Debug, Serialize)]
pub struct Template {
    /// Its path under the folder of templates.
    pub name: String,
    /// Whether it is the user's own.
    pub own: bool,
}

/// A line of a file.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Its number, from 1.
    pub line: usize,
    /// Its text, each secret as `(secret NAME)`.
    pub text: String,
    /// The template's lines that it was made from.
    pub template: Vec<TemplateLine>,
    /// What was printed on it, and why it has that value.
    pub values: Vec<Reason>,
    /// The blocks of the template that it stands in, and why they were taken.
    pub blocks: Vec<Reason>,
}

/// A line of a template.
#[derive(Clone, Debug, Serialize)]
pub struct TemplateLine {
    /// Its number, from 1.
    pub line: usize,
    /// Its text.
    pub text: String,
}

/// Why something is as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// What: an expression or a block of the template, or a secret.
    pub what: String,
    /// Where it comes from; several where it is derived from all of them, none where nothing is known.
    pub from: Vec<Origin>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Origin {
    /// A key that is written.
    Written {
        /// The key.
        key: String,
        /// The file that it stands in.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// A key that is not written, and has a default.
    Default {
        /// The key.
        key: String,
        /// Its default.
        value: String,
    },
    /// A key that is not written, which says something too.
    Absent {
        /// The key.
        key: String,
    },
    /// foobar's own.
    Own {
        /// What it is.
        what: &'static str,
    },
}

/// What cannot be explained.
#[derive(Debug)]
pub enum Unknown {
    /// There is no such host.
    Host {
        /// The name that was given.
        name: String,
        /// The hosts there are.
        known: Vec<String>,
    },
    /// foobar writes no such path there.
    Path {
        /// The host.
        host: HostName,
        /// The path that was given.
        path: String,
        /// Paths that may have been meant, the likeliest first.
        near: Vec<String>,
        /// Hosts that have this very path.
        elsewhere: Vec<HostName>,
    },
    /// The path is one of foobar's, and no file: what it is.
    NoFile(HostName, String, &'static str),
    /// A template of the user's own.
    Template(TemplateError),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { name, .. } => write!(f, "there is no host `{name}`"),
            Self::Path { host, path, .. } => write!(f, "foobar writes no {path} on {host}"),
            Self::NoFile(host, path, what) => write!(f, "{path} on {host} is {what}, and has no lines"),
            Self::Template(error) => error.fmt(f),
        }
    }
}

impl Unknown {
    /// What to do next.
    pub fn help(&self) -> String {
        match self {
            Self::Host { name, known } => match nearest(name, known.iter().map(String::as_str)).first() {
                Some(near) => format!("did you mean `{near}`? There are: {}", known.join(", ")),
                None => format!("the topology has: {}", known.join(", ")),
            },
            Self::Path { host, near, elsewhere, .. } => {
                let there = elsewhere.first().map(|h| format!("{h} has it"));
                let near = (!near.is_empty()).then(|| match &there {
                    Some(_) => format!("on {host} perhaps {}", near.join(" or ")),
                    None => format!("perhaps {}", near.join(" or ")),
                });
                let all = Some("`foobar render` shows every file".to_owned());
                [there, near, all].into_iter().flatten().collect::<Vec<_>>().join("; ")
            }
            Self::NoFile(..) => "`foobar render` shows it with its mode and owner".to_owned(),
            Self::Template(_) => "mend the template; foobar's own stand in its source under templates/".to_owned(),
        }
    }
}

/// What was likely meant, the likeliest first.
fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let word: String = word.chars().take(256).collect();
    let mut found: Vec<(usize, &str)> = candidates.map(|c| (strsim::damerau_levenshtein(&word, c), c)).collect();
    found.retain(|(distance, c)| *distance <= (c.chars().count() / 3).max(1));
    found.sort();
    found.into_iter().map(|(_, c)| c).collect()
}

/// Paths that may have been meant: those nearly written so, and those that share the most of their end.
fn near_paths(path: &str, all: &[Rendered]) -> Vec<String> {
    let paths = || all.iter().filter(|r| matches!(r.file.body, Body::Text(_))).map(|r| r.file.path.as_str());
    let mut found = nearest(path, paths());
    let parts = |p: &str| p.split('/').rev().map(str::to_owned).collect::<Vec<_>>();
    let own = parts(path);
    let shared = |p: &str| parts(p).iter().zip(&own).take_while(|(a, b)| a == b).count();
    let within = |p: &str| own.iter().filter(|o| o.len() > 3 && p.contains(o.as_str())).count();
    let mut others: Vec<&str> = paths().filter(|p| shared(p) + within(p) > 0).collect();
    others.sort_by_key(|p| Reverse(2 * shared(p) + within(p)));
    for other in others {
        if !found.contains(&other) {
            found.push(other);
        }
    }
    found.into_iter().take(3).map(str::to_owned).collect()
}

/// What a site would be made of, and where it is written.
#[derive(Clone, Copy)]
pub struct Basis<'a> {
    /// The site.
    pub site: &'a Site,
    /// What its hosts shall have.
    pub desired: &'a Desired,
    /// Where its keys are written.
    pub places: &'a Places,
}

/// Explains a file of a host.
pub fn explain(basis: &Basis<'_>, host: &str, path: &str) -> Result<Explained, Unknown> {
    let site = basis.site;
    let known = site.hosts().find(|h| h.as_str() == host);
    let host = known.ok_or_else(|| Unknown::Host {
        name: host.to_owned(),
        known: site.hosts().map(ToString::to_string).collect(),
    })?;
    let all = rendered::all(basis.desired, [host]);
    let Some(found) = all.iter().find(|r| r.file.path == path) else {
        let others = rendered::all(basis.desired, site.hosts());
        let elsewhere = others.iter().filter(|r| r.file.path == path).map(|r| r.host.clone()).collect();
        return Err(Unknown::Path {
            host: host.clone(),
            path: path.to_owned(),
            near: near_paths(path, &all),
            elsewhere,
        });
    };
    let Body::Text(content) = &found.file.body else {
        let what = if matches!(found.file.body, Body::Absent) { "removed" } else { "a directory" };
        return Err(Unknown::NoFile(host.clone(), path.to_owned(), what));
    };
    let components = component::all(site);
    let asked = Asked { basis, host, components: &components };
    asked.file(&found.file, content).map_err(Unknown::Template)
}

/// A question about a host's file.
struct Asked<'a> {
    basis: &'a Basis<'a>,
    host: &'a HostName,
    components: &'a [Box<dyn Component>],
}

impl Asked<'_> {
    fn file(&self, file: &File, content: &Content) -> Result<Explained, TemplateError> {
        let text = content.shown(&Secrets::default(), "");
        let bare = |(at, text): (usize, &str)| Line {
            line: at + 1,
            text: text.to_owned(),
            template: Vec::new(),
            values: Vec::new(),
            blocks: Vec::new(),
        };
        let mut explained = Explained {
            host: self.host.clone(),
            path: file.path.clone(),
            mode: format!("{:04o}", file.mode),
            owner: format!("{}:{}", file.owner, file.group),
            template: None,
            note: None,
            lines: text.lines().enumerate().map(bare).collect(),
        };
        let site = self.basis.site;
        let origins = origin::all(self.components, site, self.host)?;
        if let Some(origin) = origins.iter().find(|o| o.path == file.path) {
            let traced = trace::trace(&site.templates, origin.template, &origin.context)?;
            let (source, own) = site.templates.source(origin.template).unwrap_or_default();
            explained.template = Some(Template { name: origin.template.to_owned(), own });
            match lines(&traced, content) {
                Some(lines) => self.fill(&mut explained, origin, source, &lines),
                None => {
                    explained.note = Some(
                        "the template does what cannot be followed line by line, so that only its name is sure"
                            .to_owned(),
                    );
                }
            }
        } else if content.is_secret() {
            let made = "the file is secrets alone: each stands here as one line, whatever its length";
            explained.note = Some(made.to_owned());
        } else {
            explained.note = Some("the file is foobar's own, the same on every host".to_owned());
        }
        for line in &mut explained.lines {
            // Where the template's variable says so already, it is not said again.
            let names = line.text.split("(secret ").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
            let names: Vec<String> = names.filter(|n| content.needs().contains(&n.as_str())).collect();
            for name in names {
                let sources = match name.as_str() {
                    FINGERPRINT_KEY => vec![Source::Own("made once, keys the fingerprints that stand for secrets")],
                    name => origin::secret(self.components, site, name),
                };
                let from = self.origins(&sources);
                if !line.values.iter().any(|v| v.from == from) {
                    line.values.push(Reason { what: format!("(secret {name})"), from });
                }
            }
        }
        Ok(explained)
    }

    fn fill(&self, explained: &mut Explained, origin: &origin::Origin, source: &str, lines: &[&trace::Line]) {
        let source: Vec<&str> = source.lines().collect();
        for (line, traced) in explained.lines.iter_mut().zip(lines) {
            let text = |n: usize| source.get(n - 1).map(|t| (*t).to_owned()).unwrap_or_default();
            line.template = traced.template.iter().map(|n| TemplateLine { line: *n, text: text(*n) }).collect();
            line.values = self.reasons(origin, &traced.printed, false);
            line.blocks = self.reasons(origin, &traced.within, true);
        }
    }

    fn reasons(&self, origin: &origin::Origin, parts: &[Part], decides: bool) -> Vec<Reason> {
        let reason = |part: &Part| {
            let mut from = Vec::new();
            for used in &part.uses {
                for found in self.used(origin, used, decides) {
                    if !from.contains(&found) {
                        from.push(found);
                    }
                }
            }
            let what = match decides {
                true => format!("{{% {} %}}", part.text),
                false => format!("{{{{ {} }}}}", part.text),
            };
            Reason { what, from }
        };
        parts.iter().map(reason).collect()
    }

    fn used(&self, origin: &origin::Origin, used: &Use, decides: bool) -> Vec<Origin> {
        let at = At { site: self.basis.site, host: self.host, item: used.item, field: used.field.as_deref(), decides };
        self.origins(&origin.sources(&used.variable, &at))
    }

    fn origins(&self, sources: &[Source]) -> Vec<Origin> {
        let one = |source: &Source| match source {
            Source::Own(what) => Origin::Own { what },
            Source::Key(way) => {
                let key = name(way);
                match (self.basis.places.find(way), self.basis.places.default(&self.basis.site.topology, way)) {
                    (Some(written), _) => {
                        Origin::Written { key, file: written.file, line: written.line, column: written.column }
                    }
                    (None, Some(value)) => Origin::Default { key, value },
                    (None, None) => Origin::Absent { key },
                }
            }
        };
        sources.iter().map(one).collect()
    }
}

/// The lines of a traced rendering as they are in the file; none where they are not the file's.
fn lines<'t>(traced: &'t Traced, content: &Content) -> Option<Vec<&'t trace::Line>> {
    let all = traced.lines.as_ref()?;
    let kept = traced
        .text
        .split_inclusive('\n')
        .zip(all)
        .filter(|(text, _)| !Ruleset::is_operator(text.trim_end_matches('\n')));
    let (texts, lines): (String, Vec<&trace::Line>) = kept.unzip();
    (*content == Content::new(texts)).then_some(lines)
}

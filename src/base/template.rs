//! The Tera templates: embedded at compile time, the user's own laid over them by whoever read that directory.
//! What stands in a template's context is its component's business; secrets never do (see `secret::place`).

use std::collections::BTreeMap;
use tera::{Context, Tera};

macro_rules! embedded {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../../templates/", $name)))),*] };
}

/// Every template of the house, by its path under `templates/`. A test holds it against the directory.
pub const EMBEDDED: &[(&str, &str)] = embedded![
    "app/app.env.tera",
    "app/foobar-app.service.tera",
    "dns/nsd.conf.tera",
    "dns/zone.tera",
    "firewall/firewall.nft.tera",
    "haproxy/haproxy.cfg.tera",
    "haproxy/unit.conf.tera",
    "keepalived/check-haproxy.tera",
    "keepalived/haproxy.conf.tera",
    "keepalived/keepalived.conf.tera",
    "keepalived/own-interface.tera",
    "keepalived/unit.conf.tera",
    "monitoring/alertmanager.default.tera",
    "monitoring/alertmanager.yml.tera",
    "monitoring/blackbox-exporter.default.tera",
    "monitoring/blackbox.yml.tera",
    "monitoring/foobar-measures.service.tera",
    "monitoring/foobar-measures.timer.tera",
    "monitoring/measures.sh.tera",
    "monitoring/mysqld-exporter.cnf.tera",
    "monitoring/mysqld-exporter.default.tera",
    "monitoring/nginx-exporter.default.tera",
    "monitoring/node-exporter.default.tera",
    "monitoring/prometheus.default.tera",
    "monitoring/prometheus.yml.tera",
    "monitoring/rules.yml.tera",
    "monitoring/stack.html.tera",
    "mysql/mariadb.cnf.tera",
    "mysql/mysql.cnf.tera",
    "mysql/unit.conf.tera",
    "nginx/foobar.conf.tera",
    "nginx/unit.conf.tera",
    "paths/db-answer.sh.tera",
    "paths/db-paths.cfg.tera",
    "paths/db-watch.sh.tera",
    "paths/foobar-db-health.service.tera",
    "paths/foobar-db-paths.service.tera",
    "paths/foobar-db-watch.service.tera",
    "tls/acme.sh.tera",
    "tls/foobar-acme.service.tera",
    "tls/foobar-acme.timer.tera",
];

/// A template that could not be read or rendered: `name` is its path under `templates/`.
#[derive(Debug, thiserror::Error)]
#[error("template {name}: {why}")]
pub struct TemplateError {
    /// Its path under `templates/`.
    pub name: String,
    /// Tera's words, with line and column.
    pub why: String,
}

/// The templates of one run.
#[derive(Clone, Debug)]
pub struct Templates {
    tera: Tera,
    /// The texts, by name, and whether each is the user's own.
    texts: BTreeMap<String, (String, bool)>,
}

impl Templates {
    /// The embedded ones, with `over` (path under the user's template directory → text) laid over them.
    pub fn new(over: &BTreeMap<String, String>) -> Result<Self, TemplateError> {
        let embedded = EMBEDDED.iter().map(|(name, text)| ((*name).to_owned(), ((*text).to_owned(), false)));
        let mut all: BTreeMap<String, (String, bool)> = embedded.collect();
        for (name, text) in over {
            if !all.contains_key(name) {
                let known = EMBEDDED.iter().map(|(n, _)| *n).collect::<Vec<_>>().join(", ");
                return Err(TemplateError { name: name.clone(), why: format!("no such template; there are: {known}") });
            }
            all.insert(name.clone(), (text.clone(), true));
        }
        Self::of(all)
    }

    fn of(texts: BTreeMap<String, (String, bool)>) -> Result<Self, TemplateError> {
        let mut tera = Tera::new();
        // Configuration files, not HTML: nothing is escaped here; values are typed so that they need no escaping.
        tera.autoescape_on(Vec::<&str>::new());
        for (name, (text, _)) in &texts {
            tera.add_raw_template(name, text).map_err(|e| fail(name, &e))?;
        }
        Ok(Self { tera, texts })
    }

    /// The text of one, and whether it is the user's own.
    pub fn source(&self, name: &str) -> Option<(&str, bool)> {
        self.texts.get(name).map(|(text, is_own)| (text.as_str(), *is_own))
    }

    /// The same templates with another text in the place of one.
    pub fn with(&self, name: &str, text: String) -> Result<Self, TemplateError> {
        let (mut texts, mut tera) = (self.texts.clone(), self.tera.clone());
        tera.add_raw_template(name, &text).map_err(|e| fail(name, &e))?;
        texts.insert(name.to_owned(), (text, true));
        Ok(Self { tera, texts })
    }

    /// Renders one; a context is any value that serializes into a map.
    pub fn render(&self, name: &str, context: &impl serde::Serialize) -> Result<String, TemplateError> {
        let context = Context::from_serialize(context).map_err(|e| fail(name, &e))?;
        self.tera.render(name, &context).map_err(|e| fail(name, &e))
    }
}

fn fail(name: &str, error: &dyn std::error::Error) -> TemplateError {
    let mut why = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        why.push_str(": ");
        why.push_str(&inner.to_string());
        source = inner.source();
    }
    TemplateError { name: name.to_owned(), why }
}

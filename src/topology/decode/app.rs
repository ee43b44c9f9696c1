//! `app:`, key by key with its defaults: what it is made of, how it runs, its environment and where its secrets come from.

use super::{
    harmless,
    hosts::on,
    read::{Fields, Reader},
};
use crate::{
    base::name::{EnvName, Line},
    component::spec::{App, Canary, SecretSource},
    topology::{
        problem::Problem,
        text::quoted,
        yaml::{self, Kind, Node},
    },
};
use std::collections::BTreeMap;

/// Reads `app:`.
pub fn app(read: &mut Reader<'_>, node: &Node) -> Option<App> {
    let fields = read.fields(node, "app");
    let on = on(read, node, fields.get("on"));
    let source = match fields.get("source") {
        Some(node) => read.local(node, "the path of a folder"),
        None => {
            read.missing(node, "source", "write the app's folder: `source: ./guestbook`");
            None
        }
    };
    let run = match fields.get("run") {
        Some(node) => read.word(node, "a command"),
        None => {
            read.missing(node, "run", "write what serves: `run: gunicorn --bind $LISTEN wsgi:app`");
            None
        }
    };
    Some(App {
        on,
        source: source.unwrap_or_default(),
        packages: fields.get("packages").map(|n| read.words(n, "a package name")).unwrap_or_default(),
        run: run.unwrap_or_else(|| harmless("true")),
        migrate: fields.get("migrate").and_then(|n| read.word(n, "a command")),
        health: fields.get("health").and_then(|n| read.word(n, "a URL path")).unwrap_or_else(|| harmless("/healthz")),
        port: fields.get("port").and_then(|n| read.port(n)).unwrap_or(8000),
        env: fields.get("env").map(|n| env(read, n)).unwrap_or_default(),
        secrets: fields.get("secrets").map(|n| secrets(read, n)).unwrap_or_default(),
        canary: fields.get("canary").and_then(|n| canary(read, n)),
    })
}

/// Whether a variable of that name likely holds what nobody should read.
pub fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let plain = ["PUBLIC", "_FILE", "_PATH", "_DIR", "_TTL", "_NAME", "_ID"].iter().any(|w| name.contains(w));
    let ends = ["KEY", "PASS", "PWD", "PW", "DSN", "CREDENTIALS"]
        .iter()
        .any(|w| name == *w || name.ends_with(&format!("_{w}")));
    !plain
        && (ends || ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "APIKEY", "PASSPHRASE"].iter().any(|w| name.contains(w)))
}

fn env(read: &mut Reader<'_>, node: &Node) -> BTreeMap<EnvName, Line> {
    let mut env = BTreeMap::new();
    for (key, value) in read.entries(node, "write variables with their values: `{ GREETING: hello }`") {
        let name: Option<EnvName> = read.key_word(key, value);
        if looks_secret(key) {
            read.mask(value);
        }
        // A variable is text whatever it looks like: `PORT: 8080`, `DEBUG: true`, `VERSION: 1.10` as they are written.
        let line: Option<Line> = match &value.kind {
            Kind::Number(_) | Kind::Bool(_) => {
                yaml::raw(&read.document.text, &value.at).and_then(|raw| raw.trim().parse().ok())
            }
            Kind::Null => {
                read.wrong_kind(value, "text", "write a value; an empty one is \"\"");
                None
            }
            _ => read.word(value, "text"),
        };
        env.extend(name.zip(line));
    }
    env
}

fn secrets(read: &mut Reader<'_>, node: &Node) -> BTreeMap<EnvName, SecretSource> {
    let mut secrets = BTreeMap::new();
    let help = "write variables with where they come from: `{ SESSION_KEY: generate }`";
    for (key, value) in read.entries(node, help) {
        let name: Option<EnvName> = read.key_word(key, value);
        let source = source(read, key, value);
        if source.is_none() {
            // Perhaps the secret itself was written there.
            read.mask(value);
        }
        secrets.extend(name.zip(source));
    }
    secrets
}

const SOURCES: &str = "write where it comes from, never the secret itself: `generate`, `{ env: NAME }`, `{ file: path }` or \
                       `{ command: pass show name }`";

/// Reads where a secret comes from; `key` is what it is for.
pub fn source(read: &mut Reader<'_>, key: &str, node: &Node) -> Option<SecretSource> {
    match &node.kind {
        Kind::Text(text) if text == "generate" => return Some(SecretSource::Generate),
        Kind::Map(_) => {}
        _ => {
            let problem = Problem::error(format!("the secret `{}` has no source", quoted(key)));
            read.refuse(problem.at(read.key(node), "where does it come from?").help(SOURCES));
            return None;
        }
    }
    let before = read.problems.len();
    let fields = read.fields(node, "app.secret");
    let ways: Vec<(&str, &Node)> =
        ["env", "file", "command", "generate"].iter().filter_map(|k| Some((*k, fields.get(k)?))).collect();
    let [(way, inner)] = ways[..] else {
        if read.problems.len() == before {
            let message = format!("the secret `{}` needs one source, and has {}", quoted(key), ways.len());
            read.refuse(Problem::error(message).at(read.key(node), "exactly one is needed").help(SOURCES));
        }
        return None;
    };
    let source = match way {
        "env" => SecretSource::Env(read.word::<EnvName>(inner, "a variable's name")?.to_string()),
        "file" => SecretSource::File(read.local(inner, "the path of a file")?),
        "command" => SecretSource::Command(read.local(inner, "a command")?),
        _ => match read.flag(inner)? {
            true => SecretSource::Generate,
            false => {
                let problem = Problem::error(format!("the secret `{}` has no source", quoted(key)));
                read.refuse(problem.at(read.value(inner), "not made, and not given").help(SOURCES));
                return None;
            }
        },
    };
    (read.problems.len() == before).then_some(source)
}

fn canary(read: &mut Reader<'_>, node: &Node) -> Option<Canary> {
    let fields: Fields<'_> = read.fields(node, "app.canary");
    let help = "write all three: `canary: { write: /sign, field: message, read: / }`";
    for key in ["write", "field", "read"] {
        if fields.get(key).is_none() {
            read.missing(node, key, help);
        }
    }
    let write = fields.get("write").and_then(|n| read.word(n, "a URL path"));
    let field = fields.get("field").and_then(|n| read.word(n, "a form field's name"));
    let shown = fields.get("read").and_then(|n| read.word(n, "a URL path"));
    Some(Canary { write: write?, field: field?, read: shown? })
}

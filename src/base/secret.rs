//! Values that do not show themselves, and texts that hold a place for one. Where a secret comes from, and who makes
//! it, is decided higher up (`plan/settle.rs`).

use super::digest;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

/// A secret text. Debug, Display and Serialize redact it; [`Secret::expose`] is the one way in, and easy to search for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself. Call it only where the value goes into a payload for its host.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A short keyed fingerprint that stands for the value in diffs: equal values have equal ones within one site, and
    /// without the key nobody can try candidates against it.
    pub fn fingerprint(&self, key: &str) -> String {
        digest::of_parts(["fingerprint", key, &self.0])[..12].to_owned()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl serde::Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str("(secret)")
    }
}

/// Secrets by name, as settled for one run.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    values: BTreeMap<String, Secret>,
    /// Those made in this very run.
    made: BTreeSet<String>,
    /// Whether the key of the fingerprints was made in this very run.
    unkeyed: bool,
    missed: Missed,
}

/// Whether one was asked for that is not there.
#[derive(Debug, Default)]
struct Missed(AtomicBool);

impl Clone for Missed {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Secrets {
    /// Adds or replaces one.
    pub fn insert(&mut self, name: impl Into<String>, value: Secret) {
        self.values.insert(name.into(), value);
    }

    /// Adds one that was made in this very run: another run would have made another one, so that its fingerprint says
    /// nothing and is not shown.
    pub fn insert_made(&mut self, name: impl Into<String>, value: Secret) {
        let name = name.into();
        self.made.insert(name.clone());
        self.insert(name, value);
    }

    /// Says that the key of the fingerprints was made in this very run: then no fingerprint says anything.
    pub fn without_key(&mut self) {
        self.unkeyed = true;
    }

    /// Whether one was made in this very run.
    pub fn is_made(&self, name: &str) -> bool {
        self.made.contains(name)
    }

    /// The one of that name.
    pub fn get(&self, name: &str) -> Option<&Secret> {
        let found = self.values.get(name);
        if found.is_none() {
            self.missed.0.store(true, Ordering::Relaxed);
        }
        found
    }

    /// Whether one was asked for since this was asked last that is not there: what was said of it is not known.
    pub fn take_missed(&self) -> bool {
        self.missed.0.swap(false, Ordering::Relaxed)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// What stands for one where it is shown: its fingerprint under `key`, else whether it is new or cannot be told.
    pub fn mark(&self, name: &str, key: &str) -> String {
        match self.get(name) {
            _ if self.is_made(name) => "new".into(),
            Some(value) if !self.unkeyed => value.fingerprint(key),
            Some(_) => "given".into(),
            None => String::new(),
        }
    }
}

/// How a secret's text is written where it stands, so that it cannot break out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is: a file that holds the secret alone, a PEM block.
    Plain,
    /// Within a URL: everything but unreserved characters percent-encoded.
    Url,
    /// A whole value of a systemd EnvironmentFile, with its double quotes (systemd.exec(5)).
    Env,
    /// A whole SQL string literal, with its single quotes.
    Sql,
}

// Two private-use characters: base/name.rs refuses both in every text that a user writes.
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

/// The place that a template holds for secret `name`: what stands in its context instead of the value, so that no
/// template, and no error of one, ever sees it.
pub fn place(name: &str, encoding: Encoding) -> String {
    format!("{OPEN}{name}|{encoding:?}{CLOSE}")
}

/// Whether a character is one of the two that bound a secret's place.
pub fn is_mark(c: char) -> bool {
    c == OPEN || c == CLOSE
}

/// A text that may hold places for secrets.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Content(String);

impl Content {
    /// From a text in which [`place`]s stand for secrets.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Only the place for one secret.
    pub fn of(name: &str) -> Self {
        Self(place(name, Encoding::Plain))
    }

    /// Whether any secret has a place in it.
    pub fn is_secret(&self) -> bool {
        self.0.contains(OPEN)
    }

    /// Names of the secrets it needs.
    pub fn needs(&self) -> Vec<&str> {
        self.0.split(OPEN).skip(1).filter_map(|rest| rest.split('|').next()).collect()
    }

    /// The text as it is shown: each secret as `(secret name fingerprint)`, or `(secret name)` where not settled.
    pub fn shown(&self, secrets: &Secrets, key: &str) -> String {
        self.fill(|name, _| {
            Some(match secrets.mark(name, key) {
                mark if mark.is_empty() => format!("(secret {name})"),
                mark => format!("(secret {name} {mark})"),
            })
        })
        .unwrap_or_default()
    }

    /// The text with its secrets in place; `Err` names the first that is not settled.
    pub fn resolve(&self, secrets: &Secrets) -> Result<Secret, String> {
        let mut missing = String::new();
        self.fill(|name, encoding| match secrets.get(name) {
            Some(value) => Some(encode(value.expose(), encoding)),
            None => {
                missing = name.to_owned();
                None
            }
        })
        .map(Secret::new)
        .ok_or(missing)
    }

    fn fill(&self, mut value: impl FnMut(&str, &str) -> Option<String>) -> Option<String> {
        let mut out = String::with_capacity(self.0.len());
        let mut rest = self.0.as_str();
        while let Some((before, after)) = rest.split_once(OPEN) {
            out.push_str(before);
            let (mark, behind) = after.split_once(CLOSE)?;
            let (name, encoding) = mark.split_once('|')?;
            out.push_str(&value(name, encoding)?);
            rest = behind;
        }
        out.push_str(rest);
        Some(out)
    }
}

/// A value as a systemd EnvironmentFile has it, with its double quotes: what [`Encoding::Env`] makes of a secret, for
/// values that are none.
pub fn env_value(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            out.push('\\');
        }
        out.push(c);
    }
    out + "\""
}

fn encode(value: &str, encoding: &str) -> String {
    match encoding {
        "Url" => value
            .bytes()
            .map(|b| match b {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => (b as char).to_string(),
                _ => format!("%{b:02X}"),
            })
            .collect(),
        "Env" => env_value(value),
        "Sql" => format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''")),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let mut all = Secrets::default();
        all.insert("pw", Secret::new("a'b\"c\\d$e f"));
        all
    }

    #[test]
    fn nothing_shows_a_secret() {
        let secret = Secret::new("hunter2");
        assert!(!format!("{secret:?} {secret} {}", serde_json::to_string(&secret).unwrap()).contains("hunter2"));
    }

    #[test]
    fn each_encoding_keeps_the_value_inside_its_place() {
        for (encoding, want) in [
            (Encoding::Plain, "a'b\"c\\d$e f"),
            (Encoding::Url, "a%27b%22c%5Cd%24e%20f"),
            (Encoding::Env, "\"a'b\\\"c\\\\d\\$e f\""),
            (Encoding::Sql, "'a''b\"c\\\\d$e f'"),
        ] {
            let content = Content::new(format!("x={};", place("pw", encoding)));
            assert_eq!(content.resolve(&secrets()).unwrap().expose(), format!("x={want};"));
            assert_eq!(content.needs(), ["pw"]);
        }
    }

    #[test]
    fn shown_text_bears_a_fingerprint_and_never_the_value() {
        let shown = Content::of("pw").shown(&secrets(), "key");
        assert!(shown.starts_with("(secret pw ") && !shown.contains("a'b"), "{shown}");
        assert_ne!(shown, Content::of("pw").shown(&secrets(), "other key"));
    }

    #[test]
    fn what_another_run_would_make_anew_has_no_fingerprint() {
        let mut all = secrets();
        all.insert_made("made", Secret::new("by chance"));
        assert_eq!(Content::of("made").shown(&all, "key"), "(secret made new)");
        all.without_key();
        assert_eq!(Content::of("pw").shown(&all, "key"), "(secret pw given)");
    }

    #[test]
    fn a_missing_secret_is_named() {
        assert_eq!(Content::of("other").resolve(&secrets()), Err("other".into()));
    }
}

//! How every host fares at this moment, on one screen, for `foobar status`: as text, in place on a terminal, and for
//! programs. A host that is silent is a row like the others.

use super::{
    json,
    style::{Palette, Tone, harmless, harmless_lines},
};
use crate::{
    base::name::{DomainName, HostName},
    component::{
        haproxy::status::Balancer,
        mysql::status::{Database, Role},
        status::{Firewall, Glance},
    },
    transport::TransportError,
};
use serde::Serialize;
use serde_json::{Value, json};

/// One host.
#[derive(Debug)]
pub struct Row {
    /// The host.
    pub host: HostName,
    /// What it is there for.
    pub roles: Vec<&'static str>,
    /// How it fares, or why nobody knows.
    pub found: Result<Glance, TransportError>,
}

/// How a host fares, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// All runs.
    Ok,
    /// All runs, and something is not as it should be.
    Warn,
    /// Something does not run.
    Down,
    /// It gives no answer.
    Gone,
}

const STATES: [State; 4] = [State::Ok, State::Warn, State::Down, State::Gone];

impl State {
    fn look(self) -> (&'static str, Tone) {
        match self {
            Self::Ok => ("ok", Tone::Pass),
            Self::Warn => ("WARN", Tone::Change),
            Self::Down => ("DOWN", Tone::Fail),
            Self::Gone => ("GONE", Tone::Error),
        }
    }
}

impl Row {
    /// How it fares.
    pub fn state(&self) -> State {
        match &self.found {
            Err(_) => State::Gone,
            Ok(glance) if !glance.faults.is_empty() => State::Down,
            Ok(glance) if !glance.notes.is_empty() => State::Warn,
            Ok(_) => State::Ok,
        }
    }
}

/// How it is shown.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Colour.
    pub palette: Palette,
    /// Columns.
    pub width: usize,
    /// Whether hosts that are well are left out.
    pub quiet: bool,
}

/// All hosts, and their number by state as the last line; `at` is the time of day.
pub fn text(site: &DomainName, at: &str, rows: &[Row], view: View) -> String {
    let palette = view.palette;
    let name = rows.iter().map(|r| r.host.as_str().len()).max().unwrap_or(0);
    // A line begins with the host's name and its state; where that leaves too little, what is told stands below them.
    let column = if view.width >= name + 48 { name + 8 } else { 4 };
    let mut out = format!("{} at {at} UTC\n\n", palette.paint(Tone::Bold, site.as_str()));
    for row in rows.iter().filter(|r| !view.quiet || r.state() != State::Ok) {
        let (word, tone) = row.state().look();
        let (host, word) = (format!("{:<name$}", row.host), format!("{word:4}"));
        out += &format!("{}  {}", palette.paint(Tone::Place, &host), palette.paint(tone, &word));
        let told = told(row, view.width.saturating_sub(column), palette);
        let mut lines = told.iter();
        match column {
            4 => out = out.trim_end().to_owned() + "\n",
            _ => out += &format!("  {}\n", lines.next().map(String::as_str).unwrap_or_default()),
        }
        lines.for_each(|line| out += &format!("{:column$}{line}\n", ""));
    }
    let count = |state| rows.iter().filter(|r| r.state() == state).count();
    let words = STATES.map(|state| {
        let ((word, tone), n) = (state.look(), count(state));
        let text = format!("{n} {}", word.to_lowercase());
        if n == 0 { text } else { palette.paint(tone, &text) }
    });
    out + &format!("\n{} {}\n", palette.paint(Tone::Bold, "Status:"), words.join(", "))
}

/// What is told of a host, in lines that fit: what it is and does, then what is wrong, each beginning with a mark.
fn told(row: &Row, width: usize, palette: Palette) -> Vec<String> {
    let (facts, marked) = match &row.found {
        Ok(glance) => (facts(row, glance), marked(glance)),
        Err(error) => {
            (vec![row.roles.join(", ")], vec![("✗", Tone::Error, &*error.what), (" ", Tone::Dim, &*error.help)])
        }
    };
    let mut lines = wrapped(&facts, "; ", width);
    for (mark, tone, text) in marked {
        let words: Vec<String> =
            harmless_lines(text).flat_map(|l| l.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
        for (n, line) in wrapped(&words, " ", width.saturating_sub(2)).into_iter().enumerate() {
            lines.push(palette.paint(tone, format!("{} {line}", if n == 0 { mark } else { " " }).trim_end()));
        }
    }
    lines
}

fn marked(glance: &Glance) -> Vec<(&'static str, Tone, &str)> {
    let faults = glance.faults.iter().map(|text| ("✗", Tone::Fail, text.as_str()));
    faults.chain(glance.notes.iter().map(|text| ("!", Tone::Change, text.as_str()))).collect()
}

fn facts(row: &Row, glance: &Glance) -> Vec<String> {
    let role = |role: &&str| match (*role, &glance.database) {
        ("mysql", Some(Database { role, .. })) => format!("mysql {}", word(*role)),
        _ => (*role).to_owned(),
    };
    let mut facts = vec![row.roles.iter().map(role).collect::<Vec<_>>().join(", ")];
    if let Some(Balancer { sessions, requests_per_second, servers }) = &glance.balancer {
        let up = servers.iter().filter(|s| s.is_up()).count();
        let many = |n: u64, thing: &str| format!("{n} {thing}{}", if n == 1 { "" } else { "s" });
        facts.push(format!("{}, {}/s", many(*sessions, "session"), many(*requests_per_second, "request")));
        facts.push(format!("{up} of {} servers up", servers.len()));
    }
    if let Some(all) = glance.addresses.as_ref().filter(|all| !all.is_empty()) {
        facts.push(format!("holds {}", all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")));
    }
    facts.extend(glance.certificate_days.map(|days| format!("certificate {days} days")));
    facts.extend(glance.release.as_ref().map(|name| format!("release {}", name.get(..8).unwrap_or(name))));
    if let Some(Database { source: Some(source), lag_seconds: Some(lag), .. }) = &glance.database {
        facts.push(format!("{lag} s behind {source}"));
    }
    if !glance.units.is_empty() {
        let running = glance.units.iter().filter(|u| u.state == "active").count();
        let all = glance.units.len();
        facts.push(match (running, all) {
            (1, 1) => "1 unit runs".to_owned(),
            _ if running == all => format!("{all} units run"),
            _ => format!("{running} of {all} units run"),
        });
    }
    facts.extend(glance.firewall.filter(|f| *f != Firewall::Missing).map(|_| "firewall on".into()));
    facts.retain(|fact| !fact.is_empty());
    facts.iter().map(|fact| harmless(fact).into_owned()).collect()
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Primary => "primary",
        Role::Replica => "replica",
        Role::Closed => "closed",
        Role::Silent => "silent",
    }
}

/// Pieces in as few lines as they fit in, none of them broken unless it is longer than a line by itself.
fn wrapped(pieces: &[String], between: &str, width: usize) -> Vec<String> {
    let length = |text: &str| text.chars().count();
    let mut lines: Vec<String> = Vec::new();
    let mut add = |piece: &str, between: &str| match lines.last_mut() {
        Some(line) if length(line) + length(between) + length(piece) < width => *line += &format!("{between}{piece}"),
        last => {
            if let Some(line) = last {
                *line += between.trim_end();
            }
            lines.push(piece.to_owned());
        }
    };
    for piece in pieces {
        if length(piece) < width {
            add(piece, between);
            continue;
        }
        for (n, word) in piece.split_whitespace().enumerate() {
            add(word, if n == 0 { between } else { " " });
        }
    }
    lines
}

/// What puts a text on a terminal in the place of the one before; what does not fit in its height is counted.
pub fn drawn(text: &str, height: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let room = height.saturating_sub(1).max(4);
    let mut shown = lines.clone();
    if lines.len() > room {
        let (head, tail) = (room - 2, lines.last().copied().unwrap_or_default());
        shown.truncate(head);
        let left = format!("… {} more lines: `foobar status -q` shows what is wrong", lines.len() - head - 1);
        let all: Vec<String> = shown.iter().map(|l| (*l).to_owned()).chain([left, tail.to_owned()]).collect();
        return placed(all.iter().map(String::as_str));
    }
    placed(shown.into_iter())
}

/// From the top of the screen; each line takes what stood there with it, and the last one what is below.
fn placed<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let lines: String = lines.map(|line| format!("{line}\x1b[K\n")).collect();
    format!("\x1b[H{lines}\x1b[J")
}

/// The same as one document, for `status --json`; `at` in seconds since the epoch.
pub fn json(site: &DomainName, at: i64, rows: &[Row]) -> String {
    json::pretty(&document(site, at, rows))
}

/// The same in one line, for each round of `status --watch --json`.
pub fn line(site: &DomainName, at: i64, rows: &[Row]) -> String {
    json::line(&document(site, at, rows))
}

fn document(site: &DomainName, at: i64, rows: &[Row]) -> Value {
    let hosts: Vec<Value> = rows
        .iter()
        .map(|row| {
            let mut host = json!({ "host": row.host, "state": row.state(), "roles": row.roles });
            host["error"] = match &row.found {
                Err(error) => json!({ "what": error.what, "help": error.help }),
                Ok(_) => Value::Null,
            };
            host["seen"] = serde_json::to_value(row.found.as_ref().ok()).unwrap_or_default();
            host
        })
        .collect();
    let count = |state| rows.iter().filter(|r| r.state() == state).count();
    let [ok, warn, down, gone] = STATES.map(count);
    json!({
        "schema": json::SCHEMA, "command": "status", "site": site, "at": at, "hosts": hosts,
        "summary": { "ok": ok, "warn": warn, "down": down, "gone": gone },
    })
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;

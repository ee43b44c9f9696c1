//! Who is at work on which host, for `foobar lock`: as text and for programs.

use super::{
    json::{SCHEMA, pretty},
    style::{Palette, Tone, harmless},
};
use crate::{
    base::name::{DomainName, HostName},
    plan::lease::Lease,
};
use serde::Serialize;
use serde_json::{Value, json};

/// What a host is to a run that wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nobody's.
    Free,
    /// A run's.
    Held,
    /// Nobody's, though a command of a run that is gone still works there: it has to end first.
    Busy,
    /// Nobody's: the lease of a run that was not renewed is over.
    Over,
}

impl State {
    /// Of a lease.
    pub fn of(lease: &Lease) -> Self {
        match (lease.is_live(), lease.is_busy, lease.run.is_empty()) {
            (true, ..) => Self::Held,
            (false, true, _) => Self::Busy,
            (false, false, false) => Self::Over,
            (false, false, true) => Self::Free,
        }
    }
}

/// A host a line, or two where there is something to tell.
pub fn text(leases: &[(HostName, Lease)], palette: Palette) -> String {
    let width = leases.iter().map(|(host, _)| host.as_str().len()).max().unwrap_or(0);
    let mut out = String::new();
    for (host, lease) in leases {
        let name = palette.paint(Tone::Place, &format!("{host:<width$}"));
        let who = if lease.run.is_empty() {
            "a run that left no name".into()
        } else {
            harmless(&format!("{}: {}, pid {}", lease.holder, lease.command, lease.pid)).into_owned()
        };
        let what = match State::of(lease) {
            State::Free => palette.paint(Tone::Pass, "free"),
            State::Held => format!("{} by {who}", palette.paint(Tone::Change, "held")),
            State::Busy => format!("{} with a command of {who}, which is gone", palette.paint(Tone::Change, "busy")),
            State::Over => format!("{}; it was held by {who}", palette.paint(Tone::Pass, "free")),
        };
        out += &format!("{name}  {what}\n");
        if !lease.run.is_empty() {
            let left = match (lease.is_live(), lease.is_busy) {
                (true, true) => "; a command is at work".to_owned(),
                (true, false) => format!("; over in {} s unless renewed", lease.seconds),
                (false, _) => String::new(),
            };
            let more = format!("since {}, {}{left}", lease.since, harmless(&lease.progress));
            out += &format!("{:width$}  {}\n", "", palette.paint(Tone::Dim, &more));
        }
    }
    out
}

/// The same as one document, for `lock --json`.
pub fn json(site: &DomainName, leases: &[(HostName, Lease)]) -> String {
    let hosts: Vec<Value> = leases
        .iter()
        .map(|(host, lease)| {
            let mut one = json!({ "host": host, "state": State::of(lease) });
            let lease = (!lease.run.is_empty()).then_some(lease);
            one["lease"] = serde_json::to_value(lease).unwrap_or_default();
            one
        })
        .collect();
    pretty(&json!({ "schema": SCHEMA, "command": "lock", "site": site, "hosts": hosts }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leases() -> Vec<(HostName, Lease)> {
        let held = Lease {
            run: "0a1b".into(),
            holder: "ann@laptop".into(),
            command: "foobar apply".into(),
            pid: 812,
            seat: "s".into(),
            since: "2026-03-01T10:00:00Z".into(),
            progress: "step 2 of 9: install haproxy".into(),
            seconds: 41,
            is_busy: false,
        };
        let busy = Lease { is_busy: true, ..held.clone() };
        let over = Lease { seconds: 0, ..held.clone() };
        let left = Lease { seconds: 0, ..busy.clone() };
        let nameless = Lease { is_busy: true, ..Lease::default() };
        let all = [
            ("lb-01", held),
            ("web-01", busy),
            ("web-02", over),
            ("db-01", left),
            ("db-02", nameless),
            ("x", Lease::default()),
        ];
        all.into_iter().map(|(host, lease)| (host.parse().unwrap(), lease)).collect()
    }

    #[test]
    fn every_state_has_its_words() {
        insta::assert_snapshot!("leases", text(&leases(), Palette::default()));
    }

    #[test]
    fn programs_get_the_same() {
        insta::assert_snapshot!("leases_json", json(&"www.example.com".parse().unwrap(), &leases()[1..3]));
    }
}

//! The same things for programs: a plan, a run's events, a verification, as JSON with a schema version. Scripts never
//! appear here, because they may hold secrets. The texts are exact: what could steer a terminal is escaped, not changed.

use super::{
    checks::{VerifyTally, in_order},
    outcome::Outcome,
    plan::Tally,
    record::Checked,
    style::is_harmful,
};
use crate::{
    base::name::{DomainName, HostName},
    component::Check,
    event::{Event, Reporter},
    plan::{
        Plan, StepId,
        journal::CutOff,
        seal::{Moved, Sealed},
    },
    resource::{Action, Capacity, FileDiff, Impact, ResourceId, drift::Drift},
    topology::spof::Single,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::io::Write;

/// The version of everything here. It is raised when a field goes or changes its meaning, not when one is added.
pub const SCHEMA: u32 = 1;

/// The published JSON Schema (2020-12) of everything here.
pub const SCHEMA_TEXT: &str = include_str!("schema.json");

#[derive(Serialize)]
struct PlanDocument<'a> {
    schema: u32,
    command: &'a str,
    site: &'a DomainName,
    hosts: &'a [HostName],
    steps: Vec<StepDocument<'a>>,
    left_out: &'a [String],
    summary: Tally,
}

#[derive(Serialize)]
struct StepDocument<'a> {
    id: StepId,
    host: &'a HostName,
    resource: &'a ResourceId,
    action: Action,
    summary: &'a str,
    details: &'a [String],
    impact: Impact,
    felt: Impact,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaves: Option<Capacity>,
    drift: Option<Drift>,
    diffs: &'a [FileDiff],
    after: &'a [StepId],
}

impl<'a> PlanDocument<'a> {
    fn of(plan: &'a Plan, command: &'a str) -> Self {
        // Field by field, so that a field added to a step is not shown unasked.
        let steps = plan.steps.iter().map(|s| StepDocument {
            id: s.id,
            host: &s.host,
            resource: &s.resource,
            action: s.change.action,
            summary: &s.change.summary,
            details: &s.change.details,
            impact: s.change.impact,
            felt: s.change.felt(),
            leaves: s.change.leaves,
            drift: s.change.drift,
            diffs: &s.change.diffs,
            after: &s.after,
        });
        Self {
            schema: SCHEMA,
            command,
            site: &plan.site,
            hosts: &plan.hosts,
            steps: steps.collect(),
            left_out: &plan.left_out,
            summary: Tally::of(plan),
        }
    }
}

/// A plan as one document, for `plan --json`.
pub fn plan(plan: &Plan) -> String {
    pretty(&PlanDocument::of(plan, "plan"))
}

/// A plan that was kept, for `show --json`; `now` in seconds since the epoch tells whether it is out of date.
pub fn saved(sealed: &Sealed, now: i64) -> String {
    let mut document = serde_json::to_value(PlanDocument::of(&sealed.plan, "show")).unwrap_or_default();
    merge(
        &mut document,
        json!({
            "foobar": sealed.foobar,
            "by": sealed.by,
            "made": sealed.made,
            "until": sealed.until,
            "is_out_of_date": sealed.until <= now,
            "limit": sealed.limit,
        }),
    );
    pretty(&document)
}

/// What has moved since a plan was kept, as a line for `apply --json`.
pub fn stale(moved: &[Moved]) -> String {
    let mut line = event("stale");
    merge(&mut line, json!({ "moved": moved }));
    format!("{}\n", escaped(line.to_string()))
}

/// The hosts that a limit leaves, for `--list-hosts --json`.
pub fn hosts(site: &DomainName, hosts: &[&HostName]) -> String {
    pretty(&json!({ "schema": SCHEMA, "command": "list-hosts", "site": site, "hosts": hosts }))
}

/// The certificate of the site's own authority, for `ca --json`.
pub fn authority(site: &DomainName, pem: &str) -> String {
    pretty(&json!({ "schema": SCHEMA, "command": "ca", "site": site, "certificate": pem }))
}

/// What can be rotated, for `rotate --json`: name and kind of each.
pub fn secrets(known: &[(&str, &str)]) -> String {
    let known: Vec<Value> = known.iter().map(|(name, kind)| json!({ "name": name, "kind": kind })).collect();
    pretty(&json!({ "schema": SCHEMA, "command": "rotate", "secrets": known }))
}

/// The same with the runs before it that were cut off, in `cut_off`, what is worth saying beside it, and what is there once.
pub fn plan_after(plan: &Plan, cut_off: &[CutOff], notes: &[String], singles: &[Single]) -> String {
    let mut document = serde_json::to_value(PlanDocument::of(plan, "plan")).unwrap_or_default();
    merge(&mut document, json!({ "cut_off": cut_off, "notes": notes, "single_points_of_failure": singles }));
    pretty(&document)
}

/// A verification as one document, for `verify --json`.
pub fn verify(site: &DomainName, checks: &[Checked], millis: u64) -> String {
    pretty(&json!({
        "schema": SCHEMA,
        "command": "verify",
        "site": site,
        "checks": in_order(checks).into_iter().map(checked).collect::<Vec<_>>(),
        "summary": VerifyTally::of(checks),
        "millis": millis,
    }))
}

/// What checks there are, for `verify --list-checks --json`.
pub fn checks(site: &DomainName, checks: &[Check]) -> String {
    let one = |c: &Check| json!({ "name": c.name(), "component": c.component, "title": c.title, "host": c.host });
    let all: Vec<Value> = checks.iter().map(one).collect();
    pretty(&json!({ "schema": SCHEMA, "command": "list-checks", "site": site, "checks": all }))
}

/// A round of `verify --watch --json`: a line for each check that ended in another way than before, then the tally.
pub fn watched(changed: &[&Checked], tally: VerifyTally, millis: u64) -> String {
    let mut out = String::new();
    for check in changed {
        let mut line = event("checked");
        merge(&mut line, checked(check));
        out += &format!("{}\n", escaped(line.to_string()));
    }
    let mut line = event("verified");
    merge(&mut line, serde_json::to_value(tally).unwrap_or_default());
    merge(&mut line, json!({ "millis": millis }));
    out + &format!("{}\n", escaped(line.to_string()))
}

fn checked(check: &Checked) -> Value {
    let Checked { component, title, host, verdict } = check;
    let mut value = json!({ "name": check.name(), "component": component, "title": title, "host": host });
    merge(&mut value, serde_json::to_value(verdict).unwrap_or_default());
    value
}

/// What is wrong with a topology, and what is there once, as one document, for `validate --json`.
pub fn findings(findings: &[impl Serialize], singles: &[Single]) -> String {
    let (schema, command) = (SCHEMA, "validate");
    let document =
        json!({ "schema": schema, "command": command, "problems": findings, "single_points_of_failure": singles });
    pretty(&document)
}

/// Writes a run as JSON lines, for `apply --json`: first the plan, then what happens, last how it ended.
pub struct Lines<W> {
    to: W,
    command: String,
}

impl<W: Write + Send> Lines<W> {
    /// Writes to `to` what this command does.
    pub fn new(to: W, command: &str) -> Self {
        Self { to, command: command.to_owned() }
    }

    /// The plan that is about to be carried out, as a line of its own with `"event": "plan"`.
    pub fn plan(&mut self, plan: &Plan) {
        let mut line = event("plan");
        merge(&mut line, serde_json::to_value(PlanDocument::of(plan, &self.command)).unwrap_or_default());
        self.line(&line);
    }

    /// How it ended, with `"event": "end"`.
    pub fn end(&mut self, outcome: &Outcome<'_>) {
        let mut line = event("end");
        merge(&mut line, serde_json::to_value(outcome.tally()).unwrap_or_default());
        merge(&mut line, json!({ "millis": outcome.millis() }));
        self.line(&line);
    }

    fn line(&mut self, value: &Value) {
        // A reader that went away is no reason to stop changing hosts half way.
        let _ = writeln!(self.to, "{}", escaped(value.to_string())).and_then(|()| self.to.flush());
    }
}

impl<W: Write + Send> Reporter for Lines<W> {
    fn event(&mut self, happened: &Event) {
        self.line(&event_value(happened));
    }
}

fn event(name: &str) -> Value {
    json!({ "schema": SCHEMA, "event": name })
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

fn event_value(happened: &Event) -> Value {
    let (name, fields) = match happened {
        Event::ObserveStarted { hosts } => ("observe-started", json!({ "hosts": hosts })),
        Event::Connecting { host } => ("connecting", json!({ "host": host })),
        Event::Observed { host, millis } => ("observed", json!({ "host": host, "millis": millis })),
        Event::ApplyStarted { steps } => ("apply-started", json!({ "steps": steps })),
        Event::StepStarted { step, host, summary } => {
            ("step-started", json!({ "step": step, "host": host, "summary": summary }))
        }
        Event::StepOutput { step, host, line } => ("step-output", json!({ "step": step, "host": host, "line": line })),
        Event::StepDone { step, host, millis } => {
            ("step-done", json!({ "step": step, "host": host, "millis": millis }))
        }
        Event::StepFailed { step, host, why } => ("step-failed", json!({ "step": step, "host": host, "why": why })),
        Event::StepSkipped { step, host, cause } => {
            ("step-skipped", json!({ "step": step, "host": host, "cause": cause }))
        }
        Event::StepUndone { step, host, summary } => {
            ("step-undone", json!({ "step": step, "host": host, "summary": summary }))
        }
        Event::UndoFailed { host, why } => ("undo-failed", json!({ "host": host, "why": why })),
        Event::VerifyStarted { checks } => ("verify-started", json!({ "checks": checks })),
        Event::Checked { component, title, host, verdict } => {
            let (component, title) = (*component, title.clone());
            let fields = checked(&Checked { component, title, host: host.clone(), verdict: verdict.clone() });
            ("checked", fields)
        }
        Event::Note { host, text } => ("note", json!({ "host": host, "text": text })),
    };
    let mut line = event(name);
    merge(&mut line, fields);
    line
}

/// Any other document; it brings its own `schema` and `command`.
pub(super) fn pretty(document: &impl Serialize) -> String {
    // These types have string keys and no fallible Serialize, so there is nothing that could fail.
    escaped(serde_json::to_string_pretty(document).unwrap_or_default()) + "\n"
}

/// The same in one line.
pub(super) fn line(document: &impl Serialize) -> String {
    escaped(serde_json::to_string(document).unwrap_or_default()) + "\n"
}

/// Escapes what JSON allows raw within strings and a terminal would obey; a reader gets the very same text.
fn escaped(json: String) -> String {
    let raw = |c: char| is_harmful(c) && c != '\n';
    if !json.contains(raw) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 32);
    for c in json.chars() {
        if raw(c) {
            out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    out
}

//! The published schema of what `--json` prints: sound itself, held against every JSON snapshot of the house, and strict enough
//! to fail. That real runs print nothing else is looked at end to end.

use foobar::report::json::SCHEMA_TEXT;
use serde_json::{Value, json};
use std::{fs, path::Path};

fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(SCHEMA_TEXT).unwrap();
    jsonschema::meta::validate(&schema).unwrap_or_else(|e| panic!("{e}"));
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn every_json_snapshot_is_described() {
    let schema = validator();
    let mut found = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/snapshots")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let body = text.splitn(3, "---\n").nth(2).unwrap_or_default();
        let documents: Vec<Value> = match serde_json::from_str(body) {
            Ok(Value::Object(whole)) => vec![Value::Object(whole)],
            _ => body.lines().filter(|l| l.starts_with("{\"")).filter_map(|l| serde_json::from_str(l).ok()).collect(),
        };
        for document in documents {
            found += 1;
            let faults: Vec<String> = schema.iter_errors(&document).map(|e| e.to_string()).collect();
            assert!(faults.is_empty(), "{}: {faults:#?}\n{document:#}", path.display());
        }
    }
    assert!(found > 10, "only {found} documents were found: the test tests nothing");
}

#[test]
fn what_is_missing_or_of_another_kind_is_told() {
    let schema = validator();
    let good = json!({ "schema": 1, "event": "step-done", "step": 0, "host": "web-01", "millis": 7 });
    assert!(schema.is_valid(&good));
    for (key, value) in [
        ("schema", json!(2)),
        ("event", json!("step-undone")),
        ("step", json!(-1)),
        ("host", json!("web 01")),
        ("millis", json!("7")),
        ("millis", Value::Null),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        assert!(!schema.is_valid(&bad), "{bad}");
    }
}

//! What is said, and to whom: mistakes to people, JSON to programs, colour to terminals.

use super::world::World;

/// Every mistake at once, at its line, with a hint; no host is asked, no code but 64 is used.
pub fn what_is_wrong_is_said_before_any_host_is_asked(w: &mut World) {
    let nowhere = w.dir.join("nowhere.yaml");
    std::fs::write(&nowhere, "hosts: { lb-01: { address: 192.0.2.1 } }\nssh: { config: none }\n").unwrap();
    w.topology =
        w.original().replace("algorithm: round-robin", "algoritm: round-robin").replace("on: [lb-01]", "on: [lb-1]");
    for verb in ["validate", "plan", "apply", "verify"] {
        let words = [verb, "-i", nowhere.to_str().unwrap()];
        let run = w.foobar(&words);
        run.ends(64).says(&["foobar.yaml", "algoritm", "algorithm", "lb-1", "lb-01"]);
        assert_eq!(run.stdout, "", "mistakes are no data");
    }
    // Values that would break out of a line or a word are refused, wherever they stand.
    for (from, to) in [
        ("GREETING: Welcome", "GREETING: \"Welcome\\nEVIL=1\""),
        ("site: www.foobar.com", "site: \"www.foobar.com\\n\\tbind :81\""),
        ("database: foobar", "database: \"foobar`; DROP DATABASE x; --\""),
        ("/assets: public", "\"/assets { } location /x\": public"),
        ("packages: [gunicorn,", "packages: [\"gunicorn; reboot\","),
        ("write: /sign", "write: \"/sign$(reboot)\\n\""),
    ] {
        w.topology = w.original();
        assert!(w.topology.contains(from), "{from}");
        w.topology = w.topology.replace(from, to);
        w.foobar(&["validate"]).ends(64).says(&["foobar.yaml"]);
    }
    w.topology = w.original();
    w.foobar(&["plan", "--no-such-flag"]).ends(64);
    w.foobar(&["plan", "--limit", "web-09"]).ends(64).says(&["web-09"]);
    w.foobar(&["plan", "-i", "absent.yaml"]).ends(64).says(&["absent.yaml"]);
    let run = w.foobar(&["verify", "--report", "absent/page.html"]);
    run.ends(1).says(&["absent/page.html: no such file", "name a file that you may write"]);
    assert_eq!(run.stdout, "", "no check was made");
}

/// `--json` keeps stdout pure; colour comes only where it is asked for.
pub fn programs_get_json_and_nothing_else(w: &mut World) {
    w.converge();
    w.topology = w.original().replace("GREETING: Welcome", "GREETING: Hello");
    let plan = w.foobar(&["plan", "--json"]);
    let document = plan.ends(0).json();
    assert_eq!((&document["schema"], &document["command"]), (&1.into(), &"plan".into()));
    let lines = w.foobar(&["apply", "--yes", "--json"]);
    lines.ends(0);
    let events: Vec<serde_json::Value> =
        lines.stdout.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect();
    let names: Vec<&str> = events.iter().filter_map(|e| e["event"].as_str()).collect();
    assert!(names.contains(&"plan") && names.contains(&"step-done") && names.last() == Some(&"end"), "{names:?}");
    assert_eq!(events.last().unwrap()["failed"], 0);

    w.topology = w.original();
    let escape = '\u{1b}';
    let plain = w.foobar(&["plan"]);
    assert!(!plain.ends(0).stdout.contains(escape), "colour without a terminal: {plain}");
    let coloured = w.foobar(&["plan", "--color", "always"]);
    assert!(coloured.ends(0).stdout.contains(escape), "no colour, though it was asked for: {coloured}");
    let mut command = w.command(&["plan"]);
    command.env("NO_COLOR", "1").env("CLICOLOR_FORCE", "1");
    let started = super::world::start(command, &w.dir, "run");
    let bare = w.finish(&["plan", "(NO_COLOR=1)"], started);
    assert!(!bare.ends(0).stdout.contains(escape), "colour in spite of NO_COLOR: {bare}");
    w.apply(&[]);
    w.is_converged();
}

/// Every JSON document and line that was printed in all these cases is one that the schema describes, to the last field.
pub fn all_json_is_what_the_schema_says(w: &mut World) {
    for words in
        [&["ca", "--json"][..], &["plan", "--list-hosts", "--json"], &["lock", "--json"], &["history", "--json"]]
    {
        w.foobar(words).ends(0);
    }
    let published = w.foobar_alone(&["schema"]);
    assert_eq!(published.ends(0).stdout, foobar::report::json::SCHEMA_TEXT);
    let schema = super::world::strict_schema();
    let mut seen = std::collections::BTreeSet::new();
    for run in w.said.iter().filter(|r| r.words.contains("--json") && !r.stdout.is_empty()) {
        let documents: Vec<serde_json::Value> = match serde_json::from_str(&run.stdout) {
            Ok(whole) => vec![whole],
            Err(_) => {
                run.stdout.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
            }
        };
        for document in documents {
            let faults: Vec<String> =
                schema.iter_errors(&document).map(|e| format!("{e} at {}", e.instance_path())).collect();
            assert!(
                faults.is_empty(),
                "`foobar {}` printed what the schema has not: {faults:#?}\n{document:#}",
                run.words
            );
            let kind = document.get("event").or(document.get("command")).and_then(|v| v.as_str()).unwrap_or_default();
            seen.insert(kind.to_owned());
        }
    }
    assert!(seen.contains("plan") && seen.contains("end"), "only {seen:?} were printed: nothing was tested");
}

//! Topologies that somebody cut, mangled or made to hurt: none makes it panic or work without bound, and what is taken all
//! the same is rendered so that nothing in it is more than a value.

use super::{FULL, HOSTILE, read, refused, replaced, shown};
use crate::{
    base::{
        name::CommandLine,
        secret::{Content, Secrets},
        template::Templates,
    },
    component::{
        site::{GivenCertificate, Site},
        spec::{Certificate, Topology},
    },
    plan::{desired, rendered},
    resource::files::Body,
};
use serde_yaml::Value;
use std::collections::BTreeMap;

const TEXTS: [&str; 5] = [
    FULL,
    include_str!("../../../examples/01-three-servers.yaml"),
    include_str!("../../../examples/02-locked-down.yaml"),
    include_str!("../../../examples/03-tiers-apart.yaml"),
    include_str!("../../../examples/04-balancer-pair.yaml"),
];

/// What a scalar is replaced by, as it stands in the file: YAML's own ways to surprise.
const FRAGMENTS: &[&str] = &[
    "!!binary aGk=",
    "!!python/object:os.system id",
    "!x",
    "&a [*a]",
    "*nobody",
    "&a b",
    "|\n  a\n  b",
    ">-\n  a\n\n  b",
    "\"a\\nb\"",
    "\"\\0\"",
    "\"\\e[2J\"",
    "\"\\u2028\"",
    "'it''s'",
    "\"a\\\"; }\"",
    "'$(id)'",
    "'`id`'",
    "'a;b'",
    "'a } b {'",
    "'{{ 7 * 7 }}'",
    "'{% raw %}'",
    "'%n%s'",
    "'# x'",
    "[[[[[[]]]]]]",
    "{ a: { b: { c: d } } }",
    "{ <<: { on: [web-01] } }",
    "? a",
    "- x",
    "@x",
    "%x",
    "~",
    "",
    "0x7fffffff",
    "1e400",
    ".inf",
    "-.nan",
    "-1",
    "99999999999999999999999999999999999999999",
    "1_000",
    "2001-01-01",
    "off",
    "\u{feff}",
    "\u{202e}",
    "\t",
    "---",
    "...",
];

/// What its hosts would get of a topology without errors: texts by host and path.
fn pushed(topology: Topology) -> Vec<(String, String)> {
    let is_given = matches!(topology.tls.certificate, Certificate::Files { .. });
    let certificate =
        is_given.then(|| GivenCertificate { chain: String::new(), key: crate::base::secret::Secret::new("") });
    let templates = Templates::new(&BTreeMap::new()).unwrap();
    let site =
        Site { topology, templates, release: None, certificate, given: BTreeMap::new(), alerts: BTreeMap::new() };
    let desired = desired::compile(&site).unwrap();
    let all = rendered::all(&desired, site.hosts());
    let text = |content: &Content| content.shown(&Secrets::default(), "");
    let file = |r: &rendered::Rendered| match &r.file.body {
        Body::Text(content) => Some((r.file.path.clone(), text(content))),
        _ => None,
    };
    all.iter().filter_map(file).collect()
}

/// The text within double quotes, as systemd reads it; none where something in it is not held by them.
fn unquoted(quoted: &str, special: &str) -> Option<String> {
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let (mut out, mut chars) = (String::new(), inner.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next()?),
            c if c == '"' || special.contains(c) => return None,
            c => out.push(c),
        }
    }
    Some(out)
}

/// The words of an `ExecStart=`, each in quotes.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut chars) = (Vec::new(), String::new(), line.chars().peekable());
    loop {
        (chars.next()? == '"').then_some(())?;
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => word.push(chars.next()?),
                '%' => word.push(chars.next().filter(|c| *c == '%')?),
                c => word.push(c),
            }
        }
        words.push(std::mem::take(&mut word));
        match chars.next() {
            None => return Some(words),
            Some(' ') => {}
            Some(_) => return None,
        }
    }
}

/// That what was taken is held where it is written: nothing of it is anywhere else, and there it reads back as it was.
/// The answer is how many lines were made of it.
fn is_held(topology: &Topology, before: &[(String, String)], hostile: &str, what: &str) -> usize {
    let hostile = hostile.trim_matches(['\'', '"']);
    // What stands there anyway is not told apart from what came in, but by its number.
    let count = |text: &str| text.matches(hostile).count();
    let most = |path: &str| before.iter().filter(|(p, _)| p == path).map(|(_, text)| count(text)).max().unwrap_or(0);
    let is_plain = hostile.chars().all(|c| c.is_ascii_alphanumeric() || "-._/~".contains(c));
    let app = topology.app.as_ref().unwrap();
    let all = pushed(topology.clone());
    for (path, text) in &all {
        assert!(!text.chars().any(|c| c.is_control() && !"\n\t".contains(c)), "{what}: {path} has control characters");
        match path.as_str() {
            "/etc/foobar/app.env" => {
                let mut left = app.env.len();
                for line in text.lines().skip(1) {
                    let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("{what}: {line:?}"));
                    if value.starts_with("(secret ") {
                        continue;
                    }
                    let value = unquoted(value, "$`").unwrap_or_else(|| panic!("{what}: {line:?}"));
                    if let Some(known) = app.env.get(&name.parse().unwrap()).filter(|_| left > 0) {
                        assert_eq!(value, known.as_str(), "{what}");
                        left -= 1;
                    }
                }
            }
            "/etc/systemd/system/foobar-app.service" => {
                let line = text.lines().find_map(|l| l.strip_prefix("ExecStart=")).unwrap();
                let words = words(line).unwrap_or_else(|| panic!("{what}: {line:?}"));
                let run: &CommandLine = &app.run;
                assert_eq!((words.len(), &words[1..]), (run.words().len(), &run.words()[1..]), "{what}");
                let others: String = text.lines().filter(|l| !l.starts_with("ExecStart=")).collect();
                assert!(is_plain || count(&others) <= most(path), "{what}: {hostile:?} is in {path}");
            }
            _ => assert!(is_plain || count(text) <= most(path), "{what}: {hostile:?} is in {path}:\n{text}"),
        }
    }
    all.iter().map(|(_, text)| text.lines().count()).sum()
}

#[test]
fn what_is_taken_is_rendered_as_a_value_and_nothing_else() {
    let (mut taken, before) = (0, read(FULL).unwrap().topology);
    let clean = pushed(before);
    let lines: usize = clean.iter().map(|(_, text)| text.lines().count()).sum();
    let full: Value = serde_yaml::from_str(FULL).unwrap();
    for hostile in HOSTILE {
        // Fields that take any text at all; the rest is refused, which another test says.
        let is_free =
            |path: &str| ["app.run", "app.env.", "app.migrate", "app.source"].iter().any(|p| path.starts_with(p));
        for (path, value) in replaced(&full, hostile).into_iter().filter(|(p, _)| is_free(p)) {
            let Ok(valid) = read(&serde_yaml::to_string(&value).unwrap()) else { continue };
            taken += 1;
            let made = is_held(&valid.topology, &clean, hostile, &format!("{path} as {hostile:?}"));
            if path.starts_with("app.run") || path.starts_with("app.env.GREETING") {
                assert_eq!(made, lines, "{path} as {hostile:?} makes other lines");
            }
        }
    }
    assert!(taken > 40, "only {taken} were taken: the test tests little");
}

#[test]
fn a_file_that_was_cut_anywhere_or_lost_a_line_is_judged() {
    for text in TEXTS {
        for cut in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            let _ = read(&text[..cut]);
        }
        let lines: Vec<&str> = text.lines().collect();
        for lost in 0..lines.len() {
            let mut rest = lines.clone();
            rest.remove(lost);
            match read(&rest.join("\n")) {
                Ok(valid) => drop(pushed(valid.topology)),
                Err(report) => assert!(!shown(&report).is_empty()),
            }
        }
    }
}

#[test]
fn a_scalar_that_became_any_yaml_is_judged() {
    let is_scalar = |c: char| !" \n\t,[]{}:#".contains(c);
    let (mut tried, mut taken) = (0, 0);
    for text in &TEXTS[..2] {
        let clean = pushed(read(text).unwrap().topology);
        let (mut at, mut nth) = (0, 0);
        while let Some(from) = text[at..].find(is_scalar).map(|n| at + n) {
            let to = text[from..].find(|c| !is_scalar(c)).map_or(text.len(), |n| from + n);
            at = to;
            if text[..from].rsplit('\n').next().is_some_and(|line| line.contains('#')) {
                continue;
            }
            // Some of them at each place, and all of them at every eleven places.
            nth += 1;
            for fragment in FRAGMENTS.iter().skip(nth % 11).step_by(11) {
                tried += 1;
                if let Ok(valid) = read(&format!("{}{fragment}{}", &text[..from], &text[to..])) {
                    taken += 1;
                    if valid.topology.app.is_some() {
                        let _ = is_held(&valid.topology, &clean, fragment, fragment);
                    }
                }
            }
        }
    }
    assert!(tried > 500 && taken > 20, "{taken} of {tried}");
}

#[test]
fn what_is_made_to_hurt_ends_soon() {
    let laughs: String = (1..10).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".into(), |text, n| {
        let again = vec![format!("*a{}", n - 1); 9].join(", ");
        format!("{text}a{n}: &a{n} [{again}]\n")
    });
    let long = "x".repeat(10 << 20);
    let some = "x".repeat(200_000);
    let repeated = format!("aliases: [&a \"{some}\"{}]\n", ", *a".repeat(20_000));
    for (name, text) in [
        ("laughs", laughs),
        ("repeated", repeated),
        ("long scalar", format!("site: \"{long}\"\n")),
        ("long key", format!("{long}: x\n")),
        ("long comment", format!("# {long}\n{FULL}")),
        ("some scalar", FULL.replace("www.foobar.com", &some)),
        ("some key", format!("{some}: x\n{FULL}")),
        ("nested lists", format!("site: {}", "[".repeat(200_000))),
        ("nested mappings", format!("site: {}", "{a: ".repeat(60_000))),
        (
            "nested blocks",
            format!("site:\n{}", (1..1000).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>()),
        ),
        ("many keys", format!("{FULL}{}", (0..9_000).map(|n| format!("k{n}: x\n")).collect::<String>())),
        ("many items", FULL.replace("[gunicorn, ", &format!("[{}", "a, ".repeat(19_000)))),
        ("many documents", "---\n".repeat(10_000)),
        ("many anchors", (0..9_000).map(|n| format!("a{n}: &a{n} x\n")).collect()),
        ("itself", "a: &a { b: *a }\n".into()),
    ] {
        let report = read(&text).expect_err(name);
        let said = shown(&report);
        assert!(said.len() < 60_000, "{name}: {} bytes of report", said.len());
    }
}

#[test]
fn what_is_too_much_is_told_in_one_word() {
    insta::assert_snapshot!("too-long", refused(&format!("# {}\n{FULL}", "x".repeat(1 << 20)), None));
    let again = format!("site: www.foobar.com\naliases: [&a \"{}\"{}]\n", "x".repeat(1_000), ", *a".repeat(5_000));
    let said = refused(&again, None);
    insta::assert_snapshot!(
        "long-line",
        refused(&FULL.replace("[gunicorn,", &format!("[{}", "A, ".repeat(4_000))), None)
    );
    assert!(said.contains("the file holds too much") && said.contains("aliases count for what they repeat"), "{said}");
}

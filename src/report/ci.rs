//! A verification for other programs: JUnit's XML for build servers, TAP 13 for test harnesses, and the text format of
//! Prometheus for a node exporter's directory of text files. Checks stand in the same order each time.

use super::{
    checks::{VerifyTally, in_order},
    record::Checked,
    style::{harmless, harmless_lines},
};
use crate::{
    base::name::{DomainName, HostName},
    component::Verdict,
};
use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

/// A verification that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a> {
    /// The site.
    pub site: &'a DomainName,
    /// How each check ended.
    pub checks: &'a [Checked],
    /// How long all of them took.
    pub took: Duration,
    /// When it ended, in seconds since the epoch.
    pub at: i64,
}

/// Text as XML 1.0 has it, within an attribute or between tags: line breaks stay, what it has no words for is shown.
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (n, line) in harmless_lines(text).enumerate() {
        if n > 0 {
            out.push_str("&#10;");
        }
        for c in line.chars() {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
                c => out.push(c),
            }
        }
    }
    out
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// JUnit's XML: a suite a host, a class a component on it.
pub fn junit(verified: &Verified<'_>) -> String {
    let Verified { site, checks, took, .. } = verified;
    let numbers = |checks: &[Checked]| {
        let VerifyTally { failed, errors, .. } = VerifyTally::of(checks);
        format!("tests=\"{}\" failures=\"{failed}\" errors=\"{errors}\"", checks.len())
    };
    let seconds = format!("{:.3}", took.as_secs_f64());
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites name=\"foobar verify {site}\" {} time=\"{seconds}\">", numbers(checks));
    let mut hosts: BTreeMap<&HostName, Vec<Checked>> = BTreeMap::new();
    for check in in_order(checks) {
        hosts.entry(&check.host).or_default().push(check.clone());
    }
    for (host, checks) in hosts {
        let _ = writeln!(
            out,
            "  <testsuite name=\"{host}\" hostname=\"{host}\" {} skipped=\"0\" time=\"0\">",
            numbers(&checks)
        );
        for check in &checks {
            let name = xml(&check.title);
            let _ = write!(out, "    <testcase classname=\"{host}.{}\" name=\"{name}\" time=\"0\">", check.component);
            let (message, all) = (xml(first_line(check.seen())), xml(check.seen()));
            let _ = match &check.verdict {
                Verdict::Pass(_) => writeln!(out, "<system-out>{all}</system-out></testcase>"),
                Verdict::Fail(_) => {
                    writeln!(out, "<failure message=\"{message}\" type=\"fail\">{all}</failure></testcase>")
                }
                Verdict::Error(_) => {
                    let word = "could not be checked: ";
                    writeln!(out, "<error message=\"{word}{message}\" type=\"error\">{word}{all}</error></testcase>")
                }
            };
        }
        out += "  </testsuite>\n";
    }
    out + "</testsuites>\n"
}

/// TAP 13, since Perl's reader takes nothing newer; what was seen instead stands in a YAML block, its strings as JSON, which YAML takes.
pub fn tap(verified: &Verified<'_>) -> String {
    let mut out = format!("TAP version 13\n1..{}\n", verified.checks.len());
    for (n, check) in (1..).zip(in_order(verified.checks)) {
        let said = format!("{} {}: {}", check.host, check.component, harmless(&check.title));
        let said = said.replace('\\', "\\\\").replace('#', "\\#");
        let (word, severity) = match &check.verdict {
            Verdict::Pass(_) => ("ok", None),
            Verdict::Fail(_) => ("not ok", Some("fail")),
            Verdict::Error(_) => ("not ok", Some("error")),
        };
        let _ = writeln!(out, "{word} {n} - {said}");
        if let Some(severity) = severity {
            let seen: Vec<_> = harmless_lines(check.seen()).collect();
            let seen = serde_json::Value::from(seen.join("\n"));
            let name = check.name();
            let _ = write!(out, "  ---\n  message: {seen}\n  severity: {severity}\n  check: {name}\n  ...\n");
        }
    }
    out
}

/// The text exposition format of Prometheus, without timestamps: its reader gives them.
pub fn prometheus(verified: &Verified<'_>) -> String {
    let Verified { site, checks, took, at } = verified;
    let label = |text: &str| harmless(text).replace('\\', "\\\\").replace('"', "\\\"");
    // One sample for each set of labels, the worst where there are several.
    let mut samples: BTreeMap<String, &Verdict> = BTreeMap::new();
    for check in in_order(checks) {
        let labels = format!(
            "site=\"{site}\",component=\"{}\",check=\"{}\",host=\"{}\"",
            label(check.component),
            label(&check.name()),
            check.host
        );
        let known = samples.entry(labels).or_insert(&check.verdict);
        if matches!(known, Verdict::Pass(_)) {
            *known = &check.verdict;
        }
    }
    let mut out = String::new();
    let mut head = |name: &str, help: &str, lines: Vec<String>| {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
        for line in lines {
            let _ = writeln!(out, "{name}{line}");
        }
    };
    let number = |yes: bool| u8::from(yes);
    head(
        "foobar_verify_check_passed",
        "Whether what a check claims holds; absent where it could not be checked.",
        samples
            .iter()
            .filter(|(_, verdict)| !matches!(verdict, Verdict::Error(_)))
            .map(|(labels, verdict)| format!("{{{labels}}} {}", number(matches!(verdict, Verdict::Pass(_)))))
            .collect(),
    );
    head(
        "foobar_verify_check_made",
        "Whether a check could be made.",
        samples
            .iter()
            .map(|(labels, verdict)| format!("{{{labels}}} {}", number(!matches!(verdict, Verdict::Error(_)))))
            .collect(),
    );
    let VerifyTally { passed, failed, errors } = VerifyTally::of(checks);
    head(
        "foobar_verify_checks",
        "Checks of the last verification by how they ended.",
        [("pass", passed), ("fail", failed), ("error", errors)]
            .map(|(outcome, n)| format!("{{site=\"{site}\",outcome=\"{outcome}\"}} {n}"))
            .to_vec(),
    );
    let seconds = took.as_secs_f64();
    head(
        "foobar_verify_duration_seconds",
        "How long the last verification took.",
        vec![format!("{{site=\"{site}\"}} {seconds:.3}")],
    );
    head(
        "foobar_verify_end_timestamp_seconds",
        "When the last verification ended.",
        vec![format!("{{site=\"{site}\"}} {at}")],
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::some_checks;
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };

    fn checks() -> Vec<Checked> {
        let mut checks = some_checks();
        checks[0].title = "a \"quoted\" <title> & a # \\ in it \u{1b}[2J".into();
        checks[2].verdict = Verdict::Fail("got <html> & \"200\" ]]> \u{fffe}\n  at line 2\r\nno # comment".into());
        checks
    }

    fn with<T>(make: impl Fn(&Verified<'_>) -> T, checks: &[Checked]) -> T {
        let site = "www.foobar.com".parse().unwrap();
        make(&Verified { site: &site, checks, took: Duration::from_millis(1_900), at: 1_795_552_800 })
    }

    #[test]
    fn for_build_servers_harnesses_and_prometheus() {
        insta::assert_snapshot!("verify-junit", with(junit, &checks()));
        insta::assert_snapshot!("verify-tap", with(tap, &checks()));
        insta::assert_snapshot!("verify-prometheus", with(prometheus, &checks()));
    }

    #[test]
    fn nothing_at_all_is_well_formed_too() {
        assert_eq!(with(tap, &[]), "TAP version 13\n1..0\n");
        assert!(with(junit, &[]).ends_with("time=\"1.900\">\n</testsuites>\n"));
        assert!(with(prometheus, &[]).contains("foobar_verify_checks{site=\"www.foobar.com\",outcome=\"fail\"} 0\n"));
    }

    #[test]
    fn two_checks_of_one_name_are_one_sample_the_worse_one() {
        let mut checks = vec![some_checks()[2].clone(), some_checks()[2].clone()];
        checks[0].verdict = Verdict::Pass("200".into());
        let text = with(prometheus, &checks);
        let samples: Vec<&str> = text.lines().filter(|l| l.starts_with("foobar_verify_check_passed{")).collect();
        assert_eq!(samples.len(), 1);
        assert!(samples[0].ends_with(" 0"), "{samples:?}");
    }

    #[test]
    fn every_line_is_one_that_a_tap_reader_knows() {
        let text = with(tap, &checks());
        let mut is_inside = false;
        for line in text.lines() {
            match line {
                "  ---" => is_inside = true,
                "  ..." => is_inside = false,
                line if is_inside => assert!(line.starts_with("  ") && line.contains(": "), "{line}"),
                line => {
                    assert!(["TAP version 13", "1..", "ok ", "not ok "].iter().any(|s| line.starts_with(s)), "{line}")
                }
            }
            // A bare `#` would begin a directive.
            let bare = line.replace("\\\\", "").replace("\\#", "");
            assert!(is_inside || !bare.contains('#'), "{line}");
        }
        assert!(!is_inside);
    }

    /// Where the checkers are there, they take it.
    #[test]
    fn others_read_it() {
        let feed = |program: &str, words: &[&str], text: String| {
            let mut command = Command::new(program);
            let command = command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let Ok(mut child) = command.spawn() else { return };
            child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
            let done = child.wait_with_output().unwrap();
            let said = [done.stdout, done.stderr].map(|s| String::from_utf8_lossy(&s).into_owned()).concat();
            assert!(done.status.success(), "{program}: {said}");
        };
        feed("promtool", &["check", "metrics"], with(prometheus, &checks()));
        feed("xmllint", &["--noout", "-"], with(junit, &checks()));
        // Its own words on what fails; those that hold are enough to see whether it can be read.
        let good: Vec<Checked> = checks().into_iter().filter(|c| matches!(c.verdict, Verdict::Pass(_))).collect();
        feed("prove", &["--exec", "cat", "/dev/stdin"], with(tap, &good));
    }
}

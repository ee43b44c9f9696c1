//! A verification as one page: what failed first, with what was seen and what to do, the topology's picture coloured by how
//! its parts fared, and every check by its host. Nothing outside of the page is needed or asked for, and no script runs in it.

use super::{
    checks::{VerifyTally, in_order},
    ci::{Verified, xml},
    graph::{
        picture::Picture,
        svg::{self, Mark, Marks},
    },
    record::Checked,
    style::{count, span},
};
use crate::{
    base::name::HostName,
    component::{Verdict, drill, site::Site},
    transport::TransportError,
};
use std::collections::{BTreeMap, BTreeSet};

/// How it looks.
const STYLE: &str = include_str!("page.css");
/// A browser that is told so asks nobody for anything, whatever stands in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// A verification, and what a page says beyond it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The verification.
    pub verified: Verified<'a>,
    /// The site.
    pub site: &'a Site,
    /// Hosts that could not be spoken to.
    pub away: &'a [TransportError],
    /// When it ended, as people read it.
    pub when: &'a str,
}

/// The page.
pub fn html(view: &View<'_>) -> String {
    let Verified { site, checks, took, .. } = &view.verified;
    let tally = VerifyTally::of(checks);
    let site = xml(site.as_str());
    let mut out = String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    out += "<meta name=\"color-scheme\" content=\"light dark\">\n";
    out += &format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n");
    let short = if tally.is_good() { "verified" } else { "not as it should be" };
    out += &format!("<title>{site}: {short}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n");
    out += &format!("<h1>{site}</h1>\n");
    let (version, made) = (env!("CARGO_PKG_VERSION"), count(checks.len(), "check"));
    out += &format!("<p class=\"dim\">{made} in {}, {} (foobar {version})</p>\n", span(*took), xml(view.when));
    out += &summary(tally, checks.is_empty());
    out += "</header>\n<main>\n";
    out += &broken(view);
    out += "<h2>The topology</h2>\n<figure>\n";
    out += &svg::draw(&Picture::of(view.site), &marks(view));
    out += "</figure>\n<h2>All checks</h2>\n";
    out += &by_host(view);
    out + "</main>\n</body>\n</html>\n"
}

fn summary(tally: VerifyTally, is_empty: bool) -> String {
    let VerifyTally { passed, failed, errors } = tally;
    let (class, said) = match (failed, errors) {
        _ if is_empty => ("error", "Nothing was checked.".to_owned()),
        (0, 0) => ("pass", "Everything that was checked holds.".to_owned()),
        (0, n) => ("error", format!("{} could not be made; all others hold.", count(n, "check"))),
        (n, _) => ("fail", format!("{} {} not hold.", count(n, "check"), if n == 1 { "does" } else { "do" })),
    };
    let tile = |n: usize, class: &str, word: &str| {
        let class = if n == 0 { "dim" } else { class };
        format!("<li><b class=\"{class}\">{n}</b>{word}</li>\n")
    };
    let tiles = [tile(passed, "pass", "passed"), tile(failed, "fail", "failed"), tile(errors, "error", "not made")];
    format!("<p class=\"verdict {class}\">{said}</p>\n<ul class=\"tally\">\n{}</ul>\n", tiles.concat())
}

fn sign(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass(_) => "<span class=\"mark pass\" role=\"img\" aria-label=\"passed\">✓</span>",
        Verdict::Fail(_) => "<span class=\"mark fail\" role=\"img\" aria-label=\"failed\">✗</span>",
        Verdict::Error(_) => "<span class=\"mark error\" role=\"img\" aria-label=\"could not be checked\">!</span>",
    }
}

/// Who is away, which much of the rest may come of; what does not hold; then what could not be looked at. Each with what was
/// seen and what to do.
fn broken(view: &View<'_>) -> String {
    let checks = in_order(view.verified.checks);
    let away: BTreeSet<&HostName> = view.away.iter().map(|e| &e.host).collect();
    let mut out = String::new();
    for error in view.away {
        let host = &error.host;
        let made = checks.iter().filter(|c| c.host == *host).count();
        out += &format!(
            "<article class=\"unsure\">\n<h3><span class=\"mark error\" role=\"img\" aria-label=\"could not be checked\">!</span> \
             {host} could not be spoken to</h3>\n<p class=\"dim\">{} from there not made</p>\n<pre>{}</pre>\n{}</article>\n",
            count(made, "check"),
            xml(&error.what),
            steps(&[xml(&error.help)])
        );
    }
    let mut failed: Vec<&Checked> = checks.iter().copied().filter(|c| failing(c)).collect();
    // Where most of it fails is where it began, more often than not; the rest tells of it from elsewhere.
    let about = |c: &Checked| (c.component, subjects(view.site, c).first().map(|h| (*h).clone()));
    let alike = |c: &Checked| view.verified.checks.iter().filter(|o| failing(o) && about(o) == about(c)).count();
    failed.sort_by_key(|c| (std::cmp::Reverse(alike(c)), about(c)));
    for check in failed {
        out += &article(view, check, "", "");
    }
    // What a host that is away could not be asked is told with the host.
    for check in checks.iter().filter(|c| matches!(c.verdict, Verdict::Error(_)) && !away.contains(&c.host)) {
        out += &article(view, check, " class=\"unsure\"", "could not be checked: ");
    }
    if out.is_empty() { out } else { format!("<h2>What to look at</h2>\n{out}") }
}

fn failing(check: &Checked) -> bool {
    matches!(check.verdict, Verdict::Fail(_))
}

fn article(view: &View<'_>, check: &Checked, class: &str, word: &str) -> String {
    format!(
        "<article{class}>\n<h3>{} {}</h3>\n<p class=\"dim\">{}, seen from {}</p>\n<pre>{word}{}</pre>\n{}</article>\n",
        sign(&check.verdict),
        xml(&check.title),
        check.component,
        check.host,
        xml(check.seen()),
        steps(&to_do(view.site, check))
    )
}

fn steps(all: &[String]) -> String {
    let all: Vec<String> = all.iter().filter(|s| !s.is_empty()).map(|s| format!("<li>{s}</li>\n")).collect();
    if all.is_empty() { String::new() } else { format!("<p>What to do:</p>\n<ul>\n{}</ul>\n", all.concat()) }
}

/// What helps with any check: whether its host differs from the topology, what its service says, and another look.
fn to_do(site: &Site, check: &Checked) -> Vec<String> {
    let about = subjects(site, check);
    let limit = about.iter().map(|h| h.as_str()).collect::<Vec<_>>().join(",");
    let mut all = vec![format!(
        "<code>foobar plan -l {limit}</code> says whether it differs from the topology; <code>foobar apply -l {limit}</code> mends that"
    )];
    for host in about {
        let of = drill::services(site, host).unwrap_or_default();
        for unit in of.into_iter().filter(|(component, _)| *component == shown_as(check.component)).flat_map(|(_, u)| u)
        {
            all.push(format!(
                "on {host}: <code>systemctl status {unit}</code> and <code>journalctl -u {unit} -n 50</code>"
            ));
        }
    }
    all.push(format!("then <code>foobar verify --only {}</code>", check.name()));
    all
}

/// The hosts that a check is about: those that it names, else the one that it was made from.
fn subjects<'a>(site: &'a Site, check: &'a Checked) -> Vec<&'a HostName> {
    let words: BTreeSet<&str> = check.title.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect();
    let named: Vec<&HostName> = site.hosts().filter(|h| words.contains(h.as_str())).collect();
    if named.is_empty() { vec![&check.host] } else { named }
}

/// The part of the picture that a component is shown by.
fn shown_as(component: &'static str) -> &'static str {
    // Visitors meet the balancer's certificate.
    if component == "tls" { "haproxy" } else { component }
}

/// How everything in the picture fared: as the worst check about it.
fn marks(view: &View<'_>) -> Marks {
    let mut marks = Marks::default();
    for check in view.verified.checks {
        let mark = match &check.verdict {
            Verdict::Pass(_) => Mark::Pass,
            Verdict::Fail(_) => Mark::Fail,
            Verdict::Error(_) => Mark::Error,
        };
        for host in subjects(view.site, check) {
            let worst = |known: &mut Mark| *known = mark.max(*known);
            worst(marks.hosts.entry(host.clone()).or_insert(mark));
            worst(marks.parts.entry((host.clone(), shown_as(check.component))).or_insert(mark));
        }
    }
    for error in view.away {
        let known = marks.hosts.entry(error.host.clone()).or_insert(Mark::Error);
        *known = Mark::Error.max(*known);
    }
    marks
}

/// Every check, under the host that it was made from; hosts where all holds are folded.
fn by_host(view: &View<'_>) -> String {
    let mut hosts: BTreeMap<&HostName, Vec<&Checked>> = BTreeMap::new();
    for check in in_order(view.verified.checks) {
        hosts.entry(&check.host).or_default().push(check);
    }
    let mut out = String::new();
    for host in view.site.hosts().filter(|h| hosts.contains_key(h)) {
        let checks = &hosts[host];
        let bad = checks.iter().filter(|c| !matches!(c.verdict, Verdict::Pass(_))).count();
        let said = match bad {
            0 => format!("{}, all hold", count(checks.len(), "check")),
            n => format!("{n} of {} not as they should be", count(checks.len(), "check")),
        };
        let open = if bad == 0 { "" } else { " open" };
        out += &format!(
            "<details{open}>\n<summary>{host} <span class=\"dim\">{said}</span></summary>\n<ul class=\"checks\">\n"
        );
        for check in checks {
            out += &format!(
                "<li>{}<span class=\"of dim\">{}</span><span>{}</span><span class=\"seen dim\">{}</span></li>\n",
                sign(&check.verdict),
                check.component,
                xml(&check.title),
                xml(check.seen())
            );
        }
        out += "</ul>\n</details>\n";
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{component::testing, report::tests::host, transport::TransportErrorKind};
    use std::time::Duration;

    fn check(component: &'static str, title: &str, at: &str, verdict: Verdict) -> Checked {
        Checked { component, title: title.into(), host: host(at), verdict }
    }

    fn some() -> Vec<Checked> {
        let pass = |text: &str| Verdict::Pass(text.into());
        vec![
            check(
                "nginx",
                "web-01 answers /healthz",
                "lb-01",
                Verdict::Fail("503 <script>alert(1)</script>\nline 2".into()),
            ),
            check("nginx", "web-02 answers /healthz", "lb-01", pass("200")),
            check("tls", "lb-01 speaks HTTP/2", "web-01", pass("h2")),
            check("mysql", "it boots read-only", "web-01", pass("--read-only=ON")),
            check("mysql", "the replica refuses writes", "web-02", Verdict::Error("no answer".into())),
            check("app", "it answers /healthz", "lb-01", Verdict::Error("asked for \u{1b}[2J".into())),
        ]
    }

    fn page(checks: &[Checked], away: &[TransportError]) -> String {
        let site = testing::site(testing::topology());
        let name = site.topology.site.clone();
        let took = Duration::from_millis(1_900);
        let verified = Verified { site: &name, checks, took, at: 1_795_552_800 };
        html(&View { verified, site: &site, away, when: "2026-11-24 20:40 UTC" })
    }

    fn away() -> Vec<TransportError> {
        vec![TransportError {
            host: host("web-02"),
            kind: TransportErrorKind::Unreachable,
            what: "no answer from 10.77.0.22 port 22 within 10 s".into(),
            help: "is the host up? try: ssh web-02".into(),
        }]
    }

    #[test]
    fn who_is_away_comes_first_then_what_failed_with_what_was_seen_and_what_to_do() {
        let page = page(&some(), &away());
        let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is not in\n{page}"));
        assert!(at("1 check does not hold.") < at("web-02 could not be spoken to"));
        assert!(at("web-02 could not be spoken to") < at("web-01 answers /healthz"));
        assert!(at("web-01 answers /healthz") < at("could not be checked: asked for ␛[2J"));
        assert!(at("What to look at") < at("<svg") && at("<svg") < at("All checks"));
        assert!(page.contains("foobar plan -l web-01") && page.contains("journalctl -u nginx.service -n 50"));
        assert!(page.contains("foobar verify --only nginx/web-01-answers-healthz"));
        // What its lost host could not be asked is not told twice.
        assert!(!page.contains("could not be checked: no answer"));
        let without_picture = [&page[..at("<svg")], &page[at("</svg>") + 6..]].concat();
        let style = without_picture.find("<style>").unwrap()..without_picture.find("</style>").unwrap();
        insta::assert_snapshot!(
            "verify-page",
            [&without_picture[..style.start], &without_picture[style.end..]].concat()
        );
    }

    #[test]
    fn where_most_of_it_fails_is_told_first() {
        let fail = || Verdict::Fail("no".into());
        let checks = [
            check("haproxy", "all 2 backends are up", "lb-01", fail()),
            check("nginx", "nginx.service is active and enabled", "web-01", fail()),
            check("nginx", "web-01 answers /healthz", "lb-01", fail()),
        ];
        let page = page(&checks, &[]);
        let looked = &page[..page.find("<svg").unwrap()];
        let at = |text: &str| looked.find(text).unwrap();
        assert!(at("nginx.service is active") < at("web-01 answers") && at("web-01 answers") < at("backends are up"));
    }

    #[test]
    fn the_picture_says_which_part_of_which_host() {
        let site = testing::site(testing::topology());
        let (name, checks, away) = (site.topology.site.clone(), some(), away());
        let verified = Verified { site: &name, checks: &checks, took: Duration::ZERO, at: 0 };
        let marks = marks(&View { verified, site: &site, away: &away, when: "" });
        assert_eq!(marks.hosts[&host("web-01")], Mark::Fail);
        assert_eq!(marks.hosts[&host("web-02")], Mark::Error);
        assert_eq!(marks.parts[&(host("web-01"), "nginx")], Mark::Fail);
        assert_eq!(marks.parts[&(host("web-01"), "mysql")], Mark::Pass);
        assert_eq!(marks.parts[&(host("lb-01"), "haproxy")], Mark::Pass, "it is what TLS is about");
    }

    #[test]
    fn it_needs_nothing_from_elsewhere_and_runs_nothing() {
        let page = page(&some(), &away());
        for bad in
            ["<script", "<link", "<img", "<iframe", "src=", "href=", "@import", "url(h", "javascript:", " onload"]
        {
            assert!(!page.contains(bad), "{bad}");
        }
        // The one address is the name of SVG's own words.
        assert_eq!(page.matches("://").count(), 1);
        assert!(page.contains("&lt;script&gt;alert(1)"));
    }

    #[test]
    fn where_all_holds_there_is_nothing_to_look_at() {
        let good = page(&some()[1..4], &[]);
        assert!(good.contains("Everything that was checked holds.") && !good.contains("What to look at"));
        assert!(!good.contains("<details open"));
        assert!(page(&[], &[]).contains("Nothing was checked."));
    }
}

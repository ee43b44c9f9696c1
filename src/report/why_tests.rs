//! What `render` and `explain` show, over every example: each line's origins are where they say, and no secret is shown.

use super::{
    explain::{self, View},
    problem, render,
    style::Palette,
};
use crate::{
    base::{secret::Secret, template::Templates},
    component::{Desired, site::Site, spec::Certificate},
    plan::{
        desired,
        explain::{Basis, Explained, Line, Origin, Unknown},
        rendered,
    },
    resource::files::Body,
    topology::{Source, Sources, load, places::Places},
};
use std::collections::{BTreeMap, BTreeSet};

const EXAMPLES: [(&str, &str); 4] = [
    ("examples/01-three-servers.yaml", include_str!("../../examples/01-three-servers.yaml")),
    ("examples/02-locked-down.yaml", include_str!("../../examples/02-locked-down.yaml")),
    ("examples/03-tiers-apart.yaml", include_str!("../../examples/03-tiers-apart.yaml")),
    ("examples/07-acme.yaml", include_str!("../../examples/07-acme.yaml")),
];
const INVENTORY: &str = include_str!("../../inventories/production.yaml");

/// A site from texts alone, all of its given secrets of one value that must never be seen.
struct Read {
    site: Site,
    desired: Desired,
    places: Places,
}

const PLANTED: &str = "hush-hush-hush";

fn read(name: &str, text: &str, inventory: Option<&str>, over: &BTreeMap<String, String>) -> Read {
    let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
    let sources = Sources {
        topology: source(name, text),
        inventory: inventory.map(|t| source("inventories/production.yaml", t)),
    };
    let valid = load(sources, 0).unwrap_or_else(|report| panic!("{:#?}", report.findings()));
    let secrets = valid.topology.app.iter().flat_map(|a| a.secrets.keys().cloned());
    let given = secrets.map(|name| (name, Secret::new(PLANTED))).collect();
    let is_given = matches!(valid.topology.tls.certificate, Certificate::Files { .. });
    let certificate =
        is_given.then(|| crate::component::site::GivenCertificate { chain: PLANTED.into(), key: Secret::new(PLANTED) });
    let templates = Templates::new(over).unwrap();
    let site = Site { topology: valid.topology, templates, release: None, certificate, given, alerts: BTreeMap::new() };
    let desired = desired::compile(&site).unwrap();
    Read { site, desired, places: valid.places }
}

impl Read {
    fn explain(&self, host: &str, path: &str) -> Result<Explained, Unknown> {
        let basis = Basis { site: &self.site, desired: &self.desired, places: &self.places };
        crate::plan::explain::explain(&basis, host, path)
    }
}

fn view(colour: bool) -> View {
    View { palette: Palette::new(colour), width: Some(100), templates: None }
}

fn origins(line: &Line) -> impl Iterator<Item = &Origin> {
    line.values.iter().chain(&line.blocks).flat_map(|r| &r.from)
}

#[test]
fn every_line_of_every_example_has_its_origins_where_they_say() {
    let mut seen = BTreeSet::new();
    for (name, text) in EXAMPLES {
        for inventory in [None, Some(INVENTORY)] {
            let read = read(name, text, inventory, &BTreeMap::new());
            for file in rendered::all(&read.desired, read.site.hosts()) {
                let Body::Text(_) = &file.file.body else { continue };
                let explained = read.explain(file.host.as_str(), &file.file.path).unwrap();
                let lines: Vec<&str> = explained.lines.iter().map(|l| l.text.as_str()).collect();
                assert_eq!(lines.join("\n"), file.text().unwrap().trim_end_matches('\n'), "{}", file.file.path);
                assert_eq!(explained.note.is_some(), explained.template.is_none(), "{}", file.file.path);
                for line in &explained.lines {
                    assert_eq!(line.template.is_empty(), explained.template.is_none(), "{}: {line:?}", file.file.path);
                    let is_secret = line.text.contains("(secret ");
                    assert!(!is_secret || origins(line).next().is_some(), "{}: {}", file.file.path, line.text);
                    for origin in origins(line) {
                        holds(origin, text, inventory, &mut seen);
                    }
                }
            }
        }
    }
    assert!(seen.len() > 20, "{seen:?}");
}

/// That a key is written on the line that is told, or is known to have no default.
fn holds(origin: &Origin, topology: &str, inventory: Option<&str>, seen: &mut BTreeSet<String>) {
    match origin {
        Origin::Written { key, file, line, .. } => {
            seen.insert(key.clone());
            let text = if file.starts_with("inventories/") { inventory.unwrap() } else { topology };
            let line = text.lines().nth(line - 1).unwrap();
            let last = key.rsplit('.').next().unwrap();
            // A host of a list stands in brackets behind its key, or below it.
            let word = last.split('[').next().unwrap();
            let found = line.contains(word) || (last.contains('[') && line.trim_start().starts_with('-'));
            assert!(found, "{key} is not on {line:?} of {file}");
        }
        Origin::Default { key, value } => {
            seen.insert(key.clone());
            assert!(!value.is_empty(), "{key}");
        }
        Origin::Absent { key } => {
            assert!(["app", "haproxy", "firewall"].contains(&key.as_str()), "{key} has neither place nor default");
        }
        Origin::Own { .. } => {}
    }
}

#[test]
fn a_line_says_its_template_and_its_topology_line() {
    let (name, text) = EXAMPLES[1];
    let mine = "# mine\n[Service]\n{% set hosts = 1 %}Restart=no\n".to_owned();
    let over = BTreeMap::from([("nginx/unit.conf.tera".to_owned(), mine)]);
    let read = read(name, text, None, &over);
    let mut out = String::new();
    let nginx = read.explain("web-01", "/etc/nginx/conf.d/foobar.conf").unwrap();
    let ask = |explained: &Explained, what: &str, view: &View| {
        let line = explained.lines.iter().find(|l| l.text.contains(what)).unwrap_or_else(|| panic!("no {what}"));
        format!("{}\n", explain::line(explained, line, view))
    };
    for what in ["client_max_body_size", "set_real_ip_from", "keepalive 16", "stub_status", "server_name www"] {
        out.push_str(&ask(&nginx, what, &view(false)));
    }
    let env = read.explain("web-01", "/etc/foobar/app.env").unwrap();
    for line in &env.lines[1..] {
        out.push_str(&format!("{}\n", explain::line(&env, line, &view(false))));
    }
    let own = read.explain("web-01", "/etc/systemd/system/nginx.service.d/foobar.conf").unwrap();
    let templates = View { templates: Some("../mine/".into()), ..view(false) };
    out.push_str(&ask(&own, "Restart", &templates));
    let pem = read.explain("lb-01", "/etc/haproxy/certs/site.pem").unwrap();
    out.push_str(&ask(&pem, "key", &view(false)));
    insta::assert_snapshot!("explain-lines", out);
    insta::assert_snapshot!(
        "explain-line-colour",
        ask(&nginx, "client_max_body_size", &view(true)).replace('\x1b', "ESC")
    );
    let line = nginx.lines.iter().find(|l| l.text.contains("client_max_body_size"));
    insta::assert_snapshot!("explain-line-json", explain::json(&nginx, line, &view(false)));
}

#[test]
fn a_whole_file_has_its_origins_in_a_gutter_within_the_width() {
    let (name, text) = EXAMPLES[1];
    let read = read(name, text, Some(INVENTORY), &BTreeMap::new());
    let nginx = read.explain("web-01", "/etc/nginx/conf.d/foobar.conf").unwrap();
    let shown = explain::file(&nginx, &view(false));
    assert!(shown.lines().all(|l| l.chars().count() <= 100), "{shown}");
    insta::assert_snapshot!("explain-file", shown);
    let firewall = read.explain("lb-01", "/etc/foobar/firewall.nft").unwrap();
    insta::assert_snapshot!("explain-file-colour", explain::file(&firewall, &view(true)).replace('\x1b', "ESC"));
    let whole = explain::file(&nginx, &View { width: None, ..view(false) });
    assert!(!whole.contains('…') || shown.contains("… +"), "{whole}");
}

#[test]
fn a_template_that_cannot_be_followed_says_so() {
    let (name, text) = EXAMPLES[0];
    let mine = "{% set x %}a{% endset %}{% if x == \"a\" %}Restart=no\n{% endif %}".to_owned();
    let read = read(name, text, None, &BTreeMap::from([("nginx/unit.conf.tera".to_owned(), mine)]));
    let explained = read.explain("web-01", "/etc/systemd/system/nginx.service.d/foobar.conf").unwrap();
    insta::assert_snapshot!("explain-untraced", explain::line(&explained, &explained.lines[0], &view(false)));
}

#[test]
fn what_is_unknown_is_told_with_what_is_near() {
    let (name, text) = EXAMPLES[0];
    let read = read(name, text, None, &BTreeMap::new());
    let mut out = String::new();
    for (host, path) in [
        ("web-09", "/etc/x"),
        ("nobody", "/etc/x"),
        ("web-01", "/etc/nginx/foobar.conf"),
        ("web-01", "/etc/nginx/conf.d/foobar.cnf"),
        ("web-01", "/etc/haproxy/haproxy.cfg"),
        ("web-01", "/etc/passwd"),
        ("web-01", "/etc/foobar"),
        ("web-01", "/etc/nginx/sites-enabled/default"),
        ("web-01", "/etc/\u{1b}[2J"),
    ] {
        let unknown = read.explain(host, path).unwrap_err();
        let problem = problem::Problem::new("foobar::explain", &unknown.to_string(), &unknown.help());
        out.push_str(&problem::text(&problem, 100, Palette::new(false)));
    }
    assert!(!out.contains('\x1b'));
    insta::assert_snapshot!("explain-unknown", out);
}

#[test]
fn what_would_be_pushed_is_shown_without_a_secret() {
    for (name, text) in EXAMPLES {
        let more = "  secrets: { PLANTED: { env: PLANTED }, MADE: generate }\n";
        let text = match text.contains("  secrets:") {
            true => text.to_owned(),
            false => text.replacen("app:\n", &format!("app:\n{more}"), 1),
        };
        let read = read(name, &text, None, &BTreeMap::new());
        let all = rendered::all(&read.desired, read.site.hosts());
        let (shown, json) = (render::text(&all, Palette::new(false)), render::json(&read.site.topology.site, &all));
        assert!(!shown.contains(PLANTED) && !json.contains(PLANTED), "{name}");
        assert!(shown.contains("=(secret app-"), "{name}");
        for file in &all {
            if let Ok(explained) = read.explain(file.host.as_str(), &file.file.path) {
                assert!(!explain::json(&explained, None, &view(false)).contains(PLANTED), "{name}");
            }
        }
    }
    let (name, text) = EXAMPLES[0];
    let read = read(name, text, None, &BTreeMap::new());
    let lb = rendered::all(&read.desired, read.site.hosts().take(1));
    insta::assert_snapshot!("render", render::text(&lb, Palette::new(false)));
    insta::assert_snapshot!("render-colour", render::text(&lb[..4], Palette::new(true)).replace('\x1b', "ESC"));
    insta::assert_snapshot!("render-json", render::json(&read.site.topology.site, &lb[..4]));
}

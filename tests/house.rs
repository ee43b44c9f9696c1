//! The law of the house, read from the map in `src/lib.rs` and held against every file: who may import whom, what the
//! pure floors must not touch, and what no file may say. Each rule is also tried on a house that breaks it, so that a
//! rule that sees nothing is itself seen.

#[path = "house/rules.rs"]
mod rules;
#[path = "house/source.rs"]
mod source;

use rules::{Floors, House};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a directory, by their path from it.
fn walk(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(path),
                _ => drop(found.insert(path.strip_prefix(dir).unwrap().to_owned())),
            }
        }
    }
    found
}

fn sources() -> BTreeMap<String, String> {
    let src = root().join("src");
    let files = walk(&src).into_iter().filter(|p| p.extension().is_some_and(|e| e == "rs"));
    files.map(|p| (p.to_str().unwrap().to_owned(), fs::read_to_string(src.join(&p)).unwrap())).collect()
}

/// What git knows; without git, everything but what is built.
fn tracked() -> Vec<PathBuf> {
    let asked = std::process::Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    match asked {
        Ok(said) if said.status.success() && !said.stdout.is_empty() => {
            String::from_utf8_lossy(&said.stdout).split_terminator('\0').map(PathBuf::from).collect()
        }
        _ => walk(root()).into_iter().filter(|p| !p.starts_with("target") && !p.starts_with(".git")).collect(),
    }
}

fn none(broken: Vec<String>) {
    assert!(broken.is_empty(), "{} broken:\n  {}", broken.len(), broken.join("\n  "));
}

fn house() -> House {
    House::new(&sources())
}

#[test]
fn the_map_names_every_room() {
    none(rules::unmapped(&house()));
}

#[test]
fn a_file_imports_from_its_own_floor_or_a_lower_one() {
    none(rules::upward(&house()));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    none(rules::circles(&house()));
}

#[test]
fn the_pure_floors_touch_nothing() {
    none(rules::impure(&house()));
}

#[test]
fn what_touches_the_network_has_never_heard_of_nginx() {
    none(rules::gossip(&house()));
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut all = sources();
    for path in tracked().iter().filter(|p| p.starts_with("tests") && p.extension().is_some_and(|e| e == "rs")) {
        all.insert(path.to_str().unwrap().to_owned(), fs::read_to_string(root().join(path)).unwrap_or_default());
    }
    none(rules::speechless(&all));
}

#[test]
fn the_embedded_templates_are_the_directory() {
    let dir = root().join("templates");
    let on_disk: BTreeMap<String, String> = walk(&dir)
        .into_iter()
        .map(|p| (p.to_str().unwrap().to_owned(), fs::read_to_string(dir.join(&p)).unwrap()))
        .collect();
    let embedded = foobar::base::template::EMBEDDED.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
    none(rules::different(&on_disk, &embedded));
}

#[test]
fn no_file_names_a_package_registry_or_a_path_of_one_machine() {
    let texts = tracked().into_iter().filter_map(|path| {
        let text = String::from_utf8(fs::read(root().join(&path)).ok()?).ok()?;
        Some((path.to_str()?.to_owned(), text))
    });
    none(rules::leaks(&texts.collect()));
}

/// A house of a few small files, on the real map.
fn built(files: &[(&str, &str)]) -> House {
    let mut all: BTreeMap<String, String> = files.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect();
    all.insert("lib.rs".into(), fs::read_to_string(root().join("src/lib.rs")).unwrap());
    House::new(&all)
}

#[test]
fn the_map_is_read() {
    let floors = Floors::read(&fs::read_to_string(root().join("src/lib.rs")).unwrap());
    let order: Vec<_> =
        ["base", "resource", "component", "topology", "plan", "event", "transport", "engine", "report", "cli"]
            .iter()
            .map(|room| floors.of(room))
            .collect();
    assert_eq!(order, (1..=10).map(Some).collect::<Vec<_>>());
    assert_eq!((floors.of("lab"), floors.is_apart("lab")), (None, true));
}

#[test]
fn a_room_that_is_not_on_the_map_is_seen() {
    assert_eq!(rules::unmapped(&built(&[("attic/mod.rs", "")])).len(), 1);
    assert_eq!(rules::unmapped(&built(&[("base/mod.rs", "")])), [""; 0]);
}

#[test]
fn imports_upward_are_seen_however_they_are_written() {
    let sees = |text: &str| rules::upward(&built(&[("base/mod.rs", text), ("engine/mod.rs", "pub struct Run;")]));
    for text in [
        "use crate::engine::Run;",
        "use crate::{engine::{self, Run}};",
        "pub use crate::engine::Run as Fast;",
        "fn f() { let _ = crate::engine::Run; }",
        "use super::engine::Run;",
    ] {
        assert_eq!(sees(text).len(), 1, "{text}");
    }
    for text in [
        "// crate::engine::Run",
        "const S: &str = \"crate::engine::Run\";",
        "#[cfg(test)]\nmod tests { use crate::engine::Run; }",
        "#[cfg(test)] use crate::{engine::Run};",
    ] {
        assert_eq!(sees(text), [""; 0], "{text}");
    }
}

#[test]
fn only_the_command_line_imports_the_lab() {
    let lab = ("lab/mod.rs", "pub struct Lab;");
    assert_eq!(rules::upward(&built(&[lab, ("engine/mod.rs", "use crate::lab::Lab;")])).len(), 1);
    assert_eq!(rules::upward(&built(&[lab, ("cli/mod.rs", "use crate::lab::Lab;")])), [""; 0]);
    let knows = ("lab/mod.rs", "use crate::plan::Plan;");
    assert_eq!(rules::upward(&built(&[knows, ("plan/mod.rs", "pub struct Plan;")])).len(), 1);
}

#[test]
fn circles_are_seen_and_a_shown_name_is_none() {
    let a = ("plan/a.rs", "use super::b::B; pub struct A;");
    assert_eq!(rules::circles(&built(&[("plan/mod.rs", ""), a, ("plan/b.rs", "use crate::plan::a::A;")])).len(), 1);
    // The room's door shows what its files make, and its files use what stands in the door: no circle.
    let door = ("plan/mod.rs", "pub mod a; pub use a::A; pub struct Plan; fn f() { a::A }");
    let a = ("plan/a.rs", "use super::Plan; pub struct A;");
    assert_eq!(rules::circles(&built(&[door, a])), [""; 0]);
    // Through the door it is one all the same.
    let b = ("plan/b.rs", "use super::A; pub struct B;");
    let a = ("plan/a.rs", "use super::b::B; pub struct A;");
    assert_eq!(rules::circles(&built(&[door, a, b])).len(), 1);
}

#[test]
fn effects_on_pure_floors_are_seen_however_they_are_written() {
    let sees = |text: &str| rules::impure(&built(&[("plan/mod.rs", text)]));
    for text in [
        "use std::{collections::BTreeMap, fs};",
        "use std::{process::{self}};",
        "use std::net::TcpStream;",
        "fn f() { std::fs::read(\"x\"); }",
        "fn f() { time::OffsetDateTime::now_utc(); }",
        "use std::time::Instant;",
        "use std::time::{Duration, SystemTime};",
        "async fn f() { tokio::time::sleep(d).await }",
        "use openssh::Session;",
        "use std::env;",
    ] {
        assert_eq!(sees(text).len(), 1, "{text}");
    }
    for text in [
        "use std::{collections::BTreeMap, net::{IpAddr, Ipv4Addr}, time::Duration};",
        "/// like tokio::spawn\nfn f() {}",
        "const S: &str = \"std::fs\";",
        "const R: &str = r#\"use \"std::fs\";\"#; const C: char = '\"'; fn f<'a>(x: &'a str) {}",
        "#[cfg(test)]\nmod tests { use std::fs; }",
    ] {
        assert_eq!(sees(text), [""; 0], "{text}");
    }
    assert_eq!(rules::impure(&built(&[("engine/mod.rs", "use std::fs;")])), [""; 0]);
}

#[test]
fn talk_of_nginx_above_the_events_is_seen() {
    let sees = |text: &str| rules::gossip(&built(&[("engine/mod.rs", text)]));
    assert_eq!(sees("fn f() { run(\"nginx -t\") }").len(), 1);
    assert_eq!(sees("fn reload_haproxy() {}").len(), 1);
    assert_eq!(sees("// unlike nginx\nfn f() {}"), [""; 0]);
    assert_eq!(rules::gossip(&built(&[("component/nginx.rs", "const N: &str = \"nginx\";")])), [""; 0]);
}

#[test]
fn a_file_without_words_a_changed_template_and_a_leak_are_seen() {
    let one = |path: &str, text: &str| BTreeMap::from([(path.to_owned(), text.to_owned())]);
    assert_eq!(rules::speechless(&one("a.rs", "use std::fs;\n")).len(), 1);
    assert_eq!(rules::speechless(&one("a.rs", "//! Why.\n")), [""; 0]);

    assert_eq!(rules::different(&one("a.tera", "x"), &one("a.tera", "y")).len(), 1);
    assert_eq!(rules::different(&one("a.tera", "x"), &BTreeMap::new()).len(), 1);
    assert_eq!(rules::different(&BTreeMap::new(), &one("a.tera", "x")).len(), 1);

    for word in [["https://pypi", ".org/simple"], ["see /wo", "rk/main"], ["deb.de", "bian.org"]] {
        assert_eq!(rules::leaks(&one("README.md", &word.concat())).len(), 1, "{word:?}");
    }
    assert_eq!(rules::leaks(&one("README.md", "the network works/fine")), [""; 0]);
}

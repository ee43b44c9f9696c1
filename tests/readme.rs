//! What the README and the examples say is true: every topology in them is valid, every command line is one.

use foobar::{
    cli::{args, exit::Exit, gather},
    report::graph,
    topology::{Source, Sources, load},
};
use std::{fs, path::Path};

/// The blocks of the README in a language.
fn blocks(language: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let fence = format!("```{language}\n");
    let found: Vec<String> =
        text.split(&fence).skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned())).collect();
    assert!(!found.is_empty(), "the README has no {language} blocks");
    found
}

#[test]
fn every_topology_of_the_readme_is_valid() {
    for text in blocks("yaml") {
        let sources = Sources { topology: Source { name: "README.md".into(), text }, inventory: None };
        if let Err(report) = load(sources, 0) {
            panic!("{:#?}", report.findings());
        }
    }
}

#[test]
fn every_command_of_the_readme_is_one() {
    let mut found = 0;
    for line in blocks("sh").iter().flat_map(|b| b.lines()) {
        let command = line.split('#').next().unwrap_or_default().trim();
        let words = match command.strip_prefix("cargo run --release -- ") {
            Some(rest) => format!("foobar {rest}"),
            None => command.to_owned(),
        };
        if words.starts_with("foobar ") {
            found += 1;
            let parsed = args::read(words.split_whitespace().map(Into::into));
            assert!(parsed.is_ok() || matches!(parsed, Err(Exit::Done)), "{words}");
        }
    }
    assert!(found > 5, "only {found} commands were found: the test tests nothing");
}

#[test]
fn every_example_is_valid_with_all_the_files_it_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = 0;
    for entry in fs::read_dir(root.join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "yaml") {
            found += 1;
            assert!(gather::gather(&path, None, None).is_ok(), "{}", path.display());
        }
    }
    assert!(found >= 3);
    let inventory = root.join("inventories/production.yaml");
    assert!(gather::gather(&root.join("examples/01-three-servers.yaml"), Some(&inventory), None).is_ok());
}

/// The picture in the README is the one that the program draws today. Made anew by
/// `foobar graph -f examples/04-balancer-pair.yaml --out docs/topology.svg`.
#[test]
fn the_picture_of_the_readme_is_what_the_program_draws() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    assert!(readme.contains("(docs/topology.svg)"));
    let drawn = fs::read_to_string(root.join("docs/topology.svg")).unwrap();
    let site = gather::without_secrets(&root.join("examples/04-balancer-pair.yaml"), None, None);
    let Ok(gathered) = site else { panic!("the example is not valid") };
    assert_eq!(graph::draw(&gathered.site, graph::Format::Svg), drawn);
}

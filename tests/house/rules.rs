//! The rules, as functions from a house to the lines that say what is broken in it.

use super::source::{Token, paths, tokens, without_tests};
use std::collections::{BTreeMap, BTreeSet};

/// Floors from this one down are functions of what they are given.
const PURE: u8 = 5;
/// Rooms that touch hosts without knowing what is on them.
const GENERIC: [&str; 3] = ["event", "transport", "engine"];
const STACK: [&str; 6] = ["nginx", "haproxy", "mysql", "mariadb", "keepalived", "gunicorn"];
/// What no pure floor may name, as the beginning of a path.
const EFFECTS: [&str; 10] = [
    "tokio",
    "openssh",
    "std::fs",
    "std::process",
    "std::net",
    "std::env",
    "std::thread",
    "std::os",
    "rustix",
    "getrandom",
];
const CLOCKS: [&str; 4] = ["SystemTime", "Instant", "now_utc", "now_local"];
/// Types of `std::net` that are only values.
const ADDRESSES: [&str; 6] = ["IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr", "AddrParseError", "Ipv6MulticastScope"];

/// Which room is on which floor.
#[derive(Debug, Default)]
pub struct Floors {
    floors: BTreeMap<String, u8>,
    apart: BTreeSet<String>,
}

impl Floors {
    /// Reads the table in the rustdoc of `lib.rs`.
    pub fn read(lib: &str) -> Self {
        let mut read = Self::default();
        for row in lib.lines().filter_map(|l| l.strip_prefix("//! |")) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let Some(room) = cells.get(1).and_then(|c| c.strip_prefix('`')?.split(['/', '`', '.']).next()) else {
                continue;
            };
            match cells[0].parse() {
                Ok(floor) => drop(read.floors.insert(room.to_owned(), floor)),
                Err(_) if cells[0] == "apart" => drop(read.apart.insert(room.to_owned())),
                Err(_) => {}
            }
        }
        read
    }

    /// The floor of a room.
    pub fn of(&self, room: &str) -> Option<u8> {
        self.floors.get(room).copied()
    }

    /// Whether a room stands beside the floors.
    pub fn is_apart(&self, room: &str) -> bool {
        self.apart.contains(room)
    }
}

/// A path through modules, or the words of a name.
type Words = Vec<String>;

/// All files of a house, read.
pub struct House {
    floors: Floors,
    /// File by module path.
    modules: BTreeMap<Words, String>,
    tokens: BTreeMap<String, Vec<Token>>,
    /// What each file imports from others of the house.
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl House {
    /// Reads the files, by their path below `src`.
    pub fn new(files: &BTreeMap<String, String>) -> Self {
        let floors = Floors::read(files.get("lib.rs").map(String::as_str).unwrap_or_default());
        // A file of tests is declared behind `cfg(test)`; what it imports is nobody's business.
        let code = files.iter().filter(|(path, _)| !path.ends_with("tests.rs") && !path.contains("/tests/"));
        let tokens: BTreeMap<String, Vec<Token>> =
            code.map(|(path, text)| (path.clone(), without_tests(&tokens(text)))).collect();
        let modules: BTreeMap<Words, String> = tokens.keys().map(|p| (module(p), p.clone())).collect();
        let mut house = Self { floors, modules, tokens, edges: BTreeMap::new() };
        let shown = house.shown();
        house.edges = house.tokens.keys().map(|file| (file.clone(), house.imports(file, &shown))).collect();
        house
    }

    /// What `pub use` shows on: (file, name) → the words of what it is.
    fn shown(&self) -> BTreeMap<(String, String), Words> {
        let mut all = BTreeMap::new();
        for (file, tokens) in &self.tokens {
            for named in paths(tokens) {
                if let (Some(name), Some(words)) = (named.shown, self.absolute(file, &named.path)) {
                    all.insert((file.clone(), name), words);
                }
            }
        }
        all
    }

    fn imports(&self, file: &str, shown: &BTreeMap<(String, String), Words>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for named in paths(&self.tokens[file]) {
            let Some(words) = self.absolute(file, &named.path) else { continue };
            let Some(target) = self.file_of(&words, shown) else { continue };
            // What a folder's door takes from the files behind it is what it is made of, as its `mod` lines are.
            let own = module(&target).starts_with(&module(file));
            if target != file && !own {
                found.insert(target);
            }
        }
        found
    }

    /// The words from the top of the house, for a path that leads into it.
    fn absolute(&self, file: &str, path: &[String]) -> Option<Words> {
        let here = module(file);
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([here, rest.to_vec()].concat()),
            "super" => {
                let ups = path.iter().take_while(|w| *w == "super").count();
                let above = here.len().checked_sub(ups)?;
                Some([here[..above].to_vec(), path[ups..].to_vec()].concat())
            }
            _ => {
                let child = [here.clone(), vec![first.clone()]].concat();
                let is_main = file == "main.rs";
                if is_main && first == "foobar" {
                    return Some(rest.to_vec());
                }
                (!is_main && self.modules.contains_key(&child)).then(|| [here, path.to_vec()].concat())
            }
        }
    }

    /// The file that holds what these words name.
    fn file_of(&self, words: &[String], shown: &BTreeMap<(String, String), Words>) -> Option<String> {
        let mut words = words.to_vec();
        // A name can be shown on a few times, not without end.
        for _ in 0..8 {
            let length = (1..=words.len()).rev().find(|n| self.modules.contains_key(&words[..*n]))?;
            let file = &self.modules[&words[..length]];
            match words.get(length).and_then(|name| shown.get(&(file.clone(), name.clone()))) {
                Some(there) => words = [there.clone(), words[length + 1..].to_vec()].concat(),
                None => return Some(file.clone()),
            }
        }
        None
    }

    fn rooms(&self) -> impl Iterator<Item = (&String, &str)> {
        self.tokens.keys().filter_map(|file| Some((file, room(file)?)))
    }
}

/// `plan/mod.rs` → `plan`; the two files at the door are in no room.
fn room(file: &str) -> Option<&str> {
    let first = file.split('/').next()?.trim_end_matches(".rs");
    (!["lib", "main"].contains(&first)).then_some(first)
}

/// `plan/diff.rs` → `plan`, `diff`.
fn module(file: &str) -> Words {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    if ["lib", "main"].contains(&path) { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// Rooms that the map doesn't name.
pub fn unmapped(house: &House) -> Vec<String> {
    let unknown = house.rooms().filter(|(_, r)| house.floors.of(r).is_none() && !house.floors.is_apart(r));
    let rooms: BTreeSet<&str> = unknown.map(|(_, room)| room).collect();
    rooms.into_iter().map(|r| format!("{r}: the map in src/lib.rs doesn't name this room")).collect()
}

/// Imports from a higher floor, and those of a room that stands apart.
pub fn upward(house: &House) -> Vec<String> {
    let mut broken = Vec::new();
    let top = house.floors.floors.values().max().copied();
    for (file, from) in house.rooms() {
        for target in &house.edges[file] {
            let Some(to) = room(target).filter(|to| *to != from) else { continue };
            let allowed = match (house.floors.of(from), house.floors.of(to)) {
                (Some(from), Some(to)) => to <= from,
                // What stands apart serves the top floor alone, and knows the words of the first at most.
                (Some(from), None) => Some(from) == top,
                (None, Some(to)) => to == 1,
                (None, None) => false,
            };
            if !allowed {
                broken.push(format!("{file} imports {target}: {from} is not above {to}"));
            }
        }
    }
    broken
}

/// Files that import each other, each circle once.
pub fn circles(house: &House) -> Vec<String> {
    let reached = |from: &String| {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&String> = house.edges[from].iter().collect();
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                open.extend(house.edges.get(next).into_iter().flatten());
            }
        }
        seen
    };
    let all: BTreeMap<&String, BTreeSet<&String>> = house.tokens.keys().map(|f| (f, reached(f))).collect();
    let mut found = BTreeSet::new();
    for (file, reaches) in &all {
        let mut circle: Vec<&str> = reaches.iter().filter(|o| all[**o].contains(file)).map(|o| o.as_str()).collect();
        circle.sort_unstable();
        if circle.len() > 1 {
            found.insert(circle.join(", "));
        }
    }
    found.into_iter().map(|circle| format!("a circle: {circle}")).collect()
}

/// What a pure floor names and must not.
pub fn impure(house: &House) -> Vec<String> {
    let mut broken = BTreeSet::new();
    for (file, _) in house.rooms().filter(|(_, r)| house.floors.of(r).is_some_and(|f| f <= PURE)) {
        for named in paths(&house.tokens[file]) {
            let text = named.path.join("::");
            let effect = EFFECTS.iter().any(|e| text == *e || text.starts_with(&format!("{e}::")));
            let address =
                text.starts_with("std::net::") && named.path.get(2).is_some_and(|n| ADDRESSES.contains(&n.as_str()));
            let clock = named.path.iter().any(|w| CLOCKS.contains(&w.as_str()));
            if (effect && !address) || clock {
                broken.insert(format!("{file} names {text}"));
            }
        }
    }
    broken.into_iter().collect()
}

/// Words about the stack where nothing of it may be known.
pub fn gossip(house: &House) -> Vec<String> {
    let mut broken = BTreeSet::new();
    for (file, _) in house.rooms().filter(|(_, room)| GENERIC.contains(room)) {
        for token in &house.tokens[file] {
            let (Token::Word(text) | Token::Text(text)) = token else { continue };
            if let Some(word) = STACK.iter().find(|w| text.to_lowercase().contains(**w)) {
                broken.insert(format!("{file} speaks of {word}: {text}"));
            }
        }
    }
    broken.into_iter().collect()
}

/// Files that don't begin with what they are for.
pub fn speechless(files: &BTreeMap<String, String>) -> Vec<String> {
    let silent = files.iter().filter(|(_, text)| !text.starts_with("//! "));
    silent.map(|(path, _)| format!("{path} doesn't begin with `//!`")).collect()
}

/// Where the templates in the program are not those in the directory.
pub fn different(on_disk: &BTreeMap<String, String>, embedded: &BTreeMap<String, String>) -> Vec<String> {
    let names: BTreeSet<&String> = on_disk.keys().chain(embedded.keys()).collect();
    let mut broken = Vec::new();
    for name in names {
        match (on_disk.get(name), embedded.get(name)) {
            (Some(_), None) => broken.push(format!("templates/{name} is not embedded")),
            (None, _) => broken.push(format!("{name} is embedded and not under templates/")),
            (Some(a), Some(b)) if a != b => broken.push(format!("{name} is another text than the one embedded")),
            _ => {}
        }
    }
    broken
}

/// Names of package registries, and paths that exist on one machine only. The names are in two parts here, so that this
/// file doesn't hold them.
pub fn leaks(files: &BTreeMap<String, String>) -> Vec<String> {
    let halves = [
        ("crates", ".io"),
        ("pypi", ".org"),
        ("pythonhosted", ".org"),
        ("npmjs", ".org"),
        ("npmjs", ".com"),
        ("debian", ".org"),
        ("docker", ".io"),
        ("/wo", "rk/"),
        ("/tmp/", "wt/"),
        ("/root/", ".cargo"),
        ("/root/", ".rustup"),
    ];
    let words: Vec<String> = halves.iter().map(|(a, b)| format!("{a}{b}")).collect();
    let mut broken = Vec::new();
    // Cargo's own lock file names its registry; nobody writes it by hand.
    for (path, text) in files.iter().filter(|(path, _)| !path.ends_with("Cargo.lock")) {
        for (number, line) in text.lines().enumerate() {
            for word in &words {
                let whole = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() && word.starts_with('/'));
                if line.match_indices(word.as_str()).any(|(at, _)| whole(at)) {
                    broken.push(format!("{path}:{}: {word}", number + 1));
                }
            }
        }
    }
    broken
}

//! Who has the writes, as tables over what three servers would answer; and what a role leaves untouched.

use super::*;
use crate::{
    base::name::HostName,
    component::{Desired, mysql, site::Site, spec::Topology, testing},
    plan::{desired, observe},
    resource::dialect::DATABASE,
};
use std::collections::BTreeSet;

fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

/// web-01 is declared the primary, web-02 and web-03 its replicas.
fn three() -> Site {
    let mut topology: Topology = testing::topology();
    topology.hosts.push(testing::host("web-03", 23));
    topology.mysql.as_mut().unwrap().replicas.push(host("web-03"));
    testing::site(topology)
}

const OURS: &str = "schema\tfoobar\t1\nschema\tfoobar_verify\t1\n";

/// A server in a word: `open` and `shut` follow nobody, a number follows the server of that number, `open-1` takes writes
/// all the same. `new` is one that its package has just started, `theirs` holds what somebody else made.
fn answer(word: &str) -> String {
    let at = |n: &str| format!("replica\tSource_Host\t10.77.0.2{n}\n");
    let running = |read_only: &str, more: &str| format!("state\trunning\nread_only\t{read_only}\n{more}");
    match word {
        "open" => running("OFF", OURS),
        "shut" => running("ON", OURS),
        "new" => running("OFF", ""),
        "theirs" => running("OFF", "schema\tshop\t12\n"),
        "absent" => "state\tabsent\n".into(),
        "blank" => "state\tstopped\ndirectory\tempty\n".into(),
        "down" => format!("state\tstopped\n{OURS}"),
        "resting" => format!("state\tstopped\nfollowing\tyes\n{OURS}"),
        "deaf" => "error\tERROR 1045\n".into(),
        _ => match word.strip_prefix("open-") {
            Some(n) => running("OFF", &(at(n) + OURS)),
            None => running("ON", &(at(word) + OURS)),
        },
    }
}

fn seen(words: [&str; 3]) -> BTreeMap<HostName, Observation> {
    let one = |(n, word): (usize, &str)| {
        let mut seen = Observation::default();
        seen.add(DATABASE.name, &answer(word));
        (host(&format!("web-0{}", n + 1)), seen)
    };
    words.into_iter().enumerate().map(one).collect()
}

/// `web-02 open`, `web-02 followed`, nothing, or what is refused.
fn found(words: [&str; 3]) -> String {
    let servers = mysql::servers(&three()).unwrap();
    match other(&servers, &seen(words)) {
        Ok(Some(other)) => format!("{} {}", other.host, if other.is_open { "open" } else { "followed" }),
        Ok(None) => String::new(),
        Err(refusal) => format!("refused: {refusal}"),
    }
}

#[test]
fn whoever_has_the_writes_is_the_primary() {
    for (words, want) in [
        // As the file says.
        (["open", "1", "1"], ""),
        (["shut", "1", "1"], ""),
        (["open", "open-1", "1"], ""),
        (["down", "1", "1"], ""),
        // As a switchover leaves them, also where the new primary has been started since.
        (["2", "open", "2"], "web-02 open"),
        (["3", "3", "open"], "web-03 open"),
        (["2", "shut", "2"], "web-02 followed"),
        (["2", "down", "2"], "web-02 followed"),
        (["2", "shut", "down"], "web-02 followed"),
        (["resting", "open", "2"], "web-02 open"),
        // The declared one is closed, and was the primary; or it is a new host; or it follows another one still.
        (["shut", "open", "2"], "web-02 open"),
        (["absent", "open", "2"], "web-02 open"),
        (["blank", "open", "2"], "web-02 open"),
        (["new", "open", "2"], "web-02 open"),
        (["open-2", "open", "2"], "web-02 open"),
        // As a failover leaves them: whoever is down comes back closed.
        (["down", "open", "2"], "web-02 open"),
        // A first apply, and one that was cut off: what a package has started is nobody's primary.
        (["absent", "absent", "absent"], ""),
        (["new", "new", "new"], ""),
        (["absent", "new", "absent"], ""),
        (["shut", "new", "absent"], ""),
        (["open", "new", "1"], ""),
        (["absent", "theirs", "absent"], ""),
        // Nobody knows: somebody has what the other has not, those who follow do not agree, or one tells nothing.
        (["theirs", "open", "2"], ""),
        (["2", "shut", "1"], ""),
        (["2", "3", "shut"], ""),
        (["resting", "shut", "2"], ""),
        (["2", "new", "2"], ""),
        (["9", "shut", "2"], ""),
        (["2", "open", "deaf"], ""),
        (["deaf", "open", "2"], ""),
        (["shut", "shut", "shut"], ""),
    ] {
        assert_eq!(found(words), want, "{words:?}");
    }
}

#[test]
fn two_that_take_writes_are_refused() {
    for (words, want) in [
        (["open", "open", "1"], "web-02: web-01 and web-02"),
        (["2", "open", "open"], "web-03: web-02 and web-03"),
        (["open", "open", "open"], "web-03: web-01 and web-02 and web-03"),
    ] {
        let said = found(words);
        assert_eq!(said, format!("refused: {want} take writes at the same time, and their data part"), "{words:?}");
    }
}

#[test]
fn what_is_said_of_it() {
    let servers = mysql::servers(&three()).unwrap();
    let mut text = String::new();
    for words in [["2", "open", "2"], ["2", "shut", "2"]] {
        let found = other(&servers, &seen(words)).unwrap().unwrap();
        text.push_str(&(found.notes("foobar.yaml", "planned").join("\n") + "\n\n"));
    }
    let refusal = other(&servers, &seen(["open", "open", "1"])).unwrap_err();
    text.push_str(&format!("{refusal}\n{}\n", refusal.help));
    insta::assert_snapshot!(text);
}

/// All that stands on a host, by what it is: names of paths with their texts, notes, secrets, questions.
fn standing(desired: &Desired, on: &HostName) -> BTreeMap<&'static str, BTreeSet<String>> {
    let here = || desired.wanted.iter().filter(|w| w.host == *on);
    let files = here().flat_map(|w| w.resource.written()).map(|file| format!("{file:?}"));
    let notes = here().flat_map(|w| w.resource.footprint()).map(|owned| owned.line());
    let secrets = desired.secrets.iter().filter(|s| s.homes.contains(on)).map(|s| s.name.clone());
    let asked = [observe::script(here()).text().lines().collect::<BTreeSet<_>>().into_iter().map(word_set).collect()];
    BTreeMap::from([
        ("files", files.collect()),
        ("notes", notes.collect()),
        ("secrets", secrets.collect()),
        ("questions", asked.into()),
    ])
}

/// The words of a line in one order: what is asked of a collector may come in another one.
fn word_set(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    words.sort_unstable();
    words.join(" ")
}

#[test]
fn nothing_that_stands_on_a_host_changes_with_a_role() {
    let site = three();
    let declared = desired::compile(&site).unwrap();
    for primary in ["web-02", "web-03"] {
        let moved = desired::compile(&site.with_primary(&host(primary))).unwrap();
        assert_eq!(moved.wanted.len(), declared.wanted.len());
        for on in site.hosts() {
            let (before, after) = (standing(&declared, on), standing(&moved, on));
            assert!(!before["files"].is_empty() && before["notes"].len() > 3, "{on}");
            for (what, all) in before {
                assert_eq!(all, after[what], "{what} on {on} with {primary} as the primary");
            }
        }
    }
}

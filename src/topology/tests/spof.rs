//! Single points of failure: which there are, and that the lines to add take each away.

use super::{read, shown};
use crate::{report::style::Palette, topology::spof};
use serde_yaml::Value;
use std::{fs, path::Path};

/// One value laid over another, key by key.
fn lay(over: Value, under: &mut Value) {
    match (over, under) {
        (Value::Mapping(over), Value::Mapping(under)) => {
            for (key, value) in over {
                lay(value, under.entry(key).or_insert(Value::Null));
            }
        }
        (over, under) => *under = over,
    }
}

fn singles(text: &str) -> Vec<spof::Single> {
    let valid = read(text).unwrap_or_else(|report| panic!("{}\n{text}", shown(&report)));
    spof::all(&valid.topology)
}

/// What is left when the lines of each were added, one after the other, as long as there are any.
fn mended(text: &str) -> String {
    let mut whole: Value = serde_yaml::from_str(text).unwrap();
    for _ in 0..20 {
        let text = serde_yaml::to_string(&whole).unwrap();
        let Some(single) = singles(&text).into_iter().next() else { return text };
        lay(serde_yaml::from_str(&single.add).unwrap(), &mut whole);
        let left = singles(&serde_yaml::to_string(&whole).unwrap());
        assert!(!left.contains(&single), "{} is left after:\n{}", single.part, single.add);
    }
    panic!("there is no end to it:\n{}", serde_yaml::to_string(&whole).unwrap());
}

#[test]
fn of_every_example_and_of_one_server_alone() {
    let mut all = vec![(
        "one-server".to_owned(),
        "site: www.foobar.com\nhosts: { one: { address: 'fd00::1' } }\nnginx: { on: [one] }\n\
         app: { on: [one], source: ., run: serve }\nmysql: { primary: one, database: shop }\n"
            .to_owned(),
    )];
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "yaml") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            all.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
    all.sort();
    let mut said = String::new();
    for (name, text) in all {
        said.push_str(&format!("== {name}\n{}\n", crate::report::spof::text(&singles(&text), Palette::new(false))));
        mended(&text);
    }
    insta::assert_snapshot!("singles", said);
}

#[test]
fn one_name_server_is_one_and_somebody_elses_are_not() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/05-own-dns.yaml")).unwrap();
    let parts = |text: &str| singles(text).iter().map(|s| s.part).collect::<Vec<_>>();
    assert!(!parts(&text).contains(&"the name server"));
    let one = text.replace("on: [ns-01, ns-02]", "on: [ns-01]").replace("  ns-02:  { address: 10.77.0.54 }\n", "");
    assert_eq!(parts(&one)[0], "the name server");
    assert_eq!(
        singles(&one)[0].add,
        "hosts:\n  ns-02: { address: 10.77.0.54 }   # its own address\ndns:\n  on: [ns-01, ns-02]\n"
    );
    mended(&one);
    let not_confirmed = text.replace("  database: foobar", "  database: foobar\n  semi_sync: false");
    assert!(!parts(&not_confirmed).contains(&"the replica that confirms writes"));
}

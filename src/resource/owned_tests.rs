//! The registry, and what stood at a path before: in a real shell, with foobar's own directory and the files moved aside.

use super::{
    account::ACCOUNT,
    dialect::DATABASE,
    owned::{self, GIVE_BACK, KEEP, Kind, OWNED, Origin, Owned},
    packages::PACKAGES,
    registry::Registry,
    service::UNITS,
    *,
};
use std::{fs, path::PathBuf, process::Command};

/// A directory that stands for a host.
struct Host(PathBuf);

impl Host {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("foobar-owned-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("state")).unwrap();
        fs::create_dir_all(root.join("etc")).unwrap();
        Self(root)
    }

    /// Runs a script there; `/etc` and the state are its own.
    fn run(&self, script: &Script) -> String {
        let root = self.0.to_str().unwrap();
        let text = script
            .text()
            .replace("/var/lib/foobar", &format!("{root}/state"))
            .replace("/etc/", &format!("{root}/etc/"));
        let out = Command::new("sh").args(["-euc", &text]).output().unwrap();
        assert!(out.status.success(), "{}\n{text}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().replace(root, "")
    }

    fn keep(&self, words: &str) {
        // Paths below the state's originals are whole paths, so the host's own root stands in them too.
        self.run(&Script::new().line(KEEP.trim()).line(format!("keep {words}")));
    }

    fn give_back(&self, words: &str) {
        self.run(&Script::new().line(GIVE_BACK.trim()).line(format!("give_back {words}")));
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.0.join(path)).ok()
    }

    fn seen(&self) -> Observation {
        let mut seen = Observation::default();
        let script = Script::new().line("ask() {").line(OWNED.body.trim()).line("}").line("ask");
        seen.add(OWNED.name, &self.run(&script));
        seen
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_stood_there_is_kept_once_and_comes_back() {
    let host = Host::new("original");
    host.write("etc/a.cfg", "the package's\n");
    for text in ["foobar's first\n", "foobar's second\n"] {
        host.keep("/etc/a.cfg file");
        host.write("etc/a.cfg", text);
    }
    // Twice, as a run that was cut off does it.
    host.give_back("/etc/a.cfg");
    assert_eq!(host.read("etc/a.cfg").as_deref(), Some("the package's\n"));
    host.give_back("/etc/a.cfg");
    assert_eq!(host.read("etc/a.cfg").as_deref(), Some("the package's\n"));
}

#[test]
fn what_foobar_made_goes_with_the_directories_it_made_and_nothing_else() {
    let host = Host::new("made");
    host.keep("/etc/own directory");
    host.keep("/etc/own/sub/b.cfg file");
    host.write("etc/own/sub/b.cfg", "foobar's");
    host.give_back("/etc/own/sub/b.cfg");
    host.give_back("/etc/own directory");
    assert!(!host.0.join("etc/own").exists());
    assert!(host.0.join("etc").exists());

    // A file by hand keeps its directory, and the next one above it.
    host.keep("/etc/own/sub/b.cfg file");
    host.write("etc/own/sub/b.cfg", "foobar's");
    host.write("etc/own/sub/mine", "by hand");
    host.give_back("/etc/own/sub/b.cfg");
    host.give_back("/etc/own directory");
    assert_eq!((host.read("etc/own/sub/b.cfg"), host.read("etc/own/sub/mine").as_deref()), (None, Some("by hand")));

    // A path that foobar noted and never came to write.
    host.write("etc/never", "by hand");
    host.give_back("/etc/never");
    assert_eq!(host.read("etc/never").as_deref(), Some("by hand"));
}

#[test]
fn a_link_that_was_in_the_way_comes_back_as_one() {
    let host = Host::new("link");
    let link = host.0.join("etc/default");
    std::os::unix::fs::symlink("nowhere/at/all", &link).unwrap();
    host.keep("/etc/default absent");
    fs::remove_file(&link).unwrap();
    host.give_back("/etc/default");
    assert_eq!(fs::read_link(&link).unwrap().to_str(), Some("nowhere/at/all"));
    // Where nothing was in the way, what is there by now is somebody's.
    host.keep("/etc/other absent");
    host.write("etc/other", "by hand");
    host.give_back("/etc/other");
    assert_eq!(host.read("etc/other").as_deref(), Some("by hand"));
}

#[test]
fn the_registry_is_read_as_it_was_written_and_loses_what_was_taken_away() {
    let host = Host::new("registry");
    assert!(owned::noted(&host.seen()).is_empty());
    let all = [
        Owned::new(Kind::File, "/opt/it's a file").with(["x configuration", "file"]),
        Owned::new(Kind::File, "/opt/it's a file too").with(["x configuration", "file"]),
        Owned {
            origin: Origin::Found,
            ..Owned::new(Kind::Service, "x.service").with(["1", "connection drop", "80,443"])
        },
        Owned::new(Kind::Firewall, "inet foobar"),
    ];
    host.run(&owned::rewrite([], all.iter().map(Owned::line)));
    assert_eq!(owned::noted(&host.seen()), all);
    host.run(&owned::forget([&all[0], &all[3]]));
    host.run(&owned::forget([&all[0]]));
    assert_eq!(owned::noted(&host.seen()), all[1..3]);
    assert_eq!(all[2].list(2).collect::<Vec<_>>(), ["80", "443"]);
}

#[test]
fn a_replicas_data_is_known_by_what_it_took_from_its_source() {
    let host = Host::new("follows");
    let data = host.0.join("data");
    host.write("state/owned", &format!("data\t{}\tmade\tmariadb\tfoobar\n", data.display()));
    let follows = |files: &[(&str, &str)]| {
        let _ = fs::remove_dir_all(&data);
        files.iter().for_each(|(name, text)| host.write(&format!("data/{name}"), text));
        owned::follows(&host.seen())
    };
    assert!(!follows(&[("ibdata1", "")]));
    assert!(follows(&[("relay.index", "./relay.000001\n./relay.000002\n"), ("relay.000002", "x")]));
    assert!(follows(&[("relay.index", "./relay.000001\n"), ("relay.000001", "\u{0}binlog.000003\u{0}")]));
    // MySQL begins one anew when it is told to forget its source.
    assert!(!follows(&[("relay.index", "./relay.000001\n"), ("relay.000001", "\u{0}relay\u{0}")]));
}

/// What a registry does on a host that answers so.
fn noted(wanted: &[Owned], answers: &[(&Collector, &str)]) -> Option<Change> {
    let mut here = Observation::default();
    for (collector, lines) in answers {
        here.add(collector.name, lines);
    }
    let host = "web-01".parse().unwrap();
    let registry = Registry::of(wanted.iter().cloned());
    registry
        .diff(&Seen {
            host: &host,
            here: &here,
            all: crate::resource::All::of(&BTreeMap::new()),
            secrets: &Secrets::default(),
            fingerprint_key: "",
            changing: &BTreeMap::new(),
            now: 0,
        })
        .unwrap()
}

#[test]
fn a_host_of_another_site_is_not_taken_for_this_ones() {
    let of = |noted: &str| {
        let mut here = Observation::default();
        here.add(OWNED.name, &format!("state\tyes\nregistry\tyes\n{noted}"));
        let host = "web-01".parse().unwrap();
        let registry = Registry::of([]).of_site("www.new.com", ["old.com"]);
        registry.diff(&Seen {
            host: &host,
            here: &here,
            all: crate::resource::All::of(&BTreeMap::new()),
            secrets: &Secrets::default(),
            fingerprint_key: "",
            changing: &BTreeMap::new(),
            now: 0,
        })
    };
    assert!(of("site\tsite\tmade\twww.new.com\n").unwrap().is_none());
    // A new name that keeps the old one, and a host that noted none yet.
    for noted in ["site\tsite\tmade\told.com\n", ""] {
        assert_eq!(of(noted).unwrap().unwrap().details, ["the site's name"], "{noted}");
    }
    let refused = of("site\tsite\tmade\tother.com\n").unwrap_err();
    assert!(refused.what.contains("it serves other.com") && refused.help.contains("aliases"), "{refused:?}");
}

#[test]
fn whose_a_thing_was_is_settled_before_anything_is_made() {
    let wanted = [
        Owned::new(Kind::Service, "nginx.service").with(["1", "connection drop", "80"]),
        Owned::new(Kind::Account, "foobar-app").with(["/var/lib/foobar-app"]),
        Owned::new(Kind::Data, "/var/lib/mysql").with(["mariadb", "foobar"]),
        Owned::new(Kind::Package, "nginx"),
    ];
    let lines = |answers: &[(&Collector, &str)]| {
        let host = Host::new("whose");
        let change = noted(&wanted, answers).unwrap();
        assert_eq!((change.action, change.impact), (Action::Create, Impact::None));
        host.run(&change.script);
        let mut all: Vec<String> = host
            .read("state/owned")
            .unwrap()
            .lines()
            .map(|l| l.split('\t').take(3).collect::<Vec<_>>().join(" "))
            .collect();
        all.sort();
        all.join("; ")
    };
    assert_eq!(
        lines(&[(&DATABASE, "state\tabsent")]),
        "account foobar-app made; data /var/lib/mysql made; package nginx made; service nginx.service made"
    );
    let there: &[(&Collector, &str)] = &[
        (&UNITS, "nginx.service\tloaded\tactive\tenabled\tx\t1\t-\t-\t-"),
        (&ACCOUNT, "foobar-app\t998\t/srv\t/bin/sh"),
        (&DATABASE, "state\tabsent\nschema\tshop\t3"),
        (&PACKAGES, "nginx\tinstalled\t1.22"),
    ];
    assert_eq!(lines(there), "account foobar-app found; data /var/lib/mysql found; service nginx.service found");
    // An older foobar made all that is there; its data is left alone all the same.
    let older = [there, &[(&OWNED, "state\tyes\nolder\tyes")]].concat();
    assert_eq!(lines(&older), "account foobar-app made; data /var/lib/mysql found; service nginx.service made");
}

#[test]
fn a_registry_that_holds_all_of_it_is_left_alone_and_one_that_says_otherwise_is_mended() {
    let wanted = [Owned::new(Kind::Service, "a.service").with(["1", "connection drop", "80"])];
    let told = |line: &str| noted(&wanted, &[(&OWNED, &format!("registry\tyes\n{line}"))]);
    assert!(told("service\ta.service\tfound\t1\tconnection drop\t80").is_none());
    let change = told("service\ta.service\tfound\t2\tconnection drop\t80").unwrap();
    assert_eq!((change.action, change.summary.as_str()), (Action::Update, "note what foobar owns"));
    let host = Host::new("mended");
    host.write("state/owned", "service\ta.service\tfound\t2\tconnection drop\t80\nfile\t/x\tmade\ty\tfile\n");
    host.run(&change.script);
    assert_eq!(
        host.read("state/owned").unwrap(),
        "file\t/x\tmade\ty\tfile\nservice\ta.service\tfound\t1\tconnection drop\t80\n",
        "whose it was before is not forgotten"
    );
    // One that another site's topology does not name any more is the plan's business, not the registry's.
    assert!(told("service\ta.service\tmade\t1\tconnection drop\t80\nfile\t/x\tmade\ty\tfile").is_none());
}

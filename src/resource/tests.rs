//! Tables over what hosts answer: for each kind of resource, what its difference is.

use super::{
    account::{ACCOUNT, Account},
    files::{FILES, File, Files},
    packages::{PACKAGES, Packages},
    ruleset::{LOGIN, RULESET, Ruleset},
    service::{CHANGED, Input, Service, UNITS},
    stored::{STORED, Stored},
    *,
};
use crate::base::{
    digest::sha256,
    secret::{Content, Encoding, Secret, place},
};

/// A host's answers, and what `resource` makes of them.
struct Case {
    here: Observation,
    secrets: Secrets,
    changing: BTreeMap<Key, Impact>,
}

impl Case {
    fn new(answers: &[(&Collector, &str)]) -> Self {
        let mut here = Observation::default();
        for (collector, lines) in answers {
            here.add(collector.name, lines);
        }
        let mut secrets = Secrets::default();
        secrets.insert("pw", Secret::new("hunter2"));
        Self { here, secrets, changing: BTreeMap::new() }
    }

    fn changing(mut self, id: ResourceId, impact: Impact) -> Self {
        self.changing.insert(Key::new(&"web-01".parse().unwrap(), id), impact);
        self
    }

    fn diff(&self, resource: &impl Resource) -> Result<Option<Change>, Refusal> {
        let host = "web-01".parse().unwrap();
        resource.diff(&Seen {
            host: &host,
            here: &self.here,
            all: crate::resource::All::of(&BTreeMap::new()),
            secrets: &self.secrets,
            fingerprint_key: "key",
            changing: &self.changing,
            now: 0,
        })
    }

    fn summary(&self, resource: &impl Resource) -> String {
        match self.diff(resource) {
            Ok(None) => "nothing".into(),
            Ok(Some(change)) => {
                let details = change.details.iter().map(|d| format!("; {d}")).collect::<String>();
                format!("{:?} {}{details} [{}]", change.action, change.summary, change.impact)
            }
            Err(refusal) => format!("refused: {}", refusal.what),
        }
    }
}

#[test]
fn packages_are_installed_where_missing_and_a_left_policy_file_goes() {
    let packages =
        Packages { names: vec!["nginx".parse().unwrap(), "nftables".parse().unwrap()], filled: vec!["/var/lib/x"] };
    for (answer, want) in [
        ("", "Create install nginx, nftables [none]"),
        ("nginx\tinstalled\t1.22", "Create install nftables [none]"),
        ("nginx\tinstalled\t1\nnftables\tconfig-files\t1", "Create install nftables [none]"),
        ("nginx\tinstalled\t1\nnftables\tinstalled\t1", "nothing"),
        (
            "nginx\tinstalled\t1\nnftables\tinstalled\t1\ndpkg\tinterrupted\tsocat less",
            "Update finish what an interrupted dpkg left; installed by half: socat less [none]",
        ),
        (
            "nginx\tinstalled\t1\nnftables\tinstalled\t1\ndpkg\tinterrupted\t",
            "Update finish what an interrupted dpkg left; installed by half [none]",
        ),
        ("nginx\tinstalled\t1\ndpkg\tinterrupted\tnftables", "Create install nftables [none]"),
        (
            "nginx\tinstalled\t1\nnftables\tinstalled\t1\npolicy-rc.d\tleft",
            "Delete remove the policy file of an interrupted installation; /usr/sbin/policy-rc.d keeps packages from starting \
             their services [none]",
        ),
    ] {
        assert_eq!(Case::new(&[(&PACKAGES, answer)]).summary(&packages), want, "{answer}");
    }
}

#[test]
fn an_account_is_made_once() {
    let account = Account { name: "foobar-app".parse().unwrap(), home: "/srv/foobar".into() };
    assert_eq!(Case::new(&[]).summary(&account), "Create create system account foobar-app [none]");
    let there = [(&ACCOUNT, "foobar-app\t998\t/srv/foobar\t/usr/sbin/nologin")];
    assert_eq!(Case::new(&there).summary(&account), "nothing");
}

#[test]
fn a_file_differs_by_text_mode_and_owner_and_a_secret_one_is_never_shown() {
    let plain = Files::new("motd", vec![File::text("/etc/motd", Content::new("hello\n"))]);
    let stat = "/etc/motd\tstat\tregular file\t644\troot\troot\t6";
    let sha = format!("/etc/motd\tsha\t{}", sha256("hello\n"));
    let case = |lines: &[&str]| Case::new(&[(&FILES, &lines.join("\n"))]);
    assert_eq!(case(&[stat, &sha]).summary(&plain), "nothing");
    assert_eq!(case(&[]).summary(&plain), "Create write motd [none]");

    let other = case(&[stat, "/etc/motd\tsha\t00", "/etc/motd\tbody\tYnllCg=="]).diff(&plain).unwrap().unwrap();
    assert_eq!((other.action, other.diffs[0].before.as_deref()), (Action::Update, Some("bye\n")));
    let open = case(&["/etc/motd\tstat\tregular file\t666\tnobody\troot\t6", &sha]).diff(&plain).unwrap().unwrap();
    assert_eq!(open.diffs[0].notes, ["mode 0666 -> 0644", "owner nobody:root -> root:root"]);
    assert_eq!(open.diffs[0].after, None, "the text is right");
    let dir = case(&["/etc/motd\tstat\tdirectory\t755\troot\troot\t6"]).summary(&plain);
    assert_eq!(dir, "refused: /etc/motd is a directory, and should be a regular file");

    let secret =
        Files::new("env", vec![File::text("/etc/env", Content::new(format!("PW={}\n", place("pw", Encoding::Env))))]);
    let change = case(&["/etc/env\tstat\tregular file\t600\troot\troot\t9", "/etc/env\tsha\t00"])
        .diff(&secret)
        .unwrap()
        .unwrap();
    let shown = format!("{change:?}");
    assert!(!shown.contains("hunter2") && shown.contains("(secret pw "), "{shown}");
    assert!(change.script.text().contains(&base64_of("PW=\"hunter2\"\n")));
    let right = format!("/etc/env\tsha\t{}", sha256("PW=\"hunter2\"\n"));
    assert_eq!(case(&["/etc/env\tstat\tregular file\t600\troot\troot\t9", &right]).summary(&secret), "nothing");
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn what_should_be_absent_goes_also_when_a_package_of_this_plan_would_bring_it() {
    let files = Files::new("default site", vec![File::absent("/etc/nginx/sites-enabled/default")]);
    assert_eq!(Case::new(&[]).summary(&files), "nothing");
    let there = "/etc/nginx/sites-enabled/default\tstat\tsymbolic link\t777\troot\troot\t34";
    assert_eq!(Case::new(&[(&FILES, there)]).summary(&files), "Delete remove default site [none]");
    let coming = Case::new(&[]).changing(Packages::key(), Impact::None);
    assert_eq!(coming.summary(&files), "Delete remove default site [none]");
}

#[test]
fn a_service_is_judged_by_what_it_runs() {
    let input = |path: &str, text: &str| Input {
        path: path.into(),
        content: Content::new(text),
        from: ResourceId::new("files", path),
    };
    let mut nginx = Service::new("nginx.service");
    nginx.restart_on = vec![input("/etc/drop-in", "a")];
    nginx.reload_on = vec![input("/etc/conf", "b")];
    let digest = |path: &str, text: &str| state_digest([path, text]);
    let (restart, reload) = (digest("/etc/drop-in", "a"), digest("/etc/conf", "b"));
    let unit = |active: &str, enabled: &str, record: &str| {
        format!("nginx.service\tloaded\t{active}\t{enabled}\tRUN\t1000\t{record}")
    };
    let right = format!("RUN\t{restart}\t{reload}");
    let old = "/etc/drop-in\t900\n/etc/conf\t900";
    for (units, changed, want) in [
        ("", "", "Create enable and start nginx [none]"),
        ("nginx.service\tnot-found\tinactive\t\t-\t-\t-\t-\t-", "", "Create enable and start nginx [none]"),
        (&unit("active", "enabled", &right), old, "nothing"),
        (&unit("active", "disabled", &right), old, "Update enable nginx [none]"),
        (&unit("failed", "enabled", &right), old, "Update start nginx; it is failed [none]"),
        (
            &unit("active", "enabled", &format!("RUN\t{restart}\tother")),
            old,
            "Update reload nginx; what runs is older than its configuration [reload]",
        ),
        (
            &unit("active", "enabled", &format!("RUN\tother\t{reload}")),
            old,
            "Update restart nginx; what runs is older than its configuration [restart]",
        ),
        // Rebooted or restarted by hand since: the record is about another process, and the files' times tell.
        (&unit("active", "enabled", "BEFORE\tother\tother"), old, "nothing"),
        (
            &unit("active", "enabled", "BEFORE\tother\tother"),
            "/etc/drop-in\t900\n/etc/conf\t1000",
            "Update reload nginx; what runs is older than its configuration [reload]",
        ),
        (
            &unit("active", "enabled", "-\t-\t-"),
            "/etc/drop-in\t2000\n/etc/conf\t900",
            "Update restart nginx; what runs is older than its configuration [restart]",
        ),
    ] {
        assert_eq!(Case::new(&[(&UNITS, units), (&CHANGED, changed)]).summary(&nginx), want, "{units} {changed}");
    }
    // Edited by hand since it was proved, and perhaps reloaded: what runs is not known to be what was proved.
    let reload = "Update reload nginx; what runs is older than its configuration [reload]";
    for (changed, want) in
        [("1500", "nothing"), ("1500.5", "nothing"), ("1500.500000001", reload), ("1500.6", reload), ("1501", reload)]
    {
        let times = format!("/etc/drop-in\t900\n/etc/conf\t{changed}\n/var/lib/foobar/running/nginx.service\t1500.5");
        let case = Case::new(&[(&UNITS, &unit("active", "enabled", &right)), (&CHANGED, &times)]);
        assert_eq!(case.summary(&nginx), want, "{changed}");
    }
    // It is gone, and this very plan puts it back: one reload, in this plan and not in the next.
    let times = "/etc/drop-in\t900\n/var/lib/foobar/running/nginx.service\t1500";
    let case = Case::new(&[(&UNITS, &unit("active", "enabled", &right)), (&CHANGED, times)])
        .changing(ResourceId::new("files", "/etc/conf"), Impact::None);
    assert_eq!(case.summary(&nginx), reload);
    // Nobody's record, old files, and this very plan changes one.
    let case = Case::new(&[(&UNITS, &unit("active", "enabled", "-\t-\t-")), (&CHANGED, old)])
        .changing(ResourceId::new("files", "/etc/conf"), Impact::None);
    assert!(case.summary(&nginx).starts_with("Update reload nginx"));
}

#[test]
fn a_secret_is_kept_where_it_is_not_or_is_another() {
    let stored = Stored { names: vec!["pw".into()] };
    assert!(Case::new(&[]).summary(&stored).starts_with("Create keep pw; pw: "));
    assert!(
        Case::new(&[(&STORED, &format!("pw\t{}", base64_of("old")))]).summary(&stored).starts_with("Update keep pw")
    );
    assert_eq!(Case::new(&[(&STORED, &format!("pw\t{}", base64_of("hunter2")))]).summary(&stored), "nothing");
}

/// The rules of a host of which SSH is open for `admin`, or everyone.
fn rules(admin: &[&str]) -> Ruleset {
    let set = match admin {
        [] => "\t\ttcp dport 22 accept comment \"ssh\"\n".to_owned(),
        _ => format!("\t\tip saddr {{ {} }} tcp dport 22 accept comment \"ssh\"\n", admin.join(", ")),
    };
    let text = format!(
        "table inet foobar {{\n\tchain input {{\n\t\ttype filter hook input priority filter; policy drop;\n\t\t# operator\n{set}\t}}\n}}\n"
    );
    let admin_from = admin.iter().map(|n| n.parse().unwrap()).collect();
    Ruleset { text, admin_from, template: "firewall/firewall.nft.tera", confirm_within: 60 }
}

#[test]
fn the_firewall_is_judged_by_its_file_its_live_table_and_the_next_boot() {
    let settled = |rules: &Ruleset| rules.text.replace("\t\t# operator\n", "");
    let answer = |text: &str, live: &str| {
        format!("file\t{d}\nlive\t{live}\nloaded\tLIVE\t{d}\nenabled\tyes\n", d = sha256(text))
    };
    let case = |ruleset: &str| Case::new(&[(&RULESET, ruleset), (&LOGIN, "login\t203.0.113.7\t22")]);
    assert_eq!(case("").summary(&rules(&[])), "Create load firewall rules [none]");
    let narrow = rules(&["203.0.113.0/24"]);
    assert_eq!(case(&answer(&settled(&narrow), "LIVE")).summary(&narrow), "nothing");
    let text = settled(&rules(&[]));
    for (answer, why) in [
        (answer(&text, "OTHER"), "the table was changed at run time"),
        (answer(&text, "LIVE").replace("live\tLIVE\n", ""), "the table is not loaded"),
        (answer(&text, "LIVE").replace("enabled\tyes\n", ""), "would not be loaded at boot"),
        (answer(&text, "LIVE") + "armed\tyes\n", "rules of another run wait for their confirmation"),
    ] {
        let said = case(&answer).summary(&rules(&[]));
        assert!(said.contains(why), "{said}");
    }
    let change = case("").diff(&rules(&[])).unwrap().unwrap();
    assert!(change.confirm.is_some() && change.recall.is_some());
}

#[test]
fn the_operators_own_login_is_kept_wherever_it_comes_from() {
    for (admin, login, rule, why) in [
        (&[][..], "203.0.113.7\t22", "", ""),
        (&["203.0.113.0/24"], "203.0.113.7\t22", "", ""),
        (&["203.0.113.0/24"], "::ffff:203.0.113.7\t22", "", ""),
        (
            &["198.51.100.0/24"],
            "203.0.113.7\t22",
            "ip saddr 203.0.113.7 tcp dport 22 accept",
            "in no network of firewall.admin_from",
        ),
        (
            &["203.0.113.0/24"],
            "203.0.113.7\t2222",
            "ip saddr 203.0.113.7 tcp dport 2222 accept",
            "reached on port 2222 there",
        ),
        (&[], "2001:db8::7\t2222", "ip6 saddr 2001:db8::7 tcp dport 2222 accept", "reached on port 2222 there"),
        (
            &["203.0.113.0/24"],
            "fe80::7%eth0\t22",
            "ip6 saddr fe80::7 tcp dport 22 accept",
            "in no network of firewall.admin_from",
        ),
        // What comes by no network is stopped by no rule.
        (&["203.0.113.0/24"], "UNKNOWN\t65535", "", ""),
        (&["203.0.113.0/24"], "127.0.0.1\t22", "", ""),
    ] {
        let case = Case::new(&[(&LOGIN, &format!("login\t{login}"))]);
        let change = case.diff(&rules(admin)).unwrap().unwrap();
        let after = change.diffs[0].after.clone().unwrap();
        assert_eq!(after.contains("the login that foobar came by"), !rule.is_empty(), "{login}: {after}");
        assert!(after.contains(rule), "{login}: {after}");
        assert!(!after.contains("# operator"), "{after}");
        let details = change.details.join("; ");
        assert!(details.contains(why) && details.is_empty() == why.is_empty(), "{login}: {details}");
    }
}

#[test]
fn where_a_login_comes_from_is_found_where_the_way_to_root_hid_it() {
    let ask = |words: &str| {
        let script = format!("{{ ask() {{{}\n}}; ask; }}", LOGIN.body);
        let output = std::process::Command::new("sh")
            .args(["-c", words, "sh", &script])
            .env("SSH_CONNECTION", "203.0.113.7 50000 192.0.2.1 2222")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let here = "login\t203.0.113.7\t2222\n";
    assert_eq!(ask(r#"sh -c "$1"; :"#), here);
    assert_eq!(ask(r#"env -u SSH_CONNECTION sh -c "$1"; :"#), here);
    assert_eq!(ask(r#"env -i PATH="$PATH" sh -c 'sh -c "$0"; :' "$1"; :"#), here);
}

#[test]
fn rules_that_would_lock_the_operator_out_are_refused() {
    let refused = |rules: &Ruleset, login: &str| {
        let refusal = Case::new(&[(&LOGIN, login)]).diff(rules).unwrap_err();
        format!("{refusal}\n  {}", refusal.help)
    };
    let own = |from: &str, to: &str| {
        let rules = rules(&["198.51.100.0/24"]);
        Ruleset { text: rules.text.replace(from, to), ..rules }
    };
    let login = "login\t203.0.113.7\t22";
    let all = [
        ("the marker is lost", refused(&own("\t\t# operator\n", ""), login)),
        ("and so is the rule", refused(&own("\t\t# operator\n", ""), "login\t198.51.100.7\t2222")),
        ("dropped before", refused(&own("\t\t# operator\n", "\t\ttcp dport 22 drop\n\t\t# operator\n"), login)),
        ("nobody knows", refused(&own("x", "x"), "")),
    ];
    let text = all.map(|(what, said)| format!("{what}:\n  {said}\n")).concat();
    insta::assert_snapshot!("lockout", text);

    // What does no harm to this login, what cannot be told, and what is in place already.
    for (from, to, login) in [
        ("\t\t# operator\n", "", "login\t198.51.100.7\t22"),
        ("\t\t# operator\n", "\t\tmeta mark 7 drop\n\t\t# operator\n", login),
        ("\t\t# operator\n", "\t\tip saddr 192.0.2.66 drop\n\t\t# operator\n", login),
    ] {
        assert!(Case::new(&[(&LOGIN, login)]).diff(&own(from, to)).is_ok(), "{to}");
    }
    let said =
        Case::new(&[(&LOGIN, login)]).summary(&own("\t\t# operator\n", "\t\tmeta mark 7 drop\n\t\t# operator\n"));
    assert!(said.contains("cannot be told from their text: one for your own login is added"), "{said}");
    let lost = own("\t\t# operator\n", "");
    let there = format!("file\t{d}\nlive\tA\nloaded\tA\t{d}\nenabled\tyes", d = sha256(&lost.text));
    assert_eq!(Case::new(&[(&LOGIN, login), (&RULESET, &there)]).summary(&lost), "nothing");
}

#[test]
fn a_package_that_a_release_has_not_is_refused_before_anything_is_touched() {
    let offered = system::Offered { package: "mysql-server", releases: &["sid"], help: "write engine: mariadb" };
    let on = |release: &str, packages: &str| {
        let system = format!("system\tdebian\t{release}\tDebian ({release})");
        Case::new(&[(&system::FACTS, &system), (&PACKAGES, packages)]).summary(&offered)
    };
    assert_eq!(on("trixie", ""), "refused: Debian (trixie) has no package mysql-server");
    assert_eq!(on("trixie", "mysql-server\tinstalled\t9.7"), "nothing");
    assert_eq!(on("sid", ""), "nothing");
}

#[test]
fn what_is_replaced_or_removed_is_kept_as_it_was_where_the_run_says_and_the_first_of_it_stays() {
    let root = std::env::temp_dir().join(format!("foobar-before-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&root);
    std::fs::create_dir_all(root.join("state")).unwrap();
    let at = |name: &str| root.join(name).to_str().unwrap().to_owned();
    let sh = |script: &str| {
        let text = script.replace(STATE_DIR, &at("state"));
        let output = std::process::Command::new("sh").arg("-c").arg(text).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (user, group) = (sh("id -un"), sh("id -gn"));
    std::fs::write(at("changed"), "one\n").unwrap();
    std::fs::write(at("gone"), "was here\n").unwrap();
    sh(&format!("chmod 640 {}", at("changed")));
    for text in ["two\n", "three\n"] {
        let file = |name: &str| File::text(at(name), Content::new(text)).owner(user.trim(), group.trim());
        let files = Files::new("x", vec![file("changed"), file("new"), File::absent(at("gone"))]);
        let (mut lines, before) = (String::new(), std::fs::exists(at("gone")).unwrap());
        if before {
            lines = format!("{}\tstat\tregular file\t644\troot\troot\t9\n", at("gone"));
        }
        let change = Case::new(&[(&FILES, &lines)]).diff(&files).unwrap().unwrap();
        sh(&format!("set -eu; export FOOBAR_BEFORE={}\n{}", at("before"), change.script.text()));
    }
    let read = |name: &str| std::fs::read_to_string(at(&format!("before{}", at(name)))).ok();
    assert_eq!(std::fs::read_to_string(at("changed")).unwrap(), "three\n");
    assert_eq!((read("changed").as_deref(), read("gone").as_deref()), (Some("one\n"), Some("was here\n")));
    assert_eq!(read("new").as_deref(), Some("two\n"), "the first that is replaced");
    assert_eq!(sh(&format!("stat -c %a {}", at(&format!("before{}", at("changed"))))), "640\n");
    // Without a run that asks for it, nothing is kept.
    let files =
        Files::new("x", vec![File::text(at("changed"), Content::new("four\n")).owner(user.trim(), group.trim())]);
    let change = Case::new(&[]).diff(&files).unwrap().unwrap();
    sh(&format!("unset FOOBAR_BEFORE; set -eu\n{}", change.script.text()));
    std::fs::remove_dir_all(&root).unwrap();
}

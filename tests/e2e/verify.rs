//! A verification for other programs and for people: its forms, its choice of checks, its rounds, and its page in a real
//! browser.

use super::{
    damage::sql,
    drills::wrong_date,
    webdriver::Browser,
    world::{World, start, strict_schema, until},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{collections::BTreeSet, fs, net::Ipv4Addr, time::Duration};

/// Every form tells of the same checks, and what names none is refused before a host is asked.
pub fn other_programs_are_told_in_their_own_form(w: &mut World) {
    w.converge();
    let all = w.foobar(&["verify", "--json"]).ends(0).json();
    let count = all["checks"].as_array().unwrap().len();
    let listed = w.foobar(&["verify", "--list-checks", "--json"]).ends(0).json();
    assert!(strict_schema().is_valid(&listed), "{listed}");
    assert_eq!(listed["checks"].as_array().unwrap().len(), count);
    let some = w.foobar(&["verify", "--json", "--only", "mysql,tls", "--skip", "mysql/*read-only*"]).ends(0).json();
    let names: Vec<&str> = some["checks"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert!(!names.is_empty() && names.len() < count);
    assert!(names.iter().all(|n| (n.starts_with("mysql/") || n.starts_with("tls/")) && !n.contains("read-only")));
    w.foobar(&["verify", "--only", "mysq", "--skip", "tsl"])
        .ends(64)
        .says(&["did you mean mysql?", "did you mean tls?"]);

    let tap = w.foobar(&["verify", "--format", "tap"]).ends(0).stdout.clone();
    assert!(
        tap.starts_with(&format!("TAP version 13\n1..{count}\n")) && tap.matches("\nok ").count() == count,
        "{tap}"
    );
    let file = w.dir.join("verify.out");
    for (format, mark) in [("junit", "<testcase "), ("prometheus", "foobar_verify_check_made{")] {
        let run = w.foobar(&["verify", "--format", format, "--out", file.to_str().unwrap()]);
        assert_eq!(run.ends(0).stdout, "", "what goes to a file goes there alone");
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.matches(mark).count(), count, "{text}");
    }
}

/// What stops and starts again is told once each, and the end is by a signal.
pub fn rounds_tell_what_changes(w: &mut World) {
    w.converge();
    let dir = w.dir.clone();
    let watching = start(w.command(&["verify", "--watch", "1", "--json", "--only", "nginx.service*"]), &dir, "watch");
    let heard = || -> Vec<Value> {
        let text = fs::read_to_string(dir.join("watch.out")).unwrap_or_default();
        text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()
    };
    let outcomes = || -> Vec<String> {
        let of = |l: &Value| {
            (l["event"] == "checked" && l["host"] == "web-01").then(|| l["outcome"].as_str().map(str::to_owned))
        };
        heard().iter().filter_map(of).flatten().collect()
    };
    let minute = Duration::from_secs(60);
    assert!(until(minute, || outcomes() == ["pass"]), "{:?}", heard());
    w.on("web-01", "systemctl stop nginx");
    assert!(until(minute, || outcomes() == ["pass", "fail"]), "{:?}", heard());
    w.on("web-01", "systemctl start nginx");
    assert!(until(minute, || outcomes() == ["pass", "fail", "pass"]), "{:?}", heard());
    for line in heard() {
        assert!(strict_schema().is_valid(&line), "{line}");
    }
    let pid = Pid::from_raw(watching.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(watching.wait("verify --watch").code, 0);
}

/// The page says what failed and what to do, at the width of a phone and of a desk, and asks nobody for anything.
pub fn the_page_reads_on_a_phone_and_on_a_desk(w: &mut World) {
    w.converge();
    w.on("web-01", "systemctl stop nginx");
    let page = w.dir.join("verify.html");
    w.foobar(&["verify", "--report", page.to_str().unwrap()]).ends(3);
    w.on("web-01", "systemctl start nginx");
    let text = fs::read_to_string(&page).unwrap();
    let secret = w.on("web-01", "cat /var/lib/foobar/secrets/mysql-app-rw");
    assert!(secret.trim().len() > 20 && !text.contains(secret.trim()), "a password stands in the page");

    let [a, b, c, _] = w.lab.address("lb-01").unwrap().octets();
    let (client, from) = (Ipv4Addr::new(a, b, c, 200), Ipv4Addr::new(a, b, c, 1));
    let authority = w.authority();
    let browser = Browser::start(&w.lab.status().name, client, from, &w.dir, &authority);
    browser.open(&format!("file://{}", page.display())).unwrap_or_else(|e| panic!("{e}"));
    let place = std::env::var_os("FOOBAR_E2E_PICTURES").map_or(w.dir.clone(), Into::into);
    fs::create_dir_all(&place).unwrap();
    let mut grounds = Vec::new();
    for (width, scheme) in [(390, "light"), (1280, "dark")] {
        browser.look(width, 1400, scheme);
        let wide = browser.script("return document.documentElement.scrollWidth");
        assert!(wide.as_u64().is_some_and(|w| w <= width.into()), "{wide} pixels on a screen of {width}");
        grounds.push(browser.script("return getComputedStyle(document.body).backgroundColor"));
        let picture = browser.screenshot();
        fs::write(place.join(format!("verify-{width}-{}.png", w.suite)), picture).unwrap();
    }
    assert_ne!(grounds[0], grounds[1], "light and dark look alike");
    let said = browser.text();
    let at = |text: &str| said.find(text).unwrap_or_else(|| panic!("{text} is not in {said}"));
    assert!(at("nginx.service is active and enabled") < at("The topology") && at("The topology") < at("All checks"));
    assert!(said.contains("it is inactive") && said.contains("journalctl -u nginx.service"), "{said}");
    let marked = browser.script("return document.querySelectorAll('svg .part.fail').length");
    assert!(marked.as_u64().is_some_and(|n| n >= 1), "{marked}");
    let asked = browser.script("return performance.getEntriesByType('resource').length");
    assert_eq!(asked, 0, "it asked for something");
    drop(browser);
    assert!(until(Duration::from_secs(60), || w.foobar(&["verify"]).code == 0), "{}", w.said.last().unwrap());
}

/// What is broken by hand, and the checks that fail for it, with their hosts: these and no others, all in one run.
pub fn what_is_broken_is_told_and_nothing_else(w: &mut World) {
    w.converge();
    let listen = "IO::Socket::INET->new(LocalPort => 4444, Listen => 1) or die; sleep 9999";
    w.on("web-01", &format!("systemd-run -q --unit=e2e-stray perl -MIO::Socket::INET -e 'my $s = {listen}'"));
    sql(w, "web-01", "GRANT INSERT ON foobar.* TO 'app_ro'@'%'");
    sql(w, "web-02", "SET GLOBAL binlog_expire_logs_seconds=3600");
    w.on("web-02", "nft insert rule inet foobar input meta nfproto ipv6 tcp dport 3306 accept");
    let [lb, web] = ["lb-01", "web-02"].map(|host| w.lab.address(host).unwrap());
    w.on("web-01", &format!("nft insert rule inet foobar input ip saddr != {{ {lb}, {web} }} tcp dport 8404 accept"));
    wrong_date(w, "lb-01", "exec /usr/bin/date -d '-90 seconds' \"$@\"");
    w.on("lb-01", "sed -i 's/ssl-default-bind-ciphers .*/ssl-default-bind-ciphers ALL/' /etc/haproxy/haproxy.cfg");
    w.on("lb-01", "systemctl reload haproxy");
    let runtime = |order: &str| format!("echo '{order}' | socat -t 3 - UNIX-CONNECT:/run/haproxy/admin.sock");
    w.on("lb-01", &runtime("set weight web/web-01 2"));

    let run = w.foobar(&["verify", "--json"]);
    let told = run.ends(3).json();
    let word = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let wrong = told["checks"].as_array().unwrap().iter().filter(|c| c["outcome"] != "pass");
    let wrong: BTreeSet<(String, String)> = wrong.map(|c| (word(c, "name"), word(c, "host"))).collect();
    let expected = [
        ("firewall/from-this-machine-only-the-declared-ways-are-open", "web-01"),
        ("firewall/its-rules-are-loaded-unchanged-and-will-be-at-boot", "web-01"),
        ("firewall/its-rules-are-loaded-unchanged-and-will-be-at-boot", "web-02"),
        ("firewall/nothing-listens-but-what-is-declared", "web-01"),
        ("firewall/only-the-declared-ways-to-other-hosts-are-open", "lb-01"),
        ("haproxy/backends-serve-by-turns", "lb-01"),
        ("host/its-clock-is-right", "lb-01"),
        ("mysql/a-replica-may-be-away-for-7-days", "web-02"),
        ("mysql/app-ro-reads-and-is-refused-when-it-writes", "web-01"),
        ("plan/nothing-differs-from-the-topology", "lb-01"),
        ("plan/nothing-differs-from-the-topology", "web-01"),
        ("plan/nothing-differs-from-the-topology", "web-02"),
        ("tls/lb-01-speaks-no-weak-cipher", "web-01"),
    ];
    assert_eq!(wrong, expected.map(|(name, host)| (name.to_owned(), host.to_owned())).into(), "{run}");
    run.says(&[
        "perl on tcp 4444",
        "web-02:3306 should be closed and is refused over IPv6",
        "8404 should be closed and is refused",
        "90 s behind",
        "it may INSERT",
    ]);

    w.on("web-01", "systemctl stop e2e-stray");
    w.on("lb-01", "rm /usr/local/bin/date");
    w.on("lb-01", &runtime("set weight web/web-01 1"));
    w.apply(&[]);
    w.foobar(&["verify"]).ends(0);
}

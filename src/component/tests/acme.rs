//! What balancers have whose certificate comes from an ACME directory: every file as a snapshot, who comes after whom, and what
//! no host has any more.

use super::*;
use crate::resource::{acme::Issued, service::Service};
use std::collections::BTreeSet;

fn wanted(site: &Site) -> Desired {
    let mut desired = Desired::default();
    for component in all(site) {
        component.resources(site, &mut desired).unwrap();
    }
    desired
}

#[test]
fn every_file_of_a_balancer_with_a_client() {
    let site = testing::site(testing::certified());
    let files = files(&site, "lb-01");
    for path in [
        "/etc/foobar/acme/certificate.sh",
        "/etc/foobar/acme/private/key.pem",
        "/etc/haproxy/acme-account.map",
        "/etc/haproxy/certs/site.pem",
        "/etc/haproxy/haproxy.cfg",
        "/etc/systemd/system/foobar-acme.service",
        "/etc/systemd/system/foobar-acme.timer",
    ] {
        let text = files.get(path).unwrap_or_else(|| panic!("no {path}"));
        insta::assert_snapshot!(format!("acme{}", path.replace('/', "-")), text);
    }
    assert!(!files.contains_key("/etc/foobar/site-ca.crt"), "visitors trust no authority of the site's own");
    let web = super::files(&site, "web-01");
    assert!(web.keys().all(|path| !path.contains("acme") && !path.contains("site-ca")));
}

/// A shell reads the client's script, whatever the directory is called.
#[test]
fn the_script_is_one() {
    let text = file(&testing::site(testing::certified()), "lb-01", "/etc/foobar/acme/certificate.sh");
    let read = Command::new("sh").args(["-n", "-c", &text]).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let broken = Command::new("sh").args(["-n", "-c", &text.replace("esac", "")]).output().unwrap();
    assert!(!broken.status.success(), "it takes everything");
    let said = text.lines().find(|l| l.starts_with("directory=")).unwrap();
    let out = Command::new("sh").args(["-c", &format!("{said}; printf %s \"$directory\"")]).output().unwrap();
    assert_eq!(String::from_utf8(out.stdout).unwrap(), "https://acme.foobar.com:14000/dir?x=$y");
}

/// The key of the account is no other file's, and everybody hears the same thumbprint.
#[test]
fn balancers_share_an_account_and_nothing_else() {
    let site = testing::site(testing::certified());
    let desired = wanted(&site);
    let homes = |name: &str| desired.secrets.iter().find(|s| s.name == name).unwrap().homes.len();
    assert_eq!(homes(names::ACME_ACCOUNT), 2);
    assert!(desired.secrets.iter().all(|s| s.name != names::SITE), "a certificate goes from host to host");
    let part = |host: &str| {
        let text = file(&site, host, "/etc/haproxy/haproxy.cfg");
        let line = text.lines().find(|l| l.contains("acme-challenge")).unwrap().to_owned();
        (line, file(&site, host, "/etc/haproxy/acme-account.map"))
    };
    assert_eq!(part("lb-01"), part("lb-02"));
}

/// A renewal by the timer changes whatever is asked about the certificate's file: a kept plan is bound to none of that, and to
/// all else. One that foobar makes or the user brings is bound as any file is.
#[test]
fn which_certificate_the_client_got_binds_no_plan() {
    let of = |topology| {
        let desired = wanted(&testing::site(topology));
        let here: Vec<_> = desired.wanted.iter().filter(|w| w.host.as_str() == "lb-01").collect();
        let asked = here.iter().flat_map(|w| w.resource.probes());
        let asked = asked.filter(|p| p.args.iter().any(|a| a == super::haproxy::CERTIFICATE)).map(|p| p.collector.name);
        let unbound = here.iter().flat_map(|w| w.resource.unbound());
        let unbound = unbound.map(|(collector, name)| {
            assert_eq!(name, super::haproxy::CERTIFICATE);
            collector.name
        });
        (asked.collect::<BTreeSet<_>>(), unbound.collect::<BTreeSet<_>>())
    };
    let (asked, unbound) = of(testing::certified());
    assert_eq!(asked, unbound);
    assert!(["files", "haproxy_shown", "issued"].iter().all(|name| asked.contains(name)), "{asked:?}");
    let (asked, unbound) = of(testing::topology());
    assert!(asked.contains("files") && unbound.is_empty(), "{asked:?} {unbound:?}");
}

#[test]
fn a_certificate_is_asked_for_when_every_balancer_answers() {
    let site = testing::site(testing::certified());
    let desired = wanted(&site);
    for host in ["lb-01", "lb-02"] {
        let found = desired.wanted.iter().find(|w| w.host.as_str() == host && w.resource.id() == Issued::key());
        for balancer in ["lb-01", "lb-02"] {
            for unit in [names::HAPROXY_UNIT, names::KEEPALIVED_UNIT] {
                let key = Key::new(&balancer.parse().unwrap(), Service::key(unit));
                assert!(found.unwrap().after.contains(&key), "{host}: {key}");
            }
        }
    }
}

/// Hosts that verify what visitors see go by their own store.
#[test]
fn the_hosts_own_store_is_what_is_trusted() {
    let site = testing::site(testing::certified());
    let asking = all(&site).into_iter().flat_map(|c| c.checks(&site)).filter(|c| c.script.text().contains("s_client"));
    let asking: Vec<Check> = asking.filter(|c| c.script.text().contains("-verify_hostname")).collect();
    assert!(asking.len() > 5, "{asking:?}");
    for check in asking {
        let text = check.script.text();
        assert!(text.contains("-CApath /etc/ssl/certs") && !text.contains("site-ca.crt"), "{check:?}: {text}");
    }
    let mut t = testing::certified();
    t.monitoring = testing::watched().monitoring;
    let site = testing::site(t);
    assert!(!file(&site, "lb-01", "/etc/prometheus/blackbox.yml").contains("ca_file"));
    let rules = file(&site, "lb-01", "/etc/prometheus/foobar.rules.yml");
    assert!(
        rules.contains("min(foobar_certificate_lifetime_seconds) / 5") && rules.contains("journalctl -u foobar-acme"),
        "{rules}"
    );
}

fn judged(title: &str, stdout: &str) -> Verdict {
    let site = testing::site(testing::certified());
    let checks: Vec<Check> = all(&site).iter().flat_map(|c| c.checks(&site)).collect();
    let check = checks.iter().find(|c| c.title.contains(title)).unwrap();
    check.verdict(&Answer { status: 0, stdout: stdout.into(), ..Answer::default() })
}

#[test]
fn what_the_client_and_the_balancers_say_is_judged() {
    let print = "a".repeat(43);
    let answer = |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{body}\n");
    let good = answer(&format!("foobar.{print}"));
    for (title, said, holds) in [
        ("directory's challenges alike", format!("{good}{good}"), true),
        ("directory's challenges alike", format!("{good}{}", answer(&format!("foobar.b{}", &print[1..]))), false),
        ("directory's challenges alike", format!("{good}{}", answer("foobar.")), false),
        ("directory's challenges alike", format!("{good}HTTP/1.1 404 Not Found\r\n\r\n\n"), false),
        ("did not fail", "Result=success\nLoadState=loaded\nExecMainExitTimestamp=\n".into(), true),
        ("did not fail", "Result=success\nLoadState=not-found\nExecMainExitTimestamp=\n".into(), false),
        ("did not fail", "Result=exit-code\nLoadState=loaded\nExecMainExitTimestamp=\nrate limited ".into(), false),
    ] {
        let verdict = judged(title, &said);
        assert_eq!(matches!(verdict, Verdict::Pass(_)), holds, "{title}: {said}: {verdict:?}");
    }
    assert!(matches!(judged("challenges alike", &good), Verdict::Error(_)), "one did not answer at all");
    let interim = "www.foobar.com\t20 (unable to get local issuer certificate)\nissuer=CN = foobar CA of www.foobar.com\nnotAfter=x\n";
    let Verdict::Fail(why) = judged("lb-01 shows a certificate", interim) else { panic!("an interim one is taken") };
    assert!(why.contains("interim"), "{why}");
}

/// Stands for the directory and its client: says what the file `says` has for each turn, then gives a certificate.
const CLIENT: &str = r#"#!/bin/sh
echo "$*" >>"$AT/asked"
for last; do :; done
case $* in *' issue '*) what=issue ;; *' new '*) what=new ;; *) what=update ;; esac
said=$(sed -n "/^$what /{s///p;q}" "$AT/says")
[ -z "$said" ] || { sed -i "0,/^$what /{/^$what /d}" "$AT/says"; echo "$said"; exit 2; }
[ $what != issue ] || openssl x509 -req -in "$last" -signkey "${last%.csr}.key" -copy_extensions copy -days 90 -out "${last%.csr}-cert.pem" 2>/dev/null
"#;
/// Stands for the balancer: what it is asked on port 80, and what it is told on its socket.
const BALANCER: &str = r#"#!/bin/sh
told=$(cat)
case $told in GET*) echo foobar.print ;; 'set ssl'*) echo 'Transaction created' ;; commit*) echo 'Success!' ;; esac
printf '%s\n' "$told" | head -n 1 | cut -d ' ' -f 1 >>"$AT/told"
"#;

/// The script itself, with others in the place of all that it talks to.
#[test]
fn the_client_asks_when_it_must_and_tells_what_it_hears() {
    if checker("openssl").is_none() {
        return;
    }
    let scratch = Scratch::new("acme");
    let at = scratch.0.display().to_string();
    for (name, text) in [("uacme", CLIENT), ("socat", BALANCER), ("timeout", "#!/bin/sh\ncat \"$AT/site.pem\"\n")] {
        let path = scratch.write(name, text);
        assert!(Command::new("chmod").args(["755", &path]).status().unwrap().success());
    }
    let text = file(&testing::site(testing::certified()), "lb-01", "/etc/foobar/acme/certificate.sh");
    let text = text.replace("PATH=", &format!("PATH={at}:")).replace("/etc/haproxy/certs", &at);
    let run = |says: &str| {
        scratch.write("says", says);
        scratch.write("asked", "");
        scratch.write("told", "");
        let mut command = Command::new("sh");
        let out = command.args(["-c", &text]).env("AT", &at).env("RUNTIME_DIRECTORY", &at).output().unwrap();
        let read = |name: &str| std::fs::read_to_string(scratch.0.join(name)).unwrap();
        let words: Vec<String> = read("asked")
            .lines()
            .map(|l| ["update", "new", "issue"].into_iter().find(|w| l.contains(&format!(" {w} "))).unwrap().to_owned())
            .collect();
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.success(), said.is_empty(), "{said}");
        (words.join(" "), read("told").split_whitespace().collect::<Vec<_>>().join(" "), said)
    };
    let ok = |asked: &str, told: &str| (asked.to_owned(), told.to_owned(), String::new());
    // A directory that is down, and one that gives no more: what can be done differs.
    let (asked, told, said) = run("update failed to fetch directory\n");
    assert_eq!((asked.as_str(), told.as_str()), ("update", "GET"));
    assert!(said.contains("failed to fetch directory") && said.contains("or is down"), "{said}");
    let (_, told, said) = run("issue urn:ietf:params:acme:error:rateLimited, until tomorrow\n");
    assert!(said.contains("until tomorrow") && said.contains("wait for as long as it says"), "{said}");
    assert!(told == "GET" && !scratch.0.join("site.pem").exists(), "{told}");
    // A first one; then nothing is due.
    assert_eq!(run("update there is no account\n"), ok("update new issue", "GET set commit"));
    assert_eq!(run(""), ok("", ""));
    // Another balancer was quicker with the account, and with an order.
    let elsewhere = || {
        let text = std::fs::read_to_string(scratch.0.join("site.pem")).unwrap();
        scratch.write("site.pem", &text.replace("# from https", "# from http"));
    };
    elsewhere();
    let raced = "update there is no account\nnew failed to create account\nissue uacme: failed to start challenge at x\nissue x:orderNotReady\n";
    assert_eq!(run(raced), ok("update new update issue issue issue", "GET set commit"));
    elsewhere();
    let (asked, _, said) = run(&"issue x:orderNotReady\n".repeat(9));
    assert_eq!(asked.matches("issue").count(), 6, "it never ends");
    assert!(said.contains("orderNotReady"), "{said}");
    // A directory that refuses nonces as it likes.
    let refused = "update x:badNonce\nupdate x:badNonce\nissue x:badNonce\nissue x:badNonce\nissue x:badNonce\n";
    assert_eq!(run(refused), ok("update update update issue issue issue issue", "GET set commit"));
    elsewhere();
    let (asked, _, said) = run(&"update x:badNonce\n".repeat(9));
    assert!(asked.matches("update").count() == 5 && said.contains("badNonce"), "{asked}: {said}");
    // One for other names than are wanted, and one that is about to end, which a clock that is ahead makes of a good one.
    let text_of = |text: &str| std::fs::read_to_string(scratch.0.join(text)).unwrap();
    let good = text_of("site.pem").replace("# from http:", "# from https:");
    scratch.write("site.pem", &good);
    assert_eq!(run(""), ok("", ""));
    let date = |days: i64| {
        let path = scratch.write("date", &format!("#!/bin/sh\n[ $# != 1 ] || {{ echo $(($(/bin/date +%s) + {days} * 86400)); exit; }}\nexec /bin/date \"$@\"\n"));
        assert!(Command::new("chmod").args(["755", &path]).status().unwrap().success());
    };
    date(58);
    assert_eq!(run(""), ok("", ""));
    date(61);
    assert_eq!(run(""), ok("update issue", "GET set commit"));
}

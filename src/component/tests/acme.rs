//! What balancers have whose certificate comes from an ACME directory: every file as a snapshot, who comes after whom, and what
//! no host has any more.

use super::*;
use crate::resource::{acme::Issued, service::Service};

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
    assert_eq!(homes(tls::acme::ACCOUNT), 2);
    assert!(desired.secrets.iter().all(|s| s.name != names::SITE), "a certificate goes from host to host");
    let part = |host: &str| {
        let text = file(&site, host, "/etc/haproxy/haproxy.cfg");
        let line = text.lines().find(|l| l.contains("acme-challenge")).unwrap().to_owned();
        (line, file(&site, host, "/etc/haproxy/acme-account.map"))
    };
    assert_eq!(part("lb-01"), part("lb-02"));
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
    assert!(rules.contains("time() < 10 * 86400") && rules.contains("journalctl -u foobar-acme"), "{rules}");
}

fn judged(title: &str, stdout: &str) -> Verdict {
    let site = testing::site(testing::certified());
    let checks: Vec<Check> = all(&site).iter().flat_map(|c| c.checks(&site)).collect();
    let check = checks.iter().find(|c| c.title.contains(title)).unwrap();
    (check.judge)(&Answer { status: 0, stdout: stdout.into() })
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

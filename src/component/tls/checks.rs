//! What proves the TLS edge live, seen from another host: the certificate for every name, what is refused, what is
//! negotiated, the redirect.

use crate::{
    base::{
        name::HostName,
        script::{Script, quote},
    },
    component::{
        Check, Verdict, haproxy,
        http::{self, PATIENCE},
        site::Site,
        spec::{Certificate, Profile},
        tls::acme,
        viewer,
    },
};

const NAME: &str = "tls";

/// Days that must be left: three weeks are enough to be told twice.
const DAYS_LEFT: u32 = 21;

/// Every check of every balancer's edge.
pub fn all(site: &Site) -> Vec<Check> {
    let Some(haproxy) = &site.topology.haproxy else { return Vec::new() };
    let Some(from) = viewer(site, &haproxy.on) else { return Vec::new() };
    let mut checks: Vec<Check> = one_for_all(site, &haproxy.on, from).into_iter().collect();
    for host in &haproxy.on {
        checks.push(weak_ciphers(site, host, from));
        checks.extend([certificate(site, host, from), old_protocols(site, host, from), http2(site, host, from)]);
        checks.extend(site.topology.tls.hsts.map(|hsts| strict(site, host, from, hsts.duration().as_secs())));
        if site.topology.tls.redirect_http {
            checks.push(redirect(site, host, from));
        }
        if site.acme().is_some() {
            checks.extend([Check::unit(NAME, host, acme::TIMER), renewed(host)]);
        }
    }
    checks.extend(site.acme().map(|_| challenges(site, &haproxy.on, from)));
    checks
}

fn certificate(site: &Site, host: &HostName, from: &HostName) -> Check {
    let at = http::at(site.address(host), 443);
    let store = match site.topology.tls.certificate {
        Certificate::SelfSigned | Certificate::Acme(_) => String::new(),
        Certificate::Files { .. } => "-CApath /etc/ssl/certs".to_owned(),
    };
    let mut script = Script::new().line("gone=");
    let names: Vec<String> = site.names().iter().map(|n| n.to_string()).collect();
    for name in &names {
        let name = quote(name);
        let look = |trust: &str| {
            format!(
                "timeout {PATIENCE} openssl s_client -connect {at} -servername {name} -verify_hostname {name} {trust} </dev/null 2>/dev/null"
            )
        };
        // Where there was no answer at all, nobody waits for the next one.
        script = script.line(format!("said=; [ -n \"$gone\" ] || said=$({}); [ -n \"$said\" ] || gone=1", look(&http::trust(site)))).line(format!(
            "printf '%s\\t%s\\n' {name} \"$(printf '%s\\n' \"$said\" | sed -n 's/^ *Verify return code: //p' | head -n 1)\""
        ));
        if !store.is_empty() {
            script = script.line(format!(
                "[ -n \"$gone\" ] || {} | grep -q 'Verify return code: 0 ' || echo 'unknown to the store'",
                look(&store)
            ));
        }
    }
    let is_renewed = site.acme().is_some();
    let script = match is_renewed {
        false => script.line(format!(
            "printf '%s\\n' \"$said\" | openssl x509 -noout -enddate -checkend {} 2>/dev/null || echo 'ends soon'",
            DAYS_LEFT * 86_400
        )),
        true => script.line(RENEWED),
    };
    let title = format!("{host} shows a certificate that holds for {}", names.join(", "));
    Check::new(NAME, from, title, script, move |answer| {
        let lines = || answer.stdout.lines();
        let bad: Vec<String> = names
            .iter()
            .filter_map(|name| match lines().find_map(|l| l.strip_prefix(&format!("{name}\t"))) {
                Some(code) if code.starts_with("0 ") => None,
                Some("") | None => Some(format!("{name}: no TLS answer")),
                Some(code) => Some(format!("{name}: {code}")),
            })
            .collect();
        let end = lines().find_map(|l| l.strip_prefix("notAfter=")).unwrap_or("an unknown date");
        if !bad.is_empty() && is_renewed && lines().any(|l| l.starts_with("issuer=") && l.contains("foobar CA of")) {
            Verdict::Fail(
                "it is foobar's interim one: none has come from the directory yet; `foobar apply` asks again".into(),
            )
        } else if !bad.is_empty() {
            Verdict::Fail(bad.join("; "))
        } else if lines().any(|l| l == "ends soon") && is_renewed {
            Verdict::Fail(format!("it ends {end}, and was not renewed in time: journalctl -u foobar-acme tells why"))
        } else if lines().any(|l| l == "ends soon") {
            Verdict::Fail(format!("it ends {end}, in less than {DAYS_LEFT} days"))
        } else if lines().any(|l| l == "unknown to the store") {
            Verdict::Pass(format!("it is the given one until {end}; this host's own store does not know its authority"))
        } else {
            Verdict::Pass(format!("verified, until {end}"))
        }
    })
}

/// Whom a visitor meets is chance: what one balancer shows, all show. Where each has one of its own, they differ by right.
fn one_for_all(site: &Site, on: &[HostName], from: &HostName) -> Option<Check> {
    match site.topology.tls.certificate {
        Certificate::SelfSigned | Certificate::Files { .. } => {}
        Certificate::Acme(_) => return None,
    }
    if on.len() < 2 {
        return None;
    }
    let name = quote(site.topology.site.as_str());
    let mut script = Script::new();
    for host in on {
        let at = http::at(site.address(host), 443);
        script = script.line(format!(
            "{{ said=$(timeout {PATIENCE} openssl s_client -connect {at} -servername {name} </dev/null 2>/dev/null | openssl x509 -noout -serial 2>/dev/null); echo \"{host} ${{said#serial=}}\"; }} &"
        ));
    }
    let on = on.to_vec();
    Some(Check::new(NAME, from, "all balancers show one certificate", script.line("wait"), move |answer| {
        judge_serials(&answer.stdout, &on)
    }))
}

fn judge_serials(text: &str, on: &[HostName]) -> Verdict {
    let serial = |host: &HostName| {
        let of = text.lines().filter_map(|l| l.split_once(' ')).find(|(name, _)| *name == host.as_str());
        of.map(|(_, serial)| serial.trim()).filter(|serial| !serial.is_empty())
    };
    let told = |host: &HostName| format!("{host} shows {}", serial(host).unwrap_or("none"));
    if on.iter().any(|host| serial(host).is_none()) {
        return Verdict::Error(on.iter().filter(|h| serial(h).is_none()).map(told).collect::<Vec<_>>().join(", "));
    }
    match on.iter().all(|host| serial(host) == serial(&on[0])) {
        true => Verdict::Pass(format!("serial {}", serial(&on[0]).unwrap_or_default())),
        false => Verdict::Fail(on.iter().map(told).collect::<Vec<_>>().join(", ")),
    }
}

/// The ciphers of TLS 1.2 that the profile takes.
const CIPHERS: [&str; 6] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
];

/// Everything that this end's library knows is offered but those.
fn weak_ciphers(site: &Site, host: &HostName, from: &HostName) -> Check {
    let at = http::at(site.address(host), 443);
    let name = quote(site.topology.site.as_str());
    let offer = CIPHERS.iter().fold("ALL".to_owned(), |all, cipher| format!("{all}:!{cipher}"));
    let script = Script::new().line(format!(
        "timeout {PATIENCE} openssl s_client -tls1_2 -cipher '{offer}:@SECLEVEL=0' -connect {at} -servername {name} </dev/null 2>&1 | grep -oE 'alert handshake failure|alert protocol version|Cipher is [A-Z0-9_-]+' | head -n 1"
    ));
    Check::new(NAME, from, format!("{host} speaks no weak cipher"), script, |answer| match answer.stdout.trim() {
        "alert handshake failure" | "alert protocol version" => {
            Verdict::Pass("all others are refused by its own alert".into())
        }
        said => match said.strip_prefix("Cipher is ").filter(|cipher| !cipher.starts_with("NONE")) {
            Some(cipher) => Verdict::Fail(format!("it takes {cipher}")),
            None => Verdict::Error("no answer over TLS".into()),
        },
    })
}

/// Directories give certificates for 90 days, for 45 or for 6: what is left when a third of that is gone was to be renewed,
/// and a fifth is late.
const RENEWED: &str = r#"printf '%s\n' "$said" | openssl x509 -noout -issuer -enddate 2>/dev/null
at() { date -d "$(printf '%s\n' "$said" | openssl x509 -noout "-$1" 2>/dev/null | cut -d = -f 2)" +%s 2>/dev/null; }
begins=$(at startdate) && ends=$(at enddate) && late=$(((ends - begins) / 5)) || late=0 ends=0
[ "$late" -le 1814400 ] || late=1814400
[ "$(date +%s)" -lt $((ends - late)) ] || echo 'ends soon'"#;

/// The client's last run; none since the last boot is none that failed.
fn renewed(host: &HostName) -> Check {
    let unit = acme::UNIT;
    let script = Script::new()
        .line(format!("systemctl show -p Result -p LoadState -p ExecMainExitTimestamp {unit}"))
        .line("journalctl -q -o cat --no-pager -t foobar-acme -n 3 | tr '\\n' ' '");
    Check::new(NAME, host, "the client of the ACME directory did not fail", script, |answer| {
        let value = |key: &str| answer.stdout.lines().find_map(|l| l.strip_prefix(key)).unwrap_or_default();
        let said = answer.stdout.lines().last().filter(|l| !l.contains('=')).unwrap_or_default().trim();
        match (value("LoadState="), value("Result=")) {
            ("loaded", "success") => Verdict::Pass(match value("ExecMainExitTimestamp=") {
                "" => "not run since the host was booted".into(),
                time => format!("last run {time}"),
            }),
            ("loaded", result) => Verdict::Fail(format!("its last run ended with {result}: {said}")),
            (state, _) => Verdict::Fail(format!("its unit is {state}")),
        }
    })
}

/// Whichever balancer is asked, the answer names the same account.
fn challenges(site: &Site, on: &[HostName], from: &HostName) -> Check {
    let mut script = http::getter();
    for host in on {
        script = script.line(acme::challenge(site, host)).line("echo");
    }
    let hosts = on.to_vec();
    Check::new(NAME, from, "every balancer answers the directory's challenges alike", script, move |answer| {
        let all = http::responses(&answer.stdout);
        if all.len() != hosts.len() {
            return Verdict::Error(format!("{} of {} balancers answer on port 80", all.len(), hosts.len()));
        }
        let is_answer = |r: &http::Response| {
            let rest = r.body.trim().strip_prefix("foobar.").filter(|rest| rest.len() == 43);
            r.status == 200 && rest.is_some_and(|t| t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)))
        };
        if let Some(at) = all.iter().position(|r| !is_answer(r)) {
            return Verdict::Fail(format!("{} answers {} and no account", hosts[at], all[at].status));
        }
        match all.iter().position(|r| r.body.trim() != all[0].body.trim()) {
            Some(at) => Verdict::Fail(format!("{} and {} name other accounts", hosts[0], hosts[at])),
            None => Verdict::Pass("each with the account's thumbprint".into()),
        }
    })
}

fn old_protocols(site: &Site, host: &HostName, from: &HostName) -> Check {
    let at = http::at(site.address(host), 443);
    let name = quote(site.topology.site.as_str());
    let mut old = vec!["tls1_1"];
    if site.topology.tls.profile == Profile::Modern {
        old.push("tls1_2");
    }
    let mut script = Script::new();
    for protocol in &old {
        // Without level 0 it would be this end that refuses.
        script = script.line(format!(
            "timeout {PATIENCE} openssl s_client -{protocol} -cipher ALL:@SECLEVEL=0 -connect {at} -servername {name} </dev/null 2>&1 | grep -oE 'alert protocol version|Cipher is [A-Z0-9_-]+|Connection refused|unsupported protocol|no protocols available' | head -n 1 &"
        ));
    }
    let script = script.line("wait");
    let count = old.len();
    let below = if count == 1 { "1.2" } else { "1.3" };
    let title = format!("{host} refuses TLS below {below}");
    Check::new(NAME, from, title, script, move |answer| {
        let refused = answer.stdout.lines().filter(|l| *l == "alert protocol version").count();
        match answer.stdout.lines().find(|l| l.starts_with("Cipher is")) {
            Some(cipher) => Verdict::Fail(format!("an old protocol is spoken: {cipher}")),
            None if refused == count => Verdict::Pass("refused by its own alert".into()),
            None => Verdict::Error(format!("it could not be tried: {}", answer.stdout.trim().replace('\n', ", "))),
        }
    })
}

fn http2(site: &Site, host: &HostName, from: &HostName) -> Check {
    let at = http::at(site.address(host), 443);
    let name = quote(site.topology.site.as_str());
    let script = Script::new().line(format!(
        "timeout {PATIENCE} openssl s_client -alpn h2,http/1.1 -connect {at} -servername {name} </dev/null 2>/dev/null | grep -E '^ALPN|^No ALPN|Protocol *:|^New,'"
    ));
    Check::new(NAME, from, format!("{host} speaks HTTP/2"), script, |answer| {
        let line = |start: &str| answer.stdout.lines().find(|l| l.starts_with(start));
        match line("ALPN protocol: ").or(line("No ALPN")) {
            Some("ALPN protocol: h2") => {
                Verdict::Pass(line("New, ").unwrap_or("h2").trim_start_matches("New, ").into())
            }
            Some(other) => Verdict::Fail(other.into()),
            None => Verdict::Error("no answer over TLS".into()),
        }
    })
}

fn strict(site: &Site, host: &HostName, from: &HostName, seconds: u64) -> Check {
    let request = http::request(site, &haproxy::health_path(site), "", true);
    let at = http::at(site.address(host), 443);
    let script = http::asker(site, http::PATIENCE).line(format!("printf '{request}' | ask {at}"));
    Check::new(NAME, from, format!("{host} tells browsers to stay with https"), script, move |answer| {
        let Some(response) = http::first(answer) else { return Verdict::Error("no answer over TLS".into()) };
        match response.header("strict-transport-security") {
            Some(value) => Verdict::when(value == format!("max-age={seconds}"), value),
            None => Verdict::Fail("no Strict-Transport-Security header".into()),
        }
    })
}

/// The same path twice: once as it comes, which must move, and once as an authority asks for it, which must not.
fn redirect(site: &Site, host: &HostName, from: &HostName) -> Check {
    let (address, name) = (site.address(host), &site.topology.site);
    let script = http::getter()
        .line(format!("get {address} 80 '/a/b?c=d&e=%20f' {name}; echo"))
        .line(format!("get {address} 80 /.well-known/acme-challenge/foobar {name}"));
    let want = format!("https://{name}/a/b?c=d&e=%20f");
    Check::new(NAME, from, format!("{host} redirects http to https, path and query kept"), script, move |answer| {
        let all = http::responses(&answer.stdout);
        let [moved, challenge] = &all[..] else { return Verdict::Error("no answer on port 80".into()) };
        match (moved.status, moved.header("location")) {
            (301, Some(location)) if location == want && challenge.status != 301 => {
                Verdict::Pass(format!("301 {location}"))
            }
            (301, Some(location)) if location == want => Verdict::Fail("ACME challenges are redirected too".into()),
            (status, location) => Verdict::Fail(format!("{status} {}", location.unwrap_or("without a location"))),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::{Answer, testing};

    #[test]
    fn balancers_with_different_certificates_are_named() {
        let on: Vec<HostName> = ["lb-01", "lb-02"].iter().map(|n| n.parse().unwrap()).collect();
        assert_eq!(judge_serials("lb-02 0A\nlb-01 0A\n", &on), Verdict::Pass("serial 0A".into()));
        assert_eq!(judge_serials("lb-01 0A\nlb-02 0B\n", &on), Verdict::Fail("lb-01 shows 0A, lb-02 shows 0B".into()));
        for (text, why) in [("lb-01 0A\nlb-02 \n", "lb-02 shows none"), ("", "lb-01 shows none, lb-02 shows none")] {
            assert_eq!(judge_serials(text, &on), Verdict::Error(why.into()));
        }
    }

    #[test]
    fn no_cipher_is_weak_that_the_balancer_takes_and_every_other_one_is() {
        let template = include_str!("../../../templates/haproxy/haproxy.cfg.tera");
        let taken = template.lines().find_map(|l| l.trim().strip_prefix("ssl-default-bind-ciphers ")).unwrap();
        assert_eq!(taken.split(':').collect::<Vec<_>>(), CIPHERS);
    }

    #[test]
    fn a_cipher_that_is_taken_is_named() {
        let site = testing::site(testing::topology());
        let check = weak_ciphers(&site, &"lb-01".parse().unwrap(), &"web-01".parse().unwrap());
        let judge = |text: &str| check.verdict(&Answer { status: 0, stdout: text.into(), ..Answer::default() });
        assert!(matches!(judge("alert handshake failure\n"), Verdict::Pass(_)));
        assert_eq!(judge("Cipher is AES128-SHA\n"), Verdict::Fail("it takes AES128-SHA".into()));
        assert!(matches!(judge(""), Verdict::Error(_)) && matches!(judge("Cipher is NONE\n"), Verdict::Error(_)));
    }
}

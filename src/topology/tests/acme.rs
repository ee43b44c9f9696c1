//! `tls.certificate.acme:` as its users meet it.

use super::{read, refused, shown};
use crate::component::spec::Certificate;

/// A site with this name whose certificate is as a test says.
fn site(name: &str, certificate: &str, more: &str) -> String {
    format!(
        "site: {name}\nhosts:\n  lb-01: {{ address: 10.77.0.11 }}\n  web-01: {{ address: 10.77.0.21 }}\n\
         haproxy: {{ on: [lb-01] }}\ntls: {{ certificate: {certificate} }}\nnginx: {{ on: [web-01] }}\n\
         app: {{ on: [web-01], source: ./guestbook, run: serve }}\n{more}"
    )
}

const MAIL: &str = "{ acme: { email: ops@foobar.com } }";

#[test]
fn an_address_is_enough() {
    let valid = read(&site("www.foobar.com", MAIL, "")).unwrap_or_else(|r| panic!("{}", shown(&r)));
    let Certificate::Acme(acme) = valid.topology.tls.certificate else { panic!("no acme") };
    assert_eq!(acme.email.as_str(), "ops@foobar.com");
    assert_eq!(acme.directory.as_str(), "https://acme-v02.api.letsencrypt.org/directory");
}

#[test]
fn mistakes_are_said_at_their_lines() {
    let of = |certificate: &str| site("www.foobar.com", certificate, "");
    for (name, text) in [
        ("acme-nobody", of("{ acme: {} }")),
        ("acme-clear", of("{ acme: { email: ops@foobar.com, directory: http://ca.foobar.com/dir } }")),
        ("acme-words", of("{ acme: { email: ops, directory: ca.foobar.com, staging: true } }")),
        ("acme-and-files", of("{ acme: { email: ops@foobar.com }, cert: a.crt, key: a.key }")),
        ("acme-word", of("acme")),
        (
            "acme-forbidden",
            site("www.foobar.com", MAIL, "dns: { on: [lb-01], zone: foobar.com, caa: [ca.example.com] }\n"),
        ),
    ] {
        insta::assert_snapshot!(name, refused(&text, None));
    }
}

#[test]
fn what_a_public_directory_would_refuse_is_told() {
    let warned = |text: &str| shown(&read(text).unwrap_or_else(|r| panic!("{}", shown(&r))).warnings);
    let private = warned(&site("shop.internal", MAIL, "aliases: [www.foobar.com, shop.test]\n"));
    insta::assert_snapshot!("acme-private", private);
    let own = "{ acme: { email: ops@foobar.com, directory: 'https://ca.internal:14000/dir' } }";
    assert!(!warned(&site("shop.internal", own, "")).contains("certificate"));
    for address in ["10.0.0.1:14000", "[fd00::1]:14000", "pebble"] {
        let own = own.replace("ca.internal:14000", address);
        assert!(!warned(&site("shop.internal", &own, "")).contains("certificate"), "{address}");
    }
    let hosts: String = (1..=5).map(|n| format!("  b-{n}: {{ address: 10.77.0.{} }}\n", n + 30)).collect();
    let crowd = site("www.foobar.com", MAIL, "")
        .replace("hosts:\n", &format!("hosts:\n{hosts}"))
        .replace("on: [lb-01]", "on: [b-1, b-2, b-3, b-4, b-5]");
    insta::assert_snapshot!("acme-crowd", warned(&crowd));
}

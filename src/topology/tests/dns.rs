//! `dns:` as its users meet it.

use super::{read, refused, shown};
use crate::component::spec::Served;

/// A site whose name servers are what a test says.
fn site(dns: &str) -> String {
    format!(
        "site: www.foobar.com\naliases: [foobar.com, www.foobar.org]\nhosts:\n  lb-01: {{ address: 10.77.0.11 }}\n  \
         ns-01: {{ address: 10.77.0.53 }}\n  web-01: {{ address: 10.77.0.21 }}\nhaproxy: {{ on: [lb-01] }}\nnginx: {{ on: [web-01] }}\n\
         app: {{ on: [web-01], source: ./guestbook, run: serve }}\n{dns}"
    )
}

#[test]
fn every_key_is_read() {
    let own = "dns:\n  on: [ns-01, lb-01]\n  zone: foobar.com\n  ttl: 5m\n  caa: [letsencrypt.org]\n  elsewhere: [www.foobar.org]\n";
    let dns = read(&site(own)).unwrap_or_else(|r| panic!("{}", shown(&r))).topology.dns.unwrap();
    assert_eq!((dns.ttl.unwrap().to_string().as_str(), dns.caa.len(), dns.on().len()), ("5m", 1, 2));
    let Served::Own { zone, elsewhere, .. } = &dns.served else { panic!("{dns:?}") };
    assert_eq!((zone.as_str(), elsewhere[0].as_str()), ("foobar.com", "www.foobar.org"));
    let dns = read(&site("dns: { external: true, ttl: 1500ms }\n")).unwrap().topology.dns.unwrap();
    assert!(matches!(dns.served, Served::External) && dns.on().is_empty());
    assert_eq!(dns.ttl.unwrap().to_string(), "1s");
    assert!(read(&site("")).unwrap().topology.dns.is_none());
}

#[test]
fn mistakes_are_said_at_their_lines() {
    let here = "zone: foobar.com, elsewhere: [www.foobar.org]";
    for (name, text) in [
        ("dns-nothing", site("dns: {}\n")),
        ("dns-not-external", site("dns: { external: false }\n")),
        ("dns-both", site("dns: { on: [ns-01], zone: foobar.com, external: true }\n")),
        ("dns-no-zone", site("dns: { on: [ns-01] }\n")),
        ("dns-outside", site("dns: { on: [ns-01], zone: foobar.com }\n")),
        ("dns-elsewhere", site("dns: { on: [ns-01], zone: foobar.com, elsewhere: [foobar.com, mail.foobar.org] }\n")),
        ("dns-unknown-host", site(&format!("dns: {{ on: [ns-02], {here} }}\n"))),
        ("dns-ttl", site(&format!("dns: {{ on: [ns-01], {here}, ttl: 2d }}\n"))),
        (
            "dns-own-name",
            site(&format!("dns: {{ on: [ns-01], {here} }}\n")).replace("aliases: [", "aliases: [ns-01.foobar.com, "),
        ),
        (
            "dns-alone",
            "site: www.foobar.com\nhosts: { ns-01: { address: 10.77.0.53 } }\ndns: { on: [ns-01], zone: foobar.com }\n"
                .into(),
        ),
    ] {
        insta::assert_snapshot!(name, refused(&text, None));
    }
}

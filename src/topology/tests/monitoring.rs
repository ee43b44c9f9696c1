//! `monitoring:` as its users meet it.

use super::{read, refused, shown};
use crate::component::spec::{SecretSource, Webhook};

/// A site that is watched as a test says.
fn site(monitoring: &str) -> String {
    format!(
        "site: www.foobar.com\nhosts:\n  lb-01: {{ address: 10.77.0.11 }}\n  web-01: {{ address: 10.77.0.21 }}\n\
         haproxy: {{ on: [lb-01] }}\nnginx: {{ on: [web-01] }}\n\
         app: {{ on: [web-01], source: ./guestbook, run: serve }}\n{monitoring}"
    )
}

#[test]
fn every_key_has_a_default_and_an_address_may_be_a_secret() {
    let text = site("monitoring: { on: [lb-01], alerts: { webhook: { env: HOOK } } }\n");
    let valid = read(&text).unwrap_or_else(|r| panic!("{}", shown(&r)));
    let monitoring = valid.topology.monitoring.unwrap();
    let spans = [monitoring.every, monitoring.after, monitoring.retention].map(|s| s.to_string());
    assert_eq!(spans, ["15s", "1m", "15d"]);
    assert!(matches!(monitoring.alerts.webhook, Some(Webhook::Secret(SecretSource::Env(name))) if name == "HOOK"));
    assert!(read(&site("")).unwrap().topology.monitoring.is_none());
}

#[test]
fn whoever_tells_nobody_is_warned() {
    let warned = read(&site("monitoring: { on: [lb-01] }\n")).unwrap().warnings;
    insta::assert_snapshot!("monitoring-nobody", shown(&warned));
}

#[test]
fn mistakes_are_said_at_their_lines() {
    let on = |rest: &str| site(&format!("monitoring: {{ on: [lb-01], {rest} }}\n"));
    for (name, text) in [
        ("monitoring-nowhere", site("monitoring: { every: 5s }\n")),
        ("monitoring-twice", site("monitoring: { on: [lb-01, web-01], alerts: { webhook: https://a.example.com } }\n")),
        ("monitoring-unknown-host", site("monitoring: { on: [mon-01], alerts: { webhook: https://a.example.com } }\n")),
        ("monitoring-spans", on("every: 5m, after: 2d, retention: 1s, alerts: { webhook: https://a.example.com }")),
        ("monitoring-no-url", on("alerts: { webhook: hooks.example.com }")),
        ("monitoring-generated", on("alerts: { webhook: { generate: true } }")),
        ("monitoring-mail", on("alerts: { email: { to: [], from: ops, smarthost: mail.example.com, login: foobar } }")),
        ("monitoring-mail-alone", on("alerts: { email: {} }")),
        (
            "monitoring-port",
            on("alerts: { webhook: https://a.example.com }").replace("run: serve", "run: serve, port: 9100"),
        ),
    ] {
        insta::assert_snapshot!(name, refused(&text, None));
    }
}

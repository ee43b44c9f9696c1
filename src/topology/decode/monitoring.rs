//! `monitoring:`, key by key with its defaults: who watches, how closely, and who is told.

use super::{
    app,
    hosts::on,
    read::{Fields, Reader},
};
use crate::{
    base::name::Span,
    component::spec::{Alerts, Email, Monitoring, SecretSource, Webhook},
    topology::{
        problem::Problem,
        yaml::{Kind, Node},
    },
};

/// Reads `monitoring:`.
pub fn monitoring(read: &mut Reader<'_>, node: &Node) -> Monitoring {
    let fields = read.fields(node, "monitoring");
    let mut span = |key: &str, least: &str, most: &str, or: u64| {
        let span = fields.get(key).and_then(|n| read.span(n, least, most)).unwrap_or(Span::seconds(or));
        Span::seconds(span.duration().as_secs())
    };
    // What is looked at less often than once a minute is seen by visitors first; Prometheus forgets a value after five.
    let every = span("every", "1s", "1m", 15);
    let after = span("after", "1s", "1h", 60);
    let retention = span("retention", "1h", "3650d", 15 * 86_400);
    Monitoring {
        on: on(read, node, fields.get("on")),
        every,
        after,
        retention,
        alerts: fields.get("alerts").map(|n| alerts(read, n)).unwrap_or_default(),
    }
}

fn alerts(read: &mut Reader<'_>, node: &Node) -> Alerts {
    let fields = read.fields(node, "monitoring.alerts");
    Alerts {
        webhook: fields.get("webhook").and_then(|n| webhook(read, n)),
        email: fields.get("email").and_then(|n| email(read, n)),
    }
}

/// As written where it is no secret, else from where it says.
fn webhook(read: &mut Reader<'_>, node: &Node) -> Option<Webhook> {
    match &node.kind {
        Kind::Map(_) => given(read, "webhook", node).map(Webhook::Secret),
        _ => read.word(node, "a URL").map(Webhook::Plain),
    }
}

/// What only its owner can give: foobar cannot make one.
fn given(read: &mut Reader<'_>, key: &str, node: &Node) -> Option<SecretSource> {
    let source = app::source(read, key, node);
    match source {
        None => read.mask(node),
        Some(SecretSource::Generate) => {
            let problem = Problem::error(format!("`{}` cannot be made by foobar", read.name(node)));
            let help = "write where it comes from: `{ env: NAME }`, `{ file: path }` or `{ command: pass show name }`";
            read.refuse(problem.at(read.value(node), "known to somebody else").help(help));
            return None;
        }
        Some(_) => {}
    }
    source
}

fn email(read: &mut Reader<'_>, node: &Node) -> Option<Email> {
    let fields: Fields<'_> = read.fields(node, "monitoring.alerts.email");
    let help = "write who gets it, who it comes from and which server takes it: \
                `email: { to: [ops@example.com], from: foobar@example.com, smarthost: mail.example.com:587 }`";
    for key in ["to", "from", "smarthost"] {
        if fields.get(key).is_none() {
            read.missing(node, key, help);
        }
    }
    let to = fields.get("to").map(|n| read.some_words(n, "a mail address", "name one address at least"));
    let from = fields.get("from").and_then(|n| read.word(n, "a mail address"));
    let smarthost = fields.get("smarthost").and_then(|n| read.word(n, "a host with a port"));
    let login = fields.get("login").and_then(|n| read.word(n, "a login"));
    let password = fields.get("password").and_then(|n| given(read, "password", n));
    for (one, other) in [("login", "password"), ("password", "login")] {
        if let (Some(node), None) = (fields.get(one), fields.get(other)) {
            let problem = Problem::error(format!("`{}` without `{other}`", read.name(node)));
            read.refuse(problem.at(read.key(node), format!("and no `{other}`")).help("write both, or neither"));
        }
    }
    Some(Email { to: to?, from: from?, smarthost: smarthost?, login, password })
}

//! Secrets that the user gives, from the environment, files and commands. One that is not where the topology says is told
//! at its line; what is in them never is.

use super::{
    super::{command, local::plain},
    Given, expand,
};
use crate::{
    base::{
        name::{EnvName, Url},
        secret::Secret,
    },
    component::{
        names::{MAIL_PASSWORD, WEBHOOK},
        spec::{SecretSource, Topology, Webhook},
    },
    topology::{Draft, Problem},
};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::Path,
};

/// What the app was given, by variable.
pub fn secrets(draft: &mut Draft, topology: &Topology, here: &Path, wanted: Given) -> BTreeMap<EnvName, Secret> {
    let mut given = BTreeMap::new();
    for (name, source) in topology.app.iter().flat_map(|a| &a.secrets) {
        match secret(source, here) {
            None => {}
            Some(Ok(value)) => {
                given.insert(name.clone(), Secret::new(value));
            }
            Some(Err(_)) if wanted == Given::OrKept => {}
            Some(Err(why)) => {
                let place = draft.place(&["app", "secrets", name.as_str()]);
                let problem = Problem::error(format!("the secret {name} could not be had: {why}"));
                draft.add(problem.at(place, "comes from here").help("give it, or let foobar make one: `generate`"));
            }
        }
    }
    given
}

/// What is needed to send alerts, by the name that it is kept under.
pub fn alerts(draft: &mut Draft, topology: &Topology, here: &Path, wanted: Given) -> BTreeMap<&'static str, Secret> {
    let mut given = BTreeMap::new();
    for (name, way, source) in alert_secrets(topology) {
        let value = secret(source, here).map(|value| {
            let is_good = |text: &String| name != WEBHOOK || text.parse::<Url>().is_ok();
            value.and_then(|v| if is_good(&v) { Ok(v) } else { Err("it is no URL over HTTP".to_owned()) })
        });
        match value {
            None => {}
            Some(Ok(value)) => drop(given.insert(name, Secret::new(value))),
            Some(Err(_)) if wanted == Given::OrKept => {}
            Some(Err(why)) => {
                let problem = Problem::error(format!("`{}` could not be had: {why}", way.join(".")));
                let problem = problem.at(draft.place(way), "comes from here");
                draft.add(problem.help("give it, or leave it out: alerts then go where else is written"));
            }
        }
    }
    given
}

/// The secrets of who sends alerts: what each is kept under, its key, and where it comes from.
pub fn alert_secrets(topology: &Topology) -> Vec<(&'static str, &'static [&'static str], &SecretSource)> {
    let alerts = topology.monitoring.as_ref().map(|m| &m.alerts);
    let webhook = alerts.and_then(|a| match &a.webhook {
        Some(Webhook::Secret(source)) => Some((WEBHOOK, &["monitoring", "alerts", "webhook"][..], source)),
        _ => None,
    });
    let password = alerts.and_then(|a| a.email.as_ref()?.password.as_ref());
    let password = password.map(|source| (MAIL_PASSWORD, &["monitoring", "alerts", "email", "password"][..], source));
    webhook.into_iter().chain(password).collect()
}

/// A secret from where it comes from; none where foobar makes it.
fn secret(source: &SecretSource, here: &Path) -> Option<Result<String, String>> {
    let value = match source {
        SecretSource::Generate => return None,
        SecretSource::Env(variable) => std::env::var_os(variable)
            .ok_or_else(|| format!("the environment variable {variable} is not set"))
            .and_then(|v| {
                v.into_string().map_err(|_| format!("the environment variable {variable} is not UTF-8 text"))
            }),
        SecretSource::File(path) => {
            let path = here.join(expand(path));
            short(&path).map_err(|e| format!("{}: {}", path.display(), plain(&e)))
        }
        SecretSource::Command(command) => command::output(command, here, command::WITHIN),
    };
    Some(value.map(|text| text.strip_suffix('\n').map(str::to_owned).unwrap_or(text)).and_then(|text| {
        if text.is_empty() {
            Err("it is empty".to_owned())
        } else if text.chars().any(|c| c.is_control() || crate::base::secret::is_mark(c)) {
            Err("it holds line breaks or control characters, which no environment file takes".to_owned())
        } else {
            Ok(text)
        }
    }))
}

/// A secret's file; one that is longer than any secret, or without end, is not read to its end.
fn short(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(command::MOST + 1).read_to_string(&mut text)?;
    match text.len() as u64 > command::MOST {
        true => Err(io::Error::other(format!("it holds more than {} KiB", command::MOST >> 10))),
        false => Ok(text),
    }
}

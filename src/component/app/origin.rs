//! Where the values in the application's files come from.

use super::{
    super::{
        origin::{At, Origin, Source, Variables, in_list, key},
        site::Site,
    },
    ENVIRONMENT, For, UNIT, secret_name, unit_context, variables,
};
use crate::base::{
    name::{EnvName, HostName},
    template::TemplateError,
};

const VARIABLES: Variables = &[("variables", |at| variable(at).unwrap_or_else(|| vec![key(["app", "env"])]))];

const UNIT_VARIABLES: Variables = &[
    ("site", |_| vec![key(["site"])]),
    ("user", |_| vec![Source::Own("the application's account")]),
    ("root", |_| vec![Source::Own("where the releases are")]),
    ("run", |_| vec![key(["app", "run"])]),
];

/// Where one variable of the environment comes from.
fn variable(at: &At<'_>) -> Option<Vec<Source>> {
    let app = at.site.topology.app.as_ref()?;
    let all = variables(at.site, app, at.host, For::Service);
    let all = all.get("variables")?;
    // What is written twice is the user's first, and foobar's own after it.
    let (item, name) = (at.item?, all.get(at.item?)?.name.as_str());
    let env: Option<EnvName> = name.parse().ok();
    let written = |keys: Vec<&EnvName>| env.as_ref().is_some_and(|e| keys.contains(&e));
    if item < app.env.len() && written(app.env.keys().collect()) {
        return Some(vec![key(["app", "env", name])]);
    }
    if item < app.env.len() + app.secrets.len() && written(app.secrets.keys().collect()) {
        return Some(vec![key(["app", "secrets", name])]);
    }
    let mysql = at.site.topology.mysql.as_ref();
    Some(match (name, mysql) {
        ("HOST", _) => vec![in_list(["app", "on"], &app.on, at.host)],
        ("LISTEN", _) => vec![key(["app", "port"])],
        ("DATABASE_READ_URL", Some(_)) => {
            vec![Source::Own("the host's own way to the replicas"), key(["mysql", "database"])]
        }
        ("DATABASE_WRITE_URL", Some(_)) => {
            vec![Source::Own("the host's own way to the primary"), key(["mysql", "database"])]
        }
        _ => vec![Source::Own("where the database's authority is")],
    })
}

/// Every file of the application that is rendered.
pub fn all(site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
    let Some(app) = site.topology.app.as_ref().filter(|a| a.on.contains(host)) else { return Ok(Vec::new()) };
    Ok(vec![
        Origin::new(ENVIRONMENT, "app/app.env.tera", &variables(site, app, host, For::Service), VARIABLES)?,
        Origin::new(UNIT, "app/foobar-app.service.tera", &unit_context(site, app), UNIT_VARIABLES)?,
    ])
}

/// The variable that a secret is the value of.
pub fn secret(site: &Site, name: &str) -> Vec<Source> {
    let keys = site.topology.app.iter().flat_map(|a| a.secrets.keys());
    keys.filter(|k| secret_name(k) == name).map(|k| key(["app", "secrets", k.as_str()])).collect()
}

//! Lints about the parts of the stack: what needs what, what stands alone, which variable is whose.

use super::Facts;
use crate::{
    base::name::HostName,
    component::spec::Backends,
    topology::{
        decode::looks_secret,
        problem::{Place, Problem, Spot},
        text::listed,
        yaml::Kind,
    },
};

/// Variables that foobar gives to the app.
pub const OWN_VARIABLES: &[&str] = &["LISTEN", "DATABASE_WRITE_URL", "DATABASE_READ_URL", "DATABASE_CA"];

/// A file with nothing in it: what it lacks is not told as well.
pub fn empty_file(facts: &Facts<'_>) -> Vec<Problem> {
    let whole = |file| Place { file, spot: Spot::Whole };
    let empty = |file| {
        let root = facts.documents.get(file).and_then(|d| d.root.as_ref());
        root.is_some_and(|r| matches!(r.kind, Kind::Null))
    };
    [crate::topology::problem::File::Topology, crate::topology::problem::File::Inventory]
        .into_iter()
        .filter(|file| empty(*file))
        .map(|file| {
            Problem::error("the file holds nothing but space and comments")
                .at(whole(file), "")
                .help("write a topology into it, or name another file")
        })
        .collect()
}

/// A site that is an alias of its own.
pub fn duplicate_name(facts: &Facts<'_>) -> Vec<Problem> {
    let t = facts.topology;
    let twice = t.aliases.iter().position(|a| *a == t.site);
    let problem = |at: usize| {
        Problem::error(format!("`{}` is the site's name already", t.site))
            .at(facts.documents.place(&["aliases", &at.to_string()]), "again here")
            .at(facts.documents.place(&["site"]), "first here")
            .help("remove it from `aliases`")
    };
    twice.map(problem).into_iter().collect()
}

/// A file with a site and hosts and nothing to run on them.
pub fn nothing_to_do(facts: &Facts<'_>) -> Vec<Problem> {
    let any = ["haproxy", "nginx", "app", "mysql", "monitoring", "firewall"].iter().any(|s| facts.has(s));
    if any || !facts.has("site") {
        return Vec::new();
    }
    let problem = Problem::warning("nothing runs anywhere").at(facts.documents.key(&["site"]), "only a name so far");
    vec![problem.help("add the parts of the stack: haproxy, nginx with app, mysql")]
}

/// A balancer balances web servers.
pub fn balancer_without_backends(facts: &Facts<'_>) -> Vec<Problem> {
    if !facts.has("haproxy") || facts.has("nginx") {
        return Vec::new();
    }
    let problem =
        Problem::error("the balancer has no backends").at(facts.documents.key(&["haproxy"]), "balances what?");
    vec![problem.help("add the web servers behind it: `nginx: { on: [web-01] }` and `app:` on the same hosts")]
}

/// Nginx serves the app that runs beside it: one without the other serves nothing.
pub fn web_without_app(facts: &Facts<'_>) -> Vec<Problem> {
    let (alone, other, label, help) = match (facts.has("nginx"), facts.has("app")) {
        (true, false) => ("nginx", "app", "serves what?", "add the application: `app: { on: …, source: …, run: … }`"),
        (false, true) => ("app", "nginx", "reached by whom?", "add the web server in front of it: `nginx: { on: … }`"),
        _ => return Vec::new(),
    };
    let problem = Problem::error(format!("`{alone}` without `{other}`")).at(facts.documents.key(&[alone]), label);
    vec![problem.help(format!("{help}; nginx proxies to the app on its own host"))]
}

/// Nginx proxies to the app on its own host: both must be on the same ones.
pub fn web_and_app_apart(facts: &Facts<'_>) -> Vec<Problem> {
    let (Some(nginx), Some(app)) = (&facts.topology.nginx, &facts.topology.app) else { return Vec::new() };
    if nginx.on.is_empty() || app.on.is_empty() {
        return Vec::new();
    }
    let lacks = |here: &[HostName], there: &[HostName]| -> Vec<HostName> {
        here.iter().filter(|h| !there.contains(h)).cloned().collect()
    };
    let (only_web, only_app) = (lacks(&nginx.on, &app.on), lacks(&app.on, &nginx.on));
    if only_web.is_empty() && only_app.is_empty() {
        return Vec::new();
    }
    let mut problem = Problem::error("`nginx` and `app` are on different hosts");
    for host in &only_web {
        problem = problem.at(facts.in_list(&["nginx", "on"], host), format!("no app on {host}"));
    }
    for host in &only_app {
        problem = problem.at(facts.in_list(&["app", "on"], host), format!("no nginx on {host}"));
    }
    vec![problem.help("name the same hosts in both `on`: nginx proxies to the app on its own host")]
}

/// Without a balancer, users reach nothing.
pub fn no_balancer(facts: &Facts<'_>) -> Vec<Problem> {
    if facts.has("haproxy") {
        return Vec::new();
    }
    let mut problems = Vec::new();
    if facts.has("nginx") {
        problems.push(
            Problem::warning("no balancer: only the web hosts themselves reach the site")
                .at(facts.documents.key(&["nginx"]), "open to balancers only")
                .help("add `haproxy: { on: [lb-01] }`; it may run on a host of its own"),
        );
    }
    if facts.has("tls") {
        problems.push(
            Problem::warning("`tls` does nothing without `haproxy`")
                .at(facts.documents.key(&["tls"]), "nobody speaks TLS")
                .help("add `haproxy: { on: [lb-01] }`, or remove `tls`"),
        );
    }
    problems
}

/// Active-passive needs somebody to stand by.
pub fn standby_alone(facts: &Facts<'_>) -> Vec<Problem> {
    let (Some(haproxy), Some(nginx)) = (&facts.topology.haproxy, &facts.topology.nginx) else { return Vec::new() };
    if haproxy.backends != Backends::ActivePassive || nginx.on.len() != 1 {
        return Vec::new();
    }
    let problem = Problem::warning("active-passive with one backend: nobody stands by");
    vec![
        problem
            .at(facts.documents.place(&["haproxy", "backends"]), "the first serves, the rest stand by")
            .at(facts.documents.key(&["nginx", "on"]), "there is no rest")
            .help("add a second web host, or remove `backends`"),
    ]
}

/// A server cannot follow itself.
pub fn primary_also_replica(facts: &Facts<'_>) -> Vec<Problem> {
    let Some(mysql) = &facts.topology.mysql else { return Vec::new() };
    if !mysql.replicas.contains(&mysql.primary) {
        return Vec::new();
    }
    let problem = Problem::error(format!("{} is the primary and a replica too", mysql.primary));
    vec![
        problem
            .at(facts.in_list(&["mysql", "replicas"], &mysql.primary), "a replica here")
            .at(facts.documents.place(&["mysql", "primary"]), "the primary here")
            .help("remove it from `replicas`"),
    ]
}

/// Semi-sync waits for a replica's word.
pub fn semi_sync_alone(facts: &Facts<'_>) -> Vec<Problem> {
    let Some(mysql) = &facts.topology.mysql else { return Vec::new() };
    let place = facts.documents.place(&["mysql", "semi_sync"]);
    let tried = facts.documents.find(&["mysql", "replicas"]).is_some_and(|n| !n.items().is_empty());
    match mysql.replicas.len() {
        0 if mysql.semi_sync && !tried => vec![
            Problem::error("`semi_sync` without a replica: no write would ever be confirmed")
                .at(place, "confirmed by whom?")
                .help("add a replica: `replicas: [db-02]`, or remove `semi_sync`"),
        ],
        _ => Vec::new(),
    }
}

/// What foobar gives to the app cannot come from elsewhere too.
pub fn own_variable(facts: &Facts<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for section in ["env", "secrets"] {
        let entries = facts.documents.find(&["app", section]).map(|n| n.entries()).unwrap_or_default();
        for key in entries.iter().filter_map(|e| e.key.as_deref()).filter(|k| OWN_VARIABLES.contains(k)) {
            problems.push(
                Problem::error(format!("`{key}` is given to the app by foobar"))
                    .at(facts.documents.key(&["app", section, key]), "written here too")
                    .help(format!("remove it; foobar sets {}", listed(OWN_VARIABLES))),
            );
        }
    }
    problems
}

/// One variable, one value.
pub fn variable_twice(facts: &Facts<'_>) -> Vec<Problem> {
    let Some(app) = &facts.topology.app else { return Vec::new() };
    let twice = app.env.keys().filter(|name| app.secrets.contains_key(name));
    twice
        .map(|name| {
            let key = |section| facts.documents.key(&["app", section, name.as_str()]);
            Problem::error(format!("`{name}` stands in `env` and in `secrets`"))
                .at(key("env"), "plain here")
                .at(key("secrets"), "secret here")
                .help("remove it from `env`")
        })
        .collect()
}

/// What looks like a secret should not stand in a file that is shared.
pub fn plain_secret(facts: &Facts<'_>) -> Vec<Problem> {
    let Some(app) = &facts.topology.app else { return Vec::new() };
    let plain = app.env.iter().filter(|(name, value)| looks_secret(name.as_str()) && !value.as_str().is_empty());
    plain
        .filter(|(name, _)| !app.secrets.contains_key(name))
        .map(|(name, _)| {
            Problem::warning(format!("`{name}` looks like a secret and is written in plain"))
                .at(facts.documents.key(&["app", "env", name.as_str()]), "its value stands in this file")
                .help(format!("move it: `secrets: {{ {name}: {{ env: {name} }} }}`, or file, command, generate"))
        })
        .collect()
}

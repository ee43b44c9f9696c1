//! `foobar rotate`: another value for a secret that foobar makes itself. Which steps that takes follows from the plan, as for any
//! other change; how a database account keeps its former password meanwhile is `resource/db_password.rs`.

use super::{
    args::change::RotateArgs,
    carry::{self, Order},
    exit::Exit,
    screen::Screen,
    work::{self, Work},
};
use crate::{
    component::{SecretSpec, Source, tls::acme::INTERIM},
    plan::{desired::FINGERPRINT_KEY, remove::Removal},
    report::json,
};

/// What can be rotated, and in the user's words what it is.
fn kind(spec: &SecretSpec) -> Option<&'static str> {
    match &spec.source {
        Source::Password if spec.name == FINGERPRINT_KEY => None,
        Source::Password if spec.name.starts_with("mysql-") => Some("a database password"),
        Source::Password => Some("a secret of the app"),
        Source::Leaf { .. } if spec.name == INTERIM => None,
        Source::Leaf { .. } => Some("a certificate"),
        Source::Account => Some("the key of an ACME account"),
        Source::Given(_) | Source::Kept | Source::Authority { .. } => None,
    }
}

/// The secret that a name means: its own, a database account's (`app_rw`), a variable's of the app (`SESSION_KEY`).
fn meant<'a>(specs: &'a [SecretSpec], name: &str) -> Option<&'a SecretSpec> {
    let dashed = name.replace('_', "-").to_lowercase();
    let same = |spec: &&SecretSpec| {
        let known = spec.name.to_lowercase();
        let of_account = known.strip_prefix("mysql-").is_some_and(|rest| dashed.ends_with(rest));
        spec.name == name || known == format!("app-{dashed}") || known == format!("app.{dashed}") || of_account
    };
    specs.iter().find(|spec| spec.name == name).or_else(|| specs.iter().find(same))
}

/// Why a secret is not rotated, and what to do instead.
fn refused(spec: &SecretSpec) -> (&'static str, &'static str) {
    match &spec.source {
        Source::Given(_) => ("its value is yours", "change it where it comes from, then run foobar apply"),
        Source::Authority { .. } => (
            "it is an authority, and whoever trusts it would trust nothing that the next one signs",
            "rotate what it signs instead; it is good for ten years",
        ),
        Source::Leaf { .. } => (
            "it only stands in until one from the directory comes",
            "that one gets another key each time that its balancer renews it; foobar status tells how long it is good",
        ),
        _ => ("everything that foobar keeps on record is keyed with it", "it leaves no host; leave it as it is"),
    }
}

/// `foobar rotate`
pub async fn rotate(screen: &Screen, args: &RotateArgs) -> Result<Exit, Exit> {
    let mut work = Work::new(screen, &args.site, &args.reach, Some(&args.limit))?;
    if args.limit.list_hosts {
        return Ok(work.list(screen, &args.json));
    }
    let specs = work::compile(screen, &work.site)?.secrets;
    if args.names.is_empty() {
        let known: Vec<_> = specs.iter().filter_map(|s| Some((s.name.as_str(), kind(s)?))).collect();
        let width = known.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let lines = || known.iter().map(|(name, kind)| format!("{name:width$}  {kind}\n")).collect::<String>();
        screen.data(&if args.json.json { json::secrets(&known) } else { lines() });
        return Ok(Exit::Done);
    }
    let mut wrong = false;
    for name in &args.names {
        match meant(&specs, name) {
            Some(spec) if kind(spec).is_some() => {
                work.renew.insert(spec.name.clone());
            }
            Some(spec) => {
                let (why, help) = refused(spec);
                screen.problem("foobar::rotate", &format!("{name} is not rotated: {why}"), help);
                wrong = true;
            }
            None => {
                screen.problem(
                    "foobar::rotate",
                    &format!("there is no secret {name}"),
                    "`foobar rotate` without a name lists those there are",
                );
                wrong = true;
            }
        }
    }
    if wrong {
        return Err(Exit::Usage);
    }
    let order = Order {
        command: "rotate",
        removal: Removal::default(),
        wait: args.wait.lock_timeout,
        json: args.json.json,
        diff: args.diff.style(),
        undoes: !args.undo.no_rollback,
    };
    carry::run(screen, &work, &order, async |look| {
        carry::show(screen, &order, &look.plan);
        carry::agree(screen, &look.plan, args.yes, "Rotate, and apply what else differs?").await
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;

    /// Those of a site with a certificate of foobar's own, and the one more of a site that gets its own from a directory.
    fn specs() -> Vec<SecretSpec> {
        let spec = |name: &str, source| SecretSpec { name: name.into(), source, homes: vec![] };
        vec![
            spec(FINGERPRINT_KEY, Source::Password),
            spec("mysql-app-rw", Source::Password),
            spec("mysql-repl", Source::Password),
            spec("app-session-key", Source::Password),
            spec("app.lower", Source::Password),
            spec("app-mail-key", Source::Given(Secret::new("x"))),
            spec("site-ca", Source::Authority { common_name: "x".into(), names: vec![] }),
            spec("site", Source::Leaf { by: "site-ca".into(), names: vec![], days: 1 }),
            spec(INTERIM, Source::Leaf { by: "site-ca".into(), names: vec![], days: 1 }),
            spec("acme-account", Source::Account),
        ]
    }

    #[test]
    fn a_secret_goes_by_the_names_that_its_users_know() {
        let specs = specs();
        for (name, want) in [
            ("mysql-app-rw", Some("mysql-app-rw")),
            ("app_rw", Some("mysql-app-rw")),
            ("foobar_repl", Some("mysql-repl")),
            ("SESSION_KEY", Some("app-session-key")),
            ("lower", Some("app.lower")),
            ("site", Some("site")),
            ("nothing", None),
            ("", None),
        ] {
            assert_eq!(meant(&specs, name).map(|s| s.name.as_str()), want, "{name}");
        }
    }

    #[test]
    fn what_foobar_did_not_make_or_others_rely_on_stays() {
        let kinds: Vec<bool> = specs().iter().map(|s| kind(s).is_some()).collect();
        assert_eq!(kinds, [false, true, true, true, true, false, false, true, false, true]);
        let why = |name: &str| refused(meant(&specs(), name).unwrap()).0;
        assert!(why(INTERIM).contains("until one from the directory comes"), "{}", why(INTERIM));
        assert!(why("site-ca").contains("authority") && why(FINGERPRINT_KEY).contains("keyed with it"));
    }
}

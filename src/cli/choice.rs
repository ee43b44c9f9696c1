//! `--only` and `--skip`: which checks are made, as patterns over their components and names. Pure; it knows no check
//! beyond those that it is given.

use super::limit::matches;
use crate::component::Check;
use std::{collections::BTreeSet, fmt, str::FromStr};

/// One pattern: `mysql`, `mysql/it-boots-read-only`, `*certificate*`, `nginx/*strangers*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    written: String,
    glob: String,
}

impl FromStr for Pattern {
    type Err = String;

    /// A check's own words are taken for its name, so that they can be copied from the table.
    fn from_str(text: &str) -> Result<Self, String> {
        let kept = |c: char| if c.is_ascii_alphanumeric() || "*?/".contains(c) { c.to_ascii_lowercase() } else { ' ' };
        let words: String = text.chars().map(kept).collect();
        let glob = words.split(' ').filter(|w| !w.is_empty()).collect::<Vec<_>>().join("-");
        match glob.is_empty() || glob.matches('/').count() > 1 {
            true => Err("a component, a check's name or a glob such as mysql/*read-only* is needed".to_owned()),
            false => Ok(Self { written: text.trim().to_owned(), glob }),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Pattern {
    fn fits(&self, check: &Check) -> bool {
        let name = check.name();
        let claim = name.split_once('/').map_or("", |(_, claim)| claim);
        match self.glob.contains('/') {
            true => matches(&self.glob, &name),
            false => matches(&self.glob, check.component) || matches(&self.glob, claim),
        }
    }
}

/// A pattern that names nothing there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// What happened.
    pub what: String,
    /// What to do.
    pub help: String,
}

/// The checks that are left: all that any pattern of `only` names (all where there is none), less those of `skip`. What
/// names nothing is told, all of it at once.
pub fn select(checks: Vec<Check>, only: &[Pattern], skip: &[Pattern]) -> Result<Vec<Check>, Vec<Unknown>> {
    let named = [("--only", only), ("--skip", skip)];
    let all = named.iter().flat_map(|(flag, patterns)| patterns.iter().map(move |p| (*flag, p)));
    let unknown: Vec<Unknown> =
        all.filter(|(_, p)| !checks.iter().any(|c| p.fits(c))).map(|(flag, p)| unknown(flag, p, &checks)).collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let had_some = !checks.is_empty();
    let left = left(checks, only, skip);
    if left.is_empty() && had_some {
        return Err(vec![Unknown {
            what: "--only and --skip leave no check: everything they name is skipped again".into(),
            help: "leave one of them out".into(),
        }]);
    }
    Ok(left)
}

/// The same without a word about what names nothing: for a choice that was told already.
pub fn left(mut checks: Vec<Check>, only: &[Pattern], skip: &[Pattern]) -> Vec<Check> {
    checks.retain(|c| (only.is_empty() || only.iter().any(|p| p.fits(c))) && !skip.iter().any(|p| p.fits(c)));
    checks
}

fn unknown(flag: &str, pattern: &Pattern, checks: &[Check]) -> Unknown {
    let components: BTreeSet<&str> = checks.iter().map(|c| c.component).collect();
    let names: BTreeSet<String> = checks.iter().map(Check::name).collect();
    // Half of a long name may be wrong, a third of a short one.
    let bare = pattern.glob.replace(['*', '?'], "");
    let far = |candidate: &str| strsim::damerau_levenshtein(candidate, &bare);
    let claim = |name: &str| name.split_once('/').map_or(String::new(), |(_, claim)| claim.to_owned());
    let of_component = components.iter().map(|c| (far(c), (*c).to_owned()));
    let of_name = names.iter().map(|n| (far(n).min(far(&claim(n))), n.clone()));
    let mut near: Vec<(usize, String)> =
        of_component.chain(of_name).filter(|(d, n)| *d <= n.len().min(bare.len()) / 3).collect();
    if near.is_empty() && bare.len() > 2 {
        // Part of a name, without the stars that would make it one.
        near.extend(names.iter().filter(|n| n.contains(&bare)).map(|n| (0, n.clone())));
    }
    near.sort();
    near.dedup_by(|a, b| a.1 == b.1);
    let near: Vec<String> = near.into_iter().take(3).map(|(_, name)| name).collect();
    let hint = if near.is_empty() { String::new() } else { format!(", did you mean {}?", near.join(" or ")) };
    let components: Vec<&str> = components.into_iter().collect();
    Unknown {
        what: format!("{flag} {pattern} names no check{hint}"),
        help: format!("components: {}; `foobar verify --list-checks` prints every name", components.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        component::{all, spec::Mode, testing},
        report::problem::{self, Problem},
        report::style::Palette,
    };

    fn checks() -> Vec<Check> {
        let site = testing::site(testing::pair(Mode::ActivePassive));
        all(&site).iter().flat_map(|c| c.checks(&site)).collect()
    }

    fn patterns(words: &[&str]) -> Vec<Pattern> {
        words.iter().map(|w| w.parse().unwrap()).collect()
    }

    fn chosen(only: &[&str], skip: &[&str]) -> Result<BTreeSet<String>, Vec<Unknown>> {
        let left = select(checks(), &patterns(only), &patterns(skip))?;
        Ok(left.iter().map(Check::name).collect())
    }

    #[test]
    fn components_names_globs_and_a_check_s_own_words_choose() {
        let all = checks().len();
        assert_eq!(select(checks(), &[], &[]).unwrap().len(), all);
        let of = |only: &[&str], skip: &[&str]| chosen(only, skip).unwrap();
        assert!(of(&["mysql"], &[]).iter().all(|n| n.starts_with("mysql/")));
        assert_eq!(of(&["mysql/it-boots-read-only"], &[]).len(), 1);
        assert_eq!(of(&["it boots read-only"], &[]), of(&["mysql/it-boots-read-only"], &[]));
        assert_eq!(of(&["mariadb.service is active and enabled"], &[]).len(), 1);
        assert!(of(&["*certificate*"], &[]).iter().all(|n| n.contains("certificate")));
        let some = of(&["tls", "mysql"], &["mysql/*read-only*", "*http-2"]);
        assert!(some.iter().any(|n| n.starts_with("tls/")) && some.contains("mysql/the-primary-takes-writes"));
        assert!(!some.iter().any(|n| n.contains("read-only") || n.ends_with("http-2")), "{some:?}");
    }

    /// JUnit, Prometheus and `--only` tell checks apart by name and host.
    #[test]
    fn no_two_checks_of_a_host_have_one_name() {
        let mut seen = BTreeSet::new();
        for check in checks() {
            assert!(seen.insert((check.name(), check.host.clone())), "{} on {}", check.name(), check.host);
        }
    }

    #[test]
    fn what_names_nothing_is_told_all_at_once_with_what_is_near() {
        let unknown =
            chosen(&["mysq", "mysql/it-boots-readonly", "*colour*", "redirects-http"], &["kepalived"]).unwrap_err();
        let problems = unknown.iter().map(|u| Problem::new("foobar::checks", &u.what, &u.help));
        insta::assert_snapshot!("unknown-checks", problem::all(problems, 100, Palette::new(false)));
        let none = chosen(&["mysql"], &["mysql/*"]).unwrap_err();
        assert_eq!(none[0].what, "--only and --skip leave no check: everything they name is skipped again");
        assert!(checks().iter().any(|c| c.name() == "app/it-runs-release" && c.title != "it runs release"));
        for bad in ["", " ", "--", "a/b/c"] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad:?}");
        }
    }
}

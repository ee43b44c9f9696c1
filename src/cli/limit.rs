//! `--limit`: which hosts a run may write to, as patterns over names and roles. Pure; it knows no topology beyond the
//! names it is given.

use crate::base::name::HostName;
use std::{collections::BTreeMap, fmt, str::FromStr};

/// One pattern of `--limit`: `web-0*`, `@nginx`, `!db-01`, `!@mysql`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    exclude: bool,
    role: bool,
    glob: String,
}

/// Why a limit was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// The pattern is not one.
    #[error("{pattern:?} is no pattern: {why}")]
    Syntax {
        /// What was written.
        pattern: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The pattern names nothing there is.
    #[error("--limit {pattern} matches nothing{hint}; hosts: {hosts}; roles: {roles}")]
    NoMatch {
        /// What was written.
        pattern: String,
        /// `; did you mean web-01?`, or nothing.
        hint: String,
        /// All hosts.
        hosts: String,
        /// All roles.
        roles: String,
    },
    /// All patterns together leave no host.
    #[error("--limit {patterns} leaves no host: everything it names is excluded again")]
    Empty {
        /// What was written.
        patterns: String,
    },
}

impl FromStr for Pattern {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let refuse = |why| Err(LimitError::Syntax { pattern: text.to_owned(), why });
        let word = text.trim();
        let (exclude, rest) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
        let (role, glob) = rest.strip_prefix('@').map_or((false, rest), |rest| (true, rest));
        if glob.is_empty() {
            return refuse("a host name, a glob such as web-* or a role such as @nginx is needed");
        }
        if !glob.chars().all(|c| c.is_ascii_alphanumeric() || "-_.*?".contains(c)) {
            return refuse("letters, digits, - _ . and the wildcards * and ? are allowed, with ! and @ in front");
        }
        Ok(Self { exclude, role, glob: glob.to_owned() })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (exclude, role) = (if self.exclude { "!" } else { "" }, if self.role { "@" } else { "" });
        write!(f, "{exclude}{role}{}", self.glob)
    }
}

impl Pattern {
    fn hosts<'a>(
        &self,
        hosts: &'a [HostName],
        roles: &'a BTreeMap<String, Vec<HostName>>,
    ) -> Option<Vec<&'a HostName>> {
        if !self.role {
            let found: Vec<_> = hosts.iter().filter(|h| matches(&self.glob, h.as_str())).collect();
            return (!found.is_empty()).then_some(found);
        }
        let mut found = roles.iter().filter(|(role, _)| matches(&self.glob, role)).peekable();
        found.peek()?;
        Some(found.flat_map(|(_, hosts)| hosts).collect())
    }

    fn unknown(&self, hosts: &[HostName], roles: &BTreeMap<String, Vec<HostName>>) -> LimitError {
        let (hosts, roles): (Vec<&str>, Vec<String>) =
            (hosts.iter().map(HostName::as_str).collect(), roles.keys().map(|r| format!("@{r}")).collect());
        let written = format!("{}{}", if self.role { "@" } else { "" }, self.glob);
        // A role without its @ is the commonest slip, so it counts as near.
        let forgot = roles.iter().find(|r| r[1..] == self.glob).cloned();
        let known = hosts.iter().map(|h| (*h).to_owned()).chain(roles.iter().cloned());
        let near = known.map(|k| (strsim::damerau_levenshtein(&k, &written), k)).min().filter(|(d, _)| *d <= 2);
        let hint = forgot.or(near.map(|(_, k)| k)).map(|k| format!(", did you mean {k}?")).unwrap_or_default();
        let roles = if roles.is_empty() { "none".to_owned() } else { roles.join(", ") };
        LimitError::NoMatch { pattern: self.to_string(), hint, hosts: hosts.join(", "), roles }
    }
}

/// The hosts that the patterns name, in the order of `hosts`: everything that any plain pattern names (all hosts where
/// there is none), less everything that a `!` pattern names. No pattern at all is no limit.
pub fn select(
    patterns: &[Pattern],
    hosts: &[HostName],
    roles: &BTreeMap<String, Vec<HostName>>,
) -> Result<Vec<HostName>, LimitError> {
    let mut with: Vec<&HostName> = Vec::new();
    let mut without: Vec<&HostName> = Vec::new();
    for pattern in patterns {
        let found = pattern.hosts(hosts, roles).ok_or_else(|| pattern.unknown(hosts, roles))?;
        if pattern.exclude { &mut without } else { &mut with }.extend(found);
    }
    let all = patterns.iter().all(|p| p.exclude);
    let left: Vec<HostName> =
        hosts.iter().filter(|h| (all || with.contains(h)) && !without.contains(h)).cloned().collect();
    if left.is_empty() && !patterns.is_empty() {
        let patterns: Vec<String> = patterns.iter().map(Pattern::to_string).collect();
        return Err(LimitError::Empty { patterns: patterns.join(",") });
    }
    Ok(left)
}

/// Whether `name` as a whole fits `glob`, where `*` is any text and `?` any one character.
pub fn matches(glob: &str, name: &str) -> bool {
    let (glob, name) = (glob.as_bytes(), name.as_bytes());
    let (mut g, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g, n));
                g += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => (g, n) = (g + 1, n + 1),
            // Where it no longer fits, the last star takes one character more.
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (g, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(patterns: &[&str]) -> Result<String, String> {
        let hosts: Vec<HostName> =
            ["lb-01", "web-01", "web-02", "db-01"].into_iter().map(|h| h.parse().unwrap()).collect();
        let role = |name: &str, at: &[usize]| (name.to_owned(), at.iter().map(|i| hosts[*i].clone()).collect());
        let roles = [role("haproxy", &[0]), role("nginx", &[1, 2]), role("mysql", &[1, 3]), role("app", &[])].into();
        let patterns: Result<Vec<Pattern>, _> = patterns.iter().map(|p| p.parse()).collect();
        let left = patterns.and_then(|p| select(&p, &hosts, &roles)).map_err(|e| e.to_string())?;
        Ok(left.iter().map(HostName::as_str).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn patterns_name_hosts() {
        let ok = |patterns: &[&str]| run(patterns).unwrap();
        assert_eq!(ok(&[]), "lb-01 web-01 web-02 db-01");
        assert_eq!(ok(&["web-01"]), "web-01");
        assert_eq!(ok(&["web-*"]), "web-01 web-02");
        assert_eq!(ok(&["*-0?", "!lb-*"]), "web-01 web-02 db-01");
        assert_eq!(ok(&["db-01", "lb-01"]), "lb-01 db-01", "the order is the topology's");
        assert_eq!(ok(&["@nginx"]), "web-01 web-02");
        assert_eq!(ok(&["@nginx", "@mysql", "!web-02"]), "web-01 db-01");
        assert_eq!(ok(&["!@mysql"]), "lb-01 web-02");
        assert_eq!(ok(&["!db-01", "@mysql"]), "web-01", "an exclusion counts wherever it stands");
        assert_eq!(ok(&["@*"]), "lb-01 web-01 web-02 db-01");
    }

    #[test]
    fn what_matches_nothing_is_an_error_that_says_what_there_is() {
        let known = "; hosts: lb-01, web-01, web-02, db-01; roles: @app, @haproxy, @mysql, @nginx";
        let err = |patterns: &[&str]| run(patterns).unwrap_err();
        assert_eq!(err(&["mail-01x"]), format!("--limit mail-01x matches nothing{known}"));
        assert_eq!(err(&["web01"]), format!("--limit web01 matches nothing, did you mean web-01?{known}"));
        assert_eq!(err(&["!@ngnix"]), format!("--limit !@ngnix matches nothing, did you mean @nginx?{known}"));
        assert_eq!(err(&["nginx"]), format!("--limit nginx matches nothing, did you mean @nginx?{known}"));
        assert_eq!(err(&["web-*", "zzz*"]), format!("--limit zzz* matches nothing{known}"));
        assert_eq!(
            err(&["web-01", "!web-*"]),
            "--limit web-01,!web-* leaves no host: everything it names is excluded again"
        );
    }

    #[test]
    fn bad_patterns_are_refused() {
        for bad in ["", "!", "@", "!@", "a b", "a;b", "web-[0-9]", "a/b", "!!a", "\u{1b}[2J"] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn globs_fit_the_whole_name() {
        for (glob, name, fits) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbcd", false),
            ("*b*", "abc", true),
            ("**", "x", true),
            ("a?c", "ac", false),
            ("web", "web-01", false),
            ("*-*-1", "a-b-1-1", true),
        ] {
            assert_eq!(matches(glob, name), fits, "{glob} {name}");
        }
    }
}

//! How the checks ask a database server: root through its socket, others through the network by verified TLS. What is asked,
//! and what the answers mean, stands in the checks.

use super::dialect;
use crate::{
    base::{name::HostName, script::Script},
    component::{
        Answer,
        names::{CHECKER, DATABASE_TLS},
        site::Site,
        spec::Mysql,
    },
};

pub(super) const NAME: &str = "mysql";

/// Root's client, and one of the checks' own account that `login` opens for; neither shows a password to anyone.
pub(super) fn opened(mysql: &Mysql) -> Script {
    opened_as(mysql, CHECKER)
}

/// The same with another account in its place.
pub(super) fn opened_as(mysql: &Mysql, (user, secret): (&str, &str)) -> Script {
    Script::new()
        .line("scratch=$(mktemp -d) || exit 74; trap 'rm -rf \"$scratch\"' EXIT")
        .line(format!(
            "{{ printf '[client]\\nuser={user}\\npassword='; cat /var/lib/foobar/secrets/{secret}; echo; }} >\"$scratch/login\" || exit 74"
        ))
        .line(format!("root() {{ {} -e \"$1\" 2>&1; }}", dialect(mysql).client()))
}

/// A shell function `name` that asks `host` through the network by the account of the checks. A server whose disk is full
/// answers, and lets whoever writes wait (domain notes, "binlog disk full"): it is given eight seconds, and ends with 124.
pub(super) fn through(site: &Site, mysql: &Mysql, name: &str, host: &HostName, options: &str) -> String {
    let (program, address) = (dialect(mysql).program(), site.address(host));
    format!(
        "{name}() {{ timeout 8 {program} --defaults-file=\"$scratch/login\" --host={address} --connect-timeout=5 {options} -N -B -e \"$1\" 2>&1; }}"
    )
}

pub(super) fn verified(mysql: &Mysql) -> String {
    dialect(mysql).verified(&format!("{DATABASE_TLS}/ca.crt"))
}

/// The first line that says what went wrong, for people.
pub(super) fn complaint(answer: &Answer) -> String {
    let lines = || answer.stdout.lines().filter(|l| !l.is_empty());
    lines().find(|l| l.contains("ERROR")).or_else(|| lines().next()).unwrap_or("no answer").to_owned()
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::testing;

    #[test]
    fn what_went_wrong_is_told_before_what_went_well() {
        let said = |stdout: &str| complaint(&Answer { status: 1, stdout: stdout.into(), ..Answer::default() });
        assert_eq!(said("1\n\nERROR 2013 (HY000): Lost connection\nERROR 1\n"), "ERROR 2013 (HY000): Lost connection");
        assert_eq!(
            (said("\nsh: mariadb: not found\n"), said("\n")),
            ("sh: mariadb: not found".into(), "no answer".into())
        );
    }

    #[test]
    fn nobody_waits_for_long_and_no_password_is_an_argument() {
        let site = testing::site(testing::topology());
        let mysql = site.topology.mysql.as_ref().unwrap();
        let ask = through(&site, mysql, "visit", &"web-01".parse().unwrap(), &verified(mysql));
        for part in ["visit() { timeout 8 ", " --defaults-file=\"$scratch/login\" ", " --connect-timeout=5 ", "/ca.crt"]
        {
            assert!(ask.contains(part), "{part}: {ask}");
        }
        let open = opened_as(mysql, ("app_ro", "db-app-ro"));
        assert!(
            open.text().contains("user=app_ro\\n") && open.text().contains("cat /var/lib/foobar/secrets/db-app-ro;")
        );
    }
}

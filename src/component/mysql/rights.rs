//! What proves that the account that reads writes nothing, and that a replica may be away as long as the servers are set to
//! wait for it. What is tried names a table that nobody has: no row is written whatever the answer.

use super::asking::{NAME, complaint, opened, opened_as, through, verified};
use crate::{
    base::{name::HostName, script::quote},
    component::{Answer, Check, Verdict, names::APP_RO, site::Site, spec::Mysql},
};

/// Seconds for which each server keeps what its replicas have not heard yet, as the templates set it: a week.
const KEPT: u64 = 7 * 86_400;

/// Whether an account may is looked at before whether there is such a table: without the right, the servers refuse with 1142.
/// It is asked of the primary, since a replica refuses everybody.
pub(super) fn reader(site: &Site, mysql: &Mysql, host: &HostName) -> Check {
    let table = format!("`{}`.`foobar_verify_nothing`", mysql.database);
    let mut script =
        opened_as(mysql, APP_RO).line(through(site, mysql, "visit", host, &verified(mysql))).line("visit 'SELECT 1'");
    for write in
        [format!("INSERT INTO {table} VALUES (1)"), format!("UPDATE {table} SET a=1"), format!("DELETE FROM {table}")]
    {
        script = script.line(format!("visit {}", quote(&write)));
    }
    Check::new(NAME, host, format!("{} reads, and is refused when it writes", APP_RO.0), script, judge_reader)
}

fn judge_reader(answer: &Answer) -> Verdict {
    let mut lines = answer.stdout.lines().filter(|l| !l.is_empty());
    if lines.next() != Some("1") {
        return Verdict::Error(complaint(answer));
    }
    let tried = ["INSERT", "UPDATE", "DELETE"];
    let said: Vec<&str> = lines.filter(|l| l.contains("ERROR")).collect();
    let may: Vec<&str> = tried
        .into_iter()
        .filter(|word| !said.iter().any(|l| l.contains("ERROR 1142") && l.contains(&format!("{word} command denied"))))
        .collect();
    match may[..] {
        [] => Verdict::Pass(format!("{} are denied", tried.join(", "))),
        // Of what was not refused for want of the right, the server says that there is no such table.
        _ if said.iter().any(|l| l.contains("ERROR 1146")) => Verdict::Fail(format!(
            "it may {}; `foobar plan` shows the rights that it has beside its own",
            may.join(", ")
        )),
        _ => Verdict::Error(complaint(answer)),
    }
}

/// A replica that was away for longer than that finds no more what it missed, and has to be filled anew.
pub(super) fn kept(mysql: &Mysql, host: &HostName) -> Check {
    let script = opened(mysql).line("root 'SELECT CONCAT(\"kept \", @@GLOBAL.binlog_expire_logs_seconds)'");
    let title = format!("a replica may be away for {} days", KEPT / 86_400);
    Check::new(NAME, host, title, script, judge_kept)
}

fn judge_kept(answer: &Answer) -> Verdict {
    match answer.stdout.lines().find_map(|l| l.strip_prefix("kept ")).and_then(|n| n.trim().parse::<u64>().ok()) {
        Some(0) => Verdict::Pass("nothing that replicas need is ever thrown away".into()),
        Some(seconds) if seconds >= KEPT => Verdict::Pass(format!("{seconds} s of its log are kept")),
        Some(seconds) => {
            Verdict::Fail(format!("{seconds} s of its log are kept, and {KEPT} are wanted; `foobar apply` sets them"))
        }
        None => Verdict::Error(complaint(answer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(stdout: &str) -> Answer {
        Answer { status: 0, stdout: stdout.into(), ..Answer::default() }
    }

    #[test]
    fn what_the_reading_account_may_is_told_from_how_it_is_refused() {
        let denied = |word: &str| {
            format!("ERROR 1142 (42000) at line 1: {word} command denied to user 'app_ro'@'web-01' for table `f`.`n`\n")
        };
        let missing = "ERROR 1146 (42S02) at line 1: Table 'foobar.foobar_verify_nothing' doesn't exist\n";
        let all = denied("INSERT") + &denied("UPDATE") + &denied("DELETE");
        assert_eq!(
            judge_reader(&said(&format!("1\n{all}"))),
            Verdict::Pass("INSERT, UPDATE, DELETE are denied".into())
        );
        let insert = format!("1\n{missing}{}{}", denied("UPDATE"), denied("DELETE"));
        assert!(matches!(judge_reader(&said(&insert)), Verdict::Fail(said) if said.starts_with("it may INSERT;")));
        let every = format!("1\n{missing}{missing}{missing}");
        assert!(matches!(judge_reader(&said(&every)), Verdict::Fail(said) if said.contains("INSERT, UPDATE, DELETE")));
        for none in [
            "",
            "ERROR 1045 (28000): Access denied for user 'app_ro'\n",
            "1\n",
            "1\nERROR 2013 (HY000): Lost connection\n",
        ] {
            assert!(matches!(judge_reader(&said(none)), Verdict::Error(_)), "{none}");
        }
    }

    #[test]
    fn a_log_that_is_kept_too_short_is_told() {
        assert!(matches!(judge_kept(&said("kept 604800\n")), Verdict::Pass(_)));
        assert!(matches!(judge_kept(&said("kept 0\n")), Verdict::Pass(_)));
        assert!(matches!(judge_kept(&said("kept 86400\n")), Verdict::Fail(said) if said.starts_with("86400 s")));
        assert!(matches!(judge_kept(&said("ERROR 2002 (HY000): no server\n")), Verdict::Error(_)));
    }
}

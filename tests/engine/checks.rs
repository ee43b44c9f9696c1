//! Checks: all of a host's in one exec; those that are judged together, and those that go by the clock.

use super::*;
use foobar::{
    component::{Answer, Check, Verdict},
    engine::verify::verify,
};
use std::time::{SystemTime, UNIX_EPOCH};

fn check(host: &str, title: &str, script: &str) -> Check {
    let said = |answer: &Answer| Verdict::Pass(answer.stdout.trim().to_owned());
    Check::new("test", &host.parse().unwrap(), title, Script::raw(script), said)
}

/// A check that tells what each host said that answered.
fn shared(host: &str, script: &str) -> Check {
    Check::together("test", &host.parse().unwrap(), "shared", Script::raw(script), |host, all| {
        let told = all.iter().map(|(host, answer)| format!("{host} {}", answer.stdout.trim())).collect::<Vec<_>>();
        Verdict::Pass(format!("{host}: {}", told.join(", ")))
    })
}

#[tokio::test]
async fn what_is_judged_together_hears_whoever_answers() {
    let hosts = Directories::new("together");
    std::fs::write(hosts.root.join("log.gone-c"), "").unwrap();
    let checks = [
        shared("a", "echo 1"),
        check("a", "alone", "echo x"),
        shared("b", "echo 2"),
        shared("c", "echo 3"),
        shared("d", "kill -KILL $$"),
        check("a", "shared by name with another", "echo 5"),
    ];
    let heard = Heard::default();
    let outcome = verify(&hosts, &checks, &Events::new(heard.clone())).await;
    let pass = |text: &str| Verdict::Pass(text.into());
    assert_eq!(outcome.verdicts[0], pass("a: a 1, b 2"));
    assert_eq!(outcome.verdicts[1], pass("x"));
    assert_eq!(outcome.verdicts[2], pass("b: a 1, b 2"));
    assert_eq!(outcome.verdicts[3], Verdict::Error("timed out".into()));
    assert!(matches!(&outcome.verdicts[4], Verdict::Error(said) if said.contains("without an answer")));
    assert_eq!((outcome.verdicts[5].clone(), outcome.errors.len()), (pass("5"), 1));
    let told = heard.0.lock().unwrap().iter().filter(|e| e.starts_with("Checked")).count();
    assert_eq!(told, checks.len(), "each is told once");
}

#[tokio::test]
async fn what_goes_by_the_clock_is_asked_by_itself_behind_the_others() {
    let hosts = Directories::new("timed");
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let began = i64::try_from(clock()).unwrap();
    let note = |word: &str| format!("echo {word} >>{}/log", hosts.root.display());
    let timed = Check::new("test", &"a".parse().unwrap(), "timed", Script::raw(note("timed")), move |answer| {
        let (asked, heard) = answer.between.unwrap();
        Verdict::when(began <= asked && asked <= heard && answer.status == 0, format!("{asked} {heard}"))
    });
    let slow = check("a", "slow", &format!("sleep 0.2; {}", note("slow")));
    let checks = [timed.timed(), slow, check("b", "other", "echo b")];
    let outcome = verify(&hosts, &checks, &Events::new(Heard::default())).await;
    assert!(outcome.verdicts.iter().all(|v| matches!(v, Verdict::Pass(_))), "{:?}", outcome.verdicts);
    assert_eq!(hosts.log(), "slow\ntimed\n");
    assert_eq!(hosts.execs.load(Ordering::Relaxed), 3, "one a host, and one more for the clock");
}

#[tokio::test]
async fn what_this_machine_tries_for_a_check_is_told_to_that_one_alone() {
    let hosts = Directories::new("tries");
    let to: std::net::SocketAddr = "10.77.0.11:443".parse().unwrap();
    let met = |title: &str| {
        Check::new("test", &"a".parse().unwrap(), title, Script::raw("echo x"), move |answer| {
            Verdict::Pass(format!("{} {:?}", answer.stdout.trim(), answer.reached.get(&to)))
        })
    };
    let tries = vec![Try { to, within: Duration::from_secs(10) }];
    let outcome = verify(&hosts, &[met("tried").trying(tries), met("not tried")], &Events::new(Heard::default())).await;
    assert_eq!(outcome.verdicts, [Verdict::Pass("x Some(Open)".into()), Verdict::Pass("x None".into())]);
}

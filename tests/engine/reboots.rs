//! Steps that take their own host down. A host's boot, and what its systemd would say of it, are files in its directory
//! (see `sh`): a step that writes another boot there has rebooted it.

use super::*;

const WITHIN: Duration = Duration::from_secs(20);

/// A plan whose step `at` is a reboot.
fn reboots(steps: &[(&str, &str, &[usize])], at: usize, within: Duration) -> Plan {
    let mut plan = plan(steps);
    plan.steps[at].change.reboot = Some(within);
    plan
}

/// A host that is up in boot `one`.
fn up(name: &str) -> Directories {
    let hosts = Directories::new(name);
    for host in ["a", "b"] {
        std::fs::create_dir_all(hosts.root.join(host)).unwrap();
        boot(&hosts, host, "one", "running");
    }
    hosts
}

fn boot(hosts: &Directories, host: &str, boot: &str, state: &str) {
    let home = hosts.root.join(host);
    std::fs::write(home.join("systemd"), format!("{state}\n")).unwrap();
    std::fs::write(home.join("boot_id"), format!("{boot}\n")).unwrap();
}

/// What the reboot of `a` is in these tests: the next boot is there some time later, as nobody waits for it.
const REBOOT: &str = "echo down >>LOG; { sleep 0.3; echo two >HOME/boot_id; } >/dev/null 2>&1 &";

async fn until_log(hosts: &Directories, text: &str) {
    while !hosts.log().contains(text) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_host_comes_back_and_the_run_goes_on_there() {
    let hosts = up("reboot");
    let steps: &[(&str, &str, &[usize])] = &[
        ("a", "echo a0 >>LOG", &[]),
        ("a", REBOOT, &[0]),
        ("a", "echo in $(cat HOME/boot_id) >>LOG", &[1]),
        ("b", "echo b3 >>LOG", &[1]),
        ("a", "echo a4 >>LOG", &[]),
    ];
    let plan = reboots(steps, 1, WITHIN);
    let (outcome, _) = run(&hosts, &plan).await;
    assert!(outcome.is_success(), "{outcome:?}");
    assert_eq!(outcome.done.len(), 5);
    let log = hosts.log();
    let at = |line: &str| log.lines().position(|l| l == line).unwrap_or_else(|| panic!("{line:?} is not in {log}"));
    assert!(at("a0") < at("down") && at("down") < at("in two") && at("down") < at("b3"), "{log}");
    let newest = &history(&hosts, "a").await[0];
    assert_eq!((newest.outcome, newest.changes.len()), (End::Done, 4));
    assert!(newest.changes.iter().all(|c| c.outcome == StepEnd::Done), "{:?}", newest.changes);
    assert_eq!(*hosts.forgotten.lock().unwrap(), ["a"], "no connection of the former boot is used");
}

#[tokio::test]
async fn a_connection_that_breaks_as_the_host_goes_down_is_no_failure() {
    for breaks in ["kill -9 $$; sleep 1", "kill -TERM $$; sleep 1", "exit 143"] {
        let hosts = up("reboot-breaks");
        hosts.breaks.store(true, Ordering::Relaxed);
        let script = format!("{REBOOT}\n{breaks}");
        let plan = reboots(&[("a", &script, &[]), ("a", "echo after >>LOG", &[0])], 0, WITHIN);
        let (outcome, _) = run(&hosts, &plan).await;
        assert!(outcome.is_success(), "{breaks}: {outcome:?}");
        assert_eq!(hosts.log(), "down\nafter\n", "{breaks}");
    }
}

#[tokio::test]
async fn a_host_that_never_comes_back_fails_its_step_and_nothing_more_is_begun() {
    let hosts = up("reboot-never");
    let steps: &[(&str, &str, &[usize])] =
        &[("a", "echo down >>LOG", &[]), ("b", "echo back >>LOG", &[0]), ("b", "echo never >>LOG", &[0])];
    let mut plan = reboots(steps, 0, Duration::from_secs(2));
    plan.steps[1].change.is_closing = true;
    let (outcome, _) = run(&hosts, &plan).await;
    let (id, why) = &outcome.failed[0];
    assert_eq!((*id, outcome.failed.len()), (0, 1));
    assert!(why.starts_with("it did not come back within 2 s: it is still in the boot that was to end\n"), "{why}");
    assert!(why.contains("what was taken out for it stays out"), "{why}");
    assert_eq!((outcome.skipped, hosts.log()), (vec![(1, Some(0)), (2, Some(0))], "down\n".to_owned()));
    assert_eq!(history(&hosts, "b").await[0].outcome, End::Failed);

    // One that is not even to be reached, with the last that was heard of it.
    let mut hosts = up("reboot-silent");
    hosts.fresh = Err(());
    let (outcome, _) = run(&hosts, &plan).await;
    assert!(outcome.failed[0].1.contains("within 2 s: timed out"), "{outcome:?}");

    // One whose boot does not end.
    let hosts = up("reboot-stuck");
    let starting = "echo down >>LOG; echo starting >HOME/systemd; echo two >HOME/boot_id";
    let plan = reboots(&[("a", starting, &[])], 0, Duration::from_secs(2));
    let (outcome, _) = run(&hosts, &plan).await;
    assert!(outcome.failed[0].1.contains("systemd says that it is starting"), "{outcome:?}");
}

#[tokio::test]
async fn a_reboot_that_is_refused_is_a_failed_step() {
    let hosts = up("reboot-refused");
    let plan = reboots(&[("a", "echo 'held by dpkg' >&2; exit 1", &[]), ("a", "echo never >>LOG", &[0])], 0, WITHIN);
    let (outcome, _) = run(&hosts, &plan).await;
    assert_eq!(outcome.failed, [(0, "held by dpkg".to_owned())]);
    assert_eq!(outcome.skipped, [(1, Some(0))]);
}

#[tokio::test]
async fn units_that_failed_at_boot_are_told() {
    let hosts = up("reboot-degraded");
    let degraded = "echo down >>LOG; echo degraded >HOME/systemd; echo two >HOME/boot_id";
    let plan = reboots(&[("a", degraded, &[])], 0, WITHIN);
    let (outcome, heard) = run(&hosts, &plan).await;
    assert!(outcome.is_success(), "{outcome:?}");
    let heard = heard.0.lock().unwrap().join("\n");
    assert!(heard.contains("it is up again, and these units failed: some.service, other.service"), "{heard}");
}

#[tokio::test]
async fn a_lease_of_the_former_boot_is_taken_again_at_once() {
    let hosts = up("reboot-lease");
    // Nothing more is begun on the host until the test has looked.
    let steps: &[(&str, &str, &[usize])] = &[
        ("a", REBOOT, &[]),
        ("b", "echo b1 >>LOG; while [ ! -e LOG.go ]; do sleep 0.02; done", &[0]),
        ("a", "echo a2 >>LOG", &[1]),
    ];
    let plan = reboots(steps, 0, WITHIN);
    let leases = leases("alice", &plan.hosts, 60);
    leases.take(&hosts, Duration::ZERO, &Events::new(Heard::default())).await.unwrap();
    let looks = async {
        until_log(&hosts, "b1").await;
        let lease = shown(&hosts, "a").await;
        std::fs::write(hosts.root.join("log.go"), "").unwrap();
        assert_eq!((lease.run.as_str(), lease.is_live()), ("alice", true), "{lease:?}");
    };
    let ((outcome, _), ()) = tokio::join!(carry_out(&hosts, &plan, &leases), looks);
    assert!(outcome.is_success(), "{outcome:?}");
    leases.release(&hosts).await;
    assert!(!shown(&hosts, "a").await.is_held());
}

#[tokio::test]
async fn a_host_that_is_another_runs_when_it_is_back_is_left_to_it() {
    let hosts = up("reboot-taken");
    // Somebody is quicker than the run: the lease of the new boot is there before it can be looked at.
    let taken = "echo down >>LOG; echo two >HOME/boot_id
        printf '%s\n' bob two 999999999 now bob@desk 'foobar apply' 1 here 'step 1' >/var/lib/foobar/lease";
    let plan =
        reboots(&[("a", taken, &[]), ("b", "echo never >>LOG", &[0]), ("a", "echo never >>LOG", &[0])], 0, WITHIN);
    let mine = leases("alice", &plan.hosts, 60);
    mine.take(&hosts, Duration::ZERO, &Events::new(Heard::default())).await.unwrap();
    let (outcome, _) = carry_out(&hosts, &plan, &mine).await;
    let held: Vec<&str> = outcome.locked.iter().map(|(_, lease)| lease.run.as_str()).collect();
    assert_eq!((held, outcome.done.len(), outcome.failed.len()), (vec!["bob"], 0, 0), "{outcome:?}");
    assert_eq!((outcome.skipped, hosts.log()), (vec![(1, None), (2, None)], "down\n".to_owned()));
    mine.release(&hosts).await;
    assert_eq!(shown(&hosts, "a").await.run, "bob", "what is another's is not given back");
    assert!(!shown(&hosts, "b").await.is_held());
}

#[tokio::test]
async fn leases_are_kept_while_a_host_is_away() {
    let hosts = up("reboot-kept");
    let names: Vec<HostName> = ["a", "b"].map(|n| n.parse().unwrap()).to_vec();
    let mine = leases("alice", &names, 3);
    mine.take(&hosts, Duration::ZERO, &Events::new(Heard::default())).await.unwrap();
    mine.is_at_work();
    mine.leave(&names[0]);
    let looks = async {
        while shown(&hosts, "a").await.is_live() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(shown(&hosts, "b").await.is_live(), "b is renewed while a is away");
        mine.regain(&names[0]);
        while !shown(&hosts, "a").await.is_live() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        lost = mine.keep(&hosts) => panic!("{lost:?}"),
        seen = tokio::time::timeout(Duration::from_secs(60), looks) => seen.expect("a is renewed while it is away"),
    }
}

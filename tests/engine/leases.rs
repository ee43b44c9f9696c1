//! Leases and journals on hosts that are directories: who gets a host, for how long, and what a run leaves of itself.

use super::*;

/// Waits for what another task brings about.
async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn quiet() -> Events {
    Events::new(Heard::default())
}

#[tokio::test]
async fn of_two_runs_that_want_the_same_hosts_one_gets_them_all_and_the_other_is_told_who_it_is() {
    let hosts = Directories::new("pairs");
    let names: Vec<HostName> = ["a", "b", "c"].map(|n| n.parse().unwrap()).to_vec();
    let backwards: Vec<HostName> = names.iter().rev().cloned().collect();
    for round in 0..10 {
        let (one, other) = (leases("one", &names, 60), leases("other", &backwards, 60));
        let events = quiet();
        let (first, second) =
            tokio::join!(one.take(&hosts, Duration::ZERO, &events), other.take(&hosts, Duration::ZERO, &events));
        let (won, blocked, loser) = match (first, second) {
            (Ok(()), Err(blocked)) => (&one, blocked, &other),
            (Err(blocked), Ok(())) => (&other, blocked, &one),
            both => panic!("round {round}: {both:?}"),
        };
        assert!(blocked.errors.is_empty());
        let (host, held) = &blocked.held[0];
        assert_eq!((host.as_str(), &held.holder), ("a", &won.claim().holder), "the first by name decides");
        assert_eq!(held.progress, "reading the hosts");
        loser.release(&hosts).await;
        for host in ["a", "b", "c"] {
            assert_eq!(shown(&hosts, host).await.run, won.claim().run, "what is another's is not given back");
        }
        won.release(&hosts).await;
        assert!(!shown(&hosts, "b").await.is_held());
    }
}

#[tokio::test]
async fn who_finds_one_host_taken_gives_back_all_and_gets_them_once_they_are_free() {
    let hosts = Directories::new("patience");
    let names: Vec<HostName> = ["a", "b"].map(|n| n.parse().unwrap()).to_vec();
    let (one, both) = (leases("one", &names[1..], 60), leases("both", &names, 60));
    one.take(&hosts, Duration::ZERO, &quiet()).await.unwrap();
    let blocked = both.take(&hosts, Duration::ZERO, &quiet()).await.unwrap_err();
    assert_eq!(blocked.held[0].0.as_str(), "b");
    assert!(!shown(&hosts, "a").await.is_held(), "it keeps a while it cannot have b");

    let heard = Heard::default();
    let events = Events::new(heard.clone());
    let frees = async {
        until(|| heard.0.lock().unwrap().iter().any(|e| e.contains("waiting for another run: one@desk"))).await;
        one.release(&hosts).await;
    };
    let (taken, ()) = tokio::join!(both.take(&hosts, Duration::from_secs(60), &events), frees);
    taken.unwrap();
    assert_eq!(shown(&hosts, "b").await.run, "both");
}

#[tokio::test]
async fn a_lease_that_nobody_renews_ends_and_its_run_begins_nothing_more() {
    let hosts = Directories::new("expiry");
    let plan = plan(&[("a", "echo never >>LOG", &[])]);
    let (late, next) = (leases("late", &plan.hosts, 1), leases("next", &plan.hosts, 60));
    late.take(&hosts, Duration::ZERO, &quiet()).await.unwrap();
    next.take(&hosts, Duration::from_secs(30), &quiet()).await.unwrap();
    let (outcome, _) = carry_out(&hosts, &plan, &late).await;
    assert_eq!(outcome.locked.iter().map(|(_, l)| l.run.as_str()).collect::<Vec<_>>(), ["next"]);
    assert_eq!((outcome.skipped, hosts.log()), (vec![(0, None)], String::new()));
    // One that came to nothing, with nobody there since, is still the run's own.
    next.release(&hosts).await;
    late.take(&hosts, Duration::ZERO, &quiet()).await.unwrap();
    while shown(&hosts, "a").await.is_live() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(carry_out(&hosts, &plan, &late).await.0.is_success());
}

#[tokio::test]
async fn a_lease_is_renewed_for_as_long_as_it_is_kept() {
    let hosts = Directories::new("kept");
    let names: Vec<HostName> = vec!["a".parse().unwrap()];
    let (one, other) = (leases("one", &names, 2), leases("other", &names, 2));
    one.take(&hosts, Duration::ZERO, &quiet()).await.unwrap();
    let events = quiet();
    tokio::select! {
        lost = one.keep(&hosts) => panic!("{lost:?}"),
        other = other.take(&hosts, Duration::from_secs(5), &events) => assert!(other.is_err(), "it was not renewed"),
    }
}

#[tokio::test]
async fn a_lease_that_was_taken_away_stops_its_run() {
    let hosts = Directories::new("break");
    let plan =
        plan(&[("a", "echo a0 >>LOG; while [ ! -e LOG.go ]; do sleep 0.02; done", &[]), ("b", "echo b1 >>LOG", &[0])]);
    let leases = leases("alice", &plan.hosts, 60);
    leases.take(&hosts, Duration::ZERO, &quiet()).await.unwrap();
    let breaks = async {
        until(|| hosts.log().contains("a0")).await;
        // While a command is at work there it is not to be had.
        let refused = hosts.run(&"a".parse().unwrap(), &lease::take_away("alice"), &|_| {}).await.unwrap();
        let held = Lease::read(&refused.stdout).unwrap();
        assert_eq!((refused.status, held.is_busy, held.progress.as_str()), (lease::HELD, true, "step 1 of 2: step 0"));
        let wrong = hosts.run(&"b".parse().unwrap(), &lease::take_away("bob"), &|_| {}).await.unwrap();
        assert_eq!(wrong.status, lease::HELD);
        let gone = hosts.run(&"b".parse().unwrap(), &lease::take_away("alice"), &|_| {}).await.unwrap();
        assert_eq!(gone.status, 0);
        std::fs::write(hosts.root.join("log.go"), "").unwrap();
    };
    let ((outcome, _), ()) = tokio::join!(carry_out(&hosts, &plan, &leases), breaks);
    assert_eq!((outcome.done, outcome.skipped), (vec![0], vec![(1, None)]));
    assert_eq!(outcome.locked, [("b".parse().unwrap(), Lease::default())]);
    assert_eq!(hosts.log(), "a0\n");
}

#[tokio::test]
async fn the_lock_outlives_a_killed_run_and_its_shell_until_its_command_has_ended() {
    let hosts = Directories::new("orphan");
    // The step ends the shell of its batch, and works on.
    let plan =
        plan(&[("a", "kill -9 $$; echo on >>LOG; while [ ! -e LOG.go ]; do sleep 0.02; done; echo ended >>LOG", &[])]);
    let (dead, next) = (leases("dead", &plan.hosts, 60), leases("next", &plan.hosts, 60));
    dead.take(&hosts, Duration::ZERO, &quiet()).await.unwrap();
    let (_, ()) = tokio::join!(carry_out(&hosts, &plan, &dead), async {
        until(|| hosts.log().contains("on")).await;
        // Its holder is known to be dead; its command is not.
        let blocked = next.take(&hosts, Duration::ZERO, &quiet()).await.unwrap_err();
        assert!(blocked.held[0].1.is_busy, "{blocked:?}");
        std::fs::write(hosts.root.join("log.go"), "").unwrap();
        next.take(&hosts, Duration::from_secs(30), &quiet()).await.unwrap();
    });
    assert_eq!(hosts.log(), "on\nended\n");
    let lease = shown(&hosts, "a").await;
    assert_eq!((lease.run.as_str(), lease.is_busy), ("next", false));
}

#[tokio::test]
async fn an_apply_is_one_generation_on_all_its_hosts_with_one_number_and_old_ones_go() {
    let hosts = Directories::new("generations");
    let mut plan =
        plan(&[("a", "echo \"kept in $FOOBAR_BEFORE\"; echo x >\"$FOOBAR_BEFORE/x\"", &[]), ("b", "true", &[0])]);
    plan.hosts.push("c".parse().unwrap());
    for number in 1..=5 {
        let (outcome, _) = run(&hosts, &plan).await;
        assert!(outcome.is_success(), "{outcome:?}");
        for (host, steps) in [("a", 1), ("b", 1), ("c", 0)] {
            let newest = &history(&hosts, host).await[0];
            assert_eq!((newest.number, newest.steps, newest.outcome), (number, steps, End::Done), "{host}");
            assert_eq!((newest.who.as_str(), newest.topology.as_str()), ("alice@desk", "d1g"));
            assert_eq!(newest.changes.len(), steps);
            assert!(newest.changes.iter().all(|c| c.outcome == StepEnd::Done && c.sign == "~"));
        }
    }
    let kept: Vec<u64> = history(&hosts, "a").await.iter().map(|g| g.number).collect();
    assert_eq!(kept, [5, 4, 3]);
    let newest = hosts.root.join("a/state/generations/5");
    assert_eq!(std::fs::read(newest.join("sources")).unwrap(), b"\0src");
    assert_eq!(std::fs::read_to_string(newest.join("before/x")).unwrap(), "x\n");
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&newest.join("sources")), mode(&newest)), (0o600, 0o700));
    assert!(journal::cut_off(&observed(&hosts, &plan).await, |_| false).is_empty());
}

#[tokio::test]
async fn a_failure_is_in_the_journal_of_every_host() {
    let hosts = Directories::new("journal-failure");
    let plan = plan(&[("a", "true", &[]), ("a", "false", &[0]), ("b", "true", &[1])]);
    run(&hosts, &plan).await;
    let (a, b) = (history(&hosts, "a").await, history(&hosts, "b").await);
    let ends: Vec<StepEnd> = a[0].changes.iter().map(|c| c.outcome).collect();
    assert_eq!((ends, a[0].outcome), (vec![StepEnd::Done, StepEnd::Failed], End::Failed));
    assert_eq!((b[0].changes.len(), b[0].steps, b[0].outcome), (0, 1, End::Failed));
}

#[tokio::test]
async fn a_run_that_was_cut_off_is_told_until_another_one_has_ended() {
    let hosts = Directories::new("cut-off");
    let plan = plan(&[
        ("a", "true", &[]),
        ("a", "kill -9 $$; echo on >>LOG; while [ ! -e LOG.go ]; do sleep 0.02; done", &[0]),
        ("a", "true", &[1]),
    ]);
    let leases = leases("gone", &plan.hosts, 60);
    leases.take(&hosts, Duration::ZERO, &quiet()).await.unwrap();
    let looks = async {
        until(|| hosts.log().contains("on")).await;
        // While its lease is live it may be at work.
        let open = journal::cut_off(&observed(&hosts, &plan).await, |_| false);
        let dead =
            journal::cut_off(&observed(&hosts, &plan).await, |lease| (lease.pid, lease.seat.as_str()) == (1, "here"))
                .len();
        let running = history(&hosts, "a").await[0].outcome;
        hosts.run(&"a".parse().unwrap(), &Script::raw("rm /var/lib/foobar/lease"), &|_| {}).await.unwrap();
        let seen = observed(&hosts, &plan).await;
        std::fs::write(hosts.root.join("log.go"), "").unwrap();
        assert_eq!((open, running), (vec![], End::Running));
        assert_eq!(dead, 1, "its holder is known to be gone");
        seen
    };
    let (_, seen) = tokio::join!(carry_out(&hosts, &plan, &leases), looks);
    let cut = journal::cut_off(&seen, |_| false);
    let notes = journal::notes(&cut, true);
    assert!(
        notes.len() == 1
            && notes[0].starts_with("a: an apply by gone@desk on 2")
            && notes[0].ends_with("was cut off during \"step 1\" (1 of 3 done); this plan goes on from there"),
        "{notes:?}"
    );
    assert_eq!((cut[0].generation, journal::next(&seen)), (1, 2));
    // Nothing was left to do.
    let next = self::leases("next", &plan.hosts, 60);
    next.take(&hosts, Duration::from_secs(30), &quiet()).await.unwrap();
    next.at_the_end(journal::settle(1, "gone"));
    next.release(&hosts).await;
    assert!(journal::cut_off(&observed(&hosts, &plan).await, |_| false).is_empty());
    assert_eq!(history(&hosts, "a").await[0].outcome, End::CutOff);
}

#[tokio::test]
async fn a_journal_that_was_cut_off_anywhere_can_be_read() {
    let hosts = Directories::new("torn");
    let plan = plan(&[("a", "true", &[]), ("a", "true", &[0])]);
    run(&hosts, &plan).await;
    let path = hosts.root.join("a/state/generations/1/changes");
    let whole = std::fs::read(&path).unwrap();
    let mut last = 0;
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let known = history(&hosts, "a").await[0].changes.len();
        assert!(known >= last && known <= 2, "cut at {cut}");
        last = known;
        let cut_off = journal::cut_off(&observed(&hosts, &plan).await, |_| false);
        assert_eq!((cut_off.len(), cut_off[0].steps), (1, 2), "cut at {cut}");
    }
    assert_eq!(last, 2);
}

#[tokio::test]
async fn what_undid_itself_is_no_success_in_the_journal() {
    let mut hosts = Directories::new("undone");
    let mut plan = plan(&[("a", "true", &[]), ("b", "true", &[])]);
    plan.steps[0].change.confirm = Some(Script::raw("true"));
    hosts.fresh = Err(());
    run(&hosts, &plan).await;
    let (a, b) = (history(&hosts, "a").await, history(&hosts, "b").await);
    assert_eq!((a[0].changes[0].outcome, b[0].changes[0].outcome), (StepEnd::Failed, StepEnd::Done));
    assert_eq!((a[0].outcome, b[0].outcome), (End::Failed, End::Failed));
}

//! The engine against hosts that are directories: every script really runs in sh, with foobar's own paths moved into a
//! directory per host. What only servers can show lives in the end-to-end tests.

use foobar::{
    base::{
        name::HostName,
        script::Script,
        secret::{Secret, Secrets},
    },
    engine::{
        apply::{Outcome, Run, apply},
        lease::Leases,
    },
    event::{Event, Events, Reporter},
    plan::{
        Plan, Step,
        journal::{self, End, Generation, StepEnd},
        lease::{self, Claim, Lease},
    },
    resource::{Action, Change, Observation, ResourceId},
    transport::{OnLine, Reply, Transport, TransportError, TransportErrorKind},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// Hosts that are directories.
struct Directories {
    root: PathBuf,
    execs: AtomicUsize,
    /// The script is cut off after so many bytes, as when a connection dies.
    cut: Option<usize>,
    fresh: Result<(), ()>,
    /// The directories belong to another one of these.
    is_guest: bool,
}

impl Directories {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("foobar-engine-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(&root).unwrap();
        Self { root, execs: AtomicUsize::new(0), cut: None, fresh: Ok(()), is_guest: false }
    }

    /// The same hosts over a connection that holds.
    fn without_cut(&self) -> Self {
        Self { root: self.root.clone(), execs: AtomicUsize::new(0), cut: None, fresh: Ok(()), is_guest: true }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.root.join("log")).unwrap_or_default()
    }
}

impl Drop for Directories {
    fn drop(&mut self) {
        if self.is_guest {
            return;
        }
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

async fn sh(root: &Path, host: &HostName, script: &Script, cut: Option<usize>, on_line: OnLine<'_>) -> Reply {
    let home = root.join(host.as_str());
    std::fs::create_dir_all(home.join("run")).unwrap();
    let text = script
        .text()
        .replace("/var/lib/foobar", home.join("state").to_str().unwrap())
        .replace("/run/foobar.", &format!("{}/run/foobar.", home.display()))
        .replace("LOG", root.join("log").to_str().unwrap());
    let text = &text[..cut.unwrap_or(text.len()).min(text.len())];
    let mut child = tokio::process::Command::new("sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let _ = stdin.write_all(text.as_bytes()).await;
    drop(stdin);
    let mut stdout = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        on_line(&line);
        stdout.push_str(&line);
        stdout.push('\n');
    }
    let status = child.wait().await.unwrap().code().unwrap_or(255);
    Reply { status, stdout: stdout.into_bytes(), stderr: String::new() }
}

impl Transport for Directories {
    async fn run(&self, host: &HostName, script: &Script, on_line: OnLine<'_>) -> Result<Reply, TransportError> {
        self.execs.fetch_add(1, Ordering::Relaxed);
        let reply = sh(&self.root, host, script, self.cut, on_line).await;
        match self.cut {
            None => Ok(reply),
            Some(_) => Err(TransportError {
                host: host.clone(),
                kind: TransportErrorKind::Lost,
                what: "cut off".into(),
                help: String::new(),
            }),
        }
    }

    async fn run_fresh(&self, host: &HostName, script: &Script) -> Result<Reply, TransportError> {
        match self.fresh {
            Ok(()) => Ok(sh(&self.root, host, script, None, &|_| {}).await),
            Err(()) => Err(TransportError {
                host: host.clone(),
                kind: TransportErrorKind::Unreachable,
                what: "timed out".into(),
                help: String::new(),
            }),
        }
    }
}

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Reporter for Heard {
    fn event(&mut self, event: &Event) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

fn plan(steps: &[(&str, &str, &[usize])]) -> Plan {
    let step = |(id, (host, script, after)): (usize, &(&str, &str, &[usize]))| Step {
        id,
        host: host.parse().unwrap(),
        resource: ResourceId::new("test", id.to_string()),
        change: Change::new(Action::Update, format!("step {id}"), Script::raw(*script)),
        after: after.to_vec(),
    };
    let mut hosts: Vec<HostName> = Vec::new();
    for (host, ..) in steps {
        let host = host.parse().unwrap();
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Plan {
        site: "www.example.com".parse().unwrap(),
        hosts,
        steps: steps.iter().enumerate().map(step).collect(),
        left_out: vec![],
    }
}

fn leases(run: &str, hosts: &[HostName], ttl: u32) -> Leases {
    let claim = Claim {
        run: run.into(),
        holder: format!("{run}@desk"),
        command: "foobar apply".into(),
        pid: 1,
        seat: "here".into(),
        ttl,
    };
    Leases::new(claim, hosts.iter().cloned(), |lease| lease.holder == "dead@desk")
}

/// What the hosts of a plan say of their generations.
async fn observed(hosts: &Directories, plan: &Plan) -> BTreeMap<HostName, Observation> {
    let script = foobar::plan::observe::script([]);
    let mut seen = BTreeMap::new();
    for host in &plan.hosts {
        let reply = sh(&hosts.root, host, &script, None, &|_| {}).await;
        seen.insert(host.clone(), foobar::plan::observe::parse(&reply.stdout).unwrap());
    }
    seen
}

async fn history(hosts: &Directories, host: &str) -> Vec<Generation> {
    let reply = sh(&hosts.root, &host.parse().unwrap(), &journal::history(10, None), None, &|_| {}).await;
    journal::read(&reply.stdout)
}

/// Carries a plan out under leases that are there already.
async fn carry_out(hosts: &Directories, plan: &Plan, leases: &Leases) -> (Outcome, Heard) {
    let heard = Heard::default();
    let mut secrets = Secrets::default();
    secrets.insert("pw", Secret::new("hunter2-hunter2"));
    let seen = observed(hosts, plan).await;
    let run =
        Run { leases, generation: journal::next(&seen), digest: "d1g".into(), sources: b"\0src".to_vec(), keep: 3 };
    let outcome = apply(hosts, plan, &secrets, run, &Events::new(heard.clone())).await;
    (outcome, heard)
}

async fn run(hosts: &Directories, plan: &Plan) -> (Outcome, Heard) {
    let leases = leases("alice", &plan.hosts, 60);
    let cut = hosts.without_cut();
    leases.take(&cut, Duration::ZERO, &Events::new(Heard::default())).await.unwrap();
    let execs = hosts.execs.load(Ordering::Relaxed);
    let ended = carry_out(hosts, plan, &leases).await;
    let execs = hosts.execs.load(Ordering::Relaxed) - execs;
    leases.release(&cut).await;
    hosts.execs.store(execs, Ordering::Relaxed);
    ended
}

async fn shown(hosts: &Directories, host: &str) -> Lease {
    let reply = hosts.run(&host.parse().unwrap(), &lease::show(), &|_| {}).await.unwrap();
    Lease::read(&reply.stdout).unwrap()
}

#[tokio::test]
async fn steps_wait_for_other_hosts_and_batches_are_as_few_as_the_graph_allows() {
    let hosts = Directories::new("order");
    let plan = plan(&[
        ("a", "sleep 0.1; echo a0 >>LOG", &[]),
        ("a", "echo a1 >>LOG", &[0]),
        ("b", "echo b2 >>LOG", &[]),
        ("b", "echo b3 >>LOG", &[1, 2]),
        ("a", "echo a4 >>LOG", &[3]),
    ]);
    let (outcome, _) = run(&hosts, &plan).await;
    assert!(outcome.is_success(), "{outcome:?}");
    let log: Vec<String> = hosts.log().lines().filter(|l| *l != "b2").map(str::to_owned).collect();
    assert_eq!(log, ["a0", "a1", "b3", "a4"]);
    assert_eq!(hosts.execs.load(Ordering::Relaxed), 4, "a: 0+1, b: 2, b: 3, a: 4");
}

#[tokio::test]
async fn a_failure_stops_what_is_behind_it_everywhere_and_names_itself_as_the_cause() {
    let hosts = Directories::new("failure");
    let plan = plan(&[
        ("a", "echo a0 >>LOG", &[]),
        ("a", "echo 'no such luck, hunter2-hunter2'; false; echo never >>LOG", &[0]),
        ("a", "echo never >>LOG", &[]),
        ("b", "echo never >>LOG", &[1]),
    ]);
    let (outcome, heard) = run(&hosts, &plan).await;
    assert_eq!(outcome.done, [0]);
    assert_eq!(outcome.failed, [(1, "no such luck, (secret pw)".to_owned())]);
    assert_eq!(outcome.skipped, [(2, Some(1)), (3, Some(1))]);
    assert_eq!(hosts.log(), "a0\n");
    let heard = heard.0.lock().unwrap().join("\n");
    assert!(heard.contains("StepSkipped") && !heard.contains("hunter2"), "{heard}");
}

#[tokio::test]
async fn a_step_that_reads_its_input_does_not_eat_the_rest_of_the_script() {
    let hosts = Directories::new("stdin");
    let plan = plan(&[("a", "cat >/dev/null", &[]), ("a", "echo a1 >>LOG", &[0])]);
    let (outcome, _) = run(&hosts, &plan).await;
    assert!(outcome.is_success());
    assert_eq!(hosts.log(), "a1\n");
}

#[tokio::test]
async fn a_script_that_is_cut_off_anywhere_does_nothing() {
    let mut hosts = Directories::new("cut");
    // Long enough that every cut is before its end.
    let script = format!("echo begun >>LOG\n# {}\necho ended >>LOG", "x".repeat(1000));
    let plan = plan(&[("a", &script, &[])]);
    for cut in (0..900).step_by(7) {
        hosts.cut = Some(cut);
        let _ = std::fs::remove_file(hosts.root.join("log"));
        let (outcome, _) = run(&hosts, &plan).await;
        assert!(!outcome.is_success() || outcome.errors.is_empty());
        assert_eq!(hosts.log(), "", "cut at {cut}");
        assert!(!hosts.root.join("a/state").exists(), "cut at {cut}");
    }
}

#[tokio::test]
async fn a_lost_connection_fails_the_step_that_ran_and_skips_the_rest() {
    let mut hosts = Directories::new("lost");
    // The step ends the shell that runs the batch: all that is heard of it is that it began.
    let plan = plan(&[("a", "kill -9 $$", &[]), ("b", "echo b1 >>LOG", &[0])]);
    hosts.cut = Some(100_000);
    let (outcome, _) = run(&hosts, &plan).await;
    let silent: Vec<&str> = outcome.errors.iter().map(|e| e.host.as_str()).collect();
    assert_eq!(silent.len(), 2, "b could not be given its generation: {silent:?}");
    assert_eq!(outcome.failed.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [0]);
    assert_eq!(outcome.skipped, [(1, Some(0))]);
    assert_eq!(hosts.log(), "");
}

#[tokio::test]
async fn what_is_not_confirmed_over_a_fresh_login_has_failed() {
    let mut hosts = Directories::new("confirm");
    let mut plan = plan(&[("a", "echo loaded >>LOG", &[]), ("b", "echo never >>LOG", &[0])]);
    plan.steps[0].change.confirm = Some(Script::raw("echo confirmed >>LOG"));
    let (outcome, _) = run(&hosts, &plan).await;
    assert!(outcome.is_success());
    assert_eq!(hosts.log(), "loaded\nconfirmed\nnever\n");

    std::fs::remove_file(hosts.root.join("log")).unwrap();
    hosts.fresh = Err(());
    let (outcome, _) = run(&hosts, &plan).await;
    assert_eq!((outcome.reverting, outcome.skipped), (vec![0], vec![(1, Some(0))]));
    assert_eq!(hosts.log(), "loaded\n");
}

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

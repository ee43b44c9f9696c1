//! The engine against hosts that are directories: every script really runs in sh, with foobar's own paths moved into a
//! directory per host. What only servers can show lives in the end-to-end tests.

#[path = "engine/checks.rs"]
mod checks;
#[path = "engine/leases.rs"]
mod leases_and_journals;
#[path = "engine/reboots.rs"]
mod reboots;
#[path = "engine/undo.rs"]
mod undo;

use foobar::{
    base::{
        name::HostName,
        reach::{Reach, Reached, Try},
        script::Script,
        secret::{Secret, Secrets},
    },
    engine::{
        apply::apply,
        course::{Outcome, Run},
        lease::Leases,
    },
    event::{Event, Events, Reporter},
    plan::{
        Plan, Step,
        history::{self, End, Generation, StepEnd},
        journal,
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
        atomic::{AtomicBool, AtomicUsize, Ordering},
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
    /// A script that is killed has lost its connection.
    breaks: AtomicBool,
    /// Hosts whose connections were given up, in that order.
    forgotten: Mutex<Vec<String>>,
}

impl Directories {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("foobar-engine-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(&root).unwrap();
        Self {
            root,
            execs: AtomicUsize::new(0),
            cut: None,
            fresh: Ok(()),
            is_guest: false,
            breaks: AtomicBool::new(false),
            forgotten: Mutex::default(),
        }
    }

    /// The same hosts over a connection that holds.
    fn without_cut(&self) -> Self {
        Self {
            root: self.root.clone(),
            execs: AtomicUsize::new(0),
            cut: None,
            fresh: Ok(()),
            is_guest: true,
            breaks: AtomicBool::new(false),
            forgotten: Mutex::default(),
        }
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
    // A host that has a boot of its own in its directory is asked for that, and what its systemd says.
    let text = match home.join("boot_id").exists() {
        true => text
            .replace("/proc/sys/kernel/random/boot_id", home.join("boot_id").to_str().unwrap())
            .replace("systemctl is-system-running --wait", &format!("cat {}/systemd", home.display()))
            .replace(
                "systemctl list-units --failed --plain --no-legend",
                "printf 'some.service x\\nother.service x\\n'",
            )
            .replace("HOME", home.to_str().unwrap()),
        false => text,
    };
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
        // A host whose power was cut by another one's step.
        if self.root.join(format!("log.gone-{host}")).exists() {
            return Err(TransportError {
                host: host.clone(),
                kind: TransportErrorKind::Unreachable,
                what: "timed out".into(),
                help: String::new(),
            });
        }
        let reply = sh(&self.root, host, script, self.cut, on_line).await;
        match self.cut.is_some() || (self.breaks.load(Ordering::Relaxed) && reply.status == 255) {
            false => Ok(reply),
            true => Err(TransportError {
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

    /// Everything is open.
    async fn reach(&self, _host: &HostName, all: &[Try]) -> Reached {
        all.iter().map(|one| (one.to, Reach::Open)).collect()
    }

    async fn forget(&self, host: &HostName) {
        self.forgotten.lock().unwrap().push(host.to_string());
    }
}

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>, Option<PathBuf>);

impl Reporter for Heard {
    fn event(&mut self, event: &Event) {
        // A script can wait until a failure is known.
        if let (Event::StepFailed { .. }, Some(path)) = (event, &self.1) {
            std::fs::write(path, "").unwrap();
        }
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
        groups: vec![],
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
    let reply = sh(&hosts.root, &host.parse().unwrap(), &history::history(10, None), None, &|_| {}).await;
    history::read(&reply.stdout)
}

/// Carries a plan out under leases that are there already.
async fn carry_out(hosts: &Directories, plan: &Plan, leases: &Leases) -> (Outcome, Heard) {
    let heard = Heard(Arc::default(), Some(hosts.root.join("log.failed")));
    let mut secrets = Secrets::default();
    secrets.insert("pw", Secret::new("hunter2-hunter2"));
    let seen = observed(hosts, plan).await;
    let run = Run {
        leases,
        generation: journal::next(&seen),
        digest: "d1g".into(),
        sources: b"\0src".to_vec(),
        keep: 3,
        undoes: true,
    };
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
async fn what_was_begun_is_ended_also_after_a_failure_elsewhere() {
    let hosts = Directories::new("closing");
    let slow = "while [ ! -e LOG.failed ]; do sleep 0.02; done; echo changed >>LOG";
    let mut plan = plan(&[
        ("lb", "echo out >>LOG", &[]),
        ("web", slow, &[0]),
        ("db", "while ! grep -q out LOG; do sleep 0.02; done; false", &[]),
        ("lb", "echo back >>LOG", &[0, 1]),
        ("lb", "echo never >>LOG", &[3]),
        ("web", "echo never >>LOG", &[3]),
    ]);
    plan.steps[3].change.is_closing = true;
    let (outcome, _) = run(&hosts, &plan).await;
    assert_eq!(outcome.failed.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [2]);
    assert_eq!(outcome.skipped, [(4, Some(2)), (5, Some(2))]);
    assert_eq!(hosts.log(), "out\nchanged\nback\n");

    // What failed itself is not ended as if it had not, nor is what was never begun.
    std::fs::remove_file(hosts.root.join("log")).unwrap();
    plan.steps[1].change.script = Script::raw("false");
    plan.steps[2].change.script = Script::raw("true");
    let (outcome, _) = run(&hosts, &plan).await;
    assert_eq!(outcome.failed.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1]);
    assert_eq!(outcome.skipped, [(3, Some(1)), (4, Some(1)), (5, Some(1))]);
    assert_eq!(hosts.log(), "out\n");
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

    // The journal has the step's end from who confirmed it.
    let root = hosts.root.clone();
    let journal = |n: u8| std::fs::read_to_string(root.join(format!("a/state/generations/{n}/changes"))).unwrap();
    assert!(journal(1).lines().any(|l| l.starts_with("done\t0\t")), "{}", journal(1));

    std::fs::remove_file(hosts.root.join("log")).unwrap();
    plan.steps[0].change.confirm = Some(Script::raw("exit 9"));
    plan.steps[0].change.recall = Some(Script::raw("echo recalled >>LOG; echo it is back"));
    let (outcome, heard) = run(&hosts, &plan).await;
    assert_eq!((outcome.reverting, outcome.skipped), (vec![0], vec![(1, Some(0))]));
    assert_eq!(outcome.failed, [(0, "its confirmation ended with status 9 and said nothing".to_owned())]);
    let heard = heard.0.lock().unwrap().clone();
    assert!(heard.iter().any(|e| e.starts_with("StepUndone") && e.contains("it is back")), "{heard:?}");
    assert!(outcome.is_rolled_back);
    assert_eq!(hosts.log(), "loaded\nrecalled\n");
    assert!(!journal(2).lines().any(|l| l.starts_with("done\t0\t")), "{}", journal(2));

    // It was confirmed, and nobody heard of it: then it is no way back to speak of.
    plan.steps[0].change.recall = Some(Script::raw("exit 1"));
    let (outcome, _) = run(&hosts, &plan).await;
    assert_eq!((outcome.reverting, outcome.is_rolled_back), (vec![], false));

    std::fs::remove_file(hosts.root.join("log")).unwrap();
    plan.steps[0].change.recall = None;
    hosts.fresh = Err(());
    let (outcome, _) = run(&hosts, &plan).await;
    assert_eq!((outcome.reverting, outcome.skipped), (vec![0], vec![(1, Some(0))]));
    assert!(
        outcome.failed[0].1.ends_with("the host puts back what was there before by itself"),
        "{:?}",
        outcome.failed
    );
    assert_eq!(hosts.log(), "loaded\n");
}

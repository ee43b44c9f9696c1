//! What becomes of a host whose change does not prove itself, and of those around it.

use super::*;
use foobar::{
    plan::{group::Group, history::StepEnd},
    resource::undo::{Turn, Undo},
};

/// A balancer `lb` and a host `web`: out, files, restart, back, and what comes after all that. The proof holds as long as
/// the host's file `bad` is not there.
fn rolling(restart: &str, back: &str) -> Plan {
    let mut plan = plan(&[
        ("web", "echo files >>LOG", &[]),
        ("lb", "echo out >>LOG", &[0]),
        ("web", restart, &[0, 1]),
        ("lb", back, &[1, 2]),
        ("web2", "echo never >>LOG", &[3]),
    ]);
    plan.steps[3].change.is_closing = true;
    let undo = |turn, said: &str, script: &str| Some(Undo::new(turn, said, Script::raw(script)));
    plan.steps[0].change.undo =
        undo(Turn::Replace, "put back files", "echo unfiles >>LOG; rm -f LOG.bad; [ -n \"$FOOBAR_BEFORE\" ]");
    plan.steps[2].change.undo = undo(Turn::Resume, "restart app as it was", "echo again >>LOG");
    plan.groups = vec![Group { steps: vec![0, 2], drains: vec![1], gates: vec![3], watches: vec![] }];
    plan
}

const PROOF: &str = "echo asked >>LOG; [ ! -e LOG.bad ] || { echo 'it answers 500'; exit 1; }; echo back >>LOG";

fn ids(failed: &[(usize, String)]) -> Vec<usize> {
    failed.iter().map(|(id, _)| *id).collect()
}

#[tokio::test]
async fn a_host_that_fails_its_proof_goes_back_and_serves_again() {
    let hosts = Directories::new("undo-gate");
    let plan = rolling("touch LOG.bad; echo restarted >>LOG", PROOF);
    let (outcome, heard) = run(&hosts, &plan).await;
    assert_eq!(hosts.log(), "files\nout\nrestarted\nasked\nunfiles\nagain\nasked\nback\n");
    assert_eq!(outcome.failed, [(3, "it answers 500".to_owned())]);
    assert_eq!((&outcome.done[..], &outcome.recovered[..]), (&[1][..], &[3][..]));
    assert_eq!(outcome.skipped, [(4, Some(3))]);
    assert!(outcome.is_rolled_back && !outcome.is_success(), "{outcome:?}");
    assert_eq!((outcome.undone.len(), &outcome.undone[0].steps[..]), (1, &[0, 2][..]));
    let heard = heard.0.lock().unwrap().join("\n");
    assert!(heard.contains("StepUndone") && heard.contains("restart app as it was"), "{heard}");
    let past = &history(&hosts, "web").await[0];
    assert_eq!((past.outcome, past.changes.len()), (End::Failed, 2));
    assert!(past.changes.iter().all(|c| c.outcome == StepEnd::Undone), "{past:#?}");
}

#[tokio::test]
async fn a_host_whose_own_step_fails_goes_back_and_serves_again() {
    let hosts = Directories::new("undo-step");
    let plan = rolling("touch LOG.bad; echo crashed >>LOG; false", PROOF);
    let (outcome, _) = run(&hosts, &plan).await;
    assert_eq!(hosts.log(), "files\nout\ncrashed\nunfiles\nagain\nasked\nback\n");
    assert_eq!((ids(&outcome.failed), outcome.skipped), (vec![2], vec![(4, Some(2))]));
    assert!(outcome.is_rolled_back);
}

#[tokio::test]
async fn where_the_first_step_fails_nobody_has_noticed_and_nobody_is_asked() {
    let hosts = Directories::new("undo-first");
    let mut plan = rolling("echo never >>LOG", PROOF);
    plan.steps[0].change.script = Script::raw("echo refused >>LOG; false");
    let (outcome, _) = run(&hosts, &plan).await;
    assert_eq!(hosts.log(), "refused\nunfiles\n");
    assert_eq!(ids(&outcome.failed), [0]);
    assert!(outcome.is_rolled_back);
}

#[tokio::test]
async fn it_is_left_for_inspection_where_that_was_asked_for() {
    let hosts = Directories::new("undo-not");
    let plan = rolling("echo crashed >>LOG; false", PROOF);
    let leases = leases("alice", &plan.hosts, 60);
    leases.take(&hosts, Duration::ZERO, &Events::new(Heard::default())).await.unwrap();
    let seen = observed(&hosts, &plan).await;
    let run = Run {
        leases: &leases,
        generation: journal::next(&seen),
        digest: String::new(),
        sources: vec![],
        keep: 3,
        undoes: false,
    };
    let outcome = apply(&hosts, &plan, &Secrets::default(), run, &Events::new(Heard::default())).await;
    leases.release(&hosts).await;
    assert_eq!(hosts.log(), "files\nout\ncrashed\n");
    assert!(!outcome.is_rolled_back && outcome.undone.is_empty());
}

#[tokio::test]
async fn a_way_back_that_breaks_is_told_and_the_host_stays_out() {
    let hosts = Directories::new("undo-broken");
    let mut plan = rolling("echo crashed >>LOG; false", PROOF);
    let script = Script::raw("echo 'no room, hunter2-hunter2' >&2; false");
    plan.steps[0].change.undo = Some(Undo::new(Turn::Replace, "put back files", script));
    let (outcome, heard) = run(&hosts, &plan).await;
    assert_eq!(hosts.log(), "files\nout\ncrashed\n");
    assert!(!outcome.is_rolled_back);
    assert_eq!(outcome.undone[0].broken.as_deref(), Some("put back files: no room, (secret pw)"));
    let heard = heard.0.lock().unwrap().join("\n");
    assert!(heard.contains("UndoFailed") && !heard.contains("hunter2"), "{heard}");
}

#[tokio::test]
async fn a_host_that_is_gone_while_it_is_out_is_given_up() {
    let hosts = Directories::new("undo-gone");
    let mut plan = rolling("echo never >>LOG", PROOF);
    plan.steps[1].change.script = Script::raw("echo out >>LOG; touch LOG.gone-web");
    let (outcome, _) = tokio::time::timeout(Duration::from_secs(60), run(&hosts, &plan)).await.expect("it ends");
    assert_eq!(hosts.log(), "files\nout\n");
    let silent: Vec<&str> = outcome.errors.iter().map(|e| e.host.as_str()).collect();
    assert_eq!((silent, outcome.is_rolled_back), (vec!["web"], false));
    let execs = hosts.execs.load(Ordering::Relaxed);
    assert!(execs < 20, "it was spoken to without end: {execs} execs");
    assert_eq!(outcome.skipped.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [2, 3, 4]);
}

#[tokio::test]
async fn a_step_that_is_cut_off_with_its_connection_is_not_known_to_have_failed() {
    let cut = |name, script: &'static str| async move {
        let hosts = Directories::new(name);
        hosts.breaks.store(true, Ordering::Relaxed);
        run(&hosts, &rolling(script, PROOF)).await.0
    };
    let outcome = cut("undo-cut", "kill -9 $$; sleep 1").await;
    assert_eq!((ids(&outcome.failed), &outcome.unheard[..], outcome.errors.len()), (vec![2], &[2][..], 1));
    assert!(!outcome.has_failed() && !outcome.is_success());
    assert!(cut("undo-heard", "false").await.has_failed());
}

#[tokio::test]
async fn a_proof_that_fails_again_on_what_was_before_is_no_way_back() {
    let hosts = Directories::new("undo-still");
    let plan = rolling("echo restarted >>LOG", "echo asked >>LOG; false");
    let (outcome, _) = run(&hosts, &plan).await;
    assert_eq!(hosts.log(), "files\nout\nrestarted\nasked\nunfiles\nagain\nasked\n");
    assert_eq!((ids(&outcome.failed), outcome.is_rolled_back), (vec![3, 3], false));
}

#[tokio::test]
async fn who_is_out_when_another_host_fails_is_changed_to_its_end_and_put_back() {
    let hosts = Directories::new("undo-other");
    let mut plan = rolling("while [ ! -e LOG.failed ]; do sleep 0.02; done; echo restarted >>LOG", PROOF);
    plan.steps[1].change.script = Script::raw("echo out >>LOG; while [ ! -e LOG.failed ]; do sleep 0.02; done");
    plan.steps[4] = Step {
        id: 4,
        host: "db".parse().unwrap(),
        resource: ResourceId::new("test", "db"),
        change: Change::new(
            Action::Update,
            "fails",
            Script::raw("while ! grep -q out LOG; do sleep 0.02; done; false"),
        ),
        after: vec![],
    };
    plan.hosts[2] = "db".parse().unwrap();
    let (outcome, _) = run(&hosts, &plan).await;
    assert_eq!(hosts.log(), "files\nout\nrestarted\nasked\nback\n");
    assert_eq!((ids(&outcome.failed), outcome.undone.len()), (vec![4], 0));
    assert!(!outcome.is_rolled_back);

    // And where that one does not prove itself either, it goes back for itself.
    std::fs::remove_file(hosts.root.join("log")).unwrap();
    std::fs::remove_file(hosts.root.join("log.failed")).unwrap();
    plan.steps[2].change.script = Script::raw("touch LOG.bad; echo restarted >>LOG");
    let (outcome, _) = run(&hosts, &plan).await;
    assert_eq!(hosts.log(), "files\nout\nrestarted\nasked\nunfiles\nagain\nasked\nback\n");
    assert_eq!((ids(&outcome.failed), &outcome.recovered[..]), (vec![4, 3], &[3][..]));
    assert!(!outcome.is_rolled_back, "what failed on db was not taken back");
}

#[tokio::test]
async fn where_nothing_ran_before_there_is_nothing_to_go_back_to() {
    let hosts = Directories::new("undo-fresh");
    let mut plan = rolling("echo crashed >>LOG; false", PROOF);
    plan.steps[2].change.undo = Some(Undo::new(Turn::Stop, "stop app", Script::raw("echo stopped >>LOG")));
    let (outcome, _) = run(&hosts, &plan).await;
    assert_eq!(hosts.log(), "files\nout\ncrashed\n");
    assert!(!outcome.is_rolled_back);
}

#[tokio::test]
async fn a_host_that_is_silent_is_not_taken_back_by_guess() {
    let mut hosts = Directories::new("undo-lost");
    let plan = rolling("echo restarted >>LOG; kill -9 $$", PROOF);
    hosts.cut = Some(100_000);
    let (outcome, _) = run(&hosts, &plan).await;
    assert!(outcome.undone.is_empty() && !outcome.is_rolled_back, "{outcome:?}");
}

#[tokio::test]
async fn a_host_that_fails_while_it_is_watched_leaves_before_it_goes_back() {
    let hosts = Directories::new("undo-watch");
    let mut plan = rolling("echo restarted >>LOG", PROOF);
    let watch = Script::raw("echo watched >>LOG; echo '9 of 40 answers were errors'; false");
    plan.steps.insert(
        4,
        Step {
            id: 4,
            host: "lb".parse().unwrap(),
            resource: ResourceId::new("test", "watch"),
            change: Change::new(Action::Check, "watch", watch),
            after: vec![3],
        },
    );
    (plan.steps[5].id, plan.steps[5].after) = (5, vec![4]);
    plan.groups[0].watches = vec![4];
    let (outcome, _) = run(&hosts, &plan).await;
    assert_eq!(hosts.log(), "files\nout\nrestarted\nasked\nback\nwatched\nout\nunfiles\nagain\nasked\nback\n");
    assert_eq!((ids(&outcome.failed), &outcome.done[..], outcome.is_rolled_back), (vec![4], &[1, 3][..], true));

    // Where it cannot be taken out, it goes back all the same.
    std::fs::remove_file(hosts.root.join("log")).unwrap();
    plan.steps[1].change.script = Script::raw("echo out >>LOG; [ ! -e LOG.failed ]");
    let _ = std::fs::remove_file(hosts.root.join("log.failed"));
    let (outcome, _) = run(&hosts, &plan).await;
    assert!(hosts.log().ends_with("watched\nout\nunfiles\nagain\nasked\nback\n"), "{}", hosts.log());
    assert_eq!((ids(&outcome.failed), outcome.is_rolled_back), (vec![4, 1], false));
}

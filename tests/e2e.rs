//! End to end: the real program against real hosts of a lab, one lab a Debian release. `tests/run` runs it; by hand:
//!
//! ```text
//! FOOBAR_E2E=1 cargo test --test e2e                            as root, on Debian
//! FOOBAR_E2E=1 FOOBAR_E2E_SUITES=sid cargo test --test e2e -- drift
//! FOOBAR_E2E=1 FOOBAR_E2E_KEEP=1 …                              leaves the hosts up to look at
//! FOOBAR_E2E=1 FOOBAR_E2E_VERBOSE=1 …                           says each run of the program
//! FOOBAR_E2E=1 FOOBAR_E2E_LONG=1 …                              many times what is done a few times else
//! ```
//!
//! A plain run does on one release alone what is not about the release; by name, or in a long run, all is done on each.
//! The cases of a suite share its hosts and run in order; each brings them to the state that it wants by itself, so one
//! can be run alone.

#[path = "e2e/acme.rs"]
mod acme;
#[path = "e2e/acme_pair.rs"]
mod acme_pair;
#[path = "e2e/armed.rs"]
mod armed;
#[path = "e2e/back.rs"]
mod back;
#[path = "e2e/bank.rs"]
mod bank;
#[path = "e2e/browser.rs"]
mod browser;
#[path = "e2e/certificate.rs"]
mod certificate;
#[path = "e2e/damage.rs"]
mod damage;
#[path = "e2e/database.rs"]
mod database;
#[path = "e2e/directory.rs"]
mod directory;
#[path = "e2e/dns.rs"]
mod dns;
#[path = "e2e/drift.rs"]
mod drift;
#[path = "e2e/drill.rs"]
mod drill;
#[path = "e2e/drills.rs"]
mod drills;
#[path = "e2e/failover.rs"]
mod failover;
#[path = "e2e/faults.rs"]
mod faults;
#[path = "e2e/first.rs"]
mod first;
#[path = "e2e/full.rs"]
mod full;
#[path = "e2e/gates.rs"]
mod gates;
#[path = "e2e/judge.rs"]
mod judge;
#[path = "e2e/kills.rs"]
mod kills;
#[path = "e2e/load.rs"]
mod load;
#[path = "e2e/locks.rs"]
mod locks;
#[path = "e2e/monitoring.rs"]
mod monitoring;
#[path = "e2e/pair.rs"]
mod pair;
#[path = "e2e/paths.rs"]
mod paths;
#[path = "e2e/reboot.rs"]
mod reboot;
#[path = "e2e/removal.rs"]
mod removal;
#[path = "e2e/rolling.rs"]
mod rolling;
#[path = "e2e/rotation.rs"]
mod rotation;
#[path = "e2e/sealed.rs"]
mod sealed;
#[path = "e2e/secrets.rs"]
mod secrets;
#[path = "e2e/status.rs"]
mod status;
#[path = "e2e/switchover.rs"]
mod switchover;
#[path = "e2e/verify.rs"]
mod verify;
#[path = "e2e/webdriver.rs"]
mod webdriver;
#[path = "e2e/words.rs"]
mod words;
#[path = "e2e/world.rs"]
mod world;

use foobar::lab::{self, Suite};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::Instant,
};
use world::World;

/// A case, and the one release that a plain run does it on; none where releases differ in what it is about: in the
/// database's engine, or in packages whose behaviour it proves.
struct Case {
    name: &'static str,
    run: fn(&mut World),
    only: Option<Suite>,
}

impl Case {
    /// Whether a run of these releases does it on this one. All are done everywhere where many or some are asked for.
    fn is_done_on(&self, suite: Suite, suites: &[Suite], everywhere: bool) -> bool {
        everywhere || self.only.is_none_or(|only| only == suite || !suites.contains(&only))
    }
}

macro_rules! cases {
    ($($on:ident $module:ident::$case:ident,)*) => {
        /// In the order that a user would meet them: nothing, a first apply, a second look, then what can go wrong.
        const CASES: &[Case] = &[$(Case {
            name: concat!(stringify!($module), "::", stringify!($case)),
            run: $module::$case,
            only: cases!(@ $on),
        }),*];
    };
    (@ all) => { None };
    (@ trixie) => { Some(Suite::Trixie) };
    (@ sid) => { Some(Suite::Sid) };
}

cases! {
    all words::what_is_wrong_is_said_before_any_host_is_asked,
    all first::a_plan_on_bare_hosts_changes_nothing,
    sid faults::apt_is_locked,
    all first::one_apply_brings_it_up_and_another_one_waits_outside,
    all first::a_second_plan_is_empty_and_everything_is_proved,
    all words::programs_get_json_and_nothing_else,
    trixie verify::other_programs_are_told_in_their_own_form,
    sid verify::rounds_tell_what_changes,
    all verify::what_is_broken_is_told_and_nothing_else,
    trixie verify::the_page_reads_on_a_phone_and_on_a_desk,
    all status::how_every_host_fares_is_told_on_one_screen,
    trixie status::rounds_follow_each_other_until_they_are_ended,
    sid status::what_is_down_or_gone_hides_nothing_else,
    all judge::an_outside_judge_accepts_the_balancer,
    sid browser::a_user_signs_the_guestbook,
    all dns::names_are_answered_and_a_change_loses_no_query,
    trixie dns::a_broken_zone_is_refused_and_the_live_one_stays,
    sid dns::the_world_is_asked_and_servers_go_again,
    trixie monitoring::what_breaks_is_told_and_what_is_mended_too,
    sid monitoring::a_broken_rule_is_refused_and_all_of_it_goes_again,
    trixie drift::what_was_changed_by_hand_is_named_and_mended,
    all drift::the_database_too,
    sid drift::another_algorithm_spreads_requests_another_way,
    sid rolling::no_request_is_lost_whatever_is_changed,
    trixie rolling::what_is_down_is_mended_first,
    trixie rolling::a_host_that_was_left_out_is_seen_and_put_back,
    sid rolling::what_users_would_feel_can_be_refused,
    all reboot::a_replica_and_its_primary_reboot,
    sid reboot::only_who_asks_for_it_reboots,
    trixie reboot::a_host_that_stays_away_stops_the_run,
    sid reboot::no_request_is_lost_while_the_web_servers_reboot,
    trixie gates::a_bad_release_goes_back_and_no_request_is_lost,
    sid gates::one_goes_ahead_and_the_others_are_spared,
    trixie gates::a_host_is_left_for_inspection_where_that_is_asked_for,
    sid gates::a_daemon_that_refuses_its_configuration_goes_back,
    sid armed::a_rule_by_hand_is_in_the_way,
    trixie armed::foobar_is_killed_before_the_confirmation,
    sid armed::a_confirmation_comes_too_late,
    trixie armed::a_host_is_rebooted_before_the_confirmation,
    sid armed::the_next_run_finds_rules_that_wait,
    trixie armed::a_template_locks_its_owner_out,
    sid armed::a_login_by_sudo_is_kept,
    trixie back::a_rollback_is_a_plan_back,
    all rotation::passwords_change_and_the_former_ones_open_nothing,
    sid sealed::a_kept_plan_is_carried_out_as_it_was_shown,
    trixie sealed::a_kept_plan_is_refused_where_a_host_has_moved,
    sid database::a_replica_is_seeded_from_a_primary_with_data,
    all switchover::a_switchover_that_would_hurt_is_refused,
    all switchover::no_write_is_lost_in_a_switchover,
    trixie switchover::a_plan_follows_the_roles_that_it_finds,
    sid switchover::the_primary_opens_again_where_nobody_takes_over,
    all switchover::a_switchover_that_is_killed_is_gone_on_with,
    all failover::no_acknowledged_write_is_lost_where_replicas_acknowledge,
    all failover::what_is_lost_is_what_was_said,
    sid failover::a_host_that_cannot_be_reached_may_live,
    trixie failover::a_failover_that_is_killed_is_gone_on_with,
    sid removal::what_left_the_topology_goes_and_nothing_else,
    trixie removal::a_role_leaves_a_host_and_comes_back,
    all removal::the_database_leaves_and_comes_back_with_its_data,
    sid removal::the_balancer_moves_to_another_host,
    trixie removal::a_removal_is_cut_off,
    trixie removal::destroy_takes_everything_but_the_data,
    trixie removal::what_an_older_foobar_made_is_noted,
    sid removal::a_destroyed_host_is_what_it_was,
    all damage::rights_of_every_kind_are_seen_and_revoked,
    sid damage::a_new_directory_of_drop_ins_is_read,
    all damage::a_copied_identity_is_refused,
    all damage::a_stray_write_on_a_replica_is_refused_until_it_is_filled_anew,
    all damage::a_lost_primary_is_not_replaced_by_an_empty_one,
    trixie damage::a_second_replica_joins,
    trixie certificate::the_users_own_is_served_and_renewed_by_a_reload,
    trixie acme::a_directory_gives_renews_and_is_left_again,
    sid faults::the_way_to_a_host_is_barred,
    trixie faults::a_system_that_is_not_known,
    sid faults::the_disk_is_full,
    trixie faults::a_host_is_down,
    trixie drill::what_is_taken_away_is_measured_and_comes_back,
    sid drill::it_comes_back_whatever_becomes_of_foobar,
    trixie drills::a_backend_is_killed,
    sid drills::a_backend_falls_silent,
    trixie drills::a_connection_is_cut_in_the_middle_of_a_step,
    all drills::a_replica_is_cut_off,
    all drills::the_primary_is_stopped,
    all paths::writes_reach_the_primary_and_reads_a_replica,
    sid paths::reads_go_on_from_the_primary_where_no_replica_is_fit,
    all paths::a_role_is_followed_and_two_writers_never_are,
    trixie paths::a_server_that_hangs_is_left,
    sid paths::ways_come_and_change_without_a_lost_request,
    trixie drills::a_clock_is_far_off,
    sid drills::this_machine_has_too_few_files_to_open,
    trixie drills::dpkg_was_interrupted,
    all full::the_disk_of_the_primary_is_full,
    trixie locks::two_applies_at_once_never_interleave,
    sid locks::a_lease_is_held_at_the_question_and_can_be_seen_and_broken,
    trixie locks::a_killed_run_loses_its_hosts,
    sid kills::every_apply_is_a_generation_with_its_files_as_they_were,
    all kills::killed_anywhere_it_goes_on_and_the_site_stays_up,
    sid kills::killed_while_the_application_changes,
    trixie kills::a_host_loses_its_power_in_the_middle,
    sid pair::an_address_moves_and_requests_go_on,
    sid acme_pair::each_has_its_own_certificate_and_answers_for_the_other,
    trixie pair::both_serve_and_stand_in_for_each_other,
    all secrets::none_was_seen_anywhere,
    all words::all_json_is_what_the_schema_says,
    sid kills::killed_on_bare_hosts,
}

fn main() -> ExitCode {
    let filters: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    if std::env::args().any(|a| a == "--list") {
        // What a runner other than cargo could do with single cases is nothing: they share their hosts.
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&Case> =
        CASES.iter().filter(|c| filters.is_empty() || filters.iter().any(|f| c.name.contains(f.as_str()))).collect();
    if std::env::var("FOOBAR_E2E").as_deref() != Ok("1") {
        println!("\nrunning 0 tests (end to end: tests/run runs them, on hosts that it makes)");
        println!("\ntest result: ok. 0 passed; 0 failed; {} ignored\n", wanted.len());
        return ExitCode::SUCCESS;
    }
    let suites = std::env::var("FOOBAR_E2E_SUITES").unwrap_or("trixie,sid".into());
    let suites: Vec<Suite> =
        suites.split(',').map(|s| s.parse().expect("FOOBAR_E2E_SUITES names Debian releases")).collect();
    let everywhere = !filters.is_empty() || std::env::var("FOOBAR_E2E_LONG").as_deref() == Ok("1");
    let of = |suite: Suite| -> Vec<&Case> {
        wanted.iter().copied().filter(|c| c.is_done_on(suite, &suites, everywhere)).collect()
    };
    let cases: Vec<(Suite, Vec<&Case>)> = suites.iter().map(|suite| (*suite, of(*suite))).collect();
    println!("\nrunning {} tests", cases.iter().map(|(_, cases)| cases.len()).sum::<usize>());
    // A machine that nobody prepared: what the hosts are made with is installed as `lab demo` does it.
    if let Err(error) = lab::install_prerequisites(&lab::state_dir(), &mut |_| {}) {
        println!("{:?}\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored\n", miette::Report::new(error));
        return ExitCode::from(101);
    }
    std::panic::set_hook(Box::new(|_| {}));
    let begun = Instant::now();
    let tallies: Vec<(usize, usize)> = std::thread::scope(|scope| {
        let started: Vec<_> = cases.iter().map(|(suite, cases)| scope.spawn(move || run(*suite, cases))).collect();
        started.into_iter().map(|t| t.join().unwrap_or((0, 1))).collect()
    });
    let passed: usize = tallies.iter().map(|t| t.0).sum();
    let failed: usize = tallies.iter().map(|t| t.1).sum();
    let word = if failed == 0 { "ok" } else { "FAILED" };
    let seconds = begun.elapsed().as_secs_f32();
    println!("\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; finished in {seconds:.1}s\n");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

/// Runs the cases of one suite on hosts of its own; says how many held and how many did not.
fn run(suite: Suite, cases: &[&Case]) -> (usize, usize) {
    let mut world = match catch_unwind(|| World::new(suite)) {
        Ok(world) => world,
        Err(panic) => {
            println!("test {suite}::the_lab ... FAILED\n{}", indented(&words_of(&*panic)));
            return (0, cases.len());
        }
    };
    let (mut passed, mut failed) = (0, 0);
    for Case { name, run: case, .. } in cases {
        let begun = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| case(&mut world)));
        let seconds = begun.elapsed().as_secs_f32();
        match ended {
            Ok(()) => {
                passed += 1;
                println!("test {suite}::{name} ... ok ({seconds:.1} s)");
            }
            Err(panic) => {
                failed += 1;
                println!("test {suite}::{name} ... FAILED ({seconds:.1} s)\n{}", indented(&words_of(&*panic)));
                world.mend();
            }
        }
    }
    world.end();
    (passed, failed)
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or("a panic without words".into())
}

fn indented(text: &str) -> String {
    text.lines().map(|l| format!("    {l}\n")).collect()
}

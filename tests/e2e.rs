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
//! The cases of a suite share its hosts and run in order; each brings them to the state that it wants by itself, so one
//! can be run alone.

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

type Case = (&'static str, fn(&mut World));

/// In the order that a user would meet them: nothing, a first apply, a second look, then what can go wrong.
const CASES: &[Case] = &[
    ("words::what_is_wrong_is_said_before_any_host_is_asked", words::what_is_wrong_is_said_before_any_host_is_asked),
    ("first::a_plan_on_bare_hosts_changes_nothing", first::a_plan_on_bare_hosts_changes_nothing),
    ("faults::apt_is_locked", faults::apt_is_locked),
    (
        "first::one_apply_brings_it_up_and_another_one_waits_outside",
        first::one_apply_brings_it_up_and_another_one_waits_outside,
    ),
    ("first::a_second_plan_is_empty_and_everything_is_proved", first::a_second_plan_is_empty_and_everything_is_proved),
    ("words::programs_get_json_and_nothing_else", words::programs_get_json_and_nothing_else),
    ("verify::other_programs_are_told_in_their_own_form", verify::other_programs_are_told_in_their_own_form),
    ("verify::rounds_tell_what_changes", verify::rounds_tell_what_changes),
    ("verify::the_page_reads_on_a_phone_and_on_a_desk", verify::the_page_reads_on_a_phone_and_on_a_desk),
    ("status::how_every_host_fares_is_told_on_one_screen", status::how_every_host_fares_is_told_on_one_screen),
    ("status::rounds_follow_each_other_until_they_are_ended", status::rounds_follow_each_other_until_they_are_ended),
    ("status::what_is_down_or_gone_hides_nothing_else", status::what_is_down_or_gone_hides_nothing_else),
    ("judge::an_outside_judge_accepts_the_balancer", judge::an_outside_judge_accepts_the_balancer),
    ("browser::a_user_signs_the_guestbook", browser::a_user_signs_the_guestbook),
    ("dns::names_are_answered_and_a_change_loses_no_query", dns::names_are_answered_and_a_change_loses_no_query),
    ("dns::a_broken_zone_is_refused_and_the_live_one_stays", dns::a_broken_zone_is_refused_and_the_live_one_stays),
    ("dns::the_world_is_asked_and_servers_go_again", dns::the_world_is_asked_and_servers_go_again),
    ("monitoring::what_breaks_is_told_and_what_is_mended_too", monitoring::what_breaks_is_told_and_what_is_mended_too),
    (
        "monitoring::a_broken_rule_is_refused_and_all_of_it_goes_again",
        monitoring::a_broken_rule_is_refused_and_all_of_it_goes_again,
    ),
    ("drift::what_was_changed_by_hand_is_named_and_mended", drift::what_was_changed_by_hand_is_named_and_mended),
    ("drift::the_database_too", drift::the_database_too),
    ("drift::another_algorithm_spreads_requests_another_way", drift::another_algorithm_spreads_requests_another_way),
    ("rolling::no_request_is_lost_whatever_is_changed", rolling::no_request_is_lost_whatever_is_changed),
    ("rolling::what_is_down_is_mended_first", rolling::what_is_down_is_mended_first),
    ("rolling::a_host_that_was_left_out_is_seen_and_put_back", rolling::a_host_that_was_left_out_is_seen_and_put_back),
    ("rolling::what_users_would_feel_can_be_refused", rolling::what_users_would_feel_can_be_refused),
    ("reboot::a_replica_and_its_primary_reboot", reboot::a_replica_and_its_primary_reboot),
    ("reboot::only_who_asks_for_it_reboots", reboot::only_who_asks_for_it_reboots),
    ("reboot::a_host_that_stays_away_stops_the_run", reboot::a_host_that_stays_away_stops_the_run),
    (
        "reboot::no_request_is_lost_while_the_web_servers_reboot",
        reboot::no_request_is_lost_while_the_web_servers_reboot,
    ),
    ("gates::a_bad_release_goes_back_and_no_request_is_lost", gates::a_bad_release_goes_back_and_no_request_is_lost),
    ("gates::one_goes_ahead_and_the_others_are_spared", gates::one_goes_ahead_and_the_others_are_spared),
    (
        "gates::a_host_is_left_for_inspection_where_that_is_asked_for",
        gates::a_host_is_left_for_inspection_where_that_is_asked_for,
    ),
    (
        "gates::a_daemon_that_refuses_its_configuration_goes_back",
        gates::a_daemon_that_refuses_its_configuration_goes_back,
    ),
    ("armed::a_rule_by_hand_is_in_the_way", armed::a_rule_by_hand_is_in_the_way),
    ("armed::foobar_is_killed_before_the_confirmation", armed::foobar_is_killed_before_the_confirmation),
    ("armed::a_confirmation_comes_too_late", armed::a_confirmation_comes_too_late),
    ("armed::a_host_is_rebooted_before_the_confirmation", armed::a_host_is_rebooted_before_the_confirmation),
    ("armed::the_next_run_finds_rules_that_wait", armed::the_next_run_finds_rules_that_wait),
    ("armed::a_template_locks_its_owner_out", armed::a_template_locks_its_owner_out),
    ("armed::a_login_by_sudo_is_kept", armed::a_login_by_sudo_is_kept),
    ("back::a_rollback_is_a_plan_back", back::a_rollback_is_a_plan_back),
    (
        "rotation::passwords_change_and_the_former_ones_open_nothing",
        rotation::passwords_change_and_the_former_ones_open_nothing,
    ),
    ("sealed::a_kept_plan_is_carried_out_as_it_was_shown", sealed::a_kept_plan_is_carried_out_as_it_was_shown),
    ("sealed::a_kept_plan_is_refused_where_a_host_has_moved", sealed::a_kept_plan_is_refused_where_a_host_has_moved),
    ("database::a_replica_is_seeded_from_a_primary_with_data", database::a_replica_is_seeded_from_a_primary_with_data),
    ("switchover::a_switchover_that_would_hurt_is_refused", switchover::a_switchover_that_would_hurt_is_refused),
    ("switchover::no_write_is_lost_in_a_switchover", switchover::no_write_is_lost_in_a_switchover),
    ("switchover::a_plan_follows_the_roles_that_it_finds", switchover::a_plan_follows_the_roles_that_it_finds),
    (
        "switchover::the_primary_opens_again_where_nobody_takes_over",
        switchover::the_primary_opens_again_where_nobody_takes_over,
    ),
    (
        "switchover::a_switchover_that_is_killed_is_gone_on_with",
        switchover::a_switchover_that_is_killed_is_gone_on_with,
    ),
    (
        "failover::no_acknowledged_write_is_lost_where_replicas_acknowledge",
        failover::no_acknowledged_write_is_lost_where_replicas_acknowledge,
    ),
    ("failover::what_is_lost_is_what_was_said", failover::what_is_lost_is_what_was_said),
    ("failover::a_host_that_cannot_be_reached_may_live", failover::a_host_that_cannot_be_reached_may_live),
    ("failover::a_failover_that_is_killed_is_gone_on_with", failover::a_failover_that_is_killed_is_gone_on_with),
    ("removal::what_left_the_topology_goes_and_nothing_else", removal::what_left_the_topology_goes_and_nothing_else),
    ("removal::a_role_leaves_a_host_and_comes_back", removal::a_role_leaves_a_host_and_comes_back),
    (
        "removal::the_database_leaves_and_comes_back_with_its_data",
        removal::the_database_leaves_and_comes_back_with_its_data,
    ),
    ("removal::the_balancer_moves_to_another_host", removal::the_balancer_moves_to_another_host),
    ("removal::a_removal_is_cut_off", removal::a_removal_is_cut_off),
    ("removal::destroy_takes_everything_but_the_data", removal::destroy_takes_everything_but_the_data),
    ("removal::what_an_older_foobar_made_is_noted", removal::what_an_older_foobar_made_is_noted),
    ("removal::a_destroyed_host_is_what_it_was", removal::a_destroyed_host_is_what_it_was),
    ("damage::rights_of_every_kind_are_seen_and_revoked", damage::rights_of_every_kind_are_seen_and_revoked),
    ("damage::a_new_directory_of_drop_ins_is_read", damage::a_new_directory_of_drop_ins_is_read),
    ("damage::a_copied_identity_is_refused", damage::a_copied_identity_is_refused),
    (
        "damage::a_stray_write_on_a_replica_is_refused_until_it_is_filled_anew",
        damage::a_stray_write_on_a_replica_is_refused_until_it_is_filled_anew,
    ),
    ("damage::a_lost_primary_is_not_replaced_by_an_empty_one", damage::a_lost_primary_is_not_replaced_by_an_empty_one),
    ("damage::a_second_replica_joins", damage::a_second_replica_joins),
    (
        "certificate::the_users_own_is_served_and_renewed_by_a_reload",
        certificate::the_users_own_is_served_and_renewed_by_a_reload,
    ),
    ("faults::the_way_to_a_host_is_barred", faults::the_way_to_a_host_is_barred),
    ("faults::a_system_that_is_not_known", faults::a_system_that_is_not_known),
    ("faults::the_disk_is_full", faults::the_disk_is_full),
    ("faults::a_host_is_down", faults::a_host_is_down),
    ("drill::what_is_taken_away_is_measured_and_comes_back", drill::what_is_taken_away_is_measured_and_comes_back),
    ("drill::it_comes_back_whatever_becomes_of_foobar", drill::it_comes_back_whatever_becomes_of_foobar),
    ("drills::a_backend_is_killed", drills::a_backend_is_killed),
    ("drills::a_backend_falls_silent", drills::a_backend_falls_silent),
    ("drills::a_connection_is_cut_in_the_middle_of_a_step", drills::a_connection_is_cut_in_the_middle_of_a_step),
    ("drills::a_replica_is_cut_off", drills::a_replica_is_cut_off),
    ("drills::the_primary_is_stopped", drills::the_primary_is_stopped),
    ("paths::writes_reach_the_primary_and_reads_a_replica", paths::writes_reach_the_primary_and_reads_a_replica),
    (
        "paths::reads_go_on_from_the_primary_where_no_replica_is_fit",
        paths::reads_go_on_from_the_primary_where_no_replica_is_fit,
    ),
    ("paths::a_role_is_followed_and_two_writers_never_are", paths::a_role_is_followed_and_two_writers_never_are),
    ("paths::a_server_that_hangs_is_left", paths::a_server_that_hangs_is_left),
    ("paths::ways_come_and_change_without_a_lost_request", paths::ways_come_and_change_without_a_lost_request),
    ("drills::a_clock_is_far_off", drills::a_clock_is_far_off),
    ("drills::this_machine_has_too_few_files_to_open", drills::this_machine_has_too_few_files_to_open),
    ("drills::dpkg_was_interrupted", drills::dpkg_was_interrupted),
    ("full::the_disk_of_the_primary_is_full", full::the_disk_of_the_primary_is_full),
    ("locks::two_applies_at_once_never_interleave", locks::two_applies_at_once_never_interleave),
    (
        "locks::a_lease_is_held_at_the_question_and_can_be_seen_and_broken",
        locks::a_lease_is_held_at_the_question_and_can_be_seen_and_broken,
    ),
    ("locks::a_killed_run_loses_its_hosts", locks::a_killed_run_loses_its_hosts),
    (
        "kills::every_apply_is_a_generation_with_its_files_as_they_were",
        kills::every_apply_is_a_generation_with_its_files_as_they_were,
    ),
    (
        "kills::killed_anywhere_it_goes_on_and_the_site_stays_up",
        kills::killed_anywhere_it_goes_on_and_the_site_stays_up,
    ),
    ("kills::killed_while_the_application_changes", kills::killed_while_the_application_changes),
    ("kills::a_host_loses_its_power_in_the_middle", kills::a_host_loses_its_power_in_the_middle),
    ("pair::an_address_moves_and_requests_go_on", pair::an_address_moves_and_requests_go_on),
    ("pair::both_serve_and_stand_in_for_each_other", pair::both_serve_and_stand_in_for_each_other),
    ("secrets::none_was_seen_anywhere", secrets::none_was_seen_anywhere),
    ("words::all_json_is_what_the_schema_says", words::all_json_is_what_the_schema_says),
    ("kills::killed_on_bare_hosts", kills::killed_on_bare_hosts),
];

fn main() -> ExitCode {
    let filters: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    if std::env::args().any(|a| a == "--list") {
        // What a runner other than cargo could do with single cases is nothing: they share their hosts.
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&Case> = CASES
        .iter()
        .filter(|(name, _)| filters.is_empty() || filters.iter().any(|f| name.contains(f.as_str())))
        .collect();
    if std::env::var("FOOBAR_E2E").as_deref() != Ok("1") {
        println!("\nrunning 0 tests (end to end: tests/run runs them, on hosts that it makes)");
        println!("\ntest result: ok. 0 passed; 0 failed; {} ignored\n", wanted.len());
        return ExitCode::SUCCESS;
    }
    let suites = std::env::var("FOOBAR_E2E_SUITES").unwrap_or("trixie,sid".into());
    let suites: Vec<Suite> =
        suites.split(',').map(|s| s.parse().expect("FOOBAR_E2E_SUITES names Debian releases")).collect();
    println!("\nrunning {} tests", wanted.len() * suites.len());
    // A machine that nobody prepared: what the hosts are made with is installed as `lab demo` does it.
    if let Err(error) = lab::install_prerequisites(&lab::state_dir(), &mut |_| {}) {
        println!("{:?}\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored\n", miette::Report::new(error));
        return ExitCode::from(101);
    }
    std::panic::set_hook(Box::new(|_| {}));
    let begun = Instant::now();
    let tallies: Vec<(usize, usize)> = std::thread::scope(|scope| {
        let wanted = &wanted;
        let started: Vec<_> = suites.iter().map(|suite| scope.spawn(move || run(*suite, wanted))).collect();
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
    for (name, case) in cases {
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

//! To look at by eye, in a terminal: `cargo test --lib report::look -- --ignored --nocapture`.

use super::{
    checks,
    diff::DiffStyle,
    outcome::Outcome,
    plan::{self as show, View},
    style::ColorChoice,
    tests::{everything, some_checks},
    *,
};
use std::{io::IsTerminal, time::Duration};

#[test]
#[ignore = "for the eye: it takes seconds and asserts nothing"]
fn look() {
    let palette = ColorChoice::Auto.palette(&std::io::stderr());
    let sleep = |millis| std::thread::sleep(Duration::from_millis(millis));
    let plan = everything();
    let mut show = Show::progress(std::io::stderr().is_terminal(), palette, Verbosity::Normal);
    show.event(&Event::ObserveStarted { hosts: plan.hosts.len() });
    for host in &plan.hosts {
        show.event(&Event::Connecting { host: host.clone() });
    }
    for host in &plan.hosts {
        sleep(600);
        show.event(&Event::Observed { host: host.clone(), millis: 600 });
    }
    let view = View { palette, diff: DiffStyle::Short, width: 100 };
    println!("{}", show::text(&plan, &view));
    sleep(3_000);
    show.expect(&plan);
    show.event(&Event::ApplyStarted { steps: plan.steps.len() });
    let event = |id: usize| {
        let step = &plan.steps[id];
        (step.id, step.host.clone(), step.change.summary.clone())
    };
    let mut last = None;
    for id in 0..plan.steps.len() {
        let (step, host, summary) = event(id);
        if id > 8 {
            show.event(&Event::StepSkipped { step, host, cause: 6 });
            continue;
        }
        show.event(&Event::StepStarted { step, host, summary });
        sleep(900);
        if let Some(before) = last.replace(id) {
            let (step, host, _) = event(before);
            show.event(&if before == 6 {
                Event::StepFailed { step, host, why: "exit status 1\nnginx: [emerg] unknown directive".into() }
            } else {
                Event::StepDone { step, host, millis: 1_800 }
            });
        }
    }
    let (step, host, _) = event(8);
    show.event(&Event::StepDone { step, host, millis: 1_800 });
    show.clear();
    eprintln!();
    eprint!("{}", Outcome::new(&plan, show.record(), Duration::from_millis(21_400)).text(palette));
    println!(
        "\n{}",
        checks::text(
            &some_checks(),
            Duration::from_millis(1_900),
            checks::View { palette, width: Some(100), quiet: false }
        )
    );
}

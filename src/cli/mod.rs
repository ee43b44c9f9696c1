//! The command line: clap, exit codes, reading local files, and one short recipe a command. What a recipe does stands in
//! the rooms below; here is only the order of it.

pub mod args;
pub mod bound;
mod carry;
pub mod choice;
mod command;
mod descriptors;
mod destroy;
mod differs;
mod dns;
mod drill;
pub mod exit;
mod failover;
pub mod gather;
mod graph;
mod held;
mod history;
mod lab;
pub mod limit;
mod live;
mod local;
mod lock;
mod pack;
mod reboot;
mod recipes;
mod rollback;
mod rotate;
mod screen;
mod sealed;
mod status;
mod switchover;
mod tree;
mod verify;
mod why;
mod work;

use crate::report::json;
use args::Command;
use exit::Exit;
use screen::Screen;

/// Runs the program with its own words; the answer is its exit status, everything worth saying has been said.
pub fn main() -> Exit {
    let cli = match args::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(exit) => return exit,
    };
    let screen = Screen::new(&cli.talk);
    if let Err(exit) = descriptors::prepare(&screen) {
        return exit;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build() {
        Ok(runtime) => runtime,
        Err(error) => {
            screen.problem(
                "foobar::local",
                &format!("no threads could be started: {error}"),
                "close some programs and try again",
            );
            return Exit::Failed;
        }
    };
    let done = runtime.block_on(async {
        let work = async {
            match &cli.command {
                Command::Schema => {
                    screen.data(json::SCHEMA_TEXT);
                    Ok(Exit::Done)
                }
                Command::Validate(args) => recipes::validate(&screen, args),
                Command::Plan(args) => recipes::plan(&screen, args).await,
                Command::Show(args) => sealed::show(&screen, args),
                Command::Apply(args) => recipes::apply(&screen, args).await,
                Command::Rotate(args) => rotate::rotate(&screen, args).await,
                Command::Reboot(args) => reboot::run(&screen, args).await,
                Command::Switchover(args) => switchover::run(&screen, args).await,
                Command::Failover(args) => failover::run(&screen, args).await,
                Command::Status(args) => status::run(&screen, args).await,
                Command::Verify(args) => verify::run(&screen, args).await,
                Command::Dns(args) => dns::run(&screen, args).await,
                Command::Drill(args) => drill::run(&screen, args).await,
                Command::Destroy(args) => destroy::run(&screen, args).await,
                Command::Ca(args) => recipes::ca(&screen, args).await,
                Command::Graph(args) => graph::run(&screen, args),
                Command::Render(args) => why::render(&screen, args),
                Command::Explain(args) => why::explain(&screen, args),
                Command::Rollback(args) => rollback::rollback(&screen, args).await,
                Command::History(args) => history::show(&screen, args).await,
                Command::Lock(args) => lock::run(&screen, args).await,
                Command::Lab(args) => lab::run(&screen, args).await,
            }
        };
        // A command that holds leases hears for itself, and gives them back first.
        let interrupted = async {
            match cli.command {
                Command::Apply(_)
                | Command::Rollback(_)
                | Command::Rotate(_)
                | Command::Reboot(_)
                | Command::Switchover(_)
                | Command::Failover(_)
                | Command::Drill(_)
                | Command::Destroy(_) => std::future::pending().await,
                // Nobody waits for the end of a watch: to be ended is how it ends.
                Command::Verify(ref args) if args.choice.watch.is_some() => std::future::pending().await,
                Command::Status(ref args) if args.watch.is_some() => std::future::pending().await,
                _ => lock::interrupted().await,
            }
        };
        tokio::select! {
            done = work => done,
            () = interrupted => {
                lock::say_interrupted(&screen);
                Err(Exit::Interrupted)
            }
        }
    });
    // Threads that wait for a terminal's answer must not hold the program back.
    runtime.shutdown_background();
    match done {
        Ok(exit) | Err(exit) => exit,
    }
}

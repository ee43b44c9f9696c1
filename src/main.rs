//! A stand-in until the real command line comes: `lab up|down|purge|status|exec|client|stop|kill|start|reset` by hand.

use std::process::ExitCode;

use foobar::lab::{Lab, Output, Progress, Result, Spec, Suite, install_prerequisites, preflight, state_dir};

const USAGE: &str = "lab preflight | install | up NAME [SUITE [HOST=NUMBER...]] | down NAME | purge | status NAME | exec NAME HOST SCRIPT \
                     | client NAME WORD... | stop|kill|start|reset NAME HOST";

fn main() -> miette::Result<ExitCode> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = args.iter().map(String::as_str).collect();
    let say = &mut |progress: Progress| match progress {
        Progress::Doing(text) => eprintln!("… {text}"),
        Progress::Done(text) => eprintln!("✓ {text}"),
        Progress::Line(text) => eprintln!("    {text}"),
    };
    let open = |name: &str| Lab::open(&state_dir(), name);
    match words[..] {
        ["lab", "up", name, ref rest @ ..] => up(name, rest, say)?,
        ["lab", "down", name] => Lab::down(&state_dir(), name, say)?,
        ["lab", "preflight"] => preflight(&state_dir()).iter().for_each(|m| println!("{}: {}", m.what, m.fix)),
        ["lab", "install"] => install_prerequisites(&state_dir(), say)?,
        ["lab", "purge"] => Lab::purge(&state_dir(), say)?,
        ["lab", "status", name] => println!("{:#?}", open(name)?.status()),
        ["lab", "exec", name, host, script] => return Ok(print(open(name)?.exec(host, script)?)),
        ["lab", "client", name, ref command @ ..] => return Ok(print(open(name)?.client_exec(command)?)),
        ["lab", "stop", name, host] => open(name)?.stop_host(host)?,
        ["lab", "kill", name, host] => open(name)?.kill_host(host)?,
        ["lab", "start", name, host] => open(name)?.start_host(host)?,
        ["lab", "reset", name, host] => open(name)?.reset_host(host)?,
        _ => {
            eprintln!("{USAGE}");
            return Ok(ExitCode::from(64));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn up(name: &str, rest: &[&str], say: &mut dyn FnMut(Progress)) -> Result<()> {
    let mut spec = Spec { name: name.into(), ..Spec::demo() };
    if let Some((suite, hosts)) = rest.split_first() {
        spec.suite = suite.parse::<Suite>()?;
        let chosen = hosts.iter().filter_map(|h| h.split_once('=')).map(|(n, a)| (n, a.parse().unwrap_or(0)));
        spec =
            chosen.fold(if hosts.is_empty() { spec } else { Spec { hosts: vec![], ..spec } }, |s, (n, a)| s.host(n, a));
    }
    Lab::up(&spec, say).map(drop)
}

fn print(output: Output) -> ExitCode {
    print!("{}", output.stdout);
    eprint!("{}", output.stderr);
    ExitCode::from(u8::try_from(output.code).unwrap_or(1))
}

//! `foobar lab`: hosts to throw away, from words to the lab's own functions.

mod demo;

use super::{
    args::lab::{LabArgs, LabCommand, LabUp},
    exit::Exit,
    gather,
    screen::Screen,
};
use crate::{
    lab::{self, HostState, Lab, LabError, Progress, Spec},
    report::style::Tone,
};
use ipnet::IpNet;
use std::{
    io::{Write as _, stderr, stdout},
    net::{IpAddr, Ipv4Addr},
    os::unix::process::CommandExt as _,
};

/// Runs one of its commands.
pub async fn run(screen: &Screen, args: &LabArgs) -> Result<Exit, Exit> {
    let state = lab::state_dir();
    let open = |name: &str| Lab::open(&state, name).map_err(|e| failed(screen, &e));
    match &args.command {
        LabCommand::Demo(make) => demo::run(screen, make).await,
        LabCommand::Up(up) => {
            prepare(screen)?;
            let (spec, shared) = spec(screen, up)?;
            let mut lab = Lab::up(&spec, &mut |p| progress(screen, p)).map_err(|e| failed(screen, &e))?;
            // An address that moves between hosts is the site's, where it is one of the lab's network.
            let subnet: Option<IpNet> = lab.status().subnet.parse().ok();
            let inside = shared.iter().find(|a| subnet.is_some_and(|net| net.contains(&IpAddr::V4(**a))));
            if let Some(shared) = inside {
                let names: Vec<_> = spec.site_names.iter().map(|name| (name.as_str(), *shared)).collect();
                lab.client_names(&names).map_err(|e| failed(screen, &e))?;
            } else if let Some(shared) = shared.first() {
                screen.say(&format!(
                    "the virtual address {shared} is none of {}: name a free one of that network to try it here",
                    lab.status().subnet
                ));
            }
            screen.data(&format!(
                "The lab {} is up. Its inventory: {}\n\n  foobar plan -f {} -i {}\n",
                spec.name,
                lab.inventory().display(),
                up.file.display(),
                lab.inventory().display()
            ));
            Ok(Exit::Done)
        }
        LabCommand::Down(lab) => {
            Lab::down(&state, &lab.name, &mut |p| progress(screen, p)).map_err(|e| failed(screen, &e))?;
            Ok(Exit::Done)
        }
        LabCommand::Status(lab) => {
            let status = open(&lab.name)?.status();
            let mut text = format!("lab {} on {}\n", status.name, status.subnet);
            for host in &status.hosts {
                let state = match host.state {
                    HostState::Running => screen.out.paint(Tone::Pass, "running"),
                    _ => screen.out.paint(Tone::Fail, "stopped"),
                };
                text += &format!(
                    "  {:<16} {:<16} {:<9} {state}\n",
                    host.name,
                    host.address.to_string(),
                    host.suite.to_string()
                );
            }
            screen.data(&text);
            Ok(if status.is_up() { Exit::Done } else { Exit::Failed })
        }
        LabCommand::Exec(exec) => {
            let words: Vec<String> =
                exec.command.iter().map(|w| crate::base::script::quote(&w.to_string_lossy())).collect();
            let output = open(&exec.lab.name)?.exec(&exec.host, &words.join(" ")).map_err(|e| failed(screen, &e))?;
            Ok(show(&output))
        }
        LabCommand::Client(client) => {
            let words: Vec<String> = client.command.iter().map(|w| w.to_string_lossy().into_owned()).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let output = open(&client.lab.name)?.client_exec(&words).map_err(|e| failed(screen, &e))?;
            Ok(show(&output))
        }
        LabCommand::Ssh(ssh) => {
            let lab = open(&ssh.lab.name)?;
            lab.address(&ssh.host).map_err(|e| failed(screen, &e))?;
            let error = std::process::Command::new("ssh").arg("-F").arg(lab.ssh_config()).arg(&ssh.host).exec();
            screen.problem("foobar::local", &format!("ssh could not be started: {error}"), "install openssh-client");
            Err(Exit::Failed)
        }
    }
}

fn show(output: &lab::Output) -> Exit {
    let _ = stdout().write_all(output.stdout.as_bytes());
    let _ = stderr().write_all(output.stderr.as_bytes());
    if output.ok() { Exit::Done } else { Exit::Failed }
}

/// Says exactly what is missing, and installs what can be installed.
fn prepare(screen: &Screen) -> Result<(), Exit> {
    let state = lab::state_dir();
    lab::install_prerequisites(&state, &mut |p| progress(screen, p)).map_err(|e| failed(screen, &e))
}

/// Shows a lab's progress on stderr.
fn progress(screen: &Screen, progress: Progress) {
    match progress {
        Progress::Doing(text) => screen.say(&format!("{} {text}", screen.err.paint(Tone::Dim, "…"))),
        Progress::Done(text) => screen.say(&format!("{} {text}", screen.err.paint(Tone::Pass, "✓"))),
        Progress::Line(text) => screen.say(&format!("    {}", screen.err.paint(Tone::Dim, &text))),
    }
}

/// Says what went wrong.
fn failed(screen: &Screen, error: &LabError) -> Exit {
    screen.diagnostic(error);
    Exit::Failed
}

/// A host for each host of the topology, with the last part of its IPv4 address where it has one; and the addresses that move
/// between hosts.
fn spec(screen: &Screen, up: &LabUp) -> Result<(Spec, Vec<Ipv4Addr>), Exit> {
    let site = gather::names(&up.file).map_err(|failure| screen.failure(&failure))?;
    let mut spec = Spec::new(&up.make.lab.name, up.make.suite);
    let mut taken = Vec::new();
    for host in &site.hosts {
        let wish = match host.address {
            IpAddr::V4(v4) => v4.octets()[3],
            IpAddr::V6(_) => 0,
        };
        let free = |n: &u8| (2..200).contains(n) && !taken.contains(n);
        let Some(number) = Some(wish).filter(free).or_else(|| (2..200).find(free)) else { continue };
        taken.push(number);
        spec = spec.host(host.name.as_str(), number);
    }
    spec.site_names = std::iter::once(&site.site).chain(&site.aliases).map(ToString::to_string).collect();
    let redundancy = site.haproxy.iter().filter_map(|h| h.redundancy.as_ref());
    let v4 = |address: &IpAddr| if let IpAddr::V4(v4) = address { Some(*v4) } else { None };
    Ok((spec, redundancy.flat_map(|r| &r.virtual_addresses).filter_map(v4).collect()))
}

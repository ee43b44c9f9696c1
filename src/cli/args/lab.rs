//! The words of `foobar lab`.

use crate::lab::Suite;
use clap::{
    Args, Subcommand,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use std::{ffi::OsString, path::PathBuf};

/// `foobar lab`
#[derive(Clone, Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct LabArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: LabCommand,
}

/// What to do with the lab.
#[derive(Clone, Debug, Subcommand)]
pub enum LabCommand {
    /// boot a small site, apply its topology, verify it, and say where to look
    Demo(LabMake),
    /// boot a host for each host of the topology, and write an inventory for them
    Up(LabUp),
    /// stop the hosts and leave nothing of them behind
    Down(LabName),
    /// say which hosts run, and where
    Status(LabName),
    /// run a command on a host as root
    #[command(after_help = "Example:\n  foobar lab exec web-01 -- systemctl status nginx")]
    Exec(LabExec),
    /// run a command on the client, a machine of the lab that plays a user
    #[command(after_help = "Example:\n  foobar lab client -- curl -k https://www.foobar.com/")]
    Client(LabClient),
    /// open a shell on a host
    Ssh(LabSsh),
}

/// Which lab.
#[derive(Clone, Debug, Args)]
pub struct LabName {
    /// the lab's name, where there are several on this machine
    #[arg(long, default_value = "demo", env = "FOOBAR_NAME", hide_env = true)]
    pub name: String,
}

/// How a lab is made.
#[derive(Clone, Debug, Args)]
pub struct LabMake {
    /// Which lab.
    #[command(flatten)]
    pub lab: LabName,
    /// the Debian that its hosts run
    #[arg(long, default_value = "trixie", env = "FOOBAR_SUITE", hide_env = true, value_parser = suite())]
    pub suite: Suite,
}

/// `foobar lab up`
#[derive(Clone, Debug, Args)]
pub struct LabUp {
    /// How it is made.
    #[command(flatten)]
    pub make: LabMake,
    /// the topology whose hosts are booted
    #[arg(short, long, value_name = "FILE", default_value = "foobar.yaml", env = "FOOBAR_FILE", hide_env = true)]
    pub file: PathBuf,
}

/// `foobar lab exec`
#[derive(Clone, Debug, Args)]
pub struct LabExec {
    /// Which lab.
    #[command(flatten)]
    pub lab: LabName,
    /// the host
    pub host: String,
    /// the command and its words
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// `foobar lab client`
#[derive(Clone, Debug, Args)]
pub struct LabClient {
    /// Which lab.
    #[command(flatten)]
    pub lab: LabName,
    /// the command and its words
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// `foobar lab ssh`
#[derive(Clone, Debug, Args)]
pub struct LabSsh {
    /// Which lab.
    #[command(flatten)]
    pub lab: LabName,
    /// the host
    pub host: String,
}

fn suite() -> impl TypedValueParser<Value = Suite> {
    PossibleValuesParser::new([
        PossibleValue::new("bookworm").help("Debian 12"),
        PossibleValue::new("trixie").help("Debian 13"),
        PossibleValue::new("sid").help("unstable, the one with MySQL itself"),
    ])
    .try_map(|name| name.parse::<Suite>())
}

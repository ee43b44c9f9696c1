//! The words of `foobar lab`.

use clap::{Args, Subcommand, ValueEnum};
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
    /// open a shell on a host
    Ssh(LabSsh),
}

/// Which lab.
#[derive(Clone, Debug, Args)]
pub struct LabName {
    /// the lab's name, where there are several on this machine
    #[arg(long, default_value = "lab", env = "FOOBAR_NAME", hide_env = true)]
    pub name: String,
}

/// How a lab is made.
#[derive(Clone, Debug, Args)]
pub struct LabMake {
    /// Which lab.
    #[command(flatten)]
    pub lab: LabName,
    /// the Debian that its hosts run
    #[arg(long, default_value = "trixie", env = "FOOBAR_SUITE", hide_env = true)]
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

/// `foobar lab ssh`
#[derive(Clone, Debug, Args)]
pub struct LabSsh {
    /// Which lab.
    #[command(flatten)]
    pub lab: LabName,
    /// the host
    pub host: String,
}

/// A Debian release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Debian 12
    Bookworm,
    /// Debian 13
    #[default]
    Trixie,
    /// unstable, the one with MySQL itself
    Sid,
}

impl Suite {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Sid => "sid",
        }
    }
}

//! Real throw-away hosts on this machine: Debian with systemd and sshd, on a network of their own, for a newcomer's first
//! look and for tests that want to meet real daemons. Nothing about the stack lives here, and nothing but `cli/` imports it.
//!
//! A root of each Debian release is built once (`base`); each host is a layer over it (`host`) in a control group of its
//! own (`cgroup`), on the bridge of its lab (`net`). What a lab leaves on the machine is named after it, and a process is
//! ended only if the lab's own record or control group says that the lab started it.

mod base;
mod cgroup;
mod error;
mod host;
mod instance;
mod net;
mod paths;
mod preflight;
mod process;
mod record;
mod spec;
mod suite;
mod text;

pub use error::{LabError, Missing, Result};
pub use host::HostState;
pub use instance::{HostStatus, Lab, Status};
pub use paths::state_dir;
pub use preflight::{install_prerequisites, preflight};
pub use process::Output;
pub use spec::{HostSpec, Spec};
pub use suite::Suite;

/// What the lab is at, for whoever shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Begins something that takes a while.
    Doing(String),
    /// Finished something.
    Done(String),
    /// One line that a long command said.
    Line(String),
}

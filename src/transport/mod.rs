//! One way to a host: run a script there and hear what it says. What the scripts are about is nobody's business here. Beside
//! it, connections from this machine can be tried, which nothing is sent over.

pub mod reach;
pub mod ssh;

use crate::base::{
    name::HostName,
    reach::{Reached, Try},
    script::Script,
};
use std::future::Future;

/// What a script answered.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// Its exit status.
    pub status: i32,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: String,
}

/// Why a host could not be asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{host}: {what}")]
pub struct TransportError {
    /// The host.
    pub host: HostName,
    /// Which way it failed.
    pub kind: TransportErrorKind,
    /// What happened, a lower-case fragment.
    pub what: String,
    /// What to do next.
    pub help: String,
}

/// Which way a host could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportErrorKind {
    /// No answer at its address, or its name is unknown.
    Unreachable,
    /// It answers, and takes none of the keys it was offered.
    Refused,
    /// Its host key is not the known one, or not known.
    HostKey,
    /// The login works, and may not become root without a password.
    Sudo,
    /// The connection broke while something ran.
    Lost,
    /// Something here failed: no ssh program, no directory for sockets.
    Local,
}

/// Hears the lines that a running script prints on its standard output, without their line breaks, as they come.
pub type OnLine<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A way to hosts.
pub trait Transport: Sync {
    /// Runs `script` on `host` as root with POSIX sh: one exec. Lines go to `on_line` as they come, and all of them are in
    /// the reply too.
    fn run(
        &self,
        host: &HostName,
        script: &Script,
        on_line: OnLine<'_>,
    ) -> impl Future<Output = Result<Reply, TransportError>> + Send;

    /// The same over a connection of its own, made for this call: what proves that a new login still works.
    fn run_fresh(&self, host: &HostName, script: &Script)
    -> impl Future<Output = Result<Reply, TransportError>> + Send;

    /// Tries connections from this machine to `host`; nothing is sent over them. Where the host is reached in another way
    /// than straight at its address, nothing is tried: what answers there may be anybody.
    fn reach(&self, host: &HostName, all: &[Try]) -> impl Future<Output = Reached> + Send;

    /// Whatever connection to `host` is kept is not used again: the host is going down, and may not say so.
    fn forget(&self, _host: &HostName) -> impl Future<Output = ()> + Send {
        async {}
    }
}

//! What the program's exit status means. Scripts rely on these numbers; they never change their meaning.

use crate::transport::TransportErrorKind;
use std::process::{ExitCode, Termination};

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Done; nothing is left to do.
    Done = 0,
    /// Failed; the message says what was changed and what was not.
    Failed = 1,
    /// Changes are pending (`plan --detailed-exitcode` only).
    Pending = 2,
    /// `verify` found a failure, or `status` something down.
    CheckFailed = 3,
    /// Failed, and rolled back.
    RolledBack = 4,
    /// The saved plan no longer fits what the hosts are.
    StalePlan = 5,
    /// Another run holds the lock.
    Locked = 6,
    /// A host could not be reached, or was lost while something ran there.
    Unreachable = 7,
    /// Wrong usage, or an invalid topology.
    Usage = 64,
    /// Interrupted.
    Interrupted = 130,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}

impl From<TransportErrorKind> for Exit {
    fn from(kind: TransportErrorKind) -> Self {
        use TransportErrorKind::{HostKey, Local, Lost, Refused, Sudo, Unreachable};
        match kind {
            Unreachable | Refused | HostKey | Sudo | Lost => Self::Unreachable,
            Local => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_a_promise() {
        use Exit::*;
        let all = [Done, Failed, Pending, CheckFailed, RolledBack, StalePlan, Locked, Unreachable, Usage, Interrupted];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4, 5, 6, 7, 64, 130]);
    }
}

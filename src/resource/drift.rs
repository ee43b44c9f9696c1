//! How a host came to be other than foobar left it: what somebody changed by hand, in files or in what runs, told apart from
//! what the topology says anew.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What is not as foobar left it. A change that only follows the topology has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// A file does not hold what foobar wrote there last.
    Edited,
    /// A file that foobar wrote is gone.
    Removed,
    /// A file's mode or owner is not the one that foobar set.
    Permissions,
    /// A unit is not running.
    Stopped,
    /// A unit would not be started at boot.
    Disabled,
    /// A daemon runs a configuration that is older than its file.
    Outdated,
    /// A daemon shows a certificate that is not the one on disk.
    Certificate,
    /// The firewall's live table is not the one that was loaded.
    Firewall,
    /// A server's variable was set at run time, and its file says something else.
    Variable,
    /// A server was started by somebody else, and has lost what it is told at run time.
    Restarted,
    /// An account of the database was changed there.
    Account,
    /// What a replica was told of its primary was changed there.
    Replication,
    /// A host was taken out of its balancer's service at run time, and was not put back.
    TakenOut,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edited => "edited by hand",
            Self::Removed => "removed by hand",
            Self::Permissions => "mode or owner changed by hand",
            Self::Stopped => "not running",
            Self::Disabled => "disabled",
            Self::Outdated => "runs an older configuration",
            Self::Certificate => "shows another certificate",
            Self::Firewall => "changed at run time",
            Self::Variable => "set at run time",
            Self::Restarted => "restarted by hand",
            Self::Account => "changed in the database",
            Self::Replication => "changed on the replica",
            Self::TakenOut => "taken out of service",
        })
    }
}

//! The Debian releases that hosts can run, by the names that apt, mmdebstrap and the user know.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::error::{LabError, Result};

/// A Debian release that hosts can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Suite {
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    Trixie,
    /// Debian unstable, the only one with MySQL itself.
    Sid,
}

impl Suite {
    /// Its code name, as apt and mmdebstrap know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Sid => "sid",
        }
    }

    /// The database server that it has a package of.
    pub fn database(self) -> &'static str {
        if self == Self::Sid { "mysql-server" } else { "mariadb-server" }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Suite {
    type Err = LabError;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Bookworm, Self::Trixie, Self::Sid];
        all.into_iter().find(|s| s.name() == text).ok_or_else(|| LabError::Spec {
            what: "suite",
            value: text.into(),
            why: "it is one of bookworm, trixie and sid".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_read_by_name() {
        assert_eq!("trixie".parse::<Suite>().unwrap(), Suite::Trixie);
        assert!("buster".parse::<Suite>().is_err());
        assert_eq!(Suite::Sid.database(), "mysql-server");
    }
}

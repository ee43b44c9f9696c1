//! What became of a connection that was tried, and how long it was given. Nothing is connected here.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

/// What a TCP connection met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Somebody took it.
    Open,
    /// It was let through, and nobody listens.
    Refused,
    /// Nothing came back in its time: it was dropped on its way.
    Silent,
    /// There is no way to the address, or this machine could not try.
    Unreachable,
}

impl Reach {
    /// As it is told: `closed and is WORD`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Refused => "refused",
            Self::Silent => "silent",
            Self::Unreachable => "unreachable",
        }
    }
}

/// A connection to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Try {
    /// Where to.
    pub to: SocketAddr,
    /// How long it is waited for.
    pub within: Duration,
}

/// What each met.
pub type Reached = BTreeMap<SocketAddr, Reach>;

//! Real throw-away hosts on this machine.

//! The command line: its words, its exit codes, reading local files, one short recipe a command.

pub mod args;
pub mod exit;
pub mod limit;

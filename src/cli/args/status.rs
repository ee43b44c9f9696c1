//! The words of `foobar status`.

use super::{JsonArgs, ReachArgs, SiteArgs, seconds};
use crate::cli::limit::Pattern;
use clap::{ArgAction, Args};
use std::time::Duration;

/// `foobar status`
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// Which site.
    #[command(flatten)]
    pub site: SiteArgs,
    /// hosts to ask, by name, glob (web-*), role (@nginx) or exclusion (!db-01)
    #[arg(short, long, value_name = "PATTERN", value_delimiter = ',', env = "FOOBAR_LIMIT", hide_env = true)]
    #[arg(action = ArgAction::Append, allow_hyphen_values = false, help_heading = "Hosts")]
    pub limit: Vec<Pattern>,
    /// How they are reached.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// ask again and again, this many seconds apart (5 where none are given), in place on a terminal; Ctrl-C ends it
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "5", value_parser = seconds)]
    #[arg(env = "FOOBAR_WATCH", hide_env = true, help_heading = "Output")]
    pub watch: Option<Duration>,
    /// For programs: with --watch a document a line.
    #[command(flatten)]
    pub json: JsonArgs,
}

//! The words of `foobar verify`: which checks, in which form, how often.

use super::{JsonArgs, LimitArgs, ReachArgs, SiteArgs, seconds};
use crate::cli::choice::Pattern;
use clap::{ArgAction, Args, ValueEnum, builder::FalseyValueParser};
use std::{path::PathBuf, time::Duration};

/// In which form a verification is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum VerifyFormat {
    /// a table
    #[default]
    Human,
    /// the same as --json
    Json,
    /// XML for build servers
    Junit,
    /// TAP 13, for test harnesses
    Tap,
    /// for a node exporter's textfile directory
    Prometheus,
}

/// Which checks.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Checks")]
pub struct ChoiceArgs {
    /// only these checks: a component (mysql), a name (mysql/it-boots-read-only) or a glob (*certificate*)
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', env = "FOOBAR_ONLY", hide_env = true)]
    #[arg(action = ArgAction::Append)]
    pub only: Vec<Pattern>,
    /// all but these checks
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', env = "FOOBAR_SKIP", hide_env = true)]
    #[arg(action = ArgAction::Append)]
    pub skip: Vec<Pattern>,
    /// print the names of the checks that would be made and from where, and make none
    #[arg(long, env = "FOOBAR_LIST_CHECKS", hide_env = true, value_parser = FalseyValueParser::new())]
    #[arg(action = ArgAction::SetTrue)]
    pub list_checks: bool,
    /// make them again and again, this many seconds apart (30 where none are given), and tell what changes; Ctrl-C ends it
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "30", value_parser = seconds)]
    #[arg(env = "FOOBAR_WATCH", hide_env = true)]
    pub watch: Option<Duration>,
}

/// `foobar verify`
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// Which site.
    #[command(flatten)]
    pub site: SiteArgs,
    /// Which hosts.
    #[command(flatten)]
    pub limit: LimitArgs,
    /// Which checks.
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// How they are reached.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// in which form
    #[arg(long, value_name = "FORMAT", default_value = "human", env = "FOOBAR_FORMAT", hide_env = true)]
    #[arg(help_heading = "Output")]
    pub format: VerifyFormat,
    /// For programs.
    #[command(flatten)]
    pub json: JsonArgs,
    /// a file for it instead of stdout, replaced whole
    #[arg(short, long, value_name = "FILE", env = "FOOBAR_OUT", hide_env = true, help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// also a page for people, with the topology's picture; one file that needs no other
    #[arg(long, value_name = "FILE.html", env = "FOOBAR_REPORT", hide_env = true, help_heading = "Output")]
    pub report: Option<PathBuf>,
}

impl VerifyArgs {
    /// In which form it is told.
    pub fn format(&self) -> VerifyFormat {
        if self.json.json { VerifyFormat::Json } else { self.format }
    }
}

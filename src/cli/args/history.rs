//! The words of `foobar history`.

use super::{DiffArgs, JsonArgs, LimitArgs, ReachArgs, SiteArgs, lock::WaitArgs};
use crate::cli::limit::Pattern;
use clap::{ArgAction, Args, builder::FalseyValueParser};

/// `foobar history`
#[derive(Clone, Debug, Args)]
pub struct HistoryArgs {
    /// Which site.
    #[command(flatten)]
    pub site: SiteArgs,
    /// How hosts are reached.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// For programs.
    #[command(flatten)]
    pub json: JsonArgs,
    /// generations to show, the newest of each host
    #[arg(short, long, value_name = "N", default_value = "10", env = "FOOBAR_NUMBER", hide_env = true)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..), help_heading = "Output")]
    pub number: u16,
    /// print the topology that the one generation was made from
    #[arg(long, env = "FOOBAR_TOPOLOGY", hide_env = true, value_parser = FalseyValueParser::new())]
    #[arg(action = ArgAction::SetTrue, conflicts_with = "json", help_heading = "Output")]
    pub topology: bool,
    /// hosts to ask, as for --limit, or the number of the one generation to show in full
    #[arg(value_name = "HOST|GENERATION")]
    pub which: Vec<String>,
}

/// `foobar rollback`
#[derive(Clone, Debug, Args)]
pub struct RollbackArgs {
    /// the generation to go back to; none: the newest that was made from something else than the last one
    #[arg(value_name = "GENERATION")]
    pub generation: Option<u64>,
    /// Which site.
    #[command(flatten)]
    pub site: SiteArgs,
    /// Which hosts.
    #[command(flatten)]
    pub limit: LimitArgs,
    /// How they are reached.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// How long others are waited for.
    #[command(flatten)]
    pub wait: WaitArgs,
    /// How the plan is shown.
    #[command(flatten)]
    pub diff: DiffArgs,
    /// Whether what fails goes back.
    #[command(flatten)]
    pub undo: super::change::UndoArgs,
    /// For programs.
    #[command(flatten)]
    pub json: JsonArgs,
    /// do not ask
    #[arg(short, long, visible_alias = "auto-approve", env = "FOOBAR_YES", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub yes: bool,
}

impl HistoryArgs {
    /// The one generation that is asked for, if one is.
    pub fn generation(&self) -> Option<u64> {
        self.which.iter().find_map(|word| word.parse().ok())
    }

    /// The hosts that are asked for; all where there are none. Words that could not be a host's are said to be wrong.
    pub fn hosts(&self) -> Result<Vec<Pattern>, String> {
        let words = self.which.iter().filter(|word| word.parse::<u64>().is_err());
        words.map(|word| word.parse::<Pattern>().map_err(|e| format!("`{word}`: {e}"))).collect()
    }
}

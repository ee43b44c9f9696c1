//! The words of `foobar history`.

use super::{JsonArgs, ReachArgs, SiteArgs};
use crate::cli::limit::Pattern;
use clap::Args;

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
    /// hosts to ask, as for --limit, or the number of the one generation to show in full
    #[arg(value_name = "HOST|GENERATION")]
    pub which: Vec<String>,
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

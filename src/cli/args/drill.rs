//! The words of `foobar drill`.

use super::{JsonArgs, ReachArgs, SiteArgs};
use clap::{ArgAction, Args, builder::FalseyValueParser};
use std::time::Duration;

/// `foobar drill`
#[derive(Clone, Debug, Args)]
pub struct DrillArgs {
    /// what is taken away: a host with all its services, a component on its first host, or COMPONENT@HOST
    #[arg(value_name = "HOST|COMPONENT")]
    pub what: String,
    /// Which site.
    #[command(flatten)]
    pub site: SiteArgs,
    /// How hosts are reached.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// how long it stays away, in seconds
    #[arg(id = "for", long = "for", value_name = "SECONDS", default_value = "15", value_parser = span, env = "FOOBAR_FOR", hide_env = true)]
    #[arg(help_heading = "Drill")]
    pub away: Duration,
    /// do not ask
    #[arg(short, long, env = "FOOBAR_YES", hide_env = true, value_parser = FalseyValueParser::new())]
    #[arg(action = ArgAction::SetTrue, help_heading = "Drill")]
    pub yes: bool,
    /// For programs.
    #[command(flatten)]
    pub json: JsonArgs,
}

fn span(text: &str) -> Result<Duration, String> {
    match text.trim_end_matches('s').parse::<u64>() {
        Ok(n @ 1..=600) => Ok(Duration::from_secs(n)),
        _ => Err("a whole number of seconds from 1 to 600 is needed".to_owned()),
    }
}

//! The words of `foobar lock`, and for how long others are waited for.

use super::{JsonArgs, LimitArgs, ReachArgs, SiteArgs};
use clap::{ArgAction, Args, builder::FalseyValueParser};
use std::time::Duration;

/// How long others are waited for.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Hosts")]
pub struct WaitArgs {
    /// how long to wait for another run that is at work on a host: 90s, 10m, 1h
    #[arg(long, value_name = "DURATION", default_value = "0s", env = "FOOBAR_LOCK_TIMEOUT", hide_env = true)]
    #[arg(value_parser = span)]
    pub lock_timeout: Duration,
}

/// `foobar lock`
#[derive(Clone, Debug, Args)]
pub struct LockArgs {
    /// Which site.
    #[command(flatten)]
    pub site: SiteArgs,
    /// Which hosts.
    #[command(flatten)]
    pub limit: LimitArgs,
    /// How they are reached.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// For programs.
    #[command(flatten)]
    pub json: JsonArgs,
    /// take the leases away, after asking: the run that holds them stops at its next command
    #[arg(id = "break", long = "break", env = "FOOBAR_BREAK", hide_env = true, value_parser = FalseyValueParser::new())]
    #[arg(action = ArgAction::SetTrue)]
    pub take_away: bool,
    /// do not ask
    #[arg(short, long, visible_alias = "auto-approve", env = "FOOBAR_YES", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub yes: bool,
}

/// Seconds without a unit, or with one of s, m and h; a day at most.
pub fn span(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.trim().strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, text.trim().chars().last()),
        None => (text.trim(), None),
    };
    let times = match unit {
        Some('h') => 3600,
        Some('m') => 60,
        _ => 1,
    };
    let seconds = number.parse::<u64>().ok().and_then(|n| n.checked_mul(times)).filter(|s| *s <= 86_400);
    let wrong = || "a whole number with s, m or h is needed, a day at most: 90s, 10m".to_owned();
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

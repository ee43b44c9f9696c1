//! The words of `foobar reboot`.

use super::{DiffArgs, JsonArgs, LimitArgs, ReachArgs, SiteArgs, lock};
use crate::{cli::bound::BoundArgs, plan::reboot::Ask};
use clap::{ArgAction, Args, builder::FalseyValueParser};
use std::time::Duration;

/// `foobar reboot`
#[derive(Clone, Debug, Args)]
pub struct RebootArgs {
    /// Which site.
    #[command(flatten)]
    pub site: SiteArgs,
    /// Which hosts.
    #[command(flatten)]
    pub limit: LimitArgs,
    /// only hosts that ask for it (/run/reboot-required), or on which a newer kernel is installed than runs
    #[arg(long, env = "FOOBAR_IF_NEEDED", hide_env = true, value_parser = FalseyValueParser::new())]
    #[arg(action = ArgAction::SetTrue, help_heading = "Hosts")]
    pub if_needed: bool,
    /// how long a host may take to be back: 90s, 10m, 1h
    #[arg(long, value_name = "DURATION", default_value = "10m", env = "FOOBAR_REBOOT_TIMEOUT", hide_env = true)]
    #[arg(value_parser = some, help_heading = "Hosts")]
    pub reboot_timeout: Duration,
    /// How they are reached.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// How long others are waited for.
    #[command(flatten)]
    pub wait: lock::WaitArgs,
    /// How it is shown.
    #[command(flatten)]
    pub diff: DiffArgs,
    /// How much users may feel.
    #[command(flatten)]
    pub bound: BoundArgs,
    /// For programs.
    #[command(flatten)]
    pub json: JsonArgs,
    /// do not ask
    #[arg(short, long, visible_alias = "auto-approve", env = "FOOBAR_YES", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub yes: bool,
}

impl RebootArgs {
    /// What is asked for.
    pub fn ask(&self) -> Ask {
        Ask { if_needed: self.if_needed, within: self.reboot_timeout }
    }
}

fn some(text: &str) -> Result<Duration, String> {
    lock::span(text).and_then(|d| if d.is_zero() { Err("no host is back at once".to_owned()) } else { Ok(d) })
}

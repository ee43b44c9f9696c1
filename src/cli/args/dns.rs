//! The words of `foobar dns`.

use super::{JsonArgs, ReachArgs, SiteArgs};
use clap::{ArgAction, Args, builder::FalseyValueParser};

/// `foobar dns`
#[derive(Clone, Debug, Args)]
pub struct DnsArgs {
    /// Which site.
    #[command(flatten)]
    pub site: SiteArgs,
    /// ask the name servers and the resolvers of the hosts, and compare; nothing is changed
    #[arg(long, env = "FOOBAR_CHECK", hide_env = true, value_parser = FalseyValueParser::new())]
    #[arg(action = ArgAction::SetTrue, help_heading = "Hosts")]
    pub check: bool,
    /// How they are reached.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// For programs.
    #[command(flatten)]
    pub json: JsonArgs,
}

//! The words of `foobar switchover`.

use super::{DiffArgs, JsonArgs, ReachArgs, SiteArgs, lock};
use crate::{base::name::HostName, cli::bound::BoundArgs};
use clap::{ArgAction, Args, builder::FalseyValueParser};

/// `foobar switchover`
#[derive(Clone, Debug, Args)]
pub struct SwitchoverArgs {
    /// the database server that shall take the writes: a replica now
    #[arg(long, value_name = "HOST", env = "FOOBAR_TO", hide_env = true)]
    pub to: HostName,
    /// leave the topology file as it is, and say what to change in it
    #[arg(long, env = "FOOBAR_NO_EDIT", hide_env = true, value_parser = FalseyValueParser::new())]
    #[arg(action = ArgAction::SetTrue)]
    pub no_edit: bool,
    /// Which site.
    #[command(flatten)]
    pub site: SiteArgs,
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

//! The words of `foobar failover`.

use super::{DiffArgs, JsonArgs, ReachArgs, SiteArgs, lock};
use crate::base::name::HostName;
use clap::{ArgAction, Args, builder::FalseyValueParser};

/// `foobar failover`
#[derive(Clone, Debug, Args)]
pub struct FailoverArgs {
    /// the replica that shall take over [default: the one that has received most]
    #[arg(long, value_name = "HOST", env = "FOOBAR_TO", hide_env = true)]
    pub to: Option<HostName>,
    /// this host cannot be reached, and you have seen to it that it is off; may be given more than once
    #[arg(long, value_name = "HOST", env = "FOOBAR_IS_OFF", hide_env = true, help_heading = "Safety")]
    #[arg(value_delimiter = ',')]
    pub is_off: Vec<HostName>,
    /// with --yes: go on also where transactions are lost, or nobody can say whether
    #[arg(long, env = "FOOBAR_ALLOW_LOSS", hide_env = true, value_parser = FalseyValueParser::new())]
    #[arg(action = ArgAction::SetTrue, help_heading = "Safety")]
    pub allow_loss: bool,
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
    /// For programs.
    #[command(flatten)]
    pub json: JsonArgs,
    /// do not ask
    #[arg(short, long, visible_alias = "auto-approve", env = "FOOBAR_YES", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub yes: bool,
}

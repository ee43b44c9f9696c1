//! The words of plan, show, apply and rotate.

use super::{DiffArgs, JsonArgs, LimitArgs, ReachArgs, SiteArgs, lock, removal};
use crate::{base::name::Span, cli::bound::BoundArgs, plan::seal::VALID_FOR};
use clap::{ArgAction, Args, builder::FalseyValueParser};
use std::path::PathBuf;

/// `foobar plan`
#[derive(Clone, Debug, Args)]
pub struct PlanArgs {
    /// Which site.
    #[command(flatten)]
    pub site: SiteArgs,
    /// Which hosts.
    #[command(flatten)]
    pub limit: LimitArgs,
    /// How they are reached.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// How it is shown.
    #[command(flatten)]
    pub diff: DiffArgs,
    /// How much users may feel.
    #[command(flatten)]
    pub bound: BoundArgs,
    /// For programs.
    #[command(flatten)]
    pub json: JsonArgs,
    /// What is taken away.
    #[command(flatten)]
    pub removal: removal::PurgeArgs,
    /// Whose data is taken away.
    #[command(flatten)]
    pub reseed: removal::ReseedArgs,
    /// keep the plan in this file, for `show` and `apply`; it holds no secret
    #[arg(short, long, value_name = "FILE", env = "FOOBAR_OUT", hide_env = true, help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// how long a kept plan may be carried out: 30m, 24h, 7d
    #[arg(long, value_name = "TIME", default_value_t = VALID_FOR, env = "FOOBAR_VALID_FOR", hide_env = true)]
    #[arg(help_heading = "Output")]
    pub valid_for: Span,
    /// exit with 2 where changes are pending
    #[arg(long, env = "FOOBAR_DETAILED_EXITCODE", hide_env = true, value_parser = FalseyValueParser::new())]
    #[arg(action = ArgAction::SetTrue, help_heading = "Output")]
    pub detailed_exitcode: bool,
}

/// What becomes of a host whose change did not prove itself.
#[derive(Clone, Debug, Args)]
pub struct UndoArgs {
    /// leave a host that failed its check as it is, out of service, to be looked at
    #[arg(long, env = "FOOBAR_NO_ROLLBACK", hide_env = true, value_parser = FalseyValueParser::new())]
    #[arg(action = ArgAction::SetTrue, help_heading = "Safety")]
    pub no_rollback: bool,
}

/// `foobar show`
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// a plan that `plan -o` kept
    #[arg(value_name = "PLAN")]
    pub saved: PathBuf,
    /// How it is shown.
    #[command(flatten)]
    pub diff: DiffArgs,
    /// For programs.
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `foobar apply`
#[derive(Clone, Debug, Args)]
pub struct ApplyArgs {
    /// a plan that `plan -o` kept: carried out as it is, without asking; it has its own topology and limit
    #[arg(value_name = "PLAN")]
    pub saved: Option<PathBuf>,
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
    pub wait: lock::WaitArgs,
    /// How it is shown.
    #[command(flatten)]
    pub diff: DiffArgs,
    /// How much users may feel.
    #[command(flatten)]
    pub bound: BoundArgs,
    /// Whether what fails goes back.
    #[command(flatten)]
    pub undo: UndoArgs,
    /// For programs.
    #[command(flatten)]
    pub json: JsonArgs,
    /// What is taken away.
    #[command(flatten)]
    pub removal: removal::PurgeArgs,
    /// Whose data is taken away.
    #[command(flatten)]
    pub reseed: removal::ReseedArgs,
    /// do not ask
    #[arg(short, long, visible_alias = "auto-approve", env = "FOOBAR_YES", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub yes: bool,
}

/// `foobar rotate`
#[derive(Clone, Debug, Args)]
pub struct RotateArgs {
    /// secrets by their names, database accounts or variables of the app; none: list them
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
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
    pub wait: lock::WaitArgs,
    /// How the plan is shown.
    #[command(flatten)]
    pub diff: DiffArgs,
    /// Whether what fails goes back.
    #[command(flatten)]
    pub undo: UndoArgs,
    /// For programs.
    #[command(flatten)]
    pub json: JsonArgs,
    /// do not ask
    #[arg(short, long, visible_alias = "auto-approve", env = "FOOBAR_YES", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub yes: bool,
}

//! The words for what is taken away.

use super::{DiffArgs, JsonArgs, LimitArgs, ReachArgs, SiteArgs, lock::WaitArgs};
use crate::{
    base::name::{DomainName, HostName},
    plan::remove::Removal,
};
use clap::{ArgAction, Args, builder::FalseyValueParser};
use std::collections::BTreeSet;

/// How much of what nobody wants any more is taken away.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Removal")]
pub struct PurgeArgs {
    /// also purge packages that foobar installed and nothing in the topology needs any more
    #[arg(long, env = "FOOBAR_PURGE", hide_env = true, value_parser = FalseyValueParser::new())]
    #[arg(action = ArgAction::SetTrue)]
    purge: bool,
}

impl PurgeArgs {
    /// As the plan wants to know it.
    pub fn removal(&self) -> Removal {
        Removal { purge: self.purge, ..Removal::default() }
    }
}

/// Whose data is taken away to be copied anew.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Removal")]
pub struct ReseedArgs {
    /// empty this database replica and fill it with a copy of its primary's data; what it alone has is kept beside
    #[arg(long, value_name = "HOST", env = "FOOBAR_RESEED", hide_env = true, value_delimiter = ',')]
    reseed: Vec<HostName>,
}

impl ReseedArgs {
    /// The hosts.
    pub fn hosts(&self) -> BTreeSet<HostName> {
        self.reseed.iter().cloned().collect()
    }
}

/// `foobar destroy`
#[derive(Clone, Debug, Args)]
pub struct DestroyArgs {
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
    /// For programs.
    #[command(flatten)]
    pub json: JsonArgs,
    /// Packages.
    #[command(flatten)]
    pub packages: PurgeArgs,
    /// also delete the databases that foobar made, with all that is in them: nothing brings them back
    #[arg(long, env = "FOOBAR_DATABASES", hide_env = true, value_parser = FalseyValueParser::new())]
    #[arg(action = ArgAction::SetTrue, help_heading = "Removal")]
    databases: bool,
    /// do not ask; takes the site's name, so that a script names what it destroys
    #[arg(long, value_name = "SITE", env = "FOOBAR_YES_DESTROY", hide_env = true, help_heading = "Removal")]
    pub yes_destroy: Option<DomainName>,
}

impl DestroyArgs {
    /// As the plan wants to know it.
    pub fn removal(&self) -> Removal {
        Removal { databases: self.databases, everything: true, ..self.packages.removal() }
    }
}

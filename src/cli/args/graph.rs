//! The words of `foobar graph`.

use super::SiteArgs;
use crate::report::graph::Format;
use clap::Args;
use std::path::PathBuf;

/// `foobar graph`
#[derive(Clone, Debug, Args)]
pub struct GraphArgs {
    /// Which site.
    #[command(flatten)]
    pub site: SiteArgs,
    /// how the picture is written down
    #[arg(long, value_name = "FORMAT", default_value = "svg", env = "FOOBAR_FORMAT", hide_env = true)]
    #[arg(help_heading = "Output")]
    pub format: Format,
    /// a file to write it to, instead of stdout
    #[arg(short, long, value_name = "FILE", env = "FOOBAR_OUT", hide_env = true, help_heading = "Output")]
    pub out: Option<PathBuf>,
}

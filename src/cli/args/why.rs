//! The words of `foobar render` and `foobar explain`: what would be pushed, and why it is so. Neither asks a host.

use super::{JsonArgs, SiteArgs};
use clap::{ArgAction, Args};
use std::{path::PathBuf, str::FromStr};

/// `foobar render`
#[derive(Clone, Debug, Args)]
pub struct RenderArgs {
    /// Which site.
    #[command(flatten)]
    pub site: SiteArgs,
    /// hosts to render for, all of them unless named
    #[arg(long, value_name = "HOST", value_delimiter = ',', env = "FOOBAR_HOST", hide_env = true)]
    #[arg(action = ArgAction::Append, help_heading = "Hosts")]
    pub host: Vec<String>,
    /// a directory to write to, as DIR/HOST/path/to/file, instead of stdout; a new or an empty one, or one of render's own
    #[arg(short, long, value_name = "DIR", env = "FOOBAR_OUTPUT", hide_env = true, help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// For programs.
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `foobar explain`
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// the file and, if wanted, the line: web-01:/etc/nginx/conf.d/foobar.conf:41
    #[arg(value_name = "HOST:PATH[:LINE]")]
    pub target: Target,
    /// Which site.
    #[command(flatten)]
    pub site: SiteArgs,
    /// For programs.
    #[command(flatten)]
    pub json: JsonArgs,
}

/// A file on a host, or a line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host, whether there is one or not.
    pub host: String,
    /// The path.
    pub path: String,
    /// The line, from 1.
    pub line: Option<usize>,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, rest) = text.split_once(':').ok_or("HOST:PATH is needed, with a line behind another colon")?;
        let is_number = |t: &&str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        let (path, line) = match rest.rsplit_once(':').filter(|(_, line)| is_number(line)) {
            Some((path, line)) => (path, Some(line.parse().ok().filter(|n| *n > 0).ok_or("lines count from 1")?)),
            None => (rest, None),
        };
        if !path.starts_with('/') || host.is_empty() {
            return Err("an absolute path is needed behind the host's name".to_owned());
        }
        Ok(Self { host: host.to_owned(), path: path.to_owned(), line })
    }
}

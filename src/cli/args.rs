//! The words of the command line, and nothing of what they do. Every flag is also an environment variable.

use super::{exit::Exit, limit::Pattern};
use crate::report::{Verbosity, diff::DiffStyle, style::ColorChoice};
use clap::{
    ArgAction, Args, Parser, Subcommand, ValueEnum,
    builder::{FalseyValueParser, Styles, styling::AnsiColor},
    error::ErrorKind,
};
use std::{ffi::OsString, num::NonZeroUsize, path::PathBuf, time::Duration};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// turn a YAML topology of a web stack into real servers, over SSH, and prove that they match
#[derive(Clone, Debug, Parser)]
#[command(
    name = "foobar",
    version,
    styles = STYLES,
    max_term_width = 100,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  foobar validate                        check foobar.yaml, without a host
  foobar plan                            show what would change
  foobar apply                           show it, ask, do it, verify it
  foobar plan -i inventories/staging.yaml -l @nginx,!web-01
  foobar lab demo                        try it all on this machine

Exit status: 0 done, 1 failed, 2 changes pending (plan --detailed-exitcode), 3 verify found a failure,
4 failed and rolled back, 5 saved plan out of date, 6 locked, 7 host unreachable, 64 wrong usage or topology,
130 interrupted. Every option can be set in the environment too, as FOOBAR_ and its name."
)]
pub struct Cli {
    /// What is said about the work.
    #[command(flatten)]
    pub talk: Talk,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What is said about the work; holds for every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Talk {
    /// say only what went wrong
    #[arg(short, long, global = true, env = "FOOBAR_QUIET", hide_env = true, value_parser = FalseyValueParser::new())]
    #[arg(action = ArgAction::SetTrue, conflicts_with = "verbose")]
    pub quiet: bool,
    /// say more: what steps print; twice, also what is sent to hosts
    #[arg(short, long, global = true, action = ArgAction::Count, env = "FOOBAR_VERBOSE", hide_env = true)]
    pub verbose: u8,
    /// when to use colour; NO_COLOR and CLICOLOR_FORCE hold too
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", env = "FOOBAR_COLOR", hide_env = true)]
    pub color: ColorChoice,
}

impl Talk {
    /// How much is said.
    pub fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, _) => Verbosity::Verbose,
        }
    }
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// check the topology and everything it names, without a host
    #[command(after_help = "\
Examples:
  foobar validate
  foobar validate -f sites/shop.yaml -i inventories/production.yaml")]
    Validate(ValidateArgs),
    /// show what would change on the hosts; nothing is changed
    #[command(after_help = "\
Examples:
  foobar plan
  foobar plan --summary -l web-*          one line a step, web hosts only
  foobar plan --json | jq .summary
  foobar plan --detailed-exitcode         exit 0: nothing to do, 2: changes pending")]
    Plan(PlanArgs),
    /// show what would change, ask, change it, and verify it
    #[command(after_help = "\
Examples:
  foobar apply
  foobar apply --yes -l @haproxy
  foobar apply --yes --json > run.jsonl   one event a line

Without --yes it asks; where there is no terminal to ask on, --yes is needed.")]
    Apply(ApplyArgs),
    /// prove that the hosts serve what the topology says; nothing is changed
    #[command(after_help = "\
Examples:
  foobar verify
  foobar verify --json | jq '.checks[] | select(.outcome != \"pass\")'

Exit status: 0 all checks hold, 3 one does not, 1 one could not be made.")]
    Verify(VerifyArgs),
    /// print the certificate of the site's own authority, for browsers and curl to trust
    #[command(after_help = "\
Examples:
  foobar ca -o ca.crt && curl --cacert ca.crt https://www.example.com/")]
    Ca(CaArgs),
    /// run throw-away hosts on this machine to try a topology on
    #[command(after_help = "\
Examples:
  foobar lab demo                        a site of three hosts, from nothing to verified
  foobar lab up -f foobar.yaml           a host for each host of the topology
  foobar lab exec web-01 -- nginx -T
  foobar lab down")]
    Lab(LabArgs),
}

/// Which site.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Topology")]
pub struct SiteArgs {
    /// the topology
    #[arg(short, long, value_name = "FILE", default_value = "foobar.yaml", env = "FOOBAR_FILE", hide_env = true)]
    pub file: PathBuf,
    /// where its hosts are: addresses and SSH settings, which win over the topology's
    #[arg(short, long, value_name = "FILE", env = "FOOBAR_INVENTORY", hide_env = true)]
    pub inventory: Option<PathBuf>,
    /// a folder of templates that are used instead of foobar's own of the same name
    #[arg(long, value_name = "DIR", env = "FOOBAR_TEMPLATES", hide_env = true)]
    pub templates: Option<PathBuf>,
}

/// How hosts are reached.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Hosts")]
pub struct ReachArgs {
    /// an SSH configuration to use instead of ~/.ssh/config
    #[arg(long, value_name = "FILE", env = "FOOBAR_SSH_CONFIG", hide_env = true)]
    pub ssh_config: Option<PathBuf>,
    /// connections that are begun at once, at most
    #[arg(long, value_name = "N", default_value = "8", env = "FOOBAR_PARALLEL", hide_env = true)]
    pub parallel: NonZeroUsize,
    /// seconds until a host that does not answer counts as unreachable
    #[arg(long, value_name = "SECONDS", default_value = "10", env = "FOOBAR_CONNECT_TIMEOUT", hide_env = true)]
    #[arg(value_parser = seconds)]
    pub connect_timeout: Duration,
}

/// Which hosts.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Hosts")]
pub struct LimitArgs {
    /// hosts to write to, by name, glob (web-*), role (@nginx) or exclusion (!db-01); all are still read
    #[arg(short, long, value_name = "PATTERN", value_delimiter = ',', env = "FOOBAR_LIMIT", hide_env = true)]
    #[arg(action = ArgAction::Append, allow_hyphen_values = false)]
    pub limit: Vec<Pattern>,
    /// print the hosts that would be used, and do nothing
    #[arg(long, env = "FOOBAR_LIST_HOSTS", hide_env = true, value_parser = FalseyValueParser::new())]
    #[arg(action = ArgAction::SetTrue)]
    pub list_hosts: bool,
}

/// How a plan is shown.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct DiffArgs {
    /// how much of each file
    #[arg(long, value_name = "HOW", default_value = "short", env = "FOOBAR_DIFF", hide_env = true)]
    diff: DiffStyle,
    /// one line a step: the same as --diff none
    #[arg(long, env = "FOOBAR_SUMMARY", hide_env = true, value_parser = FalseyValueParser::new())]
    #[arg(action = ArgAction::SetTrue)]
    summary: bool,
}

impl DiffArgs {
    /// How much of each file is shown.
    pub fn style(&self) -> DiffStyle {
        if self.summary { DiffStyle::None } else { self.diff }
    }
}

/// Data for programs.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct JsonArgs {
    /// JSON on stdout instead of text
    #[arg(long, env = "FOOBAR_JSON", hide_env = true, value_parser = FalseyValueParser::new())]
    #[arg(action = ArgAction::SetTrue)]
    pub json: bool,
}

/// `foobar validate`
#[derive(Clone, Debug, Args)]
pub struct ValidateArgs {
    /// Which site.
    #[command(flatten)]
    pub site: SiteArgs,
}

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
    /// For programs.
    #[command(flatten)]
    pub json: JsonArgs,
    /// exit with 2 where changes are pending
    #[arg(long, env = "FOOBAR_DETAILED_EXITCODE", hide_env = true, value_parser = FalseyValueParser::new())]
    #[arg(action = ArgAction::SetTrue, help_heading = "Output")]
    pub detailed_exitcode: bool,
}

/// `foobar apply`
#[derive(Clone, Debug, Args)]
pub struct ApplyArgs {
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
    /// For programs.
    #[command(flatten)]
    pub json: JsonArgs,
    /// do not ask
    #[arg(short, long, visible_alias = "auto-approve", env = "FOOBAR_YES", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub yes: bool,
}

/// `foobar verify`
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
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
}

/// `foobar ca`
#[derive(Clone, Debug, Args)]
pub struct CaArgs {
    /// Which site.
    #[command(flatten)]
    pub site: SiteArgs,
    /// How hosts are reached.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// a file to write it to, instead of stdout
    #[arg(short, long, value_name = "FILE", env = "FOOBAR_OUTPUT", hide_env = true)]
    pub output: Option<PathBuf>,
}

/// `foobar lab`
#[derive(Clone, Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct LabArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: LabCommand,
}

/// What to do with the lab.
#[derive(Clone, Debug, Subcommand)]
pub enum LabCommand {
    /// boot a small site, apply its topology, verify it, and say where to look
    Demo(LabMake),
    /// boot a host for each host of the topology, and write an inventory for them
    Up(LabUp),
    /// stop the hosts and leave nothing of them behind
    Down(LabName),
    /// say which hosts run, and where
    Status(LabName),
    /// run a command on a host as root
    #[command(after_help = "Example:\n  foobar lab exec web-01 -- systemctl status nginx")]
    Exec(LabExec),
    /// open a shell on a host
    Ssh(LabSsh),
}

/// Which lab.
#[derive(Clone, Debug, Args)]
pub struct LabName {
    /// the lab's name, where there are several on this machine
    #[arg(long, default_value = "lab", env = "FOOBAR_NAME", hide_env = true)]
    pub name: String,
}

/// How a lab is made.
#[derive(Clone, Debug, Args)]
pub struct LabMake {
    /// Which lab.
    #[command(flatten)]
    pub lab: LabName,
    /// the Debian that its hosts run
    #[arg(long, default_value = "trixie", env = "FOOBAR_SUITE", hide_env = true)]
    pub suite: Suite,
}

/// `foobar lab up`
#[derive(Clone, Debug, Args)]
pub struct LabUp {
    /// How it is made.
    #[command(flatten)]
    pub make: LabMake,
    /// the topology whose hosts are booted
    #[arg(short, long, value_name = "FILE", default_value = "foobar.yaml", env = "FOOBAR_FILE", hide_env = true)]
    pub file: PathBuf,
}

/// `foobar lab exec`
#[derive(Clone, Debug, Args)]
pub struct LabExec {
    /// Which lab.
    #[command(flatten)]
    pub lab: LabName,
    /// the host
    pub host: String,
    /// the command and its words
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// `foobar lab ssh`
#[derive(Clone, Debug, Args)]
pub struct LabSsh {
    /// Which lab.
    #[command(flatten)]
    pub lab: LabName,
    /// the host
    pub host: String,
}

/// A Debian release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Debian 12
    Bookworm,
    /// Debian 13
    #[default]
    Trixie,
    /// unstable, the one with MySQL itself
    Sid,
}

impl Suite {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Sid => "sid",
        }
    }
}

/// Reads the program's own words. Where they are not a command, help or the mistake has been printed, and the answer is
/// the exit status.
pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Cli, Exit> {
    Cli::try_parse_from(words).map_err(|error| {
        // Help that nobody can read is no reason to panic.
        let _ = error.print();
        exit(error.kind())
    })
}

/// Asked-for help is success; anything else is wrong usage, which clap would call 2.
fn exit(kind: ErrorKind) -> Exit {
    match kind {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.trim_end_matches('s').parse::<u64>() {
        Ok(n @ 1..=3600) => Ok(Duration::from_secs(n)),
        _ => Err("a whole number of seconds from 1 to 3600 is needed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once(&"foobar").chain(words))
    }

    #[test]
    fn the_words_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_of_every_command() {
        fn walk(command: &mut clap::Command, path: &str, out: &mut Vec<(String, String)>) {
            out.push((path.to_owned(), command.render_help().to_string()));
            for sub in command.get_subcommands_mut() {
                let path = format!("{path}-{}", sub.get_name());
                walk(sub, &path, out);
            }
        }
        let mut command = Cli::command().term_width(100);
        command.build();
        let mut all = Vec::new();
        walk(&mut command, "help", &mut all);
        assert_eq!(all.len(), 13);
        for (name, text) in all {
            insta::assert_snapshot!(name, text);
        }
    }

    #[test]
    fn wrong_usage_is_64_and_asked_for_help_is_not() {
        let status = |words: &[&str]| parse(words).map_err(|e| exit(e.kind())).map(|_| ());
        assert_eq!(status(&["plan"]), Ok(()));
        assert_eq!(status(&["--help"]), Err(Exit::Done));
        assert_eq!(status(&["plan", "--help"]), Err(Exit::Done));
        assert_eq!(status(&["--version"]), Err(Exit::Done));
        for bad in [
            &[][..],
            &["plna"],
            &["plan", "--nope"],
            &["plan", "--parallel", "0"],
            &["plan", "--connect-timeout", "0"],
            &["plan", "-q", "-v"],
            &["plan", "-l", "a b"],
            &["plan", "--color", "sometimes"],
            &["lab"],
            &["lab", "exec", "web-01"],
            &["lab", "exec", "web-01", "--"],
            &["lab", "up", "--suite", "buster"],
        ] {
            assert_eq!(status(bad), Err(Exit::Usage), "{bad:?}");
        }
    }

    #[test]
    fn a_whole_line_of_words() {
        let words = "-v plan -f a.yaml -i b.yaml -l @nginx,!web-01 --limit db-* --parallel 3 --connect-timeout 5s --summary --json";
        let cli = parse(&words.split(' ').collect::<Vec<_>>()).unwrap();
        assert_eq!(cli.talk.verbosity(), Verbosity::Verbose);
        let Command::Plan(plan) = cli.command else { panic!("another command") };
        let limit: Vec<String> = plan.limit.limit.iter().map(Pattern::to_string).collect();
        assert_eq!(limit, ["@nginx", "!web-01", "db-*"]);
        assert_eq!((plan.reach.parallel.get(), plan.reach.connect_timeout.as_secs()), (3, 5));
        assert_eq!((plan.diff.style(), plan.json.json), (DiffStyle::None, true));
        let cli = parse(&["apply", "--auto-approve", "-vv"]).unwrap();
        assert_eq!(cli.talk.verbose, 2);
        let Command::Apply(apply) = cli.command else { panic!("another command") };
        assert!(apply.yes && apply.diff.style() == DiffStyle::Short);
        let cli = parse(&["lab", "exec", "web-01", "--", "nginx", "-T"]).unwrap();
        let Command::Lab(LabArgs { command: LabCommand::Exec(exec) }) = cli.command else { panic!("another command") };
        assert_eq!((exec.host.as_str(), exec.command.len()), ("web-01", 2));
    }

    #[test]
    fn every_option_is_in_the_environment_too() {
        fn walk(command: &clap::Command) {
            for arg in command.get_arguments().filter(|a| !a.is_positional()) {
                let id = arg.get_id().as_str();
                if ["help", "version"].contains(&id) {
                    continue;
                }
                let name = format!("FOOBAR_{}", id.to_uppercase());
                assert_eq!(
                    arg.get_env().and_then(|e| e.to_str()),
                    Some(name.as_str()),
                    "{id} of {}",
                    command.get_name()
                );
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&Cli::command());
    }
}

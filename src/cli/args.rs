//! The words of the command line, and nothing of what they do. Every flag is also an environment variable.

pub mod change;
pub mod dns;
pub mod drill;
pub mod failover;
pub mod graph;
pub mod history;
pub mod lab;
pub mod lock;
pub mod reboot;
pub mod removal;
pub mod status;
pub mod switchover;
#[cfg(test)]
mod tests;
pub mod verify;
pub mod why;

use super::{exit::Exit, limit::Pattern};
use crate::report::{Verbosity, diff::DiffStyle, style::ColorChoice};
use clap::{
    Arg, ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand,
    builder::{FalseyValueParser, Styles, styling::AnsiColor},
    error::ErrorKind,
    parser::ValueSource,
};
use std::{ffi::OsString, path::PathBuf, time::Duration};

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
    disable_help_flag = true,
    disable_version_flag = true,
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

Exit status:
  0 done       2 changes pending (plan --detailed-exitcode)     5 saved plan out of date
  1 failed     3 verify found a failure                         6 another run holds the lock
               4 failed and rolled back                         7 host unreachable
  64 wrong usage or topology      130 interrupted

Every option can be set in the environment too: --ssh-config as FOOBAR_SSH_CONFIG."
)]
pub struct Cli {
    /// What is said about the work.
    #[command(flatten)]
    pub talk: Talk,
    /// print the version
    #[arg(short = 'V', long, action = ArgAction::Version, help_heading = "Global options")]
    version: Option<bool>,
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
    #[arg(action = ArgAction::SetTrue)]
    pub quiet: bool,
    /// say more: also what steps print on their hosts
    #[arg(short, long, global = true, action = ArgAction::Count, env = "FOOBAR_VERBOSE", hide_env = true)]
    pub verbose: u8,
    /// when to use colour; NO_COLOR and CLICOLOR_FORCE hold too
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", env = "FOOBAR_COLOR", hide_env = true)]
    pub color: ColorChoice,
    /// print help; --help prints more of it
    #[arg(short, long, global = true, action = ArgAction::Help)]
    help: Option<bool>,
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
    /// show every file that would be written, without a host and without secrets
    #[command(after_help = "\
Examples:
  foobar render --host web-01
  foobar render -o rendered && git diff rendered

A secret is shown as (secret NAME) and never read. Packages, accounts, database objects and the
application's release are not shown. Where no rule lets your own login in, apply adds one.")]
    Render(why::RenderArgs),
    /// say why a line of a rendered file is as it is: its template and its topology lines
    #[command(after_help = "\
Examples:
  foobar explain web-01:/etc/nginx/conf.d/foobar.conf:41
  foobar explain lb-01:/etc/haproxy/haproxy.cfg     the whole file, each line with its origin")]
    Explain(why::ExplainArgs),
    /// draw the topology: who visits, what runs where, who speaks to whom, what firewalls let in
    #[command(after_help = "\
Examples:
  foobar graph --out topology.svg        for documents, light and dark
  foobar graph --format mermaid          for a README of a code host
  foobar graph --format dot | dot -Tpdf > topology.pdf

It is made of the topology alone: no host is asked, and the same file gives the same picture.")]
    Graph(graph::GraphArgs),
    /// show what would change on the hosts; nothing is changed
    #[command(after_help = "\
Examples:
  foobar plan
  foobar plan --summary -l web-*          one line a step, web hosts only
  foobar plan --json | jq .summary
  foobar plan --detailed-exitcode         exit 0: nothing to do, 2: changes pending
  foobar plan -o friday.plan              keep it: foobar apply friday.plan does exactly this")]
    Plan(change::PlanArgs),
    /// show a plan that was kept with `plan -o`, without a host
    #[command(after_help = "\
Examples:
  foobar show friday.plan
  foobar show friday.plan --json | jq .until")]
    Show(change::ShowArgs),
    /// show what would change, ask, and change it
    #[command(after_help = "\
Examples:
  foobar apply
  foobar apply friday.plan                exactly that plan, or exit 5 where a host has moved since
  foobar apply --yes -l @haproxy
  foobar apply --yes --json > run.jsonl   one event a line

Without --yes it asks; where there is no terminal to ask on, --yes is needed.")]
    Apply(change::ApplyArgs),
    /// prove that the hosts serve what the topology says; nothing is changed
    #[command(after_help = "\
Examples:
  foobar verify
  foobar verify --json | jq '.checks[] | select(.outcome != \"pass\")'
  foobar verify --only mysql,tls --skip '*http-2'      --list-checks prints the names
  foobar verify --format junit --out verify.xml        for a build server
  foobar verify --format prometheus --out /var/lib/prometheus/node-exporter/foobar.prom
  foobar verify --report verify.html                   a page for people, with the topology's picture
  foobar verify --watch 10                             what changes, until Ctrl-C

Exit status: 0 all checks hold, 3 one does not, 1 one could not be made. With --watch, the last round's.")]
    Verify(verify::VerifyArgs),
    /// show how every host fares at this moment, on one screen; --watch keeps it there
    #[command(after_help = "\
Examples:
  foobar status
  foobar status -l @mysql
  foobar status --watch                   again every 5 s, in place, until Ctrl-C
  foobar status --json | jq '.hosts[] | select(.state != \"ok\")'

Each host is asked once, for little: `foobar verify` proves more, `foobar plan` compares all of it.
ok: all runs. WARN: all runs, and something is not as it should be. DOWN: something does not run.
GONE: no answer. Exit status: 0 none is down or gone, 3 one is down, 7 one cannot be reached. With
--watch, the last round's.")]
    Status(status::StatusArgs),
    /// print the DNS records that the site wants, and where to set them; --check compares
    #[command(after_help = "\
Examples:
  foobar dns                             lines of a zone file
  foobar dns --json | jq -r '.records[] | select(.set_at == \"provider\") | .value'
  foobar dns --check                     what name servers and resolvers answer, against these

Exit status of --check: 0 all is as declared, 3 something is not, 1 nobody could be asked.")]
    Dns(dns::DnsArgs),
    /// list what was done to the hosts: when, by whom, from where, how it ended
    #[command(after_help = "\
Examples:
  foobar history                         one line a run, the newest first
  foobar history 12                      what run 12 did, host by host
  foobar history -n 3 -v web-01 @mysql
  foobar history --json | jq '.generations[0].outcome'

Each apply that changes something is one generation, with one number on all its hosts.")]
    History(history::HistoryArgs),
    /// go back to what an earlier apply was made from, by a plan like any other
    #[command(after_help = "\
Examples:
  foobar rollback                        to the newest generation that was made from something else
  foobar rollback 12                     to what generation 12 was made from; `foobar history` lists them
  foobar history 12 --topology           its topology, to put into the file

Passwords, certificates and the data of databases are not taken back. A secret that is yours comes from
where that topology says, or, where it is not there, from the hosts that keep it.")]
    Rollback(history::RollbackArgs),
    /// give a password or certificate that foobar made another value, unfelt by users
    #[command(after_help = "\
Examples:
  foobar rotate                           list what can be rotated
  foobar rotate app_rw                    the account that the app writes with
  foobar rotate SESSION_KEY site --yes    a secret of the app, and the site's certificate

While a database account's password changes, the former one opens it too, until every app has the new one.")]
    Rotate(change::RotateArgs),
    /// take a host's services or a component away for a while, and measure what visitors feel
    #[command(after_help = "\
Examples:
  foobar drill lb-01                     all that foobar runs there, never its sshd
  foobar drill nginx@web-02 --for 30 --yes
  foobar drill dns --json | jq '.fared[] | select(.failed > 0)'

Another host asks for the site five times a second meanwhile, each time as a visitor who knocks anew.
What was stopped is started again, by the host itself where foobar or its connection dies. Exit status:
0 it came back, 1 it did not, 6 another run holds the host.")]
    Drill(drill::DrillArgs),
    /// reboot hosts, drained meanwhile and proved before the next one goes
    #[command(after_help = "\
Examples:
  foobar reboot -l @web                   the web servers, in the batches of `rollout`
  foobar reboot --if-needed               who asks for it, or has a newer kernel installed than runs
  foobar reboot -l db-02 --max-impact connection-drop

Replicas go before their primary, balancers last. A primary is opened for writes again. What else
differs from the topology is left as it is.")]
    Reboot(reboot::RebootArgs),
    /// let another database server take the writes: a replica becomes the primary, and the primary its replica
    #[command(after_help = "\
Examples:
  foobar switchover --to web-02           shows the plan, then asks
  foobar switchover --to web-02 --yes --no-edit
  foobar switchover --to web-01           and back

Nothing is closed unless the replica keeps up, has no transactions of its own and no transaction has been
open for long. No write that was acknowledged is lost: the former primary is closed before, and opens
again where the other one does not have all that it has. The topology file is edited in place.

One that was cut off is gone on with by the same words, or taken back by `foobar apply`.")]
    Switchover(switchover::SwitchoverArgs),
    /// go on without a database primary that is gone: the replica that has received most takes the writes
    #[command(after_help = "\
Examples:
  foobar failover                         shows what is lost and the plan, then asks
  foobar failover --is-off web-01         its host cannot be reached, and you have switched it off
  foobar failover --yes --allow-loss

The former primary is stopped and kept from starting. What it alone has in its log is told, transaction by
transaction, and kept there; where its host cannot be reached, nobody knows. Refused while anything hears
from it, and where it can simply be opened again. The topology file is edited in place.

Afterwards `foobar apply` brings the former primary back as a replica, or says what it has that the others
have not; `foobar apply --reseed web-01` fills it anew.")]
    Failover(failover::FailoverArgs),
    /// show who is at work on which host, or take a host back from a run that is gone
    #[command(after_help = "\
Examples:
  foobar lock
  foobar lock --json | jq '.hosts[] | select(.state == \"held\")'
  foobar lock --break -l web-01          asks, then takes its lease away

While a command of a run is at work on a host, its lock is not broken.")]
    Lock(lock::LockArgs),
    /// take everything that foobar made off the hosts again; data and packages only when asked
    #[command(after_help = "\
Examples:
  foobar destroy                          shows the plan, then asks for the site's name
  foobar destroy -l web-03                before a host is taken out of the topology
  foobar destroy --purge --databases --yes-destroy www.example.com

What stood on a host before foobar came is put back. The databases' data stays where it is without
--databases, packages stay without --purge.")]
    Destroy(removal::DestroyArgs),
    /// print the certificate of the site's own authority, for browsers and curl to trust
    #[command(after_help = "\
Examples:
  foobar ca -o ca.crt && curl --cacert ca.crt https://www.example.com/")]
    Ca(CaArgs),
    /// print the JSON Schema of everything that --json prints
    Schema,
    /// run throw-away hosts on this machine to try a topology on
    #[command(after_help = "\
Examples:
  foobar lab demo                        a site of three hosts, from nothing to verified
  foobar lab up -f foobar.yaml           a host for each host of the topology
  foobar lab exec web-01 -- nginx -T
  foobar lab down")]
    Lab(lab::LabArgs),
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
    #[arg(value_parser = at_once)]
    pub parallel: usize,
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
    /// For programs.
    #[command(flatten)]
    pub json: JsonArgs,
    /// a file to write it to, instead of stdout
    #[arg(short, long, value_name = "FILE", env = "FOOBAR_OUTPUT", hide_env = true)]
    pub output: Option<PathBuf>,
}

/// Reads the program's own words. Where they are not a command, help or the mistake has been printed, and the answer is
/// the exit status.
pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Cli, Exit> {
    parse(words).map_err(|error| {
        // Help that nobody can read is no reason to panic.
        let _ = error.print();
        exit(error.kind())
    })
}

fn parse(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Cli, clap::Error> {
    let mut command = without_empty(Cli::command());
    let matches = command.try_get_matches_from_mut(words)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    // Two flags that say opposite things: what was typed wins over the environment, and typing both is a mistake.
    let inner = matches.subcommand().map_or(&matches, |(_, inner)| inner);
    let typed = |id: &str| {
        [&matches, inner]
            .iter()
            .any(|m| m.ids().any(|known| known == id) && m.value_source(id) == Some(ValueSource::CommandLine))
    };
    match (typed("quiet"), typed("verbose")) {
        (true, true) => {
            return Err(command.error(ErrorKind::ArgumentConflict, "--quiet and --verbose contradict each other"));
        }
        (true, false) => cli.talk.verbose = 0,
        (false, true) => cli.talk.quiet = false,
        (false, false) => {}
    }
    if let Command::Verify(verify) = &mut cli.command
        && verify.json.json
        && typed("format")
        && verify.format != verify::VerifyFormat::Json
    {
        if typed("json") {
            return Err(
                command.error(ErrorKind::ArgumentConflict, "--json is a format, and --format names another one")
            );
        }
        verify.json.json = false;
    }
    if let Command::Apply(change::ApplyArgs { saved: Some(_), .. }) = &cli.command
        && let Some(word) =
            ["file", "inventory", "templates", "limit", "list_hosts", "purge"].into_iter().find(|id| typed(id))
    {
        let said = format!("--{} has no place beside a kept plan, which has its own", word.replace('_', "-"));
        return Err(command.error(ErrorKind::ArgumentConflict, said));
    }
    if let (
        true,
        false,
        Command::Plan(change::PlanArgs { diff, .. }) | Command::Apply(change::ApplyArgs { diff, .. }),
    ) = (typed("diff"), typed("summary"), &mut cli.command)
    {
        diff.summary = false;
    }
    Ok(cli)
}

/// An empty variable counts as none: CI systems set them so.
fn without_empty(command: clap::Command) -> clap::Command {
    let empty = |arg: &Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    let command = command.mut_args(|arg| if empty(&arg) { arg.env(None::<&'static str>) } else { arg });
    command.mut_subcommands(without_empty)
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

fn at_once(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=1000) => Ok(n),
        _ => Err("a whole number from 1 to 1000 is needed".to_owned()),
    }
}

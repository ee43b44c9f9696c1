//! What can go wrong in the lab, each with its cause and what to do next. Nothing here acts.

use std::{io, path::PathBuf, process::ExitStatus};

use miette::Diagnostic;
use thiserror::Error;

/// The lab's results.
pub type Result<T, E = LabError> = std::result::Result<T, E>;

/// One thing that this machine lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What is missing.
    pub what: String,
    /// What mends it.
    pub fix: String,
    /// The Debian package that mends it, where one does: `install_prerequisites` installs those.
    pub package: Option<&'static str>,
}

impl Missing {
    /// One that no package mends.
    pub(super) fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), fix: fix.into(), package: None }
    }
}

/// Everything the lab can fail with.
#[derive(Debug, Error, Diagnostic)]
pub enum LabError {
    /// The machine lacks something.
    #[error("this machine cannot run the lab: {}", list(.0))]
    #[diagnostic(code(lab::unfit), help("{}", fixes(.0)))]
    Unfit(Vec<Missing>),

    /// A name, address or number in the spec can't be used.
    #[error("{what} {value:?} cannot be used: {why}")]
    #[diagnostic(code(lab::spec), help("change it and bring the lab up again"))]
    Spec {
        /// What kind of value it is.
        what: &'static str,
        /// The value as given.
        value: String,
        /// Why not.
        why: String,
    },

    /// A file operation failed.
    #[error("cannot {doing} {}", path.display())]
    #[diagnostic(
        code(lab::file),
        help("check permissions and free space there; `FOOBAR_LAB_DIR` moves the lab elsewhere")
    )]
    File {
        /// What was being done, as a verb.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// A command could not be started.
    #[error("cannot start `{command}`")]
    #[diagnostic(code(lab::start), help("`foobar lab` installs what it needs on Debian 12 and 13: see its preflight"))]
    Start {
        /// The command.
        command: String,
        /// What the system said.
        source: io::Error,
    },

    /// A command failed.
    #[error("`{command}` failed ({status}): {output}")]
    #[diagnostic(code(lab::command), help("{help}"))]
    Command {
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it said.
        output: String,
        /// What to do next.
        help: String,
    },

    /// Something with one of the lab's names or addresses belongs to somebody else.
    #[error("{what} is in use by {owner}")]
    #[diagnostic(code(lab::clash), help("{help}"))]
    Clash {
        /// What is in use.
        what: String,
        /// By whom.
        owner: String,
        /// What to do next.
        help: String,
    },

    /// No lab of that name.
    #[error("there is no lab named {name}")]
    #[diagnostic(code(lab::none), help("bring it up first; labs that exist: {known}"))]
    NoLab {
        /// The name asked for.
        name: String,
        /// Those that exist.
        known: String,
    },

    /// No host of that name.
    #[error("the lab {lab} has no host named {host}")]
    #[diagnostic(code(lab::host), help("its hosts are {known}"))]
    NoHost {
        /// The lab.
        lab: String,
        /// The host asked for.
        host: String,
        /// Those that exist.
        known: String,
    },

    /// The lab's own record can't be read.
    #[error("the record {} is damaged", path.display())]
    #[diagnostic(code(lab::record), help("take the lab down and bring it up again"))]
    Record {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },

    /// A host didn't boot.
    #[error("host {host} did not come up: {why}")]
    #[diagnostic(code(lab::boot), help("its console is in {}; the last lines:\n{tail}", console.display()))]
    Boot {
        /// The host.
        host: String,
        /// What was seen.
        why: String,
        /// Where its console was recorded.
        console: PathBuf,
        /// The end of it.
        tail: String,
    },

    /// Something that should be gone is still there.
    #[error("{what} is still there: {why}")]
    #[diagnostic(code(lab::stuck), help("see what uses it, end that, and run `down` again"))]
    Stuck {
        /// What.
        what: String,
        /// What was seen.
        why: String,
    },
}

impl LabError {
    /// A closure for `map_err` on file operations.
    pub(super) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}

fn list(missing: &[Missing]) -> String {
    missing.iter().map(|m| m.what.as_str()).collect::<Vec<_>>().join("; ")
}

fn fixes(missing: &[Missing]) -> String {
    missing.iter().map(|m| m.fix.as_str()).collect::<Vec<_>>().join("\n")
}

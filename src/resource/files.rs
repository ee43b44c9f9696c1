//! Files that belong together: written to the side, accepted by the daemon's own checker as the whole tree they will be
//! part of, then renamed into place. What is in them, and who checks them, the component says.

use super::{
    Action, Change, Collector, Drift, FileDiff, Observation, Probe, Refusal, Resource, ResourceId, STATE_DIR, Seen,
    owned::{KEEP, Kind, Owned},
    packages::Packages,
    undo,
};
use crate::base::{
    digest::sha256,
    script::{Script, quote},
    secret::Content,
};
use base64::Engine as _;

/// Type, mode, owner and digest of each path, in two processes for all; what foobar recorded when it wrote there last; the
/// text of those whose digest is not the expected one, up to 256 KiB. Arguments: path and expected digest by turns; `-`
/// never sends the text.
pub static FILES: Collector = Collector {
    name: "files",
    volatile: &[],
    body: r#"
want= n=$#
while [ $n -gt 0 ]; do want="$want|$2 $1|"; set -- "$@" "$1"; shift 2; n=$((n - 2)); done
stat -c '%n	stat	%F	%a	%U	%G	%s' -- "$@" 2>/dev/null
for path; do
  [ -r "/var/lib/foobar/written$path.now" ] || continue
  a= b= c= d=
  read -r a b c d <"/var/lib/foobar/written$path.now" && printf '%s\twritten\t%s\t%s\t%s\t%s\n' "$path" "$a" "$b" "$c" "$d"
done
sha256sum -- "$@" 2>/dev/null | while read -r sum path; do
  printf '%s\tsha\t%s\n' "$path" "$sum"
  case $want in
  *"|$sum $path|"* | *"|- $path|"*) ;;
  *) [ "$(stat -c %s -- "$path")" -gt 262144 ] || printf '%s\tbody\t%s\n' "$path" "$(base64 -w 0 -- "$path")" ;;
  esac
done
:"#,
};

/// What a path shall be.
#[derive(Clone, Debug)]
pub enum Body {
    /// A regular file of this content.
    Text(Content),
    /// A directory. Its contents are not looked at.
    Directory,
    /// Nothing.
    Absent,
}

impl Body {
    /// Which of them it is, in a word.
    fn word(&self) -> &'static str {
        match self {
            Self::Text(_) => "file",
            Self::Directory => "directory",
            Self::Absent => "absent",
        }
    }
}

/// One path.
#[derive(Clone, Debug)]
pub struct File {
    /// Absolute, of characters that need no quoting.
    pub path: String,
    /// Its owner's name.
    pub owner: String,
    /// Its group's name.
    pub group: String,
    /// Permission bits.
    pub mode: u32,
    /// What it shall be.
    pub body: Body,
}

impl File {
    /// A text that all may read, owned by root.
    pub fn text(path: impl Into<String>, content: Content) -> Self {
        let mode = if content.is_secret() { 0o600 } else { 0o644 };
        Self { path: path.into(), owner: "root".into(), group: "root".into(), mode, body: Body::Text(content) }
    }

    /// A directory that all may enter, owned by root.
    pub fn directory(path: impl Into<String>) -> Self {
        Self { path: path.into(), owner: "root".into(), group: "root".into(), mode: 0o755, body: Body::Directory }
    }

    /// A path where nothing shall be.
    pub fn absent(path: impl Into<String>) -> Self {
        Self { path: path.into(), owner: "root".into(), group: "root".into(), mode: 0, body: Body::Absent }
    }

    /// As it was seen.
    fn before<'a>(&'a self, seen: &Seen<'a>) -> undo::Path<'a> {
        let lines = seen.here.all(&FILES, &self.path);
        let field = |kind: &str| lines.iter().find(|l| l.first().is_some_and(|k| k == kind)).map(|l| &l[1..]);
        let stat = |s: &'a [String]| (s.len() >= 4).then(|| [s[1].as_str(), &s[2], &s[3]]);
        let written = |w: &'a [String]| (w.len() == 4).then(|| [w[0].as_str(), &w[1], &w[2], &w[3]]);
        undo::Path {
            path: &self.path,
            is_directory: matches!(self.body, Body::Directory),
            stat: field("stat").and_then(stat),
            written: field("written").and_then(written),
        }
    }

    /// With these permission bits.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// With this owner and group.
    pub fn owner(mut self, owner: &str, group: &str) -> Self {
        self.owner = owner.into();
        self.group = group.into();
        self
    }
}

/// Files that are checked and put in place together.
#[derive(Clone, Debug)]
pub struct Files {
    /// What they are, for the plan: `haproxy configuration`.
    pub name: String,
    /// The files; a directory stands before what is in it.
    pub files: Vec<File>,
    /// Directories that the checker reads: in its own mount namespace it sees each as it will be, with the new files
    /// laid over the live ones, at the live path.
    pub trees: Vec<String>,
    /// Exits 0 where the daemon accepts the tree. It runs in that namespace; what it prints is shown when it refuses.
    pub checker: Option<Script>,
}

impl Files {
    /// Files without a checker.
    pub fn new(name: impl Into<String>, files: Vec<File>) -> Self {
        Self { name: name.into(), files, trees: Vec::new(), checker: None }
    }

    /// With a checker that reads these directories.
    pub fn checked<T: Into<String>>(mut self, trees: impl IntoIterator<Item = T>, checker: Script) -> Self {
        self.trees = trees.into_iter().map(Into::into).collect();
        self.checker = Some(checker);
        self
    }
}

/// Keeps a file as it is, with its owner and mode, below the directory that FOOBAR_BEFORE names, if it does.
const BEFORE: &str = r#"before() { # before PREFIX PATH
  [ -z "$1" ] && [ -n "${FOOBAR_BEFORE:-}" ] && { [ -f "$2" ] || [ -L "$2" ]; } && [ ! -e "$FOOBAR_BEFORE$2" ] || return 0
  kept=$FOOBAR_BEFORE$2
  mkdir -p -- "${kept%/*}" && cp -a -- "$2" "$kept.foobar-new" \
    && { [ -L "$kept.foobar-new" ] || sync -- "$kept.foobar-new"; } && mv -f -- "$kept.foobar-new" "$kept" && sync -- "${kept%/*}"
}
"#;

/// How one file stands against what it shall be.
struct Difference<'a> {
    file: &'a File,
    bytes: Option<String>,
    diff: FileDiff,
    drift: Option<Drift>,
    /// Whether the topology asks for something else than foobar wrote last.
    anew: bool,
}

/// What foobar recorded when it wrote a path last.
struct Written<'a> {
    /// The digest of its text, and of the one before: a run that was cut off may have left either.
    texts: [&'a str; 2],
    mode: &'a str,
    owner: &'a str,
}

/// Defines `note PATH DIGEST MODE OWNER`, which records what is about to be put there.
const NOTE: &str = r#"note() {
  now="/var/lib/foobar/written$1.now" was=-
  [ -d "${now%/*}" ] || mkdir -p -m 700 -- "${now%/*}" || return 1
  [ ! -r "$now" ] || read -r was _ <"$now" || :
  printf '%s %s %s %s\n' "$2" "$3" "$4" "$was" >"$now.new" && mv -f -- "$now.new" "$now"
}"#;

impl Files {
    fn compare<'a>(&self, file: &'a File, seen: &Seen<'_>) -> Result<Option<Difference<'a>>, Refusal> {
        let lines = seen.here.all(&FILES, &file.path);
        let field = |kind: &str| lines.iter().find(|l| l.first().is_some_and(|k| k == kind)).map(|l| &l[1..]);
        let stat = field("stat");
        let refuse = |what: String, help: &str| Err(Refusal { host: seen.host.clone(), what, help: help.into() });
        let mut diff = FileDiff { path: file.path.clone(), before: None, after: None, notes: Vec::new() };
        let (mut drift, mut anew) = (None, false);
        let written = field("written").filter(|w| w.len() == 4).map(|w| Written {
            texts: [w[0].as_str(), w[3].as_str()],
            mode: &w[1],
            owner: &w[2],
        });
        if matches!(file.body, Body::Absent) {
            if stat.is_none() {
                // What is not there yet may come with a package that this plan installs before.
                let brought = seen.is_changing(&Packages::key());
                diff.notes.push("goes if a package brings it".into());
                return Ok(brought.then_some(Difference { file, bytes: None, diff, drift, anew }));
            }
            diff.before = field("body").and_then(|b| decode(b.first()?));
            return Ok(Some(Difference { file, bytes: None, diff, drift, anew }));
        }
        let kind = stat.and_then(|s| s.first()).map(String::as_str);
        let want_kind = if matches!(file.body, Body::Directory) { "directory" } else { "regular file" };
        if let Some(kind) =
            kind.filter(|k| *k != want_kind && (*k, want_kind) != ("regular empty file", "regular file"))
        {
            return refuse(
                format!("{} is a {kind}, and should be a {want_kind}", file.path),
                "move it out of the way, then run foobar again",
            );
        }
        let meta = |at: usize| stat.and_then(|s| s.get(at)).map(String::as_str).unwrap_or_default();
        let mut same_meta = stat.is_some();
        if let Some(written) = &written {
            let owner = format!("{}:{}", meta(2), meta(3));
            if stat.is_none() {
                drift = Some(Drift::Removed);
            } else if (meta(1), owner.as_str()) != (written.mode, written.owner) {
                drift = Some(Drift::Permissions);
            }
        }
        if stat.is_some() {
            if u32::from_str_radix(meta(1), 8).ok() != Some(file.mode) {
                diff.notes.push(format!("mode {:0>4} -> {:04o}", meta(1), file.mode));
                same_meta = false;
            }
            if (meta(2), meta(3)) != (file.owner.as_str(), file.group.as_str()) {
                diff.notes.push(format!("owner {}:{} -> {}:{}", meta(2), meta(3), file.owner, file.group));
                same_meta = false;
            }
        }
        let Body::Text(content) = &file.body else {
            return Ok((!same_meta).then_some(Difference { file, bytes: None, diff, drift, anew }));
        };
        let text = match content.resolve(seen.secrets) {
            Ok(text) => text,
            Err(name) => {
                return refuse(
                    format!("{} needs the secret {name}, which is not settled", file.path),
                    "this is a fault in foobar; please report it",
                );
            }
        };
        let sum = sha256(text.expose());
        let there = field("sha").and_then(|s| s.first());
        let same_text = there.is_some_and(|s| *s == sum);
        if let Some(written) = &written {
            if there.is_some_and(|s| !same_text && !written.texts.contains(&s.as_str())) {
                drift = Some(Drift::Edited);
            }
            anew = written.texts[0] != sum;
        }
        if same_text && same_meta {
            return Ok(None);
        }
        if !same_text {
            if content.is_secret() && stat.is_some() {
                diff.notes.push("not shown: it holds secrets".into());
            } else if stat.is_some() {
                diff.before = field("body").and_then(|b| decode(b.first()?));
                if diff.before.is_none() {
                    diff.notes.push(format!("not shown: {} bytes that are no short text", meta(4)));
                }
            }
            diff.after = Some(content.shown(seen.secrets, seen.fingerprint_key));
        }
        Ok(Some(Difference { file, bytes: Some(text.expose().to_owned()), diff, drift, anew }))
    }

    fn script(&self, differences: &[Difference<'_>]) -> Script {
        // The same function lays the files over the staged copy and over the live tree; only the prefix differs.
        // What is replaced on the live tree is kept where the run that does it says, the first of its kind.
        let mut put = String::from(BEFORE);
        put.push_str("put() { # put PREFIX\n  :\n");
        for (n, d) in differences.iter().enumerate() {
            let (path, mode) = (quote(&d.file.path), d.file.mode);
            let owner = quote(&format!("{}:{}", d.file.owner, d.file.group));
            let parent = quote(d.file.path.rsplit_once('/').map_or("/", |(p, _)| p));
            // Before the rename: whatever is cut off, what lies there is one of the two on record.
            let note = |what: &str| {
                let (path, mode) = (&path, d.file.mode);
                format!("  [ -n \"$1\" ] || note {path} {what} {mode:o} {owner} || return 1\n")
            };
            put.push_str(&match &d.file.body {
                Body::Directory => {
                    note("directory") + &format!("  mkdir -p -- \"$1\"{path} && chown {owner} \"$1\"{path} && chmod {mode:04o} \"$1\"{path} || return 1\n")
                }
                Body::Absent => format!(
                    "  before \"$1\" {path} && rm -f -- \"$1\"{path} && {{ [ -n \"$1\" ] || rm -f -- {STATE_DIR}/written{path}.now; }} || return 1\n"
                ),
                Body::Text(_) => note(&d.bytes.as_ref().map(sha256).unwrap_or_default()) + &format!(
                    "  new=\"$1\"{path}.foobar-new && mkdir -p -- \"$1\"{parent} && cp -- \"$stage/{n}\" \"$new\" && chown {owner} \"$new\" \\\n    \
                     && chmod {mode:04o} \"$new\" && sync -- \"$new\" && before \"$1\" {path} && mv -f -- \"$new\" \"$1\"{path} || {{ rm -f -- \"$new\"; return 1; }}\n"
                ),
            });
        }
        put.push_str("}\n");
        let mut script = Script::new()
            .line(format!("stage=$(mktemp -d {STATE_DIR}/stage.XXXXXX)"))
            .line(r#"trap 'rm -rf "$stage"' EXIT"#);
        for (n, d) in differences.iter().enumerate() {
            if let Some(bytes) = &d.bytes {
                script = script.feed(bytes, &format!("cat >\"$stage/{n}\""));
            }
        }
        if let Some(checker) = &self.checker {
            script = script
                .feed(self.staged(&put, checker).text(), "cat >\"$stage/check\"")
                .line("if ! unshare -m sh \"$stage/check\" \"$stage\" >\"$stage/said\" 2>&1; then")
                .line("  echo 'the new configuration was refused, and nothing was changed:' >&2; tail -n 20 \"$stage/said\" >&2; exit 1")
                .line("fi");
        }
        // What stood there before foobar came is kept, to be put back one day.
        script = script.line(KEEP.trim());
        for d in differences {
            script = script.line(format!("keep {} {}", quote(&d.file.path), d.file.body.word()).trim_end());
        }
        script.line(NOTE).line(put.trim_end()).line("put ''")
    }

    /// A daemon's checker wants the live paths. It gets them in a mount namespace of its own, where each tree is a copy
    /// with the new files in it; nothing outside ever sees them before they were accepted.
    fn staged(&self, put: &str, checker: &Script) -> Script {
        let mut script = Script::new().line("set -e").line("stage=$1").line(put.trim_end());
        for tree in &self.trees {
            let tree = quote(tree);
            script = script
                .line(format!("mkdir -p -- {tree} \"$stage/tree\"{tree}"))
                .line(format!("cp -a -- {tree}/. \"$stage/tree\"{tree}/"));
        }
        script = script.line("put \"$stage/tree\"");
        for tree in &self.trees {
            let tree = quote(tree);
            script = script.line(format!("mount --bind \"$stage/tree\"{tree} {tree}"));
        }
        script.then(checker)
    }
}

/// The text that was seen at a path, where it was asked for and is one.
pub(super) fn text_at(seen: &Observation, path: &str) -> Option<String> {
    let lines = seen.all(&FILES, path);
    lines.iter().find(|l| l.first().is_some_and(|kind| kind == "body")).and_then(|l| decode(l.get(1)?))
}

/// A text that came in base64.
pub(super) fn decode(base64: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(base64).ok()?;
    String::from_utf8(bytes).ok()
}

impl Resource for Files {
    fn id(&self) -> ResourceId {
        ResourceId::new("files", self.name.clone())
    }

    fn probes(&self) -> Vec<Probe> {
        let ask = |f: &File| {
            let expected = match &f.body {
                Body::Text(content) if content.is_secret() => "-".to_owned(),
                Body::Text(content) => {
                    sha256(content.resolve(&Default::default()).map(|s| s.expose().to_owned()).unwrap_or_default())
                }
                Body::Directory => "-".to_owned(),
                Body::Absent => "absent".to_owned(),
            };
            Probe::new(&FILES, [f.path.clone(), expected])
        };
        self.files.iter().map(ask).collect()
    }

    fn written(&self) -> Vec<File> {
        self.files.clone()
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let mut differences = Vec::new();
        for file in &self.files {
            differences.extend(self.compare(file, seen)?);
        }
        if differences.is_empty() {
            return Ok(None);
        }
        let is_new = |d: &Difference<'_>| {
            d.diff.before.is_none() && d.diff.notes.is_empty() && !matches!(d.file.body, Body::Absent)
        };
        let action = if differences.iter().all(|d| matches!(d.file.body, Body::Absent)) {
            Action::Delete
        } else if differences.iter().all(is_new) {
            Action::Create
        } else {
            Action::Update
        };
        let verb = match action {
            Action::Create => "write",
            Action::Delete => "remove",
            _ => "change",
        };
        let mut change = Change::new(action, format!("{verb} {}", self.name), self.script(&differences));
        change.drift = differences.iter().filter_map(|d| d.drift).min();
        for d in differences.iter().filter(|_| change.drift.is_some()) {
            let path = &d.file.path;
            match d.drift {
                Some(drift) if d.anew => {
                    change.details.push(format!("{path}: {drift}, and the topology has changed too"))
                }
                Some(drift) if differences.len() > 1 => change.details.push(format!("{path}: {drift}")),
                None if d.anew => change.details.push(format!("{path}: the topology has changed")),
                _ => {}
            }
        }
        change.undo = Some(undo::files(&self.name, differences.iter().map(|d| d.file.before(seen))));
        change.diffs = differences.into_iter().map(|d| d.diff).collect();
        Ok(Some(change))
    }

    fn footprint(&self) -> Vec<Owned> {
        let own = |f: &File| Owned::new(Kind::File, &f.path).with([self.name.as_str(), f.body.word()]);
        self.files.iter().map(own).collect()
    }
}

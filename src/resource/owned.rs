//! What foobar owns on a host, as plain data that the host itself keeps: enough to take a thing away again long after the
//! topology that asked for it has forgotten it. How each kind is taken away stands in `removal.rs`; when, the plan says.

use super::{Collector, Observation, STATE_DIR};
use crate::base::script::{Script, quote};
use std::{fmt, str::FromStr};

/// The registry: what foobar owns here, what of it has an original to go back to, which directories a kept data directory
/// holds, whether it is a replica's (as [`super::dialect::DATABASE`] tells it of a server that is stopped: no client is run
/// for this), and whether foobar was here at all. A host that an older foobar converged has secrets and no registry.
pub static OWNED: Collector = Collector {
    name: "owned",
    volatile: &["follows"],
    body: r#"
cd /var/lib/foobar 2>/dev/null || return 0
for f in * originals; do case $f in lease* | '*') ;; *) [ ! -e "$f" ] || { printf 'state\tyes\n'; break; } ;; esac; done
if [ ! -f owned ]; then
  [ -d secrets ] && printf 'older\tyes\n'
  return 0
fi
cat owned
printf 'registry\tyes\n'
[ -d originals ] && (cd originals && find . ! -type d ! -name '*.foobar-none' ! -name .foobar-made -printf 'original\t%P\n')
while IFS='	' read -r kind name _; do
  [ "$kind" = data ] || continue
  for d in "$name"/*/; do d=${d%/} d=${d##*/}; [ "$d" = '*' ] || printf 'held\t%s\t%s\n' "$name" "$d"; done
  logs=0; [ ! -r "$name/relay.index" ] || while read -r log; do logs=$((logs + 1)); done <"$name/relay.index"
  [ "$logs" = 0 ] || { [ "$logs" = 1 ] && ! grep -aq 'binlog\.[0-9]' "$name"/relay.0* 2>/dev/null; } || printf 'follows\t%s\n' "$name"
done <owned
:"#,
};

/// Where originals are kept: what stood at a path before foobar first wrote there.
const ORIGINALS: &str = "/var/lib/foobar/originals";

/// A kind of thing that foobar owns. Its word stands in the registry of every host, and never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A path; its fields: the name of the files that it belongs to, and whether it is a `file`, a `directory`, `absent`,
    /// or what a service `left`.
    File,
    /// A unit; its fields: layer, impact of its end, TCP ports joined by commas.
    Service,
    /// A system account; its field is its home.
    Account,
    /// A directory of releases.
    Release,
    /// A secret that the host keeps.
    Secret,
    /// The firewall's table.
    Firewall,
    /// An account in a database; its fields: the client's program, and from where it connects, unless that is anywhere.
    Login,
    /// A database server's data directory; its fields: the client's program, the schemas that foobar made, joined by commas.
    Data,
    /// A package that foobar installed.
    Package,
    /// A package that came with one of those.
    Dependency,
    /// The site that the host serves, always named [`SITE`]; its field is the site's name.
    Site,
}

/// The one name of its kind that a site has in the registry.
pub const SITE: &str = "site";

const KINDS: [(Kind, &str); 11] = [
    (Kind::File, "file"),
    (Kind::Service, "service"),
    (Kind::Account, "account"),
    (Kind::Release, "release"),
    (Kind::Secret, "secret"),
    (Kind::Firewall, "firewall"),
    (Kind::Login, "login"),
    (Kind::Data, "data"),
    (Kind::Package, "package"),
    (Kind::Dependency, "dependency"),
    (Kind::Site, "site"),
];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(KINDS.iter().find(|(kind, _)| kind == self).map_or("", |(_, word)| word))
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        KINDS.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind).ok_or(())
    }
}

/// Whose a thing was before foobar first had to do with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody's: foobar made it.
    #[default]
    Made,
    /// Somebody else's: it stays.
    Found,
}

/// One thing that foobar owns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owned {
    /// Its kind.
    pub kind: Kind,
    /// Which one of its kind on its host: a path, a unit, a name.
    pub name: String,
    /// Whose it was before.
    pub origin: Origin,
    /// What else its removal must know; see [`Kind`].
    pub fields: Vec<String>,
}

impl Owned {
    /// Names one.
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into(), origin: Origin::Made, fields: Vec::new() }
    }

    /// With what else its removal must know: no field is empty or holds a tab or a line break.
    pub fn with<T: Into<String>>(mut self, fields: impl IntoIterator<Item = T>) -> Self {
        self.fields = fields.into_iter().map(Into::into).collect();
        self
    }

    /// A field, or nothing.
    pub fn field(&self, at: usize) -> &str {
        self.fields.get(at).map(String::as_str).unwrap_or_default()
    }

    /// The parts of a field that is joined by commas; `-` is none.
    pub fn list(&self, at: usize) -> impl Iterator<Item = &str> {
        self.field(at).split(',').filter(|part| !part.is_empty() && *part != "-")
    }

    /// Kind and name, which are unique on a host.
    pub fn key(&self) -> (Kind, &str) {
        (self.kind, &self.name)
    }

    /// Its line in the registry.
    pub fn line(&self) -> String {
        let origin = if self.origin == Origin::Made { "made" } else { "found" };
        let mut words = vec![self.kind.to_string(), self.name.clone(), origin.to_owned()];
        words.extend(self.fields.iter().cloned());
        words.join("\t")
    }
}

/// A list as one field: joined by commas, `-` where there is none.
pub fn joined<T: ToString>(parts: impl IntoIterator<Item = T>) -> String {
    let parts: Vec<String> = parts.into_iter().map(|p| p.to_string()).collect();
    if parts.is_empty() { "-".into() } else { parts.join(",") }
}

/// What a host says that foobar owns there. Kinds that a newer foobar knows are passed over.
pub fn noted(seen: &Observation) -> Vec<Owned> {
    let mut all = Vec::new();
    for (kind, word) in KINDS {
        for fields in seen.all(&OWNED, word) {
            let [name, origin, fields @ ..] = &fields[..] else { continue };
            let origin = if origin == "made" { Origin::Made } else { Origin::Found };
            all.push(Owned { kind, name: name.clone(), origin, fields: fields.to_vec() });
        }
    }
    all
}

/// The site that a host is noted to serve.
pub fn site(seen: &Observation) -> Option<String> {
    noted(seen).into_iter().find(|o| o.kind == Kind::Site).map(|o| o.field(0).to_owned())
}

/// Whether the database server of a host follows another one, or does so again once it starts.
pub fn follows(seen: &Observation) -> bool {
    seen.get(&OWNED, "follows").is_some()
}

/// Whether an older foobar, which noted nothing, has been at work on this host.
pub fn is_older(seen: &Observation) -> bool {
    seen.get(&OWNED, "older").is_some()
}

/// A function `keep PATH [absent|directory]`: keeps what stands at a path before foobar first writes there, once, or notes
/// that nothing did; `absent` where nothing shall stand there, `directory` where one shall. What a path has been kept of
/// says what to put back, and a path of which nothing is known is never taken away.
pub const KEEP: &str = r#"
keep() {
  o=/var/lib/foobar/originals$1
  if [ "${2:-}" != directory ]; then
    if [ -e "$o" ] || [ -L "$o" ] || [ -e "$o.foobar-none" ]; then return 0; fi
  fi
  p=$1
  [ "${2:-}" = directory ] || p=${1%/*}
  while [ -n "$p" ] && [ ! -e "$p" ]; do
    mkdir -p "/var/lib/foobar/originals$p" && : >"/var/lib/foobar/originals$p/.foobar-made" || return 1
    p=${p%/*}
  done
  [ "${2:-}" != directory ] || return 0
  mkdir -p -m 700 "${o%/*}" || return 1
  if [ -e "$1" ] || [ -L "$1" ]; then
    cp -a -- "$1" "$o.foobar-new" && sync -f -- "${o%/*}" && mv -fT -- "$o.foobar-new" "$o"
  elif [ "${2:-}" != absent ]; then
    : >"$o.foobar-none"
  fi
}"#;

/// A function `give_back PATH [directory]`: the original where there is one, nothing where foobar made it, and else no change; and the
/// directories that foobar made for it, once they are empty.
pub const GIVE_BACK: &str = r#"
give_back() {
  o=/var/lib/foobar/originals$1 p=${1%/*}
  if [ "${2:-}" = directory ]; then
    p=$1
  elif [ -e "$o" ] || [ -L "$o" ]; then
    mkdir -p -- "${1%/*}" && cp -a -- "$o" "$1.foobar-new" && sync -f -- "${1%/*}" && mv -fT -- "$1.foobar-new" "$1" && rm -f -- "$o" || return 1
  elif [ -e "$o.foobar-none" ]; then
    rm -f -- "$1" && rm -f -- "$o.foobar-none" || return 1
  fi
  while [ -e "/var/lib/foobar/originals$p/.foobar-made" ]; do
    if [ -d "$p" ]; then rmdir -- "$p" 2>/dev/null || break; fi
    rm -f -- "/var/lib/foobar/originals$p/.foobar-made"
    p=${p%/*}
  done
}"#;

/// Takes these out of the registry: the end of every removal.
pub fn forget<'a>(all: impl IntoIterator<Item = &'a Owned>) -> Script {
    let heads = all.into_iter().map(|o| format!("{}\t{}\t", o.kind, o.name));
    rewrite(heads, [])
}

/// A registry without the lines that begin with one of these, and with those lines at its end. Written aside, then renamed.
pub fn rewrite(without: impl IntoIterator<Item = String>, with: impl IntoIterator<Item = String>) -> Script {
    let file = format!("{STATE_DIR}/owned");
    let heads: Vec<String> = without.into_iter().map(|head| format!("{}*", quote(&head))).collect();
    let mut script = Script::new().line("(").line("umask 077");
    let drop = if heads.is_empty() { String::new() } else { format!("{}) ;; ", heads.join(" | ")) };
    script = script
        .line(format!("if [ -f {file} ]; then while IFS= read -r line; do"))
        .line(format!("  case $line in {drop}*) printf '%s\\n' \"$line\" ;; esac"))
        .line(format!("done <{file} >{file}.new; else : >{file}.new; fi"));
    let lines: String = with.into_iter().map(|line| line + "\n").collect();
    if !lines.is_empty() {
        script = script.feed(lines, &format!("cat >>{file}.new"));
    }
    script.line(format!("sync -- {file}.new && mv -f -- {file}.new {file}")).line(")")
}

/// Whether the host has an original of a path to go back to.
pub fn has_original(seen: &Observation, path: &str) -> bool {
    let path = path.trim_start_matches('/');
    seen.all(&OWNED, "original").iter().any(|f| f.first().is_some_and(|p| p == path))
}

/// Notes of paths that an older foobar wrote, and which are there, that they are its own: it kept no originals.
pub fn adopt<'a>(paths: impl IntoIterator<Item = &'a str>) -> Script {
    let mut script = Script::new();
    for path in paths {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        script = script.line(format!("mkdir -p -m 700 {}", quote(&format!("{ORIGINALS}{parent}")))).line(format!(
            "[ ! -e {} ] || : >{}",
            quote(path),
            quote(&format!("{ORIGINALS}{path}.foobar-none"))
        ));
        // Directories that bear foobar's name, and those of drop-ins, no package brings.
        if parent.ends_with("/foobar") || parent.ends_with(".service.d") || parent.ends_with("/haproxy/certs") {
            script = script.line(format!(": >{}", quote(&format!("{ORIGINALS}{parent}/.foobar-made"))));
        }
    }
    script
}

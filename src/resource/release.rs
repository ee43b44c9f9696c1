//! Releases of something that is delivered as a folder: unpacked once under the digest of its archive, and switched to by
//! renaming one symbolic link, so that no reader ever sees half of one. What is in a release is not known here.

use super::{
    Action, Change, Collector, Probe, Refusal, Resource, ResourceId, Seen, migration,
    owned::{Kind, Owned},
    undo,
};
use crate::base::script::{Script, quote};
use std::{fmt, sync::Arc};

/// The releases under each root, and the one that `current` points to.
pub static RELEASES: Collector = Collector {
    name: "releases",
    volatile: &[],
    body: r#"
for root; do
  target=$(readlink -- "$root/current" 2>/dev/null) && printf '%s\tcurrent\t%s\n' "$root" "${target##*/}"
  for dir in "$root"/releases/*/; do
    dir=${dir%/}
    [ -d "$dir" ] && printf '%s\trelease\t%s\n' "$root" "${dir##*/}"
  done
done
:"#,
};

fn seen_names<'a>(seen: &'a Seen<'_>, root: &str, kind: &str) -> impl Iterator<Item = &'a str> {
    let lines = seen.here.all(&RELEASES, root).iter();
    lines.filter(move |l| l.first().is_some_and(|k| k == kind)).filter_map(|l| l.get(1).map(String::as_str))
}

/// A release that shall lie unpacked at `ROOT/releases/NAME`, ready to be switched to.
#[derive(Clone)]
pub struct Unpacked {
    /// The directory that holds `releases/` and `current`.
    pub root: String,
    /// Its directory's name: the head of the archive's digest.
    pub name: String,
    /// SHA-256 of the archive.
    pub digest: String,
    /// An uncompressed tar; none where it is at hand nowhere but on hosts that have it unpacked.
    pub archive: Option<Arc<[u8]>>,
}

impl Unpacked {
    /// The resource's name: a root has one release on its way.
    pub fn key(root: &str) -> ResourceId {
        ResourceId::new("release", format!("{root}/releases"))
    }
}

impl fmt::Debug for Unpacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.archive.as_ref().map_or(0, |a| a.len());
        write!(f, "Unpacked({}/releases/{}, {size} bytes)", self.root, self.name)
    }
}

impl Resource for Unpacked {
    fn id(&self) -> ResourceId {
        Self::key(&self.root)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::new(&RELEASES, [self.root.clone()])]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        if seen_names(seen, &self.root, "release").any(|name| name == self.name) {
            return Ok(None);
        }
        let Some(archive) = &self.archive else {
            return Err(Refusal {
                host: seen.host.clone(),
                what: format!("release {} of the app is no longer kept there", self.name),
                help: "check that version of the app out, and apply it instead; `keep.releases` says how many are kept"
                    .into(),
            });
        };
        let (root, name, digest) = (quote(&self.root), quote(&self.name), quote(&self.digest));
        // The archive's times are fixed, so that equal folders are equal archives. On disk each release has a time of its own,
        // the same on every host: HTTP's validators are made of time and size, and must differ where the content may.
        let time =
            1_000_000_000 + u64::from_str_radix(&self.digest[..7.min(self.digest.len())], 16).unwrap_or_default();
        // The tar has fixed owners and times and no right to say more than "may be executed" about a mode.
        let script = Script::new()
            .line(format!("new={root}/releases/.{name}.new done={root}/releases/{name}"))
            .line("[ ! -d \"$done\" ] || exit 0")
            .line(format!("mkdir -p {root}/releases"))
            .line("rm -rf \"$new\" \"$new.tar\"")
            .line("trap 'rm -rf \"$new\" \"$new.tar\"' EXIT")
            .feed(archive, "cat >\"$new.tar\"")
            .line(format!(
                "printf '%s  %s\\n' {digest} \"$new.tar\" | sha256sum -c --status || {{ echo 'the release arrived damaged; run foobar again' >&2; exit 1; }}"
            ))
            .line("mkdir \"$new\"")
            .line("tar -x --no-same-owner -f \"$new.tar\" -C \"$new\"")
            .line("chmod -R u=rwX,go=rX \"$new\"")
            .line(format!("find \"$new\" -exec touch -h -d @{time} -- {{}} +"))
            .line("sync -f \"$new\"")
            .line("mv -T \"$new\" \"$done\"");
        let size = archive.len().div_ceil(1024);
        Ok(Some(Change::new(Action::Create, format!("unpack release {} ({size} KiB)", self.name), script)))
    }

    fn footprint(&self) -> Vec<Owned> {
        vec![Owned::new(Kind::Release, &self.root)]
    }
}

/// `ROOT/current` shall point to a release that is unpacked already.
#[derive(Clone, Debug)]
pub struct Current {
    /// The directory that holds `releases/` and `current`.
    pub root: String,
    /// The release's directory.
    pub name: String,
    /// How many releases are kept, the newest switch first.
    pub keep: usize,
    /// Whether this host notes, too, that the release's migration was made (it comes before every switch), so that the
    /// host it ran on can leave without its being made again.
    pub migrated: bool,
}

impl Current {
    /// The resource's name.
    pub fn key(root: &str) -> ResourceId {
        ResourceId::new("release", format!("{root}/current"))
    }
}

impl Resource for Current {
    fn id(&self) -> ResourceId {
        Self::key(&self.root)
    }

    fn probes(&self) -> Vec<Probe> {
        let mut probes = vec![Probe::new(&RELEASES, [self.root.clone()])];
        probes.extend(self.migrated.then(|| Probe::new(&migration::MIGRATED, [self.name.clone()])));
        probes
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let before = seen_names(seen, &self.root, "current").next();
        if before == Some(self.name.as_str()) {
            return Ok(None);
        }
        let (root, name) = (quote(&self.root), quote(&self.name));
        let mut script = Script::new();
        if self.migrated {
            script = script.then(&migration::mark(&self.name));
        }
        let script = script
            // The time of the last switch orders what is kept.
            .line(format!("touch -- {root}/releases/{name}"))
            .line(format!("ln -sfn -- releases/{name} {root}/current.new"))
            .line(format!("mv -fT -- {root}/current.new {root}/current"))
            // The former one stays whatever is kept, as there may have to be a way back to it.
            .line(format!(
                "ls -1t -- {root}/releases | tail -n +{} | while read -r old; do case $old in {name} | {}) ;; *) rm -rf -- {root}/releases/\"$old\" ;; esac; done",
                self.keep + 1,
                quote(before.unwrap_or(&self.name)),
            ));
        let action = if before.is_some() { Action::Update } else { Action::Create };
        let mut change = Change::new(action, format!("switch to release {}", self.name), script);
        change.undo = Some(undo::release(&self.root, before));
        Ok(Some(match before {
            Some(before) => change.detail(format!("from {before}")),
            None => change,
        }))
    }
}

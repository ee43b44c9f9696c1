//! The secrets that a host keeps, one file each, root-only. What they are for, and who makes them, is not known here.

use super::{
    Action, Change, Collector, Probe, Refusal, Resource, ResourceId, STATE_DIR, Seen,
    files::File,
    owned::{Kind, Owned},
};
use crate::base::{
    script::{Script, quote},
    secret::{Content, Secret},
};
use base64::Engine as _;

/// Every secret that the host keeps, base64.
pub static STORED: Collector = Collector {
    name: "stored",
    volatile: &[],
    body: r#"
cd /var/lib/foobar/secrets 2>/dev/null || return 0
for name in *; do
  case $name in *.new | '*') continue ;; esac
  printf '%s\t%s\n' "$name" "$(base64 -w 0 <"$name")"
done
:"#,
};

/// Secrets that shall be kept on the host, by name.
#[derive(Debug)]
pub struct Stored {
    /// Their names; each one's value is settled before the difference is taken.
    pub names: Vec<String>,
}

impl Stored {
    /// The resource's name: a host has one store.
    pub fn key() -> ResourceId {
        ResourceId::new("secrets", "kept")
    }

    /// The value that a host keeps under `name`.
    pub fn value(seen: &super::Observation, name: &str) -> Option<Secret> {
        let encoded = seen.get(&STORED, name)?.first()?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
        String::from_utf8(bytes).ok().filter(|v| !v.is_empty()).map(Secret::new)
    }
}

impl Resource for Stored {
    fn id(&self) -> ResourceId {
        Self::key()
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::new(&STORED, Vec::<String>::new())]
    }

    fn written(&self) -> Vec<File> {
        let dir = format!("{STATE_DIR}/secrets");
        let file = |name: &String| File::text(format!("{dir}/{name}"), Content::of(name));
        std::iter::once(File::directory(&dir).mode(0o700)).chain(self.names.iter().map(file)).collect()
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let differs = |name: &&String| seen.secrets.get(name) != Self::value(seen.here, name).as_ref();
        let names: Vec<&String> = self.names.iter().filter(differs).collect();
        if names.is_empty() {
            return Ok(None);
        }
        let dir = format!("{STATE_DIR}/secrets");
        let mut script = Script::new().line(format!("mkdir -p -m 700 {dir}"));
        let mut details = Vec::new();
        for name in &names {
            let Some(value) = seen.secrets.get(name) else { continue };
            let path = quote(&format!("{dir}/{name}"));
            script = script
                .feed(value.expose(), &format!("cat >{path}.new"))
                .line(format!("chmod 600 {path}.new && sync -- {path}.new && mv -f -- {path}.new {path}"));
            details.push(format!("{name}: {}", seen.secrets.mark(name, seen.fingerprint_key)));
        }
        let new = names.iter().all(|n| Self::value(seen.here, n).is_none());
        let action = if new { Action::Create } else { Action::Update };
        let list: Vec<&str> = names.iter().map(|n| n.as_str()).collect();
        let mut change = Change::new(action, format!("keep {}", list.join(", ")), script);
        change.details = details;
        Ok(Some(change))
    }

    fn footprint(&self) -> Vec<Owned> {
        self.names.iter().map(|name| Owned::new(Kind::Secret, name)).collect()
    }
}

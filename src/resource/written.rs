//! Which of the files that foobar wrote on a host are no longer as it wrote them, told from its own records there: neither
//! the topology nor a secret is needed, and no file's text is sent. What they shall be is a plan's question (`files.rs`).

use super::{Collector, Observation, Probe, drift::Drift};
use serde::Serialize;

/// The paths that differ from their records, by how they do; a run that was cut off may have left a text or the one before.
pub static WRITTEN: Collector = Collector {
    name: "glance_written",
    volatile: &[],
    body: r#"
cd /var/lib/foobar/written 2>/dev/null || return 0
find . -type f -name '*.now' | LC_ALL=C sort | while IFS= read -r record; do
  path=${record#.} now= mode= owner= was=
  path=${path%.now}
  read -r now mode owner was <"$record" && [ -n "$was" ] || continue
  stat=$(stat -c '%a %U:%G' -- "$path" 2>/dev/null) || { printf 'removed\t%s\n' "$path"; continue; }
  if [ -f "$path" ]; then
    sum=$(sha256sum <"$path")
    case ${sum%% *} in "$now" | "$was") ;; *) printf 'edited\t%s\n' "$path"; continue ;; esac
  fi
  [ "$stat" = "$mode $owner" ] || printf 'permissions\t%s\n' "$path"
done
:"#,
};

/// A file that somebody changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Where it is.
    pub path: String,
    /// How it was changed.
    pub drift: Drift,
}

/// The question.
pub fn probe() -> Probe {
    Probe::new(&WRITTEN, Vec::<String>::new())
}

/// What a host said.
pub fn changed(seen: &Observation) -> Vec<Changed> {
    let of = |drift: Drift, key: &str| {
        let paths = seen.all(&WRITTEN, key).iter().filter_map(|row| row.first());
        paths.map(|path| Changed { path: path.clone(), drift }).collect::<Vec<_>>()
    };
    [(Drift::Removed, "removed"), (Drift::Edited, "edited"), (Drift::Permissions, "permissions")]
        .into_iter()
        .flat_map(|(drift, key)| of(drift, key))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::sha256;
    use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

    #[test]
    fn each_change_is_told_by_its_kind_and_nothing_else() {
        let top = std::env::temp_dir().join(format!("foobar-written-{}", std::process::id()));
        let _ = fs::remove_dir_all(&top);
        let at = |name: &str| top.join("etc").join(name);
        let records = top.join("written");
        let said = |path: &Path, what: &str| {
            let out = Command::new("stat").args(["-c", what]).arg(path).output().unwrap();
            String::from_utf8(out.stdout).unwrap().trim().to_owned()
        };
        fs::create_dir_all(top.join("etc/dir")).unwrap();
        let record = |path: &Path, now: &str, was: &str| {
            let note = format!("{}{}.now", records.display(), path.display());
            fs::create_dir_all(Path::new(&note).parent().unwrap()).unwrap();
            fs::write(note, format!("{now} {} {was}\n", said(path, "%a %U:%G"))).unwrap();
        };
        for name in ["same", "edited", "cut off", "opened", "gone"] {
            fs::write(at(name), "text").unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o640)).unwrap();
            match name {
                "cut off" => record(&at(name), &sha256("next"), &sha256("text")),
                _ => record(&at(name), &sha256("text"), "-"),
            }
        }
        record(&at("dir"), "-", "-");
        fs::write(at("edited"), "by hand").unwrap();
        fs::set_permissions(at("opened"), fs::Permissions::from_mode(0o666)).unwrap();
        fs::remove_file(at("gone")).unwrap();
        let body = WRITTEN.body.replace("/var/lib/foobar/written", records.to_str().unwrap());
        let out = Command::new("sh").arg("-c").arg(format!("ask() {{\n{body}\n}}\nask")).output().unwrap();
        let mut seen = Observation::default();
        seen.add(WRITTEN.name, &String::from_utf8(out.stdout).unwrap());
        let told: Vec<(Drift, String)> = changed(&seen).into_iter().map(|c| (c.drift, c.path)).collect();
        let path = |name: &str| at(name).display().to_string();
        assert_eq!(
            told,
            [(Drift::Removed, path("gone")), (Drift::Edited, path("edited")), (Drift::Permissions, path("opened"))]
        );
        fs::remove_dir_all(&top).unwrap();
    }
}

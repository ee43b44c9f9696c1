//! Reads every local file that a topology names: the topology itself, the inventory, templates, the app's folder, the
//! user's certificate, given secrets. What is wrong with one is reported at the line that names it, with all the rest.

mod secrets;

use super::{
    local::{now, plain},
    pack,
};
use crate::{
    base::{
        digest,
        secret::Secret,
        template::{TemplateError, Templates},
    },
    component::{
        site::{GivenCertificate, Release, Site},
        spec::{Certificate, SecretSource, Topology},
    },
    plan::saved::{SavedRelease, SavedSite, SavedText},
    topology::{Draft, Problem, Report, Source, Sources, certificate::CertificateText, places::Places},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// A site and what was learned on the way.
#[derive(Debug)]
pub struct Gathered {
    /// The site.
    pub site: Site,
    /// The ssh_config that the inventory names, relative to where foobar runs.
    pub ssh_config: Option<PathBuf>,
    /// The texts that it was read from, without the release's archive: [`with_release`] adds that.
    pub saved: SavedSite,
    /// What there is to know all the same.
    pub warnings: Report,
    /// Where the topology's keys are written.
    pub places: Places,
}

/// Why a site could not be gathered.
#[derive(Debug)]
pub enum Failure {
    /// A file that everything begins with could not be read: which, why, and what to do.
    Unreadable(String, &'static str),
    /// What is wrong with the topology.
    Invalid(Report),
    /// A template of the user's own.
    Template(TemplateError),
}

/// The texts that a site was read from, with the release's archive: all that another machine needs, but for the secrets.
pub fn with_release(saved: &SavedSite, site: &Site) -> SavedSite {
    let mut whole = saved.clone();
    if let Some((release, of_site)) = whole.release.as_mut().zip(site.release.as_ref()) {
        release.archive = of_site.archive.as_ref().map(|a| BASE64.encode(a));
    }
    whole
}

/// Where the parts of a site come from.
enum From<'a> {
    /// Files of the user's.
    Files { inventory: Option<&'a Path>, templates: Option<&'a Path> },
    /// Texts that were kept.
    Saved(&'a SavedSite),
}

/// Reads the two files.
fn texts(topology: &Path, inventory: Option<&Path>) -> Result<Sources, Failure> {
    let read = |path: &Path, help| match fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Source { name: path.display().to_string(), text }),
            Err(_) => Err(Failure::Unreadable(format!("{} is not UTF-8 text", path.display()), "save it as UTF-8")),
        },
        Err(error) => Err(Failure::Unreadable(format!("{}: {}", path.display(), plain(&error)), help)),
    };
    Ok(Sources {
        topology: read(topology, "name the topology with -f, or run foobar in its folder")?,
        inventory: inventory.map(|path| read(path, "name an existing inventory with -i")).transpose()?,
    })
}

/// Reads a topology alone, for who only wants to know its names and hosts.
pub fn names(topology: &Path) -> Result<Topology, Failure> {
    let draft = Draft::read(texts(topology, None)?);
    draft.finish(None, now()).map(|valid| valid.topology).map_err(Failure::Invalid)
}

/// Reads everything.
pub fn gather(topology: &Path, inventory: Option<&Path>, templates: Option<&Path>) -> Result<Gathered, Failure> {
    let from = From::Files { inventory, templates };
    everything(texts(topology, inventory)?, folder(topology), &from, Given::Read)
}

/// Reads everything but secrets: for who shows what would be written, and shall not need to have them. The user's
/// certificate counts as given without its files having been looked at.
pub fn without_secrets(
    topology: &Path,
    inventory: Option<&Path>,
    templates: Option<&Path>,
) -> Result<Gathered, Failure> {
    let from = From::Files { inventory, templates };
    everything(texts(topology, inventory)?, folder(topology), &from, Given::Left)
}

/// Reads everything again from texts that were kept; secrets and the user's certificate come from where they came from.
pub fn again(saved: &SavedSite) -> Result<Gathered, Failure> {
    from_texts(saved, Given::Read)
}

fn from_texts(saved: &SavedSite, given: Given) -> Result<Gathered, Failure> {
    let source = |text: &SavedText| Source { name: text.name.clone(), text: text.text.clone() };
    let sources = Sources { topology: source(&saved.topology), inventory: saved.inventory.as_ref().map(source) };
    // On another machine than the one that read it, paths begin where foobar is run.
    let here = Path::new(&saved.folder);
    everything(sources, if here.is_dir() { here } else { Path::new(".") }, &From::Saved(saved), given)
}

/// The same for who goes back to those texts: a secret that is not where they say comes from the hosts that keep it.
pub fn back(saved: &SavedSite) -> Result<Gathered, Failure> {
    from_texts(saved, Given::OrKept)
}

/// What is done about secrets that the user gives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    /// They are read, and must be there.
    Read,
    /// They are read where they are there.
    OrKept,
    /// They are not looked at.
    Left,
}

fn everything(sources: Sources, here: &Path, from: &From<'_>, how: Given) -> Result<Gathered, Failure> {
    let secrets_wanted = how != Given::Left;
    let kept = |source: &Source| SavedText { name: source.name.clone(), text: source.text.clone() };
    let mut saved = SavedSite {
        folder: absolute(here),
        topology: kept(&sources.topology),
        inventory: sources.inventory.as_ref().map(kept),
        ..SavedSite::default()
    };
    let mut draft = Draft::read(sources);
    let found = match draft.topology() {
        Some(found) => found.clone(),
        None => return Err(draft.finish(None, now()).map_or_else(Failure::Invalid, |v| Failure::Invalid(v.warnings))),
    };
    let certificate = if secrets_wanted { certificate(&mut draft, &found, here) } else { stand_in(&found) };
    let release = match from {
        From::Files { .. } => {
            let release = release(&mut draft, &found, here);
            shipped(&mut draft, &found, here);
            release
        }
        From::Saved(saved) => saved.release.as_ref().map(kept_release).transpose()?,
    };
    let given = if secrets_wanted { secrets::secrets(&mut draft, &found, here, how) } else { BTreeMap::new() };
    let sent = if secrets_wanted { secrets::alerts(&mut draft, &found, here, how) } else { BTreeMap::new() };
    let ssh_config = match from {
        From::Files { inventory, .. } => {
            draft.ssh().config.clone().map(|config| inventory.map_or(here, folder).join(expand(&config)))
        }
        From::Saved(saved) => saved.ssh_config.as_ref().map(PathBuf::from),
    };
    if let Some(path) = ssh_config.as_ref().filter(|p| !p.is_file()) {
        let problem = Problem::error(format!("there is no ssh_config {}", path.display()));
        let place = draft.inventory_place(&["ssh", "config"]);
        draft.add(problem.at(place, "no such file").help("name an existing file, relative to the inventory"));
    }
    let text = certificate.as_ref().filter(|_| secrets_wanted).map(|c| CertificateText { cert: &c.chain, key: &c.key });
    let valid = draft.finish(text.as_ref(), now()).map_err(Failure::Invalid)?;
    saved.templates = match from {
        From::Files { templates, .. } => templates.map(overrides).transpose()?.unwrap_or_default(),
        From::Saved(saved) => saved.templates.clone(),
    };
    saved.ssh_config = ssh_config.as_ref().map(|path| absolute(path));
    saved.release = release.as_ref().map(|r| SavedRelease { digest: r.digest.clone(), archive: None });
    let templates = Templates::new(&saved.templates).map_err(Failure::Template)?;
    let site = Site { topology: valid.topology, templates, release, certificate, given, alerts: sent };
    Ok(Gathered { site, ssh_config, saved, warnings: valid.warnings, places: valid.places })
}

/// A path that means the same wherever foobar is run.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// A release out of texts that were kept: its archive is what its digest says, or it is refused.
fn kept_release(kept: &SavedRelease) -> Result<Release, Failure> {
    let damaged =
        || Failure::Unreadable("the app's release in the saved site is damaged".into(), "make it anew: foobar plan -o");
    let archive = match &kept.archive {
        None => None,
        Some(text) => Some(BASE64.decode(text).map_err(|_| damaged())?),
    };
    let is_whole = archive.as_ref().is_none_or(|a| digest::sha256(a) == kept.digest);
    let is_digest = kept.digest.len() == 64 && kept.digest.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_whole || !is_digest {
        return Err(damaged());
    }
    Ok(Release { digest: kept.digest.clone(), archive: archive.map(Into::into) })
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `~/` as the user's home, as ssh_config takes it.
fn expand(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}

/// The user's certificate as one that nobody looks into.
fn stand_in(topology: &Topology) -> Option<GivenCertificate> {
    let is_given = matches!(topology.tls.certificate, Certificate::Files { .. });
    is_given.then(|| GivenCertificate { chain: String::new(), key: Secret::new("") })
}

fn certificate(draft: &mut Draft, topology: &Topology, here: &Path) -> Option<GivenCertificate> {
    let Certificate::Files { cert, key } = &topology.tls.certificate else { return None };
    let mut read = |key: &'static str, path: &str| {
        let path = here.join(expand(path));
        let place = draft.place(&["tls", "certificate", key]);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let open = key == "key" && fs::metadata(&path).is_ok_and(|m| m.permissions().mode() & 0o044 != 0);
                if open {
                    let problem = Problem::error(format!("the key {} can be read by others", path.display()));
                    draft.add(
                        problem
                            .at(place, "readable by more than its owner")
                            .help("chmod 600 it, and think about who had it"),
                    );
                }
                Some(text)
            }
            Err(error) => {
                let problem = Problem::error(format!("{}: {}", path.display(), plain(&error)));
                draft.add(problem.at(place, "cannot be read").help("name a PEM file, relative to the topology"));
                None
            }
        }
    };
    let (chain, key) = (read("cert", cert), read("key", key));
    Some(GivenCertificate { chain: chain?, key: Secret::new(key?) })
}

/// Refuses a secret that lies in the app's folder: it would be part of the release, for the app's user to read on every
/// host, and kept there as long as the release is.
fn shipped(draft: &mut Draft, topology: &Topology, here: &Path) {
    let Some(root) =
        topology.app.as_ref().filter(|a| !a.source.is_empty()).and_then(|a| real(&here.join(expand(&a.source))))
    else {
        return;
    };
    let mut files: Vec<(Vec<&str>, &str, String)> = Vec::new();
    if let Certificate::Files { key, .. } = &topology.tls.certificate {
        files.push((vec!["tls", "certificate", "key"], key, "the key".into()));
    }
    for (name, source) in topology.app.iter().flat_map(|a| &a.secrets) {
        if let SecretSource::File(path) = source {
            files.push((vec!["app", "secrets", name.as_str(), "file"], path, format!("the secret {name}")));
        }
    }
    for (_, way, source) in secrets::alert_secrets(topology) {
        if let SecretSource::File(path) = source {
            files.push(([way, &["file"][..]].concat(), path, format!("`{}`", way.join("."))));
        }
    }
    for (keys, path, what) in files {
        let Some(inside) = real(&here.join(expand(path))).and_then(|p| Some(p.strip_prefix(&root).ok()?.to_owned()))
        else {
            continue;
        };
        if inside.iter().any(|part| part.to_str().is_none_or(pack::is_skipped)) {
            continue;
        }
        let message = format!("{what} lies in the app's folder, and would be part of every release");
        let problem = Problem::error(message).at(draft.place(&keys), "a file of the release");
        draft.add(problem.help("move it out of the folder, and think about which releases held it"));
    }
}

/// A path without links; of one that leads to nothing yet, as far as there is something.
fn real(path: &Path) -> Option<PathBuf> {
    let whole = fs::canonicalize(path);
    whole
        .or_else(|_| Ok::<_, io::Error>(fs::canonicalize(folder(path))?.join(path.file_name().unwrap_or_default())))
        .ok()
}

fn overrides(dir: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    let unreadable = |path: &Path, e: &io::Error| {
        Failure::Unreadable(format!("{}: {}", path.display(), plain(e)), "name a folder of templates with --templates")
    };
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).map_err(|e| unreadable(&at, &e))? {
            let path = entry.map_err(|e| unreadable(&at, &e))?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "tera") {
                let text = fs::read_to_string(&path).map_err(|e| unreadable(&path, &e))?;
                let name = path.strip_prefix(dir).unwrap_or(&path).to_string_lossy().into_owned();
                found.insert(name, text);
            }
        }
    }
    Ok(found)
}

fn release(draft: &mut Draft, topology: &Topology, here: &Path) -> Option<Release> {
    let app = topology.app.as_ref().filter(|a| !a.source.is_empty())?;
    let root = here.join(expand(&app.source));
    let packed = pack::pack(&root);
    match packed {
        Ok(archive) => Some(Release { digest: digest::sha256(&archive), archive: Some(archive.into()) }),
        Err(why) => {
            let place = draft.place(&["app", "source"]);
            draft.add(
                Problem::error(why)
                    .at(place, "the app's folder")
                    .help("name the folder of the app, relative to the topology"),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests;

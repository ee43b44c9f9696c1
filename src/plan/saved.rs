//! What a site was read from, as texts that can be kept and read again elsewhere: in a saved plan, in the generations of a
//! host. It carries references to secrets, never one of them. Reading files is the command line's business.

use crate::base::digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A file's text and the name it was read by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedText {
    /// The file's path, as the user gave it.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// The app's folder as one release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedRelease {
    /// SHA-256 of the archive, in hexadecimal.
    pub digest: String,
    /// The archive, base64; none where hosts that have it unpacked are enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
}

/// What a site was read from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedSite {
    /// The folder that the topology's relative paths begin at, absolute on the machine that read it.
    pub folder: String,
    /// The topology.
    pub topology: SavedText,
    /// The inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<SavedText>,
    /// The ssh_config that the inventory names, absolute on the machine that read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_config: Option<String>,
    /// The user's own templates, by their path under `templates/`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub templates: BTreeMap<String, String>,
    /// The app's release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<SavedRelease>,
}

impl SavedSite {
    /// What the site is, in 64 hexadecimal digits: equal for equal texts and releases, wherever they lie.
    pub fn digest(&self) -> String {
        let mut parts = vec!["site", &self.topology.text];
        parts.push(self.inventory.as_ref().map_or("", |i| &i.text));
        parts.push(self.release.as_ref().map_or("", |r| &r.digest));
        parts.extend(self.templates.iter().flat_map(|(name, text)| [name.as_str(), text]));
        digest::of_parts(parts)
    }

    /// As JSON in one line, for a file of its own.
    pub fn to_text(&self) -> String {
        // Strings in maps: there is nothing in it that JSON could refuse.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`SavedSite::to_text`] wrote; `Err` says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> SavedSite {
        SavedSite {
            folder: "/home/ann/shop".into(),
            topology: SavedText { name: "foobar.yaml".into(), text: "site: a.example.com\n".into() },
            release: Some(SavedRelease { digest: "ab".into(), archive: Some("AAAA".into()) }),
            ..SavedSite::default()
        }
    }

    #[test]
    fn it_comes_back_as_it_went() {
        assert_eq!(SavedSite::parse(&saved().to_text()), Ok(saved()));
        assert!(SavedSite::parse("{}").is_err());
        assert!(SavedSite::parse("").is_err());
    }

    #[test]
    fn its_digest_is_about_what_it_says_and_not_about_where_it_lay() {
        let one = saved().digest();
        let mut moved = saved();
        moved.folder = "/srv/ci".into();
        moved.topology.name = "other.yaml".into();
        moved.release.as_mut().unwrap().archive = None;
        assert_eq!(moved.digest(), one);
        type Edit = fn(&mut SavedSite);
        let edits: [Edit; 4] = [
            |s| s.topology.text.push('\n'),
            |s| s.inventory = Some(SavedText { name: String::new(), text: "hosts: {}".into() }),
            |s| s.release.as_mut().unwrap().digest.push('c'),
            |s| drop(s.templates.insert("nginx/foobar.conf.tera".into(), "x".into())),
        ];
        for (n, edit) in edits.iter().enumerate() {
            let mut other = saved();
            edit(&mut other);
            assert_ne!(other.digest(), one, "edit {n}");
        }
    }
}

//! The files that foobar would write, as text and as JSON.

use super::{
    json::{SCHEMA, pretty},
    style::{Palette, Tone, harmless},
};
use crate::{
    base::name::DomainName,
    plan::rendered::Rendered,
    resource::files::{Body, File},
};
use serde_json::{Value, json};

/// Mode and owner, or what becomes of the path: `0644 root:root`.
pub fn access(file: &File) -> String {
    match file.body {
        Body::Absent => "removed".to_owned(),
        _ => format!("{:04o} {}:{}", file.mode, file.owner, file.group),
    }
}

/// Each path under a heading of its own, `# HOST:PATH MODE OWNER`; a directory's ends with a slash.
pub fn text(all: &[Rendered], palette: Palette) -> String {
    let mut out = String::new();
    for (n, rendered) in all.iter().enumerate() {
        let slash = if matches!(rendered.file.body, Body::Directory) { "/" } else { "" };
        let place = format!("# {}:{}{slash}", rendered.host, rendered.file.path);
        let head =
            format!("{} {}", palette.paint(Tone::Place, &place), palette.paint(Tone::Dim, &access(&rendered.file)));
        out.push_str(if n > 0 { "\n" } else { "" });
        out.push_str(&format!("{head}\n"));
        for line in rendered.text().unwrap_or_default().lines() {
            out.push_str(&format!("{}\n", harmless(line)));
        }
    }
    out
}

/// All of it as one document, for `render --json`.
pub fn json(site: &DomainName, all: &[Rendered]) -> String {
    let one = |rendered: &Rendered| -> Value {
        let file = &rendered.file;
        let kind = match file.body {
            Body::Text(_) => "file",
            Body::Directory => "directory",
            Body::Absent => "absent",
        };
        let is_there = kind != "absent";
        json!({
            "host": rendered.host,
            "path": file.path,
            "kind": kind,
            "mode": is_there.then(|| format!("{:04o}", file.mode)),
            "owner": is_there.then_some(&file.owner),
            "group": is_there.then_some(&file.group),
            "text": rendered.text(),
            "secrets": rendered.secrets(),
        })
    };
    let files: Vec<Value> = all.iter().map(one).collect();
    pretty(&json!({ "schema": SCHEMA, "command": "render", "site": site, "files": files }))
}

//! What a drill showed, as text and as JSON.

use super::{
    json::{SCHEMA, pretty},
    style::{Palette, Tone},
};
use crate::{
    base::name::{DomainName, HostName},
    component::drill::Fared,
};
use serde_json::json;

/// What was done.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Where.
    pub host: &'a HostName,
    /// The units that were stopped.
    pub units: &'a [String],
    /// Who asked meanwhile.
    pub from: &'a HostName,
    /// For how many seconds.
    pub seconds: u64,
    /// Whether the site answers again.
    pub is_back: bool,
}

fn seconds(millis: u64) -> String {
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}

/// A line an address, and whether all is back.
pub fn text(told: &Told<'_>, fared: &[Fared], palette: Palette) -> String {
    let units: Vec<&str> = told.units.iter().map(|u| u.trim_end_matches(".service")).collect();
    let mut out = format!(
        "{} on {} was away for {} s; {} asked:\n",
        units.join(", "),
        palette.paint(Tone::Place, told.host.as_str()),
        told.seconds,
        palette.paint(Tone::Place, told.from.as_str())
    );
    let width = fared.iter().map(|f| f.at.len()).max().unwrap_or_default();
    for Fared { at, made, failed, impact_millis, longest_millis, .. } in fared {
        let felt = match failed {
            0 => palette.paint(Tone::Pass, "none failed").to_string(),
            _ => {
                let what = format!(
                    "{failed} failed; impact {}, at most {} at a time",
                    seconds(*impact_millis),
                    seconds(*longest_millis)
                );
                palette.paint(Tone::Fail, &what).to_string()
            }
        };
        out.push_str(&format!("  {at:width$}  {made} requests, {felt}\n"));
    }
    out + if told.is_back { "It is back, and the site answers.\n" } else { "The site does not answer as before.\n" }
}

/// The same as one document, for `drill --json`.
pub fn json(site: &DomainName, told: &Told<'_>, fared: &[Fared]) -> String {
    let Told { host, units, from, seconds, is_back } = told;
    pretty(&json!({
        "schema": SCHEMA, "command": "drill", "site": site, "host": host, "units": units, "from": from,
        "seconds": seconds, "is_back": is_back, "fared": fared,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_is_told() {
        let fared = |at: &str, failed, impact_millis| Fared {
            at: at.into(),
            made: 80,
            failed,
            impact_millis,
            longest_millis: impact_millis / 2,
            is_back: true,
        };
        let (host, from) = ("lb-01".parse().unwrap(), "web-01".parse().unwrap());
        let units = ["haproxy.service".to_owned(), "nsd.service".to_owned()];
        let told = Told { host: &host, units: &units, from: &from, seconds: 15, is_back: true };
        let fared = [fared("10.77.0.11", 12, 2460), fared("names", 0, 0)];
        insta::assert_snapshot!("drill", text(&told, &fared, Palette::new(false)));
        insta::assert_snapshot!("drill_json", json(&"www.foobar.com".parse().unwrap(), &told, &fared));
    }
}

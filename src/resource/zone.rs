//! A zone file with its server's configuration. Its serial is settled against what the hosts have: it stays where nothing
//! else in the zone differs, and is one more than the newest of them where something does, so that it grows with every
//! change and needs no clock. What stands in the zone, and who checks it, the component says.

use super::{
    Change, Probe, Refusal, Resource, ResourceId, Seen,
    files::{Body, File, Files, text_at},
    owned::Owned,
};
use crate::base::{name::HostName, secret::Content};

/// What stands for the serial until it is settled.
pub const SERIAL: &str = "(serial)";

/// A zone file, and what goes with it.
#[derive(Clone, Debug)]
pub struct Zone {
    /// All of them, to be checked and put in place together; the zone's own with [`SERIAL`] in it.
    pub files: Files,
    /// The zone file's path.
    pub path: String,
    /// The zone's text, with [`SERIAL`] in it.
    pub text: String,
    /// The hosts that have the same zone.
    pub on: Vec<HostName>,
}

/// Whether a serial is newer than another one (RFC 1982 3.2).
fn is_newer(one: u32, other: u32) -> bool {
    one != other && one.wrapping_sub(other) < 1 << 31
}

/// The serial of a zone file: the third field of its SOA.
pub fn serial_of(zone: &str) -> Option<u32> {
    let bare = zone.lines().map(|l| l.split(';').next().unwrap_or_default());
    let words = bare.flat_map(|l| l.split(|c: char| c.is_whitespace() || "()".contains(c))).filter(|w| !w.is_empty());
    words.skip_while(|w| !w.eq_ignore_ascii_case("soa")).nth(3)?.parse().ok()
}

impl Zone {
    fn with(&self, serial: u32) -> String {
        self.text.replace(SERIAL, &serial.to_string())
    }

    /// The serial that the zone shall have: the same on every host that has it.
    fn serial(&self, seen: &Seen<'_>) -> u32 {
        let texts = self.on.iter().filter_map(|host| text_at(seen.all.get(host)?, &self.path));
        let seen: Vec<(u32, String)> = texts.filter_map(|text| Some((serial_of(&text)?, text))).collect();
        let newest = seen.iter().map(|(serial, _)| *serial).reduce(|a, b| if is_newer(b, a) { b } else { a });
        let Some(newest) = newest else { return 1 };
        // A host that was left behind gets the newest one; only where that one says something else, it is raised.
        let wanted = self.with(newest);
        match seen.iter().all(|(serial, text)| *serial != newest || *text == wanted) {
            true => newest,
            // 0 is left out: some take it for none.
            false => newest.checked_add(1).unwrap_or(1),
        }
    }

    fn settled(&self, seen: &Seen<'_>) -> Files {
        let mut files = self.files.clone();
        let text = self.with(self.serial(seen));
        let is_zone = |f: &&mut File| f.path == self.path;
        if let Some(file) = files.files.iter_mut().find(is_zone) {
            file.body = Body::Text(Content::new(text));
        }
        files
    }
}

impl Resource for Zone {
    fn id(&self) -> ResourceId {
        self.files.id()
    }

    fn probes(&self) -> Vec<Probe> {
        self.files.probes()
    }

    fn written(&self) -> Vec<File> {
        self.files.written()
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        self.settled(seen).diff(seen)
    }

    fn footprint(&self) -> Vec<Owned> {
        self.files.footprint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{digest::sha256, secret::Secrets},
        resource::{Observation, files::FILES},
    };
    use base64::Engine as _;
    use std::collections::BTreeMap;

    const PATH: &str = "/etc/nsd/foobar.zone";

    fn zone(rest: &str) -> Zone {
        let text = format!("@ IN SOA ns hostmaster ( ; who\n\t{SERIAL} ; it grows\n\t3600 600 1209600 60 )\n{rest}\n");
        let file = File::text(PATH, Content::new(&text));
        let on = ["ns-01", "ns-02"].map(|h| h.parse().unwrap()).to_vec();
        Zone { files: Files::new("zone", vec![file]), path: PATH.into(), text, on }
    }

    /// What a host with this text at the path answers.
    fn has(text: &str) -> Observation {
        let mut seen = Observation::default();
        let body = base64::engine::general_purpose::STANDARD.encode(text);
        let lines = [
            format!("{PATH}\tstat\tregular file\t644\troot\troot\t{}", text.len()),
            format!("{PATH}\tsha\t{}", sha256(text)),
            format!("{PATH}\tbody\t{body}"),
        ];
        seen.add(FILES.name, &lines.join("\n"));
        seen
    }

    /// The text that a plan would write on each of the two hosts; none where it is there.
    fn planned(zone: &Zone, hosts: [Option<&str>; 2]) -> [Option<String>; 2] {
        let all: BTreeMap<HostName, Observation> =
            zone.on.iter().cloned().zip(hosts.map(|text| text.map(has).unwrap_or_default())).collect();
        let (secrets, changing) = (Secrets::default(), BTreeMap::new());
        [0, 1].map(|n| {
            let (host, here) = (&zone.on[n], &all[&zone.on[n]]);
            let seen = Seen {
                host,
                here,
                all: crate::resource::All::of(&all),
                secrets: &secrets,
                fingerprint_key: "",
                changing: &changing,
                now: 0,
            };
            let change = zone.diff(&seen).unwrap()?;
            change.diffs.into_iter().find_map(|d| d.after)
        })
    }

    #[test]
    fn the_serial_grows_with_every_change_and_with_nothing_else() {
        let (old, new) = (zone("www A 192.0.2.1"), zone("www A 192.0.2.2"));
        let [first, other] = planned(&old, [None, None]);
        let (first, other) = (first.unwrap(), other.unwrap());
        assert_eq!((serial_of(&first), &first), (Some(1), &other));
        // A second plan is empty.
        assert_eq!(planned(&old, [Some(&first), Some(&other)]), [None, None]);
        let changed = planned(&new, [Some(&first), Some(&other)]).map(Option::unwrap);
        assert_eq!(changed.each_ref().map(|t| serial_of(t)), [Some(2), Some(2)]);
        // Cut off between the hosts: the one that was left behind gets the very same.
        assert_eq!(planned(&new, [Some(&changed[0]), Some(&first)]), [None, Some(changed[0].clone())]);
        // A new host beside one that is as it shall be.
        assert_eq!(planned(&new, [Some(&changed[0]), None]), [None, Some(changed[0].clone())]);
    }

    #[test]
    fn what_was_edited_by_hand_is_outgrown() {
        let zone = zone("www A 192.0.2.1");
        let right = zone.with(7);
        // Another text under the same serial, and one whose serial was raised as well.
        let edited = right.replace("192.0.2.1", "192.0.2.9");
        let [one, other] = planned(&zone, [Some(&edited), Some(&right)]).map(Option::unwrap);
        assert_eq!((serial_of(&one), one), (Some(8), other));
        let raised = edited.replace("\t7 ", "\t2026112501 ");
        let both = planned(&zone, [Some(&raised), Some(&right)]).map(Option::unwrap);
        assert_eq!(both.each_ref().map(|t| serial_of(t)), [Some(2_026_112_502); 2]);
        // One that cannot be read is as good as none.
        assert_eq!(serial_of(planned(&zone, [Some("nonsense"), None])[1].as_ref().unwrap()), Some(1));
    }

    #[test]
    fn serials_go_round() {
        assert!(is_newer(2, 1) && !is_newer(1, 2) && !is_newer(1, 1));
        assert!(is_newer(1, u32::MAX) && !is_newer(u32::MAX, 1));
        let zone = zone("www A 192.0.2.1");
        let last = zone.with(u32::MAX).replace("192.0.2.1", "192.0.2.9");
        let first = planned(&zone, [Some(&last), None])[0].clone().unwrap();
        assert_eq!(serial_of(&first), Some(1));
        // 1 is newer than the last one: what has it stays, and the other one follows.
        assert_eq!(planned(&zone, [Some(&first), Some(&last)]), [None, Some(first.clone())]);
    }
}

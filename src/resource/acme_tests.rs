//! A certificate that fits, and each way in which one does not.

use super::*;
use crate::{
    base::{
        name::HostName,
        secret::{Content, Secret, Secrets},
    },
    resource::{Key, Observation},
};
use base64::Engine as _;
use rcgen::{CertificateParams, KeyPair};
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};

const PATH: &str = "/etc/haproxy/certs/site.pem";
const DIRECTORY: &str = "https://acme.example.com/dir";
const NOW: i64 = 1_767_225_600;
const DAY: i64 = 86_400;

static SERIAL: Collector = Collector { name: "serial", volatile: &[], body: ":" };

fn issued() -> Issued {
    Issued {
        path: PATH.into(),
        directory: DIRECTORY.into(),
        names: ["www.foobar.com", "foobar.com"].map(str::to_owned).to_vec(),
        unit: "foobar-acme.service".into(),
        log: "foobar-acme".into(),
        shown: Probe::new(&SERIAL, [PATH]),
        service: ResourceId::new("service", "haproxy.service"),
    }
}

/// A certificate that was made for 90 days and has so many left.
fn pem(names: &[&str], left: i64) -> String {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_after = OffsetDateTime::from_unix_timestamp(NOW + left * DAY).unwrap();
    params.not_before = params.not_after - Duration::days(90);
    params.serial_number = Some(7_u64.into());
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

fn seen(stat: &str, from: &str, pem: &str, shown: &str) -> Observation {
    let mut here = Observation::default();
    let encoded = base64::engine::general_purpose::STANDARD.encode(pem);
    here.add(ISSUED.name, &format!("{PATH}\tfile\t{stat}\n{PATH}\tfrom\t{from}\n{PATH}\tcertificate\t{encoded}"));
    here.add(SERIAL.name, &format!("{PATH}\t{shown}"));
    here
}

fn diff(resource: &dyn Resource, here: &Observation, changing: &[ResourceId]) -> Option<Change> {
    let host: HostName = "lb-01".parse().unwrap();
    let mut secrets = Secrets::default();
    secrets.insert("interim", Secret::new("by foobar"));
    let changing = changing.iter().map(|id| (Key::new(&host, id.clone()), Impact::Reload)).collect();
    let all = BTreeMap::new();
    let seen = Seen {
        host: &host,
        here,
        all: crate::resource::All::of(&all),
        secrets: &secrets,
        fingerprint_key: "",
        changing: &changing,
        now: NOW,
    };
    resource.diff(&seen).unwrap()
}

const NAMES: [&str; 2] = ["www.foobar.com", "foobar.com"];

#[test]
fn one_that_fits_is_left_alone() {
    for left in [89, 28] {
        let here = seen("600 root:root", DIRECTORY, &pem(&NAMES, left), "07");
        assert!(diff(&issued(), &here, &[]).is_none(), "{left} days");
    }
    // What is shown is not known while the balancer is down.
    let mut here = seen("600 root:root", DIRECTORY, &pem(&NAMES, 60), "");
    here.forget(&SERIAL);
    assert!(diff(&issued(), &here, &[]).is_none());
}

#[test]
fn one_that_does_not_fit_is_named() {
    let good = pem(&NAMES, 60);
    let mut all = String::new();
    for here in [
        Observation::default(),
        seen("600 root:root", DIRECTORY, "no certificate", "07"),
        seen("600 root:root", "", &good, "07"),
        seen("600 root:root", "https://other.example.com/dir", &good, "07"),
        seen("600 root:root", DIRECTORY, &pem(&["www.foobar.com"], 60), "07"),
        seen("600 root:root", DIRECTORY, &pem(&NAMES, -1), "07"),
        seen("600 root:root", DIRECTORY, &pem(&NAMES, 26), "07"),
        seen("600 root:root", DIRECTORY, &good, "08"),
    ] {
        let change = diff(&issued(), &here, &[]).unwrap();
        assert!(change.script.text().contains("systemctl start foobar-acme.service") && change.undo.is_none());
        all +=
            &format!("{:?} {}, {}\n  {}\n", change.action, change.summary, change.impact, change.details.join("\n  "));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn what_is_about_to_be_reloaded_takes_it_in_by_that() {
    let here = seen("600 root:root", DIRECTORY, &pem(&NAMES, 60), "08");
    assert!(diff(&issued(), &here, &[issued().service]).is_none());
}

#[test]
fn an_interim_one_is_written_where_nothing_is_and_never_over_another() {
    let interim = Interim { file: File::text(PATH, Content::of("interim")), name: "interim certificate".into() };
    let change = diff(&interim, &Observation::default(), &[]).unwrap();
    assert_eq!((change.action, change.summary.as_str()), (Action::Create, "write interim certificate"));
    assert!(change.undo.is_none(), "a certificate that came meanwhile would be taken away");
    for pem in [pem(&NAMES, 60), "whatever".into()] {
        assert!(diff(&interim, &seen("600 root:root", "", &pem, "07"), &[]).is_none());
    }
    let change = diff(&interim, &seen("644 root:root", DIRECTORY, &pem(&NAMES, 60), "07"), &[]).unwrap();
    assert_eq!(
        (change.drift, change.details[0].as_str()),
        (Some(Drift::Permissions), "644 root:root -> 600 root:root")
    );
    assert!(change.diffs.is_empty(), "what is in it is nobody's business");
}

/// What a host tells of a file holds its certificate and no line of its key.
#[test]
fn no_key_leaves_the_host() {
    let dir = std::env::temp_dir().join(format!("foobar-issued-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let key = KeyPair::generate().unwrap().serialize_pem();
    let path = dir.join("site.pem");
    let cert = pem(&NAMES, 60);
    let other = pem(&["intermediate.example.com"], 60);
    std::fs::write(&path, format!("# from {DIRECTORY}\n{cert}{other}{key}")).unwrap();
    let script = format!("ask() {{\n{}\n}}\nask \"$@\"", ISSUED.body);
    let at = path.to_str().unwrap();
    let out = std::process::Command::new("sh").args(["-c", &script, "sh", at, "/nowhere"]).output().unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    let mut here = Observation::default();
    here.add(ISSUED.name, &String::from_utf8(out.stdout).unwrap());
    let line = |kind: &str| here.all(&ISSUED, at).iter().find(|l| l[0] == kind).map(|l| l[1].clone());
    assert_eq!(line("from").as_deref(), Some(DIRECTORY));
    let said =
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(line("certificate").unwrap()).unwrap());
    assert_eq!(said.unwrap(), cert);
    assert!(here.all(&ISSUED, "/nowhere").is_empty());
}

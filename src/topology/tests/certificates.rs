//! The user's certificate: made here, wrong in every way there is.

use crate::{
    base::secret::Secret,
    topology::certificate::{Blame, CertificateText, examine},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair};
use time::OffsetDateTime;

const NAMES: &[&str] = &["www.foobar.com", "foobar.com"];
/// 2026-01-01.
const NOW: i64 = 1_767_225_600;
const DAY: i64 = 86_400;

fn params(names: &[&str], from: i64, to: i64) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).expect("names");
    let at = |days: i64| OffsetDateTime::from_unix_timestamp(NOW + days * DAY).expect("a time");
    (params.not_before, params.not_after) = (at(from), at(to));
    params
}

fn authority(name: &str, to: i64) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = params(&[], -10, to);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// A certificate of an authority's, its chain behind it, and its key.
fn issued(by: &CertifiedIssuer<'static, KeyPair>, names: &[&str], from: i64, to: i64) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let issuer: &Issuer<'_, KeyPair> = by;
    let leaf = params(names, from, to).signed_by(&key, issuer).expect("a certificate");
    (format!("{}{}", leaf.pem(), by.pem()), key.serialize_pem())
}

fn said(cert: &str, key: &str) -> Vec<String> {
    let flaws = examine(&CertificateText { cert, key: &Secret::new(key) }, NAMES, NOW);
    let mark = |f: &crate::topology::certificate::Flaw| match (f.fatal, f.blame) {
        (true, Blame::Cert) => "E cert",
        (true, Blame::Key) => "E key",
        (false, _) => "W",
    };
    flaws.iter().map(|f| format!("{}: {}", mark(f), f.message)).collect()
}

#[test]
fn a_good_one_draws_no_word() {
    let ca = authority("CA", 1000);
    for names in [NAMES, &["*.foobar.com", "foobar.com"], &["WWW.foobar.com", "foobar.com", "x.example"]] {
        let (cert, key) = issued(&ca, names, -1, 90);
        assert_eq!(said(&cert, &key), Vec::<String>::new(), "{names:?}");
        assert_eq!(said(&cert.replace('\n', "\r\n"), &key), Vec::<String>::new());
    }
}

#[test]
fn each_flaw_is_found() {
    let ca = authority("CA", 1000);
    let other = authority("CA", 1000);
    let (cert, key) = issued(&ca, NAMES, -1, 90);
    let (_, strange) = issued(&ca, NAMES, -1, 90);
    let leaf = &cert[..cert.find("-----END CERTIFICATE-----\n").expect("an end") + 26];
    for (cert, key, want) in [
        (cert.clone(), strange.clone(), "E key: the key is not the certificate's"),
        (format!("{}{leaf}", ca.pem()), key.clone(), "E cert: the site's own certificate is number 2 in its file"),
        (
            format!("{leaf}{}", other.pem()),
            key.clone(),
            "E cert: the chain is broken: certificate 1 is not issued by number 2",
        ),
        (leaf.to_owned(), key.clone(), "W: the chain ends with the certificate itself"),
        (format!("{cert}{key}"), key.clone(), "E cert: the certificate's file holds a private key"),
        ("no PEM".into(), key.clone(), "E cert: the certificate cannot be read"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(),
            key.clone(),
            "E cert: the certificate cannot be read",
        ),
        (cert.clone(), "no PEM".into(), "E key: the key cannot be read"),
        (
            cert.clone(),
            "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n".into(),
            "E key: the key's form is not known",
        ),
        (cert.clone(), "-----BEGIN ENCRYPTED PRIVATE KEY-----\n".into(), "E key: the key is encrypted"),
    ] {
        let said = said(&cert, &key);
        assert!(said.iter().any(|s| s.starts_with(want)), "{want:?}: {said:#?}");
    }
    for (names, from, to, want) in [
        (&["www.foobar.com"][..], -1, 90, "E cert: the certificate does not cover foobar.com"),
        (&["*.foobar.com"], -1, 90, "E cert: the certificate does not cover foobar.com"),
        (&["*.com"], -1, 90, "E cert: the certificate does not cover www.foobar.com"),
        (NAMES, -90, -3, "E cert: the certificate expired on 2025-12-29"),
        (NAMES, 2, 90, "E cert: the certificate is not valid before 2026-01-03"),
        (NAMES, -1, 20, "W: the certificate expires on 2026-01-21"),
    ] {
        let (cert, key) = issued(&ca, names, from, to);
        let said = said(&cert, &key);
        assert!(said.len() == 1 && said[0].starts_with(want), "{want:?}: {said:#?}");
    }
    let (cert, key) = issued(&authority("old CA", -1), NAMES, -1, 90);
    assert_eq!(said(&cert, &key), ["E cert: certificate 2 of the chain expired on 2025-12-31"]);
}

#[test]
fn a_certificate_that_signed_itself_is_told() {
    let key = KeyPair::generate().expect("a key");
    let cert = params(NAMES, -1, 90).self_signed(&key).expect("a certificate");
    assert_eq!(said(&cert.pem(), &key.serialize_pem()), ["W: the certificate signed itself: browsers warn of it"]);
}

/// Keys as OpenSSL writes them in its older forms, with certificates for them: `openssl req -x509` of 3.0.
#[test]
fn keys_in_older_forms_are_understood() {
    for (cert, key) in [
        (include_str!("pem/rsa.crt"), include_str!("pem/rsa-pkcs1.key")),
        (include_str!("pem/rsa.crt"), include_str!("pem/rsa-pkcs8.key")),
        (include_str!("pem/ec.crt"), include_str!("pem/ec-sec1.key")),
        (include_str!("pem/p521.crt"), include_str!("pem/p521-pkcs8.key")),
    ] {
        let said = said(cert, key);
        assert!(!said.iter().any(|s| s.starts_with("E key")), "{said:#?}");
    }
    let crossed = said(include_str!("pem/rsa.crt"), include_str!("pem/ec-sec1.key"));
    assert!(crossed.iter().any(|s| s == "E key: the key is not the certificate's"), "{crossed:#?}");
    let weak = said(include_str!("pem/weak.crt"), include_str!("pem/weak.key"));
    assert!(weak.iter().any(|s| s == "E cert: the certificate's key has 1024 bits only"), "{weak:#?}");
}

#[test]
fn no_bytes_make_it_panic() {
    let ca = authority("CA", 1000);
    let (cert, key) = issued(&ca, NAMES, -1, 90);
    for at in (0..cert.len()).step_by(37) {
        let mut bytes = cert.clone().into_bytes();
        bytes[at] = b'A';
        said(&String::from_utf8_lossy(&bytes), &key);
        said(&cert[..at], &key);
        said(&cert, &key[..at.min(key.len())]);
        said(
            &cert,
            &format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", &key[28..60 + at % 40]),
        );
    }
}

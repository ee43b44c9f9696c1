//! Makes passwords and certificates: the chance and the clock that `plan/settle.rs` asks for.

use crate::{
    base::secret::Secret,
    plan::settle::{Mint, Pair},
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SerialNumber,
};
use time::{Duration, OffsetDateTime};

/// The system's chance and clock. Keys are ECDSA P-256, which every client of the intermediate profile takes.
#[derive(Debug, Default)]
pub struct SystemMint;

/// Days that an authority is good for: ten years; users trust it by hand, so it must not change under them.
const AUTHORITY_DAYS: i64 = 3650;

impl SystemMint {
    fn bytes<const N: usize>() -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        getrandom::fill(&mut bytes).map_err(|e| format!("the system gave no random bytes: {e}"))?;
        Ok(bytes)
    }

    fn params(names: &[String], common_name: &str, days: i64) -> Result<CertificateParams, String> {
        let mut params = CertificateParams::new(names.to_vec()).map_err(|e| e.to_string())?;
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, common_name);
        params.distinguished_name = name;
        // A serial of 16 bytes with its highest bit clear stays positive (RFC 5280 4.1.2.2).
        let mut serial = Self::bytes::<16>()?;
        serial[0] &= 0x7f;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        // An hour back, for hosts whose clock is a little behind.
        params.not_before = OffsetDateTime::now_utc() - Duration::hours(1);
        params.not_after = params.not_before + Duration::days(days);
        Ok(params)
    }
}

impl Mint for SystemMint {
    fn now(&self) -> i64 {
        OffsetDateTime::now_utc().unix_timestamp()
    }

    fn password(&mut self) -> Secret {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut out = String::with_capacity(32);
        while out.len() < 32 {
            // Without a source of chance there is no safe way on; the kernel's never fails once it has begun.
            let Ok(bytes) = Self::bytes::<64>() else { continue };
            // Bytes past the last whole multiple of 62 are dropped, so that each letter is equally likely.
            out.extend(bytes.iter().filter(|b| **b < 248).map(|b| LETTERS[usize::from(b % 62)] as char));
        }
        out.truncate(32);
        Secret::new(out)
    }

    fn authority(&mut self, common_name: &str, names: &[String]) -> Result<Pair, String> {
        let mut params = Self::params(&[], common_name, AUTHORITY_DAYS)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        if !names.is_empty() {
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: names.iter().cloned().map(GeneralSubtree::DnsName).collect(),
                excluded_subtrees: vec![],
            });
        }
        let key = KeyPair::generate().map_err(|e| e.to_string())?;
        let cert = params.self_signed(&key).map_err(|e| e.to_string())?;
        Ok(Pair { cert: cert.pem(), key: Secret::new(key.serialize_pem()) })
    }

    fn account(&mut self) -> Result<Secret, String> {
        KeyPair::generate().map(|key| Secret::new(key.serialize_pem())).map_err(|e| e.to_string())
    }

    fn leaf(&mut self, by: &Pair, names: &[String], days: u32) -> Result<Pair, String> {
        let common_name = names.first().map(String::as_str).unwrap_or("foobar");
        let mut params = Self::params(names, common_name, i64::from(days))?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let issuer_key = KeyPair::from_pem(by.key.expose()).map_err(|e| format!("the authority's key: {e}"))?;
        let issuer =
            Issuer::from_ca_cert_pem(&by.cert, issuer_key).map_err(|e| format!("the authority's certificate: {e}"))?;
        let key = KeyPair::generate().map_err(|e| e.to_string())?;
        let cert = params.signed_by(&key, &issuer).map_err(|e| e.to_string())?;
        Ok(Pair { cert: cert.pem(), key: Secret::new(key.serialize_pem()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{name::HostName, secret::Secrets},
        component::{SecretSpec, Source},
        plan::settle::settle,
        resource::{Observation, stored::STORED},
    };
    use base64::Engine as _;
    use std::collections::{BTreeMap, BTreeSet};

    /// A mint whose clock stands elsewhere.
    struct At(SystemMint, i64);

    impl Mint for At {
        fn now(&self) -> i64 {
            self.0.now() + self.1
        }
        fn password(&mut self) -> Secret {
            self.0.password()
        }
        fn authority(&mut self, common_name: &str, names: &[String]) -> Result<Pair, String> {
            self.0.authority(common_name, names)
        }
        fn account(&mut self) -> Result<Secret, String> {
            self.0.account()
        }
        fn leaf(&mut self, by: &Pair, names: &[String], days: u32) -> Result<Pair, String> {
            self.0.leaf(by, names, days)
        }
    }

    fn host(name: &str) -> HostName {
        name.parse().unwrap()
    }

    fn specs(names: &[&str]) -> Vec<SecretSpec> {
        let spec = |name: &str, source| SecretSpec { name: name.into(), source, homes: vec![host("a"), host("b")] };
        let names = names.iter().map(|n| (*n).to_owned()).collect();
        vec![
            spec("leaf", Source::Leaf { by: "ca".into(), names, days: 90 }),
            spec("ca", Source::Authority { common_name: "test".into(), names: vec!["example.com".into()] }),
            spec("pw", Source::Password),
            spec("given", Source::Given(Secret::new("mine"))),
        ]
    }

    fn kept(secrets: &Secrets) -> BTreeMap<HostName, Observation> {
        let mut observation = Observation::default();
        let encode = |value: &str| base64::engine::general_purpose::STANDARD.encode(value);
        let lines: Vec<String> = secrets.iter().map(|(name, v)| format!("{name}\t{}", encode(v.expose()))).collect();
        observation.add(STORED.name, &lines.join("\n"));
        // The first home has lost everything; the second one's word counts.
        BTreeMap::from([(host("a"), Observation::default()), (host("b"), observation)])
    }

    fn none() -> BTreeSet<String> {
        BTreeSet::new()
    }

    fn value(secrets: &Secrets, name: &str) -> String {
        secrets.get(name).unwrap().expose().to_owned()
    }

    #[test]
    fn what_the_hosts_keep_is_kept_and_only_what_no_longer_serves_is_made_anew() {
        let names = ["www.example.com", "10.0.0.1"];
        let mut mint = At(SystemMint, 0);
        let first = settle(&specs(&names), &BTreeMap::new(), &none(), &mut mint).unwrap();
        assert_eq!(value(&first, "pw").len(), 32);
        assert_eq!(value(&first, "given"), "mine");

        let same = settle(&specs(&names), &kept(&first), &none(), &mut mint).unwrap();
        for (name, secret) in first.iter() {
            assert_eq!(same.get(name), Some(secret), "{name}");
        }
        let renamed = settle(&specs(&["www.example.com"]), &kept(&first), &none(), &mut mint).unwrap();
        assert_ne!(value(&renamed, "leaf.crt"), value(&first, "leaf.crt"));
        assert_eq!(value(&renamed, "ca.crt"), value(&first, "ca.crt"));

        let later = settle(&specs(&names), &kept(&first), &none(), &mut At(SystemMint, 61 * 86_400)).unwrap();
        assert_ne!(value(&later, "leaf.crt"), value(&first, "leaf.crt"), "it has less than 30 days left");
        assert_eq!(value(&later, "ca.crt"), value(&first, "ca.crt"));

        let mut other = first.clone();
        let another = settle(&specs(&names), &BTreeMap::new(), &none(), &mut mint).unwrap();
        other.insert("ca.crt", another.get("ca.crt").unwrap().clone());
        other.insert("ca.key", another.get("ca.key").unwrap().clone());
        let moved = settle(&specs(&names), &kept(&other), &none(), &mut mint).unwrap();
        assert_ne!(value(&moved, "leaf.crt"), value(&first, "leaf.crt"), "another authority signs it");
    }

    #[test]
    fn what_is_renewed_is_made_anew_and_nothing_else() {
        let names = ["www.example.com"];
        let first = settle(&specs(&names), &BTreeMap::new(), &none(), &mut SystemMint).unwrap();
        let renew = BTreeSet::from(["pw".to_owned(), "leaf".to_owned(), "given".to_owned(), "ca".to_owned()]);
        let second = settle(&specs(&names), &kept(&first), &renew, &mut SystemMint).unwrap();
        for (name, same) in [("pw", false), ("leaf.crt", false), ("leaf.key", false), ("given", true), ("ca.crt", true)]
        {
            assert_eq!(second.get(name) == first.get(name), same, "{name}");
        }
        assert!(second.is_made("pw") && second.is_made("leaf.key") && !second.is_made("ca.key"));
    }

    #[test]
    fn an_account_keeps_its_key_and_its_name_follows_from_it() {
        let specs = [SecretSpec { name: "acct".into(), source: Source::Account, homes: vec![host("a"), host("b")] }];
        let first = settle(&specs, &BTreeMap::new(), &none(), &mut SystemMint).unwrap();
        assert!(first.is_made("acct.key") && value(&first, "acct.key").contains("BEGIN PRIVATE KEY"));
        assert_eq!(value(&first, "acct.thumbprint").len(), 43);
        let same = settle(&specs, &kept(&first), &none(), &mut SystemMint).unwrap();
        assert!(first.iter().all(|(name, secret)| same.get(name) == Some(secret)) && !same.is_made("acct.key"));
        let renew = BTreeSet::from(["acct".to_owned()]);
        let other = settle(&specs, &kept(&first), &renew, &mut SystemMint).unwrap();
        assert!(first.iter().all(|(name, secret)| other.get(name) != Some(secret)));
        let mut broken = first.clone();
        broken.insert("acct.key", Secret::new("no key"));
        assert!(settle(&specs, &kept(&broken), &none(), &mut SystemMint).unwrap().is_made("acct.key"));
    }

    #[test]
    fn a_broken_certificate_is_replaced_and_never_a_panic() {
        let mut broken = settle(&specs(&["a.example.com"]), &BTreeMap::new(), &none(), &mut SystemMint).unwrap();
        broken.insert("leaf.crt", Secret::new("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
        assert!(settle(&specs(&["a.example.com"]), &kept(&broken), &none(), &mut SystemMint).is_ok());
    }
}

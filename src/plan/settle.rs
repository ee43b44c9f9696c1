//! Which value each secret has in this run: the user's, else the one that the hosts keep, else a new one. Making one
//! needs chance and a clock, which come from outside ([`Mint`]); deciding whether one is needed is pure.

use crate::{
    base::{
        certificate, jwk,
        name::HostName,
        secret::{Secret, Secrets},
    },
    component::{SecretSpec, Source},
    plan::desired::FINGERPRINT_KEY,
    resource::{Observation, stored::Stored},
};
use std::collections::{BTreeMap, BTreeSet};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Seconds before its end at which a certificate is made anew: 30 days, so that a site that is looked at once a month
/// never meets an expired one.
pub const RENEW_BEFORE: i64 = 30 * 86_400;

/// A certificate with its key, PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub cert: String,
    /// Its key.
    pub key: Secret,
}

/// Makes what needs chance and a clock.
pub trait Mint {
    /// Seconds since the epoch.
    fn now(&self) -> i64;
    /// 32 letters and digits.
    fn password(&mut self) -> Secret;
    /// A new authority that may sign for these DNS names and their subdomains alone (none: for anything).
    fn authority(&mut self, common_name: &str, names: &[String]) -> Result<Pair, String>;
    /// The key of an account at a certificate authority: P-256, PEM.
    fn account(&mut self) -> Result<Secret, String>;
    /// A certificate for these DNS names and addresses.
    fn leaf(&mut self, by: &Pair, names: &[String], days: u32) -> Result<Pair, String>;
}

/// Settles every secret; those of `renew` are made anew whatever the hosts keep. `Err` says which could not be made, and why.
pub fn settle(
    specs: &[SecretSpec],
    seen: &BTreeMap<HostName, Observation>,
    renew: &BTreeSet<String>,
    mint: &mut dyn Mint,
) -> Result<Secrets, String> {
    let mut secrets = Secrets::default();
    // The first home that has a value is the one whose word counts; the others are brought in line by the plan. What has
    // moved to other hosts altogether is still kept where it was: whoever trusts an authority goes on trusting it.
    let places = |spec: &SecretSpec| {
        let others: Vec<&Observation> = seen.iter().filter(|(h, _)| !spec.homes.contains(h)).map(|(_, o)| o).collect();
        let homes: Vec<&Observation> = spec.homes.iter().filter_map(|h| seen.get(h)).collect();
        homes.into_iter().chain(others)
    };
    let kept = |spec: &SecretSpec, name: &str| places(spec).find_map(|here| Stored::value(here, name));
    let kept_pair = |spec: &SecretSpec| {
        places(spec).find_map(|here| {
            let cert = Stored::value(here, &format!("{}.crt", spec.name))?.expose().to_owned();
            Some(Pair { cert, key: Stored::value(here, &format!("{}.key", spec.name))? })
        })
    };
    let mut authorities = BTreeMap::new();
    for spec in specs {
        match &spec.source {
            Source::Given(value) => secrets.insert(&spec.name, value.clone()),
            Source::Kept => match kept(spec, &spec.name) {
                Some(value) => secrets.insert(&spec.name, value),
                None => return Err(format!("{}: it is not where the topology says, and no host keeps it", spec.name)),
            },
            Source::Password => match kept(spec, &spec.name).filter(|_| !renew.contains(&spec.name)) {
                Some(value) => secrets.insert(&spec.name, value),
                None => {
                    secrets.insert_made(&spec.name, mint.password());
                    if spec.name == FINGERPRINT_KEY {
                        secrets.without_key();
                    }
                }
            },
            Source::Authority { common_name, names } => {
                let usable = kept_pair(spec).filter(|p| is_good(&p.cert, None, &[], mint.now()));
                let is_made = usable.is_none();
                let pair = match usable {
                    Some(pair) => pair,
                    None => mint.authority(common_name, names).map_err(|why| format!("{}: {why}", spec.name))?,
                };
                insert(&mut secrets, &spec.name, &pair, is_made);
                authorities.insert(spec.name.clone(), pair);
            }
            Source::Account => {
                let name = format!("{}.key", spec.name);
                // One that cannot be read is of no use to anybody.
                let thumbprint = |key: &Secret| jwk::thumbprint(key.expose());
                let usable = kept(spec, &name).filter(|key| !renew.contains(&spec.name) && thumbprint(key).is_some());
                let is_made = usable.is_none();
                let key = match usable {
                    Some(key) => key,
                    None => mint.account().map_err(|why| format!("{}: {why}", spec.name))?,
                };
                let print = thumbprint(&key).ok_or_else(|| format!("{}: its key is not of P-256", spec.name))?;
                for (name, value) in [(name, key), (format!("{}.thumbprint", spec.name), Secret::new(print))] {
                    if is_made { secrets.insert_made(name, value) } else { secrets.insert(name, value) }
                }
            }
            Source::Leaf { .. } => {}
        }
    }
    for spec in specs {
        let Source::Leaf { by, names, days } = &spec.source else { continue };
        let authority = authorities.get(by).ok_or_else(|| format!("{}: there is no authority {by}", spec.name))?;
        let good = |p: &Pair| is_good(&p.cert, Some(&authority.cert), names, mint.now());
        let usable = kept_pair(spec).filter(|p| !renew.contains(&spec.name) && good(p));
        let is_made = usable.is_none();
        let pair = match usable {
            Some(pair) => pair,
            None => mint.leaf(authority, names, *days).map_err(|why| format!("{}: {why}", spec.name))?,
        };
        insert(&mut secrets, &spec.name, &pair, is_made);
    }
    Ok(secrets)
}

/// Those that these hosts keep or that the user gave, and none that would be made: where other hosts gave no answer, they may
/// keep them.
pub fn kept(specs: &[SecretSpec], seen: &BTreeMap<HostName, Observation>, mint: &mut dyn Mint) -> Secrets {
    let mut secrets = Secrets::default();
    for spec in specs {
        let by = match &spec.source {
            Source::Leaf { by, .. } => specs.iter().find(|s| s.name == *by),
            _ => None,
        };
        let with: Vec<SecretSpec> = by.into_iter().chain([spec]).cloned().collect();
        // What cannot be settled by these hosts may be by the others.
        let Ok(found) = settle(&with, seen, &BTreeSet::new(), mint) else { continue };
        let known = found.iter().filter(|(name, _)| !found.is_made(name));
        known.for_each(|(name, value)| secrets.insert(name, value.clone()));
    }
    secrets
}

fn insert(secrets: &mut Secrets, name: &str, pair: &Pair, is_made: bool) {
    for (part, value) in [("crt", Secret::new(pair.cert.clone())), ("key", pair.key.clone())] {
        let name = format!("{name}.{part}");
        if is_made { secrets.insert_made(name, value) } else { secrets.insert(name, value) }
    }
}

/// Whether a kept certificate still serves: not about to expire, for these very names, signed by this authority.
fn is_good(cert: &str, by: Option<&str>, names: &[String], now: i64) -> bool {
    let with = |pem: &str| x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok().map(|(_, pem)| pem.contents);
    let Some(der) = with(cert) else { return false };
    let Ok((_, parsed)) = X509Certificate::from_der(&der) else { return false };
    if parsed.validity().not_after.timestamp() - RENEW_BEFORE < now || parsed.validity().not_before.timestamp() > now {
        return false;
    }
    let Some(by) = by else { return true };
    let signed = with(by).is_some_and(|der| {
        X509Certificate::from_der(&der).is_ok_and(|(_, ca)| parsed.verify_signature(Some(ca.public_key())).is_ok())
    });
    signed && sorted(certificate::names(&parsed)) == sorted(names.to_vec())
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

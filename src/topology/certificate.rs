//! The user's own certificate, looked at before anything is done with it: does it fit its key, the site's names, the time,
//! and does its chain hold. HAProxy's own check takes an expired one without a word. No file is read here.

use crate::base::secret::Secret;
use x509_parser::{
    certificate::X509Certificate, error::X509Error, extensions::GeneralName, parse_x509_certificate, pem::Pem,
    public_key::PublicKey,
};

/// The texts of the user's two files.
#[derive(Debug)]
pub struct CertificateText<'t> {
    /// The certificate with its chain, PEM.
    pub cert: &'t str,
    /// Its key, PEM.
    pub key: &'t Secret,
}

/// Which of the two files is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The certificate's.
    Cert,
    /// The key's.
    Key,
}

/// Something about the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Whether it must not be used.
    pub fatal: bool,
    /// Whose fault it is.
    pub blame: Blame,
    /// What is wrong.
    pub message: String,
    /// What is to be seen at the file's name.
    pub label: String,
    /// What to do.
    pub help: String,
}

fn flaw(
    fatal: bool,
    blame: Blame,
    message: impl Into<String>,
    label: impl Into<String>,
    help: impl Into<String>,
) -> Flaw {
    Flaw { fatal, blame, message: message.into(), label: label.into(), help: help.into() }
}

const DAY: i64 = 86_400;

/// Everything that is wrong with a certificate that shall serve `names` at the time `now`.
pub fn examine(text: &CertificateText<'_>, names: &[&str], now: i64) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let blocks: Vec<Pem> = Pem::iter_from_buffer(text.cert.as_bytes()).map_while(Result::ok).collect();
    if blocks.iter().any(|b| b.label.ends_with("PRIVATE KEY")) {
        let help = "leave certificates only in this file, and name the key's own file as `key`";
        flaws.push(flaw(true, Blame::Cert, "the certificate's file holds a private key", "a key is in it", help));
    }
    let chain: Option<Vec<X509Certificate<'_>>> = blocks
        .iter()
        .filter(|b| b.label == "CERTIFICATE")
        .map(|b| parse_x509_certificate(&b.contents).ok().map(|(_, c)| c))
        .collect();
    let Some(chain) = chain.filter(|c| !c.is_empty()) else {
        let help = "write PEM: blocks of -----BEGIN CERTIFICATE-----, the site's own first";
        flaws.push(flaw(true, Blame::Cert, "the certificate cannot be read", "no PEM certificate in it", help));
        return flaws;
    };
    flaws.extend(fits_key(&chain, text.key));
    flaws.extend(names_covered(&chain[0], names));
    flaws.extend(chain.iter().enumerate().filter_map(|(at, c)| in_time(c, at, now)));
    flaws.extend(chain_holds(&chain));
    flaws.extend(strong(&chain[0]));
    flaws
}

fn fits_key(chain: &[X509Certificate<'_>], key: &Secret) -> Option<Flaw> {
    let half = match public_half(key.expose()) {
        Ok(half) => half,
        Err((message, help)) => return Some(flaw(true, Blame::Key, message, "not usable as a key", help)),
    };
    let fits = |c: &X509Certificate<'_>| {
        let public: &[u8] = &c.public_key().subject_public_key.data;
        public == half || modulus(public).is_some_and(|n| n == half)
    };
    if fits(&chain[0]) {
        return None;
    }
    if let Some(at) = chain.iter().position(fits) {
        let message = format!("the site's own certificate is number {} in its file", at + 1);
        return Some(flaw(
            true,
            Blame::Cert,
            message,
            "in the wrong order",
            "put the site's own first, its issuers behind it",
        ));
    }
    let help = "name the key that the certificate was made for";
    Some(flaw(true, Blame::Key, "the key is not the certificate's", "another key", help))
}

fn names_covered(leaf: &X509Certificate<'_>, names: &[&str]) -> Option<Flaw> {
    let alternative = leaf.subject_alternative_name().ok().flatten();
    let has: Vec<&str> = alternative
        .iter()
        .flat_map(|s| &s.value.general_names)
        .filter_map(|n| if let GeneralName::DNSName(name) = n { Some(*name) } else { None })
        .collect();
    let covers = |pattern: &str, name: &str| match pattern.strip_prefix("*.") {
        // A star stands for one label (RFC 6125 6.4.3).
        Some(parent) => name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
        None => pattern.eq_ignore_ascii_case(name),
    };
    let bare: Vec<&str> = names.iter().copied().filter(|n| !has.iter().any(|p| covers(p, n))).collect();
    if bare.is_empty() {
        return None;
    }
    let few: Vec<String> = has.iter().take(6).map(|n| super::text::quoted(n)).collect();
    let label = if few.is_empty() { "it names no host".to_owned() } else { format!("good for {}", few.join(", ")) };
    let message = format!("the certificate does not cover {}", super::text::listed(bare));
    Some(flaw(
        true,
        Blame::Cert,
        message,
        label,
        "get one with all names of `site` and `aliases` as subject alternative names",
    ))
}

fn in_time(certificate: &X509Certificate<'_>, at: usize, now: i64) -> Option<Flaw> {
    let who = if at == 0 { "the certificate".to_owned() } else { format!("certificate {} of the chain", at + 1) };
    let validity = certificate.validity();
    let (from, to) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    let renew = "renew it, and put the new one in this file";
    if now > to {
        let message = format!("{who} expired on {}", date(to));
        return Some(flaw(true, Blame::Cert, message, format!("expired {}", ago(now.saturating_sub(to))), renew));
    }
    if now < from {
        let help = "use it from then on; if it should be valid now, look at this machine's clock";
        return Some(flaw(
            true,
            Blame::Cert,
            format!("{who} is not valid before {}", date(from)),
            "not yet valid",
            help,
        ));
    }
    let days = (to - now) / DAY;
    (days < 21).then(|| {
        let label = if days == 1 { "1 day left".to_owned() } else { format!("{days} days left") };
        flaw(false, Blame::Cert, format!("{who} expires on {}", date(to)), label, renew)
    })
}

fn ago(seconds: i64) -> String {
    match seconds / DAY {
        0 => "today".to_owned(),
        1 => "1 day ago".to_owned(),
        days => format!("{days} days ago"),
    }
}

fn date(seconds: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .map_or_else(|_| "an unknown date".to_owned(), |t| t.date().to_string())
}

fn chain_holds(chain: &[X509Certificate<'_>]) -> Option<Flaw> {
    let issued = |c: &X509Certificate<'_>, by: &X509Certificate<'_>| {
        c.issuer() == by.subject()
            && !matches!(c.verify_signature(Some(by.public_key())), Err(X509Error::SignatureVerificationError))
    };
    let leaf = &chain[0];
    if chain.len() == 1 {
        let issuer = super::text::quoted(&leaf.issuer().to_string());
        return Some(if issued(leaf, leaf) {
            let help = "write `certificate: self-signed` to let foobar make one of a private authority, or get one of a public one";
            flaw(
                false,
                Blame::Cert,
                "the certificate signed itself: browsers warn of it",
                "nobody vouches for it",
                help,
            )
        } else {
            let help = "append the issuer's certificate to the file, unless every client knows it as a root";
            flaw(false, Blame::Cert, "the chain ends with the certificate itself", format!("issued by {issuer}"), help)
        });
    }
    let broken = chain.windows(2).position(|pair| !issued(&pair[0], &pair[1]))?;
    let message = format!("the chain is broken: certificate {} is not issued by number {}", broken + 1, broken + 2);
    let help = "put each certificate's issuer right behind it, and nothing else in the file";
    Some(flaw(true, Blame::Cert, message, "the chain does not hold", help))
}

fn strong(leaf: &X509Certificate<'_>) -> Option<Flaw> {
    match leaf.public_key().parsed() {
        // OpenSSL's security level 2, Debian's default, refuses to load it.
        Ok(PublicKey::RSA(rsa)) if rsa.key_size() < 2048 => {
            let message = format!("the certificate's key has {} bits only", rsa.key_size());
            Some(flaw(true, Blame::Cert, message, "too weak", "make a key of 2048 bits or more, or an elliptic one"))
        }
        _ => None,
    }
}

/// The public half of a private key: the point of an elliptic key, the modulus or the whole public key of an RSA one.
fn public_half(pem: &str) -> Result<Vec<u8>, (&'static str, &'static str)> {
    if pem.contains("ENCRYPTED") {
        let help = "take the passphrase off: `openssl pkey -in KEY -out PLAIN`, and keep PLAIN readable by you alone";
        return Err(("the key is encrypted", help));
    }
    let blocks = Pem::iter_from_buffer(pem.as_bytes()).map_while(Result::ok);
    let keys: Vec<Pem> = blocks.filter(|b| b.label.ends_with("PRIVATE KEY")).collect();
    let Some(key) = keys.first() else {
        return Err(("the key cannot be read", "write PEM: a block of -----BEGIN PRIVATE KEY-----"));
    };
    if let Ok(pair) = rcgen::KeyPair::try_from(&key.contents[..]) {
        return Ok(pair.public_key_raw().to_vec());
    }
    let inner = match key.label.as_str() {
        "PRIVATE KEY" => pkcs8(&key.contents).unwrap_or_default(),
        _ => &key.contents[..],
    };
    let help = "write it as PKCS #8: `openssl pkcs8 -topk8 -nocrypt -in KEY -out NEW`";
    rsa_modulus(inner)
        .or_else(|| elliptic_point(inner))
        .map(<[u8]>::to_vec)
        .ok_or(("the key's form is not known", help))
}

/// One DER element: tag, content, what follows.
fn der(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_at_checked(2).and_then(|(h, r)| Some((h.first_chunk::<2>()?, r)))?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (size, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (size.iter().fold(0usize, |sum, b| sum << 8 | usize::from(*b)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn sequence(bytes: &[u8]) -> Option<&[u8]> {
    der(bytes).filter(|(tag, _, _)| *tag == 0x30).map(|(_, content, _)| content)
}

/// PrivateKeyInfo (RFC 5208): version, algorithm, the key in an octet string.
fn pkcs8(bytes: &[u8]) -> Option<&[u8]> {
    let (_, _, rest) = der(sequence(bytes)?)?;
    let (_, _, rest) = der(rest)?;
    der(rest).filter(|(tag, _, _)| *tag == 0x04).map(|(_, key, _)| key)
}

/// RSAPrivateKey (RFC 8017 A.1.2): version, modulus, …
fn rsa_modulus(bytes: &[u8]) -> Option<&[u8]> {
    let (_, version, rest) = der(sequence(bytes)?)?;
    der(rest).filter(|(tag, n, _)| *tag == 0x02 && version == [0] && n.len() > 16).map(|(_, n, _)| n)
}

/// RSAPublicKey (RFC 8017 A.1.1): modulus, exponent.
fn modulus(bytes: &[u8]) -> Option<&[u8]> {
    der(sequence(bytes)?).filter(|(tag, _, _)| *tag == 0x02).map(|(_, n, _)| n)
}

/// ECPrivateKey (RFC 5915): version, key, parameters and, in `[1]`, the public point as a bit string.
fn elliptic_point(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = sequence(bytes)?;
    while let Some((tag, content, behind)) = der(rest) {
        if tag == 0xa1 {
            return der(content).filter(|(tag, _, _)| *tag == 0x03).and_then(|(_, bits, _)| bits.get(1..));
        }
        rest = behind;
    }
    None
}

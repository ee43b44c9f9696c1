//! What tells one certificate from another in the words of those who show it, and what it says of itself. Whether one is
//! good, is not judged here.

use std::net::IpAddr;
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};

/// What daemons tell of the first certificate in a PEM text: its serial number in upper-case hexadecimal digits, and its
/// first and last instant as OpenSSL writes them, joined by `/`. Empty where there is no certificate.
pub fn marks(pem: &str) -> Vec<String> {
    let said = first(pem, |certificate| {
        let validity = certificate.validity();
        vec![serial(certificate), format!("{}/{}", instant(&validity.not_before), instant(&validity.not_after))]
    });
    said.unwrap_or_default()
}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its serial number in upper-case hexadecimal digits, whole octets.
    pub serial: String,
    /// The DNS names and addresses that it is for, sorted.
    pub names: Vec<String>,
    /// Its first instant, in seconds since the epoch.
    pub begins: i64,
    /// Its last.
    pub ends: i64,
    /// Its last instant as OpenSSL writes it.
    pub until: String,
}

/// What the first certificate in a PEM text says of itself; none where there is none.
pub fn told(pem: &str) -> Option<Told> {
    first(pem, |certificate| {
        let (validity, mut names) = (certificate.validity(), names(certificate));
        names.sort();
        let (begins, ends) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        Told { serial: serial(certificate), names, begins, ends, until: instant(&validity.not_after) }
    })
}

/// The DNS names and addresses that a certificate is for, in its own order.
pub fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |general: &GeneralName<'_>| match general {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|b| IpAddr::from(b).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|b| IpAddr::from(b).to_string()),
            _ => None,
        },
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn first<T>(pem: &str, say: impl FnOnce(&X509Certificate<'_>) -> T) -> Option<T> {
    let first = pem.find("-----BEGIN CERTIFICATE-----").map(|at| &pem[at..])?;
    let (_, block) = x509_parser::pem::parse_x509_pem(first.as_bytes()).ok()?;
    let (_, certificate) = X509Certificate::from_der(&block.contents).ok()?;
    Some(say(&certificate))
}

/// Whole octets.
fn serial(certificate: &X509Certificate<'_>) -> String {
    let serial = format!("{:X}", certificate.tbs_certificate.serial);
    if serial.len() % 2 == 1 { format!("0{serial}") } else { serial }
}

/// `Nov  4 20:39:43 2026 GMT`
fn instant(time: &ASN1Time) -> String {
    let t = time.to_datetime();
    let month = &t.month().to_string()[..3];
    format!("{month} {:2} {:02}:{:02}:{:02} {} GMT", t.day(), t.hour(), t.minute(), t.second(), t.year())
}

#[cfg(test)]
mod tests {
    /// As `openssl x509 -noout -serial -dates` tells of it.
    #[test]
    fn a_certificate_is_told_as_openssl_tells_it() {
        let pem = "before\n-----BEGIN CERTIFICATE-----
MIIBXjCCAQSgAwIBAgIDB6KxMAoGCCqGSM49BAMCMAwxCjAIBgNVBAMMAXgwIBcN
MjYxMTI0MjA0ODM3WhgPMjA1MTA3MTcyMDQ4MzdaMAwxCjAIBgNVBAMMAXgwWTAT
BgcqhkjOPQIBBggqhkjOPQMBBwNCAAQaHDgsjlTAllFZQPywhJpXgsE47RsP79HQ
RRkwqfThcn+wQx/cCVG9/+BqS3qk6/dqUpEBqkrKlFIJNTM2f+fvo1MwUTAdBgNV
HQ4EFgQUEc6Fjyz8Wkfcs4uTEEhvmvUoz34wHwYDVR0jBBgwFoAUEc6Fjyz8Wkfc
s4uTEEhvmvUoz34wDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEA
6Iim6RrIxRGuck3ZM5ZXS4V8hkVB26WF+rYBGNSMesACIHhMED5j4QjZoHOt6zOm
IbhH5PDppMydblF6oMAisnvs
-----END CERTIFICATE-----
";
        assert_eq!(super::marks(pem), ["07A2B1", "Nov 24 20:48:37 2026 GMT/Jul 17 20:48:37 2051 GMT"]);
        assert!(super::marks("none").is_empty() && super::marks("-----BEGIN CERTIFICATE-----\nAAAA").is_empty());
    }
}

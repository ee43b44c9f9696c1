//! What tells one certificate from another in the words of those who show it. Whether one is good, is not judged here.

use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

/// What daemons tell of the first certificate in a PEM text: its serial number in upper-case hexadecimal digits, and its
/// first and last instant as OpenSSL writes them, joined by `/`. Empty where there is no certificate.
pub fn marks(pem: &str) -> Vec<String> {
    let first = pem.find("-----BEGIN CERTIFICATE-----").map(|at| &pem[at..]).unwrap_or_default();
    let Ok((_, block)) = x509_parser::pem::parse_x509_pem(first.as_bytes()) else { return Vec::new() };
    let Ok((_, certificate)) = X509Certificate::from_der(&block.contents) else { return Vec::new() };
    let serial = format!("{:X}", certificate.tbs_certificate.serial);
    let validity = certificate.validity();
    vec![serial, format!("{}/{}", instant(&validity.not_before), instant(&validity.not_after))]
}

/// `Nov  4 20:39:43 2026 GMT`
fn instant(time: &ASN1Time) -> String {
    let t = time.to_datetime();
    let month = &t.month().to_string()[..3];
    format!("{month} {:2} {:02}:{:02}:{:02} {} GMT", t.day(), t.hour(), t.minute(), t.second(), t.year())
}

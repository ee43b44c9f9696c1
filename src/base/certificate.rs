//! What tells one certificate from another in the words of those who show it. Whether one is good, is not judged here.

use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

/// What daemons tell of the first certificate in a PEM text: its serial number in upper-case hexadecimal digits, and its
/// first and last instant as OpenSSL writes them, joined by `/`. Empty where there is no certificate.
pub fn marks(pem: &str) -> Vec<String> {
    let first = pem.find("-----BEGIN CERTIFICATE-----").map(|at| &pem[at..]).unwrap_or_default();
    let Ok((_, block)) = x509_parser::pem::parse_x509_pem(first.as_bytes()) else { return Vec::new() };
    let Ok((_, certificate)) = X509Certificate::from_der(&block.contents) else { return Vec::new() };
    let serial = format!("{:X}", certificate.tbs_certificate.serial);
    // Whole octets.
    let serial = if serial.len() % 2 == 1 { format!("0{serial}") } else { serial };
    let validity = certificate.validity();
    vec![serial, format!("{}/{}", instant(&validity.not_before), instant(&validity.not_after))]
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

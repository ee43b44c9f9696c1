//! What an elliptic key is called by those who know its public half alone: the thumbprint of RFC 7638. Nothing of the key
//! itself is in it, and what it is used for is not known here.

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

const BASE64: base64::engine::GeneralPurpose = base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The thumbprint of a P-256 key in PEM; none where it is no such key.
pub fn thumbprint(key: &str) -> Option<String> {
    let pair = rcgen::KeyPair::from_pem(key).ok()?;
    // The point uncompressed (SEC 1, 2.3.3): 04, x, y.
    let (form, point) = pair.public_key_raw().split_first()?;
    let (x, y) = point.split_at_checked(32).filter(|(_, y)| *form == 4 && y.len() == 32)?;
    let (x, y) = (BASE64.encode(x), BASE64.encode(y));
    // The members that are required, in the order of their names, without space (RFC 7638, 3).
    let jwk = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    Some(BASE64.encode(Sha256::digest(jwk)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of `openssl genpkey -algorithm EC`, and what was made of `openssl pkey -pubout` elsewhere.
    #[test]
    fn a_key_is_called_as_others_call_it() {
        let key = include_str!("testdata/account.key");
        assert_eq!(thumbprint(key).unwrap(), include_str!("testdata/account.thumbprint").trim());
        assert_eq!(thumbprint("no key"), None);
    }
}

//! SHA-256 of what is compared and stored, as lower-case hexadecimal. No other hash lives here.

use sha2::{Digest as _, Sha256};

/// The SHA-256 of `bytes`, 64 lower-case hexadecimal digits: what `sha256sum` prints.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes.as_ref()))
}

/// Lower-case hexadecimal of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The SHA-256 of several texts, each bounded by its length so that two lists never meet in one digest.
pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut all = String::new();
    for part in parts {
        all.push_str(&format!("{}:", part.len()));
        all.push_str(part);
    }
    sha256(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_sha256sum() {
        assert_eq!(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(of_parts(["ab", "c"]), of_parts(["a", "bc"]));
    }
}

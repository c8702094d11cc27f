//! What a presented API key is looked up by.

use aws_lc_rs::digest::{SHA512, digest};

use super::digest::sha256;
use crate::domain::digest::{Digest, hex};
use crate::domain::presented_key::PresentedKey;
use crate::domain::secret::Secret;

/// What stands before the hash in `djangorestframework-api-key`'s fast format.
const FAST: &str = "sha512$$";

/// Of a key of ours: the digest of its text. Of one that was taken over: the digest of what its installation stores for it,
/// which is all that an import gets to see.
pub fn digest_of(key: &PresentedKey) -> Digest {
    let text = key.expose().as_bytes();
    if !key.is_imported() {
        return sha256(text);
    }
    let stored = Secret::new(format!("{FAST}{}", hex(digest(&SHA512, text).as_ref())));
    sha256(stored.expose().as_bytes())
}

/// From the stored hash of a key that was taken over: what [`digest_of`] that key is. `None` when it is not in the fast
/// format.
pub fn digest_of_stored(hash: &str) -> Option<Digest> {
    let digits = hash.strip_prefix(FAST)?;
    let lower = digits.len() == 128 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    lower.then(|| sha256(hash.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_what_its_installation_has_stored_for_it() {
        let stored = "sha512$$7735d0071cf9330907c6a2f206d84e573e09d58c2abd08d3522872e3c22d307fceb4d9cdb6377340eb89be4a2d\
                      6b9185ad233249bbd8ebe6aa0939abb06e682d";
        let key = |text: &str| PresentedKey::parse(text).unwrap();
        let right = key("YeoO5V6K.q5I8HVUFQ4L3Ncx5sERNDPa7TkjCwqeX");
        assert_eq!(digest_of_stored(stored), Some(digest_of(&right)));
        assert_ne!(digest_of_stored(stored), Some(digest_of(&key("YeoO5V6K.q5I8HVUFQ4L3Ncx5sERNDPa7TkjCwqeY"))));
        for other in ["sha512$$7735", "pbkdf2_sha256$1$a$b", "", &stored.to_uppercase()] {
            assert_eq!(digest_of_stored(other), None, "{other}");
        }
    }
}

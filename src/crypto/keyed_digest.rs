//! Digests that only the holder of a key can compute (HMAC-SHA-256, RFC 2104): for what is too easily guessed to be kept
//! under a plain one.

use aws_lc_rs::hmac;

use crate::domain::digest::Digest;

#[derive(Clone, Debug)]
pub struct KeyedDigest {
    key: hmac::Key,
    purpose: &'static str,
}

impl KeyedDigest {
    /// Those of one purpose say nothing about those of another. A purpose holds no NUL.
    pub(super) const fn new(key: hmac::Key, purpose: &'static str) -> Self {
        Self { key, purpose }
    }

    pub fn of(&self, bytes: &[u8]) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(self.purpose.as_bytes());
        context.update(b"\0");
        context.update(bytes);
        let mut digest = [0; 32];
        for (slot, byte) in digest.iter_mut().zip(context.sign().as_ref()) {
            *slot = *byte;
        }
        Digest(digest)
    }
}

#[cfg(test)]
mod tests {
    use crate::crypto::digest::sha256;
    use crate::crypto::master_key::MasterKey;
    use crate::domain::secret::Secret;

    #[test]
    fn it_depends_on_the_key_the_purpose_and_the_bytes_and_on_nothing_else() {
        let key = |digit: &str| MasterKey::parse(&Secret::new(format!("{}0", digit.repeat(63)))).unwrap();
        let anna = key("1").keyed_digest("names").of(b"anna");
        assert_eq!(anna, key("1").keyed_digest("names").of(b"anna"));
        for other in [
            key("2").keyed_digest("names").of(b"anna"),
            key("1").keyed_digest("mails").of(b"anna"),
            key("1").keyed_digest("names").of(b"Anna"),
            key("1").keyed_digest("name").of(b"sanna"),
            sha256(b"anna"),
            sha256(b"names\0anna"),
        ] {
            assert_ne!(anna, other);
        }
    }
}

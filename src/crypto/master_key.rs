//! The master key, under which signing keys are kept sealed (AES-256-GCM, NIST SP 800-38D).
//!
//! Sealed bytes: one byte of format version, 8 bytes of key id, 12 bytes of nonce, ciphertext, 16 bytes of tag. The key id
//! says which master key sealed them, so that it can be rotated; what the bytes are for is bound in as associated data,
//! so that a value sealed for one purpose cannot be moved to another.

use aws_lc_rs::aead::{AES_256_GCM, AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::digest::sha256;
use super::keyed_digest::KeyedDigest;
use crate::domain::digest::hex;
use crate::domain::random::{self, Random};
use crate::domain::secret::Secret;

const VERSION: u8 = 1;
const ID_LENGTH: usize = 8;

pub struct MasterKey {
    id: [u8; ID_LENGTH],
    key: LessSafeKey,
    /// Derived (HKDF, RFC 5869), so that no key does two things.
    digests: hmac::Key,
    /// Derived likewise. AES-256-GCM-SIV (RFC 8452): what is shared by the minute is more than random nonces of AES-GCM are
    /// good for.
    shared: LessSafeKey,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({})", hex(&self.id))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMasterKey {
    #[error("a master key is 32 random bytes, written as 64 hex digits or in base64")]
    Form,
    #[error("a master key must be random, and this one is a repetition")]
    Weak,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsealing {
    #[error("it was sealed under another master key")]
    OtherKey,
    #[error("it is damaged or was sealed for another purpose")]
    Damaged,
}

impl MasterKey {
    /// A new random key in the form that [`MasterKey::parse`] reads: 64 hex digits.
    pub fn generate(random: &dyn Random) -> Secret<String> {
        Secret::new(hex(&random::bytes::<32>(random)))
    }

    pub fn parse(text: &Secret<String>) -> Result<Self, BadMasterKey> {
        let text = text.expose().trim();
        let bytes = Secret::new(decode(text).ok_or(BadMasterKey::Form)?);
        let first = bytes.expose().first();
        if bytes.expose().iter().all(|byte| Some(byte) == first) {
            return Err(BadMasterKey::Weak);
        }
        let mut labelled = Secret::new(b"portcullis master key id".to_vec()).expose().clone();
        labelled.extend_from_slice(bytes.expose());
        let digest = sha256(&labelled);
        zeroize::Zeroize::zeroize(&mut labelled);
        let mut id = [0; ID_LENGTH];
        for (slot, byte) in id.iter_mut().zip(digest.0) {
            *slot = byte;
        }
        let key = UnboundKey::new(&AES_256_GCM, bytes.expose()).map_err(|_| BadMasterKey::Form)?;
        let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(bytes.expose());
        let digests = derived.expand(&[b"portcullis keyed digests"], hmac::HMAC_SHA256).map(hmac::Key::from);
        let shared = derived.expand(&[b"portcullis shared memory"], &AES_256_GCM_SIV).map(UnboundKey::from);
        Ok(Self {
            id,
            key: LessSafeKey::new(key),
            digests: digests.map_err(|_| BadMasterKey::Form)?,
            shared: LessSafeKey::new(shared.map_err(|_| BadMasterKey::Form)?),
        })
    }

    /// Digests that nobody can compute who has only the store.
    pub fn keyed_digest(&self, purpose: &'static str) -> KeyedDigest {
        KeyedDigest::new(self.digests.clone(), purpose)
    }

    /// What tells it from other master keys, and nothing of it, in hex.
    pub fn id(&self) -> String {
        hex(&self.id)
    }

    /// Whether these bytes say that they were sealed under this key.
    pub fn has_sealed(&self, sealed: &[u8]) -> bool {
        sealed.get(1..=ID_LENGTH) == Some(self.id.as_slice())
    }

    pub fn seal(&self, purpose: &str, plain: &[u8], random: &dyn Random) -> Result<Vec<u8>, Unsealing> {
        // Random nonces: under one key far fewer values are sealed than the 2^32 that NIST SP 800-38D allows.
        self.seal_under(&self.key, purpose, plain, random)
    }

    /// As [`MasterKey::seal`], for what other nodes read within minutes from a place that anybody may write to.
    pub fn seal_shared(&self, purpose: &str, plain: &[u8], random: &dyn Random) -> Result<Vec<u8>, Unsealing> {
        self.seal_under(&self.shared, purpose, plain, random)
    }

    fn seal_under(
        &self,
        key: &LessSafeKey,
        purpose: &str,
        plain: &[u8],
        random: &dyn Random,
    ) -> Result<Vec<u8>, Unsealing> {
        let nonce: [u8; NONCE_LEN] = random::bytes(random);
        let mut sealed = plain.to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(self.aad(purpose)), &mut sealed)
            .map_err(|_| Unsealing::Damaged)?;
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&nonce);
        out.append(&mut sealed);
        Ok(out)
    }

    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Secret<Vec<u8>>, Unsealing> {
        self.open_under(&self.key, purpose, sealed)
    }

    pub fn open_shared(&self, purpose: &str, sealed: &[u8]) -> Result<Secret<Vec<u8>>, Unsealing> {
        self.open_under(&self.shared, purpose, sealed)
    }

    fn open_under(&self, key: &LessSafeKey, purpose: &str, sealed: &[u8]) -> Result<Secret<Vec<u8>>, Unsealing> {
        let (version, rest) = sealed.split_first().ok_or(Unsealing::Damaged)?;
        let (id, rest) = rest.split_at_checked(ID_LENGTH).ok_or(Unsealing::Damaged)?;
        let (nonce, rest) = rest.split_at_checked(NONCE_LEN).ok_or(Unsealing::Damaged)?;
        if *version != VERSION {
            return Err(Unsealing::Damaged);
        }
        if id != self.id {
            return Err(Unsealing::OtherKey);
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unsealing::Damaged)?;
        let mut buffer = rest.to_vec();
        let plain =
            key.open_in_place(nonce, Aad::from(self.aad(purpose)), &mut buffer).map_err(|_| Unsealing::Damaged)?.len();
        buffer.truncate(plain);
        Ok(Secret::new(buffer))
    }

    fn aad(&self, purpose: &str) -> Vec<u8> {
        let mut aad = vec![VERSION];
        aad.extend_from_slice(&self.id);
        aad.extend_from_slice(purpose.as_bytes());
        aad
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() == 64 {
        return crate::domain::digest::Digest::from_hex(text).map(|value| value.0.to_vec());
    }
    [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD]
        .iter()
        .find_map(|engine| engine.decode(text).ok())
        .filter(|bytes| bytes.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::OsRandom;

    fn key() -> MasterKey {
        MasterKey::parse(&MasterKey::generate(&OsRandom::new())).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_under_its_key_and_purpose_only() {
        let (ours, other) = (key(), key());
        let sealed = ours.seal("signing key abc", b"private", &OsRandom::new()).unwrap();
        assert_eq!(ours.open("signing key abc", &sealed).unwrap().expose(), b"private");
        assert_eq!(ours.open("signing key abd", &sealed).unwrap_err(), Unsealing::Damaged);
        assert_eq!(other.open("signing key abc", &sealed).unwrap_err(), Unsealing::OtherKey);
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert!(ours.open("signing key abc", &changed).is_err(), "byte {position}");
            assert!(ours.open("signing key abc", &sealed[..position]).is_err(), "cut at {position}");
        }
        assert!(!sealed.windows(7).any(|w| w == b"private"));
    }

    #[test]
    fn what_is_shared_opens_as_nothing_else() {
        let ours = key();
        let random = OsRandom::new();
        let shared = ours.seal_shared("a", b"private", &random).unwrap();
        assert_eq!(ours.open_shared("a", &shared).unwrap().expose(), b"private");
        assert_eq!(ours.open_shared("b", &shared).unwrap_err(), Unsealing::Damaged);
        assert_eq!(ours.open("a", &shared).unwrap_err(), Unsealing::Damaged);
        assert_eq!(
            ours.open_shared("a", &ours.seal("a", b"private", &random).unwrap()).unwrap_err(),
            Unsealing::Damaged
        );
        assert_eq!(key().open_shared("a", &shared).unwrap_err(), Unsealing::OtherKey);
        for position in 0..shared.len() {
            let mut changed = shared.clone();
            changed[position] ^= 1;
            assert!(ours.open_shared("a", &changed).is_err(), "byte {position}");
            assert!(ours.open_shared("a", &shared[..position]).is_err(), "cut at {position}");
        }
    }

    #[test]
    fn keys_are_read_in_hex_and_base64_and_weak_ones_refused() {
        let parse = |text: &str| MasterKey::parse(&Secret::new(text.to_owned())).map(|_| ());
        assert_eq!(parse("MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3BxcnN0dXY="), Ok(()));
        assert_eq!(parse(&format!("{}\n", "0123456789abcdef".repeat(4))), Ok(()));
        assert_eq!(parse(&"00".repeat(32)), Err(BadMasterKey::Weak));
        assert_eq!(parse("short"), Err(BadMasterKey::Form));
        assert_eq!(parse(""), Err(BadMasterKey::Form));
        assert_eq!(parse(&"zz".repeat(32)), Err(BadMasterKey::Form));
    }
}

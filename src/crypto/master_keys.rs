//! The master keys of an installation: the one that seals, and those before it, which only open.
//!
//! Two at a time are enough to replace one without a moment in which something cannot be opened: gateways learn the new key
//! while they still know the old one, everything is sealed anew, and then the old one is forgotten.

use super::keyed_digest::KeyedDigest;
use super::master_key::{MasterKey, Unsealing};
use crate::domain::random::Random;
use crate::domain::secret::Secret;

#[derive(Debug)]
pub struct MasterKeys {
    current: MasterKey,
    previous: Vec<MasterKey>,
}

impl MasterKeys {
    pub fn new(current: MasterKey, previous: impl IntoIterator<Item = MasterKey>) -> Self {
        Self { current, previous: previous.into_iter().collect() }
    }

    /// The id of the key that seals, in hex.
    pub fn current_id(&self) -> String {
        self.current.id()
    }

    /// Under the present key: another one, and what was digested before is not found again.
    pub fn keyed_digest(&self, purpose: &'static str) -> KeyedDigest {
        self.current.keyed_digest(purpose)
    }

    /// As [`MasterKeys::keyed_digest`], and then under those before it: for what cannot be digested anew.
    pub fn keyed_digests(&self, purpose: &'static str) -> Vec<KeyedDigest> {
        std::iter::once(&self.current).chain(&self.previous).map(|key| key.keyed_digest(purpose)).collect()
    }

    pub fn seal(&self, purpose: &str, plain: &[u8], random: &dyn Random) -> Result<Vec<u8>, Unsealing> {
        self.current.seal(purpose, plain, random)
    }

    /// See [`MasterKey::seal_shared`].
    pub fn seal_shared(&self, purpose: &str, plain: &[u8], random: &dyn Random) -> Result<Vec<u8>, Unsealing> {
        self.current.seal_shared(purpose, plain, random)
    }

    /// Opens under whichever of the keys sealed it.
    ///
    /// # Errors
    /// [`Unsealing::OtherKey`] when none of them did.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Secret<Vec<u8>>, Unsealing> {
        self.key_of(sealed).open(purpose, sealed)
    }

    /// As [`MasterKeys::open`], for what [`MasterKeys::seal_shared`] sealed.
    pub fn open_shared(&self, purpose: &str, sealed: &[u8]) -> Result<Secret<Vec<u8>>, Unsealing> {
        self.key_of(sealed).open_shared(purpose, sealed)
    }

    /// Whatever no key owns up to is judged by the present one, which tells what is damaged from what is foreign.
    fn key_of(&self, sealed: &[u8]) -> &MasterKey {
        let mut keys = std::iter::once(&self.current).chain(&self.previous);
        keys.find(|key| key.has_sealed(sealed)).unwrap_or(&self.current)
    }

    /// The same plain text sealed under the present key; `None` when that has sealed it already. It is opened either way,
    /// so that what is damaged is noticed.
    pub fn reseal(&self, purpose: &str, sealed: &[u8], random: &dyn Random) -> Result<Option<Vec<u8>>, Unsealing> {
        let plain = self.open(purpose, sealed)?;
        if self.current.has_sealed(sealed) {
            return Ok(None);
        }
        self.seal(purpose, plain.expose(), random).map(Some)
    }
}

impl From<MasterKey> for MasterKeys {
    fn from(current: MasterKey) -> Self {
        Self::new(current, [])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::OsRandom;

    fn text() -> Secret<String> {
        MasterKey::generate(&OsRandom::new())
    }

    fn keys(texts: &[&Secret<String>]) -> MasterKeys {
        let mut keys = texts.iter().map(|text| MasterKey::parse(text).unwrap());
        MasterKeys::new(keys.next().unwrap(), keys)
    }

    #[test]
    fn what_any_of_the_keys_sealed_is_opened_and_the_present_one_seals() {
        let (new, old, older, foreign) = (text(), text(), text(), text());
        let random = OsRandom::new();
        let ring = keys(&[&new, &old, &older]);
        for before in [&new, &old, &older] {
            let sealed = keys(&[before]).seal("totp 1", b"seed", &random).unwrap();
            assert_eq!(ring.open("totp 1", &sealed).unwrap().expose(), b"seed");
            assert_eq!(ring.open("totp 2", &sealed).unwrap_err(), Unsealing::Damaged);
        }
        let sealed = keys(&[&foreign]).seal("totp 1", b"seed", &random).unwrap();
        assert_eq!(ring.open("totp 1", &sealed).unwrap_err(), Unsealing::OtherKey);
        let sealed = ring.seal("totp 1", b"seed", &random).unwrap();
        assert_eq!(keys(&[&new]).open("totp 1", &sealed).unwrap().expose(), b"seed");
        assert_eq!(keys(&[&old]).open("totp 1", &sealed).unwrap_err(), Unsealing::OtherKey);
        for nothing in [&[][..], &[1], &[9; 100]] {
            assert_eq!(ring.open("totp 1", nothing).unwrap_err(), Unsealing::Damaged, "{nothing:?}");
        }
    }

    #[test]
    fn sealing_anew_moves_to_the_present_key_once_and_notices_damage() {
        let (new, old) = (text(), text());
        let random = OsRandom::new();
        let ring = keys(&[&new, &old]);
        let sealed = keys(&[&old]).seal("totp 1", b"seed", &random).unwrap();
        let moved = ring.reseal("totp 1", &sealed, &random).unwrap().unwrap();
        assert_eq!(keys(&[&new]).open("totp 1", &moved).unwrap().expose(), b"seed");
        assert_eq!(ring.reseal("totp 1", &moved, &random).unwrap(), None);
        for sealed in [sealed, moved] {
            let cut = &sealed[..sealed.len() - 1];
            assert_eq!(ring.reseal("totp 1", cut, &random).unwrap_err(), Unsealing::Damaged);
            assert_eq!(ring.reseal("totp 2", &sealed, &random).unwrap_err(), Unsealing::Damaged);
        }
    }
}

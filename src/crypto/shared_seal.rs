//! For what nodes leave for each other where others may read and write: names that tell nothing, and contents that nobody
//! else can make, or move to another name.

use std::sync::Arc;

use super::master_keys::MasterKeys;
use crate::domain::random::Random;
use crate::domain::secret::Secret;

#[derive(Clone)]
pub struct SharedSeal {
    keys: Arc<MasterKeys>,
    random: Arc<dyn Random>,
}

impl SharedSeal {
    pub const fn new(keys: Arc<MasterKeys>, random: Arc<dyn Random>) -> Self {
        Self { keys, random }
    }

    /// The same on every node that has the same present master key.
    pub fn name(&self, of: &str) -> String {
        self.keys.keyed_digest("shared memory").of(of.as_bytes()).hex()
    }

    /// `None` when it cannot be sealed; then nothing is left.
    pub fn seal(&self, place: &str, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys.seal_shared(place, plain, self.random.as_ref()).ok()
    }

    /// `None` unless it was sealed for this place under one of the master keys.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Option<Secret<Vec<u8>>> {
        self.keys.open_shared(place, sealed).ok()
    }
}

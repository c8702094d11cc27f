//! The keys that tokens are signed and verified with.

use std::sync::Arc;

use serde_json::{Value, json};

use super::key_pair::KeyPair;
use crate::domain::signing_key::SigningAlgorithm;

/// One active key that signs, and all that still verify. A `kid` only selects among these, by exact match.
#[derive(Clone, Debug)]
pub struct KeySet {
    active: Arc<KeyPair>,
    verifying: Vec<Arc<KeyPair>>,
}

impl KeySet {
    pub fn new(active: Arc<KeyPair>, others: impl IntoIterator<Item = Arc<KeyPair>>) -> Self {
        let mut verifying = vec![Arc::clone(&active)];
        verifying.extend(others.into_iter().filter(|key| key.kid() != active.kid()));
        Self { active, verifying }
    }

    pub fn active(&self) -> &KeyPair {
        &self.active
    }

    /// The key for a token's header. Without `kid` there must be only one key that it could be.
    pub fn select(&self, kid: Option<&str>, algorithm: &str) -> Option<&KeyPair> {
        let mut candidates = self
            .verifying
            .iter()
            .filter(|key| key.algorithm().as_str() == algorithm && kid.is_none_or(|kid| kid == key.kid()));
        let key = candidates.next()?;
        candidates.next().is_none().then_some(key)
    }

    /// For installations whose tokens carry foreign `kid`s: the algorithm alone selects.
    pub fn select_by_algorithm(&self, algorithm: &str) -> impl Iterator<Item = &KeyPair> {
        self.verifying.iter().map(Arc::as_ref).filter(move |key| key.algorithm().as_str() == algorithm)
    }

    pub fn algorithm(&self) -> SigningAlgorithm {
        self.active.algorithm()
    }

    /// All public keys.
    pub fn public_keys(&self) -> impl Iterator<Item = Value> {
        self.verifying.iter().filter_map(|key| serde_json::to_value(key.public_jwk()?).ok())
    }
}

/// A JWK Set (RFC 7517 5).
pub fn jwk_set(keys: impl IntoIterator<Item = Value>) -> Value {
    json!({ "keys": keys.into_iter().collect::<Vec<_>>() })
}

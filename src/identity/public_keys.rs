//! What others may know of our keys.

use serde_json::Value;

use crate::crypto::key_set::jwk_set;
use crate::crypto::tokens::Keys;

/// The keys that verify what this gateway signs: its tokens and its assertions.
#[derive(Clone, Debug)]
pub struct PublicKeys {
    pub tokens: Keys,
    pub assertions: Keys,
}

impl PublicKeys {
    /// A JWK Set (RFC 7517 5), without any private member. A shared secret is not in it.
    pub fn jwk_set(&self) -> Value {
        let (tokens, assertions) = (self.tokens.current(), self.assertions.current());
        jwk_set(assertions.public_keys().chain(tokens.public_keys()).collect::<Vec<_>>())
    }
}

//! Our tokens, written and read: signatures from [`super::jws`], claims judged by [`crate::domain::token`].

use std::sync::{Arc, PoisonError, RwLock};

use super::jws::{self, KeyIds};
use super::key_pair::SigningFailed;
use super::key_set::KeySet;
use crate::domain::clock::Timestamp;
use crate::domain::token::{Claims, TokenClaims, TokenFault, TokenRules, TokenType};

/// The header's `typ`, as the Django stack writes it. What tells tokens apart is the claim `token_type`.
const TYPE: &str = "JWT";

/// The keys in force. Replaced as a whole when keys rotate.
#[derive(Clone, Debug)]
pub struct Keys(Arc<RwLock<Arc<KeySet>>>);

impl Keys {
    pub fn new(set: KeySet) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(set))))
    }

    pub fn current(&self) -> Arc<KeySet> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn replace(&self, set: KeySet) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
    }
}

/// Reads and writes the tokens of one installation.
#[derive(Clone, Debug)]
pub struct Tokens {
    keys: Keys,
    rules: Arc<TokenRules>,
    key_ids: KeyIds,
}

impl Tokens {
    pub fn new(keys: Keys, rules: TokenRules) -> Self {
        // The Django stack neither writes nor heeds key ids.
        let key_ids = if rules.strict { KeyIds::Matched } else { KeyIds::Ignored };
        Self { keys, rules: Arc::new(rules), key_ids }
    }

    pub fn rules(&self) -> &TokenRules {
        &self.rules
    }

    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Checks signature and claims. Whether the session still lives is not known here.
    pub fn read(&self, token: &str, expected: Option<TokenType>, now: Timestamp) -> Result<TokenClaims, TokenFault> {
        let set = self.keys.current();
        // Under strict rules the type must be ours; the Django stack gives `typ` no influence.
        let expected_type = self.rules.strict.then_some(TYPE);
        let claims = jws::verify(token, &set, self.key_ids, expected_type).map_err(|_| TokenFault::Invalid)?;
        self.rules.judge(claims, expected, now)
    }

    pub fn write(&self, claims: &Claims) -> Result<String, SigningFailed> {
        jws::sign(claims, self.keys.current().active(), TYPE, self.key_ids)
    }
}

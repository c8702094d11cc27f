//! Signing keys, opened from the store or made on first use.

use std::sync::Arc;

use super::auditor::Auditor;
use crate::crypto::key_pair::{self, BadKey, KeyPair};
use crate::crypto::key_set::KeySet;
use crate::crypto::master_key::Unsealing;
use crate::crypto::master_keys::MasterKeys;
use crate::domain::audit::{AuditAction, Initiator};
use crate::domain::change::Change;
use crate::domain::clock::Clock;
use crate::domain::random::Random;
use crate::domain::signing_key::{KeyState, KeyUse, SigningAlgorithm, SigningKey};
use crate::storage::StoreError;
use crate::storage::signing_keys::SigningKeys;

#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error(
        "the signing key {kid} was sealed under another master key than that of secrets.master_key; give back the one it was made with"
    )]
    OtherMasterKey { kid: String },
    #[error("the signing key {kid} in the store is damaged")]
    Damaged { kid: String },
    #[error("a signing key could not be made or sealed: {0}")]
    Making(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub struct SigningKeyring<'a> {
    pub store: &'a dyn SigningKeys,
    pub master_keys: &'a MasterKeys,
    pub clock: &'a dyn Clock,
    pub random: &'a dyn Random,
}

impl SigningKeyring<'_> {
    /// All keys for one use, of which the active one signs. Makes the first one; nodes that start at once agree on one.
    pub async fn open_or_create(&self, key_use: KeyUse, algorithm: SigningAlgorithm) -> Result<KeySet, KeysError> {
        if self.store.find_active(key_use, algorithm).await?.is_none() {
            self.store.insert_first(&self.make(key_use, algorithm, KeyState::Active)?).await?;
        }
        let mut active = None;
        let mut others = Vec::new();
        for stored in self.store.list().await? {
            if stored.key_use != key_use {
                continue;
            }
            let pair = Arc::new(self.unseal(&stored)?);
            if stored.state == KeyState::Active && stored.algorithm == algorithm && active.is_none() {
                active = Some(pair);
            } else {
                // Also of other algorithms: tokens signed before the setting changed live on until they expire.
                others.push(pair);
            }
        }
        let active = active.ok_or_else(|| KeysError::Making("no active key came of it".to_owned()))?;
        Ok(KeySet::new(active, others))
    }

    /// A new key is published and verifies, and does not sign yet. Where one waits already, it is left as it is.
    pub async fn announce(
        &self,
        key_use: KeyUse,
        algorithm: SigningAlgorithm,
        by: &Initiator,
        auditor: &Auditor,
    ) -> Result<bool, KeysError> {
        // As in `rotate`.
        self.open_or_create(key_use, algorithm).await?;
        let key = self.make(key_use, algorithm, KeyState::Next)?;
        let saying = format!("announced {} {} {}", key.key_use.as_str(), key.algorithm, key.kid);
        let change = Change::from(auditor.done(by, AuditAction::SigningKeysRotate).saying(saying));
        let announced = self.store.announce(&key, &change).await?;
        if announced {
            auditor.witness(&change);
        }
        Ok(announced)
    }

    /// The next key `kid` signs from here on. `false` when another node was first.
    pub async fn promote(
        &self,
        kid: &str,
        key_use: KeyUse,
        by: &Initiator,
        auditor: &Auditor,
    ) -> Result<bool, KeysError> {
        let saying = format!("{} {kid}", key_use.as_str());
        let change = Change::from(auditor.done(by, AuditAction::SigningKeysRotate).saying(saying));
        let promoted = self.store.promote(kid, key_use, self.clock.now(), &change).await?;
        if promoted {
            auditor.witness(&change);
        }
        Ok(promoted)
    }

    /// A new key signs from here on, whoever has heard of it; the one before still verifies, until it is deleted.
    pub async fn rotate(
        &self,
        key_use: KeyUse,
        algorithm: SigningAlgorithm,
        by: &Initiator,
        auditor: &Auditor,
    ) -> Result<SigningKey, KeysError> {
        // Only who can open the present keys may add one: a wrong master key would shut everybody out at the next start.
        self.open_or_create(key_use, algorithm).await?;
        let key = self.make(key_use, algorithm, KeyState::Active)?;
        let event = auditor.done(by, AuditAction::SigningKeysRotate).saying(format!(
            "{} {} {}",
            key.key_use.as_str(),
            key.algorithm,
            key.kid
        ));
        let change = Change::from(event);
        self.store.rotate(&key, &change).await?;
        auditor.witness(&change);
        Ok(key)
    }

    fn make(&self, key_use: KeyUse, algorithm: SigningAlgorithm, state: KeyState) -> Result<SigningKey, KeysError> {
        let making = |error: BadKey| KeysError::Making(error.to_string());
        let private = key_pair::generate(algorithm).map_err(making)?;
        let pair = KeyPair::from_pkcs8(algorithm, &private).map_err(making)?;
        let sealed_private = self
            .master_keys
            .seal(&purpose(pair.kid()), private.expose(), self.random)
            .map_err(|e| KeysError::Making(e.to_string()))?;
        Ok(SigningKey {
            kid: pair.kid().to_owned(),
            algorithm,
            key_use,
            state,
            sealed_private,
            created_at: self.clock.now(),
            retired_at: None,
        })
    }

    fn unseal(&self, stored: &SigningKey) -> Result<KeyPair, KeysError> {
        let kid = stored.kid.clone();
        let opened = self.master_keys.open(&purpose(&kid), &stored.sealed_private);
        let private = match opened {
            Ok(private) => private,
            Err(Unsealing::OtherKey) => return Err(KeysError::OtherMasterKey { kid }),
            Err(Unsealing::Damaged) => return Err(KeysError::Damaged { kid }),
        };
        match KeyPair::from_pkcs8(stored.algorithm, &private) {
            Ok(pair) if pair.kid() == kid => Ok(pair),
            _ => Err(KeysError::Damaged { kid }),
        }
    }
}

/// What a private key is sealed for, so that it opens as no other.
pub(super) fn purpose(kid: &str) -> String {
    format!("signing key {kid}")
}

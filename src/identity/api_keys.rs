//! Making and revoking API keys.

use std::sync::Arc;
use std::time::Duration;

use super::auditor::Auditor;
use crate::crypto::digest::sha256;
use crate::domain::api_key::{ApiKey, ApiKeyId, KeyOwner, PresentedKey};
use crate::domain::audit::{AuditAction, Initiator};
use crate::domain::change::Change;
use crate::domain::clock::Clock;
use crate::domain::random::{self, Random};
use crate::domain::scope::ScopeSet;
use crate::storage::StoreError;
use crate::storage::api_keys::{ApiKeys, KeyQuery};
use crate::storage::users::Insert;

pub struct KeyAdministration {
    keys: Arc<dyn ApiKeys>,
    auditor: Auditor,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub name: String,
    pub owner: KeyOwner,
    pub scopes: ScopeSet,
    pub expires_in: Option<Duration>,
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("a key's name has 1 to 100 characters and no control characters")]
    Name,
    #[error("there is no key with the id or prefix `{0}`")]
    Unknown(String),
    #[error("the key `{0}` is revoked already")]
    AlreadyRevoked(String),
    #[error("no unused key could be made")]
    Exhausted,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl KeyAdministration {
    pub fn new(keys: Arc<dyn ApiKeys>, auditor: Auditor, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { keys, auditor, clock, random }
    }

    /// Makes a key. The second value is the key itself, which exists nowhere else from here on.
    pub async fn create(&self, new: NewKey, by: &Initiator) -> Result<(ApiKey, PresentedKey), KeyError> {
        let name = new.name.trim().to_owned();
        if !(1..=100).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err(KeyError::Name);
        }
        let now = self.clock.now();
        // Two of the 2^47 prefixes meet now and then among millions of keys; another try then finds a free one.
        for _ in 0..4 {
            let secret = PresentedKey::generate(self.random.as_ref());
            let key = ApiKey {
                id: ApiKeyId(random::uuid(self.random.as_ref())),
                prefix: secret.prefix().to_owned(),
                digest: sha256(secret.expose().as_bytes()),
                name: name.clone(),
                owner: new.owner.clone(),
                scopes: new.scopes.clone(),
                created_at: now,
                expires_at: new.expires_in.map(|lifetime| now.plus(lifetime)),
                revoked: None,
                replaced_by: None,
            };
            let change = Change::from(self.auditor.done(by, AuditAction::KeyCreate).on_key(&key.id));
            if self.keys.insert(&key, &change).await? == Insert::Done {
                self.auditor.witness(&change);
                return Ok((key, secret));
            }
        }
        Err(KeyError::Exhausted)
    }

    /// All keys, newest first.
    pub async fn list(&self) -> Result<Vec<ApiKey>, KeyError> {
        const PAGE: u32 = 500;
        let mut all: Vec<ApiKey> = Vec::new();
        loop {
            let query = KeyQuery {
                before: all.last().map(|key| (key.created_at, key.id.clone())),
                revoked: true,
                limit: PAGE,
                ..KeyQuery::default()
            };
            let page = self.keys.list(&query).await?;
            let last = page.len() < PAGE as usize;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }

    /// Revokes by id or by visible prefix (with or without the brand in front).
    pub async fn revoke(&self, id_or_prefix: &str, reason: &str, by: &Initiator) -> Result<ApiKey, KeyError> {
        let by_id = self.keys.find(&ApiKeyId(id_or_prefix.to_owned())).await?;
        let key = match by_id {
            Some(key) => key,
            None => {
                let prefix = id_or_prefix.strip_prefix("pk_").unwrap_or(id_or_prefix);
                let by_prefix = self.keys.find_by_prefix(prefix).await?;
                by_prefix.ok_or_else(|| KeyError::Unknown(id_or_prefix.to_owned()))?
            }
        };
        let now = self.clock.now();
        let change = Change::from(self.auditor.done(by, AuditAction::KeyRevoke).on_key(&key.id));
        if !self.keys.revoke(&key.id, reason, now, &change).await? {
            return Err(KeyError::AlreadyRevoked(id_or_prefix.to_owned()));
        }
        self.auditor.witness(&change);
        Ok(ApiKey { revoked: Some((now, reason.to_owned())), ..key })
    }
}

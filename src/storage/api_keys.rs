//! API keys, by the digest of the whole key.

use std::sync::Arc;

use async_trait::async_trait;

use super::Result;
use super::users::Insert;
use crate::domain::api_key::{ApiKey, ApiKeyId, KeyOwner};
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::scope::ScopeSet;

/// Which keys to list: the newest first, all that is set must fit.
#[derive(Clone, Debug, Default)]
pub struct KeyQuery {
    /// Only keys older than this one: the last of the page before.
    pub before: Option<(Timestamp, ApiKeyId)>,
    pub owner: Option<KeyOwner>,
    /// A part of the name or the beginning of the visible prefix, whatever its case in ASCII.
    pub search: Option<String>,
    /// `false` leaves out what is revoked.
    pub revoked: bool,
    pub limit: u32,
}

/// What is to be different about a key; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyChanges {
    pub name: Option<String>,
    pub scopes: Option<ScopeSet>,
    /// `Some(None)`: until it is revoked.
    pub expires_at: Option<Option<Timestamp>>,
}

impl KeyChanges {
    /// The key that they lead to.
    pub fn applied_to(&self, key: &ApiKey) -> ApiKey {
        let Self { name, scopes, expires_at } = self.clone();
        ApiKey {
            name: name.unwrap_or_else(|| key.name.clone()),
            scopes: scopes.unwrap_or_else(|| key.scopes.clone()),
            expires_at: expires_at.unwrap_or(key.expires_at),
            ..key.clone()
        }
    }
}

#[async_trait]
pub trait ApiKeys: Send + Sync {
    async fn insert(&self, key: &ApiKey, change: &Change) -> Result<Insert>;

    /// Expired and revoked keys are found too: what to make of them is the gatekeeper's decision.
    async fn find_by_digest(&self, digest: &Digest) -> Result<Option<Arc<ApiKey>>>;

    async fn find(&self, id: &ApiKeyId) -> Result<Option<ApiKey>>;

    /// By the visible prefix, for operators who see it in a log.
    async fn find_by_prefix(&self, prefix: &str) -> Result<Option<ApiKey>>;

    async fn list(&self, query: &KeyQuery) -> Result<Vec<ApiKey>>;

    /// `false` when there is no such key, or it is revoked.
    async fn update(&self, id: &ApiKeyId, changes: &KeyChanges, now: Timestamp, change: &Change) -> Result<bool>;

    /// Stores a successor, and lets the old key end at `old_until` unless it ends before, in one transaction. `None` when
    /// the old key is unknown, revoked or expired, or has a successor already.
    async fn rotate(
        &self,
        old: &ApiKeyId,
        old_until: Timestamp,
        successor: &ApiKey,
        change: &Change,
    ) -> Result<Option<Insert>>;

    /// `false` when the key is unknown or was revoked already (the first reason is kept).
    async fn revoke(&self, id: &ApiKeyId, reason: &str, now: Timestamp, change: &Change) -> Result<bool>;
}

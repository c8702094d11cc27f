//! API keys, by the digest of the whole key.

use std::sync::Arc;

use async_trait::async_trait;

use super::Result;
use super::users::Insert;
use crate::domain::api_key::{ApiKey, ApiKeyId, KeyChanges, KeyQuery};
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::key_tally::KeyUse;

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
    /// the old key is unknown, revoked or expired, has a successor already, or no longer the successor's scopes and
    /// reach: whoever judged it by those judged another key.
    async fn rotate(
        &self,
        old: &ApiKeyId,
        old_until: Timestamp,
        successor: &ApiKey,
        change: &Change,
    ) -> Result<Option<Insert>>;

    /// `false` when the key is unknown or was revoked already (the first reason is kept).
    async fn revoke(&self, id: &ApiKeyId, reason: &str, now: Timestamp, change: &Change) -> Result<bool>;

    /// Adds what this process has counted, to whatever others have: in one transaction, and without anybody being told to
    /// forget anything. Of a key that is gone, nothing is kept.
    async fn add_uses(&self, uses: &[KeyUse]) -> Result<()>;
}

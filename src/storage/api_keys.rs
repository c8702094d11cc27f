//! API keys, by the digest of the whole key.

use std::sync::Arc;

use async_trait::async_trait;

use super::Result;
use super::users::Insert;
use crate::domain::api_key::{ApiKey, ApiKeyId};
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;

#[async_trait]
pub trait ApiKeys: Send + Sync {
    async fn insert(&self, key: &ApiKey) -> Result<Insert>;

    /// Expired and revoked keys are found too: what to make of them is the gatekeeper's decision.
    async fn find_by_digest(&self, digest: &Digest) -> Result<Option<Arc<ApiKey>>>;

    async fn find(&self, id: &ApiKeyId) -> Result<Option<ApiKey>>;

    /// By the visible prefix, for operators who see it in a log.
    async fn find_by_prefix(&self, prefix: &str) -> Result<Option<ApiKey>>;

    /// All keys by creation time, newest first, at most `limit` after skipping `offset`.
    async fn list(&self, offset: u32, limit: u32) -> Result<Vec<ApiKey>>;

    /// `false` when the key is unknown or was revoked already (the first reason is kept).
    async fn revoke(&self, id: &ApiKeyId, reason: &str, now: Timestamp) -> Result<bool>;
}

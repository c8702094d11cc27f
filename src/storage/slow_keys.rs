//! API keys that were taken over with a slow hash, until their first use.

use async_trait::async_trait;

use super::Result;
use crate::domain::api_key::ApiKeyId;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::user::PasswordHash;

/// What is known of such a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowKey {
    pub id: ApiKeyId,
    /// In one of the formats that passwords are stored in.
    pub hash: PasswordHash,
}

#[async_trait]
pub trait SlowKeys: Send + Sync {
    /// The one with this visible prefix, unless it is revoked or expired: what would be refused in any case is not hashed.
    async fn find(&self, prefix: &str, now: Timestamp) -> Result<Option<SlowKey>>;

    /// Any of those that [`SlowKeys::find`] finds.
    async fn any(&self, now: Timestamp) -> Result<Option<SlowKey>>;

    /// Keeps the fast digest of the key in the place of its slow hash, unless somebody else has done so already. Either way it
    /// is found by the digest from here on, if it is still there.
    async fn upgrade(&self, key: &SlowKey, digest: &Digest, now: Timestamp) -> Result<()>;
}

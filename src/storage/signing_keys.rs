//! Signing keys, sealed.

use async_trait::async_trait;

use super::Result;
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::signing_key::{KeyUse, SigningAlgorithm, SigningKey};

#[async_trait]
pub trait SigningKeys: Send + Sync {
    async fn list(&self) -> Result<Vec<SigningKey>>;

    /// Inserts an active key unless there is one already for this use and algorithm: two nodes that start at once agree
    /// on one. Returns the active key that is stored after the call.
    async fn insert_first(&self, key: &SigningKey) -> Result<SigningKey>;

    async fn find_active(&self, key_use: KeyUse, algorithm: SigningAlgorithm) -> Result<Option<SigningKey>>;

    /// Makes `key` the active one of its use and retires all that were, of whatever algorithm, in one transaction.
    async fn rotate(&self, key: &SigningKey, change: &Change) -> Result<()>;

    /// Inserts `key`, which is a next one, unless another is waiting already for this use and algorithm. `false` if so.
    async fn announce(&self, key: &SigningKey, change: &Change) -> Result<bool>;

    /// Makes the next key `kid` the active one of its use, at `at`, and retires all that were; others that were waiting,
    /// and have signed nothing, are deleted. `false`, and nothing is changed, when it waits no longer: of nodes that
    /// promote one key at once, one does.
    async fn promote(&self, kid: &str, key_use: KeyUse, at: Timestamp, change: &Change) -> Result<bool>;

    /// Replaces a sealed private key by the same one sealed otherwise, unless it has changed since `seen` was read.
    async fn reseal(&self, kid: &str, seen: &[u8], sealed: &[u8]) -> Result<bool>;

    /// Deletes keys that were retired before `before`; how many there were.
    async fn delete_retired(&self, before: Timestamp) -> Result<u64>;
}

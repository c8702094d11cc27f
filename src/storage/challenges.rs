//! Challenges, by the digest of the ticket.

use async_trait::async_trait;

use super::Result;
use super::guesses::Forgiveness;
use crate::domain::challenge::Challenge;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;

#[async_trait]
pub trait Challenges: Send + Sync {
    /// Stores a challenge and takes back guesses that were right, in one transaction. Of a user's challenges the newest few
    /// are kept: who knows a password must not fill the store with them.
    async fn insert(&self, challenge: &Challenge, forgiven: &[Forgiveness]) -> Result<()>;

    /// Without counting; `None` when it is unknown, over, or was tried `most` times already.
    async fn find(&self, digest: &Digest, most: u32, now: Timestamp) -> Result<Option<Challenge>>;

    /// Counts one more attempt, before it is made, and returns the challenge; `None` when it is unknown, over, or was
    /// tried `most` times already. Of any number of parallel callers at most `most` get it.
    async fn attempt(&self, digest: &Digest, most: u32, now: Timestamp) -> Result<Option<Challenge>>;

    /// Deletes at most `limit` challenges that were over before `before`; how many there were.
    async fn delete_expired(&self, before: Timestamp, limit: u32) -> Result<u64>;
}

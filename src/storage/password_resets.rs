//! Links for those who have forgotten their password, by the digest of the token.

use async_trait::async_trait;

use super::Result;
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::password_reset::PasswordReset;
use crate::domain::user::PasswordHash;

#[async_trait]
pub trait PasswordResets: Send + Sync {
    /// Makes the user's older ones void and stores this one, in one transaction.
    async fn replace(&self, reset: &PasswordReset, change: &Change) -> Result<()>;

    async fn find(&self, digest: &Digest) -> Result<Option<PasswordReset>>;

    /// Uses the link up, sets the password, ends all of the user's sessions and forgets the guesses at the account, in one
    /// transaction. `false`, with nothing written, when the link is unknown, void or over, or the user switched off.
    async fn redeem(&self, digest: &Digest, password: &PasswordHash, now: Timestamp, change: &Change) -> Result<bool>;

    /// Deletes at most `limit` links that were over before `before`; how many there were.
    async fn delete_expired(&self, before: Timestamp, limit: u32) -> Result<u64>;
}

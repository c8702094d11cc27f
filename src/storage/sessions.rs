//! Sessions: one row per sign-in, none per token.

use std::sync::Arc;

use async_trait::async_trait;

use super::Result;
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::session::{Session, SessionEnd, SessionId};
use crate::domain::user::UserId;

/// Sessions of one user to end.
#[derive(Clone, Debug)]
pub struct EndAll {
    pub user_id: UserId,
    pub why: SessionEnd,
    pub at: Timestamp,
    /// The one that goes on.
    pub keep: Option<SessionId>,
    /// See [`User::tokens_valid_from`](crate::domain::user::User::tokens_valid_from).
    pub tokens_valid_from: Timestamp,
}

#[async_trait]
pub trait Sessions: Send + Sync {
    /// Inserts unless a session with this id is already there; either way the stored one is what counts.
    async fn insert(&self, session: &Session) -> Result<()>;

    /// As [`Sessions::insert`], for a token that names no session and was issued at this time, if it says so. `false`, with
    /// nothing written, when its user is gone or switched off, or has ended all tokens that are as old.
    async fn adopt(&self, session: &Session, issued_at: Option<Timestamp>) -> Result<bool>;

    async fn find(&self, id: &SessionId) -> Result<Option<Arc<Session>>>;

    /// As [`Sessions::find`], but never from a memory: for refreshing, where a counter that is a moment old is wrong.
    async fn find_fresh(&self, id: &SessionId) -> Result<Option<Arc<Session>>> {
        self.find(id).await
    }

    /// The live sessions of a user, the newest first, at most `limit`.
    async fn list_live(&self, user: &UserId, now: Timestamp, limit: u32) -> Result<Vec<Session>>;

    /// One atomic compare-and-set: raises the counter from `from` to `from + 1` if it still is `from` and the session
    /// has not ended. `true` for exactly one of any number of parallel callers.
    async fn rotate(&self, id: &SessionId, from: i64, now: Timestamp) -> Result<bool>;

    /// Ends the session; `false` when it is unknown or was over already (its first end is kept, and nothing is written).
    async fn end(&self, id: &SessionId, why: SessionEnd, now: Timestamp, change: &Change) -> Result<bool>;

    /// Ends all of a user's sessions but for the one to keep, in one transaction. How many there were; the change is
    /// written also when there was none. `None` when there is no such user.
    async fn end_all(&self, end: &EndAll, change: &Change) -> Result<Option<u64>>;

    /// Deletes at most `limit` sessions whose absolute end lies before `before`; how many there were.
    async fn delete_expired(&self, before: Timestamp, limit: u32) -> Result<u64>;
}

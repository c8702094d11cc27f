//! Users, by id and by name.

use std::sync::Arc;

use async_trait::async_trait;

use super::Result;
use crate::domain::clock::Timestamp;
use crate::domain::user::{PasswordHash, User, UserId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insert {
    Done,
    /// The name (or id) is taken; nothing was written.
    Taken,
}

#[async_trait]
pub trait Users: Send + Sync {
    async fn insert(&self, user: &User) -> Result<Insert>;

    async fn find(&self, id: &UserId) -> Result<Option<Arc<User>>>;

    /// Exact: case-sensitive, no normalisation.
    async fn find_by_username(&self, username: &str) -> Result<Option<User>>;

    /// All users by name, after `after`, at most `limit`.
    async fn list(&self, after: Option<&str>, limit: u32) -> Result<Vec<User>>;

    async fn count(&self) -> Result<u64>;

    /// Switches a user on or off. Switching off ends all of the user's sessions in the same transaction, and
    /// switching on revives none. `false` when there is no such user.
    async fn set_active(&self, id: &UserId, active: bool, now: Timestamp) -> Result<bool>;

    /// Sets the password and ends all of the user's sessions in the same transaction. `false` when there is no such user.
    async fn set_password(&self, id: &UserId, password: &PasswordHash, now: Timestamp) -> Result<bool>;

    /// Replaces a hash by a better one of the *same* password, unless it has changed since `seen` was read.
    async fn upgrade_password(&self, id: &UserId, seen: &PasswordHash, better: &PasswordHash) -> Result<bool>;
}

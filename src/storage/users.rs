//! Users, by id and by name.

use std::sync::Arc;

use async_trait::async_trait;

use super::Result;
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::session::SessionId;
use crate::domain::user::{PasswordHash, User, UserChanges, UserId, UserQuery};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insert {
    Done,
    /// The name (or id) is taken; nothing was written.
    Taken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    Done,
    /// The name is another user's; nothing was written.
    Taken,
    Unknown,
}

/// A new password, and what it brings about.
#[derive(Clone, Debug)]
pub struct PasswordSetting {
    pub user_id: UserId,
    pub password: PasswordHash,
    pub at: Timestamp,
    /// The one session that goes on.
    pub keep: Option<SessionId>,
    /// See [`User::tokens_valid_from`].
    pub tokens_valid_from: Timestamp,
    /// Only if the password was last changed at this time: a check of the old one is worth nothing after another change.
    pub only_if_changed_at: Option<Timestamp>,
}

/// Passwords that another installation has hashed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignPasswords {
    /// How many users there are in all; not counted where none of them has such a password.
    pub users: u64,
    /// Of those that take as long to check as each other, how many there are, and one of them. Always in one order.
    pub kinds: Vec<(u64, PasswordHash)>,
}

#[async_trait]
pub trait Users: Send + Sync {
    async fn insert(&self, user: &User, change: &Change) -> Result<Insert>;

    /// A memory leaves the password out: it is checked with what [`Users::find_fresh`] says.
    async fn find(&self, id: &UserId) -> Result<Option<Arc<User>>>;

    /// As [`Users::find`], but never from a memory: for deciding about a change.
    async fn find_fresh(&self, id: &UserId) -> Result<Option<Arc<User>>> {
        self.find(id).await
    }

    /// Exact: case-sensitive, no normalisation.
    async fn find_by_username(&self, username: &str) -> Result<Option<User>>;

    /// Equal after ASCII lower-casing, as an address may be written either way; at most `limit`, by name.
    async fn find_by_email(&self, email: &str, limit: u32) -> Result<Vec<User>>;

    async fn list(&self, query: &UserQuery) -> Result<Vec<User>>;

    async fn count(&self) -> Result<u64>;

    async fn foreign_passwords(&self) -> Result<ForeignPasswords>;

    /// A new e-mail address makes links void that were mailed to the old one.
    async fn update(&self, id: &UserId, changes: &UserChanges, change: &Change) -> Result<Update>;

    /// Switches a user on or off. Switching off ends all of the user's sessions, and makes challenges and reset links
    /// void, in the same transaction; switching on revives none. `false` when there is no such user.
    async fn set_active(&self, id: &UserId, active: bool, now: Timestamp, change: &Change) -> Result<bool>;

    /// Sets the password, ends the user's sessions but for the one to keep, and makes challenges and reset links void, in
    /// one transaction. `false` when there is no such user, or the password has changed in between.
    async fn set_password(&self, setting: &PasswordSetting, change: &Change) -> Result<bool>;

    /// Replaces a hash by a better one of the *same* password, unless it has changed since `seen` was read.
    async fn upgrade_password(&self, id: &UserId, seen: &PasswordHash, better: &PasswordHash) -> Result<bool>;

    /// Deletes a user and all that is the user's: sessions, keys, second factors. What the audit says about them stays.
    /// `false` when there is no such user.
    async fn delete(&self, id: &UserId, now: Timestamp, change: &Change) -> Result<bool>;
}

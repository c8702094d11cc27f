//! What is taken over from another installation, in one transaction.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;

use super::Result;
use super::second_factors::RecoveryCode;
use crate::domain::api_key::{ApiKey, ApiKeyId};
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::second_factor::{SecondFactor, SecondFactorId};
use crate::domain::session::{Session, SessionEnd};
use crate::domain::user::{PasswordHash, User, UserId};

/// What a remembered row was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImportKind {
    User,
    /// Of a user, whose other columns are remembered apart from it: a sign-in changes the hash and nothing else. Seen when it
    /// came from there, which a later look does not change.
    Password,
    ApiKey,
    SecondFactor,
    RecoveryCode,
    /// Only until the codes and tokens are read that refer to them: these two are forgotten at the end.
    StaticDevice,
    BlacklistedToken,
    EndedToken,
}

impl ImportKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Password => "password",
            Self::ApiKey => "api_key",
            Self::SecondFactor => "second_factor",
            Self::RecoveryCode => "recovery_code",
            Self::StaticDevice => "static_device",
            Self::BlacklistedToken => "blacklisted_token",
            Self::EndedToken => "ended_token",
        }
    }
}

/// A row that was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    pub original: String,
    pub target: String,
    /// Of what was written here.
    pub digest: Digest,
    pub seen_at: Timestamp,
}

/// A key with its slow hash, if it has no fast one.
#[derive(Clone, Debug)]
pub struct ImportedKey {
    pub key: ApiKey,
    pub slow_hash: Option<PasswordHash>,
}

#[async_trait]
pub trait Imports: Send + Sync {
    async fn begin(&self) -> Result<Box<dyn Importing>>;
}

/// An import under way: nothing of it is seen by anybody until it is committed, and when it is dropped it never was.
/// Lists are short: what is asked for at a time is bounded by who asks.
#[async_trait]
pub trait Importing: Send {
    /// What is remembered of these, by their ids there.
    async fn known(&mut self, kind: ImportKind, originals: &[String]) -> Result<HashMap<String, Remembered>>;

    async fn remember(&mut self, kind: ImportKind, rows: &[Remembered]) -> Result<()>;

    /// Remembers nothing of a kind any more.
    async fn forget(&mut self, kind: ImportKind) -> Result<()>;

    /// Rows that were taken over before, and were not seen at `seen_at`: by their ids there, after `after`.
    async fn unseen(
        &mut self,
        kind: ImportKind,
        seen_at: Timestamp,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Remembered>>;

    async fn users(&mut self, ids: &[UserId]) -> Result<Vec<User>>;

    /// The ids of those that could be stored: of the others, id or name are taken.
    async fn insert_users(&mut self, users: &[User]) -> Result<HashSet<String>>;

    /// `false` when the name is another user's. `end` says why their sessions end, and tokens that name none.
    async fn update_user(&mut self, user: &User, end: Option<SessionEnd>, now: Timestamp) -> Result<bool>;

    async fn api_keys(&mut self, ids: &[ApiKeyId]) -> Result<Vec<ImportedKey>>;

    /// As [`Importing::insert_users`].
    async fn insert_api_keys(&mut self, keys: &[ImportedKey]) -> Result<HashSet<String>>;

    async fn update_api_key(&mut self, key: &ImportedKey, now: Timestamp) -> Result<()>;

    async fn second_factors(&mut self, ids: &[SecondFactorId]) -> Result<Vec<SecondFactor>>;

    /// As [`Importing::insert_users`].
    async fn insert_second_factors(&mut self, devices: &[SecondFactor]) -> Result<HashSet<String>>;

    async fn update_second_factor(&mut self, device: &SecondFactor, now: Timestamp) -> Result<()>;

    async fn insert_recovery_codes(&mut self, codes: &[(UserId, RecoveryCode)]) -> Result<HashSet<String>>;

    /// Uses codes up that were used there; how many were left here.
    async fn spend_recovery_codes(&mut self, ids: &[String], now: Timestamp) -> Result<u64>;

    /// Sessions that are over, each in the place of a token; how many were not yet.
    async fn end_sessions(&mut self, sessions: &[Session]) -> Result<u64>;

    /// Brings up to date, for all users, whether they have a second factor.
    async fn note_second_factors(&mut self, now: Timestamp) -> Result<()>;

    async fn commit(self: Box<Self>, change: &Change) -> Result<()>;

    async fn roll_back(self: Box<Self>) -> Result<()>;
}

//! What every node must forget, in the order in which it happened.

use super::api_key::ApiKeyId;
use super::clock::Timestamp;
use super::session::SessionId;
use super::user::UserId;

/// One thing that changed. Written in the same transaction as the change itself, so that there is never the one
/// without the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Invalidation {
    ApiKey(ApiKeyId),
    Session(SessionId),
    /// The user's record, and with it everything that was derived from it.
    User(UserId),
    SigningKeys,
}

impl Invalidation {
    /// The two stored columns: a kind from a closed set, and whom it concerns.
    pub fn to_parts(&self) -> (&'static str, &str) {
        match self {
            Self::ApiKey(id) => ("api_key", id.as_str()),
            Self::Session(id) => ("session", id.as_str()),
            Self::User(id) => ("user", id.as_str()),
            Self::SigningKeys => ("signing_keys", ""),
        }
    }

    pub fn from_parts(kind: &str, subject: &str) -> Option<Self> {
        Some(match kind {
            "api_key" => Self::ApiKey(ApiKeyId(subject.to_owned())),
            "session" => Self::Session(SessionId(subject.to_owned())),
            "user" => Self::User(UserId(subject.to_owned())),
            "signing_keys" => Self::SigningKeys,
            _ => return None,
        })
    }
}

/// The place of an invalidation in the store's own order. Grows by one with each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub i64);

/// An invalidation, and its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    pub epoch: Epoch,
    pub what: Invalidation,
    /// A moment before the change was committed. Unknown where the writer was not told the time.
    pub written_at: Option<Timestamp>,
}

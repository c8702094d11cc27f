//! The ticket between the password and the second factor.
//!
//! It says that this user's password was shown a moment ago, and is good for nothing but showing a code. It is bound to
//! one user and one sign-in, counts the codes that were tried with it, and is gone with the right one.

use super::clock::Timestamp;
use super::digest::Digest;
use super::user::UserId;

/// As stored; the ticket itself is kept nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    pub digest: Digest,
    pub user_id: UserId,
    /// When the password that was shown had been set: another one since then makes the ticket worth nothing.
    pub password_changed_at: Timestamp,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// Codes that were tried with it, the present one included.
    pub attempts: i64,
}

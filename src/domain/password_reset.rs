//! A link that was mailed to somebody who has forgotten the password. One at a time for each user: a newer one, a new
//! password, and its use make it void.

use super::clock::Timestamp;
use super::digest::Digest;
use super::user::UserId;

/// As stored; the link's token itself is in the mail and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordReset {
    pub digest: Digest,
    pub user_id: UserId,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

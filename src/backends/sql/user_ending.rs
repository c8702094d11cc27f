//! What ends with a user's being switched off, deleted, or given another password.

use super::changing::Changing;
use super::sessions::{end_all, raise_tokens_valid_from};
use super::{challenges, password_resets};
use crate::domain::clock::Timestamp;
use crate::domain::session::SessionEnd;
use crate::domain::user::UserId;
use crate::storage::sessions::EndAll;

/// What ends when a user is switched off. Tokens that name no session are refused for as long as the user is off. They are
/// not made void, because clients of the installation that was taken over count on that a refusal for this burns nothing.
pub(super) async fn switch_off(changing: &mut Changing, id: &UserId, now: Timestamp) -> sqlx::Result<()> {
    void_vouchers(changing, id).await?;
    end_all(changing.connection(), &end_of(id, now)).await?;
    Ok(())
}

pub(super) fn end_of(id: &UserId, now: Timestamp) -> EndAll {
    EndAll { user_id: id.clone(), why: SessionEnd::UserDisabled, at: now, keep: None, tokens_valid_from: now }
}

/// Makes void what vouches for a user, and ends the sessions and whatever tokens belong to none.
pub(super) async fn shut_out(changing: &mut Changing, end: &EndAll) -> sqlx::Result<()> {
    void_vouchers(changing, &end.user_id).await?;
    raise_tokens_valid_from(changing.connection(), end).await?;
    end_all(changing.connection(), end).await?;
    Ok(())
}

pub(super) async fn void_vouchers(changing: &mut Changing, user: &UserId) -> sqlx::Result<()> {
    challenges::void_all(changing.connection(), user).await?;
    password_resets::void_all(changing.connection(), user).await
}

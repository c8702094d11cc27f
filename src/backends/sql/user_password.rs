//! A user's new password, and all that follows from it.

use super::changing::Changing;
use super::user_ending::shut_out;
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::invalidation::Invalidation;
use crate::domain::session::SessionEnd;
use crate::storage::sessions::EndAll;
use crate::storage::users::PasswordSetting;

/// Stands for no time at all: nothing happened then.
const ANY_TIME: i64 = i64::MIN;

/// In a transaction that is under way. `false` when there is no such user, or the password was changed since.
pub(super) async fn put_password(
    changing: &mut Changing,
    setting: &PasswordSetting,
    change: &Change,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE users SET password = $1, password_changed_at = $2 \
         WHERE id = $3 AND ($4 = $5 OR password_changed_at = $4)",
    )
    .bind(setting.password.text())
    .bind(setting.at.as_micros())
    .bind(setting.user_id.as_str())
    .bind(setting.only_if_changed_at.map_or(ANY_TIME, Timestamp::as_micros))
    .bind(ANY_TIME)
    .execute(changing.connection())
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    changing.write(change).await?;
    shut_out(
        changing,
        &EndAll {
            user_id: setting.user_id.clone(),
            why: SessionEnd::PasswordChange,
            at: setting.at,
            keep: setting.keep.clone(),
            tokens_valid_from: setting.tokens_valid_from,
        },
    )
    .await?;
    changing.forget(Invalidation::User(setting.user_id.clone()), Some(setting.at)).await?;
    Ok(true)
}

//! Users that are taken over.

use std::collections::HashSet;

use super::{DEADLINE, SqlImporting, TABLE};
use crate::backends::sql::answer::within_deadline;
use crate::backends::sql::insertion::insertion;
use crate::backends::sql::user_lock::lock_user;
use crate::backends::sql::users;
use crate::domain::clock::Timestamp;
use crate::domain::invalidation::Invalidation;
use crate::domain::session::SessionEnd;
use crate::domain::user::{User, UserId};
use crate::storage::Result;

pub async fn find(importing: &mut SqlImporting, ids: &[UserId]) -> Result<Vec<User>> {
    let mut found = Vec::new();
    for id in ids {
        // Nobody is to change what is judged here until it is written.
        if importing.locks {
            within_deadline(DEADLINE, TABLE, lock_user(importing.changing.connection(), id)).await?;
        }
        found.extend(users::read(importing.changing.connection(), id, DEADLINE).await?);
    }
    Ok(found)
}

pub async fn insert(importing: &mut SqlImporting, users: &[User]) -> Result<HashSet<String>> {
    if users.is_empty() {
        return Ok(HashSet::new());
    }
    importing.ids(insertion(users, "ON CONFLICT DO NOTHING RETURNING id")).await
}

pub async fn update(
    importing: &mut SqlImporting,
    user: &User,
    end: Option<SessionEnd>,
    now: Timestamp,
) -> Result<bool> {
    let statement = sqlx::query(
        "UPDATE users SET username = $1, email = $2, email_folded = $3, first_name = $4, last_name = $5, \
         is_active = $6, is_admin = $7, password = $8, password_changed_at = $9, last_sign_in_at = $10 \
         WHERE id = $11 AND NOT EXISTS (SELECT 1 FROM users other WHERE other.username = $1 AND other.id <> $11)",
    )
    .bind(user.username.as_str())
    .bind(user.email.as_str())
    .bind(user.email.to_ascii_lowercase())
    .bind(user.first_name.as_str())
    .bind(user.last_name.as_str())
    .bind(i64::from(user.is_active))
    .bind(i64::from(user.is_admin))
    .bind(user.password.text())
    .bind(user.password_changed_at.as_micros())
    .bind(user.last_sign_in_at.map(Timestamp::as_micros))
    .bind(user.id.as_str());
    let done = importing.run(statement).await? == 1;
    if done {
        importing.tell(Invalidation::User(user.id.clone()), now);
        if let Some(why) = end {
            super::sessions::end_all(importing, &user.id, why, now).await?;
        }
    }
    Ok(done)
}

//! Links for those who have forgotten their password, by the digest of the token.

use async_trait::async_trait;
use sqlx::AnyConnection;

use super::answer::{corrupt, within_deadline};
use super::challenges;
use super::guesses::forget;
use super::pool::Pool;
use super::user_lock::lock_user;
use super::user_password::put_password;
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::guess_subject::GuessSubject;
use crate::domain::password_reset::PasswordReset;
use crate::domain::session::Kept;
use crate::domain::user::{PasswordHash, UserId};
use crate::storage::password_resets::PasswordResets;
use crate::storage::users::PasswordSetting;
use crate::storage::{Result, StoreError};

const TABLE: &str = "password_resets";

#[derive(Clone)]
pub struct SqlPasswordResets {
    pool: Pool,
}

impl SqlPasswordResets {
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    digest: String,
    user_id: String,
    created_at: i64,
    expires_at: i64,
}

impl TryFrom<Row> for PasswordReset {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            digest: Digest::from_hex(&row.digest).ok_or_else(|| corrupt(TABLE, "(a row)", "digest is no digest"))?,
            user_id: UserId(row.user_id),
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: Timestamp::from_micros(row.expires_at),
        })
    }
}

#[async_trait]
impl PasswordResets for SqlPasswordResets {
    async fn replace(&self, reset: &PasswordReset, change: &Change) -> Result<()> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            // One at a time for each user, or two that come at once would both be good. For who is gone there is none.
            if !lock_user(changing.connection(), &reset.user_id).await? {
                return Ok(());
            }
            void_all(changing.connection(), &reset.user_id).await?;
            sqlx::query(
                "INSERT INTO password_resets (digest, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
            )
            .bind(reset.digest.hex())
            .bind(reset.user_id.as_str())
            .bind(reset.created_at.as_micros())
            .bind(reset.expires_at.as_micros())
            .execute(changing.connection())
            .await?;
            changing.write(change).await?;
            changing.commit().await
        })
        .await
    }

    async fn find(&self, digest: &Digest) -> Result<Option<PasswordReset>> {
        let statement =
            sqlx::query_as("SELECT digest, user_id, created_at, expires_at FROM password_resets WHERE digest = $1")
                .bind(digest.hex());
        let row: Option<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_optional(self.pool.reads())).await?;
        row.map(PasswordReset::try_from).transpose()
    }

    async fn redeem(&self, digest: &Digest, password: &PasswordHash, now: Timestamp, change: &Change) -> Result<bool> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            let user: Option<String> =
                sqlx::query_scalar("SELECT user_id FROM password_resets WHERE digest = $1 AND expires_at > $2")
                    .bind(digest.hex())
                    .bind(now.as_micros())
                    .fetch_optional(changing.connection())
                    .await?;
            let Some(user_id) = user.map(UserId) else { return Ok(false) };
            // The user's row is locked before the link: whoever changes the user takes them in this order too.
            let active = sqlx::query("UPDATE users SET id = id WHERE id = $1 AND is_active = 1")
                .bind(user_id.as_str())
                .execute(changing.connection())
                .await?;
            let spent = sqlx::query("DELETE FROM password_resets WHERE digest = $1")
                .bind(digest.hex())
                .execute(changing.connection())
                .await?;
            if active.rows_affected() == 0 || spent.rows_affected() == 0 {
                return Ok(false);
            }
            // Before the guesses, in the order of locks.
            challenges::void_all(changing.connection(), &user_id).await?;
            forget(changing.connection(), &GuessSubject::Account(user_id.clone())).await?;
            let setting = PasswordSetting {
                user_id,
                password: password.clone(),
                at: now,
                keep: None,
                tokens_valid_from: Kept::NOTHING.tokens_valid_from(now),
                only_if_changed_at: None,
            };
            if !put_password(&mut changing, &setting, change).await? {
                return Ok(false);
            }
            changing.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn delete_expired(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let statement = sqlx::query(
            "DELETE FROM password_resets WHERE expires_at < $1 AND digest IN \
             (SELECT digest FROM password_resets WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
        )
        .bind(before.as_micros())
        .bind(i64::from(limit));
        within_deadline(self.pool.deadline(), TABLE, self.pool.write(statement)).await
    }
}

/// Makes all of a user's void.
pub(super) async fn void_all(connection: &mut AnyConnection, user: &UserId) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM password_resets WHERE user_id = $1").bind(user.as_str()).execute(connection).await?;
    Ok(())
}

//! Challenges, by the digest of the ticket.

use async_trait::async_trait;
use sqlx::AnyConnection;

use super::answer::{corrupt, within_deadline};
use super::guesses::forgive;
use super::pool::Pool;
use super::user_lock::lock_user;
use crate::domain::challenge::Challenge;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::user::UserId;
use crate::storage::challenges::Challenges;
use crate::storage::guesses::Forgiveness;
use crate::storage::{Result, StoreError};

const TABLE: &str = "challenges";

/// Challenges of one user at a time.
const MOST_KEPT: i64 = 16;

macro_rules! columns {
    () => {
        "digest, user_id, password_changed_at, created_at, expires_at, attempts"
    };
}

#[derive(Clone)]
pub struct SqlChallenges {
    pool: Pool,
}

impl SqlChallenges {
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    digest: String,
    user_id: String,
    password_changed_at: i64,
    created_at: i64,
    expires_at: i64,
    attempts: i64,
}

impl TryFrom<Row> for Challenge {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            digest: Digest::from_hex(&row.digest).ok_or_else(|| corrupt(TABLE, "(a row)", "digest is no digest"))?,
            user_id: UserId(row.user_id),
            password_changed_at: Timestamp::from_micros(row.password_changed_at),
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            attempts: row.attempts,
        })
    }
}

#[async_trait]
impl Challenges for SqlChallenges {
    async fn insert(&self, challenge: &Challenge, forgiven: &[Forgiveness]) -> Result<()> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            // One at a time for each user, or too many would be kept. For who is gone there is none to make.
            if !lock_user(changing.connection(), &challenge.user_id).await? {
                return Ok(());
            }
            sqlx::query(
                "DELETE FROM challenges WHERE user_id = $1 AND digest NOT IN \
                 (SELECT digest FROM challenges WHERE user_id = $1 ORDER BY created_at DESC, digest LIMIT $2)",
            )
            .bind(challenge.user_id.as_str())
            .bind(MOST_KEPT - 1)
            .execute(changing.connection())
            .await?;
            sqlx::query(concat!("INSERT INTO challenges (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6)"))
                .bind(challenge.digest.hex())
                .bind(challenge.user_id.as_str())
                .bind(challenge.password_changed_at.as_micros())
                .bind(challenge.created_at.as_micros())
                .bind(challenge.expires_at.as_micros())
                .bind(challenge.attempts)
                .execute(changing.connection())
                .await?;
            forgive(changing.connection(), forgiven).await?;
            changing.commit().await
        })
        .await
    }

    async fn find(&self, digest: &Digest, most: u32, now: Timestamp) -> Result<Option<Challenge>> {
        let statement = sqlx::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM challenges WHERE digest = $1 AND attempts < $2 AND expires_at > $3"
        ))
        .bind(digest.hex())
        .bind(i64::from(most))
        .bind(now.as_micros());
        let row: Option<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_optional(self.pool.reads())).await?;
        row.map(Challenge::try_from).transpose()
    }

    async fn attempt(&self, digest: &Digest, most: u32, now: Timestamp) -> Result<Option<Challenge>> {
        let row: Option<Row> = within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            let row = sqlx::query_as(concat!(
                "UPDATE challenges SET attempts = attempts + 1 WHERE digest = $1 AND attempts < $2 AND expires_at > $3 \
                 RETURNING ",
                columns!()
            ))
            .bind(digest.hex())
            .bind(i64::from(most))
            .bind(now.as_micros())
            .fetch_optional(changing.connection())
            .await?;
            changing.commit().await?;
            Ok(row)
        })
        .await?;
        row.map(Challenge::try_from).transpose()
    }

    async fn delete_expired(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let statement = sqlx::query(
            "DELETE FROM challenges WHERE expires_at < $1 AND digest IN \
             (SELECT digest FROM challenges WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
        )
        .bind(before.as_micros())
        .bind(i64::from(limit));
        within_deadline(self.pool.deadline(), TABLE, self.pool.write(statement)).await
    }
}

/// Uses one up; `false` when it is not there any more.
pub(super) async fn spend(connection: &mut AnyConnection, digest: &Digest) -> sqlx::Result<bool> {
    let done = sqlx::query("DELETE FROM challenges WHERE digest = $1").bind(digest.hex()).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// Makes all of a user's void: they vouch for a password that is the user's no more.
pub(super) async fn void_all(connection: &mut AnyConnection, user: &UserId) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM challenges WHERE user_id = $1").bind(user.as_str()).execute(connection).await?;
    Ok(())
}

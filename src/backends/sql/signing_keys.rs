//! Signing keys, sealed.

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sqlx::Any;
use sqlx::any::AnyArguments;
use sqlx::query::Query;

use super::answer::{corrupt, is_taken, within_deadline};
use super::invalidations::record;
use super::pool::Pool;
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::invalidation::Invalidation;
use crate::domain::signing_key::{KeyState, KeyUse, SigningAlgorithm, SigningKey};
use crate::storage::signing_keys::SigningKeys;
use crate::storage::{Result, StoreError};

const TABLE: &str = "signing_keys";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT kid, algorithm, key_use, state, sealed_private, created_at, retired_at FROM signing_keys ",
            $rest
        )
    };
}

macro_rules! insert {
    ($rest:literal) => {
        concat!(
            "INSERT INTO signing_keys (kid, algorithm, key_use, state, sealed_private, created_at) ",
            "VALUES ($1, $2, $3, 'active', $4, $5) ",
            $rest
        )
    };
}

const ROTATIONS_AT_ONCE: u32 = 10;
/// The index over keys that wait is what conflicts when another node was first.
const ANNOUNCE: &str = "INSERT INTO signing_keys (kid, algorithm, key_use, state, sealed_private, created_at) \
     VALUES ($1, $2, $3, 'next', $4, $5) ON CONFLICT DO NOTHING";

const ACTIVE: &str = select!("WHERE key_use = $1 AND algorithm = $2 AND state = 'active'");

/// All that is known of a new key, in the order of the columns.
fn insertion(statement: &'static str, key: &SigningKey) -> Query<'static, Any, AnyArguments> {
    sqlx::query(statement)
        .bind(key.kid.clone())
        .bind(key.algorithm.as_str())
        .bind(key.key_use.as_str())
        .bind(STANDARD.encode(&key.sealed_private))
        .bind(key.created_at.as_micros())
}

#[derive(Clone)]
pub struct SqlSigningKeys {
    pool: Pool,
}

impl SqlSigningKeys {
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    kid: String,
    algorithm: String,
    key_use: String,
    state: String,
    sealed_private: String,
    created_at: i64,
    retired_at: Option<i64>,
}

impl TryFrom<Row> for SigningKey {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let unknown = |what| corrupt(TABLE, &row.kid, what);
        Ok(Self {
            algorithm: SigningAlgorithm::parse(&row.algorithm).ok_or_else(|| unknown("unknown algorithm"))?,
            key_use: KeyUse::parse(&row.key_use).ok_or_else(|| unknown("unknown key_use"))?,
            state: KeyState::parse(&row.state).ok_or_else(|| unknown("unknown state"))?,
            sealed_private: STANDARD.decode(&row.sealed_private).map_err(|_| unknown("sealed_private is no base64"))?,
            created_at: Timestamp::from_micros(row.created_at),
            retired_at: row.retired_at.map(Timestamp::from_micros),
            kid: row.kid,
        })
    }
}

#[async_trait]
impl SigningKeys for SqlSigningKeys {
    async fn list(&self) -> Result<Vec<SigningKey>> {
        let statement = sqlx::query_as(select!("ORDER BY created_at, kid"));
        let rows: Vec<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_all(self.pool.reads())).await?;
        rows.into_iter().map(SigningKey::try_from).collect()
    }

    async fn insert_first(&self, key: &SigningKey) -> Result<SigningKey> {
        let stored: Option<Row> = within_deadline(self.pool.deadline(), TABLE, async {
            let mut transaction = self.pool.begin().await?;
            // The index over active keys is what conflicts when another node was first.
            let done = insertion(insert!("ON CONFLICT DO NOTHING"), key).execute(&mut *transaction).await?;
            let stored = sqlx::query_as(ACTIVE)
                .bind(key.key_use.as_str())
                .bind(key.algorithm.as_str())
                .fetch_optional(&mut *transaction)
                .await?;
            if done.rows_affected() == 1 {
                record(&mut transaction, &Invalidation::SigningKeys, Some(key.created_at)).await?;
            }
            transaction.commit().await?;
            Ok(stored)
        })
        .await?;
        stored.ok_or_else(|| corrupt(TABLE, &key.kid, "stored already, but not as the active key"))?.try_into()
    }

    async fn find_active(&self, key_use: KeyUse, algorithm: SigningAlgorithm) -> Result<Option<SigningKey>> {
        let statement = sqlx::query_as(ACTIVE).bind(key_use.as_str()).bind(algorithm.as_str());
        let row: Option<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_optional(self.pool.reads())).await?;
        row.map(SigningKey::try_from).transpose()
    }

    async fn rotate(&self, key: &SigningKey, change: &Change) -> Result<()> {
        within_deadline(self.pool.deadline(), TABLE, async {
            // Of two rotations at once, PostgreSQL lets the second see what it has to retire only in another transaction.
            let mut attempts = 1;
            loop {
                match self.try_to_rotate(key, change).await {
                    Err(error) if is_taken(&error) && attempts < ROTATIONS_AT_ONCE => attempts += 1,
                    done => return done,
                }
            }
        })
        .await
    }

    async fn announce(&self, key: &SigningKey, change: &Change) -> Result<bool> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            let announced = insertion(ANNOUNCE, key).execute(changing.connection()).await?.rows_affected();
            if announced == 0 {
                return Ok(false);
            }
            changing.write(change).await?;
            changing.forget(Invalidation::SigningKeys, Some(key.created_at)).await?;
            changing.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn promote(&self, kid: &str, key_use: KeyUse, at: Timestamp, change: &Change) -> Result<bool> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            // First, because the index over active keys allows one.
            sqlx::query(
                "UPDATE signing_keys SET state = 'retired', retired_at = $1 \
                 WHERE key_use = $2 AND state = 'active'",
            )
            .bind(at.as_micros())
            .bind(key_use.as_str())
            .execute(changing.connection())
            .await?;
            let promoted = sqlx::query(
                "UPDATE signing_keys SET state = 'active' WHERE kid = $1 AND key_use = $2 AND state = 'next'",
            )
            .bind(kid.to_owned())
            .bind(key_use.as_str())
            .execute(changing.connection())
            .await?
            .rows_affected();
            if promoted == 0 {
                return Ok(false);
            }
            sqlx::query("DELETE FROM signing_keys WHERE key_use = $1 AND state = 'next'")
                .bind(key_use.as_str())
                .execute(changing.connection())
                .await?;
            changing.write(change).await?;
            changing.forget(Invalidation::SigningKeys, Some(at)).await?;
            changing.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn reseal(&self, kid: &str, seen: &[u8], sealed: &[u8]) -> Result<bool> {
        let statement =
            sqlx::query("UPDATE signing_keys SET sealed_private = $1 WHERE kid = $2 AND sealed_private = $3")
                .bind(STANDARD.encode(sealed))
                .bind(kid)
                .bind(STANDARD.encode(seen));
        Ok(within_deadline(self.pool.deadline(), TABLE, self.pool.write(statement)).await? == 1)
    }

    async fn delete_retired(&self, before: Timestamp) -> Result<u64> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut transaction = self.pool.begin().await?;
            let deleted = sqlx::query("DELETE FROM signing_keys WHERE state = 'retired' AND retired_at < $1")
                .bind(before.as_micros())
                .execute(&mut *transaction)
                .await?
                .rows_affected();
            if deleted > 0 {
                record(&mut transaction, &Invalidation::SigningKeys, None).await?;
            }
            transaction.commit().await?;
            Ok(deleted)
        })
        .await
    }
}

impl SqlSigningKeys {
    async fn try_to_rotate(&self, key: &SigningKey, change: &Change) -> sqlx::Result<()> {
        let mut changing = self.pool.change().await?;
        sqlx::query(
            "UPDATE signing_keys SET state = 'retired', retired_at = $1 WHERE key_use = $2 AND state = 'active'",
        )
        .bind(key.created_at.as_micros())
        .bind(key.key_use.as_str())
        .execute(changing.connection())
        .await?;
        insertion(insert!(""), key).execute(changing.connection()).await?;
        changing.write(change).await?;
        changing.forget(Invalidation::SigningKeys, Some(key.created_at)).await?;
        changing.commit().await
    }
}

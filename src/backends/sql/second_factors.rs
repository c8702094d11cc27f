//! Second factors and recovery codes.

use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sqlx::AnyConnection;

use super::answer::{corrupt, within_deadline};
use super::changing::Changing;
use super::pool::Pool;
use super::user_lock::lock_user;
use super::{challenges, sessions};
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::factor_proof::{FactorProof, RecoveryCodeId};
use crate::domain::invalidation::Invalidation;
use crate::domain::second_factor::{Digits, SecondFactor, SecondFactorId, Tolerance, TotpAlgorithm, TotpParameters};
use crate::domain::user::UserId;
use crate::storage::second_factors::{Confirmation, Proven, RecoveryCode, SecondFactors};
use crate::storage::sessions::EndAll;
use crate::storage::{Result, StoreError};

const TABLE: &str = "second_factors";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, user_id, name, sealed_secret, algorithm, digits, period, t0, tolerance, drift, last_step, ",
            "created_at, confirmed_at, last_used_at FROM second_factors ",
            $rest
        )
    };
}

#[derive(Clone)]
pub struct SqlSecondFactors {
    pool: Pool,
}

impl SqlSecondFactors {
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    user_id: String,
    name: String,
    sealed_secret: String,
    algorithm: String,
    digits: i64,
    period: i64,
    t0: i64,
    tolerance: i64,
    drift: i64,
    last_step: i64,
    created_at: i64,
    confirmed_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl TryFrom<Row> for SecondFactor {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let foreign = |what| corrupt(TABLE, &row.id, what);
        Ok(Self {
            sealed_secret: STANDARD.decode(&row.sealed_secret).map_err(|_| foreign("sealed_secret is no base64"))?,
            parameters: TotpParameters {
                algorithm: TotpAlgorithm::parse(&row.algorithm).ok_or_else(|| foreign("unknown algorithm"))?,
                digits: u8::try_from(row.digits)
                    .ok()
                    .and_then(Digits::new)
                    .ok_or_else(|| foreign("digits is out of range"))?,
                period: u32::try_from(row.period)
                    .ok()
                    .and_then(NonZeroU32::new)
                    .ok_or_else(|| foreign("period is out of range"))?,
                t0: row.t0,
                tolerance: u8::try_from(row.tolerance)
                    .ok()
                    .and_then(Tolerance::new)
                    .ok_or_else(|| foreign("tolerance is out of range"))?,
                drift: row.drift,
            },
            last_step: row.last_step,
            confirmed_at: row.confirmed_at.map(Timestamp::from_micros),
            created_at: Timestamp::from_micros(row.created_at),
            last_used_at: row.last_used_at.map(Timestamp::from_micros),
            user_id: UserId(row.user_id),
            name: row.name,
            id: SecondFactorId(row.id),
        })
    }
}

/// In a transaction that is under way.
pub(super) async fn read(
    connection: &mut AnyConnection,
    id: &SecondFactorId,
    deadline: Duration,
) -> Result<Option<SecondFactor>> {
    let statement = sqlx::query_as(select!("WHERE id = $1")).bind(id.as_str());
    let row: Option<Row> = within_deadline(deadline, TABLE, statement.fetch_optional(connection)).await?;
    row.map(SecondFactor::try_from).transpose()
}

#[async_trait]
impl SecondFactors for SqlSecondFactors {
    async fn of_user(&self, user: &UserId) -> Result<Vec<SecondFactor>> {
        let statement =
            sqlx::query_as(select!("WHERE user_id = $1 ORDER BY created_at DESC, id DESC")).bind(user.as_str());
        let rows: Vec<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_all(self.pool.reads())).await?;
        rows.into_iter().map(SecondFactor::try_from).collect()
    }

    async fn begin(&self, device: &SecondFactor, proof: Option<&FactorProof>, change: &Change) -> Result<Proven> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            if !lock_user(changing.connection(), &device.user_id).await? {
                return Ok(Proven::ProofSpent);
            }
            let allowed = match proof {
                Some(proof) => spend(changing.connection(), &device.user_id, proof, device.created_at).await?,
                None => !has_confirmed(changing.connection(), &device.user_id).await?,
            };
            if !allowed {
                return Ok(Proven::ProofSpent);
            }
            sqlx::query("DELETE FROM second_factors WHERE user_id = $1 AND confirmed_at IS NULL")
                .bind(device.user_id.as_str())
                .execute(changing.connection())
                .await?;
            let parameters = &device.parameters;
            sqlx::query(
                "INSERT INTO second_factors (id, user_id, name, sealed_secret, algorithm, digits, period, t0, \
                 tolerance, drift, last_step, created_at, confirmed_at, last_used_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            )
            .bind(device.id.as_str())
            .bind(device.user_id.as_str())
            .bind(device.name.as_str())
            .bind(STANDARD.encode(&device.sealed_secret))
            .bind(parameters.algorithm.as_str())
            .bind(i64::from(parameters.digits.get()))
            .bind(i64::from(parameters.period.get()))
            .bind(parameters.t0)
            .bind(i64::from(parameters.tolerance.get()))
            .bind(parameters.drift)
            .bind(device.last_step)
            .bind(device.created_at.as_micros())
            .bind(device.confirmed_at.map(Timestamp::as_micros))
            .bind(device.last_used_at.map(Timestamp::as_micros))
            .execute(changing.connection())
            .await?;
            if device.is_confirmed() {
                note_whether_any(changing.connection(), &device.user_id).await?;
                changing.forget(Invalidation::User(device.user_id.clone()), Some(device.created_at)).await?;
            }
            changing.write(change).await?;
            changing.commit().await?;
            Ok(Proven::Done)
        })
        .await
    }

    async fn confirm(&self, confirmation: &Confirmation, change: &Change) -> Result<Proven> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            let user = &confirmation.end.user_id;
            if !lock_user(changing.connection(), user).await? {
                return Ok(Proven::ProofSpent);
            }
            let confirmed = sqlx::query(
                "UPDATE second_factors SET confirmed_at = $1, last_used_at = $1, last_step = $2 \
                 WHERE id = $3 AND user_id = $4 AND confirmed_at IS NULL AND last_step < $2",
            )
            .bind(confirmation.at.as_micros())
            .bind(confirmation.step)
            .bind(confirmation.device.as_str())
            .bind(user.as_str())
            .execute(changing.connection())
            .await?;
            if confirmed.rows_affected() == 0 {
                return Ok(Proven::ProofSpent);
            }
            if let Some(codes) = &confirmation.recovery_codes {
                replace_codes(&mut changing, user, codes).await?;
            }
            self.after(changing, &confirmation.end, change).await
        })
        .await
    }

    async fn remove_all(&self, end: &EndAll, proof: Option<&FactorProof>, change: &Change) -> Result<Proven> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            if !lock_user(changing.connection(), &end.user_id).await? {
                return Ok(Proven::ProofSpent);
            }
            if let Some(proof) = proof
                && !spend(changing.connection(), &end.user_id, proof, end.at).await?
            {
                return Ok(Proven::ProofSpent);
            }
            delete_all(changing.connection(), &end.user_id).await?;
            self.after(changing, end, change).await
        })
        .await
    }

    async fn recovery_codes_left(&self, user: &UserId) -> Result<u64> {
        let statement =
            sqlx::query_scalar("SELECT COUNT(*) FROM recovery_codes WHERE user_id = $1 AND used_at IS NULL")
                .bind(user.as_str());
        let count: i64 = within_deadline(self.pool.deadline(), TABLE, statement.fetch_one(self.pool.reads())).await?;
        u64::try_from(count).map_err(|_| corrupt(TABLE, "(all)", "a negative count"))
    }

    async fn find_recovery_code(&self, user: &UserId, digests: &[Digest]) -> Result<Option<RecoveryCodeId>> {
        for digest in digests {
            let statement = sqlx::query_scalar(
                "SELECT id FROM recovery_codes WHERE user_id = $1 AND digest = $2 AND used_at IS NULL ORDER BY id LIMIT 1",
            )
            .bind(user.as_str())
            .bind(digest.hex());
            let found: Option<String> =
                within_deadline(self.pool.deadline(), TABLE, statement.fetch_optional(self.pool.reads())).await?;
            if found.is_some() {
                return Ok(found.map(RecoveryCodeId));
            }
        }
        Ok(None)
    }

    async fn replace_recovery_codes(
        &self,
        user: &UserId,
        codes: &[RecoveryCode],
        proof: &FactorProof,
        now: Timestamp,
        change: &Change,
    ) -> Result<Proven> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            let known = lock_user(changing.connection(), user).await?;
            if !known || !spend(changing.connection(), user, proof, now).await? {
                return Ok(Proven::ProofSpent);
            }
            replace_codes(&mut changing, user, codes).await?;
            changing.write(change).await?;
            changing.commit().await?;
            Ok(Proven::Done)
        })
        .await
    }

    async fn list(&self, after: Option<&SecondFactorId>, limit: u32) -> Result<Vec<SecondFactor>> {
        let statement = sqlx::query_as(select!("WHERE id > $1 ORDER BY id LIMIT $2"))
            .bind(after.map(SecondFactorId::as_str).unwrap_or_default())
            .bind(i64::from(limit));
        let rows: Vec<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_all(self.pool.reads())).await?;
        rows.into_iter().map(SecondFactor::try_from).collect()
    }

    async fn reseal(&self, id: &SecondFactorId, seen: &[u8], sealed: &[u8]) -> Result<bool> {
        let statement =
            sqlx::query("UPDATE second_factors SET sealed_secret = $1 WHERE id = $2 AND sealed_secret = $3")
                .bind(STANDARD.encode(sealed))
                .bind(id.as_str())
                .bind(STANDARD.encode(seen));
        Ok(within_deadline(self.pool.deadline(), TABLE, self.pool.write(statement)).await? == 1)
    }
}

impl SqlSecondFactors {
    /// What every change of a user's second factor ends with: challenges are void, sessions end, everybody hears of it.
    async fn after(&self, mut changing: Changing, end: &EndAll, change: &Change) -> sqlx::Result<Proven> {
        note_whether_any(changing.connection(), &end.user_id).await?;
        challenges::void_all(changing.connection(), &end.user_id).await?;
        sessions::raise_tokens_valid_from(changing.connection(), end).await?;
        changing.write(change).await?;
        sessions::end_all(changing.connection(), end).await?;
        changing.forget(Invalidation::User(end.user_id.clone()), Some(end.at)).await?;
        changing.commit().await?;
        Ok(Proven::Done)
    }
}

/// Uses a proof up, if nobody else has.
pub(super) async fn spend(
    connection: &mut AnyConnection,
    user: &UserId,
    proof: &FactorProof,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let statement = match proof {
        FactorProof::Totp { device, step } => sqlx::query(
            "UPDATE second_factors SET last_step = $1, last_used_at = $2 \
             WHERE id = $3 AND user_id = $4 AND confirmed_at IS NOT NULL AND last_step < $1",
        )
        .bind(*step)
        .bind(now.as_micros())
        .bind(device.as_str())
        .bind(user.as_str()),
        FactorProof::RecoveryCode(id) => {
            sqlx::query("UPDATE recovery_codes SET used_at = $1 WHERE id = $2 AND user_id = $3 AND used_at IS NULL")
                .bind(now.as_micros())
                .bind(id.0.as_str())
                .bind(user.as_str())
        }
    };
    Ok(statement.execute(connection).await?.rows_affected() == 1)
}

pub(super) async fn has_confirmed(connection: &mut AnyConnection, user: &UserId) -> sqlx::Result<bool> {
    let count: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM second_factors WHERE user_id = $1 AND confirmed_at IS NOT NULL")
            .bind(user.as_str())
            .fetch_one(connection)
            .await?;
    Ok(count > 0)
}

/// Keeps the user's row telling whether there is a confirmed one.
async fn note_whether_any(connection: &mut AnyConnection, user: &UserId) -> sqlx::Result<()> {
    let has_one = has_confirmed(&mut *connection, user).await?;
    sqlx::query("UPDATE users SET has_second_factor = $1 WHERE id = $2")
        .bind(i64::from(has_one))
        .bind(user.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn delete_all(connection: &mut AnyConnection, user: &UserId) -> sqlx::Result<()> {
    for statement in ["DELETE FROM second_factors WHERE user_id = $1", "DELETE FROM recovery_codes WHERE user_id = $1"]
    {
        sqlx::query(statement).bind(user.as_str()).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn replace_codes(changing: &mut Changing, user: &UserId, codes: &[RecoveryCode]) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1")
        .bind(user.as_str())
        .execute(changing.connection())
        .await?;
    for code in codes {
        sqlx::query("INSERT INTO recovery_codes (id, user_id, digest) VALUES ($1, $2, $3)")
            .bind(code.id.0.as_str())
            .bind(user.as_str())
            .bind(code.digest.hex())
            .execute(changing.connection())
            .await?;
    }
    Ok(())
}

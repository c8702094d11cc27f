//! Second factors and recovery codes.

mod row;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sqlx::AnyConnection;

pub(super) use self::row::bind_device;
use self::row::{Row, TABLE, select};
use super::answer::{Deadline, within_deadline};
use super::changing::Changing;
use super::insertion::insertion;
use super::pool::Pool;
use super::user_lock::lock_user;
use super::{challenges, recovery_codes, sessions};
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::factor_proof::{FactorProof, RecoveryCodeId};
use crate::domain::invalidation::Invalidation;
use crate::domain::second_factor::{SecondFactor, SecondFactorId};
use crate::domain::user::UserId;
use crate::storage::Result;
use crate::storage::second_factors::{Confirmation, Proven, RecoveryCode, SecondFactors};
use crate::storage::sessions::EndAll;

#[derive(Clone)]
pub struct SqlSecondFactors {
    pool: Pool,
}

impl SqlSecondFactors {
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

/// In a transaction that is under way.
pub(super) async fn read(
    connection: &mut AnyConnection,
    id: &SecondFactorId,
    deadline: Deadline,
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
            insertion([device], "").execute(changing.connection()).await?;
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
                recovery_codes::replace(&mut changing, user, codes).await?;
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
        recovery_codes::left(&self.pool, user).await
    }

    async fn find_recovery_code(&self, user: &UserId, digests: &[Digest]) -> Result<Option<RecoveryCodeId>> {
        recovery_codes::find(&self.pool, user, digests).await
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
            recovery_codes::replace(&mut changing, user, codes).await?;
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

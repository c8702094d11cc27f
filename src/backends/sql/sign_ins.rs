//! The end of a sign-in, in one transaction.

use async_trait::async_trait;

use super::answer::within_deadline;
use super::challenges;
use super::guesses::forgive;
use super::pool::Pool;
use super::second_factors::spend;
use super::sessions::insert;
use crate::domain::change::Change;
use crate::storage::Result;
use crate::storage::sign_ins::{Completion, SignIn, SignIns};

const TABLE: &str = "sessions";

#[derive(Clone)]
pub struct SqlSignIns {
    pool: Pool,
}

impl SqlSignIns {
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl SignIns for SqlSignIns {
    async fn complete(&self, sign_in: &SignIn, change: &Change) -> Result<Completion> {
        let session = &sign_in.session;
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            // Locks the user's row: who changes the password, switches the user off or adds a device waits until this
            // session is among those that end, or was here first, and then this changes no row.
            let unchanged = sqlx::query(
                "UPDATE users SET last_sign_in_at = $1 \
                 WHERE id = $2 AND is_active = 1 AND password_changed_at = $3 AND has_second_factor <= $4",
            )
            .bind(session.created_at.as_micros())
            .bind(session.user_id.as_str())
            .bind(sign_in.password_changed_at.as_micros())
            .bind(i64::from(sign_in.proof.is_some() || !sign_in.proof_demanded))
            .execute(changing.connection())
            .await?;
            if unchanged.rows_affected() == 0 {
                return Ok(Completion::UserChanged);
            }
            if let Some(challenge) = &sign_in.challenge
                && !challenges::spend(changing.connection(), challenge).await?
            {
                return Ok(Completion::ChallengeSpent);
            }
            if let Some(proof) = &sign_in.proof
                && !spend(changing.connection(), &session.user_id, proof, session.created_at).await?
            {
                return Ok(Completion::ProofSpent);
            }
            insert(changing.connection(), session).await?;
            forgive(changing.connection(), &sign_in.forgiven).await?;
            changing.write(change).await?;
            changing.commit().await?;
            Ok(Completion::Done)
        })
        .await
    }
}

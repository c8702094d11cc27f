//! Recovery codes, by their digests.

use super::answer::{corrupt, within_deadline};
use super::changing::Changing;
use super::insertion::{Insertable, Statement, insertion};
use super::pool::Pool;
use crate::domain::digest::Digest;
use crate::domain::factor_proof::RecoveryCodeId;
use crate::domain::user::UserId;
use crate::storage::Result;
use crate::storage::second_factors::RecoveryCode;

const TABLE: &str = "recovery_codes";

impl<'q> Insertable<'q> for (&'q UserId, &'q RecoveryCode) {
    const TABLE: &'static str = TABLE;
    const COLUMNS: &'static str = "id, user_id, digest";

    fn bind(self, statement: Statement<'q>) -> Statement<'q> {
        let (user, code) = self;
        statement.bind(code.id.0.as_str()).bind(user.as_str()).bind(code.digest.hex())
    }
}

/// How many are not used yet.
pub(super) async fn left(pool: &Pool, user: &UserId) -> Result<u64> {
    let statement = sqlx::query_scalar("SELECT COUNT(*) FROM recovery_codes WHERE user_id = $1 AND used_at IS NULL")
        .bind(user.as_str());
    let count: i64 = within_deadline(pool.deadline(), TABLE, statement.fetch_one(pool.reads())).await?;
    u64::try_from(count).map_err(|_| corrupt(TABLE, "(all)", "a negative count"))
}

/// The first one that is not used yet.
pub(super) async fn find(pool: &Pool, user: &UserId, digests: &[Digest]) -> Result<Option<RecoveryCodeId>> {
    for digest in digests {
        let statement = sqlx::query_scalar(
            "SELECT id FROM recovery_codes WHERE user_id = $1 AND digest = $2 AND used_at IS NULL ORDER BY id LIMIT 1",
        )
        .bind(user.as_str())
        .bind(digest.hex());
        let found: Option<String> =
            within_deadline(pool.deadline(), TABLE, statement.fetch_optional(pool.reads())).await?;
        if found.is_some() {
            return Ok(found.map(RecoveryCodeId));
        }
    }
    Ok(None)
}

/// Puts new ones in the place of all that there are.
pub(super) async fn replace(changing: &mut Changing, user: &UserId, codes: &[RecoveryCode]) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1")
        .bind(user.as_str())
        .execute(changing.connection())
        .await?;
    for code in codes {
        insertion([(user, code)], "").execute(changing.connection()).await?;
    }
    Ok(())
}

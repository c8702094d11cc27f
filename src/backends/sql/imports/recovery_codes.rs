//! Recovery codes that are taken over.

use std::collections::HashSet;

use sqlx::AssertSqlSafe;

use super::SqlImporting;
use crate::backends::sql::insertion::{insertion, places};
use crate::domain::clock::Timestamp;
use crate::domain::user::UserId;
use crate::storage::Result;
use crate::storage::second_factors::RecoveryCode;

pub async fn insert(importing: &mut SqlImporting, codes: &[(UserId, RecoveryCode)]) -> Result<HashSet<String>> {
    if codes.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = codes.iter().map(|(user, code)| (user, code));
    importing.ids(insertion(rows, "ON CONFLICT DO NOTHING RETURNING id")).await
}

/// Uses up those that are not used yet.
pub async fn spend(importing: &mut SqlImporting, ids: &[String], now: Timestamp) -> Result<u64> {
    if ids.is_empty() {
        return Ok(0);
    }
    let (time_place, places) = (ids.len() + 1, places(1, ids.len()));
    let text = format!("UPDATE recovery_codes SET used_at = ${time_place} WHERE used_at IS NULL AND id IN {places}");
    let statement = ids.iter().fold(sqlx::query(AssertSqlSafe(text)), |statement, id| statement.bind(id.as_str()));
    importing.run(statement.bind(now.as_micros())).await
}

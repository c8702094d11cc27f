//! Second factors that are taken over.

use std::collections::HashSet;

use super::{DEADLINE, SqlImporting};
use crate::backends::sql::insertion::insertion;
use crate::backends::sql::second_factors;
use crate::domain::clock::Timestamp;
use crate::domain::invalidation::Invalidation;
use crate::domain::second_factor::{SecondFactor, SecondFactorId};
use crate::domain::user::UserId;
use crate::storage::Result;

/// Of more users than this nobody is told that they have a second factor now: nodes notice by the age of what they know.
const MOST_TOLD: usize = 1000;

pub async fn find(importing: &mut SqlImporting, ids: &[SecondFactorId]) -> Result<Vec<SecondFactor>> {
    let mut found = Vec::new();
    for id in ids {
        found.extend(second_factors::read(importing.changing.connection(), id, DEADLINE).await?);
    }
    Ok(found)
}

pub async fn insert(importing: &mut SqlImporting, devices: &[SecondFactor]) -> Result<HashSet<String>> {
    if devices.is_empty() {
        return Ok(HashSet::new());
    }
    importing.ids(insertion(devices, "ON CONFLICT DO NOTHING RETURNING id")).await
}

pub async fn update(importing: &mut SqlImporting, device: &SecondFactor, now: Timestamp) -> Result<()> {
    let statement = sqlx::query(
        "UPDATE second_factors SET name = $1, sealed_secret = $2, algorithm = $3, digits = $4, period = $5, t0 = $6, \
         tolerance = $7, drift = $8, last_step = $9, confirmed_at = $10, last_used_at = $11 WHERE id = $12",
    );
    let statement = second_factors::bind_device(device, statement)
        .bind(device.confirmed_at.map(Timestamp::as_micros))
        .bind(device.last_used_at.map(Timestamp::as_micros))
        .bind(device.id.as_str());
    importing.run(statement).await?;
    importing.tell(Invalidation::User(device.user_id.clone()), now);
    Ok(())
}

/// Brings up to date, for all users, whether they have one.
pub async fn note_who_has_one(importing: &mut SqlImporting, now: Timestamp) -> Result<()> {
    let statement = sqlx::query(
        "UPDATE users SET has_second_factor = 1 - has_second_factor WHERE has_second_factor <> \
         (CASE WHEN EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = users.id AND f.confirmed_at IS NOT NULL) \
         THEN 1 ELSE 0 END) RETURNING id",
    );
    let changed = importing.ids(statement).await?;
    if changed.len() <= MOST_TOLD {
        for id in changed {
            importing.tell(Invalidation::User(UserId(id)), now);
        }
    }
    Ok(())
}

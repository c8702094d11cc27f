//! API keys that are taken over, with their slow hashes.

use std::collections::HashSet;

use super::{DEADLINE, SqlImporting, TABLE};
use crate::backends::sql::answer::within_deadline;
use crate::backends::sql::api_keys;
use crate::backends::sql::insertion::{Insertable, Statement, insertion};
use crate::domain::api_key::ApiKeyId;
use crate::domain::clock::Timestamp;
use crate::domain::invalidation::Invalidation;
use crate::domain::key_owner::KeyOwner;
use crate::domain::user::PasswordHash;
use crate::storage::Result;
use crate::storage::imports::ImportedKey;

impl<'q> Insertable<'q> for (&'q ApiKeyId, &'q PasswordHash) {
    const TABLE: &'static str = "slow_api_keys";
    const COLUMNS: &'static str = "key_id, hash";

    fn bind(self, statement: Statement<'q>) -> Statement<'q> {
        let (id, hash) = self;
        statement.bind(id.as_str()).bind(hash.text())
    }
}

pub async fn find(importing: &mut SqlImporting, ids: &[ApiKeyId]) -> Result<Vec<ImportedKey>> {
    let mut found = Vec::new();
    for id in ids {
        if importing.locks {
            importing.run(sqlx::query("UPDATE api_keys SET id = id WHERE id = $1").bind(id.as_str())).await?;
        }
        let Some(key) = api_keys::read(importing.changing.connection(), id, DEADLINE).await? else { continue };
        let slow = sqlx::query_scalar("SELECT hash FROM slow_api_keys WHERE key_id = $1").bind(id.as_str());
        let slow: Option<String> =
            within_deadline(DEADLINE, TABLE, slow.fetch_optional(importing.changing.connection())).await?;
        found.push(ImportedKey { key, slow_hash: slow.map(PasswordHash::new) });
    }
    Ok(found)
}

pub async fn insert(importing: &mut SqlImporting, keys: &[ImportedKey]) -> Result<HashSet<String>> {
    if keys.is_empty() {
        return Ok(HashSet::new());
    }
    let statement = insertion(keys.iter().map(|imported| &imported.key), "ON CONFLICT DO NOTHING RETURNING id");
    let inserted = importing.ids(statement).await?;
    let slow: Vec<(&ApiKeyId, &PasswordHash)> = keys
        .iter()
        .filter(|imported| inserted.contains(imported.key.id.as_str()))
        .filter_map(|imported| Some((&imported.key.id, imported.slow_hash.as_ref()?)))
        .collect();
    if !slow.is_empty() {
        importing.run(insertion(slow, "")).await?;
    }
    Ok(inserted)
}

pub async fn update(
    importing: &mut SqlImporting,
    ImportedKey { key, slow_hash }: &ImportedKey,
    now: Timestamp,
) -> Result<()> {
    let statement = sqlx::query(
        "UPDATE api_keys SET digest = $1, name = $2, owner_service = $3, expires_at = $4, revoked_at = $5, \
         revoked_reason = $6 WHERE id = $7",
    )
    .bind(key.digest.hex())
    .bind(key.name.as_str())
    .bind(match &key.owner {
        KeyOwner::Service(name) => Some(name.as_str()),
        KeyOwner::User(_) => None,
    })
    .bind(key.expires_at.map(Timestamp::as_micros))
    .bind(key.revoked.as_ref().map(|(at, _)| at.as_micros()))
    .bind(key.revoked.as_ref().map(|(_, reason)| reason.as_str()))
    .bind(key.id.as_str());
    importing.run(statement).await?;
    importing.run(sqlx::query("DELETE FROM slow_api_keys WHERE key_id = $1").bind(key.id.as_str())).await?;
    if let Some(hash) = slow_hash {
        importing.run(insertion([(&key.id, hash)], "")).await?;
    }
    importing.tell(Invalidation::ApiKey(key.id.clone()), now);
    Ok(())
}

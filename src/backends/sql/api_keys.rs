//! API keys, by the digest of the whole key.

use std::sync::Arc;

use async_trait::async_trait;

use super::answer::{corrupt, is_unheard_of, within_deadline};
use super::changing::Changing;
use super::pool::Pool;
use super::users::{containing, literally};
use crate::domain::api_key::{ApiKey, ApiKeyId, KeyChanges, KeyOwner, KeyQuery};
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::invalidation::Invalidation;
use crate::domain::scope::ScopeSet;
use crate::domain::user::UserId;
use crate::storage::api_keys::ApiKeys;
use crate::storage::users::Insert;
use crate::storage::{Result, StoreError};

const TABLE: &str = "api_keys";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, prefix, digest, name, owner_user, owner_service, scopes, created_at, expires_at, revoked_at, ",
            "revoked_reason, replaced_by FROM api_keys ",
            $rest
        )
    };
}

#[derive(Clone)]
pub struct SqlApiKeys {
    pool: Pool,
}

impl SqlApiKeys {
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    prefix: String,
    digest: String,
    name: String,
    owner_user: Option<String>,
    owner_service: Option<String>,
    scopes: String,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    revoked_reason: Option<String>,
    replaced_by: Option<String>,
}

impl TryFrom<Row> for ApiKey {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let owner = match (row.owner_user, row.owner_service) {
            (Some(user), None) => KeyOwner::User(UserId(user)),
            (None, Some(service)) => KeyOwner::Service(service),
            _ => return Err(corrupt(TABLE, &row.id, "neither one owner nor the other")),
        };
        let revoked = match (row.revoked_at, row.revoked_reason) {
            (None, None) => None,
            (Some(at), Some(reason)) => Some((Timestamp::from_micros(at), reason)),
            _ => return Err(corrupt(TABLE, &row.id, "revoked_at and revoked_reason contradict each other")),
        };
        let digest = Digest::from_hex(&row.digest).ok_or_else(|| corrupt(TABLE, &row.id, "digest is no digest"))?;
        let scopes = ScopeSet::parse(&row.scopes).map_err(|_| corrupt(TABLE, &row.id, "scopes holds no scopes"))?;
        Ok(Self {
            id: ApiKeyId(row.id),
            prefix: row.prefix,
            digest,
            name: row.name,
            owner,
            scopes,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: row.expires_at.map(Timestamp::from_micros),
            revoked,
            replaced_by: row.replaced_by.map(ApiKeyId),
        })
    }
}

#[async_trait]
impl ApiKeys for SqlApiKeys {
    async fn insert(&self, key: &ApiKey, change: &Change) -> Result<Insert> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            if !insert(&mut changing, key).await? {
                return Ok(Insert::Taken);
            }
            changing.write(change).await?;
            // Nodes may remember that there was no such key.
            changing.forget(Invalidation::ApiKey(key.id.clone()), Some(key.created_at)).await?;
            changing.commit().await?;
            Ok(Insert::Done)
        })
        .await
    }

    async fn find_by_digest(&self, digest: &Digest) -> Result<Option<Arc<ApiKey>>> {
        let statement = sqlx::query_as(select!("WHERE digest = $1")).bind(digest.hex());
        let row: Option<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_optional(self.pool.reads())).await?;
        Ok(row.map(ApiKey::try_from).transpose()?.map(Arc::new))
    }

    async fn find(&self, id: &ApiKeyId) -> Result<Option<ApiKey>> {
        if is_unheard_of(id.as_str()) {
            return Ok(None);
        }
        let statement = sqlx::query_as(select!("WHERE id = $1")).bind(id.as_str());
        let row: Option<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_optional(self.pool.reads())).await?;
        row.map(ApiKey::try_from).transpose()
    }

    async fn find_by_prefix(&self, prefix: &str) -> Result<Option<ApiKey>> {
        if is_unheard_of(prefix) {
            return Ok(None);
        }
        let statement = sqlx::query_as(select!("WHERE prefix = $1")).bind(prefix);
        let row: Option<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_optional(self.pool.reads())).await?;
        row.map(ApiKey::try_from).transpose()
    }

    async fn list(&self, query: &KeyQuery) -> Result<Vec<ApiKey>> {
        let (before, before_id) = match &query.before {
            Some((at, id)) => (at.as_micros(), id.as_str()),
            None => (i64::MAX, ""),
        };
        let (user, service) = query.owner.as_ref().map_or((None, None), owner_columns);
        if [user, service, query.search.as_deref(), Some(before_id)].into_iter().flatten().any(is_unheard_of) {
            return Ok(Vec::new());
        }
        // The id decides between keys of one instant, or pages could repeat one and leave out another. What is empty is
        // not asked for.
        let statement = sqlx::query_as(select!(
            "WHERE (created_at < $1 OR (created_at = $1 AND id < $2)) AND ($3 = '' OR owner_user = $3) \
             AND ($4 = '' OR owner_service = $4) AND ($5 = '' OR lower(name) LIKE $5 ESCAPE '\\' \
             OR lower(prefix) LIKE $6 ESCAPE '\\') AND ($7 = 1 OR revoked_at IS NULL) \
             ORDER BY created_at DESC, id DESC LIMIT $8"
        ))
        .bind(before)
        .bind(before_id.to_owned())
        .bind(user.unwrap_or_default().to_owned())
        .bind(service.unwrap_or_default().to_owned())
        .bind(query.search.as_deref().map(containing).unwrap_or_default())
        .bind(query.search.as_deref().map(|text| format!("{}%", literally(text))).unwrap_or_default())
        .bind(i64::from(query.revoked))
        .bind(i64::from(query.limit));
        let rows: Vec<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_all(self.pool.reads())).await?;
        rows.into_iter().map(ApiKey::try_from).collect()
    }

    async fn update(&self, id: &ApiKeyId, changes: &KeyChanges, now: Timestamp, change: &Change) -> Result<bool> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            let known = sqlx::query("UPDATE api_keys SET id = id WHERE id = $1 AND revoked_at IS NULL")
                .bind(id.as_str())
                .execute(changing.connection())
                .await?;
            if known.rows_affected() == 0 {
                return Ok(false);
            }
            let scopes = changes.scopes.as_ref().map(ToString::to_string);
            for (statement, text) in [
                ("UPDATE api_keys SET name = $1 WHERE id = $2", changes.name.as_deref()),
                ("UPDATE api_keys SET scopes = $1 WHERE id = $2", scopes.as_deref()),
            ] {
                if let Some(text) = text {
                    sqlx::query(statement).bind(text).bind(id.as_str()).execute(changing.connection()).await?;
                }
            }
            if let Some(expires_at) = changes.expires_at {
                sqlx::query("UPDATE api_keys SET expires_at = $1 WHERE id = $2")
                    .bind(expires_at.map(Timestamp::as_micros))
                    .bind(id.as_str())
                    .execute(changing.connection())
                    .await?;
            }
            changing.write(change).await?;
            changing.forget(Invalidation::ApiKey(id.clone()), Some(now)).await?;
            changing.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn rotate(
        &self,
        old: &ApiKeyId,
        old_until: Timestamp,
        successor: &ApiKey,
        change: &Change,
    ) -> Result<Option<Insert>> {
        let now = successor.created_at;
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            let rotated = sqlx::query(
                "UPDATE api_keys SET replaced_by = $1, \
                 expires_at = CASE WHEN expires_at < $2 THEN expires_at ELSE $2 END \
                 WHERE id = $3 AND revoked_at IS NULL AND replaced_by IS NULL AND (expires_at IS NULL OR expires_at > $4) \
                 AND scopes = $5",
            )
            .bind(successor.id.as_str())
            .bind(old_until.as_micros())
            .bind(old.as_str())
            .bind(now.as_micros())
            .bind(successor.scopes.to_string())
            .execute(changing.connection())
            .await?;
            if rotated.rows_affected() == 0 {
                return Ok(None);
            }
            if !insert(&mut changing, successor).await? {
                return Ok(Some(Insert::Taken));
            }
            changing.write(change).await?;
            changing.forget(Invalidation::ApiKey(old.clone()), Some(now)).await?;
            changing.forget(Invalidation::ApiKey(successor.id.clone()), Some(now)).await?;
            changing.commit().await?;
            Ok(Some(Insert::Done))
        })
        .await
    }

    async fn revoke(&self, id: &ApiKeyId, reason: &str, now: Timestamp, change: &Change) -> Result<bool> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            let done = sqlx::query(
                "UPDATE api_keys SET revoked_at = $1, revoked_reason = $2 WHERE id = $3 AND revoked_at IS NULL",
            )
            .bind(now.as_micros())
            .bind(reason)
            .bind(id.as_str())
            .execute(changing.connection())
            .await?;
            if done.rows_affected() == 0 {
                return Ok(false);
            }
            changing.write(change).await?;
            changing.forget(Invalidation::ApiKey(id.clone()), Some(now)).await?;
            changing.commit().await?;
            Ok(true)
        })
        .await
    }
}

/// The columns of an owner: of a user, or of a service.
fn owner_columns(owner: &KeyOwner) -> (Option<&str>, Option<&str>) {
    match owner {
        KeyOwner::User(id) => (Some(id.as_str()), None),
        KeyOwner::Service(name) => (None, Some(name.as_str())),
    }
}

/// `false` when its id, prefix or digest is taken.
async fn insert(changing: &mut Changing, key: &ApiKey) -> sqlx::Result<bool> {
    let (user, service) = owner_columns(&key.owner);
    let done = sqlx::query(
        "INSERT INTO api_keys (id, prefix, digest, name, owner_user, owner_service, scopes, created_at, \
         expires_at, revoked_at, revoked_reason, replaced_by) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING",
    )
    .bind(key.id.as_str())
    .bind(key.prefix.as_str())
    .bind(key.digest.hex())
    .bind(key.name.as_str())
    .bind(user)
    .bind(service)
    .bind(key.scopes.to_string())
    .bind(key.created_at.as_micros())
    .bind(key.expires_at.map(Timestamp::as_micros))
    .bind(key.revoked.as_ref().map(|(at, _)| at.as_micros()))
    .bind(key.revoked.as_ref().map(|(_, reason)| reason.as_str()))
    .bind(key.replaced_by.as_ref().map(ApiKeyId::as_str))
    .execute(changing.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

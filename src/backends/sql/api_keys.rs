//! API keys, by the digest of the whole key.

use std::sync::Arc;

use async_trait::async_trait;

use super::answer::{corrupt, within_deadline};
use super::invalidations::record;
use super::pool::Pool;
use crate::domain::api_key::{ApiKey, ApiKeyId, KeyOwner};
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
            "revoked_reason FROM api_keys ",
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
        })
    }
}

#[async_trait]
impl ApiKeys for SqlApiKeys {
    async fn insert(&self, key: &ApiKey) -> Result<Insert> {
        let (user, service) = match &key.owner {
            KeyOwner::User(id) => (Some(id.as_str()), None),
            KeyOwner::Service(name) => (None, Some(name.as_str())),
        };
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut transaction = self.pool.begin().await?;
            let done = sqlx::query(
                "INSERT INTO api_keys (id, prefix, digest, name, owner_user, owner_service, scopes, created_at, \
                 expires_at, revoked_at, revoked_reason) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
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
            .execute(&mut *transaction)
            .await?;
            if done.rows_affected() == 0 {
                return Ok(Insert::Taken);
            }
            // Nodes may remember that there was no such key.
            record(&mut transaction, &Invalidation::ApiKey(key.id.clone()), Some(key.created_at)).await?;
            transaction.commit().await?;
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
        let statement = sqlx::query_as(select!("WHERE id = $1")).bind(id.as_str());
        let row: Option<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_optional(self.pool.reads())).await?;
        row.map(ApiKey::try_from).transpose()
    }

    async fn find_by_prefix(&self, prefix: &str) -> Result<Option<ApiKey>> {
        let statement = sqlx::query_as(select!("WHERE prefix = $1")).bind(prefix);
        let row: Option<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_optional(self.pool.reads())).await?;
        row.map(ApiKey::try_from).transpose()
    }

    async fn list(&self, offset: u32, limit: u32) -> Result<Vec<ApiKey>> {
        // The id decides between keys of one instant, or pages could repeat one and leave out another.
        let statement = sqlx::query_as(select!("ORDER BY created_at DESC, id DESC LIMIT $1 OFFSET $2"))
            .bind(i64::from(limit))
            .bind(i64::from(offset));
        let rows: Vec<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_all(self.pool.reads())).await?;
        rows.into_iter().map(ApiKey::try_from).collect()
    }

    async fn revoke(&self, id: &ApiKeyId, reason: &str, now: Timestamp) -> Result<bool> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut transaction = self.pool.begin().await?;
            let done = sqlx::query(
                "UPDATE api_keys SET revoked_at = $1, revoked_reason = $2 WHERE id = $3 AND revoked_at IS NULL",
            )
            .bind(now.as_micros())
            .bind(reason)
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await?;
            if done.rows_affected() == 0 {
                return Ok(false);
            }
            record(&mut transaction, &Invalidation::ApiKey(id.clone()), Some(now)).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }
}

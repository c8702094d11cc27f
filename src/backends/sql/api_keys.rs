//! API keys, by the digest of the whole key.

mod row;

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::AnyConnection;

use self::row::{Row, TABLE, owner_columns, select, signed};
use super::answer::{Deadline, is_unheard_of, within_deadline};
use super::changing::Changing;
use super::insertion::insertion;
use super::like::{containing, literally};
use super::pool::Pool;
use crate::domain::api_key::{ApiKey, ApiKeyId, KeyChanges, KeyQuery};
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::invalidation::Invalidation;
use crate::domain::key_tally::KeyUse;
use crate::domain::labels::Label;
use crate::storage::Result;
use crate::storage::api_keys::ApiKeys;
use crate::storage::users::Insert;

#[derive(Clone)]
pub struct SqlApiKeys {
    pool: Pool,
}

impl SqlApiKeys {
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

/// In a transaction that is under way.
pub(super) async fn read(connection: &mut AnyConnection, id: &ApiKeyId, deadline: Deadline) -> Result<Option<ApiKey>> {
    let statement = sqlx::query_as(select!("WHERE id = $1")).bind(id.as_str());
    let row: Option<Row> = within_deadline(deadline, TABLE, statement.fetch_optional(connection)).await?;
    row.map(ApiKey::try_from).transpose()
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
        // not asked for. LIKE of SQLite takes upper and lower case for the same, so labels are looked for by replacing them.
        let statement = sqlx::query_as(select!(
            "WHERE (created_at < $1 OR (created_at = $1 AND id < $2)) AND ($3 = '' OR owner_user = $3) \
             AND ($4 = '' OR owner_service = $4) AND ($5 = '' OR lower(name) LIKE $5 ESCAPE '\\' \
             OR lower(prefix) LIKE $6 ESCAPE '\\') AND ($7 = 1 OR revoked_at IS NULL) \
             AND ($8 = '' OR replace(labels, $8, '') <> labels) ORDER BY created_at DESC, id DESC LIMIT $9"
        ))
        .bind(before)
        .bind(before_id.to_owned())
        .bind(user.unwrap_or_default().to_owned())
        .bind(service.unwrap_or_default().to_owned())
        .bind(query.search.as_deref().map(containing).unwrap_or_default())
        .bind(query.search.as_deref().map(|text| format!("{}%", literally(text))).unwrap_or_default())
        .bind(i64::from(query.revoked))
        .bind(query.label.as_ref().map(Label::stored).unwrap_or_default())
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
            // Locked by now: what is not changed stays as it is at this moment.
            let row: Row = sqlx::query_as(select!("WHERE id = $1"))
                .bind(id.as_str())
                .fetch_one(changing.connection())
                .await?;
            let Ok(before) = ApiKey::try_from(row) else { return Ok(false) };
            let after = changes.applied_to(&before);
            sqlx::query(
                "UPDATE api_keys SET name = $1, scopes = $2, expires_at = $3, networks = $4, routes = $5, methods = $6, \
                 idle_days = $7, rate = $8, quota = $9, labels = $10 WHERE id = $11",
            )
            .bind(after.name.as_str())
            .bind(after.scopes.to_string())
            .bind(after.expires_at.map(Timestamp::as_micros))
            .bind(after.terms.reach.networks.to_string())
            .bind(after.terms.reach.routes.to_string())
            .bind(after.terms.reach.methods.to_string())
            .bind(after.terms.idle.map(|days| i64::from(days.get())))
            .bind(after.terms.rate.map(|rate| rate.to_string()))
            .bind(after.terms.quota.map(|quota| quota.to_string()))
            .bind(after.terms.labels.stored())
            .bind(id.as_str())
            .execute(changing.connection())
            .await?;
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
                "UPDATE api_keys SET replaced_by = $1, replaced_at = $4, uses_when_replaced = use_count, \
                 expires_at = CASE WHEN expires_at < $2 THEN expires_at ELSE $2 END \
                 WHERE id = $3 AND revoked_at IS NULL AND replaced_by IS NULL AND (expires_at IS NULL OR expires_at > $4) \
                 AND scopes = $5 AND networks = $6 AND routes = $7 AND methods = $8",
            )
            .bind(successor.id.as_str())
            .bind(old_until.as_micros())
            .bind(old.as_str())
            .bind(now.as_micros())
            .bind(successor.scopes.to_string())
            .bind(successor.terms.reach.networks.to_string())
            .bind(successor.terms.reach.routes.to_string())
            .bind(successor.terms.reach.methods.to_string())
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

    async fn add_uses(&self, uses: &[KeyUse]) -> Result<()> {
        // In one order for everybody: two nodes that report on the same keys must not wait for each other.
        let mut uses: Vec<&KeyUse> = uses.iter().collect();
        uses.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut transaction = self.pool.begin().await?;
            for KeyUse { id, count, last_at } in uses {
                sqlx::query(
                    "UPDATE api_keys SET use_count = use_count + $1, \
                     last_used_at = CASE WHEN last_used_at >= $2 THEN last_used_at ELSE $2 END WHERE id = $3",
                )
                .bind(signed(*count))
                .bind(last_at.as_micros())
                .bind(id.as_str())
                .execute(&mut *transaction)
                .await?;
            }
            transaction.commit().await?;
            Ok(())
        })
        .await
    }
}

/// `false` when its id, prefix or digest is taken.
async fn insert(changing: &mut Changing, key: &ApiKey) -> sqlx::Result<bool> {
    let done = insertion([key], "ON CONFLICT DO NOTHING").execute(changing.connection()).await?;
    Ok(done.rows_affected() == 1)
}

//! API keys, by the digest of the whole key.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::AnyConnection;

use super::answer::{corrupt, is_unheard_of, within_deadline};
use super::changing::Changing;
use super::pool::Pool;
use super::users::{containing, literally};
use crate::domain::api_key::{
    ApiKey, ApiKeyId, IdleDays, KeyChanges, KeyOwner, KeyQuery, KeyTerms, KeyUsage, Replacement,
};
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::invalidation::Invalidation;
use crate::domain::key_reach::{KeyReach, MethodNames, RouteNames};
use crate::domain::key_tally::KeyUse;
use crate::domain::labels::{Label, Labels};
use crate::domain::network_set::NetworkSet;
use crate::domain::rate::{Quota, Rate};
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
            "revoked_reason, replaced_by, networks, routes, methods, idle_days, rate, quota, labels, last_used_at, ",
            "use_count, replaced_at, uses_when_replaced FROM api_keys ",
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
    networks: String,
    routes: String,
    methods: String,
    idle_days: Option<i64>,
    rate: Option<String>,
    quota: Option<String>,
    labels: String,
    last_used_at: Option<i64>,
    use_count: i64,
    replaced_at: Option<i64>,
    uses_when_replaced: Option<i64>,
}

impl Row {
    /// `None` when one of them cannot be read: a key whose limits are not understood is none.
    fn terms(&self) -> Option<KeyTerms> {
        let days = self.idle_days.map(|days| u64::try_from(days).ok().and_then(IdleDays::new).ok_or(()));
        Some(KeyTerms {
            reach: KeyReach {
                networks: NetworkSet::parse(&self.networks).ok()?,
                routes: RouteNames::parse(&self.routes).ok()?,
                methods: MethodNames::parse(&self.methods).ok()?,
            },
            idle: days.transpose().ok()?,
            rate: self.rate.as_deref().map(Rate::parse).transpose().ok()?,
            quota: self.quota.as_deref().map(Quota::parse).transpose().ok()?,
            labels: Labels::from_stored(&self.labels)?,
        })
    }

    fn replaced(&self) -> Option<Replacement> {
        let by = ApiKeyId(self.replaced_by.clone()?);
        let at = self.replaced_at.zip(self.uses_when_replaced);
        Some(Replacement { by, at: at.map(|(at, uses)| (Timestamp::from_micros(at), unsigned(uses))) })
    }
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl TryFrom<Row> for ApiKey {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let terms = row.terms().ok_or_else(|| corrupt(TABLE, &row.id, "a limit or label cannot be read"))?;
        let replaced = row.replaced();
        let usage = KeyUsage { last_at: row.last_used_at.map(Timestamp::from_micros), count: unsigned(row.use_count) };
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
            replaced,
            terms,
            usage,
        })
    }
}

/// In a transaction that is under way.
pub(super) async fn read(connection: &mut AnyConnection, id: &ApiKeyId, deadline: Duration) -> Result<Option<ApiKey>> {
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
         expires_at, revoked_at, revoked_reason, replaced_by, replaced_at, uses_when_replaced, networks, routes, methods, \
         idle_days, rate, quota, labels, last_used_at, use_count) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23) \
         ON CONFLICT DO NOTHING",
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
    .bind(key.replaced.as_ref().map(|replaced| replaced.by.as_str()))
    .bind(key.replaced.as_ref().and_then(|replaced| replaced.at).map(|(at, _)| at.as_micros()))
    .bind(key.replaced.as_ref().and_then(|replaced| replaced.at).map(|(_, uses)| signed(uses)))
    .bind(key.terms.reach.networks.to_string())
    .bind(key.terms.reach.routes.to_string())
    .bind(key.terms.reach.methods.to_string())
    .bind(key.terms.idle.map(|days| i64::from(days.get())))
    .bind(key.terms.rate.map(|rate| rate.to_string()))
    .bind(key.terms.quota.map(|quota| quota.to_string()))
    .bind(key.terms.labels.stored())
    .bind(key.usage.last_at.map(Timestamp::as_micros))
    .bind(signed(key.usage.count))
    .execute(changing.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

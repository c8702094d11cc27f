//! What happened, newest first.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection};
use tokio::sync::Semaphore;

use super::answer::{corrupt, is_unheard_of, within_deadline};
use super::pool::Pool;
use crate::domain::api_key::ApiKeyId;
use crate::domain::audit::{Actor, AuditAction, AuditEvent, AuditId, AuditQuery, Initiator, StoredOutcome};
use crate::domain::clock::Timestamp;
use crate::domain::session::SessionId;
use crate::domain::user::UserId;
use crate::storage::audit::AuditTrail;
use crate::storage::{Result, StoreError};

const TABLE: &str = "audit";

/// Greater than any id.
const AFTER_ALL: &str = "g";

macro_rules! select {
    ($more:literal) => {
        concat!(
            "SELECT id, at, action, reason, actor, actor_key, actor_session, address, user_agent, request_id, user_id, ",
            "object, detail FROM audit WHERE ($1 = '' OR id < $1) AND ($2 = '' OR actor = $2) ",
            "AND ($3 = '' OR action = $3) AND ($4 = '' OR object = $4) AND ($5 = '' OR request_id = $5) ",
            "AND at >= $6 AND at < $7 AND id >= $10 AND id < $11 ",
            "AND ($8 = -1 OR ($8 = 1 AND reason IS NULL) OR ($8 = 0 AND reason IS NOT NULL)) ",
            $more,
            "ORDER BY id DESC LIMIT $9"
        )
    };
}

#[derive(Clone)]
pub struct SqlAuditTrail {
    pool: Pool,
    lists: Arc<Semaphore>,
}

impl SqlAuditTrail {
    pub fn new(pool: Pool) -> Self {
        Self { pool, lists: Arc::new(Semaphore::new(1)) }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    at: i64,
    action: String,
    reason: Option<String>,
    actor: String,
    actor_key: Option<String>,
    actor_session: Option<String>,
    address: String,
    user_agent: String,
    request_id: String,
    user_id: Option<String>,
    object: String,
    detail: String,
}

impl TryFrom<Row> for AuditEvent {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            at: Timestamp::from_micros(row.at),
            action: AuditAction::parse(&row.action).ok_or_else(|| corrupt(TABLE, &row.id, "unknown action"))?,
            outcome: row.reason.map_or(StoredOutcome::Done, StoredOutcome::Refused),
            initiator: Initiator {
                actor: Actor::parse(&row.actor).ok_or_else(|| corrupt(TABLE, &row.id, "unknown actor"))?,
                key_id: row.actor_key.map(ApiKeyId),
                session_id: row.actor_session.map(SessionId),
                address: row.address,
                user_agent: row.user_agent,
                request_id: row.request_id,
            },
            user: row.user_id.map(UserId),
            object: row.object,
            detail: row.detail,
            id: AuditId(row.id),
        })
    }
}

fn insertion(event: &AuditEvent) -> Query<'_, Any, AnyArguments> {
    let reason = match &event.outcome {
        StoredOutcome::Done => None,
        StoredOutcome::Refused(reason) => Some(reason.as_str()),
    };
    let initiator = &event.initiator;
    sqlx::query(
        "INSERT INTO audit (id, at, action, reason, actor, actor_key, actor_session, address, user_agent, \
         request_id, user_id, object, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(event.id.0.as_str())
    .bind(event.at.as_micros())
    .bind(event.action.as_str())
    .bind(reason)
    .bind(initiator.actor.as_text())
    .bind(initiator.key_id.as_ref().map(ApiKeyId::as_str))
    .bind(initiator.session_id.as_ref().map(SessionId::as_str))
    .bind(initiator.address.as_str())
    .bind(initiator.user_agent.as_str())
    .bind(initiator.request_id.as_str())
    .bind(event.user.as_ref().map(UserId::as_str))
    .bind(event.object.as_str())
    .bind(event.detail.as_str())
}

/// Writes an event in the transaction of what it tells of.
pub(super) async fn insert(connection: &mut AnyConnection, event: &AuditEvent) -> sqlx::Result<()> {
    insertion(event).execute(connection).await?;
    Ok(())
}

#[async_trait]
impl AuditTrail for SqlAuditTrail {
    async fn append(&self, event: &AuditEvent) -> Result<()> {
        within_deadline(self.pool.deadline(), TABLE, self.pool.write(insertion(event))).await?;
        Ok(())
    }

    async fn list(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>> {
        let actor = query.actor.as_ref().map(Actor::as_text);
        let asked = [
            query.user.as_ref().map(UserId::as_str),
            query.request_id.as_deref(),
            query.object.as_deref(),
            query.before.as_ref().map(|id| id.0.as_str()),
            actor.as_deref(),
        ];
        if asked.into_iter().flatten().any(is_unheard_of) {
            return Ok(Vec::new());
        }
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        // One statement for each filter that an index helps with: of what is asked for there may be little among much.
        let (statement, first, second) = match query {
            AuditQuery { user: Some(user), .. } => (
                select!(
                    "AND id IN (SELECT id FROM audit WHERE user_id = $12 UNION SELECT id FROM audit WHERE actor = $13) "
                ),
                user.as_str().to_owned(),
                Actor::User(user.clone()).as_text(),
            ),
            AuditQuery { request_id: Some(id), .. } => {
                (select!("AND request_id = $12 AND $13 = '' "), id.clone(), String::new())
            }
            AuditQuery { object: Some(object), .. } => {
                (select!("AND object = $12 AND $13 = '' "), object.clone(), String::new())
            }
            AuditQuery { actor: Some(actor), .. } => {
                (select!("AND actor = $12 AND $13 = '' "), actor.as_text(), String::new())
            }
            _ => (select!("AND $12 = $13 "), String::new(), String::new()),
        };
        // What is empty, or -1, is not asked for: one statement for every combination with the others. Ids tell the time, so
        // that a time is a part of the table.
        let statement = sqlx::query_as(statement)
            .bind(text(query.before.as_ref().map(|id| id.0.as_str())))
            .bind(text(actor.as_deref()))
            .bind(text(query.action.map(AuditAction::as_str)))
            .bind(text(query.object.as_deref()))
            .bind(text(query.request_id.as_deref()))
            .bind(query.since.map_or(i64::MIN, Timestamp::as_micros))
            .bind(query.until.map_or(i64::MAX, Timestamp::as_micros))
            .bind(query.done.map_or(-1, i64::from))
            .bind(i64::from(query.limit))
            .bind(query.since.map(|since| AuditId::at_or_after(since).0).unwrap_or_default())
            .bind(
                query
                    .until
                    .map_or(AFTER_ALL.to_owned(), |until| AuditId::at_or_after(until.plus(Duration::from_millis(1))).0),
            )
            .bind(first)
            .bind(second);
        let rows: Vec<Row> = within_deadline(self.pool.deadline(), TABLE, async {
            // A list may look at much of a long table: one at a time, so that it never takes all the readers.
            let _one = self.lists.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
            statement.fetch_all(self.pool.reads()).await
        })
        .await?;
        rows.into_iter().map(AuditEvent::try_from).collect()
    }

    async fn delete_before(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let statement = sqlx::query(
            "DELETE FROM audit WHERE at < $1 AND id IN (SELECT id FROM audit WHERE at < $1 ORDER BY id LIMIT $2)",
        )
        .bind(before.as_micros())
        .bind(i64::from(limit));
        within_deadline(self.pool.deadline(), TABLE, self.pool.write(statement)).await
    }
}

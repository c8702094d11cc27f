//! Mail that waits to be sent, sealed.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection};

use super::answer::{corrupt, within_deadline};
use super::pool::Pool;
use crate::domain::clock::Timestamp;
use crate::domain::mail::{MailId, MailKind, OutboxEntry};
use crate::storage::outbox::Outbox;
use crate::storage::{Result, StoreError};

const TABLE: &str = "outbox";

const INSERT: &str = "INSERT INTO outbox (id, kind, sealed, created_at, expires_at, attempts, next_attempt_at, last_error) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

// The condition stands twice: on PostgreSQL, whoever waited for the lock of a row looks again at the outer one only.
const CLAIM: &str = "UPDATE outbox SET next_attempt_at = $1 \
                     WHERE next_attempt_at <= $2 AND id IN \
                     (SELECT id FROM outbox WHERE next_attempt_at <= $2 ORDER BY next_attempt_at, id LIMIT $3) \
                     RETURNING id, kind, sealed, created_at, expires_at, attempts, next_attempt_at, last_error";

const DELETE: &str = "DELETE FROM outbox WHERE id = $1";

fn insertion(entry: &OutboxEntry) -> Query<'static, Any, AnyArguments> {
    sqlx::query(INSERT)
        .bind(entry.id.as_str().to_owned())
        .bind(entry.kind.as_str())
        .bind(STANDARD.encode(&entry.sealed))
        .bind(entry.created_at.as_micros())
        .bind(entry.expires_at.as_micros())
        .bind(i64::from(entry.attempts))
        .bind(entry.next_attempt_at.as_micros())
        .bind(entry.last_error.clone())
}

/// Writes a mail in the transaction of what it tells of.
pub(super) async fn insert(connection: &mut AnyConnection, entry: &OutboxEntry) -> sqlx::Result<()> {
    insertion(entry).execute(connection).await?;
    Ok(())
}

#[derive(Clone)]
pub struct SqlOutbox {
    pool: Pool,
}

impl SqlOutbox {
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }

    async fn delete(&self, id: &MailId) -> Result<()> {
        let statement = sqlx::query(DELETE).bind(id.as_str());
        within_deadline(self.pool.deadline(), TABLE, self.pool.write(statement)).await?;
        Ok(())
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    kind: String,
    sealed: String,
    created_at: i64,
    expires_at: i64,
    attempts: i64,
    next_attempt_at: i64,
    last_error: Option<String>,
}

impl TryFrom<Row> for OutboxEntry {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let unreadable = |what| corrupt(TABLE, &row.id, what);
        Ok(Self {
            id: MailId::parse(&row.id).ok_or_else(|| unreadable("the id is of another form"))?,
            kind: MailKind::parse(&row.kind).ok_or_else(|| unreadable("unknown kind"))?,
            sealed: STANDARD.decode(&row.sealed).map_err(|_| unreadable("sealed is no base64"))?,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            attempts: u32::try_from(row.attempts).map_err(|_| unreadable("attempts is no count"))?,
            next_attempt_at: Timestamp::from_micros(row.next_attempt_at),
            last_error: row.last_error,
        })
    }
}

#[async_trait]
impl Outbox for SqlOutbox {
    async fn enqueue(&self, entry: &OutboxEntry) -> Result<()> {
        within_deadline(self.pool.deadline(), TABLE, self.pool.write(insertion(entry))).await?;
        Ok(())
    }

    async fn claim(&self, now: Timestamp, lease: Duration, limit: u32) -> Result<Vec<OutboxEntry>> {
        within_deadline(self.pool.deadline(), TABLE, async {
            // Mostly nothing is due, and finding that out does not take the lock of the writer.
            let due: Option<i64> =
                sqlx::query_scalar("SELECT next_attempt_at FROM outbox WHERE next_attempt_at <= $1 LIMIT 1")
                    .bind(now.as_micros())
                    .fetch_optional(self.pool.reads())
                    .await?;
            if due.is_none() {
                return Ok(Vec::new());
            }
            let mut transaction = self.pool.begin().await?;
            let mut rows: Vec<Row> = sqlx::query_as(CLAIM)
                .bind(now.plus(lease).as_micros())
                .bind(now.as_micros())
                .bind(i64::from(limit))
                .fetch_all(&mut *transaction)
                .await?;
            rows.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
            let mut entries = Vec::with_capacity(rows.len());
            for row in rows {
                let (id, expires_at) = (row.id.clone(), row.expires_at);
                match OutboxEntry::try_from(row) {
                    Ok(entry) => entries.push(entry),
                    // A newer version beside this one may know what it is, and it must not hold up the others. When nobody
                    // has sent it by its end, nobody will.
                    Err(error) => {
                        tracing::warn!(%error, "a mail in the outbox is passed over");
                        if expires_at <= now.as_micros() {
                            sqlx::query(DELETE).bind(id).execute(&mut *transaction).await?;
                        }
                    }
                }
            }
            transaction.commit().await?;
            Ok(entries)
        })
        .await
    }

    async fn done(&self, id: &MailId) -> Result<()> {
        self.delete(id).await
    }

    async fn replace(&self, id: &MailId, next: &OutboxEntry) -> Result<bool> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut transaction = self.pool.begin().await?;
            let gone = sqlx::query(DELETE).bind(id.as_str()).execute(&mut *transaction).await?;
            if gone.rows_affected() == 0 {
                return Ok(false);
            }
            insert(&mut transaction, next).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn retry(&self, id: &MailId, at: Timestamp, error: &str) -> Result<()> {
        let statement = sqlx::query(
            "UPDATE outbox SET attempts = attempts + 1, next_attempt_at = $1, last_error = $2 WHERE id = $3",
        )
        .bind(at.as_micros())
        .bind(error)
        .bind(id.as_str());
        within_deadline(self.pool.deadline(), TABLE, self.pool.write(statement)).await?;
        Ok(())
    }

    async fn give_up(&self, id: &MailId) -> Result<()> {
        self.delete(id).await
    }

    async fn list(&self, after: Option<&MailId>, limit: u32) -> Result<Vec<OutboxEntry>> {
        let statement = sqlx::query_as(
            "SELECT id, kind, sealed, created_at, expires_at, attempts, next_attempt_at, last_error FROM outbox \
             WHERE id > $1 ORDER BY id LIMIT $2",
        )
        .bind(after.map(MailId::as_str).unwrap_or_default())
        .bind(i64::from(limit));
        let rows: Vec<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_all(self.pool.reads())).await?;
        rows.into_iter().map(OutboxEntry::try_from).collect()
    }

    async fn reseal(&self, id: &MailId, seen: &[u8], sealed: &[u8]) -> Result<bool> {
        let statement = sqlx::query("UPDATE outbox SET sealed = $1 WHERE id = $2 AND sealed = $3")
            .bind(STANDARD.encode(sealed))
            .bind(id.as_str())
            .bind(STANDARD.encode(seen));
        Ok(within_deadline(self.pool.deadline(), TABLE, self.pool.write(statement)).await? == 1)
    }

    async fn count(&self) -> Result<u64> {
        let count: i64 = within_deadline(
            self.pool.deadline(),
            TABLE,
            sqlx::query_scalar("SELECT COUNT(*) FROM outbox").fetch_one(self.pool.reads()),
        )
        .await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

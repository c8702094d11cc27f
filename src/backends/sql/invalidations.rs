//! The log of what all nodes must forget, and the one way to write to it.

use async_trait::async_trait;
use sqlx::AnyConnection;

use super::answer::within_deadline;
use super::pool::Pool;
use crate::domain::clock::Timestamp;
use crate::domain::invalidation::{Epoch, Invalidation};
use crate::storage::Result;
use crate::storage::invalidations::{Invalidations, LogEntry};

const TABLE: &str = "invalidations";

#[derive(Clone)]
pub struct SqlInvalidations {
    pool: Pool,
}

impl SqlInvalidations {
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    epoch: i64,
    kind: String,
    subject: String,
    written_at: Option<i64>,
}

impl From<Row> for LogEntry {
    fn from(row: Row) -> Self {
        Self {
            epoch: Epoch(row.epoch),
            what: Invalidation::from_parts(&row.kind, &row.subject),
            written_at: row.written_at.map(Timestamp::from_micros),
        }
    }
}

#[async_trait]
impl Invalidations for SqlInvalidations {
    async fn newest(&self) -> Result<Epoch> {
        let epoch = within_deadline(
            self.pool.deadline(),
            TABLE,
            sqlx::query_scalar("SELECT epoch FROM invalidation_epoch WHERE one = 1").fetch_one(self.pool.reads()),
        );
        Ok(Epoch(epoch.await?))
    }

    async fn after(&self, epoch: Epoch, limit: u32) -> Result<Vec<LogEntry>> {
        let rows: Vec<Row> = within_deadline(
            self.pool.deadline(),
            TABLE,
            sqlx::query_as(
                "SELECT epoch, kind, subject, written_at FROM invalidations WHERE epoch > $1 ORDER BY epoch LIMIT $2",
            )
            .bind(epoch.0)
            .bind(i64::from(limit))
            .fetch_all(self.pool.reads()),
        )
        .await?;
        Ok(rows.into_iter().map(LogEntry::from).collect())
    }

    async fn prune(&self, before: Timestamp) -> Result<u64> {
        // An entry without a time is at least as old as an old one after it.
        let statement = sqlx::query(
            "DELETE FROM invalidations \
             WHERE (written_at < $1 OR written_at IS NULL) \
             AND epoch <= (SELECT MAX(epoch) FROM invalidations WHERE written_at < $1) \
             AND epoch < (SELECT epoch FROM invalidation_epoch WHERE one = 1)",
        )
        .bind(before.as_micros());
        within_deadline(self.pool.deadline(), TABLE, self.pool.write(statement)).await
    }
}

/// Moves the epoch on by `steps` and returns it. From here until the transaction commits, nobody else writes to the
/// log, so this comes last in a transaction.
pub(super) async fn advance(connection: &mut AnyConnection, steps: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar("UPDATE invalidation_epoch SET epoch = epoch + $1 WHERE one = 1 RETURNING epoch")
        .bind(steps)
        .fetch_one(connection)
        .await
}

/// Writes one entry in the transaction of the change that it tells of; its place in the log, if it is committed.
pub(super) async fn record(
    connection: &mut AnyConnection,
    what: &Invalidation,
    now: Option<Timestamp>,
) -> sqlx::Result<Epoch> {
    let epoch = advance(connection, 1).await?;
    let (kind, subject) = what.to_parts();
    sqlx::query("INSERT INTO invalidations (epoch, kind, subject, written_at) VALUES ($1, $2, $3, $4)")
        .bind(epoch)
        .bind(kind)
        .bind(subject)
        .bind(now.map(Timestamp::as_micros))
        .execute(connection)
        .await?;
    Ok(Epoch(epoch))
}

//! What is remembered of the rows that were taken over, for when they are seen again.

use std::collections::HashMap;

use sqlx::any::AnyArguments;
use sqlx::query::QueryAs;
use sqlx::{Any, AssertSqlSafe};

use super::{DEADLINE, SqlImporting, TABLE};
use crate::backends::sql::answer::{corrupt, within_deadline};
use crate::backends::sql::insertion::{Insertable, Statement, insertion, places};
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::storage::imports::{ImportKind, Remembered};
use crate::storage::{Result, StoreError};

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT original_id, target_id, digest, seen_at FROM imported ", $rest)
    };
}

#[derive(sqlx::FromRow)]
struct Row {
    original_id: String,
    target_id: String,
    digest: String,
    seen_at: i64,
}

impl TryFrom<Row> for Remembered {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let digest =
            Digest::from_hex(&row.digest).ok_or_else(|| corrupt(TABLE, &row.original_id, "digest is no digest"))?;
        Ok(Self {
            original: row.original_id,
            target: row.target_id,
            digest,
            seen_at: Timestamp::from_micros(row.seen_at),
        })
    }
}

impl<'q> Insertable<'q> for (ImportKind, &'q Remembered) {
    const TABLE: &'static str = TABLE;
    const COLUMNS: &'static str = "kind, original_id, target_id, digest, seen_at";

    fn bind(self, statement: Statement<'q>) -> Statement<'q> {
        let (kind, row) = self;
        statement
            .bind(kind.as_str())
            .bind(row.original.as_str())
            .bind(row.target.as_str())
            .bind(row.digest.hex())
            .bind(row.seen_at.as_micros())
    }
}

pub async fn known(
    importing: &mut SqlImporting,
    kind: ImportKind,
    originals: &[String],
) -> Result<HashMap<String, Remembered>> {
    if originals.is_empty() {
        return Ok(HashMap::new());
    }
    let (kind_place, places) = (originals.len() + 1, places(1, originals.len()));
    let text = format!(select!("WHERE kind = ${} AND original_id IN {}"), kind_place, places);
    let query = originals.iter().fold(sqlx::query_as(AssertSqlSafe(text)), |query, id| query.bind(id.as_str()));
    let rows = read(importing, query.bind(kind.as_str())).await?;
    Ok(rows.into_iter().map(|row| (row.original.clone(), row)).collect())
}

pub async fn remember(importing: &mut SqlImporting, kind: ImportKind, rows: &[Remembered]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let statement = insertion(
        rows.iter().map(|row| (kind, row)),
        "ON CONFLICT (kind, original_id) DO UPDATE SET target_id = excluded.target_id, digest = excluded.digest, \
         seen_at = excluded.seen_at",
    );
    importing.run(statement).await.map(|_| ())
}

pub async fn forget(importing: &mut SqlImporting, kind: ImportKind) -> Result<()> {
    let statement = sqlx::query("DELETE FROM imported WHERE kind = $1").bind(kind.as_str());
    importing.run(statement).await.map(|_| ())
}

pub async fn unseen(
    importing: &mut SqlImporting,
    kind: ImportKind,
    seen_at: Timestamp,
    after: &str,
    limit: u32,
) -> Result<Vec<Remembered>> {
    let query =
        sqlx::query_as(select!("WHERE kind = $1 AND seen_at < $2 AND original_id > $3 ORDER BY original_id LIMIT $4"))
            .bind(kind.as_str())
            .bind(seen_at.as_micros())
            .bind(after)
            .bind(i64::from(limit));
    read(importing, query).await
}

async fn read(importing: &mut SqlImporting, query: QueryAs<'_, Any, Row, AnyArguments>) -> Result<Vec<Remembered>> {
    let rows = within_deadline(DEADLINE, TABLE, query.fetch_all(importing.changing.connection())).await?;
    rows.into_iter().map(Remembered::try_from).collect()
}

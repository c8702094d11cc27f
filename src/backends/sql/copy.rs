//! From one database to another, whichever they are.
//!
//! Both are walked side by side in the order of the primary keys, a page at a time: what is missing is written, what is there
//! is compared, and what differs or is too much stops it all. Then the target is walked again, and must be the same.

mod walk;

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Connection, Executor};

use self::walk::{Cell, Row, Tally, Walk, listed, quoted};
use super::catalogue::{Table, tables};
use super::migration::{migrate, pending};
use super::open_error::OpenError;
use super::pool::Pool;

/// SQLite takes no more than 32766 in one statement.
const VALUES_AT_ONCE: usize = 30_000;
const ROWS_AT_ONCE: usize = 200;

/// Made with the schema, so that every database has it. It gives way to that of the source.
const PRISTINE_EPOCH: &str = "DELETE FROM invalidation_epoch WHERE epoch = 0 AND $1 > 0";

#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("the database {place} is {pending} schema migration(s) behind: run `portcullis migrate` on it first")]
    Outdated { place: String, pending: usize },
    #[error("the tables of {to} are not those of {from}: both must have been made by this version of Portcullis")]
    OtherSchema { from: String, to: String },
    #[error("the database {to} holds other data, and nothing was changed ({what}): copy into an empty database")]
    OtherData { to: String, what: String },
    #[error("the table {table} was not copied, and nothing was changed: {cause}")]
    Failed { table: String, cause: String },
    #[error("the table {table} did not arrive as it was sent, and nothing was changed")]
    Different { table: String },
}

/// A table that is the same in both databases now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedTable {
    pub name: String,
    pub rows: u64,
    /// Those of them that were not there before.
    pub copied: u64,
    /// SHA-256 over all rows, in hex. The same in every database that holds the same.
    pub digest: String,
}

struct Progress {
    tally: Tally,
    copied: u64,
    differing: u64,
    extra: u64,
}

/// Copies all that `from` holds, as it is at one moment, into `to`, which is brought to the present schema. In one transaction:
/// all of it arrives, or nothing. May be repeated: what is there already is compared and left alone.
pub async fn copy(from: &Pool, to: &Pool) -> Result<Vec<CopiedTable>, CopyError> {
    let behind = pending(from).await?;
    if behind > 0 {
        return Err(CopyError::Outdated { place: from.place().to_owned(), pending: behind });
    }
    migrate(to).await?;
    let mut source = from.patient_connection().await?;
    let mut target = to.patient_connection().await?;
    let failed = |error: sqlx::Error| failure("(all)", &error);
    let mut reading = from.begin_snapshot(&mut source).await.map_err(failed)?;
    let mut writing = to.begin_alone(&mut target).await.map_err(failed)?;

    let theirs = tables(from, &mut reading).await.map_err(failed)?;
    if theirs != tables(to, &mut writing).await.map_err(failed)? {
        return Err(CopyError::OtherSchema { from: from.place().to_owned(), to: to.place().to_owned() });
    }
    make_way(&mut reading, &mut writing).await.map_err(failed)?;
    let mut all = Vec::with_capacity(theirs.len());
    for table in theirs {
        let progress = copy_table(&mut reading, &mut writing, &table).await;
        let progress = progress.map_err(|error| failure(&table.name, &error))?;
        all.push((table, progress));
    }
    let others: Vec<String> = all.iter().filter_map(|(table, progress)| contradiction(table, progress)).collect();
    if !others.is_empty() {
        return Err(CopyError::OtherData { to: to.place().to_owned(), what: others.join("; ") });
    }
    let mut copied = Vec::with_capacity(all.len());
    for (table, Progress { tally, copied: new, .. }) in all {
        let arrived = tally_of(&mut writing, &table).await.map_err(|error| failure(&table.name, &error))?;
        let (rows, digest) = tally.end();
        if arrived.end() != (rows, digest.clone()) {
            return Err(CopyError::Different { table: table.name });
        }
        copied.push(CopiedTable { name: table.name, rows, copied: new, digest });
    }
    writing.commit().await.map_err(failed)?;
    // Only tidies up: what was committed is committed.
    reading.rollback().await.ok();
    source.close().await.ok();
    target.close().await.ok();
    Ok(copied)
}

fn failure(table: &str, error: &sqlx::Error) -> CopyError {
    // The whole text may quote a value.
    let cause = match error {
        sqlx::Error::ColumnDecode { index, .. } => format!("column {index} holds what does not belong there"),
        error => error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned()),
    };
    CopyError::Failed { table: table.to_owned(), cause }
}

fn contradiction(table: &Table, progress: &Progress) -> Option<String> {
    let Progress { differing, extra, .. } = progress;
    match (differing, extra) {
        (0, 0) => None,
        (0, _) => Some(format!("{}: {extra} row(s) that are not in the source", table.name)),
        (_, 0) => Some(format!("{}: {differing} row(s) that differ from the source", table.name)),
        _ => Some(format!("{}: {extra} row(s) that are not in the source, {differing} that differ", table.name)),
    }
}

async fn make_way(reading: &mut AnyConnection, writing: &mut AnyConnection) -> sqlx::Result<()> {
    let epoch: i64 = sqlx::query_scalar("SELECT epoch FROM invalidation_epoch").fetch_one(reading).await?;
    sqlx::query(PRISTINE_EPOCH).bind(epoch).execute(writing).await?;
    Ok(())
}

async fn copy_table(reading: &mut AnyConnection, writing: &mut AnyConnection, table: &Table) -> sqlx::Result<Progress> {
    let (mut theirs, mut ours) = (Walk::new(table), Walk::new(table));
    let mut progress = Progress { tally: Tally::default(), copied: 0, differing: 0, extra: 0 };
    let mut missing: Vec<Row> = Vec::new();
    let at_once = (VALUES_AT_ONCE / table.columns.len().max(1)).clamp(1, ROWS_AT_ONCE);
    loop {
        // Behind a row that is written here, the walk through the target has been already.
        let present = ours.next_key(writing).await?;
        let Some(row) = theirs.next_until(reading, present.as_ref()).await? else {
            let Some(found) = ours.take() else { break };
            match theirs.take_if_at(reading, &found).await? {
                Some(row) => {
                    progress.tally.add(&row);
                    progress.differing += u64::from(row != found);
                }
                None => progress.extra += 1,
            }
            continue;
        };
        progress.tally.add(&row);
        progress.copied += 1;
        missing.push(row);
        if missing.len() >= at_once {
            insert(writing, table, &std::mem::take(&mut missing)).await?;
        }
    }
    insert(writing, table, &missing).await?;
    Ok(progress)
}

async fn tally_of(connection: &mut AnyConnection, table: &Table) -> sqlx::Result<Tally> {
    let (mut walk, mut tally) = (Walk::new(table), Tally::default());
    while let Some(row) = walk.next_until(connection, None).await? {
        tally.add(&row);
    }
    Ok(tally)
}

async fn insert(connection: &mut AnyConnection, table: &Table, rows: &[Row]) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut places = Vec::with_capacity(rows.len());
    let mut number = 0;
    for _ in rows {
        let values: Vec<String> = table
            .columns
            .iter()
            .map(|_| {
                number += 1;
                format!("${number}")
            })
            .collect();
        places.push(format!("({})", values.join(", ")));
    }
    let columns = listed(table.columns.iter());
    let statement = format!("INSERT INTO {} ({columns}) VALUES {}", quoted(&table.name), places.join(", "));
    // Not kept for another time: the last page has another length.
    let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
    for row in rows {
        for cell in &row.cells {
            query = bind(query, cell);
        }
    }
    connection.execute(query).await?;
    Ok(())
}

fn bind<'q>(query: Query<'q, Any, AnyArguments>, cell: &Cell) -> Query<'q, Any, AnyArguments> {
    match cell {
        Cell::Integer(value) => query.bind(*value),
        Cell::Text(value) => query.bind(value.clone()),
    }
}

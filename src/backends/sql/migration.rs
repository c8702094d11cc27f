//! How a database comes to the newest schema.

use sqlx::Connection;
use sqlx::migrate::MigrateError;

use super::open_error::OpenError;
use super::pool::Pool;
use super::schema::MIGRATIONS;

/// Brings the schema to this version. Does nothing when it is there already.
pub async fn migrate(pool: &Pool) -> Result<(), OpenError> {
    let failed = |cause: MigrateError| match cause {
        MigrateError::VersionMissing(version) => OpenError::Newer { place: pool.place().to_owned(), version },
        other => OpenError::Migration { place: pool.place().to_owned(), cause: other.to_string() },
    };
    let mut connection = pool.patient_connection().await?;
    // One transaction around everything, begun with a lock: of two processes that start at once, the second waits and then
    // finds nothing left to do. (The lock of sqlx's own migrator is empty for SQLite, and given back early for PostgreSQL.)
    let mut transaction = pool.begin_alone(&mut connection).await.map_err(|e| failed(e.into()))?;
    // The future of `run` is not `Send` for a borrowed connection; this is what it calls.
    MIGRATIONS.run_direct(None, &mut *transaction, false).await.map_err(failed)?;
    pool.settle_schema(&mut transaction).await.map_err(|e| failed(e.into()))?;
    transaction.commit().await.map_err(|e| failed(e.into()))?;
    // Only tidies up: what was committed is committed.
    connection.close().await.ok();
    Ok(())
}

/// A version of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub number: i64,
    pub name: String,
    pub is_applied: bool,
}

/// All versions that this program knows, the oldest first.
pub async fn versions(pool: &Pool) -> Result<Vec<Version>, OpenError> {
    let present = pool.schema_version().await?;
    let version = |migration: &sqlx::migrate::Migration| Version {
        number: migration.version,
        name: migration.description.to_string(),
        is_applied: migration.version <= present,
    };
    Ok(MIGRATIONS.iter().map(version).collect())
}

/// How many migrations this version brings that the database has not seen.
pub async fn pending(pool: &Pool) -> Result<usize, OpenError> {
    let version = pool.schema_version().await?;
    Ok(MIGRATIONS.iter().filter(|migration| migration.version > version).count())
}

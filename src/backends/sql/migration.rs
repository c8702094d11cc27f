//! How a database comes to the newest schema.

use sqlx::Connection;
use sqlx::migrate::MigrateError;

use super::pool::{OpenError, Pool};
use super::schema::MIGRATIONS;

/// Brings the schema to this version. Does nothing when it is there already.
pub async fn migrate(pool: &Pool) -> Result<(), OpenError> {
    let failed = |cause: MigrateError| match cause {
        MigrateError::VersionMissing(version) => OpenError::Newer { place: pool.place().to_owned(), version },
        other => OpenError::Migration { place: pool.place().to_owned(), cause: other.to_string() },
    };
    let mut connection = pool.patient_connection().await?;
    // One transaction around everything, begun with the write lock: of two processes that start at once, the second
    // waits and then finds nothing left to do. (For SQLite the lock of sqlx's own migrator is empty.)
    let mut transaction = connection.begin_with(pool.begin_statement()).await.map_err(|e| failed(e.into()))?;
    // The future of `run` is not `Send` for a borrowed connection; this is what it calls.
    MIGRATIONS.run_direct(None, &mut *transaction, false).await.map_err(failed)?;
    transaction.commit().await.map_err(|e| failed(e.into()))?;
    // Only tidies up: what was committed is committed.
    connection.close().await.ok();
    Ok(())
}

/// How many migrations this version brings that the database has not seen.
pub async fn pending(pool: &Pool) -> Result<usize, OpenError> {
    let version = pool.schema_version().await?;
    Ok(MIGRATIONS.iter().filter(|migration| migration.version > version).count())
}

//! Open databases. Only this folder knows which one it is.

mod postgres;
mod sqlite;

use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};

use sqlx::any::{AnyArguments, AnyConnectOptions};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions, Connection, Executor, Transaction};

use super::answer::{Deadline, PATIENT_DEADLINE};
use super::changing::Changing;
use super::open_error::OpenError;
use super::schema::newest;
use crate::storage::invalidations::Heed;

/// How many connections one process keeps to a PostgreSQL server, unless the settings say otherwise.
pub const DEFAULT_CONNECTIONS: u32 = 8;

/// Connections to an open database. Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    reads: AnyPool,
    writes: AnyPool,
    engine: Engine,
    heed: Arc<OnceLock<Weak<dyn Heed>>>,
    options: Arc<AnyConnectOptions>,
    place: Arc<str>,
    deadline: Deadline,
}

#[derive(Clone, Copy)]
enum Engine {
    Sqlite,
    Postgres { connections: u32 },
}

/// Opens a database, and with `create` makes a file first when it is missing. Its schema may still be old: see
/// [`pending`](super::pending) and [`migrate`](super::migrate).
pub async fn open(url: &str, create: bool) -> Result<Pool, OpenError> {
    open_with(url, create, DEFAULT_CONNECTIONS).await
}

/// As [`open`], with at most so many connections where there is a server to connect to.
pub async fn open_with(url: &str, create: bool, connections: u32) -> Result<Pool, OpenError> {
    sqlx::any::install_default_drivers();
    match url.split_once("://") {
        Some(("sqlite", path)) if !path.is_empty() && path != ":memory:" && !path.contains('?') => {
            sqlite::open(Path::new(path), create).await
        }
        Some(("postgres" | "postgresql", _)) => postgres::open(url, connections).await,
        _ => Err(OpenError::Url),
    }
}

impl Pool {
    pub(super) const fn reads(&self) -> &AnyPool {
        &self.reads
    }

    /// The same pool for calls that no request waits for.
    pub fn patient(self) -> Self {
        match self.engine {
            Engine::Sqlite => Self { deadline: Deadline::of(PATIENT_DEADLINE), ..self },
            // The server has been told the deadline by each of the present connections.
            Engine::Postgres { connections } => {
                let (reads, writes) = postgres::pools(&self.options, connections, PATIENT_DEADLINE);
                Self { reads, writes, deadline: Deadline::of(PATIENT_DEADLINE), ..self }
            }
        }
    }

    /// The longest that one call may take.
    pub(super) fn deadline(&self) -> Deadline {
        self.deadline.clone()
    }

    /// The only way to write, also with a single statement: this is where a lock held elsewhere is waited for.
    pub(super) async fn begin(&self) -> sqlx::Result<Transaction<'static, Any>> {
        match self.engine {
            Engine::Sqlite => sqlite::begin(&self.writes, self.deadline.most()).await,
            Engine::Postgres { .. } => self.writes.begin_with(postgres::BEGIN).await,
        }
    }

    /// As [`Pool::begin`], for a change that an audit tells of or that somebody must forget something for.
    pub(super) async fn change(&self) -> sqlx::Result<Changing> {
        Ok(Changing::new(self.begin().await?, self.heed.get().cloned()))
    }

    /// Whom to tell, in this process, what was changed through this pool. The first one told of stays.
    pub fn tell(&self, heed: Weak<dyn Heed>) {
        let _ = self.heed.set(heed);
    }

    /// One statement that writes; how many rows it changed.
    pub(super) async fn write(&self, statement: Query<'_, Any, AnyArguments>) -> sqlx::Result<u64> {
        let mut transaction = self.begin().await?;
        let done = statement.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }

    /// The one of two statements that this database understands. For what has no common form.
    pub(super) fn in_dialect<T>(&self, sqlite: T, postgres: T) -> T {
        match self.engine {
            Engine::Sqlite => sqlite,
            Engine::Postgres { .. } => postgres,
        }
    }

    /// What an operator knows the database by.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// A connection of its own, which waits long for locks.
    pub(super) async fn patient_connection(&self) -> Result<AnyConnection, OpenError> {
        let failed = |error| self.fault(&error);
        let mut connection = self.options.connect().await.map_err(failed)?;
        let settings = match self.engine {
            Engine::Sqlite => sqlite::PATIENT,
            Engine::Postgres { .. } => postgres::PATIENT,
        };
        connection.execute(settings).await.map_err(failed)?;
        Ok(connection)
    }

    /// A transaction that nobody else's migration or copy runs beside.
    pub(super) async fn begin_alone<'c>(
        &self,
        connection: &'c mut AnyConnection,
    ) -> sqlx::Result<Transaction<'c, Any>> {
        match self.engine {
            Engine::Sqlite => connection.begin_with(sqlite::BEGIN).await,
            Engine::Postgres { .. } => {
                let mut transaction = connection.begin_with(postgres::BEGIN).await?;
                transaction.execute(postgres::LOCK_OUT_OTHERS).await?;
                Ok(transaction)
            }
        }
    }

    /// A transaction that sees the whole database as it is at one moment, and changes nothing.
    pub(super) async fn begin_snapshot<'c>(
        &self,
        connection: &'c mut AnyConnection,
    ) -> sqlx::Result<Transaction<'c, Any>> {
        connection.begin_with(self.in_dialect("BEGIN", postgres::SNAPSHOT)).await
    }

    /// What a migration that is written for both databases leaves to do.
    pub(super) async fn settle_schema(&self, connection: &mut AnyConnection) -> sqlx::Result<()> {
        match self.engine {
            Engine::Sqlite => Ok(()),
            Engine::Postgres { .. } => postgres::compare_text_by_bytes(connection).await,
        }
    }

    /// Zero when the database is empty.
    pub(super) async fn schema_version(&self) -> Result<i64, OpenError> {
        let mut connection = self.reads.acquire().await.map_err(|e| self.fault(&e))?;
        let statement = self.in_dialect(sqlite::TABLES, postgres::TABLES);
        let version = schema_version(&mut connection, statement).await.map_err(|e| self.fault(&e))?;
        version.ok_or_else(|| OpenError::Foreign { place: self.place.to_string() })
    }

    fn fault(&self, error: &sqlx::Error) -> OpenError {
        match self.engine {
            Engine::Sqlite => sqlite::fault(&self.place, error),
            Engine::Postgres { .. } => postgres::fault(&self.place, error),
        }
    }

    /// Waits for what is under way, then closes all connections.
    pub async fn close(&self) {
        self.reads.close().await;
        self.writes.close().await;
    }
}

/// Nothing when the tables are somebody else's. `tables` counts all of them, and those that show that they are ours.
async fn schema_version(connection: &mut AnyConnection, tables: &'static str) -> sqlx::Result<Option<i64>> {
    let (all, ours): (i64, i64) = sqlx::query_as(tables).fetch_one(&mut *connection).await?;
    match (all, ours) {
        (0, _) => Ok(Some(0)),
        (_, 2) => sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations")
            .fetch_one(connection)
            .await
            .map(Some),
        _ => Ok(None),
    }
}

/// Whether the tables of `connection` are ours, and not newer than this program.
async fn check_version(connection: &mut AnyConnection, place: &str, tables: &'static str) -> Result<(), CheckError> {
    let place = || place.to_owned();
    match schema_version(connection, tables).await.map_err(CheckError::Failed)? {
        None => Err(CheckError::Refused(OpenError::Foreign { place: place() })),
        Some(version) if version > newest() => Err(CheckError::Refused(OpenError::Newer { place: place(), version })),
        Some(_) => Ok(()),
    }
}

enum CheckError {
    Failed(sqlx::Error),
    Refused(OpenError),
}

impl CheckError {
    fn into_open_error(self, fault: impl FnOnce(&sqlx::Error) -> OpenError) -> OpenError {
        match self {
            Self::Failed(error) => fault(&error),
            Self::Refused(error) => error,
        }
    }
}

#[cfg(test)]
mod tests;

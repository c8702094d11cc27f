//! Opening a database. The only file that knows which one it is.
//!
//! SQLite has one writer at a time in any case, so there is one connection for writing, and waiting for it is fair and
//! has a deadline. Readers see the last commit and never wait for the writer (WAL). Another process may write the same
//! file: transactions therefore begin with the write lock, as one that takes it later fails instead of waiting.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{Error as IoError, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use sqlx::any::{AnyArguments, AnyConnectOptions, AnyPoolOptions};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions, Connection, Executor, Transaction};

use super::answer::{DEADLINE, PATIENT_DEADLINE};
use super::changing::Changing;
use super::schema::newest;
use crate::storage::invalidations::Heed;

const READERS: u32 = 4;

/// How often, and how far apart, the change to WAL is tried: SQLite does not wait for that lock by itself.
const WAL_ATTEMPTS: u32 = 40;
const WAL_PAUSE: Duration = Duration::from_millis(50);

/// How often a second the write lock is tried for, 20 ms each: in all a little less than the deadline, so that a lock held
/// elsewhere is reported as such. SQLite looks ever more rarely the longer it waits; in one long wait, a busy server would shut out
/// an operator's command.
const LOCK_ATTEMPTS_PER_SECOND: u64 = 45;

const WRITING: &str = "PRAGMA busy_timeout = 20; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; \
                       PRAGMA journal_size_limit = 67108864";
const READING: &str = "PRAGMA busy_timeout = 1800; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; \
                       PRAGMA query_only = ON";
/// For migrations, which are worth waiting for.
const PATIENT: &str = "PRAGMA busy_timeout = 60000; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL";

const SQLITE_BUSY: u32 = 5;
const SQLITE_CORRUPT: u32 = 11;
const SQLITE_NOTADB: u32 = 26;

/// Why a database cannot be used. Never holds a URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the storage URL is not understood: write sqlite://<path of a file>, without options")]
    Url,
    #[error("PostgreSQL is not built in yet: use a storage URL of the form sqlite://<path of a file>")]
    NotBuiltIn,
    #[error("the database {place} does not exist: check storage.url, or let `portcullis migrate` create it")]
    Missing { place: String },
    #[error("the database {place} cannot be used ({cause}): see that its directory can be written and has space left")]
    Unusable { place: String, cause: String },
    #[error("{place} is not a readable SQLite database ({cause}): restore it from a backup, or name another file")]
    Unreadable { place: String, cause: String },
    #[error("the database {place} belongs to another program: name another file in storage.url")]
    Foreign { place: String },
    #[error("the file system under {place} does not support write-ahead logging: put the database on a local disk")]
    NoWal { place: String },
    #[error("the database {place} has schema version {version}, made by a newer Portcullis: run that version")]
    Newer { place: String, version: i64 },
    #[error("the schema of {place} could not be brought up to date ({cause}): nothing was changed; restore or retry")]
    Migration { place: String, cause: String },
}

/// Connections to an open database. Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    reads: AnyPool,
    writes: AnyPool,
    begin: &'static str,
    heed: Arc<OnceLock<Weak<dyn Heed>>>,
    options: Arc<AnyConnectOptions>,
    place: Arc<str>,
    deadline: Duration,
}

/// Opens a database, and with `create` makes it first when it is missing. Its schema may still be old: see
/// [`pending`](super::pending) and [`migrate`](super::migrate).
pub async fn open(url: &str, create: bool) -> Result<Pool, OpenError> {
    sqlx::any::install_default_drivers();
    match url.split_once("://") {
        Some(("sqlite", path)) if !path.is_empty() && path != ":memory:" && !path.contains('?') => {
            open_sqlite(Path::new(path), create).await
        }
        Some(("postgres" | "postgresql", _)) => Err(OpenError::NotBuiltIn),
        _ => Err(OpenError::Url),
    }
}

impl Pool {
    pub(super) const fn reads(&self) -> &AnyPool {
        &self.reads
    }

    /// The same pool for calls that no request waits for.
    pub fn patient(self) -> Self {
        Self { deadline: PATIENT_DEADLINE, ..self }
    }

    /// The longest that one call may take.
    pub(super) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The only way to write, also with a single statement: this is where a lock held elsewhere is waited for.
    pub(super) async fn begin(&self) -> sqlx::Result<Transaction<'static, Any>> {
        let most = self.deadline.as_secs().saturating_mul(LOCK_ATTEMPTS_PER_SECOND);
        let mut attempts = 1;
        loop {
            match self.writes.begin_with(self.begin).await {
                Err(error) if attempts < most && primary_code(&error) == Some(SQLITE_BUSY) => attempts += 1,
                done => return done,
            }
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

    /// For connections of their own, which wait by themselves.
    pub(super) const fn begin_statement(&self) -> &'static str {
        self.begin
    }

    /// One statement that writes; how many rows it changed.
    pub(super) async fn write(&self, statement: Query<'_, Any, AnyArguments>) -> sqlx::Result<u64> {
        let mut transaction = self.begin().await?;
        let done = statement.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }

    /// What an operator knows the database by.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// A connection of its own, which waits long for locks.
    pub(super) async fn patient_connection(&self) -> Result<AnyConnection, OpenError> {
        let mut connection = self.options.connect().await.map_err(|e| fault(&self.place, &e))?;
        connection.execute(PATIENT).await.map_err(|e| fault(&self.place, &e))?;
        Ok(connection)
    }

    /// Zero when the database is empty.
    pub(super) async fn schema_version(&self) -> Result<i64, OpenError> {
        let mut connection = self.reads.acquire().await.map_err(|e| fault(&self.place, &e))?;
        schema_version(&mut connection, &self.place).await
    }

    /// Waits for what is under way, then closes all connections.
    pub async fn close(&self) {
        self.reads.close().await;
        self.writes.close().await;
    }
}

async fn open_sqlite(path: &Path, create: bool) -> Result<Pool, OpenError> {
    let place: Arc<str> = path.display().to_string().into();
    let file = find_or_create(path, create)?;
    let options = AnyConnectOptions::from_str(&file_url(&file)).map_err(|e| fault(&place, &e))?;

    // Looked at before anything is set: whatever else the file turns out to be, it stays as it was.
    let mut connection = options.connect().await.map_err(|e| fault(&place, &e))?;
    let version = schema_version(&mut connection, &place).await?;
    if version > newest() {
        return Err(OpenError::Newer { place: place.to_string(), version });
    }
    switch_to_wal(&mut connection, &place).await?;
    connection.close().await.map_err(|e| fault(&place, &e))?;

    let connect = |limit, settings| pool_options(limit, settings).connect_with(options.clone());
    let writes = connect(1, WRITING).await.map_err(|e| fault(&place, &e))?;
    let reads = connect(READERS, READING).await.map_err(|e| fault(&place, &e))?;
    Ok(Pool {
        reads,
        writes,
        begin: "BEGIN IMMEDIATE",
        heed: Arc::default(),
        options: Arc::new(options),
        place,
        deadline: DEADLINE,
    })
}

fn pool_options(limit: u32, settings: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(limit)
        // The deadline of each call is what ends the waiting.
        .acquire_timeout(PATIENT_DEADLINE)
        .idle_timeout(None)
        .max_lifetime(None)
        // A file does not hang up, as a server does.
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection.execute(settings).await?;
                Ok(())
            })
        })
        // On a full disk SQLite rolls back by itself. sqlx does not notice, counts the transaction as open and refuses the
        // next: such a connection is replaced.
        .before_acquire(|connection, _| {
            let clean = !connection.is_in_transaction();
            Box::pin(async move { Ok(clean) })
        })
}

fn find_or_create(path: &Path, create: bool) -> Result<PathBuf, OpenError> {
    let place = || path.display().to_string();
    let unusable = |cause: IoError| OpenError::Unusable { place: place(), cause: cause.to_string() };
    let name = path.file_name().ok_or(OpenError::Url)?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !path.try_exists().map_err(unusable)? {
        if !create {
            return Err(OpenError::Missing { place: place() });
        }
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(unusable)?;
        // SQLite would make it readable for all. Its side files get the mode of this one.
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(unusable(error)),
            _ => {}
        }
    }
    Ok(parent.canonicalize().map_err(unusable)?.join(name))
}

/// An absolute path as a URL in which nothing has a meaning of its own, neither `?` nor `..`.
fn file_url(path: &Path) -> String {
    let mut url = String::from("sqlite://");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => url.push(char::from(*byte)),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

async fn schema_version(connection: &mut AnyConnection, place: &str) -> Result<i64, OpenError> {
    let (tables, ours): (i64, i64) = sqlx::query_as(
        "SELECT COUNT(*), COUNT(CASE WHEN name IN ('_sqlx_migrations', 'invalidation_epoch') THEN 1 END) \
         FROM sqlite_master WHERE type = 'table'",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(|e| fault(place, &e))?;
    match (tables, ours) {
        (0, _) => Ok(0),
        (_, 2) => sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations")
            .fetch_one(connection)
            .await
            .map_err(|e| fault(place, &e)),
        _ => Err(OpenError::Foreign { place: place.to_owned() }),
    }
}

async fn switch_to_wal(connection: &mut AnyConnection, place: &str) -> Result<(), OpenError> {
    let mut failure = OpenError::NoWal { place: place.to_owned() };
    for _ in 0..WAL_ATTEMPTS {
        match sqlx::query_scalar::<_, String>("PRAGMA journal_mode = WAL").fetch_one(&mut *connection).await {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) => failure = OpenError::NoWal { place: place.to_owned() },
            Err(error) => failure = fault(place, &error),
        }
        tokio::time::sleep(WAL_PAUSE).await;
    }
    Err(failure)
}

/// What SQLite says in the lowest byte of its result code; the others go into detail.
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    Some(code.parse::<u32>().ok()? & 0xFF)
}

fn fault(place: &str, error: &sqlx::Error) -> OpenError {
    let (place, cause) = (place.to_owned(), error.to_string());
    match primary_code(error) {
        Some(SQLITE_CORRUPT | SQLITE_NOTADB) => OpenError::Unreadable { place, cause },
        _ => OpenError::Unusable { place, cause },
    }
}

#[cfg(test)]
mod tests;

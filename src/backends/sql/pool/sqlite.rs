//! SQLite: a file.
//!
//! SQLite has one writer at a time in any case, so there is one connection for writing, and waiting for it is fair and
//! has a deadline. Readers see the last commit and never wait for the writer (WAL). Another process may write the same
//! file: transactions therefore begin with the write lock, as one that takes it later fails instead of waiting.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{Error as IoError, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions, Connection, Executor, Transaction};

use super::{Engine, Pool, check_version};
use crate::backends::sql::answer::{DEADLINE, PATIENT_DEADLINE};
use crate::backends::sql::open_error::OpenError;

pub(super) const READERS: u32 = 4;

pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";

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
pub(super) const PATIENT: &str = "PRAGMA busy_timeout = 60000; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL";

const SQLITE_BUSY: u32 = 5;
const SQLITE_CORRUPT: u32 = 11;
const SQLITE_NOTADB: u32 = 26;

/// All tables, and those that show that they are ours.
pub(super) const TABLES: &str = "SELECT COUNT(*), \
     COUNT(CASE WHEN name IN ('_sqlx_migrations', 'invalidation_epoch') THEN 1 END) \
     FROM sqlite_master WHERE type = 'table'";

pub(super) async fn open(path: &Path, create: bool) -> Result<Pool, OpenError> {
    let place: Arc<str> = path.display().to_string().into();
    let file = find_or_create(path, create)?;
    let options = AnyConnectOptions::from_str(&file_url(&file)).map_err(|e| fault(&place, &e))?;

    // Looked at before anything is set: whatever else the file turns out to be, it stays as it was.
    let mut connection = options.connect().await.map_err(|e| fault(&place, &e))?;
    let ours = check_version(&mut connection, &place, TABLES).await;
    ours.map_err(|error| error.into_open_error(|e| fault(&place, e)))?;
    switch_to_wal(&mut connection, &place).await?;
    connection.close().await.map_err(|e| fault(&place, &e))?;

    let connect = |limit, settings| pool_options(limit, settings).connect_with(options.clone());
    let writes = connect(1, WRITING).await.map_err(|e| fault(&place, &e))?;
    let reads = connect(READERS, READING).await.map_err(|e| fault(&place, &e))?;
    Ok(Pool {
        reads,
        writes,
        engine: Engine::Sqlite,
        heed: Arc::default(),
        options: Arc::new(options),
        place,
        deadline: DEADLINE,
    })
}

/// Begins with the write lock, and waits for it for a little less than the deadline.
pub(super) async fn begin(writes: &AnyPool, deadline: Duration) -> sqlx::Result<Transaction<'static, Any>> {
    let most = deadline.as_secs().saturating_mul(LOCK_ATTEMPTS_PER_SECOND);
    let mut attempts = 1;
    loop {
        match writes.begin_with(BEGIN).await {
            Err(error) if attempts < most && primary_code(&error) == Some(SQLITE_BUSY) => attempts += 1,
            done => return done,
        }
    }
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

pub(super) fn fault(place: &str, error: &sqlx::Error) -> OpenError {
    let (place, cause) = (place.to_owned(), error.to_string());
    match primary_code(error) {
        Some(SQLITE_CORRUPT | SQLITE_NOTADB) => OpenError::Unreadable { place, cause },
        _ => OpenError::Unusable { place, cause },
    }
}

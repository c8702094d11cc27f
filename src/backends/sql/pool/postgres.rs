//! PostgreSQL: a server, which may be slow, gone, or back again.
//!
//! Readers and writers have connections of their own: writers that wait for each other's locks do not keep readers waiting.
//! A call that is cut off leaves its connection in the middle of something. It is looked at before anybody else gets it, and
//! is closed unless it answers at once and has no transaction open.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions, Connection, Executor, Row};
use tokio::time::timeout;

use super::{Engine, Pool, check_version};
use crate::backends::sql::answer::{DEADLINE, PATIENT_DEADLINE};
use crate::backends::sql::open_error::OpenError;

/// What the statements are written for, whatever the server's default is.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
pub(super) const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Held until the transaction is over. sqlx takes a lock of its own, and gives it back before the commit.
pub(super) const LOCK_OUT_OTHERS: &str = "SELECT pg_advisory_xact_lock(hashtext('portcullis: schema'))";

/// All tables where ours would be, without those of extensions, and those that show that they are ours.
pub(super) const TABLES: &str = "SELECT COUNT(*), \
     COUNT(CASE WHEN relname IN ('_sqlx_migrations', 'invalidation_epoch') THEN 1 END) \
     FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) \
     AND relkind IN ('r', 'p') AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE classid = 'pg_class'::regclass \
     AND objid = pg_class.oid AND deptype = 'e')";

/// For migrations and copies, which are worth waiting for.
pub(super) const PATIENT: &str = "SET statement_timeout = 0; SET lock_timeout = 60000; \
     SET idle_in_transaction_session_timeout = 0; SET jit = off; SELECT set_config('synchronous_commit', 'on', false) \
     WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')";

/// On every connection, whatever the server, the URL or the environment say. Stricter than `on` stays as it is. The
/// server gives up waiting for a client that is gone, so that the locks of a node that was cut off do not stay.
const SETTINGS: &str = "SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 10000; \
     SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; SET jit = off; \
     SET standard_conforming_strings = on; \
     SELECT set_config('synchronous_commit', 'on', false) \
     WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')";

/// Between a lock or a disk that is slow and the deadline of the whole call, so that the server says what it was.
const BEFORE_THE_DEADLINE: Duration = Duration::from_millis(200);

/// Within a transaction, time stands still.
const NO_TRANSACTION: &str = "SELECT now() = statement_timestamp()";

/// How long a connection that comes back, or was idle, may take to answer.
const PROBE: Duration = Duration::from_millis(500);
const PROBED_AFTER: Duration = Duration::from_secs(1);

const OPENING: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(600);
/// After a failover a name may mean another server.
const LIFETIME: Duration = Duration::from_secs(1800);

const OPTIONS: [&str; 11] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

pub(super) async fn open(url: &str, connections: u32) -> Result<Pool, OpenError> {
    let (options, place) = understood(url)?;
    let checked = timeout(OPENING, check(&options, &place)).await;
    checked.unwrap_or_else(|_| {
        let cause = format!("nothing within {} s", OPENING.as_secs());
        Err(OpenError::Unreachable { place: place.clone(), cause })
    })?;
    let (reads, writes) = pools(&options, connections, DEADLINE);
    Ok(Pool {
        reads,
        writes,
        engine: Engine::Postgres { connections },
        heed: Arc::default(),
        options: Arc::new(options),
        place: place.into(),
        deadline: DEADLINE,
    })
}

/// The options, and what an operator knows the database by. A part of a password that was not escaped can be taken for
/// something else, and would then be told: whatever looks like that is refused.
fn understood(url: &str) -> Result<(AnyConnectOptions, String), OpenError> {
    let options = AnyConnectOptions::from_str(url).map_err(|_| OpenError::Url)?;
    let parsed = &options.database_url;
    let path = parsed.path().trim_start_matches('/');
    if parsed.fragment().is_some() || path.contains(['/', '@', ':']) {
        return Err(OpenError::Url);
    }
    let (mut host, mut database) = (parsed.host_str().unwrap_or_default().to_owned(), path.to_owned());
    let mut port = parsed.port().map(|port| port.to_string());
    for (name, value) in parsed.query_pairs() {
        if !OPTIONS.contains(&&*name) {
            return Err(OpenError::Option);
        }
        match &*name {
            "sslmode" if !SSL_MODES.contains(&&*value) => return Err(OpenError::SslMode),
            "host" => host = value.into_owned(),
            "dbname" => database = value.into_owned(),
            "port" if value.parse::<u16>().is_ok() => port = Some(value.into_owned()),
            "port" => return Err(OpenError::Url),
            _ => {}
        }
    }
    let named = |text: String, otherwise: &str| if text.is_empty() { otherwise.to_owned() } else { text };
    let mut place = format!("{} at {}", named(database, "(of the role)"), named(host, "(the default host)"));
    if let Some(port) = port {
        place.push(':');
        place.push_str(&port);
    }
    Ok((options, place))
}

async fn check(options: &AnyConnectOptions, place: &str) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| fault(place, &error);
    let mut connection = options.connect().await.map_err(failed)?;
    let about = "SELECT current_setting('server_encoding'), current_setting('fsync')";
    let about = connection.fetch_one(about).await.map_err(failed)?;
    let encoding: String = about.try_get(0).map_err(failed)?;
    if encoding != "UTF8" {
        return Err(OpenError::Encoding { place: place.to_owned(), encoding });
    }
    let fsync: String = about.try_get(1).map_err(failed)?;
    if fsync != "on" {
        tracing::warn!(place, "the database server runs without fsync: a power cut can lose what was acknowledged");
    }
    let ours = check_version(&mut connection, place, TABLES).await;
    ours.map_err(|error| error.into_open_error(|e| fault(place, e)))?;
    // Only tidies up.
    connection.close().await.ok();
    Ok(())
}

/// For reading and for writing. Connects when there is something to ask.
pub(super) fn pools(options: &AnyConnectOptions, connections: u32, deadline: Duration) -> (AnyPool, AnyPool) {
    let writers = (connections / 2).max(1);
    let readers = connections.saturating_sub(writers).max(1);
    let pool = |limit, read_only| pool_options(limit, read_only, deadline).connect_lazy_with(options.clone());
    (pool(readers, "on"), pool(writers, "off"))
}

fn pool_options(limit: u32, read_only: &str, deadline: Duration) -> AnyPoolOptions {
    let statement_timeout = deadline.saturating_sub(BEFORE_THE_DEADLINE).as_millis();
    let settings: Arc<str> = format!(
        "SET statement_timeout = {statement_timeout}; SET default_transaction_read_only = {read_only}; {SETTINGS}"
    )
    .into();
    AnyPoolOptions::new()
        .max_connections(limit)
        // The deadline of each call is what ends the waiting.
        .acquire_timeout(PATIENT_DEADLINE)
        .idle_timeout(IDLE)
        .max_lifetime(LIFETIME)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let settings = Arc::clone(&settings);
            Box::pin(async move {
                connection.execute(AssertSqlSafe(settings)).await?;
                Ok(())
            })
        })
        // A server may have gone and come back since.
        .before_acquire(|connection, about| {
            Box::pin(async move {
                Ok(about.idle_for < PROBED_AFTER || matches!(timeout(PROBE, connection.ping()).await, Ok(Ok(()))))
            })
        })
        .after_release(|connection, _| Box::pin(async move { Ok(is_clean(connection).await) }))
}

/// sqlx first reads the answers that nobody waits for any more. It forgets a BEGIN that was cut off, though, and without a
/// deadline a server that is silent would keep the place of this connection taken.
async fn is_clean(connection: &mut AnyConnection) -> bool {
    let probe = async { connection.fetch_one(NO_TRANSACTION).await?.try_get::<bool, _>(0) };
    matches!(timeout(PROBE, probe).await, Ok(Ok(true)))
}

/// Gives the text columns of a schema that was written for both databases the order and the lower case that it has in SQLite:
/// by bytes, and of ASCII. What the database was created with is the operator's business.
pub(super) async fn compare_text_by_bytes(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let statements = "SELECT 'ALTER TABLE ' || quote_ident(table_name) || ' ALTER COLUMN ' || quote_ident(column_name) \
         || ' TYPE TEXT COLLATE \"C\"' \
         FROM information_schema.columns WHERE table_schema = current_schema() AND data_type = 'text' \
         AND collation_name IS DISTINCT FROM 'C' AND table_name <> '_sqlx_migrations' \
         ORDER BY table_name, ordinal_position";
    let statements: Vec<String> = sqlx::query_scalar(statements).fetch_all(&mut *connection).await?;
    for statement in statements {
        connection.execute(AssertSqlSafe(statement)).await?;
    }
    Ok(())
}

pub(super) fn fault(place: &str, error: &sqlx::Error) -> OpenError {
    let place = place.to_owned();
    let code = error.as_database_error().and_then(|error| error.code());
    let cause = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    match code.as_deref() {
        Some("28000" | "28P01") => OpenError::NotLetIn { place, cause },
        Some("3D000") => OpenError::NoDatabase { place },
        Some(_) if !is_about_connecting(code.as_deref()) => OpenError::Refused { place, cause },
        _ => OpenError::Unreachable { place, cause },
    }
}

/// Classes 08 and 57, and being out of connections.
fn is_about_connecting(code: Option<&str>) -> bool {
    code.is_some_and(|code| code.starts_with("08") || code.starts_with("57") || code == "53300")
}

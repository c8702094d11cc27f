//! Filling the database of a gateway, faster than its commands would.

use std::path::Path;

use portcullis::crypto::key_digest::digest_of;
use portcullis::crypto::random::OsRandom;
use portcullis::domain::presented_key::PresentedKey;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};

use crate::harness::Result;

/// Makes rows like the one that a command has made until there are `total` keys, and gives `known` of them, spread evenly,
/// a key that is known here. Returns those keys.
pub fn fill_with_keys(database: &Path, total: usize, known: usize) -> Result<Vec<String>> {
    let known = known.min(total - 1);
    run(database, async |connection| {
        // Whoever is already known has the first row.
        connection
            .execute(AssertSqlSafe(format!(
                "INSERT INTO api_keys (id, prefix, digest, name, owner_user, owner_service, scopes, created_at) \
                 WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {total}) \
                 SELECT lower(hex(randomblob(16))), printf('x%07d', i), lower(hex(randomblob(32))), name, owner_user, \
                 owner_service, scopes, created_at + i FROM n, (SELECT * FROM api_keys LIMIT 1)"
            )))
            .await?;
        let mut keys = Vec::with_capacity(known);
        for number in 0..known {
            let key = PresentedKey::generate(&OsRandom::new());
            let row = 2 + number * (total - 1) / known;
            let done = sqlx::query("UPDATE api_keys SET prefix = $1, digest = $2 WHERE rowid = $3")
                .bind(key.prefix().to_owned())
                .bind(digest_of(&key).hex())
                .bind(i64::try_from(row).unwrap_or(i64::MAX))
                .execute(&mut *connection)
                .await?;
            if done.rows_affected() == 1 {
                keys.push(key.expose().to_owned());
            }
        }
        Ok(keys)
    })
}

/// Makes `count` sessions like the one that there is, with `name` and a number as their ids.
pub fn copy_session(database: &Path, count: usize, name: &str) -> Result<()> {
    run(database, async |connection| {
        let copied = connection.execute(AssertSqlSafe(format!(
            "INSERT INTO sessions (id, user_id, counter, rotated_at, created_at, last_used_at, expires_at, amr, \
             client_address, user_agent) \
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) \
             SELECT '{name}' || i, user_id, counter, rotated_at, created_at, last_used_at, expires_at, amr, \
             client_address, user_agent FROM n, (SELECT * FROM sessions LIMIT 1)"
        )));
        copied.await.map(drop)
    })
}

/// In one transaction. Nothing is lost if a machine stops but a benchmark, so nobody waits for the disk.
fn run<T>(database: &Path, change: impl AsyncFnOnce(&mut AnyConnection) -> sqlx::Result<T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(|error| format!("no runtime: {error}"))?.block_on(async {
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(&format!("sqlite://{}", database.display())).await?;
        connection.execute("PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000").await?;
        connection.execute("BEGIN IMMEDIATE").await?;
        let result = change(&mut connection).await?;
        connection.execute("COMMIT").await?;
        connection.close().await?;
        Ok(result)
    });
    done.map_err(|error: sqlx::Error| format!("{}: {error}", database.display()))
}

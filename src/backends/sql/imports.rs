//! What is taken over from another installation, in one transaction.
//!
//! Rows come many at a time, and go in by statements of many rows: one statement for each would take most of its time to
//! reach the database.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe};

use super::answer::{Deadline, corrupt, within_deadline};
use super::changing::Changing;
use super::pool::Pool;
use super::user_lock::lock_user;
use super::{api_keys, second_factors, sessions, users};
use crate::domain::api_key::{ApiKeyId, KeyOwner};
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::invalidation::Invalidation;
use crate::domain::second_factor::{SecondFactor, SecondFactorId};
use crate::domain::session::{Kept, Session, SessionEnd, SessionId};
use crate::domain::user::{PasswordHash, User, UserId};
use crate::storage::Result;
use crate::storage::imports::{ImportKind, ImportedKey, Importing, Imports, Remembered};
use crate::storage::second_factors::RecoveryCode;

const TABLE: &str = "imported";
/// For one statement. Nobody's request waits for it.
const DEADLINE: Deadline = Deadline::of(Duration::from_secs(300));
/// Of more users than this nobody is told that they have a second factor now: nodes notice by the age of what they know.
const MOST_TOLD: usize = 1000;

#[derive(Clone)]
pub struct SqlImports {
    pool: Pool,
}

impl SqlImports {
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl Imports for SqlImports {
    async fn begin(&self) -> Result<Box<dyn Importing>> {
        let changing = within_deadline(self.pool.deadline(), TABLE, self.pool.change()).await?;
        let locks = self.pool.in_dialect(false, true);
        Ok(Box::new(SqlImporting { changing, locks, due: Vec::new() }))
    }
}

struct SqlImporting {
    changing: Changing,
    /// Whether others may write meanwhile, unless rows are locked.
    locks: bool,
    /// What nodes must forget, told at the end: the log's lock comes last.
    due: Vec<(Invalidation, Timestamp)>,
}

/// `($1, $2), ($3, $4)` for two rows of two columns.
fn places(rows: usize, columns: usize) -> String {
    let mut next = 0;
    let mut row = || {
        let places: Vec<String> = (0..columns)
            .map(|_| {
                next += 1;
                format!("${next}")
            })
            .collect();
        format!("({})", places.join(", "))
    };
    (0..rows).map(|_| row()).collect::<Vec<_>>().join(", ")
}

fn statement<'q>(text: String) -> Query<'q, Any, AnyArguments> {
    sqlx::query(AssertSqlSafe(text))
}

#[derive(sqlx::FromRow)]
struct Row {
    original_id: String,
    target_id: String,
    digest: String,
    seen_at: i64,
}

impl TryFrom<Row> for Remembered {
    type Error = crate::storage::StoreError;

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

impl SqlImporting {
    async fn run(&mut self, statement: Query<'_, Any, AnyArguments>) -> Result<u64> {
        let done = within_deadline(DEADLINE, TABLE, statement.execute(self.changing.connection())).await?;
        Ok(done.rows_affected())
    }

    /// The ids of the rows that went in.
    async fn insert(&mut self, statement: Query<'_, Any, AnyArguments>) -> Result<HashSet<String>> {
        use sqlx::Row as _;
        let rows = within_deadline(DEADLINE, TABLE, statement.fetch_all(self.changing.connection())).await?;
        within_deadline(DEADLINE, TABLE, async { rows.iter().map(|row| row.try_get(0)).collect() }).await
    }

    /// As when it is done here. The log's lock comes at the end of all, though, so the sessions are told of one by one.
    async fn end_sessions(&mut self, user: &UserId, why: SessionEnd, now: Timestamp) -> Result<()> {
        let raise = sqlx::query(
            "UPDATE users SET tokens_valid_from = \
             CASE WHEN tokens_valid_from > $1 THEN tokens_valid_from ELSE $1 END WHERE id = $2",
        );
        self.run(raise.bind(Kept::NOTHING.tokens_valid_from(now).as_micros()).bind(user.as_str())).await?;
        let end = sqlx::query(
            "UPDATE sessions SET ended_at = $1, end_reason = $2 WHERE user_id = $3 AND ended_at IS NULL RETURNING id",
        );
        let ended = self.insert(end.bind(now.as_micros()).bind(why.as_str()).bind(user.as_str())).await?;
        for session in ended {
            self.tell(Invalidation::Session(SessionId(session)), now);
        }
        Ok(())
    }

    fn tell(&mut self, what: Invalidation, now: Timestamp) {
        self.due.push((what, now));
    }
}

#[async_trait]
impl Importing for SqlImporting {
    async fn known(&mut self, kind: ImportKind, originals: &[String]) -> Result<HashMap<String, Remembered>> {
        if originals.is_empty() {
            return Ok(HashMap::new());
        }
        let text = format!(
            "SELECT original_id, target_id, digest, seen_at FROM imported WHERE kind = ${} AND original_id IN {}",
            originals.len() + 1,
            places(1, originals.len())
        );
        let mut query = sqlx::query_as(AssertSqlSafe(text));
        for original in originals {
            query = query.bind(original.as_str());
        }
        let query = query.bind(kind.as_str());
        let rows: Vec<Row> = within_deadline(DEADLINE, TABLE, query.fetch_all(self.changing.connection())).await?;
        rows.into_iter().map(|row| Remembered::try_from(row).map(|row| (row.original.clone(), row))).collect()
    }

    async fn remember(&mut self, kind: ImportKind, rows: &[Remembered]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut query = statement(format!(
            "INSERT INTO imported (kind, original_id, target_id, digest, seen_at) VALUES {} \
             ON CONFLICT (kind, original_id) DO UPDATE SET target_id = excluded.target_id, digest = excluded.digest, \
             seen_at = excluded.seen_at",
            places(rows.len(), 5)
        ));
        for row in rows {
            query = query
                .bind(kind.as_str())
                .bind(row.original.as_str())
                .bind(row.target.as_str())
                .bind(row.digest.hex())
                .bind(row.seen_at.as_micros());
        }
        self.run(query).await.map(|_| ())
    }

    async fn forget(&mut self, kind: ImportKind) -> Result<()> {
        let query = sqlx::query("DELETE FROM imported WHERE kind = $1").bind(kind.as_str());
        self.run(query).await.map(|_| ())
    }

    async fn unseen(
        &mut self,
        kind: ImportKind,
        seen_at: Timestamp,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Remembered>> {
        let query = sqlx::query_as(
            "SELECT original_id, target_id, digest, seen_at FROM imported \
             WHERE kind = $1 AND seen_at < $2 AND original_id > $3 ORDER BY original_id LIMIT $4",
        )
        .bind(kind.as_str())
        .bind(seen_at.as_micros())
        .bind(after)
        .bind(i64::from(limit));
        let rows: Vec<Row> = within_deadline(DEADLINE, TABLE, query.fetch_all(self.changing.connection())).await?;
        rows.into_iter().map(Remembered::try_from).collect()
    }

    async fn users(&mut self, ids: &[UserId]) -> Result<Vec<User>> {
        let mut found = Vec::new();
        for id in ids {
            // Nobody is to change what is judged here until it is written.
            if self.locks {
                within_deadline(DEADLINE, TABLE, lock_user(self.changing.connection(), id)).await?;
            }
            found.extend(users::read(self.changing.connection(), id, DEADLINE).await?);
        }
        Ok(found)
    }

    async fn insert_users(&mut self, users: &[User]) -> Result<HashSet<String>> {
        if users.is_empty() {
            return Ok(HashSet::new());
        }
        let mut query = statement(format!(
            "INSERT INTO users (id, username, email, email_folded, first_name, last_name, is_active, is_admin, roles, \
             scopes, password, created_at, password_changed_at, last_sign_in_at) VALUES {} \
             ON CONFLICT DO NOTHING RETURNING id",
            places(users.len(), 14)
        ));
        for user in users {
            query = query
                .bind(user.id.as_str())
                .bind(user.username.as_str())
                .bind(user.email.as_str())
                .bind(user.email.to_ascii_lowercase())
                .bind(user.first_name.as_str())
                .bind(user.last_name.as_str())
                .bind(i64::from(user.is_active))
                .bind(i64::from(user.is_admin))
                .bind(user.roles.to_string())
                .bind(user.scopes.to_string())
                .bind(user.password.text())
                .bind(user.created_at.as_micros())
                .bind(user.password_changed_at.as_micros())
                .bind(user.last_sign_in_at.map(Timestamp::as_micros));
        }
        self.insert(query).await
    }

    async fn update_user(&mut self, user: &User, end: Option<SessionEnd>, now: Timestamp) -> Result<bool> {
        let query = sqlx::query(
            "UPDATE users SET username = $1, email = $2, email_folded = $3, first_name = $4, last_name = $5, \
             is_active = $6, is_admin = $7, password = $8, password_changed_at = $9, last_sign_in_at = $10 \
             WHERE id = $11 AND NOT EXISTS (SELECT 1 FROM users other WHERE other.username = $1 AND other.id <> $11)",
        )
        .bind(user.username.as_str())
        .bind(user.email.as_str())
        .bind(user.email.to_ascii_lowercase())
        .bind(user.first_name.as_str())
        .bind(user.last_name.as_str())
        .bind(i64::from(user.is_active))
        .bind(i64::from(user.is_admin))
        .bind(user.password.text())
        .bind(user.password_changed_at.as_micros())
        .bind(user.last_sign_in_at.map(Timestamp::as_micros))
        .bind(user.id.as_str());
        let done = self.run(query).await? == 1;
        if done {
            self.tell(Invalidation::User(user.id.clone()), now);
            if let Some(why) = end {
                self.end_sessions(&user.id, why, now).await?;
            }
        }
        Ok(done)
    }

    async fn api_keys(&mut self, ids: &[ApiKeyId]) -> Result<Vec<ImportedKey>> {
        let mut found = Vec::new();
        for id in ids {
            if self.locks {
                self.run(sqlx::query("UPDATE api_keys SET id = id WHERE id = $1").bind(id.as_str())).await?;
            }
            let Some(key) = api_keys::read(self.changing.connection(), id, DEADLINE).await? else { continue };
            let slow = sqlx::query_scalar("SELECT hash FROM slow_api_keys WHERE key_id = $1").bind(id.as_str());
            let slow: Option<String> =
                within_deadline(DEADLINE, TABLE, slow.fetch_optional(self.changing.connection())).await?;
            found.push(ImportedKey { key, slow_hash: slow.map(PasswordHash::new) });
        }
        Ok(found)
    }

    async fn insert_api_keys(&mut self, keys: &[ImportedKey]) -> Result<HashSet<String>> {
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        let mut query = statement(format!(
            "INSERT INTO api_keys (id, prefix, digest, name, owner_user, owner_service, scopes, created_at, expires_at, \
             revoked_at, revoked_reason) VALUES {} ON CONFLICT DO NOTHING RETURNING id",
            places(keys.len(), 11)
        ));
        for ImportedKey { key, .. } in keys {
            let (user, service) = match &key.owner {
                KeyOwner::User(id) => (Some(id.as_str()), None),
                KeyOwner::Service(name) => (None, Some(name.as_str())),
            };
            query = query
                .bind(key.id.as_str())
                .bind(key.prefix.as_str())
                .bind(key.digest.hex())
                .bind(key.name.as_str())
                .bind(user)
                .bind(service)
                .bind(key.scopes.to_string())
                .bind(key.created_at.as_micros())
                .bind(key.expires_at.map(Timestamp::as_micros))
                .bind(key.revoked.as_ref().map(|(at, _)| at.as_micros()))
                .bind(key.revoked.as_ref().map(|(_, reason)| reason.as_str()));
        }
        let inserted = self.insert(query).await?;
        let slow: Vec<(&str, &PasswordHash)> = keys
            .iter()
            .filter(|key| inserted.contains(key.key.id.as_str()))
            .filter_map(|key| Some((key.key.id.as_str(), key.slow_hash.as_ref()?)))
            .collect();
        if !slow.is_empty() {
            let text = format!("INSERT INTO slow_api_keys (key_id, hash) VALUES {}", places(slow.len(), 2));
            let mut query = statement(text);
            for (id, hash) in slow {
                query = query.bind(id).bind(hash.text());
            }
            self.run(query).await?;
        }
        Ok(inserted)
    }

    async fn update_api_key(&mut self, ImportedKey { key, slow_hash }: &ImportedKey, now: Timestamp) -> Result<()> {
        let query = sqlx::query(
            "UPDATE api_keys SET digest = $1, name = $2, owner_service = $3, expires_at = $4, revoked_at = $5, \
             revoked_reason = $6 WHERE id = $7",
        )
        .bind(key.digest.hex())
        .bind(key.name.as_str())
        .bind(match &key.owner {
            KeyOwner::Service(name) => Some(name.as_str()),
            KeyOwner::User(_) => None,
        })
        .bind(key.expires_at.map(Timestamp::as_micros))
        .bind(key.revoked.as_ref().map(|(at, _)| at.as_micros()))
        .bind(key.revoked.as_ref().map(|(_, reason)| reason.as_str()))
        .bind(key.id.as_str());
        self.run(query).await?;
        self.run(sqlx::query("DELETE FROM slow_api_keys WHERE key_id = $1").bind(key.id.as_str())).await?;
        if let Some(hash) = slow_hash {
            let query = sqlx::query("INSERT INTO slow_api_keys (key_id, hash) VALUES ($1, $2)");
            self.run(query.bind(key.id.as_str()).bind(hash.text())).await?;
        }
        self.tell(Invalidation::ApiKey(key.id.clone()), now);
        Ok(())
    }

    async fn second_factors(&mut self, ids: &[SecondFactorId]) -> Result<Vec<SecondFactor>> {
        let mut found = Vec::new();
        for id in ids {
            found.extend(second_factors::read(self.changing.connection(), id, DEADLINE).await?);
        }
        Ok(found)
    }

    async fn insert_second_factors(&mut self, devices: &[SecondFactor]) -> Result<HashSet<String>> {
        if devices.is_empty() {
            return Ok(HashSet::new());
        }
        let mut query = statement(format!(
            "INSERT INTO second_factors (id, user_id, name, sealed_secret, algorithm, digits, period, t0, tolerance, \
             drift, last_step, created_at, confirmed_at, last_used_at) VALUES {} ON CONFLICT DO NOTHING RETURNING id",
            places(devices.len(), 14)
        ));
        for device in devices {
            query = bind_parameters(
                query
                    .bind(device.id.as_str())
                    .bind(device.user_id.as_str())
                    .bind(device.name.as_str())
                    .bind(STANDARD.encode(&device.sealed_secret)),
                device,
            )
            .bind(device.created_at.as_micros())
            .bind(device.confirmed_at.map(Timestamp::as_micros))
            .bind(device.last_used_at.map(Timestamp::as_micros));
        }
        self.insert(query).await
    }

    async fn update_second_factor(&mut self, device: &SecondFactor, now: Timestamp) -> Result<()> {
        let query = sqlx::query(
            "UPDATE second_factors SET name = $1, sealed_secret = $2, algorithm = $3, digits = $4, period = $5, t0 = $6, \
             tolerance = $7, drift = $8, last_step = $9, confirmed_at = $10, last_used_at = $11 WHERE id = $12",
        )
        .bind(device.name.as_str())
        .bind(STANDARD.encode(&device.sealed_secret));
        let query = bind_parameters(query, device)
            .bind(device.confirmed_at.map(Timestamp::as_micros))
            .bind(device.last_used_at.map(Timestamp::as_micros))
            .bind(device.id.as_str());
        self.run(query).await?;
        self.tell(Invalidation::User(device.user_id.clone()), now);
        Ok(())
    }

    async fn insert_recovery_codes(&mut self, codes: &[(UserId, RecoveryCode)]) -> Result<HashSet<String>> {
        if codes.is_empty() {
            return Ok(HashSet::new());
        }
        let mut query = statement(format!(
            "INSERT INTO recovery_codes (id, user_id, digest) VALUES {} ON CONFLICT DO NOTHING RETURNING id",
            places(codes.len(), 3)
        ));
        for (user, code) in codes {
            query = query.bind(code.id.0.as_str()).bind(user.as_str()).bind(code.digest.hex());
        }
        self.insert(query).await
    }

    async fn spend_recovery_codes(&mut self, ids: &[String], now: Timestamp) -> Result<u64> {
        if ids.is_empty() {
            return Ok(0);
        }
        let mut query = statement(format!(
            "UPDATE recovery_codes SET used_at = ${} WHERE used_at IS NULL AND id IN {}",
            ids.len() + 1,
            places(1, ids.len())
        ));
        for id in ids {
            query = query.bind(id.as_str());
        }
        self.run(query.bind(now.as_micros())).await
    }

    async fn end_sessions(&mut self, sessions: &[Session]) -> Result<u64> {
        let mut ended = 0;
        for session in sessions {
            let insert = sessions::insertion(session);
            if self.run(insert).await? == 1 {
                ended += 1;
                continue;
            }
            let Some((at, why)) = session.ended else { continue };
            let query =
                sqlx::query("UPDATE sessions SET ended_at = $1, end_reason = $2 WHERE id = $3 AND ended_at IS NULL")
                    .bind(at.as_micros())
                    .bind(why.as_str())
                    .bind(session.id.as_str());
            if self.run(query).await? == 1 {
                ended += 1;
                self.tell(Invalidation::Session(SessionId(session.id.0.clone())), session.last_used_at);
            }
        }
        Ok(ended)
    }

    async fn note_second_factors(&mut self, now: Timestamp) -> Result<()> {
        let query = sqlx::query(
            "UPDATE users SET has_second_factor = 1 - has_second_factor WHERE has_second_factor <> \
             (CASE WHEN EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = users.id AND f.confirmed_at IS NOT NULL) \
             THEN 1 ELSE 0 END) RETURNING id",
        );
        let changed = self.insert(query).await?;
        if changed.len() <= MOST_TOLD {
            for id in changed {
                self.tell(Invalidation::User(UserId(id)), now);
            }
        }
        Ok(())
    }

    async fn commit(self: Box<Self>, change: &Change) -> Result<()> {
        let Self { mut changing, due, .. } = *self;
        within_deadline(DEADLINE, TABLE, async {
            changing.write(change).await?;
            for (what, now) in due {
                changing.forget(what, Some(now)).await?;
            }
            changing.commit().await
        })
        .await
    }

    async fn roll_back(self: Box<Self>) -> Result<()> {
        within_deadline(DEADLINE, TABLE, self.changing.roll_back()).await
    }
}

fn bind_parameters<'q>(query: Query<'q, Any, AnyArguments>, device: &SecondFactor) -> Query<'q, Any, AnyArguments> {
    let parameters = &device.parameters;
    query
        .bind(parameters.algorithm.as_str())
        .bind(i64::from(parameters.digits.get()))
        .bind(i64::from(parameters.period.get()))
        .bind(parameters.t0)
        .bind(i64::from(parameters.tolerance.get()))
        .bind(parameters.drift)
        .bind(device.last_step)
}

#[cfg(test)]
mod tests {
    #[test]
    fn places_are_numbered_through() {
        assert_eq!(super::places(2, 3), "($1, $2, $3), ($4, $5, $6)");
        assert_eq!(super::places(1, 1), "($1)");
    }
}

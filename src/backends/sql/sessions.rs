//! Sessions: one row per sign-in.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::AnyConnection;

use super::answer::{corrupt, is_unheard_of, within_deadline};
use super::insertion::{self, Insertable, Statement};
use super::invalidations::advance;
use super::pool::Pool;
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::invalidation::Invalidation;
use crate::domain::session::{Session, SessionEnd, SessionId};
use crate::domain::user::UserId;
use crate::storage::sessions::{EndAll, Sessions};
use crate::storage::{Result, StoreError};

const TABLE: &str = "sessions";

macro_rules! select {
    (columns) => {
        concat!(
            "id, user_id, counter, rotated_at, created_at, last_used_at, expires_at, ended_at, end_reason, amr, ",
            "client_address, user_agent"
        )
    };
    ($rest:literal) => {
        concat!("SELECT ", select!(columns), " FROM sessions ", $rest)
    };
}

#[derive(Clone)]
pub struct SqlSessions {
    pool: Pool,
}

impl SqlSessions {
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    user_id: String,
    counter: i64,
    rotated_at: i64,
    created_at: i64,
    last_used_at: i64,
    expires_at: i64,
    ended_at: Option<i64>,
    end_reason: Option<String>,
    amr: String,
    client_address: String,
    user_agent: String,
}

impl TryFrom<Row> for Session {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let ended = match (row.ended_at, row.end_reason.as_deref()) {
            (None, None) => None,
            (Some(at), Some(why)) => {
                let why = SessionEnd::parse(why).ok_or_else(|| corrupt(TABLE, &row.id, "unknown end_reason"))?;
                Some((Timestamp::from_micros(at), why))
            }
            _ => return Err(corrupt(TABLE, &row.id, "ended_at and end_reason contradict each other")),
        };
        Ok(Self {
            id: SessionId(row.id),
            user_id: UserId(row.user_id),
            counter: row.counter,
            rotated_at: Timestamp::from_micros(row.rotated_at),
            created_at: Timestamp::from_micros(row.created_at),
            last_used_at: Timestamp::from_micros(row.last_used_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            ended,
            amr: row.amr.split_ascii_whitespace().map(str::to_owned).collect(),
            client_address: row.client_address,
            user_agent: row.user_agent,
        })
    }
}

impl<'q> Insertable<'q> for &'q Session {
    const TABLE: &'static str = TABLE;
    const COLUMNS: &'static str = select!(columns);

    fn bind(self, statement: Statement<'q>) -> Statement<'q> {
        statement
            .bind(self.id.as_str())
            .bind(self.user_id.as_str())
            .bind(self.counter)
            .bind(self.rotated_at.as_micros())
            .bind(self.created_at.as_micros())
            .bind(self.last_used_at.as_micros())
            .bind(self.expires_at.as_micros())
            .bind(self.ended.map(|(at, _)| at.as_micros()))
            .bind(self.ended.map(|(_, why)| why.as_str()))
            .bind(self.amr.join(" "))
            .bind(self.client_address.as_str())
            .bind(self.user_agent.as_str())
    }
}

/// Inserts unless there is one with this id.
pub(super) fn insertion(session: &Session) -> Statement<'_> {
    insertion::insertion([session], "ON CONFLICT (id) DO NOTHING")
}

/// Ends one, unless it is over.
pub(super) fn ending<'q>(id: &'q SessionId, why: SessionEnd, at: Timestamp) -> Statement<'q> {
    sqlx::query("UPDATE sessions SET ended_at = $1, end_reason = $2 WHERE id = $3 AND ended_at IS NULL")
        .bind(at.as_micros())
        .bind(why.as_str())
        .bind(id.as_str())
}

/// As [`insertion`], in a transaction that is under way.
pub(super) async fn insert(connection: &mut AnyConnection, session: &Session) -> sqlx::Result<()> {
    insertion(session).execute(connection).await?;
    Ok(())
}

#[async_trait]
impl Sessions for SqlSessions {
    async fn insert(&self, session: &Session) -> Result<()> {
        within_deadline(self.pool.deadline(), TABLE, self.pool.write(insertion(session))).await?;
        Ok(())
    }

    async fn adopt(&self, session: &Session, issued_at: Option<Timestamp>) -> Result<bool> {
        // A token tells whole seconds, and one of the second in which others ended is not among those. One that does not say
        // when it was issued is older than any end.
        let ends_before =
            issued_at.map_or(i64::MIN, |at| Timestamp::from_secs(at.as_secs().saturating_add(1)).as_micros());
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            // Locks the user's row: whoever ends all of the user's tokens waits until this session is among what ends, or
            // was here first.
            let valid = sqlx::query(
                "UPDATE users SET id = id WHERE id = $1 AND is_active = 1 \
                 AND (tokens_valid_from IS NULL OR tokens_valid_from < $2)",
            )
            .bind(session.user_id.as_str())
            .bind(ends_before)
            .execute(changing.connection())
            .await?;
            if valid.rows_affected() == 0 {
                return Ok(false);
            }
            insert(changing.connection(), session).await?;
            changing.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn find(&self, id: &SessionId) -> Result<Option<Arc<Session>>> {
        if is_unheard_of(id.as_str()) {
            return Ok(None);
        }
        let statement = sqlx::query_as(select!("WHERE id = $1")).bind(id.as_str());
        let row: Option<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_optional(self.pool.reads())).await?;
        Ok(row.map(Session::try_from).transpose()?.map(Arc::new))
    }

    async fn list_live(&self, user: &UserId, now: Timestamp, limit: u32) -> Result<Vec<Session>> {
        let statement = sqlx::query_as(select!(
            "WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 ORDER BY created_at DESC, id DESC LIMIT $3"
        ))
        .bind(user.as_str())
        .bind(now.as_micros())
        .bind(i64::from(limit));
        let rows: Vec<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_all(self.pool.reads())).await?;
        rows.into_iter().map(Session::try_from).collect()
    }

    async fn rotate(&self, id: &SessionId, from: i64, now: Timestamp) -> Result<bool> {
        let statement = sqlx::query(
            "UPDATE sessions SET counter = counter + 1, rotated_at = $1, last_used_at = $1 \
             WHERE id = $2 AND counter = $3 AND ended_at IS NULL",
        )
        .bind(now.as_micros())
        .bind(id.as_str())
        .bind(from);
        Ok(within_deadline(self.pool.deadline(), TABLE, self.pool.write(statement)).await? == 1)
    }

    async fn end(&self, id: &SessionId, why: SessionEnd, now: Timestamp, change: &Change) -> Result<bool> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            let done = ending(id, why, now).execute(changing.connection()).await?;
            if done.rows_affected() == 0 {
                return Ok(false);
            }
            changing.write(change).await?;
            changing.forget(Invalidation::Session(id.clone()), Some(now)).await?;
            changing.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn end_all(&self, end: &EndAll, change: &Change) -> Result<Option<u64>> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            if !raise_tokens_valid_from(changing.connection(), end).await? {
                return Ok(None);
            }
            changing.write(change).await?;
            let ended = end_all(changing.connection(), end).await?;
            changing.forget(Invalidation::User(end.user_id.clone()), Some(end.at)).await?;
            changing.commit().await?;
            Ok(Some(ended))
        })
        .await
    }

    async fn delete_expired(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let statement = sqlx::query(
            "DELETE FROM sessions WHERE expires_at < $1 AND id IN \
             (SELECT id FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
        )
        .bind(before.as_micros())
        .bind(i64::from(limit));
        within_deadline(self.pool.deadline(), TABLE, self.pool.write(statement)).await
    }
}

/// Ends tokens that name no session, as [`end_all`] ends sessions. Never moves the time back. `false` when there is no such
/// user.
pub(super) async fn raise_tokens_valid_from(connection: &mut AnyConnection, end: &EndAll) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE users SET tokens_valid_from = \
         CASE WHEN tokens_valid_from > $1 THEN tokens_valid_from ELSE $1 END WHERE id = $2",
    )
    .bind(end.tokens_valid_from.as_micros())
    .bind(end.user_id.as_str())
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends the sessions of a user, expired ones too: the clock of another node may think otherwise. The number of
/// statements does not grow with the number of sessions, or a user with very many could not be shut out in time. How many
/// there were.
pub(super) async fn end_all(connection: &mut AnyConnection, end: &EndAll) -> sqlx::Result<u64> {
    // No session has an empty id.
    let keep = end.keep.as_ref().map(SessionId::as_str).unwrap_or_default();
    let done = sqlx::query(
        "UPDATE sessions SET ended_at = $1, end_reason = $2 WHERE user_id = $3 AND ended_at IS NULL AND id <> $4",
    )
    .bind(end.at.as_micros())
    .bind(end.why.as_str())
    .bind(end.user_id.as_str())
    .bind(keep)
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(0);
    }
    // Taken before the entries are numbered: it is the lock.
    let epoch = advance(connection, 0).await?;
    let entries = sqlx::query(
        "INSERT INTO invalidations (epoch, kind, subject, written_at) \
         SELECT $1 + ROW_NUMBER() OVER (ORDER BY id), 'session', id, ended_at FROM sessions \
         WHERE user_id = $2 AND ended_at = $3 AND end_reason = $4",
    )
    .bind(epoch)
    .bind(end.user_id.as_str())
    .bind(end.at.as_micros())
    .bind(end.why.as_str())
    .execute(&mut *connection)
    .await?;
    let steps = i64::try_from(entries.rows_affected()).map_err(|e| sqlx::Error::Protocol(e.to_string()))?;
    advance(connection, steps).await?;
    Ok(done.rows_affected())
}

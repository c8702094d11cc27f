//! What is taken over from another installation, in one transaction.
//!
//! Rows come many at a time, and go in by statements of many rows: one statement for each would take most of its time to
//! reach the database.

mod api_keys;
mod memory;
mod recovery_codes;
mod second_factors;
mod sessions;
mod users;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;

use super::answer::{Deadline, within_deadline};
use super::changing::Changing;
use super::insertion::Statement;
use super::pool::Pool;
use crate::domain::api_key::ApiKeyId;
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::invalidation::Invalidation;
use crate::domain::second_factor::{SecondFactor, SecondFactorId};
use crate::domain::session::{Session, SessionEnd};
use crate::domain::user::{User, UserId};
use crate::storage::Result;
use crate::storage::imports::{ImportKind, ImportedKey, Importing, Imports, Remembered};
use crate::storage::second_factors::RecoveryCode;

const TABLE: &str = "imported";
/// For one statement. Nobody's request waits for it.
const DEADLINE: Deadline = Deadline::of(Duration::from_secs(300));

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

impl SqlImporting {
    /// How many rows it was done to.
    async fn run(&mut self, statement: Statement<'_>) -> Result<u64> {
        let done = within_deadline(DEADLINE, TABLE, statement.execute(self.changing.connection())).await?;
        Ok(done.rows_affected())
    }

    /// The ids that the statement answers with: of the rows that went in, for one that inserts.
    async fn ids(&mut self, statement: Statement<'_>) -> Result<HashSet<String>> {
        use sqlx::Row as _;
        let rows = within_deadline(DEADLINE, TABLE, statement.fetch_all(self.changing.connection())).await?;
        within_deadline(DEADLINE, TABLE, async { rows.iter().map(|row| row.try_get(0)).collect() }).await
    }

    fn tell(&mut self, what: Invalidation, now: Timestamp) {
        self.due.push((what, now));
    }
}

#[async_trait]
impl Importing for SqlImporting {
    async fn known(&mut self, kind: ImportKind, originals: &[String]) -> Result<HashMap<String, Remembered>> {
        memory::known(self, kind, originals).await
    }

    async fn remember(&mut self, kind: ImportKind, rows: &[Remembered]) -> Result<()> {
        memory::remember(self, kind, rows).await
    }

    async fn forget(&mut self, kind: ImportKind) -> Result<()> {
        memory::forget(self, kind).await
    }

    async fn unseen(
        &mut self,
        kind: ImportKind,
        seen_at: Timestamp,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Remembered>> {
        memory::unseen(self, kind, seen_at, after, limit).await
    }

    async fn users(&mut self, ids: &[UserId]) -> Result<Vec<User>> {
        users::find(self, ids).await
    }

    async fn insert_users(&mut self, users: &[User]) -> Result<HashSet<String>> {
        users::insert(self, users).await
    }

    async fn update_user(&mut self, user: &User, end: Option<SessionEnd>, now: Timestamp) -> Result<bool> {
        users::update(self, user, end, now).await
    }

    async fn api_keys(&mut self, ids: &[ApiKeyId]) -> Result<Vec<ImportedKey>> {
        api_keys::find(self, ids).await
    }

    async fn insert_api_keys(&mut self, keys: &[ImportedKey]) -> Result<HashSet<String>> {
        api_keys::insert(self, keys).await
    }

    async fn update_api_key(&mut self, key: &ImportedKey, now: Timestamp) -> Result<()> {
        api_keys::update(self, key, now).await
    }

    async fn second_factors(&mut self, ids: &[SecondFactorId]) -> Result<Vec<SecondFactor>> {
        second_factors::find(self, ids).await
    }

    async fn insert_second_factors(&mut self, devices: &[SecondFactor]) -> Result<HashSet<String>> {
        second_factors::insert(self, devices).await
    }

    async fn update_second_factor(&mut self, device: &SecondFactor, now: Timestamp) -> Result<()> {
        second_factors::update(self, device, now).await
    }

    async fn insert_recovery_codes(&mut self, codes: &[(UserId, RecoveryCode)]) -> Result<HashSet<String>> {
        recovery_codes::insert(self, codes).await
    }

    async fn spend_recovery_codes(&mut self, ids: &[String], now: Timestamp) -> Result<u64> {
        recovery_codes::spend(self, ids, now).await
    }

    async fn end_sessions(&mut self, sessions: &[Session]) -> Result<u64> {
        sessions::end(self, sessions).await
    }

    async fn note_second_factors(&mut self, now: Timestamp) -> Result<()> {
        second_factors::note_who_has_one(self, now).await
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

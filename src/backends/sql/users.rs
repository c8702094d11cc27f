//! Users, by id and by name.

use std::sync::Arc;

use async_trait::async_trait;

use super::answer::{corrupt, within_deadline};
use super::invalidations::record;
use super::pool::Pool;
use super::sessions::end_all;
use crate::domain::clock::Timestamp;
use crate::domain::invalidation::Invalidation;
use crate::domain::scope::ScopeSet;
use crate::domain::session::SessionEnd;
use crate::domain::user::{PasswordHash, User, UserId};
use crate::storage::users::{Insert, Users};
use crate::storage::{Result, StoreError};

const TABLE: &str = "users";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, username, email, is_active, is_admin, scopes, password, created_at, password_changed_at ",
            "FROM users ",
            $rest
        )
    };
}

#[derive(Clone)]
pub struct SqlUsers {
    pool: Pool,
}

impl SqlUsers {
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    username: String,
    email: String,
    is_active: i64,
    is_admin: i64,
    scopes: String,
    password: String,
    created_at: i64,
    password_changed_at: i64,
}

impl TryFrom<Row> for User {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let scopes = ScopeSet::parse(&row.scopes).map_err(|_| corrupt(TABLE, &row.id, "scopes holds no scopes"))?;
        Ok(Self {
            id: UserId(row.id),
            username: row.username,
            email: row.email,
            is_active: row.is_active == 1,
            is_admin: row.is_admin == 1,
            scopes,
            password: PasswordHash::new(row.password),
            created_at: Timestamp::from_micros(row.created_at),
            password_changed_at: Timestamp::from_micros(row.password_changed_at),
        })
    }
}

#[async_trait]
impl Users for SqlUsers {
    async fn insert(&self, user: &User) -> Result<Insert> {
        let statement = sqlx::query(
            "INSERT INTO users (id, username, email, is_active, is_admin, scopes, password, created_at, \
             password_changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        )
        .bind(user.id.as_str())
        .bind(user.username.as_str())
        .bind(user.email.as_str())
        .bind(i64::from(user.is_active))
        .bind(i64::from(user.is_admin))
        .bind(user.scopes.to_string())
        .bind(user.password.text())
        .bind(user.created_at.as_micros())
        .bind(user.password_changed_at.as_micros());
        let inserted = within_deadline(self.pool.deadline(), TABLE, self.pool.write(statement)).await? == 1;
        Ok(if inserted { Insert::Done } else { Insert::Taken })
    }

    async fn find(&self, id: &UserId) -> Result<Option<Arc<User>>> {
        let statement = sqlx::query_as(select!("WHERE id = $1")).bind(id.as_str());
        let row: Option<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_optional(self.pool.reads())).await?;
        Ok(row.map(User::try_from).transpose()?.map(Arc::new))
    }

    async fn find_by_username(&self, username: &str) -> Result<Option<User>> {
        let statement = sqlx::query_as(select!("WHERE username = $1")).bind(username);
        let row: Option<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_optional(self.pool.reads())).await?;
        row.map(User::try_from).transpose()
    }

    async fn list(&self, after: Option<&str>, limit: u32) -> Result<Vec<User>> {
        // No name is empty, so that every name comes after the empty one.
        let statement = sqlx::query_as(select!("WHERE username > $1 ORDER BY username LIMIT $2"))
            .bind(after.unwrap_or_default())
            .bind(i64::from(limit));
        let rows: Vec<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_all(self.pool.reads())).await?;
        rows.into_iter().map(User::try_from).collect()
    }

    async fn count(&self) -> Result<u64> {
        let statement = sqlx::query_scalar("SELECT COUNT(*) FROM users");
        let count: i64 = within_deadline(self.pool.deadline(), TABLE, statement.fetch_one(self.pool.reads())).await?;
        u64::try_from(count).map_err(|_| corrupt(TABLE, "(all)", "a negative count"))
    }

    async fn set_active(&self, id: &UserId, active: bool, now: Timestamp) -> Result<bool> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut transaction = self.pool.begin().await?;
            let done = sqlx::query("UPDATE users SET is_active = $1 WHERE id = $2")
                .bind(i64::from(active))
                .bind(id.as_str())
                .execute(&mut *transaction)
                .await?;
            if done.rows_affected() == 0 {
                return Ok(false);
            }
            if !active {
                end_all(&mut transaction, id, SessionEnd::UserDisabled, now).await?;
            }
            record(&mut transaction, &Invalidation::User(id.clone()), Some(now)).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn set_password(&self, id: &UserId, password: &PasswordHash, now: Timestamp) -> Result<bool> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut transaction = self.pool.begin().await?;
            let done = sqlx::query("UPDATE users SET password = $1, password_changed_at = $2 WHERE id = $3")
                .bind(password.text())
                .bind(now.as_micros())
                .bind(id.as_str())
                .execute(&mut *transaction)
                .await?;
            if done.rows_affected() == 0 {
                return Ok(false);
            }
            end_all(&mut transaction, id, SessionEnd::PasswordChange, now).await?;
            record(&mut transaction, &Invalidation::User(id.clone()), Some(now)).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn upgrade_password(&self, id: &UserId, seen: &PasswordHash, better: &PasswordHash) -> Result<bool> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut transaction = self.pool.begin().await?;
            let done = sqlx::query("UPDATE users SET password = $1 WHERE id = $2 AND password = $3")
                .bind(better.text())
                .bind(id.as_str())
                .bind(seen.text())
                .execute(&mut *transaction)
                .await?;
            if done.rows_affected() == 0 {
                return Ok(false);
            }
            record(&mut transaction, &Invalidation::User(id.clone()), None).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }
}

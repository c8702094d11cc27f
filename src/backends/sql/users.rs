//! Users, by id and by name.

mod row;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::AnyConnection;

use self::row::{Row, TABLE, select};
use super::answer::{Deadline, corrupt, is_taken, is_unheard_of, within_deadline};
use super::changing::Changing;
use super::insertion::insertion;
use super::like::containing;
use super::pool::Pool;
use super::user_ending::{end_of, shut_out, switch_off, void_vouchers};
use super::user_lock::lock_user;
use super::user_password::put_password;
use super::{guesses, password_resets, second_factors};
use crate::domain::api_key::ApiKeyId;
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::guess_subject::GuessSubject;
use crate::domain::invalidation::Invalidation;
use crate::domain::user::{PasswordHash, User, UserChanges, UserId, UserQuery};
use crate::storage::Result;
use crate::storage::users::{ForeignPasswords, Insert, PasswordSetting, Update, Users};

/// All users are looked at, and nobody waits for it.
const SURVEY: Deadline = Deadline::of(Duration::from_secs(60));

/// By the algorithm and what it asks for, as far as that stands before the salt, in Django's formats. What is quick to check
/// is one kind for each algorithm.
macro_rules! foreign_passwords {
    ($position:literal) => {
        concat!(
            "SELECT COUNT(*), MIN(password) FROM (SELECT password, CASE ",
            "WHEN password LIKE 'argon2$%' THEN substr(password, 1, ",
            $position,
            "(password, ',p=') + 3) ",
            "WHEN password LIKE 'bcrypt_sha256$%' THEN substr(password, 1, 20) ",
            "WHEN password LIKE 'bcrypt$%' THEN substr(password, 1, 13) ",
            "WHEN password LIKE 'md5$%' OR password LIKE 'sha1$%' THEN substr(password, 1, 3) ",
            "WHEN password NOT LIKE '%$%' THEN '' ",
            "ELSE substr(password, 1, ",
            $position,
            "(password, '$') + ",
            $position,
            "(substr(password, ",
            $position,
            "(password, '$') + 1), '$')) END AS kind FROM users ",
            "WHERE password NOT LIKE '$%' AND password NOT LIKE '!%' AND password <> '') AS hashed ",
            "GROUP BY kind ORDER BY kind"
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

/// In a transaction that is under way.
pub(super) async fn read(connection: &mut AnyConnection, id: &UserId, deadline: Deadline) -> Result<Option<User>> {
    let statement = sqlx::query_as(select!("WHERE id = $1")).bind(id.as_str());
    let row: Option<Row> = within_deadline(deadline, TABLE, statement.fetch_optional(connection)).await?;
    row.map(User::try_from).transpose()
}

#[async_trait]
impl Users for SqlUsers {
    async fn insert(&self, user: &User, change: &Change) -> Result<Insert> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            let done = insertion([user], "ON CONFLICT DO NOTHING").execute(changing.connection()).await?;
            if done.rows_affected() == 0 {
                return Ok(Insert::Taken);
            }
            changing.write(change).await?;
            changing.commit().await?;
            Ok(Insert::Done)
        })
        .await
    }

    async fn find(&self, id: &UserId) -> Result<Option<Arc<User>>> {
        if is_unheard_of(id.as_str()) {
            return Ok(None);
        }
        let statement = sqlx::query_as(select!("WHERE id = $1")).bind(id.as_str());
        let row: Option<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_optional(self.pool.reads())).await?;
        Ok(row.map(User::try_from).transpose()?.map(Arc::new))
    }

    async fn find_by_username(&self, username: &str) -> Result<Option<User>> {
        if is_unheard_of(username) {
            return Ok(None);
        }
        let statement = sqlx::query_as(select!("WHERE username = $1")).bind(username);
        let row: Option<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_optional(self.pool.reads())).await?;
        row.map(User::try_from).transpose()
    }

    async fn find_by_email(&self, email: &str, limit: u32) -> Result<Vec<User>> {
        if email.is_empty() || is_unheard_of(email) {
            return Ok(Vec::new());
        }
        let statement = sqlx::query_as(select!("WHERE email_folded = $1 ORDER BY username LIMIT $2"))
            .bind(email.to_ascii_lowercase())
            .bind(i64::from(limit));
        let rows: Vec<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_all(self.pool.reads())).await?;
        rows.into_iter().map(User::try_from).collect()
    }

    async fn list(&self, query: &UserQuery) -> Result<Vec<User>> {
        if [&query.after, &query.search].into_iter().flatten().any(|text| is_unheard_of(text)) {
            return Ok(Vec::new());
        }
        // No name is empty, so that every name comes after the empty one. What is empty, or -1, is not asked for.
        let statement = sqlx::query_as(select!(
            "WHERE username > $1 AND ($2 = '' OR lower(username) LIKE $2 ESCAPE '\\' OR email_folded LIKE $2 ESCAPE '\\') \
             AND ($3 = -1 OR is_active = $3) AND ($4 = -1 OR is_admin = $4) ORDER BY username LIMIT $5"
        ))
        .bind(query.after.clone().unwrap_or_default())
        .bind(query.search.as_deref().map(containing).unwrap_or_default())
        .bind(query.is_active.map_or(-1, i64::from))
        .bind(query.is_admin.map_or(-1, i64::from))
        .bind(i64::from(query.limit));
        let rows: Vec<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_all(self.pool.reads())).await?;
        rows.into_iter().map(User::try_from).collect()
    }

    async fn count(&self) -> Result<u64> {
        let statement = sqlx::query_scalar("SELECT COUNT(*) FROM users");
        let count: i64 = within_deadline(self.pool.deadline(), TABLE, statement.fetch_one(self.pool.reads())).await?;
        u64::try_from(count).map_err(|_| corrupt(TABLE, "(all)", "a negative count"))
    }

    async fn foreign_passwords(&self) -> Result<ForeignPasswords> {
        let kinds = self.pool.in_dialect(foreign_passwords!("instr"), foreign_passwords!("strpos"));
        let statement = sqlx::query_as(kinds);
        let rows: Vec<(i64, String)> = within_deadline(SURVEY, TABLE, statement.fetch_all(self.pool.reads())).await?;
        if rows.is_empty() {
            return Ok(ForeignPasswords::default());
        }
        let count = |count: i64| u64::try_from(count).unwrap_or(0);
        let kinds = rows.into_iter().map(|(users, example)| (count(users), PasswordHash::new(example))).collect();
        Ok(ForeignPasswords { users: self.count().await?, kinds })
    }

    async fn update(&self, id: &UserId, changes: &UserChanges, change: &Change) -> Result<Update> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            // The row is ours from here on. Of two who want one name, the second waits for the first, and finds it taken.
            if !lock_user(changing.connection(), id).await? {
                return Ok(Update::Unknown);
            }
            if let Some(username) = &changes.username {
                match set_text(&mut changing, "UPDATE users SET username = $1 WHERE id = $2", username, id).await {
                    Err(error) if is_taken(&error) => return Ok(Update::Taken),
                    done => done?,
                }
            }
            if let Some(email) = &changes.email {
                set_text(&mut changing, "UPDATE users SET email = $1 WHERE id = $2", email, id).await?;
                let folded = email.to_ascii_lowercase();
                set_text(&mut changing, "UPDATE users SET email_folded = $1 WHERE id = $2", &folded, id).await?;
                password_resets::void_all(changing.connection(), id).await?;
            }
            if let Some(name) = &changes.first_name {
                set_text(&mut changing, "UPDATE users SET first_name = $1 WHERE id = $2", name, id).await?;
            }
            if let Some(name) = &changes.last_name {
                set_text(&mut changing, "UPDATE users SET last_name = $1 WHERE id = $2", name, id).await?;
            }
            if let Some(roles) = &changes.roles {
                let roles = roles.to_string();
                set_text(&mut changing, "UPDATE users SET roles = $1 WHERE id = $2", &roles, id).await?;
            }
            if let Some(scopes) = &changes.scopes {
                let scopes = scopes.to_string();
                set_text(&mut changing, "UPDATE users SET scopes = $1 WHERE id = $2", &scopes, id).await?;
            }
            if let Some(is_admin) = changes.is_admin {
                set_flag(&mut changing, "UPDATE users SET is_admin = $1 WHERE id = $2", is_admin, id).await?;
            }
            if let Some(is_active) = changes.is_active {
                set_flag(&mut changing, "UPDATE users SET is_active = $1 WHERE id = $2", is_active, id).await?;
            }
            changing.write(change).await?;
            if changes.is_active == Some(false) {
                switch_off(&mut changing, id, change.audit.at).await?;
            }
            changing.forget(Invalidation::User(id.clone()), Some(change.audit.at)).await?;
            changing.commit().await?;
            Ok(Update::Done)
        })
        .await
    }

    async fn set_active(&self, id: &UserId, active: bool, now: Timestamp, change: &Change) -> Result<bool> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            let statement = "UPDATE users SET is_active = $1 WHERE id = $2";
            if !set_flag(&mut changing, statement, active, id).await? {
                return Ok(false);
            }
            changing.write(change).await?;
            if !active {
                switch_off(&mut changing, id, now).await?;
            }
            changing.forget(Invalidation::User(id.clone()), Some(now)).await?;
            changing.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn set_password(&self, setting: &PasswordSetting, change: &Change) -> Result<bool> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            if !put_password(&mut changing, setting, change).await? {
                return Ok(false);
            }
            changing.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn upgrade_password(&self, id: &UserId, seen: &PasswordHash, better: &PasswordHash) -> Result<bool> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            let done = sqlx::query("UPDATE users SET password = $1 WHERE id = $2 AND password = $3")
                .bind(better.text())
                .bind(id.as_str())
                .bind(seen.text())
                .execute(changing.connection())
                .await?;
            if done.rows_affected() == 0 {
                return Ok(false);
            }
            changing.forget(Invalidation::User(id.clone()), None).await?;
            changing.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn delete(&self, id: &UserId, now: Timestamp, change: &Change) -> Result<bool> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            // Waits for whoever writes something that refers to the user, a new key for example, so that it is seen below.
            let lock = self
                .pool
                .in_dialect("SELECT id FROM users WHERE id = $1", "SELECT id FROM users WHERE id = $1 FOR UPDATE");
            sqlx::query(lock).bind(id.as_str()).fetch_optional(changing.connection()).await?;
            if !set_flag(&mut changing, "UPDATE users SET is_active = $1 WHERE id = $2", false, id).await? {
                return Ok(false);
            }
            void_vouchers(&mut changing, id).await?;
            changing.write(change).await?;
            second_factors::delete_all(changing.connection(), id).await?;
            let keys: Vec<String> = sqlx::query_scalar("DELETE FROM api_keys WHERE owner_user = $1 RETURNING id")
                .bind(id.as_str())
                .fetch_all(changing.connection())
                .await?;
            // Before anything that takes the lock of the log.
            for subject in [GuessSubject::Account, GuessSubject::Codes, GuessSubject::ResetRequests] {
                guesses::forget(changing.connection(), &subject(id.clone())).await?;
            }
            shut_out(&mut changing, &end_of(id, now)).await?;
            for statement in ["DELETE FROM sessions WHERE user_id = $1", "DELETE FROM users WHERE id = $1"] {
                sqlx::query(statement).bind(id.as_str()).execute(changing.connection()).await?;
            }
            for key in keys {
                changing.forget(Invalidation::ApiKey(ApiKeyId(key)), Some(now)).await?;
            }
            changing.forget(Invalidation::User(id.clone()), Some(now)).await?;
            changing.commit().await?;
            Ok(true)
        })
        .await
    }
}

async fn set_text(changing: &mut Changing, statement: &'static str, text: &str, id: &UserId) -> sqlx::Result<()> {
    sqlx::query(statement).bind(text.to_owned()).bind(id.as_str().to_owned()).execute(changing.connection()).await?;
    Ok(())
}

/// `false` when there is no such user.
async fn set_flag(changing: &mut Changing, statement: &'static str, flag: bool, id: &UserId) -> sqlx::Result<bool> {
    let statement = sqlx::query(statement).bind(i64::from(flag)).bind(id.as_str().to_owned());
    Ok(statement.execute(changing.connection()).await?.rows_affected() == 1)
}

//! Users, by id and by name.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::AnyConnection;

use super::answer::{Deadline, corrupt, is_taken, is_unheard_of, within_deadline};
use super::changing::Changing;
use super::pool::Pool;
use super::sessions::{end_all, raise_tokens_valid_from};
use super::{challenges, guesses, password_resets, second_factors};
use crate::domain::api_key::ApiKeyId;
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::guess_subject::GuessSubject;
use crate::domain::invalidation::Invalidation;
use crate::domain::role::RoleSet;
use crate::domain::scope::ScopeSet;
use crate::domain::session::SessionEnd;
use crate::domain::user::{PasswordHash, User, UserChanges, UserId, UserQuery};
use crate::storage::sessions::EndAll;
use crate::storage::users::{ForeignPasswords, Insert, PasswordSetting, Update, Users};
use crate::storage::{Result, StoreError};

const TABLE: &str = "users";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, username, email, first_name, last_name, is_active, is_admin, roles, scopes, password, created_at, ",
            "password_changed_at, tokens_valid_from, last_sign_in_at, has_second_factor FROM users ",
            $rest
        )
    };
}

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

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    username: String,
    email: String,
    first_name: String,
    last_name: String,
    is_active: i64,
    is_admin: i64,
    roles: String,
    scopes: String,
    password: String,
    created_at: i64,
    password_changed_at: i64,
    tokens_valid_from: Option<i64>,
    last_sign_in_at: Option<i64>,
    has_second_factor: i64,
}

impl TryFrom<Row> for User {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let scopes = ScopeSet::parse(&row.scopes).map_err(|_| corrupt(TABLE, &row.id, "scopes holds no scopes"))?;
        let roles = RoleSet::parse(&row.roles).map_err(|_| corrupt(TABLE, &row.id, "roles holds no roles"))?;
        Ok(Self {
            id: UserId(row.id),
            username: row.username,
            email: row.email,
            first_name: row.first_name,
            last_name: row.last_name,
            is_active: row.is_active == 1,
            is_admin: row.is_admin == 1,
            roles,
            scopes,
            password: PasswordHash::new(row.password),
            created_at: Timestamp::from_micros(row.created_at),
            password_changed_at: Timestamp::from_micros(row.password_changed_at),
            tokens_valid_from: row.tokens_valid_from.map(Timestamp::from_micros),
            last_sign_in_at: row.last_sign_in_at.map(Timestamp::from_micros),
            has_second_factor: row.has_second_factor == 1,
        })
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
            let done = sqlx::query(
                "INSERT INTO users (id, username, email, email_folded, first_name, last_name, is_active, is_admin, roles, \
                 scopes, password, created_at, password_changed_at, tokens_valid_from, last_sign_in_at, \
                 has_second_factor) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT DO NOTHING",
            )
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
            .bind(user.tokens_valid_from.map(Timestamp::as_micros))
            .bind(user.last_sign_in_at.map(Timestamp::as_micros))
            .bind(i64::from(user.has_second_factor))
            .execute(changing.connection())
            .await?;
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
            let known = sqlx::query("UPDATE users SET id = id WHERE id = $1")
                .bind(id.as_str())
                .execute(changing.connection())
                .await?;
            if known.rows_affected() == 0 {
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

/// Sets a password with all that follows from it, in a transaction that is under way.
pub(super) async fn put_password(
    changing: &mut Changing,
    setting: &PasswordSetting,
    change: &Change,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE users SET password = $1, password_changed_at = $2 \
         WHERE id = $3 AND ($4 = $5 OR password_changed_at = $4)",
    )
    .bind(setting.password.text())
    .bind(setting.at.as_micros())
    .bind(setting.user_id.as_str())
    .bind(setting.only_if_changed_at.map_or(ANY_TIME, Timestamp::as_micros))
    .bind(ANY_TIME)
    .execute(changing.connection())
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    changing.write(change).await?;
    shut_out(
        changing,
        &EndAll {
            user_id: setting.user_id.clone(),
            why: SessionEnd::PasswordChange,
            at: setting.at,
            keep: setting.keep.clone(),
            tokens_valid_from: setting.tokens_valid_from,
        },
    )
    .await?;
    changing.forget(Invalidation::User(setting.user_id.clone()), Some(setting.at)).await?;
    Ok(true)
}

/// Stands for no time at all: nothing happened then.
const ANY_TIME: i64 = i64::MIN;

/// What ends when a user is switched off. Tokens that name no session are refused for as long as the user is off. They are
/// not made void, because clients of the installation that was taken over count on that a refusal for this burns nothing.
async fn switch_off(changing: &mut Changing, id: &UserId, now: Timestamp) -> sqlx::Result<()> {
    void_vouchers(changing, id).await?;
    end_all(changing.connection(), &end_of(id, now)).await?;
    Ok(())
}

fn end_of(id: &UserId, now: Timestamp) -> EndAll {
    EndAll { user_id: id.clone(), why: SessionEnd::UserDisabled, at: now, keep: None, tokens_valid_from: now }
}

/// Makes void what vouches for a user, and ends the sessions and whatever tokens belong to none.
async fn shut_out(changing: &mut Changing, end: &EndAll) -> sqlx::Result<()> {
    void_vouchers(changing, &end.user_id).await?;
    raise_tokens_valid_from(changing.connection(), end).await?;
    end_all(changing.connection(), end).await?;
    Ok(())
}

async fn void_vouchers(changing: &mut Changing, user: &UserId) -> sqlx::Result<()> {
    challenges::void_all(changing.connection(), user).await?;
    password_resets::void_all(changing.connection(), user).await
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

/// A `LIKE` pattern for whatever has `part` in it.
pub(super) fn containing(part: &str) -> String {
    format!("%{}%", literally(part))
}

/// A part of a `LIKE` pattern that means what it says.
pub(super) fn literally(part: &str) -> String {
    let mut out = String::with_capacity(part.len() + 2);
    for c in part.to_ascii_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

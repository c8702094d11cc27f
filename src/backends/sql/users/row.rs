//! A user's row: its columns, how it is read, and how it is written.

use crate::backends::sql::answer::corrupt;
use crate::backends::sql::insertion::{Insertable, Statement};
use crate::domain::clock::Timestamp;
use crate::domain::role::RoleSet;
use crate::domain::scope::ScopeSet;
use crate::domain::user::{PasswordHash, User, UserId};
use crate::storage::{Result, StoreError};

pub const TABLE: &str = "users";

macro_rules! select {
    (columns) => {
        concat!(
            "id, username, email, first_name, last_name, is_active, is_admin, roles, scopes, password, created_at, ",
            "password_changed_at, tokens_valid_from, last_sign_in_at, has_second_factor"
        )
    };
    ($rest:literal) => {
        concat!("SELECT ", select!(columns), " FROM users ", $rest)
    };
}
pub(super) use select;

#[derive(sqlx::FromRow)]
pub struct Row {
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

impl<'q> Insertable<'q> for &'q User {
    const TABLE: &'static str = TABLE;
    /// The last one is there to be looked for, and is not read.
    const COLUMNS: &'static str = concat!(select!(columns), ", email_folded");

    fn bind(self, statement: Statement<'q>) -> Statement<'q> {
        statement
            .bind(self.id.as_str())
            .bind(self.username.as_str())
            .bind(self.email.as_str())
            .bind(self.first_name.as_str())
            .bind(self.last_name.as_str())
            .bind(i64::from(self.is_active))
            .bind(i64::from(self.is_admin))
            .bind(self.roles.to_string())
            .bind(self.scopes.to_string())
            .bind(self.password.text())
            .bind(self.created_at.as_micros())
            .bind(self.password_changed_at.as_micros())
            .bind(self.tokens_valid_from.map(Timestamp::as_micros))
            .bind(self.last_sign_in_at.map(Timestamp::as_micros))
            .bind(i64::from(self.has_second_factor))
            .bind(self.email.to_ascii_lowercase())
    }
}

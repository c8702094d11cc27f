//! A person who signs in.

use std::fmt;

use super::clock::Timestamp;
use super::plain_text::is_deceptive;
use super::role::{RoleSet, Roles};
use super::scope::ScopeSet;
use super::secret::Secret;

/// The stable identity of a user, as text: a UUID for users made here, the original primary key for imported ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub String);

impl UserId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub username: String,
    /// Empty when there is none.
    pub email: String,
    /// Empty when not known.
    pub first_name: String,
    pub last_name: String,
    pub is_active: bool,
    /// Has the role `admin`.
    pub is_admin: bool,
    /// All other roles.
    pub roles: RoleSet,
    /// Scopes of this user's tokens, beside those that the roles bring.
    pub scopes: ScopeSet,
    pub password: PasswordHash,
    pub created_at: Timestamp,
    pub password_changed_at: Timestamp,
    /// Tokens that name no session, as an installation has them that was taken over, hold only if issued at this time or
    /// later. What ends sessions ends those too, and this is how.
    pub tokens_valid_from: Option<Timestamp>,
    pub last_sign_in_at: Option<Timestamp>,
    /// Has one that is confirmed. A token that a second factor vouched for counts for no more than a password without it.
    pub has_second_factor: bool,
}

impl User {
    /// All that this user's tokens carry: the user's own scopes, and those of the roles.
    pub fn all_scopes(&self, roles: &Roles) -> ScopeSet {
        self.scopes.union(&roles.scopes_of(&self.roles, self.is_admin))
    }
}

/// Which users to list: by name, all that is set must fit.
#[derive(Clone, Debug, Default)]
pub struct UserQuery {
    /// Only names after this one: the last of the page before.
    pub after: Option<String>,
    /// A part of the name or e-mail address, whatever its case in ASCII.
    pub search: Option<String>,
    pub is_active: Option<bool>,
    pub is_admin: Option<bool>,
    pub limit: u32,
}

/// What is to be different about a user; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserChanges {
    pub username: Option<String>,
    pub email: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    /// Switching off ends what disabling ends.
    pub is_active: Option<bool>,
    pub is_admin: Option<bool>,
    pub roles: Option<RoleSet>,
    pub scopes: Option<ScopeSet>,
}

impl UserChanges {
    /// The user that they lead to.
    pub fn applied_to(&self, user: &User) -> User {
        let Self { username, email, first_name, last_name, is_active, is_admin, roles, scopes } = self.clone();
        User {
            username: username.unwrap_or_else(|| user.username.clone()),
            email: email.unwrap_or_else(|| user.email.clone()),
            first_name: first_name.unwrap_or_else(|| user.first_name.clone()),
            last_name: last_name.unwrap_or_else(|| user.last_name.clone()),
            is_active: is_active.unwrap_or(user.is_active),
            is_admin: is_admin.unwrap_or(user.is_admin),
            roles: roles.unwrap_or_else(|| user.roles.clone()),
            scopes: scopes.unwrap_or_else(|| user.scopes.clone()),
            ..user.clone()
        }
    }
}

/// A stored password: a PHC string, or nothing that ever matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordHash(pub Secret<String>);

impl PasswordHash {
    pub fn new(text: String) -> Self {
        Self(Secret::new(text))
    }

    /// Of who has no password yet. Told apart from a hash as the Django stack does.
    pub fn unusable() -> Self {
        Self::new("!".to_owned())
    }

    pub fn text(&self) -> &str {
        self.0.expose()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUsername {
    #[error("a user name has 1 to 150 characters")]
    Length,
    #[error("a user name holds no control or invisible characters and no white space at either end")]
    Characters,
    #[error("a user name does not begin with `service:`, which is how services are named to backends")]
    Service,
    #[error("a user name does not look like an id")]
    Id,
}

/// A user name that may be stored. Compared exactly: case-sensitive, without Unicode normalisation, as the
/// installations do whose data is taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    pub fn parse(text: &str) -> Result<Self, InvalidUsername> {
        if !(1..=150).contains(&text.chars().count()) {
            return Err(InvalidUsername::Length);
        }
        if text.chars().any(is_deceptive) || text.trim() != text {
            return Err(InvalidUsername::Characters);
        }
        if text.starts_with("service:") {
            return Err(InvalidUsername::Service);
        }
        if looks_like_id(text) {
            return Err(InvalidUsername::Id);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Like the ids that are made here, in either case: a UUID with its hyphens (RFC 9562, section 4).
fn looks_like_id(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an e-mail address has one @ with something on either side, no spaces or control characters, and at most 254 bytes"
)]
pub struct InvalidEmail;

/// An e-mail address that may be stored. Only its shape is checked: that it is the user's is shown by mailing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let plain = text.len() <= 254 && !text.chars().any(|c| is_deceptive(c) || c.is_whitespace());
        match text.split_once('@') {
            Some((local, host)) if plain && !local.is_empty() && !host.is_empty() && !host.contains('@') => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(InvalidEmail),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

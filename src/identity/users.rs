//! Making and changing users.

use std::sync::Arc;

use super::passwords::{Passwords, Unfit};
use crate::domain::clock::Clock;
use crate::domain::password_policy::AboutUser;
use crate::domain::random::{self, Random};
use crate::domain::scope::ScopeSet;
use crate::domain::secret::Secret;
use crate::domain::user::{Email, User, UserId, Username};
use crate::storage::StoreError;
use crate::storage::users::{Insert, Users};

pub struct UserAdministration {
    users: Arc<dyn Users>,
    passwords: Arc<Passwords>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    pub username: Username,
    pub email: Option<Email>,
    pub is_admin: bool,
    pub scopes: ScopeSet,
    pub password: Secret<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum UserError {
    #[error("there is a user of this name already")]
    Taken,
    #[error("there is no user named or numbered `{0}`")]
    Unknown(String),
    #[error("{0}")]
    Password(#[from] Unfit),
    #[error("too many passwords are waiting to be hashed")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl UserAdministration {
    pub fn new(
        users: Arc<dyn Users>,
        passwords: Arc<Passwords>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self { users, passwords, clock, random }
    }

    pub async fn create(&self, new: NewUser) -> Result<User, UserError> {
        let email = new.email.as_ref().map(Email::as_str).unwrap_or_default();
        let about = AboutUser { username: new.username.as_str(), email, ..AboutUser::default() };
        self.passwords.check_fitness(&new.password, &about)?;
        let password = self.passwords.hash(new.password).await.map_err(|_| UserError::Busy)?;
        let now = self.clock.now();
        let user = User {
            id: UserId(random::uuid(self.random.as_ref())),
            username: new.username.as_str().to_owned(),
            email: new.email.map(|email| email.as_str().to_owned()).unwrap_or_default(),
            is_active: true,
            is_admin: new.is_admin,
            scopes: new.scopes,
            password,
            created_at: now,
            password_changed_at: now,
        };
        match self.users.insert(&user).await? {
            Insert::Done => Ok(user),
            Insert::Taken => Err(UserError::Taken),
        }
    }

    /// All users by name.
    pub async fn list(&self) -> Result<Vec<User>, UserError> {
        const PAGE: u32 = 500;
        let mut all: Vec<User> = Vec::new();
        loop {
            let page = self.users.list(all.last().map(|user| user.username.as_str()), PAGE).await?;
            let last = page.len() < PAGE as usize;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }

    /// By name, or by id when no name fits.
    pub async fn find(&self, name_or_id: &str) -> Result<User, UserError> {
        if let Some(user) = self.users.find_by_username(name_or_id).await? {
            return Ok(user);
        }
        let by_id = self.users.find(&UserId(name_or_id.to_owned())).await?;
        by_id.map(Arc::unwrap_or_clone).ok_or_else(|| UserError::Unknown(name_or_id.to_owned()))
    }

    /// Switching a user off ends all of the user's sessions; switching on revives none.
    pub async fn set_active(&self, name_or_id: &str, active: bool) -> Result<User, UserError> {
        let user = self.find(name_or_id).await?;
        if !self.users.set_active(&user.id, active, self.clock.now()).await? {
            return Err(UserError::Unknown(name_or_id.to_owned()));
        }
        Ok(User { is_active: active, ..user })
    }

    /// Sets a password and ends all of the user's sessions.
    pub async fn set_password(&self, name_or_id: &str, password: Secret<String>) -> Result<User, UserError> {
        let user = self.find(name_or_id).await?;
        let about = AboutUser { username: &user.username, email: &user.email, ..AboutUser::default() };
        self.passwords.check_fitness(&password, &about)?;
        let hash = self.passwords.hash(password).await.map_err(|_| UserError::Busy)?;
        if !self.users.set_password(&user.id, &hash, self.clock.now()).await? {
            return Err(UserError::Unknown(name_or_id.to_owned()));
        }
        Ok(user)
    }
}

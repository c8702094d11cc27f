//! Making and changing users.

use std::sync::Arc;

use super::auditor::Auditor;
use super::passwords::{Passwords, Unfit};
use crate::domain::audit::{AuditAction, Initiator};
use crate::domain::change::Change;
use crate::domain::clock::Clock;
use crate::domain::random::{self, Random};
use crate::domain::role::RoleSet;
use crate::domain::scope::ScopeSet;
use crate::domain::secret::Secret;
use crate::domain::user::{Email, User, UserId, Username};
use crate::storage::StoreError;
use crate::storage::users::{Insert, PasswordSetting, UserQuery, Users};

pub struct UserAdministration {
    users: Arc<dyn Users>,
    passwords: Arc<Passwords>,
    auditor: Auditor,
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
        auditor: Auditor,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self { users, passwords, auditor, clock, random }
    }

    pub async fn create(&self, new: NewUser, by: &Initiator) -> Result<User, UserError> {
        self.passwords.check_fitness(&new.password)?;
        let password = self.passwords.hash(new.password).await.map_err(|_| UserError::Busy)?;
        let now = self.clock.now();
        let user = User {
            id: UserId(random::uuid(self.random.as_ref())),
            username: new.username.as_str().to_owned(),
            email: new.email.map(|email| email.as_str().to_owned()).unwrap_or_default(),
            first_name: String::new(),
            last_name: String::new(),
            is_active: true,
            is_admin: new.is_admin,
            roles: RoleSet::default(),
            scopes: new.scopes,
            password,
            created_at: now,
            password_changed_at: now,
            tokens_valid_from: None,
            last_sign_in_at: None,
        };
        let change = Change::from(self.auditor.done(by, AuditAction::UserCreate).about(&user.id));
        match self.users.insert(&user, &change).await? {
            Insert::Done => {
                self.auditor.witness(&change);
                Ok(user)
            }
            Insert::Taken => Err(UserError::Taken),
        }
    }

    /// All users by name.
    pub async fn list(&self) -> Result<Vec<User>, UserError> {
        const PAGE: u32 = 500;
        let mut all: Vec<User> = Vec::new();
        loop {
            let page = self
                .users
                .list(&UserQuery {
                    after: all.last().map(|user| user.username.clone()),
                    limit: PAGE,
                    ..UserQuery::default()
                })
                .await?;
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
    pub async fn set_active(&self, name_or_id: &str, active: bool, by: &Initiator) -> Result<User, UserError> {
        let user = self.find(name_or_id).await?;
        let action = if active { AuditAction::UserEnable } else { AuditAction::UserDisable };
        let change = Change::from(self.auditor.done(by, action).about(&user.id));
        if !self.users.set_active(&user.id, active, self.clock.now(), &change).await? {
            return Err(UserError::Unknown(name_or_id.to_owned()));
        }
        self.auditor.witness(&change);
        Ok(User { is_active: active, ..user })
    }

    /// Sets a password and ends all of the user's sessions.
    pub async fn set_password(
        &self,
        name_or_id: &str,
        password: Secret<String>,
        by: &Initiator,
    ) -> Result<User, UserError> {
        let user = self.find(name_or_id).await?;
        self.passwords.check_fitness(&password)?;
        let hash = self.passwords.hash(password).await.map_err(|_| UserError::Busy)?;
        let now = self.clock.now();
        let setting = PasswordSetting {
            user_id: user.id.clone(),
            password: hash,
            at: now,
            keep: None,
            tokens_valid_from: now,
            only_if_changed_at: None,
        };
        let change = Change::from(self.auditor.done(by, AuditAction::UserPasswordSet).about(&user.id));
        if !self.users.set_password(&setting, &change).await? {
            return Err(UserError::Unknown(name_or_id.to_owned()));
        }
        self.auditor.witness(&change);
        Ok(user)
    }
}

//! Making and changing users.

use std::sync::Arc;

use super::auditor::Auditor;
use super::difference::Difference;
use super::grants::Beyond;
use super::mail_values::PasswordChange;
use super::notices::{Notice, Notices};
use super::passwords::{Passwords, Unfit};
use crate::domain::audit::{AuditAction, AuditEvent, Initiator};
use crate::domain::change::Change;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::password_policy::AboutUser;
use crate::domain::random::{self, Random};
use crate::domain::role::{RoleName, RoleSet, Roles};
use crate::domain::scope::ScopeSet;
use crate::domain::secret::Secret;
use crate::domain::session::{Kept, Session, SessionEnd};
use crate::domain::user::{Email, PasswordHash, User, UserChanges, UserId, UserQuery, Username};
use crate::storage::StoreError;
use crate::storage::sessions::{EndAll, Sessions};
use crate::storage::users::{Insert, PasswordSetting, Update, Users};

/// Does what it is told, and tells the audit. Whether somebody may is for [`super::user_desk`]; an operator may everything.
pub struct UserAdministration {
    pub users: Arc<dyn Users>,
    pub sessions: Arc<dyn Sessions>,
    pub passwords: Arc<Passwords>,
    pub roles: Roles,
    pub notices: Arc<Notices>,
    pub auditor: Auditor,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
}

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    pub username: Username,
    pub email: Option<Email>,
    pub first_name: String,
    pub last_name: String,
    pub is_admin: bool,
    pub roles: RoleSet,
    pub scopes: ScopeSet,
    /// Without one nobody signs in, until one is set.
    pub password: Option<Secret<String>>,
}

impl NewUser {
    /// Of whom no more is known, and who may do nothing.
    pub fn named(username: Username, password: Option<Secret<String>>) -> Self {
        Self {
            username,
            email: None,
            first_name: String::new(),
            last_name: String::new(),
            is_admin: false,
            roles: RoleSet::default(),
            scopes: ScopeSet::default(),
            password,
        }
    }

    /// All that the user's tokens would carry.
    pub fn all_scopes(&self, roles: &Roles) -> ScopeSet {
        self.scopes.union(&roles.scopes_of(&self.roles, self.is_admin))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum UserError {
    #[error("there is a user of this name already")]
    Taken,
    #[error("there is no user named or numbered `{0}`")]
    Unknown(String),
    /// The one user is known by their name here, the other by their id.
    #[error("`{text}` is the id of the user named `{by_id}` and the name of the user numbered `{by_name}`")]
    Ambiguous { text: String, by_id: String, by_name: UserId },
    #[error("there is no role `{0}` in the configuration")]
    UnknownRole(RoleName),
    #[error("{0}")]
    Password(#[from] Unfit),
    #[error(transparent)]
    Beyond(#[from] Beyond),
    /// What nobody may do to their own account here; what it is.
    #[error("you cannot {0}")]
    Oneself(&'static str),
    #[error("the user was changed by somebody else at the same time")]
    Outdated,
    #[error("too many passwords are waiting to be hashed")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Sessions shown of one user.
const MOST_SESSIONS: u32 = 500;

impl UserAdministration {
    pub async fn create(&self, new: NewUser, by: &Initiator) -> Result<User, UserError> {
        self.check_roles(&new.roles)?;
        let mut user = self.unsaved(&new);
        if let Some(password) = new.password {
            self.passwords.check_fitness(&password, &AboutUser::from(&user))?;
            user.password = self.passwords.hash(password).await.map_err(|_| UserError::Busy)?;
        }
        let nothing = User {
            username: String::new(),
            is_admin: false,
            roles: RoleSet::default(),
            scopes: ScopeSet::default(),
            ..user.clone()
        };
        let event = self.auditor.done(by, AuditAction::UserCreate).about(&user.id);
        let change = Change::from(event.saying(difference(&nothing, &user).text()));
        match self.users.insert(&user, &change).await? {
            Insert::Done => {
                self.auditor.witness(&change);
                Ok(user)
            }
            Insert::Taken => Err(UserError::Taken),
        }
    }

    /// Without a password yet.
    fn unsaved(&self, new: &NewUser) -> User {
        let now = self.clock.now();
        User {
            id: UserId(random::uuid(self.random.as_ref())),
            username: new.username.as_str().to_owned(),
            email: new.email.as_ref().map(|email| email.as_str().to_owned()).unwrap_or_default(),
            first_name: new.first_name.clone(),
            last_name: new.last_name.clone(),
            is_active: true,
            is_admin: new.is_admin,
            roles: new.roles.clone(),
            scopes: new.scopes.clone(),
            password: PasswordHash::unusable(),
            created_at: now,
            password_changed_at: now,
            tokens_valid_from: None,
            last_sign_in_at: None,
            has_second_factor: false,
        }
    }

    /// A page of users, by name.
    pub async fn page(&self, query: &UserQuery) -> Result<Vec<User>, UserError> {
        Ok(self.users.list(query).await?)
    }

    /// All users by name.
    pub async fn list(&self) -> Result<Vec<User>, UserError> {
        const PAGE: u32 = 500;
        let mut all: Vec<User> = Vec::new();
        loop {
            let after = all.last().map(|user| user.username.clone());
            let page = self.page(&UserQuery { after, limit: PAGE, ..UserQuery::default() }).await?;
            let last = page.len() < PAGE as usize;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }

    /// By id or by name. What fits two users finds neither: whoever chose their name so is not to be taken for the other.
    pub async fn find(&self, name_or_id: &str) -> Result<User, UserError> {
        let by_id = self.users.find_fresh(&UserId(name_or_id.to_owned())).await?.map(Arc::unwrap_or_clone);
        let by_name = self.users.find_by_username(name_or_id).await?;
        match (by_id, by_name) {
            (Some(by_id), Some(by_name)) if by_id.id != by_name.id => {
                Err(UserError::Ambiguous { text: name_or_id.to_owned(), by_id: by_id.username, by_name: by_name.id })
            }
            (Some(user), _) | (None, Some(user)) => Ok(user),
            (None, None) => Err(UserError::Unknown(name_or_id.to_owned())),
        }
    }

    pub async fn find_by_id(&self, id: &UserId) -> Result<User, UserError> {
        let found = self.users.find_fresh(id).await?;
        found.map(Arc::unwrap_or_clone).ok_or_else(|| UserError::Unknown(id.to_string()))
    }

    /// The user as changed. Nothing is written where nothing differs.
    pub async fn change(&self, user: &User, changes: &UserChanges, by: &Initiator) -> Result<User, UserError> {
        if let Some(roles) = &changes.roles {
            self.check_roles(roles)?;
        }
        let after = changes.applied_to(user);
        let difference = difference(user, &after);
        if difference.is_empty() {
            return Ok(after);
        }
        let action = match (user.is_active, after.is_active) {
            (true, false) => AuditAction::UserDisable,
            (false, true) => AuditAction::UserEnable,
            _ => AuditAction::UserChange,
        };
        let change = self.change_of(user, self.auditor.done(by, action).saying(difference.text()));
        match self.users.update(&user.id, changes, &change).await? {
            Update::Done => {
                self.auditor.witness(&change);
                Ok(after)
            }
            Update::Taken => Err(UserError::Taken),
            Update::Unknown => Err(UserError::Unknown(user.id.to_string())),
        }
    }

    /// As [`UserAdministration::switch`], of a user by name or id.
    pub async fn set_active(&self, name_or_id: &str, active: bool, by: &Initiator) -> Result<User, UserError> {
        self.switch(&self.find(name_or_id).await?, active, by).await
    }

    /// Switching a user off ends all of the user's sessions; switching on revives none.
    pub async fn switch(&self, user: &User, active: bool, by: &Initiator) -> Result<User, UserError> {
        let action = if active { AuditAction::UserEnable } else { AuditAction::UserDisable };
        let change = self.change_of(user, self.auditor.done(by, action));
        let done = self.users.set_active(&user.id, active, self.clock.now(), &change).await?;
        self.witness(done, user, &change)?;
        Ok(User { is_active: active, ..user.clone() })
    }

    /// As [`UserAdministration::give_password`], to a user by name or id.
    pub async fn set_password(
        &self,
        name_or_id: &str,
        password: Secret<String>,
        by: &Initiator,
    ) -> Result<User, UserError> {
        let user = self.find(name_or_id).await?;
        self.give_password(&user, password, by).await?;
        Ok(user)
    }

    /// Sets a password and ends all of the user's sessions.
    pub async fn give_password(&self, user: &User, password: Secret<String>, by: &Initiator) -> Result<(), UserError> {
        let hash = self.hash_for(user, password).await?;
        if self.put_password(user, hash, None, by).await? {
            Ok(())
        } else {
            Err(UserError::Unknown(user.id.to_string()))
        }
    }

    /// The hash of a password that is fit for this user.
    pub async fn hash_for(&self, user: &User, password: Secret<String>) -> Result<PasswordHash, UserError> {
        self.passwords.check_fitness(&password, &AboutUser::from(user))?;
        self.passwords.hash(password).await.map_err(|_| UserError::Busy)
    }

    /// As [`UserAdministration::give_password`], of a password that is hashed already. `false` when there is no such user,
    /// or their password was not last changed when it is said.
    pub async fn put_password(
        &self,
        user: &User,
        password: PasswordHash,
        only_if_changed_at: Option<Timestamp>,
        by: &Initiator,
    ) -> Result<bool, UserError> {
        let now = self.clock.now();
        let setting = PasswordSetting {
            user_id: user.id.clone(),
            password,
            at: now,
            keep: None,
            tokens_valid_from: Kept::NOTHING.tokens_valid_from(now),
            only_if_changed_at,
        };
        let notice = Notice::PasswordChanged(PasswordChange::SetByAdministrator);
        let change = self
            .change_of(user, self.auditor.done(by, AuditAction::UserPasswordSet))
            .mailing(self.notices.about(user, notice, by));
        let done = self.users.set_password(&setting, &change).await?;
        if done {
            self.auditor.witness(&change);
        }
        Ok(done)
    }

    /// The live sessions of a user, the newest first.
    pub async fn sessions_of(&self, user: &User) -> Result<Vec<Session>, UserError> {
        Ok(self.sessions.list_live(&user.id, self.clock.now(), MOST_SESSIONS).await?)
    }

    /// Ends all of a user's sessions. How many there were.
    pub async fn end_sessions(&self, user: &User, by: &Initiator) -> Result<u64, UserError> {
        let change = self.change_of(user, self.auditor.done(by, AuditAction::SessionsEnd));
        let ended = self.sessions.end_all(&self.end_of(user, SessionEnd::Administrator), &change).await?;
        self.witness(ended.is_some(), user, &change)?;
        Ok(ended.unwrap_or_default())
    }

    /// Deletes a user with all that is the user's.
    pub async fn delete(&self, user: &User, by: &Initiator) -> Result<(), UserError> {
        let event = self.auditor.done(by, AuditAction::UserDelete).saying(format!("username [{}]", user.username));
        let change = self.change_of(user, event);
        let done = self.users.delete(&user.id, self.clock.now(), &change).await?;
        self.witness(done, user, &change)
    }

    fn check_roles(&self, roles: &RoleSet) -> Result<(), UserError> {
        match roles.iter().find(|name| !self.roles.knows(name)) {
            Some(unknown) => Err(UserError::UnknownRole(unknown.clone())),
            None => Ok(()),
        }
    }

    fn change_of(&self, user: &User, event: AuditEvent) -> Change {
        Change::from(event.about(&user.id))
    }

    fn end_of(&self, user: &User, why: SessionEnd) -> EndAll {
        let now = self.clock.now();
        EndAll {
            user_id: user.id.clone(),
            why,
            at: now,
            keep: None,
            tokens_valid_from: Kept::NOTHING.tokens_valid_from(now),
        }
    }

    /// Tells of a change that was made; one that was not made found no such user.
    fn witness(&self, done: bool, user: &User, change: &Change) -> Result<(), UserError> {
        if !done {
            return Err(UserError::Unknown(user.id.to_string()));
        }
        self.auditor.witness(change);
        Ok(())
    }
}

/// Of a user who is gone only their name says who they were. Addresses and other names are the user's own, and somebody
/// types a password there sooner or later: they are not told.
fn difference(before: &User, after: &User) -> Difference {
    Difference::default()
        .values("username", &before.username, &after.username)
        .field("email", &before.email, &after.email)
        .field("first_name", &before.first_name, &after.first_name)
        .field("last_name", &before.last_name, &after.last_name)
        .values("active", &before.is_active, &after.is_active)
        .values("admin", &before.is_admin, &after.is_admin)
        .values("roles", &before.roles, &after.roles)
        .values("scopes", &before.scopes, &after.scopes)
}

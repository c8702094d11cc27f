//! Users, administered by those who may: each act is judged by [`super::grants`] before it is done.

use super::grants::{Administrator, Beyond};
use super::second_factor_reset::SecondFactorReset;
use super::users::{NewUser, UserAdministration, UserError};
use crate::domain::audit::AuditAction;
use crate::domain::denial::Denial;
use crate::domain::secret::Secret;
use crate::domain::user::{User, UserChanges, UserId, UserQuery};

pub struct UserDesk {
    pub users: UserAdministration,
    pub second_factors: SecondFactorReset,
}

impl UserDesk {
    pub async fn page(&self, query: &UserQuery) -> Result<Vec<User>, UserError> {
        self.users.page(query).await
    }

    pub async fn show(&self, id: &UserId) -> Result<User, UserError> {
        self.users.find_by_id(id).await
    }

    pub async fn create(&self, new: NewUser, who: &Administrator) -> Result<User, UserError> {
        let held = who.hold_asked(&new.scopes).and_then(|()| who.hold(&new.all_scopes(&self.users.roles)));
        if let Err(beyond) = held.and_then(|()| who.let_in()) {
            return Err(self.refuse(None, who, AuditAction::UserCreate, beyond).await);
        }
        self.users.create(new, &who.by).await
    }

    pub async fn change(&self, id: &UserId, changes: &UserChanges, who: &Administrator) -> Result<User, UserError> {
        let user = self.reach(id, who, AuditAction::UserChange).await?;
        let after = changes.applied_to(&user);
        let asked = changes.scopes.as_ref().map_or(Ok(()), |scopes| who.hold_asked(scopes));
        // To whoever has the address a new password is mailed, and whoever is switched on again has one already.
        let gives = after.all_scopes(&self.users.roles) != user.all_scopes(&self.users.roles)
            || after.email != user.email
            || (after.is_active && !user.is_active);
        let asked = if gives { asked.and_then(|()| who.let_in()) } else { asked };
        if let Err(beyond) = asked.and_then(|()| who.reach_user(&after, &self.users.roles)) {
            return Err(self.refuse(Some(&user), who, AuditAction::UserChange, beyond).await);
        }
        // Whoever shuts themselves out by mistake finds nobody who lets them in again.
        if who.is(id) && user.is_active && !after.is_active {
            return Err(UserError::Oneself("disable yourself"));
        }
        if who.is(id) && user.is_admin && !after.is_admin {
            return Err(UserError::Oneself("take your own role of an administrator"));
        }
        self.users.change(&user, changes, &who.by).await
    }

    pub async fn switch(&self, id: &UserId, active: bool, who: &Administrator) -> Result<User, UserError> {
        let action = if active { AuditAction::UserEnable } else { AuditAction::UserDisable };
        let user = self.reach(id, who, action).await?;
        if who.is(id) && !active {
            return Err(UserError::Oneself("disable yourself"));
        }
        if active && let Err(beyond) = who.let_in() {
            return Err(self.refuse(Some(&user), who, action, beyond).await);
        }
        self.users.switch(&user, active, &who.by).await
    }

    /// Of somebody else: one's own takes the old one, elsewhere.
    pub async fn set_password(
        &self,
        id: &UserId,
        password: Secret<String>,
        who: &Administrator,
    ) -> Result<User, UserError> {
        let user = self.reach(id, who, AuditAction::UserPasswordSet).await?;
        if who.is(id) {
            return Err(UserError::Oneself("set your own password here"));
        }
        if let Err(beyond) = who.let_in() {
            return Err(self.refuse(Some(&user), who, AuditAction::UserPasswordSet, beyond).await);
        }
        let hash = self.users.hash_for(&user, password).await?;
        // Hashing takes its time: the user is judged again as they are now.
        for _ in 0..2 {
            let user = self.reach(id, who, AuditAction::UserPasswordSet).await?;
            let seen = Some(user.password_changed_at);
            if self.users.put_password(&user, hash.clone(), seen, &who.by).await? {
                return Ok(user);
            }
        }
        Err(UserError::Outdated)
    }

    /// Of somebody else: one's own takes the password and a code, elsewhere.
    pub async fn reset_second_factor(&self, id: &UserId, who: &Administrator) -> Result<(), UserError> {
        let user = self.reach(id, who, AuditAction::UserSecondFactorReset).await?;
        if who.is(id) {
            return Err(UserError::Oneself("reset your own second factor here"));
        }
        // From here on the password alone lets whoever has it in.
        if let Err(beyond) = who.let_in() {
            return Err(self.refuse(Some(&user), who, AuditAction::UserSecondFactorReset, beyond).await);
        }
        let done = self.second_factors.reset(&user.id, &who.by).await?;
        if done { Ok(()) } else { Err(UserError::Unknown(id.to_string())) }
    }

    /// How many sessions there were.
    pub async fn end_sessions(&self, id: &UserId, who: &Administrator) -> Result<u64, UserError> {
        let user = self.reach(id, who, AuditAction::SessionsEnd).await?;
        self.users.end_sessions(&user, &who.by).await
    }

    pub async fn delete(&self, id: &UserId, who: &Administrator) -> Result<(), UserError> {
        let user = self.reach(id, who, AuditAction::UserDelete).await?;
        if who.is(id) {
            return Err(UserError::Oneself("delete yourself"));
        }
        self.users.delete(&user, &who.by).await
    }

    /// The user, if the administrator may act on them.
    pub async fn reach(&self, id: &UserId, who: &Administrator, action: AuditAction) -> Result<User, UserError> {
        let user = self.users.find_by_id(id).await?;
        match who.reach_user(&user, &self.users.roles) {
            Ok(()) => Ok(user),
            Err(beyond) => Err(self.refuse(Some(&user), who, action, beyond).await),
        }
    }

    /// Told in the audit: somebody reaches for more than they have.
    async fn refuse(&self, user: Option<&User>, who: &Administrator, action: AuditAction, beyond: Beyond) -> UserError {
        let mut event = self.users.auditor.refused(&who.by, action, Denial::ScopeMissing.reason());
        event.user = user.map(|user| user.id.clone());
        self.users.auditor.append(&event).await.map_or_else(UserError::Store, |()| UserError::Beyond(beyond))
    }
}

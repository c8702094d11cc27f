//! API keys, administered by those who may: each act is judged by [`super::grants`] before it is done.

use std::sync::Arc;
use std::time::Duration;

use super::api_keys::{Expiry, KeyAdministration, KeyError, NewKey, Rotated};
use super::grants::{Administrator, Beyond};
use crate::domain::api_key::{ApiKey, ApiKeyId, KeyChanges, KeyQuery};
use crate::domain::audit::{AuditAction, AuditEvent};
use crate::domain::denial::Denial;
use crate::domain::key_owner::KeyOwner;
use crate::domain::presented_key::PresentedKey;
use crate::domain::role::Roles;
use crate::domain::user::{User, UserId};
use crate::storage::StoreError;
use crate::storage::users::Users;

pub struct KeyDesk {
    pub keys: KeyAdministration,
    pub users: Arc<dyn Users>,
    pub roles: Roles,
}

impl KeyDesk {
    pub async fn page(&self, query: &KeyQuery) -> Result<Vec<ApiKey>, KeyError> {
        self.keys.page(query).await
    }

    pub async fn show(&self, id: &ApiKeyId) -> Result<ApiKey, KeyError> {
        self.keys.find_by_id(id).await
    }

    pub async fn create(&self, new: NewKey, who: &Administrator) -> Result<(ApiKey, PresentedKey), KeyError> {
        let owner = self.owner(&new.owner).await?;
        if let (None, Some(id)) = (&owner, new.owner.user()) {
            return Err(KeyError::UnknownOwner(id.to_string()));
        }
        if who.multiply().is_err() {
            let event = self.refusal(who, AuditAction::KeyCreate);
            return Err(self.refuse_another(event, new.owner.user().cloned()).await);
        }
        let terms = who.terms_within(new.terms);
        let held = who.hold_asked(&new.scopes).and_then(|()| who.make(&terms)).and_then(|()| match &owner {
            Some(owner) => who.act_as(owner, &self.roles),
            None => Ok(()),
        });
        if let Err(beyond) = held {
            let event = self.refusal(who, AuditAction::KeyCreate);
            return Err(self.refuse(event, new.owner.user().cloned(), beyond).await);
        }
        let expiry = who.expiry_within(new.expiry.from_now(self.keys.now())).map_or(Expiry::Never, Expiry::At);
        self.keys.create(NewKey { expiry, terms, ..new }, &who.by).await
    }

    pub async fn change(&self, id: &ApiKeyId, changes: KeyChanges, who: &Administrator) -> Result<ApiKey, KeyError> {
        let key = self.reach(id, who, AuditAction::KeyChange).await?;
        let held = match &changes.scopes {
            Some(scopes) => who.hold_asked(scopes),
            None => Ok(()),
        };
        // By a key that ends, no key is made to live longer than either does now: not that key itself, above all.
        let expires_at = changes.expires_at.map(|wanted| match (key.expires_at, who.bounds.expires_at) {
            (Some(own), Some(limit)) => wanted.into_iter().chain([own.max(limit)]).min(),
            _ => wanted,
        });
        let changes = KeyChanges { expires_at, ..changes };
        if let Err(beyond) = held.and_then(|()| who.turn(&key, &changes.applied_to(&key))) {
            let event = self.refusal(who, AuditAction::KeyChange).on_key(&key.id);
            return Err(self.refuse(event, key.owner.user().cloned(), beyond).await);
        }
        self.keys.change(&key, changes, &who.by).await
    }

    pub async fn rotate(&self, id: &ApiKeyId, overlap: Duration, who: &Administrator) -> Result<Rotated, KeyError> {
        if who.multiply().is_err() {
            let key = self.keys.find_by_id(id).await?;
            let event = self.refusal(who, AuditAction::KeyRotate).on_key(&key.id);
            return Err(self.refuse_another(event, key.owner.user().cloned()).await);
        }
        let attempt = async || {
            let key = self.reach(id, who, AuditAction::KeyRotate).await?;
            self.keys.rotate(&key, overlap, who.expiry_within(key.expires_at), &who.by).await
        };
        match attempt().await {
            // Its scopes may have changed since it was judged. If so, it is judged by the new ones.
            Err(KeyError::NotRotatable(_)) => attempt().await,
            done => done,
        }
    }

    /// The key as it is now. One that was revoked before keeps its first reason.
    pub async fn revoke(&self, id: &ApiKeyId, reason: &str, who: &Administrator) -> Result<ApiKey, KeyError> {
        let key = self.reach(id, who, AuditAction::KeyRevoke).await?;
        match self.keys.withdraw(&key, reason, &who.by).await? {
            Some(revoked) => Ok(revoked),
            None => self.keys.find_by_id(id).await,
        }
    }

    /// The key, if the administrator may act on it.
    async fn reach(&self, id: &ApiKeyId, who: &Administrator, action: AuditAction) -> Result<ApiKey, KeyError> {
        let key = self.keys.find_by_id(id).await?;
        let owner = self.owner(&key.owner).await?;
        let held = match action {
            // Whoever replaces a key has the new one.
            AuditAction::KeyRotate => who.take_key(&key, owner.as_deref(), &self.roles),
            _ => who.reach_key(&key, owner.as_deref(), &self.roles),
        };
        match held {
            Ok(()) => Ok(key),
            Err(beyond) => {
                let event = self.refusal(who, action).on_key(&key.id);
                Err(self.refuse(event, key.owner.user().cloned(), beyond).await)
            }
        }
    }

    async fn owner(&self, owner: &KeyOwner) -> Result<Option<Arc<User>>, StoreError> {
        match owner.user() {
            Some(id) => self.users.find_fresh(id).await,
            None => Ok(None),
        }
    }

    /// By a key with a rate or a quota there is never one key more, whatever it is.
    async fn refuse_another(&self, event: AuditEvent, user: Option<UserId>) -> KeyError {
        match self.refuse(event, user, Beyond::default()).await {
            KeyError::Beyond(_) => KeyError::Counted,
            other => other,
        }
    }

    fn refusal(&self, who: &Administrator, action: AuditAction) -> AuditEvent {
        self.keys.auditor.refused(&who.by, action, Denial::ScopeMissing.reason())
    }

    /// Told in the audit: somebody reaches for more than they have.
    async fn refuse(&self, event: AuditEvent, user: Option<UserId>, beyond: Beyond) -> KeyError {
        let event = AuditEvent { user, ..event };
        self.keys.auditor.append(&event).await.map_or_else(KeyError::Store, |()| KeyError::Beyond(beyond))
    }
}

//! Making, changing and revoking API keys.

mod description;

use std::sync::Arc;
use std::time::Duration;

use self::description::{described, difference};
use super::auditor::Auditor;
use super::grants::Beyond;
use crate::crypto::digest::sha256;
use crate::domain::api_key::{ApiKey, ApiKeyId, KeyChanges, KeyQuery, KeyUsage, Replacement};
use crate::domain::audit::{AuditAction, AuditEvent, Initiator};
use crate::domain::change::Change;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::key_owner::KeyOwner;
use crate::domain::key_terms::KeyTerms;
use crate::domain::mail::OutboxEntry;
use crate::domain::presented_key::PresentedKey;
use crate::domain::random::{self, Random};
use crate::domain::scope::ScopeSet;
use crate::storage::StoreError;
use crate::storage::api_keys::ApiKeys;
use crate::storage::users::Insert;

/// Does what it is told, and tells the audit. Whether somebody may is for [`super::key_desk`]; an operator may everything.
#[derive(Clone)]
pub struct KeyAdministration {
    keys: Arc<dyn ApiKeys>,
    pub(super) auditor: Auditor,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub name: String,
    pub owner: KeyOwner,
    pub scopes: ScopeSet,
    pub expiry: Expiry,
    pub terms: KeyTerms,
}

/// When a key stops working by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    Never,
    In(Duration),
    At(Timestamp),
}

impl Expiry {
    pub fn from_now(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            Self::In(lifetime) => Some(now.plus(lifetime)),
            Self::At(time) => Some(time),
        }
    }
}

/// A key that takes the place of another.
#[derive(Debug)]
pub struct Rotated {
    /// As it is now: it works until it expires.
    pub old: ApiKey,
    pub new: ApiKey,
    pub secret: PresentedKey,
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("a key's name has 1 to 100 characters and no control characters")]
    Name,
    #[error("a key expires in the future, or never")]
    Expiry,
    #[error("there is no key with the id or prefix `{0}`")]
    Unknown(String),
    #[error("there is no user `{0}`")]
    UnknownOwner(String),
    #[error("the key `{0}` is revoked already")]
    AlreadyRevoked(String),
    #[error("the key `{0}` is revoked, expired or replaced already")]
    NotRotatable(String),
    #[error("a key that has a rate or a quota makes no keys and replaces none")]
    Counted,
    #[error(transparent)]
    Beyond(#[from] Beyond),
    #[error("no unused key could be made")]
    Exhausted,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Two of the 2^47 prefixes meet now and then among millions of keys; another try then finds a free one.
const TRIES: usize = 4;

impl KeyAdministration {
    pub fn new(keys: Arc<dyn ApiKeys>, auditor: Auditor, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { keys, auditor, clock, random }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Makes a key. The second value is the key itself, which exists nowhere else from here on.
    pub async fn create(&self, new: NewKey, by: &Initiator) -> Result<(ApiKey, PresentedKey), KeyError> {
        let now = self.clock.now();
        let new = NewKey { name: checked_name(&new.name)?, ..new };
        let expires_at = checked_expiry(new.expiry.from_now(now), now)?;
        for _ in 0..TRIES {
            let (key, secret) = self.generate(&new, now, expires_at);
            let event = self.auditor.done(by, AuditAction::KeyCreate).saying(described(&key));
            let change = change_of(&key, event);
            if self.keys.insert(&key, &change).await? == Insert::Done {
                self.auditor.witness(&change);
                return Ok((key, secret));
            }
        }
        Err(KeyError::Exhausted)
    }

    fn generate(&self, new: &NewKey, now: Timestamp, expires_at: Option<Timestamp>) -> (ApiKey, PresentedKey) {
        let secret = PresentedKey::generate(self.random.as_ref());
        let key = ApiKey {
            id: ApiKeyId(random::uuid(self.random.as_ref())),
            prefix: secret.prefix().to_owned(),
            digest: sha256(secret.expose().as_bytes()),
            name: new.name.clone(),
            owner: new.owner.clone(),
            scopes: new.scopes.clone(),
            created_at: now,
            expires_at,
            revoked: None,
            replaced: None,
            terms: new.terms.clone(),
            usage: KeyUsage::default(),
        };
        (key, secret)
    }

    /// A page of keys, newest first.
    pub async fn page(&self, query: &KeyQuery) -> Result<Vec<ApiKey>, KeyError> {
        Ok(self.keys.list(query).await?)
    }

    /// All keys, newest first.
    pub async fn list(&self) -> Result<Vec<ApiKey>, KeyError> {
        const PAGE: u32 = 500;
        let mut all: Vec<ApiKey> = Vec::new();
        loop {
            let before = all.last().map(|key| (key.created_at, key.id.clone()));
            let page = self.page(&KeyQuery { before, revoked: true, limit: PAGE, ..KeyQuery::default() }).await?;
            let last = page.len() < PAGE as usize;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }

    /// By id or by visible prefix (with or without the brand in front).
    pub async fn find(&self, id_or_prefix: &str) -> Result<ApiKey, KeyError> {
        if let Some(key) = self.keys.find(&ApiKeyId(id_or_prefix.to_owned())).await? {
            return Ok(key);
        }
        let prefix = id_or_prefix.strip_prefix("pk_").unwrap_or(id_or_prefix);
        let by_prefix = self.keys.find_by_prefix(prefix).await?;
        by_prefix.ok_or_else(|| KeyError::Unknown(id_or_prefix.to_owned()))
    }

    pub async fn find_by_id(&self, id: &ApiKeyId) -> Result<ApiKey, KeyError> {
        self.keys.find(id).await?.ok_or_else(|| KeyError::Unknown(id.to_string()))
    }

    /// The key as changed. Nothing is written where nothing differs.
    pub async fn change(&self, key: &ApiKey, changes: KeyChanges, by: &Initiator) -> Result<ApiKey, KeyError> {
        let now = self.clock.now();
        let mut changes = changes;
        changes.name = changes.name.as_deref().map(checked_name).transpose()?;
        changes.expires_at = changes.expires_at.map(|at| checked_expiry(at, now)).transpose()?;
        let after = changes.applied_to(key);
        let difference = difference(key, &after);
        if difference.is_empty() && key.revoked.is_none() {
            return Ok(after);
        }
        let change = change_of(key, self.auditor.done(by, AuditAction::KeyChange).saying(difference.text()));
        if !self.keys.update(&key.id, &changes, now, &change).await? {
            return Err(KeyError::AlreadyRevoked(key.id.to_string()));
        }
        self.auditor.witness(&change);
        Ok(after)
    }

    /// Makes a successor that works until `expires_at`, and lets the old one work on for `overlap`.
    pub async fn rotate(
        &self,
        key: &ApiKey,
        overlap: Duration,
        expires_at: Option<Timestamp>,
        by: &Initiator,
    ) -> Result<Rotated, KeyError> {
        let now = self.clock.now();
        let old_until = now.plus(overlap);
        let like = NewKey {
            name: key.name.clone(),
            owner: key.owner.clone(),
            scopes: key.scopes.clone(),
            expiry: Expiry::Never,
            terms: key.terms.clone(),
        };
        for _ in 0..TRIES {
            let (new, secret) = self.generate(&like, now, expires_at);
            let event = self.auditor.done(by, AuditAction::KeyRotate).saying(format!("replaced by key:{}", new.id));
            let change = change_of(key, event);
            match self.keys.rotate(&key.id, old_until, &new, &change).await? {
                None => return Err(KeyError::NotRotatable(key.id.to_string())),
                Some(Insert::Taken) => {}
                Some(Insert::Done) => {
                    self.auditor.witness(&change);
                    let old_end = key.expires_at.map_or(old_until, |end| end.min(old_until));
                    let replaced = Some(Replacement { by: new.id.clone(), at: Some((now, key.usage.count)) });
                    let old = ApiKey { expires_at: Some(old_end), replaced, ..key.clone() };
                    return Ok(Rotated { old, new, secret });
                }
            }
        }
        Err(KeyError::Exhausted)
    }

    /// As [`KeyAdministration::withdraw`], of a key by id or visible prefix.
    pub async fn revoke(&self, id_or_prefix: &str, reason: &str, by: &Initiator) -> Result<ApiKey, KeyError> {
        let key = self.find(id_or_prefix).await?;
        let revoked = self.withdraw(&key, reason, by).await?;
        revoked.ok_or_else(|| KeyError::AlreadyRevoked(id_or_prefix.to_owned()))
    }

    /// Revokes a key for good. `None` when it was revoked before, and is as it was.
    pub async fn withdraw(&self, key: &ApiKey, reason: &str, by: &Initiator) -> Result<Option<ApiKey>, KeyError> {
        let event = self.auditor.done(by, AuditAction::KeyRevoke);
        self.end(key, reason, change_of(key, event)).await
    }

    /// As [`KeyAdministration::withdraw`], of a key that was found and shown to us; its owner gets this `mail`.
    pub async fn withdraw_reported(
        &self,
        key: &ApiKey,
        by: &Initiator,
        mail: Vec<OutboxEntry>,
    ) -> Result<Option<ApiKey>, KeyError> {
        const REASON: &str = "reported as leaked";
        let event = self.auditor.done(by, AuditAction::KeyRevoke).saying(REASON);
        self.end(key, REASON, change_of(key, event).mailing(mail)).await
    }

    async fn end(&self, key: &ApiKey, reason: &str, change: Change) -> Result<Option<ApiKey>, KeyError> {
        let now = self.clock.now();
        if !self.keys.revoke(&key.id, reason, now, &change).await? {
            return Ok(None);
        }
        self.auditor.witness(&change);
        Ok(Some(ApiKey { revoked: Some((now, reason.to_owned())), ..key.clone() }))
    }
}

fn checked_name(name: &str) -> Result<String, KeyError> {
    let name = name.trim();
    let fits = (1..=100).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits { Ok(name.to_owned()) } else { Err(KeyError::Name) }
}

fn checked_expiry(at: Option<Timestamp>, now: Timestamp) -> Result<Option<Timestamp>, KeyError> {
    if at.is_some_and(|at| at <= now) { Err(KeyError::Expiry) } else { Ok(at) }
}

fn change_of(key: &ApiKey, event: AuditEvent) -> Change {
    let event = event.on_key(&key.id);
    Change::from(match key.owner.user() {
        Some(user) => event.about(user),
        None => event,
    })
}

//! From an API key to a principal.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;

use super::miss_budget::MissBudget;
use super::serial::Serial;
use super::slow_keys::SlowKeyCheck;
use crate::crypto::key_digest::digest_of;
use crate::domain::api_key::{ApiKey, KeyOwner, PresentedKey};
use crate::domain::clock::Timestamp;
use crate::domain::denial::Denial;
use crate::domain::digest::Digest;
use crate::domain::principal::{Assurance, Method, Principal, Subject};
use crate::domain::role::Roles;
use crate::domain::user::User;
use crate::storage::api_keys::ApiKeys;
use crate::storage::users::Users;

/// Principals remembered at a time. Forgetting one costs building it again.
const PRINCIPALS: usize = 65_536;
/// Unknown keys remembered at a time, and for how long: somebody's one wrong key must not spend a network's budget.
const UNKNOWN: usize = 16_384;
const REPEATED: Duration = Duration::from_millis(900);

pub struct KeyCheck {
    keys: Arc<dyn ApiKeys>,
    slow: SlowKeyCheck,
    users: Arc<dyn Users>,
    roles: Roles,
    budget: MissBudget,
    derived: Cache<Digest, Derived>,
    unknown: Cache<Digest, Timestamp>,
    serial: Arc<Serial>,
}

/// A principal, good as long as the records it was made from are these very ones.
#[derive(Clone)]
struct Derived {
    key: Arc<ApiKey>,
    owner: Option<Arc<User>>,
    principal: Arc<Principal>,
}

impl KeyCheck {
    pub fn new(
        keys: Arc<dyn ApiKeys>,
        slow: SlowKeyCheck,
        users: Arc<dyn Users>,
        roles: Roles,
        budget: MissBudget,
        serial: Arc<Serial>,
    ) -> Self {
        Self { keys, slow, users, roles, budget, derived: Cache::new(PRINCIPALS), unknown: Cache::new(UNKNOWN), serial }
    }

    pub async fn check(&self, key: &PresentedKey, client: IpAddr, now: Timestamp) -> Result<Arc<Principal>, Denial> {
        let digest = digest_of(key);
        // A key that was good a moment ago is free, and so is one that was unknown a moment ago: neither reaches the store.
        let fresh = |at: Timestamp| now.since(at) < REPEATED;
        let free = self.derived.get(&digest).is_some() || self.unknown.get(&digest).is_some_and(fresh);
        let reserved =
            if free { None } else { Some(self.budget.reserve(client, now).map_err(|_| Denial::TooManyUnknownKeys)?) };
        let mut found = self.keys.find_by_digest(&digest).await;
        // One that was unknown a moment ago was guessed at then.
        if matches!(found, Ok(None)) && reserved.is_some() && self.slow.upgrade(key, &digest, client, now).await? {
            found = self.keys.find_by_digest(&digest).await;
        }
        if let (Some(reserved), Ok(Some(_)) | Err(_)) = (reserved, &found) {
            reserved.give_back();
        }
        let Some(record) = found.map_err(|_| Denial::Unavailable)? else {
            self.unknown.insert(digest, now);
            return Err(Denial::KeyUnknown);
        };
        if record.revoked.is_some() {
            return Err(Denial::KeyRevoked);
        }
        if record.is_expired(now) {
            return Err(Denial::KeyExpired);
        }
        let owner = match &record.owner {
            KeyOwner::Service(_) => None,
            KeyOwner::User(id) => {
                let user = self.users.find(id).await.map_err(|_| Denial::Unavailable)?;
                Some(user.filter(|user| user.is_active).ok_or(Denial::KeyOwnerInactive)?)
            }
        };
        Ok(self.principal(digest, record, owner))
    }

    fn principal(&self, digest: Digest, key: Arc<ApiKey>, owner: Option<Arc<User>>) -> Arc<Principal> {
        if let Some(derived) = self.derived.get(&digest)
            && Arc::ptr_eq(&derived.key, &key)
            && derived.owner.as_ref().map(Arc::as_ptr) == owner.as_ref().map(Arc::as_ptr)
        {
            return derived.principal;
        }
        let subject = match (&owner, &key.owner) {
            (Some(user), _) => {
                Subject::User { id: user.id.clone(), username: user.username.clone(), email: user.email.clone() }
            }
            (None, KeyOwner::Service(name)) => Subject::Service { name: name.clone() },
            (None, KeyOwner::User(id)) => {
                Subject::User { id: id.clone(), username: String::new(), email: String::new() }
            }
        };
        let principal = Arc::new(Principal {
            subject,
            method: Method::ApiKey,
            scopes: owner.as_ref().map_or_else(|| key.scopes.clone(), |owner| key.scopes_of(owner, &self.roles)),
            key_id: Some(key.id.clone()),
            session_id: None,
            amr: Vec::new(),
            assurance: Assurance::OneFactor,
            authenticated_at: None,
            issued_at: None,
            // A key is no sign-in, and was given its scopes by somebody who had signed in.
            owes_second_factor: false,
            expires_at: key.expires_at,
            serial: self.serial.next(),
        });
        self.derived.insert(digest, Derived { key, owner, principal: Arc::clone(&principal) });
        principal
    }
}

//! From an API key to a principal.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;

use super::miss_budget::MissBudget;
use super::serial::Serial;
use super::slow_keys::SlowKeyCheck;
use crate::crypto::key_digest::digest_of;
use crate::domain::api_key::ApiKey;
use crate::domain::clock::Timestamp;
use crate::domain::denial::Denial;
use crate::domain::digest::Digest;
use crate::domain::key_bounds::KeyBounds;
use crate::domain::key_owner::KeyOwner;
use crate::domain::key_tally::{KeyTally, Meter};
use crate::domain::presented_key::PresentedKey;
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
    slow: Arc<SlowKeyCheck>,
    users: Arc<dyn Users>,
    roles: Roles,
    budget: Arc<MissBudget>,
    tally: KeyTally,
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
    meter: Arc<Meter>,
}

/// What a key is shown for.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    pub client: IpAddr,
    pub route: &'a str,
    pub method: &'a str,
}

impl KeyCheck {
    pub fn new(
        keys: Arc<dyn ApiKeys>,
        slow: Arc<SlowKeyCheck>,
        users: Arc<dyn Users>,
        roles: Roles,
        budget: Arc<MissBudget>,
        tally: KeyTally,
        serial: Arc<Serial>,
    ) -> Self {
        Self {
            keys,
            slow,
            users,
            roles,
            budget,
            tally,
            derived: Cache::new(PRINCIPALS),
            unknown: Cache::new(UNKNOWN),
            serial,
        }
    }

    /// Whether a request may be made with this key; counted as a use of it if so.
    pub async fn check(&self, key: &PresentedKey, shown: Shown<'_>, now: Timestamp) -> Result<Arc<Principal>, Denial> {
        let digest = digest_of(key);
        let known = self.derived.get(&digest);
        // A key that was good a moment ago is free, and so is one that was unknown a moment ago: neither reaches the store.
        let fresh = |at: Timestamp| now.is_soon_after(at, REPEATED);
        let free = known.is_some() || self.unknown.get(&digest).is_some_and(fresh);
        let reserved = if free {
            None
        } else {
            Some(self.budget.reserve(shown.client, now).map_err(|_| Denial::TooManyUnknownKeys)?)
        };
        let mut found = self.keys.find_by_digest(&digest).await;
        // One that was unknown a moment ago was guessed at then.
        if matches!(found, Ok(None)) && reserved.is_some() && self.slow.upgrade(key, shown.client, now).await? {
            found = self.keys.find_by_digest(&digest).await;
        }
        if let (Some(reserved), Ok(Some(_)) | Err(_)) = (reserved, &found) {
            reserved.give_back();
        }
        let Some(record) = found.map_err(|_| Denial::Unavailable)? else {
            self.unknown.insert(digest, now);
            return Err(Denial::KeyUnknown);
        };
        let judged = self.judge(digest, known, record, shown, now).await?;
        judged.meter.used(now);
        Ok(judged.principal)
    }

    /// Whether what was opened with this key may go on. That spends nobody's budget and is no further use, but the key does
    /// not lie idle meanwhile.
    pub async fn stands(&self, key: &PresentedKey, shown: Shown<'_>, now: Timestamp) -> Result<Arc<Principal>, Denial> {
        let digest = digest_of(key);
        let found = self.keys.find_by_digest(&digest).await.map_err(|_| Denial::Unavailable)?;
        let record = found.ok_or(Denial::KeyUnknown)?;
        let judged = self.judge(digest, self.derived.get(&digest), record, shown, now).await?;
        judged.meter.held(now);
        Ok(judged.principal)
    }

    async fn judge(
        &self,
        digest: Digest,
        known: Option<Derived>,
        key: Arc<ApiKey>,
        shown: Shown<'_>,
        now: Timestamp,
    ) -> Result<Derived, Denial> {
        if key.revoked.is_some() {
            return Err(Denial::KeyRevoked);
        }
        if key.is_expired(now) {
            return Err(Denial::KeyExpired);
        }
        // The record that is remembered knows of no use since it was loaded; the counter does.
        if key.is_idle(known.as_ref().and_then(|known| known.meter.last()), now) {
            return Err(Denial::KeyIdle);
        }
        let owner = match &key.owner {
            KeyOwner::Service(_) => None,
            KeyOwner::User(id) => {
                let user = self.users.find(id).await.map_err(|_| Denial::Unavailable)?;
                Some(user.filter(|user| user.is_active).ok_or(Denial::KeyOwnerInactive)?)
            }
        };
        key.terms.reach.judge(shown.client, shown.route, shown.method)?;
        Ok(self.derive(digest, known, key, owner))
    }

    fn derive(&self, digest: Digest, known: Option<Derived>, key: Arc<ApiKey>, owner: Option<Arc<User>>) -> Derived {
        let same_owner = |known: &Derived| known.owner.as_ref().map(Arc::as_ptr) == owner.as_ref().map(Arc::as_ptr);
        let derived = match known {
            Some(known) if Arc::ptr_eq(&known.key, &key) && same_owner(&known) => return known,
            // Loaded again, and only the count is another: what was derived from the principal stays good.
            Some(known) if known.key.equals_but_for_usage(&key) && same_owner(&known) => Derived { key, ..known },
            known => {
                let meter = known.map_or_else(|| self.tally.meter(&key.id), |known| known.meter);
                let principal = Arc::new(self.principal(&key, owner.as_deref()));
                Derived { key, owner, principal, meter }
            }
        };
        self.derived.insert(digest, derived.clone());
        derived
    }

    fn principal(&self, key: &ApiKey, owner: Option<&User>) -> Principal {
        let subject = match (owner, &key.owner) {
            (Some(user), _) => {
                Subject::User { id: user.id.clone(), username: user.username.clone(), email: user.email.clone() }
            }
            (None, KeyOwner::Service(name)) => Subject::Service { name: name.clone() },
            (None, KeyOwner::User(id)) => {
                Subject::User { id: id.clone(), username: String::new(), email: String::new() }
            }
        };
        Principal {
            subject,
            method: Method::ApiKey,
            scopes: owner.map_or_else(|| key.scopes.clone(), |owner| key.scopes_of(owner, &self.roles)),
            key_id: Some(key.id.clone()),
            bounds: KeyBounds::of(key),
            session_id: None,
            amr: Vec::new(),
            assurance: Assurance::OneFactor,
            authenticated_at: None,
            issued_at: None,
            // A key is no sign-in, and was given its scopes by somebody who had signed in.
            owes_second_factor: false,
            expires_at: key.expires_at,
            serial: self.serial.next(),
        }
    }
}

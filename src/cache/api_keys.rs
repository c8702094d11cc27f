//! API keys, remembered by the digest of the whole key.

use std::sync::Arc;

use async_trait::async_trait;
use ipnet::IpNet;

use super::Forget;
use super::remembered::{Bounds, Loaded, Remembered, Surroundings, Weigh};
use super::second_level::SecondLevel;
use crate::domain::api_key::{ApiKey, ApiKeyId, KeyChanges, KeyQuery};
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::invalidation::{Epoch, Invalidation, Logged};
use crate::domain::key_owner::KeyOwner;
use crate::domain::key_tally::KeyUse;
use crate::storage::Result;
use crate::storage::api_keys::ApiKeys;
use crate::storage::users::Insert;
use crate::telemetry::cache_metrics::CacheName;

pub struct CachedApiKeys {
    inner: Arc<dyn ApiKeys>,
    shared: Option<SecondLevel>,
    by_digest: Remembered<Digest, ApiKey>,
}

impl Weigh for ApiKey {
    fn bytes(&self) -> usize {
        let owner = match &self.owner {
            KeyOwner::User(id) => id.0.len(),
            KeyOwner::Service(name) => name.len(),
        };
        let scopes = self.scopes.iter().map(|scope| scope.as_str().len() + 24).sum::<usize>();
        let reach = &self.terms.reach;
        let networks = reach.networks.iter().count() * size_of::<IpNet>();
        let routes = reach.routes.iter().map(|name| name.as_str().len() + 24).sum::<usize>();
        let methods = reach.methods.iter().map(|name| name.as_str().len() + 24).sum::<usize>();
        // The nodes of the tree that labels lie in take more than the pairs themselves.
        let labels = self.terms.labels.iter().map(|(name, value)| name.len() + value.len() + 96).sum::<usize>();
        let terms = networks + routes + methods + labels;
        size_of::<Self>() + self.id.0.len() + self.prefix.len() + self.name.len() + owner + scopes + terms
    }
}

impl CachedApiKeys {
    pub fn new(
        inner: Arc<dyn ApiKeys>,
        shared: Option<SecondLevel>,
        bounds: Bounds,
        surroundings: Surroundings,
    ) -> Self {
        Self { inner, shared, by_digest: Remembered::new(CacheName::ApiKeys, bounds, surroundings) }
    }

    /// Forgets the key and all absences: one of those may by now be this very key.
    fn forget_key(&self, id: &ApiKeyId) {
        self.by_digest.forget_where(|key| key.is_none_or(|key| key.id == *id));
    }
}

impl Forget for CachedApiKeys {
    fn forget(&self, change: &Logged) {
        if let Invalidation::ApiKey(id) = &change.what {
            self.forget_key(id);
        }
    }

    fn forget_all(&self, _: Epoch) {
        self.by_digest.forget_all();
    }
}

#[async_trait]
impl ApiKeys for CachedApiKeys {
    async fn insert(&self, key: &ApiKey, change: &Change) -> Result<Insert> {
        let done = self.inner.insert(key, change).await;
        self.by_digest.forget(&key.digest);
        done
    }

    async fn find_by_digest(&self, digest: &Digest) -> Result<Option<Arc<ApiKey>>> {
        let load = || {
            let (inner, shared, digest) = (Arc::clone(&self.inner), self.shared.clone(), *digest);
            async move {
                match shared {
                    Some(shared) => shared.find(&digest.hex(), inner.find_by_digest(&digest)).await,
                    None => inner.find_by_digest(&digest).await.map(Loaded::from),
                }
            }
        };
        self.by_digest.get(digest, load).await
    }

    async fn find(&self, id: &ApiKeyId) -> Result<Option<ApiKey>> {
        self.inner.find(id).await
    }

    async fn find_by_prefix(&self, prefix: &str) -> Result<Option<ApiKey>> {
        self.inner.find_by_prefix(prefix).await
    }

    async fn list(&self, query: &KeyQuery) -> Result<Vec<ApiKey>> {
        self.inner.list(query).await
    }

    async fn update(&self, id: &ApiKeyId, changes: &KeyChanges, now: Timestamp, change: &Change) -> Result<bool> {
        let done = self.inner.update(id, changes, now, change).await;
        self.forget_key(id);
        done
    }

    async fn rotate(
        &self,
        old: &ApiKeyId,
        old_until: Timestamp,
        successor: &ApiKey,
        change: &Change,
    ) -> Result<Option<Insert>> {
        let done = self.inner.rotate(old, old_until, successor, change).await;
        self.forget_key(old);
        self.by_digest.forget(&successor.digest);
        done
    }

    async fn revoke(&self, id: &ApiKeyId, reason: &str, now: Timestamp, change: &Change) -> Result<bool> {
        let done = self.inner.revoke(id, reason, now, change).await;
        self.forget_key(id);
        done
    }

    /// Nothing is forgotten: a count is no reason to load a record again.
    async fn add_uses(&self, uses: &[KeyUse]) -> Result<()> {
        self.inner.add_uses(uses).await
    }
}

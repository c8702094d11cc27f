//! Users, remembered by id, without their passwords: whoever checks one asks the store.

use std::sync::Arc;

use async_trait::async_trait;

use super::Forget;
use super::remembered::{Bounds, Loaded, Remembered, Surroundings, Weigh};
use super::second_level::SecondLevel;
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::invalidation::{Epoch, Invalidation, Logged};
use crate::domain::user::{PasswordHash, User, UserChanges, UserId, UserQuery};
use crate::storage::Result;
use crate::storage::users::{ForeignPasswords, Insert, PasswordSetting, Update, Users};
use crate::telemetry::cache_metrics::CacheName;

pub struct CachedUsers {
    inner: Arc<dyn Users>,
    shared: Option<SecondLevel>,
    by_id: Remembered<UserId, User>,
}

impl Weigh for User {
    fn bytes(&self) -> usize {
        let texts = self.id.0.len() * 2
            + self.username.len()
            + self.email.len()
            + self.first_name.len()
            + self.last_name.len()
            + self.password.text().len();
        let roles = self.roles.iter().map(|role| role.as_str().len() + 24).sum::<usize>();
        size_of::<Self>() + texts + roles + self.scopes.iter().map(|scope| scope.as_str().len() + 24).sum::<usize>()
    }
}

impl CachedUsers {
    pub fn new(inner: Arc<dyn Users>, shared: Option<SecondLevel>, bounds: Bounds, surroundings: Surroundings) -> Self {
        Self { inner, shared, by_id: Remembered::new(CacheName::Users, bounds, surroundings) }
    }
}

impl Forget for CachedUsers {
    fn forget(&self, change: &Logged) {
        if let Invalidation::User(id) = &change.what {
            self.by_id.forget(id);
        }
    }

    fn forget_all(&self, _: Epoch) {
        self.by_id.forget_all();
    }
}

fn without_password(mut user: Arc<User>) -> Arc<User> {
    Arc::make_mut(&mut user).password = PasswordHash::unusable();
    user
}

#[async_trait]
impl Users for CachedUsers {
    async fn insert(&self, user: &User, change: &Change) -> Result<Insert> {
        let done = self.inner.insert(user, change).await;
        self.by_id.forget(&user.id);
        done
    }

    async fn find(&self, id: &UserId) -> Result<Option<Arc<User>>> {
        let load = || {
            let (inner, shared, id) = (Arc::clone(&self.inner), self.shared.clone(), id.clone());
            async move {
                let found = async { Ok(inner.find(&id).await?.map(without_password)) };
                match shared {
                    Some(shared) => shared.find(id.as_str(), found).await,
                    None => found.await.map(Loaded::from),
                }
            }
        };
        self.by_id.get(id, load).await
    }

    async fn find_fresh(&self, id: &UserId) -> Result<Option<Arc<User>>> {
        self.inner.find_fresh(id).await
    }

    async fn find_by_username(&self, username: &str) -> Result<Option<User>> {
        self.inner.find_by_username(username).await
    }

    async fn find_by_email(&self, email: &str, limit: u32) -> Result<Vec<User>> {
        self.inner.find_by_email(email, limit).await
    }

    async fn list(&self, query: &UserQuery) -> Result<Vec<User>> {
        self.inner.list(query).await
    }

    async fn count(&self) -> Result<u64> {
        self.inner.count().await
    }

    async fn foreign_passwords(&self) -> Result<ForeignPasswords> {
        self.inner.foreign_passwords().await
    }

    async fn update(&self, id: &UserId, changes: &UserChanges, change: &Change) -> Result<Update> {
        let done = self.inner.update(id, changes, change).await;
        self.by_id.forget(id);
        done
    }

    async fn set_active(&self, id: &UserId, active: bool, now: Timestamp, change: &Change) -> Result<bool> {
        let done = self.inner.set_active(id, active, now, change).await;
        self.by_id.forget(id);
        done
    }

    async fn set_password(&self, setting: &PasswordSetting, change: &Change) -> Result<bool> {
        let done = self.inner.set_password(setting, change).await;
        self.by_id.forget(&setting.user_id);
        done
    }

    async fn upgrade_password(&self, id: &UserId, seen: &PasswordHash, better: &PasswordHash) -> Result<bool> {
        let done = self.inner.upgrade_password(id, seen, better).await;
        self.by_id.forget(id);
        done
    }

    async fn delete(&self, id: &UserId, now: Timestamp, change: &Change) -> Result<bool> {
        let done = self.inner.delete(id, now, change).await;
        self.by_id.forget(id);
        done
    }
}

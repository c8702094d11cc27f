//! Sessions, remembered by id. A rotation changes what is remembered too, so it is forgotten like any other change.

use std::sync::Arc;

use async_trait::async_trait;

use super::Forget;
use super::remembered::{Bounds, Loaded, Remembered, Surroundings, Weigh};
use super::second_level::SecondLevel;
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::invalidation::{Epoch, Invalidation, Logged};
use crate::domain::session::{Session, SessionEnd, SessionId};
use crate::domain::user::UserId;
use crate::storage::Result;
use crate::storage::sessions::{EndAll, Sessions};
use crate::telemetry::cache_metrics::CacheName;

pub struct CachedSessions {
    inner: Arc<dyn Sessions>,
    shared: Option<SecondLevel>,
    by_id: Remembered<SessionId, Session>,
}

impl Weigh for Session {
    fn bytes(&self) -> usize {
        let texts = self.id.0.len() * 2 + self.user_id.0.len() + self.client_address.len() + self.user_agent.len();
        let texts = texts + self.amr.iter().map(|method| method.len() + 24).sum::<usize>();
        size_of::<Self>() + texts
    }
}

impl CachedSessions {
    pub fn new(
        inner: Arc<dyn Sessions>,
        shared: Option<SecondLevel>,
        bounds: Bounds,
        surroundings: Surroundings,
    ) -> Self {
        Self { inner, shared, by_id: Remembered::new(CacheName::Sessions, bounds, surroundings) }
    }

    fn forget_all_of(&self, user: &UserId) {
        self.by_id.forget_where(|session| session.is_none_or(|session| session.user_id == *user));
    }
}

impl Forget for CachedSessions {
    fn forget(&self, change: &Logged) {
        match &change.what {
            Invalidation::Session(id) => self.by_id.forget(id),
            // Whatever changed a user may have ended sessions, and no list of them comes with it.
            Invalidation::User(user) => self.forget_all_of(user),
            Invalidation::ApiKey(_) | Invalidation::SigningKeys => {}
        }
    }

    fn forget_all(&self, _: Epoch) {
        self.by_id.forget_all();
    }
}

#[async_trait]
impl Sessions for CachedSessions {
    async fn insert(&self, session: &Session) -> Result<()> {
        let done = self.inner.insert(session).await;
        self.by_id.forget(&session.id);
        done
    }

    async fn adopt(&self, session: &Session, issued_at: Option<Timestamp>) -> Result<bool> {
        let done = self.inner.adopt(session, issued_at).await;
        self.by_id.forget(&session.id);
        done
    }

    async fn find(&self, id: &SessionId) -> Result<Option<Arc<Session>>> {
        let load = || {
            let (inner, shared, id) = (Arc::clone(&self.inner), self.shared.clone(), id.clone());
            async move {
                match shared {
                    Some(shared) => shared.find(id.as_str(), inner.find(&id)).await,
                    None => inner.find(&id).await.map(Loaded::from),
                }
            }
        };
        self.by_id.get(id, load).await
    }

    async fn find_fresh(&self, id: &SessionId) -> Result<Option<Arc<Session>>> {
        self.inner.find_fresh(id).await
    }

    async fn rotate(&self, id: &SessionId, from: i64, now: Timestamp) -> Result<bool> {
        let done = self.inner.rotate(id, from, now).await;
        self.by_id.forget(id);
        done
    }

    async fn list_live(&self, user: &UserId, now: Timestamp, limit: u32) -> Result<Vec<Session>> {
        self.inner.list_live(user, now, limit).await
    }

    async fn end(&self, id: &SessionId, why: SessionEnd, now: Timestamp, change: &Change) -> Result<bool> {
        let done = self.inner.end(id, why, now, change).await;
        self.by_id.forget(id);
        done
    }

    async fn end_all(&self, end: &EndAll, change: &Change) -> Result<Option<u64>> {
        let done = self.inner.end_all(end, change).await;
        self.forget_all_of(&end.user_id);
        done
    }

    async fn delete_expired(&self, before: Timestamp, limit: u32) -> Result<u64> {
        self.inner.delete_expired(before, limit).await
    }
}

//! Storage that remembers: decorators of the storage traits, so that nobody who uses a store knows whether a cache is
//! there.
//!
//! What is remembered is the record, never a verdict: expiry, scopes and routes are judged on every request. A change
//! made through a decorator is forgotten before the call returns; one made elsewhere when the invalidation log tells of
//! it; and if nothing tells, after `max_age`.

pub mod api_keys;
pub mod quotas;
pub mod remembered;
pub mod sessions;
pub mod users;

use std::sync::Arc;

use crate::domain::invalidation::Invalidation;
use crate::storage::invalidations::Heed;

/// Whoever can be told that something changed.
pub trait Forget: Send + Sync {
    fn forget(&self, what: &Invalidation);

    /// After messages may have been missed.
    fn forget_all(&self);
}

/// All caches of a process, as one to be told.
#[derive(Clone, Default)]
pub struct Forgetters(Vec<Arc<dyn Forget>>);

impl Forgetters {
    pub fn new(all: Vec<Arc<dyn Forget>>) -> Self {
        Self(all)
    }
}

/// What this process has changed itself is forgotten at once, whichever store it was changed through.
impl Heed for Forgetters {
    fn heed(&self, what: &Invalidation) {
        self.forget(what);
    }
}

impl Forget for Forgetters {
    fn forget(&self, what: &Invalidation) {
        for one in &self.0 {
            one.forget(what);
        }
    }

    fn forget_all(&self) {
        for one in &self.0 {
            one.forget_all();
        }
    }
}

//! A bounded memory of records by key: one load at a time per key, absences remembered briefly, and what is known still
//! served for a bounded time while the store does not answer.

use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::runtime::Handle;

use crate::domain::clock::{Clock, Timestamp};
use crate::storage::{Result, StoreError};
use crate::telemetry::cache_metrics::{CacheName, CacheOutcome};
use crate::telemetry::metrics::Metrics;

/// After a failed load, how long nobody tries again: a hung store must not hang each request in turn.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// The times and sizes of a cache.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub bytes: u64,
    pub max_age: Duration,
    pub negative_max_age: Duration,
    pub stale_ok: Duration,
}

/// What a cache needs from its surroundings.
#[derive(Clone)]
pub struct Surroundings {
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    /// Where loads run: on the runtime that owns the store's connections, so that a client that hangs up never cuts a
    /// call to the store short.
    pub runtime: Handle,
}

/// A value that knows roughly how many bytes it holds.
pub trait Weigh {
    fn bytes(&self) -> usize;
}

/// What a load found, and when it was read from the store, if that was not just now.
pub struct Loaded<V> {
    pub known: Option<Arc<V>>,
    pub read_at: Option<Timestamp>,
}

impl<V> From<Option<Arc<V>>> for Loaded<V> {
    fn from(known: Option<Arc<V>>) -> Self {
        Self { known, read_at: None }
    }
}

#[derive(Debug)]
struct Entry<V> {
    known: Option<Arc<V>>,
    loaded_at: Timestamp,
    /// When the last load failed, if it did: for a moment from then on nobody tries again.
    failed_at: Option<Timestamp>,
}

impl<V> Clone for Entry<V> {
    fn clone(&self) -> Self {
        Self { known: self.known.clone(), loaded_at: self.loaded_at, failed_at: self.failed_at }
    }
}

#[derive(Clone, Debug)]
struct ByBytes;

impl<K, V: Weigh> Weighter<K, Entry<V>> for ByBytes {
    fn weight(&self, _: &K, entry: &Entry<V>) -> u64 {
        // The key, the entry and the cache's own bookkeeping come on top of the value.
        let overhead = size_of::<K>() + size_of::<Entry<V>>() + 96;
        (overhead + entry.known.as_ref().map_or(0, |value| value.bytes())) as u64
    }
}

pub struct Remembered<K, V> {
    name: CacheName,
    bounds: Bounds,
    surroundings: Surroundings,
    entries: Cache<K, Entry<V>, ByBytes>,
    /// Raised by every forgetting, so that what was read before is not kept after it. Held for reading while an entry is
    /// put in, and for writing while entries are taken out: no forgetting can fall between a check and its insertion.
    generation: RwLock<u64>,
}

impl<K, V> Remembered<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Weigh + PartialEq + Send + Sync + 'static,
{
    pub fn new(name: CacheName, bounds: Bounds, surroundings: Surroundings) -> Self {
        let items = usize::try_from(bounds.bytes / 512).unwrap_or(usize::MAX).clamp(16, 1 << 20);
        Self {
            name,
            bounds,
            surroundings,
            entries: Cache::with_weighter(items, bounds.bytes, ByBytes),
            generation: RwLock::new(0),
        }
    }

    /// What is known under `key`, loaded when nothing recent is.
    pub async fn get<F, L, T>(&self, key: &K, load: F) -> Result<Option<Arc<V>>>
    where
        F: Fn() -> L + Send + Sync,
        L: Future<Output = Result<T>> + Send + 'static,
        T: Into<Loaded<V>> + Send + 'static,
    {
        let now = self.surroundings.clock.now();
        // Read before anything else: whatever is forgotten from here on makes all that is found from here on doubtful.
        let before = self.generation();
        let mut older = None;
        if let Some(entry) = self.entries.get(key) {
            if self.is_fresh(&entry, now) {
                self.count(CacheOutcome::Hit);
                return Ok(entry.known);
            }
            if entry.failed_at.is_some_and(|at| now.is_soon_after(at, RETRY_PAUSE)) {
                return self.stale(Some(&entry), now);
            }
            let loaded_at = entry.loaded_at;
            self.entries.remove_if(key, |held| held.loaded_at == loaded_at);
            older = Some(entry);
        }
        let guard = match self.entries.get_value_or_guard_async(key).await {
            // Somebody else has loaded it in the meantime, or has just failed to.
            Ok(entry) if entry.failed_at.is_some() => return self.stale(Some(&entry), now),
            Ok(entry) => {
                self.count(CacheOutcome::Hit);
                return Ok(entry.known);
            }
            Err(guard) => guard,
        };
        match self.load(&load).await {
            Ok(loaded) => {
                self.count(CacheOutcome::Miss);
                let Loaded { known: found, read_at } = loaded;
                // The same record keeps its identity, so that what was derived from it stays good.
                let known = match (&older.and_then(|entry| entry.known), found) {
                    (Some(old), Some(new)) if **old == *new => Some(Arc::clone(old)),
                    (_, found) => found,
                };
                let generation = self.generation.read().unwrap_or_else(PoisonError::into_inner);
                // If something was forgotten meanwhile, this is true for this request, which came before, but must not be
                // kept. The guard is dropped, and whoever waits for it loads anew.
                if *generation == before {
                    let _ = guard.insert(Entry {
                        known: known.clone(),
                        loaded_at: read_at.unwrap_or(now),
                        failed_at: None,
                    });
                }
                drop(generation);
                self.surroundings.metrics.caches.holds(self.name, self.entries.weight());
                Ok(known)
            }
            Err(error) => {
                let generation = self.generation.read().unwrap_or_else(PoisonError::into_inner);
                // What was forgotten meanwhile must not come back because the store is silent.
                let older = older.filter(|_| *generation == before);
                let failed_at = Some(now);
                let entry = match older {
                    Some(entry) => Entry { failed_at, ..entry },
                    None => Entry { known: None, loaded_at: Timestamp::from_micros(i64::MIN), failed_at },
                };
                let answer = self.stale(Some(&entry), now);
                let _ = guard.insert(entry);
                answer.map_err(|_| error)
            }
        }
    }

    async fn load<F, L, T>(&self, load: &F) -> Result<Loaded<V>>
    where
        F: Fn() -> L,
        L: Future<Output = Result<T>> + Send + 'static,
        T: Into<Loaded<V>> + Send + 'static,
    {
        // A store knows itself how long it may take. A second clock here would cut it off before it has noted its silence,
        // and the next call of the same request would wait as long again.
        let answer = match self.surroundings.runtime.spawn(load()).await {
            Ok(answer) => answer.map(Into::into),
            Err(gone) => Err(StoreError::Unavailable(gone.to_string())),
        };
        // What was found on the way there says nothing about the store.
        if !answer.as_ref().is_ok_and(|loaded| loaded.read_at.is_some()) {
            self.surroundings.metrics.store_up.set(i64::from(answer.is_ok()));
        }
        answer
    }

    fn is_fresh(&self, entry: &Entry<V>, now: Timestamp) -> bool {
        let max_age = if entry.known.is_some() { self.bounds.max_age } else { self.bounds.negative_max_age };
        entry.failed_at.is_none() && now.is_soon_after(entry.loaded_at, max_age)
    }

    /// What may still be said while the store is silent. An absence is never served stale: it could by now be a user.
    fn stale(&self, entry: Option<&Entry<V>>, now: Timestamp) -> Result<Option<Arc<V>>> {
        match entry {
            Some(Entry { known: Some(known), loaded_at, .. })
                if now.is_soon_after(*loaded_at, self.bounds.max_age + self.bounds.stale_ok) =>
            {
                self.count(CacheOutcome::Stale);
                Ok(Some(Arc::clone(known)))
            }
            _ => {
                self.count(CacheOutcome::Failed);
                Err(StoreError::Unavailable("it did not answer a moment ago".to_owned()))
            }
        }
    }

    fn generation(&self) -> u64 {
        *self.generation.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn forgetting(&self, forget: impl FnOnce()) {
        let mut generation = self.generation.write().unwrap_or_else(PoisonError::into_inner);
        *generation += 1;
        forget();
    }

    pub fn forget(&self, key: &K) {
        self.forgetting(|| {
            self.entries.remove(key);
        });
    }

    /// Forgets every entry for which `matches` says so; it is given `None` for a remembered absence.
    pub fn forget_where(&self, matches: impl Fn(Option<&V>) -> bool) {
        self.forgetting(|| self.entries.retain(|_, entry| !matches(entry.known.as_deref())));
    }

    pub fn forget_all(&self) {
        self.forgetting(|| self.entries.clear());
    }

    fn count(&self, outcome: CacheOutcome) {
        self.surroundings.metrics.caches.lookup(self.name, outcome);
    }
}

#[cfg(test)]
#[path = "remembered/tests.rs"]
mod tests;

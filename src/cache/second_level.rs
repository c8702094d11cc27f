//! The memory that nodes share, between their own and the store.
//!
//! It is asked for records that this node does not remember, and told of those that it had to read from the store. It may
//! lose anything at any time, and anybody may have written to it: what counts is only what was sealed under the master
//! key, for this very name, no longer ago than `max_age`, and with no later change of it known here (see
//! [`Epochs`]). Whatever else is found there is as if nothing were. Absences are not shared.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::epochs::Epochs;
use super::records::{FORMAT, Shareable};
use super::remembered::{Loaded, Surroundings};
use crate::crypto::shared_seal::SharedSeal;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::invalidation::Epoch;
use crate::storage::Result;
use crate::storage::shared_memory::{SharedMemory, Silence};
use crate::telemetry::shared_metrics::{SharedMetrics, SharedOutcome};

/// A record with thousands of scopes is read from the store each time.
const MOST_BYTES: usize = 64 * 1024;
/// How far the clocks of nodes may be apart.
const CLOCKS_APART: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<W> {
    epoch: i64,
    read_at: i64,
    record: W,
}

#[derive(Clone)]
pub struct SecondLevel {
    memory: Arc<dyn SharedMemory>,
    seal: SharedSeal,
    epochs: Arc<Epochs>,
    /// So that installations can share a Redis.
    prefix: Arc<str>,
    max_age: Duration,
    clock: Arc<dyn Clock>,
    metrics: Arc<SharedMetrics>,
    runtime: Handle,
}

/// What a [`SecondLevel`] is made of.
pub struct Shared {
    pub memory: Arc<dyn SharedMemory>,
    pub seal: SharedSeal,
    pub epochs: Arc<Epochs>,
    pub prefix: Arc<str>,
    pub metrics: Arc<SharedMetrics>,
}

impl SecondLevel {
    pub fn new(shared: Shared, max_age: Duration, surroundings: Surroundings) -> Self {
        let Shared { memory, seal, epochs, prefix, metrics } = shared;
        let Surroundings { clock, runtime, .. } = surroundings;
        Self { memory, seal, epochs, prefix, max_age, clock, metrics, runtime }
    }

    /// What the shared memory knows under `id`, or else what `store` says.
    pub async fn find<R, F>(&self, id: &str, store: F) -> Result<Loaded<R>>
    where
        R: Shareable,
        F: Future<Output = Result<Option<Arc<R>>>>,
    {
        // Asked before the store is: from here on, a change that is told of here makes void what is found.
        let Some(epoch) = self.epochs.caught_up().filter(|_| !self.max_age.is_zero()) else {
            return Ok(store.await?.into());
        };
        let name = self.name::<R>(id);
        let (outcome, found) = match self.memory.get(&name, MOST_BYTES).await {
            Ok(None) => (SharedOutcome::Miss, None),
            Ok(Some(bytes)) => match self.read(&name, &bytes) {
                Ok(loaded) => (SharedOutcome::Hit, Some(loaded)),
                Err(outcome) => (outcome, None),
            },
            Err(Silence::Refused(_)) => (SharedOutcome::Corrupt, None),
            Err(Silence::Unavailable(_)) => (SharedOutcome::Error, None),
        };
        self.metrics.lookup(R::CACHE, outcome);
        if let Some(loaded) = found {
            return Ok(loaded);
        }
        let read_at = self.clock.now();
        let found = store.await?;
        if let Some(record) = &found
            && outcome != SharedOutcome::Error
        {
            self.leave(name, record.as_ref(), epoch, read_at);
        }
        Ok(found.into())
    }

    fn name<R: Shareable>(&self, id: &str) -> String {
        let kind = R::CACHE.as_str();
        format!("{}:{FORMAT}:{kind}:{}", self.prefix, self.seal.name(&format!("{kind}\0{id}")))
    }

    fn read<R: Shareable>(&self, name: &str, bytes: &[u8]) -> std::result::Result<Loaded<R>, SharedOutcome> {
        if bytes.len() > MOST_BYTES {
            return Err(SharedOutcome::Corrupt);
        }
        let plain = self.seal.open(name, bytes).ok_or(SharedOutcome::Corrupt)?;
        let written: Written<R::Written> =
            serde_json::from_slice(plain.expose()).map_err(|_| SharedOutcome::Corrupt)?;
        let record = R::read(written.record).ok_or(SharedOutcome::Corrupt)?;
        let (now, read_at) = (self.clock.now(), Timestamp::from_micros(written.read_at));
        let in_time = now.since(read_at) < self.max_age && read_at <= now.plus(CLOCKS_APART);
        if !in_time || !self.epochs.admits(Epoch(written.epoch), &record.about()) {
            return Err(SharedOutcome::Outdated);
        }
        Ok(Loaded { known: Some(Arc::new(record)), read_at: Some(read_at.min(now)) })
    }

    /// For others, without waiting for it. What a slow reader leaves late says by its epoch what it does not know of.
    fn leave<R: Shareable>(&self, name: String, record: &R, epoch: Epoch, read_at: Timestamp) {
        if !self.epochs.admits(epoch, &record.about()) {
            return;
        }
        let written = Written { epoch: epoch.0, read_at: read_at.as_micros(), record: record.write() };
        let Ok(plain) = serde_json::to_vec(&written) else { return };
        let Some(sealed) = self.seal.seal(&name, &plain).filter(|sealed| sealed.len() <= MOST_BYTES) else { return };
        let (memory, metrics, lifetime) = (Arc::clone(&self.memory), Arc::clone(&self.metrics), self.max_age);
        self.runtime.spawn(async move {
            if memory.put(&name, sealed, lifetime).await.is_err() {
                metrics.not_written(R::CACHE);
            }
        });
    }
}

#[cfg(test)]
#[path = "second_level/tests.rs"]
mod tests;

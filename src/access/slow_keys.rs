//! API keys that were taken over with a slow hash: checked by it once, and by a fast digest ever after.
//!
//! Whoever knows a visible prefix could have hashes computed at will, so: they run on a thread of their own behind a short
//! queue, for each key one at a time, and a network that has guessed wrong at a key has to wait before it may again. Once
//! the key itself has been shown, there is nothing slow left to guess at.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::sync::Semaphore;

use super::miss_budget::network;
use crate::crypto::hashing_threads::HashingThreads;
use crate::crypto::password::{Cost, Verdict};
use crate::crypto::stored_password;
use crate::domain::clock::Timestamp;
use crate::domain::denial::Denial;
use crate::domain::digest::Digest;
use crate::domain::lockout::{Lockout, LockoutPolicy};
use crate::domain::presented_key::PresentedKey;
use crate::domain::secret::Secret;
use crate::storage::slow_keys::{SlowKey, SlowKeys};

/// Hashes that wait or run.
const QUEUE: usize = 32;
/// Requests with one prefix that wait for one hash: a client's first ones mostly come together.
const WAITING: usize = 16;
/// Networks and prefixes remembered at a time; forgetting one only forgives it.
const GUESSERS: usize = 16_384;
/// What the thread keeps of its memory between hashes.
const KEPT: Cost = Cost { memory_kib: 0, iterations: 1, parallelism: 1 };

pub struct SlowKeyCheck {
    keys: Arc<dyn SlowKeys>,
    threads: HashingThreads,
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
    guesses: Cache<(IpAddr, String), Lockout>,
    policy: LockoutPolicy,
}

/// Those who ask for one key.
struct Lane {
    turn: Arc<Semaphore>,
    places: Semaphore,
}

impl SlowKeyCheck {
    pub fn new(keys: Arc<dyn SlowKeys>) -> std::io::Result<Self> {
        Ok(Self {
            keys,
            threads: HashingThreads::start(1, QUEUE)?,
            lanes: Mutex::default(),
            guesses: Cache::new(GUESSERS),
            policy: LockoutPolicy { delay: Duration::from_secs(1), ..LockoutPolicy::codes() },
        })
    }

    /// `true` when it is such a key, and is to be looked up by `digest` from now on.
    pub async fn upgrade(
        &self,
        key: &PresentedKey,
        digest: &Digest,
        client: IpAddr,
        now: Timestamp,
    ) -> Result<bool, Denial> {
        if !key.is_imported() || self.find(key, now).await?.is_none() {
            return Ok(false);
        }
        let lane = self.lane(key.prefix());
        let upgraded = self.in_turn(&lane, key, digest, client, now).await;
        drop(lane);
        self.tidy(key.prefix());
        upgraded
    }

    async fn in_turn(
        &self,
        lane: &Lane,
        key: &PresentedKey,
        digest: &Digest,
        client: IpAddr,
        now: Timestamp,
    ) -> Result<bool, Denial> {
        let _place = lane.places.try_acquire().map_err(|_| Denial::Busy)?;
        // Kept until the hash ends, also by whoever hangs up meanwhile: or one prefix could fill the queue.
        let turn = Arc::clone(&lane.turn).acquire_owned().await.map_err(|_| Denial::Busy)?;
        // Whoever had the turn before may have shown the key itself.
        let Some(slow) = self.find(key, now).await? else { return Ok(true) };
        let slot = self.threads.slot().map_err(|_| Denial::Busy)?;
        let guesser = (network(client), key.prefix().to_owned());
        let before = self.guesses.get(&guesser).unwrap_or_default();
        let counted = before.reserve(&self.policy, now).map_err(|_| Denial::TooManyUnknownKeys)?;
        self.guesses.insert(guesser.clone(), counted);
        let (shown, hash) = (Secret::new(key.expose().to_owned()), slow.hash.clone());
        let verified =
            self.threads.run_in(slot, move |memory| (stored_password::verify(&shown, &hash, KEPT, memory), turn)).await;
        let (verdict, _turn) = verified.map_err(|_| Denial::Busy)?;
        if verdict == Verdict::Wrong {
            return Ok(false);
        }
        self.guesses.remove(&guesser);
        self.keys.upgrade(&slow, digest, now).await.map_err(|_| Denial::Unavailable)?;
        Ok(true)
    }

    async fn find(&self, key: &PresentedKey, now: Timestamp) -> Result<Option<SlowKey>, Denial> {
        self.keys.find(key.prefix(), now).await.map_err(|_| Denial::Unavailable)
    }

    fn lane(&self, prefix: &str) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes
            .entry(prefix.to_owned())
            .or_insert_with(|| Arc::new(Lane { turn: Arc::new(Semaphore::new(1)), places: Semaphore::new(WAITING) }));
        Arc::clone(lane)
    }

    /// Only what is in use is kept. A request that was cut off leaves its lane to the next one.
    fn tidy(&self, prefix: &str) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.get(prefix).is_some_and(|lane| Arc::strong_count(lane) == 1) {
            lanes.remove(prefix);
        }
    }
}

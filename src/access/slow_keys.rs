//! API keys that were taken over with a slow hash: checked by it once, and by a fast digest ever after.
//!
//! Whoever knows a visible prefix could have hashes computed at will, so: they run on a thread of their own behind a short
//! queue, for each key one at a time, and a network that has guessed wrong at a key has to wait before it may again. Once
//! the key itself has been shown, there is nothing slow left to guess at.
//!
//! As long as any such key is left, a prefix that no key has is answered as one that a key has: it is counted, and it takes as
//! long as a hash has taken lately. Nothing is hashed for it, or made-up prefixes would fill the queue.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use quick_cache::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

use crate::crypto::hashing_threads::{HashingThreads, Slot};
use crate::crypto::key_digest::digest_of;
use crate::crypto::password::{Cost, Verdict};
use crate::crypto::stored_password;
use crate::domain::client_network::ClientNetwork;
use crate::domain::clock::Timestamp;
use crate::domain::denial::Denial;
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
/// For how long it is believed how long a hash takes, and that there are keys to be hashed.
const USUAL: Duration = Duration::from_secs(60);
/// What the thread keeps of its memory between hashes.
const KEPT: Cost = Cost { memory_kib: 0, iterations: 1, parallelism: 1 };

pub struct SlowKeyCheck {
    keys: Arc<dyn SlowKeys>,
    threads: HashingThreads,
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
    guesses: Cache<(ClientNetwork, String), Lockout>,
    policy: LockoutPolicy,
    /// Networks that many share, beside those that are known to be: nobody there waits for another's guesses.
    shared: Vec<IpNet>,
    /// How long the last hash took, and when that was. Held by whoever finds it out.
    usual: tokio::sync::Mutex<Option<(Timestamp, Duration)>>,
}

/// Those who ask for one key.
struct Lane {
    turn: Arc<Semaphore>,
    places: Semaphore,
}

impl SlowKeyCheck {
    pub fn new(keys: Arc<dyn SlowKeys>, shared: Vec<IpNet>) -> std::io::Result<Self> {
        Ok(Self {
            keys,
            threads: HashingThreads::start(1, QUEUE)?,
            lanes: Mutex::default(),
            guesses: Cache::new(GUESSERS),
            policy: LockoutPolicy::slow_keys(),
            shared,
            usual: tokio::sync::Mutex::default(),
        })
    }

    /// `true` when it is such a key, and is to be looked up by its digest from now on.
    pub async fn upgrade(&self, key: &PresentedKey, client: IpAddr, now: Timestamp) -> Result<bool, Denial> {
        if !key.is_imported() {
            return Ok(false);
        }
        let is_known = self.find(key, now).await?.is_some();
        if !is_known && !self.is_any_left(now).await? {
            return Ok(false);
        }
        let lane = self.lane(key.prefix());
        let upgraded = self.in_turn(&lane, key, is_known, client, now).await;
        drop(lane);
        self.tidy(key.prefix());
        upgraded
    }

    async fn in_turn(
        &self,
        lane: &Lane,
        key: &PresentedKey,
        is_known: bool,
        client: IpAddr,
        now: Timestamp,
    ) -> Result<bool, Denial> {
        let _place = lane.places.try_acquire().map_err(|_| Denial::Busy)?;
        // Kept until the hash ends, also by whoever hangs up meanwhile: or one prefix could fill the queue.
        let turn = Arc::clone(&lane.turn).acquire_owned().await.map_err(|_| Denial::Busy)?;
        let slow = match (is_known, self.find(key, now).await?) {
            (_, Some(slow)) => slow,
            // Whoever had the turn before has shown the key itself.
            (true, None) => return Ok(true),
            (false, None) => {
                self.count(key, client, now)?;
                self.pretend(key, now).await?;
                return Ok(false);
            }
        };
        let slot = self.threads.slot().map_err(|_| Denial::Busy)?;
        self.count(key, client, now)?;
        let began = Instant::now();
        let verdict = self.verify(slot, key, &slow, Some(turn)).await?;
        *self.usual.lock().await = Some((now, began.elapsed()));
        if verdict == Verdict::Wrong {
            return Ok(false);
        }
        if let Some(guesser) = self.guesser(key, client) {
            self.guesses.remove(&guesser);
        }
        self.keys.upgrade(&slow, &digest_of(key), now).await.map_err(|_| Denial::Unavailable)?;
        Ok(true)
    }

    async fn verify(
        &self,
        slot: Slot,
        key: &PresentedKey,
        slow: &SlowKey,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Result<Verdict, Denial> {
        let (shown, hash) = (Secret::new(key.expose().to_owned()), slow.hash.clone());
        let verified =
            self.threads.run_in(slot, move |memory| (stored_password::verify(&shown, &hash, KEPT, memory), turn)).await;
        verified.map(|(verdict, _turn)| verdict).map_err(|_| Denial::Busy)
    }

    fn guesser(&self, key: &PresentedKey, client: IpAddr) -> Option<(ClientNetwork, String)> {
        Some((ClientNetwork::of(client, &self.shared)?, key.prefix().to_owned()))
    }

    /// Takes the place of one guess.
    fn count(&self, key: &PresentedKey, client: IpAddr, now: Timestamp) -> Result<(), Denial> {
        let Some(guesser) = self.guesser(key, client) else { return Ok(()) };
        let before = self.guesses.get(&guesser).unwrap_or_default();
        let counted = before.reserve(&self.policy, now).map_err(|_| Denial::TooManyUnknownKeys)?;
        self.guesses.insert(guesser, counted);
        Ok(())
    }

    /// Lets as much time go by as a hash takes.
    async fn pretend(&self, key: &PresentedKey, now: Timestamp) -> Result<(), Denial> {
        let mut usual = self.usual.lock().await;
        if let Some((_, took)) = usual.filter(|(at, _)| now.is_soon_after(*at, USUAL)) {
            drop(usual);
            sleep(took).await;
            return Ok(());
        }
        // Found out at the hash of another key, which this one does not fit.
        let Some(other) = self.keys.any(now).await.map_err(|_| Denial::Unavailable)? else { return Ok(()) };
        let slot = self.threads.slot().map_err(|_| Denial::Busy)?;
        let began = Instant::now();
        self.verify(slot, key, &other, None).await?;
        *usual = Some((now, began.elapsed()));
        Ok(())
    }

    /// That there is none is asked each time: one that has just been taken over is to be found.
    async fn is_any_left(&self, now: Timestamp) -> Result<bool, Denial> {
        if self.usual.lock().await.is_some_and(|(at, _)| now.is_soon_after(at, USUAL)) {
            return Ok(true);
        }
        Ok(self.keys.any(now).await.map_err(|_| Denial::Unavailable)?.is_some())
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

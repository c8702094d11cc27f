//! Buckets of requests in a table of bounded size, for as many parties as there are.
//!
//! When the table is full, a newcomer takes the place of the bucket that is nearest to being full again among a few drawn
//! at random. One whose time has passed is as good as none, and goes first; after those, whoever has used the least. So a
//! flood of addresses drives out its own buckets, nobody is refused for want of room, and a party that has spent its
//! budget stays known: to be forgotten, it would need a table of parties that have spent more.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};

use parking_lot::Mutex;

use crate::domain::clock::Timestamp;
use crate::domain::gcra::{Arrival, Gcra, Level, Spent};

/// A power of two, so that threads seldom wait for each other.
const SHARDS: usize = 64;
/// How many are compared to find one that can go.
const DRAWN: usize = 8;

/// 128 bits under keys that nobody outside knows: no two parties share one, and none can be aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketKey {
    high: u64,
    low: u64,
}

#[derive(Debug)]
pub struct Buckets {
    shards: Vec<Mutex<Shard>>,
    most_per_shard: usize,
    high: RandomState,
    low: RandomState,
}

#[derive(Debug, Default)]
struct Shard {
    arrivals: HashMap<BucketKey, Arrival, BuildHasherDefault<AlreadyHashed>>,
    /// The same keys, to draw from.
    keys: Vec<BucketKey>,
    dice: u64,
}

impl Buckets {
    /// `most` buckets at a time, rounded up.
    pub fn new(most: usize) -> Self {
        let (high, low) = (RandomState::new(), RandomState::new());
        let shard = |seed: usize| Mutex::new(Shard { dice: low.hash_one(seed) | 1, ..Shard::default() });
        let shards = (0..SHARDS).map(shard).collect();
        Self { shards, most_per_shard: most.div_ceil(SHARDS).max(1), high, low }
    }

    pub fn key(&self, of: &impl Hash) -> BucketKey {
        BucketKey { high: self.high.hash_one(of), low: self.low.hash_one(of) }
    }

    pub fn take(&self, key: BucketKey, gcra: Gcra, now: Timestamp) -> Result<Level, Spent> {
        self.with(key, |bucket| gcra.take(bucket, now))
    }

    pub fn give_back(&self, key: BucketKey, gcra: Gcra) {
        self.with(key, |bucket| gcra.give_back(bucket));
    }

    /// As [`Gcra::hold`].
    pub fn hold(&self, key: BucketKey, gcra: Gcra, retry_in: std::time::Duration, now: Timestamp) {
        self.with(key, |bucket| gcra.hold(bucket, retry_in, now));
    }

    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().keys.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn with<T>(&self, key: BucketKey, change: impl FnOnce(&mut Arrival) -> T) -> T {
        // The rest of a division is smaller than any length there is.
        let at = usize::try_from(key.high % SHARDS as u64).unwrap_or(0);
        match self.shards.get(at) {
            Some(shard) => shard.lock().with(key, self.most_per_shard, change),
            None => change(&mut Arrival::NONE.clone()),
        }
    }
}

impl Shard {
    fn with<T>(&mut self, key: BucketKey, most: usize, change: impl FnOnce(&mut Arrival) -> T) -> T {
        if let Some(bucket) = self.arrivals.get_mut(&key) {
            return change(bucket);
        }
        let mut bucket = Arrival::NONE;
        let changed = change(&mut bucket);
        self.make_room(key, most);
        self.arrivals.insert(key, bucket);
        changed
    }

    fn make_room(&mut self, newcomer: BucketKey, most: usize) {
        if self.keys.len() < most {
            self.keys.push(newcomer);
            return;
        }
        let mut least: Option<(Arrival, usize)> = None;
        for _ in 0..DRAWN {
            let at = self.draw();
            let arrival = self.keys.get(at).and_then(|key| self.arrivals.get(key)).copied().unwrap_or(Arrival::NONE);
            if least.is_none_or(|(other, _)| arrival < other) {
                least = Some((arrival, at));
            }
        }
        if let Some(place) = least.and_then(|(_, at)| self.keys.get_mut(at)) {
            let gone = std::mem::replace(place, newcomer);
            self.arrivals.remove(&gone);
        }
    }

    /// Xorshift (Marsaglia 2003): no secret, only without a pattern.
    fn draw(&mut self) -> usize {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        let count = u64::try_from(self.keys.len()).unwrap_or(1).max(1);
        usize::try_from(self.dice % count).unwrap_or(0)
    }
}

impl Hash for BucketKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.low);
    }
}

/// For keys that are hashes.
#[derive(Clone, Copy, Debug, Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::rate::Rate;

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn gcra(rate: &str) -> Gcra {
        Gcra::new(Rate::parse(rate).unwrap())
    }

    fn taken(buckets: &Buckets, of: &str, gcra: Gcra, now: Timestamp, tries: usize) -> usize {
        let key = buckets.key(&of);
        (0..tries).filter(|_| buckets.take(key, gcra, now).is_ok()).count()
    }

    #[test]
    fn each_party_has_a_bucket_of_its_own() {
        let (buckets, gcra) = (Buckets::new(1000), gcra("5/minute"));
        for party in 0..200 {
            assert_eq!(taken(&buckets, &format!("party {party}"), gcra, START, 9), 5);
        }
        assert_eq!(buckets.len(), 200);
        assert_eq!(taken(&buckets, "party 7", gcra, START, 9), 0);
        let key = buckets.key(&"party 7");
        buckets.give_back(key, gcra);
        assert_eq!(taken(&buckets, "party 7", gcra, START, 9), 1);
        buckets.hold(key, gcra, Duration::from_secs(99), START.plus(Duration::from_secs(3600)));
        assert_eq!(taken(&buckets, "party 7", gcra, START.plus(Duration::from_secs(3600)), 9), 0);
    }

    #[test]
    fn a_flood_finds_a_bounded_table_and_frees_nobody_who_has_spent_more() {
        let (buckets, gcra) = (Buckets::new(1024), gcra("10/minute"));
        let greedy: Vec<String> = (0..32).map(|n| format!("greedy {n}")).collect();
        for one in &greedy {
            assert_eq!(taken(&buckets, one, gcra, START, 99), 10);
        }
        for stranger in 0..50_000 {
            assert_eq!(taken(&buckets, &format!("stranger {stranger}"), gcra, START, 1), 1, "nobody is shut out");
        }
        assert!(buckets.len() <= 1024 + SHARDS, "{}", buckets.len());
        let freed = greedy.iter().filter(|one| taken(&buckets, one, gcra, START, 1) > 0).count();
        assert_eq!(freed, 0, "what was spent stays spent");
    }

    #[test]
    fn buckets_that_are_full_again_go_first() {
        let (buckets, slow, fast) = (Buckets::new(SHARDS * 64), gcra("1/hour"), gcra("1000/second"));
        let held: Vec<String> = (0..SHARDS * 8).map(|n| format!("held {n}")).collect();
        for one in &held {
            taken(&buckets, one, slow, START, 1);
        }
        for flood in 0..100_000 {
            taken(&buckets, &format!("flood {flood}"), fast, START, 1);
        }
        let freed = held.iter().filter(|one| taken(&buckets, one, slow, START, 1) > 0).count();
        assert_eq!(freed, 0);
    }

    #[test]
    fn threads_together_take_no_more_than_there_is() {
        let (buckets, gcra) = (Buckets::new(64), gcra("1000/hour"));
        let passed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| taken(&buckets, "one", gcra, START, 500))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 1000);
    }
}

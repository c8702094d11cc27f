//! How often keys are used, counted in memory until somebody takes the counts to the store.
//!
//! A use costs the request two atomic operations and one look. Only the first use since the counts were last taken puts the key on the
//! list of those to take, under a lock held for one push.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::api_key::ApiKeyId;
use super::clock::Timestamp;

/// Keys on the list at a time. Beyond them a key counts on for itself, and comes onto the list when there is room.
const MOST: usize = 65_536;
const NEVER: i64 = i64::MIN;

/// What was counted of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    pub id: ApiKeyId,
    pub count: u64,
    pub last_at: Timestamp,
}

/// The counter of one key.
#[derive(Debug)]
pub struct Meter {
    id: ApiKeyId,
    uses: AtomicU64,
    /// Microseconds. Stays when the count is taken: the store is told of it, but records that are remembered are not.
    last: AtomicI64,
    listed: AtomicBool,
    tally: Arc<List>,
}

#[derive(Debug, Default)]
struct List(Mutex<Vec<Arc<Meter>>>);

/// All counters of a process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct KeyTally(Arc<List>);

impl KeyTally {
    pub fn meter(&self, id: &ApiKeyId) -> Arc<Meter> {
        Arc::new(Meter {
            id: id.clone(),
            uses: AtomicU64::new(0),
            last: AtomicI64::new(NEVER),
            listed: AtomicBool::new(false),
            tally: Arc::clone(&self.0),
        })
    }

    /// What was counted since the last time, in the order of the ids: two that write such lists at once never wait for each
    /// other in a circle.
    pub fn take(&self) -> Vec<KeyUse> {
        let meters = std::mem::take(&mut *self.0.0.lock());
        let mut uses: Vec<KeyUse> = meters.iter().filter_map(|meter| meter.take()).collect();
        uses.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
        // A key may have several counters: one that was put back, one whose record was forgotten and loaded again.
        uses.dedup_by(|next, one| {
            let same = next.id == one.id;
            if same {
                one.count = one.count.saturating_add(next.count);
                one.last_at = one.last_at.max(next.last_at);
            }
            same
        });
        uses
    }

    /// Puts back what could not be told.
    pub fn put_back(&self, uses: Vec<KeyUse>) {
        for KeyUse { id, count, last_at } in uses {
            self.meter(&id).count(count, last_at);
        }
    }
}

impl Meter {
    /// Counts one use.
    pub fn used(self: &Arc<Self>, now: Timestamp) {
        self.count(1, now);
    }

    /// Notes that it is in use still, as by a connection that was opened with it.
    pub fn held(self: &Arc<Self>, now: Timestamp) {
        self.count(0, now);
    }

    /// When it was last used here, if it was.
    pub fn last(&self) -> Option<Timestamp> {
        let last = self.last.load(Ordering::Relaxed);
        (last != NEVER).then(|| Timestamp::from_micros(last))
    }

    /// In one order with [`Meter::take`] on all threads: either that sees the addition, or this sees the key off the list.
    fn count(self: &Arc<Self>, uses: u64, at: Timestamp) {
        self.last.fetch_max(at.as_micros(), Ordering::Relaxed);
        self.uses.fetch_add(uses, Ordering::SeqCst);
        // Read before it is written: many threads then share the line instead of passing it round.
        if self.listed.load(Ordering::SeqCst) || self.listed.swap(true, Ordering::SeqCst) {
            return;
        }
        let mut list = self.tally.0.lock();
        if list.len() < MOST {
            list.push(Arc::clone(self));
        } else {
            self.listed.store(false, Ordering::SeqCst);
        }
    }

    fn take(&self) -> Option<KeyUse> {
        // Off the list first: a use that comes between the two is counted now, or lists the key anew.
        self.listed.store(false, Ordering::SeqCst);
        let count = self.uses.swap(0, Ordering::SeqCst);
        Some(KeyUse { id: self.id.clone(), count, last_at: self.last()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ApiKeyId {
        ApiKeyId(text.to_owned())
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn used(text: &str, count: u64, last: i64) -> KeyUse {
        KeyUse { id: id(text), count, last_at: at(last) }
    }

    #[test]
    fn what_is_taken_is_counted_once_and_the_last_use_is_remembered() {
        let tally = KeyTally::default();
        let (b, a) = (tally.meter(&id("b")), tally.meter(&id("a")));
        assert_eq!(tally.take(), []);
        assert_eq!(a.last(), None);
        b.used(at(3));
        b.used(at(2));
        a.used(at(1));
        assert_eq!(tally.take(), [used("a", 1, 1), used("b", 2, 3)]);
        assert_eq!(tally.take(), []);
        assert_eq!(b.last(), Some(at(3)));
        a.held(at(9));
        assert_eq!(tally.take(), [used("a", 0, 9)]);
    }

    #[test]
    fn what_could_not_be_told_is_told_the_next_time() {
        let tally = KeyTally::default();
        let meter = tally.meter(&id("a"));
        meter.used(at(1));
        let taken = tally.take();
        tally.put_back(taken);
        meter.used(at(2));
        assert_eq!(tally.take(), [used("a", 2, 2)]);
    }

    #[test]
    fn no_use_is_lost_between_threads() {
        const USES: u64 = 20_000;
        let tally = KeyTally::default();
        let meter = tally.meter(&id("a"));
        let mut counted = 0;
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| (0..USES).for_each(|_| meter.used(at(1))))).collect();
            while workers.iter().any(|worker| !worker.is_finished()) {
                counted += tally.take().iter().map(|one| one.count).sum::<u64>();
            }
        });
        counted += tally.take().iter().map(|one| one.count).sum::<u64>();
        assert_eq!(counted, 4 * USES);
    }
}

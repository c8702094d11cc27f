//! Whoever proves something about one account, or from one network, waits for a turn.
//!
//! A guess is counted before it is made ([`super::guess_guard`]). Many at once, all of them right, as of a service that
//! signs in with one account in parallel or of an office in the morning, would therefore look like an attack while they
//! are under way. So on each node a few go at a time and the others wait, which costs nobody anything: there are no more
//! hashing threads than that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Who finds so many waiting, for whatever account, is told to come back.
const MOST_WAITING: usize = 1024;

#[derive(Debug, Default)]
pub struct Turns {
    lanes: Mutex<HashMap<String, Weak<Semaphore>>>,
    waiting: AtomicUsize,
}

/// Held while something is proven.
#[derive(Debug)]
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

/// Too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowded;

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turns {
    /// At most `at_a_time` have a turn in one lane, which must be fewer than the guesses that are free there.
    pub async fn take(&self, lane: &str, at_a_time: usize) -> Result<Turn, Crowded> {
        let lane = self.lane(lane, at_a_time);
        if let Ok(permit) = Arc::clone(&lane).try_acquire_owned() {
            return Ok(Turn { _permit: Some(permit) });
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MOST_WAITING {
            drop(Waiting(&self.waiting));
            return Err(Crowded);
        }
        let waiting = Waiting(&self.waiting);
        // Nobody closes a lane, and if somebody did there would be no order to keep.
        let permit = lane.acquire_owned().await.ok();
        drop(waiting);
        Ok(Turn { _permit: permit })
    }

    fn lane(&self, name: &str, at_a_time: usize) -> Arc<Semaphore> {
        let mut lanes = self.lanes.lock();
        if let Some(lane) = lanes.get(name).and_then(Weak::upgrade) {
            return lane;
        }
        // What nobody holds any more goes; done so rarely that it costs each taker next to nothing.
        if lanes.len() >= 64 && lanes.len().is_power_of_two() {
            lanes.retain(|_, lane| lane.strong_count() > 0);
        }
        let lane = Arc::new(Semaphore::new(at_a_time));
        lanes.insert(name.to_owned(), Arc::downgrade(&lane));
        lane
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_few_go_at_a_time_and_accounts_do_not_wait_for_each_other() {
        let turns = Arc::new(Turns::default());
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(turns.take("a", 3).await.unwrap());
        }
        turns.take("b", 3).await.unwrap();
        let next = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.take("a", 3).await.is_ok() }
        });
        while turns.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(!next.is_finished());
        held.pop();
        assert!(next.await.unwrap());
    }

    #[tokio::test]
    async fn who_finds_a_lane_free_is_not_told_of_a_crowd_elsewhere() {
        let turns = Turns::default();
        turns.waiting.store(MOST_WAITING, Ordering::Relaxed);
        let first = turns.take("a", 1).await.unwrap();
        assert_eq!(turns.take("a", 1).await.unwrap_err(), Crowded);
        drop(first);
        turns.take("a", 1).await.unwrap();
    }

    #[tokio::test]
    async fn accounts_that_nobody_waits_for_are_not_kept() {
        let turns = Turns::default();
        for number in 0..10_000 {
            turns.take(&number.to_string(), 3).await.unwrap();
        }
        assert!(turns.lanes.lock().len() <= 128);
    }
}

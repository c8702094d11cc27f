//! Whoever proves something about one account, or from one network, waits for a turn.
//!
//! A guess is counted before it is made ([`super::guess_guard`]). Many at once, all of them right, as of a service that
//! signs in with one account in parallel or of an office in the morning, would therefore look like an attack while they
//! are under way. So on each node a few go at a time and the others wait, which costs nobody anything: there are no more
//! hashing threads than that.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::lane::{Crowded, Lane, Queue, Turn};

/// Who finds so many waiting, for whatever account, is told to come back.
const MOST_WAITING: usize = 1024;
/// The same for those who wait for one account or in one network: a crowd there turns away nobody elsewhere.
const MOST_WAITING_IN_ONE: usize = 128;

#[derive(Debug)]
pub struct Turns {
    lanes: Mutex<HashMap<String, Weak<Lane>>>,
    queue: Queue,
}

impl Default for Turns {
    fn default() -> Self {
        Self { lanes: Mutex::default(), queue: Queue::new(MOST_WAITING) }
    }
}

impl Turns {
    /// At most `at_a_time` have a turn in one lane, which must be fewer than the guesses that are free there.
    pub async fn take(&self, lane: &str, at_a_time: usize) -> Result<Turn, Crowded> {
        let lane = self.lane(lane, at_a_time);
        if let Some(turn) = lane.take_now() {
            return Ok(turn);
        }
        let _waiting = self.queue.join()?;
        lane.take().await
    }

    fn lane(&self, name: &str, at_a_time: usize) -> Arc<Lane> {
        let mut lanes = self.lanes.lock();
        if let Some(lane) = lanes.get(name).and_then(Weak::upgrade) {
            return lane;
        }
        // What nobody holds any more goes; done so rarely that it costs each taker next to nothing.
        if lanes.len() >= 64 && lanes.len().is_power_of_two() {
            lanes.retain(|_, lane| lane.strong_count() > 0);
        }
        let lane = Arc::new(Lane::new(at_a_time, MOST_WAITING_IN_ONE));
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
        while turns.queue.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(!next.is_finished());
        held.pop();
        assert!(next.await.unwrap());
    }

    #[tokio::test]
    async fn who_finds_a_lane_free_is_not_told_of_a_crowd_elsewhere() {
        let turns = Turns::default();
        let _elsewhere: Vec<_> = (0..MOST_WAITING).map(|_| turns.queue.join().unwrap()).collect();
        let first = turns.take("a", 1).await.unwrap();
        assert_eq!(turns.take("a", 1).await.unwrap_err(), Crowded);
        drop(first);
        turns.take("a", 1).await.unwrap();
    }

    #[tokio::test]
    async fn a_crowd_in_one_lane_turns_away_nobody_elsewhere() {
        let turns = Arc::new(Turns::default());
        let held = (turns.take("a", 1).await.unwrap(), turns.take("b", 1).await.unwrap());
        let wait = |name: &'static str| {
            let turns = Arc::clone(&turns);
            tokio::spawn(async move { turns.take(name, 1).await.map(drop) })
        };
        let crowd: Vec<_> = (0..MOST_WAITING_IN_ONE).map(|_| wait("a")).collect();
        while turns.queue.waiting() < MOST_WAITING_IN_ONE {
            tokio::task::yield_now().await;
        }
        assert_eq!(turns.take("a", 1).await.unwrap_err(), Crowded);
        let other = wait("b");
        while turns.queue.waiting() <= MOST_WAITING_IN_ONE {
            tokio::task::yield_now().await;
        }
        drop(held);
        other.await.unwrap().unwrap();
        for one in crowd {
            one.await.unwrap().unwrap();
        }
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

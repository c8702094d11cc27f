//! A few go at a time, some wait, and whoever comes beyond them is told to come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Debug)]
pub struct Lane {
    permits: Arc<Semaphore>,
    queue: Queue,
}

/// Held while it is one's turn.
#[derive(Debug)]
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
    /// A lane is there as long as somebody goes in it.
    _lane: Arc<Lane>,
}

/// Too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowded;

/// How many wait, of as many as may.
#[derive(Debug)]
pub struct Queue {
    most: usize,
    waiting: AtomicUsize,
}

/// A place in a queue.
#[derive(Debug)]
pub struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Queue {
    pub const fn new(most: usize) -> Self {
        Self { most, waiting: AtomicUsize::new(0) }
    }

    pub fn join(&self) -> Result<Waiting<'_>, Crowded> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Waiting(&self.waiting);
        if before < self.most { Ok(place) } else { Err(Crowded) }
    }

    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Lane {
    pub fn new(at_a_time: usize, most_waiting: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(at_a_time)), queue: Queue::new(most_waiting) }
    }

    /// A turn, if nobody has to be waited for.
    pub fn take_now(self: &Arc<Self>) -> Option<Turn> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(Turn { _permit: Some(permit), _lane: Arc::clone(self) })
    }

    pub async fn take(self: &Arc<Self>) -> Result<Turn, Crowded> {
        if let Some(turn) = self.take_now() {
            return Ok(turn);
        }
        let _waiting = self.queue.join()?;
        // Nobody closes a lane, and if somebody did there would be no order to keep.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        Ok(Turn { _permit: permit, _lane: Arc::clone(self) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn some_wait_and_those_beyond_them_are_turned_away() {
        let lane = Arc::new(Lane::new(1, 2));
        let first = lane.take().await.unwrap();
        let next = || {
            let lane = Arc::clone(&lane);
            tokio::spawn(async move { lane.take().await.map(drop) })
        };
        let waiting = [next(), next()];
        while lane.queue.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(lane.take().await.unwrap_err(), Crowded);
        assert_eq!(lane.queue.waiting(), 2, "who is turned away holds no place");
        drop(first);
        for one in waiting {
            one.await.unwrap().unwrap();
        }
        assert_eq!(lane.queue.waiting(), 0);
        lane.take().await.unwrap();
    }

    #[tokio::test]
    async fn who_stops_waiting_leaves_the_queue() {
        let lane = Arc::new(Lane::new(1, 1));
        let _first = lane.take().await.unwrap();
        let next = tokio::spawn({
            let lane = Arc::clone(&lane);
            async move { lane.take().await.map(drop) }
        });
        while lane.queue.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        next.abort();
        assert!(next.await.unwrap_err().is_cancelled());
        assert_eq!(lane.queue.waiting(), 0);
    }
}

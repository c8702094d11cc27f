//! How many refusals are written down that nobody can be held to.
//!
//! Addresses that many share are not counted ([`crate::domain::client_network`]), so nothing else bounds what somebody there
//! makes us write. All of them share one leaky bucket (GCRA) that holds one event.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::domain::clock::Timestamp;

#[derive(Debug)]
pub struct RefusalBudget {
    /// In microseconds.
    interval: i64,
    /// When the next event may be written.
    free_at: AtomicI64,
}

impl RefusalBudget {
    /// At most one event in each `interval`.
    pub fn new(interval: Duration) -> Self {
        let interval = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX);
        Self { interval, free_at: AtomicI64::new(i64::MIN) }
    }

    /// Whether one more may be written. Parallel takers cannot overdraw it.
    pub fn take(&self, now: Timestamp) -> bool {
        let now = now.as_micros();
        let taken = self.free_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free_at| {
            (free_at <= now).then_some(now.saturating_add(self.interval))
        });
        taken.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_is_written_in_each_interval() {
        let budget = RefusalBudget::new(Duration::from_secs(1));
        let start = Timestamp::from_secs(100);
        let taken = |at: Timestamp| (0..100).filter(|_| budget.take(at)).count();
        assert_eq!(taken(start), 1);
        assert_eq!(taken(start.plus(Duration::from_millis(999))), 0);
        assert_eq!(taken(start.plus(Duration::from_secs(1))), 1);
        assert_eq!(taken(start.plus(Duration::from_secs(60))), 1, "nothing is saved up");
    }
}

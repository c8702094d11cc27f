//! How many refusals are written down that nobody can be held to.
//!
//! Addresses that many share are not counted ([`crate::domain::client_network`]), so nothing else bounds what somebody there
//! makes us write. All of them share one leaky bucket (GCRA) that holds one event.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::domain::clock::Timestamp;

/// Further ahead than this, beyond where it is ever put, a time was written before the clock was set back. Less is two threads
/// that read the clock in one order and came here in the other.
const SKEW: i64 = 1_000_000;

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
            let next = now.saturating_add(self.interval);
            let was_set_back = free_at > next.saturating_add(SKEW);
            (free_at <= now || was_set_back).then_some(next)
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
        assert_eq!(taken(start), 1, "a clock that was set back silences nobody");
    }
}

//! How many unknown keys one network may have looked up: a flood of made-up keys must not reach the store.
//!
//! A leaky bucket (GCRA) per network, IPv4 by address and IPv6 by /64, in a cache of bounded size. Only misses are charged,
//! so honest callers never notice; a network that has spent its budget is told to wait, not that its key is bad.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use quick_cache::sync::Cache;

use crate::domain::clock::Timestamp;

/// Networks remembered at a time; forgetting one only forgives it.
const NETWORKS: usize = 65_536;

#[derive(Debug)]
pub struct MissBudget {
    /// When each network's bucket will be empty again, in microseconds.
    empty_at: Cache<IpAddr, Arc<AtomicI64>>,
    interval: i64,
    burst: i64,
}

impl MissBudget {
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval = 1_000_000 / i64::from(per_second.max(1));
        Self { empty_at: Cache::new(NETWORKS), interval, burst: interval.saturating_mul(i64::from(burst.max(1))) }
    }

    /// How long this network has to wait before another look-up, if it has to.
    pub fn wait(&self, client: IpAddr, now: Timestamp) -> Option<Duration> {
        let empty_at = self.empty_at.get(&network(client))?.load(Ordering::Relaxed);
        let over = empty_at.saturating_sub(now.as_micros()).saturating_sub(self.burst - self.interval);
        u64::try_from(over).ok().filter(|micros| *micros > 0).map(Duration::from_micros)
    }

    /// Charges a look-up that found nothing.
    pub fn charge(&self, client: IpAddr, now: Timestamp) {
        let Ok(slot) = self
            .empty_at
            .get_or_insert_with(&network(client), || Ok::<_, std::convert::Infallible>(Arc::new(AtomicI64::new(0))));
        let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| {
            Some(at.max(now.as_micros()).saturating_add(self.interval))
        });
    }
}

/// The smallest network that one party is sure to hold.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_then_the_rate_holds_per_network() {
        let budget = MissBudget::new(10, 5);
        let (a, b): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let mut now = Timestamp::from_secs(100);
        for _ in 0..5 {
            assert_eq!(budget.wait(a, now), None);
            budget.charge(a, now);
        }
        assert!(budget.wait(a, now).is_some());
        assert_eq!(budget.wait(b, now), None);
        now = now.plus(Duration::from_millis(100));
        assert_eq!(budget.wait(a, now), None);
        budget.charge(a, now);
        assert!(budget.wait(a, now).is_some());
        assert_eq!(budget.wait(a, now.plus(Duration::from_secs(1))), None);
    }

    #[test]
    fn ipv6_counts_by_64() {
        let budget = MissBudget::new(1, 1);
        let now = Timestamp::from_secs(100);
        budget.charge("2001:db8::1".parse().unwrap(), now);
        assert!(budget.wait("2001:db8::ffff:2".parse().unwrap(), now).is_some());
        assert!(budget.wait("2001:db8:0:1::1".parse().unwrap(), now).is_none());
    }
}

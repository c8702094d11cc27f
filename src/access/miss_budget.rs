//! How many unknown keys one network may have looked up: a flood of made-up keys must not reach the store.
//!
//! A leaky bucket (GCRA) per network, IPv4 by address and IPv6 by /64, in a cache of bounded size. Only misses are charged,
//! so honest callers never notice; when nothing is left the caller is told to wait, not that its key is bad.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use quick_cache::sync::Cache;

use crate::domain::clock::Timestamp;

/// A bucket that is empty only later than any request can have brought it, and by more than the time between two threads,
/// was written to before the clock was set back. It is forgiven: most of those who are in it have guessed nothing.
const SKEW: i64 = 1_000_000;
/// Networks remembered at a time; forgetting one only forgives it.
const NETWORKS: usize = 65_536;

#[derive(Debug)]
pub struct MissBudget {
    empty_at: Cache<IpAddr, Bucket>,
    /// For networks that have spent their own.
    shared: Bucket,
    interval: i64,
    burst: i64,
}

impl MissBudget {
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval = 1_000_000 / i64::from(per_second.max(1));
        let burst = interval.saturating_mul(i64::from(burst.max(1)));
        Self { empty_at: Cache::new(NETWORKS), shared: Bucket::default(), interval, burst }
    }

    /// Takes a look-up from the budget before it is made, so that parallel ones cannot overdraw it. A network that has spent
    /// its own budget shares one more with all such: a real key in a flooded network must not be shut out for good.
    pub fn reserve(&self, client: IpAddr, now: Timestamp) -> Result<Reserved, Spent> {
        let own = self.bucket(network(client));
        if self.take(&own, now) {
            return Ok(Reserved { bucket: own, interval: self.interval });
        }
        if self.take(&self.shared, now) {
            return Ok(Reserved { bucket: Arc::clone(&self.shared), interval: self.interval });
        }
        Err(Spent)
    }

    fn bucket(&self, network: IpAddr) -> Bucket {
        let made = self.empty_at.get_or_insert_with(&network, || Ok::<_, std::convert::Infallible>(Bucket::default()));
        match made {
            Ok(bucket) => bucket,
            Err(never) => match never {},
        }
    }

    fn take(&self, bucket: &AtomicI64, now: Timestamp) -> bool {
        let now = now.as_micros();
        let taken = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| {
            let was_set_back = at > now.saturating_add(self.burst).saturating_add(SKEW);
            let next = if was_set_back { now } else { at.max(now) }.saturating_add(self.interval);
            (next.saturating_sub(now) <= self.burst).then_some(next)
        });
        taken.is_ok()
    }
}

/// When a bucket will be empty again, in microseconds.
type Bucket = Arc<AtomicI64>;

/// A look-up that was taken from a budget. It is kept if the key is unknown, and given back if not.
#[derive(Debug)]
pub struct Reserved {
    bucket: Bucket,
    interval: i64,
}

impl Reserved {
    pub fn give_back(self) {
        self.bucket.fetch_sub(self.interval, Ordering::Relaxed);
    }
}

/// Nothing is left; how long to wait is told by the refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent;

/// The smallest network that one party is sure to hold.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Look-ups that were granted, of `tries`.
    fn granted(budget: &MissBudget, client: IpAddr, now: Timestamp, tries: usize) -> usize {
        (0..tries).filter(|_| budget.reserve(client, now).is_ok()).count()
    }

    #[test]
    fn a_burst_is_free_then_the_rate_holds_and_one_flood_does_not_spend_what_others_have() {
        let budget = MissBudget::new(10, 5);
        let (a, b) = (address("192.0.2.1"), address("192.0.2.2"));
        let now = Timestamp::from_secs(100);
        assert_eq!(granted(&budget, a, now, 100), 10, "its own burst, and the shared one");
        assert_eq!(granted(&budget, b, now, 100), 5, "its own");
        let later = now.plus(Duration::from_millis(100));
        assert_eq!(granted(&budget, a, later, 100), 2, "one of its own, one shared");
    }

    #[test]
    fn what_was_no_miss_is_given_back() {
        let budget = MissBudget::new(10, 5);
        let now = Timestamp::from_secs(100);
        for _ in 0..1000 {
            budget.reserve(address("192.0.2.1"), now).unwrap().give_back();
        }
    }

    #[test]
    fn a_clock_that_is_set_back_shuts_nobody_out() {
        let budget = MissBudget::new(10, 5);
        let (client, now) = (address("192.0.2.1"), Timestamp::from_secs(10_000));
        assert_eq!(granted(&budget, client, now, 100), 10);
        let before = now.minus(Duration::from_secs(3600));
        assert_eq!(granted(&budget, client, before, 100), 10, "its own burst, and the shared one");
        assert_eq!(granted(&budget, client, before.plus(Duration::from_millis(100)), 100), 2);
        // By less than what the bucket holds, it is only waited for.
        assert_eq!(granted(&budget, client, before.minus(Duration::from_millis(400)), 100), 0);
        assert_eq!(granted(&budget, client, before.plus(Duration::from_millis(200)), 100), 2);
    }

    #[test]
    fn ipv6_counts_by_64() {
        let budget = MissBudget::new(1, 1);
        let now = Timestamp::from_secs(100);
        assert_eq!(granted(&budget, address("2001:db8::1"), now, 5), 2);
        assert_eq!(granted(&budget, address("2001:db8::ffff:2"), now, 5), 0);
        assert_eq!(granted(&budget, address("2001:db8:0:1::1"), now, 5), 1);
    }
}

//! The generic cell rate algorithm: a leaky bucket whose whole state is one instant.
//!
//! Each request moves the *theoretical arrival time* on by the interval between two requests at the steady rate. It may
//! not get further ahead of the clock than the burst allows. Source: ATM Forum, Traffic Management Specification 4.0, and
//! for requests Brandur Leach, "Rate Limiting, Cells, and GCRA" (the article behind redis-cell).

use std::time::Duration;

use super::clock::Timestamp;
use super::rate::Rate;

/// In nanoseconds since the epoch; beyond this neither the clock nor a tolerance is believed, so that no sum overflows.
const HORIZON: i64 = 1 << 62;
const LONGEST: i64 = 1 << 61;
/// A stored time further ahead than any request can have brought it: the clock was set back, or the limit was lowered.
/// Less than this is only two threads that read the clock in one order and came here in the other.
const SKEW: i64 = 1_000_000_000;

/// The arrival time of a bucket, in nanoseconds since the epoch. One that lies in the past is as good as none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival(i64);

impl Arrival {
    /// Of a bucket from which nothing was taken.
    pub const NONE: Self = Self(i64::MIN);

    pub fn is_past(self, now: Timestamp) -> bool {
        self.0 <= nanos(now)
    }
}

/// What a bucket is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gcra {
    interval: i64,
    burst: u32,
}

/// What is left of a bucket after a request was let through or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// How many more would be let through now.
    pub remaining: u32,
    /// How long until all of the burst is there again.
    pub full_in: Duration,
}

/// Nothing is left; when there will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    pub retry_in: Duration,
    pub full_in: Duration,
}

impl Gcra {
    /// The burst at once, and then one as often as the rate says.
    pub fn new(rate: Rate) -> Self {
        let period = i64::try_from(rate.per.duration().as_nanos()).unwrap_or(LONGEST);
        let amount = i64::from(rate.amount.get());
        // Rounded up, so that no rounding lets more through than was allowed.
        Self { interval: (period + amount - 1) / amount, burst: rate.burst.get() }
    }

    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// Between two requests at the steady rate.
    pub const fn interval(self) -> Duration {
        Duration::from_nanos(self.interval.unsigned_abs())
    }

    /// How long it takes an empty bucket to hold the whole burst again.
    pub fn tolerance(self) -> Duration {
        Duration::from_nanos(self.tolerance_nanos().unsigned_abs())
    }

    fn tolerance_nanos(self) -> i64 {
        self.interval.saturating_mul(i64::from(self.burst)).min(LONGEST)
    }

    /// Takes one from the bucket, if there is one.
    pub fn take(self, bucket: &mut Arrival, now: Timestamp) -> Result<Level, Spent> {
        let (now, tolerance) = (nanos(now), self.tolerance_nanos());
        if bucket.0 > now + tolerance + SKEW {
            bucket.0 = now + tolerance;
        }
        let next = bucket.0.max(now) + self.interval;
        let ahead = next - now;
        if ahead > tolerance {
            return Err(Spent { retry_in: duration(ahead - tolerance), full_in: duration(bucket.0 - now) });
        }
        bucket.0 = next;
        let remaining = u32::try_from((tolerance - ahead) / self.interval).unwrap_or(0);
        Ok(Level { remaining, full_in: duration(ahead) })
    }

    /// Gives back what was taken, because the request did not go on for another reason.
    pub fn give_back(self, bucket: &mut Arrival) {
        bucket.0 = bucket.0.saturating_sub(self.interval);
    }

    /// Takes over that somebody with a wider view lets nothing through before `retry_in` is over.
    pub fn hold(self, bucket: &mut Arrival, retry_in: Duration, now: Timestamp) {
        let (now, tolerance) = (nanos(now), self.tolerance_nanos());
        let wait = i64::try_from(retry_in.as_nanos()).unwrap_or(i64::MAX).min(self.interval);
        bucket.0 = bucket.0.max(now + tolerance - self.interval + wait);
    }
}

fn nanos(time: Timestamp) -> i64 {
    time.as_micros().saturating_mul(1000).clamp(-HORIZON, HORIZON)
}

fn duration(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

#[cfg(test)]
#[path = "gcra/tests.rs"]
mod tests;

//! How long to wait before trying again.

use std::time::Duration;

/// Doubling pauses between a first and a longest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
}

impl Backoff {
    /// The pause after so many failures, at least one: the second half of it is drawn by `random`, so that what failed
    /// together does not come back together. Source: M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog,
    /// 2015), there "equal jitter".
    pub fn delay(self, failures: u32, random: u32) -> Duration {
        let doublings = failures.saturating_sub(1);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let whole = self.first.saturating_mul(factor).min(self.longest);
        let half = whole / 2;
        // A `u32` of randomness against 2^32: the product of the two fits, and the result is less than the half.
        let drawn = half.as_micros() * u128::from(random) / (1 << 32);
        half + Duration::from_micros(u64::try_from(drawn).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_secs(30), longest: Duration::from_secs(3600) };

    #[test]
    fn pauses_double_up_to_the_longest() {
        let longest: Vec<u64> =
            (0..12).map(|failures| BACKOFF.delay(failures, u32::MAX).as_millis().div_ceil(1000) as u64).collect();
        assert_eq!(longest, [30, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]);
        let shortest: Vec<u64> = (1..4).map(|failures| BACKOFF.delay(failures, 0).as_secs()).collect();
        assert_eq!(shortest, [15, 30, 60]);
    }

    proptest! {
        #[test]
        fn no_pause_is_zero_or_longer_than_the_longest(failures: u32, random: u32) {
            let delay = BACKOFF.delay(failures, random);
            prop_assert!(delay >= BACKOFF.first / 2 && delay <= BACKOFF.longest, "{delay:?}");
        }
    }
}

//! How much is granted in how much time: a rate, which is refilled all the time, and a quota, which begins anew with each day
//! or month of the calendar, in UTC.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// The time that a rate speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RatePeriod {
    Second,
    Minute,
    Hour,
}

impl RatePeriod {
    const ALL: [Self; 3] = [Self::Second, Self::Minute, Self::Hour];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
        }
    }

    pub const fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        })
    }
}

/// So many requests per period, and so many at once. Its text is `100/minute`, or `100/minute burst 20` where the burst is
/// not the amount itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    pub amount: NonZeroU32,
    pub per: RatePeriod,
    pub burst: NonZeroU32,
}

/// The most that a rate, a burst or a quota may grant.
pub const MOST: u32 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate is for example 100/minute, or 100/minute burst 20: 1 to 1000000000 per second, minute or hour")]
pub struct InvalidRate;

impl Rate {
    pub fn parse(text: &str) -> Result<Self, InvalidRate> {
        let (rate, burst) = match text.split_once(" burst ") {
            Some((rate, burst)) => (rate, Some(count(burst).ok_or(InvalidRate)?)),
            None => (text, None),
        };
        let (amount, per) = rate.split_once('/').ok_or(InvalidRate)?;
        let amount = count(amount).ok_or(InvalidRate)?;
        let per = RatePeriod::ALL.into_iter().find(|period| period.as_str() == per).ok_or(InvalidRate)?;
        Ok(Self { amount, per, burst: burst.unwrap_or(amount) })
    }

    /// Whether the other one grants no more, neither at once nor in the long run.
    pub fn covers(self, other: Self) -> bool {
        let per_day = |rate: Self| u64::from(rate.amount.get()) * (86_400 / rate.per.duration().as_secs());
        other.burst <= self.burst && per_day(other) <= per_day(self)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.amount, self.per.as_str())?;
        if self.burst == self.amount { Ok(()) } else { write!(f, " burst {}", self.burst) }
    }
}

/// The part of the calendar that a quota speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuotaPeriod {
    Day,
    Month,
}

impl QuotaPeriod {
    const ALL: [Self; 2] = [Self::Day, Self::Month];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// So many requests in a day or month of the calendar. Its text is `10000/day`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    pub amount: NonZeroU32,
    pub per: QuotaPeriod,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a quota is for example 10000/day or 200000/month: 1 to 1000000000 per day or month")]
pub struct InvalidQuota;

impl Quota {
    pub fn parse(text: &str) -> Result<Self, InvalidQuota> {
        let (amount, per) = text.split_once('/').ok_or(InvalidQuota)?;
        let amount = count(amount).ok_or(InvalidQuota)?;
        let per = QuotaPeriod::ALL.into_iter().find(|period| period.as_str() == per).ok_or(InvalidQuota)?;
        Ok(Self { amount, per })
    }

    /// Whether the other one grants no more, in any day or month. All that is granted for a month may be used in a day.
    pub fn covers(self, other: Self) -> bool {
        const LONGEST_MONTH: u64 = 31;
        let (own, others) = (u64::from(self.amount.get()), u64::from(other.amount.get()));
        match (self.per, other.per) {
            (QuotaPeriod::Month, QuotaPeriod::Day) => others * LONGEST_MONTH <= own,
            _ => others <= own,
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.amount, self.per.as_str())
    }
}

/// Digits alone, and no zeros in front: each amount has one text.
fn count(text: &str) -> Option<NonZeroU32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    let number = plain.then(|| text.parse::<NonZeroU32>().ok()).flatten()?;
    (number.get() <= MOST).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates_and_quotas_are_read() {
        let rate = Rate::parse("100/minute").unwrap();
        assert_eq!((rate.amount.get(), rate.per, rate.burst.get()), (100, RatePeriod::Minute, 100));
        let rate = Rate::parse("5/second burst 50").unwrap();
        assert_eq!((rate.amount.get(), rate.per, rate.burst.get()), (5, RatePeriod::Second, 50));
        assert_eq!(Rate::parse("7/hour burst 7").unwrap().to_string(), "7/hour");
        let quota = Quota::parse("200000/month").unwrap();
        assert_eq!((quota.amount.get(), quota.per), (200_000, QuotaPeriod::Month));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "/",
            "100",
            "100/",
            "/minute",
            "0/minute",
            "01/minute",
            "+1/minute",
            "-1/minute",
            "1.5/minute",
            "1/min",
            "1/Minute",
            "1 / minute",
            " 1/minute",
            "1/minute ",
            "1/minute burst",
            "1/minute burst 0",
            "1/day",
            "1/minute burst 1 burst 1",
            "1000000001/hour",
            "99999999999999999999/hour",
            "1/minute  burst 2",
            "٣/minute",
        ] {
            assert_eq!(Rate::parse(text), Err(InvalidRate), "{text:?}");
        }
        for text in ["", "1/minute", "0/day", "1/day burst 2", "1/days", "1000000001/day", "1", "/day"] {
            assert_eq!(Quota::parse(text), Err(InvalidQuota), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(amount in 1..=MOST, burst in 1..=MOST, per in 0_usize..3) {
            let count = |number| NonZeroU32::new(number).unwrap();
            let rate = Rate { amount: count(amount), per: RatePeriod::ALL[per], burst: count(burst) };
            prop_assert_eq!(Rate::parse(&rate.to_string()), Ok(rate));
            let quota = Quota { amount: count(amount), per: QuotaPeriod::ALL[per % 2] };
            prop_assert_eq!(Quota::parse(&quota.to_string()), Ok(quota));
        }

        #[test]
        fn no_text_breaks_the_reading(text in "\\PC{0,40}|[0-9]{0,12}/?(second|minute|hour|day|month)?( burst )?[0-9]{0,12}") {
            if let Ok(rate) = Rate::parse(&text) {
                prop_assert_eq!(Rate::parse(&rate.to_string()), Ok(rate));
            }
            if let Ok(quota) = Quota::parse(&text) {
                prop_assert_eq!(quota.to_string(), text);
            }
        }
    }
}

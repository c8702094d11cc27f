//! The day or month of the calendar, UTC, that a quota is counted in.

use std::time::Duration;

use super::clock::Timestamp;
use super::rate::QuotaPeriod;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuotaSpan {
    pub period: QuotaPeriod,
    pub start: Timestamp,
    /// When the next one begins.
    pub end: Timestamp,
}

impl QuotaSpan {
    pub fn around(period: QuotaPeriod, now: Timestamp) -> Self {
        const DAY: i64 = 86_400;
        let day = now.as_secs().div_euclid(DAY);
        let (first, next) = match period {
            QuotaPeriod::Day => (day, day + 1),
            QuotaPeriod::Month => month_around(day),
        };
        let midnight = |day: i64| Timestamp::from_secs(day.saturating_mul(DAY));
        Self { period, start: midnight(first), end: midnight(next) }
    }

    /// How long until all of a quota is there again.
    pub fn left(self, now: Timestamp) -> Duration {
        self.end.since(now)
    }
}

/// The first days, since 1970-01-01, of the month with this day in it and of the next one.
fn month_around(day: i64) -> (i64, i64) {
    use chrono::Datelike as _;
    let epoch = chrono::NaiveDate::default();
    let date = chrono::TimeDelta::try_days(day).and_then(|days| epoch.checked_add_signed(days));
    let months = date.and_then(|date| {
        let first = date.with_day(1)?;
        Some((first, first.checked_add_months(chrono::Months::new(1))?))
    });
    // Where the calendar ends, a day is as good as a month.
    let Some((first, next)) = months else { return (day, day + 1) };
    (first.signed_duration_since(epoch).num_days(), next.signed_duration_since(epoch).num_days())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn spans_are_those_of_the_calendar() {
        for (period, now, start, end) in [
            (QuotaPeriod::Day, "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"),
            (QuotaPeriod::Day, "2026-12-31T23:59:59.999999Z", "2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z"),
            (QuotaPeriod::Month, "2026-11-23T12:00:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            (QuotaPeriod::Month, "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            (QuotaPeriod::Month, "2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            (QuotaPeriod::Month, "1969-12-31T23:00:00Z", "1969-12-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ] {
            let span = QuotaSpan::around(period, at(now));
            assert_eq!((span.start, span.end), (at(start), at(end)), "{now}");
            assert_eq!(at(now).plus(span.left(at(now))), at(end));
        }
    }

    proptest::proptest! {
        #[test]
        fn now_lies_in_its_span(micros in proptest::num::i64::ANY) {
            let now = Timestamp::from_micros(micros);
            for period in [QuotaPeriod::Day, QuotaPeriod::Month] {
                let span = QuotaSpan::around(period, now);
                proptest::prop_assert!(span.start <= now || micros < i64::MIN / 2);
                proptest::prop_assert!(now < span.end || micros > i64::MAX / 2);
            }
        }
    }
}

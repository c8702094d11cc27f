//! Time as a value. Nothing in the crate asks the operating system for it except [`SystemClock`].

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far ahead a time may lie that was read a moment ago: threads read the clock in one order and compare in another.
const APART: Duration = Duration::from_secs(1);

/// An instant in microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded down: the `NumericDate` of RFC 7519.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }

    /// How long ago `earlier` was; zero when it lies in the future, as after a clock step.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whether less than `within` has passed since `earlier`. What lies ahead was written before the clock was set back, and
    /// nobody knows how long ago that was.
    pub fn is_soon_after(self, earlier: Self, within: Duration) -> bool {
        earlier <= self.plus(APART) && self.since(earlier) < within
    }

    /// Reads RFC 3339, which always names its offset from UTC. What is finer than a microsecond is cut off.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
        Some(Self(time.timestamp_micros()))
    }

    /// RFC 3339 with microseconds, UTC: `2026-11-23T04:55:00.000001Z`.
    pub fn rfc3339(self) -> String {
        let (date, time) = (self.0.div_euclid(86_400_000_000), self.0.rem_euclid(86_400_000_000));
        let (year, month, day) = civil_from_days(date);
        let (secs, micros) = (time / 1_000_000, time % 1_000_000);
        // Digit by digit: this stands in every line of the access log, and formatting would cost as much as all the rest.
        let mut text = String::with_capacity(27);
        for (number, digits, end) in [
            (year, 4, '-'),
            (month, 2, '-'),
            (day, 2, 'T'),
            (secs / 3600, 2, ':'),
            (secs / 60 % 60, 2, ':'),
            (secs % 60, 2, '.'),
            (micros, 6, 'Z'),
        ] {
            push_digits(&mut text, number, digits);
            text.push(end);
        }
        text
    }
}

/// A number in at least so many digits.
fn push_digits(text: &mut String, number: i64, digits: u32) {
    let mut scale = 10_i64.pow(digits - 1);
    if number < 0 || number / scale > 9 {
        text.push_str(&number.to_string());
        return;
    }
    while scale > 0 {
        let digit = u8::try_from(number / scale % 10).unwrap_or(0);
        text.push(char::from(b'0' + digit));
        scale /= 10;
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Days since 1970-01-01 to (year, month, day) in the proleptic Gregorian calendar.
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// The only source of "now".
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the system clock is read")]
    fn now(&self) -> Timestamp {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        };
        Timestamp(micros)
    }
}

/// A clock that moves only when told to: makes every expiry testable.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub const fn at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.0))
    }

    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(micros(by), Ordering::SeqCst);
    }

    pub fn set(&self, to: Timestamp) {
        self.0.store(to.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_agrees_with_known_instants() {
        assert_eq!(Timestamp::from_secs(0).rfc3339(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(Timestamp::from_secs(951_827_696).rfc3339(), "2000-02-29T12:34:56.000000Z");
        assert_eq!(Timestamp::from_micros(-1).rfc3339(), "1969-12-31T23:59:59.999999Z");
        assert_eq!(Timestamp::from_secs(1_795_408_500).rfc3339(), "2026-11-23T04:35:00.000000Z");
    }

    #[test]
    fn rfc3339_is_read_with_any_offset_and_never_without_one() {
        let noon = Timestamp::from_secs(1_795_392_000);
        for text in ["2026-11-23T00:00:00Z", "2026-11-23T00:00:00.000000000Z", "2026-11-23T05:30:00+05:30"] {
            assert_eq!(Timestamp::parse_rfc3339(text), Some(noon), "{text}");
        }
        let texts = [
            "",
            "2026-11-23",
            "2026-11-23T00:00:00",
            "2026-13-01T00:00:00Z",
            "1795392000",
            "now",
            "2026-11-23T24:00:00Z",
        ];
        for text in texts {
            assert_eq!(Timestamp::parse_rfc3339(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
            let time = Timestamp::from_micros(micros);
            proptest::prop_assert_eq!(Timestamp::parse_rfc3339(&time.rfc3339()), Some(time));
        }

        #[test]
        fn no_text_breaks_the_reading(text in "\\PC{0,40}|[0-9TZ:.+-]{0,40}") {
            let _ = Timestamp::parse_rfc3339(&text);
        }
    }

    #[test]
    fn what_lies_ahead_is_not_recent() {
        let now = Timestamp::from_secs(1000);
        let second = Duration::from_secs(1);
        for (at, recent) in [(990, false), (991, true), (1000, true), (1001, true), (1002, false), (4600, false)] {
            assert_eq!(now.is_soon_after(Timestamp::from_secs(at), 10 * second), recent, "{at}");
        }
    }

    #[test]
    fn since_is_zero_for_the_future() {
        let now = Timestamp::from_secs(10);
        assert_eq!(now.since(Timestamp::from_secs(11)), Duration::ZERO);
        assert_eq!(now.since(Timestamp::from_secs(7)), Duration::from_secs(3));
    }
}

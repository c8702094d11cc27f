//! Points in time as operators write them.

use std::time::Duration;

use super::duration::parse_duration;
use crate::domain::clock::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Ago(Duration),
    At(Timestamp),
}

impl Moment {
    /// Reads `1h`, which is how long ago, or RFC 3339.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(time) = Timestamp::parse_rfc3339(text) {
            return Ok(Self::At(time));
        }
        let fault = |_| format!("`{text}` is no time; write for example 1h, for an hour ago, or 2026-01-31T12:00:00Z");
        parse_duration(text).map(Self::Ago).map_err(fault)
    }

    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(duration) => now.minus(duration),
            Self::At(time) => time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_from_a_duration() {
        let now = Timestamp::from_secs(10_000);
        assert_eq!(Moment::parse("1h").unwrap().before(now), Timestamp::from_secs(6400));
        assert_eq!(Moment::parse("1970-01-01T00:00:07Z").unwrap().before(now), Timestamp::from_secs(7));
        for text in ["", "1", "yesterday", "1970-01-01", "1h30m"] {
            assert!(Moment::parse(text).is_err(), "{text}");
        }
    }
}

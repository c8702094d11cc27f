//! Durations as operators write them.

use std::time::Duration;

/// Reads `90d`, `12h`, `30m` or `45s`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let fault = || format!("`{text}` is no duration; write for example 90d, 12h, 30m or 45s");
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text.strip_prefix(digits).ok_or_else(fault)?;
    let number: u64 = digits.parse().map_err(|_| fault())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(fault()),
    };
    match number.checked_mul(seconds) {
        // A thousand years is as good as for ever, and nothing that is added to it overflows.
        Some(total) if (1..=31_536_000_000).contains(&total) => Ok(Duration::from_secs(total)),
        _ => Err(fault()),
    }
}

/// The longest that two keys work side by side.
const LONGEST_OVERLAP: Duration = Duration::from_secs(30 * 86_400);

/// Reads `0`, or a duration of at most 30 days.
pub fn parse_overlap(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let overlap = parse_duration(text)?;
    if overlap > LONGEST_OVERLAP { Err(format!("`{text}` is longer than 30d")) } else { Ok(overlap) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_anything_else_is_refused() {
        assert_eq!(parse_duration("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(parse_duration("1s"), Ok(Duration::from_secs(1)));
        for text in ["", "d", "90", "0d", "-1d", "1w", "1.5h", "99999999999999999999d", "9999999999d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_overlap_may_be_none_and_has_an_end() {
        assert_eq!(parse_overlap("0"), Ok(Duration::ZERO));
        assert_eq!(parse_overlap("30d"), Ok(LONGEST_OVERLAP));
        for text in ["", "31d", "0d", "-1"] {
            assert!(parse_overlap(text).is_err(), "{text}");
        }
    }
}

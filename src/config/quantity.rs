//! Durations and sizes, as people write them.

use std::time::Duration;

const DURATIONS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A whole number and `ms`, `s`, `m`, `h` or `d`, with or without a space between.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let (_, millis) = DURATIONS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*millis).map(Duration::from_millis)
}

/// In the largest unit that leaves a whole number.
pub fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    show(millis, &DURATIONS)
}

/// A whole number of bytes, or of `B`, `KiB`, `MiB` or `GiB`, with or without a space between.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    if unit.is_empty() {
        return Some(number);
    }
    let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*bytes)
}

/// In the largest unit that leaves a whole number.
pub fn show_bytes(bytes: u64) -> String {
    if bytes == 0 {
        return "0".to_owned();
    }
    show(bytes, &SIZES)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text.strip_suffix(unit)?.parse().ok()?;
    Some((number, unit.trim_start_matches(' ')))
}

fn show(amount: u64, units: &[(&str, u64)]) -> String {
    let whole = units.iter().find(|(_, size)| amount.is_multiple_of(*size));
    whole.map_or_else(|| amount.to_string(), |(name, size)| format!("{}{name}", amount / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_their_unit() {
        for (text, millis) in
            [("250ms", 250), ("0s", 0), ("10s", 10_000), ("5m", 300_000), ("2 h", 7_200_000), ("1d", 86_400_000)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "s", "-5s", "+5s", "5S", "5 minutes", "1.5s", "1h30m", "99999999999999999999s", "5s "] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        assert_eq!(parse_duration(&format!("{}d", u64::MAX)), None);
    }

    #[test]
    fn sizes_are_binary() {
        for (text, bytes) in [("0", 0), ("512", 512), ("512B", 512), ("32KiB", 32_768), ("64 MiB", 1 << 26)] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "KiB", "32K", "32KB", "32kib", "1.5MiB", "-1", "99999999999GiB"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn quantities_are_shown_as_they_are_written() {
        for text in ["250ms", "0s", "90s", "5m", "36h", "30d"] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
        for text in ["0", "100B", "19MiB", "33KiB"] {
            assert_eq!(show_bytes(parse_bytes(text).unwrap()), text);
        }
    }
}

use std::time::Duration;

use super::rate_limit;
use crate::config::quantity::{show_bytes, show_duration};
use crate::config::section::Section;
use crate::config::settings::Limits;

const KIB: u64 = 1024;
const SECOND: Duration = Duration::from_secs(1);

/// Nothing here can be switched off, and whatever is raised above its default is warned of.
pub fn read(mut section: Section<'_>) -> Limits {
    let limits = Limits {
        header_bytes: bytes(&mut section, "header_size", 32, 256),
        header_fields: count(&mut section, "header_count", 100, 256),
        target_bytes: bytes(&mut section, "target_size", 8, 32),
        body_bytes: bytes(&mut section, "body_size", 64, 16 * 1024),
        body_timeout: timeout(&mut section, "body_timeout", 15 * SECOND),
        head_timeout: timeout(&mut section, "head_timeout", 10 * SECOND),
        idle_timeout: timeout(&mut section, "idle_timeout", 60 * SECOND),
        // Waiting longer for others' requests weakens nothing.
        drain_timeout: section.duration("drain_timeout", 30 * SECOND, Duration::ZERO..=3600 * SECOND),
        unknown_keys_per_second: count(&mut section, "unknown_keys_per_second", 20, 1_000_000),
        unknown_keys_burst: count(&mut section, "unknown_keys_burst", 100, 1_000_000),
        connections: count(&mut section, "connections", 8_192, 1_000_000),
        connections_per_address: count(&mut section, "connections_per_address", 1_000, 1_000_000),
        per_address: rate_limit::read(&mut section, "per_address"),
        per_principal: rate_limit::read(&mut section, "per_principal"),
        counters: section.integer("counters", 131_072, 1_024..=16_777_216),
    };
    if limits.target_bytes > limits.header_bytes {
        let problem = "a request target this long does not fit into a head of header_size";
        section.fault("target_size", problem, "lower target_size or raise header_size");
    }
    limits
}

fn bytes(section: &mut Section<'_>, key: &str, default_kib: u64, most_kib: u64) -> usize {
    let bytes = section.bytes(key, default_kib * KIB, KIB..=most_kib * KIB);
    warn_if_raised(section, key, bytes, default_kib * KIB, |bytes| show_bytes(*bytes));
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn count<T>(section: &mut Section<'_>, key: &str, default: T, most: T) -> T
where
    T: Copy + From<u8> + std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let count = section.integer(key, default, T::from(1)..=most);
    warn_if_raised(section, key, count, default, T::to_string);
    count
}

fn timeout(section: &mut Section<'_>, key: &str, default: Duration) -> Duration {
    let timeout = section.duration(key, default, SECOND..=600 * SECOND);
    warn_if_raised(section, key, timeout, default, |timeout| show_duration(*timeout));
    timeout
}

fn warn_if_raised<T: PartialOrd>(section: &Section<'_>, key: &str, value: T, default: T, show: impl Fn(&T) -> String) {
    if value > default {
        let default = show(&default);
        let problem =
            format!("{} is above the default of {default}, so a client can hold more of the gateway", show(&value));
        section.warn(key, problem, format!("write {default} or less"));
    }
}

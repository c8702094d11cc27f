use std::time::Duration;

use super::redis;
use crate::config::section::Section;
use crate::config::settings::Cache;

const MIB: u64 = 1024 * 1024;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

pub fn read(mut section: Section<'_>) -> Cache {
    let redis = section.optional("redis").and_then(|value| redis::read(&value));
    let cache = Cache {
        bytes: section.bytes("size", 64 * MIB, MIB..=64 * 1024 * MIB),
        max_age: section.duration("max_age", Duration::from_secs(5), Duration::ZERO..=HOUR),
        negative_max_age: section.duration("negative_max_age", Duration::from_secs(1), Duration::ZERO..=MINUTE),
        stale_ok: section.duration("stale_ok", Duration::from_secs(30), Duration::ZERO..=HOUR),
        poll_interval: section.duration(
            "poll_interval",
            Duration::from_millis(200),
            Duration::from_millis(10)..=MINUTE,
        ),
        redis,
    };
    if cache.max_age > MINUTE {
        let problem = "a revocation that is announced by no message takes longer than a minute to be noticed";
        section.warn("max_age", problem, "write 60s or less");
    }
    if cache.stale_ok > 5 * MINUTE {
        let problem = "while the store is down, credentials revoked meanwhile pass for more than five minutes";
        section.warn("stale_ok", problem, "write 5m or less");
    }
    cache
}

use std::time::Duration;

use ipnet::IpNet;

use super::network;
use crate::config::quantity::show_duration;
use crate::config::section::Section;
use crate::config::settings::Lockout;
use crate::config::value::Value;
use crate::domain::lockout::LockoutPolicy;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// The most that may be set for one kind of guess.
struct Most {
    free: u32,
    failures: u32,
}

/// 100 is what NIST SP 800-63B 3.2.2 allows; the rest keeps guessing slow from early on.
const ACCOUNT: Most = Most { free: 10, failures: 100 };
const CODES: Most = Most { free: 5, failures: 100 };
const ADDRESS: Most = Most { free: 10_000, failures: 1_000_000 };

pub fn read(mut section: Section<'_>) -> Lockout {
    Lockout {
        account: policy(section.section("account"), LockoutPolicy::account(), &ACCOUNT),
        codes: policy(section.section("codes"), LockoutPolicy::codes(), &CODES),
        address: policy(section.section("address"), LockoutPolicy::address(), &ADDRESS),
        shared_networks: shared_networks(&mut section),
    }
}

fn policy(mut section: Section<'_>, default: LockoutPolicy, most: &Most) -> LockoutPolicy {
    let policy = LockoutPolicy {
        free: section.integer("free", default.free, 1..=most.free),
        delay: section.duration("delay", default.delay, SECOND..=DAY),
        max_delay: section.duration("max_delay", default.max_delay, SECOND..=DAY),
        max_failures: section.integer("max_failures", default.max_failures, 1..=most.failures),
        window: section.duration("window", default.window, SECOND..=30 * DAY),
    };
    in_order(&section, ("free", policy.free), ("max_failures", policy.max_failures), |number| number.to_string());
    in_order(&section, ("delay", policy.delay), ("max_delay", policy.max_delay), |delay| show_duration(*delay));
    in_order(&section, ("max_delay", policy.max_delay), ("window", policy.window), |delay| show_duration(*delay));
    warn_if(&section, "free", policy.free > default.free, &default.free.to_string());
    warn_if(&section, "delay", policy.delay < default.delay, &show_duration(default.delay));
    warn_if(&section, "max_delay", policy.max_delay < default.max_delay, &show_duration(default.max_delay));
    warn_if(&section, "max_failures", policy.max_failures > default.max_failures, &default.max_failures.to_string());
    warn_if(&section, "window", policy.window < default.window, &show_duration(default.window));
    policy
}

fn in_order<T: PartialOrd>(section: &Section<'_>, less: (&str, T), more: (&str, T), show: impl Fn(&T) -> String) {
    let ((less_key, less), (more_key, more)) = (less, more);
    if less > more {
        let at = if section.has(less_key) { less_key } else { more_key };
        let problem = format!("{less_key} ({}) is more than {more_key} ({})", show(&less), show(&more));
        section.fault(at, problem, format!("lower {less_key} or raise {more_key}"));
    }
}

fn warn_if(section: &Section<'_>, key: &str, is_weaker: bool, default: &str) {
    if is_weaker {
        section.warn(key, format!("guessing is faster than with the default of {default}"), format!("write {default}"));
    }
}

fn shared_networks(section: &mut Section<'_>) -> Vec<IpNet> {
    let Some(value) = section.optional("shared_networks") else { return Vec::new() };
    value.list().iter().filter_map(shared).collect()
}

fn shared(value: &Value<'_>) -> Option<IpNet> {
    let network = network::read(value)?;
    if network.prefix_len() == 0 {
        value.warn(
            "no client is slowed down for guessing at many accounts",
            "name the networks that many clients share an address in",
        );
    }
    Some(network)
}

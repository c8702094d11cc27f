//! Which settings a running process cannot take over, and why a configuration was not.

use std::fmt;
use std::net::SocketAddr;

use super::ground;
use super::start_error::StartError;
use super::{explain, mail};
use crate::config::settings::Settings;

/// Why a configuration was not taken over: one sentence for each fault. The one before is still in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub Vec<String>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// All that speaks against going from `present` to `next`, as far as it shows without building anything.
pub fn faults(present: &Settings, next: &Settings) -> Vec<String> {
    let building =
        [explain::explain(next, "GET", "/").err(), mail::check(&next.mail).err(), ground::master_keys(next).err()];
    let needed = restart_needed(present, next).into_iter().map(|setting| format!("restart needed: {setting}"));
    needed.chain(building.into_iter().flatten().map(|fault: StartError| fault.to_string())).collect()
}

fn tls_address(settings: &Settings) -> Option<SocketAddr> {
    settings.listen.https.as_ref().map(|https| https.address)
}

/// The settings that differ and are taken in by a process once, when it starts.
fn restart_needed(present: &Settings, next: &Settings) -> Vec<&'static str> {
    let differ = [
        ("listen.http", present.listen.http != next.listen.http),
        ("listen.https.address", tls_address(present) != tls_address(next)),
        ("listen.ops", present.listen.ops != next.listen.ops),
        ("listen.control", present.listen.control != next.listen.control),
        ("storage.url", present.storage.url != next.storage.url),
        ("cache", present.cache != next.cache),
        ("limits.counters", present.limits.counters != next.limits.counters),
        ("secrets.master_key", present.master_key != next.master_key),
        ("workers.threads", present.workers != next.workers),
    ];
    differ.into_iter().filter(|(_, differs)| *differs).map(|(setting, _)| setting).collect()
}

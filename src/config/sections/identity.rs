use std::time::Duration;

use crate::config::section::Section;
use crate::config::settings::{HeaderPreset, IdentityHeaders};

const PRESETS: [(&str, HeaderPreset); 5] = [
    ("portcullis", HeaderPreset::Portcullis),
    ("oauth2-proxy", HeaderPreset::OAuth2Proxy),
    ("authelia", HeaderPreset::Authelia),
    ("kong", HeaderPreset::Kong),
    ("django", HeaderPreset::Django),
];

pub fn read(mut section: Section<'_>) -> IdentityHeaders {
    let minute = Duration::from_secs(60);
    let identity = IdentityHeaders {
        preset: section.choice("headers", HeaderPreset::Portcullis, &PRESETS),
        assertion: section.boolean("assertion", true),
        assertion_issuer: section
            .optional("assertion_issuer")
            .and_then(|value| value.text())
            .unwrap_or_else(|| "portcullis".to_owned()),
        assertion_lifetime: section.duration("assertion_lifetime", minute, Duration::from_secs(1)..=minute),
    };
    if !identity.assertion {
        let problem = "a backend cannot tell the gateway's identity headers from those of anybody who reaches it";
        section.warn("assertion", problem, "write true, or let nobody but the gateway reach the backends");
    }
    identity
}

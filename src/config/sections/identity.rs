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

/// `token_issuer` is the `iss` of access tokens.
pub fn read(mut section: Section<'_>, token_issuer: Option<&str>) -> IdentityHeaders {
    let minute = Duration::from_secs(60);
    let identity = IdentityHeaders {
        preset: section.choice("headers", HeaderPreset::Portcullis, &PRESETS),
        assertion: section.boolean("assertion", true),
        assertion_issuer: section
            .optional("assertion_issuer")
            .and_then(|value| value.text())
            .unwrap_or_else(|| "portcullis-assertions".to_owned()),
        assertion_lifetime: section.duration("assertion_lifetime", minute, Duration::from_secs(1)..=minute),
    };
    if identity.assertion && token_issuer == Some(identity.assertion_issuer.as_str()) {
        let problem = "with the issuer of tokens, an access token could pass for an assertion at a backend";
        section.fault("assertion_issuer", problem, "give assertions an issuer of their own");
    }
    if !identity.assertion {
        let problem = "a backend cannot tell the gateway's identity headers from those of anybody who reaches it";
        section.warn("assertion", problem, "write true, or let nobody but the gateway reach the backends");
    }
    identity
}

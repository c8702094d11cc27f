use std::time::Duration;

use super::signing;
use crate::config::quantity::show_duration;
use crate::config::section::Section;
use crate::config::settings::{Compatibility, Tokens};
use crate::domain::access_policy::SecondFactorDuty;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

pub fn read(mut section: Section<'_>, compatibility: Compatibility, duty: SecondFactorDuty) -> Option<Tokens> {
    let django = compatibility == Compatibility::Django;
    let access_lifetime = section.duration("access_lifetime", 300 * SECOND, SECOND..=DAY);
    let refresh_lifetime = section.duration("refresh_lifetime", DAY, SECOND..=400 * DAY);
    // Where two factors stand behind every session, they are asked for every day (NIST SP 800-63B 2.2.3).
    let longest = if duty == SecondFactorDuty::Everybody { DAY } else { 30 * DAY };
    let session_lifetime = section.duration("session_lifetime", longest, SECOND..=400 * DAY);
    in_order(&section, ("access_lifetime", access_lifetime), ("refresh_lifetime", refresh_lifetime));
    in_order(&section, ("refresh_lifetime", refresh_lifetime), ("session_lifetime", session_lifetime));
    if access_lifetime > HOUR {
        let problem = "a service that checks tokens on its own accepts a revoked one for more than an hour";
        section.warn("access_lifetime", problem, "write 1h or less; 5m is the default");
    }
    if session_lifetime > 90 * DAY {
        section.warn("session_lifetime", "a stolen session lives for more than 90 days", "write 90d or less");
    }
    let rotate_keys_every = section.optional("rotate_keys_every").and_then(|value| value.duration(&(DAY..=400 * DAY)));
    let signing = signing::read(&mut section, compatibility);
    let issuer = name(&mut section, "issuer", (!django).then_some("portcullis"));
    let audience = name(&mut section, "audience", (!django).then_some("api"));
    let leeway = section.duration("leeway", Duration::ZERO, Duration::ZERO..=30 * SECOND);
    let rotate = section.boolean("rotate", !django);
    if !rotate && section.has("rotate") {
        let problem = "a stolen refresh token is never noticed, because refresh tokens are not rotated";
        section.warn("rotate", problem, "write rotate: true as soon as all clients keep the newest refresh token");
    }
    let reuse_grace = section.duration("reuse_grace", 10 * SECOND, Duration::ZERO..=60 * SECOND);
    Some(Tokens {
        signing: signing?,
        rotate_keys_every,
        access_lifetime,
        refresh_lifetime,
        session_lifetime,
        issuer,
        audience,
        leeway,
        rotate,
        reuse_grace,
    })
}

/// A shorter lifetime that outlives a longer one would be cut short without a word.
fn in_order(section: &Section<'_>, (short_key, short): (&str, Duration), (long_key, long): (&str, Duration)) {
    if short > long {
        let at = if section.has(short_key) { short_key } else { long_key };
        let (short, long) = (show_duration(short), show_duration(long));
        let problem = format!("{short_key} ({short}) is longer than {long_key} ({long})");
        section.fault(at, problem, format!("lower {short_key} or raise {long_key}"));
    }
}

fn name(section: &mut Section<'_>, key: &str, default: Option<&str>) -> Option<String> {
    let Some(value) = section.optional(key) else { return default.map(str::to_owned) };
    let name = value.text()?;
    if name.len() > 200 {
        value.fault("the name is longer than 200 bytes", "choose a shorter one");
    }
    Some(name)
}

use std::time::Duration;

use crate::config::section::Section;
use crate::config::settings::{Compatibility, SecondFactor};
use crate::domain::access_policy::SecondFactorDuty;

const MINUTE: Duration = Duration::from_secs(60);

/// Twice in percent-escapes, and beside the longest user name, this is what a QR code still holds.
const LONGEST_ISSUER: usize = 64;

pub fn read(mut section: Section<'_>, compatibility: Compatibility) -> SecondFactor {
    let required = [
        ("none", SecondFactorDuty::Nobody),
        ("admins", SecondFactorDuty::Administrators),
        ("all", SecondFactorDuty::Everybody),
    ];
    let second_factor = SecondFactor {
        issuer: issuer(&mut section, compatibility),
        challenge_lifetime: section.duration("challenge_lifetime", 5 * MINUTE, MINUTE..=15 * MINUTE),
        challenge_attempts: section.integer("challenge_attempts", 5, 1..=5),
        required: section.choice("required", SecondFactorDuty::Nobody, &required),
        at_sign_in: section.boolean("at_sign_in", true),
        administration: section.boolean("administration", true),
    };
    if !second_factor.at_sign_in {
        let problem = "a password alone signs in users who have a second factor";
        section.warn("at_sign_in", problem, "write true as soon as all clients can ask for a code");
    }
    if second_factor.challenge_lifetime > 5 * MINUTE {
        let problem = "who has only a password has more than five minutes for each round of guessing codes";
        section.warn("challenge_lifetime", problem, "write 5m or less");
    }
    if !second_factor.administration {
        let problem = "the password of one administrator is enough to administer users and keys";
        section.warn("administration", problem, "write true as soon as the administrators have a second factor");
    }
    second_factor
}

/// The Django stack names none unless it is told to, and its users' apps show that.
fn issuer(section: &mut Section<'_>, compatibility: Compatibility) -> Option<String> {
    let Some(value) = section.optional("issuer") else {
        return (compatibility == Compatibility::None).then(|| "Portcullis".to_owned());
    };
    let issuer = value.text()?;
    if issuer.len() > LONGEST_ISSUER {
        value.fault(format!("the name is longer than {LONGEST_ISSUER} bytes"), "choose a shorter one");
    }
    Some(issuer)
}

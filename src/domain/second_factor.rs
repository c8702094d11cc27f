//! A second factor as stored: a device that shows a code for each step of time (TOTP, RFC 6238), and which steps count.
//!
//! Time is cut into steps of one period each, counted from `t0`. At `now` these are looked at, in this order:
//!
//! ```text
//! t = floor((now - t0) / period) + drift + o      for o from -tolerance to +tolerance
//!     t <= the last step that was accepted         -> skipped: a code works once, and none before it afterwards
//!     t < 0                                        -> skipped: RFC 4226 counts from zero
//! ```
//!
//! The drift of a device that was taken over is honoured and never learned further, so that the window does not grow
//! with use. Time is always an argument; nothing here reads a clock.

use std::fmt;
use std::num::NonZeroU32;

use super::clock::Timestamp;
use super::user::UserId;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecondFactorId(pub String);

impl SecondFactorId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecondFactorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The hash beneath a device's codes. Many authenticator apps know SHA-1 only, and take the others for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TotpAlgorithm {
    #[default]
    Sha1,
    Sha256,
    Sha512,
}

impl TotpAlgorithm {
    pub const ALL: [Self; 3] = [Self::Sha1, Self::Sha256, Self::Sha512];

    /// As `otpauth://` URIs spell it; stored like that too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text)
    }
}

/// How many digits a code has: 6 to 8 (RFC 4226 5.3). The Django stack writes 6 or 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits(u8);

impl Digits {
    pub const SIX: Self = Self(6);
    pub const EIGHT: Self = Self(8);

    pub const fn new(digits: u8) -> Option<Self> {
        if matches!(digits, 6..=8) { Some(Self(digits)) } else { None }
    }

    pub const fn get(self) -> u8 {
        self.0
    }
}

/// How many steps on either side of the present one count: 0 to 10. One is what RFC 6238 5.2 recommends; each more is
/// two more codes that a guess may hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance(u8);

impl Tolerance {
    pub const ONE: Self = Self(1);

    pub const fn new(steps: u8) -> Option<Self> {
        if steps <= 10 { Some(Self(steps)) } else { None }
    }

    pub const fn get(self) -> u8 {
        self.0
    }
}

/// What device and gateway have to agree on beside the secret. New devices have the default: SHA-1, 6 digits, 30 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TotpParameters {
    pub algorithm: TotpAlgorithm,
    pub digits: Digits,
    /// The length of a step, in seconds.
    pub period: NonZeroU32,
    /// Where counting starts, in seconds since the Unix epoch.
    pub t0: i64,
    pub tolerance: Tolerance,
    /// By how many steps the device's clock is ahead.
    pub drift: i64,
}

impl Default for TotpParameters {
    fn default() -> Self {
        const THIRTY: NonZeroU32 = NonZeroU32::MIN.saturating_add(29);
        Self {
            algorithm: TotpAlgorithm::Sha1,
            digits: Digits::SIX,
            period: THIRTY,
            t0: 0,
            tolerance: Tolerance::ONE,
            drift: 0,
        }
    }
}

impl TotpParameters {
    /// The steps whose codes are accepted at `now`, in the order in which they are tried.
    pub fn candidate_steps(&self, last_step: i64, now: Timestamp) -> impl Iterator<Item = i64> + use<> {
        let elapsed = now.as_secs().saturating_sub(self.t0);
        let present = elapsed.div_euclid(i64::from(self.period.get())).saturating_add(self.drift);
        let tolerance = i64::from(self.tolerance.get());
        (-tolerance..=tolerance)
            .map(move |offset| present.saturating_add(offset))
            .filter(move |step| *step > last_step && *step >= 0)
    }
}

/// A device as stored. One that is not confirmed was never shown to work, and counts as none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondFactor {
    pub id: SecondFactorId,
    pub user_id: UserId,
    /// What its owner calls it.
    pub name: String,
    /// Sealed under the master key, for this device alone (`crypto::totp`).
    pub sealed_secret: Vec<u8>,
    pub parameters: TotpParameters,
    /// The highest step whose code was accepted.
    pub last_step: i64,
    pub confirmed_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

impl SecondFactor {
    /// `last_step` of a device that no code was accepted from.
    pub const NO_STEP: i64 = -1;

    pub const fn is_confirmed(&self) -> bool {
        self.confirmed_at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps(parameters: TotpParameters, last_step: i64, secs: i64) -> Vec<i64> {
        parameters.candidate_steps(last_step, Timestamp::from_secs(secs)).collect()
    }

    #[test]
    fn the_default_is_what_authenticator_apps_take_for_granted() {
        let default = TotpParameters::default();
        assert_eq!((default.algorithm.as_str(), default.digits.get(), default.period.get()), ("SHA1", 6, 30));
        assert_eq!((default.t0, default.tolerance.get(), default.drift), (0, 1, 0));
    }

    #[test]
    fn only_bounded_parameters_can_be_made() {
        let digits: Vec<u8> = (0..=u8::MAX).filter(|digits| Digits::new(*digits).is_some()).collect();
        assert_eq!(digits, [6, 7, 8]);
        let tolerated: Vec<u8> = (0..=u8::MAX).filter(|steps| Tolerance::new(*steps).is_some()).collect();
        assert_eq!(tolerated, (0..=10).collect::<Vec<_>>());
        assert_eq!(TotpAlgorithm::ALL.map(|a| TotpAlgorithm::parse(a.as_str())), TotpAlgorithm::ALL.map(Some));
        assert_eq!(TotpAlgorithm::parse("sha1"), None);
    }

    #[test]
    fn steps_are_counted_from_t0_and_shifted_by_the_drift() {
        let default = TotpParameters::default();
        assert_eq!(steps(default, -1, 59), [0, 1, 2]);
        assert_eq!(steps(default, -1, 60), [1, 2, 3]);
        assert_eq!(steps(TotpParameters { t0: 7, ..default }, -1, 66), [0, 1, 2]);
        assert_eq!(steps(TotpParameters { drift: 2, ..default }, -1, 60), [3, 4, 5]);
        assert_eq!(steps(TotpParameters { tolerance: Tolerance(0), ..default }, -1, 60), [2]);
        assert_eq!(steps(TotpParameters { period: NonZeroU32::MIN, ..default }, -1, 60), [59, 60, 61]);
    }

    #[test]
    fn steps_are_rounded_down_also_before_t0() {
        let parameters = TotpParameters { t0: 100, drift: 3, ..TotpParameters::default() };
        assert_eq!(steps(parameters, -1, 99), [1, 2, 3], "floor(-1 / 30) is -1");
        assert_eq!(steps(TotpParameters { drift: 0, ..parameters }, -1, 99), [0]);
        assert_eq!(steps(TotpParameters { drift: 0, ..parameters }, -1, 0), [0_i64; 0], "RFC 4226 counts from zero");
    }

    #[test]
    fn what_was_accepted_is_not_looked_at_again_nor_what_came_before() {
        let default = TotpParameters::default();
        assert_eq!(steps(default, 1, 60), [2, 3]);
        assert_eq!(steps(default, 2, 60), [3]);
        assert_eq!(steps(default, 3, 60), [0_i64; 0]);
        assert_eq!(steps(default, i64::MAX, 60), [0_i64; 0]);
    }

    proptest! {
        #[test]
        fn no_parameters_or_time_make_it_panic_or_widen_the_window(
            t0: i64, drift: i64, micros: i64, last_step: i64, period in 1_u32.., tolerance in 0_u8..=10,
        ) {
            let parameters = TotpParameters {
                t0,
                drift,
                period: NonZeroU32::new(period).unwrap(),
                tolerance: Tolerance::new(tolerance).unwrap(),
                ..TotpParameters::default()
            };
            let steps: Vec<i64> = parameters.candidate_steps(last_step, Timestamp::from_micros(micros)).collect();
            prop_assert!(steps.len() <= 2 * usize::from(tolerance) + 1);
            prop_assert!(steps.is_sorted());
            prop_assert!(steps.iter().all(|step| *step > last_step && *step >= 0));
        }
    }
}

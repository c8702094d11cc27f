//! One-time codes from a secret and the time (RFC 6238 over RFC 4226), computed by `totp-rs`. Which steps count, and why,
//! is said in [`crate::domain::second_factor`].

use totp_rs::{Algorithm, Builder, Totp};

use super::digest::same;
use crate::domain::clock::Timestamp;
use crate::domain::otp_code::OtpCode;
use crate::domain::random::Random;
use crate::domain::second_factor::{SecondFactorId, TotpAlgorithm, TotpParameters};
use crate::domain::secret::Secret;

/// The length of a new secret in bytes: 160 bits, as RFC 4226 4 recommends, and as existing clients are told.
const SECRET_BYTES: usize = 20;

pub fn new_secret(random: &dyn Random) -> Secret<Vec<u8>> {
    let mut bytes = vec![0; SECRET_BYTES];
    random.fill(&mut bytes);
    Secret::new(bytes)
}

/// What a device's secret is sealed for ([`super::master_key`]), so that it opens for no other device.
pub fn sealing_purpose(id: &SecondFactorId) -> String {
    format!("totp {id}")
}

/// The code that a device shows in a step: as many digits as its parameters say. Steps are counted from zero.
pub fn code(secret: &Secret<Vec<u8>>, parameters: &TotpParameters, step: i64) -> Secret<String> {
    code_of(&device(secret, parameters), step)
}

/// The step whose code `code` is, among those that count at `now`; the first one, should there be several.
///
/// Every one of them is computed and compared in constant time, so that the time taken tells nothing of the code. To
/// accept the step is for the caller, who stores it as the last one, in the same moment as nobody else does.
pub fn find_step(
    secret: &Secret<Vec<u8>>,
    parameters: &TotpParameters,
    last_step: i64,
    code: &OtpCode,
    now: Timestamp,
) -> Option<i64> {
    let device = device(secret, parameters);
    let mut found = None;
    for step in parameters.candidate_steps(last_step, now) {
        let expected = OtpCode::parse(code_of(&device, step).expose(), parameters.digits);
        let matches =
            expected.is_ok_and(|expected| same(&expected.number().to_be_bytes(), &code.number().to_be_bytes()));
        if matches {
            found = found.or(Some(step));
        }
    }
    found
}

/// Its steps are of one second, so that the time it is asked for is the step that we want. The checked constructor
/// refuses secrets under 128 bits, and there are such devices among those that are taken over.
fn device(secret: &Secret<Vec<u8>>, parameters: &TotpParameters) -> Totp {
    let algorithm = match parameters.algorithm {
        TotpAlgorithm::Sha1 => Algorithm::SHA1,
        TotpAlgorithm::Sha256 => Algorithm::SHA256,
        TotpAlgorithm::Sha512 => Algorithm::SHA512,
    };
    Builder::new()
        .with_algorithm(algorithm)
        .with_digits(parameters.digits.get())
        .with_secret(secret.expose().as_slice())
        .with_step_duration(1)
        .build_noncompliant()
}

fn code_of(device: &Totp, step: i64) -> Secret<String> {
    Secret::new(device.generate(step.cast_unsigned()).to_string())
}

#[cfg(test)]
mod tests;

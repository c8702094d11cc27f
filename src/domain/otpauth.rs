//! How a secret gets into an authenticator app: as an `otpauth://` URI, mostly in a QR code, or typed in.
//!
//! The URI is, octet for octet, the one that django-otp writes, because it is part of what existing clients are given. Its
//! form is Google Authenticator's "Key Uri Format":
//!
//! ```text
//! otpauth://totp/<issuer>%3A<username>?secret=<base32>&algorithm=SHA1&digits=6&period=30&issuer=<issuer>
//! ```

use base32::Alphabet;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::second_factor::TotpParameters;
use super::secret::Secret;

/// What Python's `urllib.parse.quote` escapes: all but letters, digits and `_ . - ~ /`.
const QUOTED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~').remove(b'/');

/// The URI that sets up a device. A colon parts issuer and user name in it, so colons are taken out of the issuer; with no
/// issuer, or an empty one, the user name stands alone.
pub fn provisioning_uri(
    issuer: Option<&str>,
    username: &str,
    secret: &Secret<Vec<u8>>,
    parameters: &TotpParameters,
) -> Secret<String> {
    let issuer = issuer.filter(|issuer| !issuer.is_empty()).map(|issuer| quoted(&issuer.replace(':', "")));
    let prefix = issuer.as_ref().map_or_else(String::new, |issuer| format!("{issuer}%3A"));
    let suffix = issuer.as_ref().map_or_else(String::new, |issuer| format!("&issuer={issuer}"));
    let key = Secret::new(base32::encode(Alphabet::Rfc4648 { padding: true }, secret.expose()));
    Secret::new(format!(
        "otpauth://totp/{prefix}{username}?secret={key}&algorithm={algorithm}&digits={digits}&period={period}{suffix}",
        username = quoted(username),
        key = utf8_percent_encode(key.expose(), QUOTED),
        algorithm = parameters.algorithm.as_str(),
        digits = parameters.digits.get(),
        period = parameters.period,
    ))
}

/// The secret as it is typed into an app that cannot scan: RFC 4648 base32 without padding.
pub fn base32(secret: &Secret<Vec<u8>>) -> Secret<String> {
    Secret::new(base32::encode(Alphabet::Rfc4648 { padding: false }, secret.expose()))
}

fn quoted(text: &str) -> String {
    utf8_percent_encode(text, QUOTED).to_string()
}

#[cfg(test)]
mod tests;

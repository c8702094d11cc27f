//! Keys for machines, as requests show them: `pk_<8 characters>_<43 characters of secret><6 characters of checksum>`.
//!
//! `pk_` lets secret scanners find a leaked key, the next part names it in lists and logs, the secret is 256 bits in
//! base62, and the checksum (CRC-32 of everything before it, in base62) refuses garbage before anything is looked up.
//!
//! Keys that were made by `djangorestframework-api-key` are `<prefix>.<secret>`: by default 8 and 32 letters and digits.

use super::random::{self, Random};
use super::secret::Secret;

const BRAND: &str = "pk_";
const PREFIX_LENGTH: usize = 8;
const SECRET_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;
const LENGTH: usize = BRAND.len() + PREFIX_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH;
/// The lengths of both parts of a key that was taken over: an installation may have set others than the default.
const IMPORTED_PREFIX: std::ops::RangeInclusive<usize> = 1..=32;
const IMPORTED_SECRET: std::ops::RangeInclusive<usize> = 16..=128;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key as a request shows it: well formed, believed by nobody yet.
#[derive(Clone, Debug)]
pub struct PresentedKey(Secret<String>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedKey {
    #[error("not of the form pk_<prefix>_<secret>")]
    Shape,
    #[error("the checksum does not fit")]
    Checksum,
}

impl PresentedKey {
    /// Accepts only the whole exact key: no other length, character, prefix or suffix.
    pub fn parse(text: &str) -> Result<Self, MalformedKey> {
        if is_imported(text) {
            return Ok(Self(Secret::new(text.to_owned())));
        }
        if text.len() != LENGTH {
            return Err(MalformedKey::Shape);
        }
        let rest = text.strip_prefix(BRAND).ok_or(MalformedKey::Shape)?;
        let (prefix, secret) = rest.split_at_checked(PREFIX_LENGTH).ok_or(MalformedKey::Shape)?;
        let secret = secret.strip_prefix('_').ok_or(MalformedKey::Shape)?;
        if !prefix.bytes().chain(secret.bytes()).all(|b| b.is_ascii_alphanumeric()) {
            return Err(MalformedKey::Shape);
        }
        let (body, checksum) = text.split_at_checked(LENGTH - CHECKSUM_LENGTH).ok_or(MalformedKey::Shape)?;
        if checksum_of(body) == checksum { Ok(Self(Secret::new(text.to_owned()))) } else { Err(MalformedKey::Checksum) }
    }

    /// Makes a new key.
    pub fn generate(random: &dyn Random) -> Self {
        let prefix = base62(&random::bytes::<8>(random), PREFIX_LENGTH);
        let secret = base62(&random::bytes::<32>(random), SECRET_LENGTH);
        let body = format!("{BRAND}{prefix}_{secret}");
        let checksum = checksum_of(&body);
        Self(Secret::new(body + &checksum))
    }

    /// The whole key. Shown once to its owner, and hashed; nothing else is done with it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Whether it was made elsewhere, by `djangorestframework-api-key`.
    pub fn is_imported(&self) -> bool {
        !self.0.expose().starts_with(BRAND)
    }

    pub fn prefix(&self) -> &str {
        if let Some((prefix, _)) = self.0.expose().split_once('.') {
            return prefix;
        }
        self.0.expose().get(BRAND.len()..BRAND.len() + PREFIX_LENGTH).unwrap_or_default()
    }
}

fn is_imported(text: &str) -> bool {
    let Some((prefix, secret)) = text.split_once('.') else { return false };
    IMPORTED_PREFIX.contains(&prefix.len())
        && IMPORTED_SECRET.contains(&secret.len())
        && prefix.bytes().all(|b| b.is_ascii_alphanumeric())
        && secret.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn checksum_of(body: &str) -> String {
    base62(&crc32fast::hash(body.as_bytes()).to_be_bytes(), CHECKSUM_LENGTH)
}

/// The big-endian number in `bytes`, in base 62, as exactly `length` digits: the lowest ones, zero-padded.
/// 43 digits hold 256 bits and 6 hold 32; of a prefix's 64 bits the lowest eight digits (47 bits) are kept.
fn base62(bytes: &[u8], length: usize) -> String {
    let mut number = bytes.to_vec();
    let mut digits = vec![b'0'; length];
    for slot in digits.iter_mut().rev() {
        let mut remainder = 0_u16;
        for byte in &mut number {
            let value = remainder << 8 | u16::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(0);
            remainder = value % 62;
        }
        *slot = ALPHABET.get(usize::from(remainder)).copied().unwrap_or(b'0');
    }
    zeroize::Zeroize::zeroize(&mut number);
    digits.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);
    impl Random for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn base62_is_positional_and_padded() {
        assert_eq!(base62(&[0], 3), "000");
        assert_eq!(base62(&[61], 2), "0z");
        assert_eq!(base62(&[62], 2), "10");
        assert_eq!(base62(&[255; 4], 6), "4gfFC3");
        assert_eq!(base62(&[255; 32], 43).len(), 43);
        assert_ne!(base62(&[255; 32], 43).chars().next(), Some('0'), "43 digits are needed and enough for 256 bits");
    }

    #[test]
    fn a_generated_key_parses_and_nothing_near_it_does() {
        let key = PresentedKey::generate(&Fixed(0xA7));
        let text = key.expose().to_owned();
        assert_eq!(text.len(), LENGTH);
        assert!(PresentedKey::parse(&text).is_ok());
        for position in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[position] = if other[position] == b'x' { b'y' } else { b'x' };
            assert!(PresentedKey::parse(std::str::from_utf8(&other).unwrap()).is_err(), "changed at {position}");
        }
        assert!(PresentedKey::parse(&format!("{text}0")).is_err());
        assert!(PresentedKey::parse(text.split_at(text.len() - 1).0).is_err());
        assert!(PresentedKey::parse(&text.to_uppercase()).is_err());
        assert!(PresentedKey::parse("").is_err());
    }

    #[test]
    fn a_key_that_was_made_elsewhere_is_a_prefix_and_a_secret() {
        let text = "YeoO5V6K.q5I8HVUFQ4L3Ncx5sERNDPa7TkjCwqeX";
        let key = PresentedKey::parse(text).unwrap();
        assert_eq!((key.is_imported(), key.prefix(), key.expose()), (true, "YeoO5V6K", text));
        let ours = PresentedKey::generate(&Fixed(1));
        assert!(!ours.is_imported() && !ours.prefix().is_empty());
        for text in
            ["a.b", "YeoO5V6K.", ".q5I8HVUFQ4L3Ncx5sERNDPa7TkjCwqeX", "YeoO5V6K.q5I8HVUFQ4L3Ncx5sERN.Pa7TkjCwqeX"]
        {
            assert!(PresentedKey::parse(text).is_err(), "{text}");
        }
        assert!(PresentedKey::parse("pk_YeoO5.q5I8HVUFQ4L3Ncx5sERNDPa7TkjCwqeX").is_err());
        assert!(PresentedKey::parse("YeoO5V6K.q5I8HVUFQ4L3Ncx5 ERNDPa7TkjCwqeX").is_err());
    }

    #[test]
    fn debug_shows_no_key() {
        let key = PresentedKey::generate(&Fixed(3));
        assert!(!format!("{key:?}").contains(key.expose()));
    }
}

//! Passwords as Django stores them, from its first releases to the present ones. They are verified as they are; a sign-in
//! puts Argon2id in their place ([`super::password`]).
//!
//! ```text
//! pbkdf2_sha256$<iterations>$<salt>$<base64>      pbkdf2_sha1$...      PBKDF2
//! argon2$argon2id$v=19$m=...,t=...,p=...$...$...  argon2i, argon2d     a PHC string behind its first word
//! bcrypt_sha256$$2b$12$<53>                       bcrypt$$2b$12$<53>   a modular crypt string behind its first word
//! scrypt$<N>$<salt>$<r>$<p>$<base64>              md5$<salt>$<hex>
//! sha1$<salt>$<hex>  sha1$$<hex>  md5$$<hex>  <32 hex>                 disused: Django itself refuses them
//! ```
//!
//! Salts are the bytes of their text. What a row asks for is bounded: it comes from somebody else's database.

use std::num::NonZeroU32;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::pbkdf2;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use super::digest::same;
use super::password::{self, Cost, Memory, Verdict};
use crate::domain::digest::hex;
use crate::domain::secret::Secret;
use crate::domain::user::PasswordHash;

/// About three seconds. Django asks for 1.5 million, and for a fifth more with each release.
const MAX_ITERATIONS: u32 = 10_000_000;
/// About four seconds: each step doubles, and 12 is the default.
const MAX_BCRYPT_COST: u32 = 16;
/// N * r * 128 bytes: 256 MiB, where Django asks for 16 MiB.
const MAX_SCRYPT_BLOCKS: u64 = 1 << 21;
/// N * r * p: the time. Django asks for 655,360.
const MAX_SCRYPT_WORK: u64 = 1 << 24;
/// Longer than any that Django has written.
const MAX_TEXT: usize = 512;

/// How a password is stored, as Django names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    Pbkdf2Sha256,
    Pbkdf2Sha1,
    Argon2,
    BcryptSha256,
    Bcrypt,
    Scrypt,
    SaltedMd5,
    Sha1,
    UnsaltedSha1,
    UnsaltedMd5,
}

impl Format {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pbkdf2Sha256 => "pbkdf2_sha256",
            Self::Pbkdf2Sha1 => "pbkdf2_sha1",
            Self::Argon2 => "argon2",
            Self::BcryptSha256 => "bcrypt_sha256",
            Self::Bcrypt => "bcrypt",
            Self::Scrypt => "scrypt",
            Self::SaltedMd5 => "md5",
            Self::Sha1 => "sha1",
            Self::UnsaltedSha1 => "unsalted_sha1",
            Self::UnsaltedMd5 => "unsalted_md5",
        }
    }

    /// Disused: whoever holds the row tries thousands of millions of passwords in a second, and Django refuses it too.
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::Sha1 | Self::UnsaltedSha1 | Self::UnsaltedMd5)
    }
}

/// Why no password matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("no password is set")]
    Empty,
    #[error("the password is marked as unusable")]
    Unusable,
    #[error("the hash is of DES crypt, which is not verified")]
    DesCrypt,
    #[error("the hash is of an unknown algorithm")]
    Unknown,
    #[error("the hash is damaged: {0}")]
    Damaged(&'static str),
    #[error("the hash asks for more work than is done for one: {0}")]
    Excessive(&'static str),
}

/// A stored hash that can be verified.
#[derive(Clone)]
pub struct DjangoHash {
    format: Format,
    check: Check,
}

#[derive(Clone)]
enum Check {
    Pbkdf2 {
        algorithm: pbkdf2::Algorithm,
        iterations: NonZeroU32,
        salt: Vec<u8>,
        expected: Vec<u8>,
    },
    /// Kept as a PHC string.
    Argon2(PasswordHash),
    Bcrypt {
        crypt: String,
        prehashed: bool,
    },
    Scrypt {
        params: scrypt::Params,
        salt: Vec<u8>,
        expected: Vec<u8>,
    },
    Md5 {
        salt: Vec<u8>,
        expected: Vec<u8>,
    },
    Sha1 {
        salt: Vec<u8>,
        expected: Vec<u8>,
    },
}

impl DjangoHash {
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        if text.is_empty() {
            return Err(Unreadable::Empty);
        }
        if text.starts_with('!') {
            return Err(Unreadable::Unusable);
        }
        if text.len() > MAX_TEXT {
            return Err(Unreadable::Damaged("it is too long"));
        }
        let Some((name, rest)) = text.split_once('$') else {
            let bare = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            return if bare { md5(Format::UnsaltedMd5, "", text) } else { Err(Unreadable::Unknown) };
        };
        match name {
            "pbkdf2_sha256" => pbkdf2(Format::Pbkdf2Sha256, pbkdf2::PBKDF2_HMAC_SHA256, 32, rest),
            "pbkdf2_sha1" => pbkdf2(Format::Pbkdf2Sha1, pbkdf2::PBKDF2_HMAC_SHA1, 20, rest),
            "argon2" => argon2(rest),
            "bcrypt_sha256" => bcrypt(Format::BcryptSha256, rest),
            "bcrypt" => bcrypt(Format::Bcrypt, rest),
            "scrypt" => scrypt(rest),
            "md5" => match salt_and_hash(rest)? {
                ("", hash) => md5(Format::UnsaltedMd5, "", hash),
                (salt, hash) => md5(Format::SaltedMd5, salt, hash),
            },
            "sha1" => match salt_and_hash(rest)? {
                ("", hash) => sha1(Format::UnsaltedSha1, "", hash),
                (salt, hash) => sha1(Format::Sha1, salt, hash),
            },
            "crypt" => Err(Unreadable::DesCrypt),
            _ => Err(Unreadable::Unknown),
        }
    }

    pub const fn format(&self) -> Format {
        self.format
    }

    /// Takes up to seconds, and memory: only for `hashing_threads`. `wanted` is what their memory settles to.
    pub fn verifies(&self, password: &Secret<String>, wanted: Cost, memory: &mut Memory) -> bool {
        let bytes = password.expose().as_bytes();
        match &self.check {
            Check::Pbkdf2 { algorithm, iterations, salt, expected } => {
                pbkdf2::verify(*algorithm, *iterations, salt, bytes, expected).is_ok()
            }
            Check::Argon2(phc) => password::verify(password, phc, wanted, memory) != Verdict::Wrong,
            Check::Bcrypt { crypt, prehashed: true } => {
                let hashed = Secret::new(hex(digest(&SHA256, bytes).as_ref()));
                bcrypt::verify(hashed.expose(), crypt).unwrap_or(false)
            }
            // What is longer, or holds NUL, Django refuses or fails at; bcrypt itself would look at the beginning only.
            Check::Bcrypt { crypt, prehashed: false } => {
                bytes.len() <= 72 && !bytes.contains(&0) && bcrypt::verify(bytes, crypt).unwrap_or(false)
            }
            Check::Scrypt { params, salt, expected } => {
                let mut out = vec![0; expected.len()];
                scrypt::scrypt(bytes, salt, params, &mut out).is_ok() && same(&out, expected)
            }
            Check::Md5 { salt, expected } => {
                same(&Md5::new().chain_update(salt).chain_update(bytes).finalize(), expected)
            }
            Check::Sha1 { salt, expected } => {
                let salted = Secret::new([salt.as_slice(), bytes].concat());
                same(digest(&SHA1_FOR_LEGACY_USE_ONLY, salted.expose()).as_ref(), expected)
            }
        }
    }
}

fn pbkdf2(format: Format, algorithm: pbkdf2::Algorithm, length: usize, rest: &str) -> Result<DjangoHash, Unreadable> {
    let mut parts = rest.split('$');
    let (Some(iterations), Some(salt), Some(hash), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Unreadable::Damaged("it does not have four parts"));
    };
    let iterations: NonZeroU32 = number(iterations, "the number of iterations is no number")?;
    if iterations.get() > MAX_ITERATIONS {
        return Err(Unreadable::Excessive("more than 10,000,000 iterations"));
    }
    let check = Check::Pbkdf2 { algorithm, iterations, salt: salt.into(), expected: base64(hash, length)? };
    Ok(DjangoHash { format, check })
}

fn argon2(rest: &str) -> Result<DjangoHash, Unreadable> {
    let phc = PasswordHash::new(format!("${rest}"));
    // Algorithm, parameters, salt and hash; the version may be missing.
    let whole = rest.split('$').count() >= 4;
    if !whole || !password::is_readable(&phc) {
        return Err(Unreadable::Damaged(
            "it is no PHC string of Argon2, or asks for more than 256 MiB, 16 passes or lanes",
        ));
    }
    Ok(DjangoHash { format: Format::Argon2, check: Check::Argon2(phc) })
}

fn bcrypt(format: Format, crypt: &str) -> Result<DjangoHash, Unreadable> {
    // Read by the library, which has no reader of its own in its interface.
    let parts: Vec<&str> = crypt.split('$').collect();
    let ["", "2a" | "2b" | "2y", cost, tail] = parts.as_slice() else {
        return Err(Unreadable::Damaged("it is no bcrypt string"));
    };
    let sixty_four = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    if cost.len() != 2 || tail.len() != 53 || !tail.bytes().all(sixty_four) {
        return Err(Unreadable::Damaged("it is no bcrypt string"));
    }
    let cost: u32 = number(cost, "the cost is no number")?;
    if cost < 4 {
        return Err(Unreadable::Damaged("the cost is less than bcrypt knows"));
    }
    if cost > MAX_BCRYPT_COST {
        return Err(Unreadable::Excessive("a bcrypt cost over 16"));
    }
    let check = Check::Bcrypt { crypt: crypt.to_owned(), prehashed: format == Format::BcryptSha256 };
    Ok(DjangoHash { format, check })
}

fn scrypt(rest: &str) -> Result<DjangoHash, Unreadable> {
    let parts: Vec<&str> = rest.split('$').collect();
    let [n, salt, r, p, hash] = parts.as_slice() else {
        return Err(Unreadable::Damaged("it does not have six parts"));
    };
    let [n, r, p] = [n, r, p].map(|text| number::<u64>(text, "a parameter is no number"));
    let (n, r, p) = (n?, r?, p?);
    if !n.is_power_of_two() || n < 2 || r == 0 || p == 0 {
        return Err(Unreadable::Damaged("N is no power of two, or a parameter is zero"));
    }
    let blocks = n.saturating_mul(r);
    if blocks > MAX_SCRYPT_BLOCKS || blocks.saturating_mul(p) > MAX_SCRYPT_WORK {
        return Err(Unreadable::Excessive("scrypt over 256 MiB, or twenty times as much as is usual"));
    }
    let small = |number: u64| u32::try_from(number).map_err(|_| Unreadable::Damaged("a parameter is too large"));
    let log_n = u8::try_from(n.trailing_zeros()).map_err(|_| Unreadable::Damaged("N is too large"))?;
    let params = scrypt::Params::new(log_n, small(r)?, small(p)?)
        .map_err(|_| Unreadable::Damaged("the parameters do not go together"))?;
    let check = Check::Scrypt { params, salt: (*salt).into(), expected: base64(hash, 64)? };
    Ok(DjangoHash { format: Format::Scrypt, check })
}

fn md5(format: Format, salt: &str, hash: &str) -> Result<DjangoHash, Unreadable> {
    Ok(DjangoHash { format, check: Check::Md5 { salt: salt.into(), expected: from_hex(hash, 16)? } })
}

fn sha1(format: Format, salt: &str, hash: &str) -> Result<DjangoHash, Unreadable> {
    Ok(DjangoHash { format, check: Check::Sha1 { salt: salt.into(), expected: from_hex(hash, 20)? } })
}

fn salt_and_hash(rest: &str) -> Result<(&str, &str), Unreadable> {
    rest.split_once('$').ok_or(Unreadable::Damaged("it does not have three parts"))
}

fn number<T: std::str::FromStr>(text: &str, fault: &'static str) -> Result<T, Unreadable> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(Unreadable::Damaged(fault))
}

fn base64(text: &str, length: usize) -> Result<Vec<u8>, Unreadable> {
    let bytes = STANDARD.decode(text).map_err(|_| Unreadable::Damaged("the hash is no base64"))?;
    if bytes.len() == length { Ok(bytes) } else { Err(Unreadable::Damaged("the hash has the wrong length")) }
}

fn from_hex(text: &str, length: usize) -> Result<Vec<u8>, Unreadable> {
    let bytes = crate::domain::digest::from_hex(text).ok_or(Unreadable::Damaged("the hash is no hex"))?;
    if bytes.len() == length { Ok(bytes) } else { Err(Unreadable::Damaged("the hash has the wrong length")) }
}

#[cfg(test)]
#[path = "django_password/tests.rs"]
mod tests;

//! Keys for machines: `pk_<8 characters>_<43 characters of secret><6 characters of checksum>`.
//!
//! `pk_` lets secret scanners find a leaked key, the next part names it in lists and logs, the secret is 256 bits in
//! base62, and the checksum (CRC-32 of everything before it, in base62) refuses garbage before anything is looked up.
//!
//! Keys that were made by `djangorestframework-api-key` are `<prefix>.<secret>`: by default 8 and 32 letters and digits.

use std::fmt;
use std::time::Duration;

use super::clock::Timestamp;
use super::digest::Digest;
use super::key_reach::{KeyReach, MethodNames, RouteNames};
use super::labels::{Label, Labels};
use super::network_set::NetworkSet;
use super::random::{self, Random};
use super::rate::{Quota, Rate};
use super::role::{ADMINISTRATION, Roles};
use super::scope::{Scope, ScopeSet};
use super::secret::Secret;
use super::user::{User, UserId};

const BRAND: &str = "pk_";
const PREFIX_LENGTH: usize = 8;
const SECRET_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;
const LENGTH: usize = BRAND.len() + PREFIX_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH;
/// The lengths of both parts of a key that was taken over: an installation may have set others than the default.
const IMPORTED_PREFIX: std::ops::RangeInclusive<usize> = 1..=32;
const IMPORTED_SECRET: std::ops::RangeInclusive<usize> = 16..=128;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ApiKeyId(pub String);

impl ApiKeyId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who a key acts as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    User(UserId),
    /// A program with no account of its own, by the name an operator gave it.
    Service(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an owner is user:<id>, or a service's name: 1 to 100 characters, without a colon, control characters, or white space \
     at either end"
)]
pub struct InvalidOwner;

impl KeyOwner {
    /// Reads what `Display` writes: `user:45`, or a service's name.
    pub fn parse(text: &str) -> Result<Self, InvalidOwner> {
        if let Some(id) = text.strip_prefix("user:") {
            let fits = !id.is_empty() && !id.chars().any(char::is_control);
            return if fits { Ok(Self::User(UserId(id.to_owned()))) } else { Err(InvalidOwner) };
        }
        let fits = (1..=100).contains(&text.chars().count());
        if fits && text.trim() == text && !text.chars().any(|c| c == ':' || c.is_control()) {
            Ok(Self::Service(text.to_owned()))
        } else {
            Err(InvalidOwner)
        }
    }

    pub const fn user(&self) -> Option<&UserId> {
        match self {
            Self::User(id) => Some(id),
            Self::Service(_) => None,
        }
    }
}

impl fmt::Display for KeyOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Service(name) => f.write_str(name),
        }
    }
}

/// For how many days a key may lie unused before it is refused: 1 to 3650.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleDays(u16);

impl IdleDays {
    pub const MOST: u16 = 3650;

    pub fn new(days: u64) -> Option<Self> {
        let days = u16::try_from(days).ok()?;
        (1..=Self::MOST).contains(&days).then_some(Self(days))
    }

    pub const fn get(self) -> u16 {
        self.0
    }

    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0) * 86_400)
    }
}

impl fmt::Display for IdleDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a key is limited to beside its scopes, and what is known it by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyTerms {
    pub reach: KeyReach,
    /// After how many days without use it is refused.
    pub idle: Option<IdleDays>,
    /// How fast it may be used.
    pub rate: Option<Rate>,
    /// How often it may be used in a day or month.
    pub quota: Option<Quota>,
    pub labels: Labels,
}

/// How often a key was used, and when last. What nodes have counted and not told the store yet is missing from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUsage {
    pub last_at: Option<Timestamp>,
    pub count: u64,
}

/// A key's end by another in its place. Both work until the old one expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    pub by: ApiKeyId,
    /// When, and how often the old key had been used by then. Not known of keys that were replaced before this was kept.
    pub at: Option<(Timestamp, u64)>,
}

/// A key as stored: everything but the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    /// The visible look-up part, without brand.
    pub prefix: String,
    pub digest: Digest,
    pub name: String,
    pub owner: KeyOwner,
    pub scopes: ScopeSet,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked: Option<(Timestamp, String)>,
    pub replaced: Option<Replacement>,
    pub terms: KeyTerms,
    pub usage: KeyUsage,
}

impl ApiKey {
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Whether it has lain unused for too long. `used` is a use that the store has not been told of yet.
    pub fn is_idle(&self, used: Option<Timestamp>, now: Timestamp) -> bool {
        let last = self.usage.last_at.max(used).unwrap_or(self.created_at);
        self.terms.idle.is_some_and(|days| now.since(last) >= days.duration())
    }

    /// Whether both are one key that may do the same, however often it has been used.
    pub fn equals_but_for_usage(&self, other: &Self) -> bool {
        *self == Self { usage: self.usage, ..other.clone() }
    }

    /// What a key of this owner lets its holder do now. Scopes that administer count for as long as the owner holds them,
    /// or whoever stops being an administrator would stay one by a key. Other scopes are the key's own: an operator may
    /// have given it more than its owner has.
    pub fn scopes_of(&self, owner: &User, roles: &Roles) -> ScopeSet {
        let held = owner.all_scopes(roles);
        let counts = |scope: &Scope| held.contains(scope) || !ADMINISTRATION.contains(&scope.as_str());
        self.scopes.iter().filter(|scope| counts(scope)).cloned().collect()
    }
}

/// Which keys to list: the newest first, all that is set must fit.
#[derive(Clone, Debug, Default)]
pub struct KeyQuery {
    /// Only keys older than this one: the last of the page before.
    pub before: Option<(Timestamp, ApiKeyId)>,
    pub owner: Option<KeyOwner>,
    /// A part of the name or the beginning of the visible prefix, whatever its case in ASCII.
    pub search: Option<String>,
    /// Only keys with this label: its name and value.
    pub label: Option<Label>,
    /// `false` leaves out what is revoked.
    pub revoked: bool,
    pub limit: u32,
}

/// What is to be different about a key; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyChanges {
    pub name: Option<String>,
    pub scopes: Option<ScopeSet>,
    /// `Some(None)`: until it is revoked.
    pub expires_at: Option<Option<Timestamp>>,
    pub networks: Option<NetworkSet>,
    pub routes: Option<RouteNames>,
    pub methods: Option<MethodNames>,
    /// `Some(None)`, here and in the two below: no limit.
    pub idle: Option<Option<IdleDays>>,
    pub rate: Option<Option<Rate>>,
    pub quota: Option<Option<Quota>>,
    pub labels: Option<Labels>,
}

impl KeyChanges {
    /// The key that they lead to.
    pub fn applied_to(&self, key: &ApiKey) -> ApiKey {
        let Self { name, scopes, expires_at, networks, routes, methods, idle, rate, quota, labels } = self.clone();
        let terms = &key.terms;
        ApiKey {
            name: name.unwrap_or_else(|| key.name.clone()),
            scopes: scopes.unwrap_or_else(|| key.scopes.clone()),
            expires_at: expires_at.unwrap_or(key.expires_at),
            terms: KeyTerms {
                reach: KeyReach {
                    networks: networks.unwrap_or_else(|| terms.reach.networks.clone()),
                    routes: routes.unwrap_or_else(|| terms.reach.routes.clone()),
                    methods: methods.unwrap_or_else(|| terms.reach.methods.clone()),
                },
                idle: idle.unwrap_or(terms.idle),
                rate: rate.unwrap_or(terms.rate),
                quota: quota.unwrap_or(terms.quota),
                labels: labels.unwrap_or_else(|| terms.labels.clone()),
            },
            ..key.clone()
        }
    }
}

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
    fn owners_are_read_back_from_their_text() {
        for text in ["user:45", "user:a:b", "robot", "nightly export ü", &"x".repeat(100)] {
            assert_eq!(KeyOwner::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(KeyOwner::parse("user:45").unwrap().user(), Some(&UserId("45".into())));
        assert_eq!(KeyOwner::parse("robot").unwrap().user(), None);
        for text in ["", "user:", "user:a\0b", "service:robot", "a:b", " robot", "robot\n", "a\tb", &"x".repeat(101)] {
            assert_eq!(KeyOwner::parse(text), Err(InvalidOwner), "{text:?}");
        }
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

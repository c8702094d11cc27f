//! Randomness as an argument, so that whoever needs it can be tested without it.

/// A source of unpredictable bytes. In production this is the operating system's generator.
pub trait Random: Send + Sync {
    fn fill(&self, bytes: &mut [u8]);
}

/// `N` bytes at once.
pub fn bytes<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

/// A version 4 UUID (RFC 9562), for identifiers that need not be secret.
pub fn uuid(random: &dyn Random) -> String {
    uuid::Builder::from_random_bytes(bytes(random)).into_uuid().to_string()
}

/// A version 7 UUID (RFC 9562), whose text sorts by time: for what is listed in the order in which it happened.
pub fn ordered_uuid(now: super::clock::Timestamp, random: &dyn Random) -> String {
    let millis = u64::try_from(now.as_micros().div_euclid(1000)).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes(random)).into_uuid().to_string()
}

/// 43 characters of base64url, 256 bits: a ticket that whoever holds it may use.
pub fn token(random: &dyn Random) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes::<32>(random))
}

/// 32 lower-case hex digits: the form of `jti` that existing clients know.
pub fn hex_id(random: &dyn Random) -> String {
    super::digest::hex(&bytes::<16>(random))
}

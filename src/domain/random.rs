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

/// 32 lower-case hex digits: the form of `jti` that existing clients know.
pub fn hex_id(random: &dyn Random) -> String {
    super::digest::hex(&bytes::<16>(random))
}

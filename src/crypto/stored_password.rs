//! A stored password, whoever has written it: this gateway, or a Django installation that was taken over.

use super::django_password::DjangoHash;
use super::password::{self, Cost, Memory, Verdict};
use crate::domain::secret::Secret;
use crate::domain::user::PasswordHash;

/// Verifies against a stored hash. One that cannot be read, or asks for more than the bounds, never matches. What was taken
/// over counts as weak whatever it cost, so that a sign-in puts one of ours in its place.
pub fn verify(password: &Secret<String>, stored: &PasswordHash, wanted: Cost, memory: &mut Memory) -> Verdict {
    if is_ours(stored) {
        return password::verify(password, stored, wanted, memory);
    }
    match DjangoHash::read(stored.text()) {
        Ok(hash) if hash.verifies(password, wanted, memory) => Verdict::RightButWeak,
        _ => Verdict::Wrong,
    }
}

/// Whether a stored hash is of a form that [`verify`] reads.
pub fn is_readable(stored: &PasswordHash) -> bool {
    if is_ours(stored) { password::is_readable(stored) } else { DjangoHash::read(stored.text()).is_ok() }
}

/// A PHC string.
fn is_ours(stored: &PasswordHash) -> bool {
    stored.text().starts_with('$')
}

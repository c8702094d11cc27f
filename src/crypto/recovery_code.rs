//! What is kept of a recovery code: a digest that belongs to one user.
//!
//! Codes of ours carry 80 random bits, which no fast hash gives away. Codes that were taken over from a Django
//! installation mostly carry 40; they are kept no worse than there, where they lie in the clear.

use super::digest::sha256;
use crate::domain::digest::Digest;
use crate::domain::recovery_code::RecoveryCode;
use crate::domain::secret::Secret;
use crate::domain::user::UserId;

/// The longest code that a Django installation can hold, in characters.
const LONGEST_IMPORTED: usize = 16;

/// What is stored for a code of ours, in its normal form, or for one that was taken over, exactly as it is.
///
/// Digested are a label, the length of the user's id in 8 bytes, the id, and the code, so that no two pairs of user and
/// code are one text.
pub fn digest(user: &UserId, code: &str) -> Digest {
    let id = user.as_str();
    let length = u64::try_from(id.len()).unwrap_or(u64::MAX).to_be_bytes();
    let text = Secret::new([b"portcullis recovery code".as_slice(), &length, id.as_bytes(), code.as_bytes()].concat());
    sha256(text.expose())
}

/// The digests under which `typed` may be stored for `user`: as a code that was taken over, which is compared exactly,
/// and as one of ours, however it is written. None, one or two; the first that is found is used up.
pub fn digests_of_typed(user: &UserId, typed: &str) -> Vec<Digest> {
    let length = typed.chars().take(LONGEST_IMPORTED + 1).count();
    let exact = (1..=LONGEST_IMPORTED).contains(&length).then(|| digest(user, typed));
    let ours = RecoveryCode::parse(typed).map(|code| digest(user, code.expose()));
    exact.into_iter().chain(ours.filter(|ours| exact != Some(*ours))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::random::OsRandom;

    fn user(id: &str) -> UserId {
        UserId(id.to_owned())
    }

    #[test]
    fn the_digest_is_of_a_text_that_anybody_can_write_down() {
        // printf 'portcullis recovery code\0\0\0\0\0\0\0\00245uws2ljnfuws2ljnf' | sha256sum
        let expected = "78a57781aab6f637d68c237973e22ff6e5ab57e8ae6f70d92f91a7d46b022726";
        assert_eq!(digest(&user("45"), "uws2ljnfuws2ljnf").hex(), expected);
    }

    #[test]
    fn users_and_codes_do_not_run_into_each_other() {
        assert_ne!(digest(&user("4"), "5abc"), digest(&user("45"), "abc"));
        assert_ne!(digest(&user("45"), "abc"), digest(&user("46"), "abc"));
    }

    #[test]
    fn a_code_of_ours_is_found_however_it_is_typed() {
        let code = RecoveryCode::generate(&OsRandom::new());
        let stored = digest(&user("1"), code.expose());
        let shown = code.shown();
        for typed in [shown.expose().clone(), shown.expose().to_uppercase(), shown.expose().replace('-', " ")] {
            assert_eq!(digests_of_typed(&user("1"), &typed), [stored], "{typed}");
            assert_ne!(digests_of_typed(&user("2"), &typed), [stored]);
        }
        assert_eq!(digests_of_typed(&user("1"), code.expose()), [stored], "one and the same is looked up once");
    }

    #[test]
    fn a_code_that_was_taken_over_is_found_exactly_as_it_is() {
        let root = user("45");
        for code in ["dtv76lg4", "MixedCase1", "0123456789abcdef", "with space", "абвгдежзийклмноп"] {
            assert_eq!(digests_of_typed(&root, code), [digest(&root, code)], "{code}");
        }
        for (typed, stored) in [("mixedcase1", "MixedCase1"), ("withspace", "with space"), ("dtv7-6lg4", "dtv76lg4")] {
            assert!(!digests_of_typed(&root, typed).contains(&digest(&root, stored)), "{typed}");
        }
        // It may look like one of ours, in the other case.
        let twin = "UWS2LJNFUWS2LJNF";
        assert_eq!(digests_of_typed(&root, twin), [digest(&root, twin), digest(&root, "uws2ljnfuws2ljnf")]);
        for typed in ["", "12345678901234567", "uws2-ljnf-uws2-ljnf-uws2"] {
            assert_eq!(digests_of_typed(&root, typed), [], "{typed}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_gives_more_than_two(id: String, typed: String) {
            prop_assert!(digests_of_typed(&user(&id), &typed).len() <= 2);
        }

        #[test]
        fn wherever_an_id_ends_and_the_code_begins_the_digest_is_another(text in "[a-z0-9]{2,40}", a: prop::sample::Index, b: prop::sample::Index) {
            let cut = |at: prop::sample::Index| text.split_at(at.index(text.len()));
            let (one, other) = (cut(a), cut(b));
            prop_assert_eq!(digest(&user(one.0), one.1) == digest(&user(other.0), other.1), one == other);
        }
    }
}

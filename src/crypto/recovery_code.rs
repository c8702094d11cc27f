//! What is kept of a recovery code: a digest that belongs to one user.
//!
//! Codes of ours carry 80 random bits, which no fast hash gives away. Codes that were taken over from a Django
//! installation mostly carry 40, which a fast hash would: their digests are keyed by the master key.

use super::digest::sha256;
use super::keyed_digest::KeyedDigest;
use super::master_keys::MasterKeys;
use crate::domain::digest::Digest;
use crate::domain::recovery_code::RecoveryCode;
use crate::domain::secret::Secret;
use crate::domain::user::UserId;

/// The longest code that a Django installation can hold, in characters.
const LONGEST_IMPORTED: usize = 16;

/// What is stored for a code of ours, in its normal form.
///
/// Digested are a label, the length of the user's id in 8 bytes, the id, and the code, so that no two pairs of user and
/// code are one text.
pub fn digest(user: &UserId, code: &str) -> Digest {
    sha256(text_of(user, code).expose())
}

fn text_of(user: &UserId, code: &str) -> Secret<Vec<u8>> {
    let id = user.as_str();
    let length = u64::try_from(id.len()).unwrap_or(u64::MAX).to_be_bytes();
    Secret::new([b"portcullis recovery code".as_slice(), &length, id.as_bytes(), code.as_bytes()].concat())
}

/// What digests codes that were taken over: under the present master key, and then under those before it, since a code that
/// is only kept as a digest cannot be digested anew.
pub fn imported_digests(keys: &MasterKeys) -> Vec<KeyedDigest> {
    keys.keyed_digests("recovery codes of another installation")
}

/// What is stored for a code that was taken over, exactly as it is: 1 to 16 characters.
pub fn imported_digest(keyed: Option<&KeyedDigest>, user: &UserId, code: &str) -> Option<Digest> {
    let length = code.chars().take(LONGEST_IMPORTED + 1).count();
    let fits = (1..=LONGEST_IMPORTED).contains(&length);
    Some(keyed.filter(|_| fits)?.of(text_of(user, code).expose()))
}

/// The digests under which `typed` may be stored for `user`: as a code that was taken over, which is compared exactly,
/// and as one of ours, however it is written. The first that is found is used up.
pub fn digests_of_typed(user: &UserId, typed: &str, imported: &[KeyedDigest]) -> Vec<Digest> {
    let exact = imported.iter().filter_map(|keyed| imported_digest(Some(keyed), user, typed));
    let ours = RecoveryCode::parse(typed).map(|code| digest(user, code.expose()));
    exact.chain(ours).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::master_key::MasterKey;
    use crate::crypto::random::OsRandom;

    fn keys(digit: &str) -> MasterKeys {
        MasterKey::parse(&Secret::new(format!("{}0", digit.repeat(63)))).unwrap().into()
    }

    fn imported(user: &UserId, code: &str) -> Digest {
        imported_digest(imported_digests(&keys("1")).first(), user, code).unwrap()
    }

    fn typed_by(user: &UserId, typed: &str) -> Vec<Digest> {
        digests_of_typed(user, typed, &imported_digests(&keys("1")))
    }

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
            assert_eq!(typed_by(&user("1"), &typed), [stored], "{typed}");
            assert_ne!(typed_by(&user("2"), &typed), [stored]);
        }
        let as_imported = imported(&user("1"), code.expose());
        assert_eq!(typed_by(&user("1"), code.expose()), [as_imported, stored]);
    }

    #[test]
    fn a_code_that_was_taken_over_is_found_exactly_as_it_is() {
        let root = user("45");
        for code in ["dtv76lg4", "MixedCase1", "with space", "абвгдежзийклмноп"] {
            assert_eq!(typed_by(&root, code), [imported(&root, code)], "{code}");
        }
        for (typed, stored) in [("mixedcase1", "MixedCase1"), ("withspace", "with space"), ("dtv7-6lg4", "dtv76lg4")] {
            assert!(!typed_by(&root, typed).contains(&imported(&root, stored)), "{typed}");
        }
        for typed in ["", "12345678901234567", "uws2-ljnf-uws2-ljnf-uws2"] {
            assert_eq!(typed_by(&root, typed), [], "{typed}");
        }
    }

    #[test]
    fn a_code_that_was_taken_over_is_guessed_by_nobody_who_has_only_the_store() {
        let root = user("45");
        let stored = imported(&root, "dtv76lg4");
        assert_ne!(stored, digest(&root, "dtv76lg4"));
        let of = |keys: &MasterKeys| digests_of_typed(&root, "dtv76lg4", &imported_digests(keys));
        assert!(!of(&keys("2")).contains(&stored));
        // After a change of the master key it is found for as long as the old key is named.
        let changed = MasterKeys::new(
            MasterKey::parse(&Secret::new(format!("{}0", "2".repeat(63)))).unwrap(),
            [MasterKey::parse(&Secret::new(format!("{}0", "1".repeat(63)))).unwrap()],
        );
        assert!(of(&changed).contains(&stored));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_gives_more_than_two(id: String, typed: String) {
            prop_assert!(typed_by(&user(&id), &typed).len() <= 2);
        }

        #[test]
        fn wherever_an_id_ends_and_the_code_begins_the_digest_is_another(text in "[a-z0-9]{2,40}", a: prop::sample::Index, b: prop::sample::Index) {
            let cut = |at: prop::sample::Index| text.split_at(at.index(text.len()));
            let (one, other) = (cut(a), cut(b));
            prop_assert_eq!(digest(&user(one.0), one.1) == digest(&user(other.0), other.1), one == other);
        }
    }
}

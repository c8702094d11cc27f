//! Codes that stand in for a lost second factor, each for one use. What is kept of them is `crypto::recovery_code`'s task.

use base32::Alphabet;

use super::random::{self, Random};
use super::secret::Secret;

/// Characters of a code, without dashes: 5 bits each, 80 in all.
const LENGTH: usize = 16;
const GROUP: usize = 4;

/// A code of ours in its normal form: 16 characters of the lower-case alphabet of RFC 4648 6, `a-z2-7`. Shown as
/// `xxxx-xxxx-xxxx-xxxx`.
#[derive(Clone, Debug)]
pub struct RecoveryCode(Secret<String>);

impl RecoveryCode {
    /// How many a user is given at once.
    pub const COUNT: usize = 10;

    pub fn generate(random: &dyn Random) -> Self {
        let bytes = Secret::new(random::bytes::<10>(random));
        Self(Secret::new(base32::encode(Alphabet::Rfc4648Lower { padding: false }, bytes.expose())))
    }

    /// A whole new set.
    pub fn generate_set(random: &dyn Random) -> [Self; Self::COUNT] {
        std::array::from_fn(|_| Self::generate(random))
    }

    /// Reads what may be a code of ours, in either case, with or without dashes and blanks: it is copied from paper.
    pub fn parse(typed: &str) -> Option<Self> {
        let kept = typed.chars().filter(|c| *c != '-' && !c.is_whitespace());
        // One more than fits, so that more is noticed, and no more than that is copied.
        let code = Secret::new(kept.take(LENGTH + 1).map(|c| c.to_ascii_lowercase()).collect::<String>());
        let fits =
            code.expose().len() == LENGTH && code.expose().bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
        fits.then_some(Self(code))
    }

    /// The normal form, to be digested.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The form for its owner, who sees it once.
    pub fn shown(&self) -> Secret<String> {
        let mut shown = String::with_capacity(LENGTH + LENGTH / GROUP);
        for (index, c) in self.0.expose().chars().enumerate() {
            if index > 0 && index % GROUP == 0 {
                shown.push('-');
            }
            shown.push(c);
        }
        Secret::new(shown)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Fixed(u8);
    impl Random for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    fn normal(typed: &str) -> Option<String> {
        RecoveryCode::parse(typed).map(|code| code.expose().to_owned())
    }

    #[test]
    fn a_code_is_80_bits_in_groups_of_four() {
        let code = RecoveryCode::generate(&Fixed(0b1010_0101));
        // 10100 10110 10010 11010 01011 01001 01101 00101, twice.
        assert_eq!(code.expose(), "uws2ljnfuws2ljnf");
        assert_eq!(code.shown().expose(), "uws2-ljnf-uws2-ljnf");
        assert_eq!(RecoveryCode::generate(&Fixed(0)).expose(), "a".repeat(16));
        assert_eq!(RecoveryCode::generate(&Fixed(255)).expose(), "7".repeat(16));
        assert_eq!(RecoveryCode::generate_set(&Fixed(1)).len(), 10);
    }

    #[test]
    fn case_dashes_and_blanks_mean_nothing() {
        for typed in [
            "uws2-ljnf-uws2-ljnf",
            "uws2ljnfuws2ljnf",
            "UWS2-LJNF-UWS2-LJNF",
            " uws2 ljnf\tuws2\u{a0}ljnf\n",
            "u-w-s2ljnfuws2ljnf-",
        ] {
            assert_eq!(normal(typed).as_deref(), Some("uws2ljnfuws2ljnf"), "{typed:?}");
        }
        for typed in [
            "",
            "uws2-ljnf-uws2-ljn",
            "uws2-ljnf-uws2-ljnf-a",
            "uws2_ljnf_uws2_ljnf",
            "uws1-ljnf-uws2-ljnf",
            "uws0ljnfuws2ljnf",
            "uws8ljnfuws2ljnf",
            "üws2ljnfuws2ljn",
            "uws2ljnfuws2ljn\0",
        ] {
            assert_eq!(normal(typed), None, "{typed:?}");
        }
    }

    #[test]
    fn debug_shows_no_code() {
        assert_eq!(format!("{:?}", RecoveryCode::generate(&Fixed(0))), "RecoveryCode([secret])");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(typed: String) {
            if let Some(code) = normal(&typed) {
                prop_assert_eq!(normal(&code), Some(code));
            }
        }

        #[test]
        fn what_is_shown_is_read_again(byte: u8) {
            let code = RecoveryCode::generate(&Fixed(byte));
            prop_assert_eq!(normal(code.shown().expose()), Some(code.expose().to_owned()));
        }
    }
}

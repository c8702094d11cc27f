//! A one-time code as somebody typed it: a number of so many digits, believed by nobody yet.

use super::second_factor::Digits;
use super::secret::Secret;

/// The number that the digits stand for; both sides of the comparison are of this form.
#[derive(Clone, Debug)]
pub struct OtpCode(Secret<u32>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a one-time code is exactly the digits that the device shows")]
pub struct MalformedCode;

impl OtpCode {
    /// Accepts exactly as many ASCII digits as the device shows, and nothing around or between them.
    pub fn parse(text: &str, digits: Digits) -> Result<Self, MalformedCode> {
        if text.len() != usize::from(digits.get()) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(MalformedCode);
        }
        Self::parse_lenient(text)
    }

    /// Reads a code as the Django stack does, for `compatibility: django`: as a decimal number in the digits of any
    /// script, with blanks around it, whose leading zeros mean nothing.
    ///
    /// It may be a number that no code can be, which then matches none. Signs and underscores, which Python reads too,
    /// are not part of what clients were told, and are refused.
    pub fn parse_lenient(text: &str) -> Result<Self, MalformedCode> {
        let mut digits = text.trim().chars().map(decimal_digit);
        let first = digits.next().flatten().ok_or(MalformedCode)?;
        let number = digits.try_fold(first, |number, digit| number.checked_mul(10)?.checked_add(digit?));
        number.map(|number| Self(Secret::new(number))).ok_or(MalformedCode)
    }

    pub const fn number(&self) -> u32 {
        *self.0.expose()
    }
}

/// The zeros of all scripts that have decimal digits; the other nine follow each (Unicode Character Database 18,
/// general category `Nd`). Unlike superscripts or circled numbers, these are what a number is written in.
const ZEROS: [u32; 77] = [
    0x30, 0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0,
    0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620,
    0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x10D30, 0x10D40, 0x11066, 0x110F0, 0x11136,
    0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x116D0, 0x116DA, 0x11730, 0x118E0, 0x11950, 0x11BF0,
    0x11C50, 0x11D50, 0x11DA0, 0x11DE0, 0x11F50, 0x16130, 0x16A60, 0x16AC0, 0x16B50, 0x16D70, 0x1CCF0, 0x1D7CE,
    0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E4F0, 0x1E5F1, 0x1E950, 0x1FBF0,
];

fn decimal_digit(c: char) -> Option<u32> {
    let code_point = u32::from(c);
    let zero = ZEROS.iter().rev().find(|zero| **zero <= code_point)?;
    Some(code_point - zero).filter(|digit| *digit < 10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strict(text: &str) -> Option<u32> {
        OtpCode::parse(text, Digits::SIX).ok().map(|code| code.number())
    }

    fn lenient(text: &str) -> Option<u32> {
        OtpCode::parse_lenient(text).ok().map(|code| code.number())
    }

    #[test]
    fn a_code_is_exactly_the_digits_of_the_device() {
        assert_eq!(strict("012345"), Some(12_345));
        assert_eq!(strict("000000"), Some(0));
        assert_eq!(OtpCode::parse("12345678", Digits::EIGHT).unwrap().number(), 12_345_678);
        for text in [
            "",
            "12345",
            "0123456",
            "12345678",
            " 12345",
            "12345 ",
            "123 456",
            "+12345",
            "-12345",
            "1_2345",
            "12345a",
            "１２３４５６",
            "١٢٣",
            "12345\0",
            "12345\n",
            "1e5000",
        ] {
            assert_eq!(strict(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_django_reading_takes_a_number_in_any_script() {
        // Each of these is what Python's `int` makes of it.
        for (text, number) in [
            ("012345", 12_345),
            ("12345", 12_345),
            (" \t12345\u{a0}\n", 12_345),
            ("0000000000000000000000000000000012345", 12_345),
            ("１２３４５６", 123_456),
            ("٠١٢٣٤٥", 12_345),
            ("१२३456", 123_456),
            ("𝟘𝟙𝟚𝟛𝟜𝟝", 12_345),
            ("𝟬𝟭𝟮𝟯𝟰𝟵", 12_349),
            ("4294967295", u32::MAX),
        ] {
            assert_eq!(lenient(text), Some(number), "{text:?}");
        }
        for text in [
            "",
            " ",
            "+12345",
            "-1",
            "1_2345",
            "12 345",
            "12345a",
            "²²²²²²",
            "①②③④⑤⑥",
            "ⅤⅤⅤ",
            "1.0",
            "1e5",
            "4294967296",
            "\u{0}1",
        ] {
            assert_eq!(lenient(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_script_has_its_ten_digits() {
        for zero in ZEROS {
            for value in 0..10 {
                let c = char::from_u32(zero + value).unwrap();
                assert_eq!(decimal_digit(c), Some(value), "{c:?}");
            }
        }
        let digits = (0..=0x10_FFFF).filter_map(char::from_u32).filter(|c| decimal_digit(*c).is_some());
        assert_eq!(digits.count(), ZEROS.len() * 10);
        assert!(ZEROS.is_sorted());
    }

    #[test]
    fn debug_shows_no_code() {
        assert_eq!(format!("{:?}", OtpCode::parse_lenient("123456").unwrap()), "OtpCode([secret])");
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text: String) {
            let _ = OtpCode::parse_lenient(&text);
            let _ = OtpCode::parse(&text, Digits::SIX);
        }

        #[test]
        fn the_strict_reading_accepts_nothing_else_than_the_lenient_one(text in "[0-9٠-٩ +_]{5,7}") {
            if let Some(number) = strict(&text) {
                prop_assert_eq!(lenient(&text), Some(number));
                prop_assert_eq!(format!("{number:06}"), text);
            }
        }

        #[test]
        fn leading_zeros_mean_nothing_to_the_lenient_reading(number: u32, zeros in 0_usize..40) {
            prop_assert_eq!(lenient(&format!("{}{number}", "0".repeat(zeros))), Some(number));
        }
    }
}

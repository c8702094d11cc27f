//! What a request shows. Nobody believes it yet.

use super::api_key::{MalformedKey, PresentedKey};
use super::secret::Secret;

/// The longest bearer token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8192;

/// One kind of credential as found in its one place: not there, there and well formed, or there and broken.
/// Broken is never the same as absent.
#[derive(Clone, Debug)]
pub enum Presented<T> {
    Absent,
    WellFormed(T),
    Malformed(MalformedCredential),
}

impl<T> Presented<T> {
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedCredential {
    /// More than one credential of one kind.
    Repeated,
    /// `Bearer` without exactly one word after it.
    BearerShape,
    /// A scheme other than `Bearer`, where no other is spoken.
    Scheme,
    TooLong,
    Key(MalformedKey),
    NotText,
}

pub type BearerToken = Secret<String>;

/// Everything one request shows.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub bearer: Presented<BearerToken>,
    pub api_key: Presented<PresentedKey>,
}

impl Credentials {
    pub const NONE: Self = Self { bearer: Presented::Absent, api_key: Presented::Absent };
}

/// Reads the values of all `Authorization` fields of a request (RFC 6750 2.1).
///
/// `foreign_schemes_are_absent` is how the Django stack reads the field: any first word other than exactly `Bearer`
/// means that no bearer credential was shown. Otherwise such a field is malformed, because every credential that is
/// presented must be valid.
pub fn read_authorization<'a>(
    mut values: impl Iterator<Item = &'a [u8]>,
    foreign_schemes_are_absent: bool,
) -> Presented<BearerToken> {
    let Some(value) = values.next() else { return Presented::Absent };
    if values.next().is_some() {
        // The Django stack joins repeated fields with a comma, and then sees too many words.
        let joined = foreign_schemes_are_absent && value.starts_with(b"Bearer");
        return Presented::Malformed(if joined {
            MalformedCredential::BearerShape
        } else {
            MalformedCredential::Repeated
        });
    }
    let Ok(text) = std::str::from_utf8(value) else {
        return if foreign_schemes_are_absent && !value.starts_with(b"Bearer") {
            Presented::Absent
        } else {
            Presented::Malformed(MalformedCredential::NotText)
        };
    };
    let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    let Some(scheme) = words.next() else { return Presented::Absent };
    let ours = scheme == "Bearer" || (!foreign_schemes_are_absent && scheme.eq_ignore_ascii_case("bearer"));
    if !ours {
        return if foreign_schemes_are_absent {
            Presented::Absent
        } else {
            Presented::Malformed(MalformedCredential::Scheme)
        };
    }
    match (words.next(), words.next()) {
        (Some(token), None) if token.len() > MAX_TOKEN_BYTES => Presented::Malformed(MalformedCredential::TooLong),
        (Some(token), None) => Presented::WellFormed(Secret::new(token.to_owned())),
        _ => Presented::Malformed(MalformedCredential::BearerShape),
    }
}

/// Reads the values of all `X-API-Key` fields of a request.
pub fn read_api_key<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Presented<PresentedKey> {
    let Some(value) = values.next() else { return Presented::Absent };
    if values.next().is_some() {
        return Presented::Malformed(MalformedCredential::Repeated);
    }
    let Ok(text) = std::str::from_utf8(value) else {
        return Presented::Malformed(MalformedCredential::NotText);
    };
    // HTTP strips outer blanks (RFC 9110 5.5); an empty field shows a key that is not one.
    match PresentedKey::parse(text.trim_matches([' ', '\t'])) {
        Ok(key) => Presented::WellFormed(key),
        Err(fault) => Presented::Malformed(MalformedCredential::Key(fault)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(values: &[&str], django: bool) -> Presented<BearerToken> {
        read_authorization(values.iter().map(|v| v.as_bytes()), django)
    }

    #[test]
    fn one_bearer_token_is_read() {
        for value in ["Bearer abc.def.ghi", "Bearer   abc.def.ghi", "Bearer\tabc.def.ghi ", "bearer abc.def.ghi"] {
            assert!(
                matches!(read(&[value], false), Presented::WellFormed(t) if t.expose() == "abc.def.ghi"),
                "{value}"
            );
        }
    }

    #[test]
    fn malformed_is_not_absent() {
        use MalformedCredential::{BearerShape, Repeated, Scheme};
        let cases: [(&[&str], MalformedCredential); 5] = [
            (&["Bearer"], BearerShape),
            (&["Bearer a b"], BearerShape),
            (&["Basic dTpw"], Scheme),
            (&["abc.def.ghi"], Scheme),
            (&["Bearer a", "Bearer a"], Repeated),
        ];
        for (values, fault) in cases {
            assert!(matches!(read(values, false), Presented::Malformed(f) if f == fault), "{values:?}");
        }
        assert!(read(&[], false).is_absent());
        assert!(read(&[""], false).is_absent());
    }

    #[test]
    fn the_django_reading_ignores_foreign_schemes() {
        for value in ["", "bearer a", "JWT a", "Token a", "Basic dTpw", "abc.def.ghi"] {
            assert!(read(&[value], true).is_absent(), "{value}");
        }
        for value in ["Bearer", "Bearer a b"] {
            assert!(matches!(read(&[value], true), Presented::Malformed(MalformedCredential::BearerShape)), "{value}");
        }
        assert!(matches!(read(&["Bearer \t a"], true), Presented::WellFormed(_)));
    }

    proptest! {
        #[test]
        fn no_field_value_makes_a_reader_panic(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..3), django: bool) {
            let _ = read_authorization(values.iter().map(Vec::as_slice), django);
            let _ = read_api_key(values.iter().map(Vec::as_slice));
        }

        #[test]
        fn a_token_is_never_joined_or_shortened(token in "[A-Za-z0-9._-]{1,200}") {
            let value = format!("Bearer {token}");
            match read(&[&value], false) {
                Presented::WellFormed(read) => prop_assert_eq!(read.expose(), &token),
                other => prop_assert!(false, "{other:?}"),
            }
        }

        #[test]
        fn only_whole_keys_are_keys(text in "pk_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}") {
            // A random tail carries the right checksum once in four thousand million times.
            prop_assert!(PresentedKey::parse(&text).is_err() || PresentedKey::parse(&text).is_ok_and(|k| k.expose() == text));
        }
    }
}

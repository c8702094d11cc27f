//! What a request shows. Nobody believes it yet.

use super::presented_key::{MalformedKey, PresentedKey};
use super::secret::Secret;

/// How `djangorestframework-api-key` names a key in `Authorization`.
const KEY_SCHEME: &[u8] = b"Api-Key";

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

    /// One kind of credential that has two places. In both it is there twice, and which was meant is not guessed.
    pub fn or_in(self, other: Self) -> Self {
        match (self, other) {
            (one, Self::Absent) | (Self::Absent, one) => one,
            _ => Self::Malformed(MalformedCredential::Repeated),
        }
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

/// What is read from `Authorization`, beside `Bearer`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuthorizationRules {
    /// As in [`read_authorization`].
    pub foreign_schemes_are_absent: bool,
    /// Keys come there too: see [`read_authorization_key`].
    pub keys: bool,
}

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
    // As everybody writes it. The rest of this finds the same, and looks at a token letter by letter.
    if let Some(token) = value.strip_prefix(b"Bearer ")
        && (1..=MAX_TOKEN_BYTES).contains(&token.len())
        && memchr::memchr2(b' ', b'\t', token).is_none()
        && let Ok(token) = std::str::from_utf8(token)
    {
        return Presented::WellFormed(Secret::new(token.to_owned()));
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
    // HTTP strips outer blanks (RFC 9110 5.5); an empty field shows a key that is not one.
    whole_key(value.trim_ascii())
}

/// Reads a key from the values of all `Authorization` fields, as `djangorestframework-api-key` does where nothing is set:
/// `Api-Key` in any case, exactly one space, and the key. Any other scheme shows no key.
pub fn read_authorization_key<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Presented<PresentedKey> {
    let Some(value) = values.next() else { return Presented::Absent };
    if values.next().is_some() {
        // The bearer's reader refuses these, whatever they hold.
        return Presented::Malformed(MalformedCredential::Repeated);
    }
    let Some((scheme, rest)) = value.trim_ascii().split_at_checked(KEY_SCHEME.len()) else {
        return Presented::Absent;
    };
    match rest.strip_prefix(b" ") {
        Some(key) if scheme.eq_ignore_ascii_case(KEY_SCHEME) => whole_key(key),
        _ => Presented::Absent,
    }
}

fn whole_key(value: &[u8]) -> Presented<PresentedKey> {
    let Ok(text) = std::str::from_utf8(value) else {
        return Presented::Malformed(MalformedCredential::NotText);
    };
    match PresentedKey::parse(text) {
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

    #[test]
    fn a_key_has_one_spelling_in_authorization() {
        let key = format!("{}.{}", "a".repeat(8), "b".repeat(32));
        let read = |values: &[&str]| read_authorization_key(values.iter().map(|value| value.as_bytes()));
        for scheme in ["Api-Key", "api-key", "API-KEY"] {
            let shown = read(&[&format!("{scheme} {key}")]);
            assert!(matches!(shown, Presented::WellFormed(read) if read.expose() == key), "{scheme}");
        }
        for other in ["", "Api-Key", "Api-Key ", "ApiKey k", "Bearer k", "Api-Keys k", "Api-Key\tk", &key] {
            assert!(read(&[other]).is_absent(), "{other}");
        }
        assert!(read(&[]).is_absent());
        for broken in [format!("Api-Key  {key}"), format!("Api-Key {key} x"), format!("Api-Key {key}, Bearer x")] {
            assert!(matches!(read(&[&broken]), Presented::Malformed(MalformedCredential::Key(_))), "{broken}");
        }
        let one = format!("Api-Key {key}");
        let repeated = |shown| matches!(shown, Presented::Malformed(MalformedCredential::Repeated));
        assert!(repeated(read(&[&one, &one])) && repeated(read(&["Bearer x", &one])));
        let header = || read_api_key([key.as_bytes()].into_iter());
        assert!(repeated(header().or_in(read(&[&one]))), "two are refused, even the same one");
        assert!(repeated(header().or_in(read(&["Api-Key junk"]))));
        assert!(matches!(header().or_in(read(&["Bearer x"])), Presented::WellFormed(_)));
        assert!(matches!(read_api_key([].into_iter()).or_in(read(&[&one])), Presented::WellFormed(_)));
    }

    proptest! {
        #[test]
        fn no_field_value_makes_a_reader_panic(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..3), django: bool) {
            let _ = read_authorization(values.iter().map(Vec::as_slice), django);
            let _ = read_api_key(values.iter().map(Vec::as_slice));
            let _ = read_authorization_key(values.iter().map(Vec::as_slice));
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

//! The one form of a path that patterns can match, and the form that is forwarded.
//!
//! Decoded once: percent-escapes of unreserved characters (RFC 3986 2.3) become those characters, all others are kept
//! with upper-case hex. Whatever two readers could understand differently is refused. Three oddities that some
//! backends need are recorded instead, and a route must allow each by name: an encoded slash, a semicolon, a double
//! slash.

use std::borrow::Cow;
use std::fmt;

/// A path that means the same to every reader: it starts with `/`, holds no dot segment, and is free of the bytes that
/// servers disagree about.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NormalPath {
    text: String,
    oddities: Oddities,
}

/// What a path holds that a route must have allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Oddities {
    pub encoded_slash: bool,
    pub semicolon: bool,
    pub double_slash: bool,
}

impl Oddities {
    pub const fn within(self, allowed: Self) -> bool {
        (!self.encoded_slash || allowed.encoded_slash)
            && (!self.semicolon || allowed.semicolon)
            && (!self.double_slash || allowed.double_slash)
    }

    pub const fn any(self) -> bool {
        self.encoded_slash || self.semicolon || self.double_slash
    }
}

/// Why a path is ambiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmbiguousPath {
    #[error("the path does not start with a slash")]
    NoLeadingSlash,
    #[error("the path has a dot segment")]
    DotSegment,
    #[error("the path has a malformed percent-escape")]
    BadEscape,
    #[error("the path encodes a character that must not be encoded there")]
    ForbiddenEscape,
    #[error("the path has a byte that is not allowed in a path")]
    ForbiddenByte,
    #[error("the path does not decode to UTF-8")]
    NotUtf8,
}

impl NormalPath {
    /// Reads the path of a request target, without query.
    pub fn parse(raw: &[u8]) -> Result<Self, AmbiguousPath> {
        if raw.first() != Some(&b'/') {
            return Err(AmbiguousPath::NoLeadingSlash);
        }
        let mut text = String::with_capacity(raw.len());
        let mut oddities = Oddities::default();
        let mut decoded_run = Vec::new();
        let mut bytes = raw.iter().copied();
        let mut previous = 0;
        while let Some(byte) = bytes.next() {
            if byte == b'%' {
                let (high, low) = (bytes.next().and_then(hex_value), bytes.next().and_then(hex_value));
                let (Some(high), Some(low)) = (high, low) else { return Err(AmbiguousPath::BadEscape) };
                let value = high << 4 | low;
                if value < 0x80 {
                    check_utf8(&mut decoded_run)?;
                }
                match value {
                    b'/' => {
                        oddities.encoded_slash = true;
                        text.push_str("%2F");
                    }
                    b'\\' | b'%' | b';' | b'#' | b'?' | 0..=0x1f | 0x7f => return Err(AmbiguousPath::ForbiddenEscape),
                    _ if is_unreserved(value) => text.push(char::from(value)),
                    _ => {
                        if value >= 0x80 {
                            decoded_run.push(value);
                        }
                        push_escape(&mut text, value);
                    }
                }
                previous = 0;
                continue;
            }
            check_utf8(&mut decoded_run)?;
            match byte {
                b'/' if previous == b'/' => oddities.double_slash = true,
                b';' => oddities.semicolon = true,
                _ if is_path_byte(byte) => {}
                _ => return Err(AmbiguousPath::ForbiddenByte),
            }
            text.push(char::from(byte));
            previous = byte;
        }
        check_utf8(&mut decoded_run)?;
        if oddly_split(&text).any(is_dot_segment) {
            return Err(AmbiguousPath::DotSegment);
        }
        Ok(Self { text, oddities })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub const fn oddities(&self) -> Oddities {
        self.oddities
    }

    /// The segments between slashes; a trailing slash gives a last empty one.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.text.split('/').skip(1)
    }

    /// The path as a backend might read it that folds what is odd here: encoded slashes decoded, parameters after `;`
    /// dropped, empty segments removed. Whatever route this one belongs to is where the request could really end up.
    pub fn folded(&self) -> Cow<'_, Self> {
        if !self.oddities.any() {
            return Cow::Borrowed(self);
        }
        let mut text = String::with_capacity(self.text.len());
        for segment in oddly_split(&self.text).map(without_parameters).filter(|segment| !segment.is_empty()) {
            text.push('/');
            text.push_str(segment);
        }
        if text.is_empty() || self.text.ends_with('/') {
            text.push('/');
        }
        Cow::Owned(Self { text, oddities: Oddities::default() })
    }

    /// This path without `prefix`, for a route that strips it. `None` when it does not lie below the prefix.
    pub fn strip_prefix(&self, prefix: &str) -> Option<Self> {
        let rest = self.text.strip_prefix(prefix.trim_end_matches('/'))?;
        if rest.is_empty() {
            return Some(Self { text: "/".to_owned(), oddities: Oddities::default() });
        }
        // What is left is judged again: cutting may have joined or uncovered something.
        let stripped = Self::parse(rest.as_bytes()).ok()?;
        stripped.oddities.within(self.oddities).then_some(stripped)
    }
}

impl fmt::Debug for NormalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl fmt::Display for NormalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Segments as the most generous reader splits them: at encoded slashes too.
fn oddly_split(text: &str) -> impl Iterator<Item = &str> {
    text.split('/').flat_map(|segment| segment.split("%2F"))
}

fn without_parameters(segment: &str) -> &str {
    segment.split(';').next().unwrap_or(segment)
}

/// `.` and `..`, with parameters too: some servers drop `;x` before they resolve dots.
fn is_dot_segment(segment: &str) -> bool {
    matches!(without_parameters(segment), "." | "..")
}

fn check_utf8(run: &mut Vec<u8>) -> Result<(), AmbiguousPath> {
    if !run.is_empty() {
        std::str::from_utf8(run).map_err(|_| AmbiguousPath::NotUtf8)?;
        run.clear();
    }
    Ok(())
}

fn push_escape(text: &mut String, value: u8) {
    text.push('%');
    text.push_str(&crate::domain::digest::hex(&[value]).to_ascii_uppercase());
}

const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// `pchar` of RFC 3986 3.3 and the slash, without `%` and `;`, which are handled apart.
const fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'/' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@')
}

#[cfg(test)]
#[path = "normal_path/tests.rs"]
mod tests;

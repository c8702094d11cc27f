//! Classes of bytes in a request head.

/// `tchar` of RFC 9110 5.6.2: what methods and field names are made of.
pub const fn is_token(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// What may stand in a request target. Square brackets are outside of RFC 3986 there, but browsers and common client
/// libraries leave them bare in queries (`?id[]=1`), and no parser ends a target at one.
pub const fn is_target(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
}

/// Whether every byte may stand in a field value: no control bytes but the tab.
pub fn is_field_value(value: &[u8]) -> bool {
    // No early exit: a fold over all bytes is vectorised, and nearly every value is fine.
    !value.iter().fold(false, |bad, &byte| bad | ((byte < 0x20) & (byte != b'\t')) | (byte == 0x7f))
}

/// The bytes without spaces and tabs around them.
pub fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

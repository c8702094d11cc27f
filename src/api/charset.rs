//! The text of a body in the charset that its content type names. One that is known is heeded, one that is not counts as
//! UTF-8: so it is for clients of Django REST framework, of which some send Latin-1.

use std::borrow::Cow;

use encoding_rs::Encoding;

/// `None` when the bytes are none of the charset's.
pub fn decode<'a>(content_type: &str, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
    let utf8 = |bytes: &'a [u8]| std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
    let Some(label) = charset(content_type) else { return utf8(bytes) };
    // Python, which names them there, makes nothing of case and punctuation.
    let name: String = label.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    match name.as_str() {
        "utf8sig" => utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)),
        "ascii" | "usascii" => bytes.is_ascii().then(|| utf8(bytes)).flatten(),
        // Not what browsers mean by it, which is windows-1252.
        "latin1" | "iso88591" | "latin" | "l1" => Some(bytes.iter().copied().map(char::from).collect()),
        "utf16" => match bytes {
            [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
            [0xff, 0xfe, rest @ ..] | rest => utf16(rest, u16::from_le_bytes),
        },
        "utf16le" => utf16(bytes, u16::from_le_bytes),
        "utf16be" => utf16(bytes, u16::from_be_bytes),
        "utf32" => match bytes {
            [0, 0, 0xfe, 0xff, rest @ ..] => utf32(rest, u32::from_be_bytes),
            [0xff, 0xfe, 0, 0, rest @ ..] | rest => utf32(rest, u32::from_le_bytes),
        },
        "utf32le" => utf32(bytes, u32::from_le_bytes),
        "utf32be" => utf32(bytes, u32::from_be_bytes),
        _ => match Encoding::for_label_no_replacement(label.as_bytes()) {
            Some(known) => known.decode_without_bom_handling_and_without_replacement(bytes),
            None => utf8(bytes),
        },
    }
}

fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<Cow<'static, str>> {
    let (units, rest) = bytes.as_chunks::<2>();
    let text = char::decode_utf16(units.iter().copied().map(unit)).collect::<Result<String, _>>();
    text.ok().filter(|_| rest.is_empty()).map(Cow::Owned)
}

fn utf32(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> Option<Cow<'static, str>> {
    let (units, rest) = bytes.as_chunks::<4>();
    let text = units.iter().copied().map(unit).map(char::from_u32).collect::<Option<String>>();
    text.filter(|_| rest.is_empty()).map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(parameters: &str, bytes: &[u8]) -> Option<String> {
        decode(&format!("application/json{parameters}"), bytes).map(Cow::into_owned)
    }

    #[test]
    fn a_known_charset_is_heeded_however_it_is_spelt() {
        let zoe = Some("zoë".to_owned());
        for (parameters, bytes) in [
            ("", &b"zo\xc3\xab"[..]),
            ("; charset=utf-8", b"zo\xc3\xab"),
            ("; a=b; CHARSET=\"UTF-8\" ; c", b"zo\xc3\xab"),
            (";charset=utf-8-sig", b"\xef\xbb\xbfzo\xc3\xab"),
            (";charset=latin-1", b"zo\xeb"),
            (";charset=ISO_8859-1", b"zo\xeb"),
            (";charset=cp1252", b"zo\xeb"),
            (";charset=windows-1252", b"zo\xeb"),
            (";charset=iso-8859-15", b"zo\xeb"),
            (";charset=utf-16", b"\xff\xfez\0o\0\xeb\0"),
            (";charset=utf-16", b"\xfe\xff\0z\0o\0\xeb"),
            (";charset=utf-16", b"z\0o\0\xeb\0"),
            (";charset=UTF-16LE", b"z\0o\0\xeb\0"),
            (";charset=utf-16-be", b"\0z\0o\0\xeb"),
            (";charset=utf-32", b"\xff\xfe\0\0z\0\0\0o\0\0\0\xeb\0\0\0"),
            (";charset=utf-32be", b"\0\0\0z\0\0\0o\0\0\0\xeb"),
        ] {
            assert_eq!(text(parameters, bytes), zoe, "{parameters}");
        }
        assert_eq!(text(";charset=latin1", b"\x80").as_deref(), Some("\u{80}"));
        assert_eq!(text(";charset=cp1252", b"\x80").as_deref(), Some("€"));
        assert_eq!(text(";charset=shift_jis", b"\x83\x65").as_deref(), Some("テ"));
    }

    #[test]
    fn an_unknown_one_counts_as_utf_8() {
        for label in ["nonsense", "", "rot13", "base64", "replacement", "\u{e9}", "utf-8; charset=latin-1"] {
            assert_eq!(text(&format!(";charset={label}"), "zoë".as_bytes()).as_deref(), Some("zoë"), "{label}");
        }
    }

    #[test]
    fn what_is_none_of_the_charset_is_no_text() {
        for (label, bytes) in [
            ("utf-8", &b"zo\xeb"[..]),
            ("nonsense", b"zo\xeb"),
            ("us-ascii", b"zo\xc3\xab"),
            ("utf-16", b"z\0o"),
            ("utf-16le", b"\0\xd8"),
            ("utf-32", b"z\0\0"),
            ("utf-32le", b"\0\xd8\0\0"),
            ("shift_jis", b"\x83"),
        ] {
            assert_eq!(text(&format!(";charset={label}"), bytes), None, "{label}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(parameters in ".{0,30}|; ?charset=[-a-z0-9]{0,12}", bytes in any::<Vec<u8>>()) {
            text(&parameters, &bytes);
        }
    }
}

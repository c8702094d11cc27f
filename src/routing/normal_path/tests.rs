use proptest::prelude::*;

use super::*;

fn normal(raw: &str) -> String {
    NormalPath::parse(raw.as_bytes()).unwrap().text
}

fn fault(raw: impl AsRef<[u8]>) -> AmbiguousPath {
    NormalPath::parse(raw.as_ref()).unwrap_err()
}

#[test]
fn ordinary_paths_stay_as_they_are() {
    for path in
        ["/", "/a", "/a/", "/api/v1/orders/17", "/a-b_c~d.e", "/a:b@c!$&'()*+,=", "/...", "/.well-known/x", "/a..b"]
    {
        assert_eq!(normal(path), path);
    }
}

#[test]
fn unreserved_escapes_are_decoded_and_the_rest_is_canonical() {
    assert_eq!(normal("/%61dmin"), "/admin");
    assert_eq!(normal("/%41%7e"), "/A~");
    assert_eq!(normal("/caf%c3%a9"), "/caf%C3%A9");
    assert_eq!(normal("/a%20b"), "/a%20b");
    assert_eq!(normal("/%2e%2ehidden"), "/..hidden");
}

#[test]
fn what_servers_disagree_about_is_refused() {
    use AmbiguousPath::*;
    let cases: [(&[u8], AmbiguousPath); 33] = [
        (b"", NoLeadingSlash),
        (b"a", NoLeadingSlash),
        (b"*", NoLeadingSlash),
        (b"/.", DotSegment),
        (b"/..", DotSegment),
        (b"/a/../b", DotSegment),
        (b"/a/./b", DotSegment),
        (b"/a/%2e%2e/b", DotSegment),
        (b"/a/%2E./b", DotSegment),
        (b"/a/..;x/b", DotSegment),
        (b"/a/..;/b", DotSegment),
        (b"/a/.;/b", DotSegment),
        (b"/a%2f..%2fb", DotSegment),
        (b"/a/..%2fb", DotSegment),
        (b"/a/%2e%2e%2f", DotSegment),
        (b"/a%5cb", ForbiddenEscape),
        (b"/a%25b", ForbiddenEscape),
        (b"/a%252e", ForbiddenEscape),
        (b"/a%3bb", ForbiddenEscape),
        (b"/a%23", ForbiddenEscape),
        (b"/a%3f", ForbiddenEscape),
        (b"/a%00", ForbiddenEscape),
        (b"/a%0d%0a", ForbiddenEscape),
        (b"/a%7f", ForbiddenEscape),
        (b"/a%", BadEscape),
        (b"/a%2", BadEscape),
        (b"/a%zz", BadEscape),
        (b"/a%u0041", BadEscape),
        (b"/a\\b", ForbiddenByte),
        (b"/a#b", ForbiddenByte),
        (b"/a b", ForbiddenByte),
        (b"/caf\xc3\xa9", ForbiddenByte),
        (b"/a%ff", NotUtf8),
    ];
    for (raw, expected) in cases {
        assert_eq!(fault(raw), expected, "{}", String::from_utf8_lossy(raw));
    }
    // An overlong slash, a surrogate, and a sequence that a plain byte interrupts.
    for raw in ["/%c0%af", "/%ed%a0%80", "/%c3a%a9", "/%c3/%a9", "/%c3%2f%a9"] {
        assert_eq!(fault(raw), NotUtf8, "{raw}");
    }
}

#[test]
fn oddities_are_recorded_and_folded() {
    let path = |raw: &str| NormalPath::parse(raw.as_bytes()).unwrap();
    assert!(path("/a%2fb").oddities().encoded_slash);
    assert!(path("/a;b").oddities().semicolon);
    assert!(path("/a//b").oddities().double_slash);
    assert!(!path("/a/b/").oddities().any());
    for (raw, folded) in
        [("/a%2fb", "/a/b"), ("/a;v=1/b", "/a/b"), ("//a///b", "/a/b"), ("//", "/"), ("/;x", "/"), ("/a//", "/a/")]
    {
        assert_eq!(path(raw).folded().as_str(), folded, "{raw}");
    }
}

#[test]
fn a_stripped_prefix_is_cut_at_segments_and_judged_again() {
    let path = |raw: &str| NormalPath::parse(raw.as_bytes()).unwrap();
    let stripped = |raw: &str, prefix: &str| path(raw).strip_prefix(prefix).map(|p| p.as_str().to_owned());
    assert_eq!(stripped("/api/orders", "/api"), Some("/orders".to_owned()));
    assert_eq!(stripped("/api/orders", "/api/"), Some("/orders".to_owned()));
    assert_eq!(stripped("/api", "/api/"), Some("/".to_owned()));
    assert_eq!(stripped("/apix", "/api"), None);
    assert_eq!(stripped("/other", "/api"), None);
    assert_eq!(stripped("/a", "/"), Some("/a".to_owned()));
}

proptest! {
    #[test]
    fn normalising_twice_changes_nothing(raw in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(path) = NormalPath::parse(&raw) {
            prop_assert_eq!(NormalPath::parse(path.as_str().as_bytes()), Ok(path.clone()));
        }
    }

    #[test]
    fn a_normal_path_never_leaves_its_segments(raw in "/([a-c./;%2eEfF5cC]|%2e|%2f|%5c){0,24}") {
        if let Ok(path) = NormalPath::parse(raw.as_bytes()) {
            for segment in path.folded().segments() {
                prop_assert!(segment != "." && segment != "..", "{raw} -> {path:?}");
            }
            prop_assert!(path.as_str().bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'\\'));
            prop_assert!(!path.folded().oddities().any());
        }
    }

    #[test]
    fn escaping_any_letter_gives_the_same_path(text in "/[a-z]{1,8}/[a-z0-9]{1,8}", at in 1usize..8) {
        let mut escaped = String::new();
        for (index, c) in text.chars().enumerate() {
            if index == at && c != '/' { escaped.push_str(&format!("%{:02x}", c as u32)) } else { escaped.push(c) }
        }
        prop_assert_eq!(normal(&escaped), text);
    }
}

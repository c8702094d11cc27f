use proptest::prelude::*;

use super::*;

/// Everything at once: what is handed on, how much was consumed, whether the body has ended.
fn scan(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, usize, bool), WireFault> {
    let (mut scanner, mut forwarded, mut consumed, mut done) = (ChunkScanner::new(), Vec::new(), 0, false);
    for part in bytes.chunks(piece.max(1)) {
        let mut at = 0;
        while at < part.len() && !done {
            let progress = scanner.advance(&part[at..])?;
            if progress.forwarded {
                forwarded.extend_from_slice(&part[at..at + progress.consumed]);
            }
            at += progress.consumed;
            done = progress.done;
        }
        consumed += at;
    }
    Ok((forwarded, consumed, done))
}

#[test]
fn accepted_bodies() {
    for body in [
        "0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
        "a\r\n0123456789\r\n0000000a\r\n\r\n\r\n\0\x01\x02345\r\n00000000\r\n\r\n",
        "5;ext\r\nhello\r\n0;a=\"b\"; c\r\n\r\n",
        "1;\r\nx\r\n0\r\n\r\n",
    ] {
        let expected = Ok((body.as_bytes().to_vec(), body.len(), true));
        for piece in [1, 2, 3, 1000] {
            assert_eq!(scan(body.as_bytes(), piece), expected, "{body:?}");
        }
    }
    let longest = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(256));
    assert!(scan(longest.as_bytes(), 7).is_ok());
}

#[test]
fn unfinished_bodies() {
    for body in [
        "",
        "5",
        "5;a",
        "5\r",
        "5\r\n",
        "5\r\nhell",
        "5\r\nhello",
        "5\r\nhello\r\n",
        "0\r\n",
        "0\r\n\r",
        "0\r\nA: b\r\n",
    ] {
        assert_eq!(
            scan(body.as_bytes(), 2).map(|(_, consumed, done)| (consumed, done)),
            Ok((body.len(), false)),
            "{body:?}"
        );
    }
    assert_eq!(scan(b"ffffffff\r\nx", 3).map(|(_, _, done)| done), Ok(false));
}

#[test]
fn trailers_are_read_and_dropped() {
    let body = b"1\r\nx\r\n0\r\nA: b\r\nContent-Length: 9\r\nX-User-Id:\r\n\r\n";
    for piece in [1, 2, 5, 1000] {
        assert_eq!(scan(body, piece), Ok((b"1\r\nx\r\n0\r\n\r\n".to_vec(), body.len(), true)));
    }
}

#[test]
fn nothing_is_consumed_beyond_the_end() {
    assert_eq!(scan(b"0\r\n\r\nGET / HTTP/1.1\r\n", 100), Ok((b"0\r\n\r\n".to_vec(), 5, true)));
    let mut scanner = ChunkScanner::new();
    scanner.advance(b"0\r\n\r\n").unwrap();
    assert_eq!(scanner.advance(b"GET"), Ok(Progress { consumed: 0, forwarded: true, done: true }));
}

#[test]
fn refused_bodies() {
    let extension = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(257));
    for body in [
        "\r\n",
        "\n",
        ";a\r\n",
        "x\r\n",
        "+5\r\n",
        "-5\r\n",
        "0x5\r\n",
        "5h\r\n",
        " 5\r\n",
        "5 \r\n",
        "5\t\r\n",
        "5 ;a\r\n",
        "5\n",
        "5\nhello",
        "5\rhello",
        "5\r\rhello",
        "123456789\r\n",
        "000000001\r\n",
        "5;a\n",
        "5;a\rb",
        "5;\0\r\n",
        "5;\t\r\n",
        "5;\x7f\r\n",
        "5;é\r\n",
        "5\r\nhelloX",
        "5\r\nhello\n",
        "5\r\nhello\rX",
        "5\r\nhello0\r\n",
        "0\r\n\n",
        "0\r\n\rX",
        "0\n\r\n",
        "5_0\r\n",
        "5,5\r\n",
        "\u{0660}\r\n",
        &extension,
    ] {
        let fault = scan(body.as_bytes(), 3).unwrap_err();
        let expected = if body == "0\r\n\n" { WireFault::Trailer } else { WireFault::Chunk };
        assert_eq!(fault, expected, "{body:?}");
    }
}

#[test]
fn refused_trailers() {
    for trailer in [
        "A : b\r\n",
        ": b\r\n",
        " A: b\r\n",
        "A\r\n",
        "A: b\n",
        "A: b\rC",
        "A: \0\r\n",
        "A: b\r\n c\r\n",
        "A: \x7f\r\n",
    ] {
        let body = format!("0\r\n{trailer}\r\n");
        assert_eq!(scan(body.as_bytes(), 4).unwrap_err(), WireFault::Trailer, "{trailer:?}");
    }
    let long = format!("0\r\nA: {}\r\n\r\n", "b".repeat(TRAILER_BYTES));
    assert_eq!(scan(long.as_bytes(), 100).unwrap_err(), WireFault::TrailersTooLarge);
    let many = format!("0\r\n{}\r\n", "A:\r\n".repeat(TRAILER_BYTES / 4 + 1));
    assert_eq!(scan(many.as_bytes(), 100).unwrap_err(), WireFault::TrailersTooLarge);
}

/// Bodies that are nearly sound.
fn near_bodies() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        5 => proptest::collection::vec(any::<u8>(), 1..20)
            .prop_map(|data| [format!("{:x}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat()),
        1 => "[0-9a-f;\r\n:+ ]{0,5}".prop_map(String::into_bytes),
        1 => Just(b"0\r\n".to_vec()),
        1 => "[A-Z]{1,3}:[ -~]{0,4}\r\n".prop_map(String::into_bytes),
        1 => Just(b"\r\n".to_vec()),
    ];
    proptest::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_bytes_get_a_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = scan(&bytes, 100);
    }

    #[test]
    fn the_verdict_does_not_depend_on_the_pieces(bytes in near_bodies(), piece in 1..30_usize) {
        prop_assert_eq!(scan(&bytes, piece), scan(&bytes, bytes.len()));
    }

    #[test]
    fn sound_bodies_pass_unchanged(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..5)) {
        let mut body = Vec::new();
        for chunk in &chunks {
            body.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        prop_assert_eq!(scan(&body, 3), Ok((body.clone(), body.len(), true)));
    }
}

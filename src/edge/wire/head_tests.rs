use std::io::Cursor;

use pingora_core::protocols::http::v1::server::HttpSession;
use proptest::prelude::*;

use super::*;

fn verdict(bytes: &[u8]) -> HeadState {
    inspect(bytes, &HeadLimits::default())
}

#[track_caller]
fn accepted(bytes: &[u8]) -> RequestHead {
    match verdict(bytes) {
        HeadState::Complete(head) => head,
        other => panic!("{other:?}: {}", bytes.escape_ascii()),
    }
}

/// A head with these field lines beside a Host.
fn with(fields: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes()
}

fn targeting(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

#[test]
fn refused_request_lines() {
    use WireFault::*;
    let table: &[(&[u8], WireFault)] = &[
        (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET / HTTP/1.1\nHost: a\r\n\r\n", RequestLine),
        (b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", RequestLine),
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET /\r\n", RequestLine),
        (b"GET\r\n", RequestLine),
        (b"GET / http/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET / HTTP/11\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET / HTTP/1.1x\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET / ICY/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", Version),
        (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", Version),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", Version),
        (b"GET / HTTP/2\r\nHost: a\r\n\r\n", Version),
        (b"GET / HTTP/3\r\nHost: a\r\n\r\n", Version),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Version),
        (b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", Method),
        (b"GET\0 / HTTP/1.1\r\nHost: a\r\n\r\n", Method),
        (b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\nHost: a\r\n\r\n", Method),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", Connect),
        (b"\x16\x03\x01\x02\x00\x01", RequestLine),
        (b"\x80", RequestLine),
    ];
    for (bytes, fault) in table {
        assert_eq!(verdict(bytes), HeadState::Fault(*fault), "{}", bytes.escape_ascii());
    }
}

#[test]
fn refused_targets() {
    for target in [
        "*",
        "a",
        "?a",
        "a:80",
        "http:/a",
        "http:///a",
        "http://",
        "http:a",
        "ftp://a/",
        "ws://a/",
        "://a",
        "http:\\\\a/",
        "/a#b",
        "/a\"",
        "/<",
        "/>",
        "/\\",
        "/^",
        "/`",
        "/{",
        "/|",
        "/}",
        "/\u{7f}",
        "/é",
        "/\0",
        "/\x01",
        "/\t",
    ] {
        assert_eq!(verdict(&targeting(target)), HeadState::Fault(WireFault::Target), "{target:?}");
    }
    for target in ["http://b/", "https://a:80/", "http://A/", "http://u@a/", "http://a%2f/", "http://a.?x"] {
        assert_eq!(verdict(&targeting(target)), HeadState::Fault(WireFault::Host), "{target:?}");
    }
}

#[test]
fn accepted_targets() {
    for target in ["/", "//a", "/%zz", "/a?b[]=1&c='%20", "/~(x);y=1,!$@:*+", "http://a", "http://a/b?c", "HTTPS://a?c"]
    {
        accepted(&targeting(target));
    }
    accepted(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn refused_fields() {
    for fields in [
        "X: a\n",
        "X: a\rb\r\n",
        "X: a\r\r\n",
        "X : a\r\n",
        "X\t: a\r\n",
        " X: a\r\n",
        "\tX: a\r\n",
        ": a\r\n",
        "X\r\n",
        "X: a\r\n b\r\n",
        "X: a\r\n\tb\r\n",
        "X: a\0\r\n",
        "X: \x01\r\n",
        "X: a\x0bb\r\n",
        "X: \x1f\r\n",
        "X: \x7f\r\n",
        "X: \x1b[0m\r\n",
        "X(: a\r\n",
        "X\0: a\r\n",
        "X\u{e9}: a\r\n",
        "X@Y: a\r\n",
        "\"X\": a\r\n",
        "X\x0b: a\r\n",
        " \r\n",
    ] {
        assert_eq!(verdict(&with(fields)), HeadState::Fault(WireFault::Field), "{fields:?}");
    }
    assert_eq!(verdict(b"GET / HTTP/1.1\r\n\nHost: a\r\n\r\n"), HeadState::Fault(WireFault::Field));
    assert_eq!(verdict(b"GET / HTTP/1.1\r\nHost: a\r\n\n"), HeadState::Fault(WireFault::Field));
    assert_eq!(verdict(b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"), HeadState::Fault(WireFault::Field));
}

#[test]
fn accepted_fields() {
    for fields in [
        "",
        "X:\r\n",
        "X: \r\n",
        "X:a\r\n",
        "X: \ta\t b \r\n",
        "X: \u{e9}\r\n",
        "!#$%&'*+-.^_`|~09azAZ: ~\r\n",
        "X: a\r\nX: a\r\n",
        "Ho-st: b\r\n",
        "Hosts: b\r\n",
        "Content-Lengths: 1\r\n",
        "Accept-Encodings: 1\r\n",
    ] {
        let bytes = with(fields);
        let head = accepted(&bytes);
        assert_eq!((head.start, head.end, head.framing), (0, bytes.len(), BodyFraming::None), "{fields:?}");
    }
}

#[test]
fn content_lengths() {
    for (value, framing) in [
        ("Content-Length: 0", BodyFraming::None),
        ("content-length:5", BodyFraming::Length(5)),
        ("CONTENT-LENGTH: 007", BodyFraming::Length(7)),
        ("Content-Length: 999999999999999999", BodyFraming::Length(999_999_999_999_999_999)),
    ] {
        assert_eq!(accepted(&with(&format!("{value}\r\n"))).framing, framing, "{value}");
    }
    for value in [
        "",
        " ",
        " +5",
        " -5",
        " 5 5",
        " 5,5",
        " 5, 5",
        " 0x5",
        " a",
        " 5a",
        " 5.0",
        "  5",
        " 5 ",
        "\t5",
        " 5\t",
        " 1e3",
        " 1_0",
        " \"5\"",
        " 5;",
        " 1000000000000000000",
        " 18446744073709551621",
        " 99999999999999999999999",
    ] {
        let bytes = with(&format!("Content-Length:{value}\r\n"));
        assert_eq!(verdict(&bytes), HeadState::Fault(WireFault::ContentLength), "{value:?}");
    }
    for second in ["5", "6"] {
        let bytes = with(&format!("Content-Length: 5\r\ncontent-length: {second}\r\n"));
        assert_eq!(verdict(&bytes), HeadState::Fault(WireFault::ContentLength));
    }
}

#[test]
fn transfer_encodings() {
    assert_eq!(accepted(&with("Transfer-Encoding: chunked\r\n")).framing, BodyFraming::Chunked);
    assert_eq!(accepted(&with("transfer-encoding:chunked\r\n")).framing, BodyFraming::Chunked);
    for value in [
        "",
        " ",
        " Chunked",
        " CHUNKED",
        " chunked ",
        "  chunked",
        "\tchunked",
        " chunked\t",
        " xchunked",
        " chunkedx",
        " gzip, chunked",
        " chunked, gzip",
        " chunked,",
        " ,chunked",
        " chunked, chunked",
        " identity",
        " \"chunked\"",
        " chunked;q=1",
        " gzip",
        " 'chunked'",
    ] {
        let bytes = with(&format!("Transfer-Encoding:{value}\r\n"));
        assert_eq!(verdict(&bytes), HeadState::Fault(WireFault::TransferEncoding), "{value:?}");
    }
    let twice = with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n");
    assert_eq!(verdict(&twice), HeadState::Fault(WireFault::TransferEncoding));
    assert_eq!(verdict(&with("Transfer-Encoding: \x0bchunked\r\n")), HeadState::Fault(WireFault::Field));
    let old = b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(verdict(old), HeadState::Fault(WireFault::TransferEncoding));
}

#[test]
fn two_framings() {
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
    ] {
        assert_eq!(verdict(&with(fields)), HeadState::Fault(WireFault::ConflictingFraming));
    }
}

#[test]
fn disguised_names() {
    for name in ["Transfer_Encoding", "transfer.encoding", "TRANSFER~ENCODING", "Content_Length", "content+length"] {
        assert_eq!(verdict(&with(&format!("{name}: 1\r\n"))), HeadState::Fault(WireFault::AliasedField), "{name}");
    }
}

#[test]
fn hosts() {
    let host = |fields: &str| verdict(format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes());
    for good in ["Host: a\r\n", "host:a.b-c:8080\r\n", "HOST: [::1]:80\r\n"] {
        assert!(matches!(host(good), HeadState::Complete(_)), "{good:?}");
    }
    for bad in [
        "",
        "X: a\r\n",
        "Host:\r\n",
        "Host: \r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhost: b\r\n",
        "Host: a b\r\n",
        "Host: a,b\r\n",
        "Host: u@a\r\n",
        "Host: a/b\r\n",
        "Host: a_b\r\n",
        "Host: a \r\n",
        "Host:  a\r\n",
        "Host: \ta\r\n",
        "Host: a:99999\r\n",
    ] {
        assert_eq!(host(bad), HeadState::Fault(WireFault::Host), "{bad:?}");
    }
    assert_eq!(verdict(b"GET / HTTP/1.0\r\n\r\n"), HeadState::Fault(WireFault::Host));
    accepted(b"GET http://[::1]:80/x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n");
}

#[test]
fn connection_options() {
    for good in ["close", "keep-alive", "keep-alive, Upgrade", "TE,,close", "X-User-Id", ""] {
        accepted(&with(&format!("Connection: {good}\r\n")));
    }
    accepted(&with(&format!("Connection: {}\r\n", "a,".repeat(9))));
    let many = "a,".repeat(10);
    for bad in [
        "Host",
        "close, content-length",
        "Transfer-Encoding",
        "X-Forwarded-For",
        "\"Host\"",
        ":authority",
        "a b",
        &many,
    ] {
        let bytes = with(&format!("Connection: {bad}\r\n"));
        assert_eq!(verdict(&bytes), HeadState::Fault(WireFault::Connection), "{bad}");
    }
}

#[test]
fn upgrades() {
    let kind = |bytes: &[u8]| accepted(bytes).upgrade;
    let handshake = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    assert_eq!(kind(&with("")), UpgradeKind::None);
    assert_eq!(kind(&with(handshake)), UpgradeKind::WebSocket);
    for other in [
        "Upgrade: websocket\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\nSec-WebSocket-Version: 13\r\n",
        "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nContent-Length: 1\r\n",
        "Upgrade:\r\n",
    ] {
        assert_eq!(kind(&with(other)), UpgradeKind::Other, "{other}");
    }
    for line in ["POST / HTTP/1.1", "GET / HTTP/1.0"] {
        assert_eq!(kind(format!("{line}\r\nHost: a\r\n{handshake}\r\n").as_bytes()), UpgradeKind::Other);
    }
}

#[test]
fn versions_and_expectations() {
    assert!(accepted(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").version_1_0);
    assert!(!accepted(&with("")).version_1_0);
    assert!(accepted(&with("Expect: 100-Continue\r\n")).expect_continue);
    assert!(!accepted(&with("")).expect_continue);
    assert!(!accepted(b"GET / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\n\r\n").expect_continue);
}

#[test]
fn one_leading_line_is_skipped_and_the_rest_left_alone() {
    let head = accepted(b"\r\nGET http://a/ HTTP/1.1\r\nHost: a\r\n\r\nGET /");
    assert_eq!((head.start, head.end), (2, 37));
}

#[test]
fn limits_are_exact() {
    let limits = HeadLimits { header_bytes: 40, header_fields: 3, target_bytes: 10 };
    let state = |target: &str, fields: &str| {
        inspect(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes(), &limits)
    };
    assert!(matches!(state("/23456789a", ""), HeadState::Complete(_)));
    assert_eq!(state("/23456789ab", ""), HeadState::Fault(WireFault::TargetTooLong));
    assert_eq!(state(&"/".repeat(9999), ""), HeadState::Fault(WireFault::TargetTooLong));
    // 9 bytes of Host, 2 of the empty line, 5 of `X: ` and the line end leave 24.
    assert!(matches!(state("/", &format!("X: {}\r\n", "x".repeat(24))), HeadState::Complete(_)));
    assert_eq!(state("/", &format!("X: {}\r\n", "x".repeat(25))), HeadState::Fault(WireFault::FieldsTooLarge));
    assert!(matches!(state("/", "X:\r\nY:\r\n"), HeadState::Complete(_)));
    assert_eq!(state("/", "X:\r\nY:\r\nZ:\r\n"), HeadState::Fault(WireFault::TooManyFields));
}

#[test]
fn an_endless_line_is_refused_before_it_ends() {
    let limits = HeadLimits::default();
    assert_eq!(verdict(&vec![b'a'; limits.whole_head()]), HeadState::Fault(WireFault::TargetTooLong));
    let mut bytes = b"GET / HTTP/1.1\r\n".to_vec();
    bytes.resize(bytes.len() + limits.header_bytes, b'a');
    assert_eq!(verdict(&bytes), HeadState::NeedMore);
    bytes.push(b'a');
    assert_eq!(verdict(&bytes), HeadState::Fault(WireFault::FieldsTooLarge));
}

/// Pieces of heads that go together well and badly.
fn near_heads() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        6 => Just(b"GET /a?b HTTP/1.1\r\n".to_vec()),
        1 => Just(b"POST http://a/ HTTP/1.1\r\n".to_vec()),
        1 => Just(b"OPTIONS * HTTP/1.0\r\n".to_vec()),
        1 => "\r\n[!-~]{1,3} /[!-~]{0,9} HTTP/1.[01]\r\n".prop_map(String::into_bytes),
        1 => "[A-Z]{1,3} http://a[!-~]{0,9} HTTP/1.1\r\n".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..12),
    ];
    let field = prop_oneof![
        4 => Just("Host: a\r\n".to_owned()),
        1 => Just("Content-Length: 12\r\n".to_owned()),
        1 => Just("Transfer-Encoding: chunked\r\n".to_owned()),
        1 => Just("Connection: Upgrade\r\nUpgrade: websocket\r\n".to_owned()),
        1 => "Connection: [!-~]{0,4}\r\n",
        1 => "[!-~]{1,8}:[ -~\t\u{80}-\u{100}]{0,9}\r\n",
        1 => "[!-~ \t\r\n]{0,9}\r\n",
    ];
    (line, proptest::collection::vec(field, 0..5), prop_oneof![9 => Just("\r\n"), 1 => Just("\n")])
        .prop_map(|(line, fields, end)| [line, fields.concat().into_bytes(), end.as_bytes().to_vec()].concat())
}

/// What Pingora makes of a head, if it takes it as a whole.
fn pingora_reads(head: &[u8]) -> Option<(usize, Option<Vec<u8>>)> {
    let stream = Box::new(Cursor::new(head.to_vec()));
    let mut session = HttpSession::new(stream);
    let read = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(session.read_request())
        .ok()??;
    Some((read, session.req_header().headers.get("host").map(|host| host.as_bytes().to_vec())))
}

#[test]
fn pingora_takes_every_accepted_byte() {
    let everything = |is_allowed: fn(u8) -> bool| (0..=255).filter(|&byte| is_allowed(byte)).collect::<Vec<u8>>();
    let target = everything(crate::edge::wire::octets::is_target);
    let token = everything(is_token);
    for method in token.chunks(20) {
        let head = [method, b" /", &target, b"?", &target, b" HTTP/1.1\r\nHost: a\r\n", &token, b":\r\n\r\n"].concat();
        accepted(&head);
        assert_eq!(pingora_reads(&head), Some((head.len(), Some(b"a".to_vec()))), "{}", head.escape_ascii());
    }
}

proptest! {
    #[test]
    fn pingora_takes_every_accepted_authority(
        host in r"([a-zA-Z0-9.-]{1,9}|\[([0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}\])(:[0-9]{1,5})?",
        rest in "(/|[?])?[!-~]{0,5}",
    ) {
        let head = format!("GET http://{host}{rest} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
        if let HeadState::Complete(_) = verdict(&head) {
            prop_assert_eq!(pingora_reads(&head), Some((head.len(), Some(host.into_bytes()))), "{}", head.escape_ascii());
        }
    }

    #[test]
    fn any_bytes_get_a_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        verdict(&bytes);
    }

    #[test]
    fn the_verdict_does_not_depend_on_the_pieces(
        bytes in near_heads(),
        cuts in proptest::collection::vec(0..200_usize, 0..8),
    ) {
        let limits = HeadLimits { header_bytes: 90, header_fields: 4, target_bytes: 8 };
        let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([bytes.len()]).collect();
        ends.sort_unstable();
        let mut scanner = HeadScanner::new(limits);
        let piecemeal = ends
            .into_iter()
            .map(|end| scanner.advance(&bytes[..end]))
            .find(|state| *state != HeadState::NeedMore)
            .unwrap_or(HeadState::NeedMore);
        prop_assert_eq!(piecemeal, inspect(&bytes, &limits));
    }

    #[test]
    fn what_is_accepted_has_only_whole_line_ends(bytes in near_heads()) {
        if let HeadState::Complete(head) = verdict(&bytes) {
            let head = &bytes[head.start..head.end];
            prop_assert!(head.ends_with(b"\r\n\r\n"));
            for (at, byte) in head.iter().enumerate() {
                prop_assert!(*byte != b'\n' || head[at - 1] == b'\r');
                prop_assert!(*byte != b'\r' || head[at + 1] == b'\n');
                prop_assert!(*byte != 0);
            }
        }
    }

    #[test]
    fn what_is_accepted_is_taken_by_pingora_to_the_last_byte(bytes in near_heads()) {
        if let HeadState::Complete(head) = verdict(&bytes) {
            let head = &bytes[head.start..head.end];
            prop_assert_eq!(pingora_reads(head), Some((head.len(), Some(b"a".to_vec()))), "{}", head.escape_ascii());
        }
    }
}

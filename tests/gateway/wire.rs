//! Framing: a message ends in one place for everybody, or it is refused and the connection closed.

use std::net::Shutdown;

use crate::harness::upstream::sum;
use crate::harness::{Client, World, eventually};

/// Would be answered if anybody took it for a request.
const SMUGGLED: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

fn public() -> World {
    World::with_routes("  - { path: /, upstream: backend, access: public }")
}

/// Each is refused with this status and code, closed, and recorded; nothing of it reaches the upstream.
fn refused(world: &World, status: u16, code: &str, requests: &[Vec<u8>]) {
    for request in requests {
        let shown = request[..request.len().min(200)].escape_ascii().to_string();
        let counted = world.counted(code);
        let lines = world.access_text().lines().count();
        let bytes = [request, SMUGGLED].concat();
        let (reply, mut client) = world.exchange(&bytes);
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{shown}");
        assert!(!reply.json()["detail"].as_str().unwrap().is_empty());
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("connection"), Some("close"), "{shown}");
        assert!(client.is_closed(), "{shown}");
        assert!(world.counted(code) > counted, "{shown}");
        eventually("its line in the access log", || {
            let log = world.access_log(lines + 1);
            log[lines..].iter().any(|line| line["reason"] == code && line["status"] == status).then_some(())
        });
    }
    assert_eq!(world.upstream.seen(), []);
}

fn head(fields: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes()
}

#[test]
fn a_length_that_is_not_one_plain_number_is_refused() {
    let values = ["", "+5", "-5", "5 ", " 5", "0x5", "5,5", "5, 5", "5;", "5.0", "5e0", "1 2", "99999999999999999999"];
    let mut requests: Vec<_> = values.iter().map(|value| head(&format!("Content-Length: {value}\r\n"))).collect();
    requests.push(head("Content-Length: 5\r\nContent-Length: 5\r\n"));
    requests.push(head("Content-Length: 5\r\ncontent-length: 6\r\n"));
    refused(&public(), 400, "bad_request", &requests);
}

#[test]
fn a_transfer_encoding_that_is_not_exactly_chunked_is_refused() {
    let values = [
        "",
        "Chunked",
        "CHUNKED",
        "gzip",
        "identity",
        "gzip, chunked",
        "chunked, chunked",
        "chunked, identity",
        "chunked;q=1",
        "\"chunked\"",
        "chunked,",
        ",chunked",
        " chunked",
        "chunked ",
        "\tchunked",
        "xchunked",
    ];
    let mut requests: Vec<_> = values.iter().map(|value| head(&format!("Transfer-Encoding: {value}\r\n"))).collect();
    requests.push(head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"));
    requests.push(head("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"));
    requests.push(head("Transfer-Encoding: \x0bchunked\r\n"));
    requests.push(b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec());
    refused(&public(), 400, "bad_request", &requests);
}

#[test]
fn a_message_with_two_framings_is_refused() {
    let requests = [
        head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        head("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        head("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
        head("Transfer-Encoding: identity\r\nContent-Length: 5\r\n"),
    ];
    refused(&public(), 400, "bad_request", &requests);
    let aliases = ["Transfer_Encoding: chunked", "Content_Length: 5", "Transfer.Encoding: x", "CONTENT_LENGTH: 5"];
    let requests: Vec<_> = aliases.iter().map(|field| head(&format!("{field}\r\n"))).collect();
    refused(&public(), 400, "reserved_header", &requests);
}

#[test]
fn a_field_line_that_parsers_disagree_about_is_refused() {
    let fields = [
        "A: b\r\n c\r\n",
        "A: b\r\n\tc\r\n",
        " A: b\r\n",
        "A : b\r\n",
        "A\t: b\r\n",
        ": b\r\n",
        "A\r\n",
        "A: b\nX: c\r\n",
        "A: b\n",
        "A: b\rX: c\r\n",
        "A: b\0\r\n",
        "A\0: b\r\n",
        "A: \x01\r\n",
        "A: \x7f\r\n",
        "A: \x1b[31m\r\n",
        "A b: c\r\n",
        "\u{e9}: b\r\n",
        "A(: b\r\n",
        "Connection: content-length\r\nContent-Length: 3\r\n",
        "Connection: host\r\n",
        "Connection: \"x\"\r\n",
    ];
    let requests: Vec<_> = fields.iter().map(|field| head(field)).collect();
    refused(&public(), 400, "bad_request", &requests);
}

#[test]
fn a_request_line_has_three_parts_and_a_version_we_speak() {
    let host = "Host: a\r\n\r\n";
    let bad = [
        "GET / HTTP/1.1\nHost: a\n\n".to_owned(),
        format!("GET /\r\n{host}"),
        format!("GET  / HTTP/1.1\r\n{host}"),
        format!("GET /  HTTP/1.1\r\n{host}"),
        format!("GET / HTTP/1.1 \r\n{host}"),
        format!("GET\t/ HTTP/1.1\r\n{host}"),
        format!("GET / http/1.1\r\n{host}"),
        format!("GET / HTTP/1.10\r\n{host}"),
        format!("GET / HTTP/11\r\n{host}"),
        format!("GET / ICY/1.1\r\n{host}"),
        format!(" GET / HTTP/1.1\r\n{host}"),
        format!("\0GET / HTTP/1.1\r\n{host}"),
        format!("G(T / HTTP/1.1\r\n{host}"),
        format!("\r\n\r\nGET / HTTP/1.1\r\n{host}"),
        format!("\nGET / HTTP/1.1\r\n{host}"),
        format!("{} / HTTP/1.1\r\n{host}", "A".repeat(33)),
        "\x16\x03\x01\x02\0\x01\0\x01".to_owned(),
        "\r\n\x7f\r\n".to_owned(),
    ];
    refused(&public(), 400, "bad_request", &bad.map(String::into_bytes));
    let versions = ["0.9", "1.2", "2.0", "3.0", "9.9", "2"].map(|v| format!("GET / HTTP/{v}\r\n{host}").into_bytes());
    refused(&public(), 505, "version_unsupported", &versions);
    refused(&public(), 505, "version_unsupported", &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()]);
}

#[test]
fn a_head_has_bounds() {
    let many: String = (0..100).map(|n| format!("A{n}: b\r\n")).collect();
    let large = format!("A: {}\r\n", "b".repeat(33 * 1024));
    let endless = format!("POST / HTTP/1.1\r\nHost: a\r\nA: {}", "b".repeat(33 * 1024));
    refused(&public(), 431, "header_too_large", &[head(&many), head(&large), endless.into_bytes()]);
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(8 * 1024));
    let endless = format!("GET /{}", "a".repeat(9 * 1024));
    refused(&public(), 414, "target_too_long", &[target.into_bytes(), endless.into_bytes()]);

    let world = public();
    let most: String = (0..99).map(|n| format!("A{n}: b\r\n")).collect();
    assert_eq!(world.exchange(&head(&most)).0.status, 200);
    let longest = format!("/{}", "a".repeat(8 * 1024 - 1));
    assert_eq!(world.get(&longest, &[]).seen().target, longest);
}

#[test]
fn a_chunk_has_a_plain_size_and_ends_where_it_says() {
    let bodies = [
        "x\r\n",
        "+1\r\na\r\n0\r\n\r\n",
        "0x1\r\na\r\n0\r\n\r\n",
        " 1\r\na\r\n0\r\n\r\n",
        "1 \r\na\r\n0\r\n\r\n",
        "1\na\r\n0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "1\r\na\n0\r\n\r\n",
        "100000000\r\na",
        "ffffffffffffffff\r\na",
        "10000000000000001\r\na\r\n0\r\n\r\n",
        "1;\0\r\na\r\n0\r\n\r\n",
        "1;a\nb\r\na\r\n0\r\n\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\nA: b\n\r\n",
    ];
    let mut requests: Vec<Vec<u8>> =
        bodies.iter().map(|body| [&head("Transfer-Encoding: chunked\r\n"), body.as_bytes()].concat()).collect();
    let extension = format!("1;{}\r\na\r\n0\r\n\r\n", "e".repeat(300));
    requests.push([&head("Transfer-Encoding: chunked\r\n"), extension.as_bytes()].concat());
    refused(&public(), 400, "bad_request", &requests);
}

#[test]
fn chunk_extensions_and_trailers_end_here_and_the_message_keeps_one_framing() {
    let world = public();
    let body = "3;name=\"v\"\r\nabc\r\n2\r\nde\r\n0;last\r\nX-Auth-User-Id: forged\r\nX-Trailer: t\r\n\r\n";
    let fields = "Transfer-Encoding: chunked\r\nTrailer: X-Trailer\r\nTE: trailers\r\n";
    let (reply, mut client) = world.exchange(&[&head(fields), body.as_bytes()].concat());
    let seen = reply.seen();
    assert_eq!((seen.body_bytes, seen.body_sum, seen.body_start.as_str()), (5, sum(b"abcde"), "abcde"));
    assert_eq!(seen.all("transfer-encoding").len() + seen.all("content-length").len(), 1, "{seen:?}");
    for name in ["x-auth-user-id", "x-trailer", "te", "keep-alive", "proxy-connection"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    let seen = client.request("POST", "/next", &[], b"12345").seen();
    assert_eq!((seen.target.as_str(), seen.body_bytes, seen.header("content-length")), ("/next", 5, Some("5")));
}

#[test]
fn every_request_on_a_connection_is_authenticated_by_itself() {
    let world = World::start();
    let ((first, one), (second, two)) = (world.key("a"), world.key("b"));
    let mut client = Client::connect(world.http());
    for _ in 0..3 {
        let seen = client.request("GET", "/", &[("X-API-Key", &one)], b"").seen();
        assert_eq!(seen.header("x-auth-key-id"), Some(first.id.as_str()));
        assert_eq!(client.request("GET", "/", &[], b"").status, 401);
        let seen = client.request("POST", "/", &[("X-API-Key", &two)], b"body").seen();
        assert_eq!(seen.header("x-auth-key-id"), Some(second.id.as_str()));
        assert_eq!(client.request("GET", "/", &[("X-API-Key", "pk_nonsense")], b"").status, 401);
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_and_each_by_its_own_right() {
    let world = World::start();
    let (_, key) = world.key("");
    let mut client = Client::connect(world.http());
    let with = format!("X-API-Key: {key}\r\n");
    let all = format!(
        "GET /one HTTP/1.1\r\nHost: a\r\n{with}\r\nPOST /two HTTP/1.1\r\nHost: a\r\n{with}Content-Length: 3\r\n\r\nabc\
         GET /three HTTP/1.1\r\nHost: a\r\n\r\nGET /four HTTP/1.1\r\nHost: a\r\n{with}\r\n"
    );
    client.write(all.as_bytes());
    assert_eq!(client.reply(false).seen().target, "/one");
    let two = client.reply(false).seen();
    assert_eq!((two.target.as_str(), two.body_start.as_str()), ("/two", "abc"));
    assert_eq!(client.reply(false).status, 401);
    assert_eq!(client.reply(false).seen().target, "/four");
}

#[test]
fn an_older_client_gets_one_answer_and_the_end_of_the_connection() {
    let world = public();
    for fields in ["", "Connection: keep-alive\r\n", "Content-Length: 0\r\n"] {
        let request = format!("GET /old HTTP/1.0\r\nHost: a\r\n{fields}\r\n");
        let (reply, mut client) = world.exchange(&[request.as_bytes(), SMUGGLED].concat());
        let seen = reply.seen();
        assert_eq!(seen.target, "/old");
        assert!(client.is_closed(), "{fields}");
    }
    assert!(world.upstream.seen().iter().all(|seen| seen.target == "/old"));
}

/// Whoever answers without reading a body must not find requests in it.
#[test]
fn the_unread_body_of_a_refused_request_is_never_a_request() {
    let world = World::start();
    let (_, key) = world.key("");
    let smuggled = format!("GET /smuggled HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n");
    let chunked = format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
    for (fields, body) in [
        (format!("Content-Length: {}\r\n", smuggled.len()), &smuggled),
        // Announced larger than what comes.
        (format!("Content-Length: {}\r\n", smuggled.len() * 100), &smuggled),
        ("Transfer-Encoding: chunked\r\n".to_owned(), &chunked),
        (format!("Expect: 100-continue\r\nContent-Length: {}\r\n", smuggled.len()), &smuggled),
    ] {
        for path in ["/", "/a//b", "/api/v1/auth/me/", "/api/v1/auth/nothing-here"] {
            let mut client = Client::connect(world.http());
            // Apart, so that the gateway may answer before the body is there.
            client.write(format!("POST {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes());
            let _ = client.try_write(body.as_bytes());
            let _ = client.socket().shutdown(Shutdown::Write);
            let all = String::from_utf8_lossy(&client.rest()).into_owned();
            assert!(all.starts_with("HTTP/1.1 4"), "{path}: {all}");
            assert_eq!(all.matches("HTTP/1.1").count(), 1, "{path}: {all}");
        }
    }
    assert_eq!(world.upstream.seen(), []);
}

//! Requests over TLS: judged as those in the clear are, and told from them.

use std::sync::Arc;

use rustls::{ClientConfig, HandshakeKind, ProtocolVersion};

use crate::harness::certificates::Authority;
use crate::harness::upstream::sum;
use crate::harness::{Client, Plan, World};
use crate::websocket::{HANDSHAKE, upgrade};

const NAME: &str = "gateway.test";

/// A world behind a certificate for [`NAME`], and a client that trusts it.
struct Secure {
    world: World,
    client: Arc<ClientConfig>,
}

impl Secure {
    fn plan(further: &str, plan: Plan) -> Self {
        let authority = Authority::new();
        authority.issue("own", &[NAME]);
        let https = format!("certificates: [{}]{further}", authority.item("own"));
        Self { world: World::plan(Plan { https: Some(https), ..plan }), client: authority.client() }
    }

    fn public() -> Self {
        let routes = Some("  - { path: /, upstream: backend, access: public }".to_owned());
        Self::plan("", Plan { routes, ..Plan::default() })
    }

    fn connect(&self) -> Client {
        Client::connect_tls(self.world.https(), &self.client, NAME).unwrap()
    }
}

#[test]
fn a_request_goes_through_and_the_next_on_the_same_connection() {
    let secure = Secure::plan("", Plan::default());
    let (_, key) = secure.world.key("");
    let mut client = secure.connect();
    assert_eq!(client.request("GET", "/", &[], b"").status, 401);
    let seen = client.request("GET", "/first", &[("X-API-Key", &key)], b"").seen();
    assert_eq!((seen.target.as_str(), seen.header("x-auth-user-id")), ("/first", Some("service:robot")));
    assert_eq!(client.request("HEAD", "/second", &[("X-API-Key", &key)], b"").status, 200);
    let tls = client.tls().unwrap();
    assert_eq!(tls.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(tls.alpn_protocol(), Some(&b"http/1.1"[..]));
    let line = secure.world.access_log(3).pop().unwrap();
    assert_eq!((line["client"].as_str(), line["path"].as_str()), (Some("127.0.0.1"), Some("/second")));
}

#[test]
fn the_gateways_own_endpoints_are_served() {
    let secure = Secure::plan("", Plan::default());
    secure.world.user("anna");
    let body = format!(r#"{{"username":"anna","password":"{}"}}"#, crate::harness::PASSWORD);
    let json = [("Content-Type", "application/json")];
    let reply = secure.connect().request("POST", "/api/v1/auth/token/", &json, body.as_bytes());
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[test]
fn upstreams_are_told_how_the_client_came_whatever_it_says() {
    let secure = Secure::public();
    let claims = |proto| [("X-Forwarded-Proto", proto), ("X_Forwarded_Proto", proto), ("X-Forwarded-Ssl", "on")];
    let over_tls = secure.connect().request("GET", "/", &claims("http"), b"").seen();
    let plain = secure.world.get("/", &claims("https")).seen();
    for (seen, proto) in [(over_tls, "https"), (plain, "http")] {
        assert_eq!(seen.all("x-forwarded-proto"), [proto], "{seen:?}");
        assert_eq!((seen.all("x_forwarded_proto"), seen.header("x-forwarded-ssl")), (vec![], None));
        assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    }
}

#[test]
fn a_trusted_proxy_may_come_over_tls_and_says_how_its_client_came() {
    let extra = "trusted_proxies: [127.0.0.0/8]".to_owned();
    let routes = Some("  - { path: /, upstream: backend, access: public }".to_owned());
    let secure = Secure::plan("", Plan { routes, extra, ..Plan::default() });
    for (given, told) in [(Some("http"), "http"), (Some("https"), "https"), (Some("ftp"), "https"), (None, "https")] {
        let mut headers = vec![("X-Forwarded-For", "192.0.2.7")];
        headers.extend(given.map(|proto| ("X-Forwarded-Proto", proto)));
        let seen = secure.connect().request("GET", "/", &headers, b"").seen();
        assert_eq!(seen.header("x-forwarded-proto"), Some(told));
        assert_eq!(seen.header("x-forwarded-for"), Some("192.0.2.7, 127.0.0.1"));
    }
}

#[test]
fn large_bodies_pass_both_ways() {
    let secure = Secure::public();
    let body: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut client = secure.connect();
    let seen = client.request("POST", "/", &[], &body).seen();
    assert_eq!((seen.body_bytes, seen.body_sum), (body.len() as u64, sum(&body)));
    let reply = client.request("GET", "/download/20000000", &[], b"");
    assert_eq!((reply.status, reply.body.len()), (200, 20_000_000));
    assert!(reply.body.iter().all(|byte| *byte == b'x'));
    assert_eq!(client.request("GET", "/after", &[], b"").seen().target, "/after");
}

#[test]
fn a_websocket_carries_bytes_both_ways() {
    let secure = Secure::plan("", Plan::default());
    let (_, key) = secure.world.key("");
    let mut client = secure.connect();
    client.write(upgrade("/socket", &format!("{HANDSHAKE}X-API-Key: {key}\r\n")).as_bytes());
    assert_eq!(client.reply(false).status, 101);
    for size in [1, 5, 70_000] {
        let bytes: Vec<u8> = (0..size).map(|n: u32| n.to_le_bytes()[0]).collect();
        client.write(&bytes);
        assert_eq!(client.read_exactly(bytes.len()), bytes);
    }
}

/// What it was let in with is looked for by the connection, which is not told by the client's end alone.
#[test]
fn a_websocket_ends_when_its_key_is_revoked() {
    let secure = Secure::plan("", Plan::default());
    let (record, key) = secure.world.key("");
    let open = |mut client: Client| {
        client.write(upgrade("/socket", &format!("{HANDSHAKE}X-API-Key: {key}\r\n")).as_bytes());
        assert_eq!(client.reply(false).status, 101);
        client.write(b"x");
        assert_eq!(client.read_exactly(1), b"x");
        client
    };
    let mut tunnels = [open(secure.connect()), open(Client::connect(secure.world.http()))];
    let operator = crate::harness::operator();
    secure.world.wait(secure.world.administration.keys.revoke(record.id.as_str(), "over", &operator)).unwrap();
    for tunnel in &mut tunnels {
        assert!(tunnel.is_closed());
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused_as_it_is_in_the_clear() {
    let secure = Secure::public();
    for (request, status) in [
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET /a/../b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405),
    ] {
        let answer = secure.connect().raw(request.as_bytes());
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer:?}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer:?}");
    }
    assert_eq!(secure.world.upstream.seen(), []);
    // What is sent ahead is a request of its own, and waits for the one before.
    let pipelined = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut client = secure.connect();
    client.write(pipelined.as_bytes());
    assert_eq!((client.reply(false).seen().target, client.reply(false).seen().target), ("/1".into(), "/2".into()));
}

#[test]
fn a_slow_head_is_ended_over_tls_too() {
    let secure = Secure::plan("", Plan { extra: "limits: { head_timeout: 1s }".to_owned(), ..Plan::default() });
    let mut client = secure.connect();
    client.write(b"GET / HTTP/1.1\r\nHost: a\r\n");
    let reply = client.reply(false);
    assert_eq!((reply.status, reply.code().as_str()), (408, "head_timeout"));
}

#[test]
fn browsers_are_told_to_come_back_over_tls_only_where_it_is_set_and_in_our_own_answers() {
    const HSTS: &str = "strict-transport-security";
    let routes = "  - { path: /open, upstream: backend, access: public }\n  - { path: /, upstream: backend, access: { any: [jwt] } }";
    let plan = || Plan { routes: Some(routes.to_owned()), ..Plan::default() };
    let secure = Secure::plan(", hsts: 365d", plan());
    let mut client = secure.connect();
    for (target, expected) in [("/", Some("max-age=31536000")), ("/.well-known/jwks.json", Some("max-age=31536000"))] {
        assert_eq!(client.request("GET", target, &[], b"").header(HSTS), expected, "{target}");
        assert_eq!(secure.world.get(target, &[]).header(HSTS), None, "{target}");
    }
    assert_eq!(client.request("GET", "/open", &[], b"").header(HSTS), None);
    let failed = client.request("GET", "/open/../", &[], b"");
    assert_eq!((failed.status, failed.header(HSTS)), (400, Some("max-age=31536000")));
    let mut client = secure.connect();
    let failed = client.request("GET", "/hang-up", &[], b"");
    assert_eq!((failed.status, failed.header(HSTS)), (401, Some("max-age=31536000")));
    let secure = Secure::plan("", plan());
    assert_eq!(secure.connect().request("GET", "/", &[], b"").header(HSTS), None);
}

/// An end without `close_notify` could be anybody's, who cuts an answer short.
#[test]
fn every_connection_is_closed_in_so_many_words() {
    let secure = Secure::public();
    let end = |client: &mut Client| {
        let mut rest = Vec::new();
        client
            .read_rest(&mut rest)
            .map(|_| String::from_utf8_lossy(&rest).into_owned())
            .map_err(|error| error.to_string())
    };
    for close in [&[("Connection", "close")][..], &[]] {
        let mut client = secure.connect();
        client.send("GET", "/", close, b"");
        if close.is_empty() {
            client.write(b"no request\r\n\r\n");
        }
        assert_eq!(client.reply(false).status, 200);
        let rest = end(&mut client).unwrap();
        assert!(if close.is_empty() { rest.starts_with("HTTP/1.1 400 ") } else { rest.is_empty() }, "{rest}");
    }
    let mut client = secure.connect();
    client.write(b"GET /a HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.reply(false).status, 200);
    assert_eq!(end(&mut client), Ok(String::new()));
}

#[test]
fn a_session_is_taken_up_again() {
    let secure = Secure::public();
    let mut first = secure.connect();
    // The ticket comes with the first answer, if not before.
    assert_eq!(first.request("GET", "/", &[], b"").status, 200);
    assert_eq!(first.tls().unwrap().handshake_kind(), Some(HandshakeKind::Full));
    let mut second = secure.connect();
    assert_eq!(second.tls().unwrap().handshake_kind(), Some(HandshakeKind::Resumed));
    assert_eq!(second.request("GET", "/", &[], b"").status, 200);
}

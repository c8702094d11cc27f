//! An upgrade: admitted like any request, and bytes are a tunnel's only once the upstream has agreed.

use crate::harness::authenticator::Enrolled;
use crate::harness::{Client, PASSWORD, Plan, World};
use portcullis::domain::api_key::KeyChanges;
use portcullis::domain::key_reach::{MethodNames, RouteNames};
use portcullis::domain::network_set::NetworkSet;
use portcullis::domain::scope::ScopeSet;
use serde_json::json;

pub const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

pub fn upgrade(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

#[test]
fn a_websocket_goes_through_with_a_credential_and_carries_bytes_both_ways() {
    let world = World::start();
    let (record, key) = world.key("");
    let forged = format!("{HANDSHAKE}X-API-Key: {key}\r\nX-Auth-User-Id: forged\r\n");
    let (reply, mut client) = world.exchange(upgrade("/socket", &forged).as_bytes());
    assert_eq!(reply.status, 101, "{reply:?}");
    assert_eq!(reply.header("upgrade"), Some("websocket"));
    let seen = world.upstream.seen().pop().unwrap();
    assert_eq!(seen.header("x-auth-key-id"), Some(record.id.as_str()));
    assert_eq!(seen.header("x-auth-user-id"), Some("service:robot"));
    assert_eq!(seen.header("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_eq!(seen.header("x-api-key"), None);
    for size in [1, 5, 70_000] {
        let bytes: Vec<u8> = (0..size).map(|n: u32| n.to_le_bytes()[0]).collect();
        client.write(&bytes);
        assert_eq!(client.read_exactly(bytes.len()), bytes);
    }
    // What would be a request is bytes here.
    let request = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write(request);
    assert_eq!(client.read_exactly(request.len()), request);
    assert_eq!(world.upstream.seen().len(), 1);
}

#[test]
fn a_websocket_without_a_credential_is_refused_before_the_upstream_hears_of_it() {
    let world = World::start();
    for fields in [HANDSHAKE.to_owned(), format!("{HANDSHAKE}X-API-Key: nonsense\r\n")] {
        let (reply, _) = world.exchange(upgrade("/socket", &fields).as_bytes());
        assert_eq!(reply.status, 401);
    }
    assert_eq!(world.upstream.seen(), []);
}

#[test]
fn no_other_upgrade_is_forwarded() {
    let world = World::with_routes("  - { path: /, upstream: backend, access: public }");
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for fields in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n".to_owned(),
        "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n".to_owned(),
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\nSec-WebSocket-Version: 13\r\n".to_owned(),
        "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n".to_owned(),
        format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{key}"),
        format!("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n{key}"),
    ] {
        let (reply, mut client) = world.exchange(upgrade("/plain", &fields).as_bytes());
        let seen = reply.seen();
        assert_eq!((seen.header("upgrade"), seen.header("http2-settings")), (None, None), "{fields}");
        assert!(!seen.all("connection").concat().to_lowercase().contains("upgrade"), "{seen:?}");
        assert_eq!(client.request("GET", "/next", &[], b"").seen().target, "/next");
    }
}

/// An upstream that switches protocols unasked must not turn the connection into a tunnel past the gateway.
#[test]
fn an_upstream_that_answers_101_to_no_handshake_gives_the_client_no_tunnel() {
    let world = World::with_routes("  - { path: /, upstream: backend, access: public }");
    for (method, fields) in [
        ("GET", String::new()),
        ("GET", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n".to_owned()),
        ("GET", "Connection: Upgrade\r\nUpgrade: h2c\r\n".to_owned()),
        ("POST", HANDSHAKE.to_owned()),
        ("GET", format!("{HANDSHAKE}Content-Length: 4\r\n")),
    ] {
        let request = format!("{method} /socket HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut client = Client::connect(world.http());
        client.write(request.as_bytes());
        let _ = client.try_write(b"echo-this-back");
        let _ = client.socket().shutdown(std::net::Shutdown::Write);
        let all = String::from_utf8_lossy(&client.rest()).into_owned();
        assert!(!all.contains(" 101 ") && !all.contains("echo-this-back"), "{request}: {all}");
    }
}

#[test]
fn bytes_after_a_handshake_that_was_not_granted_are_the_next_request() {
    let world = World::start();
    let (_, key) = world.key("");
    let fields = format!("{HANDSHAKE}X-API-Key: {key}\r\n");
    let next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    // The upstream answers this path with 200 and no switch.
    let (reply, mut client) = world.exchange(format!("{}{next}", upgrade("/plain", &fields)).as_bytes());
    assert_eq!(reply.seen().target, "/plain");
    // Refused for want of a credential, or never read: both are right, and forwarding it is not.
    if let Some(reply) = client.try_reply(false) {
        assert_eq!(reply.status, 401);
    }
    let targets: Vec<String> = world.upstream.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/plain"]);
}

#[test]
fn a_websocket_ends_with_the_session_or_key_that_it_was_let_in_with() {
    let world = World::start();
    world.user("anna");
    let (token, _) = world.sign_in("anna");
    let (other, _) = world.sign_in("anna");
    let (record, key) = world.key("");
    let open = |field: &str| {
        let (reply, client) = world.exchange(upgrade("/socket", &format!("{HANDSHAKE}{field}\r\n")).as_bytes());
        assert_eq!(reply.status, 101, "{reply:?}");
        client
    };
    let mut ended = open(&format!("Authorization: Bearer {token}"));
    let mut kept = open(&format!("Authorization: Bearer {other}"));
    let mut revoked = open(&format!("X-API-Key: {key}"));

    let bearer = format!("Bearer {token}");
    assert_eq!(world.request("POST", "/api/v1/auth/logout/", &[("Authorization", &bearer)], b"").status, 200);
    world.wait(world.administration.keys.revoke(&record.prefix, "leaked", &crate::harness::operator())).unwrap();
    // Silent ones too: nobody has to say anything for it to be noticed.
    assert!(ended.is_closed() && revoked.is_closed());
    kept.write(b"still here");
    assert_eq!(kept.read_exactly(10), b"still here");
}

#[test]
fn a_websocket_ends_when_its_user_may_not_open_it_any_more() {
    let world =
        World::with_routes("  - { path: /, upstream: backend, access: { any: [jwt, api_key], scopes: [live] } }");
    let anna = world.user_with("anna", false, "live");
    let (token, _) = world.sign_in("anna");
    let (reply, mut client) =
        world.exchange(upgrade("/socket", &format!("{HANDSHAKE}Authorization: Bearer {token}\r\n")).as_bytes());
    assert_eq!(reply.status, 101, "{reply:?}");
    let without = portcullis::domain::user::UserChanges {
        scopes: Some(portcullis::domain::scope::ScopeSet::default()),
        ..Default::default()
    };
    world.wait(world.administration.users.change(&anna, &without, &crate::harness::operator())).unwrap();
    assert!(client.is_closed());
}

#[test]
fn a_websocket_ends_when_the_key_that_it_was_opened_with_is_narrowed() {
    let world = World::with_routes(
        "  - { name: live, path: /, upstream: backend, access: { any: [api_key], scopes: [live] } }",
    );
    let narrowed = [
        KeyChanges { scopes: Some(ScopeSet::default()), ..KeyChanges::default() },
        KeyChanges { networks: Some(NetworkSet::parse("192.0.2.0/24").unwrap()), ..KeyChanges::default() },
        KeyChanges { routes: Some(RouteNames::parse("another").unwrap()), ..KeyChanges::default() },
        KeyChanges { methods: Some(MethodNames::parse("POST").unwrap()), ..KeyChanges::default() },
    ];
    // What is no narrower than what it is used for ends nothing.
    let kept = KeyChanges {
        networks: Some(NetworkSet::parse("127.0.0.0/8").unwrap()),
        routes: Some(RouteNames::parse("live").unwrap()),
        methods: Some(MethodNames::parse("GET").unwrap()),
        ..KeyChanges::default()
    };
    let mut open: Vec<(Client, bool)> = Vec::new();
    for (changes, ends) in narrowed.into_iter().map(|changes| (changes, true)).chain([(kept, false)]) {
        let (record, key) = world.key("live");
        let (reply, client) =
            world.exchange(upgrade("/socket", &format!("{HANDSHAKE}X-API-Key: {key}\r\n")).as_bytes());
        assert_eq!(reply.status, 101, "{reply:?}");
        world.wait(world.administration.keys.change(&record, changes, &crate::harness::operator())).unwrap();
        open.push((client, ends));
    }
    for (client, ends) in &mut open {
        if *ends {
            assert!(client.is_closed());
        } else {
            client.write(b"still here");
            assert_eq!(client.read_exactly(10), b"still here");
        }
    }
}

#[test]
fn a_websocket_that_takes_two_factors_ends_when_one_of_them_is_removed() {
    let routes =
        "  - { name: strong, path: /strong, strip_prefix: true, upstream: backend, access: { any: [jwt], assurance: two_factors } }
  - { name: rest, path: /, upstream: backend, access: { any: [jwt] } }";
    let (plan, clock) = Plan { routes: Some(routes.to_owned()), ..Plan::default() }.timed();
    let world = World::plan(plan);
    world.user("anna");
    let (first, _) = world.sign_in("anna");
    let Enrolled { authenticator, .. } = world.enrol(&first, &clock);
    let step = |clock: &portcullis::domain::clock::ManualClock| {
        clock.advance(std::time::Duration::from_secs(30));
        authenticator.now(clock)
    };
    let (access, _) = world.sign_in_with("anna", &step(&clock));
    let open = |path: &str| {
        let field = format!("{HANDSHAKE}Authorization: Bearer {access}\r\n");
        let (reply, client) = world.exchange(upgrade(path, &field).as_bytes());
        assert_eq!(reply.status, 101, "{reply:?}");
        client
    };
    let (mut strong, mut plain) = (open("/strong/socket"), open("/socket"));
    // The session in which it is done goes on, and is not what it was.
    let both = json!({ "password": PASSWORD, "otp": step(&clock) });
    let reply = world.post_json_as("/api/v1/auth/2fa/totp/disable/", &access, &both);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(world.me(&access).json()["assurance"], "one_factor");
    assert!(strong.is_closed());
    plain.write(b"still here");
    assert_eq!(plain.read_exactly(10), b"still here");
}

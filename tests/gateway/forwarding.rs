//! Where a request came from: told by the connection, or by a proxy that is trusted.

use crate::harness::{Plan, World};

const SPOOFED: &[&str] = &[
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Server",
    "X-Forwarded-Prefix",
    "X-Forwarded-Scheme",
    "X-Forwarded-Ssl",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-A-Name-That-Is-Longer-Than-Any-Name-In-Use",
    "Forwarded",
    "Via",
    "X-Real-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "Fastly-Client-IP",
    "Client-IP",
    "X-Original-URL",
    "X-Original-Host",
    "X-Original-Forwarded-For",
    "X-Rewrite-URL",
    "X-Accel-Redirect",
    "X-Sendfile",
    "X-HTTP-Method",
    "X-HTTP-Method-Override",
    "X-Method-Override",
    "X-Request-Id",
];

fn trusting(networks: &str) -> World {
    World::plan(Plan {
        routes: Some("  - { path: /, upstream: backend, access: public }".to_owned()),
        extra: format!("trusted_proxies: [{networks}]"),
        ..Plan::default()
    })
}

#[test]
fn from_an_untrusted_peer_every_claim_is_dropped_and_set_anew() {
    for world in [trusting(""), trusting("10.0.0.0/8")] {
        for spell in [|name: &str| name.to_owned(), |name: &str| name.replace('-', "_").to_lowercase()] {
            let names: Vec<String> = SPOOFED.iter().map(|name| spell(name)).collect();
            let headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "6.6.6.6")).collect();
            let reply = world.get("/", &headers);
            let seen = reply.seen();
            assert!(seen.headers.iter().all(|(_, value)| value != "6.6.6.6"), "{seen:?}");
            assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
            assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
            assert_eq!(seen.header("x-forwarded-host"), Some("gateway.test"));
            assert_eq!(seen.header("x-real-ip"), Some("127.0.0.1"));
            let id = seen.header("x-request-id").unwrap();
            assert_eq!(reply.all("x-request-id"), [id]);
            let line = world.access_line(id);
            assert_eq!((&line["client"], &line["status"]), (&"127.0.0.1".into(), &200.into()));
        }
    }
}

#[test]
fn through_trusted_proxies_the_client_is_found_from_the_right() {
    let world = trusting("127.0.0.0/8, 10.0.0.0/8");
    for (field, client) in [
        ("1.2.3.4", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4, 10.1.1.1", "1.2.3.4"),
        ("10.2.2.2, 10.1.1.1", "10.2.2.2"),
        ("1.2.3.4:5678", "1.2.3.4"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("1.2.3.4, nonsense", "127.0.0.1"),
        ("unknown", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("1.2.3.4,", "127.0.0.1"),
    ] {
        let seen = world.get("/", &[("X-Forwarded-For", field)]).seen();
        assert_eq!(seen.header("x-real-ip"), Some(client), "{field:?}");
        let line = world.access_line(seen.header("x-request-id").unwrap());
        assert_eq!(line["client"], client, "{field:?}");
        let chain = seen.header("x-forwarded-for").unwrap();
        assert!(chain.ends_with("127.0.0.1"), "the peer is always the last hop: {chain:?}");
    }
    let headers = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "1.2.3.4"), ("x_forwarded_for", "7.7.7.7")];
    let seen = world.get("/", &headers).seen();
    assert_eq!(seen.header("x-real-ip"), Some("1.2.3.4"));
    assert_eq!(seen.header("x-forwarded-for"), Some("6.6.6.6, 1.2.3.4, 127.0.0.1"));
}

#[test]
fn a_trusted_proxy_speaks_for_scheme_and_host_and_for_nothing_else() {
    let world = trusting("127.0.0.0/8");
    let headers = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "shop.example.org:8443")];
    let seen = world.get("/", &headers).seen();
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-forwarded-host"), Some("shop.example.org:8443"));
    assert_eq!(seen.header("host"), Some("gateway.test"));
    let odd = [("X-Forwarded-Proto", "javascript"), ("X-Forwarded-Host", "a/b, c")];
    let seen = world.get("/", &odd).seen();
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("x-forwarded-host"), Some("gateway.test"));
    let spoofed: Vec<(&str, &str)> = SPOOFED.iter().skip(3).map(|name| (*name, "spoof ed")).collect();
    let seen = world.get("/", &spoofed).seen();
    assert!(seen.headers.iter().all(|(_, value)| value != "spoof ed"), "{seen:?}");
}

#[test]
fn a_request_id_is_kept_from_a_trusted_proxy_when_it_is_a_plain_word() {
    let world = trusting("127.0.0.0/8");
    let reply = world.get("/", &[("X-Request-Id", "abc-1.2_3")]);
    assert_eq!(reply.all("x-request-id"), ["abc-1.2_3"]);
    assert_eq!(reply.seen().header("x-request-id"), Some("abc-1.2_3"));
    assert_eq!(world.access_line("abc-1.2_3")["status"], 200);
    let long = "a".repeat(129);
    let mut made = std::collections::HashSet::new();
    for odd in ["", "a b", "a\"b", "a/b", "{}", "a;b", &long] {
        let reply = world.get("/", &[("X-Request-Id", odd)]);
        let id = reply.seen().header("x-request-id").unwrap().to_owned();
        assert_ne!(id, odd);
        assert_eq!(reply.all("x-request-id"), [id.as_str()]);
        assert!(made.insert(id), "ids are unique");
    }
}

#[test]
fn answers_of_our_own_carry_the_request_id_of_the_log_too() {
    let world = World::start();
    for (path, status) in [("/", 401), ("/a//b", 400), ("/.well-known/jwks.json", 200)] {
        let reply = world.get(path, &[]);
        assert_eq!(reply.status, status);
        let [id] = reply.all("x-request-id")[..] else { panic!("{reply:?}") };
        assert_eq!(world.access_line(id)["status"], status, "{path}");
    }
}

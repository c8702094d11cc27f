//! Which host a request is for, and that there is exactly one answer to that.

use crate::harness::World;

#[test]
fn a_host_that_is_missing_repeated_or_odd_is_refused_and_the_connection_closed() {
    let world = World::with_routes("  - { path: /, upstream: backend, access: public }");
    let long = format!("Host: {}\r\n", "a".repeat(256));
    let hosts: [&[u8]; 27] = [
        b"",
        b"Host:\r\n",
        b"Host: \r\n",
        b"Host: a\r\nHost: a\r\n",
        b"Host: a\r\nhost: b\r\n",
        b"Host: a b\r\n",
        b"Host: a,b\r\n",
        b"Host: a/b\r\n",
        b"Host: a?b\r\n",
        b"Host: a#b\r\n",
        b"Host: user@a\r\n",
        b"Host: a_b\r\n",
        b"Host: a%2eb\r\n",
        b"Host: a\\b\r\n",
        b"Host: :80\r\n",
        b"Host: a:\r\n",
        b"Host: a:x\r\n",
        b"Host: a:-1\r\n",
        b"Host: a:+80\r\n",
        b"Host: a:65536\r\n",
        b"Host: a:80:80\r\n",
        b"Host: \xc3\xa9\r\n",
        b"Host: [::1\r\n",
        b"Host: [a]\r\n",
        b"Host: ::1\r\n",
        b"Host: \"a\"\r\n",
        long.as_bytes(),
    ];
    for host in hosts {
        for version in ["1.1", "1.0"] {
            let request = [format!("GET / HTTP/{version}\r\n").as_bytes(), host, b"\r\n"].concat();
            let (reply, mut client) = world.exchange(&request);
            let shown = String::from_utf8_lossy(&request).into_owned();
            assert_eq!((reply.status, reply.code().as_str()), (400, "bad_host"), "{shown:?}");
            assert!(client.is_closed(), "{shown:?}");
        }
    }
    // A control byte makes the field itself malformed.
    let (reply, _) = world.exchange(b"GET / HTTP/1.1\r\nHost: a\x01\r\n\r\n");
    assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"));
    assert_eq!(world.upstream.seen(), []);
    assert_eq!(world.counted("bad_host"), 54);
}

#[test]
fn an_absolute_target_names_the_same_authority_as_the_host() {
    let world = World::with_routes("  - { path: /, upstream: backend, access: public }");
    for (target, host, expected) in [
        ("http://a/x?y", "a", "/x?y"),
        ("http://a", "a", "/"),
        ("http://a?y", "a", "/?y"),
        ("http://a:80/x", "a:80", "/x"),
        ("HTTP://a/x", "a", "/x"),
    ] {
        let reply = world.get(target, &[("Host", host)]);
        assert_eq!(reply.seen().target, expected, "{target}");
        assert_eq!(reply.seen().header("host"), Some(host));
    }
    let before = world.upstream.seen().len();
    for (target, host) in [
        ("http://b/x", "a"),
        ("http://a:80/x", "a"),
        ("http://a/x", "a:80"),
        ("http://user@a/x", "a"),
        ("http://user@a/x", "user@a"),
        ("http://a%2e/x", "a."),
        ("http:///x", "a"),
        ("ftp://a/x", "a"),
        ("a/x", "a"),
        ("a:80", "a:80"),
        ("*", "a"),
    ] {
        let reply = world.get(target, &[("Host", host)]);
        assert_eq!(reply.status, 400, "{target} {host}");
        assert!(["bad_host", "bad_path"].contains(&reply.code().as_str()), "{target}: {reply:?}");
    }
    assert_eq!(world.upstream.seen().len(), before);
}

#[test]
fn the_host_chooses_among_routes_whatever_its_case_port_or_trailing_dot() {
    let world = World::with_routes(
        "  - { name: exact, host: one.example.org, path: /, upstream: backend, access: { any: [jwt] } }\n  \
         - { name: below, host: \"*.example.org\", path: /, upstream: backend, access: public }\n  \
         - { name: deeper, host: \"*.deep.example.org\", path: /, upstream: backend, access: { any: [jwt] } }\n  \
         - { name: any, path: /any, upstream: backend, access: public }",
    );
    for (host, path, status) in [
        ("one.example.org", "/", 401),
        ("ONE.example.ORG", "/", 401),
        ("one.example.org:8080", "/", 401),
        ("one.example.org.", "/", 401),
        ("one.example.org.:80", "/", 401),
        ("two.example.org", "/", 200),
        ("x.one.example.org", "/", 200),
        ("x.deep.example.org", "/", 401),
        ("deep.example.org", "/", 200),
        ("example.org", "/", 404),
        ("one.example.org.evil.test", "/", 404),
        ("xexample.org", "/", 404),
        ("evil.test", "/any", 200),
        ("127.0.0.1", "/any", 200),
        ("[::1]:80", "/any", 200),
        // The first host that has a matching path decides.
        ("one.example.org", "/any", 401),
    ] {
        assert_eq!(world.get(path, &[("Host", host)]).status, status, "{host}{path}");
    }
    // No other field can speak for the host.
    for name in ["X-Forwarded-Host", "X-Host", "X-Original-Host", "Forwarded"] {
        let value = if name == "Forwarded" { "host=two.example.org" } else { "two.example.org" };
        assert_eq!(world.get("/", &[("Host", "one.example.org"), (name, value)]).status, 401, "{name}");
    }
}

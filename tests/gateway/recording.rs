//! What the gateway tells its operators about every request, and what it never tells.

use std::collections::HashSet;

use crate::harness::{Client, PASSWORD, World};

#[test]
fn every_outcome_is_one_json_object_on_one_line() {
    let world = World::with_routes(
        "  - { name: all, path: /, upstream: backend, access: { any: [api_key] } }\n  \
         - { name: read, path: /read, methods: [GET], upstream: backend, access: { any: [api_key], scopes: [r] } }",
    );
    let (record, key) = world.key("");
    let keyed = [("X-API-Key", key.as_str()), ("User-Agent", "tester/1")];
    for (method, path, headers, status, reason, route) in [
        ("GET", "/x?a=1&b", &keyed[..], 200, "ok", "all"),
        ("GET", "/status/500", &keyed, 500, "ok", "all"),
        ("GET", "/x", &[], 401, "credential_missing", "all"),
        ("GET", "/x", &[("X-API-Key", "nonsense")], 401, "key_malformed", "all"),
        ("GET", "/x", &[("Authorization", "Bearer x.y.z")], 401, "token_invalid", "all"),
        ("GET", "/read", &keyed, 403, "scope_missing", "read"),
        ("POST", "/read", &keyed, 405, "method_not_allowed", "none"),
        ("TRACE", "/x", &keyed, 405, "method_unsupported", "none"),
        ("GET", "/a//b", &keyed, 400, "bad_path", "none"),
        ("GET", "/hang-up", &keyed, 502, "upstream_broken", "all"),
    ] {
        let reply = world.request(method, path, headers, b"");
        assert_eq!(reply.status, status, "{method} {path}");
        let line = world.access_line(reply.header("x-request-id").unwrap());
        assert_eq!((&line["status"], &line["reason"]), (&status.into(), &reason.into()), "{line}");
        assert_eq!(
            (&line["route"], &line["method"], &line["host"]),
            (&route.into(), &method.into(), &"gateway.test".into())
        );
        assert_eq!(line["client"], "127.0.0.1");
        assert!(line["time"].as_str().unwrap().ends_with('Z') && line["duration_us"].is_u64(), "{line}");
        if reason != "ok" {
            assert_eq!(line["code"], reply.code(), "{line}");
        }
        assert!(world.counted(reason) > 0, "{reason}");
    }
    let ok = world.access_log(1).into_iter().find(|line| line["reason"] == "ok").unwrap();
    assert_eq!((&ok["subject"], &ok["auth_method"]), (&"service:robot".into(), &"api_key".into()));
    assert_eq!((&ok["key_id"], &ok["query"]), (&record.id.as_str().into(), &"a&-".into()));
    assert_eq!(
        (&ok["upstream"], &ok["user_agent"], &ok["path"]),
        (&"backend".into(), &"tester/1".into(), &"/x".into())
    );
    // A client that leaves is recorded as well.
    let mut gone = Client::connect(world.http());
    gone.send("GET", "/slow/60000", &keyed, b"");
    crate::harness::eventually("the upstream", || {
        world.upstream.seen().iter().any(|seen| seen.target.starts_with("/slow")).then_some(())
    });
    drop(gone);
    crate::harness::eventually("its line", || {
        world.access_log(1).iter().any(|line| line["reason"] == "client_gone").then_some(())
    });
}

#[test]
fn no_secret_is_ever_written() {
    let world = World::start();
    world.user("anna");
    let (access, refresh) = world.sign_in("anna");
    let (_, key) = world.key("");
    let bearer = format!("Bearer {access}");
    let query = "/x?token=qu3ry-s3cret&k%65y=s3cond-s3cret&b4re-s3cret";
    let cookie = ("Cookie", "session=c00kie-s3cret");
    world.get(query, &[("Authorization", &bearer), cookie, ("X-Custom", "cust0m-s3cret")]);
    world.get(query, &[("X-API-Key", &key), cookie]);
    world.get("/x", &[("Authorization", "Bearer m4lformed s3cret")]);
    world.get("/x", &[("Authorization", "Basic YmFzaWM6czNjcmV0")]);
    world.get("/x", &[("X-API-Key", "pk_w0rthless-s3cret")]);
    world.get("/x", &[("X-API-Key", &key), ("X-API-Key", &key)]);
    world.get("/hang-up?x=qu3ry-s3cret", &[("X-API-Key", &key)]);
    let wrong = serde_json::json!({"username": "anna", "password": "wr0ng-s3cret", "otp": "0tp-s3cret"});
    world.post_json("/api/v1/auth/token/", &wrong);
    world.post_json("/api/v1/auth/token/refresh/", &serde_json::json!({ "refresh": refresh }));
    world.post_json("/api/v1/auth/token/verify/", &serde_json::json!({ "token": access }));
    // Refused before it was understood: nothing of it is known to be harmless.
    for line in [
        format!("GET /x?w1re-s3cret HTTP/1.1\nAuthorization: {bearer}\r\n\r\n"),
        format!("GET /x HTTP/1.1\r\nHost: a\r\nAuthorization : {bearer}\r\n\r\n"),
        format!("GET /x HTTP/9.9\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n"),
        format!("{key} /x HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET /x HTTP/1.1\r\nHost: user:{key}@a\r\n\r\n"),
    ] {
        world.raw(line.as_bytes());
    }
    world.access_log(16);
    let (log, metrics) = (world.access_text(), world.metrics());
    let kept: Vec<u8> = std::fs::read_dir(world.directory.path())
        .unwrap()
        .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect();
    let claims = access.split('.').nth(1).unwrap();
    for secret in [PASSWORD, &access, claims, &refresh, &key, "s3cret", "YmFzaWM6czNjcmV0"] {
        assert!(!log.contains(secret), "{secret} in {log}");
        assert!(!metrics.contains(secret), "{secret} in the metrics");
        assert!(kept.windows(secret.len()).all(|part| part != secret.as_bytes()), "{secret} in a file");
    }
}

#[test]
fn what_comes_from_outside_can_neither_forge_a_line_nor_speak_to_a_terminal() {
    let world = World::with_routes("  - { path: /, upstream: backend, access: public }");
    let long = "x".repeat(5000);
    let agents: [&[u8]; 7] =
        [b"\"}\\", b"\xc2\x9b31m", b"\xff\xfe", b"\xe2\x80\xa8", b"\xe2\x80\xae", "\u{85}".as_bytes(), long.as_bytes()];
    for agent in agents {
        let request = [b"GET /a?b HTTP/1.1\r\nHost: a\r\nUser-Agent: ", agent, b"\r\n\r\n"].concat();
        assert_eq!(world.exchange(&request).0.status, 200);
    }
    let lines = world.access_log(7);
    assert_eq!(lines.len(), 7);
    let text = world.access_text();
    let active = |c: char| c.is_control() || "\u{2028}\u{202e}".contains(c);
    assert!(text.lines().all(|line| !line.chars().any(active)), "{text:?}");
    assert!(text.lines().all(|line| line.len() < 2000), "values are cut");
    assert_eq!(lines[0]["user_agent"], "\"}\\");
}

fn series(world: &World) -> HashSet<String> {
    let metrics = world.metrics();
    metrics.lines().filter(|l| !l.starts_with('#')).map(|l| l.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

#[test]
fn hostile_requests_cannot_grow_the_metrics() {
    let world = World::start();
    let (_, key) = world.key("");
    let mut random = 88_172_645_463_325_252_u64;
    let mut word = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        format!("W{random:X}")
    };
    assert_eq!(world.get("/", &[("X-API-Key", &key)]).status, 200);
    let before = series(&world);
    let mut client = Client::connect(world.http());
    for n in 0..500 {
        let (method, path, host) = (word(), format!("/{}?{}={}", word(), word(), word()), word());
        let method = if n % 2 == 0 { "GET" } else { &method };
        let (name, agent, given) = (word(), word(), word());
        let headers = [("Host", host.as_str()), ("User-Agent", agent.as_str()), (&name, "x"), ("X-API-Key", &given)];
        let headers = if n % 3 == 0 { &headers[..3] } else { &headers[..] };
        assert!(client.request(method, &path, headers, b"").status >= 400);
    }
    let after = series(&world);
    let grown: Vec<_> = after.difference(&before).collect();
    assert!(grown.len() <= 20, "{grown:#?}");
    assert!(world.metrics().lines().all(|line| !line.contains("127.0.0.1") && !line.contains("robot")));
}

#[test]
fn operators_paths_are_on_their_listener_only_and_say_nothing_of_versions() {
    let open = World::with_routes("  - { path: /only, upstream: backend, access: public }");
    let guarded = World::start();
    for path in ["/livez", "/readyz", "/metrics", "/healthz", "/debug/pprof", "/config"] {
        assert_eq!(open.get(path, &[]).status, 404, "{path}");
        assert_eq!(guarded.get(path, &[]).status, 401, "{path}");
    }
    let ops = |method: &str, path: &str| Client::connect(open.ops()).request(method, path, &[], b"");
    for path in ["/only", "/", "/api/v1/auth/token/", "/.well-known/jwks.json", "/config", "/livez/", "/metrics/x"] {
        assert_eq!((ops("GET", path).status, ops("POST", path).status), (404, 405), "{path}");
        assert_eq!(ops("POST", path).header("allow"), Some("GET, HEAD"));
    }
    assert_eq!(open.upstream.seen(), []);
    for path in ["/livez", "/readyz"] {
        let reply = ops("GET", path);
        assert_eq!((reply.status, reply.json()), (200, serde_json::json!({ "status": "ok" })));
        assert_eq!(ops("HEAD", path).status, 200);
    }
    let metrics = ops("GET", "/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain"));
    assert!(metrics.text().contains("portcullis_requests_total"));
    // Nothing of ours names a product or a version, on either listener.
    let key_set = open.get("/.well-known/jwks.json", &[]);
    let wire = open.exchange(b"GET / HTTP/9.9\r\n\r\n").0;
    let missing = open.get("/missing", &[]);
    for reply in [ops("GET", "/livez"), ops("POST", "/"), metrics, key_set, wire, missing, open.get("/only", &[])] {
        for name in ["server", "via", "x-powered-by"] {
            assert_eq!(reply.header(name), None, "{reply:?}");
        }
        let text = format!("{:?}", reply.headers).to_lowercase();
        assert!(!text.contains("pingora") && !text.contains(env!("CARGO_PKG_VERSION")), "{text}");
    }
}

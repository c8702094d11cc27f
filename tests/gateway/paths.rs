//! One reading of a path: the one that is matched is the one that is forwarded, and what has two readings is refused.

use crate::harness::{Client, World};

fn target(world: &World, path: &[u8]) -> Result<String, String> {
    let request = [b"GET ", path, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    let (reply, _) = world.exchange(&request);
    if reply.status == 200 { Ok(reply.seen().target) } else { Err(format!("{} {}", reply.status, reply.code())) }
}

#[test]
fn a_path_that_could_be_read_in_two_ways_never_reaches_the_upstream() {
    let world = World::with_routes("  - { path: /, upstream: backend, access: public }");
    let paths: [&[u8]; 52] = [
        b"/.",
        b"/..",
        b"/a/..",
        b"/a/../b",
        b"/a/./b",
        b"/../a",
        b"/%2e",
        b"/%2e%2e/a",
        b"/%2E%2e/a",
        b"/.%2e/a",
        b"/a/%2e%2e",
        b"/a/..;/b",
        b"/a/..;x=y/b",
        b"/a/.;/b",
        b"/a/%2e%2e;/b",
        b"/a%2fb",
        b"/a%2Fb",
        b"/..%2fa",
        b"/a%5cb",
        b"/a%5Cb",
        b"/a\\b",
        b"/..\\a",
        b"/a%25b",
        b"/%252e%252e/a",
        b"/a%3bb",
        b"/a%3Bb",
        b"/a;b",
        b"/;",
        b"/a%23b",
        b"/a#b",
        b"/a%3fb",
        b"/a%3Fb",
        b"/a%00b",
        b"/a%0ab",
        b"/a%0d%0ab",
        b"/a%09b",
        b"/a%1fb",
        b"/a%7fb",
        b"/a%",
        b"/a%4",
        b"/a%zz",
        b"/a%u0041",
        b"/a%ff",
        b"/a%c0%af",
        b"/a%c3",
        b"/a%ed%a0%80",
        b"//",
        b"//a",
        b"/a//b",
        b"/a[b]",
        b"/a|b",
        b"/\xc3\xa9",
    ];
    for path in paths {
        let shown = String::from_utf8_lossy(path);
        assert_eq!(target(&world, path), Err("400 bad_path".to_owned()), "{shown}");
    }
    assert_eq!(world.upstream.seen(), []);
    assert_eq!(world.counted("bad_path"), 52);
}

#[test]
fn the_normal_form_is_forwarded_byte_for_byte_and_the_query_as_it_came() {
    let world = World::with_routes("  - { path: /, upstream: backend, access: public }");
    for (path, expected) in [
        ("/", "/"),
        ("/%61dmin", "/admin"),
        ("/%41%7A%30%2d%2e%5f%7ex", "/Az0-._~x"),
        ("/a%20b", "/a%20b"),
        ("/%c3%a9%E2%82%ac", "/%C3%A9%E2%82%AC"),
        ("/a%2bb%26", "/a%2Bb%26"),
        ("/!$&'()*+,=:@-._~", "/!$&'()*+,=:@-._~"),
        ("/A/a/", "/A/a/"),
        ("/...", "/..."),
        ("/a.b/.c", "/a.b/.c"),
        ("/a?", "/a?"),
        ("/a?x=%61&y", "/a?x=%61&y"),
        ("/a?%zz%&%00&%2f..//../;?%", "/a?%zz%&%00&%2f..//../;?%"),
        ("/a?b[]=1&c=!$'()*+,;:@/?-._~", "/a?b[]=1&c=!$'()*+,;:@/?-._~"),
    ] {
        assert_eq!(target(&world, path.as_bytes()), Ok(expected.to_owned()), "{path}");
    }
    // Illegal bytes are refused, and not made legal.
    for query in ["/a?\"", "/a?<", "/a?{", "/a?\\", "/a?^", "/a?`", "/a?#", "/a?\u{e9}"] {
        assert_eq!(target(&world, query.as_bytes()), Err("400 bad_path".to_owned()), "{query}");
    }
}

#[test]
fn a_rule_covers_whole_segments_in_their_case_and_everything_below() {
    let world = World::with_routes("  - { path: /api, upstream: backend, access: public }");
    for path in ["/api", "/api/", "/api/x", "/api/x/y.z", "/%61pi", "/api?x", "/api/?x", "/ap%69/API"] {
        assert!(target(&world, path.as_bytes()).is_ok(), "{path}");
    }
    let before = world.upstream.seen().len();
    for path in ["/", "/apix", "/API", "/Api/x", "/api.css", "/api%20", "/ap", "/x/api", "/?/api", "/api:80", "/api,"] {
        assert_eq!(target(&world, path.as_bytes()), Err("404 not_found".to_owned()), "{path}");
    }
    assert_eq!(world.upstream.seen().len(), before, "what no route covers is refused");
}

#[test]
fn neither_query_nor_headers_choose_the_route() {
    let world = World::with_routes(
        "  - { path: /, upstream: backend, access: public }\n  \
         - { path: /admin, upstream: backend, access: { any: [jwt] } }",
    );
    for path in ["/?/admin", "/x?path=/admin", "/x?../admin", "/admins", "/x/admin"] {
        assert_eq!(world.get(path, &[]).status, 200, "{path}");
    }
    for path in ["/admin", "/admin/", "/%61dmin", "/admin?/public", "/admin/x?/../..", "/adm%69n/x"] {
        assert_eq!(world.get(path, &[]).status, 401, "{path}");
    }
    for name in ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Forwarded-Prefix", "X-Original-URI"] {
        assert_eq!(world.get("/admin", &[(name, "/public")]).status, 401, "{name}");
        let seen = world.get("/x", &[(name, "/admin")]).seen();
        assert_eq!((seen.target.as_str(), seen.header(name)), ("/x", None), "{name}");
    }
}

#[test]
fn a_prefix_is_cut_off_after_the_decision_and_what_is_left_is_judged_again() {
    let world = World::with_routes(
        "  - { path: /svc, upstream: backend, access: public, strip_prefix: true }\n  \
         - { path: /deep/er, upstream: backend, access: public, strip_prefix: true, allow: [double_slash] }",
    );
    for (path, expected) in [
        ("/svc", "/"),
        ("/svc/", "/"),
        ("/svc/a", "/a"),
        ("/svc/a/?b=/svc", "/a/?b=/svc"),
        ("/svc/svc/a", "/svc/a"),
        ("/svc/%61", "/a"),
        ("/svc?x", "/?x"),
        ("/deep/er/a", "/a"),
        ("/deep/er//a", "//a"),
    ] {
        assert_eq!(target(&world, path.as_bytes()), Ok(expected.to_owned()), "{path}");
    }
    for path in ["/svc//a", "/svc/../a", "/svc/%2e%2e/a"] {
        assert_eq!(target(&world, path.as_bytes()), Err("400 bad_path".to_owned()), "{path}");
    }
    for path in ["/svca", "/svc%2fa", "/svc;/a", "//svc/a"] {
        assert_eq!(target(&world, path.as_bytes()), Err("404 not_found".to_owned()), "{path}");
    }
}

#[test]
fn an_allowed_oddity_is_allowed_on_its_route_only_and_never_leads_out_of_it() {
    let world = World::with_routes(
        "  - { path: /slash, upstream: backend, access: public, allow: [encoded_slash] }\n  \
         - { path: /semi, upstream: backend, access: public, allow: [semicolon] }\n  \
         - { path: /double, upstream: backend, access: public, allow: [double_slash] }\n  \
         - { path: /slash/admin, upstream: backend, access: { any: [jwt] } }\n  \
         - { path: /double/admin, upstream: backend, access: { any: [jwt] }, allow: [double_slash] }",
    );
    for (path, expected) in [
        ("/slash/a%2fb", "/slash/a%2Fb"),
        ("/semi/a;v=1/b", "/semi/a;v=1/b"),
        ("/double//a", "/double//a"),
        ("/double/a//", "/double/a//"),
    ] {
        assert_eq!(target(&world, path.as_bytes()), Ok(expected.to_owned()), "{path}");
    }
    for path in [
        "/slash/a;b",
        "/slash//a",
        "/semi/a%2fb",
        "/double/a;b",
        "/slash/..%2fx",
        "/slash/a%2f..%2f..%2fx",
        "/slash/%2e%2e%2fx",
        "/semi/..;/x",
        "/semi/.;a/x",
        "/semi/%2e%2e;/x",
        "/double//..//x",
        "/slash/%2fadmin",
        "/slash/%2Fadmin/x",
        "/slash/x%5c..",
    ] {
        assert_eq!(target(&world, path.as_bytes()), Err("400 bad_path".to_owned()), "{path}");
    }
    // However the slashes lie, below /double/admin nobody is public.
    for path in ["/double//admin", "/double/admin//x", "//double/admin", "/double///admin/x", "/slash%2fadmin"] {
        assert!(target(&world, path.as_bytes()).is_err(), "{path}");
    }
}

#[test]
fn a_wrong_method_is_told_the_right_ones_and_is_never_a_way_round() {
    let world = World::with_routes(
        "  - { path: /, upstream: backend, access: { any: [api_key] } }\n  \
         - { path: /read, methods: [GET], upstream: backend, access: public }\n  \
         - { path: /dav, methods: [PROPFIND, GET], upstream: backend, access: public }",
    );
    let (_, key) = world.key("");
    let keyed = [("X-API-Key", key.as_str())];
    assert_eq!(world.request("HEAD", "/read", &[], b"").status, 200);
    assert_eq!(world.upstream.seen().last().unwrap().method, "HEAD");
    assert_eq!(world.request("PROPFIND", "/dav", &[], b"").seen().method, "PROPFIND");
    assert_eq!(world.request("OPTIONS", "/x", &keyed, b"").seen().method, "OPTIONS");
    assert_eq!(world.request("DELETE", "/x", &keyed, b"").seen().method, "DELETE");
    let before = world.upstream.seen().len();
    for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] {
        assert_eq!(world.request(method, "/x", &[], b"").status, 401, "{method}");
    }
    for (method, path, allow) in [
        ("POST", "/read", "GET, HEAD"),
        ("OPTIONS", "/read", "GET, HEAD"),
        ("get", "/read", "GET, HEAD"),
        ("PROPFIND", "/read", "GET, HEAD"),
        ("POST", "/dav", "GET, HEAD, PROPFIND"),
        ("PROPFIND", "/x", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
        ("PRI", "/x", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
    ] {
        for headers in [&[][..], &keyed] {
            let reply = world.request(method, path, headers, b"");
            assert_eq!((reply.status, reply.code().as_str()), (405, "method_not_allowed"), "{method} {path}");
            assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
        }
    }
    for method in ["TRACE", "TRACK", "trace", "CONNECT", "connect"] {
        for headers in [&[][..], &keyed] {
            let target = if method.eq_ignore_ascii_case("connect") { "gateway.test:80" } else { "/x" };
            let reply = world.request(method, target, headers, b"");
            let refused = method == "connect" && reply.status == 400;
            assert!(refused || (reply.status, reply.code().as_str()) == (405, "method_unsupported"), "{method}");
            assert!(refused || reply.header("allow").is_some(), "{method}: a 405 says what is allowed");
        }
    }
    for name in ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method", "X_HTTP_Method_Override"] {
        assert_eq!(world.request("POST", "/read", &[(name, "GET")], b"").status, 405, "{name}");
        assert_eq!(world.upstream.seen().len(), before);
    }
}

#[test]
fn a_head_request_has_no_body_even_when_it_is_refused() {
    let world = World::start();
    let (_, key) = world.key("");
    let mut client = Client::connect(world.http());
    for (headers, status) in [(&[][..], 401), (&[("X-API-Key", key.as_str())], 200), (&[("X-API-Key", "x")], 401)] {
        client.send("HEAD", "/", headers, b"");
        assert_eq!(client.reply(true).status, status, "the next reply begins where the last head ended");
    }
}

//! What all endpoints of the gateway's own have in common, as existing clients know it: order of checks, methods,
//! answers, paths.

use serde_json::json;

use crate::harness::{Client, PASSWORD, Reply, World};

const TOKEN_ENDPOINTS: [&str; 5] = [
    "/api/v1/auth/token/",
    "/api/v1/auth/token/refresh/",
    "/api/v1/auth/token/verify/",
    "/api/v1/auth/token/blacklist/",
    "/api/v1/auth/token/challenge/",
];
/// What needs a token, with what it can do.
const GUARDED: [(&str, &str); 5] = [
    (ME, "GET, HEAD, OPTIONS"),
    ("/api/v1/auth/logout/", "POST, OPTIONS"),
    ("/api/v1/auth/logout/all/", "POST, OPTIONS"),
    ("/api/v1/auth/sessions/", "GET, HEAD, OPTIONS"),
    ("/api/v1/auth/sessions/5f0c2b1e/", "DELETE, OPTIONS"),
];
const ME: &str = "/api/v1/auth/me/";
const JSON: (&str, &str) = ("Content-Type", "application/json");
const NOT_AN_IMAGE: (&str, &str) = ("Accept", "image/png");

fn assert_challenge(reply: &Reply) {
    assert_eq!(reply.status, 401, "{reply:?}");
    assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"api\""), "{reply:?}");
}

#[test]
fn the_checks_come_in_the_order_that_clients_know() {
    let world = World::start();
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    let bearer = format!("Bearer {access}");
    let bearer = ("Authorization", bearer.as_str());

    // The path before everything else.
    assert_eq!(world.get("/api/v1/auth/nothing/", &[NOT_AN_IMAGE]).status, 404);
    // Then what the client could read, even before credentials and the method.
    assert_eq!(world.get(ME, &[NOT_AN_IMAGE]).status, 406);
    assert_eq!(world.get(&format!("{ME}?format=xml"), &[]).status, 404);
    assert_eq!(world.get(TOKEN_ENDPOINTS[0], &[NOT_AN_IMAGE]).status, 406);
    // Then credentials: who may not enter learns neither the methods nor what is wrong with the body.
    assert_challenge(&world.request("POST", ME, &[], b""));
    assert_challenge(&world.request("POST", ME, &[JSON], b"{malformed"));
    assert_challenge(&world.request("POST", ME, &[("Authorization", "Bearer junk")], b""));
    assert_challenge(&world.request("OPTIONS", ME, &[], b""));
    // Then the method, before the body.
    assert_eq!(world.request("POST", ME, &[bearer, JSON], b"{malformed").status, 405);
    assert_eq!(world.request("PUT", TOKEN_ENDPOINTS[0], &[("Content-Type", "text/plain")], b"x").status, 405);
    // Then the body's type, its syntax, its fields, and last what the endpoint thinks of them.
    assert_eq!(world.request("POST", TOKEN_ENDPOINTS[1], &[("Content-Type", "text/plain")], b"x").status, 415);
    assert_eq!(world.request("POST", TOKEN_ENDPOINTS[1], &[JSON], b"{malformed").status, 400);
    assert_eq!(world.request("POST", TOKEN_ENDPOINTS[1], &[JSON], b"{\"refresh\":[]}").status, 400);
    assert_challenge(&world.request("POST", TOKEN_ENDPOINTS[1], &[JSON], b"{\"refresh\":\"junk\"}"));
}

#[test]
fn what_needs_a_token_asks_for_it_before_anything_else_is_told() {
    let world = World::start();
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    let bearer = format!("Bearer {access}");
    let bearer = ("Authorization", bearer.as_str());
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"];
    for (path, allow) in GUARDED {
        let is_served = |method: &str| allow.split(", ").any(|served| served == method);
        for method in methods {
            let refused = world.request(method, path, &[NOT_AN_IMAGE], b"");
            assert_eq!((refused.status, refused.header("allow")), (406, Some(allow)), "{method} {path}");
            let refused = world.request(method, &format!("{path}?format=xml"), &[], b"");
            assert_eq!((refused.status, refused.header("allow")), (404, Some(allow)), "{method} {path}");
            for headers in [&[][..], &[("Authorization", "Bearer junk")], &[("Authorization", "Bearer")]] {
                for (content_type, body) in [("application/json", "{malformed"), ("text/plain", "x"), ("", "")] {
                    let headers: Vec<_> = headers.iter().copied().chain([("Content-Type", content_type)]).collect();
                    let reply = world.request(method, path, &headers, body.as_bytes());
                    assert_challenge(&reply);
                    assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
                }
            }
            if !is_served(method) {
                let reply = world.request(method, path, &[bearer, JSON], b"{malformed");
                assert_eq!((reply.status, reply.header("allow")), (405, Some(allow)), "{method} {path}");
                if method != "HEAD" {
                    assert_eq!(reply.json()["detail"], format!("Method \"{method}\" not allowed."));
                }
            }
        }
        let options = world.request("OPTIONS", path, &[bearer], b"");
        assert_eq!((options.status, options.header("allow")), (200, Some(allow)), "{path}");
        let description = options.json();
        let names: Vec<_> = description.as_object().unwrap().keys().collect();
        assert_eq!(names, ["name", "description", "renders", "parses"], "{path} has no form");
    }
}

#[test]
fn what_has_no_form_does_not_look_at_its_body() {
    let world = World::start();
    world.user("anna");
    for path in ["/api/v1/auth/logout/", "/api/v1/auth/logout/all/"] {
        for (content_type, body) in [("application/json", "{malformed"), ("text/plain", "x"), ("", "")] {
            let (access, _) = world.sign_in("anna");
            let bearer = format!("Bearer {access}");
            let headers = [("Authorization", bearer.as_str()), ("Content-Type", content_type)];
            let reply = world.request("POST", path, &headers, body.as_bytes());
            assert_eq!((reply.status, reply.text().as_str()), (200, "{}"), "{path} {content_type}: {reply:?}");
        }
    }
}

#[test]
fn every_failed_authentication_is_401_with_the_challenge_that_clients_compare() {
    let world = World::start();
    assert_challenge(&world.post_json(TOKEN_ENDPOINTS[0], &json!({"username": "nobody", "password": PASSWORD})));
    assert_challenge(&world.post_json(TOKEN_ENDPOINTS[1], &json!({"refresh": "junk"})));
    assert_challenge(&world.post_json(TOKEN_ENDPOINTS[2], &json!({"token": "junk"})));
    assert_challenge(&world.post_json(TOKEN_ENDPOINTS[3], &json!({"refresh": "junk"})));
    assert_challenge(&world.post_json(TOKEN_ENDPOINTS[4], &json!({"challenge": "junk", "otp": "123456"})));
    assert_challenge(&world.get(ME, &[]));
    assert_challenge(&world.get(ME, &[("X-API-Key", "junk")]));
    assert_challenge(&world.get("/proxied", &[("Authorization", "Bearer junk")]));
}

#[test]
fn other_methods_are_refused_by_name_and_allow_is_on_every_answer() {
    let world = World::start();
    for endpoint in TOKEN_ENDPOINTS {
        for method in ["GET", "PUT", "PATCH", "DELETE", "BREW", "post"] {
            let reply = world.request(method, endpoint, &[], b"");
            assert_eq!(reply.status, 405, "{method} {endpoint}: {reply:?}");
            assert_eq!(reply.json()["detail"], format!("Method \"{method}\" not allowed."));
            assert_eq!(reply.header("allow"), Some("POST, OPTIONS"), "{method} {endpoint}");
        }
        let head = world.request("HEAD", endpoint, &[], b"");
        assert_eq!((head.status, head.header("allow")), (405, Some("POST, OPTIONS")));
        for reply in [
            world.request("POST", endpoint, &[JSON], b"{}"),
            world.request("POST", endpoint, &[JSON], b"{"),
            world.request("POST", endpoint, &[("Content-Type", "text/plain")], b"x"),
            world.request("POST", endpoint, &[NOT_AN_IMAGE], b""),
            world.request("POST", &format!("{endpoint}?format=xml"), &[], b""),
            world.request("POST", endpoint, &[JSON, ("Content-Length", "70000")], b""),
        ] {
            assert_eq!(reply.header("allow"), Some("POST, OPTIONS"), "{reply:?}");
        }
    }
    assert_eq!(world.get(ME, &[]).header("allow"), Some("GET, HEAD, OPTIONS"));
}

#[test]
fn head_goes_where_get_goes_and_options_describes() {
    let world = World::start();
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    let bearer = format!("Bearer {access}");
    let bearer = ("Authorization", bearer.as_str());

    let (get, head) = (world.get(ME, &[bearer]), world.request("HEAD", ME, &[bearer], b""));
    assert_eq!((get.status, get.header("allow")), (200, Some("GET, HEAD, OPTIONS")));
    assert_eq!((head.status, head.header("allow")), (200, Some("GET, HEAD, OPTIONS")));
    assert_eq!(head.header("content-type"), get.header("content-type"));
    // Nothing follows the head: the next answer on the connection would be taken for it.
    let mut client = Client::connect(world.http());
    for (path, headers, status) in [(ME, &[bearer][..], 200), (ME, &[], 401), (TOKEN_ENDPOINTS[0], &[], 405)] {
        assert_eq!(client.request("HEAD", path, headers, b"").status, status);
        assert_eq!(client.request("GET", ME, &[bearer], b"").text(), get.text(), "after HEAD {path}");
    }
    let options = world.request("OPTIONS", ME, &[bearer], b"");
    assert_eq!((options.status, options.header("allow")), (200, Some("GET, HEAD, OPTIONS")));
    assert_eq!(options.json().get("actions"), None, "it has no form");

    let options = world.request("OPTIONS", TOKEN_ENDPOINTS[0], &[], b"");
    assert_eq!((options.status, options.header("allow")), (200, Some("POST, OPTIONS")));
    let description = options.json();
    let names: Vec<_> = description.as_object().unwrap().keys().collect();
    assert_eq!(names, ["name", "description", "renders", "parses", "actions"]);
    let field = |label: &str| json!({"type": "string", "required": true, "read_only": false, "label": label});
    assert_eq!(description["actions"]["POST"]["username"], field("Username"));
    assert_eq!(description["actions"]["POST"]["password"], field("Password"));
    assert!(options.headers.iter().all(|(name, _)| !name.starts_with("access-control-")), "{options:?}");
}

#[test]
fn answers_are_compact_json_with_the_headers_that_scanners_look_for() {
    let world = World::start();
    world.user("zoë");
    let (access, _) = world.sign_in("zoë");
    let good = world.me(&access);
    let replies = [
        good.clone(),
        world.get(ME, &[]),
        world.get("/api/v1/auth/nothing", &[]),
        world.get(TOKEN_ENDPOINTS[0], &[]),
        world.post_json(TOKEN_ENDPOINTS[0], &json!({})),
        world.request("OPTIONS", TOKEN_ENDPOINTS[0], &[], b""),
    ];
    for reply in &replies {
        assert_eq!(reply.header("content-type"), Some("application/json"), "{reply:?}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("referrer-policy"), Some("same-origin"));
        assert_eq!(reply.header("cross-origin-opener-policy"), Some("same-origin"));
        assert_eq!(reply.header("x-frame-options"), Some("DENY"));
        assert_eq!((reply.header("set-cookie"), reply.header("vary")), (None, None));
        assert_eq!(reply.text(), reply.json().to_string(), "compact, and nothing escaped that need not be");
    }
    assert!(good.text().contains("\"username\":\"zoë\""), "{good:?}");
    assert_eq!(replies[4].text(), r#"{"username":["This field is required."],"password":["This field is required."]}"#);
    assert_eq!(good.header("cache-control"), Some("no-store"));
}

#[test]
fn accept_is_heeded_as_far_as_there_is_json() {
    let world = World::start();
    let ask = |accept: &str| world.request("POST", TOKEN_ENDPOINTS[2], &[("Accept", accept), JSON], b"{}");
    for accept in ["application/json", "*/*", "text/html", "text/html,application/xhtml+xml;q=0.9,image/png;q=0.8"] {
        assert_eq!(ask(accept).status, 400, "{accept}");
        assert_eq!(ask(accept).header("content-type"), Some("application/json"), "{accept}");
    }
    for accept in ["", "application/xml", "image/*"] {
        let reply = ask(accept);
        assert_eq!(reply.status, 406, "{accept}");
        assert_eq!(reply.json()["detail"], "Could not satisfy the request Accept header.");
    }
    let indented = ask("application/json; indent=4");
    assert_eq!(indented.text(), "{\n    \"token\": [\n        \"This field is required.\"\n    ]\n}");
    let format = |format: &str| world.request("POST", &format!("/api/v1/auth/token/verify/?format={format}"), &[], b"");
    assert_eq!(format("json").status, 400);
    assert_eq!(format("xml").status, 404);
}

#[test]
fn both_slash_forms_are_served_and_nothing_else_below_the_prefix() {
    let world = World::start();
    for path in ["/api/v1/auth/token/verify", "/api/v1/auth/token/verify/", "/api/v1/auth/%74oken/verify/"] {
        assert_eq!(world.post_json(path, &json!({})).status, 400, "{path}");
    }
    assert_eq!(world.get("/api/v1/auth/me", &[]).status, 401);
    for (path, _) in GUARDED {
        assert_eq!(world.get(path.trim_end_matches('/'), &[]).status, 401, "{path}");
    }
    for path in TOKEN_ENDPOINTS {
        let bare = path.trim_end_matches('/');
        assert_eq!(world.post_json(bare, &json!({})).comparable(), world.post_json(path, &json!({})).comparable());
    }
    for path in [
        "/api/v1/auth/Token/",
        "/api/v1/auth/token/verify/x",
        "/api/v1/auth/logout/All/",
        "/api/v1/auth/sessions/a/b/",
        "/api/v1/auth/",
        "/api/v1/auth",
    ] {
        for method in ["GET", "POST", "OPTIONS", "BREW"] {
            let reply = world.request(method, path, &[], b"");
            assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"), "{method} {path}: {reply:?}");
        }
    }
    for path in ["/api/v1/auth//token/", "/api/v1/auth/x/../token/", "/api/v1//auth/token/"] {
        let reply = world.post_json(path, &json!({}));
        assert!(matches!(reply.status, 400 | 404), "{path}: {reply:?}");
        assert!(!reply.text().contains("required"), "{path} is not folded into an endpoint: {reply:?}");
    }
    assert_eq!(world.upstream.seen(), [], "what is the gateway's own never leaves it");
}

#[test]
fn token_endpoints_ignore_whatever_credentials_come_along() {
    let world = World::start();
    world.user("anna");
    let (_, refresh) = world.sign_in("anna");
    let body = json!({ "token": refresh }).to_string();
    let junk: [&[(&str, &str)]; 6] = [
        &[("Authorization", "Bearer junk")],
        &[("Authorization", "Bearer")],
        &[("Authorization", "Basic YTpi"), ("X-API-Key", "junk")],
        &[("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
        &[("X-API-Key", "a"), ("X-API-Key", "b")],
        &[("Authorization", "\u{e9}")],
    ];
    for headers in junk {
        let headers: Vec<_> = headers.iter().copied().chain([JSON]).collect();
        let reply = world.request("POST", TOKEN_ENDPOINTS[2], &headers, body.as_bytes());
        assert_eq!((reply.status, reply.text().as_str()), (200, "{}"), "{headers:?}: {reply:?}");
    }
}

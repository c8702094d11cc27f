//! Which tokens hold in the place of a Django installation, and what is said about those that do not: the contract's
//! table row by row, on all three kinds of endpoints.

use aws_lc_rs::hmac::{HMAC_SHA256, HMAC_SHA384};
use serde_json::{Value, json};

use crate::harness::forge::{HS256, hmac, hs256, with, without};
use crate::harness::{DJANGO_SECRET, Plan, World};
use portcullis::domain::clock::Clock as _;

const VERIFY: &str = "/api/v1/auth/token/verify/";
const NOT_PROVIDED: &str = "Authentication credentials were not provided.";
const INVALID: &str = "Token is invalid";
const EXPIRED: &str = "Token is expired";

/// A world with user 17, whose clock stands still, and the time on it.
fn world(tokens: &str) -> (World, i64) {
    let (plan, clock) = Plan::django(tokens).timed();
    let world = World::plan(plan);
    world.user_with_id("17", "anna");
    (world, clock.now().as_secs())
}

fn access(now: i64) -> Value {
    json!({"token_type": "access", "exp": now + 100, "iat": now - 100, "jti": "a1", "user_id": "17"})
}

fn signed(header: &str, claims: &Value) -> String {
    hmac(HMAC_SHA256, DJANGO_SECRET.as_bytes(), header, &claims.to_string())
}

fn assert_verify(world: &World, token: &str, message: &str) {
    let reply = world.post_json(VERIFY, &json!({ "token": token }));
    let expected = format!(r#"{{"detail":"{message}","code":"token_not_valid"}}"#);
    assert_eq!((reply.status, reply.text()), (401, expected), "verify/ {token}");
}

fn assert_refresh(world: &World, token: &str, message: &str) {
    let reply = world.refresh(token);
    let expected = format!(r#"{{"detail":"{message}","code":"token_not_valid"}}"#);
    assert_eq!((reply.status, reply.text()), (401, expected), "refresh/ {token}");
}

fn assert_protected(world: &World, token: &str, message: &str) {
    let details = format!(r#"[{{"token_class":"AccessToken","token_type":"access","message":"{message}"}}]"#);
    let detail = r#""detail":"Given token not valid for any token type","code":"token_not_valid""#;
    let expected = format!(r#"{{{detail},"messages":{details}}}"#);
    for path in ["/api/v1/auth/me/", "/proxied"] {
        let reply = world.get_as(path, token);
        assert_eq!((reply.status, reply.text()), (401, expected.clone()), "{path} {token}");
    }
}

/// As `verify/`, `refresh/` and a protected endpoint see the same fault.
fn assert_refused(world: &World, forge: impl Fn(&str) -> String, message: &str) {
    assert_verify(world, &forge("access"), message);
    assert_refresh(world, &forge("refresh"), message);
    assert_protected(world, &forge("access"), message);
}

#[test]
fn what_is_no_token_of_this_installation_is_invalid() {
    let (world, now) = world("");
    let good = hs256(DJANGO_SECRET, &access(now));
    assert_eq!(world.me(&good).status, 200);
    let parts: Vec<&str> = good.split('.').collect();
    let (head, payload, tag) = (parts[0], parts[1], parts[2]);
    for token in [
        "x".to_owned(),
        format!("{head}.{payload}"),
        format!("{head}.{payload}."),
        format!("{good}.{tag}"),
        format!("{good}="),
        format!("{head}=.{payload}.{tag}"),
        format!("!{}.{payload}.{tag}", &head[1..]),
        format!("{head}.{payload}.{}", &tag[1..]),
        format!("{head}.{payload}.{}", tag.chars().rev().collect::<String>()),
        format!("{payload}.{head}.{tag}"),
    ] {
        assert_refused(&world, |_| token.clone(), INVALID);
    }
    let typed = |kind: &str| with(&access(now), "token_type", kind);
    for header in [
        r#"{"alg":"none","typ":"JWT"}"#,
        r#"{"alg":"hs256","typ":"JWT"}"#,
        r#"{"alg":"HS384","typ":"JWT"}"#,
        r#"{"alg":"HS512","typ":"JWT"}"#,
        r#"{"alg":"ES256","typ":"JWT"}"#,
        r#"{"alg":256,"typ":"JWT"}"#,
        r#"{"alg":["HS256"],"typ":"JWT"}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"HS256","typ":"JWT","kid":5}"#,
        r#"{"alg":"HS256","typ":"JWT","kid":null}"#,
        r#"{"alg":"HS256","typ":"JWT","crit":["x"],"x":1}"#,
        r#"["HS256"]"#,
        "HS256",
    ] {
        assert_refused(&world, |kind| signed(header, &typed(kind)), INVALID);
    }
    let hs384 = r#"{"alg":"HS384","typ":"JWT"}"#;
    let other_hash = |kind: &str| hmac(HMAC_SHA384, DJANGO_SECRET.as_bytes(), hs384, &typed(kind).to_string());
    assert_refused(&world, other_hash, INVALID);
    assert_refused(&world, |kind| hs256("another key than the installation's", &typed(kind)), INVALID);
    for payload in ["[]", "\"x\"", "5", "null", "{", "", "{\"a\":1}{}"] {
        assert_refused(&world, |_| hmac(HMAC_SHA256, DJANGO_SECRET.as_bytes(), HS256, payload), INVALID);
    }
}

#[test]
fn claims_are_judged_in_the_order_whose_messages_clients_know() {
    let (world, now) = world("");
    let rows: Vec<(Value, &str)> = vec![
        (with(&access(now), "iat", now + 1), INVALID),
        (with(&access(now), "nbf", now + 1), INVALID),
        (with(&access(now), "iat", "x"), INVALID),
        (with(&access(now), "nbf", json!([1])), INVALID),
        (with(&with(&access(now), "iat", now + 1), "exp", now - 1), INVALID),
        (with(&access(now), "exp", now - 1), EXPIRED),
        (with(&access(now), "exp", now), EXPIRED),
        (with(&access(now), "exp", -1), EXPIRED),
        (with(&with(&access(now), "exp", now), "jti", 5), EXPIRED),
        (without(&with(&access(now), "exp", now), "jti"), EXPIRED),
        (with(&access(now), "exp", "soon"), INVALID),
        (with(&access(now), "sub", 17), INVALID),
        (with(&access(now), "jti", 5), INVALID),
        (without(&with(&access(now), "sub", 17), "exp"), INVALID),
        (without(&access(now), "exp"), "Token has no 'exp' claim"),
        (without(&without(&access(now), "exp"), "jti"), "Token has no 'exp' claim"),
        (without(&access(now), "jti"), "Token has no id"),
    ];
    for (claims, message) in rows {
        assert_refused(&world, |kind| hs256(DJANGO_SECRET, &with(&claims, "token_type", kind)), message);
    }
}

#[test]
fn the_type_matters_everywhere_but_to_verify() {
    let (world, now) = world("");
    let untyped = without(&access(now), "token_type");
    let of_type = |kind: &str| hs256(DJANGO_SECRET, &with(&untyped, "token_type", kind));
    let none = hs256(DJANGO_SECRET, &untyped);
    assert_refresh(&world, &none, "Token has no type");
    assert_protected(&world, &none, "Token has no type");
    for kind in ["access", "sliding", "Refresh", ""] {
        assert_refresh(&world, &of_type(kind), "Token has wrong type");
    }
    for kind in ["refresh", "sliding", "Access", ""] {
        assert_protected(&world, &of_type(kind), "Token has wrong type");
    }
    let nobody = hs256(DJANGO_SECRET, &with(&access(now), "user_id", "404"));
    for token in [&none, &of_type("access"), &of_type("refresh"), &of_type("sliding"), &nobody] {
        let reply = world.post_json(VERIFY, &json!({ "token": token }));
        assert_eq!((reply.status, reply.text().as_str()), (200, "{}"), "{reply:?}");
    }
}

#[test]
fn what_has_no_influence_has_none() {
    let (world, now) = world("");
    for claims in [
        without(&access(now), "iat"),
        with(&access(now), "iat", now),
        with(&access(now), "nbf", now),
        with(&access(now), "exp", now as f64 + 99.5),
        with(&access(now), "iat", now as f64 - 0.5),
        with(&access(now), "iss", "anyone"),
        with(&access(now), "aud", json!(["anyone", 5])),
        with(&access(now), "sub", "somebody else"),
        with(&access(now), "user_id", 17),
        with(&access(now), "tenant", json!({"a": [1, null]})),
    ] {
        let reply = world.me(&hs256(DJANGO_SECRET, &claims));
        assert_eq!(reply.status, 200, "{claims}: {reply:?}");
        assert_eq!(reply.json()["id"], "17");
    }
    for header in [
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"HS256","typ":5}"#,
        r#"{"typ":"at+jwt","alg":"HS256"}"#,
        r#"{"alg":"HS256","typ":"JWT","kid":"../../etc/passwd"}"#,
        r#"{"alg":"HS256","typ":"JWT","other":{"a":1}}"#,
    ] {
        assert_eq!(world.me(&signed(header, &access(now))).status, 200, "{header}");
    }
}

#[test]
fn leeway_applies_to_all_three_times() {
    let (world, now) = world("leeway: 10s");
    for (name, at, status) in [
        ("exp", now - 9, 200),
        ("exp", now - 10, 401),
        ("iat", now + 10, 200),
        ("iat", now + 11, 401),
        ("nbf", now + 10, 200),
        ("nbf", now + 11, 401),
    ] {
        let reply = world.me(&hs256(DJANGO_SECRET, &with(&access(now), name, at)));
        assert_eq!(reply.status, status, "{name} {}: {reply:?}", at - now);
    }
}

#[test]
fn the_authorization_header_is_read_as_it_always_was() {
    let (world, now) = world("");
    let token = hs256(DJANGO_SECRET, &access(now));
    let ask = |value: &str| world.get("/api/v1/auth/me/", &[("Authorization", value)]);
    let foreign = ["".to_owned(), format!("bearer {token}"), format!("JWT {token}"), format!("Token {token}")];
    for value in foreign.iter().chain([&format!("Basic {token}"), &token, &format!("Bearer{token}")]) {
        let reply = ask(value);
        assert_eq!((reply.status, reply.code().as_str()), (401, "not_authenticated"), "{value}");
        assert_eq!(reply.json()["detail"], NOT_PROVIDED);
    }
    for value in ["Bearer".to_owned(), "Bearer a b".to_owned(), format!("Bearer {token} {token}")] {
        let reply = ask(&value);
        let detail = "Authorization header must contain two space-delimited values";
        let expected = format!(r#"{{"detail":"{detail}","code":"bad_authorization_header"}}"#);
        assert_eq!((reply.status, reply.text()), (401, expected), "{value}");
    }
    for value in [format!("Bearer {token}"), format!("Bearer \t  {token}")] {
        assert_eq!(ask(&value).status, 200, "{value}");
    }
}

#[test]
fn the_user_of_a_token_must_be_there_and_active() {
    let (world, now) = world("");
    world.user_with_id("18", "inactive");
    world.wait(world.administration.users.set_active("inactive", false, &crate::harness::operator())).unwrap();
    let none = "Token contained no recognizable user identification";
    for (claims, detail, code) in [
        (without(&access(now), "user_id"), none, "token_not_valid"),
        (with(&access(now), "user_id", json!(null)), "User not found", "user_not_found"),
        (with(&access(now), "user_id", "404"), "User not found", "user_not_found"),
        (with(&access(now), "user_id", 404), "User not found", "user_not_found"),
        (with(&access(now), "user_id", 18), "User is inactive", "user_inactive"),
    ] {
        let reply = world.me(&hs256(DJANGO_SECRET, &claims));
        let expected = format!(r#"{{"detail":"{detail}","code":"{code}"}}"#);
        assert_eq!((reply.status, reply.text()), (401, expected), "{claims}");
    }
}

#[test]
fn a_bad_key_is_the_same_as_none() {
    let (world, _) = world("");
    let (revoked, revoked_text) = world.key("");
    world.wait(world.administration.keys.revoke(revoked.id.as_str(), "leaked", &crate::harness::operator())).unwrap();
    let (key, text) = world.key("");
    let none = world.get("/api/v1/auth/me/", &[]);
    assert_eq!((none.status, &none.json()["detail"]), (401, &json!(NOT_PROVIDED)));
    let api_key = format!("Api-Key {text}");
    for headers in [
        vec![("X-API-Key", "junk")],
        vec![("X-API-Key", "")],
        vec![("X-API-Key", revoked_text.as_str())],
        vec![("X-API-Key", &text), ("X-API-Key", &text)],
        vec![("X_API_Key", &text)],
        vec![("Authorization", &api_key)],
    ] {
        let reply = world.get("/api/v1/auth/me/", &headers);
        assert_eq!(reply.comparable(), none.comparable(), "{headers:?}");
    }
    assert_eq!(world.get(&format!("/api/v1/auth/me/?api_key={text}"), &[]).comparable(), none.comparable());
    let good = world.get("/api/v1/auth/me/", &[("X-API-Key", &format!(" {text}\t"))]);
    assert_eq!(good.json()["key_id"], key.id.as_str());
}

#[test]
fn a_key_in_authorization_is_one_where_that_is_set() {
    let (mut plan, clock) = Plan::django("").timed();
    plan.extra.push_str("\napi_keys: { in_authorization: true }");
    let world = World::plan(plan);
    world.user_with_id("17", "anna");
    let (key, text) = world.key("");
    let none = world.get("/p", &[]);
    assert_eq!((none.status, &none.json()["detail"]), (401, &json!(NOT_PROVIDED)));
    for scheme in ["Api-Key", "api-key"] {
        let seen = world.get("/p", &[("Authorization", &format!("{scheme} {text}"))]).seen();
        assert_eq!(seen.header("x-auth-user-id"), Some("service:robot"));
        assert_eq!(seen.header("authorization"), None, "it goes no further");
    }
    let shown = format!("Api-Key {text}");
    assert_eq!(world.get("/api/v1/auth/me/", &[("Authorization", &shown)]).json()["key_id"], key.id.as_str());
    world.get("/p", &[("X-API-Key", &text)]).seen();
    let bearer = format!("Bearer {}", hs256(DJANGO_SECRET, &access(clock.now().as_secs())));
    let (two, junk) = (format!("Api-Key  {text}"), format!("Api-Key {text}x"));
    for headers in [
        vec![("Authorization", shown.as_str()), ("X-API-Key", &text)],
        vec![("Authorization", &shown), ("X-API-Key", "junk")],
        vec![("Authorization", "Api-Key junk"), ("X-API-Key", &text)],
        vec![("Authorization", &two)],
        vec![("Authorization", &junk)],
        vec![("Authorization", &text)],
        vec![("Authorization", "Api-Key")],
        vec![("Authorization_", &shown)],
    ] {
        assert_eq!(world.get("/p", &headers).comparable(), none.comparable(), "{headers:?}");
    }
    for fields in [[&shown, &shown], [&shown, &bearer], [&bearer, &shown]] {
        let headers = fields.map(|field| ("Authorization", field.as_str()));
        assert!([400, 401].contains(&world.get("/p", &headers).status), "{fields:?}");
    }
    assert_eq!(world.get("/p", &[("Authorization", &bearer), ("X-API-Key", "junk")]).status, 200);
    world.wait(world.administration.keys.revoke(key.id.as_str(), "leaked", &crate::harness::operator())).unwrap();
    world.settle();
    assert_eq!(world.get("/p", &[("Authorization", &shown)]).comparable(), none.comparable());
}

#[test]
fn a_token_and_a_key_together_are_judged_as_they_always_were() {
    let (world, now) = world("");
    let good = format!("Bearer {}", hs256(DJANGO_SECRET, &access(now)));
    let expired = format!("Bearer {}", hs256(DJANGO_SECRET, &with(&access(now), "exp", now)));
    let (key, text) = world.key("");
    let ask = |bearer: &str, key: &str| {
        let headers = [("Authorization", bearer), ("X-API-Key", key)];
        let headers: Vec<_> = headers.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        world.get("/api/v1/auth/me/", &headers)
    };
    for key in ["", "junk", text.as_str()] {
        assert_eq!(ask(&good, key).json()["id"], "17", "a valid token makes the key irrelevant");
    }
    for bearer in ["", "Basic YTpi", "bearer x"] {
        assert_eq!(ask(bearer, &text).json()["key_id"], key.id.as_str(), "a foreign scheme is none");
        let refused = ask(bearer, "junk");
        assert_eq!((refused.status, &refused.json()["detail"]), (401, &json!(NOT_PROVIDED)), "a bad key is none");
    }
    for key in ["", "junk", text.as_str()] {
        let reply = ask(&expired, key);
        assert_eq!((reply.status, reply.code().as_str()), (401, "token_not_valid"), "no key rescues a bad token");
    }
}

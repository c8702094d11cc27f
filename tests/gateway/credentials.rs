//! Credentials that are broken, doubled, contradictory or forged: refused with a code, counted, and never forwarded.

use std::collections::BTreeMap;

use aws_lc_rs::hmac::HMAC_SHA256;

use crate::harness::forge::{self, Es256, base64url, hmac};
use crate::harness::{PASSWORD, Plan, World};

/// Header fields; the status and code of the answer; the reason that is counted.
type Row<'a> = (Vec<(&'a str, &'a str)>, u16, &'a str, &'a str);

#[test]
fn broken_credentials_are_refused_with_a_code_and_counted() {
    let world = World::start();
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    let (_, key) = world.key("");
    let huge = format!("Bearer {}", "x".repeat(9 * 1024));
    let good = format!("Bearer {access}");
    let truncated = good[..good.len() - 1].to_owned();
    let quoted = format!("Bearer \"{access}\"");
    let listed = format!("Bearer {access}, Bearer {access}");
    let rows: Vec<Row<'_>> = vec![
        (vec![("Authorization", "Bearer garbage")], 401, "token_not_valid", "token_invalid"),
        (vec![("Authorization", "Bearer a.b.c")], 401, "token_not_valid", "token_invalid"),
        (vec![("Authorization", &huge)], 401, "token_not_valid", "token_invalid"),
        (vec![("Authorization", &truncated)], 401, "token_not_valid", "token_invalid"),
        (vec![("Authorization", &quoted)], 401, "token_not_valid", "token_invalid"),
        (vec![("Authorization", "Bearer")], 401, "bad_authorization_header", "bad_authorization_header"),
        (vec![("Authorization", &listed)], 401, "bad_authorization_header", "bad_authorization_header"),
        (vec![("Authorization", "Basic YTpi")], 401, "credential_malformed", "credential_malformed"),
        (vec![("Authorization", &access)], 401, "credential_malformed", "credential_malformed"),
        (vec![("Authorization", "Bearer\u{a0}x")], 401, "credential_malformed", "credential_malformed"),
        (vec![("Authorization", &good), ("Authorization", &good)], 400, "credential_repeated", "credential_repeated"),
        (vec![("Authorization", &good), ("authorization", "")], 400, "credential_repeated", "credential_repeated"),
        (vec![("X-API-Key", &key), ("x-api-key", &key)], 400, "credential_repeated", "credential_repeated"),
        (vec![("X-API-Key", "")], 401, "key_not_valid", "key_malformed"),
        (vec![("X-API-Key", &access)], 401, "key_not_valid", "key_malformed"),
        (vec![("Authorization", &good), ("X-API-Key", "junk")], 401, "key_not_valid", "key_malformed"),
        (vec![("Authorization", "Bearer junk"), ("X-API-Key", &key)], 401, "token_not_valid", "token_invalid"),
    ];
    for (headers, status, code, reason) in rows {
        for path in ["/proxied", "/api/v1/auth/me/"] {
            let before = world.counted(reason);
            let reply = world.get(path, &headers);
            assert_eq!((reply.status, reply.code().as_str()), (status, code), "{path} {headers:?}: {reply:?}");
            assert_eq!(reply.header("www-authenticate").is_some(), status == 401, "{reply:?}");
            world.assert_counted(reason, before + 1);
        }
    }
    assert_eq!(world.upstream.seen(), []);
}

#[test]
fn credentials_in_any_other_place_are_no_credentials() {
    let world = World::start();
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    let (_, key) = world.key("");
    let cookie = format!("access_token={access}; api_key={key}; token={access}");
    let form = format!("access_token={access}&api_key={key}");
    for reply in [
        world.get(&format!("/p?access_token={access}&token={access}&jwt={access}"), &[]),
        world.get(&format!("/p?api_key={key}&x-api-key={key}&key={key}"), &[]),
        world.get("/p", &[("Cookie", &cookie)]),
        world.get("/p", &[("X_API_Key", &key)]),
        world.get("/p", &[("X-Access-Token", &access), ("Api-Key", &key), ("Token", &access)]),
        world.get("/p", &[("Proxy-Authorization", &format!("Bearer {access}"))]),
        world.request("POST", "/p", &[("Content-Type", "application/x-www-form-urlencoded")], form.as_bytes()),
    ] {
        assert_eq!((reply.status, reply.code().as_str()), (401, "not_authenticated"), "{reply:?}");
    }
    let reply = world.get("/p", &[("Authorization", &format!("Api-Key {key}"))]);
    assert_eq!((reply.status, reply.code().as_str()), (401, "credential_malformed"));
    assert_eq!(world.upstream.seen(), []);
}

#[test]
fn neither_log_nor_metrics_hold_what_would_let_their_reader_in() {
    let world = World::start();
    world.user("anna");
    let (access, refresh) = world.sign_in("anna");
    let (_, key) = world.key("");
    let bearer = format!("Bearer {access}");
    let replies = [
        world.get(&format!("/p?access_token={access}&key={key}"), &[("Authorization", &bearer), ("X-API-Key", &key)]),
        world.get("/p", &[("Authorization", &format!("{bearer}x")), ("Cookie", &format!("t={access}"))]),
        world.get(&format!("/api/v1/auth/{refresh}"), &[("X-API-Key", &key[1..])]),
        world.refresh(&refresh),
        world.post_json("/api/v1/auth/token/", &serde_json::json!({"username": PASSWORD, "password": PASSWORD})),
    ];
    assert_eq!(replies.each_ref().map(|reply| reply.status), [200, 401, 404, 200, 401]);
    let log = serde_json::to_string(&world.access_log(6)).unwrap();
    let metrics = world.metrics();
    for secret in [&access, &refresh, &key, &key[12..], PASSWORD, access.rsplit('.').next().unwrap()] {
        assert!(!log.contains(secret), "{secret} in {log}");
        assert!(!metrics.contains(secret), "{secret} in {metrics}");
    }
}

#[test]
fn the_scheme_is_a_word_in_any_case() {
    let world = World::start();
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    for scheme in ["Bearer", "bearer", "BEARER", "bEARER"] {
        world.get("/p", &[("Authorization", &format!("{scheme} {access}"))]).seen();
    }
}

#[test]
fn a_token_has_one_spelling() {
    let world = World::start();
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    let [head, payload, tag] = access.split('.').collect::<Vec<_>>()[..] else { panic!("{access}") };
    // 64 bytes of signature leave four bits of the last character unused: 15 other characters decode to the same bytes.
    let last = tag.as_bytes()[tag.len() - 1];
    let sibling = if last == b'A' { 'B' } else { char::from(last + 1) };
    for token in [
        format!("{access}="),
        format!("{access}."),
        format!(".{access}"),
        format!("{head}.{payload}.{}{sibling}", &tag[..tag.len() - 1]),
        format!("{head}.{payload}"),
        format!("{head}..{tag}"),
        format!("{}.{payload}.{tag}", head.to_uppercase()),
        format!("{head}=.{payload}=.{tag}"),
        format!("{}+{}.{payload}.{tag}", &head[..4], &head[5..]),
    ] {
        let reply = world.get_as("/p", &token);
        assert_eq!((reply.status, reply.code().as_str()), (401, "token_not_valid"), "{token}");
    }
    world.get_as("/p", &access).seen();
}

#[test]
fn forged_and_misleading_headers_are_refused() {
    let key = Es256::generate();
    let plan = Plan {
        tokens: Some("{ signing: { algorithm: ES256, key: \"${PEM}\" } }".to_owned()),
        environment: BTreeMap::from([("PEM".to_owned(), key.pem.clone())]),
        ..Plan::default()
    };
    let world = World::plan(plan);
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    let claims = forge::claims(&access).to_string();
    let refused = |token: &str, why: &str| {
        let reply = world.get_as("/p", token);
        assert_eq!((reply.status, reply.code().as_str()), (401, "token_not_valid"), "{why}: {reply:?}");
    };
    world.get_as("/p", &key.sign(&key.header(), &claims)).seen();
    let without_kid = r#"{"alg":"ES256","typ":"JWT"}"#;
    world.get_as("/p", &key.sign(without_kid, &claims)).seen();

    for alg in ["none", "None", "NONE", "", "HS256"] {
        let head = format!(r#"{{"alg":"{alg}","typ":"JWT","kid":"{}"}}"#, key.kid);
        let message = format!("{}.{}", base64url(&head), base64url(&claims));
        refused(&format!("{message}."), "no signature");
        refused(&format!("{message}.{}", access.rsplit('.').next().unwrap()), "another's signature");
        refused(&key.sign(&head, &claims), "the right signature under a wrong name");
    }
    for secret in key.public_forms() {
        for head in [r#"{"alg":"HS256","typ":"JWT"}"#, &format!(r#"{{"alg":"HS256","kid":"{}"}}"#, key.kid)] {
            refused(&hmac(HMAC_SHA256, &secret, head, &claims), "the public key as a shared secret");
        }
    }
    let other = Es256::generate();
    let jwk = r#""jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#;
    for member in [
        "\"jku\":\"http://127.0.0.1:9/keys\"",
        "\"x5u\":\"http://127.0.0.1:9/cert\"",
        "\"x5c\":[\"AAAA\"]",
        jwk,
        "\"crit\":[\"exp\"]",
        "\"crit\":[]",
        "\"b64\":true",
        "\"zip\":\"DEF\"",
    ] {
        let head = format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{}",{member}}}"#, key.kid);
        refused(&key.sign(&head, &claims), member);
        refused(&other.sign(&head, &claims), member);
    }
    let foreign_kids = ["../../../../etc/passwd", "/dev/null", "' OR '1'='1", "*", "", "hs256", other.kid.as_str()];
    for kid in foreign_kids.into_iter().chain([&key.kid[1..], &key.kid.to_uppercase()]) {
        let head = format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{kid}"}}"#);
        refused(&key.sign(&head, &claims), kid);
    }
    for head in [
        format!(r#"{{"alg":"none","alg":"ES256","typ":"JWT","kid":"{}"}}"#, key.kid),
        format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{0}","kid":"{0}"}}"#, key.kid),
        format!(r#"{{"alg":["ES256"],"typ":"JWT","kid":"{}"}}"#, key.kid),
        format!(r#"{{"alg":"ES256","typ":"JWT","kid":["{}"]}}"#, key.kid),
        format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{}"}}"#, key.kid),
        format!(r#"{{"alg":"ES256","kid":"{}"}}"#, key.kid),
        format!("\u{feff}{}", key.header()),
        format!("{}x", key.header()),
    ] {
        refused(&key.sign(&head, &claims), &head);
    }
    let body = claims.strip_prefix('{').unwrap();
    let deep = format!("{{\"x\":{}{},{body}", "[".repeat(16), "]".repeat(16));
    for payload in
        [format!("{{\"sub\":\"x\",{body}"), format!("\u{feff}{claims}"), format!("{claims}{{}}"), "[]".to_owned(), deep]
    {
        refused(&key.sign(&key.header(), &payload), &payload);
    }
    assert_eq!(world.upstream.seen().len(), 2);
}

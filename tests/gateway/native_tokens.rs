//! Tokens of the gateway's own: ES256, every claim demanded, each kind good for one thing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::forge::{self, Es256, with, without};
use crate::harness::{Plan, World};
use portcullis::domain::clock::ManualClock;

/// A world that signs with a key which the test has too.
fn world_with_key() -> (World, Es256, std::sync::Arc<ManualClock>) {
    let key = Es256::generate();
    let (plan, clock) = Plan {
        tokens: Some("{ signing: { algorithm: ES256, key: \"${PEM}\" } }".to_owned()),
        environment: BTreeMap::from([("PEM".to_owned(), key.pem.clone())]),
        ..Plan::default()
    }
    .timed();
    let world = World::plan(plan);
    world.user("anna");
    (world, key, clock)
}

#[test]
fn tokens_are_es256_under_the_published_thumbprint_with_all_their_claims() {
    let (world, key, _) = world_with_key();
    let (access, refresh) = world.sign_in("anna");
    for token in [&access, &refresh] {
        assert_eq!(forge::header(token), format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{}"}}"#, key.kid));
        let claims = forge::claims(token);
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!("portcullis"), &json!("api")));
        assert_eq!(claims["sub"], claims["user_id"]);
        for name in ["exp", "iat", "auth_time"] {
            assert!(claims[name].is_i64(), "{name}: {claims}");
        }
        for name in ["jti", "sid", "sub"] {
            assert!(claims[name].is_string(), "{name}: {claims}");
        }
        assert_eq!(claims["amr"], json!(["pwd"]));
    }
    let published = world.get("/.well-known/jwks.json", &[]).json();
    let ids: Vec<_> = published["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect();
    assert!(ids.contains(&json!(key.kid)), "{published}");
}

#[test]
fn each_kind_of_token_is_good_for_one_thing_only() {
    let (world, key, _) = world_with_key();
    let (access, refresh) = world.sign_in("anna");
    let as_access = world.me(&refresh);
    assert_eq!((as_access.status, as_access.code().as_str()), (401, "token_not_valid"));
    let as_refresh = world.refresh(&access);
    assert_eq!((as_refresh.status, as_refresh.code().as_str()), (401, "token_not_valid"));
    world.assert_counted("token_wrong_type", 2);
    for (claims, kind) in [(forge::claims(&access), "Access"), (forge::claims(&refresh), "Refresh")] {
        for kind in [json!(kind), json!([kind.to_lowercase()]), json!("assertion"), json!("")] {
            let token = key.token(&with(&claims, "token_type", kind));
            assert_eq!((world.me(&token).status, world.refresh(&token).status), (401, 401));
        }
    }
    // What the gateway tells an upstream about a caller is signed too, and is no token.
    let seen = world.get_as("/", &access).seen();
    let assertion = seen.header("x-auth-assertion").unwrap().to_owned();
    assert_eq!((world.me(&assertion).status, world.refresh(&assertion).status), (401, 401));
    let verify = world.post_json("/api/v1/auth/token/verify/", &json!({ "token": assertion }));
    assert_eq!(verify.status, 401, "{verify:?}");
}

#[test]
fn every_claim_is_demanded_in_its_one_type() {
    let (world, key, _) = world_with_key();
    let (access, refresh) = world.sign_in("anna");
    let wrong: [(&str, &[Value]); 9] = [
        ("exp", &[json!("9999999999"), json!(1.8e9), json!(null), json!(true), json!(9e99)]),
        ("iat", &[json!("0"), json!(0.5), json!(null)]),
        ("iss", &[json!("portcullis2"), json!("portcull"), json!("Portcullis"), json!(["portcullis"]), json!(5)]),
        ("aud", &[json!("api2"), json!("ap"), json!(""), json!({"api": 1}), json!(["api2"])]),
        ("sub", &[json!("somebody else"), json!(5), json!("")]),
        ("jti", &[json!(5), json!(null)]),
        ("sid", &[json!("unknown"), json!(5), json!([])]),
        ("token_type", &[json!(5), json!("x")]),
        ("user_id", &[json!("somebody else"), json!(5), json!(null)]),
    ];
    for (claims, kind) in [(forge::claims(&access), "access"), (forge::claims(&refresh), "refresh")] {
        let status = |token: &str| if kind == "access" { world.me(token).status } else { world.refresh(token).status };
        for (name, values) in wrong {
            assert_eq!(status(&key.token(&without(&claims, name))), 401, "{kind} without {name}");
            for value in values {
                assert_eq!(status(&key.token(&with(&claims, name, value.clone()))), 401, "{kind} {name}: {value}");
            }
        }
        assert_eq!(status(&key.token(&with(&claims, "nbf", "0"))), 401);
        assert_eq!(status(&key.token(&with(&claims, "aud", json!(["other", "api"])))), 200, "a list that holds it");
    }
    assert_eq!(world.me(&access).status, 200);
}

#[test]
fn no_token_may_live_longer_than_its_kind_or_begin_later() {
    let (world, key, clock) = world_with_key();
    let (access, _) = world.sign_in("anna");
    let claims = forge::claims(&access);
    let (issued, expires) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    for (name, value, status) in [
        ("exp", expires + 1, 401),
        ("exp", i64::MAX, 401),
        ("iat", issued - 1, 401),
        ("iat", issued + 1, 401),
        ("nbf", issued + 1, 401),
        ("nbf", issued, 200),
        ("exp", expires - 1, 200),
    ] {
        assert_eq!(world.me(&key.token(&with(&claims, name, value))).status, status, "{name} {value}");
    }
    clock.advance(Duration::from_secs(299));
    assert_eq!(world.me(&access).status, 200);
    clock.advance(Duration::from_secs(1));
    assert_eq!(world.me(&access).status, 401, "also when it was seen before");
    world.assert_counted("token_expired", 1);
}

#[test]
fn a_session_serves_its_own_user_only() {
    let (world, key, _) = world_with_key();
    let mallory = world.user("mallory");
    let (access, refresh) = world.sign_in("anna");
    for (token, use_it) in [(access, World::me as fn(&World, &str) -> crate::harness::Reply), (refresh, World::refresh)]
    {
        let claims = forge::claims(&token);
        let stolen = with(&with(&claims, "sub", mallory.id.as_str()), "user_id", mallory.id.as_str());
        assert_eq!(use_it(&world, &key.token(&stolen)).status, 401);
        assert_eq!(use_it(&world, &token).status, 200, "and is not ended by the attempt");
    }
}

#[test]
fn a_counter_that_was_never_reached_or_is_none_is_refused() {
    let (world, key, _) = world_with_key();
    let (_, refresh) = world.sign_in("anna");
    let claims = forge::claims(&refresh);
    for counter in [json!(1), json!(i64::MAX), json!(-1), json!("0"), json!(0.5), json!(null), json!([0])] {
        let reply = world.refresh(&key.token(&with(&claims, "ctr", counter.clone())));
        assert_eq!((reply.status, reply.code().as_str()), (401, "token_not_valid"), "{counter}: {reply:?}");
    }
    assert_eq!(world.refresh(&refresh).status, 200);
}

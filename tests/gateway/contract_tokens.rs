//! Signing in, refreshing and verifying in the place of a Django installation: what its clients send and get.

use serde_json::{Value, json};

use crate::harness::forge::{self, hs256, with, without};
use crate::harness::{DJANGO_SECRET, PASSWORD, Plan, Reply, World};
use portcullis::domain::clock::Clock as _;
use portcullis::domain::secret::Secret;
use portcullis::domain::user::PasswordHash;
use portcullis::identity::users::NewUser;

const TOKEN: &str = "/api/v1/auth/token/";

fn login(world: &World, username: &str, password: &str) -> Reply {
    world.post_json(TOKEN, &json!({"username": username, "password": password}))
}

fn texts(reply: &Reply) -> (String, String) {
    let body = reply.json();
    (body["refresh"].as_str().unwrap().to_owned(), body["access"].as_str().unwrap().to_owned())
}

/// A refresh token as the installation made them before the gateway took its place.
fn old_refresh_token(now: i64) -> Value {
    json!({
        "token_type": "refresh", "exp": now + 1000, "iat": now - 1000,
        "jti": "0123456789abcdef0123456789abcdef", "user_id": "17",
    })
}

#[test]
fn a_good_login_gives_two_tokens_as_existing_clients_know_them() {
    let (plan, clock) = Plan::django("").timed();
    let world = World::plan(plan);
    world.user_with_id("17", "anna");
    let reply = login(&world, "anna", PASSWORD);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.text().starts_with(r#"{"refresh":""#), "in this order: {reply:?}");
    assert_eq!(reply.json().as_object().unwrap().len(), 2);
    assert_eq!(reply.header("cache-control"), Some("no-store"));

    let (refresh, access) = texts(&reply);
    let now = clock.now().as_secs();
    for (token, kind, lifetime) in [(&refresh, "refresh", 86_400), (&access, "access", 300)] {
        assert_eq!(forge::header(token), forge::HS256);
        let claims = forge::claims(token);
        assert_eq!(forge::claim_names(token)[..5], ["token_type", "exp", "iat", "jti", "user_id"]);
        assert_eq!(claims["token_type"], kind);
        assert_eq!((claims["exp"].as_i64(), claims["iat"].as_i64()), (Some(now + lifetime), Some(now)));
        let id = claims["jti"].as_str().unwrap();
        assert!(id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{id}");
        assert_eq!(claims["user_id"], json!("17"), "text, also for a number");
        assert_eq!((claims.get("iss"), claims.get("aud")), (None, None));
        let again = hs256(DJANGO_SECRET, &claims);
        assert_eq!(*token, again, "signed with the installation's key, and written compactly");
    }
    assert_ne!(forge::claims(&refresh)["jti"], forge::claims(&access)["jti"]);
}

#[test]
fn lifetimes_issuer_and_audience_are_as_configured() {
    let settings = "access_lifetime: 60s, refresh_lifetime: 1h, issuer: shop, audience: clients";
    let (plan, clock) = Plan::django(settings).timed();
    let world = World::plan(plan);
    world.user_with_id("17", "anna");
    let (refresh, access) = texts(&login(&world, "anna", PASSWORD));
    let now = clock.now().as_secs();
    for (token, lifetime) in [(&refresh, 3600), (&access, 60)] {
        let claims = forge::claims(token);
        assert_eq!(claims["exp"], json!(now + lifetime));
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!("shop"), &json!("clients")));
    }
    let good = with(&with(&old_refresh_token(now), "iss", "shop"), "aud", "clients");
    let several = with(&good, "aud", json!(["others", "clients"]));
    for (claims, status) in [
        (good.clone(), 200),
        (several, 200),
        (without(&good, "iss"), 401),
        (without(&good, "aud"), 401),
        (with(&good, "iss", "shop.example"), 401),
        (with(&good, "aud", "client"), 401),
        (with(&good, "aud", json!(["others"])), 401),
        (with(&good, "aud", json!([["clients"]])), 401),
    ] {
        let reply = world.refresh(&hs256(DJANGO_SECRET, &claims));
        assert_eq!(reply.status, status, "{claims}: {reply:?}");
        assert!(status == 200 || reply.json()["detail"] == "Token is invalid", "{reply:?}");
    }
}

#[test]
fn whoever_cannot_sign_in_gets_one_and_the_same_answer() {
    let world = World::plan(Plan::django(""));
    world.user("anna");
    let broken = world.user_with_id("18", "unreadable");
    let unusable = PasswordHash::new("!no-password".to_owned());
    let store = &world.stores.users;
    assert!(world.wait(store.upgrade_password(&broken.id, &broken.password, &unusable)).unwrap());
    world.user_with_id("19", "inactive");
    world.wait(world.administration.users.set_active("inactive", false, &crate::harness::operator())).unwrap();

    let wrong = login(&world, "anna", "not the password");
    assert_eq!((wrong.status, wrong.header("www-authenticate")), (401, Some("Bearer realm=\"api\"")));
    assert_eq!(wrong.json()["detail"], "No active account found with the given credentials");
    for username in ["nobody", "Anna", "ANNA", "inactive", "unreadable", "a\u{301}nna", "' OR 1=1 --"] {
        assert_eq!(login(&world, username, PASSWORD).comparable(), wrong.comparable(), "{username}");
    }
    world.assert_counted("sign_in_refused", 8);
}

#[test]
fn white_space_around_names_and_passwords_is_taken_off() {
    let world = World::plan(Plan::django(""));
    world.user("anna");
    assert_eq!(login(&world, " anna\t", &format!("  {PASSWORD}\n")).status, 200);
    let name = portcullis::domain::user::Username::parse("padded").unwrap();
    let padded = NewUser::named(name, Some(Secret::new("  padded password  ".to_owned())));
    world.wait(world.administration.users.create(padded, &crate::harness::operator())).unwrap();
    assert_eq!(login(&world, "padded", "  padded password  ").status, 401, "what is stripped cannot match");
}

#[test]
fn whatever_a_client_calls_itself_it_can_sign_in() {
    let world = World::plan(Plan::django(""));
    world.user("anna");
    let long = "x".repeat(5000);
    for user_agent in ["", "\u{e9}\u{1f512}", "a\tb", &long, "'; DROP TABLE sessions; --"] {
        let body = json!({"username": "anna", "password": PASSWORD}).to_string();
        let headers = [("Content-Type", "application/json"), ("User-Agent", user_agent)];
        assert_eq!(world.request("POST", TOKEN, &headers, body.as_bytes()).status, 200, "{user_agent}");
    }
    for username in ["\u{10ffff}", &"x".repeat(60_000), "a\\b%_*"] {
        assert_eq!(login(&world, username, PASSWORD).status, 401);
    }
}

#[test]
fn a_refresh_copies_what_the_token_says_and_the_token_stays_good() {
    let (plan, clock) = Plan::django("").timed();
    let world = World::plan(plan);
    world.user_with_id("17", "anna");
    let now = clock.now().as_secs();
    let token = with(&old_refresh_token(now), "tenant", json!({"id": 5, "name": "zoë"}));
    for user_id in [json!("17"), json!(17)] {
        let token = hs256(DJANGO_SECRET, &with(&token, "user_id", user_id.clone()));
        let mut ids = Vec::new();
        for _ in 0..3 {
            let reply = world.refresh(&token);
            assert_eq!(reply.status, 200, "{reply:?}");
            assert!(reply.text().starts_with(r#"{"access":""#) && reply.json().get("refresh").is_none(), "{reply:?}");
            let access = reply.json()["access"].as_str().unwrap().to_owned();
            let names = ["token_type", "exp", "iat", "jti", "user_id", "tenant"];
            assert_eq!(forge::claim_names(&access), names);
            let claims = forge::claims(&access);
            assert_eq!(claims["token_type"], "access");
            assert_eq!((claims["exp"].as_i64(), claims["iat"].as_i64()), (Some(now + 300), Some(now)));
            assert_eq!(claims["user_id"], user_id, "with its type");
            assert_eq!(claims["tenant"], json!({"id": 5, "name": "zoë"}));
            assert_eq!(world.me(&access).json()["id"], "17");
            ids.push(claims["jti"].clone());
        }
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && !ids.contains(&token.clone().into()));
    }
}

#[test]
fn claims_that_an_installation_named_as_we_name_ours_are_none_of_ours() {
    let (plan, clock) = Plan::django("").timed();
    let world = World::plan(plan);
    world.user_with_id("17", "anna");
    let mut token = old_refresh_token(clock.now().as_secs());
    for (name, value) in [("sid", json!(5)), ("ctr", json!("x")), ("amr", json!("pwd")), ("auth_time", json!([]))] {
        token = with(&token, name, value);
    }
    let reply = world.refresh(&hs256(DJANGO_SECRET, &token));
    assert_eq!(reply.status, 200, "{reply:?}");
    let access = reply.json()["access"].as_str().unwrap().to_owned();
    let claims = forge::claims(&access);
    assert_eq!((&claims["sid"], &claims["ctr"], &claims["amr"]), (&json!(5), &json!("x"), &json!("pwd")));
    assert_eq!(world.me(&access).status, 200);
}

#[test]
fn tokens_of_older_libraries_are_taken() {
    let (plan, clock) = Plan::django("").timed();
    let world = World::plan(plan);
    world.user_with_id("17", "anna");
    let now = clock.now().as_secs();
    let oldest = without(&with(&old_refresh_token(now), "user_id", 17), "iat");
    let reply = world.refresh(&hs256(DJANGO_SECRET, &oldest));
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(forge::claims(reply.json()["access"].as_str().unwrap())["iat"], json!(now));
}

#[test]
fn a_rotated_token_is_a_copy_with_a_full_new_lifetime_and_the_old_one_is_spent() {
    let (plan, clock) = Plan::django("rotate: true, reuse_grace: 0s").timed();
    let world = World::plan(plan);
    world.user_with_id("17", "anna");
    let now = clock.now().as_secs();
    let old = hs256(DJANGO_SECRET, &with(&old_refresh_token(now), "tenant", 5));
    let reply = world.refresh(&old);
    assert!(reply.text().starts_with(r#"{"access":""#), "{reply:?}");
    let (new, _) = texts(&reply);
    let claims = forge::claims(&new);
    assert_eq!((&claims["tenant"], &claims["user_id"]), (&json!(5), &json!("17")));
    assert_eq!((claims["iat"].as_i64(), claims["exp"].as_i64()), (Some(now), Some(now + 86_400)));
    assert_ne!(claims["jti"], "0123456789abcdef0123456789abcdef");
    let access = reply.json()["access"].as_str().unwrap().to_owned();
    assert_eq!(world.me(&access).status, 200);
    let spent = world.refresh(&old);
    assert_eq!(spent.status, 401);
    assert_eq!(spent.text(), r#"{"detail":"Token is blacklisted","code":"token_not_valid"}"#);
    assert_eq!(world.me(&access).code(), "session_ended", "a copy is in other hands");
    assert_eq!(world.refresh(&new).status, 401);
}

#[test]
fn of_parallel_uses_of_an_old_token_one_makes_a_successor() {
    let (plan, clock) = Plan::django("rotate: true").timed();
    let world = World::plan(plan);
    world.user_with_id("17", "anna");
    let old = hs256(DJANGO_SECRET, &old_refresh_token(clock.now().as_secs()));
    let successors: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..10).map(|_| scope.spawn(|| texts(&world.refresh(&old)).0)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    // HS256 has no randomness, so the same successor is the same text.
    assert!(successors.windows(2).all(|two| two[0] == two[1]), "{successors:?}");
}

#[test]
fn a_refresh_asks_for_an_active_user_and_a_refusal_burns_nothing() {
    let (plan, clock) = Plan::django("rotate: true").timed();
    let world = World::plan(plan);
    world.user_with_id("17", "anna");
    world.wait(world.administration.users.set_active("anna", false, &crate::harness::operator())).unwrap();
    let token = old_refresh_token(clock.now().as_secs());
    let refused = world.refresh(&hs256(DJANGO_SECRET, &token));
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json()["detail"], "No active account found for the given token.");
    world.wait(world.administration.users.set_active("anna", true, &crate::harness::operator())).unwrap();
    crate::harness::eventually("the user to be known as active", || {
        (world.refresh(&hs256(DJANGO_SECRET, &token)).status == 200).then_some(())
    });
}

#[test]
fn what_django_answers_with_500_is_an_ordinary_refusal() {
    let (plan, clock) = Plan::django("").timed();
    let world = World::plan(plan);
    world.user_with_id("17", "anna");
    world.user_with_id("1", "first");
    world.user_with_id("true", "truth");
    let token = old_refresh_token(clock.now().as_secs());
    let junk = [json!("404"), json!(true), json!(1.0), json!(" 1 "), json!([17]), json!({"id": 17}), json!("")];
    for user_id in junk.into_iter().chain([json!(null)]) {
        let refresh = world.refresh(&hs256(DJANGO_SECRET, &with(&token, "user_id", user_id.clone())));
        assert_eq!((refresh.status, refresh.code().as_str()), (401, "token_not_valid"), "{user_id}: {refresh:?}");
        let access = with(&with(&token, "user_id", user_id.clone()), "token_type", "access");
        let me = world.me(&hs256(DJANGO_SECRET, &access));
        assert_eq!(me.status, 401, "{user_id}: {me:?}");
    }
    for claims in [without(&token, "jti"), with(&token, "exp", "soon"), without(&token, "user_id")] {
        let refresh = world.refresh(&hs256(DJANGO_SECRET, &claims));
        assert_eq!((refresh.status, refresh.code().as_str()), (401, "token_not_valid"), "{claims}: {refresh:?}");
    }
}

#[test]
fn verify_and_blacklist_do_not_look_at_the_user() {
    let (plan, clock) = Plan::django("").timed();
    let world = World::plan(plan);
    world.user_with_id("17", "anna");
    let now = clock.now().as_secs();
    let refresh = hs256(DJANGO_SECRET, &old_refresh_token(now));
    let access = with(&with(&old_refresh_token(now), "token_type", "access"), "jti", "a1");
    let access = hs256(DJANGO_SECRET, &access);
    let nobodys = hs256(DJANGO_SECRET, &without(&with(&old_refresh_token(now), "jti", "b1"), "user_id"));
    world.wait(world.administration.users.set_active("anna", false, &crate::harness::operator())).unwrap();
    let verify = |token: &str| world.post_json("/api/v1/auth/token/verify/", &json!({ "token": token }));
    let blacklist = |token: &str| world.post_json("/api/v1/auth/token/blacklist/", &json!({ "refresh": token }));
    for token in [&refresh, &access, &nobodys] {
        let reply = verify(token);
        assert_eq!((reply.status, reply.text().as_str()), (200, "{}"), "{reply:?}");
    }
    assert_eq!(blacklist(&access).json()["detail"], "Token has wrong type");
    for token in [&refresh, &nobodys] {
        let reply = blacklist(token);
        assert_eq!((reply.status, reply.text().as_str()), (200, "{}"), "{reply:?}");
    }
    let blacklisted = r#"{"detail":"Token is blacklisted","code":"token_not_valid"}"#;
    for again in [blacklist(&refresh), verify(&refresh)] {
        assert_eq!((again.status, again.text().as_str()), (401, blacklisted));
    }
    world.wait(world.administration.users.set_active("anna", true, &crate::harness::operator())).unwrap();
    world.settle();
    assert_eq!(world.refresh(&refresh).text(), blacklisted);
    assert_eq!(world.me(&access).status, 200, "the access token beside it lives out its time");
}

#[test]
fn an_expired_token_is_told_so_also_when_it_is_blacklisted() {
    let (plan, clock) = Plan::django("").timed();
    let world = World::plan(plan);
    world.user_with_id("17", "anna");
    let token = hs256(DJANGO_SECRET, &old_refresh_token(clock.now().as_secs()));
    let body = json!({ "refresh": token });
    assert_eq!(world.post_json("/api/v1/auth/token/blacklist/", &body).status, 200);
    clock.advance(std::time::Duration::from_secs(1000));
    let reply = world.post_json("/api/v1/auth/token/blacklist/", &body);
    assert_eq!(reply.json()["detail"], "Token is expired", "time comes first");
}

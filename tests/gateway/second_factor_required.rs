//! Users who must have a second factor: what their tokens are good for before they have.

use serde_json::json;

use crate::harness::authenticator::SETUP;
use crate::harness::{PASSWORD, Plan, World};
use portcullis::domain::clock::Clock as _;
use portcullis::domain::key_owner::KeyOwner;

const SESSIONS: &str = "/api/v1/auth/sessions/";
const OVERVIEW: &str = "/api/v1/auth/2fa/";

fn plan(required: &str) -> Plan {
    let routes = "  - { name: open, path: /open, upstream: backend, access: public }
  - { name: rest, path: /, upstream: backend, access: { any: [jwt, api_key] } }";
    Plan {
        routes: Some(routes.to_owned()),
        extra: format!("second_factor: {{ required: {required} }}"),
        ..Plan::default()
    }
}

fn status(world: &World, method: &str, path: &str, token: &str) -> (u16, String) {
    let reply = world.request(method, path, &[("Authorization", &format!("Bearer {token}"))], b"");
    let code = if reply.status < 300 { String::new() } else { reply.code() };
    (reply.status, code)
}

#[test]
fn until_it_is_there_a_token_is_good_for_getting_one() {
    let (plan, clock) = plan("all").timed();
    let world = World::plan(plan);
    let anna = world.user_with("anna", true, "orders:read");
    let (access, refresh) = world.sign_in("anna");
    let owing = (403, "second_factor_required".to_owned());
    let fine = (200, String::new());
    for (method, path) in [
        ("GET", "/"),
        ("POST", "/orders"),
        ("GET", SESSIONS),
        ("DELETE", "/api/v1/auth/sessions/1/"),
        ("POST", "/api/v1/auth/2fa/totp/disable/"),
        ("POST", "/api/v1/auth/2fa/recovery-codes/"),
    ] {
        assert_eq!(status(&world, method, path, &access), owing, "{method} {path}");
    }
    for path in ["/open", "/api/v1/auth/me/", OVERVIEW, "/.well-known/jwks.json"] {
        assert_eq!(status(&world, "GET", path, &access), fine, "{path}");
    }
    assert_eq!(world.get(OVERVIEW, &[]).status, 401);
    assert!(world.upstream.seen().iter().all(|seen| seen.target.starts_with("/open")), "nothing else went through");

    // A key is no sign-in.
    let (_, key) = world.key_of(KeyOwner::User(anna.id.clone()), "", None);
    assert_eq!(world.get("/", &[("X-API-Key", &key)]).status, 200);
    let both = [("Authorization", &*format!("Bearer {access}")), ("X-API-Key", &*key)];
    assert_eq!(world.get("/", &both).code(), "second_factor_required", "the token speaks for the user");

    let phone = world.enrol(&access, &clock).authenticator;
    assert_eq!(status(&world, "GET", "/", &access), owing, "the sign-in was by one factor all the same");
    let refreshed = world.refresh(&refresh).json()["access"].as_str().unwrap().to_owned();
    assert_eq!(status(&world, "GET", "/", &refreshed), owing, "and is after a refresh");
    assert_eq!(world.post_as(SETUP, &access, &json!({})).status, 400, "another device is a matter of the owner");
    clock.advance(std::time::Duration::from_secs(30));
    let (access, _) = world.sign_in_with("anna", &phone.now(&clock));
    assert_eq!((status(&world, "GET", "/", &access), status(&world, "GET", SESSIONS, &access)), (fine.clone(), fine));
}

#[test]
fn who_has_none_yet_may_leave() {
    let (plan, _clock) = plan("all").timed();
    let world = World::plan(plan);
    world.user("anna");
    for path in ["/api/v1/auth/logout/", "/api/v1/auth/logout/all/"] {
        let (access, _) = world.sign_in("anna");
        assert_eq!(status(&world, "POST", path, &access), (200, String::new()), "{path}");
        assert_eq!(world.me(&access).code(), "session_ended");
    }
}

#[test]
fn administrators_alone_may_be_held_to_it() {
    let (plan, _clock) = plan("admins").timed();
    let world = World::plan(plan);
    world.user("anna");
    world.user_with("root", true, "");
    let (anna, root) = (world.sign_in("anna").0, world.sign_in("root").0);
    assert_eq!(status(&world, "GET", "/", &anna), (200, String::new()));
    assert_eq!(status(&world, "GET", "/", &root), (403, "second_factor_required".to_owned()));
}

#[test]
fn where_everybody_has_it_a_session_lasts_a_day_unless_it_is_said_otherwise() {
    let lasts = |required: &str, tokens: &str| {
        let (plan, clock) = Plan { tokens: Some(tokens.to_owned()), ..plan(required) }.timed();
        let world = World::plan(plan);
        let anna = world.user("anna");
        world.post_json("/api/v1/auth/token/", &json!({ "username": "anna", "password": PASSWORD }));
        let live = world.wait(world.stores.sessions.list_live(&anna.id, clock.now(), 9)).unwrap();
        live[0].expires_at.since(live[0].created_at).as_secs() / 86_400
    };
    assert_eq!((lasts("all", "{}"), lasts("admins", "{}"), lasts("none", "{}")), (1, 30, 30));
    assert_eq!(lasts("all", "{ session_lifetime: 7d }"), 7);
}

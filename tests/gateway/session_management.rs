//! A user's own sessions: what is shown of them, and that an end is one, everywhere and for good.

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use portcullis::crypto::random::OsRandom;
use portcullis::domain::audit::{Actor, AuditAction, AuditEvent, AuditQuery};
use portcullis::domain::clock::{Clock, ManualClock};
use portcullis::domain::session::{Session, SessionEnd, SessionId};
use portcullis::domain::user::UserId;
use portcullis::server::ground::Nature;
use portcullis::server::run::Running;
use serde_json::{Value, json};

use crate::harness::forge::{self, hs256, with, without};
use crate::harness::{Client, DJANGO_SECRET, PASSWORD, Plan, Reply, World, eventually, operator};

const SESSIONS: &str = "/api/v1/auth/sessions/";
const LOGOUT: &str = "/api/v1/auth/logout/";
const LOGOUT_ALL: &str = "/api/v1/auth/logout/all/";
const VERIFY: &str = "/api/v1/auth/token/verify/";
const MINUTE: Duration = Duration::from_secs(60);

fn world() -> (World, Arc<ManualClock>) {
    let (plan, clock) = Plan { extra: "trusted_proxies: [127.0.0.1]".to_owned(), ..Plan::default() }.timed();
    let world = World::plan(plan);
    world.user_with_id("1", "anna");
    world.user_with_id("2", "bert");
    (world, clock)
}

fn request(world: &World, method: &str, path: &str, token: &str) -> Reply {
    world.request(method, path, &[("Authorization", &format!("Bearer {token}"))], b"")
}

fn end(world: &World, id: &str, token: &str) -> Reply {
    request(world, "DELETE", &format!("{SESSIONS}{id}/"), token)
}

fn session_of(token: &str) -> String {
    forge::claims(token)["sid"].as_str().unwrap().to_owned()
}

#[track_caller]
fn list(world: &World, token: &str) -> Vec<Value> {
    let reply = world.get_as(SESSIONS, token);
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")), "{reply:?}");
    assert_eq!(reply.json().as_object().unwrap().len(), 1);
    reply.json()["results"].as_array().unwrap().clone()
}

/// Of the sessions as listed, from the newest on.
fn ids(listed: &[Value]) -> Vec<&str> {
    listed.iter().map(|session| session["id"].as_str().unwrap()).collect()
}

#[track_caller]
fn assert_over(world: &World, access: &str, refresh: &str) {
    for path in ["/api/v1/auth/me/", "/proxied", SESSIONS] {
        let reply = world.get_as(path, access);
        assert_eq!((reply.status, reply.code().as_str()), (401, "session_ended"), "{path}: {reply:?}");
        assert_eq!(reply.json()["detail"], "The session has ended.");
    }
    let blacklisted = json!({"detail": "Token is blacklisted", "code": "token_not_valid"});
    for (reply, what) in [
        (world.refresh(refresh), "refresh/"),
        (world.post_json(VERIFY, &json!({ "token": refresh })), "verify/ of the refresh token"),
        (world.post_json(VERIFY, &json!({ "token": access })), "verify/ of the access token"),
    ] {
        assert_eq!((reply.status, reply.json()), (401, blacklisted.clone()), "{what}");
    }
}

fn stored(world: &World, id: &str) -> Session {
    (*world.wait(world.stores.sessions.find(&SessionId(id.to_owned()))).unwrap().unwrap()).clone()
}

fn events(world: &World, action: AuditAction) -> Vec<AuditEvent> {
    let query = AuditQuery { action: Some(action), limit: 100, ..AuditQuery::default() };
    world.wait(world.stores.audit.list(&query)).unwrap()
}

fn gateway_beside(world: &World, clock: &Arc<ManualClock>) -> Running {
    let nature = Nature { clock: Arc::clone(clock) as Arc<dyn Clock>, random: Arc::new(OsRandom::new()) };
    Running::start_with(&world.settings, &nature).unwrap()
}

#[test]
fn the_list_shows_when_whence_and_with_what_a_session_came() {
    let (world, clock) = world();
    let sign_in = |from: &str, agent: &str| {
        let body = json!({"username": "anna", "password": PASSWORD}).to_string();
        let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", from), ("User-Agent", agent)];
        let reply = world.request("POST", "/api/v1/auth/token/", &headers, body.as_bytes());
        let token = |name: &str| reply.json()[name].as_str().unwrap().to_owned();
        (token("access"), token("refresh"))
    };
    let (first, refresh) = sign_in("2001:db8::7", "curl/8");
    let start = clock.now();
    clock.advance(MINUTE);
    let (second, _) = sign_in("198.51.100.7, 203.0.113.9", &"é\u{202e}".repeat(300));
    let (_, _) = world.sign_in("bert");
    clock.advance(MINUTE);
    assert_eq!(world.refresh(&refresh).status, 200);

    let listed = list(&world, &second);
    assert_eq!(ids(&listed), [session_of(&second), session_of(&first)], "the newest first, and nobody else's");
    let expected = json!({
        "id": session_of(&first),
        "created_at": start.rfc3339(),
        "last_used_at": start.plus(2 * MINUTE).rfc3339(),
        "expires_at": start.plus(Duration::from_secs(30 * 86_400)).rfc3339(),
        "amr": ["pwd"],
        "address": "2001:db8::7",
        "user_agent": "curl/8",
        "current": false,
    });
    assert_eq!(listed[1].to_string(), expected.to_string(), "with its members in this order");
    assert_eq!((&listed[0]["address"], &listed[0]["current"]), (&json!("203.0.113.9"), &json!(true)));
    assert_eq!(listed[0]["user_agent"].as_str().unwrap().chars().count(), 200);
    assert_eq!(list(&world, &first)[1]["current"], true);
    // Whatever was over is not shown.
    assert_eq!(end(&world, &session_of(&second), &first).status, 200);
    assert_eq!(ids(&list(&world, &first)), [session_of(&first)]);
    clock.advance(3 * MINUTE);
    let (third, _) = sign_in("", "");
    assert_eq!(list(&world, &third).len(), 2);
    clock.set(start.plus(Duration::from_secs(30 * 86_400)));
    let (fourth, _) = sign_in("", "");
    assert_eq!(ids(&list(&world, &fourth)), [session_of(&fourth), session_of(&third)], "the first has expired");
}

#[test]
fn ending_one_session_ends_it_at_once_and_no_other() {
    let (world, _) = world();
    let (own, own_refresh) = world.sign_in("anna");
    let (lost, lost_refresh) = world.sign_in("anna");
    let (third, _) = world.sign_in("anna");
    for token in [&own, &lost, &third] {
        assert_eq!(world.me(token).status, 200, "and is remembered");
    }
    let reply = end(&world, &session_of(&lost), &own);
    assert_eq!((reply.status, reply.text().as_str()), (200, "{}"), "{reply:?}");
    assert_over(&world, &lost, &lost_refresh);
    for token in [&own, &third] {
        assert_eq!(world.me(token).status, 200);
    }
    let left: BTreeSet<_> = ids(&list(&world, &own)).into_iter().map(str::to_owned).collect();
    assert_eq!(left, BTreeSet::from([session_of(&third), session_of(&own)]));
    // Its own too.
    assert_eq!(end(&world, &session_of(&own), &own).status, 200);
    assert_over(&world, &own, &own_refresh);
    assert_eq!(world.me(&third).status, 200);
    for (id, why) in [(session_of(&lost), SessionEnd::Logout), (session_of(&own), SessionEnd::Logout)] {
        assert_eq!(stored(&world, &id).ended.unwrap().1, why);
    }
    let told = events(&world, AuditAction::SessionEnd);
    assert_eq!(told.len(), 2);
    let of_lost = told.iter().find(|event| event.object == format!("session:{}", session_of(&lost))).unwrap();
    assert_eq!(of_lost.initiator.session_id, Some(SessionId(session_of(&own))));
    assert_eq!(of_lost.initiator.actor, Actor::User(UserId("1".to_owned())));
}

#[test]
fn sessions_that_are_not_there_and_those_of_others_are_refused_alike() {
    let (world, clock) = world();
    let (own, _) = world.sign_in("anna");
    let (foreign, foreign_refresh) = world.sign_in("bert");
    let (over, _) = world.sign_in("anna");
    assert_eq!(end(&world, &session_of(&over), &own).status, 200);
    let expired =
        Session { id: SessionId("expired".to_owned()), expires_at: clock.now(), ..stored(&world, &session_of(&own)) };
    world.wait(world.stores.sessions.insert(&expired)).unwrap();
    let unknown = end(&world, "5f0c2b1e-8a57-4f9f-9d0e-3b6f7c1d2e4a", &own);
    assert_eq!((unknown.status, unknown.json()), (404, json!({"detail": "Not found.", "code": "not_found"})));
    let long = "x".repeat(4000);
    let shouted = session_of(&own).to_uppercase();
    for id in [
        session_of(&foreign).as_str(),
        session_of(&over).as_str(),
        "expired",
        "0",
        "-1",
        "null",
        "*",
        "all",
        "adopted:",
        "'%20OR%201=1%20--",
        "%F0%9F%A6%80",
        "%E2%80%AE",
        &long,
        &shouted,
    ] {
        assert_eq!(end(&world, id, &own).comparable(), unknown.comparable(), "{id}");
    }
    for id in ["%00", "%FF", "a%2Fb", "..", "%2e%2e"] {
        let reply = end(&world, id, &own);
        assert!(matches!(reply.status, 400 | 404), "{id}: {reply:?}");
    }
    assert_eq!(world.me(&foreign).status, 200);
    assert_eq!(world.refresh(&foreign_refresh).status, 200);
    assert_eq!(events(&world, AuditAction::SessionEnd).len(), 1, "what was refused ended nothing");
}

#[test]
fn logging_out_everywhere_ends_all_of_ones_own() {
    let (world, _) = world();
    let pairs: Vec<_> = (0..3).map(|_| world.sign_in("anna")).collect();
    let (other, other_refresh) = world.sign_in("bert");
    let (_, key) = world.key("");
    for (access, _) in &pairs {
        assert_eq!(world.me(access).status, 200);
    }
    let reply = request(&world, "POST", LOGOUT_ALL, &pairs[0].0);
    assert_eq!((reply.status, reply.text().as_str()), (200, "{}"));
    for (access, refresh) in &pairs {
        assert_over(&world, access, refresh);
    }
    assert_eq!(request(&world, "POST", LOGOUT_ALL, &pairs[0].0).code(), "session_ended");
    assert_eq!(world.me(&other).status, 200);
    assert_eq!(world.refresh(&other_refresh).status, 200);
    world.get("/", &[("X-API-Key", &key)]).seen();
    let (fresh, _) = world.sign_in("anna");
    assert_eq!(world.me(&fresh).status, 200);
    let told = events(&world, AuditAction::SessionsEnd);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].user, Some(UserId("1".to_owned())));
}

#[test]
fn an_end_is_durable_before_it_is_answered_and_another_node_hears_of_it() {
    let (world, clock) = world();
    let beside = gateway_beside(&world, &clock);
    let there = |path: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        Client::connect(beside.http()).request("GET", path, &[("Authorization", &bearer)], b"")
    };
    let ends: [fn(&World, &str, &str) -> Reply; 4] = [
        |world, access, _| request(world, "POST", LOGOUT, access),
        |world, access, _| end(world, &session_of(access), access),
        |world, _, refresh| world.post_json("/api/v1/auth/token/blacklist/", &json!({ "refresh": refresh })),
        |world, access, _| request(world, "POST", LOGOUT_ALL, access),
    ];
    for end_it in ends {
        let (access, refresh) = world.sign_in("anna");
        // One connection for all: what it was told before does not matter.
        let mut connection = Client::connect(beside.http());
        let bearer = format!("Bearer {access}");
        let mut over_there = || connection.request("GET", "/api/v1/auth/me/", &[("Authorization", &bearer)], b"");
        assert_eq!((over_there().status, there("/proxied", &access).status), (200, 200));
        assert_eq!(end_it(&world, &access, &refresh).status, 200);
        // Read by other hands, as soon as the answer is there.
        assert!(stored(&world, &session_of(&access)).ended.is_some());
        assert_over(&world, &access, &refresh);
        let refreshed = Client::connect(beside.http()).request(
            "POST",
            "/api/v1/auth/token/refresh/",
            &[("Content-Type", "application/json")],
            json!({ "refresh": refresh }).to_string().as_bytes(),
        );
        assert_eq!(refreshed.status, 401, "a refresh asks the store itself");
        let reply = eventually("the other node to hear of it", || {
            let reply = over_there();
            (reply.status != 200).then_some(reply)
        });
        assert_eq!((reply.status, reply.code().as_str()), (401, "session_ended"));
        assert_eq!(there("/proxied", &access).code(), "session_ended");
    }
}

#[test]
fn ends_at_once_are_one_end() {
    let (world, _) = world();
    let (own, _) = world.sign_in("anna");
    let (lost, _) = world.sign_in("anna");
    let ask = |ask: &(dyn Fn() -> Reply + Sync)| -> Vec<u16> {
        let start = Barrier::new(8);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        ask().status
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    };
    let statuses = ask(&|| end(&world, &session_of(&lost), &own));
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 404)), "{statuses:?}");
    // Logging out twice is no mistake, whoever was faster.
    let statuses = ask(&|| request(&world, "POST", LOGOUT, &own));
    assert!(statuses.contains(&200) && statuses.iter().all(|status| matches!(status, 200 | 401)), "{statuses:?}");
    assert_eq!(events(&world, AuditAction::SessionEnd).len(), 1);
    assert_eq!(events(&world, AuditAction::SignOut).len(), 1);
}

#[test]
fn a_key_has_no_sessions() {
    let (world, _) = world();
    let user = world.wait(world.stores.users.find_by_username("anna")).unwrap().unwrap();
    let owner = portcullis::domain::key_owner::KeyOwner::User(user.id);
    let (_, key) = world.key_of(owner, "", None);
    let (access, _) = world.sign_in("anna");
    let one = format!("{SESSIONS}{}/", session_of(&access));
    for (method, path) in
        [("GET", SESSIONS), ("HEAD", SESSIONS), ("DELETE", one.as_str()), ("POST", LOGOUT), ("POST", LOGOUT_ALL)]
    {
        for headers in [&[("X-API-Key", key.as_str())][..], &[]] {
            let reply = world.request(method, path, headers, b"");
            assert_eq!(reply.status, 401, "{method} {path}: {reply:?}");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"api\""));
        }
    }
    assert_eq!(world.me(&access).status, 200);
}

/// In the place of a Django installation, with user 17 and tokens as that installation made them.
fn django(tokens: &str) -> (World, Arc<ManualClock>, Value) {
    let (plan, clock) = Plan::django(tokens).timed();
    let world = World::plan(plan);
    world.user_with_id("17", "anna");
    let now = clock.now().as_secs();
    let claims = json!({
        "token_type": "access", "exp": now + 100_000, "iat": now - 100, "jti": "0a1", "user_id": "17",
    });
    (world, clock, claims)
}

#[test]
fn a_token_that_names_no_session_sees_them_and_ends_with_all_of_them() {
    let (world, clock, claims) = django("");
    let access = hs256(DJANGO_SECRET, &claims);
    let refresh = |id: &str| hs256(DJANGO_SECRET, &with(&with(&claims, "token_type", "refresh"), "jti", id));
    let (own, _) = world.sign_in("anna");
    let listed = list(&world, &access);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["current"], false);
    // Logging out of no session changes nothing, and is no mistake.
    let reply = request(&world, "POST", LOGOUT, &access);
    assert_eq!((reply.status, reply.text().as_str()), (200, "{}"));
    assert_eq!((world.me(&access).status, world.me(&own).status, world.refresh(&refresh("a")).status), (200, 200, 200));

    clock.advance(Duration::from_millis(1500));
    let young = hs256(DJANGO_SECRET, &with(&claims, "iat", clock.now().as_secs()));
    let undated = hs256(DJANGO_SECRET, &without(&claims, "iat"));
    let made_of_old = world.refresh(&refresh("a")).json()["access"].as_str().unwrap().to_owned();
    for token in [&access, &young, &undated, &made_of_old] {
        assert_eq!(world.me(token).status, 200);
    }
    assert_eq!(request(&world, "POST", LOGOUT_ALL, &access).status, 200);
    for token in [&access, &young, &undated, &made_of_old, &own] {
        for path in ["/api/v1/auth/me/", "/proxied"] {
            let reply = world.get_as(path, token);
            assert_eq!((reply.status, reply.code().as_str()), (401, "session_ended"), "{reply:?}");
        }
        assert_eq!(world.post_json(VERIFY, &json!({ "token": token })).status, 401);
    }
    for id in ["a", "b"] {
        assert_eq!(world.refresh(&refresh(id)).json()["detail"], "Token is blacklisted", "{id}");
    }
    // What comes after it is good: from here, and from the installation that still runs beside.
    clock.advance(Duration::from_secs(1));
    let later = with(&claims, "iat", clock.now().as_secs());
    assert_eq!(world.me(&hs256(DJANGO_SECRET, &later)).status, 200);
    let later = hs256(DJANGO_SECRET, &with(&with(&later, "token_type", "refresh"), "jti", "c"));
    assert_eq!(world.refresh(&later).status, 200);
    let (fresh, _) = world.sign_in("anna");
    assert_eq!(world.me(&fresh).status, 200);
}

/// A node that has not heard of the end yet must not make something of an ended token that outlives it.
#[test]
fn an_ended_token_is_exchanged_nowhere_not_even_where_its_end_is_not_known_yet() {
    for rotate in ["true", "false"] {
        let (plan, clock) = Plan::django(&format!("rotate: {rotate}")).timed();
        // It looks for what others did as rarely as it may.
        let plan = Plan { extra: format!("{}\ncache: {{ poll_interval: 5s }}", plan.extra), ..plan };
        let world = World::plan(plan);
        world.user_with_id("17", "anna");
        let now = clock.now().as_secs();
        let claims = json!({
            "token_type": "refresh", "exp": now + 100_000, "iat": now - 100, "jti": "0a1", "user_id": "17",
        });
        let beside = gateway_beside(&world, &clock);
        let refresh_there = |id: &str| {
            let token = hs256(DJANGO_SECRET, &with(&claims, "jti", id));
            let body = json!({ "refresh": token }).to_string();
            let json = [("Content-Type", "application/json")];
            Client::connect(beside.http()).request("POST", "/api/v1/auth/token/refresh/", &json, body.as_bytes())
        };
        assert_eq!(refresh_there("before").status, 200, "the user is known there by now");
        let access = hs256(DJANGO_SECRET, &with(&claims, "token_type", "access"));
        assert_eq!(request(&world, "POST", LOGOUT_ALL, &access).status, 200);
        for id in ["before", "never used"] {
            let reply = refresh_there(id);
            assert_eq!((reply.status, reply.code().as_str()), (401, "token_not_valid"), "rotate: {rotate}: {reply:?}");
        }
        let (fresh, _) = world.sign_in("anna");
        assert_eq!(list(&world, &fresh).len(), 1, "rotate: {rotate}: and no session was made of it");
    }
}

#[test]
fn a_refresh_token_of_somebody_who_is_gone_can_be_blacklisted() {
    let (world, _, claims) = django("");
    let ours = world.sign_in("anna").1;
    let theirs = hs256(DJANGO_SECRET, &with(&claims, "token_type", "refresh"));
    let nobodys = hs256(DJANGO_SECRET, &without(&with(&claims, "token_type", "refresh"), "user_id"));
    world.wait(world.administration.users.set_active("anna", false, &operator())).unwrap();
    let user = UserId("17".to_owned());
    let change = portcullis::domain::change::Change::from(operator().did(
        AuditAction::UserDelete,
        portcullis::domain::audit::AuditOutcome::Done,
        portcullis::domain::clock::Timestamp::from_secs(1_800_000_000),
        &OsRandom::new(),
    ));
    let at = portcullis::domain::clock::Timestamp::from_secs(1_800_000_000);
    assert!(world.wait(world.stores.users.delete(&user, at, &change)).unwrap());
    for token in [&ours, &theirs, &nobodys] {
        let reply = world.post_json("/api/v1/auth/token/blacklist/", &json!({ "refresh": token }));
        assert_eq!((reply.status, reply.text().as_str()), (200, "{}"), "{reply:?}");
        assert_eq!(world.refresh(token).status, 401);
    }
}

#[test]
fn what_nobody_can_use_any_more_is_deleted() {
    let (world, clock) = world();
    world.sign_in("anna");
    for number in 0..3 {
        let reply = world.post_json("/api/v1/auth/token/", &json!({"username": format!("x{number}"), "password": "x"}));
        assert_eq!(reply.status, 401);
    }
    let subjects = |world: &World| -> BTreeSet<String> {
        sqlx::any::install_default_drivers();
        let url = format!("sqlite://{}/portcullis.db", world.directory.path().display());
        let rows: Vec<String> = world.wait(async {
            use sqlx::Connection as _;
            let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
            sqlx::query_scalar("SELECT subject FROM guesses").fetch_all(&mut connection).await.unwrap()
        });
        rows.into_iter().collect()
    };
    assert_eq!(subjects(&world).len(), 3);
    clock.advance(Duration::from_secs(86_400) + MINUTE);
    // It is done at the start, and then every few minutes.
    let _beside = gateway_beside(&world, &clock);
    eventually("the guesses to be deleted", || subjects(&world).is_empty().then_some(()));
}

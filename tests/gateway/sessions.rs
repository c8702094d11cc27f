//! Staying signed in: refresh tokens are exchanged at each use, and a copy in other hands ends the session.

use std::sync::Barrier;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Plan, Reply, World, eventually, forge};
use portcullis::domain::secret::Secret;

const MINUTE: Duration = Duration::from_secs(60);

fn pair(reply: &Reply) -> (String, String) {
    assert_eq!(reply.status, 200, "{reply:?}");
    let body = reply.json();
    (body["access"].as_str().unwrap().to_owned(), body["refresh"].as_str().unwrap().to_owned())
}

/// What makes a refresh token this one and no other.
fn place(token: &str) -> (Value, Value, Value) {
    let claims = forge::claims(token);
    (claims["sid"].clone(), claims["ctr"].clone(), claims["jti"].clone())
}

fn assert_over(world: &World, access: &str, refresh: &str) {
    let reply = world.me(access);
    assert_eq!((reply.status, reply.code().as_str()), (401, "session_ended"), "{reply:?}");
    let reply = world.get_as("/proxied", access);
    assert_eq!((reply.status, reply.code().as_str()), (401, "session_ended"), "{reply:?}");
    let reply = world.refresh(refresh);
    assert_eq!((reply.status, reply.code().as_str()), (401, "token_not_valid"), "{reply:?}");
    let reply = world.post_json("/api/v1/auth/token/verify/", &serde_json::json!({ "token": access }));
    assert_eq!((reply.status, reply.code().as_str()), (401, "token_not_valid"), "{reply:?}");
}

#[test]
fn each_refresh_gives_a_new_pair_of_the_same_session() {
    let (plan, clock) = Plan::default().timed();
    let world = World::plan(plan);
    world.user("anna");
    let (first_access, first) = world.sign_in("anna");
    clock.advance(MINUTE);
    let (second_access, second) = pair(&world.refresh(&first));
    let (a, b) = (forge::claims(&first), forge::claims(&second));
    assert_eq!((a["ctr"].as_i64(), b["ctr"].as_i64()), (Some(0), Some(1)));
    assert_eq!(a["sid"], b["sid"]);
    assert_ne!(a["jti"], b["jti"]);
    assert_eq!(b["exp"].as_i64().unwrap() - a["exp"].as_i64().unwrap(), 60, "the idle lifetime begins anew");
    assert_eq!(a["auth_time"], b["auth_time"], "when the password was typed does not change");
    assert_eq!(forge::claims(&second_access)["sid"], a["sid"]);
    for access in [&first_access, &second_access] {
        assert_eq!(world.me(access).status, 200, "an access token lives out its time");
    }
}

#[test]
fn the_previous_token_gets_the_same_successor_for_a_short_while() {
    let (plan, clock) = Plan::default().timed();
    let world = World::plan(plan);
    world.user("anna");
    let (_, first) = world.sign_in("anna");
    let (_, second) = pair(&world.refresh(&first));
    clock.advance(Duration::from_secs(9));
    let (access, again) = pair(&world.refresh(&first));
    assert_eq!(place(&again), place(&second), "no second branch");
    assert_eq!(forge::claims(&again)["exp"], forge::claims(&second)["exp"]);
    assert_eq!(world.me(&access).status, 200);
    clock.advance(Duration::from_secs(1));
    let reused = world.refresh(&first);
    assert_eq!((reused.status, reused.code().as_str()), (401, "token_not_valid"), "{reused:?}");
    assert_over(&world, &access, &second);
    world.assert_counted("refresh_reused", 1);
}

#[test]
fn an_older_token_is_a_copy_in_other_hands_and_ends_the_session_at_once() {
    let world = World::start();
    world.user("anna");
    let (access, first) = world.sign_in("anna");
    let (other_access, other) = world.sign_in("anna");
    let (_, second) = pair(&world.refresh(&first));
    let (newest_access, third) = pair(&world.refresh(&second));
    assert_eq!(world.me(&access).status, 200);
    assert_eq!(world.me(&newest_access).status, 200, "and is remembered by now");
    assert_eq!(world.refresh(&first).status, 401, "two steps back, the grace window does not matter");
    assert_over(&world, &access, &third);
    assert_over(&world, &newest_access, &second);
    assert_eq!(world.me(&other_access).status, 200, "another session of the same user goes on");
    assert_eq!(world.refresh(&other).status, 200);
}

#[test]
fn without_a_grace_window_the_second_use_ends_the_session() {
    let plan = Plan { tokens: Some("{ reuse_grace: 0s }".to_owned()), ..Plan::default() };
    let world = World::plan(plan);
    world.user("anna");
    let (_, first) = world.sign_in("anna");
    let (access, second) = pair(&world.refresh(&first));
    assert_eq!(world.refresh(&first).status, 401);
    assert_over(&world, &access, &second);
}

#[test]
fn of_parallel_uses_one_makes_a_successor_and_none_a_branch() {
    for grace in ["10s", "0s"] {
        let plan = Plan { tokens: Some(format!("{{ reuse_grace: {grace} }}")), ..Plan::default() };
        let world = World::plan(plan);
        world.user("anna");
        let (_, first) = world.sign_in("anna");
        let barrier = Barrier::new(20);
        let replies: Vec<Reply> = std::thread::scope(|scope| {
            let ask = || {
                barrier.wait();
                world.refresh(&first)
            };
            let threads: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let (good, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
        assert!(refused.iter().all(|reply| reply.status == 401), "{refused:?}");
        let places: Vec<_> = good.iter().map(|reply| place(&pair(reply).1)).collect();
        assert!(places.windows(2).all(|two| two[0] == two[1]), "{places:?}");
        assert_eq!(places[0].1, 1);
        if grace == "10s" {
            assert_eq!(good.len(), 20, "all of them are within the grace window: {refused:?}");
        } else {
            assert_eq!(good.len(), 1, "{places:?}");
        }
    }
}

#[test]
fn no_rotation_extends_the_absolute_lifetime() {
    let tokens = "{ access_lifetime: 5m, refresh_lifetime: 20m, session_lifetime: 30m }";
    let (plan, clock) = Plan { tokens: Some(tokens.to_owned()), ..Plan::default() }.timed();
    let world = World::plan(plan);
    world.user("anna");
    let (_, mut refresh) = world.sign_in("anna");
    let end = forge::claims(&refresh)["iat"].as_i64().unwrap() + 1800;
    let mut access = String::new();
    for minutes in [15, 14] {
        clock.advance(minutes * MINUTE);
        (access, refresh) = pair(&world.refresh(&refresh));
    }
    assert_eq!(forge::claims(&refresh)["exp"].as_i64(), Some(end), "capped, where idle time alone would give more");
    assert_eq!(world.me(&access).status, 200);
    clock.advance(MINUTE);
    assert_eq!(world.me(&access).code(), "session_ended", "also for an access token with time left");
    let reply = world.refresh(&refresh);
    assert_eq!((reply.status, reply.json()["detail"].as_str()), (401, Some("Token is expired")));
}

#[test]
fn an_idle_session_is_over() {
    let tokens = "{ refresh_lifetime: 20m }";
    let (plan, clock) = Plan { tokens: Some(tokens.to_owned()), ..Plan::default() }.timed();
    let world = World::plan(plan);
    world.user("anna");
    let (access, refresh) = world.sign_in("anna");
    clock.advance(20 * MINUTE - Duration::from_secs(1));
    assert_eq!(world.me(&access).code(), "token_not_valid", "its five minutes are over");
    let (_, refresh) = pair(&world.refresh(&refresh));
    clock.advance(20 * MINUTE);
    assert_eq!(world.refresh(&refresh).status, 401);
}

#[test]
fn switching_a_user_off_ends_the_sessions_and_switching_on_revives_none() {
    let world = World::start();
    world.user("anna");
    world.user("bert");
    let (access, refresh) = world.sign_in("anna");
    let (other, _) = world.sign_in("bert");
    assert_eq!(world.me(&access).status, 200, "and is remembered by now");
    world.wait(world.administration.users.set_active("anna", false, &crate::harness::operator())).unwrap();
    // Another process did that, so this one hears of it at its next look into the log.
    eventually("the token of a user who was switched off to be refused", || {
        (world.me(&access).status == 401).then_some(())
    });
    assert_eq!(world.refresh(&refresh).status, 401);
    assert_eq!(world.me(&other).status, 200);
    world.wait(world.administration.users.set_active("anna", true, &crate::harness::operator())).unwrap();
    let (fresh, _) = eventually("a new sign-in", || {
        let body = serde_json::json!({"username": "anna", "password": crate::harness::PASSWORD});
        let reply = world.post_json("/api/v1/auth/token/", &body);
        (reply.status == 200).then(|| pair(&reply))
    });
    eventually("the new session's token to be taken", || (world.me(&fresh).status == 200).then_some(()));
    assert_over(&world, &access, &refresh);
}

#[test]
fn setting_a_password_ends_the_sessions() {
    let world = World::start();
    world.user("anna");
    let (access, refresh) = world.sign_in("anna");
    assert_eq!(world.me(&access).status, 200);
    let new = Secret::new("another password".to_owned());
    world.wait(world.administration.users.set_password("anna", new, &crate::harness::operator())).unwrap();
    eventually("the old session's token to be refused", || (world.me(&access).status == 401).then_some(()));
    assert_over(&world, &access, &refresh);
}

#[test]
fn where_tokens_are_not_exchanged_one_refresh_token_serves_its_whole_life() {
    let (plan, clock) = Plan { tokens: Some("{ rotate: false }".to_owned()), ..Plan::default() }.timed();
    let world = World::plan(plan);
    world.user("anna");
    let (_, refresh) = world.sign_in("anna");
    for _ in 0..3 {
        clock.advance(60 * MINUTE);
        let reply = world.refresh(&refresh);
        assert_eq!((reply.status, reply.json().get("refresh")), (200, None), "{reply:?}");
        assert_eq!(world.me(reply.json()["access"].as_str().unwrap()).status, 200);
    }
    clock.advance(21 * 60 * MINUTE);
    assert_eq!(world.refresh(&refresh).status, 401);
}

#[test]
fn sessions_survive_a_restart_and_so_do_their_ends() {
    let mut world = World::start();
    world.user("anna");
    let (access, refresh) = world.sign_in("anna");
    let (ended, spent) = world.sign_in("anna");
    let (_, second) = pair(&world.refresh(&spent));
    let (_, third) = pair(&world.refresh(&second));
    assert_eq!(world.refresh(&spent).status, 401);
    world.restart();
    assert_eq!(world.me(&access).status, 200);
    assert_eq!(world.refresh(&refresh).status, 200);
    assert_over(&world, &ended, &third);
}

//! Passwords: what is hashed, what is not, and what happens when there is more of it than the machine can do.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis::domain::secret::Secret;
use serde_json::{Value, json};

use crate::harness::{Client, PASSWORD, Plan, World, cheap_hash, operator};

const TOKEN: &str = "/api/v1/auth/token/";

fn credentials(username: &str, password: &str) -> Value {
    json!({"username": username, "password": password})
}

#[test]
fn a_password_that_is_too_long_is_refused_before_it_is_hashed() {
    let world = World::plan(Plan { extra: "passwords: { max_length: 64 }".to_owned(), ..Plan::default() });
    world.user("anna");
    let ask = |username: &str, password: &str| world.post_json(TOKEN, &credentials(username, password));
    assert_eq!(ask("anna", &"x".repeat(64)).status, 401);
    let reply = ask("anna", &"x".repeat(65));
    let expected = json!({"password": ["Ensure this field has no more than 64 bytes."]});
    assert_eq!((reply.status, reply.json()), (400, expected));
    assert_eq!(ask("anna", &"é".repeat(33)).status, 400, "bytes are what counts");
    assert_eq!(ask("nobody", &"x".repeat(65)).comparable(), reply.comparable(), "whoever is named");
}

#[test]
fn an_unknown_user_and_a_wrong_password_are_answered_alike() {
    let world = World::start();
    world.user("anna");
    let wrong = world.post_json(TOKEN, &credentials("anna", "not the password"));
    let unknown = world.post_json(TOKEN, &credentials("nobody", "not the password"));
    assert_eq!(wrong.status, 401);
    assert_eq!(wrong.comparable(), unknown.comparable());
}

#[test]
fn a_hash_cheaper_than_configured_is_replaced_when_its_owner_signs_in() {
    let world = World::start();
    let user = world.user("anna");
    let weak = cheap_hash();
    let store = &world.stores.users;
    assert!(world.wait(store.upgrade_password(&user.id, &user.password, &weak)).unwrap());
    let stored = || world.wait(store.find(&user.id)).unwrap().unwrap();

    assert_eq!(world.post_json(TOKEN, &credentials("anna", "not the password")).status, 401);
    assert_eq!(stored().password, weak, "a failed attempt changes nothing");
    let (access, _) = world.sign_in("anna");
    let upgraded = stored();
    let text = upgraded.password.text();
    assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
    assert_eq!(upgraded.password_changed_at, user.password_changed_at, "it is the same password");
    assert_eq!(world.me(&access).status, 200);
    world.sign_in("anna");
    assert_eq!(stored().password, upgraded.password, "and is left alone from then on");
}

#[test]
fn a_flood_of_sign_ins_is_turned_away_early_and_does_not_stop_other_traffic() {
    // Dear enough that the queue is full as long as the flood lasts.
    let extra = "passwords: { threads: 1, queue: 1, iterations: 12 }";
    let world = World::plan(Plan { extra: extra.to_owned(), ..Plan::default() });
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    let bearer = format!("Bearer {access}");
    let (start, flooding) = (Barrier::new(17), AtomicBool::new(true));
    let (replies, served) = std::thread::scope(|scope| {
        let flood: Vec<_> = (0..16)
            .map(|index| {
                let (world, start) = (&world, &start);
                scope.spawn(move || {
                    let password = if index % 2 == 0 { PASSWORD } else { "not the password" };
                    let body = credentials("anna", password).to_string();
                    let mut client = Client::connect(world.http());
                    start.wait();
                    let json = [("Content-Type", "application/json")];
                    (0..3).map(|_| client.request("POST", TOKEN, &json, body.as_bytes())).collect::<Vec<_>>()
                })
            })
            .collect();
        let proxied = scope.spawn(|| {
            let mut client = Client::connect(world.http());
            start.wait();
            let mut served = 0;
            while flooding.load(Ordering::SeqCst) || served == 0 {
                client.request("GET", "/", &[("Authorization", &bearer)], b"").seen();
                served += 1;
            }
            served
        });
        let replies: Vec<_> = flood.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        flooding.store(false, Ordering::SeqCst);
        (replies, proxied.join().unwrap())
    });
    assert!(served > 0);
    let busy: Vec<_> = replies.iter().filter(|reply| reply.status == 503).collect();
    assert!(!busy.is_empty() && busy.len() < replies.len(), "{} of {}", busy.len(), replies.len());
    for reply in &replies {
        match reply.status {
            200 | 401 => {}
            503 => {
                assert_eq!(reply.code(), "busy");
                assert!(reply.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
            }
            _ => panic!("{reply:?}"),
        }
    }
    world.sign_in("anna");
}

#[test]
fn a_password_is_compared_whole_with_the_white_space_at_its_ends() {
    let world = World::start();
    world.user("anna");
    let padded = "  padded secret phrase\t".to_owned();
    let (users, by) = (&world.administration.users, operator());
    world.wait(users.set_password("anna", Secret::new(padded.clone()), &by)).unwrap();
    let sign_in = |password: &str| {
        let body = serde_json::json!({ "username": "anna", "password": password });
        world.post_json("/api/v1/auth/token/", &body).status
    };
    assert_eq!(sign_in(&padded), 200);
    for other in [padded.trim(), padded.trim_end(), &format!("{padded} "), &padded.to_uppercase()] {
        assert_eq!(sign_in(other), 401, "{other:?}");
    }
}

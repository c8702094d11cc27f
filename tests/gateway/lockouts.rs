//! Who is kept waiting is seen by those who may see users, and let go on by those who may change them.

use std::sync::Arc;
use std::time::Duration;

use portcullis::domain::audit::{AuditAction, AuditQuery};
use portcullis::domain::clock::ManualClock;
use serde_json::{Value, json};

use crate::harness::{PASSWORD, Plan, Reply, World};

const ALL: &str = "users:read users:write";

fn world() -> (World, Arc<ManualClock>) {
    let extra = "trusted_proxies: [127.0.0.1]\nlockout: { account: { free: 2 }, address: { free: 4 } }".to_owned();
    let (plan, clock) = Plan { extra, ..Plan::default() }.timed();
    let world = World::plan(plan);
    world.user_with_id("1", "anna");
    world.user_with_id("2", "bert");
    (world, clock)
}

fn sign_in(world: &World, from: &str, username: &str, password: &str) -> Reply {
    let body = json!({ "username": username, "password": password }).to_string();
    let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", from)];
    world.request("POST", "/api/v1/auth/token/", &headers, body.as_bytes())
}

fn listed(world: &World) -> Vec<Value> {
    world.by_scopes("users:read").get("lockouts/").done()["results"].as_array().unwrap().clone()
}

fn unlocks(world: &World) -> Vec<(Option<String>, String)> {
    let query = AuditQuery { action: Some(AuditAction::Unlock), limit: 100, ..AuditQuery::default() };
    let events = world.wait(world.stores.audit.list(&query)).unwrap();
    events.into_iter().map(|event| (event.user.map(|user| user.0), event.detail)).collect()
}

#[test]
fn a_user_who_is_kept_waiting_is_listed_and_can_be_let_go_on() {
    let (world, clock) = world();
    assert_eq!(listed(&world), [] as [Value; 0]);
    for _ in 0..2 {
        assert_eq!(sign_in(&world, "10.0.0.1", "anna", "wrong").status, 401);
    }
    assert_eq!(sign_in(&world, "10.0.0.1", "anna", PASSWORD).status, 429);
    let expected =
        json!({ "subject": "account:1", "user_id": "1", "failures": 2, "until": "2027-01-15T08:00:10.000000Z" });
    assert_eq!(listed(&world), [expected]);
    assert_eq!(sign_in(&world, "10.0.0.1", "bert", PASSWORD).status, 200);

    let admin = world.by_scopes(ALL);
    for _ in 0..2 {
        assert_eq!(admin.post("users/1/unlock/", &json!({})).done(), json!({}));
    }
    assert_eq!(unlocks(&world), [(Some("1".to_owned()), String::new())], "the second time there was nothing to do");
    assert_eq!(listed(&world), [] as [Value; 0]);
    assert_eq!(sign_in(&world, "10.0.0.1", "anna", PASSWORD).status, 200);
    // What is over is not listed either.
    for _ in 0..2 {
        sign_in(&world, "10.0.0.1", "anna", "wrong");
    }
    assert_eq!(listed(&world).len(), 1);
    clock.advance(Duration::from_secs(10));
    assert_eq!(listed(&world), [] as [Value; 0]);
}

#[test]
fn a_network_or_a_name_that_nobody_has_is_cleared_as_the_list_names_it() {
    let (world, _) = world();
    for name in ["a", "b", "c", "d"] {
        assert_eq!(sign_in(&world, "192.0.2.7", name, "wrong").status, 401);
    }
    assert_eq!(sign_in(&world, "192.0.2.7", "bert", PASSWORD).status, 429);
    for _ in 0..2 {
        assert_eq!(sign_in(&world, "10.0.0.1", "nobody", "wrong").status, 401);
    }
    let all = listed(&world);
    let subjects: Vec<&str> = all.iter().map(|one| one["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects.len(), 2, "{subjects:?}");
    assert!(subjects.contains(&"net:192.0.2.7") && subjects.iter().any(|subject| subject.starts_with("name:")));
    assert!(all.iter().all(|one| one["user_id"].is_null()) && !format!("{all:?}").contains("nobody"));
    let admin = world.by_scopes(ALL);
    for subject in subjects {
        let clear = || admin.post("lockouts/clear/", &json!({ "subject": subject })).done();
        assert_eq!((clear(), clear()), (json!({ "cleared": true }), json!({ "cleared": false })));
    }
    assert_eq!(listed(&world), [] as [Value; 0]);
    assert_eq!(sign_in(&world, "192.0.2.7", "bert", PASSWORD).status, 200);
    let told = unlocks(&world);
    assert!(told.contains(&(None, "net:192.0.2.7".to_owned())) && told.len() == 2, "{told:?}");
}

#[test]
fn what_names_nobody_is_refused() {
    let (world, _) = world();
    let admin = world.by_scopes(ALL);
    for (body, sentence) in [
        (json!({}), "This field is required."),
        (json!({ "subject": "" }), "This field may not be blank."),
        (json!({ "subject": null }), "This field may not be null."),
        (json!({ "subject": 1 }), "Not a valid string."),
        (json!({ "subject": "anna" }), "Name it as the list does."),
        (json!({ "subject": "net:10.0.0.0/8" }), "Name it as the list does."),
        (json!({ "subject": "account:" }), "Name it as the list does."),
        (json!({ "subject": "x".repeat(301) }), "Ensure this field has no more than 300 characters."),
    ] {
        let reply = admin.post("lockouts/clear/", &body);
        assert_eq!((reply.status, reply.json()), (400, json!({ "subject": [sentence] })), "{body}");
    }
    let gone = admin.post("lockouts/clear/", &json!({ "subject": "account:nobody" }));
    assert_eq!(gone.done(), json!({ "cleared": false }));
    assert_eq!(admin.get("lockouts/?limit=0").status, 400);
    assert_eq!(unlocks(&world), []);
}

//! Whoever has found a key can end it, and nobody learns anything else by asking.

use portcullis::domain::audit::{Actor, AuditAction, AuditQuery};
use portcullis::domain::key_owner::KeyOwner;
use portcullis::domain::presented_key::PresentedKey;
use serde_json::{Value, json};

use crate::harness::{Plan, Reply, World, eventually, operator};

const LEAKED: &str = "/api/v1/auth/keys/leaked/";

fn unknown_key() -> String {
    PresentedKey::generate(&portcullis::crypto::random::OsRandom::new()).expose().to_owned()
}

fn report(world: &World, body: &Value) -> Reply {
    world.post_json(LEAKED, body)
}

fn outcomes(reply: &Reply) -> Vec<String> {
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")), "{reply:?}");
    let results = reply.json()["results"].as_array().unwrap().clone();
    results.iter().map(|result| result["outcome"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_key_that_is_shown_whole_is_ended_at_once_and_its_owner_told() {
    let world = World::plan(Plan::default().mailing());
    let anna = world.user_mailed_at("anna", "anna@example.org");
    let mut mailbox = world.mailbox();
    let (record, key) = world.key_of(KeyOwner::User(anna.id.clone()), "", None);
    world.get("/", &[("X-API-Key", &key)]).seen();
    let reply = world.request(
        "POST",
        LEAKED,
        &[("Content-Type", "application/json"), ("User-Agent", "finder/1")],
        json!({ "key": key }).to_string().as_bytes(),
    );
    assert_eq!(outcomes(&reply), ["revoked"]);
    assert_eq!(world.get("/", &[("X-API-Key", &key)]).status, 401);
    world.assert_counted("key_revoked", 1);
    // Again, and it stays as it is.
    assert_eq!(outcomes(&report(&world, &json!({ "key": format!(" {key}\n") }))), ["revoked"]);
    let stored = world.wait(world.stores.api_keys.find(&record.id)).unwrap().unwrap();
    assert_eq!(stored.revoked.unwrap().1, "reported as leaked");

    let query = AuditQuery { action: Some(AuditAction::KeyRevoke), limit: 10, ..AuditQuery::default() };
    let events = world.wait(world.stores.audit.list(&query)).unwrap();
    assert_eq!(events.len(), 1, "{events:?}");
    let (event, by) = (&events[0], &events[0].initiator);
    assert_eq!((&by.actor, by.address.as_str(), by.user_agent.as_str()), (&Actor::Anonymous, "127.0.0.1", "finder/1"));
    assert_eq!((by.key_id.as_ref(), event.user.as_ref()), (Some(&record.id), Some(&anna.id)));
    assert_eq!((event.object.as_str(), event.detail.as_str()), (&*format!("key:{}", record.id), "reported as leaked"));

    let mail = mailbox.next();
    assert_eq!(
        (mail.to.as_str(), mail.subject.as_str()),
        ("anna@example.org", "An API key of yours at Our Shop was revoked")
    );
    for said in ["127.0.0.1", "anna", &key[..11]] {
        assert!(mail.written.contains(said), "{said}: {}", mail.written);
    }
    for text in [&mail.written, &world.access_text(), &world.audit_text()] {
        assert!(!text.contains(&key[12..40]), "{text}");
    }
    assert_eq!(mailbox.count(), 1);
}

#[test]
fn several_are_told_apart_in_their_order_whatever_they_are() {
    let world = World::start();
    let (_, good) = world.key("");
    let (revoked, revoked_key) = world.key("");
    let (_, expired) = world.key_of(KeyOwner::Service("x".to_owned()), "", Some(std::time::Duration::from_millis(1)));
    world.wait(world.administration.keys.revoke(revoked.id.as_str(), "lost", &operator())).unwrap();
    world.settle();
    let mut wrong = good.clone();
    wrong.replace_range(20..21, if &good[20..21] == "x" { "y" } else { "x" });
    let body = json!({ "keys": [unknown_key(), good, "", "junk", revoked_key, &good[..30], wrong, expired] });
    assert_eq!(
        outcomes(&report(&world, &body)),
        ["unknown", "revoked", "unknown", "unknown", "revoked", "unknown", "unknown", "revoked"]
    );
    assert_eq!(world.get("/", &[("X-API-Key", &good)]).status, 401);
    let stored = world.wait(world.stores.api_keys.find(&revoked.id)).unwrap().unwrap();
    assert_eq!(stored.revoked.unwrap().1, "lost", "the first reason is kept");
}

#[test]
fn no_other_credential_is_looked_at() {
    let world = World::start();
    let (_, good) = world.key("");
    let headers = [("Content-Type", "application/json"), ("Authorization", "Bearer junk"), ("X-API-Key", "junk")];
    let reply = world.request("POST", LEAKED, &headers, json!({ "key": good }).to_string().as_bytes());
    assert_eq!(outcomes(&reply), ["revoked"]);
}

#[test]
fn what_is_no_report_is_refused() {
    let world = World::start();
    let many: Vec<String> = (0..11).map(|_| unknown_key()).collect();
    for (body, field, sentence) in [
        (json!({}), "key", "This field is required."),
        (json!({ "key": null }), "key", "This field may not be null."),
        (json!({ "key": "a", "keys": null }), "keys", "This field may not be null."),
        (json!({ "key": 7 }), "key", "Not a valid string."),
        (json!({ "key": "" }), "key", "This field may not be blank."),
        (json!({ "key": "x".repeat(201) }), "key", "Ensure this field has no more than 200 characters."),
        (json!({ "keys": [] }), "keys", "This list may not be empty."),
        (json!({ "keys": "x" }), "keys", "Expected a list of items but got type \"str\"."),
        (json!({ "keys": [7] }), "keys", "Not a valid string."),
        (json!({ "keys": ["x".repeat(201)] }), "keys", "A key is shorter than that."),
        (json!({ "keys": many }), "keys", "Ensure this field has no more than 10 elements."),
        (json!({ "key": "a", "keys": ["b"] }), "keys", "Give either key or keys."),
    ] {
        let reply = report(&world, &body);
        assert_eq!((reply.status, reply.json()), (400, json!({ field: [sentence] })), "{body}");
    }
    let form = world.request("POST", LEAKED, &[("Content-Type", "application/x-www-form-urlencoded")], b"key=a");
    assert_eq!((form.status, form.code().as_str()), (415, "unsupported_media_type"));
    assert_eq!(world.get(LEAKED, &[]).status, 405);
}

#[test]
fn guesses_spend_what_guesses_at_the_door_spend_and_a_real_key_spends_nothing() {
    let limits = "limits: { unknown_keys_per_second: 1, unknown_keys_burst: 5 }\ntrusted_proxies: [127.0.0.1]";
    let (plan, clock) = Plan { extra: limits.to_owned(), ..Plan::default() }.timed();
    let world = World::plan(plan);
    let keys: Vec<String> = (0..20).map(|_| world.key("").1).collect();
    let ask = |from: &str, body: Value| {
        let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", from)];
        world.request("POST", LEAKED, &headers, body.to_string().as_bytes())
    };
    let guesses = |count: usize| json!({ "keys": (0..count).map(|_| unknown_key()).collect::<Vec<_>>() });
    for pair in keys.chunks(2) {
        assert_eq!(outcomes(&ask("192.0.2.1", json!({ "keys": pair }))), ["revoked"; 2]);
    }
    // More than there is left is not looked at, and spends nothing.
    assert_eq!(ask("192.0.2.1", guesses(10)).status, 200, "its own five, and the five that all such share");
    let refused = ask("192.0.2.1", guesses(1));
    assert_eq!((refused.status, refused.code().as_str()), (429, "too_many_unknown_keys"));
    assert!(refused.header("retry-after").is_some());
    let door = world.get("/", &[("X-Forwarded-For", "192.0.2.1"), ("X-API-Key", &unknown_key())]);
    assert_eq!(door.status, 429, "it is one budget");
    assert_eq!(ask("192.0.2.1", json!({ "key": "junk" })).status, 200, "what is no key is never looked up");
    assert_eq!(ask("192.0.2.2", guesses(6)).status, 429);
    assert_eq!(ask("192.0.2.2", guesses(5)).status, 200);
    clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(ask("192.0.2.1", guesses(1)).status, 200);
}

#[test]
fn other_nodes_hear_of_it() {
    let world = World::start();
    let second = portcullis::server::run::Running::start(&world.settings).unwrap();
    let (_, key) = world.key("");
    let elsewhere =
        || crate::harness::Client::connect(second.http()).request("GET", "/", &[("X-API-Key", &key)], b"").status;
    assert_eq!(elsewhere(), 200);
    assert_eq!(outcomes(&report(&world, &json!({ "key": key }))), ["revoked"]);
    eventually("the other node to refuse it", || (elsewhere() == 401).then_some(()));
}

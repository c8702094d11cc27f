//! Nobody gets more than they hold, whichever way they try.

use std::time::Duration;

use portcullis::domain::api_key::{ApiKey, KeyChanges, KeyUsage};
use portcullis::domain::audit::{Actor, AuditEvent, AuditQuery, StoredOutcome};
use portcullis::domain::key_owner::KeyOwner;
use portcullis::domain::key_reach::MethodNames;
use portcullis::domain::key_terms::IdleDays;
use portcullis::domain::network_set::NetworkSet;
use portcullis::domain::rate::{Quota, Rate};
use portcullis::domain::user::User;
use serde_json::{Value, json};

use crate::harness::asker::{Asker, ONE_FACTOR};
use crate::harness::{Plan, World, operator};

const ROLES: &str =
    "roles: { support: { scopes: [users:read, users:write, sessions:write] }, auditor: { scopes: [audit:read] } }";
const NEW: &str = "a quite different password";

fn plan() -> Plan {
    Plan { extra: format!("{ONE_FACTOR}\n{ROLES}"), ..Plan::default() }
}

/// Everything that is stored about users and keys, in one text.
fn everything(world: &World) -> String {
    let users = world.wait(world.administration.users.list()).unwrap();
    // How often a key was used is told to the store whenever it is, and changes nothing about the key.
    let keys: Vec<ApiKey> = world.wait(world.administration.keys.list()).unwrap();
    let keys: Vec<ApiKey> = keys.into_iter().map(|key| ApiKey { usage: KeyUsage::default(), ..key }).collect();
    let users: Vec<String> = users
        .iter()
        .map(|user| format!("{:?} {}", User { last_sign_in_at: None, ..user.clone() }, user.password.text()))
        .collect();
    format!("{users:?} {keys:?}")
}

fn refusals(world: &World) -> Vec<AuditEvent> {
    let query = AuditQuery { done: Some(false), limit: 1000, ..AuditQuery::default() };
    let events = world.wait(world.stores.audit.list(&query)).unwrap();
    events.into_iter().filter(|event| event.outcome == StoredOutcome::Refused("scope_missing".into())).collect()
}

/// All that can be done to a user.
fn acts_on(user: &User) -> Vec<(&'static str, String, Option<Value>)> {
    let at = |rest: &str| format!("users/{}/{rest}", user.id);
    vec![
        ("PATCH", at(""), Some(json!({ "email": "mine@example.org" }))),
        ("PATCH", at(""), Some(json!({ "scopes": [] }))),
        ("PATCH", at(""), Some(json!({ "is_admin": false, "roles": [], "scopes": [] }))),
        ("PATCH", at(""), Some(json!({ "is_active": false }))),
        ("PATCH", at(""), Some(json!({}))),
        ("POST", at("disable/"), None),
        ("POST", at("enable/"), None),
        ("POST", at("set-password/"), Some(json!({ "password": NEW }))),
        ("POST", at("reset-2fa/"), None),
        ("POST", at("unlock/"), None),
        ("POST", at("end-sessions/"), None),
        ("DELETE", at("sessions/7/"), None),
        ("POST", "lockouts/clear/".to_owned(), Some(json!({ "subject": format!("account:{}", user.id) }))),
        ("DELETE", at(""), None),
    ]
}

/// All that can be done to a key.
fn acts_on_key(key: &ApiKey) -> Vec<(&'static str, String, Option<Value>)> {
    let at = |rest: &str| format!("keys/{}/{rest}", key.id);
    vec![
        ("PATCH", at(""), Some(json!({ "scopes": [] }))),
        ("PATCH", at(""), Some(json!({ "expires_at": null }))),
        ("POST", at("rotate/"), Some(json!({ "overlap": 0 }))),
        ("POST", at("revoke/"), None),
    ]
}

#[track_caller]
fn assert_out_of_reach(world: &World, who: &Asker<'_>, acts: Vec<(&'static str, String, Option<Value>)>) {
    let before = everything(world);
    let told = refusals(world).len();
    let count = acts.len();
    let denial = json!({ "detail": "You do not have permission to perform this action.", "code": "permission_denied" });
    for (method, path, body) in acts {
        let reply = who.ask(method, &path, body.as_ref());
        let mut said = reply.json();
        if let Some(missing) = said.as_object_mut().unwrap().shift_remove("missing_scopes") {
            let sent = body.as_ref().unwrap()["scopes"].as_array().unwrap().clone();
            let missing = missing.as_array().unwrap().clone();
            assert!(!missing.is_empty() && missing.iter().all(|scope| sent.contains(scope)), "{path} {missing:?}");
        }
        assert_eq!((reply.status, &said), (403, &denial), "{method} {path} {body:?}");
    }
    assert_eq!(everything(world), before);
    assert_eq!(refusals(world).len(), told + count, "each attempt is told in the audit");
}

#[test]
fn who_supports_users_reaches_nobody_who_may_do_more() {
    let world = World::plan(plan());
    let root = world.user_with("root", true, "");
    let rich = world.user_with("rich", false, "orders:read");
    let plain = world.user("plain");
    let support = world.user("support");
    let roles = json!({ "roles": ["support"] });
    let everybody = world.by_scopes("users:read users:write sessions:write audit:read");
    everybody.patch(&format!("users/{}/", support.id), &roles).done();

    let by_token = world.by_user("support");
    let (_, key) = world.key_of(KeyOwner::Service("desk".into()), "users:read users:write sessions:write", None);
    let by_key = world.by_key(&key);
    for who in [&by_token, &by_key] {
        assert_out_of_reach(&world, who, acts_on(&root));
        assert_out_of_reach(&world, who, acts_on(&rich));
        assert_eq!(who.get(&format!("users/{}/", root.id)).status, 200, "they are seen");
        assert_eq!(who.patch(&format!("users/{}/", plain.id), &json!({ "email": "plain@example.org" })).status, 200);
        assert_eq!(who.post(&format!("users/{}/set-password/", plain.id), &json!({ "password": NEW })).status, 200);
    }
    // One who holds as much is an equal.
    assert_eq!(by_key.post(&format!("users/{}/disable/", support.id), &json!({})).status, 200);
    let told = refusals(&world);
    assert!(told.iter().all(|event| event.user.as_ref().is_some_and(|user| *user == root.id || *user == rich.id)));
    assert!(told.iter().any(|event| event.initiator.actor == Actor::User(support.id.clone())));
    assert!(
        told.iter()
            .any(|event| event.initiator.actor == Actor::Service("desk".into()) && event.initiator.key_id.is_some())
    );
}

#[test]
fn nobody_gives_what_they_do_not_hold() {
    let world = World::plan(plan());
    let plain = world.user("plain");
    let own = world.user_with("own", false, "users:read users:write");
    let change = |body: Value| ("PATCH", format!("users/{}/", plain.id), Some(body));
    let raise = |body: Value| ("PATCH", format!("users/{}/", own.id), Some(body));
    let make = |body: Value| ("POST", "users/".to_owned(), Some(body));
    let acts = || {
        vec![
            change(json!({ "scopes": ["users:read", "orders:read"] })),
            change(json!({ "scopes": ["keys:write"] })),
            change(json!({ "roles": ["auditor"] })),
            change(json!({ "roles": ["support"] })),
            change(json!({ "is_admin": true })),
            change(json!({ "scopes": [], "roles": [], "is_admin": true, "first_name": "x" })),
            raise(json!({ "scopes": ["users:read", "users:write", "sessions:write"] })),
            raise(json!({ "roles": ["support"] })),
            raise(json!({ "is_admin": true })),
            make(json!({ "username": "new", "is_admin": true })),
            make(json!({ "username": "new", "roles": ["auditor"], "password": NEW })),
            make(json!({ "username": "new", "scopes": ["users:read", "*"] })),
            // Taken, but that is not for those to learn who may not make such a user anyway.
            make(json!({ "username": "plain", "is_admin": true })),
        ]
    };
    assert_out_of_reach(&world, &world.by_user("own"), acts());
    assert_out_of_reach(&world, &world.by_scopes("users:read users:write"), acts());
    let who = world.by_user("own");
    assert_eq!(
        who.ask("PATCH", &format!("users/{}/", plain.id), Some(&json!({ "scopes": ["users:read"] }))).status,
        200
    );
    assert_eq!(who.post("users/", &json!({ "username": "new", "scopes": ["users:read", "users:write"] })).status, 201);
    // Giving oneself less is allowed, and counts at once.
    assert_eq!(who.patch(&format!("users/{}/", own.id), &json!({ "scopes": ["users:write"] })).status, 200);
    who.get("users/").assert_refused(403, "permission_denied");
    who.patch(&format!("users/{}/", own.id), &json!({ "scopes": ["users:write", "users:read"] }))
        .assert_refused(403, "permission_denied");
}

#[test]
fn keys_are_no_way_round() {
    let world = World::plan(plan());
    let root = world.user_with("root", true, "");
    let plain = world.user("plain");
    let rich = world.user_with("rich", false, "orders:read");
    let keeper = world.user_with("keeper", false, "keys:read keys:write");
    let (of_root, _) = world.key_of(KeyOwner::User(root.id.clone()), "", None);
    let (strong, _) = world.key("keys:write orders:read");
    let (weak, _) = world.key("keys:read");
    let (of_plain, _) = world.key_of(KeyOwner::User(plain.id.clone()), "orders:read", None);
    let make = |body: Value| ("POST", "keys/".to_owned(), Some(body));
    let owned = |user: &User, scopes: &[&str]| {
        make(json!({ "name": "x", "owner": format!("user:{}", user.id), "scopes": scopes }))
    };
    for who in [world.by_user("keeper"), world.by_scopes("keys:read keys:write")] {
        for key in [&of_root, &strong, &of_plain] {
            assert_out_of_reach(&world, &who, acts_on_key(key));
            assert_eq!(who.get(&format!("keys/{}/", key.id)).status, 200, "they are seen");
        }
        assert_out_of_reach(
            &world,
            &who,
            vec![
                owned(&root, &[]),
                owned(&rich, &[]),
                owned(&plain, &["orders:read"]),
                make(json!({ "name": "x", "owner": "robot", "scopes": ["users:write"] })),
                make(json!({ "name": "x", "owner": "robot", "scopes": ["keys:read", "keys:*"] })),
                ("PATCH", format!("keys/{}/", weak.id), Some(json!({ "scopes": ["keys:read", "audit:read"] }))),
            ],
        );
        assert_eq!(who.patch(&format!("keys/{}/", weak.id), &json!({ "scopes": ["keys:write"] })).status, 200);
        // Of a key that acts as somebody else it takes what setting their password takes.
        assert_out_of_reach(&world, &who, vec![owned(&plain, &[])]);
    }
    let both = world.by_scopes("keys:write users:write");
    assert_eq!(both.post("keys/", &json!({ "name": "x", "owner": format!("user:{}", plain.id) })).status, 201);
    let own = world.by_user("keeper").post("keys/", &json!({ "name": "x", "owner": format!("user:{}", keeper.id) }));
    assert_eq!(own.status, 201, "{own:?}");
    let unknown = world.by_user("keeper").post("keys/", &json!({ "name": "x", "owner": "user:nobody" }));
    assert_eq!((unknown.status, unknown.json()), (400, json!({ "owner": ["There is no such user."] })));

    // A key of an administrator holds what it was made with, not what its owner holds.
    let (_, key) = world.key_of(KeyOwner::User(root.id.clone()), "users:read users:write keys:read keys:write", None);
    let narrow = world.by_key(&key);
    assert_out_of_reach(
        &world,
        &narrow,
        vec![
            ("PATCH", format!("users/{}/", root.id), Some(json!({ "scopes": ["orders:read"] }))),
            ("PATCH", format!("users/{}/", plain.id), Some(json!({ "is_admin": true }))),
            ("POST", format!("users/{}/set-password/", rich.id), Some(json!({ "password": NEW }))),
            make(json!({ "name": "for itself", "scopes": ["keys:read"] })),
            owned(&root, &[]),
        ],
    );
    assert_out_of_reach(&world, &narrow, acts_on_key(&of_root));
    assert_eq!(narrow.patch(&format!("users/{}/", plain.id), &json!({ "scopes": ["keys:read"] })).status, 200);
    assert_eq!(world.by_user("keeper").get(&format!("users/{}/", keeper.id)).code(), "permission_denied");
}

#[test]
fn who_lost_their_rights_administers_no_more() {
    let (plan, clock) = plan().timed();
    let world = World::plan(plan);
    world.user_with("root", true, "");
    let other = world.user_with("other", true, "");
    let plain = world.user("plain");
    let all = "users:read users:write sessions:write keys:read keys:write audit:read";
    let root = world.by_user("root");
    let try_all = |who: &Asker<'_>, status: u16| {
        for path in ["users/", "keys/", "audit/", "lockouts/"] {
            assert_eq!(who.get(path).status, status, "{path}");
        }
        let reply = who.post(&format!("users/{}/unlock/", plain.id), &json!({}));
        assert_eq!(reply.status, status, "{reply:?}");
    };
    // By key: expired, rotated, revoked, of a user who is switched off.
    let service = || KeyOwner::Service("desk".into());
    let (_, short) = world.key_of(service(), all, Some(Duration::from_secs(60)));
    let (rotated, rotated_text) = world.key_of(service(), all, None);
    let (revoked, revoked_text) = world.key_of(service(), all, None);
    let (_, of_other) = world.key_of(KeyOwner::User(other.id.clone()), all, None);
    let keys = [short, rotated_text, revoked_text, of_other];
    for key in &keys {
        try_all(&world.by_key(key), 200);
    }
    let replaced = root.post(&format!("keys/{}/rotate/", rotated.id), &json!({ "overlap": 60 })).done();
    root.post(&format!("keys/{}/revoke/", revoked.id), &json!({})).done();
    root.post(&format!("users/{}/disable/", other.id), &json!({})).done();
    clock.advance(Duration::from_secs(60));
    for key in &keys {
        try_all(&world.by_key(key), 401);
    }
    try_all(&world.by_key(replaced["new"]["key"].as_str().unwrap()), 200);
    // By token: the role is taken away, from one request to the next.
    root.post(&format!("users/{}/enable/", other.id), &json!({})).done();
    let demoted = world.by_user("other");
    try_all(&demoted, 200);
    root.patch(&format!("users/{}/", other.id), &json!({ "is_admin": false })).done();
    try_all(&demoted, 403);
}

/// A password is good from everywhere and for good, which the key that sets it is not.
#[test]
fn a_key_that_is_bound_lets_nobody_in_by_a_password() {
    let world = World::plan(plan());
    let plain = world.user("plain");
    let scopes = "users:read users:write keys:write";
    let bound = |changes: KeyChanges| {
        let (record, key) = world.key(scopes);
        world.wait(world.administration.keys.change(&record, changes, &operator())).unwrap();
        key
    };
    let networks = Some(NetworkSet::parse("127.0.0.0/8").unwrap());
    let methods = Some(MethodNames::parse("GET POST PATCH").unwrap());
    let by_network = bound(KeyChanges { networks, ..KeyChanges::default() });
    let by_methods = bound(KeyChanges { methods, ..KeyChanges::default() });
    let (_, ending) = world.key_of(KeyOwner::Service("desk".into()), scopes, Some(Duration::from_secs(3600)));
    let by_rate = bound(KeyChanges { rate: Some(Rate::parse("10000/hour").ok()), ..KeyChanges::default() });
    let by_quota = bound(KeyChanges { quota: Some(Quota::parse("10000/day").ok()), ..KeyChanges::default() });
    let by_idle = bound(KeyChanges { idle: Some(IdleDays::new(30)), ..KeyChanges::default() });
    let gone = world.user("gone");
    world.wait(world.administration.users.switch(&gone, false, &operator())).unwrap();
    world.settle();

    let of_gone = |rest: &str| format!("users/{}/{rest}", gone.id);
    let at = |rest: &str| format!("users/{}/{rest}", plain.id);
    let acts = || {
        vec![
            ("POST", "users/".to_owned(), Some(json!({ "username": "new", "password": NEW }))),
            ("POST", "users/".to_owned(), Some(json!({ "username": "newer", "email": "new@example.org" }))),
            ("POST", at("set-password/"), Some(json!({ "password": NEW }))),
            ("PATCH", at(""), Some(json!({ "email": "mine@example.org" }))),
            ("PATCH", at(""), Some(json!({ "first_name": "x", "scopes": ["users:read"] }))),
            // Whoever was switched off, or kept out by a second factor, comes in by the password that they have.
            ("POST", of_gone("enable/"), None),
            ("PATCH", of_gone(""), Some(json!({ "is_active": true }))),
            ("POST", at("reset-2fa/"), None),
        ]
    };
    for key in [&by_network, &by_methods, &ending, &by_rate, &by_quota, &by_idle] {
        let who = world.by_key(key);
        assert_out_of_reach(&world, &who, acts());
        // What opens no door is done.
        let same = json!({ "first_name": "Paula", "email": plain.email });
        assert_eq!(who.patch(&at(""), &same).done()["first_name"], "Paula");
        who.post(&of_gone("disable/"), &json!({})).done();
        who.patch(&of_gone(""), &json!({ "is_active": false })).done();
    }
    assert_eq!(world.try_sign_in("plain", NEW).status, 401);
    let unbound = world.by_scopes(scopes);
    for (method, path, body) in acts() {
        unbound.ask(method, &path, body.as_ref()).done();
    }
    assert_eq!(world.try_sign_in("plain", NEW).status, 200);
}

#[test]
fn whatever_is_in_the_body_nobody_becomes_somebody_else() {
    let world = World::plan(plan());
    let plain = world.user_with_id("45", "plain");
    let who = world.by_scopes("users:read users:write");
    let body = json!({
        "username": "new", "id": plain.id.as_str(), "password_hash": "x", "created_at": "2020-01-01T00:00:00Z",
        "is_superuser": true, "is_staff": true, "effective_scopes": ["*"], "tokens_valid_from": 0, "actor": "operator",
    });
    let made = who.post("users/", &body).done();
    assert_ne!(made["id"], plain.id.as_str());
    assert_eq!((&made["is_admin"], &made["scopes"], &made["roles"]), (&json!(false), &json!([]), &json!([])));
    let path = format!("users/{}/", plain.id);
    let before = everything(&world);
    let reply = who.patch(&path, &json!({ "id": "1", "password": NEW, "password_hash": "x", "last_sign_in_at": null }));
    assert_eq!((reply.status, everything(&world)), (200, before), "what is not known has no effect");
    // A name that is somebody's id does not make its bearer them.
    let named = who.post("users/", &json!({ "username": plain.id.as_str() })).done();
    who.post(&format!("users/{}/disable/", plain.id), &json!({})).done();
    assert_eq!(who.get(&path).done()["is_active"], false);
    assert_eq!(who.get(&format!("users/{}/", named["id"].as_str().unwrap())).done()["is_active"], true);
}

#[test]
fn scopes_that_were_asked_for_in_vain_are_named_and_others_are_not() {
    let world = World::plan(plan());
    let (plain, rich) = (world.user("plain"), world.user_with("rich", false, "orders:read"));
    let who = world.by_scopes("users:read users:write keys:write");
    let (key, _) = world.key("keys:write");
    let asked = json!(["users:read", "orders:write", "orders:read"]);
    for (method, path) in [
        ("POST", "users/".to_owned()),
        ("PATCH", format!("users/{}/", plain.id)),
        ("POST", "keys/".to_owned()),
        ("PATCH", format!("keys/{}/", key.id)),
    ] {
        let reply = who.ask(method, &path, Some(&json!({ "username": "new", "name": "new", "scopes": asked })));
        assert_eq!(reply.status, 403, "{reply:?}");
        assert_eq!(reply.json()["missing_scopes"], json!(["orders:read", "orders:write"]), "{method} {path}");
    }
    for (method, path, body) in [
        ("POST", "users/".to_owned(), json!({ "username": "new", "is_admin": true })),
        ("POST", "users/".to_owned(), json!({ "username": "new", "roles": ["auditor"] })),
        ("PATCH", format!("users/{}/", rich.id), json!({ "scopes": asked })),
        ("POST", "keys/".to_owned(), json!({ "name": "x", "owner": format!("user:{}", rich.id) })),
    ] {
        let reply = who.ask(method, &path, Some(&body));
        assert_eq!((reply.status, reply.json().get("missing_scopes")), (403, None), "{method} {path} {body}");
    }
}

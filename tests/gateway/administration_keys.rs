//! API keys, administered over HTTP: shown once, changed at once, replaced without a gap.

use std::time::Duration;

use portcullis::domain::key_owner::KeyOwner;
use serde_json::{Value, json};

use crate::harness::asker::ONE_FACTOR;
use crate::harness::{Plan, World, eventually};

const ALL: &str = "users:read users:write keys:read keys:write audit:read orders:read orders:write";
const ROUTES: &str = "
  - { name: read, path: /read, upstream: backend, access: { any: [jwt, api_key], scopes: [orders:read] } }
  - { name: all, path: /, upstream: backend, access: { any: [jwt, api_key] } }";
const DAY: Duration = Duration::from_secs(86_400);

fn plan() -> Plan {
    Plan { extra: ONE_FACTOR.to_owned(), routes: Some(ROUTES.to_owned()), ..Plan::default() }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap()
}

fn status(world: &World, path: &str, key: &str) -> u16 {
    world.get(path, &[("X-API-Key", key)]).status
}

#[test]
fn a_key_is_made_shown_once_and_found_again_without_itself() {
    let (plan, _) = plan().timed();
    let world = World::plan(plan);
    let admin = world.by_scopes(ALL);
    let reply = admin.post(
        "keys/",
        &json!({ "name": " nightly export ", "owner": "reports", "scopes": ["orders:read"], "expires_in": 60 }),
    );
    assert_eq!((reply.status, reply.header("cache-control")), (201, Some("no-store")), "{reply:?}");
    let mut made = reply.json();
    let key = made.as_object_mut().unwrap().shift_remove("key").unwrap();
    let key = key.as_str().unwrap().to_owned();
    let expected = json!({
        "id": made["id"], "prefix": key[3..11], "name": "nightly export", "owner": "reports", "scopes": ["orders:read"],
        "created_at": "2027-01-15T08:00:00.000000Z", "expires_at": "2027-01-15T08:01:00.000000Z",
        "revoked_at": null, "revoked_reason": null, "replaced_by": null, "replaced_at": null, "uses_since_replaced": null,
        "networks": [], "routes": [], "methods": [], "rate": null, "quota": null, "labels": {}, "idle_days": null,
        "last_used_at": null, "use_count": 0,
    });
    assert_eq!(made, expected);
    assert_eq!((status(&world, "/read", &key), status(&world, "/other", &key)), (200, 200));
    let seen = world.get("/read", &[("X-API-Key", &key)]).seen();
    assert_eq!(seen.header("x-auth-user-id"), Some("service:reports"));

    let path = format!("keys/{}/", text(&made, "id"));
    let (shown, listed) = (admin.get(&path), admin.get("keys/?search=nightly"));
    assert_eq!(shown.json(), expected);
    assert_eq!(listed.json(), json!({ "results": [expected], "next": null }));
    for reply in [shown, listed] {
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert!(!reply.text().contains(&key[12..]), "{reply:?}");
    }
}

#[test]
fn a_key_is_the_callers_own_unless_it_is_said_whose() {
    let world = World::plan(plan());
    let (root, bert) = (world.user_with("root", true, ""), world.user("bert"));
    let owner = |made: Value| text(&made, "owner").to_owned();
    assert_eq!(owner(world.by_user("root").post("keys/", &json!({ "name": "x" })).done()), format!("user:{}", root.id));
    assert_eq!(owner(world.by_scopes(ALL).post("keys/", &json!({ "name": "x" })).done()), "robot");
    let (_, key) = world.key_of(KeyOwner::User(root.id.clone()), &format!("{ALL} sessions:write"), None);
    assert_eq!(owner(world.by_key(&key).post("keys/", &json!({ "name": "x" })).done()), format!("user:{}", root.id));
    let made =
        world.by_user("root").post("keys/", &json!({ "name": "x", "owner": format!("user:{}", bert.id) })).done();
    let seen = world.get("/", &[("X-API-Key", text(&made, "key"))]).seen();
    assert_eq!(seen.header("x-auth-user-id"), Some(bert.id.as_str()));
}

#[test]
fn what_does_not_fit_is_told_field_by_field_and_nothing_is_written() {
    let (plan, _) = plan().timed();
    let world = World::plan(plan);
    let admin = world.by_scopes(ALL);
    let (key, _) = world.key("orders:read");
    let before = admin.get("keys/?revoked=true").done();
    let (name, owner) = (
        "x".repeat(101),
        "An owner is user:<id>, or a service's name: 1 to 100 characters, without a colon, control characters, or white space at either end.",
    );
    let wrong_time =
        "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm:ss[.uuuuuu](+HH:MM|-HH:MM|Z).";
    let past = "A key expires in the future, or never.";
    let both: Vec<(&str, Value, &str)> = vec![
        ("name", json!(null), "This field may not be null."),
        ("name", json!(" "), "This field may not be blank."),
        ("name", json!(7), "Not a valid string."),
        ("name", json!(name), "Ensure this field has no more than 100 characters."),
        ("name", json!("a\nb"), "Control characters are not allowed."),
        ("scopes", json!("orders:read"), "Expected a list of items but got type \"str\"."),
        ("scopes", json!(["a b"]), "A scope is 1 to 64 of the characters a-z A-Z 0-9 : . _ - / *."),
        ("expires_at", json!("tomorrow"), wrong_time),
        ("expires_at", json!("2030-01-01"), wrong_time),
        ("expires_at", json!(1), wrong_time),
        ("expires_at", json!("2027-01-15T08:00:00Z"), past),
        ("expires_at", json!("1969-01-01T00:00:00Z"), past),
    ];
    for (field, value, sentence) in &both {
        let mut body = json!({ "name": "new" });
        body[field] = value.clone();
        for reply in
            [admin.post("keys/", &body), admin.patch(&format!("keys/{}/", key.id), &json!({ (*field): value }))]
        {
            assert_eq!((reply.status, reply.json()), (400, json!({ (*field): [sentence] })), "{field} {value}");
        }
    }
    for (field, value, sentence) in [
        ("expires_in", json!(0), "Ensure this value is greater than or equal to 1."),
        ("expires_in", json!("60"), "A valid integer is required."),
    ] {
        let reply = admin.patch(&format!("keys/{}/", key.id), &json!({ (field): value }));
        assert_eq!((reply.status, reply.json()), (400, json!({ (field): [sentence] })), "{field} {value}");
    }
    for end in [json!(null), json!("2030-01-01T00:00:00Z")] {
        let reply = admin.patch(&format!("keys/{}/", key.id), &json!({ "expires_in": 60, "expires_at": end }));
        assert_eq!(reply.json(), json!({ "expires_at": ["Give either expires_in or expires_at."] }));
    }
    for (field, value, sentence) in [
        ("owner", json!(""), "This field may not be blank."),
        ("owner", json!("group:x"), owner),
        ("owner", json!("user:"), owner),
        ("owner", json!("user:nobody"), "There is no such user."),
        ("owner", json!(["x"]), "Not a valid string."),
        ("expires_in", json!(0), "Ensure this value is greater than or equal to 1."),
        ("expires_in", json!(-5), "Ensure this value is greater than or equal to 1."),
        ("expires_in", json!(4_000_000_000_u64), "Ensure this value is less than or equal to 3155760000."),
        ("expires_in", json!("60"), "A valid integer is required."),
        ("expires_in", json!(1.5), "A valid integer is required."),
    ] {
        let reply = admin.post("keys/", &json!({ "name": "new", (field): value }));
        assert_eq!((reply.status, reply.json()), (400, json!({ (field): [sentence] })), "{field} {value}");
    }
    let reply = admin.post("keys/", &json!({ "name": "x", "expires_in": 60, "expires_at": "2030-01-01T00:00:00Z" }));
    assert_eq!(reply.json(), json!({ "expires_at": ["Give either expires_in or expires_at."] }));
    assert_eq!(admin.post("keys/", &json!({})).json(), json!({ "name": ["This field is required."] }));
    for (path, body, field) in [
        ("rotate", json!({ "overlap": -1 }), "overlap"),
        ("rotate", json!({ "overlap": 2_592_001 }), "overlap"),
        ("rotate", json!({ "overlap": "1d" }), "overlap"),
        ("rotate", json!({ "overlap": null }), "overlap"),
        ("revoke", json!({ "reason": 5 }), "reason"),
        ("revoke", json!({ "reason": "x".repeat(201) }), "reason"),
    ] {
        let reply = admin.post(&format!("keys/{}/{path}/", key.id), &body);
        assert_eq!((reply.status, reply.json().as_object().unwrap().contains_key(field)), (400, true), "{reply:?}");
    }
    assert_eq!(admin.get("keys/?revoked=true").done(), before);
}

#[test]
fn a_change_counts_from_the_next_request_on() {
    let (plan, clock) = plan().timed();
    let world = World::plan(plan);
    let admin = world.by_scopes(ALL);
    let (key, secret) = world.key("orders:read");
    let path = format!("keys/{}/", key.id);
    let read = || world.get("/read", &[("X-API-Key", &secret)]);
    for _ in 0..3 {
        read().seen();
    }
    assert_eq!(admin.patch(&path, &json!({ "scopes": ["orders:write"] })).done()["scopes"], json!(["orders:write"]));
    read().assert_refused(403, "permission_denied");
    admin.patch(&path, &json!({ "scopes": ["orders:write", "orders:read"], "name": "renamed", "prefix": "x" })).done();
    read().seen();
    let soon = "2027-01-15T08:00:30Z";
    assert_eq!(admin.patch(&path, &json!({ "expires_at": soon })).done()["expires_at"], "2027-01-15T08:00:30.000000Z");
    read().seen();
    clock.advance(Duration::from_secs(30));
    read().assert_refused(401, "key_not_valid");
    let later = admin.patch(&path, &json!({ "expires_in": 90, "name": "renamed" })).done();
    assert_eq!(later["expires_at"], "2027-01-15T08:02:00.000000Z");
    assert_eq!(admin.patch(&path, &json!({ "expires_in": null })).done(), later);
    let alive = admin.patch(&path, &json!({ "expires_at": null })).done();
    assert_eq!((&alive["expires_at"], &alive["name"]), (&Value::Null, &json!("renamed")));
    read().seen();
}

#[test]
fn a_revoked_key_is_refused_at_once_and_stays_as_it_is() {
    let world = World::plan(plan());
    let admin = world.by_scopes(ALL);
    let (key, secret) = world.key("orders:read");
    let path = format!("keys/{}/", key.id);
    assert_eq!(status(&world, "/read", &secret), 200);
    let revoked = admin.post(&format!("{path}revoke/"), &json!({ "reason": "it leaked" })).done();
    assert_eq!(revoked["revoked_reason"], "it leaked");
    world.get("/read", &[("X-API-Key", &secret)]).assert_refused(401, "key_not_valid");
    let again = admin.post(&format!("{path}revoke/"), &json!({ "reason": "another" })).done();
    assert_eq!(again, revoked, "the first reason is kept");
    for (method, path, body) in [
        ("PATCH", path.clone(), json!({ "name": "x" })),
        ("PATCH", path.clone(), json!({})),
        ("POST", format!("{path}rotate/"), json!({})),
    ] {
        admin.ask(method, &path, Some(&body)).assert_refused(400, "invalid");
    }
    assert_eq!(admin.get(&path).done(), revoked);
    let (key, _) = world.key("");
    let reply = admin.post(&format!("keys/{}/revoke/", key.id), &json!({}));
    assert_eq!(reply.done()["revoked_reason"], "revoked");
}

#[test]
fn a_rotated_key_works_on_until_the_overlap_is_over() {
    let (plan, clock) = plan().timed();
    let world = World::plan(plan);
    let admin = world.by_scopes(ALL);
    let made = admin
        .post(
            "keys/",
            &json!({ "name": "export", "owner": "reports", "scopes": ["orders:read"], "expires_in": 864_000 }),
        )
        .done();
    let (id, old) = (text(&made, "id"), text(&made, "key"));
    clock.advance(DAY);
    let reply = admin.post(&format!("keys/{id}/rotate/"), &json!({ "overlap": 3600 }));
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")), "{reply:?}");
    let rotated = reply.json();
    let (before, after) = (&rotated["old"], &rotated["new"]);
    let new = text(after, "key").to_owned();
    assert_ne!(new, old);
    assert_eq!((&before["replaced_by"], &before["expires_at"]), (&after["id"], &json!("2027-01-16T09:00:00.000000Z")));
    assert_eq!(
        (&after["name"], &after["owner"], &after["scopes"]),
        (&json!("export"), &json!("reports"), &json!(["orders:read"]))
    );
    assert_eq!(after["expires_at"], "2027-01-25T08:00:00.000000Z", "when the first one would have expired");
    assert_eq!(admin.get(&format!("keys/{id}/")).done(), *before);
    assert_eq!((status(&world, "/read", old), status(&world, "/read", &new)), (200, 200));
    admin.post(&format!("keys/{id}/rotate/"), &json!({})).assert_refused(400, "invalid");
    clock.advance(Duration::from_secs(3599));
    assert_eq!((status(&world, "/read", old), status(&world, "/read", &new)), (200, 200));
    clock.advance(Duration::from_secs(1));
    assert_eq!((status(&world, "/read", old), status(&world, "/read", &new)), (401, 200));

    // Without an overlap, and by default with one of a day. No overlap makes a key live longer.
    let second = text(after, "id").to_owned();
    let rotated = admin.post(&format!("keys/{second}/rotate/"), &json!({ "overlap": 0 })).done();
    let third = text(&rotated["new"], "key").to_owned();
    assert_eq!((status(&world, "/read", &new), status(&world, "/read", &third)), (401, 200));
    let rotated = admin.ask("POST", &format!("keys/{}/rotate/", text(&rotated["new"], "id")), None).done();
    assert_eq!(rotated["old"]["expires_at"], "2027-01-17T09:00:00.000000Z");
    let brief = admin.post("keys/", &json!({ "name": "brief", "expires_in": 10 })).done();
    let rotated = admin.post(&format!("keys/{}/rotate/", text(&brief, "id")), &json!({ "overlap": 3600 })).done();
    assert_eq!(rotated["old"]["expires_at"], brief["expires_at"]);
    clock.advance(Duration::from_secs(10));
    let brief = text(&rotated["new"], "id").to_owned();
    admin.post(&format!("keys/{brief}/rotate/"), &json!({})).assert_refused(400, "invalid");
}

#[test]
fn of_many_rotations_at_once_one_makes_a_successor() {
    let world = World::plan(plan());
    let (key, _) = world.key("");
    let admin = world.by_scopes(ALL);
    let path = format!("keys/{}/rotate/", key.id);
    let replies: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| admin.post(&path, &json!({})).status)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(replies.iter().filter(|status| **status == 200).count(), 1, "{replies:?}");
    assert!(replies.iter().all(|status| matches!(status, 200 | 400)), "{replies:?}");
    assert_eq!(
        admin.get("keys/").done()["results"].as_array().unwrap().len(),
        3,
        "the old, the new, and that of the caller"
    );
}

#[test]
fn keys_are_listed_newest_first_and_found_by_what_is_asked() {
    let (plan, clock) = plan().timed();
    let world = World::plan(plan);
    let bert = world.user("bert");
    let admin = world.by_scopes(ALL);
    clock.advance(Duration::from_secs(1));
    let mut made = Vec::new();
    for (name, owner) in [("50% off", "shop"), ("a_b", "shop"), ("Ünï", "other"), ("a b", &format!("user:{}", bert.id))]
    {
        made.push(admin.post("keys/", &json!({ "name": name, "owner": owner })).done());
        clock.advance(Duration::from_secs(1));
    }
    admin.post(&format!("keys/{}/revoke/", text(&made[1], "id")), &json!({})).done();
    let names = |query: &str| admin.pages(&format!("keys/?{query}"), 200, "name").concat();
    assert_eq!(names("revoked=true"), ["a b", "Ünï", "a_b", "50% off", "test"]);
    assert_eq!(names(""), ["a b", "Ünï", "50% off", "test"]);
    assert_eq!(names("revoked=false"), names(""));
    assert_eq!(names("owner=shop"), ["50% off"]);
    assert_eq!(names("owner=shop&revoked=true"), ["a_b", "50% off"]);
    assert_eq!(names(&format!("owner=user:{}", bert.id)), ["a b"]);
    assert_eq!(names("owner=user:nobody"), [""; 0]);
    assert_eq!(names("search=%25"), ["50% off"]);
    assert_eq!(names("search=_&revoked=true"), ["a_b"]);
    // With a blank, which no prefix begins with.
    assert_eq!(names("search=A%20B"), ["a b"]);
    assert_eq!(names("search=%5C"), [""; 0]);
    assert_eq!(names("search=n%C3%AF"), ["Ünï"]);
    assert_eq!(names(&format!("search={}", text(&made[3], "prefix"))), ["a b"]);

    let first = admin.get("keys/?limit=2&revoked=true").done();
    let cursor = text(&first, "next").to_owned();
    admin.post("keys/", &json!({ "name": "newest" })).done();
    let rest = admin.get(&format!("keys/?revoked=true&cursor={cursor}")).done();
    let rest: Vec<&str> = rest["results"].as_array().unwrap().iter().map(|key| text(key, "name")).collect();
    assert_eq!(rest, ["a_b", "50% off", "test"]);
    assert_eq!(admin.pages("keys/?revoked=true", 1, "id").len(), 6);
    world.user("carl");
    let users = text(&admin.get("users/?limit=1").done(), "next").to_owned();
    for query in ["owner=", "owner=group:x", "revoked=yes", "limit=500", "cursor=x", &format!("cursor={users}")] {
        assert_eq!(admin.get(&format!("keys/?{query}")).status, 400, "{query}");
    }
}

#[test]
fn keys_are_out_of_sight_without_the_scopes_and_odd_ids_are_not_found() {
    let world = World::plan(plan());
    world.user("anna");
    let (key, _) = world.key("");
    let at = |rest: &str| format!("keys/{}/{rest}", key.id);
    let asked = [
        ("GET", "keys/".to_owned(), "keys:read"),
        ("GET", at(""), "keys:read"),
        ("POST", "keys/".to_owned(), "keys:write"),
        ("PATCH", at(""), "keys:write"),
        ("POST", at("rotate/"), "keys:write"),
        ("POST", at("revoke/"), "keys:write"),
    ];
    for (method, path, scope) in &asked {
        let body = (*method != "GET").then(|| json!({ "name": "x" }));
        let nobody = world.request(method, &format!("/api/v1/auth/{path}"), &[], b"");
        nobody.assert_refused(401, "not_authenticated");
        world.by_user("anna").ask(method, path, body.as_ref()).assert_refused(403, "permission_denied");
        let others: Vec<&str> = ALL.split(' ').filter(|other| other != scope).collect();
        world.by_scopes(&others.join(" ")).ask(method, path, body.as_ref()).assert_refused(403, "permission_denied");
        assert!(matches!(world.by_scopes(scope).ask(method, path, body.as_ref()).status, 200 | 201), "{method} {path}");
    }
    let admin = world.by_scopes(ALL);
    for odd in ["nothing", "%F0%9F%A6%80", "%ff", "%00", "%25", &key.prefix, &"x".repeat(3000), "a%2Fb"] {
        for (method, rest) in [("GET", ""), ("PATCH", ""), ("POST", "rotate/"), ("POST", "revoke/")] {
            let reply = admin.ask(method, &format!("keys/{odd}/{rest}"), None);
            assert!(matches!(reply.status, 404 | 400), "{method} {odd}: {reply:?}");
        }
    }
}

#[test]
fn the_keys_of_a_deleted_user_are_gone() {
    let world = World::plan(plan());
    let admin = world.by_scopes(ALL);
    let bert = world.user("bert");
    let made = admin.post("keys/", &json!({ "name": "x", "owner": format!("user:{}", bert.id) })).done();
    assert_eq!(status(&world, "/", text(&made, "key")), 200);
    admin.delete(&format!("users/{}/", bert.id)).done();
    assert_eq!(status(&world, "/", text(&made, "key")), 401);
    admin.get(&format!("keys/{}/", text(&made, "id"))).assert_refused(404, "not_found");
}

#[test]
fn another_node_hears_of_a_changed_key() {
    let world = World::plan(plan());
    let beside = portcullis::server::run::Running::start(&world.settings).unwrap();
    let (key, secret) = world.key("orders:read");
    let ask = || {
        let mut client = crate::harness::Client::connect(beside.http());
        client.request("GET", "/read", &[("X-API-Key", &secret)], b"").status
    };
    eventually("the other node to know the key", || (ask() == 200).then_some(()));
    world.by_scopes(ALL).patch(&format!("keys/{}/", key.id), &json!({ "scopes": [] })).done();
    eventually("the other node to hear of it", || (ask() == 403).then_some(()));
}

#[test]
fn a_demoted_administrators_key_administers_no_longer_and_does_the_rest() {
    let world = World::plan(plan());
    let root = world.user_with("root", true, "users:read");
    let held = format!("{ALL} sessions:write");
    let (_, secret) = world.key_of(KeyOwner::User(root.id.clone()), &held, None);
    let key = world.by_key(&secret);
    key.post("users/", &json!({ "username": "before" })).done();
    let admin = world.by_scopes(&held);
    admin.patch(&format!("users/{}/", root.id), &json!({ "is_admin": false })).done();
    key.post("users/", &json!({ "username": "after" })).assert_refused(403, "permission_denied");
    key.post("keys/", &json!({ "name": "x", "owner": "robot" })).assert_refused(403, "permission_denied");
    key.get("keys/").assert_refused(403, "permission_denied");
    key.get("audit/").assert_refused(403, "permission_denied");
    key.get("users/").done();
    assert_eq!(status(&world, "/read", &secret), 200, "an operator gave the key more than its owner has");
    admin.patch(&format!("users/{}/", root.id), &json!({ "is_admin": true })).done();
    key.post("users/", &json!({ "username": "after" })).done();
}

#[test]
fn what_a_key_makes_ends_with_it_at_the_latest() {
    let (plan, clock) = plan().timed();
    let world = World::plan(plan);
    let service = || KeyOwner::Service("robot".to_owned());
    let (own, secret) = world.key_of(service(), ALL, Some(60 * DAY));
    let (endless, _) = world.key_of(service(), "", None);
    let (long, _) = world.key_of(service(), "", Some(90 * DAY));
    let end = own.expires_at.unwrap().rfc3339();
    let by_key = world.by_key(&secret);
    let make = |body: Value| by_key.post("keys/", &body).done()["expires_at"].clone();
    assert_eq!(make(json!({ "name": "x" })), end);
    assert_eq!(make(json!({ "name": "x", "expires_in": 100 * 86_400 })), end);
    assert_eq!(make(json!({ "name": "x", "expires_at": "2100-01-01T00:00:00Z" })), end);
    assert_eq!(make(json!({ "name": "x", "expires_in": 60 })), "2027-01-15T08:01:00.000000Z");

    let change = |key: &str, to: Value| {
        by_key.patch(&format!("keys/{key}/"), &json!({ "expires_at": to })).done()["expires_at"].clone()
    };
    let (own, long_end) = (own.id.as_str(), long.expires_at.unwrap().rfc3339());
    assert_eq!(change(own, json!(null)), end);
    assert_eq!(change(own, json!("2100-01-01T00:00:00Z")), end);
    assert_eq!(change(long.id.as_str(), json!(null)), long_end);
    assert_eq!(change(long.id.as_str(), json!("2027-01-16T08:00:00Z")), "2027-01-16T08:00:00.000000Z");
    assert_eq!(change(endless.id.as_str(), json!(null)), Value::Null);

    clock.advance(DAY);
    let rotate =
        |key: &str| by_key.post(&format!("keys/{key}/rotate/"), &json!({})).done()["new"]["expires_at"].clone();
    assert_eq!(rotate(endless.id.as_str()), end);
    assert_eq!(rotate(own), end, "not for another sixty days");
}

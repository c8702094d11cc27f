//! Users, administered over HTTP: what is answered, what takes effect at once, and what is left alone.

use std::collections::BTreeSet;

use portcullis::domain::key_owner::KeyOwner;
use portcullis::domain::user::UserId;
use serde_json::{Value, json};

use crate::harness::asker::{Asker, ONE_FACTOR};
use crate::harness::{PASSWORD, Plan, Reply, World, forge};

const ALL: &str = "users:read users:write sessions:write keys:read keys:write audit:read";
const NEW: &str = "a quite different password";

fn world() -> World {
    let roles = "roles: { support: { scopes: [users:read] }, billing: { scopes: [invoices:read, invoices:write] } }";
    World::plan(Plan { extra: format!("{ONE_FACTOR}\n{roles}"), ..Plan::default() })
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

fn token_request(world: &World, name: &str, password: &str) -> Reply {
    world.post_json("/api/v1/auth/token/", &json!({ "username": name, "password": password }))
}

/// All that can be asked about a user with this id.
fn operations(id: &str) -> Vec<(&'static str, String, Option<Value>, &'static str)> {
    let at = |rest: &str| format!("users/{id}/{rest}");
    vec![
        ("GET", at(""), None, "users:read"),
        ("PATCH", at(""), Some(json!({ "first_name": "A" })), "users:write"),
        ("POST", at("disable/"), None, "users:write"),
        ("POST", at("enable/"), None, "users:write"),
        ("POST", at("set-password/"), Some(json!({ "password": NEW })), "users:write"),
        ("POST", at("reset-2fa/"), None, "users:write"),
        ("POST", at("unlock/"), None, "users:write"),
        ("POST", at("end-sessions/"), None, "sessions:write"),
        ("GET", at("sessions/"), None, "users:read"),
        ("DELETE", at("sessions/7/"), None, "sessions:write"),
        ("DELETE", at(""), None, "users:write"),
    ]
}

#[test]
fn a_user_is_made_shown_changed_and_deleted() {
    let world = world();
    let admin = world.by_scopes(&format!("{ALL} orders:read invoices:read invoices:write"));
    let reply = admin.post(
        "users/",
        &json!({
            "username": "anna", "email": "anna@example.org", "first_name": "Anna", "last_name": "Arendt",
            "password": PASSWORD, "roles": ["support", "billing"], "scopes": ["orders:read"], "is_admin": false,
        }),
    );
    assert_eq!((reply.status, reply.header("cache-control")), (201, Some("no-store")), "{reply:?}");
    let made = reply.json();
    let anna = id(&made).to_owned();
    let mut expected = json!({
        "id": anna, "username": "anna", "email": "anna@example.org", "first_name": "Anna", "last_name": "Arendt",
        "is_active": true, "is_admin": false, "roles": ["billing", "support"], "scopes": ["orders:read"],
        "created_at": made["created_at"], "password_changed_at": made["created_at"], "last_sign_in_at": null,
        "second_factor": false,
    });
    assert_eq!(made, expected);
    assert_eq!(admin.get(&format!("users/{anna}/")).done(), expected);
    assert_eq!(admin.get("users/").done(), json!({ "results": [expected], "next": null }));

    let me = world.me(&world.sign_in("anna").0).json();
    assert_eq!(me["scopes"], json!(["invoices:read", "invoices:write", "orders:read", "users:read"]));
    expected["last_sign_in_at"] = admin.get(&format!("users/{anna}/")).done()["last_sign_in_at"].clone();
    assert!(expected["last_sign_in_at"].is_string());

    let changes = json!({ "username": "Anna B", "email": null, "last_name": "", "roles": [], "unknown": 1, "id": "7" });
    for (field, value) in
        [("username", json!("Anna B")), ("email", json!("")), ("last_name", json!("")), ("roles", json!([]))]
    {
        expected[field] = value;
    }
    assert_eq!(admin.patch(&format!("users/{anna}/"), &changes).done(), expected);
    assert_eq!(admin.patch(&format!("users/{anna}/"), &json!({})).done(), expected, "nothing sent, nothing changed");
    assert_eq!(admin.get(&format!("users/{anna}/")).done(), expected);

    assert_eq!(admin.delete(&format!("users/{anna}/")).done(), json!({}));
    admin.get(&format!("users/{anna}/")).assert_refused(404, "not_found");
    admin.delete(&format!("users/{anna}/")).assert_refused(404, "not_found");
    assert_eq!(token_request(&world, "Anna B", PASSWORD).status, 401);
}

#[test]
fn without_a_password_nobody_signs_in_until_one_is_set() {
    let world = world();
    let admin = world.by_scopes(ALL);
    for password in [json!(null), json!({}).get("password").cloned().unwrap_or_default()] {
        let name = format!("user{}", world.wait(world.stores.users.count()).unwrap());
        let made = admin.post("users/", &json!({ "username": name, "password": password })).done();
        for tried in ["!", PASSWORD] {
            assert_eq!(token_request(&world, &name, tried).status, 401);
        }
        admin.post(&format!("users/{}/set-password/", id(&made)), &json!({ "password": NEW })).done();
        assert_eq!(token_request(&world, &name, NEW).status, 200);
    }
}

#[test]
fn what_does_not_fit_is_told_field_by_field_and_nothing_is_written() {
    let world = world();
    let taken = world.user("anna");
    let other = world.user("bert");
    let admin = world.by_scopes(ALL);
    let before = admin.get("users/").done();
    let long = "x".repeat(151);
    let list = "Expected a list of items but got type \"str\".";
    let many = "Ensure this field has no more than 150 characters.";
    let cases: Vec<(&str, Value, &str)> = vec![
        ("username", json!(""), "This field may not be blank."),
        ("username", json!("  "), "This field may not be blank."),
        ("username", json!(null), "This field may not be null."),
        ("username", json!(5), "Not a valid string."),
        ("username", json!(["a"]), "Not a valid string."),
        ("username", json!(long), many),
        ("username", json!("a\nb"), "Control characters are not allowed."),
        ("username", json!("a\u{0}b"), "Null characters are not allowed."),
        (
            "username",
            json!("service:x"),
            "A user name does not begin with `service:`, which is how services are named to backends.",
        ),
        ("username", json!("0197c1a2-6F5E-7d3c-9b1a-2f4e6d8c0a1b"), "A user name does not look like an id."),
        ("username", json!("anna"), "A user with that username already exists."),
        ("email", json!("nowhere"), "Enter a valid email address."),
        ("email", json!("a@b@c"), "Enter a valid email address."),
        ("email", json!("a b@example.org"), "Enter a valid email address."),
        ("email", json!("a@example.org\r\nBcc: b@example.org"), "Control characters are not allowed."),
        ("email", json!(5), "Not a valid string."),
        ("first_name", json!(null), "This field may not be null."),
        ("first_name", json!(true), "Not a valid string."),
        ("last_name", json!(long), many),
        ("last_name", json!("a\tb"), "Control characters are not allowed."),
        ("is_admin", json!("true"), "Must be a valid boolean."),
        ("is_admin", json!(1), "Must be a valid boolean."),
        ("is_admin", json!(null), "This field may not be null."),
        ("roles", json!("support"), list),
        ("roles", json!(null), "This field may not be null."),
        ("roles", json!(["nobody-knows"]), "\"nobody-knows\" is not a valid choice."),
        ("roles", json!(["admin"]), "The role admin is given with is_admin."),
        ("roles", json!(["a b"]), "A role's name is 1 to 64 of the characters a-z A-Z 0-9 : . _ -."),
        ("roles", json!([1]), "Not a valid string."),
        ("scopes", json!("users:read"), list),
        ("scopes", json!({ "a": 1 }), "Expected a list of items but got type \"dict\"."),
        ("scopes", json!(["a b"]), "A scope is 1 to 64 of the characters a-z A-Z 0-9 : . _ - / *."),
        ("scopes", json!(["a", null]), "Not a valid string."),
        ("scopes", json!(vec!["a"; 101]), "Ensure this field has no more than 100 elements."),
    ];
    for (field, value, sentence) in &cases {
        let mut body = json!({ "username": "new" });
        body[field] = value.clone();
        let expected = json!({ (*field): [sentence] });
        let reply = admin.post("users/", &body);
        assert_eq!((reply.status, reply.json()), (400, expected.clone()), "POST {body}");
        let reply = admin.patch(&format!("users/{}/", other.id), &json!({ (*field): value }));
        assert_eq!((reply.status, reply.json()), (400, expected), "PATCH {field} {value}");
    }
    for (field, value, sentence) in [
        ("password", json!("short"), "This password is too short. It must contain at least 8 characters."),
        ("password", json!("new-user-1"), "The password is too similar to the username."),
        ("password", json!(""), "This field may not be blank."),
        ("password", json!([]), "Not a valid string."),
    ] {
        let reply = admin.post("users/", &json!({ "username": "new-user", (field): value }));
        assert_eq!((reply.status, reply.json()), (400, json!({ (field): [sentence] })), "{value}");
    }
    let reply = admin.patch(&format!("users/{}/", other.id), &json!({ "is_active": "no" }));
    assert_eq!(reply.json(), json!({ "is_active": ["Must be a valid boolean."] }));
    let reply = admin.post("users/", &json!({ "email": "x", "is_admin": 0 }));
    let all = json!({
        "username": ["This field is required."], "email": ["Enter a valid email address."],
        "is_admin": ["Must be a valid boolean."],
    });
    assert_eq!((reply.status, reply.json()), (400, all), "all at once");
    let reply = admin.post(&format!("users/{}/set-password/", taken.id), &json!({}));
    assert_eq!((reply.status, reply.json()), (400, json!({ "password": ["This field is required."] })));
    assert_eq!(admin.get("users/").done(), before);
}

#[test]
fn bodies_that_are_none_are_refused_and_forms_are_read() {
    let world = world();
    let bert = world.user("bert");
    let admin = world.by_scopes(ALL);
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    for (media, body, status) in [
        ("application/json", "[]", 400),
        ("application/json", "{", 400),
        ("application/json", deep.as_str(), 400),
        ("application/json", "{\"username\": \"\\ud800\"}", 400),
        ("text/plain", "{}", 415),
        ("application/xml", "<a/>", 415),
    ] {
        for (method, path) in [("POST", "users/".to_owned()), ("PATCH", format!("users/{}/", bert.id))] {
            let reply = admin.send(method, &path, media, body.as_bytes());
            assert_eq!(reply.status, status, "{method} {media} {body}: {reply:?}");
        }
    }
    for (method, path) in [
        ("PUT", "users/".to_owned()),
        ("POST", format!("users/{}/", bert.id)),
        ("GET", format!("users/{}/disable/", bert.id)),
    ] {
        assert_eq!(admin.ask(method, &path, None).status, 405, "{method} {path}");
    }
    let form = "username=form&is_admin=false&first_name=%C3%84nne";
    for path in ["users/", "keys/", "lockouts/clear/"] {
        for media in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"] {
            let reply = admin.send("POST", path, media, form.as_bytes());
            assert_eq!((reply.status, reply.code().as_str()), (415, "unsupported_media_type"), "{path} {media}");
        }
    }
    let listed = admin.get("users/?search=form").text();
    assert!(!listed.contains("\"form\""), "and nobody was made: {listed}");
    // With and without the slash.
    assert_eq!(admin.get("users").status, 200);
    assert_eq!(admin.get(&format!("users/{}", bert.id)).status, 200);
}

#[test]
fn each_operation_takes_its_scope_and_no_other_does() {
    let world = world();
    let bert = world.user("bert");
    let mut asked = operations(bert.id.as_str());
    asked.push(("GET", "users/".to_owned(), None, "users:read"));
    asked.push(("POST", "users/".to_owned(), Some(json!({ "username": "carl" })), "users:write"));
    asked.push(("GET", "lockouts/".to_owned(), None, "users:read"));
    asked.push(("POST", "lockouts/clear/".to_owned(), Some(json!({ "subject": "net:192.0.2.1" })), "users:write"));
    let delete = asked.iter().position(|(method, path, ..)| *method == "DELETE" && !path.contains("sessions")).unwrap();
    let last = asked.remove(delete);
    asked.push(last);
    let nobody = world.request("GET", "/api/v1/auth/users/", &[], b"");
    nobody.assert_refused(401, "not_authenticated");
    for (method, path, body, scope) in asked {
        let others: Vec<&str> =
            ALL.split(' ').chain(["users", "users:*", "*"]).filter(|other| *other != scope).collect();
        let reply = world.by_scopes(&others.join(" ")).ask(method, &path, body.as_ref());
        reply.assert_refused(403, "permission_denied");
        assert_eq!(reply.header("www-authenticate"), None);
        let anonymous = world.request(method, &format!("/api/v1/auth/{path}"), &[], b"");
        anonymous.assert_refused(401, "not_authenticated");
        let reply = world.by_scopes(scope).ask(method, &path, body.as_ref());
        assert!(matches!(reply.status, 200 | 201) || path.ends_with("sessions/7/"), "{method} {path}: {reply:?}");
    }
    assert_eq!(world.wait(world.stores.users.find(&bert.id)).unwrap(), None);
}

#[test]
fn a_token_needs_a_second_factor_where_the_settings_say_so_and_a_key_does_not() {
    let secret = "fIq8vK2mQx7Lw0Zt5Rb9Nc3Yh6Jp1Sd4";
    let world = World::plan(Plan {
        tokens: Some("{ signing: { algorithm: HS256, secret: \"${SIGNING}\" } }".to_owned()),
        environment: [("SIGNING".to_owned(), secret.to_owned())].into(),
        ..Plan::default()
    });
    let bert = world.user("bert");
    let root = world.user_with("root", true, "");
    let (token, _) = world.sign_in("root");
    world.give_factor(&root.id);
    let weak = world.by_token(&token);
    let claims = forge::with(&forge::claims(&token), "amr", json!(["pwd", "otp"]));
    let strong =
        forge::hmac(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes(), &forge::header(&token), &claims.to_string());
    let strong = world.by_token(&strong);
    for (method, path, body, _) in operations(bert.id.as_str()).into_iter().filter(|(method, ..)| *method != "DELETE") {
        weak.ask(method, &path, body.as_ref()).assert_refused(403, "second_factor_required");
        assert_eq!(strong.ask(method, &path, body.as_ref()).status, 200, "{method} {path}");
    }
    for path in ["users/", "keys/", "audit/", "lockouts/"] {
        weak.get(path).assert_refused(403, "second_factor_required");
        assert_eq!(strong.get(path).status, 200, "{path}");
        assert_eq!(world.by_scopes(ALL).get(path).status, 200, "{path}");
    }
    let with_key = |key: &str| {
        let bearer = format!("Bearer {token}");
        world.get("/api/v1/auth/users/", &[("Authorization", &bearer), ("X-API-Key", key)])
    };
    with_key(&world.key(ALL).1).assert_refused(403, "second_factor_required");
    assert_eq!(world.me(&token).status, 200, "everything else goes on");
}

#[test]
fn switching_off_and_deleting_take_effect_with_the_next_request() {
    let world = world();
    let admin = world.by_scopes(ALL);
    let (anna, bert) = (world.user("anna"), world.user("bert"));
    let (_, key) = world.key_of(KeyOwner::User(anna.id.clone()), "", None);
    let (_, other_key) = world.key_of(KeyOwner::User(bert.id.clone()), "", None);
    let (access, refresh) = world.sign_in("anna");
    let (other, _) = world.sign_in("bert");
    let with_key = |key: &str| world.get("/proxied", &[("X-API-Key", key)]);
    let stands = |access: &str, key: &str| {
        assert_eq!((world.me(access).status, world.get_as("/proxied", access).status), (200, 200));
        assert_eq!(with_key(key).status, 200);
    };
    stands(&access, &key);
    stands(&other, &other_key);

    let disabled = admin.post(&format!("users/{}/disable/", anna.id), &json!({})).done();
    assert_eq!(disabled["is_active"], false);
    for _ in 0..2 {
        world.me(&access).assert_refused(401, "user_inactive");
        world.get_as("/proxied", &access).assert_refused(401, "user_inactive");
        with_key(&key).assert_refused(401, "key_not_valid");
    }
    assert_eq!(world.refresh(&refresh).status, 401);
    stands(&other, &other_key);

    let enabled = admin.post(&format!("users/{}/enable/", anna.id), &json!({})).done();
    assert_eq!(enabled["is_active"], true);
    world.me(&access).assert_refused(401, "session_ended");
    assert_eq!(with_key(&key).status, 200);
    let (access, _) = world.sign_in("anna");
    assert_eq!(world.me(&access).status, 200);

    // The same by a change, together with other fields, in one piece.
    let changed = admin.patch(&format!("users/{}/", anna.id), &json!({ "is_active": false, "first_name": "A" })).done();
    assert_eq!((&changed["is_active"], &changed["first_name"]), (&json!(false), &json!("A")));
    world.me(&access).assert_refused(401, "user_inactive");
    admin.patch(&format!("users/{}/", anna.id), &json!({ "is_active": true })).done();
    world.me(&access).assert_refused(401, "session_ended");
    let (access, refresh) = world.sign_in("anna");

    admin.delete(&format!("users/{}/", anna.id)).done();
    for _ in 0..2 {
        world.me(&access).assert_refused(401, "user_not_found");
        world.get_as("/proxied", &access).assert_refused(401, "user_not_found");
        with_key(&key).assert_refused(401, "key_not_valid");
    }
    assert_eq!(world.refresh(&refresh).status, 401);
    stands(&other, &other_key);
    let again = admin.post("users/", &json!({ "username": "anna", "password": NEW })).done();
    assert_ne!(id(&again), anna.id.as_str());
    world.me(&access).assert_refused(401, "user_not_found");
}

#[test]
fn scopes_and_roles_count_from_the_next_request_on() {
    let world = world();
    let admin = world.by_scopes(&format!("{ALL} orders:read invoices:read invoices:write"));
    let bert = world.user("bert");
    let path = format!("users/{}/", bert.id);
    let (access, _) = world.sign_in("bert");
    let asker = world.by_token(&access);
    let scopes = || world.me(&access).json()["scopes"].clone();
    assert_eq!(scopes(), json!([]));
    asker.get("users/").assert_refused(403, "permission_denied");
    for (changes, expected) in [
        (json!({ "scopes": ["orders:read", "orders:read"] }), json!(["orders:read"])),
        (json!({ "roles": ["support"] }), json!(["orders:read", "users:read"])),
        (json!({ "scopes": [] }), json!(["users:read"])),
        (json!({ "roles": ["billing", "support"] }), json!(["invoices:read", "invoices:write", "users:read"])),
        (
            json!({ "is_admin": true, "roles": [] }),
            json!(["audit:read", "keys:read", "keys:write", "sessions:write", "users:read", "users:write"]),
        ),
        (json!({ "is_admin": false, "roles": ["support"] }), json!(["users:read"])),
    ] {
        admin.patch(&path, &changes).done();
        assert_eq!(scopes(), expected, "{changes}");
        assert_eq!(asker.get("users/").status == 200, expected.to_string().contains("users:read"), "{changes}");
    }
    admin.patch(&path, &json!({ "roles": [] })).done();
    asker.get("users/").assert_refused(403, "permission_denied");
}

#[test]
fn a_role_that_is_not_configured_any_more_gives_nothing() {
    let mut world = world();
    let admin = world.by_scopes(&format!("{ALL} invoices:read invoices:write"));
    let made =
        admin.post("users/", &json!({ "username": "anna", "password": PASSWORD, "roles": ["support", "billing"] }));
    let anna = id(&made.done()).to_owned();
    world.settings.roles.named.retain(|name, _| name.as_str() == "support");
    world.restart();
    let (access, _) = world.sign_in("anna");
    assert_eq!(world.me(&access).json()["scopes"], json!(["users:read"]));
    let admin = world.by_scopes(ALL);
    assert_eq!(
        admin.get(&format!("users/{anna}/")).done()["roles"],
        json!(["billing", "support"]),
        "what is stored is shown"
    );
    let reply = admin.patch(&format!("users/{anna}/"), &json!({ "roles": ["billing"] }));
    assert_eq!(reply.json(), json!({ "roles": ["\"billing\" is not a valid choice."] }));
    assert_eq!(
        admin.patch(&format!("users/{anna}/"), &json!({ "roles": ["support"] })).done()["roles"],
        json!(["support"])
    );
}

#[test]
fn a_new_password_ends_all_sessions_and_is_judged_as_any_other() {
    let world = world();
    let admin = world.by_scopes(ALL);
    let anna = world.user("anna");
    let path = format!("users/{}/set-password/", anna.id);
    let tokens: Vec<_> = (0..2).map(|_| world.sign_in("anna")).collect();
    for (password, sentence) in [
        ("1234567", "This password is too short. It must contain at least 8 characters."),
        ("password1", "This password is too common."),
    ] {
        let reply = admin.post(&path, &json!({ "password": password }));
        assert_eq!(reply.status, 400);
        assert!(reply.json()["password"].as_array().unwrap().contains(&json!(sentence)), "{reply:?}");
    }
    assert_eq!(world.me(&tokens[0].0).status, 200, "nothing has happened yet");
    let reply = admin.post(&path, &json!({ "password": NEW }));
    assert_eq!(reply.done(), json!({}));
    for (access, refresh) in &tokens {
        world.me(access).assert_refused(401, "session_ended");
        assert_eq!(world.refresh(refresh).status, 401);
    }
    assert_eq!(token_request(&world, "anna", PASSWORD).status, 401);
    assert_eq!(token_request(&world, "anna", NEW).status, 200);
}

#[test]
fn sessions_are_listed_and_ended_one_by_one_and_all_at_once() {
    let world = world();
    let admin = world.by_scopes(ALL);
    let (anna, bert) = (world.user("anna"), world.user("bert"));
    let tokens: Vec<_> = (0..3).map(|_| world.sign_in("anna").0).collect();
    let (other, _) = world.sign_in("bert");
    let listed = || admin.get(&format!("users/{}/sessions/", anna.id)).done()["results"].as_array().unwrap().clone();
    let sessions = listed();
    assert_eq!(sessions.len(), 3);
    let names: BTreeSet<&str> = sessions[0].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["id", "created_at", "last_used_at", "expires_at", "amr", "address", "user_agent", "current"];
    assert_eq!(names, BTreeSet::from(expected));

    let of = |token: &str| forge::claims(token)["sid"].as_str().unwrap().to_owned();
    let end = |user: &UserId, session: &str| admin.delete(&format!("users/{user}/sessions/{session}/"));
    for (user, session) in [(&anna.id, of(&other)), (&bert.id, of(&tokens[0])), (&anna.id, "nothing".to_owned())] {
        end(user, &session).assert_refused(404, "not_found");
    }
    assert_eq!(end(&anna.id, &of(&tokens[0])).done(), json!({}));
    world.me(&tokens[0]).assert_refused(401, "session_ended");
    end(&anna.id, &of(&tokens[0])).assert_refused(404, "not_found");
    assert_eq!((world.me(&tokens[1]).status, listed().len()), (200, 2));

    let all = admin.post(&format!("users/{}/end-sessions/", anna.id), &json!({}));
    assert_eq!(all.done(), json!({ "ended": 2 }));
    for token in &tokens {
        world.me(token).assert_refused(401, "session_ended");
    }
    assert_eq!((world.me(&other).status, listed().len()), (200, 0));
    let again = admin.post(&format!("users/{}/end-sessions/", anna.id), &json!({}));
    assert_eq!(again.done(), json!({ "ended": 0 }));
    admin.post(&format!("users/{}/reset-2fa/", bert.id), &json!({})).done();
    world.me(&other).assert_refused(401, "session_ended");
}

#[test]
fn ids_that_nobody_has_are_not_found_however_odd_they_are() {
    let world = world();
    let admin = world.by_scopes(ALL);
    let long = "x".repeat(2000);
    let ids = [
        "nobody",
        "0",
        "-1",
        "null",
        "%25",
        "%2e",
        "..%2f",
        "a%20b",
        "%C3%A4%F0%9F%A6%80",
        "%E2%80%AE",
        "'%20OR%201=1--",
        "*",
        "%ff",
        "%00",
        "%0a",
        ".",
        "..",
        "a;b",
        "$1",
        "{id}",
        "anna",
        &long,
    ];
    world.user("anna");
    for odd in ids {
        for (method, path, body, _) in operations(odd) {
            let reply = admin.ask(method, &path, body.as_ref());
            let fits = matches!(reply.status, 404 | 400) || (matches!(odd, "." | "..") && reply.status < 500);
            assert!(fits, "{method} {path}: {reply:?}");
            assert!(reply.json()["code"].is_string(), "{method} {path}: {reply:?}");
        }
    }
    assert_eq!(admin.get("users/nobody/").comparable().2, admin.get("users/x/").comparable().2);
    assert_eq!(world.wait(world.stores.users.count()).unwrap(), 1);
}

#[test]
fn nobody_shuts_themselves_out_or_goes_round_their_own_password() {
    let world = world();
    let root = world.user_with("root", true, "");
    world.user_with("other", true, "");
    let (token, _) = world.sign_in("root");
    let at = |rest: &str| format!("users/{}/{rest}", root.id);
    let (_, key) = world.key_of(KeyOwner::User(root.id.clone()), ALL, None);
    for asker in [world.by_token(&token), world.by_key(&key)] {
        for (method, path, body, detail) in [
            ("DELETE", at(""), None, "You cannot delete yourself."),
            ("POST", at("disable/"), None, "You cannot disable yourself."),
            ("PATCH", at(""), Some(json!({ "is_active": false })), "You cannot disable yourself."),
            (
                "PATCH",
                at(""),
                Some(json!({ "is_admin": false, "first_name": "x" })),
                "You cannot take your own role of an administrator.",
            ),
            ("POST", at("set-password/"), Some(json!({ "password": NEW })), "You cannot set your own password here."),
            ("POST", at("reset-2fa/"), None, "You cannot reset your own second factor here."),
        ] {
            let reply = asker.ask(method, &path, body.as_ref());
            assert_eq!(
                (reply.status, reply.json()),
                (400, json!({ "detail": detail, "code": "invalid" })),
                "{method} {path}"
            );
        }
    }
    let asker = world.by_token(&token);
    let me = asker.get(&at("")).done();
    assert_eq!((&me["is_admin"], &me["is_active"], &me["first_name"]), (&json!(true), &json!(true), &json!("")));
    assert_eq!(asker.patch(&at(""), &json!({ "first_name": "Ruth", "is_admin": true })).done()["first_name"], "Ruth");
    assert_eq!(asker.post(&at("enable/"), &json!({})).done()["is_active"], true);
    // Somebody else may.
    assert_eq!(world.by_user("other").post(&at("disable/"), &json!({})).done()["is_active"], false);
}

fn names(asker: &Asker<'_>, query: &str) -> Vec<String> {
    asker.pages(&format!("users/{query}"), 200, "username").concat()
}

#[test]
fn users_are_found_by_what_is_typed_and_by_nothing_else() {
    let world = world();
    let admin = world.by_scopes(ALL);
    let all = ["100%", "Ängström", "a_b", "a\\b", "anna", "axb", "zoë🦀", "o'brien"];
    for name in all {
        admin.post("users/", &json!({ "username": name })).done();
    }
    admin.post("users/", &json!({ "username": "mail", "email": "Somebody@Example.org" })).done();
    for (search, expected) in [
        ("%25", vec!["100%"]),
        ("_", vec!["a_b"]),
        ("%5C", vec!["a\\b"]),
        ("a_b", vec!["a_b"]),
        ("ANNA", vec!["anna"]),
        ("nn", vec!["anna"]),
        ("%F0%9F%A6%80", vec!["zoë🦀"]),
        ("zo%C3%AB", vec!["zoë🦀"]),
        ("ngstr", vec!["Ängström"]),
        ("somebody@example", vec!["mail"]),
        ("'", vec!["o'brien"]),
        ("%25%25", vec![]),
        ("nobody", vec![]),
    ] {
        assert_eq!(names(&admin, &format!("?search={search}")), expected, "{search}");
    }
    let mut every: Vec<&str> = all.into_iter().chain(["mail"]).collect();
    every.sort_unstable();
    assert_eq!(names(&admin, ""), every, "in the order of their names");
    assert_eq!(names(&admin, "?search="), every);

    world.user_with("root", true, "");
    let anna = id(&admin.get("users/?search=anna").done()["results"][0]).to_owned();
    admin.post(&format!("users/{anna}/disable/"), &json!({})).done();
    assert_eq!(names(&admin, "?admin=true"), ["root"]);
    assert_eq!(names(&admin, "?active=false"), ["anna"]);
    assert_eq!(names(&admin, "?active=false&admin=true"), [""; 0]);
    assert_eq!(names(&admin, "?admin=false&active=true&search=b"), ["a\\b", "a_b", "axb", "mail", "o'brien"]);
}

#[test]
fn pages_neither_repeat_nor_hide_anybody_while_others_come_and_go() {
    let world = world();
    let admin = world.by_scopes(ALL);
    let add = |name: &str| id(&admin.post("users/", &json!({ "username": name })).done()).to_owned();
    let ids: Vec<String> = ["b", "d", "f", "h", "j"].iter().map(|name| add(name)).collect();
    assert_eq!(admin.pages("users/", 2, "username"), [vec!["b", "d"], vec!["f", "h"], vec!["j"]]);
    assert_eq!(admin.pages("users/", 5, "username").len(), 1, "no empty last page");

    let first = admin.get("users/?limit=2").done();
    let cursor = first["next"].as_str().unwrap();
    // Before and behind the place, and whoever the place is.
    for name in ["a", "c", "e", "g"] {
        add(name);
    }
    admin.delete(&format!("users/{}/", ids[1])).done();
    let rest = admin.get(&format!("users/?limit=200&cursor={cursor}")).done();
    let rest: Vec<&str> =
        rest["results"].as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap()).collect();
    assert_eq!(rest, ["e", "f", "g", "h", "j"]);

    let (front, end) = cursor.split_at(cursor.len() - 2);
    for query in [
        format!("cursor={front}"),
        format!("cursor={end}{front}"),
        "cursor=AAAA".to_owned(),
        "cursor=%00".to_owned(),
        "cursor=ä".replace('ä', "%C3%A4"),
        "limit=0".to_owned(),
        "limit=201".to_owned(),
        "limit=1.5".to_owned(),
        "limit=".to_owned(),
        "active=maybe".to_owned(),
        "admin=1".to_owned(),
        "search=a%00b".to_owned(),
    ] {
        let reply = admin.get(&format!("users/?{query}"));
        let field = query.split('=').next().unwrap();
        assert_eq!(reply.status, 400, "{query}: {reply:?}");
        assert!(reply.json()[field][0].is_string(), "{query}: {reply:?}");
    }
    assert_eq!(admin.get("users/?nothing=x&limit=1").status, 200);
    let keys = admin.get("keys/?limit=1");
    assert_eq!(keys.status, 200);
}

#[test]
fn a_name_that_is_the_id_of_another_user_finds_neither() {
    let world = World::plan(Plan::default());
    let (anna, imported) = (world.user("anna"), world.user_with_id("anna", "imported"));
    let find = |text: &str| world.wait(world.administration.users.find(text));
    let message = find("anna").unwrap_err().to_string();
    let expected =
        format!("`anna` is the id of the user named `imported` and the name of the user numbered `{}`", anna.id);
    assert_eq!(message, expected);
    assert_eq!(find("imported").unwrap().id, imported.id);
    assert_eq!(find(anna.id.as_str()).unwrap().username, "anna");
    let same = world.user_with_id("same", "same");
    assert_eq!(find("same").unwrap().id, same.id);
    assert_eq!(find("nobody").unwrap_err().to_string(), "there is no user named or numbered `nobody`");
}

//! The commands of an operator, beside a running server.

use std::collections::BTreeSet;

use portcullis::domain::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::harness::{PASSWORD, Place, Server, Upstream, eventually};

/// The bound is one second; the rest is for a busy machine.
const PROMPTLY: std::time::Duration = std::time::Duration::from_secs(3);

struct Office {
    // Kept, because it answers.
    _upstream: Upstream,
    place: Place,
    server: Server,
}

impl Office {
    fn open() -> Self {
        let upstream = Upstream::start();
        let place = Place::prepared(upstream.address(), "");
        let server = place.serve();
        Self { _upstream: upstream, place, server }
    }

    fn key(&self, arguments: &[&str]) -> (Value, String) {
        let key = self.place.json(&[&["keys", "create", "--name", "robot"], arguments].concat(), "");
        let text = key["key"].as_str().unwrap().to_owned();
        (key, text)
    }

    fn status_with_key(&self, key: &str) -> u16 {
        self.server.get("/", &[("X-API-Key", key)]).status
    }
}

/// Waits for a refusal, and holds it against the bound.
#[track_caller]
fn refused_promptly(what: &str, status: impl Fn() -> u16) {
    let start = SystemClock.now();
    eventually(what, || (status() == 401).then_some(()));
    let took = SystemClock.now().since(start);
    assert!(took < PROMPTLY, "{what} was refused only after {took:?}");
}

fn fields(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_user_is_made_listed_and_shown_without_the_hash() {
    let office = Office::open();
    let create = ["users", "create", "--username", "anna", "--email", "anna@example.org", "--admin"];
    let create = [&create[..], &["--scope", "orders:read", "--scope", "orders:write", "--password-stdin"]].concat();
    let user = office.place.json(&create, PASSWORD);
    let expected = ["id", "username", "email", "first_name", "last_name", "active", "admin", "roles", "scopes"];
    let more = ["created_at", "password_changed_at", "last_sign_in_at", "second_factor"];
    assert_eq!(fields(&user), expected.into_iter().chain(more).collect());
    assert_eq!((&user["username"], &user["email"]), (&json!("anna"), &json!("anna@example.org")));
    assert_eq!((&user["active"], &user["admin"]), (&json!(true), &json!(true)));
    assert_eq!(user["scopes"], json!(["orders:read", "orders:write"]));

    let said = office.place.run_with(&["users", "create", "--username", "bert", "--password-stdin"], PASSWORD);
    assert!(said.success().stdout.starts_with("Created user bert with id "), "{said:?}");
    assert!(!said.stdout.contains(PASSWORD));

    let all = office.place.json(&["users", "list"], "");
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert_eq!(all[0], user);
    let text = office.place.run(&["users", "list"]).success().stdout.clone();
    assert!(text.starts_with("ID "), "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(!text.contains("$argon2"), "{text}");

    let (access, _) = office.server.tokens("anna");
    let seen = office.server.get_with_token("/", &access).seen();
    assert_eq!(seen.header("x-auth-user-id"), user["id"].as_str());
    let scopes: BTreeSet<&str> = seen.header("x-auth-scopes").unwrap().split(' ').collect();
    assert!(scopes.is_superset(&BTreeSet::from(["orders:read", "orders:write", "users:write"])), "{scopes:?}");
}

#[test]
fn a_disabled_user_is_refused_by_the_running_server_at_once() {
    let office = Office::open();
    let user = office.place.create_user("anna");
    let (access, refresh) = office.server.tokens("anna");
    let (_, key) = office.key(&["--owner", "user:anna"]);
    let with_token = || office.server.get_with_token("/", &access).status;
    assert_eq!((with_token(), office.status_with_key(&key)), (200, 200));

    let said = office.place.run(&["users", "disable", "anna"]);
    refused_promptly("the token", with_token);
    refused_promptly("the key", || office.status_with_key(&key));
    assert_eq!(said.success().stdout, "Disabled user anna.\n");
    assert_eq!(office.server.sign_in("anna", PASSWORD).status, 401);
    assert_eq!(office.server.refresh(&refresh).status, 401);

    // By the id this time, which is as good as the name.
    let enabled = office.place.json(&["users", "enable", user["id"].as_str().unwrap()], "");
    assert_eq!(enabled["active"], true);
    eventually("signing in again", || (office.server.sign_in("anna", PASSWORD).status == 200).then_some(()));
    assert_eq!(office.server.get_with_token("/", &access).status, 401, "an ended session came back");
    assert_eq!(office.server.refresh(&refresh).status, 401, "an ended session came back");
}

#[test]
fn a_new_password_ends_the_sessions_and_replaces_the_old_one() {
    let office = Office::open();
    office.place.create_user("anna");
    let (access, _) = office.server.tokens("anna");
    assert_eq!(office.server.get_with_token("/", &access).status, 200);
    let said = office.place.run_with(&["users", "set-password", "anna", "--password-stdin"], "another good one\n");
    refused_promptly("the token", || office.server.get_with_token("/", &access).status);
    assert_eq!(said.success().stdout, "Set the password of user anna; all sessions have ended.\n");
    assert_eq!(office.server.sign_in("anna", PASSWORD).status, 401);
    assert_eq!(office.server.sign_in("anna", "another good one").status, 200);
}

#[test]
fn a_key_is_made_listed_and_shown_once() {
    let office = Office::open();
    let (key, text) = office.key(&["--owner", "billing", "--scope", "orders:read", "--expires-in", "90d"]);
    let expected: BTreeSet<&str> = "id prefix name owner scopes networks routes methods rate quota labels created_at \
                                    expires_at idle_days last_used_at use_count revoked_at revoked_reason replaced_by \
                                    replaced_at uses_since_replaced"
        .split_whitespace()
        .collect();
    assert_eq!(fields(&key), expected.iter().copied().chain(["key"]).collect());
    let seen = office.server.get("/", &[("X-API-Key", &text)]).seen();
    assert_eq!(seen.header("x-auth-user-id"), Some("service:billing"));
    assert_eq!(seen.header("x-auth-scopes"), Some("orders:read"));
    assert_eq!(seen.header("x-auth-key-id"), key["id"].as_str());

    let said = office.place.run(&["keys", "create", "--name", "a robot of two words"]);
    let shown = said.success().stdout.lines().last().unwrap().to_owned();
    assert_eq!(office.status_with_key(&shown), 200);

    let listed = office.place.run(&["keys", "list"]).success().stdout.clone();
    let all = office.place.json(&["keys", "list"], "");
    assert_eq!(all.as_array().unwrap().len(), 2);
    for each in all.as_array().unwrap() {
        assert_eq!(fields(each), expected);
    }
    for list in [listed, all.to_string()] {
        assert!(list.contains(key["prefix"].as_str().unwrap()));
        for secret in [&text, &shown] {
            assert!(!list.contains(&secret[12..]), "{list}");
        }
    }
}

#[test]
fn a_revoked_key_is_refused_by_the_running_server_at_once_however_it_was_named() {
    let office = Office::open();
    let (_, other) = office.key(&[]);
    for name in ["id", "prefix", "branded prefix"] {
        let (key, text) = office.key(&[]);
        assert_eq!(office.status_with_key(&text), 200);
        let named = match name {
            "branded prefix" => format!("pk_{}", key["prefix"].as_str().unwrap()),
            field => key[field].as_str().unwrap().to_owned(),
        };
        let said = office.place.run(&["keys", "revoke", &named, "--reason", "it leaked"]);
        refused_promptly(name, || office.status_with_key(&text));
        assert!(said.success().stdout.starts_with("Revoked key "), "{said:?}");
        let again = office.place.run(&["keys", "revoke", &named]);
        assert_eq!(again.refusal(), format!("the key `{named}` is revoked already"));
    }
    assert_eq!(office.status_with_key(&other), 200);
    let listed = office.place.json(&["keys", "list"], "");
    let leaked = listed.as_array().unwrap().iter().filter(|key| key["revoked_reason"] == "it leaked");
    assert_eq!(leaked.count(), 3);
}

#[test]
fn a_key_expires_by_itself() {
    let office = Office::open();
    let (_, text) = office.key(&["--expires-in", "1s"]);
    eventually("its end", || (office.status_with_key(&text) == 401).then_some(()));
    let (_, text) = office.key(&["--expires-in", "1d"]);
    assert_eq!(office.status_with_key(&text), 200);
}

#[test]
fn signing_keys_are_rotated_beside_a_running_server_and_shown_without_what_is_private() {
    let office = Office::open();
    office.place.create_user("anna");
    let (before, _) = office.server.tokens("anna");
    let expected = BTreeSet::from(["kid", "use", "algorithm", "state", "created_at", "retired_at"]);
    let listed = office.place.json(&["signing-keys", "list"], "");
    let rotated = office.place.json(&["signing-keys", "rotate"], "");
    for key in listed.as_array().unwrap().iter().chain(rotated.as_array().unwrap()) {
        assert_eq!(fields(key), expected);
    }
    let text = office.place.run(&["signing-keys", "list"]).success().stdout.clone();
    assert_eq!(text.lines().count(), 1 + rotated.as_array().unwrap().len(), "{text}");
    assert!(rotated.as_array().unwrap().len() > listed.as_array().unwrap().len(), "{text}");
    // The head of a token names its key.
    let head = |token: &str| token.split('.').next().unwrap().to_owned();
    eventually("a token by the new key", || {
        let (now, _) = office.server.tokens("anna");
        (head(&now) != head(&before)).then(|| assert_eq!(office.server.get_with_token("/", &now).status, 200))
    });
    assert_eq!(office.server.get_with_token("/", &before).status, 200, "a token from before the rotation");
}

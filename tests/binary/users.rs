//! Users, changed on the command line beside a running server.

use serde_json::{Value, json};

use crate::harness::{CONFIGURATION, PASSWORD, Place, Server, Upstream, configuration, eventually};

const ROLES: &str = "roles: { support: { scopes: [users:read] }, billing: { scopes: [invoices:read] } }";

fn scopes(server: &Server, token: &str) -> Value {
    server.get_with_token("/api/v1/auth/me/", token).json()["scopes"].clone()
}

#[test]
fn what_is_given_is_changed_and_the_rest_stays() {
    let upstream = Upstream::start();
    let place = Place::prepared(upstream.address(), ROLES);
    let server = place.serve();
    let create = ["users", "create", "--username", "anna", "--email", "anna@example.org", "--first-name", "Anna"];
    let create = [&create[..], &["--role", "support", "--scope", "orders:read", "--password-stdin"]].concat();
    let made = place.json(&create, PASSWORD);
    assert_eq!(
        (&made["first_name"], &made["last_name"], &made["roles"]),
        (&json!("Anna"), &json!(""), &json!(["support"]))
    );
    let (access, _) = server.tokens("anna");
    assert_eq!(scopes(&server, &access), json!(["orders:read", "users:read"]));

    let steps: [(&[&str], Value, Value); 6] = [
        (
            &["--role", "billing", "--role", "support"],
            json!({ "roles": ["billing", "support"] }),
            json!(["invoices:read", "orders:read", "users:read"]),
        ),
        (&["--no-roles", "--no-scopes"], json!({ "roles": [], "scopes": [] }), json!([])),
        (&["--scope", "a", "--scope", "b"], json!({ "scopes": ["a", "b"] }), json!(["a", "b"])),
        (
            &["--admin", "--no-scopes"],
            json!({ "admin": true, "scopes": [] }),
            json!(["audit:read", "keys:read", "keys:write", "sessions:write", "users:read", "users:write"]),
        ),
        (
            &["--no-admin", "--email", "", "--last-name", "Arendt"],
            json!({ "admin": false, "email": "", "last_name": "Arendt" }),
            json!([]),
        ),
        (&["--username", "Anna"], json!({ "username": "Anna" }), json!([])),
    ];
    let mut expected = place.json(&["users", "show", "anna"], "");
    assert!(expected["last_sign_in_at"].is_string());
    for (arguments, changes, carried) in steps {
        let changed = place.json(&[&["users", "change", "anna"], arguments].concat(), "");
        for (field, value) in changes.as_object().unwrap() {
            expected[field] = value.clone();
        }
        assert_eq!(changed, expected, "{arguments:?}");
        eventually("the change to be heard of", || (scopes(&server, &access) == carried).then_some(()));
    }
    let nothing = place.run(&["users", "change", "Anna"]);
    assert_eq!(nothing.refusal(), "say what is to be different; `users change --help` lists what can be");
    let text = place.run(&["users", "show", "Anna"]).success().stdout.clone();
    for (field, value) in [("last name", "Arendt"), ("admin", "no"), ("active", "yes")] {
        assert!(text.lines().any(|line| line.starts_with(field) && line.ends_with(value)), "{text}");
    }
    assert_eq!(place.run(&["users", "change", "Anna", "--first-name", "A"]).success().stdout, "Changed user Anna.\n");
}

#[test]
fn a_user_without_a_password_and_a_deleted_one_cannot_sign_in() {
    let upstream = Upstream::start();
    let place = Place::prepared(upstream.address(), "");
    let server = place.serve();
    place.json(&["users", "create", "--username", "bert", "--no-password"], "");
    assert_eq!(server.sign_in("bert", "!").status, 401);
    place.create_user("anna");
    let key = place.json(&["keys", "create", "--name", "x", "--owner", "user:anna"], "");
    let key = key["key"].as_str().unwrap();
    let (access, refresh) = server.tokens("anna");
    assert_eq!(server.get("/", &[("X-API-Key", key)]).status, 200);
    assert_eq!(place.run(&["users", "delete", "anna"]).success().stdout, "Deleted user anna.\n");
    eventually("the token to be refused", || {
        (server.get_with_token("/", &access).code() == "user_not_found").then_some(())
    });
    eventually("the key to be refused", || (server.get("/", &[("X-API-Key", key)]).status == 401).then_some(()));
    assert_eq!(server.refresh(&refresh).status, 401);
    assert_eq!(server.sign_in("anna", PASSWORD).status, 401);
    assert_eq!(place.json(&["users", "list"], "").as_array().unwrap().len(), 1);
    assert_eq!(place.json(&["keys", "list"], ""), json!([]));
}

#[test]
fn sessions_are_listed_and_ended() {
    let upstream = Upstream::start();
    let place = Place::prepared(upstream.address(), "");
    let server = place.serve();
    place.create_user("anna");
    let (access, _) = server.tokens("anna");
    server.tokens("anna");
    let sessions = place.json(&["users", "sessions", "anna"], "");
    assert_eq!((sessions.as_array().unwrap().len(), &sessions[0]["amr"]), (2, &json!(["pwd"])));
    let text = place.run(&["users", "sessions", "anna"]).success().stdout.clone();
    assert!(text.starts_with("ID ") && text.lines().count() == 3, "{text}");
    let said = place.run(&["users", "end-sessions", "anna"]);
    assert_eq!(said.success().stdout, "Ended 2 sessions of user anna.\n");
    eventually("the token to be refused", || {
        (server.get_with_token("/", &access).code() == "session_ended").then_some(())
    });
    assert_eq!(place.json(&["users", "sessions", "anna"], ""), json!([]));
    assert_eq!(place.json(&["users", "end-sessions", "anna"], ""), json!({ "ended": 0 }));
}

#[test]
fn a_role_that_the_configuration_does_not_name_is_warned_of() {
    let upstream = Upstream::start();
    let place = Place::prepared(upstream.address(), ROLES);
    let create =
        ["users", "create", "--username", "anna", "--password-stdin", "--role", "support", "--role", "billing"];
    place.json(&create, PASSWORD);
    assert_eq!(place.run(&["users", "list"]).success().stderr, "");
    let roles = "roles: { support: { scopes: [users:read] } }";
    place.write(CONFIGURATION, &configuration("127.0.0.1:0", "127.0.0.1:0", upstream.address(), roles));
    let said = place.run(&["users", "list"]);
    let warning = "warning: anna has the role billing, which the configuration does not name\n";
    assert_eq!(said.success().stderr, warning);
    assert!(said.stdout.contains("billing support"), "{said:?}");
}

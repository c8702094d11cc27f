//! The audit and lockouts on the command line.

use serde_json::{Value, json};

use crate::harness::{PASSWORD, Place, Upstream};

fn actions(events: &Value) -> Vec<&str> {
    events.as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap()).collect()
}

#[test]
fn what_was_done_and_refused_is_listed_by_whom_and_when() {
    let upstream = Upstream::start();
    is_listed(&Place::prepared(upstream.address(), ""));
}

/// In a place where nothing was done yet.
pub fn is_listed(place: &Place) {
    let server = place.serve();
    let anna = place.create_user("anna");
    place.create_user("bert");
    server.tokens("anna");
    server.sign_in("anna", "not the password");
    let key = place.json(&["keys", "create", "--name", "x", "--owner", "user:bert"], "");
    let list = |filters: &[&str]| place.json(&[&["audit", "list"], filters].concat(), "");
    assert_eq!(actions(&list(&[])), ["key_create", "sign_in", "sign_in", "user_create", "user_create"]);
    assert_eq!(actions(&list(&["--user", "anna"])), ["sign_in", "sign_in", "user_create"]);
    assert_eq!(actions(&list(&["--user", anna["id"].as_str().unwrap(), "--done"])), ["sign_in", "user_create"]);
    assert_eq!(actions(&list(&["--refused"])), ["sign_in"]);
    assert_eq!(actions(&list(&["--action", "user_create"])), ["user_create", "user_create"]);
    assert_eq!(actions(&list(&["--actor", "operator", "--limit", "1"])), ["key_create"]);
    assert_eq!(actions(&list(&["--object", &format!("key:{}", key["id"].as_str().unwrap())])), ["key_create"]);
    assert_eq!(list(&["--since", "1h"]).as_array().unwrap().len(), 5);
    assert_eq!(list(&["--until", "1h"]), json!([]));
    assert_eq!(list(&["--since", "2100-01-01T00:00:00Z"]), json!([]));
    let refused = &list(&["--refused"])[0];
    assert_eq!(list(&["--request", refused["request_id"].as_str().unwrap()])[0], *refused);
    assert_eq!((&refused["outcome"], &refused["client"]), (&json!("refused"), &json!("127.0.0.1")));

    let text = place.run(&["audit", "list", "--user", "anna"]).success().stdout.clone();
    assert!(text.starts_with("TIME ") && text.lines().count() == 4, "{text}");
    assert!(text.contains("refused: sign_in_refused") && !text.contains("not the password"), "{text}");
    // Who is gone is found by the id.
    place.run(&["users", "delete", "anna"]).success();
    let gone = list(&["--user", anna["id"].as_str().unwrap()]);
    assert_eq!(actions(&gone), ["user_delete", "sign_in", "sign_in", "user_create"]);
    assert_eq!(gone[0]["detail"], "username [anna]");
    assert_eq!(gone[3]["detail"], "username [] -> [anna]");
    let unknown = place.run(&["audit", "list", "--user", "anna"]);
    assert_eq!(unknown.refusal(), "there is no user named or numbered `anna`");
}

#[test]
fn who_is_kept_waiting_is_listed_and_let_go_on() {
    let upstream = Upstream::start();
    let place = Place::prepared(upstream.address(), "lockout: { account: { free: 1, delay: 1m } }");
    let server = place.serve();
    let anna = place.create_user("anna");
    assert_eq!(place.json(&["lockouts", "list"], ""), json!([]));
    let shut_out = |name: &str| {
        assert_eq!(server.sign_in(name, "not the password").status, 401);
        assert_eq!(server.sign_in(name, PASSWORD).status, 429);
    };
    shut_out("anna");
    let listed = place.json(&["lockouts", "list"], "");
    let subject = format!("account:{}", anna["id"].as_str().unwrap());
    assert_eq!((&listed[0]["subject"], &listed[0]["user_id"]), (&json!(subject), &anna["id"]));
    assert!(place.run(&["lockouts", "list"]).success().stdout.contains(&subject));
    assert_eq!(place.run(&["users", "unlock", "anna"]).success().stdout, "User anna can go on at once.\n");
    assert_eq!(place.run(&["users", "unlock", "anna"]).success().stdout, "User anna was not kept waiting.\n");
    assert_eq!(server.sign_in("anna", PASSWORD).status, 200);
    shut_out("nobody");
    let listed = place.json(&["lockouts", "list"], "");
    let name = listed[0]["subject"].as_str().unwrap();
    assert!(name.starts_with("name:") && listed.as_array().unwrap().len() == 1, "{listed}");
    assert_eq!(place.json(&["lockouts", "clear", name], ""), json!({ "cleared": true }));
    assert_eq!(place.json(&["lockouts", "clear", name], ""), json!({ "cleared": false }));
    assert_eq!(place.json(&["lockouts", "list"], ""), json!([]));
}

/// The lines of the audit in a text.
fn told(text: &str) -> Vec<Value> {
    let lines = text.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.into_iter().filter(|line| line["log"] == "audit").collect()
}

#[test]
fn what_a_command_does_is_told_on_standard_error_and_leaves_its_answer_alone() {
    let upstream = Upstream::start();
    let place = Place::prepared(upstream.address(), "");
    let run = |arguments: &[&str]| place.run_with(arguments, &format!("{PASSWORD}\n"));
    let made = run(&["users", "create", "--username", "anna", "--password-stdin", "--output", "json"]);
    let user: Value = serde_json::from_str(&made.success().stdout).unwrap();
    let lines = told(&made.stderr);
    assert_eq!(lines.len(), 1, "{made:?}");
    let (line, stored) = (&lines[0], &place.json(&["audit", "list"], "")[0]);
    assert_eq!(
        (&line["action"], &line["actor"], &line["outcome"]),
        (&json!("user_create"), &json!("operator"), &json!("done"))
    );
    assert_eq!((&line["id"], &line["time"], &line["user_id"]), (&stored["id"], &stored["time"], &user["id"]));
    assert!(!made.stderr.contains(PASSWORD));
    for (command, action, count) in [
        (&["keys", "create", "--name", "x", "--output", "json"][..], "key_create", 1),
        (&["users", "change", "anna", "--email", "anna@example.org"], "user_change", 1),
        (&["users", "disable", "anna"], "user_disable", 1),
        (&["signing-keys", "rotate"], "signing_keys_rotate", 4),
        (&["secrets", "rotate"], "secrets_rotate", 1),
        (&["users", "delete", "anna"], "user_delete", 1),
    ] {
        let done = run(command);
        let lines = told(&done.success().stderr);
        assert_eq!(lines.len(), count, "{command:?}: {done:?}");
        assert!(lines.iter().all(|line| line["action"] == action), "{lines:?}");
    }
    // What changes nothing has nothing to tell.
    for command in [&["keys", "list"][..], &["users", "list"], &["audit", "list"], &["signing-keys", "list"]] {
        assert_eq!(run(command).success().stderr, "", "{command:?}");
    }
}

#[test]
fn a_command_writes_to_the_file_that_the_server_writes_to() {
    let upstream = Upstream::start();
    let place = Place::prepared(upstream.address(), "log: { audit: { file: data/audit.log } }");
    let log = || std::fs::read_to_string(place.path("data/audit.log")).unwrap_or_default();
    assert_eq!(place.run(&["keys", "list"]).success().stderr, "");
    assert!(!place.path("data/audit.log").exists(), "a command that only looks makes no file");
    let server = place.serve();
    place.create_user("anna");
    server.tokens("anna");
    // The server writes what it has to tell a moment later, and each process for itself.
    crate::harness::eventually("the sign-in", || (told(&log()).len() == 2).then_some(()));
    let made = place.run(&["keys", "create", "--name", "x"]);
    assert_eq!(made.success().stderr, "");
    crate::harness::eventually("all lines", || (told(&log()).len() == 3).then_some(()));
    let lines = told(&log());
    let all: Vec<(&str, &str)> =
        lines.iter().map(|line| (line["action"].as_str().unwrap(), line["actor"].as_str().unwrap())).collect();
    assert_eq!(lines[0]["user_id"], lines[1]["user_id"]);
    assert_eq!(all, [("user_create", "operator"), ("sign_in", "anonymous"), ("key_create", "operator")]);
    assert!(!server.stdout().contains("\"log\":\"audit\""));
}

#[test]
fn a_command_tells_nobody_where_the_log_is_off() {
    let upstream = Upstream::start();
    let place = Place::prepared(upstream.address(), "log: { audit: off }");
    let made = place.run(&["keys", "create", "--name", "x"]);
    assert!(told(&made.success().stderr).is_empty(), "{made:?}");
    assert_eq!(place.json(&["audit", "list"], "")[0]["action"], "key_create", "it is stored all the same");
}

#[test]
fn an_audit_log_that_cannot_be_written_stops_no_command() {
    let upstream = Upstream::start();
    let place = Place::prepared(upstream.address(), "log: { audit: { file: missing/directory/audit.log } }");
    let made = place.run(&["keys", "create", "--name", "x"]);
    assert_eq!(told(&made.success().stderr).len(), 1, "it is told all the same: {made:?}");
}

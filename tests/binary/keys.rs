//! API keys, changed and replaced on the command line beside a running server.

use serde_json::json;

use crate::harness::{Place, Upstream, eventually};

#[test]
fn a_key_is_shown_changed_and_replaced() {
    let upstream = Upstream::start();
    let place = Place::prepared(upstream.address(), "");
    let server = place.serve();
    let made = place.json(&["keys", "create", "--name", "robot", "--scope", "a", "--expires-in", "90d"], "");
    let (id, secret) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let carried = |secret: &str| {
        let reply = server.get("/", &[("X-API-Key", secret)]);
        (reply.status == 200).then(|| reply.seen().header("x-auth-scopes").unwrap_or_default().to_owned())
    };
    assert_eq!(carried(secret).as_deref(), Some("a"));
    let changed = place.json(&["keys", "change", id, "--name", "export", "--scope", "b", "--scope", "c"], "");
    assert_eq!((&changed["name"], &changed["scopes"]), (&json!("export"), &json!(["b", "c"])));
    assert_eq!(changed["expires_at"], made["expires_at"]);
    eventually("the change to be heard of", || (carried(secret).as_deref() == Some("b c")).then_some(()));
    assert_eq!(place.json(&["keys", "change", id, "--never-expires"], "")["expires_at"], json!(null));
    assert_eq!(place.json(&["keys", "change", id, "--no-scopes"], "")["scopes"], json!([]));
    assert!(place.json(&["keys", "change", id, "--expires-in", "1d"], "")["expires_at"].is_string());
    let shown = place.run(&["keys", "show", made["prefix"].as_str().unwrap()]).success().stdout.clone();
    assert!(shown.lines().any(|line| line.starts_with("name") && line.ends_with("export")), "{shown}");
    assert!(!shown.contains(&secret[12..]));

    let rotated = place.json(&["keys", "rotate", id], "");
    let successor = rotated["new"]["key"].as_str().unwrap();
    assert_eq!(rotated["old"]["replaced_by"], rotated["new"]["id"]);
    assert_eq!(place.json(&["keys", "show", id], ""), rotated["old"]);
    assert!(carried(secret).is_some() && carried(successor).is_some(), "both work");
    let again = place.run(&["keys", "rotate", id]);
    assert_eq!(again.refusal(), format!("the key `{id}` is revoked, expired or replaced already"));
    let said = place.run(&["keys", "rotate", rotated["new"]["prefix"].as_str().unwrap(), "--overlap", "0"]);
    let newest = said.success().stdout.lines().last().unwrap();
    assert_eq!(carried(newest).as_deref(), Some(""));
    eventually("the replaced key to be refused", || carried(successor).is_none().then_some(()));
    assert!(carried(secret).is_some(), "the first one has its day");
}

#[test]
fn limits_and_labels_are_set_changed_and_lifted_and_use_is_seen() {
    let upstream = Upstream::start();
    let place = Place::prepared(upstream.address(), "");
    let server = place.serve();
    let flags = [
        "--network",
        "127.0.0.0/8",
        "--network",
        "2001:db8::/32",
        "--route",
        "all",
        "--method",
        "GET",
        "--method",
        "PUT",
        "--idle-days",
        "90",
        "--rate",
        "100/minute burst 20",
        "--quota",
        "10000/day",
        "--label",
        "team=payments",
        "--label",
        "env=",
    ];
    let made = place.json(&[&["keys", "create", "--name", "robot"], &flags[..]].concat(), "");
    let (id, secret) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let expected = [
        ("networks", json!(["127.0.0.0/8", "2001:db8::/32"])),
        ("routes", json!(["all"])),
        ("methods", json!(["GET", "PUT"])),
        ("idle_days", json!(90)),
        ("rate", json!("100/minute burst 20")),
        ("quota", json!("10000/day")),
        ("labels", json!({ "team": "payments", "env": "" })),
    ];
    for (field, value) in &expected {
        assert_eq!(made[field], *value, "{field}");
    }
    let get = || server.get("/", &[("X-API-Key", secret)]).status;
    assert_eq!(get(), 200);
    assert_eq!(server.post_with_key(secret).status, 401);
    let shown = place.run(&["keys", "show", id]).success().stdout.clone();
    for line in ["networks", "routes", "methods", "rate", "quota", "labels", "idle days", "last used", "uses"] {
        assert!(shown.lines().any(|shown| shown.starts_with(line)), "{line}: {shown}");
    }
    eventually("the use to be seen", || (place.json(&["keys", "show", id], "")["use_count"] == 1).then_some(()));

    let names = |label: &str| {
        let list = place.json(&["keys", "list", "--label", label], "");
        list.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((names("team=payments"), names("team=other")), (vec!["robot".to_owned()], Vec::new()));

    let changed = place.json(&["keys", "change", id, "--network", "192.0.2.0/24", "--label", "team=other"], "");
    assert_eq!((&changed["networks"], &changed["labels"]), (&json!(["192.0.2.0/24"]), &json!({ "team": "other" })));
    assert_eq!(changed["rate"], "100/minute burst 20", "what is not said stays");
    eventually("the change to be heard of", || (get() == 401).then_some(()));
    for (flag, field, value) in [
        ("--any-network", "networks", json!([])),
        ("--any-route", "routes", json!([])),
        ("--any-method", "methods", json!([])),
        ("--never-idle", "idle_days", json!(null)),
        ("--no-rate", "rate", json!(null)),
        ("--no-quota", "quota", json!(null)),
        ("--no-labels", "labels", json!({})),
    ] {
        assert_eq!(place.json(&["keys", "change", id, flag], "")[field], value, "{flag}");
    }
    eventually("the change to be heard of", || (get() == 200).then_some(()));
    for wrong in [
        ["--network", "10.0.0.1/8"],
        ["--network", "example.org"],
        ["--route", " "],
        ["--method", "get"],
        ["--idle-days", "0"],
        ["--rate", "100"],
        ["--quota", "1/hour"],
        ["--label", "team"],
    ] {
        let said = place.run(&["keys", "change", id, wrong[0], wrong[1]]);
        assert_eq!((said.code, said.stdout.as_str()), (Some(2), ""), "{said:?}");
        assert!(said.stderr.contains(wrong[0]), "{said:?}");
    }
    let twice = place.run(&["keys", "change", id, "--label", "a=1", "--label", "a=2"]);
    assert_eq!(twice.refusal(), "a label is given twice");

    let rotated = place.json(&["keys", "rotate", id], "");
    assert_eq!(rotated["old"]["uses_since_replaced"], 0);
    assert_eq!(get(), 200);
    eventually("the use of the old key to be seen", || {
        // What was counted and not told yet when it was replaced comes on top.
        place.json(&["keys", "show", id], "")["uses_since_replaced"].as_u64().filter(|uses| *uses >= 1)
    });
    let shown = place.run(&["keys", "show", id]).success().stdout.clone();
    assert!(shown.contains(" times since then"), "{shown}");
}

#[test]
fn a_drain_writes_what_was_counted_last() {
    let upstream = Upstream::start();
    let place = Place::prepared(upstream.address(), "");
    let server = place.serve();
    let made = place.json(&["keys", "create", "--name", "robot"], "");
    for _ in 0..5 {
        assert_eq!(server.get("/", &[("X-API-Key", made["key"].as_str().unwrap())]).status, 200);
    }
    server.stop().success();
    let shown = place.json(&["keys", "show", made["id"].as_str().unwrap()], "");
    assert_eq!(shown["use_count"], 5);
    assert!(shown["last_used_at"].as_str().unwrap() > made["created_at"].as_str().unwrap());
}

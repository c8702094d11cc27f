//! API keys, changed and replaced on the command line beside a running server.

use serde_json::json;

use crate::harness::{Place, Upstream, eventually};

#[test]
fn a_key_is_shown_changed_and_replaced() {
    let upstream = Upstream::start();
    is_shown_changed_and_replaced(&Place::prepared(upstream.address(), ""));
}

pub fn is_shown_changed_and_replaced(place: &Place) {
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

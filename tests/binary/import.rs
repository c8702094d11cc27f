//! Taking over a Django installation from the command line.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Place, finish, unused};

fn export(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/gateway/imported/export").join(name);
    path.display().to_string()
}

#[test]
fn a_trial_run_reports_in_words_and_the_import_in_json() {
    let place = Place::prepared(unused(), "");
    let from = format!("sqlite://{}", export("db.sqlite3"));
    let tried = place.run(&["import", "django", "--from", &from, "--dry-run"]);
    let text = &tried.success().stdout;
    assert!(text.starts_with("A trial run: nothing was changed."), "{text}");
    let line =
        |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
    assert_eq!(
        line("auth_user ").split_whitespace().collect::<Vec<_>>(),
        ["auth_user", "45", "45", "0", "0", "0", "0"]
    );
    assert_eq!(line("unsalted_md5").split_whitespace().last(), Some("3"));
    assert_eq!(line("sha512").split_whitespace().last(), Some("5"));
    assert!(text.contains("its device is not confirmed") && text.contains("--accept-weak"), "{text}");
    assert_eq!(place.json(&["users", "list"], "").as_array().unwrap().len(), 0);

    let report = place.json(&["import", "django", "--from", &from, "--key-scope", "orders:read"], "");
    assert_eq!((&report["dry_run"], &report["tables"]["auth_user"]["added"]), (&json!(false), &json!(45)));
    assert_eq!(report["formats"]["passwords"]["scrypt"], 2);
    let broken = report["rows"].as_array().unwrap().iter().find(|row| row["id"] == "43").unwrap();
    assert_eq!((&broken["table"], &broken["came"]), (&json!("auth_user"), &json!(true)));
    for secret in ["$argon2", "pbkdf2_sha256$", "qa6ji4lg", "20e808553d", "eyJ"] {
        assert!(!report.to_string().contains(secret) && !text.contains(secret), "{secret}");
    }
    let root = place.json(&["users", "show", "root"], "");
    assert_eq!((&root["id"], &root["admin"]), (&json!("45"), &json!(true)), "{root}");
    let keys = place.json(&["keys", "list"], "");
    let key = keys.as_array().unwrap().iter().find(|key| key["prefix"] == "YeoO5V6K").unwrap();
    assert_eq!((&key["owner"], &key["scopes"]), (&json!("current"), &json!(["orders:read"])), "{key}");
    let audit = place.json(&["audit", "list", "--action", "import"], "");
    let detail = audit[0]["detail"].as_str().unwrap();
    assert!(detail.contains("auth_user: 45 added"), "{detail}");
}

#[test]
fn a_source_may_come_from_the_environment_and_says_what_is_wrong_with_it() {
    let place = Place::prepared(unused(), "");
    let mut command = place.command(&["import", "django", "--from", "env:OLD_DATABASE", "--output", "json"]);
    command.env("OLD_DATABASE", export("older-schema.sqlite3"));
    let report: Value = serde_json::from_str(&finish(command, "").success().stdout).unwrap();
    assert_eq!(report["tables"]["auth_user"]["added"], 2);
    for (arguments, fault) in [
        (vec!["--from", "env:NO_SUCH_VARIABLE"], "the environment variable NO_SUCH_VARIABLE is not set"),
        (vec!["--from", "mysql://root@host/db"], "--from is not understood"),
        (vec!["--from", "mysql://root:geheim@host/db"], "write env:NAME"),
        (vec!["--from", "postgres://u:geheim@h/db"], "write env:NAME"),
        (vec!["--from", "postgresql://u:geheim@127.0.0.1:1/db?sslmode=require", "--dry-run"], "write env:NAME"),
        (vec!["--from", "postgres://u@h/db?password=geheim"], "write env:NAME"),
        (vec!["--from", "/no/such/file.json"], "cannot be opened"),
        (vec!["--from", "x.json", "--user-column", "nick=name"], "where OURS is one of id, username"),
        (vec!["--from", "x.json", "--key-scope", "not a scope"], "scope"),
    ] {
        let failed = place.run(&[vec!["import", "django"], arguments].concat());
        let said = failed.refusal();
        assert!(said.contains(fault) && !said.contains("geheim"), "{said}");
    }
    // From the environment it is a source like any other, and is not repeated either.
    let mut command = place.command(&["import", "django", "--from", "env:OLD_DATABASE"]);
    command.env("OLD_DATABASE", "postgres://u:geheim@127.0.0.1:1/db");
    let said = finish(command, "").refusal();
    assert!(said.contains("cannot be opened") && !said.contains("geheim"), "{said}");
}

//! What commands say: one sentence and exit code 1 when something cannot be done, and nothing is changed then.

use crate::harness::{CONFIGURATION, Finished, PASSWORD, Place, configuration, unused};

fn place() -> Place {
    let place = Place::prepared(unused(), "");
    place.create_user("anna");
    place
}

#[test]
fn what_cannot_be_done_is_said_in_one_sentence_and_not_done() {
    let place = place();
    let long = "x".repeat(151);
    let create = |name: &'static str| vec!["users", "create", "--password-stdin", "--username", name];
    let key = |name: &'static str| vec!["keys", "create", "--name", name];
    let cases: Vec<(Vec<&str>, &str, &str)> = vec![
        (create("anna"), PASSWORD, "there is a user of this name already"),
        (create(""), PASSWORD, "1 to 150 characters"),
        (create(" bert"), PASSWORD, "white space"),
        (create("be\trt"), PASSWORD, "control or invisible characters"),
        (vec!["users", "create", "--password-stdin", "--username", &long], PASSWORD, "1 to 150 characters"),
        ([create("bert"), vec!["--email", "nowhere"]].concat(), PASSWORD, "e-mail address"),
        ([create("bert"), vec!["--scope", "two words"]].concat(), PASSWORD, "scope"),
        (create("bert"), "", "empty"),
        (create("bert"), "\n", "empty"),
        (create("bert"), "short\n", "at least 8 characters"),
        (vec!["users", "create", "--username", "bert"], PASSWORD, "--password-stdin"),
        (vec!["users", "disable", "nobody"], "", "`nobody`"),
        (vec!["users", "enable", "nobody"], "", "`nobody`"),
        (vec!["users", "set-password", "nobody", "--password-stdin"], PASSWORD, "`nobody`"),
        (vec!["users", "set-password", "anna", "--password-stdin"], "short", "at least 8 characters"),
        (vec!["users", "set-password", "anna", "--password-stdin"], "Sunshine", "This password is too common."),
        (
            vec!["users", "set-password", "anna", "--password-stdin"],
            "Anna12",
            "The password is too similar to the username. This password is too short.",
        ),
        (
            create("20261123"),
            "20261123",
            "The password is too similar to the username. This password is entirely numeric.",
        ),
        (create("bert"), "portcullis-2026", "This password is too common."),
        (vec!["users", "set-password", "anna"], PASSWORD, "--password-stdin"),
        ([create("bert"), vec!["--role", "nobody-knows"]].concat(), PASSWORD, "there is no role `nobody-knows`"),
        ([create("bert"), vec!["--role", "admin"]].concat(), PASSWORD, "--admin"),
        ([create("bert"), vec!["--role", "a b"]].concat(), PASSWORD, "a role's name is"),
        ([create("bert"), vec!["--first-name", "a\nb"]].concat(), PASSWORD, "control characters"),
        (vec!["users", "change", "nobody", "--admin"], "", "`nobody`"),
        (vec!["users", "change", "anna", "--username", " "], "", "white space"),
        (vec!["users", "change", "anna", "--email", "nowhere"], "", "e-mail address"),
        (vec!["users", "change", "anna", "--role", "nobody-knows"], "", "there is no role `nobody-knows`"),
        (vec!["users", "change", "anna", "--scope", "a b"], "", "scope"),
        (vec!["users", "show", "nobody"], "", "`nobody`"),
        (vec!["users", "sessions", "nobody"], "", "`nobody`"),
        (vec!["users", "end-sessions", "nobody"], "", "`nobody`"),
        (vec!["users", "unlock", "nobody"], "", "`nobody`"),
        (vec!["users", "delete", "nobody"], "", "`nobody`"),
        (vec!["keys", "show", "nothing"], "", "`nothing`"),
        (vec!["keys", "change", "nothing", "--name", "x"], "", "`nothing`"),
        (vec!["keys", "rotate", "nothing"], "", "`nothing`"),
        (vec!["audit", "list", "--action", "nothing"], "", "there is no action `nothing`"),
        (vec!["audit", "list", "--actor", "root"], "", "there is no actor `root`"),
        (vec!["lockouts", "clear", "anna"], "", "lockouts list"),
        (key(""), "", "1 to 100 characters"),
        ([key("robot"), vec!["--owner", "user:nobody"]].concat(), "", "`nobody`"),
        ([key("robot"), vec!["--owner", "group:a"]].concat(), "", "an owner is"),
        ([key("robot"), vec!["--scope", "a\"b"]].concat(), "", "scope"),
        (vec!["keys", "revoke", "nothing"], "", "`nothing`"),
        (vec!["keys", "revoke", ""], "", "no key"),
    ];
    for (arguments, stdin, expected) in cases {
        let said = place.run_with(&arguments, stdin);
        assert!(said.refusal().contains(expected), "{arguments:?}: {said:?}");
    }
    assert_eq!(place.json(&["users", "list"], "").as_array().unwrap().len(), 1);
    assert_eq!(place.json(&["keys", "list"], "").as_array().unwrap().len(), 0);
}

#[test]
fn what_is_no_command_is_explained_with_exit_code_two() {
    let place = place();
    let lines: [&[&str]; 16] = [
        &["user"],
        &["users"],
        &["serve", "--port", "1"],
        // A password on the command line can be read by everybody on the machine.
        &["users", "create", "--username", "bert", "--password", PASSWORD],
        &["users", "create"],
        &["keys", "create", "--name", "robot", "--expires-in", "soon"],
        &["users", "list", "--output", "xml"],
        &["explain", "GET"],
        &["users", "change", "anna", "--admin", "--no-admin"],
        &["users", "change", "anna", "--role", "a", "--no-roles"],
        &["users", "create", "--username", "bert", "--no-password", "--password-stdin"],
        &["keys", "rotate", "x", "--overlap", "31d"],
        &["keys", "change", "x", "--expires-in", "1d", "--never-expires"],
        &["audit", "list", "--since", "yesterday"],
        &["audit", "list", "--limit", "0"],
        &["lockouts"],
    ];
    for arguments in lines {
        let Finished { code, stdout, stderr } = place.run(arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains("Usage: portcullis") || stderr.starts_with("error: "), "{arguments:?}: {stderr}");
    }
}

#[test]
fn migrate_makes_what_is_missing_and_is_content_with_what_is_there() {
    let place = Place::configured(unused(), "");
    let first = place.json(&["migrate"], "");
    assert_eq!((&first["migrated"], &first["master_key_made"]), (&true.into(), &true.into()));
    let before = place.files();
    let second = place.run(&["migrate"]);
    assert_eq!(second.success().stdout, "The database is up to date.\n");
    assert!(place.files() == before, "the second run changed a file");
}

#[test]
fn check_says_valid_and_what_is_weak() {
    let place = Place::configured(unused(), "");
    let said = place.run(&["check"]);
    assert_eq!(said.success().stdout, format!("{CONFIGURATION} is valid: 1 routes to 1 upstreams\n"));
    assert_eq!(place.json(&["check"], "")["warnings"], serde_json::json!([]));

    place.write(CONFIGURATION, &configuration("127.0.0.1:0", "127.0.0.1:0", unused(), "log: { access: off }"));
    let said = place.run(&["check", "--output", "json"]);
    assert!(said.success().stderr.contains("warning: "), "{said:?}");
    let json: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((&json["valid"], json["warnings"].as_array().unwrap().len()), (&true.into(), 1));
    // It only looks.
    assert!(!place.path("data").exists());
}

#[test]
fn explain_shows_the_route_and_exits_with_one_where_there_is_none() {
    let place = Place::configured(unused(), "");
    let found = place.run(&["explain", "get", "/a/b?c=d"]);
    let text = &found.success().stdout;
    for expected in ["route      all", "jwt or api_key", "forwards   /a/b?c=d", "x-auth-user-id"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let own = place.json(&["explain", "POST", "http://any.host/api/v1/auth/token/"], "");
    assert_eq!(own["found"], true);
    assert!(own["explanation"].to_string().contains("public"), "{own}");

    for (method, url, status) in [("BREW", "/a", "405"), ("GET", "/a/../b", "400"), ("GET", "x", "400")] {
        let said = place.run(&["explain", method, url, "--output", "json"]);
        assert_eq!(said.code, Some(1), "{method} {url}: {said:?}");
        let json: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        assert_eq!(json["found"], false);
        assert!(json["explanation"][0].as_str().unwrap().starts_with(&format!("refused: {status}")), "{json}");
    }
}

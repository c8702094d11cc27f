//! From nothing to a protected backend, by doing exactly what the printed text says.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Client, Place, Server, finish};

/// Runs a line as a person would paste it, and gives what it printed.
fn paste(line: &str) -> String {
    let mut command = Command::new("bash");
    command.args(["-c", line]);
    let finished = finish(command, "");
    finished.success();
    finished.stdout
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The indented lines below a heading of the printed text, as they stand there.
fn lines_below(text: &str, heading: &str) -> String {
    let below = text.lines().skip_while(|line| *line != heading).skip(1);
    let lines: Vec<&str> = below.take_while(|line| line.starts_with("  ")).collect();
    assert!(!lines.is_empty(), "nothing below {heading:?} in:\n{text}");
    lines.join("\n")
}

/// What is printed after a label, such as the password.
fn labelled<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim_start().strip_prefix(label)).map(str::trim)
}

fn mode(place: &Place, name: &str) -> u32 {
    std::fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777
}

fn status_with_key(server: &Server, key: &str) -> u16 {
    server.get("/hello", &[("X-API-Key", key)]).status
}

#[test]
fn every_printed_command_does_what_is_said_above_it() {
    let place = Place::empty();
    let server = place.quickstart(&[]);
    let text = server.stdout();

    let tokens = json(&paste(&lines_below(&text, "Sign in:")));
    assert!(tokens["access"].is_string() && tokens["refresh"].is_string(), "{tokens}");

    let echo = json(&paste(&lines_below(&text, "Call through with the token:")));
    assert_eq!(echo["target"], "/hello");
    assert_eq!(echo["headers"]["x-auth-username"], "admin");
    assert_eq!(echo["headers"]["x-auth-method"], "jwt");
    assert_eq!(echo["headers"]["x-auth-user-id"].as_str().unwrap().len(), 36);
    assert_eq!(echo["headers"].get("authorization"), None);

    let echo = json(&paste(&lines_below(&text, "Call through with the key:")));
    assert_eq!(echo["headers"]["x-auth-user-id"], "service:quickstart");
    assert_eq!(echo["headers"].get("x-api-key"), None);

    let refusal = paste(&lines_below(&text, "See a refusal:"));
    assert!(refusal.starts_with("HTTP/1.1 401 "), "{refusal}");
    assert!(refusal.to_ascii_lowercase().contains("www-authenticate: "), "{refusal}");

    let health = labelled(&text, "Health and metrics: ").unwrap();
    for url in health.split(", ") {
        paste(&format!("curl -sf '{url}'"));
    }
}

#[test]
fn what_is_made_is_for_its_owner_alone() {
    let place = Place::empty();
    let _server = place.quickstart(&[]);
    assert_eq!(mode(&place, "data"), 0o700);
    for name in ["data/master.key", "data/portcullis.db", "data/portcullis.db-wal"] {
        assert_eq!(mode(&place, name), 0o600, "{name}");
    }
}

#[test]
fn a_second_start_keeps_the_data_and_shows_no_secret() {
    let place = Place::empty();
    let first = place.quickstart(&[]);
    let text = first.stdout();
    let (password, key) = (labelled(&text, "password").unwrap(), labelled(&text, "API key").unwrap());
    let before = std::fs::read(place.path("data/master.key")).unwrap();
    first.stop().success();

    let second = place.quickstart(&[]);
    let again = second.stdout();
    assert!(again.contains("The data of an earlier start is kept"), "{again}");
    for secret in [password, key, "pk_"] {
        assert!(!again.contains(secret), "{again}");
    }
    assert_eq!(std::fs::read(place.path("data/master.key")).unwrap(), before);
    assert_eq!(status_with_key(&second, key), 200);
    assert_eq!(second.sign_in("admin", password).status, 200);
    // The greeting is not repeated with secrets on standard error either.
    let ended = second.stop();
    assert!(!ended.stderr.contains("pk_") && !ended.stderr.contains(password), "{}", ended.stderr);
}

#[test]
fn a_start_that_fails_does_not_use_up_the_one_time_that_credentials_are_shown() {
    let place = Place::empty();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for ports in [["--listen", &address, "--ops", "127.0.0.1:0"], ["--listen", "127.0.0.1:0", "--ops", &address]] {
        let refused = place.run(&[&["quickstart"][..], &ports].concat());
        assert!(refused.refusal().contains(&address), "{refused:?}");
    }
    let server = place.quickstart(&[]);
    let text = server.stdout();
    assert_eq!(status_with_key(&server, labelled(&text, "API key").unwrap()), 200);
    assert_eq!(server.sign_in("admin", labelled(&text, "password").unwrap()).status, 200);
    assert_eq!(place.json(&["users", "list", "--config", "data/quickstart.yaml"], "").as_array().unwrap().len(), 1);
}

#[test]
fn the_configuration_it_leaves_serves_the_same_data() {
    let place = Place::empty();
    let first = place.quickstart(&["--upstream", "http://127.0.0.1:9"]);
    let key = labelled(&first.stdout(), "API key").unwrap().to_owned();
    first.stop().success();
    place.run(&["check", "--config", "data/quickstart.yaml"]).success();
    let server = Server::start(place.command(&["serve", "--config", "data/quickstart.yaml"]));
    // Nobody listens at that upstream, but the key has opened the door.
    let reply = Client::connect(server.http).request("GET", "/hello", &[("X-API-Key", &key)], b"");
    assert_eq!(reply.status, 502, "{reply:?}");
}

#[test]
fn an_upstream_that_cannot_be_meant_is_refused_in_a_sentence_and_makes_no_database() {
    let place = Place::empty();
    for upstream in ["http://127.0.0.1:1/path", "ftp://127.0.0.1:1", "", "http://127.0.0.1:99999", "a\"b"] {
        let refused = place.run(&["quickstart", "--upstream", upstream, "--listen", "127.0.0.1:0"]);
        assert!(refused.refusal().contains("upstream"), "{upstream:?}: {refused:?}");
        assert_eq!(place.files(), [], "{upstream:?}");
    }
}

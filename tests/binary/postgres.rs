//! The same binary on PostgreSQL: only the URL is another one.

use serde_json::{Value, json};

use crate::harness::postgres::{Database, PASSWORD as DATABASE_PASSWORD, PostgresServer};
use crate::harness::process::follow;

use crate::harness::{CONFIGURATION, PASSWORD, Place, Upstream, pair, unused};
use crate::{audit, crash, keys, second_factors};

fn place(database: &Database<'_>, upstream: &Upstream, extra: &str) -> Place {
    let place = Place::configured_on(&database.url(), upstream.address(), extra);
    place.run(&["migrate"]).success();
    place
}

#[test]
fn what_was_done_is_listed() {
    let (database, upstream) = (PostgresServer::shared().database(), Upstream::start());
    audit::is_listed(&place(&database, &upstream, ""));
}

#[test]
fn keys_are_shown_changed_and_replaced() {
    let (database, upstream) = (PostgresServer::shared().database(), Upstream::start());
    keys::is_shown_changed_and_replaced(&place(&database, &upstream, ""));
}

#[test]
fn a_second_factor_is_enrolled_used_and_taken_away() {
    let (database, upstream) = (PostgresServer::shared().database(), Upstream::start());
    let place = place(&database, &upstream, "");
    let server = place.serve();
    second_factors::is_taken_away(&second_factors::Office { upstream, place, server });
}

#[test]
fn an_acknowledged_write_survives_a_kill() {
    let (database, upstream) = (PostgresServer::shared().database(), Upstream::start());
    crash::survives(&place(&database, &upstream, crash::STRICT));
}

#[test]
fn ten_nodes_may_start_at_once_on_an_empty_database() {
    let (database, upstream) = (PostgresServer::shared().database(), Upstream::start());
    let place = Place::configured_on(&database.url(), upstream.address(), "");
    place.write("data.key", &"0123456789abcdef".repeat(4));
    let text = std::fs::read_to_string(place.path(CONFIGURATION)).unwrap();
    let text = text.replace("data/master.key", "data.key");
    place.write(CONFIGURATION, &text);
    let pending = place.json(&["migrate", "status"], "");
    assert!(pending["pending"].as_u64().unwrap() >= 2, "{pending}");
    assert!(pending["versions"].as_array().unwrap().iter().all(|version| version["state"] == "pending"), "{pending}");

    let start = |_| {
        let mut command = place.command(&["migrate", "up", "--output", "json"]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let mut all: Vec<_> = (0..10).map(start).collect();
    for child in &mut all {
        let mut said = follow(child.stderr.take().unwrap());
        assert!(child.wait().unwrap().success(), "{}", said.end());
    }
    let done = place.json(&["migrate", "status"], "");
    assert_eq!(done["pending"], 0);
    assert_eq!(done["versions"][0], json!({ "version": 1, "name": "first", "state": "applied" }));
    let said = place.run(&["migrate", "status"]);
    assert!(said.success().stdout.starts_with("VERSION  NAME"), "{said:?}");

    // Gateways agree on their keys, too.
    let servers: Vec<_> = (0..3).map(|_| place.serve()).collect();
    place.create_user("anna");
    let (access, _) = servers[0].tokens("anna");
    for server in &servers {
        assert_eq!(server.get_with_token("/", &access).status, 200);
    }
}

#[test]
fn a_store_moves_with_all_that_works() {
    let (database, upstream) = (PostgresServer::shared().database(), Upstream::start());
    let place = Place::configured_on(&database.url(), upstream.address(), "");
    let on_postgres = std::fs::read_to_string(place.path(CONFIGURATION)).unwrap();
    let on_sqlite = on_postgres.replace("{ file: store.url }", "\"sqlite://data/portcullis.db\"");
    place.write(CONFIGURATION, &on_sqlite);
    place.run(&["migrate"]).success();
    place.create_user("anna");
    let key = place.json(&["keys", "create", "--name", "robot"], "")["key"].as_str().unwrap().to_owned();
    let server = place.serve();
    let (access, refresh) = server.tokens("anna");
    server.stop().success();

    let copy = ["store", "copy", "--from", "config", "--to", "file:store.url"];
    let copied = place.json(&copy, "");
    let table = |copied: &Value, name: &str| {
        copied["tables"].as_array().unwrap().iter().find(|table| table["table"] == name).unwrap().clone()
    };
    let users = table(&copied, "users");
    assert_eq!((&users["rows"], &users["copied"], &users["already_there"]), (&json!(1), &json!(1), &json!(0)));
    let again = place.run(&copy);
    let text = &again.success().stdout;
    assert!(text.starts_with("TABLE ") && text.ends_with("Both databases hold the same.\n"), "{text}");
    assert!(text.contains(users["sha256"].as_str().unwrap()), "{text}");

    place.write(CONFIGURATION, &on_postgres);
    let server = place.serve();
    assert_eq!(server.get_with_token("/", &access).status, 200);
    assert_eq!(server.get("/", &[("X-API-Key", &key)]).status, 200);
    let (_, next) = pair(&server.refresh(&refresh));
    assert_eq!(server.sign_in("anna", PASSWORD).status, 200);
    server.stop().success();

    // Now that there is more, the old one is no source any more, and the new one is no source for the old.
    let refused = place.run(&["store", "copy", "--from", "sqlite://data/portcullis.db", "--to", "config"]);
    assert!(refused.refusal().contains("sessions: 1 row(s) that are not in the source, 1 that differ"), "{refused:?}");
    let mut command = place.command(&["store", "copy", "--from", "env:STORE", "--to", "sqlite://back.db"]);
    command.env("STORE", database.url());
    crate::harness::finish(command, "").success();
    place.write(CONFIGURATION, &on_sqlite.replace("data/portcullis.db", "back.db"));
    assert_eq!(place.serve().refresh(&next).status, 200);
}

#[test]
fn a_database_that_cannot_be_used_is_one_sentence_without_the_password() {
    let (server, upstream) = (PostgresServer::shared(), Upstream::start());
    let refused = |url: &str, wanted: &str| {
        let place = Place::configured_on(url, upstream.address(), "");
        for command in [&["serve"][..], &["migrate"], &["migrate", "status"], &["users", "list"]] {
            let said = place.run(command);
            let sentence = said.refusal();
            assert!(sentence.contains(wanted), "{command:?}: {sentence}");
            for secret in [DATABASE_PASSWORD, "p%3Aa", "hunter2"] {
                assert!(!said.stderr.contains(secret) && !said.stdout.contains(secret), "{said:?}");
            }
        }
    };
    refused(&server.url("nowhere"), "CREATE DATABASE");
    let port = server.port();
    refused(&format!("postgres://portcullis:hunter2@127.0.0.1:{port}/postgres?sslmode=disable"), "does not let us in");
    refused(&format!("postgres://portcullis:hunter2@{}/x?sslmode=disable", unused()), "does not answer");
    let database = server.database();
    database.sql("CREATE TABLE notes (text TEXT)");
    refused(&database.url(), "belongs to another program");

    let place = Place::empty();
    let said = place.run(&["store", "copy", "--from", "postgres://u:hunter2@db/x", "--to", "sqlite://x.db"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.stderr.contains("env:NAME or file:PATH"), "{said:?}");
    let said = place.run(&["store", "copy", "--from", "env:PORTCULLIS_NOT_SET", "--to", "sqlite://x.db"]);
    assert!(said.refusal().contains("PORTCULLIS_NOT_SET is not set"), "{said:?}");
}

//! Guesses at API keys whose visible part is known, while their hashes are still slow.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Successor, export, options, secrets, text};
use crate::harness::Client;

/// Of the export: a key whose hash is slow, and what it is guessed at by.
const TARGET: &str = "BH1Qohcu";
/// A public address; of private ones nothing is known but that many use them.
const GUESSER: &str = "198.51.100.7";

fn guess(prefix: &str, number: usize) -> String {
    format!("{prefix}.{number:032}")
}

/// The key itself, among all of the export with that prefix.
fn whole(prefix: &str) -> String {
    let secrets = secrets();
    let keys: Vec<&str> = secrets["api_keys"].as_array().unwrap().iter().map(|row| text(row, "key")).collect();
    (*keys.iter().find(|key| key.starts_with(prefix)).unwrap()).to_owned()
}

fn taken_over() -> Successor {
    let successor = Successor::start_behind_a_proxy();
    successor.import(export("db.sqlite3").to_str().unwrap(), &options());
    successor
}

#[test]
fn guesses_at_a_known_prefix_cost_little_and_keep_nobody_out() {
    let successor = taken_over();
    let http = successor.world.http();

    let hashed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for guesser in 0..20 {
            let hashed = &hashed;
            scope.spawn(move || {
                for number in 0..10 {
                    let key = guess(TARGET, guesser * 100 + number);
                    let fields = [("X-API-Key", key.as_str()), ("X-Forwarded-For", GUESSER)];
                    let status = Client::connect(http).request("GET", "/p", &fields, b"").status;
                    assert!([401, 429, 503].contains(&status), "{status}");
                    // Told to be wrong, and not to wait.
                    hashed.fetch_add(usize::from(status == 401), Ordering::Relaxed);
                }
            });
        }
        // Signing in hashes elsewhere.
        let reply = successor.login("low.iterations", "Low-Iter-1");
        assert_eq!(reply.status, 200, "{reply:?}");
        // Nor does another key wait for long.
        assert_eq!(successor.key(&whole("YeoO5V6K")).status, 200);
    });
    // No time goes by here, so that the sixth has to wait.
    assert!((1..=5).contains(&hashed.load(Ordering::Relaxed)), "{hashed:?} of 200 guesses were hashed");

    // Whoever holds the key waits for nobody's guesses but those of their own network.
    assert_eq!(successor.key_from(GUESSER, &whole(TARGET)).status, 429);
    assert_eq!(successor.key_from("198.51.100.8", &whole(TARGET)).status, 200);
    assert_eq!(successor.key_from(GUESSER, &whole(TARGET)).status, 200);
}

#[test]
fn whoever_holds_a_key_waits_half_a_minute_at_most_however_often_it_is_guessed_at() {
    let successor = taken_over();
    let mut hashed = 0;
    for number in 0..200 {
        hashed += usize::from(successor.key_from(GUESSER, &guess(TARGET, number)).status == 401);
        successor.clock.advance(Duration::from_secs(5));
    }
    assert!((30..=60).contains(&hashed), "{hashed} of 200");
    successor.clock.advance(Duration::from_secs(30));
    assert_eq!(successor.key_from(GUESSER, &whole(TARGET)).status, 200);
}

#[test]
fn nobody_waits_for_the_guesses_of_others_behind_one_private_address() {
    let successor = taken_over();
    for number in 0..20 {
        assert_eq!(successor.key_from("10.0.0.1", &guess(TARGET, number)).status, 401, "{number}");
    }
    assert_eq!(successor.key_from("10.0.0.1", &whole(TARGET)).status, 200);
}

#[test]
fn a_prefix_that_no_key_has_is_answered_as_one_that_a_key_has() {
    let successor = taken_over();
    let mut answers = Vec::new();
    // Known; used and fast since; expired; of nobody.
    assert_eq!(successor.key(&whole("YeoO5V6K")).status, 200);
    for prefix in [TARGET, "YeoO5V6K", "Nobody00"] {
        let replies = (0..8).map(|number| successor.key_from(GUESSER, &guess(prefix, number)));
        answers.push(replies.map(|reply| (reply.status, reply.code())).collect::<Vec<_>>());
    }
    let statuses: Vec<u16> = answers[0].iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
    assert!(answers.iter().all(|of_one| *of_one == answers[0]), "{answers:?}");
}

#[test]
fn where_no_slow_key_is_nobody_waits_for_guessing_at_one() {
    let successor = Successor::start_behind_a_proxy();
    for number in 0..20 {
        assert_eq!(successor.key_from(GUESSER, &guess(TARGET, number)).status, 401, "{number}");
    }
}

#[test]
fn a_key_that_was_never_used_here_is_ended_by_whoever_has_found_it() {
    let successor = taken_over();
    let report = |keys: &[&str]| {
        let body = serde_json::json!({ "keys": keys }).to_string();
        let fields = [("Content-Type", "application/json"), ("X-Forwarded-For", GUESSER)];
        successor.world.request("POST", "/api/v1/auth/keys/leaked/", &fields, body.as_bytes())
    };
    let (key, wrong) = (whole(TARGET), guess(TARGET, 1));
    let outcome = |outcome: &str| serde_json::json!({ "outcome": outcome });
    let done = report(&[&wrong, &key]).done();
    assert_eq!(done["results"], serde_json::json!([outcome("unknown"), outcome("revoked")]));
    assert_eq!(successor.key(&key).status, 401);
    assert_eq!(report(&[&key]).done()["results"], serde_json::json!([outcome("revoked")]));
    // Guesses are counted here as they are elsewhere.
    let other = whole("Dp0KP93w");
    for number in 0..5 {
        report(&[&guess("Dp0KP93w", number)]).done();
    }
    assert_eq!(report(&[&other]).status, 429);
    assert_eq!(successor.key(&other).status, 200);
}

#[test]
fn the_first_requests_of_one_client_come_together_and_all_pass() {
    let successor = Successor::start("");
    successor.import(export("db.sqlite3").to_str().unwrap(), &options());
    let http = successor.world.http();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(move || {
                let key = "Dp0KP93w.Igveq107V8eVUMEB4KqTQdGdtmUZOtJ1";
                assert_eq!(Client::connect(http).request("GET", "/p", &[("X-API-Key", key)], b"").status, 200);
            });
        }
    });
}

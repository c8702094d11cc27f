//! Guesses at API keys whose visible part is known, while their hashes are still slow.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Successor, export, options, secrets, text};
use crate::harness::Client;

#[test]
fn guesses_at_a_known_prefix_cost_little_and_keep_nobody_out() {
    let successor = Successor::start("at_sign_in: false");
    successor.import(export("db.sqlite3").to_str().unwrap(), &options());
    let (secrets, http) = (secrets(), successor.world.http());
    let slow: Vec<&str> = secrets["api_keys"].as_array().unwrap().iter().map(|row| text(row, "key")).collect();
    let target = slow.iter().find(|key| key.starts_with("BH1Qohcu")).unwrap();

    let hashed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for guesser in 0..20 {
            let hashed = &hashed;
            scope.spawn(move || {
                for guess in 0..10 {
                    let key = format!("BH1Qohcu.{guesser:016}{guess:016}");
                    let status = Client::connect(http).request("GET", "/p", &[("X-API-Key", &key)], b"").status;
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
        let other = slow.iter().find(|key| key.starts_with("YeoO5V6K")).unwrap();
        assert_eq!(successor.key(other).status, 200);
    });
    // No time goes by here, so that the sixth has to wait.
    assert!((1..=5).contains(&hashed.load(Ordering::Relaxed)), "{hashed:?} of 200 guesses were hashed");

    // Whoever holds the key waits no longer than a guesser does.
    successor.clock.advance(Duration::from_secs(86_400));
    assert_eq!(successor.key(target).status, 200);
    assert_eq!(successor.key(target).status, 200);
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

//! A clock that is set back by an hour: nothing lasts longer than it would have by more than that, and nobody is kept waiting
//! for it to come round again.

use std::time::Duration;

use portcullis::domain::clock::{Clock as _, ManualClock};
use portcullis::domain::presented_key::PresentedKey;
use sqlx::{AnyConnection, Connection as _, Executor as _};

use crate::harness::{Plan, World, forge};

const HOUR: Duration = Duration::from_secs(3600);

fn set_back(clock: &ManualClock) {
    clock.set(clock.now().minus(HOUR));
}

#[test]
fn what_was_remembered_before_is_read_again() {
    let (plan, clock) = Plan::default().timed();
    let world = World::plan(plan);
    let (record, key) = world.key("");
    let status = || world.get("/", &[("X-API-Key", &key)]).status;
    assert_eq!(status(), 200);
    // Behind the gateway's back, so that only the age of what it remembers tells.
    let url = format!("sqlite://{}/portcullis.db", world.directory.path().display());
    let revoke = format!("UPDATE api_keys SET revoked_at = 1, revoked_reason = 'x' WHERE id = '{}'", record.id);
    world.wait(async {
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(&url).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(revoke)).await.unwrap();
        connection.close().await.unwrap();
    });
    assert_eq!(status(), 200, "not looked at again yet");
    set_back(&clock);
    assert_eq!(status(), 401);
}

#[test]
fn a_flood_of_unknown_keys_from_before_shuts_nobody_out() {
    let extra = "limits: { unknown_keys_per_second: 1, unknown_keys_burst: 3 }".to_owned();
    let (plan, clock) = Plan { extra, ..Plan::default() }.timed();
    let world = World::plan(plan);
    let (_, key) = world.key("");
    let random = portcullis::crypto::random::OsRandom::new();
    let unknown = || PresentedKey::generate(&random).expose().to_owned();
    let guesses: Vec<u16> = (0..8).map(|_| world.get("/", &[("X-API-Key", &unknown())]).status).collect();
    assert_eq!(guesses.last(), Some(&429), "{guesses:?}");
    set_back(&clock);
    assert_eq!(world.get("/", &[("X-API-Key", &key)]).status, 200);
}

#[test]
fn no_assertion_comes_from_the_future() {
    let (plan, clock) = Plan::default().timed();
    let world = World::plan(plan);
    let (_, key) = world.key("");
    let issued_at = || {
        let seen = world.get("/", &[("X-API-Key", &key)]).seen();
        forge::claims(seen.header("x-auth-assertion").unwrap())["iat"].as_i64().unwrap()
    };
    assert_eq!(issued_at(), clock.now().as_secs());
    set_back(&clock);
    assert_eq!(issued_at(), clock.now().as_secs());
}

//! A store that does not answer: the gateway says that it cannot decide, serves what it knows for a bounded time, and
//! goes on as soon as the store is back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sqlx::{AnyConnection, Connection as _};

use crate::harness::{PASSWORD, Plan, Reply, World, eventually};
use crate::websocket::{HANDSHAKE, upgrade};
use portcullis::domain::clock::ManualClock;

/// Other hands on the database file.
fn connect(world: &World) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}/portcullis.db", world.directory.path().display());
    world.wait(AnyConnection::connect(&url)).unwrap()
}

fn execute(world: &World, connection: &mut AnyConnection, statement: &'static str) {
    world.wait(sqlx::raw_sql(statement).execute(connection)).unwrap();
}

/// Every question about users, sessions and keys fails from here on.
pub fn take_down(world: &World) -> AnyConnection {
    let mut connection = connect(world);
    for statement in [
        "PRAGMA busy_timeout = 10000",
        "ALTER TABLE users RENAME TO users_gone",
        "ALTER TABLE sessions RENAME TO sessions_gone",
        "ALTER TABLE api_keys RENAME TO api_keys_gone",
    ] {
        execute(world, &mut connection, statement);
    }
    connection
}

pub fn bring_back(world: &World, connection: &mut AnyConnection) {
    for statement in [
        "ALTER TABLE users_gone RENAME TO users",
        "ALTER TABLE sessions_gone RENAME TO sessions",
        "ALTER TABLE api_keys_gone RENAME TO api_keys",
    ] {
        execute(world, connection, statement);
    }
}

fn assert_unavailable(reply: &Reply) {
    assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"), "{reply:?}");
    assert!(reply.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    assert_eq!(reply.header("www-authenticate"), None, "it is not the credential's fault");
}

fn world() -> (World, Arc<ManualClock>) {
    let (plan, clock) = Plan::default().timed();
    (World::plan(plan), clock)
}

#[test]
fn nobody_is_told_that_a_credential_is_bad_when_the_store_is_silent() {
    let (world, clock) = world();
    world.user("anna");
    let (known, refresh) = world.sign_in("anna");
    let (unseen, _) = world.sign_in("anna");
    let (_, known_key) = world.key("");
    let (_, unseen_key) = world.key("");
    world.settle();
    assert_eq!(world.me(&known).status, 200);
    world.get("/", &[("X-API-Key", &known_key)]).seen();

    let mut store = take_down(&world);
    let sign_in =
        |password: &str| world.post_json("/api/v1/auth/token/", &json!({"username": "anna", "password": password}));
    assert_unavailable(&sign_in(PASSWORD));
    assert_unavailable(&sign_in("not the password"));
    assert_unavailable(&world.refresh(&refresh));
    assert_unavailable(&world.me(&unseen));
    assert_unavailable(&world.post_json("/api/v1/auth/token/verify/", &json!({ "token": unseen })));
    assert_unavailable(&world.get("/", &[("X-API-Key", &unseen_key)]));
    assert_eq!(world.get_as("/", "junk").status, 401, "what needs no store is decided");
    assert_eq!(world.get("/", &[]).status, 401);
    let fault = "fault=\"store\"";
    assert!(world.metrics().lines().any(|line| line.contains("reason=\"unavailable\"") && line.contains(fault)));

    assert!(world.metrics().contains("\nportcullis_store_up 0\n"));

    // What is known goes on: fresh, then stale, then no longer.
    for _ in 0..3 {
        world.get_as("/", &known).seen();
        world.get("/", &[("X-API-Key", &known_key)]).seen();
        clock.advance(Duration::from_secs(10));
    }
    clock.advance(Duration::from_secs(10));
    assert_unavailable(&world.me(&known));
    assert_unavailable(&world.get("/", &[("X-API-Key", &known_key)]));

    bring_back(&world, &mut store);
    // A store that has failed is left alone for half a second.
    clock.advance(Duration::from_secs(1));
    for token in [&known, &unseen] {
        world.get_as("/", token).seen();
    }
    for key in [&known_key, &unseen_key] {
        world.get("/", &[("X-API-Key", key)]).seen();
    }
    assert!(world.metrics().contains("\nportcullis_store_up 1\n"));
    assert_eq!(sign_in(PASSWORD).status, 200);
    assert_eq!(sign_in("not the password").status, 401);
    assert_eq!(world.refresh(&refresh).status, 200, "the failed attempt has not spent it");
}

#[test]
fn a_writer_that_holds_on_stops_sign_ins_and_nothing_else() {
    let (world, _) = world();
    world.user("anna");
    let (known, refresh) = world.sign_in("anna");
    let (unseen, _) = world.sign_in("anna");
    let (_, key) = world.key("");
    let mut connection = connect(&world);
    execute(&world, &mut connection, "BEGIN IMMEDIATE");
    let body = json!({"username": "anna", "password": PASSWORD});
    assert_unavailable(&world.post_json("/api/v1/auth/token/", &body));
    assert_unavailable(&world.refresh(&refresh));
    for token in [&known, &unseen] {
        world.get_as("/", token).seen();
    }
    world.get("/", &[("X-API-Key", &key)]).seen();
    execute(&world, &mut connection, "ROLLBACK");
    world.sign_in("anna");
    assert_eq!(world.refresh(&refresh).status, 200);
}

#[test]
fn an_unreadable_record_is_never_taken_for_a_missing_one() {
    let (world, _) = world();
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    let mut connection = connect(&world);
    execute(&world, &mut connection, "UPDATE users SET scopes = 'not a scope!'");
    assert_unavailable(&world.me(&access));
    execute(&world, &mut connection, "UPDATE users SET scopes = ''");
    eventually("the store's answer to be asked for again", || {
        // The clock stands still, so the pause after a failure only ends with the next change in the store.
        world.wait(world.administration.users.set_active("anna", true, &crate::harness::operator())).unwrap();
        (world.me(&access).status == 200).then_some(())
    });
}

/// How often something was told from memory because the store was silent.
fn told_stale(world: &World, cache: &str) -> u64 {
    let label = format!("portcullis_cache_lookups_total{{cache=\"{cache}\",outcome=\"stale\"}} ");
    let metrics = world.metrics();
    metrics.lines().find_map(|line| line.strip_prefix(&label)).map_or(0, |count| count.parse().unwrap())
}

#[test]
fn open_tunnels_outlive_a_silent_store_for_as_long_as_requests_do_and_no_longer() {
    let (world, clock) = world();
    world.user("anna");
    let (token, _) = world.sign_in("anna");
    let (_, key) = world.key("");
    world.settle();
    let open = |field: &str| {
        let (reply, client) = world.exchange(upgrade("/socket", &format!("{HANDSHAKE}{field}\r\n")).as_bytes());
        assert_eq!(reply.status, 101, "{reply:?}");
        client
    };
    let mut tunnels = [open(&format!("Authorization: Bearer {token}")), open(&format!("X-API-Key: {key}"))];
    let mut store = take_down(&world);
    for _ in 0..3 {
        clock.advance(Duration::from_secs(10));
        let before = told_stale(&world, "api_keys");
        // The tunnels have been looked at: one round later, as a round may be under way.
        for round in 1..=2 {
            eventually("a look at the tunnels", || (told_stale(&world, "api_keys") >= before + round).then_some(()));
        }
        for tunnel in &mut tunnels {
            tunnel.write(b"still here");
            assert_eq!(tunnel.read_exactly(10), b"still here");
        }
    }
    clock.advance(Duration::from_secs(10));
    for tunnel in &mut tunnels {
        assert!(tunnel.is_closed());
    }
    bring_back(&world, &mut store);
    clock.advance(Duration::from_secs(1));
    open(&format!("X-API-Key: {key}"));
}

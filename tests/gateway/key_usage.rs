//! How often a key was used, and when last: counted in memory, written by the way, and never lost at a stop.

use std::time::Duration;

use portcullis::domain::api_key::{ApiKey, KeyUsage};
use portcullis::domain::clock::Clock as _;
use portcullis::server::run::Running;

use crate::harness::{Client, Plan, World, eventually};

fn usage(world: &World, key: &ApiKey) -> KeyUsage {
    world.wait(world.stores.api_keys.find(&key.id)).unwrap().unwrap().usage
}

/// Answers of the store to look-ups of keys.
fn loads(world: &World) -> u64 {
    let label = "portcullis_cache_lookups_total{cache=\"api_keys\",outcome=\"miss\"} ";
    world.metrics().lines().find_map(|line| line.strip_prefix(label)).map_or(0, |count| count.parse().unwrap())
}

#[test]
fn every_request_that_was_let_in_is_counted_and_no_other() {
    let (plan, clock) = Plan::default().timed();
    let world = World::plan(plan);
    let (record, key) = world.key("");
    let (other, other_key) = world.key("");
    world.settle();
    assert_eq!(usage(&world, &record), KeyUsage::default());
    let mut client = Client::connect(world.http());
    for _ in 0..7 {
        assert_eq!(client.request("GET", "/", &[("X-API-Key", &key)], b"").status, 200);
        clock.advance(Duration::from_millis(10));
    }
    let last = clock.now();
    assert_eq!(client.request("POST", "/", &[("X-API-Key", &key)], b"").status, 200);
    assert_eq!(world.get("/", &[("X-API-Key", &key[..key.len() - 1])]).status, 401);
    assert_eq!(world.get("/", &[("X-API-Key", &other_key), ("X-API-Key", &key)]).status, 400);
    let loaded = loads(&world);
    eventually("the count", || (usage(&world, &record).count == 8).then_some(()));
    assert_eq!(usage(&world, &record).last_at, Some(last));
    assert_eq!(usage(&world, &other), KeyUsage::default());
    // What is remembered of the key is not forgotten for it.
    assert_eq!(client.request("GET", "/", &[("X-API-Key", &key)], b"").status, 200);
    assert_eq!(loads(&world), loaded);
    eventually("the next count", || (usage(&world, &record).count == 9).then_some(()));
    let audited = world
        .wait(world.stores.audit.list(&portcullis::domain::audit::AuditQuery { limit: 100, ..Default::default() }));
    assert_eq!(audited.unwrap().len(), 2, "two keys were made, and that is all there is to tell");
}

#[test]
fn what_was_counted_is_written_before_a_process_ends() {
    let mut world = World::start();
    let (record, key) = world.key("");
    for _ in 0..3 {
        world.get("/", &[("X-API-Key", &key)]).seen();
    }
    assert!(world.gateway.take().unwrap().drain());
    assert_eq!(usage(&world, &record).count, 3);
    world.restart();
    world.get("/", &[("X-API-Key", &key)]).seen();
    world.gateway = None;
    assert_eq!(usage(&world, &record).count, 4);
}

#[test]
fn two_gateways_add_up() {
    let mut world = World::start();
    let (record, key) = world.key("");
    let second = Running::start(&world.settings).unwrap();
    std::thread::scope(|scope| {
        for address in [world.http(), second.http(), world.http(), second.http()] {
            let key = &key;
            scope.spawn(move || {
                let mut client = Client::connect(address);
                for _ in 0..50 {
                    assert_eq!(client.request("GET", "/", &[("X-API-Key", key)], b"").status, 200);
                }
            });
        }
    });
    eventually("both counts", || (usage(&world, &record).count == 200).then_some(()));
    drop(second);
    world.gateway = None;
    assert_eq!(usage(&world, &record).count, 200, "and nothing twice");
}

#[test]
fn a_replaced_key_shows_whether_it_is_used_still() {
    let world = World::start();
    let admin = world.by_scopes("keys:read keys:write");
    let made = admin.post("keys/", &serde_json::json!({ "name": "export", "owner": "reports" })).done();
    let (id, key) = (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned());
    let shown = || admin.get(&format!("keys/{id}/")).done();
    assert_eq!((&made["use_count"], &made["last_used_at"]), (&0.into(), &serde_json::Value::Null));
    for _ in 0..3 {
        world.get("/", &[("X-API-Key", &key)]).seen();
    }
    eventually("the count", || (shown()["use_count"] == 3).then_some(()));
    let rotated = admin.post(&format!("keys/{id}/rotate/"), &serde_json::json!({})).done();
    assert_eq!(rotated["old"]["uses_since_replaced"], 0);
    assert_eq!(
        (&rotated["new"]["use_count"], &rotated["new"]["uses_since_replaced"]),
        (&0.into(), &serde_json::Value::Null)
    );
    let before = shown();
    assert_eq!(before, rotated["old"]);
    assert!(before["last_used_at"].as_str().unwrap() < before["replaced_at"].as_str().unwrap());
    world.get("/", &[("X-API-Key", rotated["new"]["key"].as_str().unwrap())]).seen();
    world.get("/", &[("X-API-Key", &key)]).seen();
    eventually("the old key's use", || (shown()["uses_since_replaced"] == 1).then_some(()));
    let after = shown();
    assert!(after["last_used_at"].as_str().unwrap() > after["replaced_at"].as_str().unwrap());
    assert_eq!(after["use_count"], 4);
}

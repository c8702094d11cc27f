//! Two gateways and one Redis: what they let through adds up, and while Redis is gone each counts alone.

#![allow(clippy::disallowed_methods, reason = "what is promised is an upper bound on real time")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use portcullis::domain::key_owner::KeyOwner;
use portcullis::domain::key_terms::KeyTerms;
use portcullis::domain::rate::{Quota, Rate};
use portcullis::server::run::Running;

use crate::harness::{Client, Plan, Reply, World, eventually};
use crate::redis_server::Redis;

const ROUTES: &str = "  - { name: all, path: /, upstream: backend, access: { any: [jwt, api_key] } }\n  \
                      - { name: open, path: /open, upstream: backend, access: public }";

struct Fleet {
    redis: Redis,
    world: World,
    other: Running,
}

impl Fleet {
    fn start(limits: &str) -> Self {
        let redis = Redis::start();
        let extra = format!("cache: {{ redis: \"{}\" }}\nlimits: {{ {limits} }}", redis.url());
        let world = World::plan(Plan { extra, routes: Some(ROUTES.to_owned()), ..Plan::default() });
        let other = Running::start(&world.settings).unwrap_or_else(|error| panic!("{error}"));
        Self { redis, world, other }
    }

    fn nodes(&self) -> [SocketAddr; 2] {
        [self.world.http(), self.other.http()]
    }

    /// How many get through when both nodes are asked in turn.
    fn through(&self, tries: usize, headers: &[(&str, &str)], path: &str) -> usize {
        let nodes = self.nodes();
        (0..tries).filter(|n| ask(nodes[n % 2], path, headers).status == 200).count()
    }

    /// Each node says of itself whether it counts alone.
    fn alone(&self, is_alone: bool) {
        let line = format!("portcullis_limits_local {}", u8::from(is_alone));
        for ops in [self.world.ops(), self.other.ops()] {
            let metrics = Client::connect(ops).request("GET", "/metrics", &[], b"").text();
            assert!(metrics.lines().any(|l| l == line), "{metrics}");
        }
    }
}

fn ask(node: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Reply {
    Client::connect(node).request("GET", path, headers, b"")
}

#[test]
fn what_two_nodes_let_through_adds_up() {
    let fleet = Fleet::start("per_address: 20/hour, per_principal: { rate: 6/hour, shared: false }");
    let (_, key) = fleet.world.key("");
    assert_eq!(fleet.through(14, &[("X-API-Key", &key)], "/"), 12, "each node counts its own, as it was told to");
    let told = ask(fleet.world.http(), "/open", &[]);
    assert_eq!(told.header("ratelimit-remaining"), Some("5"), "of twenty, fourteen went through both nodes");
    assert_eq!(fleet.through(20, &[], "/open"), 5);
    for node in fleet.nodes() {
        let refused = ask(node, "/open", &[]);
        refused.assert_refused(429, "rate_limited");
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=180).contains(&wait), "{refused:?}");
    }
    fleet.alone(false);
}

#[test]
fn a_keys_rate_and_quota_hold_over_all_nodes() {
    let fleet = Fleet::start("");
    let terms = |rate: &str, quota: &str| KeyTerms {
        rate: Rate::parse(rate).ok(),
        quota: Quota::parse(quota).ok(),
        ..KeyTerms::default()
    };
    let (_, quick) = fleet.world.limited_key(terms("9/hour", ""));
    let (_, often) = fleet.world.limited_key(terms("", "11/month"));
    assert_eq!(fleet.through(20, &[("X-API-Key", &quick)], "/"), 9);
    assert_eq!(fleet.through(20, &[("X-API-Key", &often)], "/"), 11);
    ask(fleet.other.http(), "/", &[("X-API-Key", &often)]).assert_refused(429, "key_quota");
}

#[test]
fn when_redis_is_emptied_a_quota_goes_on_from_what_nodes_know() {
    let fleet = Fleet::start("");
    let terms = KeyTerms { quota: Quota::parse("10/month").ok(), ..KeyTerms::default() };
    let (_, key) = fleet.world.limited_key(terms);
    let headers = [("X-API-Key", key.as_str())];
    assert_eq!(fleet.through(8, &headers, "/"), 8);
    fleet.redis.cli(&["FLUSHALL"]);
    let through = fleet.through(10, &headers, "/");
    assert!((2..=3).contains(&through), "{through}: of ten, and a node knows of at least seven");
    fleet.redis.cli(&["KEYS", "*"]).lines().for_each(|key| {
        fleet.redis.cli(&["DEL", key]);
        fleet.redis.cli(&["LPUSH", key, "not ours"]);
    });
    assert_eq!(fleet.through(4, &headers, "/"), 0);
}

#[test]
fn while_redis_is_killed_or_hangs_each_node_counts_alone_and_nobody_waits() {
    let mut fleet = Fleet::start("per_principal: 8/hour");
    let key = |fleet: &Fleet| fleet.world.key_of(service("robot"), "", None).1;
    let shared = key(&fleet);
    assert_eq!(fleet.through(12, &[("X-API-Key", &shared)], "/"), 8);
    fleet.redis.kill();
    let alone = fleet.world.key_of(service("porter"), "", None).1;
    let begun = Instant::now();
    assert_eq!(fleet.through(24, &[("X-API-Key", &alone)], "/"), 16, "eight by each node");
    assert_eq!(fleet.through(9, &[("X-API-Key", &shared)], "/"), 0, "what was refused for all is refused by each");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    fleet.alone(true);
    fleet.redis.restart();
    for (node, name) in fleet.nodes().into_iter().zip(["a", "b"]) {
        let mut tries = 0;
        eventually("Redis to be asked again", || {
            // Another one each time: each node counts for itself first.
            tries += 1;
            let (_, key) = fleet.world.key_of(service(&format!("carrier {name} {tries}")), "", None);
            assert_eq!(ask(node, "/", &[("X-API-Key", &key)]).status, 200);
            let counted = fleet.redis.cli(&["KEYS", "portcullis:limit:*"]);
            fleet.redis.cli(&["FLUSHALL"]);
            (!counted.is_empty()).then_some(())
        });
    }
    fleet.alone(false);

    let hung = Fleet::start("per_principal: 8/hour");
    let one = key(&hung);
    assert_eq!(hung.through(4, &[("X-API-Key", &one)], "/"), 4);
    hung.redis.hang();
    let begun = Instant::now();
    let passed = hung.through(24, &[("X-API-Key", &one)], "/");
    assert_eq!(passed, 12, "two of eight are spent at each node");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    hung.alone(true);
    hung.redis.go_on();
}

fn service(name: &str) -> KeyOwner {
    KeyOwner::Service(name.to_owned())
}

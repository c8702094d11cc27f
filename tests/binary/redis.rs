//! Two processes on one database and one Redis, and what an operator reads when Redis is not as it should be.

use std::time::Duration;
use tokio::time::Instant;

use serde_json::json;

use crate::harness::{CONFIGURATION, Place, Server, Upstream, configuration, eventually, unused};
use crate::redis_server::Redis;
use crate::sentinel_set::{MASTER, SentinelSet};

fn cache(url: &str) -> String {
    format!(
        "second_factor: {{ administration: false }}\ncache: {{ redis: \"{url}\", max_age: 1h, poll_interval: 60s }}"
    )
}

#[test]
fn what_one_process_revokes_the_other_refuses() {
    let (redis, upstream) = (Redis::start(), Upstream::start());
    let place = Place::prepared(upstream.address(), &cache(&redis.url()));
    let create = |name: &str, scopes: &[&str]| {
        let made = place.json(&[&["keys", "create", "--name", name, "--owner", "robot"], scopes].concat(), "");
        (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
    };
    let (_, admin) = create("admin", &["--scope", "keys:read", "--scope", "keys:write"]);
    let keys: Vec<_> = (0..5).map(|number| create(&number.to_string(), &[])).collect();
    let (one, other) = (place.serve(), place.serve());
    for server in [&one, &other] {
        eventually("the bus", || metrics(server).contains("\nportcullis_bus_connected 1\n").then_some(()));
    }
    for (id, key) in keys {
        let status = |server: &Server| server.get("/", &[("X-API-Key", &key)]).status;
        assert_eq!((status(&one), status(&other)), (200, 200));
        let path = format!("/api/v1/auth/keys/{id}/revoke/");
        let body = json!({ "reason": "lost" }).to_string();
        let headers = [("Content-Type", "application/json"), ("X-API-Key", &*admin)];
        let reply = crate::harness::Client::connect(one.http).request("POST", &path, &headers, body.as_bytes());
        assert_eq!(reply.status, 200, "{reply:?}");
        let since = Instant::now();
        while status(&other) != 401 {
            assert!(since.elapsed() < Duration::from_secs(1), "the other process goes on letting it in");
        }
    }
    one.stop().success();
    other.stop().success();
}

fn metrics(server: &Server) -> String {
    crate::harness::Client::connect(server.ops).request("GET", "/metrics", &[], b"").text()
}

#[test]
fn a_redis_that_refuses_is_named_at_start_without_the_password() {
    let redis = Redis::with(&["--requirepass", "correct-horse"]);
    let place = Place::prepared(unused(), "");
    for (url, part) in [
        (format!("redis://:wrong-pony@{}/0", redis.address()), "does not accept the user name and password"),
        (redis.url(), "does not accept the user name and password"),
        (format!("redis://:correct-horse@{}/99", redis.address()), "has no database of this number"),
    ] {
        place.write(CONFIGURATION, &configuration("127.0.0.1:0", "127.0.0.1:0", unused(), &cache(&url)));
        let said = place.run(&["serve"]);
        let last = said.stderr.lines().last().unwrap();
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{said:?}");
        assert!(last.contains("cache.redis: ") && last.contains(part), "{last}");
        assert!(!said.stderr.contains("pony") && !said.stderr.contains("horse"), "{said:?}");
    }
}

#[test]
fn sentinels_and_nodes_that_do_not_fit_are_named_at_start() {
    let (set, redis) = (SentinelSet::start(), Redis::start());
    let (sentinels, one) = (set.urls(), redis.url());
    let place = Place::prepared(unused(), "");
    for (settings, part) in [
        (format!("sentinels: {sentinels:?}, master: another"), "knows a master another"),
        (format!("sentinels: [\"{one}\"], master: {MASTER}"), "is no sentinel"),
        (format!("url: \"{}\"", sentinels[0]), "is a sentinel"),
        (format!("cluster: [\"{one}\"]"), "is no node of a cluster"),
    ] {
        let cache = format!("cache: {{ redis: {{ {settings} }} }}");
        place.write(CONFIGURATION, &configuration("127.0.0.1:0", "127.0.0.1:0", unused(), &cache));
        let said = place.run(&["serve"]);
        let last = said.stderr.lines().last().unwrap();
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{said:?}");
        assert!(last.contains("cache.redis: ") && last.contains(part), "{last}");
    }
}

#[test]
fn a_redis_that_is_down_is_a_warning_and_so_is_its_going_down() {
    let mut redis = Redis::start();
    let address = redis.address().to_string();
    redis.kill();
    let place = Place::prepared(unused(), &cache(&redis.url()));
    let server = place.serve();
    let says = |what: &str, times: usize| {
        eventually(what, || {
            let stderr = server.stderr();
            (stderr.lines().filter(|line| line.contains(what) && line.contains(&address)).count() >= times)
                .then_some(())
        });
    };
    says("the gateway starts without it", 1);
    redis.restart();
    says("Redis answers again", 1);
    redis.kill();
    // Nobody asks, so nobody notices but who listens; the next request does.
    eventually("a bus that is gone", || metrics(&server).contains("\nportcullis_bus_connected 0\n").then_some(()));
    for number in 0..3 {
        let made = place.json(&["keys", "create", "--name", &number.to_string()], "");
        assert_eq!(server.get("/nothing", &[("X-API-Key", made["key"].as_str().unwrap())]).status, 502);
    }
    says("the gateway goes on without it", 2);
    redis.restart();
    says("Redis answers again", 2);
    server.stop().success();
}

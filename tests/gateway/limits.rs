//! How many requests, and how many connections, are let in.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use portcullis::domain::clock::ManualClock;
use portcullis::domain::key_owner::KeyOwner;
use portcullis::domain::key_terms::KeyTerms;
use portcullis::domain::rate::{Quota, Rate};

use crate::harness::{Client, Plan, Reply, World, eventually};

const OPEN: &str = "  - { name: all, path: /, upstream: backend, access: public }";

fn timed(limits: &str, routes: &str) -> (World, Arc<ManualClock>) {
    let extra = format!("limits: {{ {limits} }}\ntrusted_proxies: [127.0.0.1]");
    let (plan, clock) = Plan { extra, routes: Some(routes.to_owned()), ..Plan::default() }.timed();
    (World::plan(plan), clock)
}

fn from(world: &World, path: &str, address: &str) -> Reply {
    world.get(path, &[("X-Forwarded-For", address)])
}

/// Limit, remaining and reset.
fn told(reply: &Reply) -> [u64; 3] {
    ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]
        .map(|name| reply.header(name).unwrap_or_else(|| panic!("{name}: {reply:?}")).parse().unwrap())
}

#[track_caller]
fn limited(reply: &Reply, code: &str, wait: u64) {
    reply.assert_refused(429, code);
    assert_eq!(reply.header("retry-after"), Some(wait.to_string().as_str()), "{reply:?}");
    assert_eq!((told(reply)[1], reply.header("www-authenticate")), (0, None));
    assert!(reply.json()["detail"].as_str().unwrap().ends_with("."));
}

/// The first request that was refused for its haste, in the access log.
fn limited_line(world: &World) -> serde_json::Value {
    eventually("its line", || world.access_log(1).into_iter().find(|line| line["reason"] == "rate_limited"))
}

fn metric(world: &World, name: &str) -> u64 {
    let metrics = world.metrics();
    let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {metrics}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn an_address_has_its_burst_and_then_its_rate() {
    let (world, clock) = timed("per_address: 5/minute burst 3", OPEN);
    for left in (0..3).rev() {
        let reply = from(&world, "/x", "192.0.2.1");
        assert_eq!((reply.status, told(&reply)), (200, [3, left, 12 * (3 - left)]));
    }
    for _ in 0..20 {
        let reply = from(&world, "/x", "192.0.2.1");
        limited(&reply, "rate_limited", 12);
        assert_eq!(told(&reply), [3, 0, 36]);
    }
    assert_eq!(world.upstream.seen().len(), 3, "the others never went out");
    clock.advance(Duration::from_millis(11_999));
    limited(&from(&world, "/x", "192.0.2.1"), "rate_limited", 1);
    clock.advance(Duration::from_millis(1));
    assert_eq!(from(&world, "/x", "192.0.2.1").status, 200);
    limited(&from(&world, "/x", "192.0.2.1"), "rate_limited", 12);
    clock.advance(Duration::from_secs(3600));
    assert_eq!((0..9).filter(|_| from(&world, "/x", "192.0.2.1").status == 200).count(), 3);
    assert_eq!(from(&world, "/x", "192.0.2.2").status, 200);
    world.assert_counted("rate_limited", 28);
    assert_eq!(metric(&world, "portcullis_limited_total{limit=\"address\"}"), 28);
    assert_eq!(metric(&world, "portcullis_limit_counters{table=\"addresses\"}"), 2);
    let line = limited_line(&world);
    assert_eq!((&line["client"], &line["status"]), (&"192.0.2.1".into(), &429.into()));
}

#[test]
fn ipv6_counts_by_64_and_mapped_ipv4_as_what_it_is() {
    let (world, _) = timed("per_address: 2/minute", OPEN);
    let through = |addresses: &[&str]| {
        let statuses = addresses.iter().map(|address| from(&world, "/", address).status);
        statuses.filter(|status| *status == 200).count()
    };
    assert_eq!(through(&["2001:db8::1", "2001:db8::2", "2001:db8::ffff:3", "2001:db8:0:0:4::"]), 2);
    assert_eq!(through(&["2001:db8:0:1::1", "2001:db8:0:1::2"]), 2);
    assert_eq!(through(&["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"]), 2);
}

#[test]
fn an_address_is_counted_before_its_credential_is_looked_at_and_only_a_trusted_proxy_names_another() {
    let limits = "limits: { per_address: 4/minute }";
    let (plan, _) = Plan { extra: limits.to_owned(), ..Plan::default() }.timed();
    let world = World::plan(plan);
    let (_, key) = world.key("");
    for n in 0..4 {
        let reply = world.get("/", &[("X-API-Key", "nonsense"), ("X-Forwarded-For", &format!("192.0.2.{n}"))]);
        assert_eq!((reply.status, told(&reply)[1]), (401, 3 - n));
    }
    limited(&world.get("/", &[("X-API-Key", &key)]), "rate_limited", 15);
    limited(&world.get("/nowhere/at/all", &[]), "rate_limited", 15);
    limited(&world.post_json("/api/v1/auth/token/", &serde_json::json!({})), "rate_limited", 15);
    assert_eq!(Client::connect(world.ops()).request("GET", "/livez", &[], b"").status, 200, "operators look in freely");
}

#[test]
fn a_principal_is_counted_over_all_its_credentials_and_addresses() {
    let extra = "limits: { per_principal: 3/minute }\ntrusted_proxies: [127.0.0.1]";
    let (plan, clock) = Plan { extra: extra.to_owned(), ..Plan::default() }.timed();
    let world = World::plan(plan);
    world.user("anna");
    world.user("bert");
    let (anna, bert) = (world.sign_in("anna").0, world.sign_in("bert").0);
    let (_, robot) = world.key("");
    let (_, same_robot) = world.key("");
    for n in 0..3 {
        let headers = [("Authorization", &*format!("Bearer {anna}")), ("X-Forwarded-For", &format!("192.0.2.{n}"))];
        assert_eq!(told(&world.get("/", &headers))[..2], [3, 2 - n]);
    }
    limited(&world.get_as("/", &anna), "rate_limited", 20);
    limited(&world.me(&anna), "rate_limited", 20);
    let line = limited_line(&world);
    assert!(line["subject"].is_string(), "who it was is told: {line}");
    assert_eq!(world.get_as("/", &bert).status, 200);
    let by_key = |key: &str| world.get("/", &[("X-API-Key", key)]).status;
    assert_eq!([by_key(&robot), by_key(&same_robot), by_key(&robot), by_key(&same_robot)], [200, 200, 200, 429]);
    // Who is refused for another reason has used nothing.
    clock.advance(Duration::from_secs(60));
    for _ in 0..9 {
        assert_eq!(world.get("/", &[("X-API-Key", &robot), ("Authorization", "Bearer x.y.z")]).status, 401);
    }
    assert_eq!([by_key(&robot), by_key(&robot), by_key(&robot), by_key(&robot)], [200, 200, 200, 429]);
    assert_eq!(metric(&world, "portcullis_limited_total{limit=\"principal\"}"), 4);
}

#[test]
fn a_route_has_limits_of_its_own() {
    let routes = "  - { name: a, path: /a, upstream: backend, access: public, limit: { per_address: 2/minute } }\n  \
                  - { name: b, path: /b, upstream: backend, access: public, limit: { total: { rate: 3/minute } } }\n  \
                  - { name: c, path: /c, upstream: backend, access: { any: [api_key] }, limit: { per_principal: 1/minute } }\n  \
                  - { name: rest, path: /, upstream: backend, access: public }";
    let (world, _) = timed("", routes);
    let through = |path: &str, addresses: &[&str]| {
        addresses.iter().filter(|address| from(&world, path, address).status == 200).count()
    };
    let (one, other) = ("192.0.2.1", "192.0.2.2");
    assert_eq!(through("/a/1", &[one, one, one, other, one]), 3);
    assert_eq!(through("/b", &[one, one, other, other, "192.0.2.3"]), 3);
    assert_eq!(through("/rest", &[one; 9]), 9);
    assert_eq!(from(&world, "/rest", one).header("ratelimit-limit"), None);
    let keys = [world.key("").1, world.key_of(KeyOwner::Service("porter".to_owned()), "", None).1];
    let by_key = |key: &str| world.get("/c", &[("X-API-Key", key)]);
    assert_eq!(keys.each_ref().map(|key| by_key(key).status), [200, 200]);
    limited(&by_key(&keys[0]), "rate_limited", 60);
    for (limit, refused) in [("route_address", 2), ("route", 2), ("route_principal", 1), ("principal", 0)] {
        assert_eq!(metric(&world, &format!("portcullis_limited_total{{limit=\"{limit}\"}}")), refused, "{limit}");
    }
}

#[test]
fn a_key_has_a_rate_and_a_quota_of_its_own() {
    let (plan, clock) = Plan::default().timed();
    let world = World::plan(plan);
    let terms = |rate: &str, quota: &str| KeyTerms {
        rate: Rate::parse(rate).ok(),
        quota: Quota::parse(quota).ok(),
        ..KeyTerms::default()
    };
    let (_, quick) = world.limited_key(terms("2/minute", ""));
    let (_, often) = world.limited_key(terms("", "5/day"));
    let (_, both) = world.limited_key(terms("2/minute", "3/month"));
    let by = |key: &str| world.get("/", &[("X-API-Key", key)]);
    assert_eq!([by(&quick).status, by(&quick).status], [200, 200]);
    limited(&by(&quick), "rate_limited", 30);
    // The clock starts at 08:00 UTC on 15 January 2027.
    for left in (0..5).rev() {
        assert_eq!(told(&by(&often)), [5, left, 16 * 3600]);
    }
    limited(&by(&often), "key_quota", 16 * 3600);
    // What is refused for its haste uses none of the quota.
    assert_eq!((0..9).filter(|_| by(&both).status == 200).count(), 2);
    clock.advance(Duration::from_secs(60));
    assert_eq!(told(&by(&both))[1], 0);
    by(&both).assert_refused(429, "key_quota");
    clock.advance(Duration::from_secs(16 * 3600 - 61));
    by(&often).assert_refused(429, "key_quota");
    clock.advance(Duration::from_secs(1));
    assert_eq!(by(&often).status, 200, "a new day");
    by(&both).assert_refused(429, "key_quota");
    clock.advance(Duration::from_secs(17 * 86_400));
    assert_eq!(by(&both).status, 200, "a new month");
    assert!(metric(&world, "portcullis_limited_total{limit=\"key_quota\"}") >= 3);
}

#[test]
fn a_quota_survives_a_restart() {
    let mut world = World::start();
    let terms = KeyTerms { quota: Quota::parse("8/month").ok(), ..KeyTerms::default() };
    let (_, key) = world.limited_key(terms);
    let through = |world: &World| (0..6).filter(|_| world.get("/", &[("X-API-Key", &key)]).status == 200).count();
    assert_eq!(through(&world), 6);
    world.restart();
    assert_eq!(through(&world), 2);
}

/// Sends many requests ahead on each of a few connections, and counts the answers by status.
fn flood(address: SocketAddr, first: u32, count: u32) -> [usize; 2] {
    const AT_ONCE: u32 = 500;
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut counted = [0, 0];
    for batch in (first..first + count).step_by(AT_ONCE as usize) {
        let many: String = (batch..batch + AT_ONCE)
            .map(|n| {
                let client = std::net::Ipv4Addr::from(0x0b00_0000 + n * 7);
                format!("GET /nowhere HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n")
            })
            .collect();
        stream.write_all(many.as_bytes()).unwrap();
        let mut left = AT_ONCE;
        let mut line = String::new();
        while left > 0 {
            line.clear();
            assert_ne!(answers.read_line(&mut line).unwrap(), 0, "the connection ended");
            // A body without a line feed runs into the next status line.
            if line.contains("HTTP/1.1 404") {
                (counted[0], left) = (counted[0] + 1, left - 1);
            } else if line.contains("HTTP/1.1 429") {
                (counted[1], left) = (counted[1] + 1, left - 1);
            }
        }
        // The rest of the last answer: its fields and its body.
        let mut length = 0;
        loop {
            line.clear();
            answers.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        std::io::Read::read_exact(&mut answers, &mut vec![0; length]).unwrap();
    }
    counted
}

#[test]
fn a_flood_of_addresses_finds_a_bounded_table_and_shuts_nobody_out() {
    const FLOOD: u32 = 200_000;
    let routes = "  - { name: x, path: /x, upstream: backend, access: public }";
    let extra = "limits: { per_address: 20/hour, counters: 4096 }\ntrusted_proxies: [127.0.0.1]\n";
    let world = World::plan(Plan { extra: extra.to_owned(), routes: Some(routes.to_owned()), ..Plan::default() });
    let honest = || from(&world, "/x", "198.51.100.7").status;
    assert_eq!(honest(), 200);
    let greedy = || from(&world, "/x", "198.51.100.8").status;
    assert_eq!((0..25).filter(|_| greedy() == 200).count(), 20);
    let address = world.http();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|n| scope.spawn(move || flood(address, n * FLOOD / 4, FLOOD / 4))).collect();
        for _ in 0..10 {
            assert_eq!(honest(), 200, "while the flood comes");
        }
        let counted = threads.into_iter().map(|thread| thread.join().unwrap());
        let [passed, refused] = counted.fold([0, 0], |[a, b], [c, d]| [a + c, b + d]);
        assert_eq!((passed, refused), (FLOOD as usize, 0), "each of them came once");
    });
    let held = metric(&world, "portcullis_limit_counters{table=\"addresses\"}");
    assert!(held <= 4096, "{held}");
    assert_eq!(greedy(), 429, "who has spent everything is not forgotten for the sake of who has not");
    assert_eq!(honest(), 200);
}

#[test]
fn connections_are_bounded_for_each_network_and_those_who_are_in_stay_in() {
    let extra = "limits: { connections_per_address: 3 }";
    let world = World::plan(Plan { extra: extra.to_owned(), routes: Some(OPEN.to_owned()), ..Plan::default() });
    let mut inside: Vec<Client> = (0..3).map(|_| Client::connect(world.http())).collect();
    let works = |client: &mut Client| client.request("GET", "/", &[], b"").status == 200;
    assert!(inside.iter_mut().all(works));
    for _ in 0..20 {
        let mut newest = Client::connect(world.http());
        newest.try_write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(newest.try_reply(false).is_none(), "there is no room");
    }
    assert!(inside.iter_mut().all(works), "those who were there go on");
    assert_eq!(metric(&world, "portcullis_connections "), 3);
    assert_eq!(metric(&world, "portcullis_connections_refused_total{limit=\"network\"}"), 20);
    inside.pop();
    eventually("room for one more", || {
        let mut newest = Client::connect(world.http());
        newest.try_write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        newest.try_reply(false).filter(|reply| reply.status == 200)
    });
}

#[test]
fn connections_are_bounded_in_all_and_a_trusted_proxy_only_so() {
    let extra = "limits: { connections_per_address: 2, connections: 5 }\ntrusted_proxies: [127.0.0.1]";
    let world = World::plan(Plan { extra: extra.to_owned(), routes: Some(OPEN.to_owned()), ..Plan::default() });
    let mut inside: Vec<Client> = (0..5).map(|_| Client::connect(world.http())).collect();
    assert!(inside.iter_mut().all(|client| client.request("GET", "/", &[], b"").status == 200));
    let mut newest = Client::connect(world.http());
    newest.try_write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(newest.try_reply(false).is_none());
    assert!(inside.iter_mut().all(|client| client.request("GET", "/", &[], b"").status == 200));
    assert_eq!(metric(&world, "portcullis_connections_refused_total{limit=\"in_all\"}"), 1);
}

//! Where and for how long a key is good: judged on each request, told to the operator, and to nobody outside.

use std::time::Duration;

use portcullis::domain::key_reach::{KeyReach, MethodNames, RouteNames};
use portcullis::domain::key_terms::{IdleDays, KeyTerms};
use portcullis::domain::network_set::NetworkSet;
use portcullis::domain::presented_key::PresentedKey;

use crate::harness::{Plan, Reply, World, eventually, operator};

const ROUTES: &str = "
  - { name: orders, path: /orders, upstream: backend, access: { any: [jwt, api_key] } }
  - { name: 'GET,PUT /files/', path: /files, upstream: backend, access: { any: [jwt, api_key] } }
  - { name: open, path: /open, upstream: backend, access: public }
  - { name: both, path: /both, upstream: backend, access: { all: [jwt, api_key] } }
  - { name: all, path: /, upstream: backend, access: { any: [jwt, api_key] } }";
const DAY: Duration = Duration::from_secs(86_400);

fn reach(networks: &str, routes: &str, methods: &str) -> KeyTerms {
    KeyTerms {
        reach: KeyReach {
            networks: NetworkSet::parse(networks).unwrap(),
            routes: RouteNames::parse(routes).unwrap(),
            methods: MethodNames::parse(methods).unwrap(),
        },
        ..KeyTerms::default()
    }
}

fn unknown(world: &World) -> Reply {
    let key = PresentedKey::generate(&portcullis::crypto::random::OsRandom::new());
    world.get("/orders", &[("X-API-Key", key.expose())])
}

#[test]
fn each_limit_has_its_reason_in_log_and_metric_and_none_outside() {
    let (plan, clock) = Plan { routes: Some(ROUTES.to_owned()), ..Plan::default() }.timed();
    let world = World::plan(plan);
    let (_, elsewhere) = world.limited_key(reach("192.0.2.0/24", "", ""));
    let (_, other_route) = world.limited_key(reach("", "files", ""));
    let (_, other_method) = world.limited_key(reach("127.0.0.1", "orders", "POST"));
    let (_, idle) = world.limited_key(KeyTerms { idle: IdleDays::new(1), ..KeyTerms::default() });
    let (revoked, revoked_key) = world.key("");
    world.wait(world.administration.keys.revoke(revoked.id.as_str(), "lost", &operator())).unwrap();
    world.settle();
    clock.advance(DAY);
    let stranger = unknown(&world);
    assert_eq!((stranger.status, stranger.code().as_str()), (401, "key_not_valid"));
    for (key, reason) in [
        (&elsewhere, "key_network"),
        (&other_route, "key_route"),
        (&other_method, "key_route"),
        (&idle, "key_idle"),
        (&revoked_key, "key_revoked"),
    ] {
        // Twice: when it is remembered, too.
        for _ in 0..2 {
            let reply = world.get("/orders", &[("X-API-Key", key)]);
            assert_eq!(reply.comparable(), stranger.comparable(), "{reason}");
            let line = world.access_line(reply.header("x-request-id").unwrap());
            assert_eq!((&line["reason"], &line["code"]), (&reason.into(), &"key_not_valid".into()));
            assert_eq!((&line["fault"], &line["key_id"]), (&"client".into(), &serde_json::Value::Null));
        }
    }
    for (reason, count) in [("key_network", 2), ("key_route", 4), ("key_idle", 2), ("key_unknown", 1)] {
        world.assert_counted(reason, count);
    }
    assert_eq!(world.upstream.seen(), []);
}

#[test]
fn networks_are_judged_by_the_address_that_trusted_proxies_tell() {
    let plan = Plan { extra: "trusted_proxies: [127.0.0.1, 10.0.0.0/8]".to_owned(), ..Plan::default() };
    let world = World::plan(plan);
    let (_, v4) = world.limited_key(reach("192.0.2.0/24 198.51.100.7", "", ""));
    let (_, v6) = world.limited_key(reach("2001:db8::/32", "", ""));
    let (_, mapped) = world.limited_key(reach("::ffff:192.0.2.0/120", "", ""));
    let (_, all_v4) = world.limited_key(reach("0.0.0.0/0", "", ""));
    for (key, from, status) in [
        (&v4, "192.0.2.1", 200),
        (&v4, "192.0.2.255, 10.1.1.1", 200),
        (&v4, "198.51.100.7", 200),
        (&v4, "198.51.100.8", 401),
        (&v4, "::ffff:192.0.2.9", 200),
        (&v4, "[::ffff:192.0.2.9]:4711", 200),
        (&v4, "::192.0.2.9", 401),
        (&v4, "2001:db8::1", 401),
        // What stands left of somebody who is not trusted is that one's word.
        (&v4, "192.0.2.1, 203.0.113.5", 401),
        (&v4, "nonsense", 401),
        (&v6, "2001:db8:ffff::1", 200),
        (&v6, "2001:db9::1", 401),
        (&v6, "192.0.2.1", 401),
        (&mapped, "192.0.2.77", 200),
        (&mapped, "::ffff:192.0.2.77", 200),
        (&mapped, "192.0.3.77", 401),
        (&all_v4, "203.0.113.1", 200),
        (&all_v4, "2001:db8::1", 401),
    ] {
        let reply = world.get("/", &[("X-Forwarded-For", from), ("X-API-Key", key)]);
        assert_eq!(reply.status, status, "{from}: {reply:?}");
    }
}

#[test]
fn nobody_talks_themselves_into_a_network() {
    let world = World::start();
    let (_, elsewhere) = world.limited_key(reach("192.0.2.0/24", "", ""));
    let (_, here) = world.limited_key(reach("127.0.0.0/8", "", ""));
    for name in ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP"] {
        assert_eq!(world.get("/", &[(name, "192.0.2.1"), ("X-API-Key", &elsewhere)]).status, 401, "{name}");
    }
    world.get("/", &[("X-Forwarded-For", "192.0.2.1"), ("X-API-Key", &here)]).seen();
}

#[test]
fn routes_and_methods_are_those_of_the_table() {
    let world = World::with_routes(ROUTES);
    world.user("anna");
    let bearer = format!("Bearer {}", world.sign_in("anna").0);
    let (_, key) = world.limited_key(reach("", "orders\nGET,PUT /files/\nboth\n/api/v1/auth/me", "GET PUT"));
    let (_, head) = world.limited_key(reach("", "", "HEAD"));
    for (key, method, path, status) in [
        (&key, "GET", "/orders", 200),
        (&key, "HEAD", "/orders/7", 200),
        (&key, "PUT", "/files/a", 200),
        (&key, "POST", "/orders", 401),
        (&key, "DELETE", "/files/a", 401),
        (&key, "GET", "/", 401),
        (&key, "GET", "/ordersx", 401),
        (&key, "GET", "/open", 200),
        (&key, "POST", "/open", 200),
        (&key, "GET", "/api/v1/auth/me/", 200),
        (&head, "HEAD", "/orders", 200),
        (&head, "GET", "/orders", 401),
    ] {
        let reply = world.request(method, path, &[("X-API-Key", key)], b"");
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
    }
    let both = |path: &str, method: &str| {
        world.request(method, path, &[("Authorization", &bearer), ("X-API-Key", &key)], b"").status
    };
    assert_eq!((both("/both", "GET"), both("/both", "POST")), (200, 401));
    assert_eq!(both("/", "GET"), 401, "every credential that is shown must be good");
}

#[test]
fn a_change_of_its_limits_counts_at_once_and_nothing_is_remembered_of_the_verdict() {
    let world = World::start();
    let (record, key) = world.key("");
    let change = |networks: &str| {
        let record = world.wait(world.administration.keys.find_by_id(&record.id)).unwrap();
        let networks = Some(NetworkSet::parse(networks).unwrap());
        let changes = portcullis::domain::api_key::KeyChanges { networks, ..Default::default() };
        world.wait(world.administration.keys.change(&record, changes, &operator())).unwrap();
    };
    let answers = |status: u16| {
        eventually("the change to be heard of", || {
            (world.get("/", &[("X-API-Key", &key)]).status == status).then_some(())
        });
    };
    answers(200);
    change("192.0.2.0/24");
    answers(401);
    change("");
    answers(200);
}

#[test]
fn a_key_that_is_used_never_lies_idle_and_one_that_is_not_does_to_the_second() {
    let (plan, clock) = Plan::default().timed();
    let world = World::plan(plan);
    let terms = || KeyTerms { idle: IdleDays::new(2), ..KeyTerms::default() };
    let (_, used) = world.limited_key(terms());
    let (_, unused) = world.limited_key(terms());
    let (record, _) = world.limited_key(terms());
    let status = |key: &str| world.get("/", &[("X-API-Key", key)]).status;
    // Also before the store has heard of the use: the clock moves in no time.
    for _ in 0..10 {
        clock.advance(2 * DAY - Duration::from_secs(1));
        assert_eq!(status(&used), 200);
    }
    assert_eq!(status(&unused), 401);
    world.assert_counted("key_idle", 1);
    clock.advance(2 * DAY - Duration::from_secs(1));
    assert_eq!(status(&used), 200);
    clock.advance(2 * DAY);
    assert_eq!(status(&used), 401, "also while it is remembered");
    assert_eq!(status(&used), 401, "and a refusal is no use");
    // Whoever lets it lie unused for longer has it work again.
    let longer = portcullis::domain::api_key::KeyChanges { idle: Some(IdleDays::new(30)), ..Default::default() };
    world.wait(world.administration.keys.change(&record, longer, &operator())).unwrap();
}

#[test]
fn idleness_is_counted_from_what_another_process_has_recorded() {
    let (plan, clock) = Plan::default().timed();
    let nature = plan.nature.clone().unwrap();
    let mut world = World::plan(plan);
    let (_, key) = world.limited_key(KeyTerms { idle: IdleDays::new(2), ..KeyTerms::default() });
    clock.advance(DAY);
    world.get("/", &[("X-API-Key", &key)]).seen();
    world.gateway = None;
    clock.advance(2 * DAY - Duration::from_secs(1));
    world.gateway = Some(portcullis::server::run::Running::start_with(&world.settings, &nature).unwrap());
    world.get("/", &[("X-API-Key", &key)]).seen();
    world.gateway = None;
    clock.advance(2 * DAY);
    world.gateway = Some(portcullis::server::run::Running::start_with(&world.settings, &nature).unwrap());
    assert_eq!(world.get("/", &[("X-API-Key", &key)]).status, 401);
}

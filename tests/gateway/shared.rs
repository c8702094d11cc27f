//! Two gateways on one store and one Redis: what is changed through one counts at the other, and Redis may be killed,
//! hung, filled up, emptied and written to by anybody meanwhile.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

use portcullis::server::run::Running;
use serde_json::json;

use crate::harness::asker::{Asker, ONE_FACTOR};
use crate::harness::{Client, Plan, Reply, World, eventually, forge};
use crate::redis_server::Redis;
use crate::store_down;

const ALL: &str = "users:read users:write keys:read keys:write sessions:write audit:read orders:read";
const ROUTES: &str = "
  - { name: read, path: /read, upstream: backend, access: { any: [jwt, api_key], scopes: [orders:read] } }
  - { name: all, path: /, upstream: backend, access: { any: [jwt, api_key] } }";

/// Nothing but a message makes a node forget in time.
const BUS_ALONE: &str = "max_age: 1h, poll_interval: 60s";
/// Nothing but the log does.
const LOG_ALONE: &str = "max_age: 1h, poll_interval: 200ms";

/// What a node must have heard of, in the time that is promised.
const PROMISED: Duration = Duration::from_secs(1);

struct Fleet {
    redis: Redis,
    /// With the first gateway, which everything is changed through.
    world: World,
    other: Running,
}

impl Fleet {
    fn start(cache: &str) -> Self {
        Self::with(Redis::start(), cache)
    }

    fn with(redis: Redis, cache: &str) -> Self {
        let url = redis.url();
        Self::on(redis, &format!("redis: \"{url}\", {cache}"))
    }

    /// Gateways that wait for Redis as long as it takes: what they find there is judged, however busy the machine is.
    fn patient(cache: &str) -> Self {
        let redis = Redis::start();
        let url = redis.url();
        Self::on(redis, &format!("redis: {{ url: \"{url}\", timeout: 1s }}, {cache}"))
    }

    fn on(redis: Redis, cache: &str) -> Self {
        let extra = format!("{ONE_FACTOR}\ncache: {{ {cache} }}");
        let world = World::plan(Plan { extra, routes: Some(ROUTES.to_owned()), ..Plan::default() });
        let other = Running::start(&world.settings).unwrap_or_else(|error| panic!("{error}"));
        let fleet = Self { redis, world, other };
        fleet.connected();
        fleet
    }

    fn admin(&self) -> Asker<'_> {
        self.world.by_scopes(ALL)
    }

    fn nodes(&self) -> [SocketAddr; 2] {
        [self.world.http(), self.other.http()]
    }

    fn connected(&self) {
        for ops in [self.world.ops(), self.other.ops()] {
            eventually("the bus", || (metric(ops, "portcullis_bus_connected") == 1.0).then_some(()));
            eventually("Redis", || (metric(ops, "portcullis_redis_up") == 1.0).then_some(()));
        }
    }

    /// Waits until both have heard of all that was changed beside them.
    fn settle(&self) {
        self.world.settle();
        let epoch = metric(self.world.ops(), "portcullis_invalidation_epoch");
        eventually("the log", || (self.there("portcullis_invalidation_epoch") == epoch).then_some(()));
    }

    /// What the other gateway has counted.
    fn there(&self, name: &str) -> f64 {
        metric(self.other.ops(), name)
    }

    /// Both remember the credential and let it in.
    fn known(&self, credential: &Credential) {
        for node in self.nodes() {
            let reply = credential.shown_to(node, "/read");
            assert_eq!(reply.status, 200, "{reply:?}");
        }
    }

    /// Refused by the other one in time, and from then on by both.
    fn refused(&self, what: &str, credential: &Credential, since: Instant, within: Duration) {
        while credential.shown_to(self.other.http(), "/read").status == 200 {
            assert!(since.elapsed() < within, "{what}: still let in after {:?}", since.elapsed());
            std::thread::sleep(Duration::from_millis(2));
        }
        for _ in 0..5 {
            for node in self.nodes() {
                let reply = credential.shown_to(node, "/read");
                assert!(matches!(reply.status, 401 | 403), "{what}: {reply:?}");
            }
        }
    }

    fn keys(&self) -> Vec<String> {
        self.redis.cli(&["KEYS", "portcullis:*"]).lines().map(str::to_owned).collect()
    }
}

enum Credential {
    Key(String),
    Token(String),
}

impl Credential {
    fn shown_to(&self, node: SocketAddr, path: &str) -> Reply {
        let header = match self {
            Self::Key(key) => ("X-API-Key", key.clone()),
            Self::Token(token) => ("Authorization", format!("Bearer {token}")),
        };
        Client::connect(node).request("GET", path, &[(header.0, &header.1)], b"")
    }
}

fn metric(ops: SocketAddr, name: &str) -> f64 {
    let text = Client::connect(ops).request("GET", "/metrics", &[], b"").text();
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).rsplit(' ').next().unwrap().parse().unwrap()
}

fn lookups(outcome: &str) -> String {
    format!("portcullis_shared_cache_lookups_total{{cache=\"api_keys\",outcome=\"{outcome}\"}}")
}

type Take<'a> = Box<dyn Fn(&Asker<'_>) + 'a>;

/// Every kind of change that takes something away: what to show, and how it is taken away.
fn takings(fleet: &Fleet) -> Vec<(&'static str, Credential, Take<'_>)> {
    let world = &fleet.world;
    let (revoked, narrowed) = (world.key("orders:read"), world.key("orders:read"));
    let names = ["ended", "disabled", "deleted", "demoted"];
    let users = names.map(|name| world.user_with(name, false, "orders:read"));
    let tokens = names.map(|name| world.sign_in(name).0);
    let session = forge::claims(&tokens[0])["sid"].as_str().unwrap().to_owned();
    let [ended, disabled, deleted, demoted] = users.map(|user| user.id);
    let [t0, t1, t2, t3] = tokens.map(Credential::Token);
    let (revoked_id, narrowed_id) = (revoked.0.id, narrowed.0.id);
    vec![
        (
            "key revoked",
            Credential::Key(revoked.1),
            Box::new(move |admin| {
                admin.post(&format!("keys/{revoked_id}/revoke/"), &json!({ "reason": "lost" })).done();
            }),
        ),
        (
            "key narrowed",
            Credential::Key(narrowed.1),
            Box::new(move |admin| {
                admin.patch(&format!("keys/{narrowed_id}/"), &json!({ "scopes": [] })).done();
            }),
        ),
        (
            "session ended",
            t0,
            Box::new(move |admin| {
                admin.delete(&format!("users/{ended}/sessions/{session}/")).done();
            }),
        ),
        (
            "user disabled",
            t1,
            Box::new(move |admin| {
                admin.patch(&format!("users/{disabled}/"), &json!({ "is_active": false })).done();
            }),
        ),
        (
            "user deleted",
            t2,
            Box::new(move |admin| {
                admin.delete(&format!("users/{deleted}/")).done();
            }),
        ),
        (
            "scopes taken",
            t3,
            Box::new(move |admin| {
                admin.patch(&format!("users/{demoted}/"), &json!({ "scopes": [] })).done();
            }),
        ),
    ]
}

#[test]
fn what_one_node_takes_away_the_other_refuses_at_once() {
    let fleet = Fleet::start(BUS_ALONE);
    let admin = fleet.admin();
    for (what, credential, take) in takings(&fleet) {
        fleet.known(&credential);
        take(&admin);
        fleet.refused(what, &credential, Instant::now(), PROMISED);
    }
    let messages = |outcome: &str| fleet.there(&format!("portcullis_bus_messages_total{{outcome=\"{outcome}\"}}"));
    // One message has the log read, which may tell of the next change before its own message does.
    eventually("six messages", || (messages("applied") + messages("known") >= 6.0).then_some(()));
    assert!(messages("applied") >= 1.0, "it was not the messages that told of it");
    let measured = fleet.there("portcullis_revocation_propagation_seconds_count");
    let in_time = fleet.there("portcullis_revocation_propagation_seconds_bucket{le=\"1\"}");
    assert!(measured >= 6.0 && in_time >= 6.0, "{measured} {in_time}");
}

#[test]
fn without_the_bus_the_log_tells_of_it_in_time() {
    let fleet = Fleet::start(LOG_ALONE);
    let admin = fleet.admin();
    let takings = takings(&fleet);
    for (_, credential, _) in &takings {
        fleet.known(credential);
    }
    fleet.redis.hang();
    for (what, credential, take) in takings {
        take(&admin);
        fleet.refused(what, &credential, Instant::now(), PROMISED);
    }
    fleet.redis.go_on();
    fleet.connected();
}

#[test]
fn what_was_missed_while_not_connected_is_read_from_the_log_at_once() {
    let fleet = Fleet::start(BUS_ALONE);
    let admin = fleet.admin();
    for (what, credential, take) in takings(&fleet) {
        fleet.known(&credential);
        fleet.redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        take(&admin);
        fleet.refused(what, &credential, Instant::now(), Duration::from_secs(5));
        fleet.connected();
    }
}

#[test]
fn a_record_that_one_node_has_read_lets_the_other_do_without_the_store() {
    let fleet = Fleet::start("max_age: 60s");
    let (_, key) = fleet.world.key("orders:read");
    fleet.world.user_with("anna", false, "orders:read");
    let (token, _) = fleet.world.sign_in("anna");
    let credentials = [Credential::Key(key), Credential::Token(token)];
    fleet.world.settle();
    for credential in &credentials {
        assert_eq!(credential.shown_to(fleet.world.http(), "/read").status, 200);
    }
    eventually("a key, a session and a user in Redis", || (fleet.keys().len() == 3).then_some(()));
    fleet.settle();

    let (_, unseen) = fleet.world.key("orders:read");
    let mut store = store_down::take_down(&fleet.world);
    assert_eq!(Credential::Key(unseen).shown_to(fleet.other.http(), "/read").status, 503);
    for credential in &credentials {
        let reply = credential.shown_to(fleet.other.http(), "/read");
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    assert_eq!(fleet.there(&lookups("hit")), 1.0);
    assert_eq!(fleet.there("portcullis_store_up"), 0.0, "it was not the store that answered");
    store_down::bring_back(&fleet.world, &mut store);
}

#[test]
fn redis_holds_nothing_that_lets_anybody_in() {
    let fleet = Fleet::start("max_age: 60s");
    let (_, key) = fleet.world.key("orders:read");
    let user = fleet.world.user_with("anna", false, "orders:read");
    let (token, refresh) = fleet.world.sign_in("anna");
    for credential in [Credential::Key(key.clone()), Credential::Token(token.clone())] {
        fleet.known(&credential);
    }
    eventually("what is shared", || (fleet.keys().len() == 3).then_some(()));
    let dumped: Vec<String> =
        fleet.keys().iter().map(|name| format!("{name} {}", fleet.redis.cli(&["GET", name]))).collect();
    for dumped in dumped {
        for secret in [key.as_str(), &key[12..], &token, &refresh, "anna", user.id.as_str(), "argon2", "robot"] {
            assert!(!dumped.contains(secret), "{secret} in {dumped}");
        }
    }
}

#[test]
fn what_anybody_writes_there_is_never_believed() {
    let fleet = Fleet::patient("max_age: 60s, poll_interval: 60s");
    let admin = fleet.admin();
    let (key, text) = fleet.world.key("orders:read");
    let credential = Credential::Key(text);
    fleet.known(&credential);
    let name = eventually("the key in Redis", || fleet.keys().into_iter().find(|name| name.contains(":api_keys:")));
    // Kept by somebody while it was good.
    fleet.redis.cli(&["COPY", &name, "kept"]);
    fleet.redis.cli(&["PERSIST", "kept"]);
    admin.post(&format!("keys/{}/revoke/", key.id), &json!({ "reason": "lost" })).done();
    fleet.refused("revoked", &credential, Instant::now(), PROMISED);

    let mut third = None;
    for round in 0..8 {
        let tamper = || match round {
            0 | 5 => fleet.redis.cli(&["COPY", "kept", &name, "REPLACE"]),
            1 => fleet.redis.cli(&["SET", &name, "{\"revoked\":null}"]),
            2 => fleet.redis.cli(&["SETRANGE", &name, "30", "x"]),
            3 => fleet.redis.cli(&["DEL", &name]) + &fleet.redis.cli(&["LPUSH", &name, "of another type"]),
            4 => fleet.redis.cli(&["EVAL", "return redis.call('SET', KEYS[1], string.rep('x', 10000000))", "1", &name]),
            6 => fleet.redis.cli(&["FLUSHALL"]),
            _ => fleet.redis.cli(&["PING"]),
        };
        // What nodes have just read from the store they write there a moment later, over whatever was put there meanwhile.
        let script = "return redis.sha1hex(redis.call('DUMP', KEYS[1]) or '')";
        let found = || fleet.redis.cli(&["EVAL", script, "1", &name]);
        eventually("nobody to write there", || {
            tamper();
            let put = found();
            std::thread::sleep(Duration::from_millis(150));
            (found() == put).then_some(())
        });
        // One that starts now has never heard of the revocation, and remembers nothing that could hide what it does.
        let fresh = third.insert(Running::start(&fleet.world.settings).unwrap());
        // Before it has read the log it looks nowhere but in the store.
        let epoch = |ops: SocketAddr| metric(ops, "portcullis_invalidation_epoch");
        eventually("the log", || (epoch(fresh.ops()) == epoch(fleet.world.ops())).then_some(()));
        eventually("Redis", || (metric(fresh.ops(), "portcullis_redis_up") == 1.0).then_some(()));
        for node in [fresh.http(), fleet.other.http(), fleet.world.http()] {
            let reply = credential.shown_to(node, "/read");
            assert_eq!((reply.status, reply.code().as_str()), (401, "key_not_valid"), "round {round}: {reply:?}");
        }
        let (corrupt, outdated) = (metric(fresh.ops(), &lookups("corrupt")), metric(fresh.ops(), &lookups("outdated")));
        let expected = match round {
            0 | 5 => (0.0, 1.0),
            1..=4 => (1.0, 0.0),
            _ => (0.0, 0.0),
        };
        assert_eq!((corrupt, outdated), expected, "round {round}");
    }
}

#[test]
fn messages_that_anybody_sends_do_nothing() {
    let fleet = Fleet::start(LOG_ALONE);
    let (_, text) = fleet.world.key("orders:read");
    let credential = Credential::Key(text);
    fleet.settle();
    fleet.known(&credential);
    let channel = "portcullis:1:invalidations";
    assert_eq!(fleet.redis.cli(&["PUBSUB", "NUMSUB", channel]), format!("{channel}\n2"));
    let script = "for i = 1, 20000 do redis.call('PUBLISH', KEYS[1], '{\"node\":\"x\",\"changes\":[]}') end";
    fleet.redis.cli(&["EVAL", script, "1", channel]);
    let rejected = "portcullis_bus_messages_total{outcome=\"rejected\"}";
    eventually("20000 messages", || (fleet.there(rejected) == 20_000.0).then_some(()));
    fleet.known(&credential);
    assert_eq!(fleet.there(&lookups("miss")) + fleet.there(&lookups("hit")), 1.0, "nothing was forgotten");
    let (key, text) = fleet.world.key("orders:read");
    fleet.known(&Credential::Key(text.clone()));
    fleet.admin().post(&format!("keys/{}/revoke/", key.id), &json!({ "reason": "lost" })).done();
    fleet.refused("revoked", &Credential::Key(text), Instant::now(), PROMISED);
}

/// Requests go on, whatever Redis does, none of them waits long, and changes count in time.
fn goes_on(fleet: &Fleet, what: &str) {
    let admin = fleet.admin();
    for _ in 0..10 {
        let (key, text) = fleet.world.key("orders:read");
        let credential = Credential::Key(text);
        let begun = Instant::now();
        fleet.known(&credential);
        assert!(begun.elapsed() < Duration::from_secs(2), "{what}: {:?}", begun.elapsed());
        admin.post(&format!("keys/{}/revoke/", key.id), &json!({ "reason": "lost" })).done();
        let since = Instant::now();
        fleet.refused(what, &credential, since, PROMISED);
    }
}

fn well_again(fleet: &Fleet, since: Instant, what: &str) {
    fleet.connected();
    assert!(since.elapsed() < Duration::from_secs(5), "{what}: back after {:?}", since.elapsed());
    let before = fleet.there(&lookups("hit"));
    let (_, text) = fleet.world.key("orders:read");
    fleet.known(&Credential::Key(text.clone()));
    eventually("what is shared to be used again", || {
        let (_, text) = fleet.world.key("orders:read");
        fleet.world.settle();
        fleet.known(&Credential::Key(text));
        (fleet.there(&lookups("hit")) > before).then_some(())
    });
}

#[test]
fn requests_go_on_while_redis_is_killed_hung_full_or_emptied() {
    let mut fleet = Fleet::start("max_age: 1h");
    let (_, text) = fleet.world.key("orders:read");
    let long_known = Credential::Key(text);
    fleet.known(&long_known);

    fleet.redis.kill();
    goes_on(&fleet, "killed");
    assert_eq!(fleet.there("portcullis_redis_up"), 0.0);
    assert_eq!((fleet.there("portcullis_redis_circuit_open"), fleet.there("portcullis_bus_connected")), (1.0, 0.0));
    fleet.redis.restart();
    well_again(&fleet, Instant::now(), "restarted");

    fleet.redis.hang();
    goes_on(&fleet, "hung");
    assert_eq!((fleet.there("portcullis_redis_up"), fleet.there("portcullis_redis_circuit_open")), (0.0, 1.0));
    eventually("a silent bus to be noticed", || (fleet.there("portcullis_bus_connected") == 0.0).then_some(()));
    fleet.redis.go_on();
    well_again(&fleet, Instant::now(), "going on");

    fleet.redis.cli(&["CONFIG", "SET", "maxmemory", "1mb", "maxmemory-policy", "noeviction"]);
    goes_on(&fleet, "full");
    assert!(fleet.there("portcullis_shared_cache_not_written_total{cache=\"api_keys\"}") > 0.0);
    fleet.redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    well_again(&fleet, Instant::now(), "with room again");

    fleet.redis.cli(&["FLUSHALL"]);
    goes_on(&fleet, "emptied");

    // Every call takes longer than it may.
    fleet.redis.cli(&["CLIENT", "PAUSE", "3000", "ALL"]);
    goes_on(&fleet, "slow");
    well_again(&fleet, Instant::now() + Duration::from_secs(3), "at its usual pace");
    fleet.known(&long_known);
}

#[test]
fn a_redis_that_is_down_at_start_is_used_once_it_is_there() {
    let mut redis = Redis::start();
    redis.kill();
    let extra = format!("cache: {{ redis: \"{}\" }}", redis.url());
    let world = World::plan(Plan { extra, ..Plan::default() });
    let (_, key) = world.key("");
    assert_eq!(world.get("/", &[("X-API-Key", &key)]).status, 200);
    assert_eq!(metric(world.ops(), "portcullis_redis_up"), 0.0);
    redis.restart();
    let begun = Instant::now();
    for name in ["portcullis_redis_up", "portcullis_bus_connected"] {
        eventually(name, || (metric(world.ops(), name) == 1.0).then_some(()));
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn two_installations_share_a_redis_and_nothing_in_it() {
    let redis = Redis::start();
    let world = |prefix: &str| {
        let extra = format!("cache: {{ redis: {{ url: \"{}\", prefix: {prefix} }}, max_age: 60s }}", redis.url());
        World::plan(Plan { extra, ..Plan::default() })
    };
    let (one, other) = (world("one"), world("other"));
    for (world, prefix) in [(&one, "one"), (&other, "other")] {
        let (_, key) = world.key("");
        world.settle();
        assert_eq!(world.get("/", &[("X-API-Key", &key)]).status, 200);
        eventually("a key", || {
            (redis.cli(&["KEYS", &format!("{prefix}:1:api_keys:*")]).lines().count() == 1).then_some(())
        });
    }
    assert_eq!(redis.cli(&["DBSIZE"]), "2");
    assert_eq!(metric(one.ops(), "portcullis_bus_messages_total{outcome=\"rejected\"}"), 0.0);
}

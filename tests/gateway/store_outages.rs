//! A database server that hangs or is killed under a running gateway: what is known is served for a bounded time, the rest is
//! 503 in time, nobody is told that a credential is bad, and all goes on by itself.

use std::sync::Arc;
use std::time::Duration;

use portcullis::domain::clock::{Clock as _, ManualClock, SystemClock};
use serde_json::json;

use crate::harness::postgres::PostgresServer;
use crate::harness::{PASSWORD, Plan, Reply, World, eventually};

struct Outage {
    server: PostgresServer,
    world: World,
    clock: Arc<ManualClock>,
    /// Tokens that the gateway has seen, and has not.
    known: String,
    unseen: Vec<String>,
    refresh: String,
}

/// The deadline of a call to the store is 2 s, and a request waits for no two of them.
const WAITED: Duration = Duration::from_millis(2500);

impl Outage {
    fn prepare() -> Self {
        let server = PostgresServer::start();
        server.sql("postgres", "CREATE DATABASE main OWNER portcullis");
        let (plan, clock) = Plan { storage: Some(server.url("main")), ..Plan::default() }.timed();
        let world = World::plan(plan);
        world.user("anna");
        let (known, refresh) = world.sign_in("anna");
        let unseen = (0..2).map(|_| world.sign_in("anna").0).collect();
        world.settle();
        assert_eq!(world.me(&known).status, 200);
        Self { server, world, clock, known, unseen, refresh }
    }

    fn is_bridged(&self) {
        let world = &self.world;
        let in_time = |ask: &dyn Fn() -> Reply| {
            let since = SystemClock.now();
            let reply = ask();
            assert!(SystemClock.now().since(since) < WAITED, "{:?} {reply:?}", SystemClock.now().since(since));
            reply
        };
        let unavailable = |ask: &dyn Fn() -> Reply| {
            let reply = in_time(ask);
            assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"), "{reply:?}");
            assert!(reply.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
            assert_eq!(reply.header("www-authenticate"), None, "it is not the credential's fault");
        };
        let sign_in = || world.post_json("/api/v1/auth/token/", &json!({"username": "anna", "password": PASSWORD}));
        for _ in 0..3 {
            self.clock.advance(Duration::from_secs(10));
            assert_eq!(in_time(&|| world.me(&self.known)).status, 200, "what is known is served");
            unavailable(&|| world.me(&self.unseen[0]));
            unavailable(&|| world.refresh(&self.refresh));
            unavailable(&sign_in);
            assert_eq!(in_time(&|| world.get("/", &[])).status, 401, "what needs no store is decided");
        }
        self.clock.advance(Duration::from_secs(10));
        unavailable(&|| world.me(&self.known));
        assert!(world.metrics().contains("\nportcullis_store_up 0\n"));
    }

    fn is_over(&self) {
        let world = &self.world;
        let since = SystemClock.now();
        eventually("service to be whole again", || {
            self.clock.advance(Duration::from_secs(1));
            (world.me(&self.known).status == 200 && world.try_sign_in("anna", PASSWORD).status == 200).then_some(())
        });
        assert!(SystemClock.now().since(since) < Duration::from_secs(5), "{:?}", SystemClock.now().since(since));
        for token in &self.unseen {
            assert_eq!(world.me(token).status, 200);
        }
        assert_eq!(world.try_sign_in("anna", "not the password").status, 401);
    }
}

#[test]
fn a_server_that_hangs() {
    let outage = Outage::prepare();
    outage.server.hang();
    outage.is_bridged();
    outage.server.go_on();
    outage.is_over();
}

#[test]
fn a_server_that_is_killed() {
    let outage = Outage::prepare();
    outage.server.kill();
    outage.is_bridged();
    assert!(outage.server.begin());
    outage.is_over();
    assert_eq!(outage.world.refresh(&outage.refresh).status, 200, "the failed attempts have not spent it");
}

//! Two gateways, and a Redis whose master is killed: they go on, nothing is let in that was not before, and what they
//! share is shared again at the next master, without a restart.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis::domain::key_owner::KeyOwner;
use portcullis::server::run::Running;
use serde_json::json;
use tokio::time::Instant;

use crate::cluster_set::ClusterSet;
use crate::harness::asker::ONE_FACTOR;
use crate::harness::{Client, Plan, Reply, World, eventually};
use crate::sentinel_set::{MASTER, SentinelSet};

/// Nothing but a message makes a node forget in time.
const CACHE: &str = "max_age: 1h, poll_interval: 60s";

/// Until what is revoked at one node is refused at the other.
const PROMISED: Duration = Duration::from_secs(1);

/// What one request may take meanwhile: a few questions to Redis of a tenth of a second each, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);

struct Fleet {
    world: World,
    other: Running,
}

impl Fleet {
    /// `settings` are what leads to Redis.
    fn start(settings: &str) -> Self {
        let extra =
            format!("{ONE_FACTOR}\ncache: {{ redis: {{ {settings} }}, {CACHE} }}\nlimits: {{ per_principal: 8/hour }}");
        let world = World::plan(Plan { extra, ..Plan::default() });
        let other = Running::start(&world.settings).unwrap_or_else(|error| panic!("{error}"));
        Self { world, other }
    }

    fn nodes(&self) -> [SocketAddr; 2] {
        [self.world.http(), self.other.http()]
    }

    /// Each node says so within a time that a failover takes.
    fn all_say(&self, line: &str) {
        let begun = Instant::now();
        for ops in [self.world.ops(), self.other.ops()] {
            while !Client::connect(ops).request("GET", "/metrics", &[], b"").text().lines().any(|said| said == line) {
                assert!(begun.elapsed() < Duration::from_secs(30), "{line} never came");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn key(&self, name: &str) -> (String, String) {
        let (key, text) = self.world.key_of(KeyOwner::Service(name.to_owned()), "", None);
        (key.id.to_string(), text)
    }

    /// How many get through when both nodes are asked in turn.
    fn through(&self, tries: usize, key: &str) -> usize {
        let nodes = self.nodes();
        (0..tries).filter(|n| ask(nodes[n % 2], key).status == 200).count()
    }

    fn revoke(&self, id: &str) {
        let reason = json!({ "reason": "lost" });
        self.world.by_scopes("keys:read keys:write").post(&format!("keys/{id}/revoke/"), &reason).done();
    }

    /// What one node revokes the other refuses in time.
    fn tells(&self, name: &str) {
        let (id, key) = self.key(name);
        for node in self.nodes() {
            assert_eq!(ask(node, &key).status, 200);
        }
        self.revoke(&id);
        let since = Instant::now();
        while ask(self.other.http(), &key).status == 200 {
            assert!(since.elapsed() < PROMISED, "still let in after {:?}", since.elapsed());
        }
    }
}

/// Whoever is asked answers in time.
fn ask(node: SocketAddr, key: &str) -> Reply {
    let begun = Instant::now();
    let reply = Client::connect(node).request("GET", "/", &[("X-API-Key", key)], b"");
    assert!(begun.elapsed() < PATIENCE, "{:?}: {reply:?}", begun.elapsed());
    reply
}

/// `kill` ends a master, and `replaced` returns when there is another.
fn goes_on(settings: &str, kill: impl FnOnce(), replaced: impl FnOnce()) {
    let fleet = Fleet::start(settings);
    let all_well = || {
        fleet.all_say("portcullis_bus_connected 1");
        fleet.all_say("portcullis_redis_up 1");
        fleet.all_say("portcullis_redis_circuit_open 0");
    };
    all_well();
    fleet.tells("before");
    let (_, spent) = fleet.key("spent");
    assert_eq!(fleet.through(12, &spent), 8);
    let (revoked_id, revoked) = fleet.key("revoked");
    assert_eq!(fleet.through(2, &revoked), 2);

    kill();
    fleet.revoke(&revoked_id);
    // Who loses the bus reads the log, so nobody has to wait for the next master to hear of it.
    eventually("the revocation", || (ask(fleet.other.http(), &revoked).status == 401).then_some(()));
    let begun = Instant::now();
    let mut number = 0;
    while begun.elapsed() < Duration::from_secs(3) {
        number += 1;
        let (_, other) = fleet.key(&format!("meanwhile {number}"));
        for node in fleet.nodes() {
            assert_eq!(ask(node, &other).status, 200);
            assert_eq!(ask(node, &spent).status, 429);
            assert_eq!(ask(node, &revoked).status, 401);
        }
    }
    replaced();
    all_well();

    for number in 0..3 {
        fleet.tells(&format!("after {number}"));
    }
    let (_, shared) = fleet.key("shared");
    assert_eq!(fleet.through(12, &shared), 8);
    fleet.all_say("portcullis_limits_local 0");
}

#[test]
fn what_is_shared_follows_the_master_that_sentinels_name() {
    let mut set = SentinelSet::start();
    let settings = format!("sentinels: {:?}, master: {MASTER}", set.urls());
    let (mut master, replica) = (set.servers.remove(0), &set);
    goes_on(&settings, move || master.kill(), || replica.until_master(0));
}

#[test]
fn what_is_shared_follows_the_masters_of_a_cluster() {
    let mut set = ClusterSet::start(1);
    // Any of the others may be asked where everything is.
    let settings = format!("cluster: {:?}", set.urls());
    let counting = set.master_of("portcullis:{limits}:limit:");
    let mut master = set.nodes.remove(counting);
    goes_on(&settings, move || master.kill(), || set.until_well());
}

//! Keys that one gateway has read from the store, and another one then finds in Redis.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::harness::Result;
use crate::harness::connection::Connection;
use crate::harness::gateway::Gateway;
use crate::harness::load::Requests;
use crate::harness::process::Process;
use crate::harness::redis::Redis;
use crate::stage::{Stage, request, with_key};
use crate::store;
use crate::subject::{Load, Subject};

const METRIC: &str = "portcullis_shared_cache_lookups_total{cache=\"api_keys\",outcome=\"hit\"}";

pub struct SharedKeys {
    _redis: Redis,
    gateway: Gateway,
    process: Process,
    keys: Vec<String>,
}

impl SharedKeys {
    /// As many keys as `load` uses up, all of them in Redis.
    pub fn prepare(stage: &Stage, load: Load) -> Result<Self> {
        let redis = Redis::start()?;
        // A run takes longer than records are believed by default.
        let cache = json!({ "redis": redis.url(), "max_age": "1h" });
        let gateway = Gateway::prepare(&stage.folder("first-sight-redis")?, stage.upstream, &[("cache", cache)])?;
        let count = load.rounds * load.count;
        let keys = store::fill_with_keys(&gateway.database, count + 1, count)?;
        let first = request("/public/hello", "");
        let twin = gateway.twin()?;
        let other = stage.serve(&twin, &first)?;
        // What it reads before it has followed the log is not shared.
        thread::sleep(Duration::from_secs(1));
        let mut connection = Connection::open(twin.address)?;
        for key in &keys {
            connection.fetch(&with_key("/guarded/hello", key))?;
        }
        // Nobody waits for Redis to have taken a record.
        thread::sleep(Duration::from_secs(1));
        other.stop()?;
        let process = stage.serve(&gateway, &first)?;
        thread::sleep(Duration::from_secs(1));
        Ok(Self { _redis: redis, gateway, process, keys })
    }

    pub fn subject(&self, name: &str) -> Result<Subject> {
        let all = self.keys.iter().map(|key| with_key("/guarded/hello", key)).collect();
        let requests = Requests::once(all, with_key("/guarded/hello", &self.gateway.key));
        Ok(Subject { name: name.to_owned(), address: self.gateway.address, pid: self.process.id(), requests })
    }

    /// An error if the store was asked for more than a few of them.
    pub fn came_from_redis(&self, load: Load) -> Result<()> {
        let (hits, all) = (hits(self.gateway.ops)?, (load.rounds * load.count) as f64);
        if hits >= 0.99 * all { Ok(()) } else { Err(format!("only {hits} of {all} keys came from Redis")) }
    }
}

fn hits(ops: SocketAddr) -> Result<f64> {
    let metrics = Connection::open(ops)?.exchange(&request("/metrics", ""))?;
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    let value = text.lines().find_map(|line| line.strip_prefix(METRIC)).and_then(|value| value.trim().parse().ok());
    value.ok_or_else(|| format!("{METRIC} is not among the metrics"))
}

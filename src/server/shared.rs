//! What nodes share in Redis: a second memory, and a bus.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use super::ground::Nature;
use super::start_error::StartError;
use crate::backends::redis::{RedisBudgets, RedisBus, RedisMemory, RedisPool, RedisServer};
use crate::cache::Forgetters;
use crate::cache::announcement::{Announcer, Channel, Listener};
use crate::cache::epochs::Epochs;
use crate::cache::remembered::Surroundings;
use crate::cache::second_level::{SecondLevel, Shared};
use crate::config::settings::Redis;
use crate::crypto::master_keys::MasterKeys;
use crate::crypto::shared_seal::SharedSeal;
use crate::domain::digest::hex;
use crate::domain::random::{self, Random};
use crate::storage::budgets::SharedBudgets;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::shared_metrics::SharedMetrics;

#[derive(Clone)]
pub struct SharedGround {
    pub pool: RedisPool,
    budgets: Arc<RedisBudgets>,
    seal: SharedSeal,
    prefix: Arc<str>,
    bus: RedisBus,
    channel: Channel,
    metrics: Arc<SharedMetrics>,
    random: Arc<dyn Random>,
}

impl SharedGround {
    /// A Redis that is down is used when it is back. One that refuses us is an error.
    pub async fn open(
        settings: &Redis,
        nature: &Nature,
        master_keys: &Arc<MasterKeys>,
        metrics: &Metrics,
        runtime: &Handle,
    ) -> Result<Self, StartError> {
        let server = RedisServer {
            deployment: settings.deployment.clone(),
            username: settings.username.clone(),
            password: settings.password.clone(),
            database: settings.database,
            ca: settings.ca.clone(),
            deadline: settings.timeout,
            connections: settings.connections,
        };
        let metrics =
            Arc::new(SharedMetrics::register(metrics).map_err(|error| StartError::Process(error.to_string()))?);
        let pool = RedisPool::new(server, runtime.clone())?;
        if let Err(unavailable) = pool.greet().await? {
            let redis = pool.place();
            tracing::warn!(%redis, %unavailable, "Redis does not answer; the gateway starts without it and keeps trying");
        }
        let seal = SharedSeal::new(Arc::clone(master_keys), Arc::clone(&nature.random));
        let node = hex(&random::bytes::<8>(nature.random.as_ref()));
        let channel = Channel::new(&settings.prefix, seal.clone(), &node, Arc::clone(&metrics));
        let budgets = RedisBudgets::new(pool.clone(), settings.prefix.clone(), {
            let seal = seal.clone();
            Box::new(move |of| seal.name(of))
        });
        if pool.is_spread() {
            // All counts are at one node, which may be gone while the others are there.
            drop(budgets.pool().greet().await?);
        }
        Ok(Self {
            budgets: Arc::new(budgets),
            bus: RedisBus::new(pool.clone(), channel.name()),
            pool,
            seal,
            prefix: settings.prefix.as_str().into(),
            channel,
            metrics,
            random: Arc::clone(&nature.random),
        })
    }

    /// What limits are counted with for all nodes.
    pub fn budgets(&self) -> Arc<dyn SharedBudgets> {
        Arc::clone(&self.budgets) as _
    }

    pub fn second_level(&self, epochs: &Arc<Epochs>, max_age: Duration, surroundings: Surroundings) -> SecondLevel {
        let shared = Shared {
            memory: Arc::new(RedisMemory::new(self.pool.clone())),
            seal: self.seal.clone(),
            epochs: Arc::clone(epochs),
            prefix: Arc::clone(&self.prefix),
            metrics: Arc::clone(&self.metrics),
        };
        SecondLevel::new(shared, max_age, surroundings)
    }

    pub fn announcer(&self, forgetters: &Arc<Forgetters>, runtime: &Handle) -> Announcer {
        Announcer {
            forgetters: Arc::clone(forgetters),
            channel: self.channel.clone(),
            bus: Arc::new(self.bus.clone()),
            runtime: runtime.clone(),
        }
    }

    pub fn listener(&self, forgetters: &Arc<Forgetters>, epochs: &Arc<Epochs>, wake: &Arc<Notify>) -> Listener {
        Listener {
            forgetters: Arc::clone(forgetters),
            epochs: Arc::clone(epochs),
            channel: self.channel.clone(),
            wake: Arc::clone(wake),
        }
    }

    /// Until `end` turns true.
    pub async fn listen(self, listener: Listener, end: watch::Receiver<bool>) {
        self.bus.listen(Arc::new(listener), self.random, end).await;
    }

    /// Brings the gauges up to date.
    pub fn refresh(&self) {
        let both = [&self.pool, self.budgets.pool()];
        self.metrics.redis_up.set(i64::from(both.iter().all(|pool| pool.answers())));
        self.metrics.circuit_open.set(i64::from(!both.iter().all(|pool| pool.is_asked())));
        let rejected = &self.metrics.limit_values_rejected;
        rejected.inc_by(self.budgets.foreign().saturating_sub(rejected.get()));
    }
}

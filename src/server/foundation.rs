//! What lives as long as the process, whatever the configuration comes to say: the stores and what is remembered of them,
//! the metrics, the open connections.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::ground::{Nature, Stores};
use super::start_error::StartError;
use crate::access::serial::Serial;
use crate::cache::Forget;
use crate::cache::api_keys::CachedApiKeys;
use crate::cache::remembered::{Bounds, Surroundings};
use crate::cache::sessions::CachedSessions;
use crate::cache::users::CachedUsers;
use crate::config::settings::Settings;
use crate::edge::in_flight::InFlight;
use crate::edge::standing::StandingTunnels;
use crate::edge::wire::Tunnels;
use crate::telemetry::metrics::Metrics;

/// Where work is done that is not done on the thread of its connection.
pub struct Runtimes {
    /// Calls to the stores.
    pub stores: Handle,
    /// What is served here.
    pub handlers: Handle,
}

pub struct Foundation {
    pub nature: Nature,
    /// As they are.
    pub stores: Stores,
    /// The same, with what is remembered before them.
    pub remembering: Stores,
    /// What must forget when others have changed something.
    pub forgetters: Vec<Arc<dyn Forget>>,
    pub metrics: Arc<Metrics>,
    pub serial: Arc<Serial>,
    pub in_flight: InFlight,
    pub tunnels: Arc<Tunnels>,
    pub standing: Arc<StandingTunnels>,
    pub handlers: Handle,
}

impl Foundation {
    /// Opens the stores. All that it takes from the settings takes a restart to change.
    pub async fn lay(settings: &Settings, nature: &Nature, runtimes: &Runtimes) -> Result<Self, StartError> {
        let stores = Stores::open(settings).await?;
        let metrics = Metrics::new().map_err(|error| StartError::Process(error.to_string()))?;
        let metrics = Arc::new(metrics);
        let bounds = Bounds {
            bytes: settings.cache.bytes,
            max_age: settings.cache.max_age,
            negative_max_age: settings.cache.negative_max_age,
            stale_ok: settings.cache.stale_ok,
        };
        metrics.revocation_bound_seconds.set(bounds.max_age.as_secs_f64());
        let surroundings = || Surroundings {
            clock: Arc::clone(&nature.clock),
            metrics: Arc::clone(&metrics),
            runtime: runtimes.stores.clone(),
        };
        let users = Arc::new(CachedUsers::new(Arc::clone(&stores.users), bounds, surroundings()));
        let sessions = Arc::new(CachedSessions::new(Arc::clone(&stores.sessions), bounds, surroundings()));
        let api_keys = Arc::new(CachedApiKeys::new(Arc::clone(&stores.api_keys), bounds, surroundings()));
        let remembering = Stores {
            users: Arc::clone(&users) as _,
            sessions: Arc::clone(&sessions) as _,
            api_keys: Arc::clone(&api_keys) as _,
            ..stores.clone()
        };
        let tunnels = Arc::new(Tunnels::default());
        Ok(Self {
            nature: nature.clone(),
            stores,
            remembering,
            forgetters: vec![users, sessions, api_keys],
            serial: Arc::new(Serial::default()),
            in_flight: InFlight::new(metrics.in_flight.clone()),
            standing: Arc::new(StandingTunnels::new(Arc::clone(&tunnels))),
            tunnels,
            metrics,
            handlers: runtimes.handlers.clone(),
        })
    }
}

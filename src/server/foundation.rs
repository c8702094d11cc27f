//! What lives as long as the process, whatever the configuration comes to say: the stores and what is remembered of them,
//! the metrics, the open connections.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::ground::{self, Nature, Stores};
use super::shared::SharedGround;
use super::start_error::StartError;
use crate::access::request_limits::Counters;
use crate::access::serial::Serial;
use crate::cache::Forget;
use crate::cache::api_keys::CachedApiKeys;
use crate::cache::epochs::Epochs;
use crate::cache::propagation::Propagation;
use crate::cache::quotas::QuotaBook;
use crate::cache::remembered::{Bounds, Surroundings};
use crate::cache::sessions::CachedSessions;
use crate::cache::users::CachedUsers;
use crate::config::settings::Settings;
use crate::domain::key_tally::KeyTally;
use crate::edge::in_flight::InFlight;
use crate::edge::standing::StandingTunnels;
use crate::edge::wire::{Connections, Tunnels};
use crate::identity::decoys::Decoys;
use crate::jobs::record_uses::RecordUses;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::tls_metrics::TlsMetrics;

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
    /// What nodes share, beside the store.
    pub shared: Option<SharedGround>,
    pub epochs: Arc<Epochs>,
    /// How often keys are used, and what of it is to be written.
    pub key_tally: KeyTally,
    pub record_uses: Arc<RecordUses>,
    pub quotas: Arc<QuotaBook>,
    pub counters: Arc<Counters>,
    pub decoys: Arc<Decoys>,
    /// What names and seals in this process; another key takes another process.
    pub master_key_id: String,
    pub connections: Arc<Connections>,
    pub metrics: Arc<Metrics>,
    /// Where clients are served over TLS.
    pub tls: Option<Arc<TlsMetrics>>,
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
        let master_keys = Arc::new(ground::master_keys(settings)?);
        let shared = match &settings.cache.redis {
            Some(redis) => Some(SharedGround::open(redis, nature, &master_keys, &metrics, &runtimes.stores).await?),
            None => None,
        };
        let epochs = Arc::new(Epochs::default());
        let second = || shared.as_ref().map(|shared| shared.second_level(&epochs, bounds.max_age, surroundings()));
        let users = Arc::new(CachedUsers::new(Arc::clone(&stores.users), second(), bounds, surroundings()));
        let sessions = Arc::new(CachedSessions::new(Arc::clone(&stores.sessions), second(), bounds, surroundings()));
        let api_keys = Arc::new(CachedApiKeys::new(Arc::clone(&stores.api_keys), second(), bounds, surroundings()));
        let budgets = || shared.as_ref().map(SharedGround::budgets);
        let quotas = Arc::new(QuotaBook::new(Arc::clone(&stores.quotas), budgets(), runtimes.stores.clone()));
        let parties = usize::try_from(settings.limits.counters).unwrap_or(usize::MAX);
        let counters = Arc::new(Counters::new(parties, budgets(), Arc::clone(&quotas) as _));
        let key_tally = KeyTally::default();
        let record_uses = RecordUses { keys: Arc::clone(&stores.api_keys), tally: key_tally.clone() };
        let propagation = Propagation::new(Arc::clone(&nature.clock), Arc::clone(&metrics));
        let remembering = Stores {
            users: Arc::clone(&users) as _,
            sessions: Arc::clone(&sessions) as _,
            api_keys: Arc::clone(&api_keys) as _,
            ..stores.clone()
        };
        let tunnels = Arc::new(Tunnels::default());
        let tls = settings.listen.https.as_ref().map(|_| TlsMetrics::register(&metrics)).transpose();
        let tls = tls.map_err(|error| StartError::Process(error.to_string()))?.map(Arc::new);
        Ok(Self {
            nature: nature.clone(),
            stores,
            remembering,
            forgetters: vec![Arc::clone(&epochs) as _, users, sessions, api_keys, Arc::new(propagation)],
            shared,
            epochs,
            key_tally,
            record_uses: Arc::new(record_uses),
            quotas,
            counters,
            connections: Arc::default(),
            decoys: Arc::new(Decoys::new(master_keys.keyed_digest("hashes of nobody"))),
            master_key_id: master_keys.current_id(),
            serial: Arc::new(Serial::default()),
            in_flight: InFlight::new(metrics.in_flight.clone()),
            standing: Arc::new(StandingTunnels::new(Arc::clone(&tunnels))),
            tunnels,
            metrics,
            tls,
            handlers: runtimes.handlers.clone(),
        })
    }
}

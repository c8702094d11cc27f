//! A process from start to drain.
//!
//! Three kinds of runtime: one that owns the stores and runs the jobs, one that serves what is served here, and
//! single-threaded workers that proxy. A flood of sign-ins or of tokens to verify keeps the second busy, and neither the
//! look-ups of proxied requests nor the following of revocations. The first outlives the others, which ask the stores. Sockets are bound before anything runs, so
//! that a port in use is a sentence and not a panic, and are handed to Pingora as it would get them from a predecessor.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::apps::http_app::HttpServer;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use super::foundation::{Foundation, Runtimes};
use super::ground::Nature;
use super::handover::Sockets;
use super::key_reload::KeyReload;
use super::live::Live;
use super::mail;
use super::reload::{self, Refused};
use super::schedule::{Listening, Schedule};
use super::start_error::StartError;
use super::workers::{Workers, accept};
use crate::cache::Forgetters;
use crate::config::fault::Faults;
use crate::config::settings::Settings;
use crate::edge::echo::Echo;
use crate::edge::in_flight::InFlight;
use crate::edge::ops::{Ops, Readiness};
use crate::edge::wire::GuardedApp;
use crate::jobs::follow_invalidations::FollowInvalidations;
use crate::storage::invalidations::{Heed, Invalidations};
use crate::telemetry::cache_metrics::CacheName;
use crate::telemetry::diagnostics;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::panics;

/// How long connections get to hear `Connection: close` before the door shuts.
const SETTLE: Duration = Duration::from_millis(300);
/// For what is written at the very end.
const LAST_WORD: Duration = Duration::from_secs(2);

/// A gateway that serves.
pub struct Running {
    // Dropped in this order: workers before the stores that they ask.
    workers: Option<Workers>,
    front_desk: Option<Runtime>,
    back_office: Option<Runtime>,
    /// Closes the door to new requests.
    stop: watch::Sender<bool>,
    /// The same for what operators look at, which goes on while the last requests are answered.
    stop_ops: watch::Sender<bool>,
    /// Ends the jobs.
    end: watch::Sender<bool>,
    /// For a successor. Closed with the door.
    sockets: Option<Sockets>,
    live: Live,
    key_reload: Arc<KeyReload>,
    /// Told of what is changed in the stores for as long as this lives.
    _heed: Arc<dyn Heed>,
    http: SocketAddr,
    ops: SocketAddr,
}

impl Running {
    /// Starts with the machine's own clock and randomness.
    pub fn start(settings: &Settings) -> Result<Self, StartError> {
        Self::start_with(settings, &Nature::real())
    }

    pub fn start_with(settings: &Settings, nature: &Nature) -> Result<Self, StartError> {
        Self::start_on(settings, nature, None)
    }

    /// Starts on the sockets of a predecessor, as far as they are for the addresses that are configured.
    pub fn start_on(settings: &Settings, nature: &Nature, inherited: Option<Sockets>) -> Result<Self, StartError> {
        // Everything that can be wrong with settings, stores and keys is found before any socket opens.
        mail::check(&settings.mail)?;
        let back_office = back_office()?;
        let front_desk = runtime("front-desk")?;
        let runtimes = Runtimes { stores: back_office.handle().clone(), handlers: front_desk.handle().clone() };
        let live = back_office.block_on(async {
            let foundation = Arc::new(Foundation::lay(settings, nature, &runtimes).await?);
            Live::start(settings, foundation).await
        })?;
        let (inherited_http, inherited_ops) = inherited.map(|sockets| (sockets.http, sockets.ops)).unzip();
        let (http, http_socket) = listen(settings.listen.http, inherited_http)?;
        let (ops, ops_socket) = listen(settings.listen.ops, inherited_ops)?;
        let unusable = |error: std::io::Error| StartError::Process(error.to_string());
        let sockets = Sockets { http: http_socket, ops: ops_socket };
        let (stop, stopped) = watch::channel(false);
        let (stop_ops, ops_stopped) = watch::channel(false);
        let (end, ended) = watch::channel(false);

        mail::announce(&settings.mail);
        let foundation = &live.foundation;
        let key_reload = Arc::new(KeyReload {
            foundation: Arc::clone(foundation),
            in_force: Arc::clone(&live.assembly),
            due: AtomicBool::new(false),
        });
        let mut forgetters = foundation.forgetters.clone();
        forgetters.push(Arc::clone(&key_reload) as _);
        let forgetters = Arc::new(Forgetters::new(forgetters));
        let heed: Arc<dyn Heed> = match &foundation.shared {
            Some(shared) => Arc::new(shared.announcer(&forgetters, back_office.handle())),
            None => Arc::clone(&forgetters) as _,
        };
        let wake = Arc::default();
        let listening = foundation.shared.as_ref().map(|shared| {
            let listener = shared.listener(&forgetters, &foundation.epochs, &wake);
            Listening { shared: shared.clone(), listener }
        });
        foundation.stores.pool.tell(Arc::downgrade(&heed));
        let schedule = Schedule {
            follow_invalidations: Arc::new(FollowInvalidations::new(
                Arc::clone(&foundation.stores.invalidations),
                forgetters,
            )),
            follow_every: settings.cache.poll_interval,
            wake,
            listening,
            key_reload: Arc::clone(&key_reload),
            foundation: Arc::clone(foundation),
            in_force: Arc::clone(&live.assembly),
        };
        schedule.start(back_office.handle(), &ended);

        let ops_app = {
            let (metrics, assembly) = (Arc::clone(&foundation.metrics), Arc::clone(&live.assembly));
            let grounds = Arc::clone(foundation);
            Ops {
                metrics: Arc::clone(&metrics),
                in_flight: foundation.in_flight.clone(),
                readiness: Arc::new(StoreAnswers(Arc::clone(&foundation.stores.invalidations))),
                refresh: Arc::new(move || {
                    let assembly = assembly.load();
                    metrics.panics.reset();
                    metrics.panics.inc_by(panics::count());
                    metrics.hashing_waiting.set(i64::try_from(assembly.passwords.waiting()).unwrap_or(i64::MAX));
                    metrics.caches.holds(CacheName::Tokens, assembly.regime.gatekeeper.token_bytes_held());
                    let (addresses, callers) = grounds.counters.held();
                    metrics.limits.count(addresses, callers);
                    metrics.limits.local.set(i64::from(grounds.counters.is_alone()));
                    metrics.limits.connections.set(i64::try_from(grounds.connections.open()).unwrap_or(i64::MAX));
                    let (in_all, per_network) = grounds.connections.refused();
                    metrics.limits.connections_refused(in_all, per_network);
                    if let Some(shared) = &grounds.shared {
                        shared.refresh();
                    }
                }),
            }
        };
        let ops_listener = sockets.ops.try_clone().map_err(unusable)?;
        back_office.spawn(accept("ops", HttpServer::new_app(ops_app), ops, ops_listener, ops_stopped));

        let app = || {
            let in_flight = foundation.in_flight.clone();
            let tells = move || !in_flight.is_handed_over();
            GuardedApp::new(Arc::clone(&live.proxy), Arc::clone(&live.wire), tells)
        };
        let workers = Workers::start(settings.workers.threads, http, &sockets.http, &stopped, app).map_err(unusable)?;

        Ok(Self {
            workers: Some(workers),
            front_desk: Some(front_desk),
            back_office: Some(back_office),
            stop,
            stop_ops,
            end,
            sockets: Some(sockets),
            live,
            key_reload,
            _heed: heed,
            http,
            ops,
        })
    }

    /// Where requests are taken: the configured address, with the port that was given when it was 0.
    pub const fn http(&self) -> SocketAddr {
        self.http
    }

    pub const fn ops(&self) -> SocketAddr {
        self.ops
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.live.foundation.metrics
    }

    /// The sockets that it listens on, until it drains.
    pub const fn sockets(&self) -> Option<&Sockets> {
        self.sockets.as_ref()
    }

    /// Takes over a configuration that was read, for all requests that begin from here on. When anything is wrong with
    /// it, the present one stays.
    pub fn reload(&self, read: Result<Settings, Faults>) -> Result<(), Refused> {
        let outcome = self.try_reload(read);
        match &outcome {
            Ok(()) => tracing::info!(
                generation = self.metrics().config_generation.get(),
                "the configuration was read again and is in force"
            ),
            Err(refused) => {
                self.metrics().config_reload_success.set(0);
                for fault in &refused.0 {
                    tracing::error!(%fault, "the configuration was read again and is refused; the one before stays");
                }
            }
        }
        outcome
    }

    fn try_reload(&self, read: Result<Settings, Faults>) -> Result<(), Refused> {
        let settings = read.map_err(|faults| Refused(faults.iter().map(ToString::to_string).collect()))?;
        let present = Arc::clone(&self.live.assembly.load().settings);
        let faults = reload::faults(&present, &settings);
        if !faults.is_empty() {
            return Err(Refused(faults));
        }
        let refused = |error: StartError| Refused(vec![error.to_string()]);
        let Some(back_office) = &self.back_office else { return Err(Refused(Vec::new())) };
        back_office.block_on(self.live.replace(&settings)).map_err(refused)?;
        self.key_reload.due.store(true, Ordering::SeqCst);
        diagnostics::set_level(&settings.log.level);
        warn(&settings);
        Ok(())
    }

    /// Serves a small echo backend on a free loopback port, for trying things out.
    pub fn bind_echo() -> Result<(SocketAddr, TcpListener), StartError> {
        bind(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    pub fn serve_echo(&self, address: SocketAddr, socket: TcpListener) {
        if let Some(back_office) = &self.back_office {
            back_office.spawn(accept("echo", HttpServer::new_app(Echo), address, socket, self.end.subscribe()));
        }
    }

    /// Stops taking requests, lets those in flight finish within the drain timeout, and stops. `true` when all of them did.
    pub fn drain(mut self) -> bool {
        self.in_flight().drain();
        std::thread::sleep(SETTLE);
        self.sockets = None;
        let _ = self.stop.send(true);
        let done = self.wait_until(|running| running.in_flight().count() == 0);
        self.shut_down();
        done
    }

    /// As [`Running::drain`], while a successor takes new connections from the same sockets. Those that are open here are
    /// closed with the answer to their next request, for which they have until the drain timeout. `true` when all were.
    pub fn hand_over(mut self) -> bool {
        self.in_flight().hand_over();
        self.sockets = None;
        let _ = self.stop.send(true);
        let _ = self.stop_ops.send(true);
        // For those that were just accepted to be counted.
        std::thread::sleep(SETTLE);
        let done = self
            .wait_until(|running| running.in_flight().count() == 0 && running.live.foundation.connections.open() == 0);
        self.shut_down();
        done
    }

    fn in_flight(&self) -> &InFlight {
        &self.live.foundation.in_flight
    }

    /// Within the drain timeout.
    fn wait_until(&self, done: impl Fn(&Self) -> bool) -> bool {
        let pause = Duration::from_millis(10);
        let mut left = self.live.assembly.load().settings.limits.drain_timeout;
        while !done(self) && !left.is_zero() {
            std::thread::sleep(pause);
            left = left.saturating_sub(pause);
        }
        done(self)
    }

    fn shut_down(&mut self) {
        self.sockets = None;
        let _ = self.stop.send(true);
        let _ = self.stop_ops.send(true);
        let _ = self.end.send(true);
        self.workers = None;
        if let Some(front_desk) = self.front_desk.take() {
            front_desk.shutdown_timeout(Duration::from_millis(500));
        }
        if let Some(back_office) = self.back_office.take() {
            let Foundation { stores, record_uses, quotas, nature, .. } = self.live.foundation.as_ref();
            // What the last requests were made with. After them, and before there is no store any more.
            let recorded = async { tokio::time::timeout(LAST_WORD, record_uses.run_once()).await };
            if !matches!(back_office.block_on(recorded), Ok(Ok(()))) {
                tracing::warn!("the last uses of keys could not be recorded");
            }
            let written = async { tokio::time::timeout(LAST_WORD, quotas.write(nature.clock.now())).await };
            if !matches!(back_office.block_on(written), Ok(Ok(()))) {
                tracing::warn!("what was used of quotas since they were last written is lost");
            }
            // Folds the write-ahead log into the database, so that one file is all of it. Not worth waiting for long.
            let closed = async { tokio::time::timeout(LAST_WORD, stores.pool.close()).await };
            let _ = back_office.block_on(closed);
            back_office.shutdown_timeout(Duration::from_millis(500));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// The runtime that owns the stores and runs the jobs.
pub fn back_office() -> Result<Runtime, StartError> {
    runtime("back-office")
}

fn runtime(name: &str) -> Result<Runtime, StartError> {
    let built = Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build();
    built.map_err(|error| StartError::Process(error.to_string()))
}

/// Starts diagnostics.
pub fn watch(settings: &Settings) {
    diagnostics::start(&settings.log.level);
    panics::report();
}

/// Says which settings are weaker than their default. After the start: one that fails says why in one sentence.
pub fn warn(settings: &Settings) {
    for warning in &settings.warnings {
        tracing::warn!(setting = %warning.path, problem = %warning.problem, "a setting is weaker than its default");
    }
}

/// On the predecessor's socket if it is for this address, which it also is when any port would do; or on one of its own.
fn listen(address: SocketAddr, inherited: Option<TcpListener>) -> Result<(SocketAddr, TcpListener), StartError> {
    if let Some(socket) = inherited {
        let refused = |error: std::io::Error| StartError::Listen { address, cause: error.to_string() };
        let bound = socket.local_addr().map_err(refused)?;
        if bound == address || (address.port() == 0 && bound.ip() == address.ip()) {
            socket.set_nonblocking(true).map_err(refused)?;
            return Ok((bound, socket));
        }
    }
    bind(address)
}

fn bind(address: SocketAddr) -> Result<(SocketAddr, TcpListener), StartError> {
    let refused = |error: std::io::Error| StartError::Listen { address, cause: error.to_string() };
    let socket = TcpListener::bind(address).map_err(refused)?;
    socket.set_nonblocking(true).map_err(refused)?;
    Ok((socket.local_addr().map_err(refused)?, socket))
}

struct StoreAnswers(Arc<dyn Invalidations>);

#[async_trait]
impl Readiness for StoreAnswers {
    async fn is_ready(&self) -> bool {
        let answer = tokio::time::timeout(Duration::from_secs(1), self.0.newest()).await;
        matches!(answer, Ok(Ok(_)))
    }
}

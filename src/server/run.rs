//! A process from start to drain.
//!
//! Three kinds of runtime: one that owns the stores and runs the jobs, one that serves what is served here, and
//! single-threaded workers that proxy. A flood of sign-ins or of tokens to verify keeps the second busy, and neither the
//! look-ups of proxied requests nor the following of revocations. The first outlives the others, which ask the stores. Sockets are bound before anything runs, so
//! that a port in use is a sentence and not a panic, and are handed to Pingora as it would get them from a predecessor.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::apps::http_app::HttpServer;
use pingora_core::server::configuration::ServerConf;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use super::assemble::{Assembly, Runtimes, assemble};
use super::ground::Nature;
use super::mail;
use super::start_error::StartError;
use super::workers::{Workers, accept};
use crate::backends::sql::Pool;
use crate::cache::quotas::QuotaBook;
use crate::config::settings::Settings;
use crate::domain::clock::Clock;
use crate::edge::echo::Echo;
use crate::edge::in_flight::InFlight;
use crate::edge::ops::{Ops, Readiness};
use crate::edge::wire::GuardedApp;
use crate::jobs::record_uses::RecordUses;
use crate::storage::invalidations::{Heed, Invalidations};
use crate::telemetry::diagnostics;
use crate::telemetry::metrics::{CacheName, Metrics};
use crate::telemetry::panics;

/// How long connections get to hear `Connection: close` before the door shuts.
const SETTLE: Duration = Duration::from_millis(300);
/// How long the store may take over what is left to be told to it, and over being closed.
const LAST_WORD: Duration = Duration::from_secs(2);

/// A gateway that serves.
pub struct Running {
    // Dropped in this order: workers before the stores that they ask.
    workers: Option<Workers>,
    front_desk: Option<Runtime>,
    back_office: Option<Runtime>,
    /// Closes the door to new requests.
    stop: watch::Sender<bool>,
    /// Ends what must go on while the last requests are answered: the jobs, and what operators look at.
    end: watch::Sender<bool>,
    quotas: Arc<QuotaBook>,
    clock: Arc<dyn Clock>,
    record_uses: Arc<RecordUses>,
    pool: Pool,
    _heed: Arc<dyn Heed>,
    in_flight: InFlight,
    metrics: Arc<Metrics>,
    drain_timeout: Duration,
    http: SocketAddr,
    ops: SocketAddr,
}

impl Running {
    /// Starts with the machine's own clock and randomness.
    pub fn start(settings: &Settings) -> Result<Self, StartError> {
        Self::start_with(settings, &Nature::real())
    }

    pub fn start_with(settings: &Settings, nature: &Nature) -> Result<Self, StartError> {
        // Everything that can be wrong with stores and keys is found before any socket opens.
        let back_office = back_office()?;
        let front_desk = runtime("front-desk")?;
        let runtimes = Runtimes { stores: back_office.handle().clone(), handlers: front_desk.handle().clone() };
        let assembly = back_office.block_on(assemble(settings, nature, &runtimes))?;
        let conf = Arc::new(server_conf(settings)?);
        let (http, http_socket) = bind(settings.listen.http)?;
        let (ops, ops_socket) = bind(settings.listen.ops)?;
        let (stop, stopped) = watch::channel(false);
        let (end, ended) = watch::channel(false);

        let Assembly {
            gateway,
            wire,
            metrics,
            in_flight,
            gatekeeper,
            counters,
            quotas,
            connections,
            passwords,
            stores,
            record_uses,
            schedule,
            heed,
            shared,
        } = assembly;
        mail::announce(&settings.mail);
        schedule.start(back_office.handle(), &ended);

        let ops_app = {
            let metrics = Arc::clone(&metrics);
            Ops {
                metrics: Arc::clone(&metrics),
                in_flight: in_flight.clone(),
                readiness: Arc::new(StoreAnswers(stores.invalidations)),
                refresh: Arc::new(move || {
                    metrics.panics.reset();
                    metrics.panics.inc_by(panics::count());
                    metrics.hashing_waiting.set(i64::try_from(passwords.waiting()).unwrap_or(i64::MAX));
                    metrics.cache_holds(CacheName::Tokens, gatekeeper.token_bytes_held());
                    let (addresses, callers) = counters.held();
                    metrics.limits_count(addresses, callers);
                    metrics.limits_local.set(i64::from(counters.is_alone()));
                    metrics.connections.set(i64::try_from(connections.open()).unwrap_or(i64::MAX));
                    let (in_all, per_network) = connections.refused();
                    metrics.connections_refused(in_all, per_network);
                    if let Some(shared) = &shared {
                        shared.refresh();
                    }
                }),
            }
        };
        back_office.spawn(accept("ops", HttpServer::new_app(ops_app), ops, ops_socket, ended));

        let proxy = Arc::new(pingora_proxy::http_proxy(&conf, gateway));
        let wire = Arc::new(wire);
        let app = || GuardedApp::new(Arc::clone(&proxy), Arc::clone(&wire));
        let workers = Workers::start(settings.workers.threads, http, &http_socket, &stopped, app)
            .map_err(|error| StartError::Process(error.to_string()))?;

        let drain_timeout = settings.limits.drain_timeout;
        Ok(Self {
            workers: Some(workers),
            front_desk: Some(front_desk),
            back_office: Some(back_office),
            stop,
            end,
            quotas,
            clock: Arc::clone(&nature.clock),
            record_uses,
            pool: stores.pool,
            _heed: heed,
            in_flight,
            metrics,
            drain_timeout,
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
        &self.metrics
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
        self.in_flight.drain();
        std::thread::sleep(SETTLE);
        let _ = self.stop.send(true);
        let pause = Duration::from_millis(10);
        let mut left = self.drain_timeout;
        while self.in_flight.count() > 0 && !left.is_zero() {
            std::thread::sleep(pause);
            left = left.saturating_sub(pause);
        }
        let done = self.in_flight.count() == 0;
        self.shut_down();
        done
    }

    fn shut_down(&mut self) {
        let _ = self.stop.send(true);
        let _ = self.end.send(true);
        self.workers = None;
        if let Some(front_desk) = self.front_desk.take() {
            front_desk.shutdown_timeout(Duration::from_millis(500));
        }
        if let Some(back_office) = self.back_office.take() {
            // What the last requests were made with. After them, and before there is no store any more.
            let recorded = async { tokio::time::timeout(LAST_WORD, self.record_uses.run_once()).await };
            if !matches!(back_office.block_on(recorded), Ok(Ok(()))) {
                tracing::warn!("the last uses of keys could not be recorded");
            }
            let written = async { tokio::time::timeout(LAST_WORD, self.quotas.write(self.clock.now())).await };
            if !matches!(back_office.block_on(written), Ok(Ok(()))) {
                tracing::warn!("what was used of quotas since they were last written is lost");
            }
            // Folds the write-ahead log into the database, so that one file is all of it. Not worth waiting for long.
            let closed = async { tokio::time::timeout(LAST_WORD, self.pool.close()).await };
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

fn bind(address: SocketAddr) -> Result<(SocketAddr, TcpListener), StartError> {
    let refused = |error: std::io::Error| StartError::Listen { address, cause: error.to_string() };
    let socket = TcpListener::bind(address).map_err(refused)?;
    socket.set_nonblocking(true).map_err(refused)?;
    Ok((socket.local_addr().map_err(refused)?, socket))
}

fn server_conf(settings: &Settings) -> Result<ServerConf, StartError> {
    let mut authorities = settings.upstreams.iter().filter_map(|upstream| upstream.tls.as_ref()).map(|tls| &tls.ca);
    let first = authorities.next().cloned().flatten();
    if authorities.any(|other| *other != first) {
        return Err(StartError::SeveralAuthorities);
    }
    Ok(ServerConf {
        threads: settings.workers.threads.max(1),
        work_stealing: false,
        ca_file: first.map(|path| path.display().to_string()),
        ..ServerConf::default()
    })
}

struct StoreAnswers(Arc<dyn Invalidations>);

#[async_trait]
impl Readiness for StoreAnswers {
    async fn is_ready(&self) -> bool {
        let answer = tokio::time::timeout(Duration::from_secs(1), self.0.newest()).await;
        matches!(answer, Ok(Ok(_)))
    }
}

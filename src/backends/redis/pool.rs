//! Connections, and the only way to use one.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, Client, ErrorKind, RedisError, RedisResult, ServerErrorKind};
use deadpool_redis::{Manager, Pool, PoolError};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};

use super::server::{RedisServer, RefusedByRedis};
use crate::domain::circuit_breaker::{BreakerRules, CircuitBreaker};
use crate::domain::clock::Timestamp;
use crate::storage::shared_memory::Silence;

const RULES: BreakerRules = BreakerRules { failures: 3, rest: Duration::from_millis(500) };
/// For what nobody waits for: a trial, and the first call.
const PATIENT_DEADLINE: Duration = Duration::from_secs(1);

/// A connection for the time of one call. A clone is another handle of the same.
pub type Connection = MultiplexedConnection;

/// Why there is no answer. Never holds a URL or a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("Redis is not asked for a moment, because it did not answer")]
    Resting,
    #[error("Redis did not answer in time")]
    Late,
    #[error("Redis cannot be used: {0}")]
    Failed(String),
    /// It answers, and says no: out of memory, another type under this key, not allowed.
    #[error("Redis refuses: {0}")]
    Refused(String),
}

/// Cheap to clone.
#[derive(Clone)]
pub struct RedisPool(Arc<Inner>);

struct Inner {
    connections: Pool,
    client: Client,
    server: RedisServer,
    breaker: Mutex<CircuitBreaker>,
    /// Where calls are made and connections live, whichever runtime asks.
    runtime: Handle,
    answers: AtomicBool,
    /// Somebody tries in the background.
    reviving: AtomicBool,
    started: Instant,
}

impl RedisPool {
    /// Connects to nothing yet.
    pub fn new(server: RedisServer, runtime: Handle) -> Result<Self, RefusedByRedis> {
        let client = server.client()?;
        let manager = Manager::new(client.get_connection_info().clone()).map_err(|_| RefusedByRedis::Url)?;
        let connections = Pool::builder(manager).max_size(server.connections.max(1)).build();
        Ok(Self(Arc::new(Inner {
            connections: connections.map_err(|_| RefusedByRedis::Url)?,
            client,
            server,
            breaker: Mutex::new(CircuitBreaker::new(RULES)),
            runtime,
            answers: AtomicBool::new(false),
            reviving: AtomicBool::new(false),
            started: Instant::now(),
        })))
    }

    /// A first call. One that fails for now opens the circuit, and is tried again like any other.
    ///
    /// # Errors
    /// What no waiting mends.
    pub async fn greet(&self) -> Result<Result<(), Unavailable>, RefusedByRedis> {
        let this = self.clone();
        let greeting = self.0.runtime.spawn(async move {
            let answer = this.attempt(PATIENT_DEADLINE, ping).await;
            if let Err(Miss::Error(error)) = &answer
                && let Some(refusal) = this.0.server.refusal(error)
            {
                return Err(refusal);
            }
            if answer.as_ref().is_err_and(Miss::is_failure) {
                for _ in 0..RULES.failures {
                    this.note_failure();
                }
            } else {
                this.note_answer();
            }
            Ok(answer.map_err(Unavailable::from))
        });
        greeting.await.unwrap_or_else(|gone| Ok(Err(Unavailable::Failed(gone.to_string()))))
    }

    /// Does `work` on a connection of its own, within the deadline, and not at all while Redis does not answer. `work` is
    /// finished or cut off by the deadline also when whoever asked is gone. A connection whose call did not end well is
    /// closed: the answer to one call must never be taken for that to another (redis-rs#1252).
    pub async fn call<T, W, F>(&self, work: W) -> Result<T, Unavailable>
    where
        T: Send + 'static,
        W: FnOnce(Connection) -> F + Send + 'static,
        F: Future<Output = RedisResult<T>> + Send + 'static,
    {
        if !self.0.breaker.lock().admits() {
            return Err(Unavailable::Resting);
        }
        let this = self.clone();
        let call = self.0.runtime.spawn(async move {
            let answer = this.attempt(this.0.server.deadline, work).await;
            match &answer {
                Err(miss) if miss.is_failure() => this.note_failure(),
                _ => this.note_answer(),
            }
            answer
        });
        match call.await {
            Ok(answer) => answer.map_err(Unavailable::from),
            Err(gone) => Err(Unavailable::Failed(gone.to_string())),
        }
    }

    /// Whether Redis is asked: `false` from some failures in a row until a trial has succeeded.
    pub fn is_asked(&self) -> bool {
        self.0.breaker.lock().admits()
    }

    /// Whether the last call, or trial, was answered.
    pub fn answers(&self) -> bool {
        self.0.answers.load(Ordering::Relaxed)
    }

    /// For a connection that is no call, such as one that listens.
    pub(super) fn client(&self) -> &Client {
        &self.0.client
    }

    pub fn place(&self) -> String {
        self.0.server.place()
    }

    async fn attempt<T, W, F>(&self, deadline: Duration, work: W) -> Result<T, Miss>
    where
        W: FnOnce(Connection) -> F,
        F: Future<Output = RedisResult<T>>,
    {
        let attempt = async {
            let lent = self.0.connections.get().await.map_err(Miss::from)?;
            let mut lent = Lent(Some(lent));
            let Some(connection) = lent.handle() else { return Err(Miss::Late) };
            let answer = work(connection).await.map_err(Miss::Error);
            if !answer.as_ref().is_err_and(Miss::is_failure) {
                lent.give_back();
            }
            answer
        };
        timeout(deadline, attempt).await.unwrap_or(Err(Miss::Late))
    }

    fn now(&self) -> Timestamp {
        let since = i64::try_from(self.0.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(since)
    }

    fn note_answer(&self) {
        self.0.answers.store(true, Ordering::Relaxed);
        if self.0.breaker.lock().succeeded() {
            tracing::info!(redis = %self.place(), "Redis answers again");
        }
    }

    fn note_failure(&self) {
        self.0.answers.store(false, Ordering::Relaxed);
        // What is idle goes to the same place. If that has gone without a word, each would cost another deadline.
        self.0.connections.retain(|_, _| false);
        if self.0.breaker.lock().failed(self.now()) {
            tracing::warn!(redis = %self.place(), "Redis does not answer; the gateway goes on without it and keeps trying");
        }
        if !self.0.reviving.swap(true, Ordering::AcqRel) {
            let this = self.clone();
            self.0.runtime.spawn(async move { this.revive().await });
        }
    }

    /// Tries in the background until Redis answers, so that no request has to, and a node that nobody asks knows it too.
    async fn revive(self) {
        loop {
            sleep(RULES.rest).await;
            if self.answers() {
                self.0.reviving.store(false, Ordering::Release);
                // A failure in between has left the trying to this one.
                if self.answers() || self.0.reviving.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
            let due = {
                let mut breaker = self.0.breaker.lock();
                breaker.admits() || breaker.try_probe(self.now())
            };
            if due {
                match self.attempt(PATIENT_DEADLINE, ping).await {
                    Err(miss) if miss.is_failure() => self.note_failure(),
                    _ => self.note_answer(),
                }
            }
        }
    }
}

async fn ping(mut connection: Connection) -> RedisResult<()> {
    redis::cmd("PING").exec_async(&mut connection).await
}

/// Closed when dropped, unless it was given back: a call that is cut off leaves an answer on the way.
struct Lent(Option<deadpool_redis::Connection>);

impl Lent {
    fn handle(&self) -> Option<Connection> {
        self.0.as_ref().map(|lent| MultiplexedConnection::clone(lent))
    }

    fn give_back(&mut self) {
        self.0 = None;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(lent) = self.0.take() {
            drop(deadpool_redis::Connection::take(lent));
        }
    }
}

/// An attempt without an answer that is worth something.
#[derive(Debug)]
enum Miss {
    Late,
    NoConnection(String),
    Error(RedisError),
}

impl Miss {
    /// `false` when Redis is there and refuses only this.
    fn is_failure(&self) -> bool {
        match self {
            Self::Late | Self::NoConnection(_) => true,
            Self::Error(error) => match error.kind() {
                ErrorKind::Server(kind) => matches!(
                    kind,
                    ServerErrorKind::BusyLoading
                        | ServerErrorKind::MasterDown
                        | ServerErrorKind::ReadOnly
                        | ServerErrorKind::ClusterDown
                ),
                // A code that the library does not know: OOM, WRONGTYPE, MISCONF. Not signed in is not only about this.
                ErrorKind::Extension => error.code() == Some("NOAUTH"),
                ErrorKind::UnexpectedReturnType | ErrorKind::Client => false,
                _ => true,
            },
        }
    }
}

impl From<PoolError> for Miss {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::Error(error),
            PoolError::Timeout(_) => Self::Late,
            other => Self::NoConnection(other.to_string()),
        }
    }
}

impl From<Miss> for Unavailable {
    fn from(miss: Miss) -> Self {
        let refused = !miss.is_failure();
        match miss {
            Miss::Late => Self::Late,
            Miss::NoConnection(why) => Self::Failed(why),
            Miss::Error(error) if refused => Self::Refused(error.to_string()),
            Miss::Error(error) => Self::Failed(error.to_string()),
        }
    }
}

impl From<Unavailable> for Silence {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Refused(why) => Self::Refused(why),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

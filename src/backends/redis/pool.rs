//! The only way to ask Redis something.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use deadpool_redis::redis::{self, Cmd, RedisResult};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout_at};

use super::connection::Connection;
use super::lines::Lines;
use super::miss::{Miss, Unavailable};
use super::origin::{Hello, Origin};
use super::server::{RedisServer, RefusedByRedis};
use crate::domain::circuit_breaker::{BreakerRules, CircuitBreaker};
use crate::domain::clock::Timestamp;
use crate::domain::redis_deployment::RedisDeployment;

const RULES: BreakerRules = BreakerRules { failures: 3, rest: Duration::from_millis(500) };
/// For what nobody waits for: a trial, and the first call.
const PATIENT_DEADLINE: Duration = Duration::from_secs(1);

/// Cheap to clone.
#[derive(Clone)]
pub struct RedisPool(Arc<Inner>);

struct Inner {
    /// Harmless, and answered where it matters.
    trial: Cmd,
    lines: Lines,
    origin: Arc<Origin>,
    server: RedisServer,
    health: Mutex<Health>,
    /// When there was an answer in time, for whichever call.
    answered: AtomicI64,
    /// Where calls are made and connections live, whichever runtime asks.
    runtime: Handle,
    answers: AtomicBool,
    /// Somebody tries in the background.
    reviving: AtomicBool,
    started: Instant,
}

struct Health {
    breaker: CircuitBreaker,
    /// When the last failure was found that counts.
    failed: Timestamp,
}

impl RedisPool {
    /// Connects to nothing yet.
    pub fn new(server: RedisServer, runtime: Handle) -> Result<Self, RefusedByRedis> {
        let origin = Arc::new(server.origin()?);
        let lines = Lines::new(Arc::clone(&origin), runtime.clone(), server.connections);
        Ok(Self::over(lines, origin, server, runtime, redis::cmd("PING")))
    }

    /// On the same connections, and judged by its own calls alone: what lies at one node of a cluster, as `key` does, is not
    /// asked for when that node is gone, whatever the others answer.
    pub(super) fn beside(&self, key: &str) -> Self {
        let Inner { lines, origin, server, runtime, .. } = &*self.0;
        let mut trial = redis::cmd("GET");
        trial.arg(key);
        Self::over(lines.clone(), Arc::clone(origin), server.clone(), runtime.clone(), trial)
    }

    fn over(lines: Lines, origin: Arc<Origin>, server: RedisServer, runtime: Handle, trial: Cmd) -> Self {
        Self(Arc::new(Inner {
            trial,
            lines,
            origin,
            server,
            health: Mutex::new(Health { breaker: CircuitBreaker::new(RULES), failed: Timestamp::from_micros(-1) }),
            answered: AtomicI64::new(-1),
            runtime,
            answers: AtomicBool::new(false),
            reviving: AtomicBool::new(false),
            started: Instant::now(),
        }))
    }

    /// A first call. One that fails for now opens the circuit, and is tried again like any other.
    ///
    /// # Errors
    /// What no waiting mends.
    pub async fn greet(&self) -> Result<Result<(), Unavailable>, RefusedByRedis> {
        let this = self.clone();
        let greeting = self.0.runtime.spawn(async move {
            let begun = this.now();
            let said = match &*this.0.origin {
                Origin::Standalone { place, .. } => {
                    this.attempt(PATIENT_DEADLINE, hello).await.map(|hello| Some((place.clone(), hello)))
                }
                Origin::Cluster(cluster) => cluster.introduce().await.map(Some).map_err(Miss::Unreachable),
                Origin::Sentinel(_) => Ok(None),
            };
            let answer = match said {
                Ok(Some((place, hello))) if let Some(refusal) = this.0.server.refusal_of(&place, &hello) => {
                    return Err(refusal);
                }
                Ok(_) => this.try_out().await,
                Err(miss) => Err(miss),
            };
            let refusal = match &answer {
                Err(Miss::Error(error)) => this.0.server.refusal_of_call(error),
                Err(Miss::Unreachable(unreachable)) => this.0.server.refusal_of_connection(unreachable),
                _ => None,
            };
            if let Some(refusal) = refusal {
                return Err(refusal);
            }
            if answer.as_ref().is_err_and(Miss::is_failure) {
                for _ in 1..RULES.failures {
                    this.0.health.lock().breaker.failed(begun);
                }
            }
            this.note(&answer, begun);
            Ok(answer.map_err(Unavailable::from))
        });
        greeting.await.unwrap_or_else(|gone| Ok(Err(Unavailable::Failed(gone.to_string()))))
    }

    /// Does `work` on a connection, within the deadline, and not at all while Redis does not answer. `work` is finished or
    /// cut off by the deadline also when whoever asked is gone.
    pub async fn call<T, W, F>(&self, work: W) -> Result<T, Unavailable>
    where
        T: Send + 'static,
        W: FnOnce(Connection) -> F + Send + 'static,
        F: Future<Output = RedisResult<T>> + Send + 'static,
    {
        if !self.is_asked() {
            return Err(Unavailable::Resting);
        }
        let this = self.clone();
        let call = self.0.runtime.spawn(async move {
            let begun = this.now();
            let answer = this.attempt(this.0.server.deadline, work).await;
            this.note(&answer, begun);
            answer
        });
        match call.await {
            Ok(answer) => answer.map_err(Unavailable::from),
            Err(gone) => Err(Unavailable::Failed(gone.to_string())),
        }
    }

    /// Whether Redis is asked: `false` from some failures in a row until a trial has succeeded.
    pub fn is_asked(&self) -> bool {
        self.0.health.lock().breaker.admits()
    }

    /// Whether the last call, or trial, was answered.
    pub fn answers(&self) -> bool {
        self.0.answers.load(Ordering::Relaxed)
    }

    /// For a connection that is no call, such as one that listens.
    pub(super) fn origin(&self) -> &Arc<Origin> {
        &self.0.origin
    }

    /// Whether keys lie at different servers, and one script takes only what lies at one.
    pub fn is_spread(&self) -> bool {
        matches!(self.0.server.deployment, RedisDeployment::Cluster { .. })
    }

    pub fn place(&self) -> String {
        self.0.server.place()
    }

    async fn attempt<T, W, F>(&self, deadline: Duration, work: W) -> Result<T, Miss>
    where
        W: FnOnce(Connection) -> F,
        F: Future<Output = RedisResult<T>>,
    {
        let (begun, until) = (self.now(), Instant::now() + deadline);
        let line = timeout_at(until, self.0.lines.take()).await.map_err(|_| Miss::Late)?.map_err(Miss::Unreachable)?;
        let answer = match timeout_at(until, work(line.connection())).await {
            Ok(answer) => answer.map_err(Miss::Error),
            Err(_) => Err(Miss::Late),
        };
        match &answer {
            // Of many calls on one connection a few may be late. One where all are is replaced, whatever has become of it.
            Err(Miss::Late) if line.has_answered_since(begun) => {}
            Err(miss) if miss.is_failure() => self.0.lines.retire(&line),
            _ => line.note_answer(self.now()),
        }
        answer
    }

    async fn try_out(&self) -> Result<(), Miss> {
        let trial = self.0.trial.clone();
        let work = |mut connection| async move { trial.exec_async(&mut connection).await };
        self.attempt(PATIENT_DEADLINE, work).await
    }

    fn now(&self) -> Timestamp {
        let since = i64::try_from(self.0.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(since)
    }

    fn note<T>(&self, answer: &Result<T, Miss>, begun: Timestamp) {
        match answer {
            Err(miss) if miss.is_failure() => self.note_failure(miss, begun),
            _ => self.note_answer(),
        }
    }

    fn note_answer(&self) {
        self.0.answered.fetch_max(self.now().as_micros(), Ordering::Relaxed);
        self.0.answers.store(true, Ordering::Relaxed);
        if self.0.health.lock().breaker.succeeded() {
            tracing::info!(redis = %self.place(), "Redis answers again");
        }
    }

    fn note_failure(&self, miss: &Miss, begun: Timestamp) {
        // Redis answers others meanwhile: that this call got no answer is for want of time here, or of a connection, or one
        // connection's end. Taken for Redis's failure it would let a flood of requests turn off what counts them.
        let is_ours = !miss.is_said() && self.0.answered.load(Ordering::Relaxed) >= begun.as_micros();
        if is_ours {
            return;
        }
        self.0.answers.store(false, Ordering::Relaxed);
        let opens = {
            let mut health = self.0.health.lock();
            // However many wait at once, they find one failure.
            let is_news = begun >= health.failed;
            is_news && {
                let now = self.now();
                health.failed = now;
                health.breaker.failed(now)
            }
        };
        // The others go to the same place. If that has gone without a word, each would cost another deadline.
        self.0.lines.retire_all();
        if opens {
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
            let begun = self.now();
            let due = {
                let mut health = self.0.health.lock();
                health.breaker.admits() || health.breaker.try_probe(begun)
            };
            if due {
                let answer = self.try_out().await;
                self.note(&answer, begun);
            }
        }
    }
}

async fn hello(mut connection: Connection) -> RedisResult<Hello> {
    Hello::ask(&mut connection).await
}

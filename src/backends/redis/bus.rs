//! Messages to whoever listens at this moment (Redis pub/sub).
//!
//! Listening has a connection of its own, in RESP3, where messages come beside the answers: so it can be asked every second
//! whether it is still there, and a Redis that hangs is noticed like one that is gone.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, AsyncConnectionConfig, ErrorKind, PushInfo, PushKind, RedisError, Value};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::miss::Miss;
use super::pool::RedisPool;
use crate::domain::backoff::Backoff;
use crate::domain::random::{self, Random};
use crate::storage::shared_memory::{Bus, Hear, Silence};

const DEADLINE: Duration = Duration::from_secs(1);
const ASK_EVERY: Duration = Duration::from_secs(1);
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(2) };

#[derive(Clone)]
pub struct RedisBus {
    pool: RedisPool,
    channel: Arc<str>,
}

impl RedisBus {
    pub fn new(pool: RedisPool, channel: &str) -> Self {
        Self { pool, channel: channel.into() }
    }

    /// Listens until `stop` turns true, on a new connection whenever one is lost.
    pub async fn listen(self, hear: Arc<dyn Hear>, random: Arc<dyn Random>, mut stop: watch::Receiver<bool>) {
        let mut failures = 0_u32;
        while !*stop.borrow() {
            let listening = async {
                let gone = Arc::new(Notify::new());
                if let Ok(Ok(connection)) = timeout(DEADLINE, self.subscribe(&hear, &gone)).await {
                    hear.connected();
                    failures = 0;
                    self.while_alive(connection, &gone).await;
                }
                hear.disconnected();
                failures = failures.saturating_add(1);
                sleep(BACKOFF.delay(failures, u32::from_le_bytes(random::bytes(random.as_ref())))).await;
            };
            tokio::select! {
                () = listening => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn subscribe(&self, hear: &Arc<dyn Hear>, gone: &Arc<Notify>) -> Result<MultiplexedConnection, Miss> {
        let (hear, gone) = (Arc::clone(hear), Arc::clone(gone));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(DEADLINE))
            // Called where the connection is read: messages that come faster than they are dealt with wait at their sender.
            .set_push_sender(move |push: PushInfo| -> Result<(), RedisError> {
                match (&push.kind, push.data.as_slice()) {
                    (PushKind::Message, [_, Value::BulkString(message)]) => hear.heard(message),
                    (PushKind::Disconnection, _) => gone.notify_one(),
                    _ => {}
                }
                Ok(())
            });
        let mut connection = self.pool.origin().connect(&config).await.map_err(Miss::Unreachable)?;
        connection.subscribe(&*self.channel).await.map_err(Miss::Error)?;
        Ok(connection)
    }

    /// Returns when the connection is of no more use.
    async fn while_alive(&self, mut connection: MultiplexedConnection, gone: &Notify) {
        while timeout(ASK_EVERY, gone.notified()).await.is_err() {
            let answer = timeout(DEADLINE, self.pool.origin().is_there(&mut connection)).await;
            let alive = match answer {
                Ok(Ok(is_there)) => is_there,
                Ok(Err(error)) => matches!(error.kind(), ErrorKind::Server(_)),
                Err(_) => false,
            };
            if !alive {
                return;
            }
        }
    }
}

#[async_trait]
impl Bus for RedisBus {
    async fn publish(&self, message: Vec<u8>) -> Result<(), Silence> {
        let channel = Arc::clone(&self.channel);
        let publish = self.pool.call(move |connection| async move {
            let mut command = redis::cmd("PUBLISH");
            command.arg(&*channel).arg(message);
            connection.anywhere(command).await
        });
        Ok(publish.await?)
    }
}

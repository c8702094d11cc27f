//! Where connections are made to, at this moment.

use std::collections::HashMap;

use deadpool_redis::redis::aio::{ConnectionLike, MultiplexedConnection};
use deadpool_redis::redis::{self, AsyncConnectionConfig, Client, RedisError, RedisResult, Value};

use super::cluster::Cluster;
use super::connection::Connection;
use super::sentinels::Sentinels;

pub(super) enum Origin {
    Standalone { client: Client, place: String },
    Sentinel(Sentinels),
    Cluster(Box<Cluster>),
}

/// Why there is no connection. Never holds a URL or a password.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Unreachable {
    #[error("there was no connection in time")]
    Silent,
    #[error("{place}: {error}")]
    Failed { place: String, error: RedisError },
    #[error("the sentinels know no master {master}")]
    UnknownMaster { master: String },
    #[error("{place} is no sentinel")]
    NoSentinel { place: String },
    #[error("{place} is not the master any more, or not yet")]
    NoMaster { place: String },
    /// The process ends.
    #[error("connections are closed")]
    Stopped,
}

impl Origin {
    /// What calls are made on.
    pub async fn open(&self, config: &AsyncConnectionConfig) -> Result<Connection, Unreachable> {
        match self {
            Self::Cluster(cluster) => cluster.open().await.map(Connection::Cluster),
            _ => self.connect(config).await.map(Connection::Server),
        }
    }

    /// Connects to one server, in RESP3: the one that takes writes, or any node of a cluster.
    pub async fn connect(&self, config: &AsyncConnectionConfig) -> Result<MultiplexedConnection, Unreachable> {
        match self {
            Self::Standalone { client, place } => {
                let connected = client.get_multiplexed_async_connection_with_config(config).await;
                connected.map_err(|error| Unreachable::Failed { place: place.clone(), error })
            }
            Self::Sentinel(sentinels) => sentinels.connect(config).await,
            Self::Cluster(cluster) => cluster.connect_to_one(config).await,
        }
    }

    /// Asks a connection whether it still leads to where one would be made to now.
    pub async fn is_there(&self, connection: &mut MultiplexedConnection) -> RedisResult<bool> {
        match self {
            Self::Standalone { .. } | Self::Cluster(_) => {
                redis::cmd("PING").exec_async(connection).await.map(|()| true)
            }
            Self::Sentinel(_) => Ok(Hello::ask(connection).await?.is_master()),
        }
    }
}

/// What a server says about itself. Whoever may connect may ask that, so no ACL has to allow `ROLE` or `INFO`.
pub(super) struct Hello(HashMap<String, Value>);

impl Hello {
    pub async fn ask(connection: &mut impl ConnectionLike) -> RedisResult<Self> {
        redis::cmd("HELLO").arg(3).query_async(connection).await.map(Self)
    }

    pub fn is_master(&self) -> bool {
        self.says("role", b"master")
    }

    pub fn is_sentinel(&self) -> bool {
        self.says("mode", b"sentinel")
    }

    pub fn is_of_a_cluster(&self) -> bool {
        self.says("mode", b"cluster")
    }

    fn says(&self, what: &str, expected: &[u8]) -> bool {
        match self.0.get(what) {
            Some(Value::BulkString(said)) => said == expected,
            Some(Value::SimpleString(said)) => said.as_bytes() == expected,
            _ => false,
        }
    }
}

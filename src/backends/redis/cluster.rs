//! A cluster, as the nodes that the settings name know it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::cluster::ClusterClient;
use deadpool_redis::redis::cluster_async::ClusterConnection;
use deadpool_redis::redis::{AsyncConnectionConfig, Client, ConnectionInfo, RedisResult, TlsCertificates};

use super::origin::{Hello, Unreachable};
use super::server::{is_final, place_of};

/// To connect to one node. Nodes that are named and gone must not keep the others waiting.
const CONNECTING: Duration = Duration::from_millis(500);
/// Longer than any call waits: it is for the questions that the library asks by itself.
const ANSWERING: Duration = Duration::from_secs(1);
/// A question that went to the wrong node follows the keys; more than that is no use within any deadline.
const RETRIES: u32 = 3;

pub(super) struct Cluster {
    client: ClusterClient,
    nodes: Vec<Client>,
    next: AtomicUsize,
}

impl Cluster {
    pub fn new(nodes: Vec<Client>, certificates: Option<TlsCertificates>) -> RedisResult<Self> {
        let infos = || nodes.iter().map(|node| node.get_connection_info().clone());
        let mut builder = ClusterClient::builder(infos())
            .connection_timeout(CONNECTING)
            .response_timeout(ANSWERING)
            .retries(RETRIES)
            // In milliseconds.
            .min_retry_wait(5)
            .max_retry_wait(50);
        if let Some(tcp) = infos().next().as_ref().map(ConnectionInfo::tcp_settings) {
            builder = builder.tcp_settings(tcp.clone());
        }
        if let Some(certificates) = certificates {
            builder = builder.certs(certificates);
        }
        Ok(Self { client: builder.build()?, nodes, next: AtomicUsize::new(0) })
    }

    /// To all nodes.
    pub async fn open(&self) -> Result<ClusterConnection, Unreachable> {
        let failed = |error| Unreachable::Failed { place: "the cluster".to_owned(), error };
        self.client.get_async_connection().await.map_err(failed)
    }

    /// To one node: what is published at any of them is heard at all. Another one each time, so that one that is gone is
    /// left.
    pub async fn connect_to_one(&self, config: &AsyncConnectionConfig) -> Result<MultiplexedConnection, Unreachable> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let node = self.nodes.get(turn % self.nodes.len().max(1)).ok_or(Unreachable::Stopped)?;
        connect(node, config).await
    }

    /// What the first node says that says anything.
    pub async fn introduce(&self) -> Result<(String, Hello), Unreachable> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTING))
            .set_response_timeout(Some(CONNECTING));
        let mut last = Unreachable::Stopped;
        for node in &self.nodes {
            let place = place_of(node.get_connection_info());
            let introduced = async {
                let mut connection = connect(node, &config).await?;
                let said = Hello::ask(&mut connection).await;
                said.map_err(|error| Unreachable::Failed { place: place.clone(), error })
            };
            match introduced.await {
                Ok(hello) => return Ok((place, hello)),
                Err(Unreachable::Failed { place, error }) if is_final(&error) => {
                    return Err(Unreachable::Failed { place, error });
                }
                Err(unreachable) => last = unreachable,
            }
        }
        Err(last)
    }
}

async fn connect(node: &Client, config: &AsyncConnectionConfig) -> Result<MultiplexedConnection, Unreachable> {
    let connected = node.get_multiplexed_async_connection_with_config(config).await;
    connected.map_err(|error| Unreachable::Failed { place: place_of(node.get_connection_info()), error })
}

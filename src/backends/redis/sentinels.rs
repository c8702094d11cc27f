//! The master of the moment, as sentinels know it.
//!
//! All of them are asked at once: the machine that went down with the master may have been a sentinel's, too, and waiting for
//! it in vain would take longer than anybody has. An answer counts when the server that it names says of itself that it is
//! a master. Sentinels cut the connections of whoever was it before.

use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{
    self, AsyncConnectionConfig, Client, ConnectionAddr, RedisConnectionInfo, RedisError, RedisResult, TlsCertificates,
};
use tokio::task::JoinSet;

use super::origin::{Hello, Unreachable};
use super::server::{self, is_final};

/// For one question to a sentinel.
const DEADLINE: Duration = Duration::from_millis(500);

pub(super) struct Sentinels {
    pub clients: Vec<Client>,
    /// What they call the master.
    pub master: String,
    /// What the master is spoken to with.
    pub tls: bool,
    pub settings: RedisConnectionInfo,
    pub certificates: Option<TlsCertificates>,
}

type Address = (String, u16);

enum Found {
    Address(Option<Address>),
    Master(MultiplexedConnection),
}

impl Sentinels {
    pub async fn connect(&self, config: &AsyncConnectionConfig) -> Result<MultiplexedConnection, Unreachable> {
        let mut searches = JoinSet::new();
        for client in &self.clients {
            searches.spawn(ask(client.clone(), self.master.clone()));
        }
        let mut tried: Vec<Address> = Vec::new();
        let (mut of_master, mut of_sentinel, mut refusal) = (None, None, None);
        while let Some(search) = searches.join_next().await {
            match search {
                Ok(Ok(Found::Master(connection))) => return Ok(connection),
                Ok(Ok(Found::Address(Some(address)))) if !tried.contains(&address) => {
                    match self.client(&address) {
                        Ok(client) => drop(searches.spawn(greet(client, config.clone()))),
                        Err(error) => of_master = Some(Unreachable::Failed { place: address.0.clone(), error }),
                    }
                    tried.push(address);
                }
                Ok(Ok(Found::Address(Some(_)))) => {}
                Ok(Ok(Found::Address(None))) => {
                    refusal = refusal.or(Some(Unreachable::UnknownMaster { master: self.master.clone() }));
                }
                Ok(Err((Asked::Master, error))) => of_master = Some(error),
                Ok(Err((Asked::Sentinel, error))) if error_is_final(&error) => refusal = Some(error),
                Ok(Err((Asked::Sentinel, error))) => of_sentinel = Some(error),
                Err(_) => {}
            }
        }
        // What one says holds only where no other one could still say something else.
        Err(of_master.or(of_sentinel).or(refusal).unwrap_or(Unreachable::Stopped))
    }

    fn client(&self, (host, port): &Address) -> RedisResult<Client> {
        let (host, port) = (host.clone(), *port);
        let address = match self.tls {
            true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            false => ConnectionAddr::Tcp(host, port),
        };
        server::client(server::told(address, self.settings.clone())?, self.certificates.as_ref())
    }
}

enum Asked {
    Sentinel,
    Master,
}

type Search = Result<Found, (Asked, Unreachable)>;

async fn ask(sentinel: Client, master: String) -> Search {
    let place = || server::place_of(sentinel.get_connection_info());
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(DEADLINE)).set_response_timeout(Some(DEADLINE));
    let asking = async {
        let mut connection = sentinel.get_multiplexed_async_connection_with_config(&config).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(master).query_async(&mut connection).await
    };
    let address: RedisResult<Option<Address>> = asking.await;
    address.map(Found::Address).map_err(|error| {
        let is_foreign = error.detail().is_some_and(|detail| detail.contains("unknown command"));
        let unreachable = match is_foreign {
            true => Unreachable::NoSentinel { place: place() },
            false => Unreachable::Failed { place: place(), error },
        };
        (Asked::Sentinel, unreachable)
    })
}

async fn greet(client: Client, config: AsyncConnectionConfig) -> Search {
    let place = || server::place_of(client.get_connection_info());
    let failed = |error: RedisError| (Asked::Master, Unreachable::Failed { place: place(), error });
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.map_err(failed)?;
    // Where one that was the master comes back, it believes for a while that it still is not a replica; so sentinels are
    // asked first, and then the server.
    match Hello::ask(&mut connection).await.map_err(failed)?.is_master() {
        true => Ok(Found::Master(connection)),
        false => Err((Asked::Master, Unreachable::NoMaster { place: place() })),
    }
}

fn error_is_final(unreachable: &Unreachable) -> bool {
    match unreachable {
        Unreachable::NoSentinel { .. } => true,
        Unreachable::Failed { error, .. } => is_final(error),
        _ => false,
    }
}

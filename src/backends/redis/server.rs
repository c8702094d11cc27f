//! Where Redis is, and how to sign in there.

use std::path::PathBuf;
use std::time::Duration;

use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    RedisError, RedisResult, TlsCertificates,
};

use super::cluster::Cluster;
use super::origin::{Hello, Origin, Unreachable};
use super::sentinels::Sentinels;
use crate::domain::redis_deployment::{RedisDeployment, SentinelDeployment};
use crate::domain::secret::Secret;

/// As the settings have it.
#[derive(Clone, Debug)]
pub struct RedisServer {
    pub deployment: RedisDeployment,
    /// These three come before what a URL says. With sentinels they are for the master.
    pub username: Option<String>,
    pub password: Option<Secret<String>>,
    pub database: Option<u32>,
    /// PEM certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// For one call, with what it takes to connect.
    pub deadline: Duration,
    pub connections: usize,
}

/// What no waiting mends. Never holds a URL or a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedByRedis {
    #[error("the URL is not understood: write redis://HOST:PORT/DATABASE, or rediss:// for TLS")]
    Url,
    #[error("the certificates in {path} cannot be used ({cause}): name a file of PEM certificates", path = path.display())]
    Certificates { path: PathBuf, cause: String },
    #[error(
        "{place} does not accept the user name and password ({code}): check username and password, or the ACL there"
    )]
    SignIn { place: String, code: String },
    #[error("{place} has no database of this number: check the number in the URL, or `database`")]
    Database { place: String },
    #[error("{place} is a sentinel: name it in `sentinels`, with the master's name in `master`")]
    Sentinel { place: String },
    #[error("{place} is a node of a cluster: name some of its nodes in `cluster`, in place of `url`")]
    Cluster { place: String },
    #[error("{place} is no node of a cluster: name nodes of one there, or write url")]
    NoCluster { place: String },
    #[error("{place} is no sentinel: name sentinels there, which usually listen on port 26379, or write url")]
    NoSentinel { place: String },
    #[error("none of {place} knows a master {master}: check `master`, or `sentinel monitor` there")]
    UnknownMaster { place: String, master: String },
}

impl RedisServer {
    pub(super) fn origin(&self) -> Result<Origin, RefusedByRedis> {
        let certificates = self.certificates()?;
        let made = |info: RedisResult<ConnectionInfo>| {
            let info = info.map_err(|_| RefusedByRedis::Url)?;
            client(info, certificates.as_ref()).map_err(|error| match &self.ca {
                Some(path) => RefusedByRedis::Certificates { path: path.clone(), cause: error.category().to_owned() },
                None => RefusedByRedis::Url,
            })
        };
        match &self.deployment {
            RedisDeployment::Standalone { url } => {
                Ok(Origin::Standalone { client: made(self.server_info(url))?, place: self.place() })
            }
            RedisDeployment::Sentinel(sentinels) => {
                let clients = sentinels.sentinels.iter().map(|url| made(sentinel_info(sentinels, url)));
                Ok(Origin::Sentinel(Sentinels {
                    clients: clients.collect::<Result<_, _>>()?,
                    master: sentinels.master.clone(),
                    tls: sentinels.tls,
                    settings: self.sign_in(RedisConnectionInfo::default()),
                    certificates,
                }))
            }
            RedisDeployment::Cluster { nodes } => {
                let nodes = nodes.iter().map(|url| made(self.server_info(url))).collect::<Result<_, _>>()?;
                Cluster::new(nodes, certificates).map(Box::new).map(Origin::Cluster).map_err(|_| RefusedByRedis::Url)
            }
        }
    }

    fn server_info(&self, url: &Secret<String>) -> RedisResult<ConnectionInfo> {
        let info = info(url)?;
        told(info.addr().clone(), self.sign_in(info.redis_settings().clone()))
    }

    fn certificates(&self) -> Result<Option<TlsCertificates>, RefusedByRedis> {
        let Some(path) = &self.ca else { return Ok(None) };
        let root_cert = std::fs::read(path)
            .map_err(|error| RefusedByRedis::Certificates { path: path.clone(), cause: error.to_string() })?;
        Ok(Some(TlsCertificates { client_tls: None, root_cert: Some(root_cert) }))
    }

    fn sign_in(&self, mut settings: RedisConnectionInfo) -> RedisConnectionInfo {
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password.expose());
        }
        if let Some(database) = self.database {
            settings = settings.set_db(i64::from(database));
        }
        // Only so does a connection tell of its end before somebody uses it.
        settings.set_protocol(ProtocolVersion::RESP3)
    }

    /// What an operator knows it by: hosts and ports, nothing else of a URL.
    pub fn place(&self) -> String {
        let of = |url: &Secret<String>| info(url).as_ref().map_or_else(|_| "Redis".to_owned(), place_of);
        match &self.deployment {
            RedisDeployment::Standalone { url } => of(url),
            RedisDeployment::Sentinel(SentinelDeployment { sentinels: urls, .. })
            | RedisDeployment::Cluster { nodes: urls } => urls.iter().map(of).collect::<Vec<_>>().join(", "),
        }
    }

    /// Whether a first connection failed in a way that a later one will, too.
    pub(super) fn refusal_of_connection(&self, unreachable: &Unreachable) -> Option<RefusedByRedis> {
        match unreachable {
            Unreachable::Failed { place, error } => refusal(place, error),
            Unreachable::NoSentinel { place } => Some(RefusedByRedis::NoSentinel { place: place.clone() }),
            Unreachable::UnknownMaster { master } => {
                Some(RefusedByRedis::UnknownMaster { place: self.place(), master: master.clone() })
            }
            Unreachable::Silent | Unreachable::NoMaster { .. } | Unreachable::Stopped => None,
        }
    }

    /// Whether this way of running Redis is not the one that is there.
    pub(super) fn refusal_of(&self, place: &str, hello: &Hello) -> Option<RefusedByRedis> {
        let place = place.to_owned();
        let is_expected = matches!(self.deployment, RedisDeployment::Cluster { .. });
        match (hello.is_sentinel(), hello.is_of_a_cluster()) {
            (true, _) => Some(RefusedByRedis::Sentinel { place }),
            (_, true) if !is_expected => Some(RefusedByRedis::Cluster { place }),
            (_, false) if is_expected => Some(RefusedByRedis::NoCluster { place }),
            _ => None,
        }
    }

    /// The same of a first call.
    pub(super) fn refusal_of_call(&self, error: &RedisError) -> Option<RefusedByRedis> {
        refusal(&self.place(), error)
    }
}

fn refusal(place: &str, error: &RedisError) -> Option<RefusedByRedis> {
    let place = place.to_owned();
    if is_final(error) {
        let code = error.code().unwrap_or("AUTH").to_owned();
        return Some(RefusedByRedis::SignIn { place, code });
    }
    let about_database = |text: &str| text.contains("DB index") || text.contains("invalid DB");
    error.detail().is_some_and(about_database).then_some(RefusedByRedis::Database { place })
}

/// Whether it is about who asks.
pub(super) fn is_final(error: &RedisError) -> bool {
    let code = error.code().unwrap_or_default();
    error.kind() == ErrorKind::AuthenticationFailed || ["NOAUTH", "WRONGPASS", "NOPERM"].contains(&code)
}

fn info(url: &Secret<String>) -> RedisResult<ConnectionInfo> {
    url.expose().as_str().into_connection_info()
}

fn sentinel_info(deployment: &SentinelDeployment, url: &Secret<String>) -> RedisResult<ConnectionInfo> {
    let info = info(url)?;
    let mut settings = info.redis_settings().clone();
    if let Some(username) = &deployment.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = &deployment.password {
        settings = settings.set_password(password.expose());
    }
    told(info.addr().clone(), settings)
}

/// How any of these servers is spoken to.
pub(super) fn told(address: ConnectionAddr, settings: RedisConnectionInfo) -> RedisResult<ConnectionInfo> {
    let info = address.into_connection_info()?;
    // Many small questions are under way at once, and none waits until the one before it has arrived.
    let tcp = TcpSettings::default().set_nodelay(true);
    // Not a command more than an ACL has to allow.
    Ok(info.set_tcp_settings(tcp).set_redis_settings(settings.set_skip_set_lib_name()))
}

pub(super) fn client(info: ConnectionInfo, certificates: Option<&TlsCertificates>) -> RedisResult<Client> {
    match (info.addr(), certificates) {
        (ConnectionAddr::TcpTls { .. }, Some(certificates)) => Client::build_with_tls(info, certificates.clone()),
        _ => Client::open(info),
    }
}

pub(super) fn place_of(info: &ConnectionInfo) -> String {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => format!("{host}:{port}"),
        ConnectionAddr::Unix(path) => path.display().to_string(),
        _ => "Redis".to_owned(),
    }
}

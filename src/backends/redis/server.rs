//! Where Redis is, and how to sign in there.

use std::path::PathBuf;
use std::time::Duration;

use deadpool_redis::redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _, RedisError, RedisResult,
    TlsCertificates,
};

use crate::domain::secret::Secret;

/// As the settings have it.
#[derive(Clone, Debug)]
pub struct RedisServer {
    /// May hold a password.
    pub url: Secret<String>,
    /// These three come before what the URL says.
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
}

impl RedisServer {
    pub(super) fn client(&self) -> Result<Client, RefusedByRedis> {
        let info = self.info().map_err(|_| RefusedByRedis::Url)?;
        let Some(path) = &self.ca else { return Client::open(info).map_err(|_| RefusedByRedis::Url) };
        let unusable = |cause: String| RefusedByRedis::Certificates { path: path.clone(), cause };
        let root_cert = Some(std::fs::read(path).map_err(|error| unusable(error.to_string()))?);
        Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
            .map_err(|error| unusable(error.category().to_owned()))
    }

    fn info(&self) -> RedisResult<ConnectionInfo> {
        let info = self.url.expose().as_str().into_connection_info()?;
        // Not a command more than an ACL has to allow.
        let mut redis = info.redis_settings().clone().set_skip_set_lib_name();
        if let Some(username) = &self.username {
            redis = redis.set_username(username);
        }
        if let Some(password) = &self.password {
            redis = redis.set_password(password.expose());
        }
        if let Some(database) = self.database {
            redis = redis.set_db(i64::from(database));
        }
        Ok(info.set_redis_settings(redis))
    }

    /// What an operator knows it by: host and port, nothing else of the URL.
    pub fn place(&self) -> String {
        match self.info().as_ref().map(ConnectionInfo::addr) {
            Ok(ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. }) => format!("{host}:{port}"),
            Ok(ConnectionAddr::Unix(path)) => path.display().to_string(),
            _ => "Redis".to_owned(),
        }
    }

    /// Whether a first call failed in a way that a later one will, too.
    pub(super) fn refusal(&self, error: &RedisError) -> Option<RefusedByRedis> {
        let place = self.place();
        let code = error.code().unwrap_or_default();
        if error.kind() == ErrorKind::AuthenticationFailed || ["NOAUTH", "WRONGPASS", "NOPERM"].contains(&code) {
            let code = if code.is_empty() { "AUTH" } else { code }.to_owned();
            return Some(RefusedByRedis::SignIn { place, code });
        }
        let about_database = |text: &str| text.contains("DB index") || text.contains("invalid DB");
        error.detail().is_some_and(about_database).then_some(RefusedByRedis::Database { place })
    }
}

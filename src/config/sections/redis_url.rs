//! One URL of a Redis, or of a sentinel.

use std::net::IpAddr;

use deadpool_redis::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};

use crate::config::secret_value;
use crate::config::value::Value;
use crate::domain::secret::Secret;

/// What a URL leads to, and what to write there.
pub struct Kind {
    pub fault: &'static str,
    pub remedy: &'static str,
}

pub const SERVER: Kind =
    Kind { fault: "this is not the URL of a Redis", remedy: "write redis://HOST:PORT/DATABASE, or rediss:// for TLS" };
pub const SENTINEL: Kind =
    Kind { fault: "this is not the URL of a sentinel", remedy: "write redis://HOST:26379, or rediss:// for TLS" };

pub const NODE: Kind =
    Kind { fault: "this is not the URL of a node", remedy: "write redis://HOST:PORT, or rediss:// for TLS" };

pub struct RedisUrl {
    /// Never quoted: it may hold a password.
    pub text: Secret<String>,
    pub info: ConnectionInfo,
}

impl RedisUrl {
    pub fn read(value: &Value<'_>, kind: &Kind) -> Option<Self> {
        let url = secret_value::read_anywhere(value)?;
        let text = url.expose().as_str();
        if !text.starts_with("redis://") && !text.starts_with("rediss://") {
            value.fault(kind.fault, kind.remedy);
            return None;
        }
        if text.contains('#') {
            value.fault("what follows the # is not for a server", "remove it; a certificate is always checked");
            return None;
        }
        let Ok(info) = text.into_connection_info() else {
            value.fault(kind.fault, kind.remedy);
            return None;
        };
        let url = Self { text: url, info };
        if url.has_password() {
            if secret_value::is_literal(value) {
                value.warn(
                    "a password stands in the configuration itself, which is copied, committed and shown",
                    "write \"${NAME}\" in its place, or password: { file: PATH }",
                );
            }
            url.warn_if_readable(value);
        }
        Some(url)
    }

    pub fn has_password(&self) -> bool {
        self.info.redis_settings().password().is_some()
    }

    pub fn is_tls(&self) -> bool {
        matches!(self.info.addr(), ConnectionAddr::TcpTls { .. })
    }

    /// Of a password that goes there.
    pub fn warn_if_readable(&self, value: &Value<'_>) {
        if self.is_open() {
            value.warn("the password crosses the network unencrypted", "write rediss:// where Redis speaks TLS");
        }
    }

    /// Without TLS, and elsewhere.
    pub fn is_open(&self) -> bool {
        !self.is_tls() && self.is_elsewhere()
    }

    /// With TLS or without, and by the same user.
    pub fn is_spoken_to_like(&self, other: &Self) -> bool {
        let signing_in = |url: &Self| {
            let settings = url.info.redis_settings();
            (settings.username().map(str::to_owned), settings.password().map(str::to_owned))
        };
        self.is_tls() == other.is_tls() && signing_in(self) == signing_in(other)
    }

    pub fn is_elsewhere(&self) -> bool {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => {
                host != "localhost" && !host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            }
            _ => false,
        }
    }
}

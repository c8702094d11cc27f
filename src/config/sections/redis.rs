use std::net::IpAddr;
use std::time::Duration;

use deadpool_redis::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};

use crate::config::secret_value;
use crate::config::section::Section;
use crate::config::settings::Redis;
use crate::config::value::Value;
use crate::domain::secret::Secret;

const URL: &str = "write redis://HOST:PORT/DATABASE, or rediss:// for TLS";

const DEFAULT_PREFIX: &str = "portcullis";
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(100);
const DEFAULT_CONNECTIONS: usize = 16;

/// A URL, or a mapping with one.
pub fn read(value: &Value<'_>) -> Option<Redis> {
    if !value.is_mapping() {
        let (url, _) = url(value)?;
        return Some(Redis {
            url,
            username: None,
            password: None,
            database: None,
            ca: None,
            prefix: DEFAULT_PREFIX.to_owned(),
            timeout: DEFAULT_TIMEOUT,
            connections: DEFAULT_CONNECTIONS,
        });
    }
    let mut section = Section::of(value);
    let written = section.required("url", URL);
    let url = written.as_ref().and_then(url);
    let username = section.optional("username").and_then(|value| value.text());
    let password = section.optional("password").and_then(|value| secret_value::read(&value));
    let database = section.optional("database").and_then(|value| value.integer(&(0..=16_383)));
    let ca = section.optional("ca").and_then(|value| {
        let path = value.file_path()?;
        if !path.is_file() {
            value.fault(format!("there is no file {}", path.display()), "name a file of PEM certificates");
        }
        Some(path)
    });
    let prefix = section.optional("prefix").and_then(|value| {
        value.parsed(prefix, "a prefix", "write 1 to 64 letters, digits, dots, hyphens, underscores and colons")
    });
    let timeout = section.duration("timeout", DEFAULT_TIMEOUT, Duration::from_millis(5)..=Duration::from_secs(1));
    let connections = section.integer("connections", DEFAULT_CONNECTIONS, 1..=1024);
    let (url, info) = url?;
    if username.is_some() && password.is_none() && info.redis_settings().password().is_none() {
        section.fault("password", "a user name without a password", "write password: { file: PATH }");
    }
    if password.is_some() {
        warn_if_readable(value, &info);
    }
    if ca.is_some() && matches!(info.addr(), ConnectionAddr::Tcp(..)) {
        section.fault("ca", "without TLS there is no certificate to check", "remove it, or write rediss:// in the URL");
    }
    let prefix = prefix.unwrap_or_else(|| DEFAULT_PREFIX.to_owned());
    Some(Redis { url, username, password, database, ca, prefix, timeout, connections })
}

/// Never quoted: it may hold a password.
fn url(value: &Value<'_>) -> Option<(Secret<String>, ConnectionInfo)> {
    let url = secret_value::read_anywhere(value)?;
    let (fault, text) = ("this is not the URL of a Redis", url.expose().as_str());
    if !text.starts_with("redis://") && !text.starts_with("rediss://") {
        value.fault(fault, URL);
        return None;
    }
    if text.contains('#') {
        value.fault("what follows the # is not for a server", "remove it; a certificate is always checked");
        return None;
    }
    let Ok(info) = text.into_connection_info() else {
        value.fault(fault, URL);
        return None;
    };
    if info.redis_settings().password().is_some() {
        if secret_value::is_literal(value) {
            value.warn(
                "a password stands in the configuration itself, which is copied, committed and shown",
                "write \"${NAME}\" in its place, or password: { file: PATH }",
            );
        }
        warn_if_readable(value, &info);
    }
    Some((url, info))
}

fn warn_if_readable(value: &Value<'_>, info: &ConnectionInfo) {
    if let ConnectionAddr::Tcp(host, _) = info.addr()
        && host != "localhost"
        && !host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    {
        value.warn("the password crosses the network unencrypted", "write rediss:// where Redis speaks TLS");
    }
}

fn prefix(text: &str) -> Option<String> {
    let fits = (1..=64).contains(&text.len());
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte));
    (fits && plain).then(|| text.to_owned())
}

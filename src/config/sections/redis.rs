use std::time::Duration;

use super::redis_sentinels;
use super::redis_url::{self, RedisUrl};
use crate::config::secret_value;
use crate::config::section::Section;
use crate::config::settings::Redis;
use crate::config::value::Value;
use crate::domain::redis_deployment::RedisDeployment;

const DEFAULT_PREFIX: &str = "portcullis";
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(100);
const DEFAULT_CONNECTIONS: usize = 4;

/// A URL, or a mapping with one, with sentinels, or with nodes of a cluster.
pub fn read(value: &Value<'_>) -> Option<Redis> {
    if !value.is_mapping() {
        let url = RedisUrl::read(value, &redis_url::SERVER)?;
        return Some(Redis {
            deployment: RedisDeployment::Standalone { url: url.text },
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
    let place = place(&mut section);
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
    let (deployment, urls) = place?;
    let (tls, in_url) = match &deployment {
        RedisDeployment::Sentinel(sentinels) => (sentinels.tls, false),
        _ => (false, urls.iter().any(RedisUrl::has_password)),
    };
    let tls = tls || urls.iter().any(RedisUrl::is_tls);
    if username.is_some() && !section.has("password") && !in_url {
        section.fault("password", "a user name without a password", "write password: { file: PATH }");
    }
    if password.is_some() {
        warn_if_readable(&deployment, &urls, value);
    }
    if ca.is_some() && !tls {
        section.fault("ca", "without TLS there is no certificate to check", "remove it, or write rediss:// in the URL");
    }
    let prefix = prefix.unwrap_or_else(|| DEFAULT_PREFIX.to_owned());
    Some(Redis { deployment, username, password, database, ca, prefix, timeout, connections })
}

/// With the URLs as they were read.
fn place(section: &mut Section<'_>) -> Option<(RedisDeployment, Vec<RedisUrl>)> {
    let ways = ["url", "sentinels", "cluster"];
    let given: Vec<&str> = ways.into_iter().filter(|way| section.has(way)).collect();
    if given.len() > 1 {
        for key in ways {
            section.optional(key);
        }
        let problem = format!("Redis is reached in one way, and here are {}", given.join(" and "));
        section.fault(given.last()?, problem, "keep one of url, sentinels and cluster");
    }
    if section.has("sentinels") {
        section.optional("cluster");
        let (sentinels, urls) = redis_sentinels::read(section)?;
        return Some((RedisDeployment::Sentinel(sentinels), urls));
    }
    redis_sentinels::refuse(section);
    if let Some(written) = section.optional("cluster") {
        let urls = cluster(section, &written)?;
        return Some((RedisDeployment::Cluster { nodes: urls.iter().map(|url| url.text.clone()).collect() }, urls));
    }
    let written = section.required("url", redis_url::SERVER.remedy)?;
    let url = RedisUrl::read(&written, &redis_url::SERVER)?;
    Some((RedisDeployment::Standalone { url: url.text.clone() }, vec![url]))
}

/// Some of its nodes. The others are found through them, and spoken to in the same way.
fn cluster(section: &Section<'_>, written: &Value<'_>) -> Option<Vec<RedisUrl>> {
    let listed = written.list();
    if written.is_empty_list() {
        written.fault("no node is named", "write a list of redis://HOST:PORT");
    }
    let mut urls: Vec<RedisUrl> = Vec::new();
    for value in &listed {
        let Some(url) = RedisUrl::read(value, &redis_url::NODE) else { continue };
        if url.info.redis_settings().db() != 0 {
            value.fault("a cluster has one database only", "remove the number");
        }
        if urls.first().is_some_and(|first| !first.is_spoken_to_like(&url)) {
            let problem = "the nodes of a cluster are spoken to in one way: all with TLS or none, by one user";
            value.fault(problem, "write it as the first");
        }
        urls.push(url);
    }
    if section.has("database") {
        section.fault("database", "a cluster has one database only", "remove it");
    }
    (!urls.is_empty() && urls.len() == listed.len()).then_some(urls)
}

fn warn_if_readable(deployment: &RedisDeployment, urls: &[RedisUrl], value: &Value<'_>) {
    match deployment {
        RedisDeployment::Sentinel(sentinels) => {
            if !sentinels.tls && urls.iter().any(RedisUrl::is_elsewhere) {
                value.warn(
                    "the password crosses the network unencrypted",
                    "write tls: true where the master speaks TLS",
                );
            }
        }
        _ => {
            if let Some(url) = urls.iter().find(|url| url.is_open()) {
                url.warn_if_readable(value);
            }
        }
    }
}

fn prefix(text: &str) -> Option<String> {
    let fits = (1..=64).contains(&text.len());
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte));
    (fits && plain).then(|| text.to_owned())
}

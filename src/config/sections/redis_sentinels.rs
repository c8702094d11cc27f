//! A master that sentinels know.

use super::redis_url::{self, RedisUrl};
use crate::config::secret_value;
use crate::config::section::Section;
use crate::domain::redis_deployment::SentinelDeployment;

const MASTER: &str = "write what `sentinel monitor` calls it, such as mymaster";
/// Of no use without them.
const KEYS: [&str; 4] = ["master", "tls", "sentinel_username", "sentinel_password"];

/// What belongs to them in a section that names none.
pub fn refuse(section: &mut Section<'_>) {
    for key in KEYS {
        if section.optional(key).is_some() {
            let remedy = match key {
                "tls" => "remove it: rediss:// in the URL says so",
                _ => "remove it, or name sentinels",
            };
            section.fault(key, "this is for sentinels, and there are none", remedy);
        }
    }
}

/// With the URLs as they were read.
pub fn read(section: &mut Section<'_>) -> Option<(SentinelDeployment, Vec<RedisUrl>)> {
    let written = section.optional("sentinels");
    let listed = written.as_ref().map(|value| value.list()).unwrap_or_default();
    if written.is_some_and(|value| value.is_empty_list()) {
        section.fault("sentinels", "no sentinel is named", "write a list of redis://HOST:26379");
    }
    let mut urls = Vec::new();
    for value in &listed {
        let Some(url) = RedisUrl::read(value, &redis_url::SENTINEL) else { continue };
        if url.info.redis_settings().db() != 0 {
            value.fault("a sentinel has no databases", "write the number in `database`, which is for the master");
        }
        urls.push(url);
    }
    let master = section.required("master", MASTER);
    let master = master.and_then(|value| value.parsed(name, "the name of a master", MASTER));
    let username = section.optional("sentinel_username").and_then(|value| value.text());
    let password_at = section.optional("sentinel_password");
    let password = password_at.as_ref().and_then(secret_value::read);
    if username.is_some() && password_at.is_none() && !urls.iter().all(RedisUrl::has_password) {
        let remedy = "write sentinel_password: { file: PATH }";
        section.fault("sentinel_password", "a user name without a password", remedy);
    }
    if let (Some(value), Some(url)) = (&password_at, urls.iter().find(|url| url.is_open())) {
        url.warn_if_readable(value);
    }
    let with_tls = urls.iter().filter(|url| url.is_tls()).count();
    let tls = match section.optional("tls") {
        Some(value) => value.boolean()?,
        None => {
            if with_tls != 0 && with_tls != urls.len() {
                let problem = "some sentinels speak TLS and some do not, so it is not clear whether the master does";
                section.fault("tls", problem, "write tls: true or tls: false");
            }
            with_tls > 0
        }
    };
    if urls.is_empty() || urls.len() != listed.len() {
        return None;
    }
    let sentinels = urls.iter().map(|url| url.text.clone()).collect();
    Some((SentinelDeployment { sentinels, username, password, master: master?, tls }, urls))
}

fn name(text: &str) -> Option<String> {
    let fits = (1..=128).contains(&text.len());
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    (fits && plain).then(|| text.to_owned())
}

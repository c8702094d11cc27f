//! What the audit is told of a key.

use crate::domain::api_key::ApiKey;
use crate::domain::clock::Timestamp;
use crate::domain::key_reach::RouteNames;
use crate::identity::difference::Difference;

/// A name is not told: somebody writes the key itself there sooner or later.
pub fn described(key: &ApiKey) -> String {
    let owner = match key.owner.user() {
        Some(user) => format!("user:{user}"),
        None => format!("service:{}", key.owner),
    };
    let reach = &key.terms.reach;
    let mut text = format!("owner {owner}; expires [{}]; scopes [{}]", expiry_text(key), key.scopes);
    for (name, value) in [
        ("networks", reach.networks.to_string()),
        ("routes", lines(&reach.routes)),
        ("methods", reach.methods.to_string()),
        ("idle days", key.terms.idle.map(|days| days.to_string()).unwrap_or_default()),
        ("rate", key.terms.rate.map(|rate| rate.to_string()).unwrap_or_default()),
        ("quota", key.terms.quota.map(|quota| quota.to_string()).unwrap_or_default()),
    ] {
        if !value.is_empty() {
            text.push_str(&format!("; {name} [{value}]"));
        }
    }
    text
}

/// On one line.
fn lines(routes: &RouteNames) -> String {
    routes.to_string().replace('\n', "; ")
}

fn or_none(limit: Option<&impl ToString>) -> String {
    limit.map_or_else(|| "none".to_owned(), ToString::to_string)
}

fn expiry_text(key: &ApiKey) -> String {
    key.expires_at.map_or_else(|| "never".to_owned(), Timestamp::rfc3339)
}

pub fn difference(before: &ApiKey, after: &ApiKey) -> Difference {
    Difference::default()
        .field("name", &before.name, &after.name)
        .values("expires", &expiry_text(before), &expiry_text(after))
        .values("scopes", &before.scopes, &after.scopes)
        .values("networks", &before.terms.reach.networks, &after.terms.reach.networks)
        .values("routes", &lines(&before.terms.reach.routes), &lines(&after.terms.reach.routes))
        .values("methods", &before.terms.reach.methods, &after.terms.reach.methods)
        .values("idle days", &or_none(before.terms.idle.as_ref()), &or_none(after.terms.idle.as_ref()))
        .values("rate", &or_none(before.terms.rate.as_ref()), &or_none(after.terms.rate.as_ref()))
        .values("quota", &or_none(before.terms.quota.as_ref()), &or_none(after.terms.quota.as_ref()))
        .field("labels", &before.terms.labels, &after.terms.labels)
}

//! What is shown of a key, on the command line as over HTTP.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::api_key::ApiKey;
use crate::domain::key_reach::{MethodName, RouteName};
use crate::domain::scope::Scope;

/// Without the digest: it would be of no use to anybody, and nothing that need not be shown is.
#[derive(Debug, Serialize)]
pub struct KeyView<'a> {
    id: &'a str,
    prefix: &'a str,
    name: &'a str,
    owner: String,
    scopes: Vec<&'a str>,
    networks: Vec<String>,
    routes: Vec<&'a str>,
    methods: Vec<&'a str>,
    rate: Option<String>,
    quota: Option<String>,
    labels: BTreeMap<&'a str, &'a str>,
    created_at: String,
    expires_at: Option<String>,
    idle_days: Option<u16>,
    last_used_at: Option<String>,
    use_count: u64,
    revoked_at: Option<String>,
    revoked_reason: Option<&'a str>,
    replaced_by: Option<&'a str>,
    replaced_at: Option<String>,
    uses_since_replaced: Option<u64>,
}

impl<'a> From<&'a ApiKey> for KeyView<'a> {
    fn from(key: &'a ApiKey) -> Self {
        let (terms, usage) = (&key.terms, key.usage);
        let replaced = key.replaced.as_ref().and_then(|replaced| replaced.at);
        Self {
            id: key.id.as_str(),
            prefix: &key.prefix,
            name: &key.name,
            owner: key.owner.to_string(),
            scopes: key.scopes.iter().map(Scope::as_str).collect(),
            networks: terms.reach.networks.iter().map(ToString::to_string).collect(),
            routes: terms.reach.routes.iter().map(RouteName::as_str).collect(),
            methods: terms.reach.methods.iter().map(MethodName::as_str).collect(),
            rate: terms.rate.map(|rate| rate.to_string()),
            quota: terms.quota.map(|quota| quota.to_string()),
            labels: terms.labels.iter().collect(),
            created_at: key.created_at.rfc3339(),
            expires_at: key.expires_at.map(|at| at.rfc3339()),
            idle_days: terms.idle.map(|days| days.get()),
            last_used_at: usage.last_at.map(|at| at.rfc3339()),
            use_count: usage.count,
            revoked_at: key.revoked.as_ref().map(|(at, _)| at.rfc3339()),
            revoked_reason: key.revoked.as_ref().map(|(_, reason)| reason.as_str()),
            replaced_by: key.replaced.as_ref().map(|replaced| replaced.by.as_str()),
            replaced_at: replaced.map(|(at, _)| at.rfc3339()),
            uses_since_replaced: replaced.map(|(_, uses)| usage.count.saturating_sub(uses)),
        }
    }
}

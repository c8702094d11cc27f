//! What a request says of a key: what is to be made, and what is to be different.

use std::time::Duration;

use serde_json::{Value, json};

use super::fields::Fields;
use super::fields::typed::sentence;
use crate::domain::api_key::KeyChanges;
use crate::domain::audit::{Actor, Initiator};
use crate::domain::clock::Timestamp;
use crate::domain::key_owner::KeyOwner;
use crate::domain::key_reach::{KeyReach, MOST_METHODS, MOST_ROUTES, MethodName, MethodNames, RouteName, RouteNames};
use crate::domain::key_terms::{IdleDays, KeyTerms};
use crate::domain::labels::{Label, Labels};
use crate::domain::network_set::{MOST_NETWORKS, NetworkSet, parse_network};
use crate::domain::rate::{Quota, Rate};
use crate::domain::scope::{Scope, ScopeSet};
use crate::identity::api_keys::{Expiry, NewKey};

/// Scopes of one key.
const MOST: usize = 100;
/// Of a key's name, and of what it is looked for by.
pub const NAME: usize = 100;
const OWNER: usize = 200;
/// The text of a rate, a quota, and of a label's name and value in one.
const LIMIT: usize = 60;
const LABEL: usize = 200;
/// A hundred years.
const LONGEST: u64 = 3_155_760_000;
const EITHER: &str = "Give either expires_in or expires_at.";

pub fn new_key(mut fields: Fields, by: &Initiator) -> Result<NewKey, Value> {
    fields.require("name");
    let name = fields.filled_line("name", NAME);
    let owner = owner(&mut fields);
    let scopes = scopes(&mut fields);
    let expiry = expiry(&mut fields);
    let limits = limits(&mut fields);
    let terms = KeyTerms {
        reach: KeyReach {
            networks: limits.networks.unwrap_or_default(),
            routes: limits.routes.unwrap_or_default(),
            methods: limits.methods.unwrap_or_default(),
        },
        idle: limits.idle.flatten(),
        rate: limits.rate.flatten(),
        quota: limits.quota.flatten(),
        labels: limits.labels.unwrap_or_default(),
    };
    fields.finish()?;
    let Some(name) = name else { return Err(json!({ "name": ["This field is required."] })) };
    let caller = || match &by.actor {
        Actor::User(id) => Some(KeyOwner::User(id.clone())),
        Actor::Service(name) => Some(KeyOwner::Service(name.clone())),
        Actor::Anonymous | Actor::Operator | Actor::Gateway => None,
    };
    let Some(owner) = owner.or_else(caller) else { return Err(json!({ "owner": ["This field is required."] })) };
    Ok(NewKey { name, owner, scopes: scopes.unwrap_or_default(), expiry, terms })
}

/// Once, or never; `null` is as if it were not there.
fn expiry(fields: &mut Fields) -> Expiry {
    let lifetime = if fields.is_given("expires_in") { fields.number("expires_in", 1..=LONGEST) } else { None };
    let time = if fields.is_given("expires_at") { fields.time("expires_at") } else { None };
    match (lifetime, time) {
        (None, None) => Expiry::Never,
        (Some(secs), None) => Expiry::In(Duration::from_secs(secs)),
        (None, Some(time)) => Expiry::At(time),
        (Some(_), Some(_)) => {
            fields.fault("expires_at", EITHER);
            Expiry::Never
        }
    }
}

pub fn changes(mut fields: Fields, now: Timestamp) -> Result<KeyChanges, Value> {
    let never = fields.is_null("expires_at");
    let changes = KeyChanges {
        name: fields.filled_line("name", NAME),
        scopes: scopes(&mut fields),
        expires_at: match expiry(&mut fields) {
            Expiry::Never => never.then_some(None),
            expiry => Some(expiry.from_now(now)),
        },
        ..limits(&mut fields)
    };
    if never && changes.expires_at.is_some_and(|at| at.is_some()) {
        fields.fault("expires_at", EITHER);
    }
    fields.finish()?;
    Ok(changes)
}

/// What is said of limits and labels, and nothing else of a change.
fn limits(fields: &mut Fields) -> KeyChanges {
    KeyChanges {
        networks: fields.list("networks", MOST_NETWORKS, parse_network).map(NetworkSet::from_iter),
        routes: fields.list("routes", MOST_ROUTES, RouteName::parse).map(RouteNames::from_iter),
        methods: fields.list("methods", MOST_METHODS, MethodName::parse).map(MethodNames::from_iter),
        idle: or_null(fields, "idle_days", |fields| {
            fields.number("idle_days", 1..=u64::from(IdleDays::MOST)).and_then(IdleDays::new)
        }),
        rate: or_null(fields, "rate", |fields| parsed(fields, "rate", LIMIT, Rate::parse)),
        quota: or_null(fields, "quota", |fields| parsed(fields, "quota", LIMIT, Quota::parse)),
        labels: labels(fields),
        ..KeyChanges::default()
    }
}

/// `null` lifts a limit.
fn or_null<T>(fields: &mut Fields, name: &str, read: impl FnOnce(&mut Fields) -> Option<T>) -> Option<Option<T>> {
    if fields.is_null(name) { Some(None) } else { read(fields).map(Some) }
}

fn parsed<T, E: std::fmt::Display>(
    fields: &mut Fields,
    name: &str,
    most: usize,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    let text = fields.filled_line(name, most)?;
    parse(&text).inspect_err(|fault| fields.fault(name, &sentence(&fault.to_string()))).ok()
}

fn labels(fields: &mut Fields) -> Option<Labels> {
    let pairs = fields.pairs("labels")?;
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Labels::new(pairs).inspect_err(|fault| fields.fault("labels", &sentence(&fault.to_string()))).ok()
}

pub fn label(fields: &mut Fields) -> Option<Label> {
    parsed(fields, "label", LABEL, Label::parse)
}

fn scopes(fields: &mut Fields) -> Option<ScopeSet> {
    fields.list("scopes", MOST, Scope::parse).map(ScopeSet::from_iter)
}

pub fn owner(fields: &mut Fields) -> Option<KeyOwner> {
    parsed(fields, "owner", OWNER, KeyOwner::parse)
}

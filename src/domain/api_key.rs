//! Keys for machines, as they are kept: everything but the key.

use std::fmt;

use super::clock::Timestamp;
use super::digest::Digest;
use super::key_owner::KeyOwner;
use super::key_reach::{KeyReach, MethodNames, RouteNames};
use super::key_terms::{IdleDays, KeyTerms};
use super::labels::{Label, Labels};
use super::network_set::NetworkSet;
use super::rate::{Quota, Rate};
use super::role::{ADMINISTRATION, Roles};
use super::scope::{Scope, ScopeSet};
use super::user::User;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ApiKeyId(pub String);

impl ApiKeyId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How often a key was used, and when last. What nodes have counted and not told the store yet is missing from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUsage {
    pub last_at: Option<Timestamp>,
    pub count: u64,
}

/// A key's end by another in its place. Both work until the old one expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    pub by: ApiKeyId,
    /// When, and how often the old key had been used by then. Not known of keys that were replaced before this was kept.
    pub at: Option<(Timestamp, u64)>,
}

/// A key as stored: everything but the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    /// The visible look-up part, without brand.
    pub prefix: String,
    pub digest: Digest,
    pub name: String,
    pub owner: KeyOwner,
    pub scopes: ScopeSet,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked: Option<(Timestamp, String)>,
    pub replaced: Option<Replacement>,
    pub terms: KeyTerms,
    pub usage: KeyUsage,
}

impl ApiKey {
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Whether it has lain unused for too long. `used` is a use that the store has not been told of yet.
    pub fn is_idle(&self, used: Option<Timestamp>, now: Timestamp) -> bool {
        let last = self.usage.last_at.max(used).unwrap_or(self.created_at);
        self.terms.idle.is_some_and(|days| now.since(last) >= days.duration())
    }

    /// Whether both are one key that may do the same, however often it has been used.
    pub fn equals_but_for_usage(&self, other: &Self) -> bool {
        *self == Self { usage: self.usage, ..other.clone() }
    }

    /// What a key of this owner lets its holder do now. Scopes that administer count for as long as the owner holds them,
    /// or whoever stops being an administrator would stay one by a key. Other scopes are the key's own: an operator may
    /// have given it more than its owner has.
    pub fn scopes_of(&self, owner: &User, roles: &Roles) -> ScopeSet {
        let held = owner.all_scopes(roles);
        let counts = |scope: &Scope| held.contains(scope) || !ADMINISTRATION.contains(&scope.as_str());
        self.scopes.iter().filter(|scope| counts(scope)).cloned().collect()
    }
}

/// Which keys to list: the newest first, all that is set must fit.
#[derive(Clone, Debug, Default)]
pub struct KeyQuery {
    /// Only keys older than this one: the last of the page before.
    pub before: Option<(Timestamp, ApiKeyId)>,
    pub owner: Option<KeyOwner>,
    /// A part of the name or the beginning of the visible prefix, whatever its case in ASCII.
    pub search: Option<String>,
    /// Only keys with this label: its name and value.
    pub label: Option<Label>,
    /// `false` leaves out what is revoked.
    pub revoked: bool,
    pub limit: u32,
}

/// What is to be different about a key; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyChanges {
    pub name: Option<String>,
    pub scopes: Option<ScopeSet>,
    /// `Some(None)`: until it is revoked.
    pub expires_at: Option<Option<Timestamp>>,
    pub networks: Option<NetworkSet>,
    pub routes: Option<RouteNames>,
    pub methods: Option<MethodNames>,
    /// `Some(None)`, here and in the two below: no limit.
    pub idle: Option<Option<IdleDays>>,
    pub rate: Option<Option<Rate>>,
    pub quota: Option<Option<Quota>>,
    pub labels: Option<Labels>,
}

impl KeyChanges {
    /// The key that they lead to.
    pub fn applied_to(&self, key: &ApiKey) -> ApiKey {
        let Self { name, scopes, expires_at, networks, routes, methods, idle, rate, quota, labels } = self.clone();
        let terms = &key.terms;
        ApiKey {
            name: name.unwrap_or_else(|| key.name.clone()),
            scopes: scopes.unwrap_or_else(|| key.scopes.clone()),
            expires_at: expires_at.unwrap_or(key.expires_at),
            terms: KeyTerms {
                reach: KeyReach {
                    networks: networks.unwrap_or_else(|| terms.reach.networks.clone()),
                    routes: routes.unwrap_or_else(|| terms.reach.routes.clone()),
                    methods: methods.unwrap_or_else(|| terms.reach.methods.clone()),
                },
                idle: idle.unwrap_or(terms.idle),
                rate: rate.unwrap_or(terms.rate),
                quota: quota.unwrap_or(terms.quota),
                labels: labels.unwrap_or_else(|| terms.labels.clone()),
            },
            ..key.clone()
        }
    }
}

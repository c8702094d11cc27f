//! Records as they lie in the shared memory.
//!
//! [`FORMAT`] rises with every change of what is written here: it is part of the names, so that no version reads what
//! another has written.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::api_key::{ApiKey, ApiKeyId, KeyUsage, Replacement};
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::invalidation::Invalidation;
use crate::domain::key_owner::KeyOwner;
use crate::domain::key_reach::{KeyReach, MethodNames, RouteNames};
use crate::domain::key_terms::{IdleDays, KeyTerms};
use crate::domain::labels::Labels;
use crate::domain::network_set::NetworkSet;
use crate::domain::rate::{Quota, Rate};
use crate::domain::role::RoleSet;
use crate::domain::scope::ScopeSet;
use crate::domain::session::{Session, SessionEnd, SessionId};
use crate::domain::user::{PasswordHash, User, UserId};
use crate::telemetry::cache_metrics::CacheName;

pub const FORMAT: u32 = 1;

/// A record that nodes share.
pub trait Shareable: Sized {
    const CACHE: CacheName;
    type Written: Serialize + DeserializeOwned;

    fn write(&self) -> Self::Written;

    /// `None` when it cannot be one.
    fn read(written: Self::Written) -> Option<Self>;

    /// Whose change makes it void.
    fn about(&self) -> Vec<Invalidation>;
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenKey {
    id: String,
    prefix: String,
    digest: String,
    name: String,
    user: Option<String>,
    service: Option<String>,
    scopes: String,
    created_at: i64,
    expires_at: Option<i64>,
    revoked: Option<(i64, String)>,
    replaced: Option<(String, Option<(i64, u64)>)>,
    networks: String,
    routes: String,
    methods: String,
    idle_days: Option<u16>,
    rate: Option<String>,
    quota: Option<String>,
    labels: String,
    last_used_at: Option<i64>,
    use_count: u64,
}

impl Shareable for ApiKey {
    const CACHE: CacheName = CacheName::ApiKeys;
    type Written = WrittenKey;

    fn write(&self) -> WrittenKey {
        let Self { id, prefix, digest, name, owner, scopes, created_at, expires_at, revoked, .. } = self;
        let Self { replaced, terms, usage, .. } = self;
        let (user, service) = match owner {
            KeyOwner::User(id) => (Some(id.0.clone()), None),
            KeyOwner::Service(name) => (None, Some(name.clone())),
        };
        WrittenKey {
            id: id.0.clone(),
            prefix: prefix.clone(),
            digest: digest.hex(),
            name: name.clone(),
            user,
            service,
            scopes: scopes.to_string(),
            created_at: created_at.as_micros(),
            expires_at: expires_at.map(Timestamp::as_micros),
            revoked: revoked.as_ref().map(|(at, why)| (at.as_micros(), why.clone())),
            replaced: replaced
                .as_ref()
                .map(|Replacement { by, at }| (by.0.clone(), at.map(|(at, uses)| (at.as_micros(), uses)))),
            networks: terms.reach.networks.to_string(),
            routes: terms.reach.routes.to_string(),
            methods: terms.reach.methods.to_string(),
            idle_days: terms.idle.map(IdleDays::get),
            rate: terms.rate.map(|rate| rate.to_string()),
            quota: terms.quota.map(|quota| quota.to_string()),
            labels: terms.labels.stored(),
            last_used_at: usage.last_at.map(Timestamp::as_micros),
            use_count: usage.count,
        }
    }

    fn read(written: WrittenKey) -> Option<Self> {
        let owner = match (written.user, written.service) {
            (Some(id), None) => KeyOwner::User(UserId(id)),
            (None, Some(name)) => KeyOwner::Service(name),
            _ => return None,
        };
        Some(Self {
            id: ApiKeyId(written.id),
            prefix: written.prefix,
            digest: Digest::from_hex(&written.digest)?,
            name: written.name,
            owner,
            scopes: ScopeSet::parse(&written.scopes).ok()?,
            created_at: Timestamp::from_micros(written.created_at),
            expires_at: written.expires_at.map(Timestamp::from_micros),
            revoked: written.revoked.map(|(at, why)| (Timestamp::from_micros(at), why)),
            replaced: written.replaced.map(|(by, at)| Replacement {
                by: ApiKeyId(by),
                at: at.map(|(at, uses)| (Timestamp::from_micros(at), uses)),
            }),
            terms: KeyTerms {
                reach: KeyReach {
                    networks: NetworkSet::parse(&written.networks).ok()?,
                    routes: RouteNames::parse(&written.routes).ok()?,
                    methods: MethodNames::parse(&written.methods).ok()?,
                },
                idle: match written.idle_days {
                    Some(days) => Some(IdleDays::new(u64::from(days))?),
                    None => None,
                },
                rate: written.rate.as_deref().map(Rate::parse).transpose().ok()?,
                quota: written.quota.as_deref().map(Quota::parse).transpose().ok()?,
                labels: Labels::from_stored(&written.labels)?,
            },
            usage: KeyUsage { last_at: written.last_used_at.map(Timestamp::from_micros), count: written.use_count },
        })
    }

    fn about(&self) -> Vec<Invalidation> {
        vec![Invalidation::ApiKey(self.id.clone())]
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenSession {
    id: String,
    user: String,
    counter: i64,
    rotated_at: i64,
    created_at: i64,
    last_used_at: i64,
    expires_at: i64,
    ended: Option<(i64, String)>,
    amr: Vec<String>,
    client_address: String,
    user_agent: String,
}

impl Shareable for Session {
    const CACHE: CacheName = CacheName::Sessions;
    type Written = WrittenSession;

    fn write(&self) -> WrittenSession {
        let Self { id, user_id, counter, rotated_at, created_at, last_used_at, expires_at, ended, amr, .. } = self;
        let Self { client_address, user_agent, .. } = self;
        WrittenSession {
            id: id.0.clone(),
            user: user_id.0.clone(),
            counter: *counter,
            rotated_at: rotated_at.as_micros(),
            created_at: created_at.as_micros(),
            last_used_at: last_used_at.as_micros(),
            expires_at: expires_at.as_micros(),
            ended: ended.map(|(at, why)| (at.as_micros(), why.as_str().to_owned())),
            amr: amr.clone(),
            client_address: client_address.clone(),
            user_agent: user_agent.clone(),
        }
    }

    fn read(written: WrittenSession) -> Option<Self> {
        let ended = match written.ended {
            Some((at, why)) => Some((Timestamp::from_micros(at), SessionEnd::parse(&why)?)),
            None => None,
        };
        Some(Self {
            id: SessionId(written.id),
            user_id: UserId(written.user),
            counter: written.counter,
            rotated_at: Timestamp::from_micros(written.rotated_at),
            created_at: Timestamp::from_micros(written.created_at),
            last_used_at: Timestamp::from_micros(written.last_used_at),
            expires_at: Timestamp::from_micros(written.expires_at),
            ended,
            amr: written.amr,
            client_address: written.client_address,
            user_agent: written.user_agent,
        })
    }

    /// Whatever changed a user may have ended sessions, and no list of them comes with it.
    fn about(&self) -> Vec<Invalidation> {
        vec![Invalidation::Session(self.id.clone()), Invalidation::User(self.user_id.clone())]
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenUser {
    id: String,
    username: String,
    email: String,
    first_name: String,
    last_name: String,
    is_active: bool,
    is_admin: bool,
    roles: String,
    scopes: String,
    created_at: i64,
    password_changed_at: i64,
    tokens_valid_from: Option<i64>,
    last_sign_in_at: Option<i64>,
    has_second_factor: bool,
}

impl Shareable for User {
    const CACHE: CacheName = CacheName::Users;
    type Written = WrittenUser;

    fn write(&self) -> WrittenUser {
        let Self { id, username, email, first_name, last_name, is_active, is_admin, roles, scopes, .. } = self;
        // The password stays where it is.
        let Self { password: _, created_at, password_changed_at, .. } = self;
        let Self { tokens_valid_from, last_sign_in_at, has_second_factor, .. } = self;
        WrittenUser {
            id: id.0.clone(),
            username: username.clone(),
            email: email.clone(),
            first_name: first_name.clone(),
            last_name: last_name.clone(),
            is_active: *is_active,
            is_admin: *is_admin,
            roles: roles.to_string(),
            scopes: scopes.to_string(),
            created_at: created_at.as_micros(),
            password_changed_at: password_changed_at.as_micros(),
            tokens_valid_from: tokens_valid_from.map(Timestamp::as_micros),
            last_sign_in_at: last_sign_in_at.map(Timestamp::as_micros),
            has_second_factor: *has_second_factor,
        }
    }

    fn read(written: WrittenUser) -> Option<Self> {
        Some(Self {
            id: UserId(written.id),
            username: written.username,
            email: written.email,
            first_name: written.first_name,
            last_name: written.last_name,
            is_active: written.is_active,
            is_admin: written.is_admin,
            roles: RoleSet::parse(&written.roles).ok()?,
            scopes: ScopeSet::parse(&written.scopes).ok()?,
            password: PasswordHash::unusable(),
            created_at: Timestamp::from_micros(written.created_at),
            password_changed_at: Timestamp::from_micros(written.password_changed_at),
            tokens_valid_from: written.tokens_valid_from.map(Timestamp::from_micros),
            last_sign_in_at: written.last_sign_in_at.map(Timestamp::from_micros),
            has_second_factor: written.has_second_factor,
        })
    }

    fn about(&self) -> Vec<Invalidation> {
        vec![Invalidation::User(self.id.clone())]
    }
}

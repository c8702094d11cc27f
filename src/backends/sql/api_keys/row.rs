//! A key's row: its columns, how it is read, and how it is written.

use crate::backends::sql::answer::corrupt;
use crate::backends::sql::insertion::{Insertable, Statement};
use crate::domain::api_key::{ApiKey, ApiKeyId, KeyUsage, Replacement};
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::key_owner::KeyOwner;
use crate::domain::key_reach::{KeyReach, MethodNames, RouteNames};
use crate::domain::key_terms::{IdleDays, KeyTerms};
use crate::domain::labels::Labels;
use crate::domain::network_set::NetworkSet;
use crate::domain::rate::{Quota, Rate};
use crate::domain::scope::ScopeSet;
use crate::domain::user::UserId;
use crate::storage::{Result, StoreError};

pub const TABLE: &str = "api_keys";

macro_rules! select {
    (columns) => {
        concat!(
            "id, prefix, digest, name, owner_user, owner_service, scopes, created_at, expires_at, revoked_at, ",
            "revoked_reason, replaced_by, networks, routes, methods, idle_days, rate, quota, labels, last_used_at, ",
            "use_count, replaced_at, uses_when_replaced"
        )
    };
    ($rest:literal) => {
        concat!("SELECT ", select!(columns), " FROM api_keys ", $rest)
    };
}
pub(super) use select;

#[derive(sqlx::FromRow)]
pub struct Row {
    id: String,
    prefix: String,
    digest: String,
    name: String,
    owner_user: Option<String>,
    owner_service: Option<String>,
    scopes: String,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    revoked_reason: Option<String>,
    replaced_by: Option<String>,
    networks: String,
    routes: String,
    methods: String,
    idle_days: Option<i64>,
    rate: Option<String>,
    quota: Option<String>,
    labels: String,
    last_used_at: Option<i64>,
    use_count: i64,
    replaced_at: Option<i64>,
    uses_when_replaced: Option<i64>,
}

impl Row {
    /// `None` when one of them cannot be read: a key whose limits are not understood is none.
    fn terms(&self) -> Option<KeyTerms> {
        let days = self.idle_days.map(|days| u64::try_from(days).ok().and_then(IdleDays::new).ok_or(()));
        Some(KeyTerms {
            reach: KeyReach {
                networks: NetworkSet::parse(&self.networks).ok()?,
                routes: RouteNames::parse(&self.routes).ok()?,
                methods: MethodNames::parse(&self.methods).ok()?,
            },
            idle: days.transpose().ok()?,
            rate: self.rate.as_deref().map(Rate::parse).transpose().ok()?,
            quota: self.quota.as_deref().map(Quota::parse).transpose().ok()?,
            labels: Labels::from_stored(&self.labels)?,
        })
    }

    fn replaced(&self) -> Option<Replacement> {
        let by = ApiKeyId(self.replaced_by.clone()?);
        let at = self.replaced_at.zip(self.uses_when_replaced);
        Some(Replacement { by, at: at.map(|(at, uses)| (Timestamp::from_micros(at), unsigned(uses))) })
    }
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

pub fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl TryFrom<Row> for ApiKey {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let terms = row.terms().ok_or_else(|| corrupt(TABLE, &row.id, "a limit or label cannot be read"))?;
        let replaced = row.replaced();
        let usage = KeyUsage { last_at: row.last_used_at.map(Timestamp::from_micros), count: unsigned(row.use_count) };
        let owner = match (row.owner_user, row.owner_service) {
            (Some(user), None) => KeyOwner::User(UserId(user)),
            (None, Some(service)) => KeyOwner::Service(service),
            _ => return Err(corrupt(TABLE, &row.id, "neither one owner nor the other")),
        };
        let revoked = match (row.revoked_at, row.revoked_reason) {
            (None, None) => None,
            (Some(at), Some(reason)) => Some((Timestamp::from_micros(at), reason)),
            _ => return Err(corrupt(TABLE, &row.id, "revoked_at and revoked_reason contradict each other")),
        };
        let digest = Digest::from_hex(&row.digest).ok_or_else(|| corrupt(TABLE, &row.id, "digest is no digest"))?;
        let scopes = ScopeSet::parse(&row.scopes).map_err(|_| corrupt(TABLE, &row.id, "scopes holds no scopes"))?;
        Ok(Self {
            id: ApiKeyId(row.id),
            prefix: row.prefix,
            digest,
            name: row.name,
            owner,
            scopes,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: row.expires_at.map(Timestamp::from_micros),
            revoked,
            replaced,
            terms,
            usage,
        })
    }
}

impl<'q> Insertable<'q> for &'q ApiKey {
    const TABLE: &'static str = TABLE;
    const COLUMNS: &'static str = select!(columns);

    fn bind(self, statement: Statement<'q>) -> Statement<'q> {
        let (user, service) = owner_columns(&self.owner);
        statement
            .bind(self.id.as_str())
            .bind(self.prefix.as_str())
            .bind(self.digest.hex())
            .bind(self.name.as_str())
            .bind(user)
            .bind(service)
            .bind(self.scopes.to_string())
            .bind(self.created_at.as_micros())
            .bind(self.expires_at.map(Timestamp::as_micros))
            .bind(self.revoked.as_ref().map(|(at, _)| at.as_micros()))
            .bind(self.revoked.as_ref().map(|(_, reason)| reason.as_str()))
            .bind(self.replaced.as_ref().map(|replaced| replaced.by.as_str()))
            .bind(self.terms.reach.networks.to_string())
            .bind(self.terms.reach.routes.to_string())
            .bind(self.terms.reach.methods.to_string())
            .bind(self.terms.idle.map(|days| i64::from(days.get())))
            .bind(self.terms.rate.map(|rate| rate.to_string()))
            .bind(self.terms.quota.map(|quota| quota.to_string()))
            .bind(self.terms.labels.stored())
            .bind(self.usage.last_at.map(Timestamp::as_micros))
            .bind(signed(self.usage.count))
            .bind(self.replaced.as_ref().and_then(|replaced| replaced.at).map(|(at, _)| at.as_micros()))
            .bind(self.replaced.as_ref().and_then(|replaced| replaced.at).map(|(_, uses)| signed(uses)))
    }
}

/// The columns of an owner: of a user, or of a service.
pub fn owner_columns(owner: &KeyOwner) -> (Option<&str>, Option<&str>) {
    match owner {
        KeyOwner::User(id) => (Some(id.as_str()), None),
        KeyOwner::Service(name) => (None, Some(name.as_str())),
    }
}

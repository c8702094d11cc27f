//! How many requests may pass: by client address before anything is looked up, and by principal, key and route after it
//! is known who asks.
//!
//! Every limit is counted here first, so that what is refused costs no question. Only what passes is counted over all
//! nodes too, where the limit is shared; a node that gets no answer goes by its own count, and says so.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::buckets::{BucketKey, Buckets};
use crate::domain::api_key::ApiKeyId;
use crate::domain::client_network::ClientNetwork;
use crate::domain::clock::Timestamp;
use crate::domain::denial::Denial;
use crate::domain::gcra::Gcra;
use crate::domain::principal::{Principal, Subject};
use crate::domain::quota_span::QuotaSpan;
use crate::domain::rate::Quota;
use crate::domain::rate_limit::{Allowance, LimitName, RateLimit, RouteLimits};
use crate::routing::route::Route;
use crate::storage::budgets::{Ask, SharedBudgets};
use crate::storage::quotas::QuotaMeter;

/// Limits that hold on every route.
#[derive(Clone, Copy, Debug, Default)]
pub struct GeneralLimits {
    pub per_address: Option<RateLimit>,
    pub per_principal: Option<RateLimit>,
    /// Whether the rates and quotas of keys are counted over all nodes.
    pub keys_shared: bool,
}

/// The limits of one reading of the configuration, over counters that outlive it.
pub struct RequestLimits {
    general: GeneralLimits,
    counters: Arc<Counters>,
}

/// What was counted, for as long as the process lives.
pub struct Counters {
    /// By address: anybody can fill it.
    addresses: Buckets,
    /// By principal, key and route: only who was admitted gets in.
    callers: Buckets,
    shared: Option<Arc<dyn SharedBudgets>>,
    unanswered: AtomicBool,
    quotas: Arc<dyn QuotaMeter>,
}

/// A request too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    pub limit: LimitName,
    pub allowance: Allowance,
    pub retry_in: Duration,
}

/// Why a request does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    Exceeded(Exceeded),
    /// How much of a quota was used is not known.
    Unknown(Denial),
}

impl Exceeded {
    pub const fn denial(&self) -> Denial {
        match self.limit {
            LimitName::KeyQuota => Denial::KeyQuota,
            _ => Denial::RateLimited,
        }
    }
}

/// Who is counted.
#[derive(Clone, Copy, Hash)]
enum Party<'a> {
    Network(ClientNetwork),
    User(&'a str),
    Service(&'a str),
    Key(&'a str),
    Everybody,
}

/// One bucket of a request.
struct Charge<'a> {
    limit: LimitName,
    route: &'a str,
    party: Party<'a>,
    gcra: Gcra,
    shared: bool,
    buckets: &'a Buckets,
    key: BucketKey,
}

impl Counters {
    /// `parties` is how many addresses, and how many callers, are told apart at a time.
    pub fn new(parties: usize, shared: Option<Arc<dyn SharedBudgets>>, quotas: Arc<dyn QuotaMeter>) -> Self {
        let (addresses, callers) = (Buckets::new(parties), Buckets::new(parties));
        Self { addresses, callers, shared, unanswered: AtomicBool::new(false), quotas }
    }

    /// Addresses, and callers, that are told apart at the moment.
    pub fn held(&self) -> (usize, usize) {
        (self.addresses.len(), self.callers.len())
    }

    /// Whether shared limits are counted by this node alone, because the last question had no answer.
    pub fn is_alone(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed)
    }
}

impl RequestLimits {
    pub const fn new(general: GeneralLimits, counters: Arc<Counters>) -> Self {
        Self { general, counters }
    }

    /// Before the request is looked at any further.
    pub async fn arrive(&self, client: IpAddr, now: Timestamp) -> Result<Option<Allowance>, Exceeded> {
        let Some(limit) = self.general.per_address else { return Ok(None) };
        let party = Party::Network(ClientNetwork::around(client));
        self.charge([Some(self.of(LimitName::Address, "", party, limit))], now).await
    }

    /// Before any credential is looked at.
    pub async fn enter(&self, route: &Route, client: IpAddr, now: Timestamp) -> Result<Option<Allowance>, Exceeded> {
        let Some(limit) = route.limits.per_address else { return Ok(None) };
        let party = Party::Network(ClientNetwork::around(client));
        self.charge([Some(self.of(LimitName::RouteAddress, &route.name, party, limit))], now).await
    }

    /// When it is known who asks, and that they may. A quota is charged last: a request that is refused for its haste uses
    /// none of it.
    pub async fn pass(
        &self,
        route: &Route,
        principal: Option<&Principal>,
        now: Timestamp,
    ) -> Result<Option<Allowance>, Held> {
        let RouteLimits { per_principal, total, .. } = route.limits;
        let key = principal.and_then(|principal| Some((principal.key_id.as_ref()?, principal.bounds.limits)));
        let key_rate = key.and_then(|(id, limits)| Some((id, limits.rate?)));
        let general = self.general.per_principal.filter(|_| principal.is_some());
        let mut allowance = None;
        if general.is_some() || per_principal.is_some() || total.is_some() || key_rate.is_some() {
            let of_principal = |name, route, limit: Option<RateLimit>| {
                let party = party(&principal?.subject);
                limit.map(|limit| self.of(name, route, party, limit))
            };
            let charges = [
                of_principal(LimitName::Principal, "", general),
                key_rate.map(|(id, rate)| {
                    let limit = RateLimit { rate, shared: self.general.keys_shared };
                    self.of(LimitName::Key, "", Party::Key(id.as_str()), limit)
                }),
                of_principal(LimitName::RoutePrincipal, &route.name, per_principal),
                total.map(|limit| self.of(LimitName::Route, &route.name, Party::Everybody, limit)),
            ];
            allowance = self.charge(charges, now).await.map_err(Held::Exceeded)?;
        }
        let Some((id, quota)) = key.and_then(|(id, limits)| Some((id, limits.quota?))) else { return Ok(allowance) };
        let left = self.use_quota(id, quota, now).await?;
        Ok(Allowance::tighter(allowance, Some(left)))
    }

    fn of<'a>(&'a self, limit: LimitName, route: &'a str, party: Party<'a>, held: RateLimit) -> Charge<'a> {
        let buckets =
            if matches!(party, Party::Network(_)) { &self.counters.addresses } else { &self.counters.callers };
        let key = buckets.key(&(limit, route, party));
        Charge { limit, route, party, gcra: held.gcra(), shared: held.shared, buckets, key }
    }

    /// From every bucket, or from none.
    async fn charge<const N: usize>(
        &self,
        charges: [Option<Charge<'_>>; N],
        now: Timestamp,
    ) -> Result<Option<Allowance>, Exceeded> {
        let mut allowance = None;
        for (at, charge) in charges.iter().enumerate() {
            let Some(charge) = charge else { continue };
            match charge.buckets.take(charge.key, charge.gcra, now) {
                Ok(level) => {
                    allowance = Allowance::tighter(allowance, Some(Allowance::of(charge.gcra, level)));
                }
                Err(spent) => {
                    give_back(charges.iter().take(at));
                    return Err(charge.exceeded(spent.retry_in, spent.full_in));
                }
            }
        }
        match &self.counters.shared {
            Some(shared) if charges.iter().flatten().any(|charge| charge.shared) => {
                self.charge_all_nodes(shared.as_ref(), &charges, allowance, now).await
            }
            _ => Ok(allowance),
        }
    }

    async fn charge_all_nodes(
        &self,
        shared: &dyn SharedBudgets,
        charges: &[Option<Charge<'_>>],
        mut allowance: Option<Allowance>,
        now: Timestamp,
    ) -> Result<Option<Allowance>, Exceeded> {
        let of_all = || charges.iter().flatten().filter(|charge| charge.shared);
        let asks: Vec<Ask> = of_all().map(Charge::ask).collect();
        let answers = shared.take(&asks).await;
        self.counters.unanswered.store(answers.is_err(), Ordering::Relaxed);
        let Ok(answers) = answers else { return Ok(allowance) };
        let mut refused: Option<Exceeded> = None;
        for (charge, answer) in of_all().zip(answers) {
            match answer {
                Ok(level) => {
                    allowance = Allowance::tighter(allowance, Some(Allowance::of(charge.gcra, level)));
                }
                Err(spent) => {
                    charge.buckets.hold(charge.key, charge.gcra, spent.retry_in, now);
                    let exceeded = charge.exceeded(spent.retry_in, spent.full_in);
                    if refused.is_none_or(|longest| longest.retry_in < exceeded.retry_in) {
                        refused = Some(exceeded);
                    }
                }
            }
        }
        match refused {
            None => Ok(allowance),
            Some(exceeded) => {
                give_back(charges.iter().filter(|c| c.as_ref().is_none_or(|c| c.limit != exceeded.limit)));
                Err(exceeded)
            }
        }
    }

    async fn use_quota(&self, id: &ApiKeyId, quota: Quota, now: Timestamp) -> Result<Allowance, Held> {
        let reset = QuotaSpan::around(quota.per, now).left(now);
        let of = |remaining| Allowance { limit: u64::from(quota.amount.get()), remaining, reset };
        let taken = self.counters.quotas.take(id, quota, now).await.map_err(|_| Held::Unknown(Denial::Unavailable))?;
        let exceeded = |_| Held::Exceeded(Exceeded { limit: LimitName::KeyQuota, allowance: of(0), retry_in: reset });
        taken.map(|left| of(left.remaining)).map_err(exceeded)
    }
}

/// What one limit has refused, others have not let through.
fn give_back<'a>(charges: impl Iterator<Item = &'a Option<Charge<'a>>>) {
    for charge in charges.flatten() {
        charge.buckets.give_back(charge.key, charge.gcra);
    }
}

const fn party(subject: &Subject) -> Party<'_> {
    match subject {
        Subject::User { id, .. } => Party::User(id.0.as_str()),
        Subject::Service { name } => Party::Service(name.as_str()),
    }
}

impl Charge<'_> {
    fn exceeded(&self, retry_in: Duration, reset: Duration) -> Exceeded {
        let allowance = Allowance { limit: u64::from(self.gcra.burst()), remaining: 0, reset };
        Exceeded { limit: self.limit, allowance, retry_in }
    }

    fn ask(&self) -> Ask {
        let party = match self.party {
            Party::Network(network) => network.to_string(),
            Party::Key(id) => id.to_owned(),
            Party::Everybody => String::new(),
            Party::User(id) => format!("user:{id}"),
            Party::Service(name) => format!("service:{name}"),
        };
        Ask { name: format!("{}:{}:{party}", self.limit.as_str(), self.route), gcra: self.gcra }
    }
}

#[cfg(test)]
#[path = "request_limits/tests.rs"]
mod tests;

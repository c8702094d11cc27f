//! The one function that decides.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;

use super::arrival::Arrival;
use super::key_check::{KeyCheck, Shown};
use super::permit::Permit;
use super::serial::Serial;
use super::token_check::TokenCheck;
use crate::domain::access_policy::{AccessPolicy, CredentialKind, Kinds, Requirement, SecondFactorDemand};
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::credential::{MalformedCredential, Presented};
use crate::domain::denial::Denial;
use crate::domain::principal::{Assurance, Caller, Method, Principal};
use crate::routing::route::Route;

/// What counts when credentials come together, or broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialRule {
    /// Every credential that is presented must be valid.
    AllPresented,
    /// As the Django stack decides: a valid token makes an accompanying bad key irrelevant, and a bad key counts as none.
    Django,
}

pub struct Gatekeeper {
    tokens: Arc<TokenCheck>,
    keys: Arc<KeyCheck>,
    rule: CredentialRule,
    clock: Arc<dyn Clock>,
    serial: Arc<Serial>,
    /// Callers who show a token and a key together, by the serials of the two and whether both are
    /// demanded: so that what is derived from a principal
    /// (a signed assertion) is derived once for them too.
    pairs: Cache<(u64, u64, bool), Arc<Principal>>,
}

/// Pairs remembered at a time.
const PAIRS: usize = 16_384;

impl Gatekeeper {
    pub fn new(
        tokens: Arc<TokenCheck>,
        keys: Arc<KeyCheck>,
        rule: CredentialRule,
        clock: Arc<dyn Clock>,
        serial: Arc<Serial>,
    ) -> Self {
        Self { tokens, keys, rule, clock, serial, pairs: Cache::new(PAIRS) }
    }

    /// May this request use this route? A store that does not answer is a denial too, and never the client's fault.
    pub async fn admit(&self, arrival: &Arrival, route: &Arc<Route>, now: Timestamp) -> Result<Permit, Denial> {
        let caller = match &route.access {
            AccessPolicy::Public => Caller::Anonymous,
            AccessPolicy::Requires(requirement) => {
                let principal = self.authenticate(arrival, route, requirement, now).await?;
                if principal.owes_second_factor && !requirement.open_to_unenrolled {
                    return Err(Denial::SecondFactorRequired);
                }
                // Judged on every request: a remembered record carries attributes, never a verdict.
                if !principal.scopes.contains_all(&requirement.scopes) {
                    return Err(Denial::ScopeMissing);
                }
                judge_proof(&principal, requirement, now)?;
                Caller::Known(principal)
            }
        };
        Ok(Permit::new(Arc::clone(route), caller))
    }

    async fn authenticate(
        &self,
        arrival: &Arrival,
        route: &Route,
        requirement: &Requirement,
        now: Timestamp,
    ) -> Result<Arc<Principal>, Denial> {
        let bearer = self.bearer(arrival, now).await?;
        let key = match self.rule {
            CredentialRule::AllPresented => self.api_key(arrival, route, now).await?,
            CredentialRule::Django if bearer.is_some() && requirement.kinds != Kinds::All => None,
            CredentialRule::Django => match self.api_key(arrival, route, now).await {
                // Our own outage is never the client's missing credential.
                Err(denial @ (Denial::Unavailable | Denial::Busy | Denial::TooManyUnknownKeys)) => return Err(denial),
                Err(_) => None,
                Ok(key) => key,
            },
        };
        if bearer.is_none() && key.is_none() {
            return Err(Denial::CredentialMissing);
        }
        let kinds = requirement.kinds;
        if !kinds.satisfied_by(bearer.is_some(), key.is_some()) {
            // One of two that are needed is a missing credential; the wrong one alone is not accepted.
            return Err(if kinds == Kinds::All {
                Denial::CredentialMissing
            } else {
                Denial::CredentialKindNotAccepted
            });
        }
        let bearer = bearer.filter(|_| kinds.accepts(CredentialKind::Jwt));
        let key = key.filter(|_| kinds.accepts(CredentialKind::ApiKey));
        match (bearer, key) {
            (Some(user), Some(key)) => Ok(self.joined(&user, &key, kinds)),
            (Some(one), None) | (None, Some(one)) => Ok(one),
            (None, None) => Err(Denial::CredentialMissing),
        }
    }

    async fn bearer(&self, arrival: &Arrival, now: Timestamp) -> Result<Option<Arc<Principal>>, Denial> {
        match &arrival.credentials.bearer {
            Presented::Absent => Ok(None),
            Presented::Malformed(fault) => Err(bearer_denial(*fault)),
            Presented::WellFormed(token) => self.tokens.check(token, now).await.map(Some),
        }
    }

    async fn api_key(
        &self,
        arrival: &Arrival,
        route: &Route,
        now: Timestamp,
    ) -> Result<Option<Arc<Principal>>, Denial> {
        match &arrival.credentials.api_key {
            Presented::Absent => Ok(None),
            Presented::Malformed(MalformedCredential::Repeated) => Err(Denial::CredentialRepeated),
            Presented::Malformed(_) => Err(Denial::KeyMalformed),
            Presented::WellFormed(key) => {
                let shown = Shown { client: arrival.client, route: &route.name, method: &arrival.method };
                self.keys.check(key, shown, now).await.map(Some)
            }
        }
    }

    /// As [`Gatekeeper::api_key`], of a key that was good when something was opened with it.
    async fn standing_key(
        &self,
        arrival: &Arrival,
        route: &Route,
        now: Timestamp,
    ) -> Result<Option<Arc<Principal>>, Denial> {
        let Presented::WellFormed(key) = &arrival.credentials.api_key else { return Ok(None) };
        let shown = Shown { client: arrival.client, route: &route.name, method: &arrival.method };
        self.keys.stands(key, shown, now).await.map(Some)
    }

    /// Both were shown: the token names the subject. Where both are demanded, only what both may do is allowed.
    fn joined(&self, user: &Principal, key: &Principal, kinds: Kinds) -> Arc<Principal> {
        let both = kinds == Kinds::All;
        let pair = (user.serial, key.serial, both);
        if let Some(known) = self.pairs.get(&pair) {
            return known;
        }
        let scopes = if both { user.scopes.intersection(&key.scopes) } else { user.scopes.clone() };
        let principal = Arc::new(Principal {
            method: Method::JwtAndApiKey,
            scopes,
            key_id: key.key_id.clone(),
            bounds: key.bounds.clone(),
            expires_at: match (user.expires_at, key.expires_at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (one, other) => one.or(other),
            },
            serial: self.serial.next(),
            ..user.clone()
        });
        self.pairs.insert(pair, Arc::clone(&principal));
        principal
    }

    /// Whether whoever holds a permit for something that goes on would still be let in: the session lives, the user is
    /// active, the key is good and good for this, and they may still do what `route` demands, which is the one that it would
    /// take now. That a token has run out in the meantime, or a sign-in has grown old, is not asked; but a sign-in is judged
    /// once more when it may be less old than the permit's route allowed. What is returned is a permit for `route`.
    pub async fn still_stands(&self, permit: &Permit, arrival: &Arrival, route: &Arc<Route>) -> Result<Permit, Denial> {
        if let AccessPolicy::Requires(requirement) = &route.access {
            let principal = permit.principal().ok_or(Denial::CredentialMissing)?;
            self.judge_standing(principal, arrival, route, requirement).await?;
            let (before, most) = (permit.route().access.max_auth_age(), requirement.max_auth_age);
            if let Some(most) = most.filter(|most| before.is_none_or(|before| before > *most)) {
                let by_token = requirement.kinds.accepts(CredentialKind::Jwt);
                judge_age(principal.authenticated_at.filter(|_| by_token), most, self.clock.now())?;
            }
        }
        Ok(Permit::new(Arc::clone(route), permit.caller().clone()))
    }

    async fn judge_standing(
        &self,
        principal: &Principal,
        arrival: &Arrival,
        route: &Route,
        requirement: &Requirement,
    ) -> Result<(), Denial> {
        let kinds = requirement.kinds;
        if !kinds.satisfied_by(principal.method != Method::ApiKey, principal.method != Method::Jwt) {
            return Err(Denial::CredentialKindNotAccepted);
        }
        let now = self.clock.now();
        let shows_key = principal.key_id.is_some();
        let key = if shows_key { self.standing_key(arrival, route, now).await? } else { None };
        let key_may = key.as_ref().is_some_and(|key| key.scopes.contains_all(&requirement.scopes));
        if principal.method == Method::ApiKey || !kinds.accepts(CredentialKind::Jwt) {
            if requirement.second_factor == SecondFactorDemand::Everybody {
                return Err(Denial::SecondFactorRequired);
            }
            return if key_may { Ok(()) } else { Err(Denial::ScopeMissing) };
        }
        let standing = self.tokens.stands(principal, now).await?;
        if standing.owes_second_factor && !requirement.open_to_unenrolled {
            return Err(Denial::SecondFactorRequired);
        }
        if requirement.second_factor != SecondFactorDemand::Nobody && standing.assurance < Assurance::TwoFactors {
            return Err(Denial::SecondFactorRequired);
        }
        let user_may = standing.scopes.contains_all(&requirement.scopes);
        let may = if kinds == Kinds::All { user_may && key_may } else { user_may };
        if may { Ok(()) } else { Err(Denial::ScopeMissing) }
    }

    /// After signing keys changed.
    pub fn forget_tokens(&self) {
        self.tokens.forget_all();
    }

    pub fn token_bytes_held(&self) -> u64 {
        self.tokens.bytes_held()
    }
}

/// How strongly, and how recently, it was proven who it is.
fn judge_proof(principal: &Principal, requirement: &Requirement, now: Timestamp) -> Result<(), Denial> {
    let demanded = match requirement.second_factor {
        SecondFactorDemand::Nobody => false,
        SecondFactorDemand::Tokens => principal.method != Method::ApiKey,
        SecondFactorDemand::Everybody => true,
    };
    if demanded && principal.assurance < Assurance::TwoFactors {
        return Err(Denial::SecondFactorRequired);
    }
    match requirement.max_auth_age {
        Some(most) => judge_age(principal.authenticated_at, most, now),
        None => Ok(()),
    }
}

fn judge_age(authenticated_at: Option<Timestamp>, most: Duration, now: Timestamp) -> Result<(), Denial> {
    let fresh = authenticated_at.is_some_and(|at| now.since(at) <= most);
    if fresh { Ok(()) } else { Err(Denial::AuthenticationTooOld) }
}

const fn bearer_denial(fault: MalformedCredential) -> Denial {
    match fault {
        MalformedCredential::Repeated => Denial::CredentialRepeated,
        MalformedCredential::BearerShape => Denial::BadAuthorizationHeader,
        MalformedCredential::TooLong => Denial::TokenInvalid,
        MalformedCredential::Scheme | MalformedCredential::Key(_) | MalformedCredential::NotText => {
            Denial::CredentialMalformed
        }
    }
}

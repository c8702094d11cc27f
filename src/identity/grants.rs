//! Nobody hands out more than they hold, nor acts on whoever holds more.
//!
//! Whoever can set somebody's password, or has a key of theirs, is them. So acting on a user or key takes what that user or
//! key holds, and making one takes what it is to hold: whatever an administrator does, alone or through those whom they
//! made or took over, comes to no more than they had.

use crate::domain::api_key::ApiKey;
use crate::domain::audit::{Actor, Initiator};
use crate::domain::clock::Timestamp;
use crate::domain::key_bounds::KeyBounds;
use crate::domain::key_reach::KeyReach;
use crate::domain::key_terms::KeyTerms;
use crate::domain::role::Roles;
use crate::domain::scope::ScopeSet;
use crate::domain::user::{User, UserId};

/// Somebody who administers by a token or a key, and the scopes of that.
#[derive(Clone, Debug)]
pub struct Administrator {
    pub by: Initiator,
    pub scopes: ScopeSet,
    /// What the key is held to by which the administrator acts; what such a key makes is held to no less.
    pub bounds: KeyBounds,
}

/// It takes more than the administrator holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("this takes scopes that the caller does not hold")]
pub struct Beyond {
    /// Those of them that the administrator asked for by name. What others hold is not told.
    pub asked: ScopeSet,
}

impl Administrator {
    /// Whether this user is the one who acts, by a token or by a key.
    pub fn is(&self, user: &UserId) -> bool {
        matches!(&self.by.actor, Actor::User(own) if own == user)
    }

    /// May a user be, or be made, as this one is?
    pub fn reach_user(&self, user: &User, roles: &Roles) -> Result<(), Beyond> {
        self.hold(&user.all_scopes(roles))
    }

    /// May somebody be let in by a password, who is then bound to nothing that a key can be bound to? A key that is bound to
    /// anything may not.
    pub fn let_in(&self) -> Result<(), Beyond> {
        within(self.bounds.is_none())
    }

    /// May there be one key more? Each is counted by itself, so whoever is held to a rate or a quota would have it twice.
    pub fn multiply(&self) -> Result<(), Beyond> {
        within(self.bounds.limits.is_none())
    }

    /// May a key be made that acts as this user? For anybody else it is as good as a password of theirs, and takes what
    /// setting one takes.
    pub fn act_as(&self, user: &User, roles: &Roles) -> Result<(), Beyond> {
        let administers_users = self.scopes.iter().any(|scope| scope.as_str() == "users:write");
        if administers_users || self.is(&user.id) { self.reach_user(user, roles) } else { Err(Beyond::default()) }
    }

    /// May a key be, or be made, as this one is? A key of a user acts as its owner.
    pub fn reach_key(&self, key: &ApiKey, owner: Option<&User>, roles: &Roles) -> Result<(), Beyond> {
        self.hold(&key.scopes)?;
        self.go(&key.terms.reach)?;
        owner.map_or(Ok(()), |owner| self.reach_user(owner, roles))
    }

    /// May a key be got hold of that acts as this user does? Both: what the key holds, and what acting as its owner takes.
    pub fn take_key(&self, key: &ApiKey, owner: Option<&User>, roles: &Roles) -> Result<(), Beyond> {
        self.reach_key(key, owner, roles)?;
        self.make(&key.terms)?;
        owner.map_or(Ok(()), |owner| self.act_as(owner, roles))
    }

    /// May a key be good there?
    pub fn go(&self, reach: &KeyReach) -> Result<(), Beyond> {
        within(self.bounds.reach.covers(reach))
    }

    /// May one more key be held to these terms, and to no others?
    pub fn make(&self, terms: &KeyTerms) -> Result<(), Beyond> {
        self.multiply()?;
        self.go(&terms.reach)?;
        within(self.bounds.covers_idle(terms.idle))
    }

    /// May a key become another one? One that is less, or the same, it may. One that is more in anything is as good as a new
    /// one, for whoever has it already.
    pub fn turn(&self, key: &ApiKey, into: &ApiKey) -> Result<(), Beyond> {
        self.go(&into.terms.reach)?;
        let (before, after) = (KeyBounds::of(key), KeyBounds::of(into));
        if key.scopes.contains_all(&into.scopes) && before.covers(&after) {
            return Ok(());
        }
        self.multiply()?;
        within(self.bounds.covers(&after))
    }

    /// The terms of a key of which not all is said: where they say nothing, no wider than the administrator's.
    pub fn terms_within(&self, wanted: KeyTerms) -> KeyTerms {
        let (own, reach) = (&self.bounds, wanted.reach);
        let reach = KeyReach {
            networks: if reach.networks.is_empty() { own.reach.networks.clone() } else { reach.networks },
            routes: if reach.routes.is_empty() { own.reach.routes.clone() } else { reach.routes },
            methods: if reach.methods.is_empty() { own.reach.methods.clone() } else { reach.methods },
        };
        KeyTerms { reach, idle: wanted.idle.or(own.idle), ..wanted }
    }

    /// The end of a key that is to end then: no later than the one by which the administrator acts.
    pub fn expiry_within(&self, wanted: Option<Timestamp>) -> Option<Timestamp> {
        self.bounds.expires_at.into_iter().chain(wanted).min()
    }

    /// May somebody be made who holds these?
    pub fn hold(&self, scopes: &ScopeSet) -> Result<(), Beyond> {
        within(self.scopes.contains_all(scopes))
    }

    /// As [`Administrator::hold`], of scopes that the administrator named.
    pub fn hold_asked(&self, scopes: &ScopeSet) -> Result<(), Beyond> {
        let asked: ScopeSet = scopes.iter().filter(|scope| !self.scopes.contains(scope)).cloned().collect();
        if asked.is_empty() { Ok(()) } else { Err(Beyond { asked }) }
    }
}

fn within(holds: bool) -> Result<(), Beyond> {
    if holds { Ok(()) } else { Err(Beyond::default()) }
}

#[cfg(test)]
#[path = "grants/tests.rs"]
mod tests;

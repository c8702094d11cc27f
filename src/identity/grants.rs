//! Nobody hands out more than they hold, nor acts on whoever holds more.
//!
//! Whoever can set somebody's password, or has a key of theirs, is them. So acting on a user or key takes what that user or
//! key holds, and making one takes what it is to hold: whatever an administrator does, alone or through those whom they
//! made or took over, comes to no more than they had.

use crate::domain::api_key::ApiKey;
use crate::domain::audit::{Actor, Initiator};
use crate::domain::clock::Timestamp;
use crate::domain::key_reach::KeyReach;
use crate::domain::role::Roles;
use crate::domain::scope::ScopeSet;
use crate::domain::user::{User, UserId};

/// Somebody who administers by a token or a key, and the scopes of that.
#[derive(Clone, Debug)]
pub struct Administrator {
    pub by: Initiator,
    pub scopes: ScopeSet,
    /// Where the key may be used by which the administrator acts; what such a key makes may be used nowhere else.
    pub reach: KeyReach,
    /// When the key ends by which the administrator acts; what such a key makes ends with it.
    pub key_expires_at: Option<Timestamp>,
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

    /// May somebody be let in by a password, who is then bound to no place and no end? A key that is bound so may not.
    pub fn let_in(&self) -> Result<(), Beyond> {
        let bound = self.reach != KeyReach::default() || self.key_expires_at.is_some();
        if bound { Err(Beyond::default()) } else { Ok(()) }
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
        owner.map_or(Ok(()), |owner| self.act_as(owner, roles))
    }

    /// May a key be made that is good there?
    pub fn go(&self, reach: &KeyReach) -> Result<(), Beyond> {
        if self.reach.covers(reach) { Ok(()) } else { Err(Beyond::default()) }
    }

    /// Where a key is to be good of which not all is said: where it says nothing, no further than the administrator.
    pub fn reach_within(&self, wanted: KeyReach) -> KeyReach {
        let own = &self.reach;
        KeyReach {
            networks: if wanted.networks.is_empty() { own.networks.clone() } else { wanted.networks },
            routes: if wanted.routes.is_empty() { own.routes.clone() } else { wanted.routes },
            methods: if wanted.methods.is_empty() { own.methods.clone() } else { wanted.methods },
        }
    }

    /// The end of a key that is to end then: no later than the one by which the administrator acts.
    pub fn expiry_within(&self, wanted: Option<Timestamp>) -> Option<Timestamp> {
        self.key_expires_at.into_iter().chain(wanted).min()
    }

    /// May somebody be made who holds these?
    pub fn hold(&self, scopes: &ScopeSet) -> Result<(), Beyond> {
        if self.scopes.contains_all(scopes) { Ok(()) } else { Err(Beyond::default()) }
    }

    /// As [`Administrator::hold`], of scopes that the administrator named.
    pub fn hold_asked(&self, scopes: &ScopeSet) -> Result<(), Beyond> {
        let asked: ScopeSet = scopes.iter().filter(|scope| !self.scopes.contains(scope)).cloned().collect();
        if asked.is_empty() { Ok(()) } else { Err(Beyond { asked }) }
    }
}

#[cfg(test)]
#[path = "grants/tests.rs"]
mod tests;

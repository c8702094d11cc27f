//! From a bearer token to a principal.
//!
//! A signature is checked once per token: what it said is remembered under the token's full SHA-256 until it expires.
//! Whether its session lives and its user is active is asked on every request, of stores that remember.

use std::sync::{Arc, PoisonError, RwLock};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::serial::Serial;
use crate::crypto::digest::sha256;
use crate::crypto::tokens::Tokens;
use crate::domain::access_policy::SecondFactorDuty;
use crate::domain::clock::Timestamp;
use crate::domain::credential::BearerToken;
use crate::domain::denial::Denial;
use crate::domain::digest::Digest;
use crate::domain::key_bounds::KeyBounds;
use crate::domain::principal::{Assurance, Method, Principal, Subject};
use crate::domain::role::Roles;
use crate::domain::scope::ScopeSet;
use crate::domain::session::SessionId;
use crate::domain::token::{TokenClaims, TokenFault, TokenType, is_older_than};
use crate::domain::user::{User, UserId};
use crate::storage::sessions::Sessions;
use crate::storage::users::Users;

pub struct TokenCheck {
    tokens: Tokens,
    sessions: Arc<dyn Sessions>,
    users: Arc<dyn Users>,
    roles: Roles,
    duty: SecondFactorDuty,
    seen: Cache<Digest, Arc<Seen>, ByBytes>,
    serial: Arc<Serial>,
}

/// A token whose signature and claims held, and the principal last derived from it.
struct Seen {
    claims: TokenClaims,
    bytes: u64,
    /// Good as long as the user's record is this very one.
    derived: RwLock<Option<(Arc<User>, Arc<Principal>)>>,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Digest, Arc<Seen>> for ByBytes {
    fn weight(&self, _: &Digest, seen: &Arc<Seen>) -> u64 {
        seen.bytes
    }
}

/// What a user may do now, whatever the token said when it was shown.
#[derive(Clone, Debug)]
pub struct Standing {
    pub scopes: ScopeSet,
    pub assurance: Assurance,
    /// As of a [`Principal`].
    pub owes_second_factor: bool,
}

impl TokenCheck {
    pub fn new(
        tokens: Tokens,
        sessions: Arc<dyn Sessions>,
        users: Arc<dyn Users>,
        roles: Roles,
        duty: SecondFactorDuty,
        cache_bytes: u64,
        serial: Arc<Serial>,
    ) -> Self {
        let items = usize::try_from(cache_bytes / 2048).unwrap_or(usize::MAX).clamp(16, 1 << 20);
        let seen = Cache::with_weighter(items, cache_bytes, ByBytes);
        Self { tokens, sessions, users, roles, duty, seen, serial }
    }

    pub async fn check(&self, token: &BearerToken, now: Timestamp) -> Result<Arc<Principal>, Denial> {
        let seen = self.read(token, now)?;
        let claims = &seen.claims;
        // An id that can name nobody is there all the same, and no user has it.
        let nobody = || if claims.all.contains_key("user_id") { Denial::UserNotFound } else { Denial::TokenNoUser };
        let user_id = claims.user_id.as_ref().ok_or_else(nobody)?;
        let user = self.standing_user(user_id, claims.session_id.as_ref(), claims.issued_at, now).await?;
        Ok(self.principal(&seen, user))
    }

    /// What a user who was let in by a token may still do, if the session lives and the user is active.
    pub async fn stands(&self, principal: &Principal, now: Timestamp) -> Result<Standing, Denial> {
        let Subject::User { id, .. } = &principal.subject else { return Err(Denial::UserNotFound) };
        let user = self.standing_user(id, principal.session_id.as_ref(), principal.issued_at, now).await?;
        let assurance = if user.has_second_factor { principal.assurance } else { Assurance::OneFactor };
        Ok(Standing {
            scopes: user.all_scopes(&self.roles),
            assurance,
            owes_second_factor: self.owes_second_factor(&user, assurance),
        })
    }

    fn owes_second_factor(&self, user: &User, assurance: Assurance) -> bool {
        self.duty.binds(user.is_admin) && assurance < Assurance::TwoFactors
    }

    async fn standing_user(
        &self,
        user_id: &UserId,
        session_id: Option<&SessionId>,
        issued_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Arc<User>, Denial> {
        let session = async {
            match session_id {
                Some(id) => self.sessions.find(id).await,
                None => Ok(None),
            }
        };
        // Both at once: a token that nobody here remembers waits for one answer of the store, not for two.
        let (user, session) = tokio::join!(self.users.find(user_id), session);
        // The user first, as existing clients are told: a user who is gone or switched off has no sessions left either.
        let user = user.map_err(|_| Denial::Unavailable)?.ok_or(Denial::UserNotFound)?;
        if !user.is_active {
            return Err(Denial::UserInactive);
        }
        if session_id.is_none() && is_older_than(issued_at, user.tokens_valid_from) {
            return Err(Denial::SessionEnded);
        }
        if session_id.is_some() {
            let session = session.map_err(|_| Denial::Unavailable)?;
            let live = session.is_some_and(|session| session.is_live(now) && session.user_id == *user_id);
            if !live {
                return Err(Denial::SessionEnded);
            }
        }
        Ok(user)
    }

    fn read(&self, token: &BearerToken, now: Timestamp) -> Result<Arc<Seen>, Denial> {
        let digest = sha256(token.expose().as_bytes());
        if let Some(seen) = self.seen.get(&digest) {
            // Everything else about it was true then and is true still; only time has gone on.
            if seen.claims.expires_at <= now.minus(self.tokens.rules().leeway) {
                self.seen.remove(&digest);
                return Err(Denial::TokenExpired);
            }
            return Ok(seen);
        }
        let claims = self.tokens.read(token.expose(), Some(TokenType::Access), now).map_err(denial_of)?;
        // The text of the token bounds what its claims hold; a map of them takes some four times as much.
        let bytes = (size_of::<Seen>() + 4 * token.expose().len() + 512) as u64;
        let seen = Arc::new(Seen { claims, bytes, derived: RwLock::new(None) });
        self.seen.insert(digest, Arc::clone(&seen));
        Ok(seen)
    }

    fn principal(&self, seen: &Seen, user: Arc<User>) -> Arc<Principal> {
        let derived = seen.derived.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((from, principal)) = derived.as_ref()
            && Arc::ptr_eq(from, &user)
        {
            return Arc::clone(principal);
        }
        drop(derived);
        let claims = &seen.claims;
        // What vouched for the token may have been taken away since, as by whoever lost it.
        let assurance = if user.has_second_factor { Assurance::of(&claims.amr) } else { Assurance::OneFactor };
        let principal = Arc::new(Principal {
            subject: Subject::User { id: user.id.clone(), username: user.username.clone(), email: user.email.clone() },
            method: Method::Jwt,
            scopes: user.all_scopes(&self.roles),
            key_id: None,
            bounds: KeyBounds::default(),
            session_id: claims.session_id.clone(),
            amr: claims.amr.clone(),
            assurance,
            owes_second_factor: self.owes_second_factor(&user, assurance),
            issued_at: claims.issued_at,
            authenticated_at: claims.auth_time,
            // What is derived from it, such as an assertion, must hold for as long as the token is accepted.
            expires_at: Some(claims.expires_at.plus(self.tokens.rules().leeway)),
            serial: self.serial.next(),
        });
        *seen.derived.write().unwrap_or_else(PoisonError::into_inner) = Some((user, Arc::clone(&principal)));
        principal
    }

    /// After signing keys changed: a token may have lost the key that vouched for it.
    pub fn forget_all(&self) {
        self.seen.clear();
    }

    pub fn bytes_held(&self) -> u64 {
        self.seen.weight()
    }
}

pub const fn denial_of(fault: TokenFault) -> Denial {
    match fault {
        TokenFault::Invalid => Denial::TokenInvalid,
        TokenFault::Expired => Denial::TokenExpired,
        TokenFault::Ended => Denial::TokenRevoked,
        TokenFault::NoExpiry => Denial::TokenNoExpiry,
        TokenFault::NoId => Denial::TokenNoId,
        TokenFault::NoType => Denial::TokenNoType,
        TokenFault::WrongType => Denial::TokenWrongType,
    }
}

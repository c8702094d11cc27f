//! What a token's claims must say, once its signature holds.
//!
//! The order of the checks is part of the contract with existing clients, who read the message of the first that fails:
//! `iat`/`nbf`, `exp`, issuer and audience, types of `sub` and `jti`, then what is missing, then the token's type.

use std::time::Duration;

use serde_json::{Map, Value};

use super::clock::Timestamp;
use super::session::SessionId;
use super::user::UserId;

pub type Claims = Map<String, Value>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    Access,
    Refresh,
}

impl TokenType {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
        }
    }
}

/// Which claims an installation's tokens carry.
#[derive(Clone, Debug)]
pub struct TokenRules {
    /// When set, `iss` must be there and equal.
    pub issuer: Option<String>,
    /// When set, `aud` must be there and equal, or be a list that holds it.
    pub audience: Option<String>,
    pub leeway: Duration,
    /// `true` for our own tokens: `iat`, `sub`, `sid` are demanded, `exp` is whole, `user_id` is text, and no token may
    /// live longer than its kind does here. `false` for tokens as the Django stack makes them.
    pub strict: bool,
    pub max_access_lifetime: Duration,
    pub max_refresh_lifetime: Duration,
}

/// Why claims do not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    Invalid,
    Expired,
    /// Its session is over, or it was used up.
    Ended,
    NoExpiry,
    NoId,
    NoType,
    WrongType,
}

/// Claims that hold.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenClaims {
    pub token_type: Option<String>,
    pub expires_at: Timestamp,
    pub id: String,
    /// `None` when there is none that can name a user.
    pub user_id: Option<UserId>,
    pub session_id: Option<SessionId>,
    /// The rotation counter of a refresh token.
    pub counter: Option<i64>,
    pub amr: Vec<String>,
    pub auth_time: Option<Timestamp>,
    pub issued_at: Option<Timestamp>,
    /// Everything, in its order, for what is copied from a refresh token into its access tokens.
    pub all: Claims,
}

/// What our own claims are called. An installation that was taken over may have put claims of its own under the usual
/// names, so beside its tokens ours have names that nobody else gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    pub session: &'static str,
    pub counter: &'static str,
    pub amr: &'static str,
    pub auth_time: &'static str,
}

impl ClaimNames {
    const REGISTERED: Self = Self { session: "sid", counter: "ctr", amr: "amr", auth_time: "auth_time" };
    const OURS_ALONE: Self = Self {
        session: "portcullis_sid",
        counter: "portcullis_ctr",
        amr: "portcullis_amr",
        auth_time: "portcullis_auth_time",
    };
}

impl TokenClaims {
    /// Whether the token was issued before `valid_from`. One that does not say when was.
    pub fn is_older_than(&self, valid_from: Option<Timestamp>) -> bool {
        is_older_than(self.issued_at, valid_from)
    }
}

/// See [`TokenClaims::is_older_than`].
pub fn is_older_than(issued_at: Option<Timestamp>, valid_from: Option<Timestamp>) -> bool {
    // Tokens tell whole seconds, so that one of the same second counts as younger.
    valid_from.is_some_and(|from| issued_at.is_none_or(|at| at.as_secs() < from.as_secs()))
}

impl TokenRules {
    pub const fn names(&self) -> &'static ClaimNames {
        if self.strict { &ClaimNames::REGISTERED } else { &ClaimNames::OURS_ALONE }
    }

    /// Judges claims whose signature holds. `expected` is `None` where any type of token will do.
    pub fn judge(
        &self,
        claims: Claims,
        expected: Option<TokenType>,
        now: Timestamp,
    ) -> Result<TokenClaims, TokenFault> {
        let leeway = self.leeway;
        let issued_at = self.instant(&claims, "iat")?;
        if issued_at.is_some_and(|at| at > now.plus(leeway)) {
            return Err(TokenFault::Invalid);
        }
        if self.instant(&claims, "nbf")?.is_some_and(|at| at > now.plus(leeway)) {
            return Err(TokenFault::Invalid);
        }
        let expires_at = self.instant(&claims, "exp")?;
        if expires_at.is_some_and(|at| at <= now.minus(leeway)) {
            return Err(TokenFault::Expired);
        }
        self.judge_origin(&claims)?;
        let id = text(&claims, "jti")?;
        let subject = text(&claims, "sub")?;
        let expires_at = expires_at.ok_or(TokenFault::NoExpiry)?;
        let id = id.ok_or(TokenFault::NoId)?.to_owned();
        let token_type = match claims.get("token_type") {
            None => None,
            Some(Value::String(token_type)) => Some(token_type.clone()),
            Some(_) => return Err(TokenFault::WrongType),
        };
        if let Some(expected) = expected {
            match &token_type {
                None => return Err(TokenFault::NoType),
                Some(found) if found != expected.as_str() => return Err(TokenFault::WrongType),
                Some(_) => {}
            }
        }
        if self.strict {
            let max = match token_type.as_deref() {
                Some("access") => self.max_access_lifetime,
                Some("refresh") => self.max_refresh_lifetime,
                _ => return Err(TokenFault::WrongType),
            };
            let issued_at = issued_at.ok_or(TokenFault::Invalid)?;
            if subject.is_none() || expires_at > issued_at.plus(max) {
                return Err(TokenFault::Invalid);
            }
        }
        let names = self.names();
        let session_id = text(&claims, names.session)?.map(|sid| SessionId(sid.to_owned()));
        let user_id = self.user_id(&claims);
        if self.strict && (session_id.is_none() || user_id.as_ref().map(UserId::as_str) != subject) {
            return Err(TokenFault::Invalid);
        }
        Ok(TokenClaims {
            token_type,
            expires_at,
            id,
            user_id,
            session_id,
            counter: claims
                .get(names.counter)
                .map(|counter| counter.as_i64().ok_or(TokenFault::Invalid))
                .transpose()?,
            amr: match claims.get(names.amr) {
                None => Vec::new(),
                Some(amr) => texts(amr).ok_or(TokenFault::Invalid)?,
            },
            auth_time: self.instant(&claims, names.auth_time)?,
            issued_at,
            all: claims,
        })
    }

    fn judge_origin(&self, claims: &Claims) -> Result<(), TokenFault> {
        if let Some(issuer) = &self.issuer
            && claims.get("iss").and_then(Value::as_str) != Some(issuer)
        {
            return Err(TokenFault::Invalid);
        }
        let Some(audience) = &self.audience else { return Ok(()) };
        let fits = match claims.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(list @ Value::Array(_)) => texts(list).is_some_and(|list| list.iter().any(|one| one == audience)),
            _ => false,
        };
        if fits { Ok(()) } else { Err(TokenFault::Invalid) }
    }

    /// A `NumericDate` (RFC 7519 2). A fraction is accepted from the Django stack and rounds down; our own are whole.
    fn instant(&self, claims: &Claims, name: &str) -> Result<Option<Timestamp>, TokenFault> {
        let Some(value) = claims.get(name) else { return Ok(None) };
        let seconds = match (value.as_i64(), value.as_f64()) {
            (Some(whole), _) => whole,
            (None, Some(fraction)) if !self.strict && fraction.abs() < 1e15 => {
                #[expect(clippy::cast_possible_truncation, reason = "bounded on the line above")]
                let whole = fraction.floor() as i64;
                whole
            }
            _ => return Err(TokenFault::Invalid),
        };
        // A year far beyond any lifetime would overflow what is computed with it.
        if !(-1_000_000_000_000..=1_000_000_000_000).contains(&seconds) {
            return Err(TokenFault::Invalid);
        }
        Ok(Some(Timestamp::from_secs(seconds)))
    }

    /// Text, or (from the Django stack) a whole number. Nothing else names a user: not `true`, not `1.0`, not `" 1 "`.
    fn user_id(&self, claims: &Claims) -> Option<UserId> {
        match claims.get("user_id")? {
            Value::String(id) if !id.is_empty() && id.trim() == id && id.len() <= 255 => Some(UserId(id.clone())),
            Value::Number(id) if !self.strict && (id.is_i64() || id.is_u64()) => Some(UserId(id.to_string())),
            _ => None,
        }
    }
}

/// `Err` when it is there and no string: a claim of the wrong type is invalid, not absent.
fn text<'a>(claims: &'a Claims, name: &str) -> Result<Option<&'a str>, TokenFault> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenFault::Invalid),
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
#[path = "token/tests.rs"]
mod tests;

//! Making tokens: what is in them, in which order, and how long they live.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::crypto::digest::sha256;
use crate::crypto::key_pair::SigningFailed;
use crate::crypto::tokens::Tokens;
use crate::domain::clock::Timestamp;
use crate::domain::digest::hex;
use crate::domain::random::{self, Random};
use crate::domain::secret::Secret;
use crate::domain::session::Session;
use crate::domain::token::{ClaimNames, Claims, TokenType};
use crate::domain::user::UserId;

/// How long things live, and whether refresh tokens are exchanged at each use.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    pub access: Duration,
    /// Idle: counted from the last rotation.
    pub refresh: Duration,
    /// Absolute: no rotation extends it.
    pub session: Duration,
    pub rotate: bool,
    pub reuse_grace: Duration,
}

/// What a sign-in or refresh gives.
#[derive(Debug)]
pub struct TokenPair {
    pub access: Secret<String>,
    /// `None` when the presented refresh token stays good.
    pub refresh: Option<Secret<String>>,
}

pub struct TokenMint {
    tokens: Tokens,
    lifetimes: Lifetimes,
    random: Arc<dyn Random>,
}

impl TokenMint {
    pub fn new(tokens: Tokens, lifetimes: Lifetimes, random: Arc<dyn Random>) -> Self {
        Self { tokens, lifetimes, random }
    }

    fn names(&self) -> &'static ClaimNames {
        self.tokens.rules().names()
    }

    pub const fn lifetimes(&self) -> &Lifetimes {
        &self.lifetimes
    }

    /// The claims that both tokens of a new session have in common, in the order that existing clients know.
    pub fn first_claims(&self, user_id: &UserId, session: &Session, now: Timestamp) -> Claims {
        let mut claims = Claims::new();
        claims.insert("user_id".into(), json!(user_id.as_str()));
        let rules = self.tokens.rules();
        if let Some(audience) = &rules.audience {
            claims.insert("aud".into(), json!(audience));
        }
        if let Some(issuer) = &rules.issuer {
            claims.insert("iss".into(), json!(issuer));
        }
        if rules.strict {
            claims.insert("sub".into(), json!(user_id.as_str()));
        }
        claims.insert(self.names().session.to_owned(), json!(session.id.as_str()));
        claims.insert(self.names().amr.to_owned(), json!(session.amr));
        claims.insert(self.names().auth_time.to_owned(), json!(now.as_secs()));
        claims
    }

    /// An access token, and with it the refresh token of the session as it is now.
    pub fn pair(
        &self,
        claims: &Claims,
        session: &Session,
        with_refresh: bool,
        now: Timestamp,
    ) -> Result<TokenPair, SigningFailed> {
        let mut claims = claims.clone();
        // A token from before this gateway names no session; its successors name the one it was given.
        if with_refresh {
            claims.insert(self.names().session.to_owned(), json!(session.id.as_str()));
        }
        let access = self.access_token(&claims, now)?;
        let refresh = if with_refresh { Some(self.refresh_token(&claims, session)?) } else { None };
        Ok(TokenPair { access, refresh })
    }

    pub fn access_token(&self, claims: &Claims, now: Timestamp) -> Result<Secret<String>, SigningFailed> {
        let id = random::hex_id(self.random.as_ref());
        self.token(TokenType::Access, claims, now, now.plus(self.lifetimes.access), id, None)
    }

    /// The refresh token of a session at its present counter. Everything in it follows from the session, so that the one
    /// successor of a spent token can be given out twice without there being two.
    fn refresh_token(&self, claims: &Claims, session: &Session) -> Result<Secret<String>, SigningFailed> {
        let issued_at = session.rotated_at;
        let expires_at = issued_at.plus(self.lifetimes.refresh).min(session.expires_at);
        let named = format!("refresh {} {}", session.id, session.counter);
        let id = hex(sha256(named.as_bytes()).0.get(..16).unwrap_or_default());
        self.token(TokenType::Refresh, claims, issued_at, expires_at, id, Some(session.counter))
    }

    fn token(
        &self,
        token_type: TokenType,
        carried: &Claims,
        issued_at: Timestamp,
        expires_at: Timestamp,
        id: String,
        counter: Option<i64>,
    ) -> Result<Secret<String>, SigningFailed> {
        let mut claims = Claims::new();
        claims.insert("token_type".into(), json!(token_type.as_str()));
        claims.insert("exp".into(), json!(expires_at.as_secs()));
        claims.insert("iat".into(), json!(issued_at.as_secs()));
        claims.insert("jti".into(), json!(id));
        for (name, value) in carried {
            if !matches!(name.as_str(), "token_type" | "exp" | "iat" | "jti") && name != self.names().counter {
                claims.insert(name.clone(), value.clone());
            }
        }
        if let Some(counter) = counter {
            claims.insert(self.names().counter.to_owned(), json!(counter));
        }
        self.tokens.write(&claims).map(Secret::new)
    }
}

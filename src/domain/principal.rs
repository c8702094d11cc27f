//! A verified subject.

use std::sync::Arc;

use super::api_key::ApiKeyId;
use super::clock::Timestamp;
use super::key_bounds::KeyBounds;
use super::scope::ScopeSet;
use super::session::{Kept, SessionId};
use super::user::UserId;

/// Who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    User { id: UserId, username: String, email: String },
    Service { name: String },
}

impl Subject {
    /// The value for `X-Auth-User-Id` and the assertion's `sub`. A service is told from a user by its prefix, which
    /// no user id can have: `:` occurs neither in a UUID nor in a Django primary key.
    pub fn id(&self) -> String {
        match self {
            Self::User { id, .. } => id.0.clone(),
            Self::Service { name } => format!("service:{name}"),
        }
    }
}

/// How it was shown who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Jwt,
    ApiKey,
    /// Both were presented, both valid; the token speaks for the user.
    JwtAndApiKey,
}

impl Method {
    /// The credential that names the subject. That a key came along shows in the key's id.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jwt | Self::JwtAndApiKey => "jwt",
            Self::ApiKey => "api_key",
        }
    }
}

/// How strongly a sign-in was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assurance {
    OneFactor,
    TwoFactors,
}

impl Assurance {
    /// What a sign-in by these methods (RFC 8176) amounts to.
    pub fn of(amr: &[String]) -> Self {
        let second = amr.iter().any(|method| matches!(method.as_str(), "otp" | "mfa" | "recovery_code"));
        if second { Self::TwoFactors } else { Self::OneFactor }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneFactor => "one_factor",
            Self::TwoFactors => "two_factors",
        }
    }
}

/// A verified subject with what it may do. Made only by `access`, from a credential that held.
#[derive(Clone, Debug)]
pub struct Principal {
    pub subject: Subject,
    pub method: Method,
    pub scopes: ScopeSet,
    pub key_id: Option<ApiKeyId>,
    /// What that key is held to; nothing, for what is no key.
    pub bounds: KeyBounds,
    pub session_id: Option<SessionId>,
    /// Authentication methods, as in RFC 8176: `pwd`, `otp`.
    pub amr: Vec<String>,
    pub assurance: Assurance,
    /// When the user last proved who it is; `None` for a key, which proves that each time.
    pub authenticated_at: Option<Timestamp>,
    /// When the token was issued; `None` for a key, and for a token that does not say.
    pub issued_at: Option<Timestamp>,
    /// The user must have a second factor, and has signed in without one: good for getting one, and for nothing else.
    pub owes_second_factor: bool,
    /// When the credential stops being good by itself; derived values must not outlive it.
    pub expires_at: Option<Timestamp>,
    /// Different for every `Principal` ever made in this process: the key under which derived values (headers,
    /// assertions) may be remembered without comparing all of it.
    pub serial: u64,
}

impl Principal {
    /// What goes on when the user's other sessions end.
    pub fn kept(&self) -> Kept {
        Kept { session: self.session_id.clone(), issued_at: self.issued_at }
    }
}

/// Who is asking.
#[derive(Clone, Debug)]
pub enum Caller {
    Anonymous,
    Known(Arc<Principal>),
}

impl Caller {
    pub const fn principal(&self) -> Option<&Arc<Principal>> {
        match self {
            Self::Anonymous => None,
            Self::Known(principal) => Some(principal),
        }
    }
}

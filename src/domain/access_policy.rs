//! What a route demands.

use std::fmt;
use std::time::Duration;

use super::scope::ScopeSet;

/// A kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    Jwt,
    ApiKey,
}

impl CredentialKind {
    pub const ALL: [Self; 2] = [Self::Jwt, Self::ApiKey];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::ApiKey => "api_key",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Which of the kinds must be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// One of these is enough.
    Any { jwt: bool, api_key: bool },
    /// Both a token and a key.
    All,
}

impl Kinds {
    pub const JWT: Self = Self::Any { jwt: true, api_key: false };
    pub const API_KEY: Self = Self::Any { jwt: false, api_key: true };
    pub const EITHER: Self = Self::Any { jwt: true, api_key: true };

    pub const fn accepts(self, kind: CredentialKind) -> bool {
        match (self, kind) {
            (Self::Any { jwt, .. }, CredentialKind::Jwt) => jwt,
            (Self::Any { api_key, .. }, CredentialKind::ApiKey) => api_key,
            (Self::All, _) => true,
        }
    }

    pub const fn satisfied_by(self, jwt: bool, api_key: bool) -> bool {
        match self {
            Self::Any { jwt: accepts_jwt, api_key: accepts_key } => (jwt && accepts_jwt) || (api_key && accepts_key),
            Self::All => jwt && api_key,
        }
    }
}

/// Of whom a second factor is demanded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecondFactorDemand {
    #[default]
    Nobody,
    /// Of users who sign in; a key that is good for the route is good enough.
    Tokens,
    /// Of everybody, so that a key alone does not do.
    Everybody,
}

/// Whose accounts must have a second factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecondFactorDuty {
    #[default]
    Nobody,
    Administrators,
    Everybody,
}

impl SecondFactorDuty {
    pub const fn binds(self, is_admin: bool) -> bool {
        match self {
            Self::Nobody => false,
            Self::Administrators => is_admin,
            Self::Everybody => true,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub kinds: Kinds,
    pub scopes: ScopeSet,
    pub second_factor: SecondFactorDemand,
    /// Who must have a second factor and has none yet may come all the same: to get one, or to leave.
    pub open_to_unenrolled: bool,
    /// How long ago the user may have signed in; a key has never signed in.
    pub max_auth_age: Option<Duration>,
}

impl Requirement {
    /// These kinds and nothing else.
    pub fn of(kinds: Kinds) -> Self {
        Self {
            kinds,
            scopes: ScopeSet::default(),
            second_factor: SecondFactorDemand::Nobody,
            open_to_unenrolled: false,
            max_auth_age: None,
        }
    }
}

/// `Public` asks for nothing, so it looks at nothing: an old token in the header does no harm there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessPolicy {
    Public,
    Requires(Requirement),
}

impl AccessPolicy {
    pub const fn max_auth_age(&self) -> Option<Duration> {
        match self {
            Self::Public => None,
            Self::Requires(requirement) => requirement.max_auth_age,
        }
    }
}

impl fmt::Display for AccessPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Requires(requirement) = self else { return f.write_str("public") };
        f.write_str(match requirement.kinds {
            Kinds::All => "jwt and api_key",
            Kinds::Any { jwt: true, api_key: true } => "jwt or api_key",
            Kinds::Any { jwt: true, api_key: false } => "jwt",
            Kinds::Any { jwt: false, api_key: true } => "api_key",
            Kinds::Any { jwt: false, api_key: false } => "nobody",
        })?;
        if !requirement.scopes.is_empty() {
            write!(f, ", scopes {}", requirement.scopes)?;
        }
        match requirement.second_factor {
            SecondFactorDemand::Nobody => {}
            SecondFactorDemand::Tokens => f.write_str(", two factors of users")?,
            SecondFactorDemand::Everybody => f.write_str(", two factors")?,
        }
        if let Some(age) = requirement.max_auth_age {
            write!(f, ", signed in within {} s", age.as_secs())?;
        }
        Ok(())
    }
}

//! Reasons to say no: a closed set, each with the reason that log and metric share and the code that the client is told.

use std::time::Duration;

/// Whose fault a refusal or failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    Client,
    Gateway,
    Store,
    Upstream,
}

impl Fault {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Store => "store",
            Self::Upstream => "upstream",
        }
    }
}

/// Why a request does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Denial {
    // The message itself.
    BadRequest,
    BadPath,
    BadHost,
    HeaderTooLarge,
    TargetTooLong,
    BodyTooLarge,
    ReservedHeader,
    MethodUnsupported,
    VersionUnsupported,
    HeadTimeout,
    // What the gateway's own routes refuse.
    NotAcceptable,
    UnsupportedMediaType,
    ParseError,
    InvalidFields,
    SignInRefused,
    RefreshReused,
    /// The password was right, and a second factor is asked for.
    SecondFactorMissing,
    SecondFactorWrong,
    /// Unknown, used up or over.
    ChallengeInvalid,
    /// The password that was to be shown once more.
    PasswordMissing,
    PasswordWrong,
    /// The token of a password reset: unknown, used, void or over.
    ResetTokenInvalid,
    SecondFactorNotEnabled,
    /// No such user, key or session, or none that the caller may know of.
    ObjectNotFound,
    // Routing.
    NoRoute,
    MethodNotAllowed,
    // Authentication. Existing clients of the token endpoints read messages; what is new is told coarsely (`code`).
    CredentialMissing,
    CredentialMalformed,
    CredentialRepeated,
    CredentialKindNotAccepted,
    BadAuthorizationHeader,
    TokenInvalid,
    TokenExpired,
    TokenWrongType,
    TokenNoExpiry,
    TokenNoId,
    TokenNoType,
    TokenNoUser,
    TokenRevoked,
    SessionEnded,
    UserNotFound,
    UserInactive,
    KeyMalformed,
    KeyUnknown,
    KeyExpired,
    KeyRevoked,
    KeyOwnerInactive,
    /// Not used for as long as it may lie idle.
    KeyIdle,
    /// Good, but not from there.
    KeyNetwork,
    /// Good, but not for that route or method.
    KeyRoute,
    // Authorisation.
    ScopeMissing,
    SecondFactorRequired,
    AuthenticationTooOld,
    // Limits.
    TooManyUnknownKeys,
    /// Too many guesses at one account, or from one network.
    TooManyAttempts,
    /// Faster than an address, a principal, a key or a route may.
    RateLimited,
    /// More than a key may in a day or month.
    KeyQuota,
    // Not the client's doing.
    Unavailable,
    Busy,
    Internal,
    UpstreamUnreachable,
    UpstreamBroken,
    UpstreamTimeout,
    /// The client left before the answer was complete.
    ClientGone,
}

impl Denial {
    pub const ALL: [Self; 64] = [
        Self::BadRequest,
        Self::BadPath,
        Self::BadHost,
        Self::HeaderTooLarge,
        Self::TargetTooLong,
        Self::BodyTooLarge,
        Self::ReservedHeader,
        Self::MethodUnsupported,
        Self::VersionUnsupported,
        Self::HeadTimeout,
        Self::NotAcceptable,
        Self::UnsupportedMediaType,
        Self::ParseError,
        Self::InvalidFields,
        Self::SignInRefused,
        Self::RefreshReused,
        Self::NoRoute,
        Self::MethodNotAllowed,
        Self::CredentialMissing,
        Self::CredentialMalformed,
        Self::CredentialRepeated,
        Self::CredentialKindNotAccepted,
        Self::BadAuthorizationHeader,
        Self::TokenInvalid,
        Self::TokenExpired,
        Self::TokenWrongType,
        Self::TokenNoExpiry,
        Self::TokenNoId,
        Self::TokenNoType,
        Self::TokenNoUser,
        Self::TokenRevoked,
        Self::SessionEnded,
        Self::UserNotFound,
        Self::UserInactive,
        Self::KeyMalformed,
        Self::KeyUnknown,
        Self::KeyExpired,
        Self::KeyRevoked,
        Self::KeyOwnerInactive,
        Self::KeyIdle,
        Self::KeyNetwork,
        Self::KeyRoute,
        Self::ScopeMissing,
        Self::TooManyUnknownKeys,
        Self::Unavailable,
        Self::Busy,
        Self::Internal,
        Self::UpstreamUnreachable,
        Self::UpstreamBroken,
        Self::UpstreamTimeout,
        Self::ClientGone,
        Self::SecondFactorMissing,
        Self::SecondFactorWrong,
        Self::ChallengeInvalid,
        Self::SecondFactorRequired,
        Self::AuthenticationTooOld,
        Self::TooManyAttempts,
        Self::RateLimited,
        Self::KeyQuota,
        Self::ObjectNotFound,
        Self::PasswordMissing,
        Self::PasswordWrong,
        Self::ResetTokenInvalid,
        Self::SecondFactorNotEnabled,
    ];

    /// The code that the client is told. It is coarser than the reason where the difference would help a guesser: which
    /// check a token or a key failed at is for the log.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TokenInvalid
            | Self::TokenExpired
            | Self::TokenWrongType
            | Self::TokenNoExpiry
            | Self::TokenNoId
            | Self::TokenNoType
            | Self::TokenNoUser
            | Self::TokenRevoked
            | Self::RefreshReused => "token_not_valid",
            Self::KeyMalformed
            | Self::KeyUnknown
            | Self::KeyExpired
            | Self::KeyRevoked
            | Self::KeyOwnerInactive
            | Self::KeyIdle
            | Self::KeyNetwork
            | Self::KeyRoute => "key_not_valid",
            Self::CredentialMissing | Self::CredentialKindNotAccepted => "not_authenticated",
            Self::SignInRefused => "no_active_account",
            Self::ScopeMissing => "permission_denied",
            Self::NoRoute | Self::ObjectNotFound => "not_found",
            _ => self.reason(),
        }
    }

    /// The reason in the access log and the metric: one per variant.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::BadPath => "bad_path",
            Self::BadHost => "bad_host",
            Self::HeaderTooLarge => "header_too_large",
            Self::TargetTooLong => "target_too_long",
            Self::BodyTooLarge => "body_too_large",
            Self::ReservedHeader => "reserved_header",
            Self::MethodUnsupported => "method_unsupported",
            Self::VersionUnsupported => "version_unsupported",
            Self::HeadTimeout => "head_timeout",
            Self::NotAcceptable => "not_acceptable",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::ParseError => "parse_error",
            Self::InvalidFields => "invalid",
            Self::SignInRefused => "sign_in_refused",
            Self::RefreshReused => "refresh_reused",
            Self::SecondFactorMissing => "mfa_required",
            Self::SecondFactorWrong => "second_factor_invalid",
            Self::ChallengeInvalid => "challenge_invalid",
            Self::PasswordMissing => "password_required",
            Self::PasswordWrong => "password_invalid",
            Self::ResetTokenInvalid => "reset_token_invalid",
            Self::SecondFactorNotEnabled => "second_factor_not_enabled",
            Self::SecondFactorRequired => "second_factor_required",
            Self::AuthenticationTooOld => "authentication_too_old",
            Self::TooManyAttempts => "too_many_attempts",
            Self::RateLimited => "rate_limited",
            Self::KeyQuota => "key_quota",
            Self::ObjectNotFound => "object_not_found",
            Self::NoRoute => "no_route",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::CredentialMissing => "credential_missing",
            Self::CredentialMalformed => "credential_malformed",
            Self::CredentialRepeated => "credential_repeated",
            Self::CredentialKindNotAccepted => "credential_kind_not_accepted",
            Self::BadAuthorizationHeader => "bad_authorization_header",
            Self::TokenInvalid => "token_invalid",
            Self::TokenExpired => "token_expired",
            Self::TokenWrongType => "token_wrong_type",
            Self::TokenNoExpiry => "token_no_expiry",
            Self::TokenNoId => "token_no_id",
            Self::TokenNoType => "token_no_type",
            Self::TokenNoUser => "token_no_user",
            Self::TokenRevoked => "token_revoked",
            Self::SessionEnded => "session_ended",
            Self::UserNotFound => "user_not_found",
            Self::UserInactive => "user_inactive",
            Self::KeyMalformed => "key_malformed",
            Self::KeyUnknown => "key_unknown",
            Self::KeyExpired => "key_expired",
            Self::KeyRevoked => "key_revoked",
            Self::KeyOwnerInactive => "key_owner_inactive",
            Self::KeyIdle => "key_idle",
            Self::KeyNetwork => "key_network",
            Self::KeyRoute => "key_route",
            Self::ScopeMissing => "scope_missing",
            Self::TooManyUnknownKeys => "too_many_unknown_keys",
            Self::Unavailable => "unavailable",
            Self::Busy => "busy",
            Self::Internal => "internal_error",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamBroken => "upstream_broken",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::ClientGone => "client_gone",
        }
    }

    pub const fn fault(self) -> Fault {
        match self {
            Self::Unavailable => Fault::Store,
            Self::Busy | Self::Internal => Fault::Gateway,
            Self::UpstreamUnreachable | Self::UpstreamBroken | Self::UpstreamTimeout => Fault::Upstream,
            _ => Fault::Client,
        }
    }

    /// How long a client should wait before it tries again, where trying again makes sense.
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Unavailable
            | Self::Busy
            | Self::TooManyUnknownKeys
            | Self::TooManyAttempts
            | Self::RateLimited
            | Self::KeyQuota => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn reasons_are_distinct() {
        let codes: HashSet<_> = Denial::ALL.iter().map(|denial| denial.reason()).collect();
        let denials: HashSet<_> = Denial::ALL.iter().collect();
        assert_eq!(codes.len(), denials.len());
    }
}

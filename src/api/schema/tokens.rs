//! Bodies of `token/…`.

use utoipa::ToSchema;

/// A name and its password.
#[derive(ToSchema)]
pub struct Credentials {
    /// As it was created: upper and lower case differ.
    #[schema(example = "anna", min_length = 1)]
    pub username: String,
    #[schema(example = "correct horse battery staple", format = Password, min_length = 1)]
    pub password: String,
    /// The code that the authenticator shows, of who has one.
    #[schema(example = "492039", min_length = 1)]
    pub otp: Option<String>,
}

/// The second step of a sign-in: the challenge, and one of the two codes.
#[derive(ToSchema)]
#[schema(example = json!({"challenge": "Zk1v0Qm3nq8y5b7mJm1oY2t9cX4pW6sR3uH8dL0aEfI", "otp": "492039"}))]
pub struct ChallengeAnswer {
    #[schema(example = "Zk1v0Qm3nq8y5b7mJm1oY2t9cX4pW6sR3uH8dL0aEfI", min_length = 1)]
    pub challenge: String,
    /// The code that the authenticator shows.
    #[schema(example = "492039", min_length = 1)]
    pub otp: Option<String>,
    /// A recovery code, which then is used up.
    #[schema(example = "abcd-efgh-ijkl-mnop", min_length = 1)]
    pub recovery_code: Option<String>,
}

/// No token pair, or not yet.
#[derive(ToSchema)]
pub struct SignInRefusal {
    #[schema(example = "A second factor is required.")]
    pub detail: String,
    /// `no_active_account`, `mfa_required`, `second_factor_invalid`.
    #[schema(example = "mfa_required")]
    pub code: String,
    /// With `mfa_required`: the ticket for `token/challenge/`.
    #[schema(example = "Zk1v0Qm3nq8y5b7mJm1oY2t9cX4pW6sR3uH8dL0aEfI", nullable = false)]
    pub challenge: Option<String>,
    /// With `mfa_required`: how long the challenge is good for, in seconds.
    #[schema(example = 300, nullable = false)]
    pub expires_in: Option<u64>,
}

#[derive(ToSchema)]
pub struct RefreshToken {
    /// A refresh token.
    #[schema(example = "eyJhbGciOiJFUzI1NiJ9.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl", min_length = 1)]
    pub refresh: String,
}

#[derive(ToSchema)]
pub struct AnyToken {
    /// A token of any type.
    #[schema(example = "eyJhbGciOiJFUzI1NiJ9.eyJ0b2tlbl90eXBlIjoiYWNjZXNzIn0.c2lnbmF0dXJl", min_length = 1)]
    pub token: String,
}

/// A refresh token and an access token of one session.
#[derive(ToSchema)]
pub struct TokenPair {
    /// For `token/refresh/`, and for nothing else.
    #[schema(example = "eyJhbGciOiJFUzI1NiJ9.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl")]
    pub refresh: String,
    /// For `Authorization: Bearer`.
    #[schema(example = "eyJhbGciOiJFUzI1NiJ9.eyJ0b2tlbl90eXBlIjoiYWNjZXNzIn0.c2lnbmF0dXJl")]
    pub access: String,
}

/// A new access token.
#[derive(ToSchema)]
pub struct Refreshed {
    /// For `Authorization: Bearer`.
    #[schema(example = "eyJhbGciOiJFUzI1NiJ9.eyJ0b2tlbl90eXBlIjoiYWNjZXNzIn0.c2lnbmF0dXJl")]
    pub access: String,
    /// Where tokens are exchanged at each use: the one to use next time, instead of the one that was sent.
    #[schema(example = "eyJhbGciOiJFUzI1NiJ9.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl", nullable = false)]
    pub refresh: Option<String>,
}

/// An empty object: it is done, and there is nothing to say.
#[derive(ToSchema)]
pub struct Done {}

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

//! The body of `me/`.

use utoipa::ToSchema;

/// Who the caller is, and how that was established.
#[derive(ToSchema)]
pub struct Me {
    /// The user's id, or `service:` and the service's name.
    #[schema(example = "0197c1a2-6f5e-7d3c-9b1a-2f4e6d8c0a1b")]
    pub id: String,
    /// `null` for a service.
    #[schema(required, example = "anna")]
    pub username: Option<String>,
    /// `null` for a service.
    #[schema(required, example = "anna@example.com")]
    pub email: Option<String>,
    pub method: Method,
    #[schema(example = json!(["orders:read"]))]
    pub scopes: Vec<String>,
    /// Authentication methods (RFC 8176).
    #[schema(example = json!(["pwd"]))]
    pub amr: Vec<String>,
    pub assurance: Assurance,
    /// When the user signed in; `null` with a key, and where the token does not say.
    #[schema(required, example = "2026-01-31T12:00:00.000000Z", format = DateTime)]
    pub authenticated_at: Option<String>,
    /// `null` without a token of this gateway.
    #[schema(required, example = "0197c1a2-7a10-7c55-8e21-5b6c7d8e9f00")]
    pub session_id: Option<String>,
    /// `null` without an API key.
    #[schema(required, example = json!(null))]
    pub key_id: Option<String>,
    /// When the credential expires; `null` if it does not.
    #[schema(required, example = "2026-01-31T12:05:00Z", format = DateTime)]
    pub expires_at: Option<String>,
}

/// What the caller showed; of both, the token counts.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case", example = "jwt")]
pub enum Method {
    Jwt,
    ApiKey,
}

/// How many factors stand behind it.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case", example = "one_factor")]
pub enum Assurance {
    OneFactor,
    TwoFactors,
}

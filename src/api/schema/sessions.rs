//! Bodies of `sessions/`.

use utoipa::ToSchema;

/// The live sessions of one user.
#[derive(ToSchema)]
pub struct Sessions {
    /// The newest first, at most 500.
    pub results: Vec<Session>,
}

/// One sign-in and what has come of it.
#[derive(ToSchema)]
pub struct Session {
    #[schema(example = "5f0c2b1e-8a57-4f9f-9d0e-3b6f7c1d2e4a")]
    pub id: String,
    #[schema(example = "2026-01-31T12:00:00.000000Z", format = DateTime)]
    pub created_at: String,
    /// When it was last refreshed.
    #[schema(example = "2026-01-31T12:05:00.000000Z", format = DateTime)]
    pub last_used_at: String,
    /// The end that no refreshing moves.
    #[schema(example = "2026-03-02T12:00:00.000000Z", format = DateTime)]
    pub expires_at: String,
    /// How the sign-in was proven (RFC 8176).
    #[schema(example = json!(["pwd", "otp"]))]
    pub amr: Vec<String>,
    /// Where it came from.
    #[schema(example = "203.0.113.7")]
    pub address: String,
    #[schema(example = "Mozilla/5.0")]
    pub user_agent: String,
    /// Whether it is the one that the request was made with.
    #[schema(example = true)]
    pub current: bool,
}

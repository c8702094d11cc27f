//! Bodies of `lockouts/…`.

use utoipa::ToSchema;

/// Who is kept waiting, the longest wait first.
#[derive(ToSchema)]
pub struct Lockouts {
    pub results: Vec<Lockout>,
}

/// Somebody, or some network, whose next guess has to wait.
#[derive(ToSchema)]
pub struct Lockout {
    /// What guesses are counted by: `account:`, `codes:` or `reset:` and a user's id, `net:` or `reset-net:` and a network, or
    /// `name:` and the digest of a name that nobody has.
    #[schema(example = "account:0197c1a2-6f5e-7d3c-9b1a-2f4e6d8c0a1b")]
    pub subject: String,
    #[schema(required, example = "0197c1a2-6f5e-7d3c-9b1a-2f4e6d8c0a1b")]
    pub user_id: Option<String>,
    /// Since the last success.
    #[schema(example = 12)]
    pub failures: u32,
    /// When the next guess will be taken.
    #[schema(example = "2026-01-31T12:00:40.000000Z", format = DateTime)]
    pub until: String,
}

/// Whom to let go on.
#[derive(ToSchema)]
pub struct LockoutSubject {
    /// As the list names it.
    #[schema(example = "net:203.0.113.7", min_length = 1, max_length = 300)]
    pub subject: String,
}

/// Whether there was anything to forget.
#[derive(ToSchema)]
pub struct Cleared {
    #[schema(example = true)]
    pub cleared: bool,
}
